"""The Displays: what they draw (read from their artists), what they refuse, and that they do not import torch."""

import subprocess
import sys

import matplotlib
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.colors import to_rgb

from skreid import MultiDepthReID, cmc_score
from skreid.descriptors._read import read_image
from skreid.displays import (
    CameraPairDisplay,
    CMCDisplay,
    FeatureMapDisplay,
    FilterMarginDisplay,
    RankingDisplay,
    TrainingCurveDisplay,
)
from skreid.evaluation import ResultTable, evaluate
from skreid.exceptions import ImageError
from skreid.metrics import cmc_curve
from skreid.model_selection import IdentityKFold
from skreid.protocols import TwoViewProtocol


def flatten(images):
    return np.asarray(images).reshape(len(images), -1) / 255.0


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def pixels():
    return FunctionTransformer(flatten)


def drawn_without_overflow(figure):
    """Draw a figure and return whether all its axes lie within it, including labels, ticks and legends."""
    figure.canvas.draw()
    width, height = figure.canvas.get_width_height()
    boxes = [axes.get_tightbbox() for axes in figure.axes]
    return all(box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1 for box in boxes)


def test_displays_do_not_import_torch_or_matplotlib():
    code = "import sys, skreid.displays; print('torch' in sys.modules, 'matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


class TestCMC:
    def test_line_is_the_mean_and_band_one_deviation(self):
        """The band is cut to [0, 1]."""
        curves = np.array([[0.2, 0.6, 1.0], [0.4, 0.6, 1.0], [0.9, 0.9, 1.0]])
        display = CMCDisplay(cmc=curves, name="ours").plot()
        np.testing.assert_allclose(display.line_.get_ydata(), curves.mean(axis=0))
        np.testing.assert_array_equal(display.line_.get_xdata(), [1, 2, 3])
        edge = display.band_.get_paths()[0].vertices
        std = curves.std(axis=0, ddof=1)
        at_first = edge[edge[:, 0] == 1, 1]
        np.testing.assert_allclose([at_first.min(), at_first.max()], [0.5 - std[0], 0.5 + std[0]])
        assert edge[:, 1].max() <= 1
        assert display.line_.get_label() == "ours (rank-1 = 0.500 ± 0.361, n = 3)"
        assert display.figure_ is display.ax_.figure

    @pytest.mark.parametrize("band", ["ci", "range", None])
    def test_band_may_be_an_interval_the_range_or_absent(self, band):
        """The range spans all repeats; None draws no band; the legend says what the band is."""
        curves = np.array([[0.2, 0.6], [0.4, 0.7], [0.9, 0.9]])
        display = CMCDisplay(cmc=curves).plot(band=band)
        title = display.ax_.get_legend().get_title().get_text()
        if band is None:
            assert display.band_ is None
            assert title == ""
        elif band == "range":
            at_first = display.band_.get_paths()[0].vertices
            np.testing.assert_allclose([at_first[:, 1].min(), at_first[:, 1].max()], [0.2, 0.9])
        else:
            assert "95 %" in title

    def test_several_systems_share_axes_with_their_own_dashes(self, people, pixels):
        """Two systems on one axes differ in dashes as well as colour, and both are in the legend."""
        first = CMCDisplay.from_estimator(pixels, people.images, people.target, cams=people.cams, name="a")
        second = CMCDisplay(cmc=np.linspace(0.5, 1, 12), name="b").plot(first.ax_)
        assert second.ax_ is first.ax_
        assert first.line_.get_linestyle() != second.line_.get_linestyle()
        assert first.line_.get_color() != second.line_.get_color()
        legend = first.ax_.get_legend()
        assert len(legend.get_texts()) == 2
        assert "standard deviation" in legend.get_title().get_text()
        assert first.ax_.get_xlim()[1] >= 12
        assert drawn_without_overflow(first.figure_)

    def test_from_predictions_draws_cmc_curve_up_to_max_rank(self):
        rng = np.random.default_rng(0)
        arguments = rng.integers(0, 5, 9), np.repeat(np.arange(5), 6), rng.random((9, 30))
        display = CMCDisplay.from_predictions(*arguments, max_rank=7)
        np.testing.assert_allclose(display.line_.get_ydata(), cmc_curve(*arguments)[:7])
        assert display.line_.get_label().startswith("rank-1 = ")
        assert len(CMCDisplay.from_predictions(*arguments, max_rank=None).line_.get_xdata()) == 30

    def test_from_estimator_draws_the_galleries_of_the_scorer(self, people, pixels):
        """Rank 1 of the mean curve is cmc_score."""
        display = CMCDisplay.from_estimator(pixels, people.images, people.target, cams=people.cams)
        score = cmc_score(pixels, people.images, people.target, cams=people.cams)
        assert display.line_.get_ydata()[0] == pytest.approx(score)
        assert display.line_.get_label().startswith("FunctionTransformer (")

    def test_a_single_repeat_has_no_spread(self, people, pixels):
        """It is unknown, not zero: no band, no ± and no note on repeats; two equal repeats have a spread of zero."""
        result = evaluate(pixels, people, TwoViewProtocol(n_repeats=1), name="pixels")
        for band in ("std", "ci", "range"):
            display = CMCDisplay.from_evaluation(result, band=band)
            assert display.band_ is None
            assert "±" not in display.line_.get_label()
            assert display.ax_.get_legend().get_title().get_text() == ""
        assert "± 0.000, n = 2" in CMCDisplay(cmc=[[0.5, 1.0]] * 2).plot().line_.get_label()

    def test_from_cv_results_has_one_curve_per_fold(self, people, pixels):
        """Rank 1 of each curve is the fold's score."""
        cv = cross_validate(
            pixels, people.images, people.target, cv=IdentityKFold(3), scoring=cmc_score,
            return_estimator=True, return_indices=True, error_score="raise",
        )  # fmt: skip
        display = CMCDisplay.from_cv_results(cv, people.images, people.target)
        assert len(display.cmc) == 3
        np.testing.assert_allclose(display.cmc[:, 0], cv["test_score"])
        with pytest.raises(ValueError, match="return_estimator=True"):
            CMCDisplay.from_cv_results({"test_score": []}, people.images, people.target)
        with pytest.raises(ValueError, match="were cross-validated"):
            CMCDisplay.from_cv_results(cv, people.images[:5], people.target[:5])

    def test_from_evaluation_draws_its_curves_and_name(self, people, pixels):
        result = evaluate(pixels, people, TwoViewProtocol(n_repeats=3), name="pixels")
        display = CMCDisplay.from_evaluation(result)
        np.testing.assert_allclose(display.line_.get_ydata(), result.cmc.mean(axis=0)[:20])
        assert "pixels" in display.line_.get_label()

    def test_arguments_reach_matplotlib(self):
        """Keyword arguments replace the defaults, also under their short names."""
        line = CMCDisplay(cmc=[0.5, 1]).plot(color="k", ls=":").line_
        assert (line.get_color(), line.get_linestyle()) == ("k", ":")
        with pytest.raises(TypeError, match="aliases"):
            CMCDisplay(cmc=[0.5, 1]).plot(ls=":", linestyle="-")

    @pytest.mark.parametrize(
        ("cmc", "given", "message"),
        [
            ([], {}, "n_ranks"),
            ([0.5], {"band": "sem"}, "'band' parameter of CMCDisplay.plot"),
            ([0.5], {"max_rank": 0}, "'max_rank' parameter of CMCDisplay.plot"),
        ],
    )
    def test_empty_curves_and_unknown_options_are_refused(self, cmc, given, message):
        with pytest.raises(ValueError, match=message):
            CMCDisplay(cmc=cmc).plot(**given)

    def test_a_name_that_is_no_text_is_drawn(self, fitted):
        """Names come from files, too; in the other displays with names as well."""
        display = CMCDisplay(cmc=[0.5], name="\udcff").plot()
        assert drawn_without_overflow(display.figure_)
        assert display.ax_.get_legend().get_texts()[0].get_text() == "\\udcff (rank-1 = 0.500)"
        for other in (TrainingCurveDisplay, FilterMarginDisplay):
            assert drawn_without_overflow(other.from_estimator(fitted, name="\udcff").figure_)


