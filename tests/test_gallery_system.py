"""A Gallery of a fitted system: what describes and what measures stay together; every measure against brute force."""

import pickle
import warnings

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import PCA
from sklearn.metrics.pairwise import cosine_distances
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skreid import CMCScorer, describe, evaluate, rank_gallery
from skreid.descriptors import LOMO
from skreid.displays import CMCDisplay, RankingDisplay
from skreid.exceptions import MeasureWarning
from skreid.gallery import Gallery
from skreid.metric_learning import CVDCA, KCVDCA, XQDA, KernelXQDA
from skreid.protocols import TwoViewProtocol
from skreid.rivals import ClusterFirst

rng = np.random.default_rng(0)
Y = np.repeat(np.arange(60), 4)
CAMS = np.tile(["a", "b"], 120)
X = rng.normal(size=(60, 8))[Y] + 0.6 * rng.normal(size=(240, 8))
TRAIN, PROBES, ROWS = slice(0, 120), slice(121, None, 2), slice(120, None, 2)
METRICS = [XQDA(), XQDA(n_components=8), KernelXQDA(), KernelXQDA(psd=False), CVDCA(), KCVDCA()]


def system_of(metric):
    """Return a scaler and a metric, fitted on the training people."""
    given = {f"{type(metric).__name__.lower()}__cams": CAMS[TRAIN]}
    return make_pipeline(StandardScaler(), clone(metric)).fit(X[TRAIN], Y[TRAIN], **given)


def distances_of(system, probes, rows, **cams):
    """Return the whole matrix, by the metric itself."""
    return system[-1].pairwise_distances(system[0].transform(probes), system[0].transform(rows), **cams)


def of_cameras(metric):
    return isinstance(metric, CVDCA | KCVDCA)


@pytest.mark.parametrize("engine", ["exact", "faiss"])
def test_a_descriptor_of_zeros_is_at_cosine_distance_1_exactly(engine):
    """From images, from probes and from other zeros; all tie, so they stay in the gallery's order."""
    if engine == "faiss":
        pytest.importorskip("faiss", reason="the approximate engine is an optional extra")
    rows = np.concatenate([X[:5], np.zeros((3, 8))])
    gallery = Gallery(rows, metric="cosine", engine=engine)
    distances, indices = gallery.kneighbors(np.zeros((1, 8)), 8)
    assert (distances == 1).all()
    assert engine == "faiss" or indices.tolist() == [list(range(8))]
    distances, indices = gallery.kneighbors(X[5:20], 8)
    assert (distances[indices >= 5] == 1).all()
    assert (distances[indices < 5] != 1).all()


@pytest.mark.parametrize("metric", METRICS, ids=str)
@pytest.mark.parametrize("engine", ["exact", "faiss"])
@pytest.mark.parametrize("hidden", ["nothing", "cams", "ids in cams"])
def test_learned_metrics_rank_as_brute_force(metric, engine, hidden, tmp_path):
    """Images in, the metric's own distances out, hidden images left out; also after saving, opening and pickling."""
    if engine == "faiss":
        pytest.importorskip("faiss", reason="the approximate engine is an optional extra")
    pytest.importorskip("skops", reason="saves the system")
    system = system_of(metric)
    gallery = Gallery.from_estimator(system, X[ROWS], Y[ROWS], CAMS[ROWS], engine=engine)
    given = {"nothing": {"cams_probe": CAMS[PROBES]} if of_cameras(metric) else {}, "cams": {"cams": CAMS[ROWS]}}
    given["ids in cams"] = given["cams"] | {"ids": Y[PROBES]}
    given = given[hidden]
    seen = given.get("cams", CAMS[PROBES])
    cams = {"cams_probe": seen, "cams_gallery": CAMS[ROWS]} if of_cameras(metric) else {}
    left_out = np.zeros((60, 60), dtype=bool) if hidden == "nothing" else seen[:, None] == CAMS[ROWS]
    if "ids" in given:
        left_out &= Y[PROBES][:, None] == Y[ROWS]
    expected = reference.rank(distances_of(system, X[PROBES], X[ROWS], **cams), 7, left_out)
    for each in (gallery, Gallery.open(gallery.save(tmp_path) and tmp_path), pickle.loads(pickle.dumps(gallery))):
        distances, indices = each.kneighbors(X[PROBES], 7, **given)
        np.testing.assert_array_equal(indices, expected[1])
        np.testing.assert_allclose(distances, expected[0], rtol=1e-6, atol=1e-9)
    if hidden == "nothing":
        ranked = rank_gallery(system, X[PROBES], X[ROWS], 7, **cams)
        np.testing.assert_array_equal(ranked[1], expected[1])
        through = rank_gallery(system, X[PROBES], gallery, 7, **({"cams_probe": seen} if cams else {}))
        np.testing.assert_array_equal(through[1], expected[1])


