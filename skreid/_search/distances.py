"""Distances between descriptors, a block of probes at a time: 100,000 probes x 1,000,000 images need no matrix.

Equal gallery descriptors get equal distances to the last bit, which matrix products alone do not guarantee.
"""

import numpy as np

from skreid._base.arrays import as_array
from skreid._base.checks import check_choice

TILE_VALUES = 2**23  # of the gallery, converted and multiplied at once
OUTSIDE = 1e-4  # the mean is outside most rows if these are a hundred times as near to one of them


class DistanceBlocks:
    """Distances from probes to a gallery, computed on demand: ``blocks(start, stop)`` returns the rows of these probes.

    Attributes
    ----------
    shape : tuple of int
        (n_probe, n_gallery).

    Examples
    --------
    >>> from skreid.metrics import distance_blocks
    >>> blocks = distance_blocks([[0.0], [3.0]], [[0.0], [4.0]])
    >>> blocks.shape, blocks(1, 2)
    ((2, 2), array([[3., 1.]]))
    """

    def __init__(self, X_probe, X_gallery, metric, dtype):
        self.shape = (len(X_probe), len(X_gallery))
        self._probe, self._gallery, self._metric, self._dtype = X_probe, X_gallery, metric, np.dtype(dtype)
        # centred descriptors have the same distances, with less cancellation in a^2 + b^2 - 2ab
        self._centre = 0.0 if metric == "cosine" else centre_of(X_gallery)
        self._twin, self._original = twins(X_gallery)

    def __call__(self, start, stop):
        """Return the distances of probes ``start:stop``, an ndarray of shape (stop - start, n_gallery)."""
        probe = self._prepare(self._probe[start:stop])
        out = np.empty((len(probe), self.shape[1]), dtype=self._dtype)
        for rows in tiles(self._gallery):
            tile = self._prepare(self._gallery[rows])
            part = out[:, rows]
            np.matmul(probe, tile.T, out=part)
            if self._metric == "cosine":
                np.subtract(1, part, out=part)
                continue
            part *= -2
            part += np.einsum("ij,ij->i", probe, probe)[:, None]
            part += np.einsum("ij,ij->i", tile, tile)
            np.maximum(part, 0, out=part)
            if self._metric == "euclidean":
                np.sqrt(part, out=part)
        out[:, self._twin] = out[:, self._original]
        return out

    def _prepare(self, rows):
        rows = np.asarray(rows, dtype=self._dtype) - np.asarray(self._centre, dtype=self._dtype)
        if self._metric == "cosine":
            norm = np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
            rows /= np.where(norm > 0, norm, 1)
        return rows


def distance_blocks(X_probe, X_gallery, *, metric="euclidean", dtype=np.float64):
    """Return a callable that computes the distances of a block of probes to the whole gallery.

    Parameters
    ----------
    X_probe : ndarray of shape (n_probe, n_features)
        Descriptors; memory-mapped arrays are read one block at a time.
    X_gallery : ndarray of shape (n_gallery, n_features)
        Descriptors of the gallery.
    metric : {"euclidean", "sqeuclidean", "cosine"}, default="euclidean"
        "cosine" is one minus the cosine similarity.
    dtype : dtype, default=numpy.float64
        Precision of the sums. float32 is about twice as fast, and can swap neighbours whose distances agree to six
        digits.

    Returns
    -------
    DistanceBlocks
        ``blocks(start, stop)`` has shape (stop - start, n_gallery).

    Raises
    ------
    ValueError
        If descriptors are not two-dimensional, not finite or differ in their number of dimensions, or the metric is
        unknown.

    Notes
    -----
    Equal gallery rows tie exactly. Distances of different rows that are equal in theory differ by rounding, which
    depends on how many probes are asked for at once. So a tie may become a win or a loss, and figures may differ by
    such ties between values of `block_size`. If descriptors have few distinct values, such as bits or counts, compute
    the whole matrix exactly, for example with ``scipy.spatial.distance.cdist``, and pass it to the metrics.

    Squares are summed about the mean of the gallery, or about one of most rows if outliers pull the mean away from
    them. The rounding error of a squared distance is about the precision of `dtype` (2e-16 for float64) times the sum
    of the squared distances of the two rows from there. So two rows near each other but far from all others have an
    inexact distance; :class:`skreid.Gallery` measures them exactly.

    Examples
    --------
    >>> import numpy as np
    >>> from skreid.metrics import distance_blocks, ranking_metrics
    >>> gallery = np.array([[0.0, 0.0], [3.0, 4.0]])
    >>> blocks = distance_blocks(gallery, gallery)
    >>> blocks(0, 2)
    array([[0., 5.], [5., 0.]])
    >>> ranking_metrics(["a", "b"], ["a", "b"], blocks).mean_average_precision
    1.0
    """
    check_choice(metric, "metric", "distance_blocks", ("euclidean", "sqeuclidean", "cosine"))
    X_probe, X_gallery = as_array(X_probe, "X_probe"), as_array(X_gallery, "X_gallery")
    X_probe, X_gallery = no_rows(X_probe, X_gallery), no_rows(X_gallery, X_probe)
    if X_probe.ndim != 2 or X_gallery.ndim != 2 or X_probe.shape[1] != X_gallery.shape[1]:
        raise ValueError(
            "Descriptors must have shape (n_probe, n_features) and (n_gallery, n_features). "
            f"Got {X_probe.shape} and {X_gallery.shape} instead."
        )
    for name, X in (("X_probe", X_probe), ("X_gallery", X_gallery)):
        check_finite(name, X)
    return DistanceBlocks(X_probe, X_gallery, metric, dtype)


