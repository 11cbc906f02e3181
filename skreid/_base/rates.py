"""Thresholds at an error rate: how many distances of the wrong people a rate accepts, and whether they resolve it.

One rule for pairs of different people and for strangers in front of a gallery.
"""

import warnings

import numpy as np


def n_allowed(rate, n):
    """Return how many of n a rate allows, that is, the largest count with ``count / n <= rate``."""
    allowed = int(np.floor(rate * n))
    return allowed + ((allowed + 1) / n <= rate)  # the product may have been rounded down


def just_below(distance):
    """Return the largest number below a distance, in its own precision, so that the distance itself is refused."""
    return float(np.nextafter(distance, distance.dtype.type(-np.inf)))


def threshold_of(distances, rate):
    """Return the largest threshold that at most a share of distances reaches; infinite if the rate allows all.

    Parameters
    ----------
    distances : ndarray of shape (n,), float
        Infinite ones are never accepted.
    rate : float
    """
    allowed = n_allowed(rate, len(distances))
    if allowed >= np.isfinite(distances).sum():
        return float("inf")
    return just_below(np.partition(distances, allowed)[allowed])


def warn_if_too_fine(rate, n, owner, name, what, stacklevel=3):
    """Warn of a rate that n observations cannot resolve.

    Parameters
    ----------
    rate : float
    n : int
    owner, name : str
        The function called, and its parameter.
    what : str
        What was observed, in the plural.
    stacklevel : int, default=3
        2 names the caller of this function.
    """
    if rate * n < 1 and rate < 1 / n:  # the product alone may be rounded down
        warnings.warn(
            f"{name}={rate:g} is finer than {n} {what} resolve: {owner} returns the value at "
            f"which none of them is accepted. Use {name}={1 / n:.2g} or more, or more {what.split()[0]}.",
            UserWarning,
            stacklevel=stacklevel,
        )