def calls_without_cams(system):
    """Return every way to rank by a system without cameras."""
    people = {"data": X[120:], "target": Y[120:], "cams": CAMS[120:]}
    return [
        lambda: rank_gallery(system, X[PROBES], X[ROWS], 3),
        lambda: rank_gallery(system, X[PROBES], X[ROWS], 3, rerank=True),
        lambda: Gallery.from_estimator(system, X[ROWS]),
        lambda: CMCScorer()(system, X[120:], Y[120:]),
        lambda: CMCDisplay.from_estimator(system, X[120:], Y[120:]),
        lambda: evaluate(system, people, TwoViewProtocol(n_repeats=3), fit=False, use_cams=False),
    ]


@pytest.mark.parametrize("metric", [CVDCA(), KCVDCA()], ids=str)
@pytest.mark.parametrize("call", range(6))
def test_a_metric_of_cameras_that_ranks_without_them_warns_once(metric, call):
    """It would take the mean of its projections, and find others, without a word. The warning names the user's line."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        calls_without_cams(system_of(metric))[call]()
    assert ["a projection for each of 2 cameras, but no cameras were given" in str(w.message) for w in caught] == [True]
    assert caught[0].filename == __file__
    calls_without_cams(system_of(clone(metric).set_params(view_reg=np.inf)))[call]()  # one projection for all
    calls_without_cams(make_pipeline(StandardScaler(), clone(metric)).fit(X[TRAIN], Y[TRAIN]))[call]()


def test_a_ranking_that_is_drawn_without_the_cameras_of_its_metric_warns(people, fitted):
    """Once, at the user's line."""
    system = make_pipeline(fitted, CVDCA()).fit(people.images, people.target, cvdca__cams=people.cams)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        RankingDisplay.from_estimator(system, people.images[:2], people.images[2:9])
    assert [str(w.message)[:39] for w in caught] == ["CVDCA learned a projection for each of "]
    assert caught[0].filename == __file__


@given(st.integers(0, 5), st.integers(1, 30), st.integers(1, 3), st.integers(1, 8))
def test_equal_images_of_several_cameras_are_hidden_one_by_one(seed, n_rows, n_cams, k):
    """Equal descriptors are measured once, and still hidden by their own cameras; ties keep the gallery's order."""
    draw = np.random.default_rng(seed)
    rows, probes = draw.integers(0, 3, (n_rows, 8)) * 1.0, draw.integers(0, 3, (4, 8)) * 1.0
    rows[:: 1 + seed % 2] = rows[0]
    cams, seen = draw.integers(0, n_cams, n_rows), draw.integers(0, n_cams + 1, 4)
    k = min(k, n_rows)
    system = SYSTEM
    distances, indices = Gallery.from_estimator(system, rows, cams=cams).kneighbors(probes, k, cams=seen)
    matrix = distances_of(system, probes, rows)
    _, first = np.unique(rows, axis=0, return_inverse=True)
    for value in np.unique(first):  # equal to the last bit
        matrix[:, first.ravel() == value] = matrix[:, np.flatnonzero(first.ravel() == value)[:1]]
    expected = reference.rank(matrix.round(9), k, seen[:, None] == cams)
    np.testing.assert_allclose(distances, expected[0], atol=1e-6)
    there = np.isfinite(distances)
    np.testing.assert_array_equal(there, expected[1] != reference.MISSING)
    assert not (np.where(there, cams[np.where(there, indices, 0)], -1) == seen[:, None]).any()
    np.testing.assert_allclose(np.take_along_axis(matrix, np.where(there, indices, 0), 1)[there], distances[there])


