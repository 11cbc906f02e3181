"""k-reciprocal re-ranking as the metrics take it: from matrices, or from descriptors where matrices do not fit.

It needs no labels, but it needs the distances within the probes and within the gallery too.
"""

import numpy as np

from skreid._base.arrays import as_array
from skreid._search.distances import distance_blocks
from skreid._search.joint import EuclideanJoint
from skreid._search.reranking import RerankedBlocks, check_settings

_ROWS = 256  # rows of the joint distance matrix computed at once


def k_reciprocal_rerank(distances, probe_distances, gallery_distances, *, k1=20, k2=6, lambda_value=0.3):
    """Refine probe-gallery distances by the Jaccard distance of k-reciprocal neighbourhoods.

    Parameters
    ----------
    distances : array-like of shape (n_probe, n_gallery)
        Non-negative distances between probes and gallery.
    probe_distances : array-like of shape (n_probe, n_probe)
        Distances among the probes, symmetric.
    gallery_distances : array-like of shape (n_gallery, n_gallery)
        Distances among the gallery images, symmetric.
    k1 : int, default=20
        Neighbours considered for reciprocity.
    k2 : int, default=6
        Neighbours, including the image itself, over which neighbourhoods are averaged; 1 averages nothing.
    lambda_value : float, default=0.3
        Weight of the original distance, in [0, 1].

    Returns
    -------
    ndarray of shape (n_probe, n_gallery)
        Distances in [0, 1], for any function of `skreid.metrics`.

    Raises
    ------
    ValueError
        If shapes disagree, a distance is negative or not finite, or a parameter is out of range.

    Notes
    -----
    As in the authors' published figures, distances are squared and divided by the largest in their row, an
    image is its own first neighbour, and the half-size neighbourhood of a neighbour is added if more than two
    thirds of it are already included. Other ties are resolved by position, probes first. Re-ranking uses all
    probes together: figures with and without it belong to different protocols.

    References
    ----------
    Z. Zhong, L. Zheng, D. Cao, S. Li, "Re-ranking Person Re-identification with k-reciprocal Encoding", CVPR
    2017.

    Examples
    --------
    >>> import numpy as np
    >>> from skreid.metrics import k_reciprocal_rerank
    >>> probe, gallery = np.array([0.0, 5.0]), np.array([0.1, 0.2, 5.1])
    >>> between = lambda a, b: np.abs(a[:, None] - b)
    >>> refined = k_reciprocal_rerank(
    ...     between(probe, gallery), between(probe, probe), between(gallery, gallery), k1=2, k2=1)
    >>> refined.argmin(axis=1)
    array([0, 2])
    """
    settings = check_settings({"k1": k1, "k2": k2, "lambda_value": lambda_value}, "k_reciprocal_rerank")
    distances = _checked(distances, "distances", None)
    n_probe, n_gallery = distances.shape
    within_probe = _checked(probe_distances, "probe_distances", (n_probe, n_probe))
    within_gallery = _checked(gallery_distances, "gallery_distances", (n_gallery, n_gallery))
    if not distances.size:
        return np.empty(distances.shape)
    joint = _MatrixJoint(distances, within_probe, within_gallery)
    blocks = RerankedBlocks(joint, lambda start, stop: distances[start:stop], **settings)
    out = np.empty(blocks.shape)
    for start in range(0, n_probe, _ROWS):
        out[start : start + _ROWS] = blocks(start, min(start + _ROWS, n_probe))
    return out


