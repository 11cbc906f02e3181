"""No images at all: every public call has an empty answer of the right shape, or says what it needs. `fit` refuses.

`HERE` names all that take pictures, descriptors or distances, so that a new public name is not forgotten.
"""

import importlib
from types import ModuleType

import numpy as np
import pytest
from conftest import SETTINGS
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skreid
from skreid import (
    Gallery,
    cmc_score,
    crop_boxes,
    describe,
    descriptors,
    displays,
    explain_match,
    metric_learning,
    metrics,
    model_selection,
    pool_tracks,
    rank_gallery,
    rivals,
)
from skreid.protocols import TwoViewProtocol

rng = np.random.default_rng(0)
Y = np.repeat(np.arange(20), 4)
CAMS = np.tile(["a", "b"], 40)
X = rng.normal(size=(20, 6))[Y] + 0.3 * rng.normal(size=(80, 6))
PICTURES = rng.integers(0, 256, (4, 32, 16, 3)).astype(np.uint8)
NONE = {"list": lambda: [], "tuple": lambda: (), "iterator": lambda: iter([]), "pictures": lambda: PICTURES[:0]}


def fit(estimator, **given):
    return estimator.fit(X, Y, **given)


METRICS = {
    "XQDA": fit(metric_learning.XQDA()),
    "KernelXQDA": fit(metric_learning.KernelXQDA()),
    "CVDCA": fit(metric_learning.CVDCA(), cams=CAMS),
    "KCVDCA": fit(metric_learning.KCVDCA(), cams=CAMS),
    "ClusterFirst": rivals.ClusterFirst().fit(X),
}
TABLES = {
    "a transformer": StandardScaler().fit(X),
    "a Pipeline": make_pipeline(StandardScaler(), PCA(3)).fit(X),
    "a learned metric": fit(make_pipeline(StandardScaler(), PCA(4), metric_learning.XQDA())),
    "a metric of cameras": fit(make_pipeline(PCA(4), metric_learning.CVDCA()), cvdca__cams=CAMS),
}
DESCRIBERS = {
    "LOMO": descriptors.LOMO(n_scales=1),
    "GOG": descriptors.GOG(),
    "MLGD": descriptors.MLGD(),
    "TCPNet": rivals.TCPNet(n_channels=2, max_epochs=0, random_state=0),
    "FCDF": rivals.FCDF(
        handcrafted=descriptors.LOMO(n_scales=1), deep=skreid.MultiDepthReID(**SETTINGS | {"max_epochs": 0})
    ),
}


@pytest.fixture(scope="module", params=["MultiDepthReID", "Pipeline", "metric", "LOMO"])
def system(request, people, fitted):
    """Return systems that take pictures, with the number of dimensions of their descriptors."""
    if request.param == "LOMO":
        lomo = descriptors.LOMO(n_scales=1).fit(people.images)
        return lomo, lomo.transform(people.images[:1]).shape[1]
    if request.param == "MultiDepthReID":
        return fitted, fitted.n_features_out_
    reduced = PCA(8).fit(fitted.transform(people.images))
    if request.param == "Pipeline":
        return make_pipeline(fitted, reduced), 8
    rows = reduced.transform(fitted.transform(people.images))
    return make_pipeline(fitted, reduced, metric_learning.XQDA().fit(rows, people.target)), 8


@pytest.mark.parametrize("none", NONE)
def test_no_pictures_have_empty_answers(system, people, none):
    """By every system: no rows, as wide as descriptors are; no neighbours; nobody."""
    (system, width), nothing, images = system, NONE[none], people.images
    assert (describe(system, nothing()).shape, describe(system, nothing()).dtype) == ((0, width), np.float32)
    for probes, gallery, shape in ((nothing(), images, (0, 3)), (images, nothing(), (32, 0)), ([], nothing(), (0, 0))):
        for rerank in (False, True):
            if rerank and hasattr(system, "steps"):
                continue
            distances, indices = rank_gallery(system, probes, gallery, 3, rerank=rerank)
            assert (distances.shape, indices.shape) == (shape, shape)
            assert (distances.dtype, indices.dtype) == (np.float64, np.int64)
            probes, gallery = (nothing() if len(shape) and part is not images else part for part in (probes, gallery))
    empty = Gallery.from_estimator(system, nothing(), ids=[], cams=[])
    assert empty.shape == (0, width)
    filled = Gallery.from_estimator(system, images, people.target, people.cams)
    assert filled.kneighbors(nothing(), 3)[1].shape == (0, 3)
    assert len(filled.identify(nothing(), n_neighbors=2)) == 0
    assert len(filled.add(nothing(), ids=[], cams=[])) == 32
    with pytest.raises(ValueError, match=r"No probe shows a stranger: give images of people who are not"):
        filled.threshold(nothing())
    with pytest.raises(ValueError, match=r"No probe can be drawn from 0 images.*Use more images"):
        cmc_score(system, nothing(), [])