SYSTEM = system_of(XQDA(n_components=4))


@pytest.mark.parametrize("engine", ["exact", "faiss"])
def test_cosine_ranks_as_brute_force(engine, tmp_path):
    """One minus the cosine, at any length of the vectors; zeros are at distance 1 from all; it is saved too."""
    if engine == "faiss":
        pytest.importorskip("faiss", reason="the approximate engine is an optional extra")
    rows, probes = X * rng.uniform(1e-3, 1e3, (240, 1)), X[::7] + rng.normal(size=(35, 8))
    rows[5], probes[3] = 0, 0
    gallery = Gallery(rows, cams=CAMS, metric="cosine", engine=engine, effort=240 if engine == "faiss" else None)
    opened = Gallery.open(gallery.save(tmp_path) and tmp_path)
    for seen in ({}, {"cams": CAMS[:35]}):
        hidden = CAMS[:35, None] == CAMS if seen else None
        expected = reference.rank(cosine_distances(probes, rows), 9, hidden)
        for each in (gallery, opened, pickle.loads(pickle.dumps(gallery))):
            distances, indices = each.kneighbors(probes, 9, **seen)
            np.testing.assert_allclose(distances, expected[0], atol=1e-12)
            others = np.arange(35) != 3  # everything ties for the probe of zeros
            np.testing.assert_array_equal(indices[others], expected[1][others])
    assert Gallery(rows, metric="cosine").kneighbors(rows[:1] * 7, 1)[0] == pytest.approx(0, abs=1e-15)
    assert repr(opened) == f"Gallery(n_images=240, n_features=8, metric='cosine', engine={engine!r})"
    through = rank_gallery(FunctionTransformer().fit(rows), probes[:2], gallery, 9)
    np.testing.assert_array_equal(through[1], gallery.kneighbors(probes[:2], 9)[1])
    with pytest.raises(ValueError, match="This gallery ranks by cosine, and the estimator given by XQDA"):
        rank_gallery(SYSTEM[-1], probes, gallery)


@pytest.mark.filterwarnings("ignore:.* learned a projection for each of 2 cameras:UserWarning")
@pytest.mark.parametrize("metric", ["cosine", "XQDA", "KernelXQDA", "CVDCA"])
def test_faiss_finds_nearly_all_neighbours_of_every_measure(metric):
    """Recall against the exact search is 0.95 or more with the default index."""
    pytest.importorskip("faiss", reason="the approximate engine is an optional extra")
    draw = np.random.default_rng(1)
    who = np.repeat(np.arange(1500), 2)
    many = draw.normal(size=(1500, 8))[who] + 0.6 * draw.normal(size=(3000, 8))
    if metric == "cosine":
        exact, fast = (Gallery(many, metric=metric, engine=engine) for engine in ("exact", "faiss"))
    else:
        system = system_of({"XQDA": XQDA(n_components=8), "KernelXQDA": KernelXQDA(), "CVDCA": CVDCA()}[metric])
        exact, fast = (Gallery.from_estimator(system, many, engine=engine) for engine in ("exact", "faiss"))
    probes = many[::40] + 0.3
    wanted, got = (gallery.kneighbors(probes, 10) for gallery in (exact, fast))
    assert np.mean([np.isin(a, b).mean() for a, b in zip(wanted[1], got[1], strict=True)]) >= 0.95


