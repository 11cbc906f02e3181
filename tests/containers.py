"""The containers in which libraries hold numbers and labels, and how each of them says that a value is missing."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import torch


def tables():
    """Return the ways to hold a float32 table whose values bfloat16 can represent, a dict of functions."""
    return {
        "lists": lambda x: x.tolist(),
        "tuples": lambda x: tuple(map(tuple, x.tolist())),
        "rows": list,
        "float64": lambda x: x.astype(np.float64),
        "objects": lambda x: x.astype(object),
        "column-major": np.asfortranarray,
        "memoryview": lambda x: memoryview(np.ascontiguousarray(x)),
        "matrix": lambda x: np.asmatrix(x.copy()),
        "masked array": np.ma.array,
        "pandas": pd.DataFrame,
        "pandas Float32": lambda x: pd.DataFrame(x).astype("Float32"),
        "pandas objects": lambda x: pd.DataFrame(x.astype(object)),
        "pandas column": lambda x: pd.Series(list(x)),
        "polars": lambda x: pl.DataFrame(x, schema=[f"f{i}" for i in range(x.shape[1])]),
        "polars lists": lambda x: pl.Series(x.tolist()),
        "polars arrays": lambda x: pl.Series(x.tolist(), dtype=pl.Array(pl.Float32, x.shape[1])),
        "tensor": lambda x: torch.tensor(x),
        "tensor with a gradient": lambda x: torch.tensor(x, requires_grad=True),
        "parameter": lambda x: torch.nn.Parameter(torch.tensor(x)),
        "result of a gradient": lambda x: torch.tensor(x, requires_grad=True) * 1,
        "bfloat16": lambda x: torch.tensor(x).bfloat16(),
        "bfloat16 with a gradient": lambda x: torch.tensor(x).bfloat16().requires_grad_(),
        "float16 tensor": lambda x: torch.tensor(x).half(),
        "tensors": lambda x: list(torch.tensor(x, requires_grad=True)),
        "tuple of bfloat16": lambda x: tuple(torch.tensor(x).bfloat16()),
        "scalars of torch": lambda x: [list(row) for row in torch.tensor(x)],
        "transposed tensor": lambda x: torch.tensor(x.T.copy()).T,
        "arrow table": lambda x: pa.table({f"f{i}": column for i, column in enumerate(x.T)}),
        "arrow batch": lambda x: pa.record_batch({f"f{i}": pa.array(column) for i, column in enumerate(x.T)}),
        "arrow lists": lambda x: pa.array(x.tolist()),
        "arrow fixed lists": lambda x: pa.array(x.tolist(), pa.list_(pa.float32(), x.shape[1])),
        "arrow chunks": lambda x: pa.chunked_array([x.tolist()]),
    }


def with_a_gap():
    """Return the ways to hold a table whose value in row 1, column 0 is missing."""
    gap = np.zeros((4, 1), dtype=bool)
    gap[1] = True

    def holed(x, value):
        out = x.astype(object)
        out[1, 0] = value
        return out

    ways = {
        "NaN": lambda x: np.where(np.pad(gap, ((0, 0), (0, x.shape[1] - 1))), np.nan, x),
        "masked": lambda x: np.ma.array(x, mask=np.pad(gap, ((0, 0), (0, x.shape[1] - 1)))),
        "list of masked rows": lambda x: list(np.ma.array(x, mask=np.pad(gap, ((0, 0), (0, x.shape[1] - 1))))),
        "None": lambda x: holed(x, None).tolist(),
        "NA": lambda x: pd.DataFrame(holed(x, pd.NA)),
        "NA in Float32": lambda x: pd.DataFrame(holed(x, None)).astype("Float32"),
        "polars null": lambda x: pl.DataFrame(holed(x, None).tolist(), orient="row"),
        "NaN in a tensor": lambda x: torch.tensor(holed(x, np.nan).astype(np.float32), requires_grad=True),
    }
    ways["arrow null"] = lambda x: pa.table(
        {f"f{i}": pa.array(column) for i, column in enumerate(holed(x, None).T.tolist())}
    )
    return ways


def columns():
    """Return the ways to hold labels that are numbers, strings or bytes, a dict of functions of a list."""
    return {
        "list": list,
        "tuple": tuple,
        "array": np.array,
        "objects": lambda values: np.array(values, dtype=object),
        "column": lambda values: np.array(values)[:, None],
        "column of lists": lambda values: [[value] for value in values],
        "NumPy's scalars": lambda values: list(np.array(values)),
        "boxes": lambda values: [np.array(value) for value in values],
        "boxes among objects": lambda values: boxed(values),
        "masked array": np.ma.array,
        "pandas": pd.Series,
        "pandas index": pd.Index,
        "pandas objects": lambda values: pd.Series(values, dtype=object),
        "pandas categories": lambda values: pd.Series(values, dtype="category"),
        "pandas frame": pd.DataFrame,
        "polars": pl.Series,
        "polars frame": lambda values: pl.DataFrame({"id": values}),
        "arrow": pa.array,
        "arrow chunks": lambda values: pa.chunked_array([values]),
        "arrow scalars": lambda values: list(pa.array(values)),
        "arrow dictionary": lambda values: pa.array(values).dictionary_encode(),
    }


def of_numbers():
    """Return further ways to hold labels that are whole numbers."""
    return {
        "tensor": torch.tensor,
        "tensors": lambda values: list(torch.tensor(values)),
        "tensor with a gradient": lambda values: torch.tensor([float(value) for value in values], requires_grad=True),
        "bfloat16": lambda values: torch.tensor(values).bfloat16(),
        "bfloat16 scalars": lambda values: list(torch.tensor(values).bfloat16()),
        "floats": lambda values: [float(value) for value in values],
        "float32": lambda values: np.array(values, dtype=np.float32),
        "int8": lambda values: np.array(values, dtype=np.int8),
        "pandas Int64": lambda values: pd.Series(values, dtype="Int64"),
        "memoryview": lambda values: memoryview(np.array(values)),
    }


def of_text():
    """Return further ways to hold labels that are strings."""
    return {
        "pandas string": lambda values: pd.Series(values, dtype="string"),
        "polars categories": lambda values: pl.Series(values, dtype=pl.Categorical),
        "NumPy's strings": lambda values: np.array(values, dtype=np.dtypes.StringDType()),
    }


def boxed(values):
    """Return labels, each in an array without dimensions, in an array of objects."""
    out = np.empty(len(values), dtype=object)
    out[:] = [np.array(value) for value in values]
    return out


def labels_with_a_gap():
    """Return (a column of four labels whose label at index 2 is missing, what the error calls it), by name."""
    gap = [False, False, True, False]
    return {
        "None in a list": ([1, 2, None, 2], "None"),
        "None among strings": (["a", "b", None, "b"], "None"),
        "NaN in a list": (["a", "b", np.nan, "b"], "NaN"),
        "NaN": (np.array([1.0, 2.0, np.nan, np.nan]), "NaN"),
        "NaN in a tensor": (torch.tensor([1.0, 2.0, np.nan, 1.0]), "NaN"),
        "NaN in bfloat16": (torch.tensor([1.0, 2.0, np.nan, 1.0]).bfloat16(), "NaN"),
        "infinity": (np.array([1.0, 2.0, np.inf, 1.0]), "infinity"),
        "NA": (pd.Series([1, 2, pd.NA, 2], dtype=object), "<NA>"),
        "NA in Int64": (pd.Series([1, 2, pd.NA, 2], dtype="Int64"), r"(<NA>|NaN)"),
        "NA in strings": (pd.Series(["a", "b", None, "a"], dtype="string"), r"(<NA>|NaN)"),
        "NaN in strings": (pd.Series(["a", "b", None, "a"]), r"(NaN|None)"),
        "NA in categories": (pd.Series(["a", "b", None, "a"], dtype="category"), r"(<NA>|NaN)"),
        "NaT": (np.array(["2020-01-01", "2020-01-02", "NaT", "NaT"], dtype="M8[D]"), "NaT"),
        "NaT of pandas": (pd.Series([datetime.datetime(2020, 1, 1)] * 2 + [pd.NaT] * 2), "NaT"),
        "polars null": (pl.Series([1, 2, None, 1]), "(NaN|None)"),
        "polars null among strings": (pl.Series(["a", "b", None, "a"]), "None"),
        "polars null among categories": (pl.Series(["a", "b", None, "a"], dtype=pl.Categorical), "None"),
        "masked": (np.ma.array([1, 2, 0, 1], mask=gap), "a masked entry"),
        "masked string": (np.ma.array(["a", "b", "c", "a"], mask=gap), "a masked entry"),
        "masked in a list": ([1, 2, np.ma.masked, 1], "a masked entry"),
        "empty": (["a", "b", "", "a"], r"an empty string \(''\)"),
        "empty in an array": (np.array(["a", "b", "", "a"]), r"an empty string \(''\)"),
        "empty bytes": ([b"a", b"b", b"", b"a"], r"an empty string \(b''\)"),
        "white space": (["a", "b", " \t", "a"], r"an empty string \(' \\t'\)"),
        "white space in an array": (np.array(["a", "b", "\n ", "a"]), r"an empty string \('\\n '\)"),
        "white space in bytes": (np.array([b"a", b"b", b" ", b"a"]), r"an empty string \(b' '\)"),
        "a space that is none": (np.array(["a", "b", "\u3000", "a"]), "an empty string"),
        "NaN turned to text": (np.array(["a", "b", np.nan, "a"]), "'nan', which looks like a missing value"),
        "None turned to text": (["a", "b", "None", "a"], "'None', which looks like a missing value"),
        "NA turned to text": (["1", "2", "<NA>", "2"], "'<NA>', which looks"),
        "NaT turned to text": (np.array(["a", "b", "NaT", "a"], dtype=object), "'NaT', which looks like a missing"),
        "text in bytes": (np.array([b"a", b"b", b"nan", b"a"]), "b'nan', which looks like a missing value"),
        "None in a tuple": ([("a", 1), ("b", 1), ("c", None), ("a", 1)], "None"),
        "empty in a tuple": ([("a", "1"), ("b", "1"), ("c", ""), ("a", "1")], "an empty string"),
        "NaN in a tuple": ([("a", 1.0), ("b", 1.0), ("c", np.nan), ("a", 1.0)], "NaN"),
        "arrow null": (pa.array([1, 2, None, 1]), "(NaN|None)"),
        "arrow null among strings": (pa.array(["a", "b", None, "a"]), "None"),
        "arrow null scalar": (list(pa.array([1, 2, None, 1])), "None"),
    }