class TestCameraPairs:
    @staticmethod
    def table(n_cams, own=False):
        """Figures of every pair of cameras but the first, which has no match."""
        pairs = [(a, b) for a in range(n_cams) for b in range(n_cams) if own or a != b][1:]
        shares = np.linspace(0.1, 1, len(pairs))
        columns = {"probe_cam": [a for a, _ in pairs], "gallery_cam": [b for _, b in pairs]}
        columns |= {"rank_1": shares, "mAP": shares / 2, "n_valid": np.arange(len(pairs)) * 97}
        return ResultTable(
            "Pairs", {"probe_cam": [a for a, _ in pairs], "gallery_cam": [b for _, b in pairs]} | columns
        )

    @pytest.mark.parametrize("n_cams", [3, 15])
    def test_cells_are_the_pairs_with_their_counts(self, n_cams):
        """A pair without a match is empty, and texts stay within their cells."""
        table = self.table(n_cams)
        display = CameraPairDisplay(pairs=table, name="ours").plot()
        cams = display.probe_cams_, display.gallery_cams_
        assert display.values_.shape == tuple(map(len, cams))
        assert np.isfinite(display.values_).sum() == len(table)
        for row in table:
            pair = row["probe_cam"], row["gallery_cam"]
            place = cams[0].index(pair[0]), cams[1].index(pair[1])
            value, text = display.values_[place], display.texts_[pair].get_text()
            assert value == row["rank_1"]
            assert text.startswith(f"{100 * value:.0f}")
            assert text.endswith(str(row["n_valid"]))
        assert len(display.texts_) == len(table)
        assert drawn_without_overflow(display.figure_)
        left, right = display.ax_.transData.transform([(0, 0), (1, 0)])
        widths = [text.get_window_extent().width for text in display.texts_.values()]
        assert max(widths) < right[0] - left[0]

    def test_the_worst_pair_is_framed(self):
        display = CameraPairDisplay(pairs=self.table(3, own=True)).plot(figure="mAP")
        x, y = display.frame_.get_xy()
        assert (round(y + 0.47), round(x + 0.47)) == (0, 1)
        assert display.values_[2, 2] == 0.5

    @pytest.mark.parametrize("n_cams", [1, 2, 6])
    def test_the_map_fills_the_figure_and_long_names_fit_above_it(self, n_cams):
        """One pair has no wide margin, and its title is broken into lines."""
        cams, columns = list(range(n_cams)), {name: [0.5] * n_cams for name in ("rank_1", "mAP")}
        for probe_cams, gallery_cams in ((cams, [7] * n_cams), ([7] * n_cams, cams)):
            table = {"probe_cam": probe_cams, "gallery_cam": gallery_cams, "n_valid": [9] * n_cams}
            pairs = ResultTable("Pairs", table | columns)
            long = "MultiDepthReID + CenteredNormalizer + XQDA, re-ranked (k1=20, k2=6, lambda=0.3)"
            assert drawn_without_overflow(CameraPairDisplay(pairs=pairs, name=long).plot().figure_)
            figure = CameraPairDisplay(pairs=pairs, name="ours").plot().figure_
            assert drawn_without_overflow(figure)
            boxes = [axes.get_tightbbox() for axes in figure.axes]
            assert max(box.x1 for box in boxes) - min(box.x0 for box in boxes) > 0.8 * figure.bbox.width

    def test_from_evaluation_draws_its_pairs_and_name(self, people, pixels):
        result = evaluate(pixels, people, TwoViewProtocol(n_repeats=2), name="pixels", ranks=1)
        display = CameraPairDisplay.from_evaluation(result)
        assert display.values_ == pytest.approx(result.mean["rank_1"])
        assert display.frame_ is None
        assert display.ax_.get_title().startswith("pixels\n")

    def test_unknown_figures_and_empty_tables_are_refused(self):
        with pytest.raises(ValueError, match="'figure' parameter"):
            CameraPairDisplay(pairs=self.table(2)).plot(figure="rank_5")
        with pytest.raises(ValueError, match="no pair of cameras to draw"):
            CameraPairDisplay(pairs=self.table(1)).plot()


