"""Identities and cameras: every entry point takes and refuses the same labels, in the same words."""

import collections
import datetime
import enum
import re
from decimal import Decimal
from fractions import Fraction

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from containers import columns, labels_with_a_gap, of_numbers, of_text
from sklearn.base import clone
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import Bunch

from skreid import cmc_score, metrics, rank_gallery
from skreid._base.labels import as_labels, encode, factorize
from skreid.displays import CMCDisplay, RankingDisplay
from skreid.evaluation import evaluate
from skreid.gallery import Gallery
from skreid.metric_learning import CVDCA, KCVDCA, XQDA, KernelXQDA, cross_view_scatter
from skreid.model_selection import IdentityKFold, IdentityShuffleSplit, split_probe_gallery
from skreid.protocols import (
    GivenSplitProtocol,
    Market1501Protocol,
    ShotProtocol,
    Trial,
    TwoViewProtocol,
    aggregate_distances,
)

GOOD, PEOPLE = [1, 2, 1, 2], [1, 1, 2, 2]
X = np.array([[0.0, 2.0], [1.0, 0.5], [0.1, 1.5], [1.1, 1.0]])
D = np.array([[3.0, 1.0, 2.0, 5.0], [2.0, 4.0, 1.0, 3.0], [1.0, 6.0, 2.0, 4.0], [5.0, 2.0, 3.0, 1.0]])
AS_IS = FunctionTransformer().fit(X)
SUBSET = ["query", "query", "gallery", "gallery"]
PIXELS = np.zeros((4, 8, 4, 3), np.uint8)
BLIND = CVDCA(reg=0.1).fit(X, PEOPLE)  # without cameras


def evaluated(**labels):
    return evaluate(
        AS_IS, Bunch(data=X, **labels), ShotProtocol(0, use_cams=False), fit=False, use_cams="cams" in labels
    )


def given(use_cams=False, **labels):
    return next(GivenSplitProtocol(use_cams=use_cams).split({"subset": SUBSET, **labels}))


def compared(**labels):
    protocol, dataset = GivenSplitProtocol(), {"target": GOOD, "subset": SUBSET, **labels}
    return protocol.aggregate(dataset, next(protocol.split(dataset)), D[:2, 2:])


def ranked(y_probe=None, y_gallery=None, **cams):
    options = {"probes": PIXELS, "gallery": PIXELS, "n_neighbors": 3} | cams
    display = RankingDisplay.from_predictions(y_probe, y_gallery, D, **options)
    return [display.distances, display.matches]


def of_folds(y, cams=None):
    folds = {"estimator": [AS_IS, AS_IS], "indices": {"train": [[]] * 2, "test": [[0, 1, 2, 3], [0, 1, 2, 3]]}}
    return CMCDisplay.from_cv_results(folds, X, y, cams=cams)


def both(cams):
    return {"cams_probe": cams, "cams_gallery": GOOD}


