"""The kernel of KernelXQDA and KCVDCA: its parameters, its default width and its matrix."""

from numbers import Real

import numpy as np
from sklearn.metrics.pairwise import pairwise_kernels
from sklearn.utils._param_validation import Interval, StrOptions

from skreid._base.arrays import as_array
from skreid._base.constraints import IntRange

KERNELS = {"linear", "rbf", "poly", "cosine", "laplacian", "chi2"}

KERNEL_CONSTRAINTS = {
    "n_components": [IntRange(1), None],
    "kernel": [StrOptions(KERNELS), callable],
    "gamma": [Interval(Real, 0, None, closed="neither"), None],
    "degree": [Interval(Real, 0, None, closed="left")],
    "coef0": [Interval(Real, None, None, closed="neither")],
    "reg": [Interval(Real, 0, None, closed="left")],
    "verbose": ["verbose"],
}


def mean_squared_distance(X):
    """Compute the mean squared Euclidean distance over all n^2 ordered pairs of rows, which is twice their variance."""
    return 2 * float(X.var(axis=0, dtype=np.float64).sum())


def default_gamma(X, kernel, scale=1):
    """Return the default gamma; the RBF becomes exp(-d^2 / (scale * mean d^2))."""
    if kernel == "chi2":
        return 1.0
    spread = scale * mean_squared_distance(X) if kernel == "rbf" else X.shape[1]
    return 1.0 / spread if spread > 0 else 1.0


class KernelMixin:
    """Computes the kernel of estimators with the parameters kernel, gamma, degree and coef0."""

    _rbf_scale = 1  # the default RBF is exp(-d^2 / (_rbf_scale * mean d^2))

    def _fit_kernel(self, X):
        """Set ``X_fit_`` and ``gamma_``, and return the kernel of the training rows (n, n), float64 and symmetric."""
        self.X_fit_ = X
        self.gamma_ = self.gamma
        if self.gamma is None:
            self.gamma_ = default_gamma(X, self.kernel, self._rbf_scale)
        kernel = self._kernel(X)
        return (kernel + kernel.T) / 2

    def _kernel(self, X):
        """Compute the kernel of each row with each training row: (n, n_train), float64."""
        X, X_fit = X.astype(np.float64, copy=False), self.X_fit_.astype(np.float64, copy=False)
        if not len(X):  # which scikit-learn refuses
            return np.empty((0, len(X_fit)))
        if not callable(self.kernel):
            parameters = {"gamma": self.gamma_, "degree": self.degree, "coef0": self.coef0}
            return pairwise_kernels(X, X_fit, metric=self.kernel, filter_params=True, **parameters)
        kernel = as_array(self.kernel(X, X_fit), "kernel").astype(np.float64)
        if kernel.shape != (len(X), len(X_fit)):
            raise ValueError(
                f"The kernel callable returned shape {kernel.shape} for matrices of {len(X)} and {len(X_fit)} rows: "
                f"it must return one value per pair of rows, shape {(len(X), len(X_fit))}."
            )
        return kernel
