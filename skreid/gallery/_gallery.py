"""Gallery itself: immutable states that changes replace, and searches that read one state from start to end.

So a read in one thread never sees half of a change in another, and nothing waits.
"""

from threading import Lock

import numpy as np

from skreid._base.labels import check_same_kind, encode
from skreid._images.sequence import from_torch
from skreid._search.distances import check_range
from skreid._search.nearest import EuclideanMeasure, nearest_rows, sorted_neighbors
from skreid.gallery._faiss import build_index, empty_index, import_faiss, read_index, search_index
from skreid.gallery._files import check_settings, open_gallery, save_gallery
from skreid.gallery._rows import Rows


class Gallery:
    """Descriptors of known images, searched by Euclidean distance.

    Parameters
    ----------
    descriptors : ndarray of shape (n_images, n_features)
        As `transform` gave them, of any float type. A memory-mapped array is read a tile at a time and never copied
        whole.
    ids : array-like of shape (n_images,), optional
        Identity of each image, numbers or strings.
    cams : array-like of shape (n_images,), optional
        Camera of each image.
    engine : {"exact", "faiss"}, default="exact"
        "faiss" searches an approximate index held in memory (package faiss-cpu); the distances it returns are exact
        nevertheless.
    index : str, default="HNSW32"
        With FAISS, its factory string: "HNSW<links>", "IVF<cells>,Flat", "IVF<cells>,PQ<bytes>"... with at most as
        many cells as descriptors.
    effort : int or None, default=None
        With FAISS, candidates followed (HNSW) or cells looked into (IVF): more finds more and takes longer. None is
        64 candidates, or one in 32 of the cells and at least 8; beyond a few of a hundred cells, the exact search of
        many probes is faster.

    Attributes
    ----------
    descriptors : array of shape (n_images, n_features)
        Rows by slice or by index array; ``numpy.asarray`` reads them all.
    ids, cams : ndarray of shape (n_images,) or None

    Raises
    ------
    ValueError
        If descriptors are not finite, or so large that their squared distances overflow (float64, or float32 with
        FAISS); or a parameter is none that is described here.

    See Also
    --------
    skreid.rank_gallery : Takes a Gallery in place of gallery images.

    Notes
    -----
    Any number of threads may search while one changes the gallery: a search sees the gallery as it was when the search
    began. Images keep their order; after `remove`, later ones move up.

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
        columns = {name: _column(name, given, len(descriptors)) for name, given in (("ids", ids), ("cams", cams))}
        self._state = _State(Rows([(descriptors, None)]), **columns)

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
        names = {name: np.array(columns[name]) if name in columns else None for name in ("ids", "cams")}
        gallery._state = _State(Rows([(columns["descriptors"], None)]), **names)
        if settings["engine"] == "faiss":
            try:
                empty_index(settings["index"], *gallery.shape)
                if "faiss" in others:
                    gallery._state.index = read_index(others["faiss"], gallery.shape)
            except ValueError as error:
                raise ValueError(f"The gallery in '{folder}' is damaged: {error}") from error
        return gallery

    def save(self, folder):
        """Write the gallery into a folder, in bounded memory; a gallery that was there is replaced in one step.

        Parameters
        ----------
        folder : path-like
            Made if need be.

        Returns
        -------
        self : Gallery

        Notes
        -----
        Of several saves at a time the last one stays, and takes the others' files away. One that is killed leaves the
        gallery that was there, and files that ``gallery.json`` does not name; so may, on Windows and on disks that lock
        no folder, several at a time.
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
            As `transform` gave them.
        ids, cams : array-like of shape (n_new,)
            Needed if, and only if, the gallery has them.

        Returns
        -------
        self : Gallery

        Raises
        ------
        ValueError
            Among others, if a number overflows the dtype of the gallery's descriptors, which new ones are cast to.
        """
        descriptors = self._checked("the new descriptors", descriptors)
        with self._lock:
            state = self._state
            if descriptors.shape[1] != state.rows.shape[1]:
                raise ValueError(
                    f"The gallery's descriptors have {state.rows.shape[1]} features, the new ones "
                    f"{descriptors.shape[1]}: descriptors must come from the same fitted estimator."
                )
            columns = {}
            for name, given in (("ids", ids), ("cams", cams)):
                held = getattr(state, name)
                if (held is None) != (given is None):
                    has, gives = ("has", "no") if given is None else ("has no", "")
                    raise ValueError(f"The gallery {has} {name}, but add was given {gives} {name}.".replace("  ", " "))
                if held is not None:
                    new = _column(name, given, len(descriptors))
                    check_same_kind(**{f"the gallery's {name}": held, f"the new {name}": new})
                    columns[name] = np.concatenate([held, new])
            self._state = _State(state.rows.plus(_cast(descriptors, state.rows.dtype)), **columns)
        return self

    def remove(self, indices):
        """Take images out.

        Parameters
        ----------
        indices : ndarray of int, or ndarray of shape (n_images,) of bool
            Their places, such as ``gallery.ids == "ann"``.

        Returns
        -------
        self : Gallery
        """
        with self._lock:
            state = self._state
            kept = np.ones(len(state.rows), dtype=bool)
            kept[np.asarray(indices) if np.size(indices) else []] = False
            columns = {name: None if (held := getattr(state, name)) is None else held[kept] for name in ("ids", "cams")}
            self._state = _State(state.rows.only(kept), **columns)
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
            Identities and cameras of the probes. With `cams` alone, images of the probe's own camera are left out of
            the search; with both, those that also show the probe's own person.

        Returns
        -------
        distances : ndarray of shape (n_probes, n_neighbors)
            Euclidean, ascending, in float64; infinite where fewer images are found. Only if `return_distance`.
        indices : ndarray of shape (n_probes, n_neighbors), int64
            Places in the gallery; equal distances in the gallery's order; -1 where fewer images are found.

        Raises
        ------
        ValueError
            If `n_neighbors` exceeds the gallery, or identities or cameras are asked for that the gallery lacks.
        """
        state = self._state
        probes = self._checked("probes", probes)
        if probes.shape[1] != state.rows.shape[1]:
            raise ValueError(
                f"The probes have {probes.shape[1]} features and the gallery has {state.rows.shape[1]}: descriptors "
                "must come from the same fitted estimator."
            )
        if not 1 <= n_neighbors <= len(state.rows):
            raise ValueError(
                f"Expected 1 <= n_neighbors <= n_gallery, but n_neighbors = {n_neighbors}, n_gallery = "
                f"{len(state.rows)}."
            )
        probe_keys, row_keys = state.keys(ids, cams, len(probes))
        if self._settings["engine"] == "exact":
            found = nearest_rows(state.measure(), probes, n_neighbors, probe_keys=probe_keys, row_keys=row_keys)
        else:
            index = state.searchable_index(self._settings["index"])
            probe, row = search_index(index, probes, n_neighbors, self._settings["effort"], probe_keys, row_keys)
            distances = state.measure().block(probes).exact(probe, row)
            found = sorted_neighbors(probe, distances, row, (len(probes), n_neighbors))
        return found if return_distance else found[1]

    def _checked(self, name, descriptors):
        """Return descriptors as a two-dimensional array of floats that can be measured."""
        descriptors = from_torch(descriptors)
        descriptors = descriptors if isinstance(descriptors, np.ndarray) else np.asarray(descriptors)
        if descriptors.dtype.kind in "iub":
            descriptors = descriptors.astype(np.float64)
        if descriptors.ndim != 2 or descriptors.dtype.kind != "f" or 0 in descriptors.shape:
            raise ValueError(
                "Descriptors must be an array of floats of shape (n_images, n_features), as transform gives it. Got "
                f"dtype {descriptors.dtype} and shape {descriptors.shape} instead."
            )
        check_range(name, descriptors, np.float32 if self._settings["engine"] == "faiss" else np.float64)
        return descriptors

    @property
    def descriptors(self):
        """The descriptors of all images, read when asked for."""
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
        columns = pickled["columns"]
        self._state = _State(Rows([(columns["descriptors"], None)]), columns["ids"], columns["cams"])


