"""Identities and cameras: every entry point takes and refuses the same labels, in the same words."""

import datetime

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import Bunch

from skreid import cmc_score, metrics
from skreid._base.labels import as_labels, encode, factorize
from skreid.displays import CMCDisplay
from skreid.evaluation import evaluate
from skreid.gallery import Gallery
from skreid.metric_learning import XQDA
from skreid.model_selection import IdentityKFold, IdentityShuffleSplit, split_probe_gallery
from skreid.protocols import GivenSplitProtocol, ShotProtocol, TwoViewProtocol, aggregate_distances

GOOD = [1, 2, 1, 2]
X = np.array([[0.0], [1.0], [0.1], [1.1]])
D = np.zeros((4, 4))
AS_IS = FunctionTransformer().fit(X)
SUBSET = ["query", "query", "gallery", "gallery"]


def evaluated(**labels):
    return evaluate(
        AS_IS, Bunch(data=X, **labels), ShotProtocol(0, use_cams=False), fit=False, use_cams="cams" in labels
    )


ENTRY_POINTS = {
    "cmc_curve y_probe": lambda wrong: metrics.cmc_curve(wrong, GOOD, D),
    "cmc_curve y_gallery": lambda wrong: metrics.cmc_curve(GOOD, wrong, D),
    "cmc_curve cams_probe": lambda wrong: metrics.cmc_curve(GOOD, GOOD, D, cams_probe=wrong, cams_gallery=GOOD),
    "cmc_curve cams_gallery": lambda wrong: metrics.cmc_curve(GOOD, GOOD, D, cams_probe=GOOD, cams_gallery=wrong),
    "cmc_curve junk_ids": lambda wrong: metrics.cmc_curve(GOOD, GOOD, D, junk_ids=wrong),
    "rank_k y_probe": lambda wrong: metrics.rank_k(wrong, GOOD, D),
    "mean_average_precision y_probe": lambda wrong: metrics.mean_average_precision(wrong, GOOD, D),
    "mean_inverse_negative_penalty y_probe": lambda wrong: metrics.mean_inverse_negative_penalty(wrong, GOOD, D),
    "ranking_metrics y_probe": lambda wrong: metrics.ranking_metrics(wrong, GOOD, D),
    "verification_curve y_probe": lambda wrong: metrics.verification_curve(wrong, GOOD, D),
    "threshold_at_fmr y_probe": lambda wrong: metrics.threshold_at_fmr(wrong, GOOD, D),
    "IdentityKFold y": lambda wrong: next(IdentityKFold(2).split(X, wrong)),
    "IdentityShuffleSplit y": lambda wrong: next(IdentityShuffleSplit().split(X, wrong)),
    "split_probe_gallery y": lambda wrong: split_probe_gallery(wrong),
    "split_probe_gallery cams": lambda wrong: split_probe_gallery(GOOD, cams=wrong),
    "TwoViewProtocol dataset.target": lambda wrong: next(TwoViewProtocol().split({"target": wrong, "cams": GOOD})),
    "TwoViewProtocol dataset.cams": lambda wrong: next(TwoViewProtocol().split({"target": GOOD, "cams": wrong})),
    "ShotProtocol dataset.target": lambda wrong: next(ShotProtocol(use_cams=False).split({"target": wrong})),
    "GivenSplitProtocol dataset.target": lambda wrong: next(
        GivenSplitProtocol().split({"target": wrong, "subset": SUBSET})
    ),
    "aggregate_distances y_probe": lambda wrong: aggregate_distances(D, wrong, GOOD),
    "aggregate_distances y_gallery": lambda wrong: aggregate_distances(D, GOOD, wrong),
    "evaluate dataset.target": lambda wrong: evaluated(target=wrong),
    "evaluate dataset.cams": lambda wrong: evaluated(target=GOOD, cams=wrong),
    "cmc_score y": lambda wrong: cmc_score(AS_IS, X, wrong),
    "cmc_score cams": lambda wrong: cmc_score(AS_IS, X, GOOD, cams=wrong),
    "CMCDisplay y": lambda wrong: CMCDisplay.from_estimator(AS_IS, X, wrong),
    "CMCDisplay cams": lambda wrong: CMCDisplay.from_estimator(AS_IS, X, GOOD, cams=wrong),
    "Gallery ids": lambda wrong: Gallery(X, ids=wrong),
    "Gallery cams": lambda wrong: Gallery(X, cams=wrong),
    "Gallery.add the new ids": lambda wrong: Gallery(X, ids=GOOD).add(X, ids=wrong),
    "Gallery.kneighbors cams": lambda wrong: Gallery(X, cams=GOOD).kneighbors(X, 1, cams=wrong),
    "XQDA y": lambda wrong: XQDA().fit(X, wrong),
    "XQDA cams": lambda wrong: XQDA().fit(X, GOOD, cams=wrong),
}
MIXED = [1, "2", 1, "2"]


def named(entry):
    """Return the name of the argument that an entry point's error must begin with."""
    return entry.split()[-1]


@pytest.mark.parametrize("entry", ENTRY_POINTS)
@pytest.mark.parametrize("make", [list, lambda values: np.array(values, dtype=object), pd.Series])
def test_numbers_beside_strings_are_refused_everywhere(entry, make):
    """Every function that takes labels refuses a list, an array of objects and a Series with the same message."""
    says = rf"^{named(entry)} must hold labels of one type, all numbers or all strings; it mixes them\.$"
    with pytest.raises(ValueError, match=says):
        ENTRY_POINTS[entry](make(MIXED))


