"""Searches, scorers, splitters, protocols and results in files without code: what comes back, and what is refused."""

import ast
import io
import json
import os
import sys
import warnings
import zipfile
from importlib import import_module

import joblib
import numpy as np
import pytest
import sklearn
import skops.io
from scipy import stats
from sklearn.base import BaseEstimator, clone
from sklearn.decomposition import PCA
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    GroupShuffleSplit,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    KFold,
    LeaveOneGroupOut,
    LeavePGroupsOut,
    PredefinedSplit,
    RandomizedSearchCV,
    ShuffleSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    StratifiedShuffleSplit,
)
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skreid import CMCScorer, MultiDepthReID, cmc_score, evaluate, protocols
from skreid._base.stand_ins import with_stand_ins
from skreid.descriptors import GOG, LOMO, MLGD, CenteredNormalizer
from skreid.exceptions import SeenIdentitiesWarning
from skreid.metric_learning import CVDCA, KCVDCA, XQDA, KernelXQDA
from skreid.model_selection import IdentityKFold, IdentityShuffleSplit
from skreid.persistence import dump, load, trusted_types
from skreid.rivals import ClusterFirst, TCPNet

rng = np.random.default_rng(0)
y = np.repeat(np.arange(12), 4)
cams = np.tile([0, 0, 1, 1], 12)
X = rng.normal(size=(12, 6))[y] + rng.normal(size=(48, 6))
pipeline = make_pipeline(StandardScaler(), PCA(4), XQDA())
GRID = {"pca__n_components": [2, 3], "xqda__reg": [0.01, 0.1]}
DRAWN = {"pca__n_components": stats.randint(2, 5), "xqda__reg": stats.loguniform(1e-3, 1)}


