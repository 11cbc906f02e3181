"""k-reciprocal re-ranking: images are near if they are among each other's neighbours, and share neighbours.

It needs no labels, but it needs the distances within the probes and within the gallery too.
"""

import numpy as np

from skreid._base.arrays import as_array
from skreid._base.checks import check_int, check_share

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
    check_int(k1, "k1", "k_reciprocal_rerank")
    check_int(k2, "k2", "k_reciprocal_rerank")
    check_share(lambda_value, "lambda_value", "k_reciprocal_rerank")
    distances = _checked(distances, "distances", None)
    n_probe, n_gallery = distances.shape
    within_probe = _checked(probe_distances, "probe_distances", (n_probe, n_probe))
    within_gallery = _checked(gallery_distances, "gallery_distances", (n_gallery, n_gallery))

    def rows(start, stop):
        """Return the scaled squared distances of images ``start:stop`` to all images, probes before gallery."""
        probe, gallery = (
            slice(start, min(stop, n_probe)),
            slice(max(start - n_probe, 0), max(stop - n_probe, 0)),
        )
        block = np.concatenate(
            [
                np.concatenate([within_probe[probe], distances[probe]], axis=1),
                np.concatenate([distances[:, gallery].T, within_gallery[gallery]], axis=1),
            ]
        )
        block = np.square(block, dtype=np.result_type(block, np.float32))
        largest = block.max(axis=1, keepdims=True)
        return block / np.where(largest > 0, largest, 1)

    n = n_probe + n_gallery
    near = _nearest(rows, n, max(k1 + 1, k2))
    encoded = _encode(rows, n, near, k1)
    if k2 > 1:
        encoded = [_average([encoded[j] for j in near[i, :k2]]) for i in range(n)]
    shared = _shared_weight(encoded[:n_probe], encoded[n_probe:], n)
    jaccard = 1 - shared / (2 - shared)  # each neighbourhood's weights sum to one
    for start in range(0, n_probe, _ROWS):
        stop = min(start + _ROWS, n_probe)
        original = rows(start, stop)[:, n_probe:]
        jaccard[start:stop] = (1 - lambda_value) * jaccard[start:stop] + lambda_value * original
    return jaccard


def _checked(distances, name, shape):
    distances = as_array(distances, name)
    if distances.ndim != 2 or not distances.size or (shape is not None and distances.shape != shape):
        raise ValueError(
            f"{name} must have shape {shape or '(n_probe, n_gallery)'}. Got an array of shape {distances.shape}."
        )
    for start in range(0, len(distances), _ROWS):
        bad = np.argwhere(~(np.isfinite(distances[start : start + _ROWS]) & (distances[start : start + _ROWS] >= 0)))
        if len(bad):
            i, j = bad[0] + [start, 0]
            raise ValueError(f"{name} must be finite and not negative. Got {distances[i, j]} at row {i}, column {j}.")
    return distances


def _nearest(rows, n, n_neighbors):
    """Return the indices of the nearest images of each image, itself first, ties by position."""
    n_neighbors = min(n_neighbors, n)
    near = np.empty((n, n_neighbors), dtype=np.intp)
    for start in range(0, n, _ROWS):
        block = rows(start, min(start + _ROWS, n))
        block[np.arange(len(block)), np.arange(start, start + len(block))] = -1
        farthest = np.partition(block, n_neighbors - 1, axis=1)[:, n_neighbors - 1]
        for i, row in enumerate(block):
            candidates = np.flatnonzero(row <= farthest[i])
            near[start + i] = candidates[np.argsort(row[candidates], kind="stable")][:n_neighbors]
    return near


def _encode(rows, n, near, k1):
    """Return each image's expanded k-reciprocal neighbours and their weights, which sum to one."""
    neighbors = [set(row) for row in near[:, : k1 + 1].tolist()]
    half = round(k1 / 2)  # to even, as the authors' figures have it
    half_neighbors = [set(row) for row in near[:, : half + 1].tolist()]
    half_reciprocal = [{j for j in half_neighbors[i] if i in half_neighbors[j]} for i in range(n)]
    encoded = []
    for start in range(0, n, _ROWS):
        block = rows(start, min(start + _ROWS, n))
        for i in range(start, start + len(block)):
            reciprocal = {j for j in neighbors[i] if i in neighbors[j]}
            expanded = set(reciprocal)
            for j in reciprocal:
                if 3 * len(half_reciprocal[j] & reciprocal) > 2 * len(half_reciprocal[j]):
                    expanded |= half_reciprocal[j]
            members = np.array(sorted(expanded))
            weights = np.exp(-block[i - start, members].astype(np.float64))
            encoded.append((members, weights / weights.sum()))
    return encoded


def _average(encoded):
    members, which = np.unique(np.concatenate([m for m, _ in encoded]), return_inverse=True)
    return members, np.bincount(which, weights=np.concatenate([w for _, w in encoded])) / len(encoded)


def _shared_weight(probes, gallery, n):
    """Sum over all members the smaller of the two weights, for each probe and gallery image."""
    owner = np.repeat(np.arange(len(gallery)), [len(members) for members, _ in gallery])
    member = np.concatenate([members for members, _ in gallery])
    weight = np.concatenate([weights for _, weights in gallery])
    by_member = np.argsort(member, kind="stable")
    ends = np.searchsorted(member[by_member], np.arange(n + 1))
    owner, weight = owner[by_member], weight[by_member]
    shared = np.zeros((len(probes), len(gallery)))
    for row, (members, weights) in zip(shared, probes, strict=True):
        for j, own in zip(members.tolist(), weights, strict=True):
            holders = slice(ends[j], ends[j + 1])
            row[owner[holders]] += np.minimum(own, weight[holders])
    return shared
