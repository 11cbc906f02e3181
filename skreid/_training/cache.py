"""Results kept between fits, looked up by their origin.

Live objects (images, devices, callbacks) are not part of the origin. joblib writes each entry to a file of its own
and renames it: two processes racing for one result both compute it, and either file, being the same, is kept. Of the
processes of one parallel training, only the first reads and writes.
"""

import joblib

from skreid._training.parallel import from_first
from skreid._version import __version__


def remember(memory, name, origin, compute):
    """Return `compute()`, or what it returned before for the same origin.

    Parameters
    ----------
    memory : joblib.Memory
    name : str
        Name of the computation.
    origin : dict of str to str, or None
        Everything that the result depends on, as `origin_of` returns it; not needed where nothing is cached.
    compute : callable
        Called without arguments if the result is not in the cache. If it raises, nothing is kept.
    """
    return remember_each(memory, name, origin, (None,), lambda _: {None: compute()})[None]


def remember_each(memory, name, origin, parts, compute):
    """Return a dict of part -> result, computing all parts that are not in the cache in one call.

    Parameters
    ----------
    memory : joblib.Memory
    name, origin
        As for `remember`; common to all parts.
    parts : sequence of str
        Names of the results.
    compute : callable
        ``compute(missing)`` -> dict of part to result.
    """
    if memory.location is None:
        results = compute(tuple(parts))
        return from_first(lambda: results)
    key = joblib.hash(origin | {"skreid": __version__})
    cached = memory.cache(_computed, ignore=["compute"])
    missing = from_first(lambda: [part for part in parts if not cached.check_call_in_cache(name, key, part, None)])
    results = compute(tuple(missing)) if missing else {}

    def result(part):  # an entry that was there a moment ago may be gone, or damaged
        return results[part] if part in results else compute((part,))[part]

    return from_first(lambda: {part: cached(name, key, part, lambda part=part: result(part)) for part in parts})


def _computed(name, key, part, compute):
    return compute()