def saved(value, folder, trusted=()):
    """Save and load; what has to be trusted is named when it is saved."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dump(value, folder / "x.skops")
    assert [str(each.message).partition("trusted=")[2] for each in caught] == [f"{list(trusted)}."] * bool(trusted)
    return load(folder / "x.skops", trusted=trusted)


def assert_equal(mine, theirs):
    """Assert that two values have the same types and content, however nested."""
    assert type(mine) is type(theirs)
    if isinstance(mine, np.ma.MaskedArray):
        assert_equal(np.ma.getmaskarray(mine), np.ma.getmaskarray(theirs))
        assert_equal(mine.compressed(), theirs.compressed())
    elif isinstance(mine, np.ndarray):
        assert (mine.dtype, mine.shape) == (theirs.dtype, theirs.shape)
        if mine.dtype == object:
            assert_equal(mine.ravel().tolist(), theirs.ravel().tolist())
        else:
            np.testing.assert_array_equal(mine, theirs)
    elif isinstance(mine, dict):
        assert list(mine) == list(theirs)
        assert_equal(list(mine.values()), list(theirs.values()))
    elif isinstance(mine, (list, tuple)):
        assert len(mine) == len(theirs)
        for a, b in zip(mine, theirs, strict=True):
            assert_equal(a, b)
    elif isinstance(mine, (BaseEstimator, np.random.RandomState)) or hasattr(mine, "__dict__"):
        assert joblib.hash(mine) == joblib.hash(theirs)
    else:
        assert mine == theirs or mine != mine


SEARCHES = {
    "a grid": lambda: GridSearchCV(pipeline, GRID, scoring=cmc_score, cv=IdentityKFold(3)),
    "a list of grids, several figures": lambda: GridSearchCV(
        pipeline,
        [{"pca__n_components": [2, 3]}, {"pca": ["passthrough", PCA(2)], "xqda__reg": [0.1]}],
        scoring=CMCScorer(ranks=(1, 5), mean_average_precision=True, n_repeats=2),
        refit="mAP",
        cv=IdentityKFold(2, shuffle=True, random_state=0),
    ),
    "several scorers": lambda: GridSearchCV(
        pipeline,
        GRID,
        scoring={"first": cmc_score, "fifth": CMCScorer(5, n_repeats=1)},
        refit="fifth",
        cv=IdentityShuffleSplit(2, random_state=np.random.RandomState(0)),
    ),
    "without refit": lambda: GridSearchCV(pipeline, GRID, scoring=cmc_score, cv=IdentityKFold(2), refit=False),
    "training scores, a list of splits": lambda: GridSearchCV(
        pipeline, GRID, scoring=CMCScorer(n_repeats=1), cv=list(IdentityKFold(2).split(X, y)), return_train_score=True
    ),
    "None, bools and text": lambda: GridSearchCV(
        pipeline,
        {"xqda__n_components": [None, 2], "pca__whiten": [True, False], "pca__svd_solver": ["full"]},
        scoring=cmc_score,
        cv=IdentityKFold(2),
    ),
    "distributions": lambda: RandomizedSearchCV(
        pipeline, DRAWN, n_iter=3, scoring=cmc_score, cv=IdentityKFold(2), random_state=0
    ),
    "lists drawn from": lambda: RandomizedSearchCV(
        pipeline, GRID, n_iter=2, scoring=cmc_score, cv=IdentityKFold(2), random_state=np.random.RandomState(3)
    ),
    "halving": lambda: HalvingGridSearchCV(
        pipeline, GRID, scoring=cmc_score, cv=IdentityKFold(2), min_resources=24, factor=4, random_state=0
    ),
    "halving, drawn": lambda: HalvingRandomSearchCV(
        pipeline, DRAWN, n_candidates=2, scoring=cmc_score, cv=2, min_resources=24, random_state=0
    ),
}


@pytest.mark.parametrize("name", SEARCHES)
@pytest.mark.filterwarnings("ignore:.* identities have a single image")
@pytest.mark.filterwarnings("ignore::skreid.exceptions.SeenIdentitiesWarning")
def test_searches_come_back_as_they_were(tmp_path, name):
    """Their results, masks and all; and what they refitted describes and measures the same."""
    search = SEARCHES[name]().fit(X, y)
    again = saved(search, tmp_path)
    assert_equal(again.cv_results_, search.cv_results_)
    assert_equal(again.best_params_, search.best_params_)
    assert again.best_score_ == search.best_score_
    assert again.best_index_ == search.best_index_
    assert repr(again.scoring) == repr(search.scoring)
    if search.refit:
        assert_equal(again.transform(X), search.transform(X))
        rows = search.best_estimator_[:-1].transform(X)
        assert_equal(*(each.best_estimator_[-1].pairwise_distances(rows[:5], rows) for each in (again, search)))


@pytest.mark.parametrize("name", ["distributions", "lists drawn from"])
def test_a_search_that_was_not_fitted_draws_the_same_candidates_after_loading(tmp_path, name):
    search = SEARCHES[name]()
    again = saved(search, tmp_path)
    assert_equal(again.fit(X, y).cv_results_["params"], search.fit(X, y).cv_results_["params"])


def test_a_search_over_a_network_comes_back(tmp_path, people, settings):
    """Its candidates differ in tuples, sizes and names of layers, and it describes pictures the same."""
    grid = {"blur_size": [(4, None), 3], "layers": [("high",), ("middle", "high")]}
    network = MultiDepthReID(**settings | {"max_epochs": 0})
    search = GridSearchCV(network, grid, scoring=cmc_score, cv=IdentityKFold(2), error_score="raise")
    search.fit(people.images, people.target)
    again = saved(search, tmp_path, trusted=["networks.narrow"])  # the backbone
    assert_equal(again.cv_results_, search.cv_results_)
    assert_equal(again.best_params_, search.best_params_)
    assert_equal(again.transform(people.images), search.transform(people.images))


def test_cameras_are_routed_after_loading_as_before(tmp_path):
    """What each step requests comes back, and a search that is fitted again has the same scores."""
    with sklearn.config_context(enable_metadata_routing=True):
        steps = make_pipeline(
            StandardScaler().set_fit_request(sample_weight=False),
            CVDCA(reg=0.1).set_fit_request(cams=True).set_transform_request(cams="views"),
        )
        search = GridSearchCV(steps, {"cvdca__reg": [0.1, 1.0]}, scoring=cmc_score, cv=IdentityKFold(3))
        search.fit(X, y, cams=cams)
        again = saved(search, tmp_path)
        assert str(again.get_metadata_routing()) == str(search.get_metadata_routing())
        assert again.estimator[1].get_metadata_routing().transform.requests == {"cams": "views"}
        again.fit(X, y, cams=cams)
        assert_equal(again.cv_results_["mean_test_score"], search.cv_results_["mean_test_score"])
        assert clone(again).estimator[0].get_metadata_routing().fit.requests == {"sample_weight": False}


# the list of what is supported ----------------------------------------------------------------------------


def small_images():
    return rng.integers(0, 255, size=(8, 32, 16, 3), dtype=np.uint8)


IMAGES = {
    "GOG": lambda: GOG(input_size=(32, 16), n_strips=1),
    "LOMO": lambda: LOMO(n_scales=1, window_size=6, step=3, n_bins=3),
    "MLGD": lambda: MLGD(input_size=(32, 16), n_strips=1),
    "TCPNet": lambda: TCPNet(input_size=(32, 16), crop_size=(28, 14), n_channels=2, n_persons=2, n_triplets=2,
                             max_epochs=0, device="cpu", random_state=0),
}  # fmt: skip
ROWS = [CenteredNormalizer(), CVDCA(reg=0.1), KCVDCA(reg=0.1), XQDA(), KernelXQDA(), ClusterFirst(n_clusters=2)]
SPLITTERS = [
    IdentityKFold(3, shuffle=True, random_state=1),
    IdentityShuffleSplit(2, test_size=3, random_state=1),
    GroupKFold(3),
    GroupShuffleSplit(2, random_state=0),
    KFold(2, shuffle=True, random_state=2),
    LeaveOneGroupOut(),
    LeavePGroupsOut(11),
    PredefinedSplit(y % 3),
    ShuffleSplit(2, random_state=0),
    StratifiedGroupKFold(2),
    StratifiedKFold(2),
    StratifiedShuffleSplit(2, test_size=12, random_state=0),
]


@pytest.mark.parametrize("name", IMAGES)
def test_every_descriptor_comes_back(tmp_path, name):
    images = small_images()
    fitted = IMAGES[name]().fit(images, np.repeat([0, 1], 4))
    assert_equal(saved(fitted, tmp_path).transform(images), fitted.transform(images))


@pytest.mark.parametrize("estimator", ROWS, ids=lambda each: type(each).__name__)
def test_every_metric_comes_back(tmp_path, estimator):
    fitted = clone(estimator).fit(X, y)
    again = saved(fitted, tmp_path)
    for name in ("transform", "pairwise_distances"):
        if hasattr(fitted, name):
            arguments = (X,) if name == "transform" else (X[:7], X)
            expected = getattr(fitted, name)(*arguments)  # products of matrices depend on their place in memory
            atol = 1e-12 * np.abs(expected).max()
            np.testing.assert_allclose(getattr(again, name)(*arguments), expected, rtol=1e-9, atol=atol)
    assert_equal({name: vars(again)[name] for name in vars(fitted)}, vars(fitted))


@pytest.mark.filterwarnings("ignore:The groups parameter is ignored")
@pytest.mark.parametrize("splitter", SPLITTERS, ids=lambda each: type(each).__name__)
def test_every_splitter_comes_back(tmp_path, splitter):
    again = saved(splitter, tmp_path)
    assert_equal(list(again.split(X, y, groups=y)), list(splitter.split(X, y, groups=y)))


@pytest.mark.parametrize("scorer", [cmc_score, CMCScorer((1, 3), n_repeats=2, on_seen="ignore")], ids=str)
def test_every_scorer_comes_back(tmp_path, scorer):
    again = saved(scorer, tmp_path)
    assert repr(again) == repr(scorer)
    assert again(FunctionTransformer().fit(X), X, y, cams=cams) == scorer(FunctionTransformer().fit(X), X, y, cams=cams)


@pytest.mark.parametrize("name", [each for each in protocols.__all__ if each.endswith("Protocol")])
def test_every_protocol_comes_back(tmp_path, name):
    protocol = getattr(protocols, name)()
    again = saved(protocol, tmp_path)
    assert type(again) is type(protocol)
    assert_equal(vars(again), vars(protocol))


def test_a_result_comes_back(tmp_path):
    """Its figures, their intervals, the hardest probes and the fitted estimators; looked at before, or not."""
    people = {"target": [f"p{i}" for i in y], "cams": cams, "data": X}
    protocol = protocols.ShotProtocol(n_repeats=2)
    result = evaluate(make_pipeline(StandardScaler(), XQDA()), people, protocol, ranks=(1, 5), return_estimators=True)
    for _ in range(2):
        again = saved(result, tmp_path)
        assert repr(again) == repr(result)
        assert again.to_dict() == result.to_dict()
        assert str(again.hardest(5)) == str(result.hardest(5))
        assert str(again.by_camera_pair()) == str(result.by_camera_pair())
        assert_equal(again.estimators[1].transform(X), result.estimators[1].transform(X))


def test_every_trusted_type_exists():
    """None is misspelled, and all are classes."""
    for name in trusted_types():
        module, _, short = name.rpartition(".")
        assert isinstance(getattr(import_module(module), short), type)


def test_memory_mapped_estimators_are_saved(tmp_path):
    """Those that joblib maps from a file."""
    fitted = XQDA().fit(X, y)
    joblib.dump(fitted, tmp_path / "x.joblib")
    mapped = joblib.load(tmp_path / "x.joblib", mmap_mode="r")
    assert isinstance(mapped.components_, np.memmap)
    again = saved(mapped, tmp_path)
    assert type(again.components_) is np.ndarray
    assert_equal(again.transform(X), fitted.transform(X))


def test_saving_takes_no_second_copy_of_arrays():
    fitted = XQDA().fit(X, y)
    assert np.shares_memory(with_stand_ins(fitted).components_, fitted.components_)


def test_scorers_pickled_by_earlier_versions_load():
    """They had a request, and no `on_seen`."""
    scorer = CMCScorer(3)
    state = vars(scorer) | {"_request": scorer.get_metadata_routing()}
    del state["on_seen"]
    old = CMCScorer.__new__(CMCScorer)
    old.__setstate__(state)
    assert repr(old) == repr(scorer)
    with pytest.warns(SeenIdentitiesWarning):
        old(XQDA().fit(X[:40], y[:40]), X, y)


# what is refused ------------------------------------------------------------------------------------------


class Mine(BaseEstimator):
    """A class of the user's own."""

    def fit(self, X, y=None):
        return self

    def rvs(self, random_state=None):
        return 0.1