ENTRY_POINTS = {
    "cmc_curve y_probe": lambda wrong: metrics.cmc_curve(wrong, GOOD, D),
    "cmc_curve y_gallery": lambda wrong: metrics.cmc_curve(GOOD, wrong, D),
    "cmc_curve cams_probe": lambda wrong: metrics.cmc_curve(PEOPLE, PEOPLE, D, cams_probe=wrong, cams_gallery=GOOD),
    "cmc_curve cams_gallery": lambda wrong: metrics.cmc_curve(PEOPLE, PEOPLE, D, cams_probe=GOOD, cams_gallery=wrong),
    "cmc_curve junk_ids": lambda wrong: metrics.cmc_curve(GOOD, GOOD, D, junk_ids=wrong),
    "rank_k y_probe": lambda wrong: metrics.rank_k(wrong, GOOD, D),
    "mean_average_precision y_probe": lambda wrong: metrics.mean_average_precision(wrong, GOOD, D),
    "mean_inverse_negative_penalty y_probe": lambda wrong: metrics.mean_inverse_negative_penalty(wrong, GOOD, D),
    "ranking_metrics y_probe": lambda wrong: metrics.ranking_metrics(wrong, GOOD, D),
    "ranking_metrics cams_probe": lambda wrong: metrics.ranking_metrics(PEOPLE, PEOPLE, D, **both(wrong)),
    "verification_curve y_probe": lambda wrong: metrics.verification_curve(wrong, GOOD, D),
    "verification_curve cams_probe": lambda wrong: metrics.verification_curve(PEOPLE, PEOPLE, D, **both(wrong)),
    "threshold_at_fmr y_probe": lambda wrong: metrics.threshold_at_fmr(wrong, GOOD, D, fmr=0.5),
    "open_set_curve y_probe": lambda wrong: metrics.open_set_curve(wrong, GOOD, D, junk_ids=GOOD[1]),
    "threshold_at_far y_gallery": lambda wrong: metrics.threshold_at_far(GOOD, wrong, D, far=0.5, junk_ids=GOOD[1]),
    "threshold_at_fmr junk_ids": lambda wrong: metrics.threshold_at_fmr(GOOD, GOOD, D, fmr=0.5, junk_ids=wrong),
    "IdentityKFold y": lambda wrong: next(IdentityKFold(2).split(X, wrong)),
    "IdentityShuffleSplit y": lambda wrong: next(IdentityShuffleSplit(random_state=0).split(X, wrong)),
    "split_probe_gallery y": lambda wrong: split_probe_gallery(wrong, random_state=0),
    "split_probe_gallery cams": lambda wrong: split_probe_gallery(PEOPLE, cams=wrong, random_state=0),
    "TwoViewProtocol dataset.target": lambda wrong: next(TwoViewProtocol().split({"target": wrong, "cams": PEOPLE})),
    "TwoViewProtocol dataset.cams": lambda wrong: next(TwoViewProtocol().split({"target": PEOPLE, "cams": wrong})),
    "ShotProtocol dataset.target": lambda wrong: next(ShotProtocol(use_cams=False).split({"target": wrong})),
    "ShotProtocol dataset.cams": lambda wrong: next(ShotProtocol().split({"target": PEOPLE, "cams": wrong})),
    "GivenSplitProtocol dataset.target": lambda wrong: given(target=wrong),
    "GivenSplitProtocol.aggregate dataset.cams": lambda wrong: compared(cams=wrong),
    "aggregate_distances y_probe": lambda wrong: aggregate_distances(D, wrong, GOOD),
    "aggregate_distances y_gallery": lambda wrong: aggregate_distances(D, GOOD, wrong),
    "evaluate dataset.target": lambda wrong: evaluated(target=wrong),
    "evaluate dataset.cams": lambda wrong: evaluated(target=PEOPLE, cams=wrong),
    "cmc_score y": lambda wrong: cmc_score(AS_IS, X, wrong),
    "cmc_score cams": lambda wrong: cmc_score(AS_IS, X, PEOPLE, cams=wrong),
    "CMCDisplay.from_estimator y": lambda wrong: CMCDisplay.from_estimator(AS_IS, X, wrong),
    "CMCDisplay.from_estimator cams": lambda wrong: CMCDisplay.from_estimator(AS_IS, X, PEOPLE, cams=wrong),
    "CMCDisplay.from_predictions y_gallery": lambda wrong: CMCDisplay.from_predictions(GOOD, wrong, D),
    "CMCDisplay.from_cv_results y": of_folds,
    "CMCDisplay.from_cv_results cams": lambda wrong: of_folds(PEOPLE, wrong),
    "RankingDisplay.from_predictions y_probe": lambda wrong: ranked(wrong, GOOD),
    "RankingDisplay.from_predictions cams_probe": lambda wrong: ranked(PEOPLE, PEOPLE, **both(wrong)),
    "Gallery ids": lambda wrong: Gallery(X, ids=wrong),
    "Gallery cams": lambda wrong: Gallery(X, cams=wrong),
    "Gallery.add the new ids": lambda wrong: Gallery(X, ids=GOOD).add(X, ids=wrong),
    "Gallery.kneighbors cams": lambda wrong: Gallery(X, cams=GOOD).kneighbors(X, 1, cams=wrong),
    "Gallery.kneighbors ids": lambda wrong: Gallery(X, cams=GOOD, ids=GOOD).kneighbors(X, 1, cams=GOOD, ids=wrong),
    "Gallery.identify cams": lambda wrong: Gallery(X, PEOPLE, GOOD).identify(X, n_neighbors=2, cams=wrong).distances,
    "Gallery.threshold y": lambda wrong: Gallery(X, [GOOD[0]] * 4).threshold(X, wrong, far=0.5),
    "rank_gallery cams_probe": lambda wrong: rank_gallery(BLIND, X, X, 2, **both(wrong)),
    "rank_gallery cams_gallery": lambda wrong: rank_gallery(BLIND, X, X, 2, cams_probe=GOOD, cams_gallery=wrong),
    "XQDA y": lambda wrong: XQDA(reg=0.1).fit(X, wrong),
    "XQDA cams": lambda wrong: XQDA(reg=0.1).fit(X, PEOPLE, cams=wrong),
    "KernelXQDA y": lambda wrong: KernelXQDA(reg=0.1).fit(X, wrong).pairwise_distances(X, X),
    "CVDCA cams": lambda wrong: CVDCA(reg=0.1).fit(X, PEOPLE, cams=wrong).pairwise_distances(X, X),
    "CVDCA.transform cams": lambda wrong: CVDCA(reg=0.1).fit(X, PEOPLE, cams=GOOD).transform(X, wrong),
    "KCVDCA.pairwise_distances cams_gallery": lambda wrong: (
        KCVDCA(reg=0.1).fit(X, PEOPLE, cams=GOOD).pairwise_distances(X, X, cams_probe=GOOD, cams_gallery=wrong)
    ),
    "cross_view_scatter y": lambda wrong: cross_view_scatter(X, wrong),
    "cross_view_scatter cams": lambda wrong: cross_view_scatter(X, PEOPLE, wrong),
}
MIXED = [1, "2", 1, "2"]


