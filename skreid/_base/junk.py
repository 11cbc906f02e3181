"""Junk and distractors: the identities that a protocol or a figure names, found among labels of another kind too.

Protocols name them as numbers (-1 and 0 in Market-1501), but identities are often text: a file is called "-1_c1s1.jpg".
"""

import re
from numbers import Number

import numpy as np

from skreid._base.arrays import unboxed
from skreid._base.kinds import is_plain, kind_of
from skreid._base.labels import as_labels


def several(values):
    """Return a single label or several as a tuple of labels; None is no label."""
    values = unboxed(values)
    if values is None:
        return ()
    if isinstance(values, (str, bytes)) or np.isscalar(values):
        return (values,)
    return tuple(values)


def codes_of(values, uniques, name):
    """Return the codes of the identities that are named by number or by text.

    A number names the text that spells it: -1 is "-1" and b"-1", 0 is "0" and "0000". Text that spells a number names
    that number. Text and bytes name each other. Labels of one kind have to be equal.

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
    ValueError
        If no value of this kind can name a label of that kind, or one names several labels.

    Examples
    --------
    >>> from skreid._base.junk import codes_of
    >>> codes_of([0, -1], ["0001", "-1", "0000"], "junk_ids")
    [1, 2]
    """
    wanted = as_labels(list(several(values)), name).tolist()
    if not wanted or not uniques:
        return []
    given, held = kind_of(wanted[0]), kind_of(uniques[0])
    if given == held or not (is_plain({given}) or is_plain({held})):  # tuples and others are compared as they are
        known = set(wanted)
        return [code for code, label in enumerate(uniques) if label in known]
    spelled = _spelled_text if {given, held} == {"strings", "bytes"} else _spelled_number
    found = {}
    for value in wanted:
        if not {given, held} <= {"numbers", "strings", "bytes"} or spelled(value) is None:
            raise ValueError(
                f"{name} holds {given}, such as {value!r}, and the identities are {held}, such as {uniques[0]!r}: "
                f"they would never be equal. Write {name} as {held}, or give none."
            )
        codes = [code for code, label in enumerate(uniques) if spelled(label) == spelled(value)]
        if len(codes) > 1:
            raise ValueError(
                f"{name} holds {value!r}, which could be {uniques[codes[0]]!r} or {uniques[codes[1]]!r} among the "
                f"identities: write {name} as {held}."
            )
        found.update(dict.fromkeys(codes))
    return sorted(found)


def _spelled_text(label):
    return label.decode(errors="surrogateescape") if isinstance(label, bytes) else label


def _spelled_number(label):
    """Return the whole number that a label is or spells, None if there is none."""
    if isinstance(label, Number):
        return label if not isinstance(label, complex) and label == label // 1 else None
    whole = re.fullmatch(r"([+-]?[0-9]+)(\.0*)?", _spelled_text(label))
    return int(whole[1]) if whole else None
