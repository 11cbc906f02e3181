"""The nearest rows of a gallery, exactly and in bounded memory: filter by a fast lower bound, refine in float64.

A float32 matrix product with a proven error bound discards nearly all rows. The remaining ones are measured directly,
by differences, so that equal rows tie to the last bit and a row is at distance 0 from itself.
"""

from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import numpy as np

from skreid._base.blas import single_threaded_blas
from skreid._base.checks import check_int
from skreid._search.distances import check_finite
from skreid._search.measures import LearnedMeasure, probes_numbered

BLOCK_PROBES = 1024
COLUMN_VALUES = 2**24  # given distances ranked at once
FIRST_ROWS = 1024  # in the first tile, which is small because all of its rows are candidates
MISSING = 0x7F7F7F7F7F7F7F7F  # index where a ranking has no row: beyond any array, also cut to fewer bytes


def check_n_neighbors(n_neighbors, n_gallery, owner):
    """Return a number of neighbours as an int, 0 in an empty gallery; refuse more than a gallery has."""
    n_neighbors = check_int(n_neighbors, "n_neighbors", owner)
    if not n_gallery:
        return 0
    if n_neighbors > n_gallery:
        raise ValueError(
            f"The 'n_neighbors' parameter of {owner} must be at most {n_gallery}, the number of gallery images. "
            f"Got {n_neighbors} instead."
        )
    return n_neighbors


def is_row(indices):
    """Return which indices of a ranking are those of a row; earlier versions stored -1 where there was none."""
    indices = np.asarray(indices)
    return (indices >= 0) & (indices < MISSING)


def no_ranking(n_probes, n_neighbors):
    """Return distances and indices of rankings without an entry: of no probes, or of an empty gallery."""
    return np.empty((n_probes, n_neighbors)), np.empty((n_probes, n_neighbors), dtype=np.int64)


def nearest_rows(measure, probes, n_neighbors, *, cams=None, probe_keys=None, row_keys=None):
    """Find the nearest rows of each probe, passing over the gallery once per block of probes.

    Parameters
    ----------
    measure : EuclideanMeasure or LearnedMeasure
    probes : ndarray of shape (n_probes, n_features)
    n_neighbors : int
    cams : array-like of shape (n_probes,), optional
        Cameras, for a learned metric that takes them.
    probe_keys, row_keys : ndarray of shape (n_probes,) and (n_gallery,), int, optional
        Rows with a probe's own key are hidden from it.

    Returns
    -------
    distances : ndarray of shape (n_probes, n_neighbors)
        Ascending; infinite where no row is left, or only rows that a learned metric says never match.
    indices : ndarray of shape (n_probes, n_neighbors), int64
        Equal distances in the gallery's order; `MISSING` where no row is left.
    """
    learned = isinstance(measure, LearnedMeasure)
    check_finite("probes", probes)
    distances = np.full((len(probes), n_neighbors), np.inf)
    indices = np.full((len(probes), n_neighbors), MISSING, dtype=np.int64)
    keys_of_rows = measure.common_keys(row_keys) if learned and row_keys is not None else row_keys
    with single_threaded_blas() as n_threads:
        for start in range(0, len(probes), BLOCK_PROBES):
            part = slice(start, start + BLOCK_PROBES)
            keys = None if row_keys is None else (probe_keys[part], keys_of_rows)
            block = measure.block(probes[part], None if cams is None else cams[part])
            with probes_numbered(range(start, len(probes))):
                distances[part], indices[part] = _search(block, n_neighbors, keys, 1 if learned else n_threads)
    if learned:
        indices = without_infinite(distances, indices)
    if learned and measure.n_rows < len(measure.group):
        distances, indices = _expand(distances, indices, measure, probe_keys, row_keys)
    return distances, indices


def without_infinite(distances, indices):
    """Return indices with `MISSING` at infinite distances: such images never match, as if they were not there."""
    return np.where(np.isinf(distances), MISSING, indices)