class TestTrainingCurve:
    def test_curves_are_the_history(self, fitted):
        """Epochs are counted from 1, and the best epoch is marked."""
        display = TrainingCurveDisplay.from_estimator(make_pipeline(fitted))
        for key, line in display.lines_.items():
            np.testing.assert_allclose(line.get_ydata(), [record[key] for record in fitted.history_])
            np.testing.assert_array_equal(line.get_xdata(), [1, 2])
        best = next(i for i, record in enumerate(fitted.history_, 1) if record["best"])
        assert [line.get_xdata()[0] for line in display.best_lines_] == [best] * 2
        assert display.best_lines_[0].get_label() == f"kept: epoch {best}"
        assert len(display.axes_) == 2
        assert drawn_without_overflow(display.figure_)

    @pytest.mark.parametrize("first", [0, 1])
    def test_epochs_are_numbered_from_one_however_the_records_count(self, first):
        """Progress bars count the same way."""
        history = [{"epoch": first + i, "train_loss": 1.0, "train_accuracy": 0.5, "best": i == 2} for i in range(4)]
        display = TrainingCurveDisplay.from_history(history)
        np.testing.assert_array_equal(display.lines_["train_loss"].get_xdata(), [1, 2, 3, 4])
        assert display.best_lines_[0].get_xdata()[0] == 3

    def test_without_validation_only_training_is_drawn(self):
        """NaN in place of validation figures leaves out their lines."""
        history = [
            {"epoch": 0, "train_loss": 1.0, "train_accuracy": 0.5, "validation_loss": np.nan,
             "validation_accuracy": np.nan, "best": True}
        ]  # fmt: skip
        display = TrainingCurveDisplay.from_history(history, name="ours")
        assert set(display.lines_) == {"train_loss", "train_accuracy"}
        assert display.axes_[0].get_title(loc="left") == "ours"

    def test_ax_may_be_one_axes_of_a_grid_or_two(self):
        """One is divided; any other number is refused."""
        history = [{"epoch": 0, "train_loss": 1.0, "train_accuracy": 0.5}]
        figure, ax = plt.subplots(1, 3)
        assert TrainingCurveDisplay.from_history(history, ax=ax[0]).figure_ is figure
        assert TrainingCurveDisplay.from_history(history, ax=ax[1:]).axes_[1] is ax[2]
        with pytest.raises(ValueError, match="1 x 2 axes, but 'ax' holds 3"):
            TrainingCurveDisplay.from_history(history, ax=ax)
        with pytest.raises(ValueError, match="not part of a grid"):
            TrainingCurveDisplay.from_history(history, ax=figure.add_axes((0, 0, 1, 1)))

    def test_empty_or_incomplete_histories_and_unfitted_estimators_are_refused(self, pixels):
        with pytest.raises(ValueError, match="max_epochs=0"):
            TrainingCurveDisplay.from_history([])
        with pytest.raises(ValueError, match="lacks 'train_loss'"):
            TrainingCurveDisplay.from_history([{"epoch": 0}])
        with pytest.raises(ValueError, match=r"needs a fitted estimator.*'history_'"):
            TrainingCurveDisplay.from_estimator(pixels)


