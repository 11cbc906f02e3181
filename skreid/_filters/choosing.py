"""Eq. 4: choose the filters that keep people furthest apart, one by one or by what each adds to those chosen before."""

import numpy as np


def choose_filters(statistics, criterion, n_filters):
    """Return the filters that keep people furthest apart, best first (Eq. 4).

    Parameters
    ----------
    statistics : PairStatistics
    criterion : {"margin", "dprime", "joint"}
        "margin" is ``d_different - d_same``. "dprime" divides the margin by the root mean square of the two standard
        deviations. "joint" adds one filter at a time: the one that most raises d' of the sum of the squared distances
        of all filters chosen so far.
    n_filters : int

    Returns
    -------
    filters : ndarray of shape (n_filters,), int64
        Ties go to the lower index.
    """
    if criterion == "joint":
        return _greedy(statistics, n_filters)
    score = statistics.d_different - statistics.d_same
    if criterion == "dprime":
        score = margin_over_spread(score, statistics.std_same, statistics.std_different)
    return np.argsort(-score, kind="stable")[:n_filters]


def score_filters(statistics, criterion, filters):
    """Return what a criterion saw in each of the filters that it chose, in their order.

    Parameters
    ----------
    statistics : PairStatistics
    criterion : {"margin", "dprime", "joint"}
    filters : ndarray of shape (n_filters,)
        As `choose_filters` returns them.

    Returns
    -------
    scores : ndarray of shape (n_filters,)
        The margin, or d'. For "joint", d' of the sum of the squared distances of all filters up to this one.
    """
    margin = (statistics.d_different - statistics.d_same)[filters]
    if criterion == "margin":
        return margin
    if criterion == "dprime":
        return margin_over_spread(margin, statistics.std_same[filters], statistics.std_different[filters])
    variance = statistics.covariance[np.ix_(filters, filters)].cumsum(axis=0).cumsum(axis=1)
    return _ratio(_squared_margin(statistics)[filters].cumsum(), np.diagonal(variance))


def margin_over_spread(margin, std_same, std_different):
    """Return d': margins in units of the root mean square of the two standard deviations; 0 where these are 0."""
    return _ratio(margin, (std_same**2 + std_different**2) / 2)


def _squared_margin(statistics):
    """Return the difference of the mean squared distances of different and of the same people."""
    second_same = statistics.d_same**2 + statistics.std_same**2
    return statistics.d_different**2 + statistics.std_different**2 - second_same


def _greedy(statistics, n_filters):
    """Add filters one at a time, each the one that most raises d' of the sum of squared distances."""
    gain = _squared_margin(statistics)
    own, shared = np.diagonal(statistics.covariance), np.zeros(len(gain))
    total, variance, chosen = 0.0, 0.0, []
    for _ in range(n_filters):
        score = _ratio(total + gain, variance + 2 * shared + own)
        score[chosen] = -np.inf
        best = int(score.argmax())
        total, variance = total + gain[best], variance + 2 * shared[best] + own[best]
        shared += statistics.covariance[best]
        chosen.append(best)
    return np.array(chosen, dtype=np.int64)


def _ratio(score, variance):
    """Divide a score by a standard deviation; 0 where the variance is 0."""
    return np.divide(score, np.sqrt(np.maximum(variance, 0)), out=np.zeros_like(score), where=variance > 0)
