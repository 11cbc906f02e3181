"""evaluate: the trials of the protocol, figures by hand, cameras passed on, leaks refused, and the result's text."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import reference
from conftest import SETTINGS
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import cdist
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import Bunch

from skreid import MultiDepthReID
from skreid.evaluation import evaluate, nearest_images
from skreid.metric_learning import CVDCA, XQDA
from skreid.model_selection import IdentityKFold
from skreid.protocols import (
    CUHK01Protocol,
    CUHK03NPProtocol,
    GivenSplitProtocol,
    Market1501Protocol,
    ShotProtocol,
    TwoViewProtocol,
    VIPeRProtocol,
)


def crowd(n=12, shots=2, width=6, noise=0.7, seed=0):
    """Feature vectors of `n` people under two cameras, as a Bunch."""
    rng = np.random.default_rng(seed)
    target = np.repeat(np.arange(n), 2 * shots)
    data = rng.normal(size=(n, width))[target] + noise * rng.normal(size=(len(target), width))
    return Bunch(data=data, target=target, cams=np.tile(np.repeat([0, 1], shots), n))


class Recording(TransformerMixin, BaseEstimator):
    """Records the arguments of fit."""

    seen = []  # noqa: RUF012 - shared by clones on purpose

    def fit(self, X, y, cams=None):
        type(self).seen.append((X, y, cams))
        self.fitted_ = True
        return self

    def transform(self, X):
        return np.asarray(X)


@pytest.fixture(autouse=True)
def fresh():
    Recording.seen = []


def by_hand(data, dataset, trial, k):
    """Return rank-k by a loop; ties count against the system."""
    hits = 0
    for probe in trial.probe:
        distances = np.linalg.norm(data[trial.gallery] - data[probe], axis=1)
        same = dataset.target[trial.gallery] == dataset.target[probe]
        hits += (distances[~same] <= distances[same].min()).sum() < k
    return hits / len(trial.probe)


def test_figures_are_those_of_a_loop_over_every_trial():
    """Rank-k of each repeat is that of a naive loop over its probes."""
    people, protocol = crowd(), TwoViewProtocol(n_repeats=4)
    result = evaluate(FunctionTransformer(), people, protocol, ranks=(1, 3))
    for k in (1, 3):
        wanted = [by_hand(people.data, people, trial, k) for trial in protocol.split(people)]
        np.testing.assert_allclose(result.values[f"rank_{k}"], wanted)
    assert 0 < result.mean["rank_1"] < 1


def test_the_interval_is_students():
    """Mean, standard deviation and interval agree with SciPy's t."""
    result = evaluate(FunctionTransformer(), crowd(noise=1.0), TwoViewProtocol(n_repeats=5), ranks=1)
    values = result.values["mAP"]
    assert result.mean["mAP"] == pytest.approx(values.mean())
    assert result.std["mAP"] == pytest.approx(values.std(ddof=1))
    wanted = stats.t.interval(0.95, 4, values.mean(), stats.sem(values))
    np.testing.assert_allclose(result.interval["mAP"], np.clip(wanted, 0, 1))


def test_every_trial_fits_a_clone_on_its_training_images_only():
    """Fit sees the training images, identities and cameras of each trial, and the estimator stays unfitted."""
    people, protocol = crowd(), TwoViewProtocol(n_repeats=3)
    evaluate(Recording(), people, protocol)
    for (X, y, cams), trial in zip(Recording.seen, protocol.split(people), strict=True):
        np.testing.assert_array_equal(X, people.data[trial.train])
        np.testing.assert_array_equal(y, people.target[trial.train])
        np.testing.assert_array_equal(cams, people.cams[trial.train])
    scaler = StandardScaler()
    evaluate(scaler, people, protocol)
    assert not hasattr(scaler, "mean_")


