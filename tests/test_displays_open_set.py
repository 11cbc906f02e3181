"""OpenSetDisplay: what it draws, read from its artists, against the curves and against the strangers it makes."""

import matplotlib
import numpy as np
import pytest
from sklearn.preprocessing import FunctionTransformer

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from skreid.displays import OpenSetDisplay, RankingDisplay
from skreid.gallery import Gallery
from skreid.metrics import open_set_curve, summary, wilson_interval

RNG = np.random.default_rng(0)
Y = np.repeat(np.arange(30), 4)
X = RNG.normal(size=(30, 6))[Y] + 0.7 * RNG.normal(size=(120, 6))
CAMS = np.tile([0, 0, 1, 1], 30)
PICTURES = np.zeros((2, 8, 4, 3), np.uint8)
AS_IS = FunctionTransformer().fit(X)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def one_gallery(n_people=20):
    """Return labels and distances of a gallery of some people."""
    gallery = Gallery(X[::4][:n_people], Y[::4][:n_people])
    return Y[1::4], gallery.ids, gallery.distance_blocks(X[1::4])


def test_the_line_is_the_curve_and_the_band_is_wilsons():
    """At each false-alarm rate the largest identification rate, from the finest rate that is resolved."""
    args = one_gallery()
    display = OpenSetDisplay.from_predictions(*args, name="ours")
    curve = open_set_curve(*args)
    rates = np.arange(1, 11) / 10  # of ten strangers
    np.testing.assert_allclose(display.line_.get_xdata(), rates)
    expected = [max(curve.dir[curve.far <= far + 1e-9]) for far in rates]
    np.testing.assert_allclose(display.line_.get_ydata(), expected)
    assert display.line_.get_drawstyle() == "steps-post"
    assert display.ax_.get_xscale() == "log"
    corners = display.band_.get_paths()[0].vertices
    low, high = wilson_interval(expected[0], 20)
    at_the_finest = corners[np.isclose(corners[:, 0], 0.1), 1]
    np.testing.assert_allclose([at_the_finest.min(), at_the_finest.max()], [low, high])
    assert display.line_.get_label() == f"ours ({expected[0]:.3f} at 10 % false alarms)"
    assert "of one curve (Wilson)" in display.ax_.get_legend().get_title().get_text()
    assert OpenSetDisplay(curves=curve).plot(band=None, far=0.5, ls=":").band_ is None
    assert OpenSetDisplay(curves=curve).plot(far=0.5).line_.get_label() == f"{expected[4]:.3f} at 50 % false alarms"


@pytest.mark.parametrize(("n_strangers", "count"), [(0.5, 15), (10, 10), (0.9, 27)])
@pytest.mark.parametrize("cams", [None, CAMS])
def test_of_an_estimator_some_people_are_strangers_in_each_gallery(n_strangers, count, cams):
    """As many as asked, others each time; the line is the mean over the galleries, and the seed decides."""
    display = OpenSetDisplay.from_estimator(AS_IS, X, Y, cams=cams, n_strangers=n_strangers, n_repeats=4, n_shots=1)
    per_person = 3 if cams is None else 2  # probes
    for curve in display.curves:
        assert curve.n_strangers == count * per_person
        assert curve.n_enrolled == (30 - count) * per_person
    rates = np.arange(1, count * per_person + 1) / (count * per_person)
    values = [[max(c.dir[c.far <= far + 1e-9]) for far in rates] for c in display.curves]
    positions = np.searchsorted(rates, display.far_ - 1e-9)
    expected = summary(np.array(values)[:, positions])
    np.testing.assert_allclose(display.dir_, expected.mean)
    corners = display.band_.get_paths()[0].vertices[:, 1]
    assert corners.min() == pytest.approx(max(expected.low.min(), 0))
    assert "mean of 4 repeats" in display.ax_.get_legend().get_title().get_text()
    again = OpenSetDisplay.from_estimator(AS_IS, X, Y, cams=cams, n_strangers=n_strangers, n_repeats=4)
    np.testing.assert_array_equal(again.dir_, display.dir_)
    assert len({c.dir[-1] for c in display.curves} | {c.thresholds[1] for c in display.curves}) > 2


