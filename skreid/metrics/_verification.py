"""Verification: error rates of accepting every pair of images whose distance is at most a threshold.

A ranking answers "who is nearest?"; verification answers "do these two images show one person?".
"""

from dataclasses import dataclass, field

import numpy as np

from skreid._base.checks import check_share
from skreid._base.rates import n_allowed, threshold_below, warn_if_too_fine
from skreid.metrics._docs import fill
from skreid.metrics._problem import Problem

PAIRS = "pairs of different people"


@dataclass(frozen=True, eq=False)
class VerificationCurve:
    """Error rates over all thresholds, and where they are equal.

    Attributes
    ----------
    fmr : ndarray of shape (n_points,)
        False-match rate: share of the pairs of different people at a distance <= threshold. Never decreasing.
    fnmr : ndarray of shape (n_points,)
        False-non-match rate: share of the pairs of one person at a distance > threshold. Never increasing.
    thresholds : ndarray of shape (n_points,)
        Ascending; the first, -inf, accepts no pair, the last, inf, every pair.
    equal_error_rate : float
        The rate at which both rates are equal, by linear interpolation along the curve.
    equal_error_threshold : float
        The threshold at which the two rates are closest to each other. It is the distance of a pair, or just below it:
        to decide about new images, use :func:`threshold_at_fmr`, which keeps away from distances.
    n_genuine, n_impostor : int
        Numbers of pairs of one person, and of different people.

    Examples
    --------
    >>> from skreid.metrics import verification_curve
    >>> curve = verification_curve(["ann", "bo"], ["ann", "bo"], [[0.2, 0.9], [0.8, 0.3]])
    >>> curve.equal_error_rate, curve.n_genuine, curve.n_impostor
    (0.0, 2, 2)
    """

    fmr: np.ndarray = field(repr=False)
    fnmr: np.ndarray = field(repr=False)
    thresholds: np.ndarray = field(repr=False)
    equal_error_rate: float
    equal_error_threshold: float
    n_genuine: int
    n_impostor: int

    def fnmr_at_fmr(self, fmr):
        """Return the smallest false-non-match rate whose false-match rate is at most `fmr`.

        It is that of a threshold just below the distance of the next pair of different people. :func:`threshold_at_fmr`
        keeps away from that distance, and may miss more pairs of one person.

        Parameters
        ----------
        fmr : float
            In [0, 1].

        Returns
        -------
        float
            In [0, 1].

        Warns
        -----
        UserWarning
            If `fmr` is finer than the pairs resolve, that is, below ``1 / n_impostor``.
        """
        check_share(fmr, "fmr", "fnmr_at_fmr")
        warn_if_too_fine(fmr, self.n_impostor, "fnmr_at_fmr", "fmr", PAIRS)
        return float(self.fnmr[np.searchsorted(self.fmr, fmr, side="right") - 1])


@fill
def verification_curve(
    y_probe, y_gallery, distances, *, cams_probe=None, cams_gallery=None, junk_ids=None, block_size=None
):
    """Compute the error rates of accepting a pair as one person if its distance is at most a threshold.

    Parameters
    ----------
    %(identities)s
    distances : array-like of shape (n_probe, n_gallery), or callable
        Finite distances, lower is nearer. A callable ``distances(start, stop)`` returns the rows of these
        probes; it is called twice for each of them.
    cams_probe, cams_gallery : array-like of shape (n_probe,) and (n_gallery,), default=None
        Cameras. If both are given, pairs of the same identity *and* camera are left out.
    junk_ids : sequence or single id, default=None
        Gallery images of these identities are left out.
    block_size : int, default=None
        Probes per block.

    Returns
    -------
    VerificationCurve
        Exact: it has all corners of the curve through all pairs. Memory is O(block + pairs of one person).

    Raises
    ------
    ValueError
        If there is no pair of one person or none of different people, or as in :func:`cmc_curve`.

    References
    ----------
    ISO/IEC 19795-1, Biometric performance testing and reporting.

    Examples
    --------
    >>> from skreid.metrics import verification_curve
    >>> curve = verification_curve(["a", "b"], ["a", "b"], [[0.1, 0.8], [0.9, 0.3]])
    >>> curve.equal_error_rate, curve.n_genuine, curve.n_impostor
    (0.0, 2, 2)
    """
    problem = Problem(
        "verification_curve",
        y_probe,
        y_gallery,
        distances,
        cams_probe=cams_probe,
        cams_gallery=cams_gallery,
        junk_ids=junk_ids,
        block_size=block_size,
    )
    genuine = np.concatenate([b.values[b.probe, b.column][b.is_match] for b in problem.blocks()])
    n_impostor = problem.n_impostor_pairs
    if not len(genuine) or not n_impostor:
        raise ValueError(
            f"There are {len(genuine)} pairs of one person and {n_impostor} of different people: both are "
            "needed. Check y_probe, y_gallery and the cameras."
        )
    corners, repeats = np.unique(genuine, return_counts=True)

    # The rates just below and at each genuine distance are all the corners of the curve.
    below, within = np.zeros((2, len(corners)), dtype=np.int64)
    for block in problem.blocks():
        distance = np.sort(_impostors(block))
        below += np.searchsorted(distance, corners, side="left")
        within += np.searchsorted(distance, corners, side="right")
    accepted = repeats.cumsum()
    fmr = np.concatenate([[0], np.stack([below, within], axis=1).ravel(), [n_impostor]]) / n_impostor
    misses = len(genuine) - np.stack([accepted - repeats, accepted], axis=1).ravel()
    fnmr = np.concatenate([[len(genuine)], misses, [0]]) / len(genuine)
    just_below = np.nextafter(corners, corners.dtype.type(-np.inf))
    thresholds = np.concatenate([[-np.inf], np.stack([just_below, corners], axis=1).ravel(), [np.inf]])

    keep = np.ones(len(fmr), dtype=bool)  # a point between two others on a straight step is redundant
    keep[1:-1] = ((fmr[1:-1] != fmr[:-2]) | (fmr[1:-1] != fmr[2:])) & (
        (fnmr[1:-1] != fnmr[:-2]) | (fnmr[1:-1] != fnmr[2:])
    )
    fmr, fnmr, thresholds = fmr[keep], fnmr[keep], thresholds[keep].astype(np.float64)
    rate, threshold = _equal_error(fmr, fnmr, thresholds)
    return VerificationCurve(fmr, fnmr, thresholds, rate, threshold, len(genuine), n_impostor)