@pytest.mark.parametrize("routing", [False, True])
def test_cameras_reach_the_steps_of_a_pipeline(routing):
    """A step whose fit takes cams gets them, with and without metadata routing."""
    people = crowd()
    with config_context(enable_metadata_routing=routing):
        step = Recording().set_fit_request(cams=True) if routing else Recording()
        evaluate(make_pipeline(StandardScaler(), step), people, TwoViewProtocol(n_repeats=1))
    assert Recording.seen[0][2] is not None


def test_use_cams_false_passes_cameras_to_no_fit():
    """Only the protocol uses them."""
    evaluate(Recording(), crowd(), TwoViewProtocol(n_repeats=1), use_cams=False)
    assert Recording.seen[0][2] is None


def test_a_metric_that_takes_cameras_gets_them():
    """CVDCA ranks by its camera-specific distances; without cameras they differ."""
    people, protocol = crowd(n=20, noise=0.9), TwoViewProtocol(n_repeats=2)
    pipeline = make_pipeline(StandardScaler(), CVDCA())
    result = evaluate(pipeline, people, protocol, return_estimators=True)
    trial = next(protocol.split(people))
    scaler, metric = (step for _, step in result.estimators[0].steps)
    wanted = metric.pairwise_distances(
        scaler.transform(people.data[trial.probe]),
        scaler.transform(people.data[trial.gallery]),
        cams_probe=people.cams[trial.probe],
        cams_gallery=people.cams[trial.gallery],
    )
    nearest = result.repeats[0].nearest
    np.testing.assert_allclose(nearest.distances[:, 0], wanted.min(axis=1))
    assert not np.allclose(
        evaluate(pipeline, people, protocol, use_cams=False).repeats[0].nearest.distances[:, 0],
        nearest.distances[:, 0],
    )


def test_a_learned_metric_at_the_end_ranks():
    """XQDA after a scaler is evaluated by its own distances and beats chance."""
    result = evaluate(make_pipeline(StandardScaler(), XQDA()), crowd(n=30), TwoViewProtocol(n_repeats=3))
    assert result.name == "StandardScaler + XQDA"
    assert result.mean["rank_1"] > 3 / 15


def test_a_protocol_that_sums_ranks_people():
    """The multi-shot protocol ranks people by the sum of their image distances."""
    people = crowd(n=16)
    protocol = TwoViewProtocol(probe_shots=2, gallery_shots=2, aggregation="sum", n_repeats=1)
    result = evaluate(FunctionTransformer(), people, protocol, ranks=1)
    trial = next(protocol.split(people))
    distances = cdist(people.data[trial.probe], people.data[trial.gallery])
    persons = np.unique(people.target[trial.probe])
    sums = np.array(
        [
            [
                distances[np.ix_(people.target[trial.probe] == a, people.target[trial.gallery] == b)].sum()
                for b in persons
            ]
            for a in persons
        ]
    )
    assert result.values["rank_1"][0] == np.mean(sums.argmin(axis=1) == np.arange(len(persons)))
    repeat = result.repeats[0]
    assert repeat.n_gallery == len(persons) == len(repeat.probe)
    np.testing.assert_array_equal(people.target[repeat.nearest.indices[:, 0]], persons[sums.argmin(axis=1)])


def test_given_split_leaves_out_the_same_camera_and_counts_the_dropped():
    """Images of the probe's person in its camera are left out; a probe without a true match is counted as dropped."""
    people = Bunch(
        data=np.array([[0.0], [0.1], [3.0], [9.0], [9.2], [5.0]]),
        target=np.array([1, 1, 1, 2, 3, 4]),
        cams=np.array([0, 0, 1, 0, 1, 1]),
        subset=np.array(["query", "gallery", "gallery", "query", "gallery", "gallery"]),
    )
    result = evaluate(FunctionTransformer(), people, GivenSplitProtocol(), ranks=1, fit=False)
    assert result.values["rank_1"][0] == 1
    assert (result.n_probes[0], result.n_valid[0], result.n_dropped[0]) == (2, 1, 1)
    assert "1 without a true match (left out)" in repr(result)
    assert result.repeats[0].nearest.indices[0].tolist()[:4] == [2, 5, 4, reference.MISSING]
    assert math.isnan(result.std["rank_1"])
    assert math.isfinite(result.interval["rank_1"][0])  # Wilson's
    assert math.isnan(result.interval["mAP"][0])
    zero = evaluate(FunctionTransformer(), people, GivenSplitProtocol(), fit=False, on_missing="zero")
    assert zero.values["rank_1"][0] == 0.5
    assert "counted as failures" in repr(zero)