@pytest.mark.filterwarnings("ignore:.* learned a projection for each of 2 cameras:UserWarning")
@pytest.mark.parametrize("name", TABLES)
def test_no_rows_have_empty_answers(name):
    """The same for systems of descriptors, from a list or a table without rows."""
    system, width = TABLES[name], {"a transformer": 6, "a Pipeline": 3}.get(name, 4)
    for nothing in ([], X[:0], iter([])):
        assert describe(system, nothing).shape == (0, width)
    for nothing in ([], X[:0]):
        assert rank_gallery(system, nothing, X, 3)[1].shape == (0, 3)
        assert rank_gallery(system, X, nothing, 3)[1].shape == (80, 0)
        assert Gallery.from_estimator(system, nothing).shape == (0, width)


MAKERS = {
    "plain": lambda **given: Gallery([], ids=[], cams=[], **given),
    "cosine": lambda **given: Gallery(X[:0], ids=[], cams=[], metric="cosine", **given),
    "removed": lambda **given: Gallery(X, Y, CAMS, **given).remove(np.arange(80)),
    "system": lambda **given: Gallery.from_estimator(TABLES["a transformer"], [], ids=[], cams=[], **given),
    "metric": lambda **given: Gallery.from_estimator(
        make_pipeline(TABLES["a transformer"], METRICS["XQDA"]), [], ids=[], cams=[], **given
    ),
    "metric of cameras": lambda **given: Gallery.from_estimator(
        make_pipeline(TABLES["a transformer"], METRICS["CVDCA"]), [], ids=[], cams=[], **given
    ),
}


@pytest.mark.parametrize("engine", ["exact", "faiss"])
@pytest.mark.parametrize("maker", MAKERS)
def test_an_empty_gallery_names_nobody_and_can_be_filled(maker, engine, tmp_path):
    """Rankings without an entry, nobody; saved, opened and filled, it is the gallery of the images that were added."""
    if engine == "faiss":
        pytest.importorskip("faiss", reason="the approximate engine is an optional extra")
    pytest.importorskip("skops", reason="saves the system")
    gallery = MAKERS[maker](engine=engine)
    gallery.save(tmp_path)
    for empty in (gallery, Gallery.open(tmp_path)):
        shown = {"cams_probe": CAMS[:5]} if maker == "metric of cameras" else {}
        for options in (shown, {"cams": CAMS[:5]}, {"cams": CAMS[:5], "ids": Y[:5]}):
            distances, indices = empty.kneighbors(X[:5], 3, **options)
            assert (distances.shape, distances.dtype, indices.shape, indices.dtype) == ((5, 0), float, (5, 0), int)
            assert empty.ids[indices].shape == (5, 0)
            answer = empty.identify(X[:5], n_neighbors=2, threshold=9, **options)
            assert answer.best.tolist() == [None] * 5
            assert (answer.identities.shape, answer.distances.shape) == ((5, 2), (5, 2))
            assert np.isinf(answer.distances).all()
            assert repr(answer).splitlines()[1] == "  0  nobody, no image is left"
        blocks = empty.distance_blocks(X[:5], **shown)
        assert (blocks(0, 5).shape, blocks(3, 9).shape, blocks(2, 2).shape) == ((5, 0), (2, 0), (0, 0))
        with pytest.raises(ValueError, match="needs people in the gallery, and it is empty: add them first"):
            empty.threshold(X[:5], **shown)
        with pytest.raises(ValueError, match=r"Nothing to rank: 5 probes and 0 gallery images.*give at least one"):
            metrics.rank_k(Y[:5], empty.ids, blocks, k=1)
        assert (len(empty), empty.ids.shape, empty.cams.shape) == (0, (0,), (0,))
    for filled in (gallery.add(X, Y, CAMS), Gallery.open(tmp_path).add(X, Y, CAMS)):
        assert filled.identify(X[:5], **shown).best.tolist() == Y[:5].tolist()
        assert (filled.ids == Y).all()
        assert filled.shape == (80, 6)


