"""Results kept between fits: a key of everything that decides them, and the function that makes them.

What is live (images, devices, callbacks) stays out of the key; joblib writes each entry atomically, so that
two processes racing for one training both run it and either result, being the same, is kept.
"""

import joblib

from skreid._version import __version__


def remember(memory, name, key, compute):
    """Return `compute()`, from the cache if the same key was computed before.

    Parameters
    ----------
    memory : joblib.Memory
    name : str
        What is computed.
    key : object
        Everything that decides the result: numpy arrays, plain values and containers of them.
    compute : callable
        Called without arguments when the result is not in the cache; should it raise, nothing is kept.
    """
    cached = memory.cache(_computed, ignore=["compute"])
    return cached(name, joblib.hash((__version__, key)), compute)


def _computed(name, digest, compute):
    return compute()
