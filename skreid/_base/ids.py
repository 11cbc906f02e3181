"""Identities and cameras of any hashable type, turned into small integers.

Everything after this step compares integers: strings cost no more than numbers, and 1 is not taken for "1".
"""

import numpy as np

_SORTABLE_KINDS = "iufbUSM"


def as_ids(values, name):
    """Return one-dimensional ids as an array, without changing the type of any of them.

    Parameters
    ----------
    values : array-like of shape (n_samples,)
        Any hashable values; lists may mix types.
    name : str
        The argument's name, for messages.

    Returns
    -------
    ndarray of shape (n_samples,)

    Raises
    ------
    TypeError
        If `values` is a single value and not a sequence.
    ValueError
        If it is not one-dimensional, or holds NaN.
    """
    if values is None or isinstance(values, (str, bytes)) or np.isscalar(values):
        raise TypeError(f"{name} must be a sequence with one id an image. Got {values!r} instead.")
    if isinstance(values, (list, tuple, range)):  # np.asarray would make strings of the numbers beside them
        ids = np.fromiter(values, dtype=object, count=len(values))
    else:
        ids = np.asarray(values)
    if ids.ndim != 1:
        raise ValueError(f"{name} should be a 1d array, got an array of shape {ids.shape} instead.")
    if ids.dtype.kind in "fcM":
        missing = np.flatnonzero(ids != ids)
    elif ids.dtype.kind == "O":
        missing = [i for i, v in enumerate(ids) if isinstance(v, (float, np.floating)) and v != v]
    else:
        missing = ()
    if len(missing):
        raise ValueError(f"Input {name} contains NaN at index {missing[0]}: every image needs an id.")
    return ids


def factorize(**named):
    """Give equal values of several id arrays the same integer, counted by first appearance.

    Parameters
    ----------
    **named : array-like of shape (n_samples,)
        The arrays, by their names in messages.

    Returns
    -------
    codes : list of ndarray of intp
        One array for each one given.
    uniques : list
        The value of each code.

    Examples
    --------
    >>> from skreid._base.ids import factorize
    >>> (probe, gallery), uniques = factorize(probe=["b", "a"], gallery=["a", "longer", "b"])
    >>> probe.tolist(), gallery.tolist(), uniques
    ([0, 1], [1, 2, 0], ['b', 'a', 'longer'])
    """
    arrays = {name: as_ids(values, name) for name, values in named.items()}
    ends = np.cumsum([len(ids) for ids in arrays.values()])[:-1]
    kinds = {ids.dtype.kind for ids in arrays.values()}
    if len(kinds) == 1 and kinds <= set(_SORTABLE_KINDS):  # other mixtures would be converted when joined
        uniques, first, codes = np.unique(np.concatenate(list(arrays.values())), return_index=True, return_inverse=True)
        by_appearance = np.argsort(first)
        position = np.empty_like(by_appearance)
        position[by_appearance] = np.arange(len(by_appearance))
        return np.split(position[codes], ends), uniques[by_appearance].tolist()
    table = {}
    codes = []
    for name, ids in arrays.items():
        for i, value in enumerate(ids.tolist()):
            try:
                codes.append(table.setdefault(value, len(table)))
            except TypeError:
                raise TypeError(f"{name}[{i}] is {value!r}, which is not hashable: ids must be.") from None
    return np.split(np.array(codes, dtype=np.intp), ends), list(table)


def codes_of(values, uniques):
    """Return the codes of those `uniques` that are among `values` (one id, or several)."""
    if isinstance(values, (str, bytes)) or np.isscalar(values):
        values = [values]
    wanted = set(as_ids(values, "junk_ids").tolist())
    return [code for code, value in enumerate(uniques) if value in wanted]