class Own(type(stats.uniform)):
    """A distribution of the user's own."""


def masked(value):
    column = np.ma.MaskedArray(np.empty(2, dtype=object), mask=[False, True])
    column[0] = value
    return column


def search_with(**attributes):
    search = SEARCHES["a grid"]()
    vars(search).update(attributes)
    return search


REFUSED = {
    "a function as scorer": (lambda: search_with(scoring=os.getcwd), "posix.getcwd"),
    "a class as cv": (lambda: search_with(cv=Mine()), "test_persistence_searches.Mine"),
    "a step": (lambda: search_with(estimator=make_pipeline(Mine())), "test_persistence_searches.Mine"),
    "a function in a table of results": (
        lambda: search_with(cv_results_={"param_a": masked(os.getcwd)}),
        "posix.getcwd",
    ),
    "a source of candidates": (lambda: search_with(param_distributions={"a": Mine()}), "Mine"),
    "a distribution": (lambda: search_with(param_distributions={"a": Own(name="own")(0, 1)}), "searches.Own"),
    "a figure": (lambda: _changed(CMCScorer(), ranks=os.getcwd), "posix.getcwd"),
    "a seed": (lambda: _changed(IdentityKFold(3), random_state=Mine()), "Mine"),
    "splits": (lambda: search_with(cv=[(os.getcwd, os.getcwd)]), "posix.getcwd"),
    "a splitter that calls a class": (
        lambda: sklearn.model_selection.RepeatedKFold(n_splits=2),
        "RepeatedKFold",
    ),
}


