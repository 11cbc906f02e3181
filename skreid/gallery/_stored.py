"""A Gallery in and out of a folder, and of a pickle; both hold its descriptors, labels, settings and system."""

import numpy as np

from skreid._base.docs import named_alone
from skreid._search.system import check_width, width_of
from skreid.gallery._faiss import empty_index, import_faiss, read_index
from skreid.gallery._files import check_settings, open_gallery, save_gallery
from skreid.gallery._state import COLUMNS
from skreid.gallery._system import System
from skreid.persistence import load, write_archive


@named_alone
class Stored:
    """What stores a Gallery and restores it; the Gallery sets all attributes by its method `_set`."""

    @classmethod
    def open(cls, folder, *, trusted=()):
        """Open a gallery that `save` wrote, its descriptors memory-mapped.

        Parameters
        ----------
        folder : path-like
        trusted : sequence of str, default=()
            Classes and functions to trust in the file of its system, as for :func:`skreid.persistence.load`.

        Returns
        -------
        gallery : Gallery

        Raises
        ------
        FileNotFoundError, ValueError
            If there is no gallery, or a damaged one, or its system has types that are not trusted.
        """
        columns, settings, others, origin = open_gallery(folder)
        gallery = cls.__new__(cls)
        system = System(load(others["system"], trusted=trusted), copied=False) if "system" in others else None
        labels = {name: np.array(columns[name]) for name in COLUMNS if name in columns}
        gallery._set(settings, system, origin, descriptors=columns["descriptors"], **labels)
        try:
            if system is not None:
                width = gallery.shape[1]
                check_width("its descriptors", width, "those of its system", width_of(system.estimator) or width)
            if settings["engine"] == "faiss" and len(gallery):
                shape = len(gallery), gallery._state.embedding().n_features
                empty_index(settings["index"], *shape)
                if "faiss" in others:
                    gallery._state.set_index(read_index(others["faiss"], shape))
        except ValueError as error:
            raise ValueError(f"The gallery in '{folder}' is damaged: {error}") from error
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

        Raises
        ------
        ImportError
            If the gallery has a system, and skops, which writes it without code, is not installed.

        Warns
        -----
        UserWarning
            If the system holds types that :meth:`open` will load only with `trusted`, as in
            :func:`skreid.persistence.dump`.

        Notes
        -----
        If several processes save at the same time, the last one wins and removes the files of the others. A save that
        is killed leaves the previous gallery intact, along with files that ``gallery.json`` does not name.
        Simultaneous saves may leave such files too, on Windows and on file systems that cannot lock a folder.
        """
        state, extra = self._state, {}
        if self._settings["engine"] == "faiss" and len(state.rows):
            index = state.searchable_index(self._settings["index"])
            extra["faiss"] = lambda path: import_faiss().write_index(index, path)
        columns = {"descriptors": state.rows, "ids": state.ids, "cams": state.cams}
        if self._system is not None:
            extra["system"] = lambda path: write_archive(
                self._system.estimator, path, reader="Gallery.open", stacklevel=5
            )
        save_gallery(folder, columns, self._settings, extra, None if self._system is not None else self._origin)
        return self

    def __getstate__(self):
        state = self._state
        plain = {"descriptors": np.asarray(state.rows), "ids": state.ids, "cams": state.cams}
        return {"settings": self._settings, "columns": plain, "system": self.estimator, "origin": self._origin}

    def __setstate__(self, pickled):
        estimator = pickled.get("system")  # a gallery pickled by an earlier version has none
        system = None if estimator is None else System(estimator, copied=False)
        self._set(check_settings(**pickled["settings"]), system, pickled.get("origin"), **pickled["columns"])