def named(entry):
    """Return the name of the argument that an entry point's error must begin with."""
    return entry.split()[-1]


@pytest.mark.parametrize("entry", ENTRY_POINTS)
@pytest.mark.parametrize("make", [list, lambda values: np.array(values, dtype=object), pd.Series])
def test_numbers_beside_strings_are_refused_everywhere(entry, make):
    """Every function that takes labels refuses a list, an array of objects and a Series with the same message."""
    says = rf"^{named(entry)} must hold labels of one type, .*; it holds numbers, such as 1, and strings, such as '2'"
    with pytest.raises(ValueError, match=says):
        ENTRY_POINTS[entry](make(MIXED))


@pytest.mark.parametrize("entry", ENTRY_POINTS)
def test_missing_labels_are_refused_everywhere(entry):
    """The error names the argument, the index of the image and what it calls missing: text that is blank, for one."""
    for name, (wrong, called) in labels_with_a_gap().items():
        with pytest.raises(ValueError, match=f"^Input {named(entry)} contains {called}.* at index 2: ") as error:
            pytest.fail(f"{name} was taken: {ENTRY_POINTS[entry](wrong)}")
        assert ("write it differently" in str(error.value)) == ("looks like" in str(error.value))


@pytest.mark.parametrize("entry", [entry for entry in ENTRY_POINTS if not entry.endswith("junk_ids")])
@pytest.mark.parametrize("kind", ["numbers", "strings"])
def test_every_container_of_labels_is_taken(entry, kind, monkeypatch):
    """Columns of every library, scalars in boxes, tensors: their result is that of a list."""
    if kind == "strings":  # on the other side too
        monkeypatch.setitem(globals(), "GOOD", ["a", "b", "a", "b"])
    expected = plain(ENTRY_POINTS[entry](GOOD))
    for name, contain in (columns() | (of_numbers() if kind == "numbers" else of_text())).items():
        assert plain(ENTRY_POINTS[entry](contain(GOOD))) == expected, name
        plt.close("all")


def plain(result):
    """Return a result as lists, which equal each other if all their values do."""
    if isinstance(result, Gallery):
        return [None if labels is None else labels.tolist() for labels in (result.ids, result.cams)]
    for attribute in ("metric_", "cmc", "thresholds", "values"):
        result = getattr(result, attribute, result)
    if isinstance(result, Trial):
        result = [result.train, result.probe, result.gallery]
    if isinstance(result, dict):
        result = list(result.values())
    return [plain(part) for part in result] if isinstance(result, (list, tuple)) else np.asarray(result).tolist()


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