def test_a_fitted_estimator_is_neither_cloned_nor_refitted_and_describes_once():
    """fit=False calls transform once, on every image needed, and the figures are those of that estimator."""
    calls = []

    def look(X):
        calls.append(len(X))
        return np.asarray(X)

    people, protocol = crowd(), TwoViewProtocol(n_train=0.5, n_repeats=4)
    result = evaluate(FunctionTransformer(look), people, protocol, fit=False)
    assert len(calls) == 1
    wanted = evaluate(FunctionTransformer(), people, protocol)
    for figure, values in wanted.values.items():
        np.testing.assert_array_equal(result.values[figure], values)
    with pytest.raises(NotFittedError):
        evaluate(StandardScaler(), people, protocol, fit=False)


def test_an_estimator_fitted_on_the_probes_is_refused(people, fitted):
    """fit=False refuses identities in classes_, unless on_seen says that the names are other people's."""
    with pytest.raises(ValueError, match=r"was fitted on .* identities that are probes"):
        evaluate(fitted, people, TwoViewProtocol(), fit=False)
    result = evaluate(fitted, people, TwoViewProtocol(n_repeats=2), fit=False, on_seen="ignore")
    assert len(result.repeats) == 2
    strangers = Bunch(images=people.images, target=people.target + 100, cams=people.cams)
    assert evaluate(fitted, strangers, TwoViewProtocol(n_repeats=2), fit=False).values["rank_1"].tolist() == (
        result.values["rank_1"].tolist()
    )


def test_a_protocol_that_trains_on_its_probes_is_refused():
    """Identities on both sides of a trial are refused before anything is fitted."""

    class Leaky(TwoViewProtocol):
        def split(self, dataset):
            for trial in super().split(dataset):
                yield type(trial)(np.append(trial.train, trial.probe[:1]), trial.probe, trial.gallery)

    with pytest.raises(ValueError, match="trains on 1 identities that are probes"):
        evaluate(Recording(), crowd(), Leaky())
    assert not Recording.seen


def test_a_network_is_evaluated_end_to_end(people):
    """MultiDepthReID is fitted on each trial's images; its estimators come back when asked for."""
    network = MultiDepthReID(**SETTINGS | {"max_epochs": 1})
    result = evaluate(network, people, TwoViewProtocol(n_repeats=2), ranks=(1, 2), return_estimators=True)
    assert result.name == "MultiDepthReID"
    assert result.repeats[0].n_train == len(result.estimators[0].classes_) * 4 == 16
    assert result.values["rank_2"].shape == (2,)


@pytest.mark.parametrize("key", ["images", "paths"])
def test_images_or_paths_are_taken(key, people, tmp_path):
    """A dataset may contain arrays or files."""
    from PIL import Image

    dataset = Bunch(target=people.target, cams=people.cams)
    if key == "images":
        dataset.images = people.images
    else:
        dataset.paths = [tmp_path / f"{i}.png" for i in range(len(people.target))]
        for image, path in zip(people.images, dataset.paths, strict=True):
            Image.fromarray(image).save(path)

    def read(X):
        return np.stack([np.asarray(Image.open(x) if key == "paths" else x) for x in X]).reshape(len(X), -1) / 255.0

    result = evaluate(FunctionTransformer(read), dataset, TwoViewProtocol(n_repeats=2))
    assert result.n_probes.tolist() == [8, 8]


