"""Shared by all learned metrics: checks of their input, scikit-learn's tags, and linear algebra."""

from contextlib import contextmanager

import numpy as np
from scipy.linalg import eigh
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin

from skreid._base.bars import progress_bar
from skreid._base.labels import encode_cams, encode_identities
from skreid._base.tables import validate_table


class CrossViewMetric(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Base of the learned metrics: checks ``X, y, cams`` and sets scikit-learn's tags."""

    __metadata_request__fit = {"cams": True}  # noqa: RUF012 - scikit-learn's way to set a default request
    verbose = 0  # of metrics saved before they had this parameter

    def _check_fit(self, X, y, cams):
        """Check the arguments of `fit`: return float X, integer identities, integer views and the cameras' labels."""
        X = validate_table(self, X, dtype=[np.float64, np.float32], ensure_min_samples=2)  # y is checked below
        self.classes_, ids = encode_identities(y, len(X), "samples")
        self.class_count_ = np.bincount(ids)
        return X, ids, *encode_cams(cams, ids, "samples")

    def _check_n_components(self, limit, meaning):
        """Refuse more components than a limit; `meaning` says what the limit is."""
        if self.n_components is not None and self.n_components > limit:
            raise ValueError(
                f"The 'n_components' parameter of {type(self).__name__} must be at most {limit}, {meaning}. "
                f"Got {self.n_components} instead."
            )

    @contextmanager
    def _steps(self, *names):
        """Yield ``run(function, *arguments)``, which runs the next of these steps; with `verbose`, a bar names it."""
        title, coming = f"Fitting {type(self).__name__}", iter(names)
        with progress_bar(title, "step", len(names), shown=self.verbose) as bar:

            def run(function, *arguments):
                bar.set_postfix_str(next(coming))
                result = function(*arguments)
                bar.update()
                return result

            yield run

    def _check_rows(self, X):
        """Check descriptors passed after `fit`; there may be none."""
        return validate_table(self, X, dtype=[np.float64, np.float32], reset=False, ensure_min_samples=0)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def gram_coordinates(gram):
    """Compute orthonormal coordinates of n vectors in their span from their inner products (n, n), which it overwrites.

    Returns ``(coordinates (n, m), dual (n, m), lowest)``. A column of ``dual`` expresses an orthonormal direction as
    a combination of the vectors, so that ``gram @ dual`` are the coordinates. ``lowest`` is the smallest eigenvalue
    divided by the largest. Directions that are zero up to rounding are dropped.
    """
    values, vectors = eigh(gram, overwrite_a=True, check_finite=False)
    kept = values > len(values) * np.finfo(np.float64).eps * np.abs(values).max()
    root, vectors = np.sqrt(values[kept]), vectors[:, kept]
    return vectors * root, vectors / root, values[0] / max(np.abs(values).max(), np.finfo(np.float64).tiny)


def span_coordinates(X):
    """Compute coordinates of the rows of float64 ``X`` in an orthonormal basis of at most n dimensions.

    A metric with an isotropic regulariser acts only within the span of its training rows, so nothing is lost. The
    coordinates come from the Gram matrix; the basis itself is never formed. Returns ``(coordinates (n, m), lift)``,
    where ``lift`` maps directions (..., m) back to all features (..., d).
    """
    if X.shape[1] <= len(X):
        return X, lambda directions: directions
    coordinates, dual, _ = gram_coordinates(X @ X.T)
    return coordinates, lambda directions: (directions @ dual.T) @ X


def fix_signs(rows):
    """Return the signs (n_rows, 1) that make the largest entry of each row positive, so that refits agree."""
    largest = np.abs(rows).argmax(axis=1)
    return np.where(rows[np.arange(len(rows)), largest] < 0, -1.0, 1.0)[:, None]


def quadratic_distances(probe, gallery, metric):
    """Compute (p - g)^T M (p - g) for all rows p (n_probe, r) and g (n_gallery, r), with symmetric M (r, r)."""
    through = probe @ metric
    own_probe = np.einsum("ij,ij->i", through, probe)
    own_gallery = np.einsum("ij,ij->i", gallery @ metric, gallery)
    distances = through @ gallery.T
    distances *= -2
    distances += own_probe[:, None]
    distances += own_gallery
    return distances
