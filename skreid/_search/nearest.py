"""The nearest rows of a gallery, exactly and in bounded memory: filter by a fast lower bound, refine in float64.

A float32 matrix product with a proven error bound discards nearly all rows; the few left are measured directly,
by differences, so that equal rows tie to the last bit and a row's own distance is 0.
"""

from concurrent.futures import ThreadPoolExecutor
from copy import copy
from threading import Lock

import numpy as np
from sklearn.utils.validation import check_consistent_length

from skreid._base.blas import single_threaded_blas
from skreid._search.distances import centre_of, check_finite, twins

BLOCK_PROBES = 1024
FIRST_ROWS = 1024  # of the first tile, in which all compete, so it is narrow
BLOCK_NUMBERS = 2**21  # lower bounds held at once: what stays in cache
TILE_NUMBERS = 2**19  # of the gallery, worked on at once: likewise
LEARNED_NUMBERS = 2**24  # a learned metric works on more rows at once, since each call projects them anew
REFINED_NUMBERS = 2**20  # numbers of the differences held at once
FEW_PROBES = 64  # below, a product the other way round is faster by more than turning its result costs
HUGE = 1e30  # squares beyond this might overflow in float32: such rows are measured directly


class EuclideanMeasure:
    """Euclidean distances to a gallery.

    Parameters
    ----------
    gallery : array of shape (n_gallery, n_features), float
        Anything with `shape`, `len` and rows by slice and by index array; read a tile at a time.
    """

    def __init__(self, gallery):
        self.gallery, self.n_rows = gallery, len(gallery)
        sample = gallery[:: max(1, len(gallery) // 4096)]
        with np.errstate(over="ignore", invalid="ignore"):  # infinite rows are told when their tile is read
            self.centre = centre_of(sample)  # less cancellation in a^2 + b^2 - 2ab
            rounded = self.centre.astype(np.float32)
            if np.isfinite(rounded).all():  # then rows of every type are moved by the very same
                self.centre = rounded.astype(np.float64)
            spread = np.abs(sample - self.centre).max(initial=0)
        usual = not 0 < spread < np.inf or 1e-6 < spread < 1e6  # no fear of overflow: leave them as they come
        self.scale = 1.0 if usual else 2.0 ** -np.ceil(np.log2(spread))
        # Rounding of inputs, of a product of d + 1 terms and of the comparison, in units of |p|^2 + |g|^2
        self.error = 2.2 * (gallery.shape[1] + 8) * 2.0**-24
        self.numbers, self.width = BLOCK_NUMBERS, max(1, TILE_NUMBERS // gallery.shape[1])

    def block(self, probes, cams=None):
        """Prepare some probes; the distance takes no cameras."""
        return _EuclideanBlock(self, np.asarray(probes))

    def shrunk(self, rows):
        """Return rows about the centre, scaled, in float32, with one more column, and their squared norms."""
        out = np.empty((len(rows), rows.shape[1] + 1), np.float32)
        small = out[:, :-1]
        with np.errstate(over="ignore", invalid="ignore"):
            if rows.dtype == np.float32:  # the difference of two float32 is rounded once, as a conversion is
                np.subtract(rows, self.centre.astype(np.float32), out=small)
                if self.scale != 1:
                    small *= np.float32(self.scale)
            else:
                small[:] = (rows - self.centre) * self.scale
            return out, np.vecdot(small, small)


class _EuclideanBlock:
    """Some probes against the gallery of a measure."""

    bounds_are_distances = False

    def __init__(self, measure, probes):
        self.measure, self.probes = measure, probes
        self.left, squares = measure.shrunk(probes)
        self.squares = squares.astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            self.left *= -2
        self.left[:, -1] = 1  # takes the gallery's squares into the product

    def bounds(self, part):
        """Return lower bounds of squared distances, scaled and less the probe's square, (n_probes, width)."""
        rows = self.measure.gallery[part]
        right, squares = self.measure.shrunk(rows)
        if not np.isfinite(squares).all():  # or only too large for float32
            check_finite("gallery", rows, part.start)
        right[:, -1] = np.where(squares < HUGE, squares * np.float32(1 - self.measure.error), -np.inf)
        with np.errstate(over="ignore", invalid="ignore"):
            if len(self.left) < FEW_PROBES:
                return np.ascontiguousarray((right @ self.left.T).T)
            return self.left @ right.T

    def limit(self, distances):
        """Return the bound beyond which a row is further than a distance, one a probe."""
        with np.errstate(over="ignore", invalid="ignore"):  # where squares overflow, every row stays a candidate
            squared = (distances * self.measure.scale) ** 2 - self.squares * (1 - self.measure.error) + 1e-30
        squared[~(self.squares < HUGE)] = np.inf
        with np.errstate(over="ignore"):
            return np.nextafter(squared.astype(np.float32), np.float32(np.inf))

    def exact(self, probe, row):
        """Return the distances of pairs."""
        out = np.empty(len(probe))
        step = max(1, REFINED_NUMBERS // self.probes.shape[1])
        for low in range(0, len(probe), step):
            some = slice(low, low + step)
            apart = self.probes[probe[some]].astype(np.float64) - self.measure.gallery[row[some]]
            out[some] = np.sqrt(np.einsum("ij,ij->i", apart, apart))
        return out


class LearnedMeasure:
    """Distances by a learned metric to the distinct rows of a gallery, so that equal rows tie.

    Parameters
    ----------
    metric : object with `pairwise_distances`
    gallery : array of shape (n_gallery, n_features)
    cams : array-like of shape (n_gallery,), optional
        For a metric that looks at cameras; rows are alike only if their cameras are.
    """

    def __init__(self, metric, gallery, cams=None):
        self.metric = copy(metric)
        check_consistent_length(gallery, cams)
        vars(self.metric).pop("feature_names_in_", None)  # descriptors come as arrays, whatever it was fitted on
        self.cams, codes = (None, None) if cams is None else np.unique(np.asarray(cams), return_inverse=True)
        twin, original = twins(gallery, codes)
        self.gallery, self.n_rows, self.numbers = gallery, len(gallery) - len(twin), LEARNED_NUMBERS
        self.width = len(gallery)
        self.rows = np.delete(np.arange(len(gallery)), twin)  # places of the distinct rows
        self.group = np.empty(len(gallery), dtype=np.int64)  # gallery row -> place in `rows`
        self.group[self.rows] = np.arange(self.n_rows)
        self.group[twin] = self.group[original]
        if cams is not None:
            self.cams = self.cams[codes[self.rows]]

    def block(self, probes, cams=None):
        """Prepare some probes, with their cameras if the metric looks at them."""
        return _LearnedBlock(self, probes, cams)


class _LearnedBlock:
    """Some probes against the distinct rows."""

    bounds_are_distances = True

    def __init__(self, measure, probes, cams):
        self.measure, self.probes, self.cams = measure, probes, cams

    def bounds(self, part):
        measure = self.measure
        given = {} if self.cams is None else {"cams_probe": self.cams}
        if measure.cams is not None:
            given["cams_gallery"] = measure.cams[part]
        rows = measure.gallery[measure.rows[part]]
        return np.asarray(measure.metric.pairwise_distances(self.probes, rows, **given), dtype=np.float64)

    def limit(self, distances):
        return distances


def nearest_rows(measure, probes, n_neighbors, *, cams=None, probe_keys=None, row_keys=None):
    """Find the nearest rows of each probe, passing over the gallery once a block of probes.

    Parameters
    ----------
    measure : EuclideanMeasure or LearnedMeasure
    probes : ndarray of shape (n_probes, n_features)
    n_neighbors : int
    cams : array-like of shape (n_probes,), optional
        Cameras, for a learned metric that looks at them.
    probe_keys, row_keys : ndarray of shape (n_probes,) and (n_gallery,), int, optional
        A probe does not see the rows of its own key; for Euclidean distances only.

    Returns
    -------
    distances : ndarray of shape (n_probes, n_neighbors)
        Ascending; infinite where no row is left.
    indices : ndarray of shape (n_probes, n_neighbors), int64
        Equal distances in the gallery's order; -1 where no row is left.
    """
    learned = isinstance(measure, LearnedMeasure)
    check_finite("probes", probes)
    distances = np.full((len(probes), n_neighbors), np.inf)
    indices = np.full((len(probes), n_neighbors), -1, dtype=np.int64)
    with single_threaded_blas() as n_threads:
        for start in range(0, len(probes), BLOCK_PROBES):
            some = slice(start, start + BLOCK_PROBES)
            keys = None if row_keys is None else (probe_keys[some], row_keys)
            block = measure.block(probes[some], None if cams is None else cams[some])
            distances[some], indices[some] = _search(block, n_neighbors, keys, 1 if learned else n_threads)
    if learned and measure.n_rows < len(measure.group):
        distances, indices = _expand(distances, indices, measure)
    return distances, indices


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
    width = max(n_neighbors, min(block.measure.width, block.measure.numbers // n_probes))
    look_in(slice(0, first))
    rest = [slice(start, min(start + width, n_rows)) for start in range(first, n_rows, width)]
    with ThreadPoolExecutor(n_threads) as pool:
        for _ in pool.map(look_in, rest):
            pass
    return best.finish()


def _within(bounds, limit):
    """Return the flat places of the bounds no greater than their row's limit, or NaN."""
    beyond = np.greater(bounds, limit[:, None])
    return np.flatnonzero(np.logical_not(beyond, out=beyond))


def _kth_distance(block, bounds, part, n_neighbors, keys):
    """Return the largest distance among the likeliest neighbours in a tile; infinite if it has too few."""
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
    """The nearest rows of each probe so far, whatever the order they come in."""

    def __init__(self, n_probes, n_neighbors):
        self.shape = n_probes, n_neighbors
        self.worst = np.full(n_probes, np.inf)  # the distance a further row must beat
        self.held, self.n_waiting, self.lock = [], 0, Lock()

    def add(self, probe, distance, row):
        """Take in pairs; they are sorted once enough of them wait."""
        with self.lock:
            self.held.append((probe, distance, row))
            self.n_waiting += len(probe)
            if self.n_waiting > self.shape[0] * self.shape[1] or np.isinf(self.worst).any():
                self._sort()

    def _sort(self):
        probe, distance, row, place = _in_order(*(np.concatenate(parts) for parts in zip(*self.held, strict=True)))
        first = place < self.shape[1]
        self.held, self.n_waiting = [(probe[first], distance[first], row[first])], 0
        last = place == self.shape[1] - 1
        self.worst[probe[last]] = distance[last]

    def finish(self):
        """Return distances and rows, padded with infinity and -1."""
        return sorted_neighbors(*(np.concatenate(parts) for parts in zip(*self.held, strict=True)), self.shape)


def _in_order(probe, distance, row):
    """Sort pairs by probe, distance and row, and count each one's place among its probe's."""
    order = np.lexsort((row, distance, probe))
    probe = probe[order]
    return probe, distance[order], row[order], np.arange(len(probe)) - np.searchsorted(probe, probe)


def sorted_neighbors(probe, distance, row, shape):
    """Turn pairs into rankings: distances and rows of a shape, padded with infinity and -1."""
    distances, indices = np.full(shape, np.inf), np.full(shape, -1, dtype=np.int64)
    probe, distance, row, place = _in_order(probe, distance, row)
    first = place < shape[1]
    distances[probe[first], place[first]], indices[probe[first], place[first]] = distance[first], row[first]
    return distances, indices


def _expand(distances, indices, measure):
    """Turn rankings of distinct rows into rankings of all gallery rows."""
    members = np.argsort(measure.group, kind="stable")
    sizes = np.bincount(measure.group)
    ends = np.cumsum(sizes)
    out = np.full(distances.shape, np.inf), np.full(distances.shape, -1, dtype=np.int64)
    for probe, (distance, index) in enumerate(zip(distances, indices, strict=True)):
        distance, index = distance[index >= 0], index[index >= 0]
        rows = np.concatenate([members[ends[i] - sizes[i] : ends[i]] for i in index] or [members[:0]])
        repeated = np.repeat(distance, sizes[index])
        order = np.lexsort((rows, repeated))[: distances.shape[1]]
        out[0][probe, : len(order)], out[1][probe, : len(order)] = repeated[order], rows[order]
    return out