def test_a_system_of_images_describes_images_and_takes_descriptors(people, fitted, tmp_path):
    """Images build, extend and search the gallery; descriptors do too; a Pipeline keeps its metric."""
    pytest.importorskip("skops", reason="saves the system")
    system = make_pipeline(clone(fitted), PCA(6, random_state=0), XQDA()).fit(people.images, people.target)
    images, target = people.images, people.target
    gallery = Gallery.from_estimator(system, images[::2], ids=target[::2], cams=people.cams[::2])
    gallery.add(images[1::4], ids=target[1::4], cams=people.cams[1::4])
    built = np.concatenate([images[::2], images[1::4]])
    expected = rank_gallery(system, images[3::4], built, 5)
    with pytest.warns(UserWarning, match=r"Gallery.open does not trust.* trusted=\['networks\.narrow'\]") as caught:
        gallery.save(tmp_path)
    assert caught[0].filename == __file__
    with pytest.raises(ValueError, match=r"types that are not trusted.*networks\.narrow"):
        Gallery.open(tmp_path)
    opened = Gallery.open(tmp_path, trusted=["networks.narrow"])
    for each in (gallery, opened):
        for probes in (images[3::4], system[:-1].transform(images[3::4])):
            distances, indices = each.kneighbors(probes, 5)
            np.testing.assert_array_equal(indices, expected[1])
            np.testing.assert_allclose(distances, expected[0], rtol=1e-4, atol=1e-4)
    assert repr(gallery) == "Gallery(n_images=24, n_features=6, metric='XQDA', engine='exact')"
    plain = Gallery.from_estimator(fitted, images, ids=target)
    np.testing.assert_array_equal(plain.kneighbors(images[:9], 4)[1], fitted.kneighbors(images[:9], images, 4)[1])
    np.testing.assert_array_equal(fitted.kneighbors(images[:9], plain, 4)[1], plain.kneighbors(images[:9], 4)[1])


def test_a_later_fit_does_not_change_a_gallery():
    """The gallery keeps a copy of its system."""
    system = system_of(XQDA())
    gallery = Gallery.from_estimator(system, X[ROWS])
    before = gallery.kneighbors(X[PROBES])
    system.fit(X[60:], Y[60:])
    for now, then in zip(gallery.kneighbors(X[PROBES]), before, strict=True):
        np.testing.assert_array_equal(now, then)
    with pytest.raises(ValueError, match="come from another fitted system"):
        rank_gallery(system, X[PROBES], gallery)


def test_another_system_or_measure_is_refused():
    """By rank_gallery, and where `describe` made the descriptors; a copy and a setting that changes nothing are not."""
    system = system_of(XQDA())
    other = make_pipeline(StandardScaler(), XQDA()).fit(X[100:], Y[100:])
    gallery = Gallery.from_estimator(system, X[ROWS])
    rank_gallery(pickle.loads(pickle.dumps(system)), X[PROBES], gallery)
    rank_gallery(clone(system).fit(X[TRAIN], Y[TRAIN], xqda__cams=CAMS[TRAIN]).set_params(verbose=True), X[:2], gallery)
    with pytest.raises(ValueError, match="the probes come from another fitted system"):
        rank_gallery(other, X[PROBES], gallery)
    regular = make_pipeline(system[0], XQDA(reg=1.0).fit(system[0].transform(X[TRAIN]), Y[TRAIN]))
    with pytest.raises(ValueError, match="ranks by XQDA, and the estimator given by XQDA, as it was fitted"):
        rank_gallery(regular, X[PROBES], gallery)
    with pytest.raises(ValueError, match="ranks by XQDA, and the estimator given by Euclidean distance"):
        rank_gallery(system[:-1], X[PROBES], gallery)
    with pytest.raises(ValueError, match="the system ranks by XQDA: leave it out"):
        Gallery.from_estimator(system, X[ROWS], metric="cosine")