JUNK = {  # labels of four identities, junk and distractors among them, in the kinds that files and tables have
    "numbers": [7, 8, -1, 0],
    "floats": [7.0, 8.0, -1.0, 0.0],
    "strings": ["0007", "0008", "-1", "0000"],
    "strings of floats": ["7.0", "8.0", "-1.0", "0.0"],
    "names": ["ann", "bo", "-1", "0"],
    "bytes": [b"7", b"8", b"-1", b"0"],
}
SPELLED = {
    "numbers": -1,
    "floats": -1.0,
    "NumPy": np.int8(-1),
    "array": np.array([-1]),
    "strings": "-1",
    "bytes": b"-1",
}
SPELLED |= {"list": ["-1"], "set": {-1}, "box": np.array(-1)}


@pytest.mark.parametrize("held", JUNK)
@pytest.mark.parametrize("named", SPELLED)
def test_junk_is_found_in_the_labels_own_kind(held, named):
    """Numbers, text and bytes name the same junk: every figure is that of numbers."""
    if held == "strings of floats" and named in ("strings", "list", "bytes"):
        pytest.skip("text that is given as text has to be equal")
    ids = JUNK[held]
    y_probe, y_gallery = [ids[i] for i in (0, 1)], [ids[i] for i in (2, 0, 3, 1, 2, 0)]
    distances = np.array([[0.1, 0.5, 0.3, 0.2, 0.0, 0.9], [0.2, 0.6, 0.1, 0.3, 0.1, 0.8]])
    kept = np.array([1, 2, 3, 5])
    args, junk = (y_probe, y_gallery, distances), SPELLED[named]
    expected = [7, 8], [7, 0, 8, 7], distances[:, kept]
    assert metrics.cmc_curve(*args, junk_ids=junk).tolist() == metrics.cmc_curve(*expected).tolist()
    for figure in (metrics.rank_k, metrics.mean_average_precision, metrics.mean_inverse_negative_penalty):
        assert figure(*args, junk_ids=junk) == figure(*expected)
    assert metrics.ranking_metrics(*args, junk_ids=junk).ranks == metrics.ranking_metrics(*expected).ranks
    threshold = metrics.threshold_at_fmr(*args, fmr=0.4, junk_ids=junk)
    assert threshold == metrics.threshold_at_fmr(*expected, fmr=0.4)
    drawn = CMCDisplay.from_predictions(*args, junk_ids=junk).cmc
    assert drawn.tolist() == metrics.cmc_curve(*expected).tolist()
    plt.close("all")
    people = {"target": [*y_probe, *y_gallery], "subset": ["query"] * 2 + ["gallery"] * 6, "cams": [1] * 2 + [2] * 6}
    protocol = GivenSplitProtocol(junk_ids=junk, distractor_ids=(0,))
    assert next(protocol.split(people)).gallery.tolist() == (2 + kept).tolist()
    assert "without junk" in protocol.describe()
    for other in (ShotProtocol(0, use_cams=False, junk_ids=junk), TwoViewProtocol(n_train=0, junk_ids=junk)):
        trial = next(other.split(people))
        assert not {2, 6} & {*trial.probe.tolist(), *trial.gallery.tolist()}


@pytest.mark.parametrize("held", JUNK)
def test_distractors_are_found_in_the_labels_own_kind(held):
    """They stay in the gallery, and are neither probes nor trained on."""
    junk = JUNK[held]
    trained = {str: ["9", "6"], bytes: [b"9", b"6"]}.get(type(junk[0]), [9, 6])
    people = {"target": [*trained, *junk[2:], *junk, *junk], "cams": [1] * 8 + [2] * 4}
    people["subset"] = ["train"] * 4 + ["query"] * 4 + ["gallery"] * 4
    trial = next(Market1501Protocol().split(people))
    assert trial.train.tolist() == [0, 1]
    assert trial.probe.tolist() == [4, 5]
    assert trial.gallery.tolist() == [8, 9, 11]


