"""Identities and cameras as codes: what is missing is named, in whatever array it comes."""

import numpy as np
import pandas as pd
import pytest

from skreid._base.labels import encode


@pytest.mark.parametrize(
    "values",
    [
        np.array([1.0, 1.0, np.nan, np.nan]),
        np.array([1.0, 1.0, np.nan, np.nan], dtype=object),
        np.array([1, 2, np.float32("inf"), 3], dtype=object),
        np.array(["a", "b", np.nan, "c"], dtype=object),
        pd.Series(["a", "b", np.nan, "c"], dtype=object),
    ],
    ids=lambda values: str(values.dtype),
)
def test_no_number_is_no_identity(values):
    """NaN and infinity are named by their place, among objects too."""
    with pytest.raises(ValueError, match="Input y contains NaN or infinity, first at entry 2"):
        encode(values, "y", 4)


def test_objects_are_labels():
    """Integers too large for floats, and strings."""
    for values in ([10**400, 5, 5], ["b", "a", "a"], [2.0, 1.0, 1.0]):
        assert encode(np.array(values, dtype=object), "y", 3)[1].tolist() == [1, 0, 0]


@pytest.mark.parametrize("values", [["a", 3, 3], np.array(["a", 3, 3], dtype=object)], ids=["list", "objects"])
def test_numbers_beside_strings_are_refused(values):
    """In a list and in an array of objects, in the same words."""
    with pytest.raises(ValueError, match=r"^y must hold labels of one type, .* it mixes them\.$"):
        encode(values, "y", 3)