def test_descriptors_of_another_system_are_refused_where_that_is_known(people, fitted):
    """`describe` marks its arrays, views of them are recognised, and copies made elsewhere are not known."""
    other = make_pipeline(fitted, StandardScaler().fit(fitted.transform(people.images)))
    ours, theirs = describe(fitted, people.images[:8]), describe(other, people.images[:8])
    for gallery in (Gallery(ours), Gallery.from_estimator(fitted, people.images[:8])):
        gallery.kneighbors(ours[2:5])
        with pytest.raises(ValueError, match="the probes come from another fitted system"):
            gallery.kneighbors(theirs[2:5][::-1])
        with pytest.raises(ValueError, match="the new descriptors come from another fitted system"):
            gallery.add(theirs)
        gallery.kneighbors(theirs.copy())
        again = pickle.loads(pickle.dumps(fitted)).set_params(n_jobs=2, device="cpu", verbose=1 - fitted.verbose)
        rank_gallery(again.set_params(verbose=fitted.verbose), people.images[:2], gallery)  # describes the same
        with pytest.raises(ValueError, match="come from another fitted system"):
            rank_gallery(other, people.images[:2], gallery)


def test_descriptors_of_the_system_itself_are_never_described_again():
    """Tables of features and descriptors look alike; what `describe` made with the same system is recognised."""
    system = system_of(XQDA())
    expected = reference.rank(distances_of(system, X[PROBES], X[ROWS]), 3)[1]
    probes, rows = describe(system, X[PROBES]), describe(system, X[ROWS])
    galleries = [Gallery.from_estimator(system, X[ROWS]), Gallery.from_estimator(system, rows)]
    galleries.append(Gallery.from_estimator(system, X[ROWS][:5]).add(describe(system, X[ROWS][5:])))
    for gallery in galleries:
        for asked in (X[PROBES], probes):
            np.testing.assert_array_equal(gallery.kneighbors(asked, 3)[1], expected)
            np.testing.assert_array_equal(rank_gallery(system, asked, gallery, 3)[1], expected)
    for asked in (X[PROBES], probes):
        for images in (X[ROWS], rows):
            np.testing.assert_array_equal(rank_gallery(system, asked, images, 3)[1], expected)
    np.testing.assert_array_equal(describe(system, probes), probes)


def test_descriptors_of_one_system_may_be_the_images_of_the_next():
    """A system of tables takes what another system described, in a gallery as in rank_gallery."""
    first = StandardScaler().fit(X[TRAIN])
    second = make_pipeline(PCA(6, random_state=0), XQDA()).fit(first.transform(X[TRAIN]), Y[TRAIN])
    probes, rows = describe(first, X[PROBES]), describe(first, X[ROWS])
    expected = reference.rank(distances_of(second, probes.copy(), rows.copy()), 3)[1]
    gallery = Gallery.from_estimator(second, rows[:5]).add(rows[5:])
    np.testing.assert_array_equal(gallery.kneighbors(probes, 3)[1], expected)
    np.testing.assert_array_equal(rank_gallery(second, probes, rows, 3)[1], expected)


def test_rank_gallery_refuses_descriptors_of_another_system_as_a_gallery_does(people, fitted):
    """A system that takes images is given descriptors that another one made."""
    other = make_pipeline(fitted, StandardScaler().fit(fitted.transform(people.images)))
    theirs = describe(other, people.images[:8])
    for sides in ((theirs, people.images), (people.images, theirs), (theirs, theirs)):
        with pytest.raises(ValueError, match="come from another fitted system than the MultiDepthReID"):
            rank_gallery(fitted, *sides)
    with pytest.raises(ValueError, match="come from another fitted system than the MultiDepthReID"):
        Gallery.from_estimator(fitted, theirs)
    rank_gallery(other, theirs, people.images)


class Plain(TransformerMixin, BaseEstimator):
    """Takes pictures of one size, and knows no names."""

    def fit(self, X, y=None):
        self.image_shape_ = X.shape[1:3]
        return self

    def transform(self, X):
        return np.reshape(X, (len(X), -1)) / 255

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.three_d_array = False, True
        return tags


