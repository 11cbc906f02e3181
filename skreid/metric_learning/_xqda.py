"""XQDA, cross-view quadratic discriminant analysis: a subspace and a quadratic form, both in closed form.

It is the usual baseline for hand-crafted descriptors (Liao et al., CVPR 2015), and works on any descriptor.
"""

from numbers import Real

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, pinvh, svd
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from skreid._base.constraints import IntRange
from skreid.metric_learning._base import CrossViewMetric, fix_signs, quadratic_distances, span_coordinates
from skreid.metric_learning._scatter import scatter_from_codes


def solve_xqda(intra, inter, reg, n_components=None):
    """Solve XQDA for two scatter matrices; return subspace (d, r), form (r, r) and all singular values, descending."""
    intra = intra + reg * np.eye(len(intra))
    if not inter.any():
        raise ValueError("Images of different people all have the same features: there is nothing to tell apart.")
    try:
        factor = cho_factor(intra, check_finite=False)
    except LinAlgError as error:
        raise ValueError(f"The same-person scatter is singular with reg={reg}: use a larger reg.") from error
    # Left singular vectors, as published; generalised eigenvectors would span another subspace.
    vectors, values, _ = svd(cho_solve(factor, inter, check_finite=False), overwrite_a=True, check_finite=False)
    r = max(1, int((values > 1).sum())) if n_components is None else n_components
    subspace = vectors[:, :r]
    form = pinvh(subspace.T @ intra @ subspace) - pinvh(subspace.T @ inter @ subspace)
    return subspace, (form + form.T) / 2, values


PARAMETER_CONSTRAINTS = {
    "n_components": [IntRange(1), None],
    "reg": [Interval(Real, 0, None, closed="left")],
    "verbose": ["verbose"],
}