def test_junk_of_a_kind_that_names_nobody_is_refused():
    """So is a number that several labels spell, since they may be different people; the error says what to write."""
    for junk, ids, says in (
        ("junk", [1, 2], "junk_ids holds strings, such as 'junk', and the identities are numbers, such as 1"),
        ([0.5], ["1", "2"], "junk_ids holds numbers, such as 0.5, and the identities are strings"),
        ([-1], [("a", 1), ("b", 1)], "the identities are tuples of strings, numbers"),
        ([-1], ["1", "-1", "-01"], "junk_ids holds -1, which could be '-1' or '-01' among the identities"),
        ([None], [1, 2], "Input junk_ids contains None at index 0"),
    ):
        with pytest.raises(ValueError, match=re.escape(says)):
            metrics.rank_k(ids, ids, np.eye(len(ids)), junk_ids=junk)
    with pytest.raises(ValueError, match=r"junk_ids of Market1501Protocol holds numbers, such as -1"):
        next(Market1501Protocol().split({"target": [("a", 1)] * 4, "subset": SUBSET}))
    assert metrics.rank_k(["a", "b"], ["a", "b"], np.eye(2), junk_ids=(), on_missing="drop") == 0
    assert metrics.rank_k(["a", "b"], ["a", "b"], np.eye(2), junk_ids=-1, on_missing="drop") == 0  # none is there


def test_tuples_of_two_kinds_are_refused():
    """What is in them is compared too, however deep, between two arrays and within one."""
    with pytest.raises(ValueError, match=r"holds tuples of strings, numbers, such as \('a', 1\), and y_gallery"):
        metrics.rank_k([("a", 1)], [("a", "1"), ("b", "1")], [[0.0, 1.0]])
    with pytest.raises(ValueError, match=r"tuples of strings, tuples of strings, numbers, such as \('a', \('b', 1\)\)"):
        metrics.rank_k([("a", ("b", 1))], [("a", ("b", "1"))], [[0.0]])
    with pytest.raises(ValueError, match=r"one type, .* tuples of numbers, such as \(1,\), and tuples of strings"):
        metrics.rank_k([(1,), ("a", 1)], [(1,), ("a", 1)], np.eye(2))


DAYS = [datetime.datetime(2020, 1, day) for day in (1, 2)]
DATES = {
    "times": DAYS,
    "dates": [day.date() for day in DAYS],
    "mixed": [DAYS[0].date(), DAYS[1]],
    "NumPy's scalars": [np.datetime64(day) for day in DAYS],
    "timestamps": [pd.Timestamp(day) for day in DAYS],
    "pandas": pd.Series(DAYS),
    "objects": pd.Series(DAYS, dtype=object),
    "arrow": pa.array(DAYS),
    "arrow dates": pa.array([day.date() for day in DAYS]),
    "polars": pl.Series(DAYS),
}
DATES |= {unit: np.array(DAYS, dtype=f"M8[{unit}]") for unit in ("ns", "us", "s", "D")}


@pytest.mark.parametrize("form", DATES)
def test_dates_of_all_libraries_are_equal(form):
    """A date is its midnight; arrays of all units and lists of all types name the same people and cameras."""
    (codes, others), uniques = factorize(one=DATES[form], other=DAYS)
    assert (codes.tolist(), others.tolist(), uniques) == ([0, 1], [0, 1], DAYS)
    labels, codes = encode(DATES[form], "y", 2)
    assert (labels.tolist(), codes.tolist()) == (DAYS, [0, 1])
    one = list(DATES[form])[:1]
    assert metrics.rank_k([7], [7, 7, 8], [[1, 9, 3]], cams_probe=one, cams_gallery=DAYS + DAYS[1:]) == 0
    (inside,), _ = factorize(y=[(day, 1) for day in DATES[form]])
    assert inside.tolist() == [0, 1]
    gallery = Gallery(X[:2], cams=DAYS).kneighbors(X[:1], 1, cams=one)
    assert gallery[1].tolist() == [[1]]
    assert metrics.rank_k(DAYS[:1], DAYS, [[0.2, 0.1]], k=1, junk_ids=list(DATES[form])[1:]) == 1.0
    assert metrics.rank_k(DAYS[:1], DAYS, [[0.2, 0.1]], k=1, junk_ids=list(DATES[form])[1]) == 1.0


