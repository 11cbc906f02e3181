"""k-reciprocal re-ranking: images are near if they are among each other's neighbours, and share neighbours.

Each image is encoded by the weights of a few images, a row of a sparse matrix: memory grows with the number of images
times k1. The re-ranked distances themselves are computed for a block of probes at a time.
"""

import numpy as np
from scipy import sparse

from skreid._base.checks import check_int, check_share, did_you_mean

IMAGES = 1024  # images encoded at once
PAIRS = 2**20  # weights compared at once
DEFAULTS = {"k1": 20, "k2": 6, "lambda_value": 0.3}


def check_settings(settings, owner):
    """Return the settings of re-ranking, checked, as a dict of k1, k2 and lambda_value."""
    return {
        "k1": check_int(settings["k1"], "k1", owner),
        "k2": check_int(settings["k2"], "k2", owner),
        "lambda_value": check_share(settings["lambda_value"], "lambda_value", owner),
    }


def check_rerank(rerank, owner):
    """Return the settings that the parameter `rerank` of a function asks for, or None if it asks for none."""
    if isinstance(rerank, (bool, np.bool_)):
        return dict(DEFAULTS) if rerank else None
    if not isinstance(rerank, dict):
        raise ValueError(
            f"The 'rerank' parameter of {owner} must be a bool or a dict of k1, k2 and lambda_value. "
            f"Got {rerank!r} instead."
        )
    for key in rerank:
        if key not in DEFAULTS:
            raise ValueError(
                f"The 'rerank' parameter of {owner} takes k1, k2 and lambda_value. Got {key!r} instead."
                f"{did_you_mean(key, DEFAULTS)}"
            )
    return check_settings({**DEFAULTS, **rerank}, f"{owner}(rerank=...)")


def label_of(settings):
    """Return settings in words, for the protocol of a figure and for legends."""
    return f"re-ranked (k1={settings['k1']}, k2={settings['k2']}, lambda={settings['lambda_value']:g})"


class RerankedBlocks:
    """Re-ranked distances, computed on demand: ``blocks(start, stop)`` returns the rows of these probes.

    Attributes
    ----------
    shape : tuple of int
        (n_probe, n_gallery).

    Examples
    --------
    >>> from skreid.metrics import k_reciprocal_blocks
    >>> blocks = k_reciprocal_blocks([[0.0], [5.0]], [[0.1], [0.2], [5.1]], k1=2, k2=1)
    >>> blocks.shape, blocks(1, 2).argmin(axis=1)
    ((2, 3), array([2]))
    """

    def __init__(self, joint, distances, *, k1, k2, lambda_value):
        n_probe = joint.n_probe
        self._distances, self._squared, self._lambda = distances, joint.squared, lambda_value
        largest = joint.largest()
        largest[largest <= 0] = 1
        near = joint.nearest(min(max(k1 + 1, k2), len(largest)))
        encoded = _encode(joint, near, largest, k1)
        if k2 > 1:
            encoded = _average(encoded, near[:, :k2])
        self.shape = (n_probe, len(largest) - n_probe)
        self._largest = largest[:n_probe, None]
        self._probes, self._gallery = encoded[:n_probe], encoded[n_probe:].tocsc()

    def __call__(self, start, stop):
        """Return the re-ranked distances of probes ``start:stop``, an ndarray of shape (stop - start, n_gallery)."""
        out = self._shared(self._probes[start:stop])
        distances = self._distances(start, stop)
        largest, step = self._largest[start:stop], max(1, PAIRS // self.shape[1])
        for low in range(0, len(out), step):  # a few probes stay in the cache
            part = slice(low, low + step)
            rows = out[part]
            rows /= 2 - rows  # each neighbourhood's weights sum to one: the smaller ones to s, the larger ones to 2 - s
            np.subtract(1, rows, out=rows)
            rows *= 1 - self._lambda
            rows += self._lambda * _scaled(distances[part], largest[part], self._squared)
        return out

    def _shared(self, probes):
        """Sum over all members the smaller of the two weights, for each of some probes and each gallery image."""
        shared = np.zeros((probes.shape[0], self.shape[1]))
        low, n_holders = self._gallery.indptr[probes.indices], np.diff(self._gallery.indptr)[probes.indices]
        row = np.repeat(np.arange(len(shared)), np.diff(probes.indptr)) * self.shape[1]
        ends = np.cumsum(n_holders, dtype=np.int64)
        first = 0
        while first < len(ends):
            done = ends[first] - n_holders[first]
            last = max(first + 1, np.searchsorted(ends, done + PAIRS, side="right"))
            part = slice(first, last)
            first = last
            repeat = np.repeat(np.arange(part.start, part.stop), n_holders[part])
            holder = np.arange(done, ends[last - 1]) - (ends - n_holders - low)[repeat]
            smaller = np.minimum(probes.data[repeat], self._gallery.data[holder])
            np.add.at(shared.reshape(-1), row[repeat] + self._gallery.indices[holder], smaller)
        return shared


def _scaled(distances, largest, squared):
    """Return squared distances divided by the largest of the same image."""
    scaled = np.asarray(distances, dtype=np.float64) / largest
    return scaled if squared else np.square(scaled, out=scaled)


def _encode(joint, near, largest, k1):
    """Return each image's expanded k-reciprocal neighbours and their weights, which sum to one, as a sparse matrix."""
    reciprocal = _reciprocal(near[:, : k1 + 1])
    half = _reciprocal(near[:, : round(k1 / 2) + 1])  # to even, as the authors' figures have it
    sizes, encoded = np.diff(half.indptr), []
    for start in range(0, len(near), IMAGES):
        own = reciprocal[start : start + IMAGES]
        added = (own @ half).multiply(own).tocsr()  # members that a neighbour's half-size neighbourhood shares with it
        added.data = (3 * added.data > 2 * sizes[added.indices]).astype(np.int32)
        added.eliminate_zeros()
        expanded = own + added @ half
        expanded.sort_indices()
        image = np.repeat(np.arange(start, start + own.shape[0]), np.diff(expanded.indptr))
        weights = np.exp(-_scaled(joint.pairs(image, expanded.indices), largest[image], joint.squared))
        total = np.add.reduceat(weights, expanded.indptr[:-1])  # no row is empty: an image is its own neighbour
        weights /= np.repeat(total, np.diff(expanded.indptr))
        encoded.append(sparse.csr_array((weights, expanded.indices, expanded.indptr), shape=expanded.shape))
    return sparse.vstack(encoded, format="csr")


def _reciprocal(near):
    """Return which images are among each other's neighbours: a symmetric sparse matrix of ones."""
    listed = _listed(near, np.int32)
    return listed.multiply(listed.T).tocsr()


def _average(encoded, near):
    """Return the mean of the encodings of each image's neighbours."""
    mean = _listed(near, np.float64) @ encoded
    mean.data /= near.shape[1]
    mean.sort_indices()
    return mean


def _listed(near, dtype):
    """Return lists of neighbours, (n, k), as a sparse matrix of ones, (n, n)."""
    n, k = near.shape
    indices = np.sort(near, axis=1).ravel()  # sums over equal sets are then equal to the last bit
    return sparse.csr_array((np.ones(n * k, dtype), indices, np.arange(0, n * k + 1, k)), shape=(n, n))
