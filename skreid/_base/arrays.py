"""Arrays of numbers (distances, descriptors, figures), however they arrive, as NumPy arrays: here and nowhere else.

Every entry point that takes numbers calls `as_array` or, before scikit-learn's own checks, `unwrapped`. So all of
them take the same: nested sequences, data frames, Arrow tables, tensors. No library is imported for it.
"""

from decimal import Decimal
from numbers import Integral, Real

import numpy as np

from skreid._base.missing import missing, refuse_masked

LARGEST = 2**53  # up to it, floats hold every whole number


def as_array(values, name):
    """Return numbers, however they arrive, as an array; one that is already an array is not copied.

    Parameters
    ----------
    values : array-like
        Numbers: a (nested) sequence, NumPy's arrays of any kind, a table or a column of pandas, polars or Arrow, a
        column with one row of numbers per entry, or a tensor: of any precision, on any device, with a gradient or not.
        A single number becomes an array without dimensions.
    name : str
        The argument's name, for messages.

    Returns
    -------
    ndarray
        Of bool, integers or floats.

    Raises
    ------
    TypeError
        If `values` is sparse.
    ValueError
        If it holds something other than real numbers, a missing value, a number that floats would round to another
        one's, or rows of different lengths.

    Examples
    --------
    >>> from skreid._base.arrays import as_array
    >>> as_array(([1, 2], (3, 4.5)), "distances")
    array([[1. , 2. ],
           [3. , 4.5]])
    """
    _refuse_sparse(values, name)
    values = unwrapped(values, name)
    if not isinstance(values, np.ndarray):
        given = values
        try:
            values = np.asarray(given)
        except ValueError as error:  # rows of different lengths
            raise ValueError(f"{name} must be an array of numbers: {error}") from error
        if isinstance(given, (list, tuple)) and values.dtype.kind == "f" and np.abs(values).max(initial=0) >= LARGEST:
            values = np.asarray(given, dtype=object)  # NumPy makes floats of integers beside floats
    if values.dtype.isbuiltin == 2:  # a library's own type, such as the bfloat16 of JAX and TensorFlow
        values = values.astype(np.float32)
    if values.dtype.kind == "O":
        values = _numbers(values, name)
    if values.dtype.kind in "iu" and values.dtype.itemsize == 8:
        for index in np.argwhere((values > LARGEST) | (values < -LARGEST)):
            _refuse_rounding(values[tuple(index)], name, index.tolist())
    if values.dtype.kind not in "biuf":
        given = _called(values.item()) if not values.ndim else f"dtype {values.dtype}"
        raise ValueError(f"{name} must be real numbers. Got {given} instead.")
    return values


def unwrapped(values, name):
    """Return tensors, lists of tensors, columns of rows, matrices and masked arrays as plain arrays.

    Anything else is returned as it is: scikit-learn then reads the names of columns, and refuses in its own words.
    """
    refuse_masked(values, name)
    if is_tensor(values):
        return from_torch(values, name)
    if isinstance(values, (np.ma.MaskedArray, np.matrix, memoryview)):
        return np.asarray(values)
    if isinstance(values, (list, tuple)):
        if any(map(_may_hide, set(map(type, values)))):
            return [unwrapped(value, f"{name}[{i}]") for i, value in enumerate(values)]
        return values
    column = _column(values)
    if column is not None and column.ndim == 2:  # polars' arrays
        return column
    if column is not None and len(column) and isinstance(column[0], (list, tuple, np.ndarray)):
        return unwrapped(column.tolist(), name)  # a row of numbers per entry
    return values


def tabular(X, name):
    """Return a table of numbers as `unwrapped` does; leave anything else, such as images, as it is."""
    if hasattr(X, "to_pylist") and len(getattr(X, "shape", ())) == 2:  # Arrow's tables, which not all can index
        return np.asarray(X)
    column = X if isinstance(X, (list, tuple)) else _column(X)
    first = next(iter(() if column is None else column), None)
    dimensions = 2 if isinstance(first, (list, tuple)) else len(getattr(first, "shape", ())) + 1
    return unwrapped(X, name) if 2 in (dimensions, getattr(X, "ndim", 0)) else X