class XQDA(CrossViewMetric):
    r"""Cross-view quadratic discriminant analysis.

    Differences between descriptors of two views are modelled as two zero-mean Gaussians, one for the same person
    (covariance :math:`\Sigma_I`) and one for different people (:math:`\Sigma_E`). With the regularised scatter
    matrices

    .. math::
        \Sigma_I = \operatorname{mean}_{\text{same}} (g-p)(g-p)^T + \mathrm{reg}\, I, \qquad
        \Sigma_E = \operatorname{mean}_{\text{different}} (g-p)(g-p)^T

    the subspace :math:`V` holds the first left singular vectors of :math:`\Sigma_I^{-1} \Sigma_E`, and the
    distance is the logarithm of the ratio of the two likelihoods, up to constants:

    .. math::
        d(p, g) = (g-p)^T V \left[ (V^T \Sigma_I V)^{-1} - (V^T \Sigma_E V)^{-1} \right] V^T (g-p).

    The form is indefinite, so ``d`` may be negative and is not a metric in the strict sense; lower is nearer.

    Parameters
    ----------
    n_components : int, default=None
        Dimension of the subspace. None takes as many as there are singular values above 1, and at least one.
    reg : float, default=1e-3
        Added to the diagonal of :math:`\Sigma_I`, in squared units of the features. The default suits descriptors of
        unit length. 0 works only if :math:`\Sigma_I` is not singular.
    verbose : int, default=0
        1 shows a progress bar of the steps of `fit`.

    Attributes
    ----------
    components_ : ndarray of shape (n_components_, n_features_in_)
        The subspace, one orthonormal direction per row, float64.
    metric_ : ndarray of shape (n_components_, n_components_)
        The quadratic form within the subspace; symmetric, in general indefinite.
    singular_values_ : ndarray of shape (n_features_in_,) or (rank,)
        Singular values of :math:`\Sigma_I^{-1} \Sigma_E`, descending. If n_features exceeds n_samples, those beyond
        the rank of the data, which are zero, are left out.
    mean_ : ndarray of shape (n_features_in_,)
        Mean of the training descriptors. It reduces rounding errors; distances do not depend on it otherwise.
    n_components_ : int
        Dimension of the subspace.
    classes_, class_count_ : ndarray of shape (n_identities,)
        The training identities, and the number of training images of each.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if ``X`` had string column names.

    See Also
    --------
    KernelXQDA : XQDA in the space of a kernel.
    cross_view_scatter : Computes the two scatter matrices.

    Notes
    -----
    With more than two cameras, all ordered pairs of cameras count, and each pair of images has the same weight.
    Without ``cams`` every image is its own view: all pairs of images count.

    The scatter matrices are computed from class sums in O(n d^2). If n_features exceeds n_samples, the problem is
    solved in the span of the centred data, computed from their Gram matrix. This is exact, because directions outside
    the span have singular value 0.

    References
    ----------
    S. Liao, Y. Hu, X. Zhu, S. Z. Li, "Person re-identification by local maximal occurrence representation
    and metric learning", CVPR 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from skreid.metric_learning import XQDA
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat(np.arange(30), 2)
    >>> cams = np.tile([0, 1], 30)
    >>> X = rng.normal(size=(30, 4))[y] + rng.normal(size=(60, 4)) * [0.01, 0.01, 3, 3]
    >>> xqda = XQDA(n_components=2).fit(X[:40], y[:40], cams[:40])
    >>> distances = xqda.pairwise_distances(X[40::2], X[41::2])
    >>> distances.shape
    (10, 10)
    >>> float((distances.argmin(axis=1) == np.arange(10)).mean())
    1.0
    """

    distances_are_squared = True  # a quadratic form: re-ranking, which squares distances, does not square it again
    _parameter_constraints: dict = PARAMETER_CONSTRAINTS

    def __init__(self, *, n_components=None, reg=1e-3, verbose=0):
        self.n_components = n_components
        self.reg = reg
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, cams=None):
        """Learn the subspace and the quadratic form.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            One descriptor per row.
        y : array-like of shape (n_samples,)
            Identity of each image. There must be two or more, and one with images from two cameras (with two
            images, if there are no `cams`).
        cams : array-like of shape (n_samples,), default=None
            Camera of each image. Without cameras, every pair of images is a cross-view pair.

        Returns
        -------
        self : XQDA
            The fitted estimator.

        Raises
        ------
        ValueError
            If no identity has a cross-view pair, or a scatter matrix is singular and needs a larger ``reg``.
        """
        X, ids, views, _ = self._check_fit(X, y, cams)
        views = np.arange(len(X)) if views is None else views
        self.mean_ = X.mean(axis=0, dtype=np.float64)
        with self._steps("coordinates", "scatter matrices", "subspace", "components") as run:
            coordinates, lift = run(span_coordinates, X - self.mean_)  # differences do not depend on the mean
            self._check_n_components(coordinates.shape[1], "the dimension of the training data")
            scatter = run(scatter_from_codes, coordinates, ids, views)
            subspace, self.metric_, self.singular_values_ = run(solve_xqda, *scatter, self.reg, self.n_components)
            components = run(lift, subspace.T)
        signs = fix_signs(components)
        self.components_ = np.ascontiguousarray(signs * components)
        self.metric_ *= signs * signs.T
        self.n_components_ = self._n_features_out = len(components)
        return self

    def transform(self, X):
        """Project descriptors onto the subspace.

        The Euclidean distance between projections is not the learned distance, because it lacks the quadratic form:
        use `pairwise_distances`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            One descriptor per row.

        Returns
        -------
        projected : ndarray of shape (n_samples, n_components_)
            ``X @ components_.T``, float32 for float32 ``X``, else float64.
        """
        check_is_fitted(self)
        X = self._check_rows(X)
        return (X @ self.components_.T).astype(X.dtype, copy=False)

    def pairwise_distances(self, X_probe, X_gallery):
        """Compute the XQDA distance from each probe to each gallery image.

        Parameters
        ----------
        X_probe : array-like of shape (n_probe, n_features)
            Descriptors of the probes.
        X_gallery : array-like of shape (n_gallery, n_features)
            Descriptors of the gallery.

        Returns
        -------
        distances : ndarray of shape (n_probe, n_gallery)
            float64; lower is nearer, and values may be negative.
        """
        check_is_fitted(self)
        offset = self.components_ @ self.mean_
        probe = self._check_rows(X_probe) @ self.components_.T - offset
        gallery = self._check_rows(X_gallery) @ self.components_.T - offset
        return quadratic_distances(probe, gallery, self.metric_)
