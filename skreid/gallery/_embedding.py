"""A learned metric as an approximate index understands it: vectors whose Euclidean order is the metric's order.

A metric that is a quadratic form d = (g - p)^T M (g - p) of its projections can be written so, even if M is indefinite:
for one probe, d orders the gallery as the inner product of (2Mp, -1) and (g, g^T M g) does, and one more column turns
the largest inner products into the smallest Euclidean distances.
"""

import numpy as np

from skreid._search.distances import tiles
from skreid._search.measures import learned_distances, probes_numbered
from skreid._search.quadratic import weights_of

SAMPLE, CHECKED = 1024, 24  # rows that set the scale, and that are compared with the metric itself
TOLERANCE = 1e-4  # of that comparison, relative to the largest distance


class Embedding:
    """Vectors for an approximate index; those of probes need only a sample of the gallery.

    Parameters
    ----------
    metric : fitted metric with `pairwise_distances`
        And with `transform`, and `metric_` unless distances of projections are Euclidean, as XQDA and CVDCA have them.
    gallery : array of shape (n_gallery, n_features)
    cams : ndarray of shape (n_gallery,), optional

    Raises
    ------
    ValueError
        If the distance is no quadratic form of projections.
    """

    def __init__(self, metric, gallery, cams=None):
        self._metric, self._gallery, self._cams = metric, gallery, cams
        sample = np.arange(0, len(gallery), max(1, len(gallery) // SAMPLE))
        self._centre, self._form = 0.0, None
        places = self._project(gallery[sample], None if cams is None else cams[sample])
        self._centre, form = places.mean(axis=0), weights_of(metric, places.shape[1])
        self._check(sample[:CHECKED], form)
        values, vectors = np.linalg.eigh(form)
        self._axes, self._signs = vectors * np.sqrt(np.abs(values)), np.sign(values)
        self._is_euclidean = values.min() >= -1e-9 * np.abs(values).max()
        self.n_features = len(values) + 2
        turned = (places - self._centre) @ self._axes
        squares = self._squares(turned)
        self._unit = squares.std() / (turned.std() or 1.0) or 1.0  # gives the last coordinate the spread of the others

    def _project(self, rows, cams):
        if not hasattr(self._metric, "transform"):
            self._refuse()
        given = () if cams is None else (cams,)
        return np.asarray(self._metric.transform(np.asarray(rows, dtype=np.float64), *given)) - self._centre

    def _squares(self, turned):
        return (turned**2) @ self._signs

    def _check(self, sample, form):
        """Compare the quadratic form with the metric itself on a few rows."""
        rows, cams = self._gallery[sample], None if self._cams is None else self._cams[sample]
        rows = rows * np.random.default_rng(0).uniform(0.8, 1.2, rows.shape)  # apart, even where the images are equal
        with probes_numbered(sample):
            distances = learned_distances(
                self._metric, rows, rows, lambda column: f"gallery image {sample[column]}", cams, cams
            )
        places = self._project(rows, cams)
        apart = places[:, None] - places
        if form.shape != (places.shape[1],) * 2:
            self._refuse()
        quadratic = np.einsum("ijk,kl,ijl->ij", apart, form, apart)
        off = min(np.abs(distances - quadratic).max(), np.abs(distances**2 - quadratic).max())
        rounding = 1e-9 * np.abs(form).max() * np.square(places + self._centre).max()
        if off > max(TOLERANCE * np.abs(quadratic).max(), rounding):
            self._refuse()

    def _refuse(self):
        raise ValueError(
            f"engine='faiss' cannot rank by {type(self._metric).__name__}: its distance is no quadratic form of the "
            "projections that its transform returns. Use engine='exact'."
        )

    def rows(self):
        """Return the vectors of the gallery, float32, of shape (n_gallery, n_components + 2)."""
        out = np.zeros((len(self._gallery), self.n_features), dtype=np.float32)
        for tile in tiles(self._gallery):
            turned = self._project(self._gallery[tile], None if self._cams is None else self._cams[tile]) @ self._axes
            out[tile, :-2] = turned
            if not self._is_euclidean:
                out[tile, -2] = self._squares(turned) / self._unit
        if not self._is_euclidean:
            squares = np.vecdot(out, out)
            out[:, -1] = np.sqrt(squares.max(initial=0) - squares)
        return out

    def probes(self, probes, cams=None):
        """Return the vectors of probes."""
        turned = self._project(probes, cams) @ self._axes
        out = np.zeros((len(probes), self.n_features))
        if self._is_euclidean:
            out[:, :-2] = turned
        else:
            out[:, :-2], out[:, -2] = 2 * self._signs * turned, -self._unit
        return out
