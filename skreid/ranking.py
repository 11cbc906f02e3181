"""Ranking a gallery: descriptors from any fitted transformer or Pipeline, distances, neighbours.

A last step with a method `pairwise_distances` (a learned metric) decides the distance; otherwise it is
Euclidean. Everything streams over blocks of probes, so that memory is one block by one gallery.
"""

from functools import partial

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from skreid.metrics import distance_blocks

BLOCK_NUMBERS = 2**24  # distances held at once
BLOCK_PROBES = 1024


def describe(estimator, X):
    """Describe images by everything in an estimator but a metric at its end.

    Parameters
    ----------
    estimator : fitted transformer or Pipeline
        If its last step has `pairwise_distances`, the steps before describe.
    X : images, or array of shape (n, n_features)
        Where the estimator takes images, a float table is taken for descriptors it made before, and returned.

    Returns
    -------
    descriptors : ndarray of shape (n, n_features)
    """
    transformer, _ = _split(estimator)
    if transformer is None or _are_descriptors(estimator, X):
        return np.asarray(X)
    if not hasattr(transformer, "transform"):
        raise TypeError(
            f"{type(transformer).__name__} has no transform method, so it cannot describe images; rank "
            "with a "
            "transformer, a Pipeline of transformers, or one that ends in a metric with pairwise_distances."
        )
    return np.asarray(transformer.transform(X))


def gallery_distances(estimator, probes, gallery):
    """Return the distances between descriptors, computed when asked for.

    Parameters
    ----------
    estimator : fitted transformer or Pipeline
    probes : ndarray of shape (n_probes, n_features)
    gallery : ndarray of shape (n_gallery, n_features)
        Descriptors, as given by `describe`.

    Returns
    -------
    distances : callable
        ``distances(start, stop)`` -> ndarray of shape (stop - start, n_gallery), lower is nearer; what the
        functions of `skreid.metrics` take in place of a matrix.
    """
    _check_widths(probes, gallery)
    metric = _split(estimator)[1]
    if metric is None:
        return distance_blocks(probes, gallery)
    rows, places = _distinct(gallery)

    def distances(start, stop):
        block = _learned(metric, rows, probes[start:stop], slice(None))
        return block if places is None else block[:, places]

    return distances


def rank_gallery(estimator, probes, gallery, n_neighbors=5, return_distance=True):
    """Rank a gallery for each probe, nearest first.

    Parameters
    ----------
    estimator : fitted transformer or Pipeline
        What describes images, such as `MultiDepthReID`. A last step with `pairwise_distances`, such as
        `skreid.metric_learning.XQDA`, decides the metric.
    probes : images or descriptors
        Images in any form the estimator takes, or a float array (n_probes, n_features) of descriptors.
    gallery : images or descriptors
        Likewise.
    n_neighbors : int, default=5
        Length of each ranking.
    return_distance : bool, default=True

    Returns
    -------
    distances : ndarray of shape (n_probes, n_neighbors)
        Ascending; only if `return_distance`.
    indices : ndarray of shape (n_probes, n_neighbors), int64
        Places in the gallery; equal distances in the gallery's order.

    Raises
    ------
    ValueError
        If `n_neighbors` exceeds the gallery, or the numbers of features differ.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skreid import rank_gallery
    >>> gallery = np.array([[0.0], [2.0], [5.0]])
    >>> distances, indices = rank_gallery(StandardScaler().fit(gallery), [[1.9]], gallery, n_neighbors=2)
    >>> indices
    array([[1, 0]])
    """
    check_is_fitted(estimator)
    probes, gallery = describe(estimator, probes), describe(estimator, gallery)
    if not 1 <= n_neighbors <= len(gallery):
        raise ValueError(
            f"Expected 1 <= n_neighbors <= n_gallery, but n_neighbors = {n_neighbors}, n_gallery = {len(gallery)}."
        )
    distances, indices = nearest(_split(estimator)[1], probes, gallery, n_neighbors)
    return (distances, indices) if return_distance else indices


def nearest(metric, probes, gallery, n_neighbors):
    """Find the nearest gallery descriptors of each probe, tile by tile.

    Parameters
    ----------
    metric : object with `pairwise_distances`, or None for the Euclidean distance
    probes, gallery : ndarray of shape (n, n_features)
    n_neighbors : int

    Returns
    -------
    distances, indices : ndarray of shape (n_probes, n_neighbors)
        Nearest first, equal distances in the gallery's order.
    """
    _check_widths(probes, gallery)
    rows, places = _distinct(gallery)
    measure = Euclidean(rows) if metric is None else partial(_learned, metric, rows)
    kept = min(n_neighbors, len(rows))
    found = [
        _nearest_rows(measure, probes[start : start + BLOCK_PROBES], len(rows), kept)
        for start in range(0, len(probes), BLOCK_PROBES)
    ]
    distances, indices = (np.concatenate(parts) for parts in zip(*found, strict=True))
    if metric is None:
        np.sqrt(distances, out=distances)
    if places is not None:
        distances, indices = _expand(distances, indices, places, n_neighbors)
    return distances, indices


