"""What counts as a missing value: one rule for labels and for arrays of numbers.

A missing value that is used as a value becomes a person or a camera of its own, and changes a figure in silence.
"""

import math
from numbers import Number

import numpy as np

MISSING_AS_TEXT = ("nan", "None", "<NA>", "NaT")  # what is left of a missing value in an array of strings


def missing(value):
    """Return what a missing or infinite value is called, None for any other value; tuples are looked into.

    Examples
    --------
    >>> from skreid._base.missing import missing
    >>> missing(float("nan")), missing(("ann", None)), missing(" "), missing("nan"), missing("ann")
    ('NaN', 'None', "an empty string (' ')", "'nan', which looks like a missing value turned to text,", None)
    """
    if value is None:
        return "None"
    if isinstance(value, (str, bytes)):
        return _missing_text(value)
    if isinstance(value, tuple):
        return next(filter(None, map(missing, value)), None)
    if value is np.ma.masked:
        return "a masked entry"
    if isinstance(value, (float, np.floating)) and math.isinf(value):
        return "infinity"
    try:
        unequal = bool(value != value)
    except (TypeError, ArithmeticError):  # pandas.NA is neither equal nor unequal to itself
        return repr(value)
    if unequal:
        return "NaN" if isinstance(value, (Number, np.number)) else str(value)
    return None


def _missing_text(value):
    value = value.item() if isinstance(value, np.generic) else value  # their repr says np.str_
    if not value.strip():
        return f"an empty string ({value!r})"
    text = value if isinstance(value, str) else value.decode("latin-1")
    return f"{value!r}, which looks like a missing value turned to text," if text in MISSING_AS_TEXT else None


def maybe_missing(labels):
    """Return the indices of an array of strings or bytes that `missing` has to look at: fast for millions of them."""
    first = labels.astype(labels.dtype.kind + "1")  # the first character tells
    words = np.array(MISSING_AS_TEXT).astype(labels.dtype.kind)
    return np.flatnonzero((labels == labels.dtype.type()) | np.strings.isspace(first) | np.isin(labels, words))


def refuse_masked(values, name):
    """Refuse a masked array with a masked entry; NumPy would use what is under the mask."""
    if isinstance(values, np.ma.MaskedArray) and np.ma.getmaskarray(values).any():
        index = np.argwhere(np.ma.getmaskarray(values))[0].tolist()
        place = f" at index {index[0] if len(index) == 1 else tuple(index)}" if index else ""
        raise ValueError(f"Input {name} contains a masked entry{place}: fill it or leave it out.")
