"""Means and intervals over repeats against scipy.stats."""

import numpy as np
import pytest
from scipy import stats

from skreid.metrics import summary, wilson_interval


@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_interval_is_students(confidence):
    """Mean, deviation and interval are SciPy's, for a figure and for every rank of a curve."""
    values = np.random.default_rng(0).random((10, 4))
    got = summary(values, confidence=confidence)
    low, high = stats.t.interval(confidence, 9, loc=values.mean(axis=0), scale=stats.sem(values, axis=0))
    np.testing.assert_allclose([got.low, got.high], [low, high])
    np.testing.assert_allclose(got.std, np.std(values, axis=0, ddof=1))
    one = summary(values[:, 1], confidence=confidence)
    assert (one.mean, one.low, one.n_repeats) == (pytest.approx(got.mean[1]), pytest.approx(low[1]), 10)
    assert type(one.mean) is type(one.high) is float


@pytest.mark.parametrize("hits", [0, 1, 37, 50])
def test_one_repeat_has_wilsons_interval(hits):
    """One repeat has no deviation, and an interval only as a share of probes: SciPy's Wilson interval."""
    got = summary([hits / 50], n_probes=50)
    expected = stats.binomtest(hits, 50).proportion_ci(method="wilson")
    assert (got.low, got.high) == (pytest.approx(expected.low, abs=1e-12), pytest.approx(expected.high))
    assert np.isnan(got.std)
    assert np.isnan(summary([0.5]).low)
    low, high = wilson_interval([0.0, hits / 50], 50)
    assert (low[1], high[1]) == (got.low, got.high)
    curve = summary([[0.1, hits / 50]], n_probes=50)
    assert (curve.low[1], curve.high[1]) == (got.low, got.high)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: summary([]), "must have shape"),
        (lambda: summary(0.5), "must have shape"),
        (lambda: summary([0.1, np.nan]), "not finite at repeat 1"),
        (lambda: summary([0.1], confidence=1), "'confidence' parameter of summary"),
        (lambda: wilson_interval(1.1, 5), "'share' parameter"),
        (lambda: wilson_interval(0.5, 0), "'n_probes' parameter"),
    ],
)
def test_bad_arguments_are_named(call, message):
    """Each error names the argument."""
    with pytest.raises(ValueError, match=message):
        call()
