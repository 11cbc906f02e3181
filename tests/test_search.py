"""Pipelines, searches, the cache and metadata routing: scikit-learn's tools around the estimator, unchanged."""

import os
import time
from collections import OrderedDict
from contextlib import nullcontext
from pathlib import Path

import joblib
import numpy as np
import pytest
import sklearn
from PIL import Image
from scipy.spatial.distance import cdist
from sklearn.base import clone, is_classifier
from sklearn.decomposition import PCA
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 - this is how it is switched on
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    KFold,
    StratifiedKFold,
    check_cv,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer, StandardScaler
from torch import nn

import skreid.multidepth
from skreid import CMCScorer, MultiDepthReID, cmc_score, rank_gallery
from skreid.metric_learning import CVDCA, XQDA
from skreid.model_selection import IdentityKFold

FOLDS = IdentityKFold(2)


@pytest.fixture
def reid(settings):
    return MultiDepthReID(**(settings | {"max_epochs": 1}))


@pytest.fixture
def trained(monkeypatch):
    """Return a list that grows by the number of images of each training."""
    return count_calls(monkeypatch, "train", lambda source, *args, **kwargs: len(source))


def count_calls(monkeypatch, name, note):
    original, calls = getattr(skreid.multidepth, name), []

    def counted(*args, **kwargs):
        calls.append(note(*args, **kwargs))
        return original(*args, **kwargs)

    monkeypatch.setattr(skreid.multidepth, name, counted)
    return calls


def search(estimator, grid, **options):
    return GridSearchCV(estimator, grid, **({"scoring": cmc_score, "cv": FOLDS, "error_score": "raise"} | options))


def saved(people, folder, kind=str):
    paths = [kind(folder / f"{place}.png") for place in range(len(people.images))]
    for path, image in zip(paths, people.images, strict=True):
        Image.fromarray(image).save(path)
    return paths


# --- pipelines and unions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "after", [(StandardScaler(), PCA(4, svd_solver="full")), (Normalizer(),)], ids=["scaled and reduced", "unit"]
)
def test_a_pipeline_describes_and_ranks(people, reid, after):
    """A Pipeline's descriptors, feature names and rankings equal those of its steps in sequence."""
    pipeline = make_pipeline(reid, *map(clone, after)).fit(people.images, people.target)
    rows = pipeline[0].transform(people.images)
    for step in after:
        rows = clone(step).fit(rows).transform(rows)
    np.testing.assert_allclose(pipeline.transform(people.images), rows, atol=1e-5)
    assert len(pipeline.get_feature_names_out()) == rows.shape[1]
    distances, indices = rank_gallery(pipeline, people.images[:5], people.images[5:], n_neighbors=6)
    expected = np.sort(cdist(rows[:5], rows[5:]), axis=1)[:, :6]
    np.testing.assert_allclose(distances, expected, atol=1e-4)
    np.testing.assert_allclose(np.take_along_axis(cdist(rows[:5], rows[5:]), indices, axis=1), expected, atol=1e-4)
    assert 0 <= cmc_score(pipeline, people.images, people.target) <= 1


def test_feature_names_pass_through_a_pipeline(people, reid):
    """A scaler keeps the names of layer, filter and position, and pandas output carries them."""
    pipeline = make_pipeline(reid, StandardScaler()).set_output(transform="pandas").fit(people.images, people.target)
    table = pipeline.transform(people.images)
    assert list(table.columns) == list(pipeline[0].get_feature_names_out())


def test_a_feature_union_concatenates_descriptors(people, reid):
    """Two estimators of different layers give both parts, prefixed names, and a ranking."""
    union = FeatureUnion([("fine", clone(reid).set_params(layers="low")), ("coarse", clone(reid))])
    union.fit(people.images, people.target)
    parts = [estimator.transform(people.images) for _, estimator in union.transformer_list]
    np.testing.assert_array_equal(union.transform(people.images), np.hstack(parts))
    assert union.get_feature_names_out()[0].startswith("fine__low_f")
    found = rank_gallery(union, people.images[:3], people.images, return_distance=False)
    np.testing.assert_array_equal(found[:, 0], [0, 1, 2])


