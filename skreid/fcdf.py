"""FCDF, a sketch: hand-crafted and deep features together, and a gallery that is clustered before it is ranked.

The idea of a publication whose parameters are unknown, on this package's own descriptors; it claims no figure.
"""

from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context, clone
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.svm import LinearSVC
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.validation import check_is_fitted, validate_data

from skreid._labels import encode
from skreid._pictures import as_sequence
from skreid.descriptors import GOG, CenteredNormalizer
from skreid.distances import distance_blocks
from skreid.ranking import describe
from skreid.scoring import cmc_score


class ClusterFirst(BaseEstimator):
    """Distance that ranks the cluster of the gallery where a probe belongs before all others.

    The gallery is clustered by k-means. A linear support vector machine, trained to tell its clusters apart,
    picks those of a probe; their images come first by Euclidean distance, then all others.

    Distances belong to one gallery: `pairwise_distances` must see all of it, which :func:`skreid.evaluate`,
    `skreid.cmc_score` and :meth:`FCDF.kneighbors` take care of, and :func:`skreid.rank_gallery` does only up to
    1024 images.

    Parameters
    ----------
    n_clusters : int, default=4
        Clusters of the gallery, fewer if it has fewer different images.
    n_searched : int, default=2
        Clusters whose images are ranked first, together.
    n_components : int, default=64
        Principal components of the gallery that clusters are looked for in.
    C : float, default=1.0
        Of the support vector machine.
    random_state : int, RandomState or None, default=0
        Seeds k-means and the support vector machine.

    Attributes
    ----------
    n_features_in_ : int
        Number of features seen in fit.

    Examples
    --------
    >>> import numpy as np
    >>> from skreid.fcdf import ClusterFirst
    >>> gallery = np.array([[0.0], [1.0], [9.0], [10.0]])
    >>> metric = ClusterFirst(n_clusters=2, n_searched=1).fit(gallery)
    >>> metric.pairwise_distances(np.array([[0.2]]), gallery).round(1)
    array([[ 0.2,  0.8, 18.6, 19.6]])
    """

    _parameter_constraints: dict = {  # noqa: RUF012 - scikit-learn's name and form
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "n_searched": [Interval(Integral, 1, None, closed="left")],
        "n_components": [Interval(Integral, 1, None, closed="left")],
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
        """Note the number of features; clusters are those of each gallery.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : ignored

        Returns
        -------
        self : ClusterFirst
        """
        validate_data(self, X, dtype=[np.float64, np.float32])
        return self

    def pairwise_distances(self, X_probe, X_gallery):
        """Compute the distance of every probe to every gallery image.

        Parameters
        ----------
        X_probe : array-like of shape (n_probe, n_features)
        X_gallery : array-like of shape (n_gallery, n_features)
            The whole gallery.

        Returns
        -------
        distances : ndarray of shape (n_probe, n_gallery)
            Euclidean within the clusters searched; elsewhere larger by the largest one of the probe.
        """
        check_is_fitted(self)
        probe, gallery = (
            validate_data(self, X, dtype=[np.float64, np.float32], reset=False) for X in (X_probe, X_gallery)
        )
        distances = distance_blocks(probe, gallery)(0, len(probe))
        clusters, preference = self._clusters(probe, gallery)
        searched = np.argsort(-preference, axis=1, kind="stable")[:, : self.n_searched]
        outside = ~(clusters == searched[:, :, None]).any(axis=1)  # (n_probe, n_gallery)
        return distances + outside * distances.max(axis=1, keepdims=True)

    def _clusters(self, probe, gallery):
        """Return the gallery's clusters, and each probe's preference among them, (n_probe, n_clusters)."""
        rng = check_random_state(self.random_state)
        n_clusters = min(self.n_clusters, len(np.unique(gallery, axis=0)))
        if n_clusters == 1:
            return np.zeros(len(gallery), dtype=int), np.zeros((len(probe), 1))
        pca = PCA(min(self.n_components, *gallery.shape), random_state=rng).fit(gallery)
        gallery, probe = pca.transform(gallery), pca.transform(probe)
        clusters = KMeans(n_clusters, n_init=4, random_state=rng).fit_predict(gallery)
        svm = LinearSVC(C=self.C, random_state=rng, max_iter=10_000).fit(gallery, clusters)
        preference = svm.decision_function(probe)
        if preference.ndim == 1:  # of two clusters: positive for the second
            preference = np.stack([-preference, preference], axis=1)
        return clusters, preference

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags = None
        return tags


class FCDF(TransformerMixin, BaseEstimator):
    """Feature clustering and deep features: a sketch of the idea.

    Images are described by hand-crafted and by deep features, each centred and scaled to unit length. A
    gallery is ranked cluster by cluster, see :class:`ClusterFirst`.

    *The features, the number of clusters and all other parameters of the publication are unknown*: this is
    its idea on this package's descriptors, and no published figure is claimed.

    Parameters
    ----------
    handcrafted : transformer or None, default=None
        Of images. None is :class:`skreid.descriptors.GOG` in RGB.
    deep : transformer or None, default=None
        Of images. None is :class:`skreid.MultiDepthReID` as it comes.
    deep_weight : float, default=1.0
        Length of the deep features; the hand-crafted ones have length 1.
    n_clusters, n_searched : int, default=4 and 2
        Of the ranking of a gallery, as in :class:`ClusterFirst`.
    random_state : int, RandomState or None, default=None
        Seeds the default of `deep` and the clusters.

    Attributes
    ----------
    handcrafted_, deep_ : transformer
        The fitted ones.
    normalizers_ : tuple of CenteredNormalizer
        Of the hand-crafted and of the deep features.
    classes_ : ndarray of shape (n_identities,)
        The training identities.
    n_features_out_ : int
        Length of a descriptor.

    References
    ----------
    M. Fayyaz et al., "Person re-identification with features-based clustering and deep features", 2020.

    Examples
    --------
    >>> from skreid import MultiDepthReID
    >>> from skreid.datasets import make_pedestrians
    >>> from skreid.descriptors import LOMO
    >>> from skreid.fcdf import FCDF
    >>> people = make_pedestrians(n_identities=4, image_size=(48, 24), random_state=0)
    >>> deep = MultiDepthReID(backbone="squeezenet1_1", input_size=(48, 24), max_epochs=0, random_state=0)
    >>> fcdf = FCDF(handcrafted=LOMO(n_scales=1), deep=deep).fit(people.images, people.target)
    >>> fcdf.kneighbors(people.images[:1], people.images, n_neighbors=2)[1].shape
    (1, 2)
    """

    _parameter_constraints: dict = {  # noqa: RUF012 - scikit-learn's name and form
        "handcrafted": [HasMethods(["fit", "transform"]), None],
        "deep": [HasMethods(["fit", "transform"]), None],
        "deep_weight": [Interval(Real, 0, None, closed="left")],
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "n_searched": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(self, *, handcrafted=None, deep=None, deep_weight=1.0, n_clusters=4, n_searched=2, random_state=None):
        self.handcrafted = handcrafted
        self.deep = deep
        self.deep_weight = deep_weight
        self.n_clusters = n_clusters
        self.n_searched = n_searched
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y):
        """Fit both descriptors, and the means of their features.

        Parameters
        ----------
        X : images, n of them
            As for :class:`skreid.MultiDepthReID`.
        y : array-like of shape (n,)
            Identity of each image.

        Returns
        -------
        self : FCDF
        """
        X = as_sequence(X)
        self.classes_ = encode(y, "y", len(X))[0]
        deep = self.deep
        if deep is None:
            from skreid import MultiDepthReID  # torch, only where the default needs it

            seed = int(check_random_state(self.random_state).randint(2**31 - 1))
            deep = MultiDepthReID(random_state=seed)
        self.handcrafted_ = clone(GOG() if self.handcrafted is None else self.handcrafted).fit(X, y)
        self.deep_ = clone(deep).fit(X, y)
        tables = [np.asarray(part.transform(X)) for part in (self.handcrafted_, self.deep_)]
        self.normalizers_ = tuple(CenteredNormalizer().fit(table) for table in tables)
        self.n_features_out_ = sum(table.shape[1] for table in tables)
        return self

    def transform(self, X):
        """Describe images by both kinds of features.

        Parameters
        ----------
        X : images, n of them
            As for `fit`.

        Returns
        -------
        descriptors : ndarray of shape (n, n_features_out_), float32
            Hand-crafted features, then deep ones.
        """
        check_is_fitted(self)
        X = as_sequence(X)
        tables = [np.asarray(part.transform(X)) for part in (self.handcrafted_, self.deep_)]
        hand, deep = (fitted.transform(table) for fitted, table in zip(self.normalizers_, tables, strict=True))
        return np.hstack([hand, self.deep_weight * deep]).astype(np.float32, copy=False)

    def kneighbors(self, X, gallery, n_neighbors=5, return_distance=True):
        """Rank a gallery for each probe image: the clusters that suit it first.

        Parameters
        ----------
        X : images, or ndarray of shape (n_probes, n_features_out_)
            Probes: images as for `fit`, or descriptors that `transform` gave.
        gallery : images, or ndarray of shape (n_gallery, n_features_out_)
            Likewise.
        n_neighbors : int, default=5
            Length of each ranking, at most n_gallery.
        return_distance : bool, default=True
            Whether to return distances too.

        Returns
        -------
        distances : ndarray of shape (n_probes, n_neighbors)
            Ascending, as :class:`ClusterFirst` gives them; only if `return_distance`.
        indices : ndarray of shape (n_probes, n_neighbors), int64
            Places in the gallery; equal distances in the gallery's order.
        """
        check_is_fitted(self)
        probes, gallery = describe(self, X), describe(self, gallery)
        if not 1 <= n_neighbors <= len(gallery):
            raise ValueError(
                f"Expected 1 <= n_neighbors <= n_gallery, but n_neighbors = {n_neighbors}, n_gallery = {len(gallery)}."
            )
        distances = self.metric().fit(gallery).pairwise_distances(probes, gallery)
        indices = np.argsort(distances, axis=1, kind="stable")[:, :n_neighbors].astype(np.int64)
        return (np.take_along_axis(distances, indices, axis=1), indices) if return_distance else indices

    def metric(self):
        """Return the distance of `kneighbors`, unfitted: ``make_pipeline(fcdf, fcdf.metric())`` is ranked by it.

        Returns
        -------
        metric : ClusterFirst
        """
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        return ClusterFirst(n_clusters=self.n_clusters, n_searched=self.n_searched, random_state=seed)

    def score(self, X, y):
        """Return the rank-1 score of descriptors by `skreid.cmc_score`, clusters left aside.

        Parameters
        ----------
        X : images, n of them
            Of persons it was not fitted on.
        y : array-like of shape (n,)
            Identities.

        Returns
        -------
        score : float
            In [0, 1].
        """
        check_is_fitted(self)
        return cmc_score(self, X, y)

    def get_feature_names_out(self, input_features=None):
        """Return a name for each number: "handcrafted_0", ..., "deep_0", ...

        Parameters
        ----------
        input_features : None
            Ignored; images have no feature names.

        Returns
        -------
        names : ndarray of shape (n_features_out_,), object
        """
        check_is_fitted(self)
        kinds = zip(("handcrafted", "deep"), self.normalizers_, strict=True)
        return np.array([f"{kind}_{place}" for kind, one in kinds for place in range(one.n_features_in_)], dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        return tags