class OfAnySize(Plain):
    def fit(self, X, y=None):
        self.fitted_ = True
        return self


@pytest.mark.parametrize(
    "name", ["alone", "Pipeline", "nested", "union", "metric", "in a search", "no names", "metric alone"]
)
def test_descriptors_of_another_width_are_refused_before_they_are_ranked(people, fitted, name):
    """In place of images, by every system of images, also if probes and gallery have the same wrong width."""
    images, y = people.images, people.target
    rows = fitted.transform(images)
    learned = XQDA().fit(PCA(8).fit_transform(rows), y)
    system, width = {
        "alone": (fitted, rows.shape[1]),
        "Pipeline": (make_pipeline(fitted, PCA(8).fit(rows)), 8),
        "nested": (make_pipeline(make_pipeline(fitted, PCA(8).fit(rows)), "passthrough"), 8),
        "union": (make_pipeline(make_union(Plain(), LOMO(n_scales=1)), PCA(7)).fit(images), 7),
        "metric": (make_pipeline(fitted, PCA(8).fit(rows), learned), 8),
        "in a search": (GridSearchCV(make_pipeline(Plain(), PCA(5)), {}, cv=2, scoring=lambda *_: 0).fit(images), 5),
        "no names": (make_pipeline(Plain(), FunctionTransformer(np.sqrt)).fit(images), images[0].size),
        "metric alone": (learned, 8),
    }[name]
    wrong = np.ones((4, 5 if width != 5 else 6))
    says = rf"have {wrong.shape[1]} dimensions, and the descriptors of this {type(system).__name__} {width}: descript"
    calls = {
        "the probes": lambda: rank_gallery(system, wrong, wrong, 1),
        "the gallery images": lambda: rank_gallery(system, np.ones((4, width)), wrong, 1),
        "descriptors": lambda: Gallery.from_estimator(system, wrong),
        "the images": lambda: describe(system, wrong),
    }
    for what, call in calls.items():
        with pytest.raises(ValueError, match=f"^{what} {says}"):
            call()
    assert Gallery.from_estimator(system, np.eye(2, width)).kneighbors(np.eye(2, width), 1)[1].tolist() == [[0], [1]]


def test_a_saved_gallery_of_another_width_than_its_system_is_not_opened(tmp_path):
    """It was damaged, or saved by a version that did not look; one that is sound opens."""
    pytest.importorskip("skops", reason="saves the system")
    assert Gallery.open(Gallery.from_estimator(SYSTEM, X).save(tmp_path) and tmp_path).shape == (240, 8)
    (path,) = tmp_path.glob("descriptors-*.npy")
    np.save(path, X[:, :5])
    with pytest.raises(ValueError, match="is damaged: its descriptors have 5 dimensions, and those of its system 8"):
        Gallery.open(tmp_path)


def test_the_width_of_a_system_that_only_its_images_decide_is_not_guessed(people):
    """Nothing is refused then, but two widths are."""
    system = OfAnySize().fit(people.images)
    assert Gallery.from_estimator(system, X).kneighbors(X[:3], 1)[1].tolist() == [[0], [1], [2]]
    with pytest.raises(ValueError, match="the probes have 5 dimensions, and those of the gallery 8"):
        rank_gallery(system, X[:, :5], X)


def test_some_columns_of_descriptors_are_none_of_the_system(people, fitted):
    """Rows of an array that `describe` returned are; so are those of a view of it."""
    descriptors = describe(fitted, people.images)
    gallery = Gallery.from_estimator(fitted, descriptors[1::2])
    assert gallery.kneighbors(descriptors[::-1][:3], 1)[0].shape == (3, 1)
    with pytest.raises(ValueError, match="the probes have 40 dimensions, and the descriptors of this MultiDepthReID"):
        gallery.kneighbors(descriptors[:, :40], 1)