def _column(values):
    """Return a column of any library (a container that says it has one dimension) as an array; None for the rest.

    Columns of plain numbers are not read.
    """
    if not hasattr(values, "__array__") or len(getattr(values, "shape", "n")) != 1:
        return None
    if isinstance(values, np.ndarray) and values.dtype.kind != "O":
        return None
    return np.asarray(values)


def is_tensor(values):
    """Return whether a value is a torch tensor, without importing torch."""
    return hasattr(values, "detach") and hasattr(values, "numpy")


def from_torch(X, name="X"):
    """Return a torch tensor as an array, and anything else unchanged, without importing torch."""
    if not is_tensor(X):
        return X
    _refuse_sparse(X, name)
    if getattr(X, "is_meta", False):
        raise ValueError(f"{name} is a tensor on the device 'meta', which holds no values.")
    try:
        return X.numpy(force=True)
    except TypeError:  # NumPy has no bfloat16, and no floats of eight bits
        return X.float().numpy(force=True)


def unboxed(value, name="a value"):
    """Return the value of a scalar of any library: a zero-dimensional array or tensor, or one of Arrow's scalars."""
    if hasattr(value, "as_py"):
        return value.as_py()
    if getattr(value, "ndim", None) == 0 and not isinstance(value, np.generic) and value is not np.ma.masked:
        value = from_torch(value, name)
        return value.item() if hasattr(value, "item") else np.asarray(value).item()
    return value


def _may_hide(kind):
    """Return whether values of this type in a list may be, or contain, what NumPy cannot read or would misread."""
    return issubclass(kind, (list, tuple, np.ma.MaskedArray)) or (hasattr(kind, "detach") and hasattr(kind, "numpy"))


def _refuse_sparse(values, name):
    """Refuse what is sparse: a value that is not stored is 0 in a descriptor, but far, or unknown, among distances."""
    if getattr(values, "is_nested", False):
        raise TypeError(f"{name} is a nested tensor: give one whose rows have one length, as torch.stack makes it.")
    layout = getattr(values, "layout", None)
    if hasattr(values, "toarray") or (is_tensor(values) and "strided" not in str(layout)):
        way = "to_dense()" if is_tensor(values) else "toarray()"
        raise TypeError(
            f"{name} is sparse, a {type(values).__name__}, but dense data is required. Use '.{way}' to convert, if "
            "what is not stored is 0."
        )


def _numbers(values, name):
    """Return an array of objects as floats; refuse the first that is missing or no number."""
    if not values.ndim:
        raise ValueError(f"{name} must be an array of numbers. Got {_called(values.item())} instead.")
    numbers = np.empty(values.shape)
    for index, value in np.ndenumerate(values):
        value = unboxed(value)
        if not isinstance(value, (Real, Decimal, np.bool_)):
            place = index[0] if len(index) == 1 else index
            what = missing(value)
            if what:
                raise ValueError(f"Input {name} contains {what} at index {place}: fill it or leave it out.")
            raise ValueError(f"{name} must be real numbers. Got {_called(value)} at index {place}.")
        if isinstance(value, Integral) and abs(value) > LARGEST:
            _refuse_rounding(value, name, index)
        if isinstance(value, Decimal) and len(value.as_tuple().digits) > 15:
            _refuse_rounding(value, name, index)
        numbers[index] = value
    return numbers


def _refuse_rounding(value, name, index):
    """Refuse a number that a float might not tell from its neighbours, so that two distances would tie."""
    raise ValueError(
        f"{name} holds {value} at index {index[0] if len(index) == 1 else tuple(index)}, which has more digits than a "
        "float keeps: whole numbers may be up to 2**53, decimals have up to 15 digits."
    )


def _called(value):
    """Return an object in few words: None and short text as they are, anything else by its type."""
    short = value is None or (isinstance(value, (str, bytes)) and len(value) < 40)
    return repr(value) if short else type(value).__name__
