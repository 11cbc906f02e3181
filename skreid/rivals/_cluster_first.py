"""ClusterFirst: a distance that ranks the gallery clusters closest to a probe before all other clusters.

It is the ranking of FCDF, and works on any descriptors.
"""

from numbers import Real

import numpy as np
from sklearn.base import BaseEstimator, _fit_context
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.svm import LinearSVC
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from skreid._base.constraints import IntRange
from skreid._base.tables import validate_table
from skreid._search.distances import distance_blocks


class ClusterFirst(BaseEstimator):
    """Distance that ranks the gallery clusters closest to a probe before all other clusters.

    .. warning::
       Experimental: may change without deprecation, because the parameters of the publication are not known.

    K-means clusters the gallery. A linear support vector machine, trained to tell the clusters apart, ranks the
    clusters for each probe. The images of the first `n_searched` clusters come first, by Euclidean distance; then
    come all other images, again by Euclidean distance.

    Parameters
    ----------
    n_clusters : int, default=4
        Number of clusters, at least 1. A gallery with fewer distinct descriptors has one cluster per descriptor.
    n_searched : int, default=2
        Number of clusters whose images are ranked first, at least 1.
    n_components : int, default=64
        Number of principal components of the gallery that k-means and the support vector machine work on.
    C : float, default=1.0
        Penalty of the support vector machine, as in :class:`sklearn.svm.LinearSVC`.
    random_state : int, RandomState instance or None, default=0
        Seed of the principal components, k-means and the support vector machine.

    Attributes
    ----------
    n_features_in_ : int
        Number of features seen in `fit`.

    See Also
    --------
    FCDF : Describes images; its `metric` method returns this distance.

    Notes
    -----
    A distance depends on the whole gallery, so `pairwise_distances` must be given all of it at once.
    :func:`skreid.evaluate`, :func:`skreid.cmc_score` and :meth:`FCDF.kneighbors` do so; :func:`skreid.rank_gallery`
    does so for galleries of up to 1024 images only.

    Examples
    --------
    >>> import numpy as np
    >>> from skreid.rivals import ClusterFirst
    >>> gallery = np.array([[0.0], [1.0], [9.0], [10.0]])
    >>> metric = ClusterFirst(n_clusters=2, n_searched=1).fit(gallery)
    >>> metric.pairwise_distances(np.array([[0.2]]), gallery).round(1)
    array([[ 0.2,  0.8, 18.6, 19.6]])
    """

    _parameter_constraints: dict = {  # noqa: RUF012 - scikit-learn's name and form
        "n_clusters": [IntRange(1)],
        "n_searched": [IntRange(1)],
        "n_components": [IntRange(1)],
        "C": [Interval(Real, 0, None, closed="neither")],
        "random_state": ["random_state"],
    }

    def __init__(self, *, n_clusters=4, n_searched=2, n_components=64, C=1.0, random_state=0):
        self.n_clusters = n_clusters
        self.n_searched = n_searched
        self.n_components = n_components
        self.C = C
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Store the number of features. Clusters are found in each gallery, by `pairwise_distances`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Descriptors.
        y : None
            Ignored; present for API consistency.

        Returns
        -------
        self : ClusterFirst
        """
        validate_table(self, X, dtype=[np.float64, np.float32])
        return self

    def pairwise_distances(self, X_probe, X_gallery):
        """Compute the distance of every probe to every gallery image.

        Parameters
        ----------
        X_probe : array-like of shape (n_probe, n_features)
            Descriptors of the probes.
        X_gallery : array-like of shape (n_gallery, n_features)
            The whole gallery.

        Returns
        -------
        distances : ndarray of shape (n_probe, n_gallery)
            Euclidean distances to images of the searched clusters. To all others, the Euclidean distance plus
            the largest Euclidean distance of that probe, so that they come later.
        """
        check_is_fitted(self)
        options = {"dtype": [np.float64, np.float32], "reset": False, "ensure_min_samples": 0}
        probe, gallery = (validate_table(self, X, **options) for X in (X_probe, X_gallery))
        if not len(probe) or not len(gallery):
            return np.empty((len(probe), len(gallery)))
        distances = distance_blocks(probe, gallery)(0, len(probe))
        clusters, preference = self._clusters(probe, gallery)
        searched = np.argsort(-preference, axis=1, kind="stable")[:, : self.n_searched]
        outside = ~(clusters == searched[:, :, None]).any(axis=1)  # (n_probe, n_gallery)
        return distances + outside * distances.max(axis=1, keepdims=True)

    def _clusters(self, probe, gallery):
        """Return each gallery image's cluster (n_gallery,) and each probe's preference (n_probe, n_clusters)."""
        rng = check_random_state(self.random_state)
        n_clusters = min(self.n_clusters, len(np.unique(gallery, axis=0)))
        if n_clusters == 1:
            return np.zeros(len(gallery), dtype=int), np.zeros((len(probe), 1))
        pca = PCA(min(self.n_components, *gallery.shape), random_state=rng).fit(gallery)
        gallery, probe = pca.transform(gallery), pca.transform(probe)
        clusters = KMeans(n_clusters, n_init=4, random_state=rng).fit_predict(gallery)
        svm = LinearSVC(C=self.C, random_state=rng, max_iter=10_000).fit(gallery, clusters)
        preference = svm.decision_function(probe)
        if preference.ndim == 1:  # with two clusters: positive means the second
            preference = np.stack([-preference, preference], axis=1)
        return clusters, preference

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags = None
        return tags