def test_a_metric_as_last_step_ranks(people, reid):
    """With XQDA last, rankings and scores use its distances, also with pandas output."""
    pipeline = make_pipeline(reid, PCA(6, random_state=0), XQDA(n_components=3))
    for _ in range(2):
        pipeline.fit(people.images, people.target)
        rows = pipeline[:-1].transform(people.images)
        apart = pipeline[-1].pairwise_distances(rows[:6], rows)
        found = rank_gallery(pipeline, people.images[:6], people.images, n_neighbors=32)
        np.testing.assert_allclose(found[0], np.sort(apart, axis=1), rtol=1e-4, atol=1e-5 * np.abs(apart).max())
        scores = cross_val_score(pipeline, people.images, people.target, scoring=cmc_score, cv=FOLDS)
        assert ((scores > 0) & (scores <= 1)).all()
        pipeline.set_output(transform="pandas")


def test_a_metric_that_takes_cameras_gets_them(people, reid):
    """CVDCA projects each image by its own camera, in rankings and in the scorer."""
    images, y, cams = people.images, people.target, people.cams
    pipeline = make_pipeline(reid, PCA(6, random_state=0), CVDCA())
    pipeline.fit(images, y, cvdca__cams=cams)
    rows = pipeline[:-1].transform(images)
    rows[9] = rows[8]  # twins to the last bit, seen by one camera or by two
    rows[10] = rows[8]
    given = {"cams_probe": cams[:6], "cams_gallery": cams}
    apart = pipeline[-1].pairwise_distances(rows[:6], rows, **given)
    assert not np.allclose(apart, pipeline[-1].pairwise_distances(rows[:6], rows))
    found = rank_gallery(pipeline[-1], rows[:6], rows, n_neighbors=32, **given)
    np.testing.assert_allclose(found[0], np.sort(apart, axis=1), rtol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(apart, found[1], axis=1), found[0], rtol=1e-6)

    class NeedsCameras(CVDCA):
        """Refuses to measure without cameras."""

        def pairwise_distances(self, X_probe, X_gallery, *, cams_probe=None, cams_gallery=None):
            assert set(cams_probe).isdisjoint(cams_gallery)
            return super().pairwise_distances(X_probe, X_gallery, cams_probe=cams_probe, cams_gallery=cams_gallery)

    pipeline.steps[-1] = ("needs_cameras", NeedsCameras().fit(pipeline[:-1].transform(images), y, cams))
    assert 0 <= cmc_score(pipeline, images, y, cams=cams) <= 1


def test_unused_cameras_are_refused(people, fitted):
    """Euclidean distance and XQDA take no cameras, and say so."""
    given = {"cams_probe": people.cams[:2], "cams_gallery": people.cams}
    with pytest.raises(ValueError, match="the Euclidean distance takes no cameras"):
        rank_gallery(fitted, people.images[:2], people.images, **given)
    rows = fitted.transform(people.images)[:, :4]
    with pytest.raises(ValueError, match=r"XQDA.pairwise_distances takes no cameras"):
        rank_gallery(XQDA(n_components=2).fit(rows, people.target), rows[:2], rows, **given)


# --- searches ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "grid",
    [
        {"blur_size": [1, 6]},
        {"layers": [("low",), ("middle", "high")]},
        {"n_filters": [1, 3]},
        {"criterion": ["margin", "dprime"]},
        {"normalize": ["rooted", "whitened"]},
        {"sampling": ["pixel", "box"]},
        {"average_flips": [False, True]},
    ],
    ids=lambda grid: next(iter(grid)),
)
def test_a_grid_search_equals_a_loop(people, reid, grid):
    """Each score of the search equals that of a fit on the training fold, scored on the test fold."""
    found = search(reid, grid).fit(people.images, people.target)
    (name, values), expected = next(iter(grid.items())), []
    for value in values:
        scores = []
        for train, test in FOLDS.split(people.images, people.target):
            one = clone(reid).set_params(**{name: value}).fit(people.images[train], people.target[train])
            scores.append(cmc_score(one, people.images[test], people.target[test]))
        expected.append(scores)
    columns = [found.cv_results_[f"split{fold}_test_score"] for fold in range(2)]
    np.testing.assert_array_equal(np.transpose(columns), expected)
    assert found.best_estimator_.get_params()[name] == values[np.argmax(np.mean(expected, axis=1))]
    assert found.transform(people.images).shape == (32, found.best_estimator_.n_features_out_)


