"""Open-set identification: naming people who are in the gallery, and nobody where a stranger is shown.

A ranking always names somebody, so its figures leave strangers out; here they are what a threshold is for.
"""

from dataclasses import dataclass, field

import numpy as np

from skreid._base.checks import check_int, check_share
from skreid._base.rates import threshold_of, warn_if_too_fine
from skreid.metrics._counting import count_within, extremes
from skreid.metrics._docs import fill
from skreid.metrics._figures import count_probes
from skreid.metrics._problem import Problem

STRANGERS = "probes of strangers"


@dataclass(frozen=True, eq=False)
class OpenSetCurve:
    """Identification rate of enrolled people and false-alarm rate of strangers, over all thresholds.

    Attributes
    ----------
    far : ndarray of shape (n_points,)
        False-alarm rate: share of the probes of strangers with any gallery image at a distance <= threshold. Never
        decreasing.
    dir : ndarray of shape (n_points,)
        Detection and identification rate: share of the probes of enrolled people whose nearest true match is among
        the first k gallery images and at a distance <= threshold. Never decreasing.
    thresholds : ndarray of shape (n_points,)
        Ascending; the first, -inf, names nobody, the last, inf, somebody for every probe.
    k : int
        The rank.
    n_enrolled, n_strangers : int
        Numbers of probes of enrolled people, and of strangers.

    Examples
    --------
    >>> from skreid.metrics import open_set_curve
    >>> curve = open_set_curve(["ann", "bo", "cy"], ["ann", "bo"], [[0.2, 0.9], [0.8, 0.5], [0.7, 0.4]])
    >>> curve.far.tolist(), curve.dir.tolist()
    ([0.0, 0.0, 1.0, 1.0, 1.0], [0.0, 0.5, 0.5, 1.0, 1.0])
    >>> curve.dir_at_far(1.0)
    1.0
    """

    far: np.ndarray = field(repr=False)
    dir: np.ndarray = field(repr=False)
    thresholds: np.ndarray = field(repr=False)
    k: int
    n_enrolled: int
    n_strangers: int

    def dir_at_far(self, far):
        """Return the largest detection and identification rate whose false-alarm rate is at most `far`.

        It is that of a threshold just below the next stranger's distance. :func:`threshold_at_far` keeps away from that
        distance, and may identify fewer people.

        Parameters
        ----------
        far : float
            In [0, 1].

        Returns
        -------
        float
            In [0, 1]. Its interval is ``wilson_interval(rate, curve.n_enrolled)``.

        Warns
        -----
        UserWarning
            If `far` is finer than the strangers resolve, that is, below ``1 / n_strangers``.
        """
        check_share(far, "far", "dir_at_far")
        warn_if_too_fine(far, self.n_strangers, "dir_at_far", "far", STRANGERS)
        return float(self.dir[np.searchsorted(self.far, far, side="right") - 1])