def test_dates_that_would_be_changed_are_refused():
    """Finer than a microsecond, beyond Python's years, or with a time zone: never cut, never compared as they are."""
    fine = np.array(["2020-01-01T00:00:00.000000001", "2020-01-01"], "M8[ns]")
    for values in (fine, pd.Series(fine), list(pd.Series(fine)), [(fine[0], 1)]):
        with pytest.raises(ValueError, match=r"^y\[0\] is .*finer than a microsecond"):
            as_labels(values, "y")
    for years in (np.array([["-5"], ["12000"]], "M8[Y]").ravel(), [np.datetime64("12000")]):
        with pytest.raises(ValueError, match="not in the years 1 to 9999"):
            as_labels(years, "y")
    aware = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    for values in ([aware], pd.Series([aware]), pd.DatetimeIndex([aware]), [("a", aware)], pl.Series([aware])):
        with pytest.raises(ValueError, match=r"^y.* time zone"):
            as_labels(values, "y")
    with pytest.raises(ValueError, match=r"^y.* time zone"):
        as_labels(pa.array([aware]), "y")


def test_types_are_left_as_they_are():
    """Nothing is converted: tuples stay tuples, and an array is not copied into objects."""
    assert as_labels([("a", 1), ("b", 2)], "y").tolist() == [("a", 1), ("b", 2)]
    assert as_labels(np.array([1, 2], dtype=np.int8), "y").dtype == np.int8
    assert as_labels(np.array([[1], [2]]), "y").tolist() == [1, 2]


@pytest.mark.parametrize("values", ["ann", b"ann", 5, None])
def test_a_single_label_is_no_sequence(values):
    """A string would be read letter by letter."""
    with pytest.raises(TypeError, match="y must be a sequence with one label per image"):
        as_labels(values, "y")


class Colour(enum.Enum):
    """Members equal those of no other class, even of the same name."""

    RED = 1


NO_LABELS = {
    "a list": ["b"],
    "a set": frozenset([1]),
    "a member of an Enum": Colour.RED,
    "an object": object(),
    "a duration": datetime.timedelta(1),
    "a duration of NumPy": np.timedelta64(1, "D"),
    "nanoseconds": np.timedelta64(1, "ns"),
    "a time of the day": datetime.time(1),
    "a complex number": 1j,
    "an array": np.array([1, 2]),
    "a tuple with a list": ("a", [1]),
    "a tuple in a tuple": (1, (2, Colour.RED)),
}


@pytest.mark.parametrize("wrong", NO_LABELS)
def test_what_is_no_label_is_refused_everywhere(wrong):
    """Numbers, text, bytes, dates and tuples of them are labels: the same for every entry point, named by index."""
    for entry, call in ENTRY_POINTS.items():
        values = np.empty(4, dtype=object)
        values[:] = [1, 2, 1, 2]
        values[1] = NO_LABELS[wrong]
        for given in (values, values.tolist()):
            with pytest.raises(TypeError, match=rf"^{re.escape(named(entry))}\[1\] is .*: labels must be numbers, str"):
                pytest.fail(f"taken by {entry}: {call(given)}")


@pytest.mark.parametrize("dtype", ["m8[D]", "m8[ns]", "complex128", "i4,i4"])
def test_arrays_of_what_is_no_label_are_refused(dtype):
    """As lists of their values are."""
    kept = dtype == "i4,i4"  # rows of two numbers are tuples
    if kept:
        assert as_labels(np.zeros(2, dtype), "y").tolist() == [(0, 0)] * 2
        return
    with pytest.raises(TypeError, match=r"^y\[0\] is .*: labels must be"):
        as_labels(np.zeros(2, dtype), "y")


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
    with pytest.raises(TypeError, match=r"y\[1\] is \['a'\], of type list"):
        as_labels(["b", ["a"]], "y")


