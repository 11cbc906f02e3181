"""CVDCA, cross-view discriminant component analysis: one projection per camera, and a penalty on their differences.

Each camera distorts people in its own way, so each has its own projection into the space where distances are computed.
"""

from functools import partial
from numbers import Real

import numpy as np
from sklearn.base import _fit_context
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skreid._base.constraints import IntRange
from skreid._base.labels import as_labels, check_both_or_none, positions
from skreid.metric_learning._base import CrossViewMetric, fix_signs, span_coordinates
from skreid.metric_learning._views import add_ridge, objective_blocks, solve_views


class ViewSpecificMetric(CrossViewMetric):
    """Base of CVDCA and its kernel form, which define the coordinates of an image and the projections."""

    normalize = None  # of metrics saved before they had this parameter

    def _solve(self, run, X, ids, views, n_features):
        """Minimise the objective over rows of float64 ``X``; return projections (n_views, n_components, d).

        `run` runs two of the steps of `fit`.
        """
        if not X.any():
            raise ValueError("All features of X (or of its kernel) are zero: there is nothing to learn from.")
        # Without cams there is one view, and its pairs take the place of cross-view pairs.
        within_weight = 1.0 if views is None else self.within_weight
        views = np.zeros(len(X), dtype=int) if views is None else views
        objective = partial(objective_blocks, negative_weight=self.negative_weight, within_weight=within_weight)
        blocks, moments = run(objective, X, ids, views)
        constraints = add_ridge(moments, self.reg, n_features)
        projections, self.eigenvalues_ = run(solve_views, blocks, constraints, self.view_reg, self.n_components)
        self.n_components_ = self._n_features_out = len(self.eigenvalues_)
        return projections.transpose(0, 2, 1)

    def _project(self, X, cams, name):
        """Project checked rows, and scale them to unit length if asked for: (n, n_components), float64."""
        projected = self._project_by_view(self._coordinates(X), cams, name)
        if self.normalize == "l2":
            norms = np.linalg.norm(projected, axis=1, keepdims=True)
            projected /= np.where(norms > 0, norms, 1)
        return projected

    def _project_by_view(self, coordinates, cams, name):
        """Project by the projections of the rows' cameras, or by the mean one."""
        maps = self._maps()
        if cams is None:
            return coordinates @ maps.mean(axis=0).T
        cams = as_labels(cams, name)
        if len(cams) != len(coordinates):
            raise ValueError(
                f"{name} has {len(cams)} entries but there are {len(coordinates)} samples: give one for each."
            )
        if self.cameras_ is None:
            return coordinates @ maps[0].T
        view = positions(cams, self.cameras_)
        unknown = np.flatnonzero(view == len(maps))
        if len(unknown):
            raise ValueError(
                f"{name} holds camera {cams.tolist()[unknown[0]]!r}, which was not in fit (cameras in fit: "
                f"{self.cameras_.tolist()}). Give no cameras to use the mean projection of all."
            )
        projected = np.empty((len(coordinates), maps.shape[1]))
        for i, projection in enumerate(maps):
            projected[view == i] = coordinates[view == i] @ projection.T
        return projected

    def fit_transform(self, X, y, cams=None):
        """Fit, then project the training images, each by the projection of its own camera.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            One descriptor per row.
        y : array-like of shape (n_samples,)
            Identity of each image.
        cams : array-like of shape (n_samples,), default=None
            Camera of each image.

        Returns
        -------
        projected : ndarray of shape (n_samples, n_components_)
            The result of ``fit(X, y, cams).transform(X, cams)``.
        """
        return self.fit(X, y, cams).transform(X, cams)

    def transform(self, X, cams=None):
        """Project descriptors into the common space, where the Euclidean distance is the learned distance.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            One descriptor per row.
        cams : array-like of shape (n_samples,), default=None
            Camera of each image, among those seen in `fit`. Without cameras, the mean of all projections is used.

        Returns
        -------
        projected : ndarray of shape (n_samples, n_components_)
            float32 for float32 ``X``, else float64.

        Raises
        ------
        ValueError
            If a camera was not seen in `fit`.
        """
        check_is_fitted(self)
        X = self._check_rows(X)
        return self._project(X, cams, "cams").astype(X.dtype, copy=False)

    def pairwise_distances(self, X_probe, X_gallery, *, cams_probe=None, cams_gallery=None):
        """Compute the Euclidean distance from each projected probe to each projected gallery image.

        Parameters
        ----------
        X_probe : array-like of shape (n_probe, n_features)
            Descriptors of the probes.
        X_gallery : array-like of shape (n_gallery, n_features)
            Descriptors of the gallery.
        cams_probe, cams_gallery : array-like of shape (n_probe,) and (n_gallery,), default=None
            Cameras of the probes and of the gallery, among those seen in `fit`; of both, or of neither. Without
            cameras, the mean of all projections is used.

        Returns
        -------
        distances : ndarray of shape (n_probe, n_gallery)
            float64, at least 0; lower is nearer.

        Raises
        ------
        ValueError
            If a camera was not seen in `fit`, or only one side has cameras.
        """
        check_is_fitted(self)
        check_both_or_none(cams_probe=cams_probe, cams_gallery=cams_gallery)
        probe = self._project(self._check_rows(X_probe), cams_probe, "cams_probe")
        gallery = self._project(self._check_rows(X_gallery), cams_gallery, "cams_gallery")
        if not len(probe) or not len(gallery):  # which scikit-learn refuses
            return np.empty((len(probe), len(gallery)))
        return euclidean_distances(probe, gallery)


