"""Kinds of labels: numbers, strings, bytes, dates and others. Labels of two kinds are never equal.

Compared all the same, they would change a figure in silence: a camera filter that finds no "1" among 1s does nothing.
"""

import datetime
from numbers import Number

import numpy as np

_KINDS = {
    "numbers": (Number, np.number, np.bool_),
    "strings": str,
    "bytes": bytes,
    "dates": (datetime.date, np.datetime64),
}
_KIND_OF_DTYPE = dict.fromkeys("biufc", "numbers") | {"U": "strings", "S": "bytes", "M": "dates"}


def kinds_of(labels, name):
    """Return the kinds of all labels in an array, such as {"numbers"}; refuse several of the plain ones."""
    if labels.dtype.kind in _KIND_OF_DTYPE:
        return {_KIND_OF_DTYPE[labels.dtype.kind]}
    examples = {(type(value), *map(type, value if type(value) is tuple else ())): value for value in labels.tolist()}
    kinds = set(map(kind_of, examples.values()))
    if len(kinds) > 1 and not kinds.isdisjoint(_KINDS):
        refuse_mixture(name)
    return kinds


def kind_of(value):
    """Return the kind of one label, such as "numbers" or "tuples of strings, numbers"; labels of two kinds differ."""
    if isinstance(value, tuple):
        return f"tuples of {', '.join(map(kind_of, value))}"
    return next((kind for kind, types in _KINDS.items() if isinstance(value, types)), "others")


def is_plain(kinds):
    """Return whether all of several kinds are among those whose labels NumPy and Python can sort."""
    return kinds <= _KINDS.keys()


def refuse_mixture(name):
    """Raise the error for labels of several kinds in one array."""
    raise ValueError(f"{name} must hold labels of one type, all numbers or all strings; it mixes them.") from None


def check_same_kind(**named):
    """Refuse two named arrays of labels of different kinds: a number and a string, for example, are never equal."""
    (one, ours), (other, theirs) = named.items()
    kinds = kinds_of(ours, one), kinds_of(theirs, other)
    differ = len(ours) and len(theirs) and kinds[0].isdisjoint(kinds[1])
    if differ and ((kinds[0] | kinds[1]) & _KINDS.keys() or not _texts(ours).isdisjoint(_texts(theirs))):
        examples = ours[:1].tolist()[0], theirs[:1].tolist()[0]
        raise ValueError(
            f"{one} holds {min(kinds[0])}, such as {examples[0]!r}, and {other} holds {min(kinds[1])}, such as "
            f"{examples[1]!r}: they would never be equal. Convert one of them, so that both use one kind."
        )


def _texts(labels):
    """Return the labels that are tuples, with what is in them as text: ("a", 1) and ("a", "1") are then equal."""
    return {tuple(map(str, value)) for value in labels.tolist() if isinstance(value, tuple)}
