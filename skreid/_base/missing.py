"""What counts as a missing value: one rule for labels and for arrays of numbers.

A missing value that is used as a value becomes a person or a camera of its own, and changes a figure in silence.
"""

import math
import unicodedata
from decimal import Decimal
from numbers import Number

import numpy as np

MISSING_AS_TEXT = ("#N/A", "<NA>", "N/A", "NA", "NULL", "NaN", "NaT", "None", "n/a", "nan", "null")  # as pandas reads


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
    if isinstance(value, (float, np.floating, Decimal)) and math.isinf(value):
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
    if not value.strip() or (isinstance(value, str) and all(map(is_invisible, value))):
        return f"an empty string ({value!r})"
    text = value if isinstance(value, str) else value.decode("latin-1")
    return f"{value!r}, which looks like a missing value turned to text," if text in MISSING_AS_TEXT else None


def is_invisible(character):
    """Return whether a character of text is a space, or shows nothing."""
    return unicodedata.category(character)[0] == "Z" or unicodedata.category(character) in ("Cc", "Cf")


def maybe_missing(labels):
    """Return the indices of an array of strings or bytes that `missing` has to look at: fast for millions of them."""
    kind = labels.dtype.kind
    first = labels.astype(kind + "1")  # the first character tells
    if kind == "S":
        blank = np.strings.isspace(first)
    else:
        blank = np.isin(first, [text for text in np.unique(first).tolist() if text and is_invisible(text)])
    return np.flatnonzero((labels == labels.dtype.type()) | blank | np.isin(labels, np.array(MISSING_AS_TEXT, kind)))


def refuse_masked(values, name):
    """Refuse a masked array with a masked entry; NumPy would use what is under the mask."""
    if isinstance(values, np.ma.MaskedArray) and np.ma.getmaskarray(values).any():
        index = np.argwhere(np.ma.getmaskarray(values))[0].tolist()
        place = f" at index {index[0] if len(index) == 1 else tuple(index)}" if index else ""
        raise ValueError(f"Input {name} contains a masked entry{place}: fill it or leave it out.")
