"""Error rates of "is it the same person?" against scikit-learn's ROC curve and against sorting all pairs."""

import re
import warnings

import numpy as np
import pytest
import reference
from sklearn.metrics import roc_curve

from skreid.metrics import threshold_at_fmr, verification_curve


def pairs(y_probe, y_gallery, distances, cams_probe=None, cams_gallery=None):
    """Return distances and truth of all pairs that count."""
    same = np.asarray(y_probe)[:, None] == np.asarray(y_gallery)
    counts = np.ones_like(same)
    if cams_probe is not None:
        counts = ~(same & (np.asarray(cams_probe)[:, None] == np.asarray(cams_gallery)))
    return np.asarray(distances)[counts], same[counts]


def random_case(rng):
    n_probe, n_gallery = rng.integers(2, 12, size=2)
    y_probe, y_gallery = (
        np.append(rng.integers(3, size=n_probe), 0),
        np.append(rng.integers(3, size=n_gallery), [0, 1]),
    )
    distances = rng.integers(rng.choice([1, 4, 10_000]), size=(n_probe + 1, n_gallery + 2)) / 4 - 1
    distances -= rng.choice([0, 1]) * (y_probe[:, None] == y_gallery)
    cams = {}
    if rng.random() < 0.5:
        cams = {
            "cams_probe": np.append(rng.integers(2, size=n_probe), 0),
            "cams_gallery": np.append(rng.integers(2, size=n_gallery), [1, 1]),
        }
    return (y_probe, y_gallery, distances.astype(rng.choice([np.float32, np.float64]))), cams


def equal_error_by_interpolation(distances, same):
    """Cross the full ROC polyline with its diagonal, segment by segment."""
    fmr, tpr, _ = roc_curve(same, -distances, drop_intermediate=False)
    fnmr = 1 - tpr
    for i in range(1, len(fmr)):
        if fmr[i] >= fnmr[i]:
            a, b = fmr[i - 1] - fnmr[i - 1], fmr[i] - fnmr[i]
            return fmr[i - 1] + (fmr[i] - fmr[i - 1]) * -a / (b - a)
    raise AssertionError("the curve ends at (1, 0)")


def test_curve_is_the_roc_curve():
    """Each point has the rates of its threshold; the area and the crossing are those of the full ROC curve."""
    rng = np.random.default_rng(0)
    for _ in range(600):
        args, cams = random_case(rng)
        distances, same = pairs(*args, **cams)
        curve = verification_curve(*args, **cams, block_size=int(rng.integers(1, 9)))
        assert (curve.n_genuine, curve.n_impostor) == (same.sum(), (~same).sum())
        for fmr, fnmr, threshold in zip(curve.fmr, curve.fnmr, curve.thresholds, strict=True):
            accepted = distances <= threshold
            assert fmr == pytest.approx(accepted[~same].mean())
            assert fnmr == pytest.approx((~accepted)[same].mean())
        full_fmr, full_tpr, _ = roc_curve(same, -distances)
        np.testing.assert_allclose(
            np.trapezoid(1 - curve.fnmr, curve.fmr), np.trapezoid(full_tpr, full_fmr), atol=1e-12
        )
        assert curve.equal_error_rate == pytest.approx(equal_error_by_interpolation(distances, same), abs=1e-12)
        rate = rng.random()
        best = min(
            (distances > t)[same].mean() for t in [-np.inf, *distances] if (distances <= t)[~same].mean() <= rate
        )
        with warnings.catch_warnings(action="ignore"):  # of a rate too fine
            assert curve.fnmr_at_fmr(rate) == pytest.approx(best)


def test_curve_runs_from_no_pair_to_every_pair():
    """The ends are (0, 1) and (1, 0), and both rates are monotone."""
    rng = np.random.default_rng(0)
    y = rng.integers(5, size=60)
    curve = verification_curve(y, y, rng.random((60, 60)))
    assert (curve.fmr[0], curve.fnmr[0], curve.thresholds[0]) == (0, 1, -np.inf)
    assert (curve.fmr[-1], curve.fnmr[-1], curve.thresholds[-1]) == (1, 0, np.inf)
    assert (np.diff(curve.fmr) >= 0).all()
    assert (np.diff(curve.fnmr) <= 0).all()
    assert (np.diff(curve.thresholds) > 0).all()
    assert abs((curve.fmr - curve.fnmr)[curve.thresholds == curve.equal_error_threshold][0]) < 0.01