def test_result_carries_its_protocol_everywhere():
    """Repr, table and dict state the protocol; the dict survives JSON."""
    protocol = TwoViewProtocol(n_repeats=2)
    result = evaluate(FunctionTransformer(), crowd(), protocol, ranks=(1, 5), name="A|B")
    for text in (repr(result), result.table(), json.dumps(result.to_dict())):
        assert protocol.describe() in text
    head, rule, row, *_ = result.table().splitlines()
    assert head == "| System | Rank 1 | Rank 5 | mAP |"
    assert rule.count("---") == 4
    assert row.startswith("| A\\|B | ")
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False))["n_repeats"] == 2


def test_unknown_values_are_null_in_json():
    """The deviation of a single repeat is not NaN there, which JSON does not allow."""
    result = evaluate(FunctionTransformer(), crowd(), TwoViewProtocol(n_repeats=1))
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False))["figures"]["rank_1"]["std"] is None


def test_minp_is_printed_only_where_it_is_not_map():
    """With one true match per probe both are equal; a system with several keeps its mINP beside a dash."""
    single = evaluate(FunctionTransformer(), crowd(), TwoViewProtocol(n_repeats=2), name="single")
    several = evaluate(FunctionTransformer(), crowd(), TwoViewProtocol(n_repeats=2, gallery_shots=2), name="several")
    assert single.values["mINP"].tolist() == single.values["mAP"].tolist()
    assert single.repeats[0].metrics.n_matches.tolist() == [1] * single.n_probes[0]
    assert set(several.repeats[0].metrics.n_matches) == {2}
    assert several.values["mINP"].tolist() != several.values["mAP"].tolist()
    assert "mINP" not in repr(single) + single.table() + single.table(single)
    assert "mINP" in repr(several)
    assert "mINP" in several.table()
    for table in (single.table(several), several.table(single)):
        assert " | mINP |" in table.splitlines()[0]
        assert (
            next(line for line in table.splitlines() if line.startswith("| single")).split(" | ")[6].strip(" |") == "–"
        )


def test_table_of_several_systems_names_each_protocol():
    """Figures of different protocols get a column that names the protocol, and a legend."""
    one = evaluate(FunctionTransformer(), crowd(), TwoViewProtocol(n_repeats=2), name="one")
    two = evaluate(FunctionTransformer(), crowd(), ShotProtocol(n_repeats=2), name="two")
    table = one.table(two)
    assert "| Protocol |" in table
    assert f"[1] {one.protocol}" in table
    assert f"[2] {two.protocol}" in table
    other = evaluate(FunctionTransformer(), crowd(), TwoViewProtocol(n_repeats=2), ranks=1)
    with pytest.raises(ValueError, match="at ranks"):
        one.table(other)


def test_curves_of_galleries_of_differing_sizes_are_padded():
    """Curves of uneven galleries stay at their last value."""
    rng = np.random.default_rng(1)
    target = np.repeat(np.arange(6), [5, 4, 2, 5, 1, 4])
    people = Bunch(data=rng.normal(size=(len(target), 2)), target=target)
    protocol = ShotProtocol(n_train=1, n_shots=3, use_cams=False, n_repeats=6)
    cmc = evaluate(FunctionTransformer(), people, protocol).cmc
    assert cmc.shape[0] == 6
    assert (np.diff(cmc, axis=1) >= 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": None}, "The dataset, a Bunch, has neither 'images' nor 'paths' nor 'data'"),
        ({"target": None}, "dataset.target"),
        ({"data": np.zeros((3, 2))}, "dataset.data has 3 entries, but dataset.target has 48"),
        ({"cams": np.zeros(3)}, "cams has 3 entries"),
    ],
)
def test_incomplete_datasets_are_refused(change, message):
    """The missing column is named."""
    with pytest.raises(ValueError, match=message):
        evaluate(FunctionTransformer(), Bunch(**{**crowd(), **change}), TwoViewProtocol())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"use_cams": "yes"}, "'use_cams' parameter of evaluate must be among"),
        ({"on_seen": "warn"}, "'on_seen' parameter of evaluate must be among"),
        ({"n_neighbors": -1}, "'n_neighbors' parameter of evaluate must be an int"),
        ({"ranks": 0}, "'ranks' parameter of evaluate"),
        ({"ranks": (1, True)}, "'ranks' parameter of evaluate"),
        ({"n_neighbors": True}, "'n_neighbors' parameter of evaluate must be an int"),
        ({"on_missing": "skip"}, "'on_missing' parameter"),
        ({"confidence": 2}, "'confidence' parameter"),
    ],
)
def test_bad_parameters_are_refused(given, message):
    """Parameters out of range are named, in scikit-learn's words."""
    with pytest.raises(ValueError, match=message):
        evaluate(FunctionTransformer(), crowd(), TwoViewProtocol(n_repeats=1), **given).summaries  # noqa: B018


