"""Open-set identification: rates of enrolled people and strangers against loops over all probes and images."""

import re
import warnings

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st

from skreid.metrics import cmc_curve, open_set_curve, threshold_at_far


@st.composite
def cases(draw):
    """Draw identities, distances with many ties, cameras or none, and junk or none; some probes show strangers."""
    n_probe, n_gallery = draw(st.integers(2, 9)), draw(st.integers(2, 9))
    y_probe = [draw(st.integers(0, 3)) for _ in range(n_probe - 2)] + [0, 9]
    y_gallery = [draw(st.sampled_from([0, 1, 2, 5])) for _ in range(n_gallery - 1)] + [0]
    values = st.integers(0, draw(st.sampled_from([2, 50])))
    distances = np.array([[draw(values) for _ in y_gallery] for _ in y_probe]) / 4
    distances = distances.astype(draw(st.sampled_from([np.float32, np.float64])))
    given = {}
    if draw(st.booleans()):
        cams = st.integers(0, 1)
        given["cams_probe"] = [draw(cams) for _ in range(n_probe - 2)] + [0, 0]
        given["cams_gallery"] = [draw(cams) for _ in range(n_gallery - 1)] + [1]
    if draw(st.booleans()):
        given["junk_ids"] = [1]
    return (y_probe, y_gallery, distances), given


def outcomes(y_probe, y_gallery, distances, cams_probe=None, cams_gallery=None, junk_ids=()):
    """Return (rank, distance) of each enrolled probe's nearest true match or None, and each stranger's distance."""
    enrolled, strangers = [], []
    for i, who in enumerate(y_probe):
        kept = [j for j, other in enumerate(y_gallery) if other not in junk_ids]
        if who not in [y_gallery[j] for j in kept]:
            strangers.append(min(distances[i][j] for j in kept))
            continue
        right = [j for j in kept if y_gallery[j] == who and (not cams_probe or cams_probe[i] != cams_gallery[j])]
        if not right:
            enrolled.append(None)
            continue
        nearest = min(distances[i][j] for j in right)
        ahead = [j for j in kept if y_gallery[j] != who and distances[i][j] <= nearest]
        enrolled.append((1 + len(ahead), nearest))
    return enrolled, strangers


@given(cases(), st.integers(1, 4), st.sampled_from(["drop", "zero"]), st.integers(1, 9))
def test_rates_are_those_of_a_loop_over_all_probes(case, k, on_missing, block_size):
    """At every threshold, whether the distances come as a matrix or by blocks."""
    args, options = case
    enrolled, strangers = outcomes(*args, **options)
    enrolled = [each for each in enrolled if each is not None or on_missing == "zero"]
    matrix = args[2]
    for distances in (matrix, lambda start, stop: matrix[start:stop]):
        curve = open_set_curve(*args[:2], distances, **options, k=k, on_missing=on_missing, block_size=block_size)
        assert (curve.n_enrolled, curve.n_strangers, curve.k) == (len(enrolled), len(strangers), k)
        for threshold in [*np.unique(matrix), *curve.thresholds]:
            place = np.searchsorted(curve.thresholds, threshold, side="right") - 1
            found = [each is not None and each[0] <= k and each[1] <= threshold for each in enrolled]
            assert curve.dir[place] == pytest.approx(np.mean(found))
            assert curve.far[place] == pytest.approx(np.mean([each <= threshold for each in strangers]))
        assert (np.diff(curve.thresholds) > 0).all()
        assert (np.diff(curve.far) >= 0).all()
        assert (np.diff(curve.dir) >= 0).all()
        assert (curve.thresholds[0], curve.far[0], curve.dir[0]) == (-np.inf, 0, 0)
        assert (curve.thresholds[-1], curve.far[-1]) == (np.inf, 1)