def test_halving_gives_epochs_to_the_best(people, reid):
    """`HalvingGridSearchCV` with epochs as its resource trains few candidates longest."""
    found = HalvingGridSearchCV(
        reid, {"blur_size": [1, 2, 4, 8]}, resource="max_epochs", min_resources=1, max_resources=4, factor=2,
        scoring=cmc_score, cv=FOLDS, error_score="raise",
    ).fit(people.images, people.target)  # fmt: skip
    assert found.n_resources_ == [1, 2, 4]
    assert found.n_candidates_ == [4, 2, 1]
    assert len(found.best_estimator_.history_) == 4


@pytest.mark.parametrize("form", ["paths", "path objects", "array of paths", "list of arrays"])
def test_every_form_of_images_can_be_searched(people, reid, tmp_path, form):
    """Files and lists give the same scores as an array of the same images."""
    grid = {"blur_size": [1, 6]}
    expected = search(reid, grid).fit(people.images, people.target).cv_results_["mean_test_score"]
    if form == "list of arrays":
        X = list(people.images)
    else:
        X = saved(people, tmp_path, Path if form == "path objects" else str)
        X = np.array(X) if form == "array of paths" else X
    found = search(reid, grid).fit(X, people.target)
    np.testing.assert_array_equal(found.cv_results_["mean_test_score"], expected)


def test_images_of_differing_sizes_can_be_searched(people, reid):
    """A list of images of different sizes can be split, fitted and scored, also in a Pipeline."""
    X = [np.asarray(Image.fromarray(image).resize((16 + n % 5, 32 + n % 7))) for n, image in enumerate(people.images)]
    found = search(make_pipeline(reid, Normalizer()), {"multidepthreid__blur_size": [1, 6]}).fit(X, people.target)
    assert found.best_score_ > 0.2  # chance is a quarter; a fold holds 4 persons
    assert len(cross_val_score(reid, X, people.target, cv=FOLDS, error_score="raise")) == 2


def test_cross_validation_returns_its_estimators(people, reid):
    """`cross_validate` returns one estimator per fold, and none has seen its test identities."""
    found = cross_validate(
        reid, people.images, people.target, cv=FOLDS, scoring=CMCScorer(ranks=(1, 2)), return_estimator=True,
        error_score="raise",
    )  # fmt: skip
    for one, (_, test), score in zip(
        found["estimator"], FOLDS.split(people.images, people.target), found["test_rank_1"], strict=True
    ):
        assert set(one.classes_).isdisjoint(people.target[test])
        assert cmc_score(one, people.images[test], people.target[test]) == score


def test_nested_cross_validation(people, reid):
    """A search inside `cross_val_score`, both split by identity."""
    scores = cross_val_score(
        search(reid, {"blur_size": [1, 4]}), people.images, people.target, cv=FOLDS, scoring=cmc_score,
        error_score="raise",
    )  # fmt: skip
    assert scores.shape == (2,)
    assert ((scores >= 0) & (scores <= 1)).all()


def test_searches_use_rank_1_by_default(people, reid):
    """`score` equals `cmc_score`, and searches without `scoring` use it."""
    grid = {"blur_size": [1, 6]}
    default = search(reid, grid, scoring=None).fit(people.images, people.target)
    named = search(reid, grid).fit(people.images, people.target)
    np.testing.assert_array_equal(default.cv_results_["mean_test_score"], named.cv_results_["mean_test_score"])
    assert default.score(people.images, people.target) == cmc_score(named, people.images, people.target)


def test_an_integer_cv_is_never_stratified(people, reid, monkeypatch):
    """scikit-learn does not take the estimator for a classifier, whose stratified folds would leak identities."""

    def refuse(self, *args):
        raise AssertionError("stratified by identity")

    monkeypatch.setattr(StratifiedKFold, "split", refuse)
    for estimator in (reid, make_pipeline(reid, PCA(2)), make_pipeline(reid, XQDA()), search(reid, {})):
        assert not is_classifier(estimator)
        assert isinstance(check_cv(3, people.target, classifier=is_classifier(estimator)), KFold)
    order = np.argsort(people.target, kind="stable")
    X, y = people.images[order], people.target[order]
    assert search(reid, {"blur_size": [1]}, cv=2).fit(X, y).n_splits_ == 2
    assert len(cross_validate(reid, X, y, cv=2, error_score="raise")["test_score"]) == 2


# --- the cache --------------------------------------------------------------------------------------------------


