"""CVDCA, cross-view discriminant component analysis: one projection a camera, held together by a penalty.

Cameras distort a person differently, so each gets a map of its own into the space where distances are taken.
"""

from numbers import Integral, Real

import numpy as np
from sklearn.base import _fit_context
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from skreid.metric_learning._base import CrossViewMetric, fix_signs, span_coordinates
from skreid.metric_learning._views import add_ridge, objective_blocks, solve_views


class ViewSpecificMetric(CrossViewMetric):
    """What CVDCA and its kernel form share: all but the coordinates of an image (`_coordinates`)."""

    def _solve(self, X, ids, views, n_features):
        """Minimise the objective over rows of float64 ``X``: projections (n_views, n_components, d)."""
        if not X.any():
            raise ValueError("All features of X (or its kernel) are zero: there is nothing to learn from.")
        # Without cams there is one view, and its pairs stand in for the cross-view ones.
        within_weight = 1.0 if views is None else self.within_weight
        views = np.zeros(len(X), dtype=int) if views is None else views
        blocks, moments = objective_blocks(
            X, ids, views, negative_weight=self.negative_weight, within_weight=within_weight
        )
        constraints = add_ridge(moments, self.reg, n_features)
        projections, self.eigenvalues_ = solve_views(blocks, constraints, self.view_reg, self.n_components)
        self.n_components_ = self._n_features_out = len(self.eigenvalues_)
        return projections.transpose(0, 2, 1)

    def _project(self, X, cams, name):
        """Project checked rows by their cameras' maps, or by the mean map: (n, n_components), float64."""
        coordinates, maps = self._coordinates(X), self._maps()
        if cams is None:
            return coordinates @ maps.mean(axis=0).T
        cams = column_or_1d(cams)
        if len(cams) != len(X):
            raise ValueError(f"{name} has {len(cams)} entries but there are {len(X)} samples: give one for each.")
        if self.cameras_ is None:
            return coordinates @ maps[0].T
        unknown = cams[~np.isin(cams, self.cameras_)]
        if len(unknown):
            raise ValueError(
                f"{name} holds camera {unknown.tolist()[0]!r}, which fit has not seen (it saw "
                f"{self.cameras_.tolist()}): give {name}=None to use the mean projection of all cameras."
            )
        projected = np.empty((len(X), maps.shape[1]))
        for camera, one in zip(self.cameras_, maps, strict=True):
            projected[cams == camera] = coordinates[cams == camera] @ one.T
        return projected

    def fit_transform(self, X, y, cams=None):
        """Fit, then project the training images, each by the map of its own camera.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            One descriptor a row.
        y : array-like of shape (n_samples,)
            Identities.
        cams : array-like of shape (n_samples,), default=None
            Cameras.

        Returns
        -------
        projected : ndarray of shape (n_samples, n_components_)
            The same as ``fit(X, y, cams).transform(X, cams)``.
        """
        return self.fit(X, y, cams).transform(X, cams)

    def transform(self, X, cams=None):
        """Project descriptors into the common space, where Euclidean distance is the metric.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            One descriptor a row.
        cams : array-like of shape (n_samples,), default=None
            Cameras, of those seen in fit. Without them the mean of all cameras' projections serves.

        Returns
        -------
        projected : ndarray of shape (n_samples, n_components_)
            float32 for float32 ``X``, else float64.

        Raises
        ------
        ValueError
            For a camera that fit has not seen.
        """
        check_is_fitted(self)
        X = self._check_rows(X)
        return self._project(X, cams, "cams").astype(X.dtype, copy=False)

    def pairwise_distances(self, X_probe, X_gallery, *, cams_probe=None, cams_gallery=None):
        """Compute the Euclidean distance of every projected probe to every projected gallery image.

        Parameters
        ----------
        X_probe : array-like of shape (n_probe, n_features)
            Descriptors of the probes.
        X_gallery : array-like of shape (n_gallery, n_features)
            Descriptors of the gallery.
        cams_probe, cams_gallery : array-like of shape (n_probe,) and (n_gallery,), default=None
            Cameras, of those seen in fit. The side without them is projected by the mean of all cameras'
            projections.

        Returns
        -------
        distances : ndarray of shape (n_probe, n_gallery)
            float64, not negative; lower is nearer.

        Raises
        ------
        ValueError
            For a camera that fit has not seen.
        """
        check_is_fitted(self)
        probe = self._project(self._check_rows(X_probe), cams_probe, "cams_probe")
        gallery = self._project(self._check_rows(X_gallery), cams_gallery, "cams_gallery")
        return euclidean_distances(probe, gallery)


VIEW_CONSTRAINTS = {
    "n_components": [Interval(Integral, 1, None, closed="left"), None],
    "view_reg": [Interval(Real, 0, np.inf, closed="both")],
    "reg": [Interval(Real, 0, None, closed="left")],
    "negative_weight": [Interval(Real, 0, None, closed="left")],
    "within_weight": [Interval(Real, 0, None, closed="left")],
}


