"""FCDF: hand-crafted and deep features side by side, and a gallery that is clustered before it is ranked.

It follows a publication whose parameters are not known, with this package's own descriptors.
"""

from numbers import Real

import numpy as np
from sklearn.base import _fit_context, clone
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.validation import check_is_fitted

from skreid._base.checks import check_int
from skreid._base.constraints import IntRange
from skreid._base.labels import encode
from skreid._estimator.base import ImageEstimator
from skreid._images.sequence import as_sequence
from skreid._ranking import describe
from skreid._search.nearest import check_n_neighbors, no_ranking
from skreid.descriptors import GOG, CenteredNormalizer
from skreid.multidepth import MultiDepthReID
from skreid.rivals._cluster_first import ClusterFirst


class FCDF(ImageEstimator):
    """Hand-crafted and deep features, ranked cluster by cluster, after features-based clustering (FCDF).

    .. warning::
       Experimental: may change without deprecation, because the parameters of the publication are not known.

    A descriptor holds hand-crafted and deep features, each centred and scaled to unit length. `kneighbors` ranks a
    gallery cluster by cluster, see :class:`ClusterFirst`.

    *The publication's features, number of clusters and all other parameters are unknown.* This class applies its idea
    to this package's descriptors, and is not claimed to reproduce published figures.

    Parameters
    ----------
    handcrafted : transformer or None, default=None
        Transformer of images. None stands for :class:`skreid.descriptors.GOG` in RGB.
    deep : transformer or None, default=None
        Transformer of images. None stands for :class:`skreid.MultiDepthReID` with its defaults.
    deep_weight : float, default=1.0
        Length of the deep features, at least 0; the hand-crafted features have length 1.
    n_clusters, n_searched : int, default=4 and 2
        Number of clusters of a gallery, and of those ranked first, as in :class:`ClusterFirst`.
    random_state : int, RandomState instance or None, default=None
        Seed of the default `deep` and of the clusters.

    Attributes
    ----------
    handcrafted_, deep_ : transformer
        The fitted transformers.
    normalizers_ : tuple of CenteredNormalizer
        Centre and scale the hand-crafted and the deep features.
    classes_ : ndarray of shape (n_identities,)
        The training identities.
    class_count_ : ndarray of shape (n_identities,)
        Number of training images of each of them.
    n_features_out_ : int
        Number of dimensions of a descriptor.

    See Also
    --------
    ClusterFirst : The distance by which FCDF ranks.
    skreid.MultiDepthReID : The method of this package.

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
        "n_clusters": [IntRange(1)],
        "n_searched": [IntRange(1)],
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
        """Fit both transformers, and learn the means of their features.

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
        self.classes_, identities = encode(y, "y", len(X))
        self.class_count_ = np.bincount(identities)
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
        """Describe images by hand-crafted and deep features.

        Parameters
        ----------
        X : images, n of them
            As for `fit`.

        Returns
        -------
        descriptors : ndarray of shape (n, n_features_out_), float32
            Hand-crafted features, then deep features.
        """
        check_is_fitted(self)
        X = as_sequence(X)
        tables = [np.asarray(part.transform(X)) for part in (self.handcrafted_, self.deep_)]
        handcrafted, deep = (
            normalizer.transform(table) for normalizer, table in zip(self.normalizers_, tables, strict=True)
        )
        return np.hstack([handcrafted, self.deep_weight * deep]).astype(np.float32, copy=False)

    def kneighbors(self, X, gallery, n_neighbors=5, return_distance=True):
        """Rank a gallery for each probe: first the images of the clusters closest to it.

        Parameters
        ----------
        X : images, or ndarray of shape (n_probes, n_features_out_)
            Probes: images as for `fit`, or descriptors returned by `transform`.
        gallery : images, or ndarray of shape (n_gallery, n_features_out_)
            The whole gallery: images or descriptors, as for `X`.
        n_neighbors : int, default=5
            Length of each ranking, from 1 to n_gallery.
        return_distance : bool, default=True
            Whether to return distances too.

        Returns
        -------
        distances : ndarray of shape (n_probes, n_neighbors)
            Distances of :class:`ClusterFirst`, ascending. Only returned if `return_distance` is True.
        indices : ndarray of shape (n_probes, n_neighbors), int64
            Positions in the gallery; images at equal distances keep the order of the gallery.

        Raises
        ------
        ValueError
            If `n_neighbors` is out of range.
        """
        check_is_fitted(self)
        check_int(n_neighbors, "n_neighbors", "FCDF.kneighbors")  # before images are described
        probes, gallery = describe(self, X), describe(self, gallery)
        n_neighbors = check_n_neighbors(n_neighbors, len(gallery), "FCDF.kneighbors")
        if not len(probes) or not len(gallery):
            ranking = no_ranking(len(probes), n_neighbors)
            return ranking if return_distance else ranking[1]
        distances = self.metric().fit(gallery).pairwise_distances(probes, gallery)
        indices = np.argsort(distances, axis=1, kind="stable")[:, :n_neighbors].astype(np.int64)
        return (np.take_along_axis(distances, indices, axis=1), indices) if return_distance else indices

    def metric(self):
        """Return the distance that `kneighbors` ranks by, for a Pipeline: ``make_pipeline(fcdf, fcdf.metric())``.

        Returns
        -------
        metric : ClusterFirst
            Not fitted.
        """
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        return ClusterFirst(n_clusters=self.n_clusters, n_searched=self.n_searched, random_state=seed)

    def get_feature_names_out(self, input_features=None):
        """Return a name for each dimension: "handcrafted_0", ..., "deep_0", ...

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
        names = [f"{kind}_{i}" for kind, normalizer in kinds for i in range(normalizer.n_features_in_)]
        return np.array(names, dtype=object)