def k_reciprocal_blocks(X_probe, X_gallery, *, metric="euclidean", k1=20, k2=6, lambda_value=0.3):
    """Return a callable that computes re-ranked distances of a block of probes to the whole gallery.

    The distances are those of :func:`k_reciprocal_rerank`, but no matrix of distances is ever in memory: memory grows
    with (n_probe + n_gallery) * k1, time with the square of n_probe + n_gallery.

    Parameters
    ----------
    X_probe : ndarray of shape (n_probe, n_features)
        Descriptors; memory-mapped arrays are read one block at a time.
    X_gallery : ndarray of shape (n_gallery, n_features)
        Descriptors of the gallery.
    metric : {"euclidean", "sqeuclidean", "cosine"}, default="euclidean"
        Distance that is refined, as in :func:`distance_blocks`.
    k1, k2, lambda_value : int, int and float
        As for :func:`k_reciprocal_rerank`.

    Returns
    -------
    RerankedBlocks
        ``blocks(start, stop)`` has shape (stop - start, n_gallery); values are in [0, 1]. Every function of
        `skreid.metrics` takes it in place of a matrix. Of no probes or an empty gallery, empty `DistanceBlocks`.

    Raises
    ------
    ValueError
        If descriptors cannot be compared, a descriptor is zero and the metric is "cosine", or a parameter is out of
        range.

    Notes
    -----
    The neighbours of all images are found here, before the first block is computed. Equal distances are resolved by
    position, probes first. Figures with and without re-ranking belong to different protocols.

    Distances of different rows that are equal in theory differ by rounding, as :func:`distance_blocks` says: figures
    may differ by such ties between values of `block_size`. If descriptors have few distinct values, pass whole matrices
    to :func:`k_reciprocal_rerank`.

    Examples
    --------
    >>> import numpy as np
    >>> from skreid.metrics import k_reciprocal_blocks, rank_k
    >>> probe, gallery = np.array([[0.0], [5.0]]), np.array([[0.1], [0.2], [5.1]])
    >>> blocks = k_reciprocal_blocks(probe, gallery, k1=2, k2=1)
    >>> rank_k(["ann", "bo"], ["ann", "ann", "bo"], blocks, k=1)
    1.0
    """
    settings = check_settings({"k1": k1, "k2": k2, "lambda_value": lambda_value}, "k_reciprocal_blocks")
    X_probe, X_gallery = as_array(X_probe, "X_probe"), as_array(X_gallery, "X_gallery")
    distances = distance_blocks(X_probe, X_gallery, metric=metric)
    if 0 in distances.shape:
        return distances
    for name, X in (("X_probe", X_probe), ("X_gallery", X_gallery)):
        zero = np.flatnonzero(~X.any(axis=1)) if metric == "cosine" else ()
        if len(zero):
            raise ValueError(f"{name} is zero in row {zero[0]}: a zero descriptor has no cosine distance.")
    return RerankedBlocks(EuclideanJoint(X_probe, X_gallery, metric), distances, **settings)


class _MatrixJoint:
    """Distances among all images, probes before gallery, read from three matrices."""

    squared = False

    def __init__(self, between, within_probe, within_gallery):
        self.n_probe, self._n = len(between), sum(between.shape)
        self._between, self._within_probe, self._within_gallery = between, within_probe, within_gallery

    def _blocks(self):
        """Yield the index of the first image of a block and the distances of its images to all images."""
        n = self.n_probe
        for start in range(0, n, _ROWS):
            part = slice(start, start + _ROWS)
            yield start, np.concatenate([self._within_probe[part], self._between[part]], axis=1)
        for start in range(0, self._n - n, _ROWS):
            part = slice(start, start + _ROWS)
            yield n + start, np.concatenate([self._between[:, part].T, self._within_gallery[part]], axis=1)

    def largest(self):
        """Return the largest distance of each image, (n,), float64."""
        return np.concatenate([block.max(axis=1) for _, block in self._blocks()]).astype(np.float64)

    def nearest(self, n_neighbors):
        """Return the nearest images of each image, (n, n_neighbors), int32, itself first, ties by position."""
        near = np.empty((self._n, n_neighbors), dtype=np.int32)
        for start, block in self._blocks():
            block = block.astype(np.result_type(block, np.float32))
            block[np.arange(len(block)), np.arange(start, start + len(block))] = -1
            farthest = np.partition(block, n_neighbors - 1, axis=1)[:, n_neighbors - 1]
            for i, row in enumerate(block):
                candidates = np.flatnonzero(row <= farthest[i])
                near[start + i] = candidates[np.argsort(row[candidates], kind="stable")][:n_neighbors]
        return near

    def pairs(self, image, other):
        """Return the distances of pairs of images, (n_pairs,)."""
        out, n = np.empty(len(image)), self.n_probe
        of_probe, to_probe = image < n, other < n
        for rows, columns, matrix, chosen in (
            (image, other, self._within_probe, of_probe & to_probe),
            (image, other - n, self._between, of_probe & ~to_probe),
            (other, image - n, self._between, ~of_probe & to_probe),
            (image - n, other - n, self._within_gallery, ~of_probe & ~to_probe),
        ):
            out[chosen] = matrix[rows[chosen], columns[chosen]]
        return out


def _checked(distances, name, shape):
    distances = as_array(distances, name)
    if distances.ndim != 2 or (shape is not None and distances.shape != shape):
        raise ValueError(
            f"{name} must have shape {shape or '(n_probe, n_gallery)'}. Got an array of shape {distances.shape}."
        )
    for start in range(0, len(distances), _ROWS):
        bad = np.argwhere(~(np.isfinite(distances[start : start + _ROWS]) & (distances[start : start + _ROWS] >= 0)))
        if len(bad):
            i, j = bad[0] + [start, 0]
            raise ValueError(f"{name} must be finite and not negative. Got {distances[i, j]} at row {i}, column {j}.")
    return distances
