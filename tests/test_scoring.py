"""The scorer against a score worked out by hand, and inside cross-validation with and without routing."""

import numpy as np
import pytest
import sklearn
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import GridSearchCV, cross_validate, learning_curve
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skreid import CMCScorer, cmc_score
from skreid.displays import CMCDisplay
from skreid.exceptions import SeenIdentitiesWarning
from skreid.metric_learning import XQDA
from skreid.metrics import cmc_curve
from skreid.model_selection import IdentityKFold, split_probe_gallery

rng = np.random.default_rng(0)
y = np.repeat(np.arange(12), 4)
cams = np.tile([0, 0, 1, 1], 12)
X = rng.normal(size=(12, 5))[y] + rng.normal(size=(48, 5))
identity = FunctionTransformer().fit(X)


def test_the_score_is_the_mean_over_seeded_galleries():
    """It is recomputed here from the splitter and the metric."""
    shares = []
    seeds = np.random.default_rng(7)
    for _ in range(3):
        probe, gallery = split_probe_gallery(y, random_state=int(seeds.integers(2**31)))
        distances = np.linalg.norm(X[probe][:, None] - X[gallery], axis=2)
        shares.append(cmc_curve(y[probe], y[gallery], distances)[[0, 4]])
    scores = CMCScorer(ranks=(1, 5), n_repeats=3, random_state=7)(identity, X, y)
    assert scores == pytest.approx({"rank_1": np.mean(shares, axis=0)[0], "rank_5": np.mean(shares, axis=0)[1]})


def test_one_rank_is_a_float_and_map_joins_on_request():
    """One figure is a float, several are a dict."""
    assert isinstance(cmc_score(identity, X, y), float)
    assert set(CMCScorer(mean_average_precision=True)(identity, X, y)) == {"rank_1", "mAP"}
    assert cmc_score(identity, X, y) == CMCScorer(ranks=[1])(identity, X, y)["rank_1"]


def test_cameras_change_the_score_and_keep_views_apart():
    """A descriptor that knows the camera only is right within views and wrong across them."""
    by_camera = (cams + y / 1000)[:, None]
    assert cmc_score(identity, by_camera, y) > 0.3
    assert cmc_score(identity, np.where(cams == 0, y, 100 - y)[:, None], y, cams=cams) < 0.2


def test_images_are_described_once():
    """Several ranks and repeats need one pass."""
    calls = []
    counting = FunctionTransformer(lambda rows: calls.append(1) or rows, validate=False).fit(X)
    calls.clear()
    CMCScorer(ranks=(1, 5, 10), n_repeats=4)(counting, X, y)
    assert len(calls) == 1


def test_scoring_in_cross_validation_without_routing():
    """The scorer works as `scoring=`, in a Pipeline too, with several figures."""
    pipeline = make_pipeline(StandardScaler(), FunctionTransformer())
    scorer = CMCScorer(ranks=(1, 5), mean_average_precision=True)
    results = cross_validate(pipeline, X, y, scoring=scorer, cv=IdentityKFold(3), error_score="raise")
    assert {"test_rank_1", "test_rank_5", "test_mAP"} <= set(results)
    search = GridSearchCV(
        pipeline, {"standardscaler": ["passthrough", StandardScaler()]}, scoring=cmc_score, cv=IdentityKFold(3),
        error_score="raise",
    )  # fmt: skip
    assert 0 < search.fit(X, y).best_score_ <= 1


def test_cameras_are_routed():
    """With routing, `params={"cams": ...}` reaches the scorer, fold by fold."""
    expected = [cmc_score(identity, X[test], y[test], cams=cams[test]) for _, test in IdentityKFold(3).split(X, y)]
    with sklearn.config_context(enable_metadata_routing=True):
        results = cross_validate(
            make_pipeline(FunctionTransformer()), X, y, scoring=cmc_score, cv=IdentityKFold(3),
            params={"cams": cams}, error_score="raise",
        )  # fmt: skip
    np.testing.assert_allclose(results["test_score"], expected)


def test_a_fold_without_probes_is_named():
    """With one image per person, no image is left to be a probe."""
    with pytest.raises(ValueError, match="probe"):
        cmc_score(identity, X[:3], [0, 1, 2])


@pytest.mark.parametrize("name", ["n_repeats", "n_shots", "ranks"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True, np.True_, "1", None])
def test_settings_that_are_no_positive_ints_are_named(name, value):
    """A bool is not an int."""
    with pytest.raises(
        ValueError, match=rf"The '{name}' parameter of CMCScorer must be an int in the range \[1, inf\)"
    ):
        CMCScorer(**{name: value})(identity, X, y)


def test_repr_shows_the_settings():
    """The scorer of a search can be read in its table."""
    assert repr(CMCScorer(5)).startswith("CMCScorer(ranks=5, mean_average_precision=False, n_repeats=10")


@pytest.mark.parametrize("wrong", [y[:-1], np.r_[y, y[:2]], y[:4]])
def test_labels_of_another_length_are_refused(wrong):
    """A score of only part of the images would be meaningless."""
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        cmc_score(identity, X, wrong)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        cmc_score(identity, X, y, cams=cams[: len(cams) - 1])


def test_missing_labels_and_descriptors_are_refused():
    """The error names the index of a missing label, and the image of a NaN descriptor."""
    with pytest.raises(ValueError, match="None at index 0"):
        cmc_score(identity, X, [None] * len(X))
    broken = X.copy()
    broken[35, 2] = np.nan
    with pytest.raises(ValueError, match=r"1 of 48 images have descriptors with NaN or infinity.*image 35"):
        cmc_score(identity, broken, y)


