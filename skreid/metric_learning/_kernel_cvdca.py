"""KCVDCA: CVDCA in the space of a kernel, where each image is replaced by its column of the kernel matrix."""

from sklearn.base import _fit_context

from skreid.metric_learning._base import fix_signs
from skreid.metric_learning._cvdca import VIEW_CONSTRAINTS, ViewSpecificMetric
from skreid.metric_learning._kernels import KERNEL_CONSTRAINTS, KernelMixin


class KCVDCA(KernelMixin, ViewSpecificMetric):
    r"""Kernel cross-view discriminant component analysis.

    This is `CVDCA` with each descriptor replaced by its kernel column :math:`k(x) = (\kappa(x_1, x), \ldots,
    \kappa(x_n, x))` with the training images. The penalty, the constraint and its ridge then act on the weights of the
    training images. Use `CVDCA` for the linear form, which works on the descriptors themselves.

    The publication's kernel and hyper-parameters are not known. The defaults were found by search: they rank
    people of CUHK03 who were not trained on best, with GOG descriptors. ``python -m benchmarks.rivals`` makes such a
    search on a data set of yours.

    Parameters
    ----------
    n_components : int, default=None
        Dimension of the common space. None keeps the components whose eigenvalue, the cost, is negative: along them,
        different people differ enough to outweigh what images of the same person differ. Unknown in the publication.
    kernel : {"rbf", "linear", "poly", "cosine", "laplacian", "chi2"} or callable, default="rbf"
        The kernel. A callable takes two matrices (n_a, n_features) and (n_b, n_features) and returns (n_a, n_b).
        Unknown in the publication.
    gamma : float, default=None
        Coefficient of "rbf", "poly", "laplacian" and "chi2". None is 1 / (4 mean squared distance of the
        training images) for "rbf", 1 for "chi2", otherwise 1 / n_features. Unknown in the publication.
    degree : float, default=3
        Degree of "poly".
    coef0 : float, default=1
        Constant of "poly".
    view_reg : float, default=0.001
        :math:`\lambda`, which pulls the projections together; ``np.inf`` makes all cameras share one projection.
        Unknown in the publication.
    reg : float, default=3e-4
        :math:`\alpha`, the ridge of the constraint relative to the mean square of a kernel column. Unknown
        in the publication.
    negative_weight : float, default=0.1
        Weight of pairs of different people, relative to pairs of the same person. Unknown in the publication.
    within_weight : float, default=1.0
        Weight of pairs within one camera, relative to pairs across cameras. Unknown in the publication.
    normalize : {"l2"} or None, default="l2"
        "l2" scales projected descriptors to unit length, so that distances depend on the angle between them. Unknown
        in the publication.
    verbose : int, default=0
        1 shows a progress bar of the steps of `fit`.

    Attributes
    ----------
    dual_components_ : ndarray of shape (n_views, n_components_, n_samples)
        The projections as weights of the training images, in the order of ``cameras_``, float64.
    cameras_ : ndarray of shape (n_views,) or None
        The cameras seen in `fit`, sorted. None if `fit` got no cameras; then there is one projection.
    eigenvalues_ : ndarray of shape (n_components_,)
        Value of the objective for each component, ascending.
    gamma_ : float
        The coefficient in use.
    X_fit_ : ndarray of shape (n_samples, n_features_in_)
        The training descriptors.
    n_components_ : int
        Dimension of the common space.
    classes_, class_count_ : ndarray of shape (n_identities,)
        The training identities, and the number of training images of each.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if ``X`` had string column names.

    See Also
    --------
    CVDCA : The linear form, with its equations and its use of cameras.

    Notes
    -----
    Time is O((n_views n_samples)^3) and memory O((n_views n_samples)^2).

    References
    ----------
    Y.-C. Chen, W.-S. Zheng, J.-H. Lai, P. C. Yuen, "An asymmetric distance model for cross-view feature
    mapping in person reidentification", IEEE Transactions on Circuits and Systems for Video Technology,
    2017.

    Examples
    --------
    >>> import numpy as np
    >>> from skreid.metric_learning import KCVDCA
    >>> rng = np.random.default_rng(0)
    >>> y, cams = np.repeat(np.arange(40), 2), np.tile(["a", "b"], 40)
    >>> X = rng.normal(size=(40, 3))[y] + 0.05 * rng.normal(size=(80, 3))
    >>> metric = KCVDCA(n_components=3).fit(X[:60], y[:60], cams[:60])
    >>> metric.transform(X[60:], cams[60:]).shape
    (20, 3)
    """

    _parameter_constraints: dict = KERNEL_CONSTRAINTS | VIEW_CONSTRAINTS
    _rbf_scale = 4

    def __init__(
        self,
        *,
        n_components=None,
        kernel="rbf",
        gamma=None,
        degree=3,
        coef0=1,
        view_reg=0.001,
        reg=3e-4,
        negative_weight=0.1,
        within_weight=1.0,
        normalize="l2",
        verbose=0,
    ):
        self.n_components = n_components
        self.kernel = kernel
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0
        self.view_reg = view_reg
        self.reg = reg
        self.negative_weight = negative_weight
        self.within_weight = within_weight
        self.normalize = normalize
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, cams=None):
        """Learn one projection per camera.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            One descriptor per row.
        y : array-like of shape (n_samples,)
            Identity of each image. There must be two or more, and one with images from two cameras (with two
            images, if there are no `cams`).
        cams : array-like of shape (n_samples,), default=None
            Camera of each image. Without cameras there is one projection, learned from all pairs of images.

        Returns
        -------
        self : KCVDCA
            The fitted estimator.

        Raises
        ------
        ValueError
            If no identity has a cross-view pair, or the constraint is singular and needs a larger ``reg``.
        """
        X, ids, views, self.cameras_ = self._check_fit(X, y, cams)
        self._check_n_components(len(X), "the number of training images")
        with self._steps("kernel", "pairs", "projections") as run:
            maps = self._solve(run, run(self._fit_kernel, X), ids, views, len(X))
        self.dual_components_ = maps * fix_signs(maps.mean(axis=0))
        return self

    def _coordinates(self, X):
        return self._kernel(X)

    def _maps(self):
        return self.dual_components_