@given(cases(), st.sampled_from([0, 0.1, 0.25, 1 / 3, 0.5, 2 / 3, 0.75, 1]), st.integers(1, 9))
def test_the_threshold_keeps_the_rate_in_the_middle_of_a_gap(case, far, block_size):
    """The next stranger would be one more than allowed; the curve has the best rate of such thresholds."""
    args, options = case
    strangers = np.array(outcomes(*args, **options)[1])
    with warnings.catch_warnings(action="ignore"):  # of a rate too fine
        threshold = threshold_at_far(*args, **options, far=far, block_size=block_size)
        curve = open_set_curve(*args, **options, on_missing="zero")
        best = max(curve.dir[curve.far <= far])
        assert curve.dir_at_far(far) == best
    assert type(threshold) is float
    assert (strangers <= threshold).mean() <= far
    assert threshold == pytest.approx(reference.threshold(strangers, far), rel=1e-6)
    assert not (strangers == threshold).any()
    assert curve.dir[np.searchsorted(curve.thresholds, threshold, side="right") - 1] <= best


@pytest.mark.parametrize("k", [1, 2, 5])
def test_without_a_threshold_the_rate_is_that_of_the_ranking(k):
    """DIR at FAR 1 is rank-k of the enrolled probes."""
    rng = np.random.default_rng(0)
    y_probe, y_gallery = rng.integers(0, 12, 40), rng.integers(0, 8, 30)
    distances = rng.integers(0, 20, (40, 30)) / 4
    known = np.isin(y_probe, y_gallery)
    assert known.sum() not in (0, 40)
    curve = open_set_curve(y_probe, y_gallery, distances, k=k)
    assert curve.dir_at_far(1.0) == cmc_curve(y_probe[known], y_gallery, distances[known])[k - 1]
    assert curve.n_strangers == (~known).sum()


def test_rates_of_a_table_worked_by_hand():
    """Two enrolled people, one of them ranked second, and two strangers."""
    y_probe, y_gallery = ["ann", "bo", "cy", "dee"], ["ann", "bo"]
    distances = [[0.1, 0.9], [0.4, 0.5], [0.3, 0.6], [0.8, 0.7]]
    first = open_set_curve(y_probe, y_gallery, distances)
    np.testing.assert_array_equal(first.thresholds, [-np.inf, 0.1, 0.3, 0.7, np.inf])
    np.testing.assert_array_equal(first.far, [0, 0, 0.5, 1, 1])
    np.testing.assert_array_equal(first.dir, [0, 0.5, 0.5, 0.5, 0.5])
    second = open_set_curve(y_probe, y_gallery, distances, k=2)
    np.testing.assert_array_equal(second.thresholds, [-np.inf, 0.1, 0.3, 0.5, 0.7, np.inf])
    np.testing.assert_array_equal(second.far, [0, 0, 0.5, 0.5, 1, 1])
    np.testing.assert_array_equal(second.dir, [0, 0.5, 0.5, 1, 1, 1])
    assert second.dir_at_far(0.5) == 1
    assert threshold_at_far(y_probe, y_gallery, distances, far=0.5) == pytest.approx((0.3 + 0.7) / 2)


def test_on_drawn_strangers_the_rate_is_about_the_one_asked():
    """A threshold set on some strangers lets as many of others through, to within three standard deviations."""
    rng = np.random.default_rng(0)
    distances = rng.normal(size=(8000, 20)) + 10
    y_gallery = np.arange(20)
    for far in (0.01, 0.1, 0.5):
        threshold = threshold_at_far(np.full(4000, 99), y_gallery, distances[:4000], far=far)
        named = (distances[4000:].min(axis=1) <= threshold).mean()
        assert abs(named - far) < 3 * np.sqrt(2 * far * (1 - far) / 4000)