def test_a_system_is_called_by_its_own_name_and_not_by_that_of_a_step(people, fitted):
    """In the error about descriptors of another system."""
    rows = fitted.transform(people.images)
    others = describe(make_pipeline(fitted, PCA(8).fit(rows)), people.images)
    system = make_pipeline(fitted, PCA(8, whiten=True).fit(rows))
    with pytest.raises(ValueError, match="the probes come from another fitted system than the Pipeline given"):
        rank_gallery(system, others, people.images)


def test_images_and_systems_given_as_descriptors_name_the_way_out(people, fitted):
    """Gallery(system), and images for a gallery that cannot describe them."""
    gallery = Gallery(X)
    for system in (system_of(XQDA()), fitted):
        for call in (Gallery, gallery.add, gallery.kneighbors):
            with pytest.raises(TypeError, match=r"Got the estimator .*Gallery\.from_estimator\(system, images\)"):
                call(system)
    for images in (people.images[:2], list(people.images[:2]), ["a.png"], np.array(["a.png"]), "a.png", b"a.png"):
        for call in (Gallery, gallery.add, gallery.kneighbors):
            with pytest.raises(ValueError, match=r"are images, and this gallery has no system.*from_estimator"):
                call(images)
    assert gallery.kneighbors([X[3].tolist()], 1)[1] == gallery.kneighbors([X[3]], 1)[1] == 3


def test_descriptors_ranked_without_their_learned_metric_warn(tmp_path):
    """`Gallery(describe(system, X))` has no metric: the search says so, also after saving, and a system ranks by it."""
    system = system_of(XQDA())
    rows, probes = describe(system, X[ROWS]), describe(system, X[PROBES])
    gallery = Gallery(rows)
    says = "rank(s)? by XQDA, and this gallery ranks them by euclidean distance.*Gallery.from_estimator"
    for each in (gallery, Gallery.open(gallery.save(tmp_path) and tmp_path), pickle.loads(pickle.dumps(gallery))):
        with pytest.warns(MeasureWarning, match=says):
            each.kneighbors(probes.copy())
    with pytest.warns(MeasureWarning, match=says):
        Gallery(rows.copy()).kneighbors(probes)
    expected = reference.rank(distances_of(system, X[PROBES], X[ROWS]), 5)
    np.testing.assert_array_equal(rank_gallery(system, X[PROBES], gallery)[1], expected[1])
    Gallery(describe(system[0], X[ROWS])).kneighbors(describe(system[0], X[PROBES]))


class Oddly(TransformerMixin, BaseEstimator):
    """A metric of its own, which is no quadratic form of its projections."""

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return X

    def pairwise_distances(self, X_probe, X_gallery):
        return np.abs(X_probe[:, None] - X_gallery).sum(axis=2)


@pytest.mark.parametrize("metric", [Oddly(), ClusterFirst()], ids=str)
def test_any_metric_is_searched_exactly_and_faiss_refuses_it_by_name(metric):
    """What FAISS cannot express is not approximated by something else."""
    system = make_pipeline(StandardScaler(), metric).fit(X[TRAIN], Y[TRAIN])
    expected = reference.rank(distances_of(system, X[PROBES], X[ROWS]), 5)
    gallery = Gallery.from_estimator(system, X[ROWS])
    np.testing.assert_array_equal(gallery.kneighbors(X[PROBES])[1], expected[1])
    with pytest.raises(ValueError, match=f"engine='faiss' cannot rank by {type(metric).__name__}"):
        Gallery.from_estimator(system, X[ROWS], engine="faiss")