VIEW_CONSTRAINTS = {
    "n_components": [IntRange(1), None],
    "view_reg": [Interval(Real, 0, np.inf, closed="both")],
    "reg": [Interval(Real, 0, None, closed="left")],
    "negative_weight": [Interval(Real, 0, None, closed="left")],
    "within_weight": [Interval(Real, 0, None, closed="left")],
    "normalize": [StrOptions({"l2"}), None],
    "verbose": ["verbose"],
}


class CVDCA(ViewSpecificMetric):
    r"""Cross-view discriminant component analysis: an asymmetric metric with one projection per camera.

    The projections :math:`U^p` of the views minimise

    .. math::
        \sum_{p<q} \sum_{ij} W^{pq}_{ij} \|U^{pT} x^p_i - U^{qT} x^q_j\|^2
        + \sum_p \sum_{ij} W^{pp}_{ij} \|U^{pT} (x^p_i - x^p_j)\|^2
        + \lambda \sum_{p<q} \|U^p - U^q\|_F^2

    subject to :math:`\sum_k U^{kT} M^k U^k = I`, the relaxed form of a constraint on each view, where
    :math:`M^k = X^k X^{kT} / n_k + \alpha m_k I` and :math:`m_k` is the mean diagonal entry of :math:`X^k
    X^{kT} / n_k`. For each two views, W is 1 / (number of pairs) for pairs of the same person and
    -`negative_weight` / (number of pairs) for pairs of different people; `within_weight` multiplies both for pairs
    within one view. This is a generalised eigenproblem; the projections are the eigenvectors of its smallest
    eigenvalues.

    The publication's hyper-parameters are not known. The defaults were chosen by ranking people who were not trained
    on, with GOG descriptors of 7567 dimensions and with 30 to 300 principal components of them.

    Parameters
    ----------
    n_components : int, default=None
        Dimension of the common space. None keeps the components whose eigenvalue, the cost, is negative: along them,
        different people differ enough to outweigh what images of the same person differ. Unknown in the publication.
    view_reg : float, default=0.01
        :math:`\lambda`, which pulls the projections together, in squared units of the features. ``np.inf`` makes all
        cameras share one projection, which is a symmetric metric. Unknown in the publication.
    reg : float, default=10.0
        :math:`\alpha`, the ridge of the constraint relative to the mean variance. The best value grows with the
        dimension of the descriptor: about 1 at a few hundred dimensions, 100 at several thousand. Unknown in the
        publication.
    negative_weight : float, default=0.3
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
    components_ : ndarray of shape (n_views, n_components_, n_features_in_)
        The projections, in the order of ``cameras_``, float64.
    cameras_ : ndarray of shape (n_views,) or None
        The cameras seen in `fit`, sorted. None if `fit` got no cameras; then there is one projection.
    eigenvalues_ : ndarray of shape (n_components_,)
        Value of the objective for each component, ascending.
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
    KCVDCA : The kernel form.
    XQDA : A symmetric metric, with a quadratic form.

    Notes
    -----
    Descriptors are not centred: put a `PCA` or a `StandardScaler` before it. Cameras at test time must be among the
    training cameras; images without cameras are projected by the mean projection. `fit` without ``cams`` learns a
    single projection, with every pair of images as a cross-view pair.

    All terms are computed from class sums. If n_features exceeds n_samples, the problem is solved in the span of the
    data, which contains every minimiser of negative cost. Time is O((n_views min(n_samples, n_features))^3).

    References
    ----------
    Y.-C. Chen, W.-S. Zheng, J.-H. Lai, P. C. Yuen, "An asymmetric distance model for cross-view feature
    mapping in person reidentification", IEEE Transactions on Circuits and Systems for Video Technology,
    2017.

    Examples
    --------
    >>> import numpy as np
    >>> from skreid.metric_learning import CVDCA
    >>> rng = np.random.default_rng(0)
    >>> y, cams = np.repeat(np.arange(40), 2), np.tile(["a", "b"], 40)
    >>> X = rng.normal(size=(40, 3))[y]
    >>> X[cams == "b"] = X[cams == "b"][:, ::-1]                  # camera b permutes the features
    >>> metric = CVDCA(n_components=3).fit(X[:60], y[:60], cams[:60])
    >>> probe, gallery = cams[60::2], cams[61::2]
    >>> distances = metric.pairwise_distances(X[60::2], X[61::2], cams_probe=probe, cams_gallery=gallery)
    >>> float((distances.argmin(axis=1) == np.arange(10)).mean())
    1.0
    """

    _parameter_constraints: dict = VIEW_CONSTRAINTS

    def __init__(
        self,
        *,
        n_components=None,
        view_reg=0.01,
        reg=10.0,
        negative_weight=0.3,
        within_weight=1.0,
        normalize="l2",
        verbose=0,
    ):
        self.n_components = n_components
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
        self : CVDCA
            The fitted estimator.

        Raises
        ------
        ValueError
            If no identity has a cross-view pair, or the constraint is singular and needs a larger ``reg``.
        """
        X, ids, views, self.cameras_ = self._check_fit(X, y, cams)
        with self._steps("coordinates", "pairs", "projections", "components") as run:
            coordinates, lift = run(span_coordinates, X.astype(np.float64, copy=False))
            self._check_n_components(coordinates.shape[1], "the dimension of the training data")
            self.components_ = run(lift, self._solve(run, coordinates, ids, views, X.shape[1]))
        # One sign per component, shared by all views.
        self.components_ *= fix_signs(self.components_.mean(axis=0))
        return self

    def _coordinates(self, X):
        return X.astype(np.float64, copy=False)

    def _maps(self):
        return self.components_