def _changed(value, **attributes):
    vars(value).update(attributes)
    return value


@pytest.mark.skipif(sys.platform == "win32", reason="names a function of POSIX")
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_skreids_own_is_refused_by_name(tmp_path, name):
    """Wherever it stands in a search."""
    make, culprit = REFUSED[name]
    with pytest.warns(UserWarning, match=rf"skreid.persistence.load does not trust.* only with trusted=.*{culprit}"):
        dump(make(), tmp_path / "x.skops")
    with pytest.raises(ValueError, match=rf"x\.skops' was not loaded, and nothing in it was run: .*{culprit}"):
        load(tmp_path / "x.skops")


def test_the_types_that_dump_names_are_those_that_load_needs(tmp_path):
    """A search tree: no more and no fewer; the warning points at the line that saves."""
    neighbours = NearestNeighbors(n_neighbors=2, algorithm="kd_tree").fit(X)
    with pytest.warns(UserWarning, match="NearestNeighbors holds types that") as caught:
        dump(neighbours, tmp_path / "x.skops")
    assert caught[0].filename == __file__
    names = ast.literal_eval(str(caught[0].message).partition("trusted=")[2].rstrip("."))
    for place in range(len(names)):
        with pytest.raises(ValueError, match="types that are not trusted"):
            load(tmp_path / "x.skops", trusted=names[:place] + names[place + 1 :])
    assert_equal(load(tmp_path / "x.skops", trusted=names).kneighbors(X)[1], neighbours.kneighbors(X)[1])


