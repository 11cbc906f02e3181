"""skreid.metrics against their definitions on the reference's rankings, and against figures worked by hand."""

import inspect
import itertools
import warnings

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st

from skreid import metrics
from skreid.metrics import (
    cmc_curve,
    mean_average_precision,
    mean_inverse_negative_penalty,
    rank_k,
    ranking_metrics,
)

ALL = (cmc_curve, rank_k, mean_average_precision, mean_inverse_negative_penalty, ranking_metrics)


def test_every_figure_over_probes_is_tested_here():
    """A new figure must be added to `ALL`, to be tried with wrong distances."""
    exported = [getattr(metrics, name) for name in metrics.__all__]
    figures = {value for value in exported if "on_missing" in inspect.signature(value).parameters}
    assert set(ALL) == figures - {metrics.open_set_curve}  # needs strangers: see test_metrics_open_set


def expected_figures(*args, zero=False, max_rank=5, **options):
    """Return CMC, mAP, mINP and the number of probes without a match by the definitions, or None if all are dropped."""
    ranks = reference.true_match_ranks(*args, **options)
    hits = [mine for mine in ranks if mine]
    n = len(ranks) if zero else len(hits)
    if n == 0:
        return None
    curve = [sum(mine[0] <= k for mine in hits) / n for k in range(1, max_rank + 1)]
    precisions = [sum(j / rank for j, rank in enumerate(mine, start=1)) / len(mine) for mine in hits]
    penalties = [len(mine) / mine[-1] for mine in hits]
    return curve, sum(precisions) / n, sum(penalties) / n, len(ranks) - len(hits)


def random_case(rng):
    """One small problem with ties, missing matches and ids of any kind."""
    n_probe, n_gallery = rng.integers(1, 8), rng.choice([1, 2, 2, 5, 30])
    people = [["a", "bb", "a longer name"], [1, 2, 3], [("x", 1), ("x", 7), ("longer", 1)], [0.5, 1.5]][rng.integers(4)]
    y_probe = [people[i] for i in rng.integers(len(people), size=n_probe)]
    y_gallery = [people[i] for i in rng.integers(len(people), size=n_gallery)]
    if isinstance(people[0], (str, int)) and rng.random() < 0.5:
        y_probe, y_gallery = np.array(y_probe), np.array(y_gallery)
    levels = rng.choice([1, 2, 4, 1000])  # few levels, many ties
    distances = rng.integers(levels, size=(n_probe, n_gallery)) / 8 - 0.25
    distances = distances.astype([np.float64, np.float32, np.float16][rng.integers(3)])
    cams = {}
    if rng.random() < 0.5:
        cams = {
            "cams_probe": rng.integers(2, size=n_probe).tolist(),
            "cams_gallery": rng.integers(2, size=n_gallery).tolist(),
        }
    return y_probe, y_gallery, distances, cams, people


@pytest.mark.parametrize("seed", range(4))
def test_figures_equal_the_definitions(seed):
    """A thousand small problems per seed have the reference's figures, by every function and option."""
    rng = np.random.default_rng(seed)
    for _ in range(1000):
        y_probe, y_gallery, distances, cams, people = random_case(rng)
        junk = [people[0]] if rng.random() < 0.3 and any(y != people[0] for y in y_gallery) else []
        zero = bool(rng.random() < 0.5)
        args = (y_probe, y_gallery, distances)
        options = {**cams, "junk_ids": junk or None, "on_missing": "zero" if zero else "drop"}
        options["block_size"] = [None, 1, 3][rng.integers(3)]
        expected = expected_figures(list(y_probe), list(y_gallery), distances, **cams, junk=junk, zero=zero)
        if expected is None:
            for function in ALL:
                with pytest.raises(ValueError, match="no true match"):
                    function(*args, **options)
            continue
        curve, precision, penalty, missing = expected
        np.testing.assert_allclose(cmc_curve(*args, max_rank=5, **options), curve, atol=1e-12)
        assert rank_k(*args, k=2, **options) == pytest.approx(curve[1])
        assert mean_average_precision(*args, **options) == pytest.approx(precision)
        assert mean_inverse_negative_penalty(*args, **options) == pytest.approx(penalty)
        result = ranking_metrics(*args, ranks=(1, 5), max_rank=3, **options)
        np.testing.assert_allclose(result.cmc, curve[:3], atol=1e-12)
        assert result.ranks == {1: pytest.approx(curve[0]), 5: pytest.approx(curve[4])}
        assert result.mean_average_precision == pytest.approx(precision)
        assert result.mean_inverse_negative_penalty == pytest.approx(penalty)
        assert (result.n_valid, result.n_dropped) == (len(y_probe) - missing, 0 if zero else missing)