@pytest.mark.parametrize("n", [1, 2, 3, 49])
def test_a_rate_finer_than_the_strangers_resolve_warns(n):
    """The warning says how fine it can be; at that rate there is none."""
    distances = np.random.default_rng(0).permutation(n + 1)[:, None] + 1.0
    args = ([*range(1, n + 1), 0], [0], distances)
    nearest = np.sort(distances[:n, 0])
    curve = open_set_curve(*args)
    for far in (0, 0.5 / n, np.nextafter(1 / n, 0)):
        says = f"far={far:g} is finer than {n} probes of strangers resolve.*" + (
            r"Use far=(0\.\d+) or more, or more probes\." if n > 1 else r"none of them is accepted\. Use more probes\."
        )
        with pytest.warns(UserWarning, match=says) as caught:
            assert threshold_at_far(*args, far=far) == pytest.approx(nearest[0] * (1 - 1e-4), rel=1e-12)
        assert caught[0].filename == __file__
        with pytest.warns(UserWarning, match=says) as caught:
            assert curve.dir_at_far(far) == (distances[n, 0] < nearest[0])
        assert caught[0].filename == __file__
        if n > 1:  # what is advised is no reason to warn again
            curve.dir_at_far(float(re.search(says, str(caught[0].message))[1]))
    assert threshold_at_far(*args, far=1 / n) == (nearest[:2].mean() if n > 1 else np.inf)


def test_enrolled_people_without_a_true_match_are_counted_as_in_other_figures():
    """They are no strangers; they are left out, counted as failures, or refused."""
    args = ([0, 1, 9], [0, 1], [[0.1, 0.5], [0.6, 0.2], [0.7, 0.8]])
    cams = {"cams_probe": [0, 0, 0], "cams_gallery": [1, 0]}
    with pytest.warns(
        UserWarning, match=r"1 of 3 probes have no true match.*identity 1.*open_set_curve leaves"
    ) as caught:
        curve = open_set_curve(*args, **cams)
    assert caught[0].filename == __file__
    assert (curve.n_enrolled, curve.n_strangers, curve.dir[-1]) == (1, 1, 1.0)
    curve = open_set_curve(*args, **cams, on_missing="zero")
    assert (curve.n_enrolled, curve.n_strangers, curve.dir[-1]) == (2, 1, 0.5)
    with pytest.raises(ValueError, match="1 of 3 probes have no true match"):
        open_set_curve(*args, **cams, on_missing="raise")
    with pytest.raises(ValueError, match="No probe of an enrolled person has a true match"):
        open_set_curve(*args, cams_probe=[1, 0, 0], cams_gallery=[1, 0], on_missing="drop")


def test_both_kinds_of_probes_are_needed():
    """The error says which are missing, and what to do."""
    with pytest.raises(ValueError, match="No probe shows an enrolled person"):
        open_set_curve([5], [0], [[0.0]])
    for function in (open_set_curve, threshold_at_far):
        with pytest.raises(ValueError, match=r"No probe shows a stranger.*Add probes of people who are not"):
            function([0], [0], [[0.0]])
        with pytest.raises(ValueError, match="distances contains nan for probe 1 and gallery image 0"):
            function([0, 1], [0], [[0.0], [np.nan]])
        with pytest.raises(ValueError, match="Nothing to rank: 0 probes"):
            function([], [0], np.empty((0, 1)))
    assert threshold_at_far([5], [0], [[0.5]], far=1) == np.inf


def test_bad_arguments_are_named():
    """In scikit-learn's wording."""
    args = ([0, 1], [0], [[0.1], [0.2]])
    for bad in (-0.1, 1.1, True, "a", np.nan):
        with pytest.raises(ValueError, match=r"'far' parameter of threshold_at_far must be a float in the range \[0"):
            threshold_at_far(*args, far=bad)
        with pytest.raises(ValueError, match=r"'far' parameter of dir_at_far must be a float in the range \[0"):
            open_set_curve(*args).dir_at_far(bad)
    with pytest.raises(ValueError, match=r"'k' parameter of open_set_curve must be an int in the range \[1"):
        open_set_curve(*args, k=0)
    with pytest.raises(ValueError, match="'on_missing' parameter of open_set_curve must be among"):
        open_set_curve(*args, on_missing="skip")