def test_types_that_are_not_trusted_are_not_opened(tmp_path):
    """The file of the system holds no code; own classes are named in `trusted`."""
    pytest.importorskip("skops", reason="saves the system")
    system = make_pipeline(StandardScaler(), Oddly()).fit(X[TRAIN], Y[TRAIN])
    with pytest.warns(UserWarning, match=rf"Gallery.open does not trust.*{Oddly.__module__}\.Oddly"):
        gallery = Gallery.from_estimator(system, X[ROWS]).save(tmp_path)
    with pytest.raises(ValueError, match=r"system-.*\.skops' was not loaded, and nothing in it was run"):
        Gallery.open(tmp_path)
    opened = Gallery.open(tmp_path, trusted=[f"{Oddly.__module__}.Oddly"])
    np.testing.assert_array_equal(opened.kneighbors(X[PROBES])[1], gallery.kneighbors(X[PROBES])[1])


def test_a_gallery_of_descriptors_is_saved_as_before(tmp_path):
    """Earlier versions read its description; only another measure or a system adds to it."""
    import json

    Gallery(X).save(tmp_path)
    card = json.loads((tmp_path / "gallery.json").read_text(encoding="utf-8"))
    assert set(card) == {"format", "version", "files", "settings"}
    assert set(card["settings"]) == {"engine", "index", "effort"}
    Gallery(X, metric="cosine").save(tmp_path)
    card = json.loads((tmp_path / "gallery.json").read_text(encoding="utf-8"))
    assert card["settings"]["metric"] == "cosine"
    card["settings"]["metric"] = "manhattan"
    (tmp_path / "gallery.json").write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(ValueError, match="is not the description of a gallery"):
        Gallery.open(tmp_path)
    with pytest.raises(ValueError, match="'metric' parameter of Gallery must be among"):
        Gallery(X, metric="cosin")


def test_system_galleries_warn_of_nothing(people, fitted):
    """Only a measure that was dropped is worth a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gallery = Gallery.from_estimator(fitted, people.images[:8])
        gallery.kneighbors(describe(fitted, people.images[:3]))
        gallery.remove([0]).kneighbors(people.images[:3])


@pytest.mark.parametrize("engine", ["exact", "faiss"])
@pytest.mark.parametrize("make", [Gallery, lambda X, **given: Gallery.from_estimator(SYSTEM, X, **given)])
def test_no_probes_have_no_neighbours_and_no_images_change_nothing(make, engine):
    """An empty list of images or descriptors is not an error."""
    if engine == "faiss":
        pytest.importorskip("faiss", reason="the approximate engine is an optional extra")
    gallery = make(X, ids=Y, cams=CAMS, engine=engine)
    for nothing in (np.empty((0, 8)), []):
        distances, indices = gallery.kneighbors(nothing, 3, ids=[], cams=[])
        assert distances.shape == indices.shape == (0, 3)
        assert len(gallery.add(nothing, ids=[], cams=[])) == 240
    assert gallery.ids.dtype.kind == "i"


@pytest.mark.filterwarnings("ignore:.* learned a projection for each of 2 cameras:UserWarning")
@pytest.mark.parametrize("metric", [XQDA(), CVDCA()], ids=str)
def test_faiss_ranks_galleries_too_small_or_too_alike_to_tell_a_metric_by(metric):
    """One image, or several equal ones, are no reason to refuse the metric."""
    pytest.importorskip("faiss", reason="the approximate engine is an optional extra")
    for rows in (X[:1], X[[0, 0, 0]]):
        gallery = Gallery.from_estimator(system_of(metric), rows, engine="faiss")
        assert gallery.kneighbors(X[:1], len(rows))[0] == pytest.approx(0, abs=1e-6)
        assert gallery.add(X[8:20]).kneighbors(X[10:11], 1)[1].tolist() == [[len(rows) + 2]]


def test_cameras_for_a_measure_without_them_are_refused():
    """They would have no effect."""
    for gallery, name in ((Gallery(X), "euclidean"), (Gallery.from_estimator(SYSTEM, X), "XQDA")):
        with pytest.raises(ValueError, match=f"cams_probe was given, but {name} distance takes no cameras"):
            gallery.kneighbors(X[:2], cams_probe=CAMS[:2])
