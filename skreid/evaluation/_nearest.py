"""The nearest gallery images of each probe, recorded while the figures are computed from the same distances.

They show who was recognised, and who was mistaken for whom.
"""

from typing import NamedTuple

import numpy as np

from skreid._base.arrays import as_array
from skreid._base.labels import factorize
from skreid._search.distances import check_finite
from skreid._search.nearest import MISSING, is_row

BLOCK_VALUES = 2**21  # distances ranked at once


class Nearest(NamedTuple):
    """The nearest gallery images of each probe.

    Attributes
    ----------
    indices : ndarray of shape (n_probes, k), int64
        Gallery columns, nearest first. Beyond the end of a short gallery an index larger than any, with which
        indexing fails: use ``numpy.isfinite(distances)`` first.
    distances : ndarray of shape (n_probes, k)
        NaN beyond the end.
    matches : ndarray of shape (n_probes, k), bool
        Whether each of them shows the probe's identity.
    first_rank : ndarray of shape (n_probes,), intp
        Rank of the nearest true match, even if it is beyond the first k; 0 if there is none.

    Examples
    --------
    >>> import numpy as np
    >>> from skreid.evaluation import nearest_images
    >>> nearest = nearest_images(np.array([[0.4, 0.1, 0.3]]), np.array([[True, False, False]]), n_neighbors=2)
    >>> nearest.indices, nearest.first_rank
    (array([[1, 2]]), array([3]))
    """

    indices: np.ndarray
    distances: np.ndarray
    matches: np.ndarray
    first_rank: np.ndarray


def nearest_images(distances, same, left_out=None, n_neighbors=10):
    """Rank the gallery for each probe and return the nearest images.

    At equal distances true matches come last, as in :func:`skreid.metrics.cmc_curve`, and images are otherwise in
    the gallery's order.

    Parameters
    ----------
    distances : ndarray of shape (n_probes, n_gallery)
        Finite, lower is nearer.
    same : ndarray of shape (n_probes, n_gallery), bool
        Whether probe and gallery image show the same identity.
    left_out : ndarray of shape (n_probes, n_gallery), bool, default=None
        Pairs that do not count, such as those from the same camera.
    n_neighbors : int, default=10
        Length of each ranking.

    Returns
    -------
    Nearest

    Examples
    --------
    >>> import numpy as np
    >>> from skreid.evaluation import nearest_images
    >>> nearest = nearest_images(np.array([[0.3, 0.1, 0.3]]), np.array([[True, False, False]]), n_neighbors=2)
    >>> nearest.indices, nearest.first_rank
    (array([[1, 2]]), array([3]))
    """
    distances, same = as_array(distances, "distances"), as_array(same, "same").astype(bool)
    check_finite("distances", distances)
    left_out = None if left_out is None else as_array(left_out, "left_out").astype(bool)
    return _nearest(distances, same, left_out, n_neighbors)


def _nearest(distances, same, left_out, n_neighbors):
    """Return the nearest images; distances that are not finite are refused by the metrics, which read them too."""
    values = as_array(distances, "distances").astype(np.float64)
    if left_out is not None:
        values[left_out] = np.inf
    n_probes, n_gallery = values.shape
    kept = min(n_neighbors, n_gallery)
    indices = np.full((n_probes, n_neighbors), MISSING, dtype=np.int64)
    if kept:
        limit = np.partition(values, kept - 1, axis=1)[:, kept - 1 : kept]
        probe, column = np.nonzero((values <= limit) & np.isfinite(values))
        order = np.lexsort((column, same[probe, column], values[probe, column], probe))
        probe, column = probe[order], column[order]
        place = np.arange(len(probe)) - np.searchsorted(probe, probe)
        first = place < kept
        indices[probe[first], place[first]] = column[first]
    there, rows = is_row(indices), np.arange(n_probes)[:, None]
    shown = np.where(there, indices, 0)
    nearest_match = np.where(same, values, np.inf).min(axis=1, initial=np.inf)[:, None]
    wrong_before = ((values <= nearest_match) & ~same).sum(axis=1)
    return Nearest(
        indices,
        np.where(there, values[rows, shown], np.nan),
        np.where(there, same[rows, shown], False),
        np.where(np.isfinite(nearest_match[:, 0]), wrong_before + 1, 0),
    )


class NearestRecorder:
    """Distances as :mod:`skreid.metrics` takes them; also records the nearest images of each probe.

    Parameters
    ----------
    comparison : Comparison
        Identities, distances and cameras.
    n_neighbors : int
    """

    def __init__(self, comparison, n_neighbors):
        self._distances = comparison.distances
        (self._probe, self._gallery), _ = factorize(y_probe=comparison.y_probe, y_gallery=comparison.y_gallery)
        self._cams = None
        if comparison.cams_probe is not None:
            self._cams, _ = factorize(cams_probe=comparison.cams_probe, cams_gallery=comparison.cams_gallery)
        self._n_neighbors, self._blocks, self._matches = n_neighbors, {}, {}

    def __call__(self, start, stop):
        """Return the distances of probes ``start:stop`` and record the nearest images."""
        values = self._distances(start, stop) if callable(self._distances) else self._distances[start:stop]
        step = max(1, BLOCK_VALUES // len(self._gallery))
        for low in range(start, stop, step):
            part = slice(low, min(low + step, stop))
            same = self._probe[part, None] == self._gallery
            left_out = None if self._cams is None else same & (self._cams[0][part, None] == self._cams[1])
            block = values[low - start : part.stop - start]
            self._blocks[low] = _nearest(block, same, left_out, self._n_neighbors)
            self._matches[low] = _nearest_match(block, same if left_out is None else same & ~left_out)
        return values

    def nearest(self, places):
        """Return the nearest images of all probes; `places` are the dataset indices of the gallery's columns."""
        nearest = Nearest(*_joined(self._blocks))
        return nearest._replace(indices=_in_dataset(nearest.indices, places))

    def match(self, places):
        """Return dataset index and distance of each probe's nearest true match; `MISSING` and NaN if it has none."""
        column, distance = _joined(self._matches)
        return _in_dataset(column, places), distance


def _in_dataset(columns, places):
    there = is_row(columns)
    return np.where(there, places[np.where(there, columns, 0)], MISSING)


def _joined(blocks):
    parts = [blocks[start] for start in sorted(blocks)]
    return tuple(np.concatenate(columns) for columns in zip(*parts, strict=True))


def _nearest_match(distances, is_match):
    values = np.where(is_match, distances, np.inf)
    column = values.argmin(axis=1)
    distance = values[np.arange(len(values)), column]
    has_match = np.isfinite(distance)
    return np.where(has_match, column, MISSING), np.where(has_match, distance, np.nan)