def test_equal_error_rates_of_extreme_distances():
    """The equal error rate is 0 for separable people, 1/2 for identical descriptors and 1 for reversed distances."""
    y = [0, 0, 1, 1]
    same = np.equal.outer(y, y)
    curve = verification_curve(y, y, np.where(same, 0.1, 0.9))
    assert curve.equal_error_rate == 0
    assert curve.equal_error_threshold == 0.1
    assert curve.fnmr_at_fmr(0.125) == 0
    assert verification_curve(y, y, np.zeros((4, 4))).equal_error_rate == 0.5
    assert verification_curve(y, y, np.where(same, 0.9, 0.1)).equal_error_rate == 1


def test_threshold_keeps_the_rate_in_the_middle_of_a_gap():
    """At most the allowed share of impostors is accepted, and more with the next one."""
    rng = np.random.default_rng(1)
    for _ in range(600):
        args, cams = random_case(rng)
        distances, same = pairs(*args, **cams)
        impostors = distances[~same]
        fmr = float(rng.choice([0, 1, 0.1, 0.29, 0.5, rng.random(), 1 / len(impostors), 3 / len(impostors)]))
        fmr = min(fmr, 1.0)
        with warnings.catch_warnings(action="ignore"):  # of a rate too fine
            t = threshold_at_fmr(*args, **cams, fmr=fmr, block_size=int(rng.integers(1, 9)))
        assert type(t) is float
        assert (impostors <= t).mean() <= fmr
        assert t == pytest.approx(reference.threshold(impostors, fmr), rel=1e-6)


def test_junk_is_left_out_of_both_rates():
    """Junk gallery images form no pairs."""
    d = np.array([[0.1, 0.0, 0.9], [0.8, 0.0, 0.2]])
    curve = verification_curve(["a", "b"], ["a", "junk", "b"], d, junk_ids="junk")
    assert (curve.n_genuine, curve.n_impostor, curve.equal_error_rate) == (2, 2, 0.0)
    assert threshold_at_fmr(["a", "b"], ["a", "junk", "b"], d, junk_ids="junk", fmr=0.5) == pytest.approx(0.85)


@pytest.mark.parametrize("n_people", [2, 3, 7, 11, 49, 50])
def test_a_rate_finer_than_the_pairs_resolve_warns(n_people):
    """The warning says how fine it can be; at that rate there is none, and one more pair is accepted."""
    y, distances = np.arange(n_people), np.random.default_rng(0).permutation(n_people**2) + 1.0
    distances = distances.reshape(n_people, n_people)
    n_pairs = n_people * (n_people - 1)
    nearest = np.sort(distances[~np.eye(n_people, dtype=bool)])
    curve = verification_curve(y, y, distances)
    for fmr in (0, 0.5 / n_pairs, np.nextafter(1 / n_pairs, 0)):
        says = rf"finer than {n_pairs} pairs .*Use fmr=(0\.\d+) or more"
        with pytest.warns(UserWarning, match=says) as caught:
            assert threshold_at_fmr(y, y, distances, fmr=fmr) == pytest.approx(nearest[0] * (1 - 1e-4), rel=1e-12)
        with pytest.warns(UserWarning, match=says):
            assert curve.fnmr_at_fmr(fmr) == (np.diag(distances) >= nearest[0]).mean()
        curve.fnmr_at_fmr(float(re.search(says, str(caught[0].message))[1]))  # what is advised does not warn again
    assert threshold_at_fmr(y, y, distances, fmr=1 / n_pairs) == nearest[:2].mean()
    assert curve.fnmr_at_fmr(1 / n_pairs) == (np.diag(distances) >= nearest[1]).mean()


@pytest.mark.parametrize("bad", [-0.1, 1.1, True, "a", np.nan])
def test_a_rate_outside_of_0_to_1_is_refused(bad):
    """The error is in scikit-learn's wording."""
    with pytest.raises(ValueError, match=r"'fmr' parameter of threshold_at_fmr must be a float in the range \[0"):
        threshold_at_fmr([0], [0, 1], [[0.0, 1.0]], fmr=bad)


def test_rates_need_pairs_of_both_kinds():
    """The error says which pairs are missing."""
    with pytest.raises(ValueError, match="0 pairs of one person and 1 of different people"):
        verification_curve([0], [1], [[0.0]])
    with pytest.raises(ValueError, match="1 pairs of one person and 0 of different people"):
        verification_curve([0], [0], [[0.0]])
    with pytest.raises(ValueError, match="no pair of different people"):
        threshold_at_fmr([0], [0], [[0.0]])