class OnlySplits:
    def split(self, dataset):
        raise NotImplementedError


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (TwoViewProtocol, "Got the class TwoViewProtocol instead"),
        (np.zeros(48), "Got a ndarray without split, aggregate, describe instead"),
        (OnlySplits(), "Got a OnlySplits without aggregate, describe instead"),
    ],
)
def test_an_argument_that_is_no_protocol_is_refused(given, said):
    """It may be a class that was not called, identities, which scikit-learn takes at this position, or unfinished."""
    with pytest.raises(ValueError, match=rf"'protocol' parameter .*TwoViewProtocol\(\)\. {said}"):
        evaluate(FunctionTransformer(), crowd(), given)


def test_an_image_without_a_descriptor_is_named_by_its_index_in_the_dataset():
    """Its row among the probes or the gallery is not used."""
    people = crowd()
    people["data"][17] = np.nan
    with pytest.raises(ValueError, match=r"the first being image 17: leave out images"):
        evaluate(FunctionTransformer(), people, TwoViewProtocol(n_train=0, n_repeats=1, gallery_shots=None), fit=False)


def test_training_on_nobody_is_refused_with_advice():
    """A protocol without training images needs fit=False, and the error says so."""
    with pytest.raises(ValueError, match="fit=False"):
        evaluate(StandardScaler(), crowd(), TwoViewProtocol(n_train=0))
    assert evaluate(FunctionTransformer(), crowd(), TwoViewProtocol(n_train=0, n_repeats=1), fit=False)


def test_a_protocol_refuses_a_dataset_that_it_does_not_fit():
    """CUHK01's protocol refuses another dataset, and its message reaches the user."""
    with pytest.raises(ValueError, match="971 identities"):
        evaluate(FunctionTransformer(), crowd(), CUHK01Protocol())


@given(
    st.integers(1, 6).flatmap(
        lambda n: st.tuples(
            st.lists(st.lists(st.integers(0, 3), min_size=n, max_size=n), min_size=1, max_size=4),
            st.lists(st.integers(0, 2), min_size=n, max_size=n),
            st.lists(st.booleans(), min_size=n, max_size=n),
            st.integers(0, 8),
        )
    )
)
def test_nearest_images_are_those_of_a_sort(case):
    """Rankings, ties, left-out pairs and first ranks agree with Python's sort of tuples."""
    rows, gallery, dropped, k = case
    distances = np.array(rows, dtype=float)
    same = np.array([[identity == 0 for identity in gallery] for _ in rows])
    left_out = np.array([dropped for _ in rows])
    nearest = nearest_images(distances, same, left_out, k)
    for i, row in enumerate(rows):
        order = sorted((value, bool(same[i, j]), j) for j, value in enumerate(row) if not left_out[i, j])
        shown = [j for j in nearest.indices[i].tolist() if j != reference.MISSING]
        assert shown == [j for _, _, j in order][:k]
        ranks = [place for place, (_, match, _) in enumerate(order, 1) if match]
        assert nearest.first_rank[i] == (ranks[0] if ranks else 0)
        np.testing.assert_array_equal(nearest.distances[i, : len(shown)], distances[i, shown])
        assert not nearest.matches[i, len(shown) :].any()


