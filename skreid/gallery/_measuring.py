"""How a gallery measures: Euclidean distance, cosine distance, or by the learned metric of a system.

Each way has an exact measure for the search, and rows for an approximate index that orders images in the same way.
"""

import numpy as np

from skreid._search.distances import tiles
from skreid._search.measures import RIGHT_ANGLE, EuclideanMeasure, LearnedMeasure, UnitMeasure, probes_numbered
from skreid._search.system import takes_cams
from skreid.gallery._embedding import Embedding

WIDTH_VALUES = 2**24  # of the gallery, which a learned metric projects at once


class Euclidean:
    """The Euclidean distance."""

    name, metric, more = "euclidean", None, 1
    smallest = 0.0  # no distance is smaller

    def measure(self, rows, cams):
        """Return the exact measure of distances to rows."""
        return EuclideanMeasure(rows)

    def prepared(self, probes, cams=None):
        """Return probes as the exact measure takes them."""
        return probes

    def final(self, distances):
        """Turn distances of the exact measure into those that are returned."""
        return distances

    def embedding(self, rows, cams):
        """Return what makes vectors for an approximate index, by its methods `rows` and `probes`."""
        return Vectors(rows)

    def exact(self, measure, probes, cams, probe, row):
        """Return the distances of pairs."""
        return measure.block(self.prepared(probes)).exact(probe, row)


class Cosine(Euclidean):
    """One minus the cosine similarity: half the squared Euclidean distance of vectors of unit length."""

    name = "cosine"

    def measure(self, rows, cams):
        return UnitMeasure(UnitRows(rows))

    def prepared(self, probes, cams=None):
        return unit(probes, of_probes=True)

    def final(self, distances):
        return np.where(distances == RIGHT_ANGLE, 1, distances**2 / 2)

    def embedding(self, rows, cams):
        return Vectors(UnitRows(rows, of_index=True), lambda probes: unit(probes)[:, :-2])


class Learned(Euclidean):
    """The learned metric at the end of a system; cameras are used if it takes them.

    Parameters
    ----------
    metric : object with `pairwise_distances`
    """

    more = 4  # candidates of an approximate index for each neighbour: the metric itself chooses among them
    smallest = -np.inf  # XQDA's form is indefinite

    def __init__(self, metric):
        self.metric, self.name, self.takes_cams = metric, type(metric).__name__, takes_cams(metric)

    def measure(self, rows, cams):
        measure = LearnedMeasure(self.metric, rows, cams if self.takes_cams else None)
        measure.width = max(1, WIDTH_VALUES // rows.shape[1])
        return measure

    def embedding(self, rows, cams):
        return Embedding(self.metric, rows, cams if self.takes_cams else None)

    def exact(self, measure, probes, cams, probe, row):
        out, cams_probe, cams_gallery = np.empty(len(probe)), None, None
        gallery_cams = None if measure.cams is None else measure.cams[measure.group]
        for each in np.unique(probe):
            pairs = np.flatnonzero(probe == each)
            if cams is not None:
                cams_probe = cams[each : each + 1]
            if gallery_cams is not None:
                cams_gallery = gallery_cams[row[pairs]]
            with probes_numbered([each]):
                out[pairs] = measure.between(probes[each : each + 1], row[pairs], cams_probe, cams_gallery)[0]
        return out


class Vectors:
    """Vectors for an approximate index: descriptors, each as it is or as `turn` makes it."""

    def __init__(self, rows, turn=None):
        self._rows, self._turn, self.n_features = rows, turn, rows.shape[1]

    def rows(self):
        """Return the vectors of the gallery."""
        return self._rows

    def probes(self, probes, cams=None):
        """Return the vectors of probes."""
        return probes if self._turn is None else self._turn(probes)


def unit(rows, of_probes=False):
    """Return rows scaled to unit length, float64, with two more columns.

    A row of zeros has no direction. It gets one of its own in these columns, at distance 1 from all others.
    """
    rows = np.asarray(rows, dtype=np.float64)
    out = np.zeros((len(rows), rows.shape[1] + 2))
    largest = np.abs(rows).max(axis=1, keepdims=True)
    scaled = rows / np.where(largest > 0, largest, 1)  # squares neither overflow nor vanish
    length = np.sqrt(np.vecdot(scaled, scaled))[:, None]
    out[:, :-2] = scaled / np.where(length > 0, length, 1)
    out[length[:, 0] == 0, -1 if of_probes else -2] = 1
    return out


class UnitRows:
    """Rows scaled to unit length when they are read.

    Parameters
    ----------
    rows : array of shape (n_images, n_features)
    of_index : bool, default=False
        Whether the two more columns are left out: an approximate index does without them.
    """

    def __init__(self, rows, of_index=False):
        self._rows, self._width = rows, rows.shape[1] + (0 if of_index else 2)
        self.shape, self.dtype, self.ndim = (len(rows), self._width), np.dtype(np.float64), 2

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, rows):
        vectors = unit(self._rows[rows])
        if self._width < vectors.shape[1]:  # where a row of zeros has no direction of its own, it is found last
            vectors[:, 0] += 3 * vectors[:, -2]
        return vectors[:, : self._width]

    def __array__(self, dtype=None, copy=None):
        return np.concatenate([self[tile] for tile in tiles(self)]).astype(dtype or self.dtype, copy=False)


def measuring_of(metric, learned=None):
    """Return how a gallery measures, given its parameter `metric` and the learned metric of its system."""
    return Learned(learned) if learned is not None else {"euclidean": Euclidean, "cosine": Cosine}[metric]()