class _State:
    """A gallery between two changes; what is derived from it is made once, on first use."""

    def __init__(self, rows, ids=None, cams=None):
        self.rows, self.ids, self.cams = rows, ids, cams
        self.index, self._measure, self._codes, self._lock = None, None, {}, Lock()

    def measure(self):
        """Return what measures distances to the rows."""
        if self._measure is None:
            self._measure = EuclideanMeasure(self.rows)
        return self._measure

    def searchable_index(self, factory):
        """Return the approximate index, built once."""
        with self._lock:
            if self.index is None:
                self.index = build_index(self.rows, factory)
            return self.index

    def keys(self, ids, cams, n_probes):
        """Return the keys of probes and of rows whose equality hides a row from a probe; None if none do."""
        if ids is None and cams is None:
            return None, None
        if cams is None:
            raise ValueError("ids leave nothing out without cams: give the cameras of the probes as well.")
        given = {"cams": cams} if ids is None else {"cams": cams, "ids": ids}
        probe_keys, row_keys = 0, 0
        for name, values in given.items():
            held = getattr(self, name)
            if held is None:
                raise ValueError(f"The gallery has no {name}: give them when it is built.")
            values = _column(name, values, n_probes)
            check_same_kind(**{f"the gallery's {name}": held, f"the probes' {name}": values})
            if name not in self._codes:
                self._codes[name] = np.unique(held, return_inverse=True)
            known, codes = self._codes[name]
            place = np.minimum(np.searchsorted(known, values), len(known) - 1)
            probe_keys = probe_keys * (len(known) + 1) + np.where(known[place] == values, place, len(known))
            row_keys = row_keys * (len(known) + 1) + codes
        return probe_keys, row_keys


def _cast(descriptors, dtype):
    """Return descriptors as a dtype that holds all of them."""
    if descriptors.dtype == dtype:
        return descriptors
    with np.errstate(over="ignore"):
        cast = descriptors.astype(dtype)
    beyond = np.flatnonzero(~np.isfinite(cast).all(axis=1))
    if len(beyond):
        raise ValueError(
            f"The new descriptors hold {np.abs(descriptors[beyond[0]]).max():.3g} in row {beyond[0]}, which overflows "
            f"{dtype}, the dtype of the gallery: scale them, or build the gallery of a wider dtype."
        )
    return cast


def _column(name, values, n_rows):
    """Return identities or cameras as an array of numbers or of fixed-width strings."""
    if values is None:
        return None
    names, codes = encode(values, name, n_rows)
    return np.asarray(names.tolist() if names.dtype == object else names)[codes]