class TestFilterMargin:
    @pytest.mark.parametrize("sort", [False, True])
    def test_lines_are_the_distances_and_marks_the_chosen_filters(self, fitted, sort):
        """The lines are d_d, d_s and their difference, in the order of the filters shown."""
        display = FilterMarginDisplay.from_estimator(fitted, layer="middle", sort=sort)
        distances = fitted.filter_distances_["middle"]
        margin = distances["d_different"] - distances["d_same"]
        np.testing.assert_allclose(display.lines_["d_same"].get_ydata(), distances["d_same"][display.order_])
        np.testing.assert_allclose(display.lines_["margin"].get_ydata(), margin[display.order_])
        chosen = fitted.filters_["middle"]
        np.testing.assert_allclose(display.marks_.get_ydata(), margin[chosen])
        assert display.order_[display.marks_.get_xdata()].tolist() == chosen.tolist()
        if sort:
            assert (np.diff(display.lines_["margin"].get_ydata()) <= 0).all()
        assert display.ax_.get_title() == f"middle: 2 of {len(margin)} filters chosen, criterion “margin”"
        texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
        assert texts[-1] == f"chosen: {', '.join(map(str, chosen))}"
        assert drawn_without_overflow(display.figure_)

    def test_indices_beside_marks_never_overlap(self):
        """With neighbouring chosen filters, indices without room are named in the legend only."""
        rng = np.random.default_rng(0)
        same = rng.random(512)
        display = FilterMarginDisplay(d_same=same, d_different=same + rng.random(512), chosen=range(100, 108)).plot()
        display.figure_.canvas.draw()
        boxes = [label.get_window_extent() for label in display.labels_]
        assert boxes
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])

    def test_many_chosen_filters_are_ticks_below_the_margin(self):
        """They do not pile up on the curve, and the legend names the first eight."""
        rng = np.random.default_rng(0)
        same = rng.random(512)
        different = same + rng.normal(size=512)
        display = FilterMarginDisplay(d_same=same, d_different=different, chosen=range(100, 164)).plot(sort=True)
        assert display.order_[display.marks_.get_xdata()].tolist() == list(range(100, 164))
        assert display.marks_.get_ydata().max() < display.margin_.min()
        assert display.marks_.get_ydata().min() > display.ax_.get_ylim()[0]
        assert display.marks_.get_label() == "chosen: 100, 101, 102, 103, 104, 105, 106, 107, …"

    def test_all_layers_are_drawn_by_default_and_no_filter_need_be_chosen(self, fitted):
        display = FilterMarginDisplay.from_estimator(fitted, name="ours")
        assert list(display.ax_) == ["low", "middle", "high"]
        for layer, ax in display.ax_.items():
            assert ax.get_title().startswith(f"ours, {layer}: 2 of ")
            distances = fitted.filter_distances_[layer]
            np.testing.assert_allclose(display.margin_[layer], distances["d_different"] - distances["d_same"])
        assert drawn_without_overflow(display.figure_)
        assert FilterMarginDisplay(d_same=[1, 2], d_different=[2, 2]).plot().marks_ is None

    def test_what_the_joint_criterion_saw_is_drawn(self, people, settings):
        """The curve is d' of the summed squared distances of the filters so far, over all pairs of images."""
        joint = MultiDepthReID(**settings | {"criterion": "joint", "n_filters": 4, "batch_size": 32})
        joint.fit(people.images, people.target)
        display = FilterMarginDisplay.from_estimator(joint, layer="high")
        maps = joint.feature_maps(people.images, "high", smooth=True)["high"][:, joint.filters_["high"]]
        maps = maps.reshape(len(maps), 4, -1).astype(float)
        one, other = np.triu_indices(len(maps), 1)
        squared = ((maps[one] - maps[other]) ** 2).sum(axis=2).cumsum(axis=1)
        same = people.target[one] == people.target[other]
        spread = np.sqrt((squared[same].var(axis=0) + squared[~same].var(axis=0)) / 2)
        wanted = (squared[~same].mean(axis=0) - squared[same].mean(axis=0)) / spread
        np.testing.assert_allclose(display.lines_["score"].get_ydata(), wanted, rtol=1e-3)
        np.testing.assert_array_equal(display.lines_["score"].get_xdata(), [1, 2, 3, 4])
        steps = [(bar.get_y(), bar.get_y() + bar.get_height()) for bar in display.figure_.axes[1].patches]
        np.testing.assert_allclose(steps, np.stack([[0, *wanted[:-1]], wanted], axis=1), rtol=1e-3, atol=1e-9)
        assert display.ax_.get_title() == "high: 4 of 8 filters chosen, criterion “joint”"
        assert drawn_without_overflow(display.figure_)

    def test_what_the_criterion_dprime_saw_is_drawn(self, people, settings):
        """The margin of every filter in units of the spread, best first, with the chosen ones shaded."""
        fitted = MultiDepthReID(**settings | {"criterion": "dprime"}).fit(people.images, people.target)
        display = FilterMarginDisplay.from_estimator(fitted)
        for layer, distances in fitted.filter_distances_.items():
            margin = distances["d_different"] - distances["d_same"]
            spread = np.sqrt((distances["std_same"] ** 2 + distances["std_different"] ** 2) / 2)
            wanted = np.divide(margin, spread, out=np.zeros_like(margin), where=spread > 0)
            line = display.lines_[layer]["score"].get_ydata()
            np.testing.assert_allclose(line, np.sort(wanted)[::-1])
            np.testing.assert_allclose(fitted.filter_scores_[layer], line[:2])

    def test_an_estimator_of_an_older_version_has_no_scores_to_draw(self, people, settings):
        """It kept none for the joint criterion; the margins are still drawn."""
        joint = MultiDepthReID(**settings | {"criterion": "joint"}).fit(people.images, people.target)
        del joint.filter_scores_
        assert len(FilterMarginDisplay.from_estimator(joint, layer="high").figure_.axes) == 1

    def test_unknown_layers_and_bad_distances_or_filters_are_refused(self, fitted):
        with pytest.raises(ValueError, match="'conv9' was not explored"):
            FilterMarginDisplay.from_estimator(fitted, layer="conv9")
        for arguments, message in (
            ({"d_same": [1, 2], "d_different": [1]}, "n_filters"),
            ({"d_same": [1, np.nan], "d_different": [1, 2]}, "not finite"),
            ({"d_same": [1, 2], "d_different": [1, 2], "chosen": [2]}, "has 2 filters"),
            ({"d_same": [1, 2], "d_different": [1, 2], "criterion": "best"}, "'criterion' parameter"),
            ({"d_same": {}, "d_different": {}}, "d_same is empty"),
            (
                {"d_same": [1, 2], "d_different": [1, 2], "chosen": [1], "criterion": "joint", "scores": [1, 2]},
                r"one value per chosen filter, shape \(1,\)",
            ),
        ):
            with pytest.raises(ValueError, match=message):
                FilterMarginDisplay(**arguments).plot()