class Euclidean:
    """Squared Euclidean distances to a gallery, in float64, one matrix product a tile."""

    def __init__(self, gallery):
        self.gallery, self.center = gallery, gallery.mean(axis=0, dtype=np.float64)

    def __call__(self, probes, part):
        """Return the squared distances of probes to a part (a slice) of the gallery."""
        probes, rows = probes - self.center, self.gallery[part] - self.center  # less cancellation
        squares = np.einsum("ij,ij->i", probes, probes)[:, None] + np.einsum("ij,ij->i", rows, rows)
        squares -= 2 * (probes @ rows.T)
        return np.maximum(squares, 0, out=squares)


def _nearest_rows(measure, probes, n_rows, n_neighbors):
    """Keep the nearest rows of each probe while passing over the gallery once; ties to the earlier row."""
    width = max(n_neighbors, BLOCK_NUMBERS // len(probes))
    best = None
    for start in range(0, n_rows, width):
        tile = measure(probes, slice(start, start + width))
        if best is None:
            wanted = tile <= np.partition(tile, n_neighbors - 1, axis=1)[:, n_neighbors - 1 :][:, :1]
        else:
            wanted = tile < best[0][:, -1:]  # an equal distance further on is no better
        probe, row = np.nonzero(wanted)
        found = tile[probe, row]
        row += start
        if best is not None:
            probe = np.concatenate([np.repeat(np.arange(len(probes)), n_neighbors), probe])
            found, row = np.concatenate([best[0].ravel(), found]), np.concatenate([best[1].ravel(), row])
        best = _first(probe, found, row, len(probes), n_neighbors)
    return best


def _first(probe, distance, row, n_probes, n_neighbors):
    """Return the first entries of each probe by distance, then by row, both (n_probes, n_neighbors)."""
    order = np.lexsort((row, distance, probe))
    starts = np.searchsorted(probe[order], np.arange(n_probes))
    chosen = order[starts[:, None] + np.arange(n_neighbors)]
    return distance[chosen], row[chosen]


def _distinct(gallery):
    """Return the distinct rows, in order of first appearance, and each row's place among them.

    Identical descriptors then share one distance to the last bit; None for the places if all differ.
    """
    rows = np.ascontiguousarray(gallery) + 0.0  # no negative zeros
    keys = rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).ravel()
    _, first, places = np.unique(keys, return_index=True, return_inverse=True)
    if len(first) == len(rows):
        return gallery, None
    rank = np.argsort(np.argsort(first))
    return rows[np.sort(first)], rank[places]


def _expand(distances, indices, places, n_neighbors):
    """Turn rankings of distinct rows into rankings of all gallery rows."""
    members = np.argsort(places, kind="stable")
    sizes = np.bincount(places)
    ends = np.cumsum(sizes)
    out = np.empty((len(indices), n_neighbors)), np.empty((len(indices), n_neighbors), dtype=np.int64)
    for probe, (distance, index) in enumerate(zip(distances, indices, strict=True)):
        rows = np.concatenate([members[ends[i] - sizes[i] : ends[i]] for i in index])
        repeated = np.repeat(distance, sizes[index])
        order = np.lexsort((rows, repeated))[:n_neighbors]
        out[0][probe], out[1][probe] = repeated[order], rows[order]
    return out


def _learned(metric, gallery, probes, part):
    return np.asarray(metric.pairwise_distances(probes, gallery[part]), dtype=np.float64)


def _check_widths(probes, gallery):
    if probes.shape[1] != gallery.shape[1]:
        raise ValueError(
            f"The probes have {probes.shape[1]} features and the gallery has {gallery.shape[1]}: descriptors "
            "must come from the same fitted estimator."
        )


def _are_descriptors(estimator, X):
    """Whether X is what the estimator's transform gave: a table, where the estimator takes images."""
    if getattr(X, "ndim", None) != 2 or getattr(X, "dtype", None) is None or X.dtype.kind != "f":
        return False
    return not get_tags(estimator).input_tags.two_d_array


def _split(estimator):
    """Return what describes (None if nothing) and the learned metric (None if Euclidean) of an estimator."""
    if isinstance(estimator, Pipeline):
        if hasattr(estimator.steps[-1][1], "pairwise_distances"):
            return (estimator[:-1] if len(estimator) > 1 else None), estimator[-1]
        return estimator, None
    if hasattr(estimator, "pairwise_distances"):
        return None, estimator
    return estimator, None
