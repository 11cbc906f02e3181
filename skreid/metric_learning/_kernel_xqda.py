"""XQDA in the space of a kernel: the same closed form, on coordinates in the span of the training images.

With the default RBF kernel and tiny regulariser it is close to a null-space method.
"""

import numpy as np
from scipy.linalg import eigh
from sklearn.base import _fit_context
from sklearn.utils.validation import check_is_fitted

from skreid.metric_learning._base import CrossViewMetric, fix_signs, gram_coordinates, quadratic_distances
from skreid.metric_learning._kernels import KERNEL_CONSTRAINTS, KernelMixin
from skreid.metric_learning._scatter import scatter_from_codes
from skreid.metric_learning._xqda import solve_xqda


def kernel_coordinates(kernel):
    """Return coordinates of the centred training images, and the directions as weights of these images."""
    centred = kernel - kernel.mean(axis=0)
    centred -= centred.mean(axis=1, keepdims=True)
    coordinates, dual, lowest = gram_coordinates(centred)
    if lowest < -1e-7:
        raise ValueError(
            f"The kernel is not positive semi-definite (an eigenvalue is {lowest:.3g} times the largest): "
            "use another kernel."
        )
    if not dual.shape[1]:
        raise ValueError("The kernel is the same for all training images: check kernel, gamma and X.")
    return coordinates, dual