class TestFeatureMaps:
    def test_maps_are_those_of_the_chosen_filter(self, people, fitted):
        """Thirds and distances are those of the maps shown."""
        display = FeatureMapDisplay.from_estimator(fitted, people.images, people.target, query=5, layers="high")
        (title,) = display.maps
        chosen = fitted.filters_["high"][0]
        assert title == f"high\nfilter {chosen}"
        shown = [np.asarray(image.get_array()) for image in display.images_[title]]
        places = [5, 6, 8]  # the query, the next image of person 1, the next of another
        wanted = fitted.feature_maps(people.images[places], "high", smooth=True)["high"][:, chosen]
        np.testing.assert_allclose(shown, wanted, rtol=1e-4, atol=1e-6)
        heights = [bar.get_width() for bar in display.bars_[title][0]]
        np.testing.assert_allclose(heights, [third.mean() for third in np.array_split(shown[0], 3)], rtol=1e-5)
        np.testing.assert_allclose(
            display.distances_[title], [np.linalg.norm(shown[0] - other) for other in shown[1:]], rtol=1e-5
        )
        assert len({image.get_clim() for image in display.images_[title]}) == 1
        np.testing.assert_array_equal(display.images_["picture"][0].get_array(), people.images[5])

    def test_maps_of_whole_rows_are_drawn_as_profiles(self, people, settings):
        """They hold one value per row: the profile is that column, and the probe's is dashed beside the others."""
        rows = MultiDepthReID(**settings | {"blur_size": (4, None)}).fit(people.images, people.target)
        display = FeatureMapDisplay.from_estimator(rows, people.images, people.target, layers="high")
        ((title, lines),) = display.profiles_.items()
        assert set(display.images_) == {"picture"}
        wanted = rows.feature_maps(people.images[[0, 1, 4]], "high", smooth=True)["high"][:, rows.filters_["high"][0]]
        for line, map_ in zip(lines, wanted, strict=True):
            np.testing.assert_allclose(line.get_xdata(), map_[:, 0], rtol=1e-4, atol=1e-6)
            np.testing.assert_array_equal(line.get_ydata(), np.arange(32))
        for axes in display.axes_[1:, 1]:
            np.testing.assert_array_equal(axes.lines[0].get_xdata(), lines[0].get_xdata())
            assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the top of the frame is on top
        np.testing.assert_allclose(
            display.distances_[title], np.linalg.norm((wanted[1:] - wanted[0]).astype(float), axis=(1, 2)), rtol=1e-4
        )
        assert drawn_without_overflow(display.figure_)

    def test_a_different_person_that_is_nearer_is_pointed_out(self, people):
        """Only where it is, below the map and below the images, whose distances are of all filters."""
        near, far = np.eye(6, 4), 3 * np.eye(6, 4)
        maps = {"errs": np.stack([near, far, near * 1.1]), "is right": np.stack([near, near * 1.1, far])}
        display = FeatureMapDisplay(pictures=people.images[:3], maps=maps, distances=[1.0, 2.0]).plot()
        said = ["nearer than the" in axes.get_xlabel() for axes in display.axes_.ravel()]
        assert np.flatnonzero(said).tolist() == [2 * 5 + 1]
        assert display.axes_[1, 0].get_xlabel() == "all filters:\ndistance 1.00"

    def test_the_distances_of_all_filters_are_those_of_descriptors(self, people, fitted):
        display = FeatureMapDisplay.from_estimator(fitted, people.images, people.target, layers="high")
        X = fitted.transform(people.images[[0, 1, 4]]).astype(float)
        np.testing.assert_allclose(display.distances, np.linalg.norm(X[1:] - X[0], axis=1))

    def test_small_numbers_are_written_as_people_do(self, people):
        """No 1e-05, in labels or on axes."""
        maps = {"a": 1.2345e-5 * np.random.default_rng(0).random((3, 6, 4)), "b": np.full((3, 6, 4), 2.5e-7)}
        display = FeatureMapDisplay(pictures=people.images[:3], maps=maps, distances=[1.2345e-5, 2.0]).plot()
        display.figure_.canvas.draw()
        texts = [text.get_text() for text in display.figure_.findobj(matplotlib.text.Text)]
        assert not any("e-" in text for text in texts)
        assert "all filters:\ndistance\n1.23 × 10⁻⁵" in texts

    def test_all_layers_are_shown_by_default_and_fit_in_the_figure(self, people, fitted):
        """Each layer has one column of maps and one of histograms."""
        display = FeatureMapDisplay.from_estimator(fitted, people.images, people.target, rank=1)
        assert display.axes_.shape == (3, 7)
        assert drawn_without_overflow(display.figure_)

    def test_the_same_person_is_shown_in_another_camera_if_there_is_one(self, people, fitted):
        display = FeatureMapDisplay.from_estimator(
            fitted, people.images, people.target, query=1, cams=people.cams, layers="high"
        )
        np.testing.assert_array_equal(display.images_["picture"][1].get_array(), people.images[2])

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"layers": "conv9"}, "'conv9' was not explored"),
            ({"rank": 2}, "has 2 chosen filter"),
            ({"query": True}, "'query' parameter of FeatureMapDisplay.from_estimator must be an int"),
            ({"rank": False}, "'rank' parameter of FeatureMapDisplay.from_estimator must be an int"),
            ({"same": True}, "same=True is not another image"),
            ({"cams": [0, 1]}, "cams has 2 entries, but there are 32 images"),
            ({"query": 99}, "query=99 is not the position"),
            ({"same": 8}, "same=8 is not another image that shows the same person as image 0"),
            ({"different": 1}, "different=1 is not another image that shows a different person than image 0"),
        ],
    )
    def test_unknown_layers_filters_and_images_are_refused(self, people, fitted, given, message):
        with pytest.raises(ValueError, match=message):
            FeatureMapDisplay.from_estimator(fitted, people.images, people.target, **given)

    def test_impossible_data_is_refused(self, people, fitted):
        """No image of the same person, lengths that differ, or maps of another shape."""
        with pytest.raises(ValueError, match="no other image that shows the same person"):
            FeatureMapDisplay.from_estimator(fitted, people.images[[0, 4]], people.target[[0, 4]])
        with pytest.raises(ValueError, match="y has 2 entries"):
            FeatureMapDisplay.from_estimator(fitted, people.images, people.target[:2])
        with pytest.raises(ValueError, match="must have shape"):
            FeatureMapDisplay(pictures=people.images[:3], maps={"a": np.zeros((2, 4, 4))}).plot()
        with pytest.raises(ValueError, match="must hold three images"):
            FeatureMapDisplay(pictures=people.images[:2], maps={"a": np.zeros((3, 4, 4))}).plot()
        with pytest.raises(ValueError, match="maps is empty"):
            FeatureMapDisplay(pictures=people.images[:3], maps={}).plot()


