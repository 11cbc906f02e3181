"""The parts of a distance: they add up, agree with derivatives and brute force, and are drawn as they are."""

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.feature_selection import SelectKBest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    Normalizer,
    PowerTransformer,
    QuantileTransformer,
    StandardScaler,
)
from sklearn.random_projection import SparseRandomProjection

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from skreid import MatchExplanation, explain_match, rank_gallery
from skreid.descriptors import GOG, CenteredNormalizer
from skreid.displays import MatchDisplay
from skreid.exceptions import ImageError
from skreid.metric_learning import CVDCA, XQDA, KernelXQDA

STEPS = {
    "nothing": [],
    "a scaler": [StandardScaler()],
    "PCA": [PCA(6)],
    "whitening": [PCA(6, whiten=True)],
    "SVD": [TruncatedSVD(5)],
    "a sparse random projection": [SparseRandomProjection(5, random_state=0)],
    "a selection": [SelectKBest(k=9), PCA(4)],
    "a scaler behind PCA": [PCA(6), MinMaxScaler()],
    "a linear function": [FunctionTransformer(lambda X: 3 * X[:, ::-1] + 1)],
    "PCA and LDA": [PCA(9), LinearDiscriminantAnalysis(solver="eigen", shrinkage=0.5)],
    "XQDA": [XQDA(reg=0.1)],
    "PCA and XQDA": [PCA(9), XQDA(reg=0.1)],
}
SCALED = {
    "unit length": [Normalizer()],
    "unit length about the mean": [CenteredNormalizer()],
    "unit length behind LDA": [PCA(9), LinearDiscriminantAnalysis(solver="eigen", shrinkage=0.5), Normalizer()],
    "unit length twice": [StandardScaler(), PCA(8), Normalizer(), PCA(5), Normalizer()],
}


@pytest.fixture(scope="module")
def described(people, fitted):
    return fitted.transform(people.images).astype(np.float64)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def system_of(fitted, steps, X, y):
    """Fit the steps on the descriptors of an estimator, and put them behind it."""
    for step in steps:
        X = step.fit(X, y).transform(X)
    return make_pipeline(fitted, *steps)


def squared_distance(steps, probe, candidate):
    """Return the squared Euclidean distance behind all steps, or the learned distance."""
    rows = np.stack([probe, candidate])
    for step in steps:
        if hasattr(step, "pairwise_distances"):
            return step.pairwise_distances(rows[:1], rows[1:])[0, 0]
        rows = step.transform(rows)
    return ((rows[0] - rows[1]) ** 2).sum()


@pytest.mark.parametrize("steps", STEPS.values(), ids=STEPS)
def test_parts_are_differences_times_half_the_derivative(steps, people, fitted, described):
    """A quadratic form is half the sum of each coordinate times its derivative, here a central difference: exact."""
    system = system_of(fitted, steps, described, people.target)
    probe, candidate = described[0], described[5]
    explanation = explain_match(system, probe, candidate)
    expected = np.empty(len(probe))
    for i, step in enumerate(np.eye(len(probe))):
        up = squared_distance(steps, probe + step, candidate)
        down = squared_distance(steps, probe - step, candidate)
        expected[i] = (probe[i] - candidate[i]) * (up - down) / 4
    np.testing.assert_allclose(explanation.parts, expected, rtol=1e-6, atol=1e-9 * abs(explanation.total))
    np.testing.assert_allclose(explanation.total, squared_distance(steps, probe, candidate), rtol=1e-9)


@pytest.mark.parametrize("steps", [*STEPS.values(), *SCALED.values()], ids=[*STEPS, *SCALED])
def test_parts_add_up_to_the_distance_of_the_ranking(steps, people, fitted, described):
    """Images are given, and what rank_gallery returns is explained, to the rounding of its float32 descriptors."""
    system = system_of(fitted, steps, described, people.target)
    images = people.images[[0]], people.images[[5]]
    explanation = explain_match(system, images[0][0], images[1][0])
    distance = rank_gallery(system, *images, n_neighbors=1)[0][0, 0]
    learned = any(hasattr(step, "pairwise_distances") for step in steps)
    assert explanation.distance == pytest.approx(distance, rel=1e-4)
    assert explanation.parts.sum() == pytest.approx(distance if learned else distance**2, rel=1e-4)
    assert explanation.parts.sum() + explanation.remainder == pytest.approx(explanation.total, rel=1e-12)
    assert abs(explanation.remainder) < 1e-9 * abs(explanation.total)


