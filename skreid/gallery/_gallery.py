"""The Gallery: each change replaces its immutable state, and each search reads one state from start to end.

So a search in one thread never sees half of a change made by another, and never waits for it.
"""

from threading import Lock

import numpy as np

from skreid._base.arrays import as_array
from skreid._search.distances import check_range
from skreid._search.nearest import check_n_neighbors, nearest_rows, sorted_neighbors
from skreid.gallery._faiss import empty_index, import_faiss, read_index, search_index
from skreid.gallery._files import check_settings, open_gallery, save_gallery
from skreid.gallery._state import COLUMNS, State, column


class Gallery:
    """Descriptors of known images, searched by Euclidean distance.

    Parameters
    ----------
    descriptors : ndarray of shape (n_images, n_features)
        As `transform` returns them, of any float type. A memory-mapped array is read one tile at a time and never
        copied whole.
    ids : array-like of shape (n_images,), optional
        Identity of each image, numbers or strings.
    cams : array-like of shape (n_images,), optional
        Camera of each image.
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

    Raises
    ------
    ValueError
        If descriptors are not finite, or so large that their squared distances overflow (float64, or float32 with
        FAISS), or if a parameter has a value not listed here.

    See Also
    --------
    skreid.rank_gallery : Takes a Gallery in place of gallery images.

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

    def __init__(self, descriptors, ids=None, cams=None, *, engine="exact", index="HNSW32", effort=None):
        self._settings = check_settings(engine, index, effort)
        self._lock = Lock()
        descriptors = self._checked("descriptors", descriptors)
        if engine == "faiss":
            empty_index(index, *descriptors.shape)
        n_images = len(descriptors)
        self._state = State.of(descriptors, column("ids", ids, n_images), column("cams", cams, n_images))

    @classmethod
    def open(cls, folder):
        """Open a gallery that `save` wrote, its descriptors memory-mapped.

        Parameters
        ----------
        folder : path-like

        Returns
        -------
        gallery : Gallery

        Raises
        ------
        FileNotFoundError, ValueError
            If there is no gallery, or a damaged one.
        """
        columns, settings, others = open_gallery(folder)
        gallery = cls.__new__(cls)
        gallery._settings, gallery._lock = settings, Lock()
        state = {name: np.array(columns[name]) for name in COLUMNS if name in columns}
        if settings["engine"] == "faiss":
            shape = columns["descriptors"].shape
            try:
                empty_index(settings["index"], *shape)
                if "faiss" in others:
                    state["index"] = read_index(others["faiss"], shape)
            except ValueError as error:
                raise ValueError(f"The gallery in '{folder}' is damaged: {error}") from error
        gallery._state = State.of(columns["descriptors"], **state)
        return gallery

    def save(self, folder):
        """Write the gallery into a folder, in bounded memory; a gallery that was there is replaced in one step.

        Parameters
        ----------
        folder : path-like
            Created if it does not exist.

        Returns
        -------
        self : Gallery

        Notes
        -----
        If several processes save at the same time, the last one wins and removes the files of the others. A save that
        is killed leaves the previous gallery intact, along with files that ``gallery.json`` does not name.
        Simultaneous saves may leave such files too, on Windows and on file systems that cannot lock a folder.
        """
        state, extra = self._state, {}
        if self._settings["engine"] == "faiss":
            index = state.searchable_index(self._settings["index"])
            extra["faiss"] = lambda path: import_faiss().write_index(index, path)
        columns = {"descriptors": state.rows, "ids": state.ids, "cams": state.cams}
        save_gallery(folder, columns, self._settings, extra)
        return self

    def add(self, descriptors, ids=None, cams=None):
        """Append images.

        Parameters
        ----------
        descriptors : ndarray of shape (n_new, n_features)
            As `transform` returns them.
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
        descriptors = self._checked("the new descriptors", descriptors)
        if descriptors.shape[1] != self.shape[1]:
            raise ValueError(
                f"The gallery's descriptors have {self.shape[1]} features, the new ones {descriptors.shape[1]}: "
                "descriptors must come from the same fitted estimator."
            )
        with self._lock:
            self._state = self._state.plus(descriptors, ids=ids, cams=cams)
        return self

    def remove(self, indices):
        """Remove images.

        Parameters
        ----------
        indices : ndarray of int, or ndarray of shape (n_images,) of bool
            Their indices, or a mask such as ``gallery.ids == "ann"``.

        Returns
        -------
        self : Gallery
        """
        with self._lock:
            kept = np.ones(len(self), dtype=bool)
            kept[np.asarray(indices) if np.size(indices) else []] = False
            self._state = self._state.only(kept)
        return self

    def kneighbors(self, probes, n_neighbors=5, return_distance=True, *, ids=None, cams=None):
        """Find the nearest images of each probe.

        Parameters
        ----------
        probes : array-like of shape (n_probes, n_features)
            Descriptors.
        n_neighbors : int, default=5
            Length of each ranking.
        return_distance : bool, default=True
            Whether to return distances too.
        ids, cams : array-like of shape (n_probes,), optional
            Identities and cameras of the probes. With `cams` alone, images from the probe's own camera are left out of
            the search; with both, only those of them that also show the probe's own identity.

        Returns
        -------
        distances : ndarray of shape (n_probes, n_neighbors)
            Euclidean, ascending, in float64; infinite where too few images are left. Only if `return_distance`.
        indices : ndarray of shape (n_probes, n_neighbors), int64
            Indices of gallery images; equal distances in the gallery's order. Where too few images are left, an index
            larger than any: ``ids[indices]`` then raises an IndexError. ``numpy.isfinite(distances)`` says which are
            there.

        Raises
        ------
        ValueError
            If `n_neighbors` exceeds the size of the gallery, or the gallery lacks the identities or cameras needed.
        """
        state = self._state
        probes = self._checked("probes", probes)
        if probes.shape[1] != state.rows.shape[1]:
            raise ValueError(
                f"The probes have {probes.shape[1]} features and the gallery has {state.rows.shape[1]}: descriptors "
                "must come from the same fitted estimator."
            )
        n_neighbors = check_n_neighbors(n_neighbors, len(state.rows), "Gallery.kneighbors")
        probe_keys, row_keys = state.keys(ids, cams, len(probes))
        if self._settings["engine"] == "exact":
            ranking = nearest_rows(state.measure(), probes, n_neighbors, probe_keys=probe_keys, row_keys=row_keys)
        else:
            index = state.searchable_index(self._settings["index"])
            probe, row = search_index(index, probes, n_neighbors, self._settings["effort"], probe_keys, row_keys)
            distances = state.measure().block(probes).exact(probe, row)
            ranking = sorted_neighbors(probe, distances, row, (len(probes), n_neighbors))
        return ranking if return_distance else ranking[1]

    def _checked(self, name, descriptors):
        """Return descriptors as a two-dimensional array of floats that can be measured."""
        descriptors = as_array(descriptors, name)
        if descriptors.dtype.kind in "iub":
            descriptors = descriptors.astype(np.float64)
        if descriptors.ndim != 2 or descriptors.dtype.kind != "f" or 0 in descriptors.shape:
            raise ValueError(
                "Descriptors must be an array of floats of shape (n_images, n_features), as transform returns it. Got "
                f"dtype {descriptors.dtype} and shape {descriptors.shape} instead."
            )
        check_range(name, descriptors, np.float32 if self._settings["engine"] == "faiss" else np.float64)
        return descriptors

    @property
    def descriptors(self):
        """The descriptors of all images, read on demand."""
        return self._state.rows

    @property
    def ids(self):
        """The identities of all images, or None."""
        return self._state.ids

    @property
    def cams(self):
        """The cameras of all images, or None."""
        return self._state.cams

    @property
    def shape(self):
        """Number of images and of features."""
        return self._state.rows.shape

    def __len__(self):
        return len(self._state.rows)

    def __repr__(self):
        return f"Gallery(n_images={len(self)}, n_features={self.shape[1]}, engine={self._settings['engine']!r})"

    def __getstate__(self):
        state = self._state
        plain = {"descriptors": np.asarray(state.rows), "ids": state.ids, "cams": state.cams}
        return {"settings": self._settings, "columns": plain}

    def __setstate__(self, pickled):
        self._settings, self._lock = pickled["settings"], Lock()
        self._state = State.of(**pickled["columns"])