class TestRanking:
    def test_gallery_is_ordered_by_distance_and_framed_right_or_wrong(self, people):
        """Right and wrong differ in sign, colour and dashes."""
        distances = np.array([[3.0, 1.0, 2.0], [0.5, 0.2, 0.1]])
        display = RankingDisplay.from_predictions(
            [0, 1], [0, 1, 2], distances, probes=people.images[:2], gallery=people.images[[2, 6, 10]]
        )
        assert [text.get_text() for text in display.texts_[0]] == ["✗ 1.00", "✗ 2.00", "✓ 3.00"]
        assert [text.get_text() for text in display.texts_[1]] == ["✗ 0.10", "✓ 0.20", "✗ 0.50"]
        np.testing.assert_array_equal(display.images_[0][1].get_array(), people.images[6])
        wrong, right = display.frames_[0][0], display.frames_[0][2]
        assert to_rgb(wrong.get_edgecolor()) != to_rgb(right.get_edgecolor())
        assert wrong.get_linestyle() != right.get_linestyle()
        assert [label.get_text() for label in display.ax_.get_yticklabels()] == [
            "first match\nat rank 3",
            "first match\nat rank 2",
        ]

    def test_long_labels_fit_in_the_figure(self, people):
        display = RankingDisplay.from_predictions(
            [0], [1, 2], [[1.0, 2.0]], probes=people.images[:1], gallery=people.images[4:6],
            labels=["somebody with quite a long name"],
        )  # fmt: skip
        assert drawn_without_overflow(display.figure_)

    def test_labels_that_are_no_text_or_look_like_formulas_are_drawn_as_they_are(self, people):
        """Names of files may hold broken UTF-8, and dollars."""
        labels = ["cam_\udcff\n$\\frac$"]
        display = RankingDisplay.from_predictions(
            None, None, [[1.0]], probes=people.images[:1], gallery=people.images[1:2], labels=labels
        )
        assert drawn_without_overflow(display.figure_)
        (label,) = display.ax_.get_yticklabels()
        assert label.get_text() == "cam_\\udcff\n\\$\\frac\\$"

    def test_true_matches_come_last_at_equal_distances(self, people):
        """Ties are ordered as cmc_curve counts them."""
        display = RankingDisplay.from_predictions(
            [0], [0, 1], [[1.0, 1.0]], probes=people.images[:1], gallery=people.images[[1, 4]]
        )
        assert [text.get_text()[0] for text in display.texts_[0]] == ["✗", "✓"]

    def test_from_estimator_ranks_by_descriptors(self, people, pixels, tmp_path):
        """Images may be files, and probes have labels."""
        paths = [tmp_path / f"{i}.png" for i in range(3)]
        for path, image in zip(paths, people.images[[0, 5, 9]], strict=True):
            Image.fromarray(image).save(path)
        read = FunctionTransformer(lambda X: flatten([np.asarray(Image.open(path)) for path in X]))
        display = RankingDisplay.from_estimator(read, paths[:1], paths, labels=["ann"], n_neighbors=2)
        X = flatten(people.images[[0, 5, 9]])
        wanted = np.sort(np.linalg.norm(X - X[0], axis=1))[:2]
        np.testing.assert_allclose(display.distances[0], wanted, atol=1e-6)
        assert display.texts_[0][0].get_text() == "0.00"
        assert display.ax_.get_yticklabels()[0].get_text() == "ann"
        assert drawn_without_overflow(display.figure_)

    @pytest.mark.parametrize("form", [list, np.array, lambda paths: np.array(paths, dtype=object), pd.Series])
    def test_paths_are_drawn_in_every_form_that_loaders_and_users_have(self, people, tmp_path, form):
        """A loader's array of strings, an array of objects, a list and a Series."""
        paths = [str(tmp_path / f"{i}.png") for i in range(3)]
        for path, image in zip(paths, people.images[[0, 5, 9]], strict=True):
            Image.fromarray(image).save(path)
        given = form(paths)
        display = RankingDisplay.from_predictions([0], [0, 1, 1], [[0.0, 2.0, 1.0]], probes=given[:1], gallery=given)
        np.testing.assert_array_equal(display.ax_.images[0].get_array(), people.images[0])

    def test_images_of_the_probes_person_in_its_camera_are_left_out(self, people):
        display = RankingDisplay.from_predictions(
            [0], [0, 0, 1], [[0.0, 2.0, 1.0]], cams_probe=[0], cams_gallery=[0, 1, 0],
            probes=people.images[:1], gallery=people.images[[0, 2, 4]],
        )  # fmt: skip
        assert [text.get_text() for text in display.texts_[0]] == ["✗ 1.00", "✓ 2.00"]

    def test_a_probe_whose_gallery_is_left_out_has_no_ranked_image(self, people):
        """What is left out is not drawn: neither its image, nor the last one of the gallery in its place."""
        display = RankingDisplay.from_predictions(
            [0, 1], [0, 0], [[0.0, 2.0], [1.0, 3.0]], cams_probe=[0, 0], cams_gallery=[0, 0],
            probes=people.images[[0, 4]], gallery=people.images[:2],
        )  # fmt: skip
        assert [len(images) for images in display.images_] == [1, 3]
        assert display.texts_[0] == []
        assert "no match" in display.ax_.get_yticklabels()[0].get_text()

    def test_images_keep_their_proportions(self, people):
        """A square image among upright ones is neither cut nor stretched."""
        images = [people.images[0], np.zeros((8, 8, 3), dtype=np.uint8), people.images[1]]
        display = RankingDisplay.from_predictions(None, None, [[1.0, 2.0, 3.0]], probes=images[:1], gallery=images)
        left, right, bottom, top = display.images_[0][2].get_extent()
        assert right - left == pytest.approx(abs(top - bottom))
        assert drawn_without_overflow(display.figure_)

    def test_grey_arrays_and_pil_images_are_shown(self, people):
        """The label of a probe without a true match says so."""
        gallery = [people.images[4][:, :, 0], Image.fromarray(people.images[8])]
        display = RankingDisplay.from_predictions([0], [1, 2], [[1, 2]], probes=people.images[:1], gallery=gallery)
        assert display.images_[0][1].get_array().shape == (32, 16, 3)
        assert "no match" in display.ax_.get_yticklabels()[0].get_text()

    def test_images_are_shown_as_networks_see_them(self, people, tmp_path):
        """16 bits are scaled, transparency is black, and files that are not images are refused."""
        paths = [tmp_path / name for name in ("deep.png", "clear.png", "page.png")]
        Image.fromarray(people.images[0, :, :, 0].astype(np.uint16) * 257).save(paths[0])
        Image.fromarray(np.dstack([people.images[0], people.images[0, :, :, 0]])).save(paths[1])
        paths[2].write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 16 32\n%%EOF\n")
        arguments = {"y_probe": None, "y_gallery": None, "probes": people.images[:1]}
        display = RankingDisplay.from_predictions(distances=[[1, 2]], gallery=paths[:2], **arguments)
        for artist, path in zip(display.images_[0][1:], paths, strict=False):
            np.testing.assert_array_equal(artist.get_array(), read_image(path))
        with pytest.raises(ImageError, match=r"Cannot be shown: image 2 \('.*page.png'\).*in none of the formats"):
            RankingDisplay.from_predictions(distances=[[1, 2, 3]], gallery=paths, **arguments)

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"y_gallery": None}, "y_probe was given without y_gallery"),
            ({"y_probe": [0, 1]}, "y_probe has 2 entries, but there are 1 images"),
            ({"cams_probe": [0]}, "cams_probe was given without cams_gallery"),
            ({"distances": [[1.0]]}, r"distances must have shape \(n_probe, n_gallery\) = \(1, 2\)"),
            ({"n_neighbors": 0}, "'n_neighbors' parameter of RankingDisplay"),
            ({"n_neighbors": True}, "'n_neighbors' parameter of RankingDisplay"),
            ({"cams_probe": [0], "cams_gallery": [1]}, "cams_gallery has 1 entries, but there are 2 images"),
            ({"y_gallery": ["a", "b"]}, "y_probe holds numbers, such as 0, and y_gallery holds strings, such as 'a'"),
            ({"labels": ["a", "b"]}, "labels has 2 entries"),
            ({"probes": np.zeros((26, 8, 4, 3))}, "1 to 25 probes"),
            ({"gallery": np.zeros((2, 7))}, "If these are descriptors"),
            ({"gallery": ["missing.png", "gone.png"]}, r"Cannot be shown: image 0 \('missing.png'\) does not exist"),
        ],
    )
    def test_arguments_that_do_not_fit_together_are_refused(self, people, given, message):
        arguments = {
            "y_probe": [0], "y_gallery": [0, 1], "distances": [[1.0, 2.0]],
            "probes": people.images[:1], "gallery": people.images[[1, 4]],
        }  # fmt: skip
        with pytest.raises(ValueError, match=message):
            RankingDisplay.from_predictions(**arguments | given)

    def test_descriptors_are_refused_before_anything_is_computed(self, pixels):
        """They cannot be shown."""
        with pytest.raises(ValueError, match="pass the images they came from"):
            RankingDisplay.from_estimator(pixels, np.zeros((1, 5)), np.zeros((2, 5)))