class CVDCA(ViewSpecificMetric):
    r"""Cross-view discriminant component analysis: an asymmetric metric with one projection a camera.

    The projections :math:`U^p` of the views minimise

    .. math::
        \sum_{p<q} \sum_{ij} W^{pq}_{ij} \|U^{pT} x^p_i - U^{qT} x^q_j\|^2
        + \sum_p \sum_{ij} W^{pp}_{ij} \|U^{pT} (x^p_i - x^p_j)\|^2
        + \lambda \sum_{p<q} \|U^p - U^q\|_F^2

    subject to :math:`\sum_k U^{kT} M^k U^k = I`, the relaxed form of a constraint on each view, where
    :math:`M^k = X^k X^{kT} / n_k + \alpha m_k I` and :math:`m_k` is the mean diagonal entry of :math:`X^k
    X^{kT} / n_k`. For each two views, W is 1 / (number of pairs) for pairs of the same person and
    -`negative_weight` / (number of pairs) for pairs of different ones; `within_weight` multiplies both for
    pairs within one view. This is a generalised eigenproblem; the smallest eigenvalues give the
    projections.

    The publication's values of its hyper-parameters are not known. The defaults here are this package's own.

    Parameters
    ----------
    n_components : int, default=None
        Dimension of the common space. None keeps the components whose cost, a negative eigenvalue,
        is at least half the best one's: all weigh alike in the distance, so many weak ones spoil it. Unknown
        in the publication.
    view_reg : float, default=0.01
        :math:`\lambda`, which pulls the projections together, in squared units of the features. ``np.inf``
        gives all cameras the same projection, a symmetric metric. Unknown in the publication.
    reg : float, default=0.01
        :math:`\alpha`, the ridge of the constraint relative to the mean variance. Unknown in the publication.
    negative_weight : float, default=1.0
        Weight of pairs of different persons against pairs of the same person. Unknown in the publication.
    within_weight : float, default=1.0
        Weight of pairs within one camera against pairs across cameras. Unknown in the publication.

    Attributes
    ----------
    components_ : ndarray of shape (n_views, n_components_, n_features_in_)
        The projections, in the order of ``cameras_``, float64.
    cameras_ : ndarray of shape (n_views,) or None
        The cameras seen in fit, sorted. None when fit had none: then there is one view.
    eigenvalues_ : ndarray of shape (n_components_,)
        The objective's value for each component, ascending.
    n_components_ : int
        Dimension of the common space.
    n_features_in_ : int
        Number of features seen in fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where ``X`` had string column names.

    See Also
    --------
    KCVDCA : The kernel form.
    XQDA : A symmetric metric, with a quadratic form.

    Notes
    -----
    Nothing is centred: put a `PCA` or a `StandardScaler` before it. Cameras at test time must be those of
    training, else (and without ``cams``) the mean projection serves. Fit without ``cams`` takes all pairs
    of different images as cross-view pairs under a single projection.

    All terms come from class sums, and when n_features exceeds n_samples the problem is solved in the span
    of the data, which holds every minimiser of negative cost. Time is O((n_views min(n_samples,
    n_features))^3).

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
    >>> X[cams == "b"] = X[cams == "b"][:, ::-1]                  # b sees them in another order
    >>> metric = CVDCA(n_components=3).fit(X[:60], y[:60], cams[:60])
    >>> probe, gallery = cams[60::2], cams[61::2]
    >>> distances = metric.pairwise_distances(X[60::2], X[61::2], cams_probe=probe, cams_gallery=gallery)
    >>> float((distances.argmin(axis=1) == np.arange(10)).mean())
    1.0
    """

    _parameter_constraints: dict = VIEW_CONSTRAINTS

    def __init__(self, *, n_components=None, view_reg=0.01, reg=0.01, negative_weight=1.0, within_weight=1.0):
        self.n_components = n_components
        self.view_reg = view_reg
        self.reg = reg
        self.negative_weight = negative_weight
        self.within_weight = within_weight

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, cams=None):
        """Learn one projection a camera.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            One descriptor a row.
        y : array-like of shape (n_samples,)
            Identities, of at least two persons, at least one of them with a cross-view pair.
        cams : array-like of shape (n_samples,), default=None
            Cameras. Without them there is one projection, learned from all pairs of different images.

        Returns
        -------
        self : CVDCA
            The fitted estimator.

        Raises
        ------
        ValueError
            When no cross-view pair of one person exists, or a singular constraint needs a larger ``reg``.
        """
        X, ids, views, self.cameras_ = self._check_fit(X, y, cams)
        coordinates, lift = span_coordinates(X.astype(np.float64, copy=False))
        self._check_rank(coordinates.shape[1])
        maps = self._solve(coordinates, ids, views, X.shape[1])
        self.components_ = lift(maps)
        # One sign a component, for all views.
        self.components_ *= fix_signs(self.components_.mean(axis=0))
        return self

    def _coordinates(self, X):
        return X.astype(np.float64, copy=False)

    def _maps(self):
        return self.components_
