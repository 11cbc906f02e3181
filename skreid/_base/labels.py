"""Identities and cameras: labels of any kind become checked arrays, and small integers, here and nowhere else.

Everything after this step compares integers: strings cost no more than numbers, and 1 is not taken for "1".
"""

import datetime
import warnings
from collections.abc import Sequence

import numpy as np

from skreid._base.arrays import from_torch
from skreid._base.kinds import as_times, check_one_kind, check_same_kind, plain
from skreid._base.missing import maybe_missing, refuse_masked

PLAIN_TYPES = {bool, int, float, str, bytes}


def as_labels(values, name, *, any_text=False):
    """Return labels as a checked one-dimensional array of plain values.

    Every entry point that takes identities or cameras calls this, so all of them accept the same labels.

    Parameters
    ----------
    values : array-like of shape (n_samples,) or (n_samples, 1)
        Values of one kind: numbers (also booleans), strings, bytes, dates, or tuples of these. Sequences keep Python's
        types; scalars of other libraries (zero-dimensional arrays and tensors, Arrow's scalars) become their values,
        and dates of any library become times in microseconds.
    name : str
        The argument's name, for messages.
    any_text : bool, default=False
        Whether text may be empty or "None", as in a column of subsets.

    Returns
    -------
    ndarray of shape (n_samples,)
        Of numbers, strings, bytes or datetime64[us]; of objects where NumPy's types might change a value.

    Raises
    ------
    TypeError
        If `values` is a single value and not a sequence, or holds something that is no label, such as a set.
    ValueError
        If it is not one-dimensional, a label is missing (see `skreid._base.missing`), or kinds are mixed.
    """
    if isinstance(values, memoryview):
        values = np.asarray(values)
    if values is None or isinstance(values, (str, bytes)) or np.isscalar(values):
        raise TypeError(_no_sequence(name, values))
    refuse_masked(values, name)
    _refuse_zone(values, name)
    if isinstance(values, list) and values and all(isinstance(row, list) and len(row) == 1 for row in values):
        values = [row[0] for row in values]  # a column
    if isinstance(values, Sequence):  # an array would make strings of the numbers beside them
        labels = np.fromiter(values, dtype=object, count=len(values))
    else:
        labels = np.asarray(from_torch(values, name))
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 0:
        raise TypeError(_no_sequence(name, values))
    if labels.ndim != 1:
        raise ValueError(f"{name} should be a 1d array, got an array of shape {labels.shape} instead.")
    return _checked(labels, name, any_text)


def _no_sequence(name, values):
    single = isinstance(values, (str, bytes)) or np.isscalar(values)
    advice = f" For a single image, put it in a list: [{values!r}]." if single else ""
    return f"{name} must be a sequence with one label per image. Got {values!r} instead.{advice}"


def _refuse_zone(values, name):
    """Refuse a column of times with a zone, of polars or Arrow: NumPy would drop it."""
    kinds = getattr(values, "dtype", None), getattr(values, "type", None)
    zone = getattr(kinds[0], "time_zone", None) or getattr(kinds[1], "tz", None)
    if zone is not None:
        raise ValueError(
            f"{name} holds times with a time zone, {zone}: convert all times to one zone and remove it, or write them "
            "as text."
        )


def _checked(labels, name, any_text):
    """Return labels as plain values of one kind; refuse the first that is missing, not finite, or no label."""
    kind = labels.dtype.kind
    if kind not in "biufUSM":  # objects, NumPy's own strings of any length, and what is refused
        return _checked_objects(np.fromiter(labels, dtype=object, count=len(labels)), name, any_text)
    if kind in "fM":
        suspects = np.flatnonzero(~np.isfinite(labels))
    else:
        suspects = maybe_missing(labels) if kind in "US" and not any_text else ()
    for i in suspects:
        plain(labels[i], name, i)
    return as_times(labels, name) if kind == "M" else labels


def _checked_objects(labels, name, any_text):
    types = set(map(type, labels))
    if not types <= PLAIN_TYPES:
        values = [plain(value, name, i, any_text) for i, value in enumerate(labels)]
        labels = np.fromiter(values, dtype=object, count=len(values))
    elif not types <= {bool, int}:  # each value once
        for i in sorted({labels[i]: i for i in reversed(range(len(labels)))}.values()):
            plain(labels[i], name, i, any_text)
    check_one_kind(labels, name)
    return labels.astype("M8[us]") if len(labels) and isinstance(labels[0], datetime.date) else labels


def factorize(**named):
    """Turn arrays of labels into integer codes: equal labels get equal codes, numbered by first appearance.

    Parameters
    ----------
    **named : array-like of shape (n_samples,)
        One or two arrays; messages call them by their keywords.

    Returns
    -------
    codes : list of ndarray of intp
        One array per argument.
    uniques : list
        The label of each code.

    Raises
    ------
    TypeError, ValueError
        As in `as_labels`, or if two arrays hold labels of different kinds.

    Examples
    --------
    >>> from skreid._base.labels import factorize
    >>> (probe, gallery), uniques = factorize(probe=["b", "a"], gallery=["a", "longer", "b"])
    >>> probe.tolist(), gallery.tolist(), uniques
    ([0, 1], [1, 2, 0], ['b', 'a', 'longer'])
    """
    checked = {name: as_labels(values, name) for name, values in named.items()}
    if len(checked) == 2:
        check_same_kind(**checked)
    arrays = list(checked.values())
    ends = np.cumsum([len(labels) for labels in arrays])[:-1]
    dtypes = {labels.dtype.kind for labels in arrays}
    if len(dtypes) == 1 and dtypes <= set("iufbUSM"):  # other mixtures would be converted when joined
        uniques, first, codes = np.unique(np.concatenate(arrays), return_index=True, return_inverse=True)
        by_appearance = np.argsort(first)
        position = np.empty_like(by_appearance)
        position[by_appearance] = np.arange(len(by_appearance))
        return np.split(position[codes], ends), uniques[by_appearance].tolist()
    table = {}
    codes = [table.setdefault(value, len(table)) for labels in arrays for value in labels.tolist()]
    return np.split(np.array(codes, dtype=np.intp), ends), list(table)