def test_leaks_are_found_inside_nested_estimators(people, fitted):
    """The estimator fitted on probes is inside nested Pipelines, unions and searches."""
    flat = make_pipeline(fitted, PCA(3, random_state=0)).fit(people.images, people.target)
    search = GridSearchCV(flat, {"pca__n_components": [3]}, scoring=lambda *_: 1.0, cv=IdentityKFold(2))
    wrappers = [
        make_pipeline(flat),
        FeatureUnion([("deep", fitted)]).fit(people.images, people.target),
        search.fit(people.images, people.target),
    ]
    for wrapped in wrappers:
        with pytest.raises(ValueError, match=r"was fitted on .* identities that are probes"):
            evaluate(wrapped, people, TwoViewProtocol(n_repeats=1), fit=False)


@pytest.mark.parametrize("protocol", [TwoViewProtocol(n_repeats=2), ShotProtocol(n_repeats=2)])
def test_everyone_is_tested_where_nothing_is_fitted(protocol):
    """fit=False leaves nobody out unless `n_train` is given; the protocol line says which it was."""
    people = crowd(n=12)
    whole = evaluate(FunctionTransformer(), people, protocol, fit=False)
    assert [len(np.unique(people.target[repeat.probe])) for repeat in whole.repeats] == [12, 12]
    assert "nothing fitted, all identities tested" in whole.protocol
    assert "training" not in whole.protocol
    given = evaluate(FunctionTransformer(), people, replace(protocol, n_train=0.5), fit=False)
    assert [len(np.unique(people.target[repeat.probe])) for repeat in given.repeats] == [6, 6]
    assert "nothing fitted, 50% left out / all other test identities" in given.protocol
    some = evaluate(FunctionTransformer(), people, replace(protocol, n_test=5), fit=False)
    assert "nothing fitted, 5 identities tested" in some.protocol
    fitted = evaluate(StandardScaler(), people, protocol)
    assert [len(np.unique(people.target[repeat.probe])) for repeat in fitted.repeats] == [6, 6]
    assert "50% training / all other test identities" in fitted.protocol
    assert "fitted" not in fitted.protocol
    assert "50% training" in protocol.describe()  # an evaluation leaves the protocol itself as it is


def given_split(**more):
    """Four people with the subsets of a given split."""
    data = np.arange(8.0)[:, None]
    subset = ["train", "train", "query", "gallery", "query", "gallery", "gallery", "gallery"]
    return {"data": data, "target": np.repeat([1, 2, 3, 4], 2), "cams": np.tile([0, 1], 4), "subset": subset} | more


@pytest.mark.parametrize(
    ("protocol", "name", "line"),
    [
        (Market1501Protocol(), {}, "Market-1501's protocol on given data: given split, nothing fitted; probes"),
        (Market1501Protocol(), {"name": "my shop"}, "Market-1501's protocol on my shop: given split, nothing fitted;"),
        (Market1501Protocol(), {"name": "Market-1501"}, "Market-1501: given split, nothing fitted; probes"),
        (Market1501Protocol(), {"name": ["ann"] * 8}, "Market-1501's protocol on given data: given split,"),
        (Market1501Protocol(), {"DESCR": "Market-1501\n====\n"}, "Market-1501: given split, nothing fitted; probes"),
        (Market1501Protocol(), {"DESCR": "Shop\n====\n"}, "Market-1501's protocol on Shop: given split,"),
        (
            Market1501Protocol(),
            {"DESCR": "Market-1501\n", "report": {"n_images": 8, "expected": {"n_images": 36036}}},
            "Market-1501's protocol on data in the layout of Market-1501: given split,",
        ),
        (Market1501Protocol(name="Shop"), {}, "Shop: given split, nothing fitted; probes"),
        (CUHK03NPProtocol(), {"name": "CUHK03 (labeled)"}, "CUHK03-NP: given split, nothing fitted; probes"),
        (CUHK03NPProtocol(), {"name": "CUHK031"}, "CUHK03-NP's protocol on CUHK031: given split,"),
        (GivenSplitProtocol(), {"name": "my shop"}, "Given split: given split, nothing fitted; probes"),
    ],
)
def test_a_named_protocol_says_whose_data_it_was_applied_to(protocol, name, line):
    """Figures on other data than the protocol's own are not mistaken for published ones."""
    assert evaluate(FunctionTransformer(), given_split(**name), protocol, fit=False).protocol.startswith(line)