@fill
def open_set_curve(
    y_probe,
    y_gallery,
    distances,
    *,
    cams_probe=None,
    cams_gallery=None,
    k=1,
    junk_ids=None,
    on_missing="warn",
    block_size=None,
):
    """Compute how many enrolled people are identified, and how many strangers raise a false alarm, at any threshold.

    A probe is named after its nearest gallery images if they are at a distance of at most a threshold, and nobody
    otherwise. A probe shows a stranger if the gallery has no image of its identity, or junk only; all others show
    enrolled people. An enrolled person whom the gallery has only seen by the probe's own camera has no true match.

    Parameters
    ----------
    %(identities)s
    %(distances)s
    cams_probe, cams_gallery : array-like of shape (n_probe,) and (n_gallery,), default=None
        Cameras. If both are given, gallery images of a probe's identity *and* camera are left out for that
        probe. Nobody becomes a stranger by that.
    k : int, default=1
        Rank within which the true match must be.
    %(junk_ids)s
    on_missing : {"warn", "drop", "zero", "raise"}, default="warn"
        %(on_missing)s
    %(block_size)s

    Returns
    -------
    OpenSetCurve
        Exact: every distance at which one of the rates changes is a point.

    Raises
    ------
    ValueError
        If no probe shows a stranger or none an enrolled person, or as in :func:`cmc_curve`.

    See Also
    --------
    threshold_at_far : The threshold at one false-alarm rate.
    rank_k : The identification rate if every probe is named.

    Notes
    -----
    A true match tied with wrong gallery images is ranked behind all of them, as in :func:`cmc_curve`. A false-alarm
    rate belongs to a gallery: it grows with the number of people in it.

    References
    ----------
    P. J. Phillips, P. Grother, R. Micheals, "Evaluation Methods in Face Recognition", in S. Z. Li, A. K. Jain (eds.),
    Handbook of Face Recognition, Springer 2011.

    Examples
    --------
    >>> from skreid.metrics import open_set_curve
    >>> distances = [[0.1, 0.8], [0.9, 0.3], [0.6, 0.7], [0.2, 0.8]]
    >>> open_set_curve(["ann", "bo", "cy", "dee"], ["ann", "bo"], distances).dir_at_far(0.5)
    1.0
    """
    k = check_int(k, "k", "open_set_curve")
    problem = Problem(
        "open_set_curve",
        y_probe,
        y_gallery,
        distances,
        cams_probe=cams_probe,
        cams_gallery=cams_gallery,
        junk_ids=junk_ids,
        on_missing=on_missing,
        block_size=block_size,
    )
    is_stranger = _strangers(problem)
    if is_stranger.all():
        raise ValueError(
            "No probe shows an enrolled person: the gallery has no image of any identity in y_probe. Check that "
            "y_probe and y_gallery name the same people."
        )

    def found_in(block):
        probe, _, same, distance = extremes(block, "first")
        within, sums = count_within(block.values, probe, distance)
        problem.refuse_nonfinite(block.start, block.values, sums)
        strangers = is_stranger[block.start : block.start + len(block.values)]
        hits = distance[1 + within - same <= k]
        return block.start + probe, hits, block.values[strangers].min(axis=1)

    found = problem.each_block(found_in, check=False)
    matched, hits, nearest = (np.concatenate(parts) for parts in zip(*found, strict=True))
    has_match = np.isin(np.arange(problem.n_probes), matched)
    hits, nearest = np.sort(hits), np.sort(nearest)
    n_counted = count_probes(problem, has_match | is_stranger)
    n_enrolled, n_strangers = n_counted - len(nearest), len(nearest)
    if not n_enrolled:
        raise ValueError(
            "No probe of an enrolled person has a true match: each was seen by the probe's own camera only. Leave "
            "the cameras out, or pass on_missing='zero'."
        )
    thresholds = np.unique(np.concatenate([hits, nearest]))
    far = np.searchsorted(nearest, thresholds, side="right") / n_strangers
    identified = np.searchsorted(hits, thresholds, side="right") / n_enrolled
    return OpenSetCurve(
        far=np.concatenate([[0.0], far, [1.0]]),
        dir=np.concatenate([[0.0], identified, [len(hits) / n_enrolled]]),
        thresholds=np.concatenate([[-np.inf], thresholds, [np.inf]]),
        k=k,
        n_enrolled=n_enrolled,
        n_strangers=n_strangers,
    )


@fill
def threshold_at_far(
    y_probe,
    y_gallery,
    distances,
    *,
    cams_probe=None,
    cams_gallery=None,
    far=0.01,
    junk_ids=None,
    block_size=None,
):
    """Compute a threshold at which at most a share `far` of the strangers raises a false alarm.

    It lies halfway between the distance of the last stranger whom it accepts and that of the next one. A probe shows a
    stranger if the gallery has no image of its identity, or junk only. Other probes do not count.

    Parameters
    ----------
    %(identities)s
    %(distances)s
    cams_probe, cams_gallery : array-like of shape (n_probe,) and (n_gallery,), default=None
        Cameras. They do not affect strangers, and are accepted so that all functions take the same arguments.
    far : float, default=0.01
        The allowed false-alarm rate, in [0, 1].
    %(junk_ids)s
    %(block_size)s

    Returns
    -------
    float
        Name somebody if the nearest gallery image is at a distance of at most this threshold. Infinite if `far`
        allows every stranger.

    Raises
    ------
    ValueError
        If no probe shows a stranger, or as in :func:`cmc_curve`.

    Warns
    -----
    UserWarning
        If `far` is below 1 / n_strangers, for n_strangers probes of strangers: finer than they resolve. The threshold
        is then 0.01 % below the smallest of their distances, as for a rate of 0.

    See Also
    --------
    skreid.gallery.Gallery.threshold : The same for the people in a gallery, from images.
    threshold_at_fmr : The threshold for pairs of images, without a gallery.

    Examples
    --------
    >>> from skreid.metrics import threshold_at_far
    >>> distances = [[0.1, 0.8], [0.6, 0.7], [0.2, 0.8]]
    >>> t = threshold_at_far(["ann", "cy", "dee"], ["ann", "bo"], distances, far=0.5)
    >>> 0.2 <= t < 0.6
    True
    """
    check_share(far, "far", "threshold_at_far")
    problem = Problem(
        "threshold_at_far",
        y_probe,
        y_gallery,
        distances,
        cams_probe=cams_probe,
        cams_gallery=cams_gallery,
        junk_ids=junk_ids,
        block_size=block_size,
    )
    is_stranger = _strangers(problem)
    nearest = np.concatenate(
        [
            block.values[is_stranger[block.start : block.start + len(block.values)]].min(axis=1)
            for block in problem.blocks()
        ]
    )
    warn_if_too_fine(far, len(nearest), "threshold_at_far", "far", STRANGERS)
    return threshold_of(nearest, far)


def _strangers(problem):
    """Return which probes show strangers; refuse a problem without any."""
    is_stranger = problem.is_stranger
    if not is_stranger.any():
        raise ValueError(
            "No probe shows a stranger: the gallery has images of every identity in y_probe. Add probes of people who "
            "are not in the gallery."
        )
    return is_stranger