BIG = 2**63
APART = {  # three people, of whom NumPy's types would join two
    "large ints": [BIG + 1, BIG + 2, -1],
    "ints beside floats": [2**53 + 1, 2.0**53, 0.5],
    "bytes that end in zeros": [b"\1\0", b"\1", b"\2"],
    "text that ends in zeros": ["a\0", "a", "b"],
    "decimals": [Decimal("0.1"), 0.1, Decimal("0.10000000000000000001")],
    "fractions": [Fraction(1, 3), 1 / 3, 2],
    "nested tuples": [("a", ("b", 1)), ("a", ("b", 2)), ("b", ("a", 1))],
}
CONTAINERS = {
    "list": list,
    "deque": collections.deque,
    "UserList": collections.UserList,
    "objects": lambda values: np.fromiter(values, dtype=object, count=len(values)),
}


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("form", APART)
def test_no_two_people_are_joined(form, container):
    """A gallery, a fit and the figures tell apart whoever Python tells apart."""
    people = APART[form]
    values = CONTAINERS[container](people)
    labels, codes = encode(values, "y", 3)
    assert len(set(codes.tolist())) == 3
    assert [labels.tolist()[code] for code in codes] == people
    assert factorize(y=values)[0][0].tolist() == [0, 1, 2]
    assert Gallery(X[:3], ids=values).ids.tolist() == people
    assert Gallery(X[:1], ids=values_of(container, people[:1])).add(X[1:3], ids=people[1:]).ids.tolist() == people
    assert Gallery(X[:3], cams=values).kneighbors(X[:3], 1, cams=values)[1].ravel().tolist() == [2, 2, 0]
    assert metrics.rank_k(people[:1], values, [[2, 1, 3]], k=1) == 0
    fitted = XQDA(reg=0.1).fit(np.random.default_rng(0).normal(size=(6, 2)), values_of(container, people * 2))
    assert len(fitted.classes_) == 3


def values_of(container, values):
    return CONTAINERS[container](values)


def test_galleries_grow_without_joining_people():
    """Integers of two types have no common one; floats do not hold all integers."""
    ours, new = np.array([2**53 + 1, 1]), np.array([2**53, 2**64 - 1], dtype=np.uint64)
    gallery = Gallery(X[:2], ids=ours, cams=ours).add(X[2:], ids=new, cams=new)
    assert gallery.ids.tolist() == gallery.cams.tolist() == [2**53 + 1, 1, 2**53, 2**64 - 1]
    assert Gallery(X[:2], cams=ours).kneighbors(X[:1], 2, cams=new[:1])[1].tolist() == [[0, 1]]
    assert Gallery(X[:2], ids=np.array([1, 2])).add(X[:1], ids=[2.0]).ids.dtype == np.float64


def test_a_sequence_of_any_class_is_a_list():
    """Its labels keep their types; a deque of numbers and strings is refused as a list is."""
    for container in CONTAINERS:
        with pytest.raises(ValueError, match="y must hold labels of one type"):
            as_labels(values_of(container, ["1", 1]), "y")
        assert as_labels(values_of(container, [("a", 1), ("b", 2)]), "y").tolist() == [("a", 1), ("b", 2)]


NAMED = collections.namedtuple("NAMED", "person place")


def test_values_in_tuples_are_plain():
    """Scalars in boxes, however deep, and named tuples equal tuples of their values."""
    torch = pytest.importorskip("torch")
    boxed = [NAMED(torch.tensor(1), (np.array("a"), np.int8(2))), (1, ("a", pa.scalar(2)))]
    (codes, others), uniques = factorize(one=boxed, other=[(1, ("a", 2))])
    assert (codes.tolist(), others.tolist(), uniques) == ([0, 0], [0], [(1, ("a", 2))])


