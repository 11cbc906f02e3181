"""The origin of a result: everything that the result depends on, by name.

An origin maps the name of each of these parts (images, identities, a parameter, ...) to a digest of it. Caches look
results up by it; checkpoints and descriptor files store it, and refuse to resume if it has changed.
"""

import joblib


def origin_of(**parts):
    """Return the origin of a result: the name of each part that it depends on, with a digest of the part.

    Parameters
    ----------
    **parts : object
        Arrays, plain values, containers of them, or anything else that can be pickled. A memory-mapped array has the
        digest of the same array in memory.

    Returns
    -------
    origin : dict of str to str

    Raises
    ------
    ValueError
        If a part cannot be pickled; the message names the first one.
    """
    return {name: _digest(name, part) for name, part in parts.items()}


def _digest(name, part):
    try:
        return joblib.hash(part, coerce_mmap=True)
    except Exception as error:  # pickling calls the methods of users' objects, which may raise anything
        reason = error.args[0] if error.args else type(error).__name__
        raise ValueError(
            f"No digest of {name} can be made, because it cannot be pickled ({reason}). Define functions and classes "
            "at the top level of a module."
        ) from error


def changed_parts(before, now):
    """Return the names of the parts that differ between two origins, sorted."""
    return sorted(name for name in before | now if before.get(name) != now.get(name))


def refuse_changes(changed, what, remedy):
    """Raise ValueError if parts differ between the origin on record and that of this call.

    Parameters
    ----------
    changed : list of str
        What `changed_parts` returned.
    what : str
        The start of the message, such as "The checkpoint in 'folder' does not match this fit".
    remedy : str
        The end of the message: what to do.
    """
    if changed:
        raise ValueError(f"{what}: {', '.join(changed)} changed. {remedy}")