@pytest.mark.parametrize("ranks", [0, (), (1, 0), (1, True), 1.5])
def test_bad_ranks_are_refused_before_any_work(ranks):
    """The error names the scorer's own parameter."""
    with pytest.raises(ValueError, match="The 'ranks' parameter of CMCScorer"):
        CMCScorer(ranks=ranks)(None, X, y)


SAME_GALLERIES = [cmc_score, CMCDisplay.from_estimator]


@pytest.mark.parametrize("score", SAME_GALLERIES, ids=["scorer", "display"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": np.where(np.arange(48)[:, None] == 1, np.nan, X)}, r"1 of 48 images have .* being image 1: leave out"),
        ({"y": np.full(48, 7)}, "only one identity, 7"),
        ({"y": y[1:]}, r"inconsistent numbers of samples: \[48, 47\]"),
        ({"cams": cams[1:]}, r"inconsistent numbers of samples: \[48, 48, 47\]"),
        ({"y": np.arange(48)}, "No probe can be drawn"),
    ],
)
def test_the_scorer_and_the_display_refuse_the_same_in_the_same_words(score, change, message):
    """Both draw their galleries in one place; an image is named by its index in X."""
    with pytest.raises(ValueError, match=message):
        score(identity, **{"X": X, "y": y, "cams": None, **change})


def test_the_scorer_and_the_display_draw_the_same_galleries():
    """The mean of the curves drawn is the score at every rank."""
    ax = pytest.importorskip("matplotlib.figure").Figure().subplots()
    for given in ({}, {"cams": cams}):
        curves = CMCDisplay.from_estimator(identity, X, y, n_repeats=3, random_state=5, ax=ax, **given).cmc
        scores = CMCScorer(ranks=range(1, 13), n_repeats=3, random_state=5)(identity, X, y, **given)
        assert list(scores.values()) == curves.mean(axis=0).tolist()


class TestPeopleSeenInTraining:
    """Scores of people that an estimator was fitted on warn; training scores, computed on purpose, do not."""

    strangers = rng.normal(size=(12, 5))[y] + rng.normal(size=(48, 5))

    def test_other_images_of_training_people_warn(self):
        """The warning names the step, how many people, one of them, and what to do."""
        system = make_pipeline(StandardScaler(), XQDA()).fit(X[::2], y[::2])
        for images in (slice(None), slice(0, 20), slice(1, 40, 2)):
            n_people = len(set(y[images]))
            with pytest.warns(SeenIdentitiesWarning, match=f"XQDA was fitted on {n_people} of the {n_people} .* as 0"):
                cmc_score(system, X[images], y[images])
        with pytest.warns(SeenIdentitiesWarning, match=r"fitted on 12 of the 13 identities"):
            cmc_score(system, X, np.r_[y[:-2], 99, 99])

    def test_other_people_do_not_warn(self):
        """Labels that were not in training are other people."""
        system = make_pipeline(StandardScaler(), XQDA()).fit(X[:24], y[:24])
        cmc_score(system, X[24:], y[24:])
        cmc_score(XQDA().fit(X, [f"p{i}" for i in y]), X, y)

    def test_on_seen_ignores_labels_that_mean_other_people(self):
        """The way out for two datasets numbered alike; other words are refused."""
        CMCScorer(on_seen="ignore")(XQDA().fit(X[:40], y[:40]), self.strangers, y)
        with pytest.raises(ValueError, match="'on_seen' parameter of CMCScorer must be among"):
            CMCScorer(on_seen="raise")

    def test_training_scores_do_not_warn(self):
        """cross_validate, searches and learning curves score the very images of the training, in any order."""
        system = make_pipeline(StandardScaler(), XQDA())
        given = {"scoring": cmc_score, "cv": IdentityKFold(3), "error_score": "raise"}
        cross_validate(system, X, y, return_train_score=True, **given)
        GridSearchCV(system, {"xqda__reg": [1e-3, 1.0]}, return_train_score=True, **given).fit(X, y)
        learning_curve(system, X, y, train_sizes=[12, 20], **given)
        order = rng.permutation(48)
        cmc_score(system.fit(X, y), X[order], y[order])

    def test_folds_that_share_people_warn(self):
        """A splitter that ignores identities leaves the same people on both sides."""
        first = np.arange(48) % 4 < 3
        split = [(np.flatnonzero(first), np.flatnonzero(~first | (y < 6)))]
        with pytest.warns(SeenIdentitiesWarning):
            cross_validate(XQDA(), X, y, scoring=cmc_score, cv=split, error_score="raise")

    def test_an_estimator_that_counts_no_images_warns_for_some_of_its_people(self):
        """Without numbers of images, all of the training people are taken for a training score."""
        lda = LinearDiscriminantAnalysis().fit(X, y)
        cmc_score(lda, X, y)
        with pytest.warns(SeenIdentitiesWarning, match="LinearDiscriminantAnalysis was fitted on 5 of the 5"):
            cmc_score(lda, X[:20], y[:20])

    def test_a_display_of_seen_people_warns_too(self):
        """Its curve is that of the scorer."""
        ax = pytest.importorskip("matplotlib.figure").Figure().subplots()
        with pytest.warns(SeenIdentitiesWarning):
            CMCDisplay.from_estimator(XQDA().fit(X, y), X[:20], y[:20], ax=ax)
