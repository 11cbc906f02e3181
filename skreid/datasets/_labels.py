"""From the texts of names and cells to identities and cameras, by one rule for all loaders.

Two texts become one label only where Unicode says that they are the same text. All other likeness is reported.
"""

import re
import unicodedata
from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from skreid._base.missing import is_invisible, missing

_DOUBTFUL = frozenset(("?", "-", "-1", "na", "n/a", "nan", "nil", "none", "null", "unknown", "undefined"))
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")
_IGNORABLE = re.compile(  # Unicode's Default_Ignorable_Code_Point, without the format characters (Cf)
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]"
)


@dataclass
class Labels:
    """One label per image.

    Attributes
    ----------
    values : ndarray of shape (n,), int64 or str
        The labels.
    joined : dict of str to list of str
        Labels with several spellings, which were joined.
    near : list of tuple of str
        Groups of labels that are nearly alike, and were not joined.
    """

    values: np.ndarray
    joined: dict = field(default_factory=dict)
    near: list = field(default_factory=list)


def to_labels(given, offsets=None, *, strip=False, as_text=False):
    """Return labels: int64 if all are whole numbers in ASCII digits and no two become one, else text in Unicode's NFC.

    Parameters
    ----------
    given : list of str, or of int
        A text or number per image. All ints stay as they are.
    offsets : list of int, optional
        Numbers to add to the labels, which keep people of different parts of a set apart.
    strip : bool
        Whether blanks around a text do not belong to it, as in the cells of a table.
    as_text : bool
        Whether numbers stay text.
    """
    spellings = defaultdict(set)
    text_of = {}
    for one in set(given):
        text = unicodedata.normalize("NFC", str(one).strip() if strip else str(one))
        text_of[one] = text
        spellings[text].add(str(one))
    pairs = list(zip((text_of[one] for one in given), offsets or [0] * len(given), strict=True))
    numbers = None if as_text else _numbers(set(pairs))
    if numbers is None:
        texts = {(text, offset): f"{text} + {offset}" if offset else text for text, offset in set(pairs)}
        values = np.array([texts[pair] for pair in pairs])
        near = near_groups(texts.values())
    else:
        values, near = np.array([numbers[pair] for pair in pairs], dtype=np.int64), []
    joined = {text: sorted(several) for text, several in sorted(spellings.items()) if len(several) > 1}
    return Labels(values, joined, near)


def as_number(text):
    """Return the number that a text says in ASCII digits, or the text itself."""
    return int(text) if isinstance(text, str) and _NUMBER.fullmatch(text) else text


def _numbers(pairs):
    """Return the number of each pair of text and offset, or None where not all are numbers, or two become one."""
    if not all(_NUMBER.fullmatch(text) for text, _ in pairs):
        return None
    numbers = {(text, offset): int(text) + offset for text, offset in pairs}
    return numbers if len(set(numbers.values())) == len(numbers) else None


def near_groups(texts):
    """Return groups of texts that may mean the same: they differ in case, blanks, zeros, or forms of a letter."""
    groups = defaultdict(set)
    for text in texts:
        groups[_plain(text)].add(text)
    return sorted(tuple(sorted(group)) for group in groups.values() if len(group) > 1)


def _plain(text):
    """Return what is left of a text without case, blanks, invisible characters, and forms of letters and numbers."""
    text = _IGNORABLE.sub("", unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()))
    text = text.replace("i\u0307", "i").replace("\u0131", "i")  # Turkish i: case folding keeps its dot
    text = "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text if not is_invisible(c))
    text = re.sub(r"(?<![0-9])\+(?=[0-9])", "", text)
    text = re.sub(r"(?<=[0-9])\.0*(?![0-9])", "", text)
    text = re.sub(r"(?<![0-9])0+(?=[0-9])", "", text)
    return re.sub(r"(?<![0-9])-(?=0(?![0-9]))", "", text)


def is_missing(text):
    """Return whether a text is no label: empty, blank, invisible, or what is left of a missing value as text."""
    return bool(missing(text))


def doubtful(labels):
    """Return the labels, as text, that may stand for an unknown person or camera."""
    return sorted(text for text in map(str, labels) if text.strip().casefold() in _DOUBTFUL)


def refuse_missing(texts, what, places, remedy=""):
    """Refuse a list in which a label is missing.

    Parameters
    ----------
    texts : list of str, int or None
    what : str
        What a text is, such as "identity".
    places : callable
        Returns the place of a position in the list, such as "line 3 of 'table.csv'".
    remedy : str
        What to do, a sentence.
    """
    missing_ones = {text for text in set(texts) if not isinstance(text, int) and is_missing(text)}
    if not missing_ones:
        return
    absent = [place for place, text in enumerate(texts) if text in missing_ones]
    first = texts[absent[0]]
    shown = f" ({first!r} counts as missing)" if first else ""
    raise ValueError(
        f"{len(absent)} of {len(texts)} images have no {what}{shown}, the first {places(absent[0])}: a missing {what} "
        f"is not a label of its own.{remedy and ' '}{remedy}"
    )