@pytest.mark.parametrize("metric", [CVDCA(n_components=2, reg=0.1), KCVDCA(n_components=2, reg=0.1)])
@pytest.mark.parametrize("names", [[("c", 1), ("c", 2)], [("a",), ("b",)], [b"\1\0", b"\1"], [BIG + 1, BIG + 2]])
def test_cameras_of_any_kind_choose_their_projection(metric, names):
    """Descriptors and distances are those of numbered cameras, in every search; an unknown camera is named."""
    draw = np.random.default_rng(0)
    rows, people, views = draw.normal(size=(24, 3)), np.repeat(range(12), 2), [0, 1] * 12
    cams = [names[view] for view in views]
    if names == [b"\1\0", b"\1"]:
        views = [1 - view for view in views]  # sorted
    plain_, metric = clone(metric).fit(rows, people, views), clone(metric).fit(rows, people, cams)
    np.testing.assert_array_equal(metric.transform(rows, cams), plain_.transform(rows, views))
    expected = plain_.pairwise_distances(rows[:5], rows, cams_probe=views[:5], cams_gallery=views)
    found = metric.pairwise_distances(rows[:5], rows, cams_probe=cams[:5], cams_gallery=cams)
    np.testing.assert_array_equal(found, expected)
    order = np.argsort(expected, axis=1, kind="stable")[:, :4]
    searched = rank_gallery(metric, rows[:5], rows, 4, cams_probe=cams[:5], cams_gallery=cams)[1]
    np.testing.assert_array_equal(searched, order)
    gallery = Gallery.from_estimator(metric, rows, cams=cams)
    np.testing.assert_array_equal(gallery.kneighbors(rows[:5], 4, cams_probe=cams[:5])[1], order)
    assert cmc_score(metric, rows, people + 100, cams=cams) == cmc_score(plain_, rows, people + 100, cams=views)
    with pytest.raises(ValueError, match=r"holds camera .*, which was not in fit"):
        metric.transform(rows[:1], [(9,) if isinstance(names[0], tuple) else names[1] * 2])


def test_cameras_of_one_side_alone_are_refused_everywhere():
    """Distances between an image of a camera and one of any camera mean nothing."""
    metric = CVDCA(reg=0.1).fit(X, PEOPLE, GOOD)
    gallery = Gallery.from_estimator(metric, X, cams=GOOD)
    with pytest.warns(UserWarning, match="no cameras were given"):
        plain_gallery = Gallery.from_estimator(metric, X)
    for call in (
        lambda **cams: metrics.rank_k(PEOPLE, PEOPLE, D, **cams),
        lambda **cams: metric.pairwise_distances(X, X, **cams),
        lambda **cams: rank_gallery(metric, X, X, 1, **cams),
        lambda **cams: ranked(PEOPLE, PEOPLE, **cams),
    ):
        for given, other in (("cams_probe", "cams_gallery"), ("cams_gallery", "cams_probe")):
            with pytest.raises(ValueError, match=f"^{given} was given without {other}: pass both, or neither"):
                call(**{given: GOOD})
    for call in (gallery.distance_blocks, lambda probes: gallery.kneighbors(probes, 1)):
        with pytest.raises(ValueError, match=r"holds the cameras of its images, so CVDCA distance .*: pass cams_probe"):
            call(X)
    with pytest.raises(ValueError, match=r"cams_probe was given, .*: build it with cams, or leave cams_probe out"):
        plain_gallery.kneighbors(X, 1, cams_probe=GOOD)


@pytest.mark.parametrize("text", ["NaN", "null", "NULL", "NA", "n/a", "#N/A", "\u200b", "\0", "\ufeff\u00a0"])
def test_what_loaders_count_as_missing_is_no_label(text):
    """One list for tables and for arrays, as lists, objects and NumPy's strings."""
    for values in (["a", "b", text], np.array(["a", "b", text]), np.array(["a", "b", text], dtype=object)):
        with pytest.raises(ValueError, match=r"^Input y contains .* at index 2: "):
            as_labels(values, "y")
    assert as_labels(np.array(["Na", "nano", "a\u200b"]), "y").tolist() == ["Na", "nano", "a\u200b"]


def test_one_camera_for_the_gallery_is_read_as_cameras_are():
    """`gallery_cam` may be a scalar of any library; a missing one is refused by name."""
    expected = [part.tolist() for part in split_probe_gallery(PEOPLE, cams=GOOD, gallery_cam=1, random_state=0)]
    for one in (np.array(1), pa.scalar(1), 1.0):
        found = split_probe_gallery(PEOPLE, cams=GOOD, gallery_cam=one, random_state=0)
        assert [part.tolist() for part in found] == expected
    with pytest.raises(ValueError, match="Input gallery_cam contains <NA>"):
        split_probe_gallery(PEOPLE, cams=GOOD, gallery_cam=pd.NA)


def test_tensors_without_values_are_refused_by_name():
    """On the device meta, sparse, or of rows of several lengths."""
    torch = pytest.importorskip("torch")
    empty = torch.ones(2, device="meta")
    for values in (empty, list(empty)):
        with pytest.raises(ValueError, match=r"^y.*device 'meta', which holds no values"):
            as_labels(values, "y")