def test_a_grid_trains_once_per_fold(people, reid, trained, tmp_path):
    """12 candidates on 3 folds and a refit take 4 trainings, then 0; scores are the same as without a cache."""
    grid = {"blur_size": [1, 4, 9], "n_filters": [1, 2], "layers": ["high", ("low", "middle")]}
    folds = IdentityKFold(3)
    first = search(clone(reid).set_params(memory=tmp_path), grid, cv=folds).fit(people.images, people.target)
    assert len(first.cv_results_["params"]) == 12
    assert sorted(trained) == [20, 20, 24, 32]
    trained.clear()
    second = search(clone(reid).set_params(memory=tmp_path), grid, cv=folds).fit(people.images, people.target)
    assert trained == []
    plain = search(reid, grid, cv=folds).fit(people.images, people.target)
    assert len(trained) == 37
    for other in (first, second):
        np.testing.assert_array_equal(other.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"])


def test_layers_are_explored_once(people, reid, monkeypatch, tmp_path):
    """Candidates that share a layer share its statistics; choosing among explored layers reads no image."""
    explored = count_calls(monkeypatch, "pair_statistics", lambda *args, layers, **kwargs: layers)
    reid.set_params(memory=tmp_path)
    for layers in (("low",), ("low", "high"), ("high", "middle", "low")):
        cached = clone(reid).set_params(layers=layers).fit(people.images, people.target)
        fresh = clone(reid).set_params(layers=layers, memory=None)
        explored_before = list(explored)
        fresh.fit(people.images, people.target)
        explored[:] = explored_before
        for layer in layers:
            np.testing.assert_array_equal(cached.filters_[layer], fresh.filters_[layer])
            np.testing.assert_array_equal(
                cached.filter_distances_[layer]["d_same"], fresh.filter_distances_[layer]["d_same"]
            )
    clone(reid).set_params(n_filters=1, criterion="dprime", normalize="l2").fit(people.images, people.target)
    assert explored == [("low",), ("high",), ("middle",)]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"blur_size": 9, "layers": "low", "n_filters": 1, "criterion": "dprime", "normalize": "l2"}, 1),
        ({"sampling": "box", "normalize": "whitened", "average_flips": True}, 1),
        ({"n_jobs": 2, "verbose": 0, "device": "cpu:0"}, 1),
        ({"max_epochs": 2}, 2),
        ({"batch_size": 16}, 2),
        ({"learning_rate": 1e-2}, 2),
        ({"validation_fraction": 0.3}, 2),
        ({"n_iter_no_change": 3}, 2),
        ({"augment": False}, 2),
        ({"input_size": (24, 16)}, 2),
        ({"random_state": 1}, 2),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_only_what_changes_the_weights_trains_again(people, reid, trained, tmp_path, change, expected):
    """Parameters used after training do not train again; those used before do."""
    reid.set_params(memory=str(tmp_path)).fit(people.images, people.target)
    clone(reid).set_params(**change).fit(people.images, people.target)
    assert len(trained) == expected


def test_changed_images_and_identities_train_again(people, reid, trained, monkeypatch, tmp_path):
    """One other pixel or identity trains again; cameras only explore again; files count by their pixels."""
    explored = count_calls(monkeypatch, "pair_statistics", lambda *args, **kwargs: 1)
    reid.set_params(memory=joblib.Memory(tmp_path / "cache", verbose=0)).fit(people.images, people.target)
    reid.fit(saved(people, tmp_path), people.target)
    reid.fit(people.images, people.target.astype(str))
    assert (len(trained), len(explored)) == (1, 1)
    reid.fit(people.images, people.target, cams=people.cams)
    assert (len(trained), len(explored)) == (1, 2)
    other = people.images.copy()
    other[0, 0, 0, 0] ^= 1
    reid.fit(other, people.target)
    reid.fit(people.images, np.where(people.target == 7, 6, people.target))
    assert (len(trained), len(explored)) == (3, 4)


@pytest.mark.parametrize("state", [None, "generator"])
def test_unseeded_fits_are_not_cached(people, reid, trained, tmp_path, state):
    """Without a seed (with a warning), or with a RandomState that advances, two fits train twice."""
    state = np.random.RandomState(0) if state == "generator" else None
    reid.set_params(memory=tmp_path, random_state=state)
    warned = pytest.warns(UserWarning, match="memory is not used") if state is None else nullcontext()
    with warned:
        first = reid.fit(people.images, people.target).weights_
        second = reid.fit(people.images, people.target).weights_
    assert len(trained) == 2
    assert any((first[name] != second[name]).any() for name in first)
    assert state is not None or not list(tmp_path.iterdir())


