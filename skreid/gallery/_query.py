"""Checked probes in front of one state of a gallery; all that a search needs, however often it is asked."""

import numpy as np

from skreid._search.distances import DistanceBlocks
from skreid._search.measures import probes_numbered


class Query:
    """Probes, and what each of them may see.

    Parameters
    ----------
    state : State
    settings : dict
        Engine, index and effort.
    probes : ndarray of shape (n_probes, n_features)
        Finite descriptors.
    ids, cams, cams_probe : array-like of shape (n_probes,) or None
        As `Gallery.kneighbors` takes them.
    """

    def __init__(self, state, settings, probes, ids=None, cams=None, cams_probe=None):
        self.state, self.probes, self._settings = state, probes, settings
        self.keys = state.keys(ids, cams, len(probes))
        self._cams, self._hidden = state.cams_for_metric(cams, cams_probe, len(probes)), None

    def __len__(self):
        return len(self.probes)

    def nearest(self, n_neighbors, part=slice(None)):
        """Return distances and rows of the nearest rows of each probe, or of each one in a part of them."""
        with probes_numbered(np.arange(len(self))[part]):
            return self.state.nearest(self.probes[part], n_neighbors, self._settings, *self._seen(part))

    def ranked(self, part):
        """Return distances and rows of all rows, nearest first, for each probe in a part of them."""
        with probes_numbered(np.arange(len(self))[part]):
            return self.state.ranked(self.probes[part], *self._seen(part))

    def _seen(self, part):
        """Return the cameras of a part of the probes, if the metric takes them, and what is hidden from them."""
        keys = (None, None) if self.keys[0] is None else (self.keys[0][part], self.keys[1])
        return None if self._cams is None else self._cams[part], keys

    def n_visible(self, probe, code):
        """Return how many images of an identity a probe may see.

        Parameters
        ----------
        probe : ndarray of shape (n,), int
            Indices of probes.
        code : ndarray of shape (n,), int
            Places of the identities among the distinct ones of the gallery.
        """
        known, codes = self.state.codes("ids")
        n_images = np.bincount(codes)[code]
        if self.keys[0] is None:
            return n_images
        probe_keys, row_keys = self.keys
        if self._hidden is None:
            self._hidden = np.unique(row_keys * len(known) + codes, return_counts=True)
        hidden, counts = self._hidden
        wanted = probe_keys[probe] * len(known) + code
        place = np.minimum(np.searchsorted(hidden, wanted), len(hidden) - 1)
        return n_images - np.where(hidden[place] == wanted, counts[place], 0)

    def blocks(self):
        """Return a callable of distances to all rows, as the functions of `skreid.metrics` take it."""
        measuring = self.state.measuring
        if not len(self.state.rows):
            return lambda start, stop: np.empty((len(self.probes[start:stop]), 0))
        if measuring.metric is None:
            return DistanceBlocks(self.probes, self.state.rows, measuring.name, np.float64)
        measure = self.state.measure()

        def distances(start, stop):
            if stop <= start:  # which a metric may refuse
                return np.empty((0, len(measure.group)))
            cams = None if self._cams is None else self._cams[start:stop]
            with probes_numbered(range(start, stop)):
                return measure.block(self.probes[start:stop], cams).bounds(slice(None))[:, measure.group]

        return distances