class KernelXQDA(KernelMixin, CrossViewMetric):
    r"""XQDA in the space of a kernel.

    With :math:`\phi` the map of the kernel, this is `XQDA` of the descriptors :math:`\phi(x)`, computed from the
    kernel matrix of the training images. With ``kernel="linear"`` and ``psd=False`` it equals `XQDA` with the same
    ``reg``.

    .. math::
        d(p, g) = \delta^T V M V^T \delta, \qquad \delta = \phi(g) - \phi(p), \qquad
        M = \left[ (V^T \Sigma_I V)^{-1} - (V^T \Sigma_E V)^{-1} \right]_+

    The directions :math:`V` have unit norm in that space, and :math:`[\cdot]_+` sets negative eigenvalues to zero.

    Parameters
    ----------
    n_components : int, default=None
        Dimension of the subspace. None takes as many as there are singular values of
        :math:`\Sigma_I^{-1} \Sigma_E` above 1, and at least one.
    kernel : {"rbf", "linear", "poly", "cosine", "laplacian", "chi2"} or callable, default="rbf"
        A positive semi-definite kernel. A callable takes two matrices (n_a, n_features) and (n_b, n_features) and
        returns (n_a, n_b).
    gamma : float, default=None
        Coefficient of "rbf", "poly", "laplacian" and "chi2". None is 1 / (mean squared distance of the
        training images) for "rbf", that is a width :math:`\sigma = \sqrt{\operatorname{mean} d^2 / 2}`; 1
        for "chi2"; otherwise 1 / n_features.
    degree : float, default=3
        Degree of "poly".
    coef0 : float, default=1
        Constant of "poly".
    reg : float, default=1e-7
        Added to the diagonal of :math:`\Sigma_I` in an orthonormal basis of the span of the training images. The
        default suits kernels with values around 1, such as "rbf".
    psd : bool, default=True
        Whether to set negative eigenvalues of the quadratic form to zero. Distances are then at least 0, up to
        rounding.
    verbose : int, default=0
        1 shows a progress bar of the steps of `fit`.

    Attributes
    ----------
    dual_components_ : ndarray of shape (n_components_, n_samples)
        The directions, as weights of the training images; the weights of each direction sum to zero.
    metric_ : ndarray of shape (n_components_, n_components_)
        The quadratic form within the subspace.
    singular_values_ : ndarray of shape (rank,)
        Singular values of :math:`\Sigma_I^{-1} \Sigma_E`, descending.
    gamma_ : float
        The coefficient in use.
    X_fit_ : ndarray of shape (n_samples, n_features_in_)
        The training descriptors.
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
    XQDA : The linear form; describes how pairs are formed from cameras.

    Notes
    -----
    Publications differ in where the regulariser is added, and in using singular vectors or eigenvectors. This
    estimator does what makes the linear kernel agree with `XQDA`. Memory is O(n^2) and time O(n^3) for n training
    images.

    References
    ----------
    T. M. F. Ali, S. Chaudhuri, on kernel cross-view quadratic discriminant analysis for person
    re-identification.

    Examples
    --------
    >>> import numpy as np
    >>> from skreid.metric_learning import KernelXQDA
    >>> rng = np.random.default_rng(0)
    >>> y, cams = np.repeat(np.arange(30), 2), np.tile([0, 1], 30)
    >>> X = rng.normal(size=(30, 8))[y] + 0.1 * rng.normal(size=(60, 8))
    >>> distances = KernelXQDA().fit(X[:40], y[:40], cams[:40]).pairwise_distances(X[40::2], X[41::2])
    >>> float((distances.argmin(axis=1) == np.arange(10)).mean())
    1.0
    """

    distances_are_squared = True  # a quadratic form: re-ranking, which squares distances, does not square it again
    _parameter_constraints: dict = KERNEL_CONSTRAINTS | {"psd": ["boolean"]}

    def __init__(
        self, *, n_components=None, kernel="rbf", gamma=None, degree=3, coef0=1, reg=1e-7, psd=True, verbose=0
    ):
        self.n_components = n_components
        self.kernel = kernel
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0
        self.reg = reg
        self.psd = psd
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
        self : KernelXQDA
            The fitted estimator.

        Raises
        ------
        ValueError
            If no identity has a cross-view pair, the kernel is not positive semi-definite, or ``reg`` is too small.
        """
        X, ids, views, _ = self._check_fit(X, y, cams)
        views = np.arange(len(X)) if views is None else views
        with self._steps("kernel", "coordinates", "scatter matrices", "subspace") as run:
            coordinates, dual = run(kernel_coordinates, run(self._fit_kernel, X))
            self._check_n_components(coordinates.shape[1], "the rank of the centred kernel")
            scatter = run(scatter_from_codes, coordinates, ids, views)
            subspace, metric, self.singular_values_ = run(solve_xqda, *scatter, self.reg, self.n_components)
        dual = (dual @ subspace).T
        signs = fix_signs(dual)
        self.dual_components_ = np.ascontiguousarray(signs * dual)
        self.metric_ = _positive_part(signs * metric * signs.T) if self.psd else signs * metric * signs.T
        self.n_components_ = self._n_features_out = len(dual)
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
            ``kernel(X, X_fit_) @ dual_components_.T``, float32 for float32 ``X``, else float64.
        """
        check_is_fitted(self)
        X = self._check_rows(X)
        return (self._kernel(X) @ self.dual_components_.T).astype(X.dtype, copy=False)

    def pairwise_distances(self, X_probe, X_gallery):
        """Compute the kernel XQDA distance from each probe to each gallery image.

        Parameters
        ----------
        X_probe : array-like of shape (n_probe, n_features)
            Descriptors of the probes.
        X_gallery : array-like of shape (n_gallery, n_features)
            Descriptors of the gallery.

        Returns
        -------
        distances : ndarray of shape (n_probe, n_gallery)
            float64; lower is nearer. At least 0 with ``psd=True``, up to rounding.
        """
        check_is_fitted(self)
        probe = self._kernel(self._check_rows(X_probe)) @ self.dual_components_.T
        gallery = self._kernel(self._check_rows(X_gallery)) @ self.dual_components_.T
        return quadratic_distances(probe, gallery, self.metric_)


def _positive_part(form):
    """Set the negative eigenvalues of a symmetric matrix to zero."""
    values, vectors = eigh(form)
    return (vectors * values.clip(min=0)) @ vectors.T
