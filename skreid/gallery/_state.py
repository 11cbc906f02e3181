"""The immutable state of a gallery between two changes: its rows, its columns, and what is derived from them.

A change makes a new state. What a search needs is built once per state, on first use.
"""

from threading import Lock

import numpy as np

from skreid._base.arrays import as_array
from skreid._base.kinds import check_same_kind
from skreid._base.labels import encode, joined, positions
from skreid._search.distances import check_range
from skreid._search.nearest import nearest_rows, no_ranking, sorted_neighbors, without_infinite
from skreid._search.system import check_width
from skreid.gallery._faiss import build_index, empty_index, import_faiss, search_index, warn_of_few_rows
from skreid.gallery._measuring import Euclidean
from skreid.gallery._rows import Rows

COLUMNS = ("ids", "cams")


class State:
    """Descriptors, identities and cameras of all images; none of them is ever changed.

    Parameters
    ----------
    rows : Rows of shape (n_images, n_features)
    ids, cams : ndarray of shape (n_images,) or None
    index : object, optional
        The approximate index, if it exists already.
    measuring : object, optional
        How distances are measured, one of `skreid.gallery._measuring`; Euclidean by default.
    """

    def __init__(self, rows, ids=None, cams=None, index=None, measuring=None):
        self.rows, self.ids, self.cams = rows, ids, cams
        self.measuring = Euclidean() if measuring is None else measuring
        self._index, self._measure, self._embedding, self._codes, self._lock = index, None, None, {}, Lock()

    @classmethod
    def of(cls, descriptors, ids=None, cams=None, index=None, measuring=None):
        """Return the state of one array of descriptors."""
        return cls(Rows([(descriptors, None)]), ids, cams, index, measuring)

    def plus(self, descriptors, **given):
        """Return the state with further images, whose identities and cameras are given if this one has them."""
        if not len(descriptors):
            return self
        columns = {}
        for name in COLUMNS:
            ours, new = getattr(self, name), given[name]
            if (ours is None) != (new is None):
                has, what = ("has", f"no {name}") if new is None else ("has no", name)
                raise ValueError(f"The gallery {has} {name}, but add was given {what}.")
            if ours is not None:
                new = column(name, new, len(descriptors))
                check_same_kind(**{f"the gallery's {name}": ours, f"the new {name}": new})
                columns[name] = joined(ours, new)
        if not self.rows.shape[1]:  # empty, and of no width yet
            return State.of(descriptors, measuring=self.measuring, **columns)
        check_width("the new descriptors", descriptors.shape[1], "those of the gallery", self.rows.shape[1])
        return State(self.rows.plus(_cast(descriptors, self.rows.dtype)), measuring=self.measuring, **columns)

    def only(self, kept):
        """Return the state of the images where `kept`, an ndarray of bool, is true."""
        ids, cams = (None if values is None else values[kept] for values in (self.ids, self.cams))
        return State(self.rows.only(kept), ids, cams, measuring=self.measuring)

    def measure(self):
        """Return the measure of distances to the rows, built once."""
        if self._measure is None:
            self._measure = self.measuring.measure(self.rows, self.cams)
        return self._measure

    def embedding(self):
        """Return what makes vectors for the approximate index, built once."""
        if self._embedding is None:
            self._embedding = self.measuring.embedding(self.rows, self.cams)
        return self._embedding

    def check_index(self, factory, stacklevel):
        """Refuse an approximate index that the rows cannot fill, and warn of a poor one; of no rows, look for FAISS."""
        import_faiss()
        if len(self.rows):
            empty_index(factory, len(self.rows), self.embedding().n_features)
            warn_of_few_rows(factory, len(self.rows), stacklevel)

    def searchable_index(self, factory):
        """Return the approximate index, built once."""
        with self._lock:
            if self._index is None:
                self._index = build_index(self.embedding().rows(), factory)
            return self._index

    def set_index(self, index):
        """Set the approximate index, read from a file."""
        self._index = index

    def cams_for_metric(self, cams, cams_probe, n_probes):
        """Return the cameras of probes for a metric that takes them; None for any other."""
        takes_cams = getattr(self.measuring, "takes_cams", False)
        if cams_probe is not None and not takes_cams:
            raise ValueError(
                f"cams_probe was given, but {self.measuring.name} distance takes no cameras: leave it out, or give "
                "cams to leave out images from the probe's own camera."
            )
        if not takes_cams:
            return None
        cams = cams if cams_probe is None else cams_probe
        if cams is None and self.cams is not None:
            raise ValueError(
                f"This gallery holds the cameras of its images, so {self.measuring.name} distance needs those of the "
                "probes too: pass cams_probe."
            )
        if cams is not None and self.cams is None:
            raise ValueError(
                "cams_probe was given, but this gallery does not hold the cameras of its images: build it with cams, "
                "or leave cams_probe out."
            )
        return column("cams_probe", cams, n_probes)

    def nearest(self, probes, n_neighbors, settings, cams=None, keys=(None, None)):
        """Return distances and rows of the nearest rows of each probe.

        Parameters
        ----------
        probes : ndarray of shape (n_probes, n_features)
        n_neighbors : int
        settings : dict
            Engine, index and effort.
        cams : ndarray of shape (n_probes,), optional
            Cameras, for a metric that takes them.
        keys : pair
            What `keys` returned.
        """
        if not len(probes) or not len(self.rows):
            return no_ranking(len(probes), n_neighbors)
        measuring, measure = self.measuring, self.measure()
        if settings["engine"] == "exact":
            prepared = measuring.prepared(probes)
            distances, rows = nearest_rows(
                measure, prepared, n_neighbors, cams=cams, probe_keys=keys[0], row_keys=keys[1]
            )
            return measuring.final(distances), rows
        index = self.searchable_index(settings["index"])
        n_candidates = min(measuring.more * n_neighbors, len(self.rows))
        vectors = self.embedding().probes(probes, cams)
        probe, row = search_index(index, vectors, n_candidates, settings["effort"], *keys)
        distances, rows = sorted_neighbors(
            probe, measuring.exact(measure, probes, cams, probe, row), row, (len(probes), n_neighbors)
        )
        return measuring.final(distances), without_infinite(distances, rows)

    def ranked(self, probes, cams=None, keys=(None, None)):
        """Return distances and rows of all rows as `nearest` does, exactly; faster than a search for most of them."""
        measure, shape = self.measure(), (len(probes), len(self.rows))
        block = measure.block(self.measuring.prepared(probes), cams)
        if block.bounds_are_distances:
            distances = block.bounds(slice(None))[:, measure.group]
        else:
            distances = block.exact(*np.divmod(np.arange(shape[0] * shape[1]), shape[1])).reshape(shape)
        if keys[0] is not None:
            distances[keys[0][:, None] == keys[1]] = np.inf
        rows = np.argsort(distances, axis=1, kind="stable")
        distances = np.take_along_axis(distances, rows, axis=1)
        return self.measuring.final(distances), without_infinite(distances, rows)

    def codes(self, name):
        """Return the sorted distinct values of a column, and the place of each image's value among them."""
        if name not in self._codes:
            self._codes[name] = np.unique(getattr(self, name), return_inverse=True)
        return self._codes[name]

    def keys(self, ids, cams, n_probes):
        """Return a key per probe and a key per row, equal where the row is hidden from the probe; None if none is."""
        if ids is None and cams is None:
            return None, None
        if cams is None:
            raise ValueError("ids without cams leave no image out: give the cameras of the probes as well.")
        given = {"cams": cams} if ids is None else {"cams": cams, "ids": ids}
        probe_keys, row_keys = 0, 0
        for name, values in given.items():
            ours = getattr(self, name)
            if ours is None:
                raise ValueError(f"The gallery has no {name}: give them when it is built.")
            values = column(name, values, n_probes)
            check_same_kind(**{f"the gallery's {name}": ours, f"the probes' {name}": values})
            known, codes = self.codes(name)
            probe_keys = probe_keys * (len(known) + 1) + positions(values, known)
            row_keys = row_keys * (len(known) + 1) + codes
        return probe_keys, row_keys