def test_a_part_is_the_square_of_its_own_dimension_where_no_step_mixes_them(people, fitted, described):
    """Such a step need not be linear if it stands right behind the descriptor, as the page says."""
    step = QuantileTransformer(n_quantiles=8)
    system = system_of(fitted, [step, PCA(4)], described, people.target)
    explanation = explain_match(make_pipeline(*system[:2]), described[0], described[5])
    probe, candidate = step.transform(described[[0, 5]])
    np.testing.assert_allclose(explanation.parts, (probe - candidate) ** 2, rtol=1e-9)
    behind = explain_match(system, described[0], described[5])
    apart = probe - candidate
    np.testing.assert_allclose(
        behind.parts, apart * (system[2].components_.T @ (system[2].components_ @ apart)), rtol=1e-6, atol=1e-9
    )


def test_parts_behind_unit_length_agree_with_the_scaled_rows(people, fitted, described):
    """By hand: unit length behind a PCA without mean scales both rows, then the PCA is a quadratic form."""
    svd = TruncatedSVD(5).fit(described)
    system = make_pipeline(fitted, svd, Normalizer().fit(svd.transform(described)))
    probe, candidate = described[0], described[5]
    explanation = explain_match(system, probe, candidate)
    scaled = [row / np.linalg.norm(svd.components_ @ row) for row in (probe, candidate)]
    apart = scaled[0] - scaled[1]
    np.testing.assert_allclose(explanation.parts, apart * (svd.components_.T @ (svd.components_ @ apart)), rtol=1e-9)


@pytest.mark.parametrize("zero", [0, 1])
def test_a_descriptor_that_is_zero_in_front_of_unit_length_stays_zero(zero, people, fitted, described):
    """By hand: the parts are the squares of the other descriptor's unit vector, and 0 elsewhere."""
    selector = SelectKBest(k=3).fit(described, people.target)
    system = make_pipeline(fitted, selector, Normalizer().fit(selector.transform(described)))
    rows = [described[5], described[5]]
    rows[zero] = np.zeros_like(described[5])
    explanation = explain_match(system, *rows)
    chosen = np.where(selector.get_support(), described[5], 0)
    np.testing.assert_allclose(explanation.parts, (chosen / np.linalg.norm(chosen)) ** 2, rtol=1e-12)
    assert explanation.total == pytest.approx(1)
    assert explanation.remainder == pytest.approx(0)


def test_parts_belong_to_the_layer_filter_and_row_of_each_feature_name(people, fitted):
    """Sums by layer and by filter against sums over the names of the dimensions."""
    explanation = explain_match(fitted, people.images[0], people.images[5])
    names = fitted.get_feature_names_out()
    for layer, part in explanation.by_layer().items():
        assert part == pytest.approx(
            sum(p for n, p in zip(names, explanation.parts, strict=True) if n.startswith(layer))
        )
    filters = explanation.by_filter()
    assert len(filters) == 6
    for layer, chosen, part in filters:
        owned = [p for n, p in zip(names, explanation.parts, strict=True) if n.startswith(f"{layer}_f{chosen}_")]
        assert part == pytest.approx(sum(owned))
    assert [abs(part) for *_, part in filters] == sorted((abs(part) for *_, part in filters), reverse=True)
    rows = {layer: fitted.mean_maps_[layer].shape[1] for layer in fitted.layers_}
    for name, (top, bottom) in zip(names, explanation.heights, strict=True):
        layer, _, row, _ = name.rsplit("_", 3)
        assert (top, bottom) == pytest.approx((int(row[1:]) / rows[layer], (int(row[1:]) + 1) / rows[layer]))


