"""FCDF, a sketch: hand-crafted and deep features together, and a gallery that is clustered before it is ranked.

The idea of a publication whose parameters are unknown, on this package's own descriptors; it claims no figure.
"""

from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context, clone
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.validation import check_is_fitted

from skreid._base.labels import encode
from skreid._images.sequence import as_sequence
from skreid._ranking import describe
from skreid._scoring import cmc_score
from skreid.descriptors import GOG, CenteredNormalizer
from skreid.multidepth import MultiDepthReID
from skreid.rivals._cluster_first import ClusterFirst


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
    >>> from skreid.rivals import FCDF
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