def check_descriptors(name, X, dtype, n_features=0):
    """Return descriptors as an array of floats whose squared distances do not overflow a dtype.

    Parameters
    ----------
    name : str
        What they are called in messages.
    X : array-like of shape (n_images, n_features)
    dtype : dtype
    n_features : int, default=0
        Of the gallery; 0 if it has none yet.
    """
    descriptors = as_array(X, name)
    if descriptors.dtype.kind in "iub":
        descriptors = descriptors.astype(np.float64)
    if descriptors.ndim and not len(descriptors):
        width = descriptors.shape[1] if descriptors.ndim == 2 else 0
        return np.empty((0, n_features or width), descriptors.dtype)
    if descriptors.ndim != 2 or descriptors.dtype.kind != "f" or 0 in descriptors.shape:
        raise ValueError(
            "Descriptors must be an array of floats of shape (n_images, n_features), as transform returns it. Got "
            f"dtype {descriptors.dtype} and shape {descriptors.shape} instead."
        )
    if n_features:
        check_width(name, descriptors.shape[1], "those of the gallery", n_features)
    check_range(name, descriptors, dtype)
    return descriptors


def column(name, values, n_rows):
    """Return identities or cameras as an array, of NumPy's types where they keep every value; None without any."""
    if values is None:
        return None
    labels, codes = encode(values, name, n_rows)
    return labels[codes]


def _cast(descriptors, dtype):
    """Return descriptors in another dtype; refuse those that overflow it."""
    if descriptors.dtype == dtype:
        return descriptors
    with np.errstate(over="ignore"):
        cast = descriptors.astype(dtype)
    beyond = np.flatnonzero(~np.isfinite(cast).all(axis=1))
    if len(beyond):
        raise ValueError(
            f"The new descriptors hold {np.abs(descriptors[beyond[0]]).max():.3g} in row {beyond[0]}, which overflows "
            f"{dtype}, the dtype of the gallery: scale them, or build the gallery with a wider dtype."
        )
    return cast