def test_figures_of_probes_with_hundreds_of_matches():
    """They are counted in another way, and equal the reference's."""
    rng = np.random.default_rng(0)
    y_probe, y_gallery = np.array([0, 1, 2]), rng.integers(3, size=900)
    distances = rng.integers(200, size=(3, 900)).astype(np.float32)
    curve, precision, penalty, _ = expected_figures(y_probe, y_gallery, distances)
    result = ranking_metrics(y_probe, y_gallery, distances)
    np.testing.assert_allclose(result.cmc[:5], curve)
    assert result.mean_average_precision == pytest.approx(precision)
    assert result.mean_inverse_negative_penalty == pytest.approx(penalty)


def test_figures_of_a_table_worked_by_hand():
    """Ranks 2 and 4 of two matches: CMC 0 1 1 1, AP (1/2 + 2/4) / 2, INP 2/4."""
    args = (["p"], ["x", "p", "y", "p"], [[0.1, 0.2, 0.3, 0.4]])
    result = ranking_metrics(*args)
    assert result.cmc.tolist() == [0, 1, 1, 1]
    assert result.ranks == {1: 0.0, 5: 1.0, 10: 1.0, 20: 1.0}
    assert result.mean_average_precision == 0.5
    assert result.mean_inverse_negative_penalty == 0.5
    assert result.first_rank.tolist() == [2]
    assert (result.n_probes, result.n_valid, result.n_dropped) == (1, 1, 0)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 12), st.integers(2, 4), st.randoms(use_true_random=False))
def test_identical_descriptors_never_score(n_people, n_images, random):
    """If all distances are equal, no true match is ranked before any wrong image, in any file order."""
    gallery = [p for p in range(n_people) for _ in range(n_images)]
    random.shuffle(gallery)
    result = ranking_metrics(range(n_people), gallery, np.zeros((n_people, len(gallery))))
    first = len(gallery) - n_images + 1
    assert result.cmc.tolist() == [float(k >= first) for k in range(1, len(gallery) + 1)]
    assert result.mean_inverse_negative_penalty == pytest.approx(n_images / len(gallery))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_figures_depend_on_the_order_of_the_distances_only(seed):
    """Shuffled files, and distances through an increasing function, have the same figures."""
    rng = np.random.default_rng(seed)
    y_probe, y_gallery = rng.integers(4, size=6), np.concatenate([np.arange(4), rng.integers(4, size=9)])
    distances = rng.integers(5, size=(6, 13)).astype(float)
    p, g = rng.permutation(6), rng.permutation(13)
    before = ranking_metrics(y_probe, y_gallery, distances)
    after = ranking_metrics(y_probe[p], y_gallery[g], np.exp(distances[np.ix_(p, g)] - 9))
    assert before.cmc.tolist() == after.cmc.tolist()
    assert before.mean_average_precision == pytest.approx(after.mean_average_precision, rel=1e-15)


def test_curve_is_padded_and_never_decreases():
    """A curve longer than a gallery of two keeps its last value, and never falls."""
    curve = cmc_curve([0, 1, 2], [0, 1], [[0, 1], [0, 1], [0, 1]], max_rank=6, on_missing="zero")
    np.testing.assert_allclose(curve, [1 / 3] + [2 / 3] * 5)
    assert len(cmc_curve([0], [0, 1], [[0, 1]])) == 2


def test_camera_filter_removes_only_same_identity_and_camera():
    """The nearest image is the probe's own shot: filtered with cameras, a hit without; another's stays."""
    y, g, d = ["p"], ["p", "q", "p"], [[0.0, 0.1, 0.2]]
    cams = {"cams_probe": ["left"], "cams_gallery": ["left", "left", "right"]}
    assert rank_k(y, g, d) == 1.0
    assert rank_k(y, g, d, **cams) == 0.0
    assert cmc_curve(y, g, d, **cams).tolist() == [0, 1, 1]