def check_both_or_none(**named):
    """Refuse one of two named arrays of labels without the other; return whether they were given."""
    given = [name for name, values in named.items() if values is not None]
    if len(given) == 1:
        (absent,) = named.keys() - given
        raise ValueError(f"{given[0]} was given without {absent}: pass both, or neither.")
    return bool(given)


def encode(values, name, n_samples, of="images"):
    """Turn labels into their positions among the sorted distinct labels.

    Parameters
    ----------
    values : array-like of shape (n_samples,)
        Labels of one kind.
    name : str
        What they are called in errors.
    n_samples : int
        Required number of labels.
    of : str, default="images"
        What the samples of `X` are called in errors.

    Returns
    -------
    labels : ndarray of shape (n_labels,)
        The sorted distinct labels.
    codes : ndarray of shape (n_samples,), int64
        Position of each value in `labels`.

    Raises
    ------
    TypeError, ValueError
        As in `as_labels`, or if `values` has another length.
    """
    labels = as_labels(values, name)
    if len(labels) != n_samples:
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: {name} has {len(labels)} entries, "
            f"X has {n_samples} {of}; give one for each."
        )
    labels, codes = np.unique(_narrowed(labels), return_inverse=True)
    return labels, codes.astype(np.int64)


def _narrowed(labels):
    """Return objects as an array of NumPy's own type, if it keeps every value; anything else as it is."""
    if labels.dtype.kind != "O" or isinstance(next(iter(labels), None), tuple):
        return labels
    array = np.asarray(labels.tolist())
    return array if array.dtype.kind in "biufUS" and array.tolist() == labels.tolist() else labels


def joined(one, other):
    """Return two arrays of labels of one kind as one array, in which each label keeps its value."""
    if one.dtype.kind == other.dtype.kind:
        return np.concatenate([one, other])
    return _narrowed(np.concatenate([one.astype(object), other.astype(object)]))


def positions(values, known):
    """Return the place of each label of an array among sorted distinct ones, ``len(known)`` if it is not there."""
    if values.dtype.kind == known.dtype.kind != "O" and len(known):
        place = np.minimum(np.searchsorted(known, values), len(known) - 1)
        return np.where(known[place] == values, place, len(known))
    places = {label: place for place, label in enumerate(known.tolist())}
    return np.array([places.get(label, len(known)) for label in values.tolist()], dtype=np.intp)


def encode_identities(y, n_samples, of="images"):
    """Encode the identities of training images; refuse a single identity and a continuous target."""
    if y is None:
        raise ValueError("This estimator requires y to be passed, but the target y is None.")
    classes, codes = encode(y, "y", n_samples, of)
    if classes.dtype.kind == "f" and np.any(classes != np.floor(classes)):
        raise ValueError(
            f"Unknown label type: continuous. y must hold identities; got values such as "
            f"{classes[classes != np.floor(classes)][0]:g}."
        )
    if len(classes) < 2:
        raise ValueError(
            f"y holds 1 class only ({classes[0]!s}), a single identity; at least 2 identities are needed to learn "
            "what tells people apart."
        )
    return classes, codes


def encode_cams(cams, identities, of="images"):
    """Encode the cameras of images whose identities are encoded, and check that there are pairs across cameras.

    Parameters
    ----------
    cams : array-like of shape (n_samples,) or None
    identities : ndarray of shape (n_samples,), int
    of : str, default="images"
        What the samples of `X` are called in errors.

    Returns
    -------
    views : ndarray of shape (n_samples,), int64, or None
    cameras : ndarray of shape (n_cameras,) or None
        The sorted distinct cameras; both are None without `cams`.

    Raises
    ------
    ValueError
        If there is only one camera, or no identity has a pair; see `check_pairs`.
    """
    views = cameras = None
    if cams is not None:
        cameras, views = encode(cams, "cams", len(identities), of)
        if len(cameras) < 2:
            raise ValueError(
                f"cams holds a single camera ({cameras.tolist()[0]!r}), so there is no pair across cameras: "
                "leave cams out to learn from all pairs of images."
            )
    check_pairs(identities, views, stacklevel=4)
    return views, cameras


def check_pairs(codes, cams=None, stacklevel=3):
    """Check that some identity has a pair of images (in two cameras, if `cams` are given).

    Raises
    ------
    ValueError
        If no identity has one.

    Warns
    -----
    UserWarning
        If only some identities have one; the message has the number of the others.
    """
    n_identities = codes.max() + 1
    if cams is None:
        seen, wanted = np.bincount(codes, minlength=n_identities), "image"
    else:
        seen = np.bincount(np.unique(np.stack([codes, cams]), axis=1)[0], minlength=n_identities)
        wanted = "camera"
    alone = int((seen < 2).sum())
    if alone == n_identities:
        raise ValueError(
            f"Every one of the {n_identities} identities has a single {wanted}: there is no pair of images of "
            f"the same person to compare. Give two or more {wanted}s of at least one identity."
        )
    if alone:
        warnings.warn(
            f"{alone} of {n_identities} identities have a single {wanted}: they serve as other people, but form "
            "no pair of the same person.",
            stacklevel=stacklevel,
        )
