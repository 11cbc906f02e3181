"""The Gallery: each change replaces its immutable state, and each search reads one state from start to end.

So a search in one thread never sees half of a change made by another, and never waits for it.
"""

from threading import Lock

import numpy as np

from skreid._base.checks import check_int
from skreid._search.nearest import check_n_neighbors
from skreid._search.system import warn_without_cams
from skreid.gallery._contents import Contents
from skreid.gallery._files import INDEX, check_settings, warn_of_unused
from skreid.gallery._identify import Identifying
from skreid.gallery._measuring import measuring_of
from skreid.gallery._query import Query
from skreid.gallery._rows import rows_of
from skreid.gallery._state import State, check_descriptors, column
from skreid.gallery._stored import Stored
from skreid.gallery._system import (
    System,
    check_origin,
    known_origin,
    refuse_images,
    refuse_other_system,
    warn_of_metric,
)


class Gallery(Contents, Identifying, Stored):
    """Descriptors of known images, searched by Euclidean or cosine distance, or by a learned metric.

    Build it from descriptors, or with :meth:`from_estimator` from a fitted system and images. Such a gallery describes
    further images and probes itself, and ranks by the learned metric at the end of its system, if there is one.

    Parameters
    ----------
    descriptors : ndarray of shape (n_images, n_features)
        As `transform` returns them, of any float type. A memory-mapped array is read one tile at a time and never
        copied whole. An empty list makes an empty gallery; without a width, it takes that of the first ones added.
    ids : array-like of shape (n_images,), optional
        Identity of each image, numbers or strings; ``[]`` for an empty gallery whose images will have identities.
    cams : array-like of shape (n_images,), optional
        Camera of each image, in the same way.
    metric : {"euclidean", "cosine"}, default="euclidean"
        "cosine" is one minus the cosine similarity; a descriptor of zeros is at distance 1 from all others.
    engine : {"exact", "faiss"}, default="exact"
        "faiss" searches an approximate index in memory (package faiss-cpu); the distances it returns are still exact.
    index : str, default="HNSW32"
        With FAISS, its factory string: "HNSW<links>", "IVF<cells>,Flat", "IVF<cells>,PQ<bytes>"... There must be at
        least as many descriptors as cells.
    effort : int or None, default=None
        With FAISS, the number of candidates followed (HNSW) or of cells searched (IVF): a larger one finds more
        neighbours and takes longer. None means 64 candidates, or 1/32 of the cells and at least 8. If more than a few
        per cent of the cells are searched, the exact search is faster for many probes.

    Attributes
    ----------
    descriptors : array of shape (n_images, n_features)
        Rows by slice or by index array; ``numpy.asarray`` reads them all.
    ids, cams : ndarray of shape (n_images,) or None
    estimator : estimator or None
        The system of :meth:`from_estimator`, a copy.
    metric : str
        "euclidean", "cosine", or the class of the learned metric of the system.

    Raises
    ------
    ValueError
        If descriptors are not finite, or so large that their squared distances overflow (float64, or float32 with
        FAISS), or if a parameter has a value not listed here.

    Warns
    -----
    UserWarning
        If `index` or `effort` is given, but not ``engine="faiss"``, which alone uses them.

    See Also
    --------
    skreid.rank_gallery : Takes a Gallery in place of gallery images.
    skreid.pool_tracks : Makes one descriptor per track, for a Gallery of tracks.

    Notes
    -----
    Any number of threads may search while another changes the gallery: a search sees the gallery as it was when the
    search began. Images keep their order; after `remove`, later ones move up.

    Examples
    --------
    >>> import numpy as np
    >>> from skreid.gallery import Gallery
    >>> gallery = Gallery(np.array([[0.0], [1.0], [5.0]]), ids=["ann", "bob", "ann"], cams=[0, 0, 1])
    >>> distances, indices = gallery.kneighbors([[0.2]], n_neighbors=2)
    >>> gallery.ids[indices]
    array([['ann', 'bob']], dtype='<U3')
    >>> gallery.kneighbors([[0.2]], n_neighbors=1, return_distance=False, cams=[0])
    array([[2]])
    """

    def __init__(
        self, descriptors, ids=None, cams=None, *, metric="euclidean", engine="exact", index=INDEX, effort=None
    ):
        settings = check_settings(engine, index, effort, metric)
        warn_of_unused(settings)
        self._build(None, descriptors, ids, cams, settings)

    def _build(self, system, descriptors, ids, cams, settings):
        """Set all attributes, from images or descriptors."""
        self._settings, self._system, origin = settings, system, known_origin(descriptors)
        descriptors = self._described("descriptors", descriptors)
        columns = {name: column(name, given, len(descriptors)) for name, given in (("ids", ids), ("cams", cams))}
        self._set(settings, system, origin, descriptors=descriptors, **columns)
        if settings["engine"] == "faiss":
            self._state.check_index(settings["index"], stacklevel=4)

    def _set(self, settings, system, origin, **columns):
        """Set all attributes, from checked values."""
        self._settings, self._system, self._lock = settings, system, Lock()
        self._origin = system.origin if system else origin
        self._state = State.of(**columns, measuring=measuring_of(settings["metric"], system and system.metric))

    @classmethod
    def from_estimator(
        cls, estimator, X, ids=None, cams=None, *, metric="euclidean", engine="exact", index=INDEX, effort=None
    ):
        """Build a gallery from a fitted system and images.

        The gallery keeps a copy of the system and takes images. It ranks as :func:`skreid.rank_gallery` does with that
        system: by the learned metric at its end, if there is one. `save` writes the system too.
        :func:`skreid.rank_gallery` and `kneighbors` of an estimator refuse a gallery of another system.

        Parameters
        ----------
        estimator : fitted transformer or Pipeline
            Such as `MultiDepthReID`, or a Pipeline that ends in `skreid.metric_learning.XQDA`.
        X : images, n_images of them
            In any form that the system takes. If it takes images, a float array (n_images, n_features) holds their
            descriptors.
        ids, cams : array-like of shape (n_images,), optional
            Identity and camera of each image. A learned metric that takes cameras, such as
            `skreid.metric_learning.CVDCA`, gets them.
        metric : {"euclidean", "cosine"}, default="euclidean"
            For a system without a learned metric.
        engine, index, effort : str, str, int or None
            As for the class. FAISS finds four candidates per neighbour for XQDA, CVDCA and their kernel versions, and
            the metric chooses among them; other metrics, such as ClusterFirst, are refused.

        Returns
        -------
        gallery : Gallery

        Raises
        ------
        ValueError
            If a metric is given for a system that has a learned one, FAISS cannot rank by it, descriptors have another
            width than those of the system, or as for the class.

        Warns
        -----
        UserWarning
            If the metric learned a projection for each camera, and no cameras are given.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.pipeline import make_pipeline
        >>> from sklearn.preprocessing import StandardScaler
        >>> from skreid.gallery import Gallery
        >>> from skreid.metric_learning import XQDA
        >>> rng = np.random.default_rng(0)
        >>> y = np.repeat(np.arange(30), 2)
        >>> X = rng.normal(size=(30, 4))[y] + rng.normal(size=(60, 4)) * [0.01, 0.01, 3, 3]
        >>> system = make_pipeline(StandardScaler(), XQDA()).fit(X[:40], y[:40])
        >>> gallery = Gallery.from_estimator(system, X[40::2], ids=y[40::2])
        >>> gallery.ids[gallery.kneighbors(X[41:46:2], n_neighbors=1)[1]].ravel()
        array([20, 21, 22])
        """
        settings, system = check_settings(engine, index, effort, metric), System(estimator)
        warn_of_unused(settings)
        if system.metric is not None and metric != "euclidean":
            raise ValueError(
                f"metric={metric!r} was given, but the system ranks by {system.origin.metric}: leave it out, or give "
                "the system without that step."
            )
        gallery = cls.__new__(cls)
        if cams is None:
            warn_without_cams(system.metric)
        gallery._build(system, X, ids, cams, settings)
        return gallery

    def add(self, descriptors, ids=None, cams=None):
        """Append images.

        Parameters
        ----------
        descriptors : ndarray of shape (n_new, n_features), or images
            As `transform` returns them. A gallery of a system takes images.
        ids, cams : array-like of shape (n_new,)
            Needed if, and only if, the gallery has them.

        Returns
        -------
        self : Gallery

        Raises
        ------
        ValueError
            If a value overflows the dtype of the gallery's descriptors, which new ones are cast to; or as for the
            constructor.
        """
        if self._system is None:
            check_origin(self._origin, known_origin(descriptors), "the new descriptors")
        origin, descriptors = known_origin(descriptors), self._described("the new descriptors", descriptors)
        with self._lock:
            state = self._state.plus(descriptors, ids=ids, cams=cams)
            if not len(self):
                if self._settings["engine"] == "faiss":
                    state.check_index(self._settings["index"], stacklevel=3)
                self._origin = self._origin or origin
            self._state = state
        return self

    def remove(self, indices):
        """Remove images.

        Parameters
        ----------
        indices : array-like of int, or of shape (n_images,) of bool
            Their indices, each once, or a mask such as ``gallery.ids == "ann"``.

        Returns
        -------
        self : Gallery

        Raises
        ------
        ValueError, IndexError
            If a mask has another length, or an index is there twice or out of bounds.
        """
        with self._lock:
            self._state = self._state.only(~rows_of(indices, len(self)))
        return self

    def kneighbors(self, probes, n_neighbors=5, return_distance=True, *, ids=None, cams=None, cams_probe=None):
        """Find the nearest images of each probe.

        Parameters
        ----------
        probes : array-like of shape (n_probes, n_features), or images
            Descriptors. A gallery of a system takes images.
        n_neighbors : int, default=5
            Length of each ranking.
        return_distance : bool, default=True
            Whether to return distances too.
        ids, cams : array-like of shape (n_probes,), optional
            Identities and cameras of the probes. With `cams` alone, images from the probe's own camera are left out of
            the search; with both, only those of them that also show the probe's own identity.
        cams_probe : array-like of shape (n_probes,), optional
            Cameras of the probes for a learned metric that takes them, where no image is to be left out; by default
            `cams`.

        Returns
        -------
        distances : ndarray of shape (n_probes, n_neighbors)
            Ascending, in float64; infinite where too few images are left. Only if `return_distance`. An empty gallery
            has rankings without an entry, of shape (n_probes, 0).
        indices : ndarray of shape (n_probes, n_neighbors), int64
            Indices of gallery images; equal distances in the gallery's order. Where too few images are left, not
            counting those at an infinite distance by a learned metric, an index larger than any: ``ids[indices]`` then
            raises an IndexError. ``numpy.isfinite(distances)`` says which are there.

        Raises
        ------
        ValueError
            If `n_neighbors` exceeds the size of a gallery, the gallery lacks the identities or cameras needed, a
            learned metric returns NaN or minus infinity, or the probes have another width or are known to be described
            by another system.

        Warns
        -----
        MeasureWarning
            If the gallery has no system, and its descriptors or the probes are known to come from one that ranks by a
            learned metric.
        """
        check_int(n_neighbors, "n_neighbors", "Gallery.kneighbors")  # before images are described
        query = self._query(probes, ids, cams, cams_probe)
        ranking = query.nearest(check_n_neighbors(n_neighbors, len(query.state.rows), "Gallery.kneighbors"))
        return ranking if return_distance else ranking[1]

    def _query(self, probes, ids=None, cams=None, cams_probe=None):
        """Return the probes, described and checked, in front of the gallery as it is now."""
        state, origin = self._state, known_origin(probes)
        if self._system is None:
            check_origin(self._origin, origin, "the probes")
            warn_of_metric(self._origin, origin, state.measuring.name)
        return Query(state, self._settings, self._described("the probes", probes), ids, cams, cams_probe)

    def check_system(self, estimator):
        """Refuse an estimator that describes, or ranks, in another way than this gallery, as far as that is known.

        Parameters
        ----------
        estimator : fitted transformer or Pipeline
            It raises a ValueError if it is another.
        """
        refuse_other_system(self._system, self._origin, self._state.measuring.name, estimator)

    def _described(self, name, X):
        """Return descriptors that can be measured; a system describes images."""
        if self._system is None:
            refuse_images(X, name)
        else:
            X = self._system.describe(X, name)
        n_features = 0 if name == "descriptors" else self.shape[1]
        return check_descriptors(name, X, np.float32 if self._settings["engine"] == "faiss" else np.float64, n_features)