@pytest.mark.parametrize(
    ("protocol", "n_persons", "n_images", "line"),
    [
        (
            CUHK01Protocol("multi-shot", n_repeats=1),
            971,
            2,
            "CUHK01's protocol (multi-shot) on given data: 485",
        ),
        (VIPeRProtocol(n_repeats=1), 632, 1, "VIPeR's protocol on given data: 316 training / 316 test identities"),
    ],
)
def test_drawn_protocols_say_whose_data_they_were_applied_to(protocol, n_persons, n_images, line):
    """So do those that draw their identities; their own data have their own name."""
    target = np.repeat(np.arange(n_persons), 2 * n_images)
    people = {"data": target[:, None] + 0.0, "target": target, "cams": np.tile(np.repeat([0, 1], n_images), n_persons)}
    assert evaluate(StandardScaler(), people, protocol).protocol.startswith(line)
    own = evaluate(StandardScaler(), people | {"name": protocol._published_for}, protocol).protocol
    assert own == protocol.describe()
    unfitted = evaluate(FunctionTransformer(), people, protocol, fit=False).protocol
    assert f"nothing fitted, {485 if n_images == 2 else 316} left out /" in unfitted


def test_a_protocol_of_ones_own_needs_nothing_more():
    """`applied_to` is optional: the line is then the protocol's own."""

    class Own:
        def __init__(self):
            self.inner = TwoViewProtocol(n_repeats=1)
            self.split, self.aggregate = self.inner.split, self.inner.aggregate

        def describe(self):
            return "mine"

    assert evaluate(FunctionTransformer(), crowd(), Own(), fit=False).protocol == "mine"


@pytest.mark.parametrize("fit", [None, 0, "no", "False"])
def test_fit_is_true_or_false(fit):
    """A word would otherwise count as true."""
    with pytest.raises(ValueError, match=r"'fit' parameter of evaluate must be among \{True, False\}"):
        evaluate(FunctionTransformer(), crowd(), TwoViewProtocol(n_repeats=1), fit=fit)


@pytest.mark.parametrize(
    ("protocol", "given", "said"),
    [
        (ShotProtocol(), {}, r"ShotProtocol needs dataset.cams.* Without cameras, give use_cams=False\."),
        (TwoViewProtocol(), {}, r"TwoViewProtocol needs .*cams.* Without cameras, use ShotProtocol\(use_cams=False\)"),
        (GivenSplitProtocol(), {}, r"GivenSplitProtocol needs dataset.cams.* give use_cams=False"),
        (ShotProtocol(use_cams=False), {"use_cams": True}, r"evaluate needs dataset.cams.* give use_cams=False"),
        (ShotProtocol(n_train=3, n_test=3, use_cams=False), {}, r"n_train=0 leaves nobody out.*fit=False"),
    ],
)
def test_errors_name_the_way_out(protocol, given, said):
    """Missing cameras and too few identities have one each."""
    people = given_split()
    del people["cams"]
    with pytest.raises(ValueError, match=said):
        evaluate(FunctionTransformer(), people, protocol, fit=False, **given)


def test_errors_name_the_function_that_was_called():
    """Not the one that it calls."""
    with pytest.raises(ValueError, match="'on_missing' parameter of evaluate must be among"):
        evaluate(FunctionTransformer(), crowd(), TwoViewProtocol(), on_missing="skip")
