"""Measures of distance: Euclidean with a fast lower bound, and by a learned metric.

A measure knows the gallery and prepares blocks of probes. A block bounds the distances to some rows from below, and
measures chosen pairs exactly.
"""

from contextlib import contextmanager
from copy import copy

import numpy as np
from sklearn.utils.validation import check_consistent_length

from skreid._base.arrays import as_array
from skreid._search.distances import centre_of, check_finite, twins

BLOCK_VALUES = 2**21  # lower bounds computed at once: what stays in the cache
TILE_VALUES = 2**19  # of the gallery, worked on at once, for the same reason
LEARNED_VALUES = 2**24  # a learned metric works on more rows at once, since each call projects them again
REFINED_VALUES = 2**20  # differences computed at once
FEW_PROBES = 64  # below, the transposed product is faster by more than transposing its result costs
RIGHT_ANGLE = np.sqrt(2)  # distance of two vectors of unit length
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
        with np.errstate(over="ignore", invalid="ignore"):  # infinite rows are reported when their tile is read
            self.centre = centre_of(sample)  # less cancellation in a^2 + b^2 - 2ab
            rounded = self.centre.astype(np.float32)
            if np.isfinite(rounded).all():  # then rows of every dtype are shifted by exactly the same amount
                self.centre = rounded.astype(np.float64)
            spread = np.abs(sample - self.centre).max(initial=0)
        usual = not 0 < spread < np.inf or 1e-6 < spread < 1e6  # nothing can overflow: leave the rows as they are
        self.scale = 1.0 if usual else 2.0 ** -np.ceil(np.log2(spread))
        # Rounding of inputs, of a product of d + 1 terms and of the comparison, in units of |p|^2 + |g|^2
        self.error = 2.2 * (gallery.shape[1] + 8) * 2.0**-24
        self.n_bounds, self.width = BLOCK_VALUES, max(1, TILE_VALUES // gallery.shape[1])

    def block(self, probes, cams=None):
        """Prepare a block of probes; cameras do not affect the distance."""
        return _EuclideanBlock(self, np.asarray(probes))

    def lengths(self, apart):
        """Return the lengths of differences, (n,)."""
        return np.sqrt(np.einsum("ij,ij->i", apart, apart))

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
    """A block of probes against the gallery of a measure."""

    bounds_are_distances = False

    def __init__(self, measure, probes):
        self.measure, self.probes = measure, probes
        self.left, squares = measure.shrunk(probes)
        self.squares = squares.astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            self.left *= -2
        self.left[:, -1] = 1  # adds the gallery's squares in the product

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
        """Return, for each probe, the bound beyond which a row is farther than a distance."""
        with np.errstate(over="ignore", invalid="ignore"):  # where squares overflow, every row stays a candidate
            squared = (distances * self.measure.scale) ** 2 - self.squares * (1 - self.measure.error) + 1e-30
        squared[~(self.squares < HUGE)] = np.inf
        with np.errstate(over="ignore"):
            return np.nextafter(squared.astype(np.float32), np.float32(np.inf))

    def exact(self, probe, row):
        """Return the distances of pairs."""
        out = np.empty(len(probe))
        step = max(1, REFINED_VALUES // self.probes.shape[1])
        for low in range(0, len(probe), step):
            part = slice(low, low + step)
            apart = self.probes[probe[part]].astype(np.float64) - self.measure.gallery[row[part]]
            out[part] = self.measure.lengths(apart)
        return out


class UnitMeasure(EuclideanMeasure):
    """Euclidean distances between rows of unit length, the last two columns of which belong to rows of zeros.

    Such a row is at the distance of a right angle from all others, without rounding.
    """

    def lengths(self, apart):
        return np.where(apart[:, -2:].any(axis=1), RIGHT_ANGLE, super().lengths(apart))


class DistanceError(ValueError):
    """A learned metric returned what is no distance.

    Parameters
    ----------
    metric : str
        The name of its class.
    value : float
    probe : int
        Index of the probe among those that were measured.
    image : str
        The other image, in words.
    """

    def __init__(self, metric, value, probe, image):
        super().__init__(
            f"{metric}.pairwise_distances returned {value} for probe {probe} and {image}: a distance must be a number, "
            "or infinite where two images never match. Check the descriptors of these two images, and the metric."
        )
        self.found = metric, value, probe, image


@contextmanager
def probes_numbered(indices):
    """Name probes by these indices in a `DistanceError`, where only some of them are measured."""
    try:
        yield
    except DistanceError as error:
        metric, value, probe, image = error.found
        raise DistanceError(metric, value, int(indices[probe]), image) from None


def learned_distances(metric, probes, rows, images, cams_probe=None, cams_gallery=None):
    """Return what a learned metric returns, float64, (n_probes, n_rows); infinite where two images never match.

    Parameters
    ----------
    metric : object with `pairwise_distances`
    probes, rows : ndarray of shape (n, n_features)
    images : callable
        Called with an index among `rows`; says in words which image that is.
    cams_probe, cams_gallery : ndarray of shape (n,), optional

    Raises
    ------
    DistanceError
        If a distance is NaN or minus infinity.
    """
    given = {"cams_probe": cams_probe, "cams_gallery": cams_gallery}
    given = {name: cams for name, cams in given.items() if cams is not None}
    distances = as_array(metric.pairwise_distances(probes, rows, **given), "pairwise_distances")
    if not distances.min(initial=np.inf) > -np.inf:
        probe, column = np.argwhere(np.isnan(distances) | (distances == -np.inf))[0]
        raise DistanceError(type(metric).__name__, distances[probe, column], probe, images(column))
    return distances.astype(np.float64, copy=False)


class LearnedMeasure:
    """Distances by a learned metric to the distinct rows of a gallery, so that equal rows tie.

    Parameters
    ----------
    metric : object with `pairwise_distances`
    gallery : array of shape (n_gallery, n_features)
    cams : array-like of shape (n_gallery,), optional
        For a metric that takes cameras; rows are equal only if their cameras are.
    """

    def __init__(self, metric, gallery, cams=None):
        self.metric = copy(metric)
        check_consistent_length(gallery, cams)
        vars(self.metric).pop("feature_names_in_", None)  # descriptors are arrays, even if it was fitted on a frame
        self.cams, codes = (None, None) if cams is None else np.unique(np.asarray(cams), return_inverse=True)
        twin, original = twins(gallery, codes)
        self.gallery, self.n_rows, self.n_bounds = gallery, len(gallery) - len(twin), LEARNED_VALUES
        self.width = len(gallery)
        self.rows = np.delete(np.arange(len(gallery)), twin)  # indices of the distinct rows
        self.group = np.empty(len(gallery), dtype=np.int64)  # gallery row -> index in `rows`
        self.group[self.rows] = np.arange(self.n_rows)
        self.group[twin] = self.group[original]
        if cams is not None:
            self.cams = self.cams[codes[self.rows]]

    def common_keys(self, row_keys):
        """Return the key that all gallery rows equal to each distinct row have, or -1 where they have several."""
        keys = row_keys[self.rows]
        keys[self.group[row_keys != keys[self.group]]] = -1
        return keys

    def block(self, probes, cams=None):
        """Prepare a block of probes, with their cameras if the metric takes them."""
        return _LearnedBlock(self, probes, cams)

    def image(self, row):
        """Return in words which image a row of the gallery is."""
        return f"gallery image {row}"

    def between(self, probes, rows, cams_probe=None, cams_gallery=None):
        """Return the distances of probes to rows of the gallery, given by their indices."""
        return learned_distances(
            self.metric, probes, self.gallery[rows], lambda column: self.image(rows[column]), cams_probe, cams_gallery
        )


class _LearnedBlock:
    """A block of probes against the distinct rows."""

    bounds_are_distances = True

    def __init__(self, measure, probes, cams):
        self.measure, self.probes, self.cams = measure, probes, cams

    def bounds(self, part):
        """Return the distances themselves, (n_probes, width)."""
        measure = self.measure
        cams_gallery = None if measure.cams is None else measure.cams[part]
        return measure.between(self.probes, measure.rows[part], self.cams, cams_gallery)

    def limit(self, distances):
        """Return the distances themselves: the bounds of this measure are exact."""
        return distances