def test_an_empty_gallery_has_no_width_until_it_is_filled():
    """Then it has that of its images, in their dtype, and an index that they cannot fill is refused."""
    gallery = Gallery([], ids=[])
    assert gallery.kneighbors(np.zeros((2, 9)), 1)[1].shape == (2, 0)
    gallery.add(X[:3].astype(np.float32), ids=["ann", "bo", "cy"])
    assert (gallery.shape, gallery.descriptors.dtype, gallery.ids.tolist()) == ((3, 6), np.float32, ["ann", "bo", "cy"])
    with pytest.raises(ValueError, match="the probes have 9 dimensions, and those of the gallery 6"):
        gallery.kneighbors(np.zeros((2, 9)))
    with pytest.raises(ValueError, match="the new descriptors have 5 dimensions, and those of the gallery 6"):
        gallery.add(X[:1, :5], ids=["dee"])
    with pytest.raises(ValueError, match=r"Descriptors must be an array of floats.*shape \(3, 0\)"):
        gallery.kneighbors(X[:3, :0])  # three probes without a dimension are not no probes
    pytest.importorskip("faiss", reason="the approximate engine is an optional extra")
    gallery = Gallery([], engine="faiss", index="IVF4,Flat")
    with pytest.raises(ValueError, match="asks for 4 cells"):
        gallery.add(X[:3])
    assert len(gallery) == 0
    assert gallery.add(np.concatenate([X, X + 9])).kneighbors(X[:1], 1)[1].tolist() == [[0]]


def test_two_threads_that_fill_an_empty_gallery_agree_on_its_width():
    """The second one has checked its descriptors before the first has added its own."""
    gallery = Gallery([])
    state = gallery._state.plus(X, ids=None, cams=None)
    with pytest.raises(ValueError, match="the new descriptors have 5 dimensions, and those of the gallery 6"):
        state.plus(X[:, :5], ids=None, cams=None)


@pytest.mark.parametrize("name", METRICS)
def test_learned_metrics_project_and_measure_nothing(name):
    """No rows in, no rows out; a matrix of distances without rows or columns."""
    metric = METRICS[name]
    for nothing in ([], X[:0]):
        assert metric.pairwise_distances(nothing, X).shape == (0, 80)
        assert metric.pairwise_distances(X, nothing).shape == (80, 0)
        if hasattr(metric, "transform"):
            assert metric.transform(nothing).shape == (0, metric.transform(X).shape[1])


@pytest.mark.parametrize("name", DESCRIBERS)
def test_all_describers_describe_nothing(name, people):
    """No rows, as wide as descriptors are."""
    pictures = people.images
    width = DESCRIBERS[name].fit(pictures, people.target).transform(pictures[:1]).shape[1]
    for none in NONE.values():
        assert DESCRIBERS[name].transform(none()).shape == (0, width)
    scaled = descriptors.CenteredNormalizer().fit(X)
    assert scaled.transform([]).shape == scaled.transform(X[:0]).shape == (0, 6)


def test_distances_and_tracks_of_nothing_are_empty():
    """Shapes as for any number of images."""
    for rows in ([], X[:0]):
        assert metrics.distance_blocks(rows, X)(0, 0).shape == (0, 80)
        assert metrics.distance_blocks(X, rows)(0, 3).shape == (3, 0)
        assert metrics.k_reciprocal_blocks(rows, X)(0, 0).shape == (0, 80)
        assert metrics.k_reciprocal_blocks(X, rows)(0, 80).shape == (80, 0)
    assert metrics.k_reciprocal_rerank(np.empty((0, 4)), np.empty((0, 0)), np.ones((4, 4))).shape == (0, 4)
    assert metrics.k_reciprocal_rerank(np.empty((4, 0)), np.ones((4, 4)), np.empty((0, 0))).shape == (4, 0)
    assert len(pool_tracks([], [])) == len(pool_tracks(X[:0], [])) == 0
    assert crop_boxes(PICTURES[0], []) == []
    assert pool_tracks(X[:0], [], ids=[], cams=[]).descriptors.shape == (0, 6)