@pytest.mark.parametrize("entry", ENTRY_POINTS)
@pytest.mark.parametrize(
    ("wrong", "called"),
    [
        ([1, 2, None, 2], "None"),
        (["a", "b", np.nan, "b"], "NaN"),
        (np.array([1.0, 2.0, np.nan, np.nan]), "NaN"),
        (np.array([1.0, 2.0, np.inf, 1.0]), "infinity"),
        (pd.Series([1, 2, pd.NA, 2], dtype=object), "<NA>"),
        (np.array(["2020-01-01", "2020-01-02", "NaT", "NaT"], dtype="M8[D]"), "NaT"),
    ],
    ids=["None in a list", "NaN in a list", "NaN", "infinity", "NA", "NaT"],
)
def test_missing_labels_are_refused_everywhere(entry, wrong, called):
    """The error names the argument and the index of the image."""
    with pytest.raises(ValueError, match=f"^Input {named(entry)} contains {called} at index 2: every image needs"):
        ENTRY_POINTS[entry](wrong)


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
def test_nan_and_infinity_are_no_identity(values):
    """They are named by their index, among objects too."""
    with pytest.raises(ValueError, match=r"Input y contains (NaN|infinity) at index 2"):
        encode(values, "y", 4)


def test_objects_are_labels():
    """Integers too large for floats, and strings, keep their values."""
    for values in ([10**400, 5, 5], ["b", "a", "a"], [2.0, 1.0, 1.0]):
        assert encode(np.array(values, dtype=object), "y", 3)[1].tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("values", "dtype"),
    [([3, 1, 3], "int64"), ([0.5, 1, 2], "float64"), ([True, False, True], "bool"), (["b", "a", "b"], "<U1")],
)
def test_encoded_lists_have_numpys_types(values, dtype):
    """The sorted labels of a list are the array that NumPy makes of it."""
    labels, codes = encode(values, "y", 3)
    assert labels.dtype == dtype
    assert labels[codes].tolist() == values


def test_scalars_in_boxes_are_their_values():
    """Zero-dimensional arrays and tensors, and NumPy's scalars, equal Python's."""
    torch = pytest.importorskip("torch")
    for boxed in (list(torch.tensor([1, 2])), [np.array(1), np.array(2)], list(np.array([1, 2], dtype=np.int8))):
        (codes, others), uniques = factorize(one=boxed, other=[2, 1])
        assert (codes.tolist(), others.tolist(), uniques) == ([0, 1], [1, 0], [1, 2])


def test_two_sides_of_different_kinds_are_refused():
    """Numbers beside strings would never be equal: both sides are named, with an example of each."""
    says = r"cams_probe holds strings, such as '1', and cams_gallery holds numbers, such as 1: they would never"
    for one in (["1"], np.array(["1"])):
        with pytest.raises(ValueError, match=says):
            metrics.rank_k([7], [7, 8], [[0.1, 0.2]], cams_probe=one, cams_gallery=[1, 2])
    with pytest.raises(ValueError, match=r"holds bytes, such as b'a', and other holds strings, such as 'a'"):
        factorize(one=[b"a"], other=["a"])
    assert factorize(one=[], other=["a"])[1] == ["a"]


def test_types_are_left_as_they_are():
    """Nothing is converted: tuples stay tuples, and an array is not copied into objects."""
    assert as_labels([("a", 1), ("b", 2)], "y").tolist() == [("a", 1), ("b", 2)]
    assert as_labels(np.array([1, 2], dtype=np.int8), "y").dtype == np.int8
    assert as_labels([datetime.date(2020, 1, 1)], "y").tolist() == [datetime.date(2020, 1, 1)]
    assert as_labels(np.array([[1], [2]]), "y").tolist() == [1, 2]


@pytest.mark.parametrize("values", ["ann", b"ann", 5, None])
def test_a_single_label_is_no_sequence(values):
    """A string would be read letter by letter."""
    with pytest.raises(TypeError, match="y must be a sequence with one label per image"):
        as_labels(values, "y")


def test_labels_that_cannot_be_hashed_are_named():
    """The error names the argument and the index."""
    with pytest.raises(TypeError, match=r"y\[1\] is \['b'\], which is not hashable"):
        as_labels(["a", ["b"]], "y")


def test_tuples_are_labels():
    """A score, an evaluation and a learned metric are those of the integers that the tuples stand for."""
    names = [("ann", 1), ("bo", 2)]
    y = [names[i] for i in (0, 1, 0, 1)]
    assert cmc_score(AS_IS, X, y) == cmc_score(AS_IS, X, [0, 1, 0, 1]) == 1.0
    assert cmc_score(AS_IS, X, y, cams=sorted(y)) == 1.0
    assert evaluated(target=y).values["mAP"].tolist() == evaluated(target=[0, 1, 0, 1]).values["mAP"].tolist()
    data = np.random.default_rng(0).normal(size=(12, 2))
    metrics_ = [XQDA().fit(data, [names[i] if tuples else i for i in [0, 1] * 6]) for tuples in (True, False)]
    np.testing.assert_array_equal(*(metric.pairwise_distances(data, data) for metric in metrics_))


def test_a_column_of_one_element_lists_is_a_list_of_labels():
    """As (n, 1) arrays are; a single list among other labels is refused."""
    np.testing.assert_array_equal(as_labels([["b"], ["a"]], "y"), ["b", "a"])
    gallery = Gallery(X, ids=[[1], [1], [2], [2]])
    assert gallery.ids.tolist() == [1, 1, 2, 2]
    with pytest.raises(TypeError, match=r"y\[1\] is \['a'\], which is not hashable"):
        as_labels(["b", ["a"]], "y")