@given(
    n_bands=st.integers(1, 9),
    layers=st.lists(st.tuples(st.integers(1, 6), st.integers(1, 3)), min_size=1, max_size=3),
    seed=st.integers(0, 99),
)
def test_bands_share_each_row_by_its_overlap(n_bands, layers, seed):
    """Against a loop over bands and rows; the bands add up to all parts."""
    heights = np.array([(r / n, (r + 1) / n) for n, n_filters in layers for _ in range(n_filters) for r in range(n)])
    names = np.array([f"l{i}" for i, (n, n_filters) in enumerate(layers) for _ in range(n * n_filters)], dtype=object)
    parts = np.random.default_rng(seed).normal(size=len(heights))
    explanation = MatchExplanation(
        distance=0, total=0, parts=parts, remainder=0, layers=names, filters=np.zeros(len(parts), int), heights=heights
    )
    for layer in [None, "l0"]:
        expected = np.zeros(n_bands)
        for band in range(n_bands):
            for name, part, (top, bottom) in zip(names, parts, heights, strict=True):
                overlap = min(bottom, (band + 1) / n_bands) - max(top, band / n_bands)
                if layer in (None, name) and overlap > 0:
                    expected[band] += part * overlap / (bottom - top)
        np.testing.assert_allclose(explanation.by_band(n_bands, layer=layer), expected, atol=1e-9)
    assert len(explanation.by_band()) == min(n for n, _ in layers)


@pytest.mark.parametrize(
    ("steps", "name"),
    [
        ([KernelXQDA()], "KernelXQDA"),
        ([CVDCA()], "CVDCA"),
        ([FunctionTransformer(np.tanh)], "FunctionTransformer"),
        ([PCA(5), PowerTransformer()], "PowerTransformer"),
        ([PCA(5), KBinsDiscretizer(3, quantile_method="averaged_inverted_cdf")], "KBinsDiscretizer"),
    ],
)
def test_what_has_no_exact_parts_is_refused_by_name(steps, name, people, fitted, described):
    system = system_of(fitted, steps, described, people.target)
    with pytest.raises(TypeError, match=f"{name} is not"):
        explain_match(system, people.images[0], people.images[5])


def test_other_systems_are_refused(people):
    with pytest.raises(ValueError, match=r"needs a fitted MultiDepthReID.*Got GOG"):
        explain_match(GOG().fit(people.images), people.images[0], people.images[1])


def test_descriptors_of_another_length_are_refused(people, fitted):
    with pytest.raises(ValueError, match=r"The candidate must be one image, or one finite desc.*Got 3 dimensions"):
        explain_match(fitted, people.images[0], np.ones(3))
    with pytest.raises(ValueError, match=r"The probe must be .* Got 2 values that are not finite"):
        explain_match(fitted, np.r_[np.inf, np.zeros(fitted.n_features_out_ - 2), np.nan], people.images[0])


def test_a_descriptor_may_be_numbers_in_a_list_or_a_row(people, fitted, described):
    """As `transform` returns it for one image, in any kind of number; the parts are the same."""
    expected = explain_match(fitted, described[0], described[5]).parts
    np.testing.assert_array_equal(explain_match(fitted, described[:1], described[5].tolist()).parts, expected)
    whole = np.rint(described[0])
    np.testing.assert_array_equal(
        explain_match(fitted, whole.astype(int), described[5]).parts, explain_match(fitted, whole, described[5]).parts
    )


@pytest.mark.parametrize("explain", [explain_match, MatchDisplay.from_estimator])
@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("nowhere.png", r"\('nowhere.png'\) does not exist"),
        (None, "is None"),
        (np.zeros((2, 32, 16, 3), np.uint8), r"has shape \(2, 32, 16, 3\).*holds several images"),
        ([np.zeros((32, 16, 3), np.uint8)] * 2, "is a list of 2 entries, 2 of which may be images"),
    ],
)
def test_errors_say_whether_the_probe_or_the_candidate_is_wrong(explain, wrong, says, people, fitted):
    """There is no list that they could be counted in."""
    with pytest.raises(ImageError, match=f"^the probe {says}"):
        explain(fitted, wrong, people.images[0])
    with pytest.raises(ImageError, match=f"^the candidate {says}"):
        explain(fitted, people.images[0], wrong)


def test_a_descriptor_cannot_be_drawn(people, fitted, described):
    with pytest.raises(ImageError, match=r"Cannot be shown: the candidate has shape .*pass the images they came from"):
        MatchDisplay.from_estimator(fitted, people.images[0], described[5])


def test_unknown_layers_and_numbers_of_bands_are_refused(people, fitted):
    explanation = explain_match(fitted, people.images[0], people.images[5])
    with pytest.raises(ValueError, match="Layer 'conv9' has no part"):
        explanation.by_band(layer="conv9")
    with pytest.raises(ValueError, match="'n_bands' parameter of by_band"):
        explanation.by_band(0)