def no_rows(X, other):
    """Return an empty list as a table without rows, as wide as another one; anything else as it is."""
    return np.empty((0, other.shape[1] if other.ndim == 2 else 0)) if X.shape == (0,) else X


def tiles(X, n_rows=None):
    """Yield slices of the rows of X (or of `n_rows` rows of its width), each small enough to process at once."""
    n_rows, step = len(X) if n_rows is None else n_rows, max(1, TILE_VALUES // max(1, X.shape[1]))
    for low in range(0, n_rows, step):
        yield slice(low, min(low + step, n_rows))


def check_finite(name, X, start=0):
    """Raise ValueError naming the first row of X with NaN or infinity; rows are counted from `start`."""
    for rows in tiles(X):
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(np.sum(X[rows])):
                continue
        bad = np.flatnonzero(~np.isfinite(X[rows]).all(axis=1))
        if len(bad):
            raise ValueError(f"{name} contains NaN or infinity in row {start + rows.start + bad[0]}: check that image.")


def check_range(name, rows, dtype):
    """Raise ValueError naming the first row with NaN or infinity, or whose squared distances may overflow a dtype."""
    limit = np.sqrt(np.finfo(dtype).max / rows.shape[1]) / 2
    for tile in tiles(rows):
        largest = np.abs(rows[tile]).max(axis=1)
        far = np.flatnonzero(~(largest <= limit))
        if len(far):
            place = tile.start + far[0]
            check_finite(name, rows[place : place + 1], place)
            remedy = " or use engine='exact'" if dtype == np.float32 else ""
            raise ValueError(
                f"{name} hold {largest[far[0]]:.3g} in row {place}, whose squared distances overflow "
                f"{np.dtype(dtype)}: scale them below {limit:.0e}{remedy}."
            )


def centre_of(X):
    """Return the mean of all rows, or of about 4096 evenly spaced ones, (n_features,), float64.

    Outliers may pull the mean away from most rows, whose distances would then cancel: a row among these is returned.
    """
    if not len(X):
        return np.zeros(X.shape[1])
    mean = X[:: max(1, len(X) // 4096)].mean(axis=0, dtype=np.float64)
    sample = np.asarray(X[:: max(1, len(X) // 256)], dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):  # rows that are not finite are reported where they are used
        apart = np.square(sample - mean).sum(axis=1)
        among = sample[np.argmin(apart)]
        is_outside = np.median(np.square(sample - among).sum(axis=1)) < OUTSIDE * np.median(apart)
    return among if is_outside else mean


def twins(X, labels=None):
    """Find rows that repeat an earlier row.

    Parameters
    ----------
    X : ndarray of shape (n, n_features)
        Read one tile at a time; 0.0 and -0.0 are equal.
    labels : ndarray of shape (n,), int, optional
        Rows are equal only if their labels are.

    Returns
    -------
    twin, original : ndarray of int
        Indices of the rows that repeat an earlier one, ascending, and of the first row equal to each.

    Examples
    --------
    >>> import numpy as np
    >>> from skreid._search.distances import twins
    >>> twins(np.array([[1.0], [2.0], [1.0], [1.0]]))
    (array([2, 3]), array([0, 0]))
    """
    digest = np.empty(len(X), dtype=np.int64)
    for rows in tiles(X):
        digest[rows] = [hash(row.tobytes()) for row in X[rows] + 0]  # -0.0 + 0 is 0.0
    if labels is not None:
        digest ^= labels * np.int64(0x9E3779B97F4A7C1)  # wraps around
    _, first, which = np.unique(digest, return_index=True, return_inverse=True)
    original = first[which]
    twin = np.flatnonzero(original != np.arange(len(X)))
    same = np.ones(len(twin), dtype=bool)
    for tile in tiles(X, len(twin)):
        same[tile] = (X[twin[tile]] == X[original[twin[tile]]]).all(axis=1)
    if labels is not None:
        same &= labels[twin] == labels[original[twin]]
    return twin[same], original[twin[same]]