def test_a_callable_backbone_is_cached_by_what_it_builds(people, reid, trained, tmp_path):
    """A lambda can be cached; the same lambda building another network trains again."""
    width = 4

    def network():
        return nn.Sequential(OrderedDict(low=nn.Conv2d(3, width, 3, padding=1), relu=nn.ReLU()))

    reid.set_params(memory=tmp_path, layers="low", backbone=lambda: network())
    reid.fit(people.images, people.target)
    reid.set_params(backbone=network).fit(people.images, people.target)
    assert len(trained) == 1
    width = 5
    reid.fit(people.images, people.target)
    assert len(trained) == 2


def test_memory_mapped_caches_are_shared(people, reid, trained, monkeypatch, tmp_path):
    """Entries written with and without `mmap_mode` serve each other."""
    explored = count_calls(monkeypatch, "pair_statistics", lambda *args, **kwargs: 1)
    mapped = clone(reid).set_params(memory=joblib.Memory(str(tmp_path), mmap_mode="r", verbose=0))
    expected = reid.set_params(memory=tmp_path).fit(people.images, people.target).transform(people.images)
    np.testing.assert_array_equal(mapped.fit(people.images, people.target).transform(people.images), expected)
    assert (len(trained), len(explored)) == (1, 1)


def test_a_damaged_cache_entry_is_computed_again(people, reid, trained, tmp_path):
    """A truncated file costs one training, never a wrong result."""
    expected = reid.set_params(memory=tmp_path).fit(people.images, people.target).transform(people.images)
    for path in tmp_path.rglob("output.pkl"):
        path.write_bytes(path.read_bytes()[:50])
    again = clone(reid).fit(people.images, people.target)  # joblib logs what it could not read
    assert len(trained) == 2
    np.testing.assert_array_equal(again.transform(people.images), expected)