def test_display_draws_the_parts(people, fitted):
    """Bars are shares in per cent; both pictures have the same shades, the largest part the strongest."""
    display = MatchDisplay.from_estimator(fitted, people.images[0], people.images[5])
    bands = display.explanation.by_band()
    np.testing.assert_allclose([bar.get_width() for bar in display.bands_], 100 * bands / bands.sum())
    leading = [100 * part / bands.sum() for *_, part in display.explanation.by_filter()[:8]]
    np.testing.assert_allclose([bar.get_width() for bar in display.filters_], leading)
    for shades in display.shades_:
        np.testing.assert_allclose([shade.get_alpha() for shade in shades], 0.5 * bands / bands.max())
        assert shades[0].get_y() == -0.5
        assert shades[-1].get_y() + shades[-1].get_height() == people.images[0].shape[0] - 0.5
    np.testing.assert_array_equal(display.images_[1].get_array(), people.images[5])


def test_display_draws_negative_parts_in_another_colour_and_in_their_own_unit(people, fitted, described):
    """Behind XQDA."""
    system = system_of(fitted, [PCA(9), XQDA(reg=0.1)], described, people.target)
    display = MatchDisplay.from_estimator(system, people.images[0], people.images[5])
    parts = np.array([part for *_, part in display.explanation.by_filter()[:8]])
    assert (display.explanation.parts < 0).any()
    np.testing.assert_allclose([bar.get_width() for bar in display.filters_], parts)
    assert len({bar.get_facecolor() for bar in display.filters_}) == len(set(np.sign(parts)))
    assert display.axes_[2].get_xlabel() == "part of the learned\ndistance"


def test_two_equal_images_have_no_parts(people, fitted):
    """Nothing is divided by zero."""
    display = MatchDisplay.from_estimator(fitted, people.images[0], people.images[0])
    assert not display.explanation.parts.any()
    assert display.axes_[2].get_xlabel() == "share of the squared\ndistance (%)"
    assert display.explanation.distance == 0
    assert len(display.filters_) == 0  # none leads
    display.figure_.draw_without_rendering()
    for axes in display.axes_[2:]:
        assert axes.get_xlim() == (0, 100)
        assert not axes.xaxis.get_offset_text().get_text()


def many_filters(n_filters):
    """Return a display of parts that fall from filter to filter."""
    explanation = MatchExplanation(
        distance=1, total=1, parts=np.geomspace(1, 0.01, n_filters), remainder=0.0,
        layers=np.full(n_filters, "conv5_3", dtype=object), filters=np.arange(n_filters),
        heights=np.tile([0.0, 1.0], (n_filters, 1)),
    )  # fmt: skip
    return MatchDisplay(pictures=[np.zeros((40, 20, 3), np.uint8)] * 2, explanation=explanation)


def boxes(texts):
    return [text.get_window_extent() for text in texts if text.get_text() and text.get_visible()]


@pytest.mark.parametrize(("width", "n_filters"), [(None, 60), (9, 20), (4, 8), (3, 60)])
def test_texts_do_not_run_into_each_other(width, n_filters):
    """Neither names of filters nor titles, in a new figure and in smaller ones."""
    display = many_filters(300)
    display.plot(None if width is None else plt.subplots(figsize=(width, width / 2))[1], n_filters=n_filters)
    display.figure_.set_layout_engine("constrained")
    display.figure_.draw_without_rendering()
    for texts in (display.axes_[3].get_yticklabels(), [axes.title for axes in display.axes_]):
        extents = boxes(texts)
        assert not any(one.overlaps(other) for i, one in enumerate(extents) for other in extents[:i])
    names = [text.get_text() for text in display.axes_[3].get_yticklabels()]
    assert names[0].startswith("conv5_3 filter 0") or (width, n_filters) == (3, 60)


def test_more_filters_than_can_be_named_are_numbered():
    """All bars are drawn, and the figure does not grow."""
    display = many_filters(300).plot(n_filters=200)
    assert len(display.filters_) == 200
    assert display.axes_[3].get_ylabel() == "filter, by its part"
    assert not any("conv5_3" in text.get_text() for text in display.axes_[3].get_yticklabels())
    assert display.figure_.get_figheight() == many_filters(300).plot().figure_.get_figheight()
