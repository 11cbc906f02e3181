"""Results kept between fits: a key of everything that decides them, and the function that makes them.

What is live (images, devices, callbacks) stays out of the key; joblib writes each entry to a file of its own and
renames it, so two processes racing for one result both compute it, and either file, being the same, is kept. Of the
processes of one parallel training, the first alone looks and writes.
"""

import joblib

from skreid._training.parallel import from_first
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
    return remember_each(memory, name, key, (None,), lambda _: {None: compute()})[None]


def remember_each(memory, name, key, parts, compute):
    """Return part -> result, computing in one go those that are not in the cache.

    Parameters
    ----------
    memory : joblib.Memory
    name, key
        As for `remember`; what all parts have in common.
    parts : sequence of str
        What the results are kept by.
    compute : callable
        ``compute(missing)`` -> dict of part to result, for some of the parts.
    """
    if memory.location is None:
        found = compute(tuple(parts))
        return from_first(lambda: found)
    key = joblib.hash((__version__, key), "sha1", coerce_mmap=True)  # a memory map is the array it holds
    cached = memory.cache(_computed, ignore=["compute"])
    missing = from_first(lambda: [part for part in parts if not cached.check_call_in_cache(name, key, part, None)])
    found = compute(tuple(missing)) if missing else {}

    def result(part):  # an entry that was there a moment ago may be gone, or damaged
        return found[part] if part in found else compute((part,))[part]

    return from_first(lambda: {part: cached(name, key, part, lambda part=part: result(part)) for part in parts})


def _computed(name, key, part, compute):
    return compute()
