"""Who is this? Names for probes, nobody beyond a threshold, and that threshold from images of strangers.

A ranking always names somebody; these answers do not.
"""

from dataclasses import dataclass
from numbers import Real

import numpy as np

from skreid._base.checks import check_int, check_share
from skreid._base.docs import named_alone
from skreid._base.labels import factorize
from skreid._base.rates import threshold_of, warn_if_too_fine
from skreid._search.nearest import is_row
from skreid.gallery._identities import nearest_identities
from skreid.gallery._state import column

SHOWN = 10  # probes that are printed
JUST_BELOW = np.finfo(np.float32).tiny  # a threshold is below 0 by less, if a stranger at distance 0 may not be named


@dataclass(frozen=True, eq=False, repr=False)
class Identification:
    """Who is on each probe, as :meth:`Gallery.identify` returns it; ``print`` shows the first probes.

    Attributes
    ----------
    identities : ndarray of shape (n_probes, n_neighbors), object
        Nearest first; None beyond the threshold, and where too few identities are left, as in an empty gallery.
    distances : ndarray of shape (n_probes, n_neighbors)
        Ascending, also beyond the threshold; infinite where too few identities are left.
    indices : ndarray of shape (n_probes, n_neighbors), int64
        The nearest image of each identity, as in :meth:`Gallery.kneighbors`.
    threshold : float or None
        The largest distance at which somebody is named; None if there is no such limit.

    Examples
    --------
    >>> from skreid.gallery import Gallery
    >>> gallery = Gallery([[0.0], [1.0], [5.0]], ids=["ann", "ann", "bo"])
    >>> answer = gallery.identify([[0.9], [3.1]], threshold=1.5, n_neighbors=2)
    >>> answer
    Identification(n_probes=2, n_neighbors=2, threshold=1.5)
      0  ann 0.1
      1  nobody, the nearest is at 1.9
    >>> answer.best
    array(['ann', None], dtype=object)
    """

    identities: np.ndarray
    distances: np.ndarray
    indices: np.ndarray
    threshold: float | None

    @property
    def best(self):
        """The nearest identity of each probe, None for nobody; ndarray of shape (n_probes,), object."""
        return self.identities[:, 0]

    def __len__(self):
        return len(self.identities)

    def __repr__(self):
        n_probes, n_neighbors = self.identities.shape
        threshold = None if self.threshold is None else float(f"{self.threshold:.4g}")
        lines = [f"Identification(n_probes={n_probes}, n_neighbors={n_neighbors}, threshold={threshold})"]
        for i, (row, distances) in enumerate(zip(self.identities[:SHOWN], self.distances, strict=False)):
            named = [f"{who} {distance:.4g}" for who, distance in zip(row, distances, strict=True) if who is not None]
            nearest = f"the nearest is at {distances[0]:.4g}" if np.isfinite(distances[0]) else "no image is left"
            lines.append(f"{i:3}  {', '.join(named) or f'nobody, {nearest}'}")
        if n_probes > SHOWN:
            lines.append(f"  ... and {n_probes - SHOWN:,} more")
        return "\n".join(lines)


