"""Probes and gallery as one set of images: the neighbours of each, its largest distance, the distances of some pairs.

Re-ranking needs all of them, and no matrix of the distances between all images fits into memory.
"""

from itertools import pairwise

import numpy as np

from skreid._search.distances import centre_of
from skreid._search.measures import LEARNED_VALUES, EuclideanMeasure, LearnedMeasure, probes_numbered
from skreid._search.nearest import BLOCK_PROBES, nearest_rows

LEARNED_IMAGES = 32  # images whose pairs a learned metric measures at once, as a small matrix
SAMPLE = 64  # images on which a learned metric is checked
FROM_EUCLIDEAN = {  # distances of each metric, from Euclidean ones between rows that are of unit length for "cosine"
    "euclidean": lambda distances: distances,
    "sqeuclidean": np.square,
    "cosine": lambda distances: np.square(distances) / 2,
}


class Stacked:
    """The rows of two tables, one after the other, read on demand; `unit` scales each row to unit length."""

    def __init__(self, first, second, unit=False):
        self.parts, self.unit = (first, second), unit
        self.shape = (len(first) + len(second), first.shape[1])
        self.dtype = np.result_type(first, second, np.float64 if unit else np.float32)

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, rows):
        n_first = len(self.parts[0])
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(len(self)))
        in_first = rows < n_first
        out = np.empty((len(rows), self.shape[1]), self.dtype)
        for part, chosen, shift in zip(self.parts, (in_first, ~in_first), (0, n_first), strict=True):
            out[chosen] = part[rows[chosen] - shift]
        if self.unit:
            out /= np.sqrt(np.vecdot(out, out))[:, None]
        return out


class EuclideanJoint:
    """Distances among all images, computed from their descriptors.

    Parameters
    ----------
    probes, gallery : ndarray of shape (n, n_features)
        Finite descriptors; for "cosine", no row is zero.
    metric : {"euclidean", "sqeuclidean", "cosine"}
    """

    squared = False

    def __init__(self, probes, gallery, metric="euclidean"):
        self.n_probe = len(probes)
        self._rows = Stacked(probes, gallery, unit=metric == "cosine")
        self._measure, self._convert = EuclideanMeasure(self._rows), FROM_EUCLIDEAN[metric]

    def nearest(self, n_neighbors):
        """Return the nearest images of each image, (n, n_neighbors), int32, itself first, ties by position."""
        return _itself_first(nearest_rows(self._measure, self._rows, n_neighbors)[1])

    def largest(self):
        """Return the largest distance of each image, (n,), float64."""
        rows, largest = self._rows, np.zeros(len(self._rows))
        centre = centre_of(rows)  # less cancellation in a^2 + b^2 - 2ab
        for left in _blocks(len(rows), BLOCK_PROBES):
            here = rows[left] - centre
            own = np.vecdot(here, here)[:, None]
            for right in _blocks(len(rows), BLOCK_PROBES, left.start):  # a distance is that of both images
                there = rows[right] - centre
                squares = here @ there.T
                squares *= -2
                squares += own
                squares += np.vecdot(there, there)
                for part, axis in ((left, 1), (right, 0)):
                    np.maximum(largest[part], squares.max(axis=axis), out=largest[part])
        return self._convert(np.sqrt(largest))

    def pairs(self, image, other):
        """Return the distances of pairs of images, (n_pairs,); `image` ascends."""
        start, stop = image[0], image[-1] + 1
        return self._convert(self._measure.block(self._rows[start:stop]).exact(image - start, other))


class LearnedJoint:
    """Distances among all images by a learned metric, with the camera of each image if the metric takes them.

    Raises
    ------
    ValueError
        If the metric is not symmetric, or a distance depends on the gallery, is negative or not finite.
    """

    def __init__(self, metric, probes, gallery, cams=None):
        self.n_probe, self.squared = len(probes), getattr(metric, "distances_are_squared", False)
        self._rows, self._cams, self._name = Stacked(probes, gallery), cams, type(metric).__name__
        self._measure = LearnedMeasure(metric, self._rows, cams)
        self._measure.image = self._image
        self._check_symmetric()

    def nearest(self, n_neighbors):
        """Return the nearest images of each image, (n, n_neighbors), int32, itself first, ties by position."""
        return _itself_first(nearest_rows(self._measure, self._rows, n_neighbors, cams=self._cams)[1])

    def largest(self):
        """Return the largest distance of each image, (n,), float64."""
        largest = np.full(len(self._rows), -np.inf)
        for part in _blocks(len(self._rows), BLOCK_PROBES):
            block = self._measure.block(self._rows[part], None if self._cams is None else self._cams[part])
            for columns in _blocks(self._measure.n_rows, LEARNED_VALUES // BLOCK_PROBES):
                with probes_numbered(range(part.start, part.stop)):
                    distances = self._finite(block.bounds(columns))
                if not self.squared and distances.min() < 0:
                    raise ValueError(
                        f"Re-ranking squares distances, so they must not be negative, but {self._name} returned "
                        f"{distances.min():.3g}. If its distances are squares already, set its attribute "
                        "distances_are_squared to True."
                    )
                np.maximum(largest[part], distances.max(axis=1), out=largest[part])
        return largest

    def pairs(self, image, other):
        """Return the distances of pairs of images, (n_pairs,); `image` ascends."""
        out = np.empty(len(image))
        bounds = np.searchsorted(image, np.arange(image[0], image[-1] + LEARNED_IMAGES + 1, LEARNED_IMAGES))
        for low, high in pairwise(bounds):
            rows, row = np.unique(image[low:high], return_inverse=True)
            columns, column = np.unique(other[low:high], return_inverse=True)
            out[low:high] = self._between(rows, columns)[row, column]
        return out

    def _between(self, rows, columns):
        cams = () if self._cams is None else (self._cams[rows], self._cams[columns])
        with probes_numbered(rows):
            return self._finite(self._measure.between(self._rows[rows], columns, *cams))

    def _image(self, row):
        return f"probe {row}" if row < self.n_probe else f"gallery image {row - self.n_probe}"

    def _finite(self, distances):
        if np.isinf(distances.max(initial=0)):
            raise ValueError(
                f"Re-ranking divides distances by the largest, so they must be finite, but {self._name} returned inf. "
                "Rank without rerank, or let the metric return a large number for images that never match."
            )
        return distances

    def _check_symmetric(self):
        sample = np.unique(np.linspace(0, len(self._rows) - 1, SAMPLE).astype(int))
        distances, among_fewer = self._between(sample, sample), self._between(sample, sample[::2])
        error = max(np.abs(distances - distances.T).max(), np.abs(distances[:, ::2] - among_fewer).max())
        if not error <= 1e-6 * np.abs(distances).max():
            raise ValueError(
                f"{self._name} cannot be re-ranked: its distance from one image to another differs from the distance "
                "back, or depends on the other images."
            )


def _blocks(n, step, start=0):
    return (slice(low, min(low + step, n)) for low in range(start, n, step))


def _itself_first(near):
    """Move each image to the front of its own neighbours; more images that equal it may have left it out."""
    itself = np.arange(len(near))[:, None]
    others = np.argsort(near == itself, axis=1, kind="stable")[:, : near.shape[1] - 1]  # without it, or the farthest
    return np.concatenate([itself, np.take_along_axis(near, others, axis=1)], axis=1).astype(np.int32)