def nearest_columns(distances, n_neighbors):
    """Find the nearest gallery images of each probe in distances that a callable with a `shape` computes in blocks.

    Returns distances and indices, ndarrays of shape (n_probes, n_neighbors); equal distances in the gallery's order.
    """
    (n_probes, n_gallery), found = distances.shape, []
    step = max(1, COLUMN_VALUES // n_gallery)
    for start in range(0, n_probes, step):
        block = distances(start, min(start + step, n_probes))
        probe, row = np.nonzero(block <= np.partition(block, n_neighbors - 1, axis=1)[:, [n_neighbors - 1]])
        found.append(sorted_neighbors(probe, block[probe, row], row, (len(block), n_neighbors)))
    return tuple(np.concatenate(parts) for parts in zip(*found, strict=True))


def _search(block, n_neighbors, keys, n_threads):
    """Keep the nearest rows of a block of probes, tile by tile."""
    n_probes, n_rows = len(block.probes), block.measure.n_rows
    best = _Best(n_probes, n_neighbors)

    def look_in(part):
        bounds = block.bounds(part)
        wanted = _within(bounds, block.limit(best.worst))
        if len(wanted) > 8 * n_neighbors * n_probes:
            sure = _kth_distance(block, bounds, part, n_neighbors, keys)
            wanted = _within(bounds, block.limit(np.minimum(best.worst, sure)))
        probe, row = np.divmod(wanted, bounds.shape[1])
        bound, row = bounds[probe, row], row + part.start
        if keys is not None:
            allowed = keys[0][probe] != keys[1][row]
            probe, row, bound = probe[allowed], row[allowed], bound[allowed]
        best.add(probe, bound if block.bounds_are_distances else block.exact(probe, row), row)

    first = min(4 * n_neighbors + FIRST_ROWS, n_rows)
    width = max(n_neighbors, min(block.measure.width, block.measure.n_bounds // n_probes))
    look_in(slice(0, first))
    rest = [slice(start, min(start + width, n_rows)) for start in range(first, n_rows, width)]
    with ThreadPoolExecutor(n_threads) as pool:
        for _ in pool.map(look_in, rest):
            pass
    return best.finish()


def _within(bounds, limit):
    """Return the flat indices of the bounds that are NaN or at most their row's limit."""
    beyond = np.greater(bounds, limit[:, None])
    return np.flatnonzero(np.logical_not(beyond, out=beyond))


def _kth_distance(block, bounds, part, n_neighbors, keys):
    """Return the largest distance among the likeliest neighbours in a tile; infinite if it has too few rows."""
    if bounds.shape[1] < n_neighbors:
        return np.full(len(bounds), np.inf)
    hidden = None if keys is None else keys[0][:, None] == keys[1][part]
    free = bounds if hidden is None else np.where(hidden, np.inf, bounds)
    likely = np.argpartition(free, n_neighbors - 1, axis=1)[:, :n_neighbors]
    probe, row = np.repeat(np.arange(len(bounds)), n_neighbors), likely.ravel()
    distances = bounds[probe, row] if block.bounds_are_distances else block.exact(probe, row + part.start)
    if hidden is not None:
        distances[hidden[probe, row]] = np.inf
    return distances.reshape(likely.shape).max(axis=1)


class _Best:
    """The nearest rows of each probe so far; the order in which tiles are searched does not matter."""

    def __init__(self, n_probes, n_neighbors):
        self.shape = n_probes, n_neighbors
        self.worst = np.full(n_probes, np.inf)  # the distance a further row must beat
        self.pairs, self.n_waiting, self.lock = [], 0, Lock()

    def add(self, probe, distance, row):
        """Add pairs; they are sorted once enough of them have accumulated."""
        with self.lock:
            self.pairs.append((probe, distance, row))
            self.n_waiting += len(probe)
            if self.n_waiting > self.shape[0] * self.shape[1] or np.isinf(self.worst).any():
                self._sort()

    def _sort(self):
        probe, distance, row, place = _in_order(*(np.concatenate(parts) for parts in zip(*self.pairs, strict=True)))
        first = place < self.shape[1]
        self.pairs, self.n_waiting = [(probe[first], distance[first], row[first])], 0
        last = place == self.shape[1] - 1
        self.worst[probe[last]] = distance[last]

    def finish(self):
        """Return distances and rows, padded with infinity and `MISSING`."""
        return sorted_neighbors(*(np.concatenate(parts) for parts in zip(*self.pairs, strict=True)), self.shape)


def _in_order(probe, distance, row):
    """Sort pairs by probe, distance and row; return them with the rank of each among its probe's, from 0."""
    order = np.lexsort((row, distance, probe))
    probe = probe[order]
    return probe, distance[order], row[order], np.arange(len(probe)) - np.searchsorted(probe, probe)


def sorted_neighbors(probe, distance, row, shape):
    """Turn pairs into rankings: distances and rows of a shape, padded with infinity and `MISSING`."""
    distances, indices = np.full(shape, np.inf), np.full(shape, MISSING, dtype=np.int64)
    probe, distance, row, place = _in_order(probe, distance, row)
    first = place < shape[1]
    distances[probe[first], place[first]], indices[probe[first], place[first]] = distance[first], row[first]
    return distances, indices


def _expand(distances, indices, measure, probe_keys=None, row_keys=None):
    """Turn rankings of distinct rows into rankings of all gallery rows, without those with the probe's own key."""
    members = np.argsort(measure.group, kind="stable")
    sizes = np.bincount(measure.group)
    ends = np.cumsum(sizes)
    out = np.full(distances.shape, np.inf), np.full(distances.shape, MISSING, dtype=np.int64)
    for probe, (distance, index) in enumerate(zip(distances, indices, strict=True)):
        distance, index = distance[is_row(index)], index[is_row(index)]
        rows = np.concatenate([members[ends[i] - sizes[i] : ends[i]] for i in index] or [members[:0]])
        repeated = np.repeat(distance, sizes[index])
        if row_keys is not None:
            shown = row_keys[rows] != probe_keys[probe]
            rows, repeated = rows[shown], repeated[shown]
        order = np.lexsort((rows, repeated))[: distances.shape[1]]
        out[0][probe, : len(order)], out[1][probe, : len(order)] = repeated[order], rows[order]
    return out