@named_alone
class Identifying:
    """What a Gallery answers beyond nearest images; it makes a `Query` by its method `_query`."""

    def identify(
        self, probes, *, threshold=None, n_neighbors=1, n_images=1, ids=None, cams=None, cams_probe=None
    ):  # fmt: skip
        """Name the people on probes: the nearest identities, and nobody beyond a threshold.

        Parameters
        ----------
        probes : array-like of shape (n_probes, n_features), or images
            Descriptors. A gallery of a system takes images.
        threshold : float, default=None
            Largest distance at which somebody is named, in units of the gallery's distance; :meth:`threshold` computes
            one. It may be negative for a learned metric only. None names somebody for every probe.
        n_neighbors : int, default=1
            Number of identities for each probe, at most as many as the gallery has. An empty gallery names nobody.
        n_images : int, default=1
            The distance of an identity is the mean distance of its `n_images` nearest images, or of all that the probe
            may see if they are fewer. 1 is the distance of the nearest image.
        ids, cams, cams_probe : array-like of shape (n_probes,), optional
            Known identities and cameras of the probes, as in :meth:`kneighbors`: with `cams` alone, no image of the
            probe's own camera counts.

        Returns
        -------
        identification : Identification
            Identities, distances, and in `best` one identity or None for each probe. Identities at equal distances come
            in the order of their nearest images, and these in the gallery's order.

        Raises
        ------
        ValueError
            If the gallery has no identities or fewer than `n_neighbors`, no distance can be as small as `threshold`,
            or as in :meth:`kneighbors`.

        Warns
        -----
        MeasureWarning
            As in :meth:`kneighbors`.

        Notes
        -----
        Exact: further images are searched until `n_neighbors` identities are found, however many images one identity
        has. With FAISS the search is approximate, so an identity may be missed, or take its distance from another of
        its images; an index of cells may find fewer identities than asked for.

        Examples
        --------
        >>> from skreid.gallery import Gallery
        >>> gallery = Gallery([[0.0], [1.0], [5.0]], ids=["ann", "ann", "bo"])
        >>> threshold = gallery.threshold([[7.0], [9.0], [-3.0]], far=0.34)  # one of these three strangers may be named
        >>> gallery.identify([[0.9], [9.5]], threshold=threshold).best
        array(['ann', None], dtype=object)
        """
        owner = "Gallery.identify"
        threshold = _checked_threshold(threshold, owner, self._state.measuring)
        check_int(n_neighbors, "n_neighbors", owner)
        check_int(n_images, "n_images", owner)
        self._check_ids(owner)
        query = self._query(probes, ids, cams, cams_probe)
        n_known = len(query.state.codes("ids")[0])
        if n_neighbors > n_known > 0:
            raise ValueError(
                f"The 'n_neighbors' parameter of {owner} must be at most {n_known}, the number of identities in the "
                f"gallery. Got {n_neighbors} instead."
            )
        distances, indices = nearest_identities(query, n_neighbors, n_images)
        is_named = is_row(indices) if threshold is None else is_row(indices) & (distances <= threshold)
        names = query.state.ids[indices[is_named]].tolist()
        identities = np.full(distances.shape, None, dtype=object)
        identities[is_named] = np.fromiter(names, dtype=object, count=len(names))
        return Identification(identities, distances, indices, threshold)

    def threshold(self, probes, y=None, *, far=0.01, n_images=1, cams=None, cams_probe=None):
        """Compute the threshold at which :meth:`identify` names at most a share of strangers.

        Parameters
        ----------
        probes : array-like of shape (n_probes, n_features), or images
            As :meth:`identify` takes them.
        y : array-like of shape (n_probes,), optional
            Identities of the probes. Only strangers, whose identity is not in the gallery, count. None means that all
            probes show strangers.
        far : float, default=0.01
            The allowed false-alarm rate, the share of strangers who are named, in [0, 1].
        n_images, cams, cams_probe : various
            As for :meth:`identify`: give both the same.

        Returns
        -------
        threshold : float
            Halfway between the distance of the last stranger who is named and that of the next one, so that an image
            described again, with other rounding, stays on its side. Infinite if `far` allows every stranger.

        Raises
        ------
        ValueError
            If there is no stranger, the gallery is empty or has no identities, or as in :meth:`kneighbors`.

        Warns
        -----
        UserWarning
            If `far` is below 1 / n_strangers, for n_strangers probes of strangers: finer than they resolve. The
            threshold is then 0.01 % below the smallest of their distances, as for a rate of 0.

        See Also
        --------
        skreid.metrics.open_set_curve : Both error rates at every threshold; takes :meth:`distance_blocks`.

        Notes
        -----
        The threshold belongs to this gallery: strangers come nearer to a larger one.

        Examples
        --------
        >>> from skreid.gallery import Gallery
        >>> gallery = Gallery([[0.0], [1.0], [5.0]], ids=["ann", "ann", "bo"])
        >>> threshold = gallery.threshold([[0.9], [7.0], [9.0]], ["ann", "cy", "dee"], far=0.5)
        >>> 2.0 <= threshold < 4.0
        True
        """
        owner = "Gallery.threshold"
        check_share(far, "far", owner)
        check_int(n_images, "n_images", owner)
        self._check_ids(owner)
        query = self._query(probes, None, cams, cams_probe)
        if not len(query.state.rows):
            raise ValueError(f"{owner} needs people in the gallery, and it is empty: add them first.")
        distances = nearest_identities(query, 1, n_images)[0][:, 0]
        if y is not None:
            named = {"y": column("y", y, len(query)), "the gallery's ids": query.state.ids}
            (codes, known), _ = factorize(**named)
            distances = distances[~np.isin(codes, known)]
        if not len(distances):
            raise ValueError(
                "No probe shows a stranger: give images of people who are not in the gallery. Without them, set the "
                "threshold from pairs of images, with skreid.metrics.threshold_at_fmr."
            )
        warn_if_too_fine(far, len(distances), owner, "far", "probes of strangers")
        return threshold_of(distances, far)

    def distance_blocks(self, probes, *, cams_probe=None):
        """Return the distances of probes to all images of the gallery, as the functions of `skreid.metrics` take them.

        Parameters
        ----------
        probes : array-like of shape (n_probes, n_features), or images
            As :meth:`kneighbors` takes them.
        cams_probe : array-like of shape (n_probes,), optional
            Cameras of the probes, for a learned metric that takes them.

        Returns
        -------
        distances : callable
            ``distances(start, stop)`` has shape (stop - start, n_images). It measures as the gallery does, without
            FAISS, to rounding; changes of the gallery do not change it.

        Raises
        ------
        ValueError
            As in :meth:`kneighbors`.

        Examples
        --------
        >>> from skreid.gallery import Gallery
        >>> from skreid.metrics import open_set_curve
        >>> gallery = Gallery([[0.0], [1.0], [5.0]], ids=["ann", "ann", "bo"])
        >>> distances = gallery.distance_blocks([[0.9], [7.0]])
        >>> open_set_curve(["ann", "cy"], gallery.ids, distances).dir_at_far(1.0)
        1.0
        """
        return self._query(probes, cams_probe=cams_probe).blocks()

    def _check_ids(self, owner):
        if self.ids is None:
            raise ValueError(
                f"{owner} needs identities, and the gallery has no ids: give them when it is built, as in "
                "Gallery(descriptors, ids=...)."
            )


def _checked_threshold(threshold, owner, measuring):
    """Return a threshold as a float, or None; refuse anything else, and one below all distances of a gallery."""
    if threshold is None:
        return None
    if not isinstance(threshold, Real) or isinstance(threshold, (bool, np.bool_)) or np.isnan(threshold):
        raise ValueError(f"The 'threshold' parameter of {owner} must be a float or None. Got {threshold!r} instead.")
    if threshold < measuring.smallest - JUST_BELOW:
        raise ValueError(
            f"The 'threshold' parameter of {owner} must be a float in the range [{measuring.smallest}, inf) or None "
            f"for {measuring.name} distance, which is never smaller. Got {threshold!r} instead."
        )
    return float(threshold)