def test_searches_in_two_processes_equal_one(people, reid):
    """`n_jobs=2` gives the same results as one process."""
    grid = {"blur_size": [1, 6]}
    alone = search(reid, grid).fit(people.images, people.target)
    shared = search(reid, grid, n_jobs=2).fit(people.images, people.target)
    np.testing.assert_array_equal(shared.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"])


def fit_beside(estimator, X, y, folder):
    """Fit, but start training only when another process is about to train as well."""
    original = skreid.multidepth.train

    def train_together(*args, **kwargs):
        (folder / f"ready-{os.getpid()}").touch()
        deadline = time.monotonic() + 60
        while len(list(folder.glob("ready-*"))) < 2:
            assert time.monotonic() < deadline, "the other process did not come"
            time.sleep(0.01)
        return original(*args, **kwargs)

    skreid.multidepth.train = train_together
    try:
        return estimator.fit(X, y).weights_
    finally:
        skreid.multidepth.train = original


def test_two_processes_may_race_for_one_training(people, reid, trained, tmp_path):
    """Both train and get the same weights, and so does a later fit from the cache."""
    reid.set_params(memory=tmp_path / "cache")
    racing = joblib.Parallel(n_jobs=2)(
        joblib.delayed(fit_beside)(reid, people.images, people.target, tmp_path) for _ in range(2)
    )
    assert len(list(tmp_path.glob("ready-*"))) == 2
    after = reid.fit(people.images, people.target).weights_
    assert trained == []
    for weights in racing:
        for name, values in after.items():
            np.testing.assert_array_equal(weights[name], values)


# --- metadata routing -------------------------------------------------------------------------------------------


def cross_camera_score(estimator, people, test):
    return cmc_score(estimator, people.images[test], people.target[test], cams=people.cams[test])


@pytest.mark.parametrize("piped", [False, True], ids=["bare", "in a Pipeline"])
def test_cameras_are_routed_to_fit_and_scorer(people, reid, piped):
    """With metadata routing, cameras reach fit and scoring of every fold, in `cross_validate` and in a search."""
    estimator = make_pipeline(reid, StandardScaler()) if piped else reid
    with sklearn.config_context(enable_metadata_routing=True):
        found = cross_validate(
            estimator, people.images, people.target, cv=FOLDS, scoring=cmc_score, params={"cams": people.cams},
            return_estimator=True, error_score="raise",
        )  # fmt: skip
        searched = search(estimator, {}).fit(people.images, people.target, cams=people.cams)
    for one, (_, test), score in zip(
        found["estimator"], FOLDS.split(people.images, people.target), found["test_score"], strict=True
    ):
        assert (one[0] if piped else one).filter_distances_["low"]["n_same"] == 4 * 4  # of 6 pairs an identity
        assert score == cross_camera_score(one, people, test)
    best = searched.best_estimator_[0] if piped else searched.best_estimator_
    assert best.filter_distances_["low"]["n_same"] == 8 * 4
    assert searched.best_score_ == found["test_score"].mean()


def test_the_default_score_takes_cameras(people, reid):
    """A search without `scoring` routes cameras to `score(X, y, cams=...)`."""
    with sklearn.config_context(enable_metadata_routing=True):
        found = search(reid, {}, scoring=None).fit(people.images, people.target, cams=people.cams)
        named = search(reid, {}).fit(people.images, people.target, cams=people.cams)
    assert found.best_score_ == named.best_score_


def test_steps_request_cameras_by_default(people, reid):
    """A step that takes cameras gets them, unless `set_fit_request` says no."""
    pipeline = make_pipeline(reid, PCA(4, random_state=0), CVDCA())
    with sklearn.config_context(enable_metadata_routing=True):
        without = clone(pipeline)
        without[-1].set_fit_request(cams=False)
        assert without.fit(people.images, people.target, cams=people.cams)[-1].cameras_ is None
        pipeline.fit(people.images, people.target, cams=people.cams)
        assert len(pipeline[-1].cameras_) == 2
        scores = cross_val_score(
            pipeline, people.images, people.target, cv=FOLDS, scoring=cmc_score, params={"cams": people.cams},
            error_score="raise",
        )  # fmt: skip
    assert ((scores >= 0) & (scores <= 1)).all()


def test_without_routing_cameras_go_to_fit(people, reid):
    """Without routing, an estimator's fit gets `params`, and a Pipeline's step gets `step__cams`."""
    found = cross_validate(
        reid, people.images, people.target, cv=FOLDS, params={"cams": people.cams}, return_estimator=True,
        error_score="raise",
    )  # fmt: skip
    assert found["estimator"][0].filter_distances_["low"]["n_same"] == 4 * 4
    pipeline = make_pipeline(reid, StandardScaler())
    pipeline.fit(people.images, people.target, multidepthreid__cams=people.cams)
    assert pipeline[0].filter_distances_["low"]["n_same"] == 8 * 4


def test_unrequested_cameras_are_an_error(people, reid):
    """Without routing, the Pipeline says how to name the step; with routing, scikit-learn names the argument."""
    pipeline = make_pipeline(reid, StandardScaler())
    with pytest.raises(ValueError, match=r"does not accept the cams parameter.*stepname__parameter"):
        pipeline.fit(people.images, people.target, cams=people.cams)
    plain = make_pipeline(FunctionTransformer(lambda images: images.reshape(len(images), -1) / 255), PCA(2))
    with (
        sklearn.config_context(enable_metadata_routing=True),
        pytest.raises(TypeError, match=r"got unexpected argument\(s\) \{'cams'\}, which are not routed to any object"),
    ):
        cross_validate(plain, people.images, people.target, cv=FOLDS, params={"cams": people.cams})


def test_a_callable_backbone_is_cached_by_what_it_computes(people, reid, trained, tmp_path):
    """Networks with equal repr and initial weights that compute different maps train separately."""

    class Scale(nn.Module):
        def __init__(self, factor):
            super().__init__()
            self.factor = factor

        def forward(self, maps):
            return self.factor * maps

    def building(factor):
        return lambda: nn.Sequential(OrderedDict(low=nn.Conv2d(3, 4, 3, padding=1), scale=Scale(factor)))

    reid.set_params(memory=tmp_path, layers="scale", backbone=building(1.0)).fit(people.images, people.target)
    reid.set_params(backbone=building(5.0)).fit(people.images, people.target)
    assert len(trained) == 2
    reid.set_params(backbone=building(5.0)).fit(people.images, people.target)
    assert len(trained) == 2
