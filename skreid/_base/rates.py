"""Thresholds at an error rate: how many distances of the wrong people a rate accepts, and whether they resolve it.

One rule for pairs of different people and for strangers in front of a gallery.
"""

import math
import warnings

import numpy as np

MARGIN = 1e-4  # of a distance; an image described twice differs by about a millionth


def n_allowed(rate, n):
    """Return how many of n a rate allows, that is, the largest count with ``count / n <= rate``."""
    allowed = int(np.floor(rate * n))
    return allowed + ((allowed + 1) / n <= rate)  # the product may have been rounded down


def threshold_of(distances, rate):
    """Return a threshold that at most a share of distances reaches; infinite if the rate allows all.

    Parameters
    ----------
    distances : ndarray of shape (n,), float
        Infinite ones are never accepted.
    rate : float
    """
    allowed = n_allowed(rate, len(distances))
    if allowed >= np.isfinite(distances).sum():
        return float("inf")
    return threshold_below(distances, allowed)


def threshold_below(distances, n_accepted):
    """Return a threshold that at most `n_accepted` distances reach: halfway between the last of them and the next.

    An image that is described again, alone or on another machine, has the same distance to rounding only; in the middle
    of a gap, it stays on its side. Where no distance is accepted, the threshold lies `MARGIN` below the smallest.

    Parameters
    ----------
    distances : ndarray of shape (n,), float
        With the ``n_accepted + 1`` smallest, which are finite. Of equal ones, all are accepted or none.
    n_accepted : int
    """
    nearest = np.partition(distances, n_accepted)[: n_accepted + 1]
    refused = nearest[n_accepted]  # all in its own precision, in which it will be compared
    accepted = nearest[nearest < refused]
    threshold = (
        accepted.max() / 2 + refused / 2 if len(accepted) else refused - abs(refused) * nearest.dtype.type(MARGIN)
    )
    return float(min(threshold, np.nextafter(refused, nearest.dtype.type(-np.inf))))


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
            f"which none of them is accepted. Use {_resolved(name, n)}more {what.split()[0]}.",
            UserWarning,
            stacklevel=stacklevel,
        )


def _resolved(name, n):
    """Return the finest rate that n observations resolve, rounded up, as advice; of one, only all or nothing."""
    if n == 1:
        return ""
    digits = 1 - math.floor(math.log10(1 / n))
    return f"{name}={math.ceil(10**digits / n) / 10**digits:g} or more, or "