FIGURES = [
    metrics.cmc_curve,
    metrics.mean_average_precision,
    metrics.mean_inverse_negative_penalty,
    metrics.open_set_curve,
    metrics.rank_k,
    metrics.ranking_metrics,
    metrics.threshold_at_far,
    metrics.threshold_at_fmr,
    metrics.verification_curve,
]


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.__name__)
def test_a_figure_of_nothing_has_no_value(figure):
    """The error says how many probes and images there are, and what to do."""
    for y_probe, y_gallery in (([], [0]), ([0], []), ([], [])):
        given = {"k": 1} if figure is metrics.rank_k else {}
        says = rf"Nothing to rank: {len(y_probe)} probes and {len(y_gallery)} gallery images.*give at least one of each"
        with pytest.raises(ValueError, match=says):
            figure(y_probe, y_gallery, np.empty((len(y_probe), len(y_gallery))), **given)


def test_what_needs_an_image_says_so(people, fitted):
    """A share of nothing has no value, and a picture of nothing shows nothing."""
    images, none = people.images, {"images": [], "target": [], "cams": []}
    calls = [
        (lambda: fitted.score([], []), "No probe can be drawn from 0 images"),
        (lambda: skreid.CMCScorer()(fitted, [], []), "No probe can be drawn from 0 images"),
        (lambda: skreid.evaluate(fitted, none, TwoViewProtocol(), fit=False), "The dataset has 0 cameras"),
        (lambda: explain_match(fitted, [], images[0]), r"has shape \(0,\)"),
        (lambda: displays.CMCDisplay.from_estimator(fitted, [], []), "No probe can be drawn from 0 images"),
        (lambda: displays.FeatureMapDisplay.from_estimator(fitted, [], []), "not the position of one of the 0 images"),
        (lambda: displays.MatchDisplay.from_estimator(fitted, [], images[0]), r"has shape \(0,\)"),
        (lambda: displays.OpenSetDisplay.from_estimator(fitted, [], []), "needs images of two people"),
        (lambda: displays.RankingDisplay.from_estimator(fitted, [], images), "There is no image to show"),
        (lambda: displays.RankingDisplay.from_estimator(fitted, images, []), "There is no image to show"),
        (lambda: model_selection.split_probe_gallery([]), "No probe can be drawn from 0 images"),
        (lambda: clone(fitted).fit([], []), "X is empty"),
        (lambda: rivals.TCPNet().fit([], []), "X is empty"),
        (lambda: rivals.FCDF().fit([], []), "X is empty"),
        (lambda: metric_learning.XQDA().fit([], []), "Expected 2D array"),
        (lambda: descriptors.LOMO().fit([]), "X is empty"),
        (lambda: metrics.summary([]), "must have shape"),
    ]
    for call, says in calls:
        with pytest.raises(ValueError, match=says):
            call()


HERE = {  # name -> who takes nothing, above
    "skreid": "CMCScorer FCDF Gallery MultiDepthReID TCPNet cmc_score crop_boxes describe evaluate explain_match "
    "pool_tracks rank_gallery",
    "skreid.descriptors": "CenteredNormalizer GOG LOMO MLGD",
    "skreid.displays": "CMCDisplay FeatureMapDisplay MatchDisplay OpenSetDisplay RankingDisplay",
    "skreid.metric_learning": "CVDCA KCVDCA KernelXQDA XQDA",
    "skreid.metrics": "cmc_curve distance_blocks k_reciprocal_blocks k_reciprocal_rerank mean_average_precision "
    "mean_inverse_negative_penalty open_set_curve rank_k ranking_metrics summary threshold_at_far threshold_at_fmr "
    "verification_curve",
    "skreid.model_selection": "split_probe_gallery",
    "skreid.rivals": "ClusterFirst FCDF TCPNet",
}
ELSEWHERE = {  # results, which are made by these, and what takes results, labels or losses
    "skreid": "EvaluationResult MatchExplanation PAPER_SETTING STRONGEST Tracks __version__ evaluation_report "
    "use_idle_cores",
    "skreid.displays": "CameraPairDisplay FilterMarginDisplay TrainingCurveDisplay",
    "skreid.metrics": "DistanceBlocks OpenSetCurve RankingMetrics RerankedBlocks Summary VerificationCurve "
    "wilson_interval",
    "skreid.metric_learning": "cross_view_scatter",
    "skreid.model_selection": "IdentityKFold IdentityShuffleSplit",
    "skreid.rivals": "improved_triplet_loss",
}


@pytest.mark.parametrize("room", HERE)
def test_every_public_name_is_in_the_table(room):
    """What takes pictures or descriptors is tried above; what does not is listed as well."""
    module = importlib.import_module(room)
    public = {name for name in module.__all__ if not isinstance(getattr(module, name), ModuleType)}
    assert public == {*HERE[room].split(), *ELSEWHERE.get(room, "").split()}