def test_a_second_system_is_added_to_the_same_axes():
    """With its own dashes; the axis keeps the finest rate of both."""
    first = OpenSetDisplay.from_predictions(*one_gallery(10), name="a")
    second = OpenSetDisplay.from_predictions(*one_gallery(26), k=3, name="b", ax=first.ax_)
    assert second.ax_ is first.ax_
    assert first.line_.get_linestyle() != second.line_.get_linestyle()
    assert first.ax_.get_xlim()[0] < 1 / 20
    assert [text.get_text()[:3] for text in first.ax_.get_legend().get_texts()] == ["a (", "b ("]
    assert first.ax_.get_ylabel() == "Share of enrolled people identified within rank 3"


def test_nothing_to_draw_is_a_clear_error():
    """No curve, curves of several ranks, no probes, no strangers."""
    args = one_gallery()
    for wrong in ([], [0.5], "curve", 0.5):
        with pytest.raises(ValueError, match=r"curves must be what skreid.metrics.open_set_curve returned"):
            OpenSetDisplay(curves=wrong).plot()
    with pytest.raises(ValueError, match=r"curves are of several ranks, \[1, 3\]"):
        OpenSetDisplay(curves=[open_set_curve(*args, k=k) for k in (1, 3)]).plot()
    with pytest.raises(ValueError, match="Nothing to rank: 0 probes"):
        OpenSetDisplay.from_predictions([], [0], np.empty((0, 1)))
    with pytest.raises(ValueError, match="No probe shows a stranger"):
        OpenSetDisplay.from_predictions([0], [0], [[0.0]])
    for probes, gallery in ((PICTURES[:0], PICTURES), (PICTURES, []), ([], PICTURES)):
        with pytest.raises(ValueError, match="There is no image to show: give at least one"):
            RankingDisplay.from_estimator(AS_IS, probes, gallery)
    for n_strangers, count in ((0, 0), (30, 30), (1.0, 30), (0.001, 0)):
        with pytest.raises(ValueError, match=f"strangers of 1 to 29 of 30 people.*which makes {count}"):
            OpenSetDisplay.from_estimator(AS_IS, X, Y, n_strangers=n_strangers)


@pytest.mark.parametrize(("n_strangers", "random_state"), [(1, 0), (29, 0)])
def test_strangers_or_enrolled_people_without_a_probe_are_a_clear_error(n_strangers, random_state):
    """Two of thirty people are seen by both cameras; the message counts them, and speaks of what can be passed here."""
    cams = np.where(Y < 2, CAMS, 0)
    with pytest.raises(
        ValueError, match=rf"drew {n_strangers} of 30 people.*among the 2 people.*pass another n_strang"
    ):
        OpenSetDisplay.from_estimator(AS_IS, X, Y, cams=cams, n_strangers=n_strangers, random_state=random_state)


def test_one_person_cannot_be_enrolled_and_a_stranger():
    """The number of people is the culprit, not `n_strangers`."""
    with pytest.raises(ValueError, match=r"needs images of two people, one enrolled and one not. y has 1"):
        OpenSetDisplay.from_estimator(AS_IS, X[:4], Y[:4])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"n_strangers": -1}, "'n_strangers' parameter of OpenSetDisplay.from_estimator must be a float in the range"),
        ({"n_repeats": 0}, "'n_repeats' parameter of OpenSetDisplay.from_estimator must be an int"),
        ({"n_shots": True}, "'n_shots' parameter of OpenSetDisplay.from_estimator must be an int"),
        ({"k": 0}, "'k' parameter of OpenSetDisplay.from_estimator must be an int"),
        ({"far": 2}, "'far' parameter of OpenSetDisplay.plot must be a float in the range"),
        ({"band": "std"}, "'band' parameter of OpenSetDisplay.plot must be among"),
    ],
)
def test_wrong_arguments_are_named(given, message):
    """In scikit-learn's wording."""
    with pytest.raises(ValueError, match=message):
        OpenSetDisplay.from_estimator(AS_IS, X, Y, **given)
