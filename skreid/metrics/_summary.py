"""Summaries of repeats: mean, standard deviation and confidence interval, for a table in a paper.

The figure of one random gallery is uncertain; the interval says how uncertain.
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from scipy.special import stdtrit

from skreid._base.arrays import as_array
from skreid._base.checks import check_int, check_share


@dataclass(frozen=True, eq=False)
class Summary:
    """Mean, spread and confidence interval over repeats; arrays if the values are curves.

    Attributes
    ----------
    mean, std : float or ndarray
        Over the repeats. The deviation has n - 1 in the denominator and is NaN for a single repeat.
    low, high : float or ndarray
        Confidence interval of the mean; NaN if it is unknown.
    n_repeats : int
        Number of repeats.
    confidence : float
        Coverage of the interval.

    Examples
    --------
    >>> from skreid.metrics import summary
    >>> s = summary([0.5, 0.75])
    >>> s.mean, s.n_repeats, s.confidence
    (0.625, 2, 0.95)
    """

    mean: float | np.ndarray
    std: float | np.ndarray
    low: float | np.ndarray
    high: float | np.ndarray
    n_repeats: int
    confidence: float


def summary(values, *, n_probes=None, confidence=0.95):
    """Summarise a figure, or a curve, over the repeats of a protocol.

    Parameters
    ----------
    values : array-like of shape (n_repeats,) or (n_repeats, n_ranks)
        One figure, or one curve, per repeat.
    n_probes : int, default=None
        Number of probes of a single repeat, whose interval is then Wilson's. That is valid for shares of probes
        (rank-k, CMC), not for mAP. Ignored if there are several repeats.
    confidence : float, default=0.95
        Coverage of the interval, in (0, 1).

    Returns
    -------
    Summary
        The interval is ``mean -/+ t(n - 1) * std / sqrt(n)`` with Student's t.

    Raises
    ------
    ValueError
        If there is no value, one is not finite, or a parameter is out of range.

    Notes
    -----
    Repeats share their images, so their figures are not independent and the interval is somewhat too narrow.

    Examples
    --------
    >>> from skreid.metrics import summary
    >>> s = summary([0.5, 0.6, 0.7])
    >>> round(s.mean, 3), round(s.std, 3), round(s.low, 3), round(s.high, 3)
    (0.6, 0.1, 0.352, 0.848)
    """
    values = as_array(values, "values").astype(np.float64)
    if values.ndim not in (1, 2) or not values.size:
        raise ValueError(
            f"values must have shape (n_repeats,) or (n_repeats, n_ranks). Got an array of shape {values.shape}."
        )
    if not np.isfinite(values).all():
        raise ValueError(f"values is not finite at repeat {np.argwhere(~np.isfinite(values))[0][0]}.")
    check_share(confidence, "confidence", "summary", closed=False)
    n_repeats = len(values)
    mean = values.mean(axis=0)
    if n_repeats > 1:
        std = values.std(axis=0, ddof=1)
        half = stdtrit(n_repeats - 1, (1 + confidence) / 2) * std / np.sqrt(n_repeats)
        low, high = mean - half, mean + half
    else:
        std = low = high = np.full_like(mean, np.nan)
        if n_probes is not None:
            low, high = wilson_interval(mean, n_probes, confidence=confidence)
    if values.ndim == 1:
        mean, std, low, high = float(mean), float(std), float(low), float(high)
    return Summary(mean, std, low, high, n_repeats, float(confidence))


def wilson_interval(share, n_probes, *, confidence=0.95):
    """Compute Wilson's score interval of a share of probes, such as a rank-k figure.

    Parameters
    ----------
    share : float or array-like
        Share of the probes, in [0, 1].
    n_probes : int
        Number of probes.
    confidence : float, default=0.95
        Coverage, in (0, 1).

    Returns
    -------
    low, high : float or ndarray
        In [0, 1].

    Raises
    ------
    ValueError
        If a parameter is out of range.

    References
    ----------
    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 1927.

    Examples
    --------
    >>> from skreid.metrics import wilson_interval
    >>> low, high = wilson_interval(0.9, 100)
    >>> round(low, 4), round(high, 4)
    (0.8256, 0.9448)
    """
    share = as_array(share, "share").astype(np.float64)
    if not ((share >= 0) & (share <= 1)).all():
        raise ValueError(f"The 'share' parameter of wilson_interval must be in the range [0, 1]. Got {share} instead.")
    check_int(n_probes, "n_probes", "wilson_interval")
    check_share(confidence, "confidence", "wilson_interval", closed=False)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    centre = (share + z**2 / (2 * n_probes)) / (1 + z**2 / n_probes)
    half = z / (1 + z**2 / n_probes) * np.sqrt(share * (1 - share) / n_probes + (z / (2 * n_probes)) ** 2)
    low, high = np.maximum(centre - half, 0), np.minimum(centre + half, 1)
    return (low, high) if share.ndim else (float(low), float(high))
