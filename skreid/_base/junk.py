"""Junk and distractors: the identities that a protocol or a figure names, found among labels of another kind too.

Protocols name them as numbers (-1 and 0 in Market-1501), but identities are often text: a file is called "-1_c1s1.jpg".
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from decimal import Decimal
from numbers import Real

from skreid._base.arrays import unboxed
from skreid._base.kinds import kind_of
from skreid._base.labels import as_labels

SPELLABLE = ("numbers", "strings", "bytes")


def several(values, name="junk_ids"):
    """Return a single label or several as a sequence of labels; None is no label."""
    values = unboxed(values)
    if values is None:
        return ()
    if isinstance(values, Iterator):
        raise TypeError(f"{name} is a {type(values).__name__}, which can be read only once: give a list or a tuple.")
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        return (values,)
    return values if hasattr(values, "__array__") else tuple(values)


def codes_of(values, uniques, name):
    """Return the codes of the identities that are named by number or by text.

    A number names the text that spells it: -1 is "-1", b"-1" and "-1.0", 0 is "0" and "0000". Text that spells a
    number names that number, and text that spells it in another way where none is equal. Text and bytes name each
    other.

    Parameters
    ----------
    values : sequence or single label
        Of one kind.
    uniques : list
        The label of each code, all of one kind.
    name : str
        What `values` are called in errors.

    Returns
    -------
    list of int
        Ascending. A value that names no label is no error: a dataset may be free of junk.

    Raises
    ------
    TypeError
        If `values` is an iterator, which can be read only once.
    ValueError
        If no value of this kind can name a label of that kind, or one names several labels.

    Examples
    --------
    >>> from skreid._base.junk import codes_of
    >>> codes_of([0, -1], ["0001", "-1", "0000"], "junk_ids")
    [1, 2]
    """
    wanted = as_labels(several(values, name), name).tolist()
    if not wanted or not uniques:
        return []
    given, held = kind_of(wanted[0]), kind_of(uniques[0])
    if given == held and given not in ("strings", "bytes"):
        known = set(wanted)
        return [code for code, label in enumerate(uniques) if label in known]
    named = {}
    for value in wanted:
        text, number = _as_text(value), spelled_number(value)
        comparable = given in SPELLABLE and held in SPELLABLE and not (text is number is None)
        if not comparable or ("numbers" in (given, held) and number is None):
            raise ValueError(
                f"{name} holds {given}, such as {value!r}, and the identities are {held}, such as {uniques[0]!r}: "
                f"they would never be equal. Write {name} as {held}, or give none."
            )
        codes = [] if text is None else [code for code, label in enumerate(uniques) if _as_text(label) == text]
        if not codes and number is not None:
            codes = [code for code, label in enumerate(uniques) if spelled_number(label) == number]
        if len(codes) > 1:
            raise ValueError(
                f"{name} holds {value!r}, which could be {uniques[codes[0]]!r} or {uniques[codes[1]]!r} among the "
                f"identities: write {name} as they are written there."
            )
        named.update(dict.fromkeys(codes))
    return sorted(named)


def alike(labels, others):
    """Return the labels that are among others, or that one of another kind spells: "7" is 7."""
    labels, others = list(labels), list(others)
    if not labels or not others or kind_of(labels[0]) == kind_of(others[0]):
        known = set(others)
        return [label for label in labels if label in known]
    known = {spelled_number(label) for label in others} | {_as_text(label) for label in others}
    return [label for label in labels if {spelled_number(label), _as_text(label)} & known - {None}]


def _as_text(label):
    """Return text or bytes as text, None for anything else."""
    if isinstance(label, bytes):
        return label.decode(errors="surrogateescape")
    return label if isinstance(label, str) else None


def spelled_number(label):
    """Return the whole number that a label is or spells, None if there is none."""
    if isinstance(label, (Real, Decimal)):
        return label if label == label // 1 else None
    text = _as_text(label)
    if text is None:
        return None
    text = unicodedata.normalize("NFKC", text).replace("\N{MINUS SIGN}", "-").strip()
    whole = re.fullmatch(r"([+-]?[0-9]+)(\.0*)?([eE][+-]?0+)?", text)
    return int(whole[1]) if whole else None