@pytest.mark.parametrize("given", ["cams_probe", "cams_gallery"])
def test_one_camera_array_is_refused(given):
    """Giving the cameras of one side only is an error that names the other."""
    other = {"cams_probe": "cams_gallery", "cams_gallery": "cams_probe"}[given]
    with pytest.raises(ValueError, match=f"{given} was given without {other}"):
        cmc_curve([1], [1], [[0.0]], **{given: [0]})


def test_junk_leaves_the_gallery_for_everyone():
    """Junk is neither right nor wrong, whether named as one id, a list, or of another integer type."""
    d = [[0.1, 0.2, 0.3]]
    assert rank_k([1], [-1, 1, 2], d) == 0.0
    for junk in (-1, [-1], np.array([-1], dtype=np.int8), {-1: "junk"}.keys()):
        assert rank_k([1], [-1, 1, 2], d, junk_ids=junk if np.isscalar(junk) else list(junk)) == 1.0
    assert rank_k(["a"], ["junk", "a"], [[0.1, 0.2]], junk_ids="junk") == 1.0
    assert np.isfinite(rank_k([1], [-1, 1], [[np.nan, 0.0]], junk_ids=[-1]))
    with pytest.raises(ValueError, match="Every gallery image has one of the junk_ids"):
        rank_k([1], [-1, -1], [[0.1, 0.2]], junk_ids=[-1])


def test_a_probe_without_a_true_match_is_dropped_counted_or_refused():
    """With a warning or without; dropped probes are counted, and a refused one is named."""
    args = (["a", "ghost"], ["a", "b"], [[0.1, 0.2], [0.1, 0.2]])
    with pytest.warns(UserWarning, match=r"1 of 2 probes have no true match.*probe 1, identity 'ghost'") as caught:
        assert rank_k(*args) == 1.0
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="mean_average_precision leaves them out") as caught:
        assert mean_average_precision(*args) == 1.0
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert rank_k(*args, on_missing="drop") == 1.0
        assert rank_k(*args, on_missing="zero") == 0.5
        result = ranking_metrics(*args)
    assert (result.n_probes, result.n_valid, result.n_dropped) == (2, 1, 1)
    assert result.first_rank.tolist() == [1, 0]
    assert np.isnan(result.average_precision[1])
    with pytest.raises(ValueError, match="identity 'ghost'"):
        rank_k(*args, on_missing="raise")
    assert cmc_curve(["x"], ["y"], [[0.0]], on_missing="zero").tolist() == [0.0]


@pytest.mark.parametrize("function", ALL)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("junk", [None, 9])
def test_nan_and_inf_are_refused_by_name(function, bad, junk):
    """A distance that is not finite is refused, with the probe and the gallery image it belongs to."""
    distances = np.ones((5, 4), dtype=np.float32)
    distances[3, 2] = bad
    with pytest.raises(ValueError, match="for probe 3 and gallery image 2"):
        function([0] * 5, [0, 9, 1, 2], distances, junk_ids=junk, block_size=2)


def test_huge_finite_distances_are_fine():
    """Distances whose sum overflows float32 are still finite."""
    assert rank_k([0], [0, 1, 2], np.array([[2e38, 3e38, 3e38]], dtype=np.float32)) == 1.0


def test_ids_may_be_of_any_kind():
    """Any labels have the figures of the integers they stand for; 1 is not "1", and 1 is 1.0."""
    y, g, d = [0, 1, 2], [2, 1, 0, 1], np.arange(12.0).reshape(3, 4) % 5
    expected = mean_average_precision(y, g, d)
    spellings = [
        np.array(["a", "bcd", "ef"]),
        np.array([b"a", b"bcd", b"ef"]),
        [("a", 1), ("a", 2), ("b", 1)],
        np.array(["2020-01-01", "2020-01-02", "2020-01-03"], dtype="datetime64[D]"),
        np.array([0.5, 1.5, 2.5]),
        [True, 3, 7.5],
    ]
    for names in spellings:
        probe, gallery = [names[i] for i in y], [names[i] for i in g]
        assert mean_average_precision(probe, gallery, d) == expected
        if isinstance(names, np.ndarray):
            assert mean_average_precision(names[y], names[g], d) == expected
    assert mean_average_precision(np.uint8(y), np.int64(g), d) == expected
    assert rank_k([1], [1.0, 2.0], [[0, 1]]) == 1.0
    with pytest.raises(ValueError, match=r"y_probe holds numbers, such as 1, and y_gallery holds strings, such as '1'"):
        rank_k([1], ["1"], [[0]], on_missing="drop")
    with pytest.raises(TypeError, match=r"y_gallery\[1\] is .*labels must be"):
        rank_k(["a"], ["a", ["b"]], [[0, 1]])