@fill
def threshold_at_fmr(
    y_probe,
    y_gallery,
    distances,
    *,
    cams_probe=None,
    cams_gallery=None,
    fmr=1e-3,
    junk_ids=None,
    block_size=None,
):
    """Compute a threshold that accepts at most a share `fmr` of the pairs of different people.

    It lies halfway between the largest of their distances that it accepts and the next one.

    Parameters
    ----------
    %(identities)s
    distances : array-like of shape (n_probe, n_gallery), or callable
        Finite distances, lower is nearer. A callable ``distances(start, stop)`` returns the rows of these
        probes.
    cams_probe, cams_gallery : array-like of shape (n_probe,) and (n_gallery,), default=None
        Cameras. They do not affect pairs of different people, and are accepted so that all functions take the
        same arguments.
    fmr : float, default=0.001
        The allowed false-match rate, in [0, 1].
    junk_ids : sequence or single id, default=None
        Gallery images of these identities are left out.
    block_size : int, default=None
        Probes per block.

    Returns
    -------
    float
        Accept a pair if its distance is at most this threshold. Infinite if `fmr` allows every pair.

    Raises
    ------
    ValueError
        If there is no pair of different people, or as in :func:`cmc_curve`.

    Warns
    -----
    UserWarning
        If `fmr` is below 1 / n_pairs, for n_pairs pairs of different people: finer than they resolve. The threshold
        is then 0.01 % below the smallest of their distances, as for a rate of 0.

    Notes
    -----
    The smallest ``fmr * n_pairs`` distances are kept, so memory grows with the rate.

    Examples
    --------
    >>> from skreid.metrics import threshold_at_fmr
    >>> t = threshold_at_fmr(["a", "b"], ["a", "b"], [[0.1, 0.8], [0.9, 0.3]], fmr=0.5)
    >>> 0.8 <= t < 0.9
    True
    """
    check_share(fmr, "fmr", "threshold_at_fmr")
    problem = Problem(
        "threshold_at_fmr",
        y_probe,
        y_gallery,
        distances,
        cams_probe=cams_probe,
        cams_gallery=cams_gallery,
        junk_ids=junk_ids,
        block_size=block_size,
    )
    n_pairs = problem.n_impostor_pairs
    if not n_pairs:
        raise ValueError("There is no pair of different people, so there is no false-match rate.")
    warn_if_too_fine(fmr, n_pairs, "threshold_at_fmr", "fmr", PAIRS)
    allowed = n_allowed(fmr, n_pairs)
    if allowed >= n_pairs:
        return float("inf")
    smallest = None
    for block in problem.blocks():
        distance = _impostors(block)
        if smallest is not None:
            if len(smallest) > allowed:
                distance = distance[distance < smallest[allowed]]
            distance = np.concatenate([smallest, distance])
        smallest = np.partition(distance, allowed)[: allowed + 1] if len(distance) > allowed else distance
    return threshold_below(smallest, allowed)


def _impostors(block):
    """Return the distances of the pairs of different people in a block."""
    different = np.ones(block.values.shape, dtype=bool)
    different[block.probe, block.column] = False
    return block.values[different]


def _equal_error(fmr, fnmr, thresholds):
    """Return the rate at which the curve crosses fmr = fnmr, and the threshold of the point nearest to it."""
    gap = fmr - fnmr  # never decreasing, from -1 to 1
    after = int(np.argmax(gap >= 0))
    before = after - 1
    share = gap[before] / (gap[before] - gap[after])
    rate = fmr[before] + share * (fmr[after] - fmr[before])
    nearest = before if -gap[before] < gap[after] else after
    return float(rate), float(thresholds[nearest])