def test_nothing_is_written_where_that_warning_is_an_error(tmp_path):
    with pytest.raises(UserWarning, match="does not trust by itself"):  # as in all tests
        dump(NearestNeighbors(algorithm="kd_tree").fit(X), tmp_path / "x.skops")
    assert not list(tmp_path.iterdir())


def test_a_distribution_that_carries_code_is_refused(tmp_path):
    """SciPy runs a text of a distribution's state; the attack works where its classes are trusted."""
    frozen = stats.loguniform(1e-3, 1)
    frozen.dist._parse_arg_template += f"\nopen({str(tmp_path / 'ran')!r}, 'w').close()\n"
    search = GridSearchCV(pipeline, {"a": [frozen]})
    (tmp_path / "x.skops").write_bytes(skops.io.dumps(search))
    with pytest.raises(ValueError, match=r"nothing in it was run: .*rv_continuous_frozen"):
        load(tmp_path / "x.skops")
    assert not (tmp_path / "ran").exists()
    load(tmp_path / "x.skops", trusted=skops.io.get_untrusted_types(file=tmp_path / "x.skops"))
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "frozen",
    [stats.uniform(0, 2), stats.norm(loc=1, scale=np.float64(3)), stats.randint(2, 9), stats.gamma(a=2.5, loc=-1)],
    ids=lambda frozen: frozen.dist.name,
)
def test_distributions_come_back(tmp_path, frozen):
    """They draw the same numbers, and only their name and arguments are in the file."""
    again = saved([frozen], tmp_path)[0]
    np.testing.assert_array_equal(again.rvs(20, random_state=0), frozen.rvs(20, random_state=0))
    assert "_parse_arg_template" not in zipfile.ZipFile(tmp_path / "x.skops").read("schema.json").decode()


def changed_schema(path, change):
    """Rewrite the description in a skops archive."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    entries["schema.json"] = json.dumps(change(json.loads(entries["schema.json"]))).encode()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    path.write_bytes(file.getvalue())


@pytest.mark.parametrize(
    "name", ["np", "distributions", "__builtins__", "rv_continuous", "ttest_ind", "no such", "_distn_infrastructure"]
)
def test_a_file_names_no_other_part_of_scipy(tmp_path, name):
    """Only distributions are called by name."""
    path = dump([stats.uniform(0, 2)], tmp_path / "x.skops")
    changed_schema(path, lambda schema: json.loads(json.dumps(schema).replace('\\"uniform\\"', f'\\"{name}\\"')))
    with pytest.raises(ValueError, match=rf"x\.skops' is not a readable .*{name}.* is not a distribution of scipy"):
        load(path)


def test_what_cannot_be_saved_is_refused_before_a_file_is_written(tmp_path):
    """Code without a name, and objects that hold themselves."""
    with pytest.raises(TypeError, match=r"This GridSearchCV cannot be saved: .*<lambda>.*top level of a module"):
        dump(search_with(scoring=lambda *_: 0), tmp_path / "x.skops")
    cyclic = search_with()
    cyclic.itself = cyclic
    with pytest.raises(TypeError, match=r"GridSearchCV cannot be saved: it holds an object that refers back to itself"):
        dump(cyclic, tmp_path / "x.skops")
    assert not list(tmp_path.iterdir())


def test_loading_a_search_does_not_warn(tmp_path):
    path = dump(SEARCHES["distributions"](), tmp_path / "x.skops")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(path)