def test_series_of_pandas_and_polars_may_be_ids():
    """Series are ids too, categories included."""
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    d = [[0.0, 1.0]]
    for make in (pd.Series, lambda v: pd.Series(v, dtype="category"), pd.Index, pl.Series):
        assert rank_k(make(["a"]), make(["a", "long name"]), d) == 1.0
    assert rank_k(["a"], ["a", "b"], pd.DataFrame(d)) == 1.0


@pytest.mark.parametrize(
    ("args", "options", "message"),
    [
        (([1], [1, 2], [[0.0]]), {}, r"shape \(n_probe, n_gallery\) = \(1, 2\). Got \(1, 1\)"),
        ((np.ones((1, 2)), [1], [[0.0]]), {}, "y_probe should be a 1d array"),
        (([], [1], np.ones((0, 1))), {}, "Nothing to rank"),
        (([1], [], np.ones((1, 0))), {}, "Nothing to rank"),
        (([np.nan], [1], [[0.0]]), {}, "y_probe contains NaN at index 0"),
        ((np.array([1.0]), np.array([1.0, np.nan]), [[0.0, 1]]), {}, "y_gallery contains NaN at index 1"),
        (([1], [1], [[0.0]]), {"cams_probe": [1, 2], "cams_gallery": [1]}, "cams_probe has 2 entries"),
        (([1], [1], [["a"]]), {}, "must be real numbers"),
        (([1], [1], [[0.0]]), {"max_rank": 0}, r"'max_rank' parameter of cmc_curve must be an int"),
        (([1], [1], [[0.0]]), {"max_rank": 1.5}, r"'max_rank'"),
        (([1], [1], [[0.0]]), {"on_missing": "skip"}, r"'on_missing' parameter of cmc_curve"),
        (([1], [1], [[0.0]]), {"block_size": 0}, r"'block_size'"),
        (([1], [1], lambda a, b: np.zeros((2, 2))), {}, r"distances\(0, 1\) must have shape \(1, 1\)"),
    ],
)
def test_bad_arguments_are_named(args, options, message):
    """Each error says what is allowed and what was given."""
    with pytest.raises(ValueError, match=message):
        cmc_curve(*args, **options)


def test_a_single_identity_is_not_a_sequence():
    """A string for y would be read letter by letter: refused."""
    with pytest.raises(TypeError, match="y_probe must be a sequence"):
        cmc_curve("ann", ["ann"], [[0.0]])


def test_return_types_are_plain():
    """Figures are Python floats and the curve is float64, also for integer and float32 distances."""
    for dtype, function in itertools.product((np.float32, np.int64, np.bool_), ALL[1:4]):
        assert type(function([1], [1, 2], np.array([[0, 1]], dtype=dtype))) is float
    assert cmc_curve([1], [1, 2], np.float32([[0, 1]])).dtype == np.float64


def test_inputs_and_global_random_state_are_not_changed():
    """Neither the distances nor the global random state are touched."""
    distances = np.random.default_rng(0).random((4, 6))
    copy, state = distances.copy(), np.random.get_state()[1].copy()  # noqa: NPY002 (the one thing not to touch)
    ranking_metrics([0, 1, 2, 3], [0, 1, 2, 3, 9, 9], distances, junk_ids=9)
    np.testing.assert_array_equal(copy, distances)
    np.testing.assert_array_equal(state, np.random.get_state()[1])  # noqa: NPY002


def test_memory_layout_does_not_change_the_figures(tmp_path):
    """The layout of the matrix, in memory or on disk, changes nothing."""
    rng = np.random.default_rng(1)
    y, g, d = (
        rng.integers(5, size=20),
        np.concatenate([np.arange(5), rng.integers(9, size=30)]),
        rng.random((20, 35)),
    )
    np.save(tmp_path / "d.npy", d)
    expected = mean_average_precision(y, g, d)
    assert mean_average_precision(y, g, np.asfortranarray(d)) == expected
    assert mean_average_precision(y, g, np.load(tmp_path / "d.npy", mmap_mode="r"), block_size=3) == expected
