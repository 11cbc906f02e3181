"""What a label may be: a number, text, bytes, a date, or a tuple of these. Labels of two kinds are never equal.

Compared all the same, they would change a figure in silence: a camera filter that finds no "1" among 1s does nothing.
"""

import datetime
from decimal import Decimal
from numbers import Real

import numpy as np

from skreid._base.arrays import unboxed
from skreid._base.missing import missing

_KINDS = {"numbers": (Real, Decimal), "strings": str, "bytes": bytes, "dates": (datetime.date, np.datetime64)}
_KIND_OF_DTYPE = dict.fromkeys("biuf", "numbers") | {"U": "strings", "S": "bytes", "M": "dates"}
_PLAIN = tuple(_KINDS.values())


def plain(value, name, index, any_text=False):
    """Return the label at an index as a plain value of Python, tuples with plain values in them; refuse anything else.

    Dates become times without a zone, at midnight. Scalars of any library become their values.
    """
    value = unboxed(value, f"{name}[{index}]")
    if isinstance(value, np.generic) and not isinstance(value, (np.datetime64, np.timedelta64)):
        value = value.item()
    if isinstance(value, tuple):
        return tuple(plain(part, name, index) for part in value)
    is_text = isinstance(value, (str, bytes))
    is_known = isinstance(value, _PLAIN) and not isinstance(value, np.timedelta64)  # which NumPy calls an integer
    may_be_missing = is_known or value is np.ma.masked or not (type(value).__hash__ is None or hasattr(value, "shape"))
    what = missing(value) if may_be_missing and not (any_text and is_text) else None
    if what:
        advice = " Leave the image out; if it is a name, write it differently." if is_text and value.strip() else ""
        raise ValueError(f"Input {name} contains {what} at index {index}: every image needs a label.{advice}")
    if not is_known:
        raise TypeError(
            f"{name}[{index}] is {value!r}, of type {type(value).__name__}: labels must be numbers, strings, bytes, "
            "dates, booleans, or tuples of these. Write each label as one of them."
        )
    return _moment(value, name, index) if isinstance(value, _KINDS["dates"]) else value


def _moment(value, name, index):
    """Return a date or a time as a `datetime.datetime`."""
    if getattr(value, "tzinfo", None) is not None:
        raise ValueError(
            f"{name}[{index}] is {value!r}, a time with a time zone: convert all times to one zone and remove it, as "
            "value.replace(tzinfo=None) does, or write them as text."
        )
    if type(value) is datetime.datetime:
        return value
    if type(value) is datetime.date:
        return datetime.datetime.combine(value, datetime.time())
    exact = value.to_datetime64() if hasattr(value, "to_datetime64") else np.datetime64(value)  # pandas has nanoseconds
    return as_times(np.array([exact]), name, index).item()


def as_times(labels, name, first=0):
    """Return an array of dates of any unit in microseconds, as Python's; refuse those that it would change.

    `first` is the index of the first one.
    """
    times, (low, high) = labels.astype("M8[us]"), map(np.datetime64, (datetime.datetime.min, datetime.datetime.max))
    lost = (times != labels) | (times < low) | (times > high)
    if lost.any():
        index = np.flatnonzero(lost)[0]
        raise ValueError(
            f"{name}[{first + index}] is {labels[index]}, which is finer than a microsecond or not in the years 1 to "
            "9999: write these times as text."
        )
    return times


def kind_of(value):
    """Return the kind of one label, such as "numbers" or "tuples of strings, numbers"; labels of two kinds differ."""
    if isinstance(value, tuple):
        return f"tuples of {', '.join(map(kind_of, value))}"
    return next((kind for kind, types in _KINDS.items() if isinstance(value, types)), "others")


def kind_of_all(labels):
    """Return the one kind of checked labels, None if there are none."""
    if labels.dtype.kind in _KIND_OF_DTYPE:
        return _KIND_OF_DTYPE[labels.dtype.kind]
    return kind_of(labels[0]) if len(labels) else None


def check_one_kind(labels, name):
    """Refuse an array of plain values of several kinds."""
    kinds = {}
    for value in {_type_of(value): value for value in labels}.values():
        kinds.setdefault(kind_of(value), value)
    if len(kinds) > 1:
        (one, ours), (other, theirs) = list(kinds.items())[:2]
        raise ValueError(
            f"{name} must hold labels of one type, all numbers or all strings; it holds {one}, such as {ours!r}, and "
            f"{other}, such as {theirs!r}."
        )


def check_same_kind(**named):
    """Refuse two named arrays of labels of different kinds: a number and a string, for example, are never equal."""
    (one, ours), (other, theirs) = named.items()
    kinds = kind_of_all(ours), kind_of_all(theirs)
    if len(ours) and len(theirs) and kinds[0] != kinds[1]:
        examples = ours[:1].tolist()[0], theirs[:1].tolist()[0]
        raise ValueError(
            f"{one} holds {kinds[0]}, such as {examples[0]!r}, and {other} holds {kinds[1]}, such as "
            f"{examples[1]!r}: they would never be equal. Convert one of them, so that both use one kind."
        )


def _type_of(value):
    """Return the type of a label, of tuples with the types in them."""
    return tuple(map(_type_of, value)) if isinstance(value, tuple) else type(value)
