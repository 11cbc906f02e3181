"""Who is this? Identities, thresholds and strangers in front of a Gallery, against loops over all images."""

import pickle
import warnings
from collections import defaultdict

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.metrics.pairwise import cosine_distances
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skreid import describe, rank_gallery
from skreid.datasets import make_pedestrians
from skreid.exceptions import MeasureWarning
from skreid.gallery import Gallery, Identification
from skreid.gallery import _identities as identities
from skreid.gallery._query import Query
from skreid.metric_learning import CVDCA, XQDA
from skreid.metrics import open_set_curve, threshold_at_far, threshold_at_fmr

NAMES = ["ann", "bo", "cleo", "dee"]


def expected_names(distances, ids, n_neighbors, n_images=1, hidden=None):
    """Return, for each probe, (identity, distance, nearest image) of each identity in order, by a dict per probe."""
    answers = []
    for i, row in enumerate(distances):
        seen = defaultdict(list)
        for j, distance in enumerate(row):
            if hidden is None or not hidden[i][j]:
                seen[ids[j]].append((distance, j))
        named = []
        for who, images in seen.items():
            nearest = sorted(images)[:n_images]
            named.append((sum(d for d, _ in nearest) / len(nearest), *nearest[0], who))
        answers.append([(who, mean, j) for mean, _, j, who in sorted(named)[:n_neighbors]])
    return answers


def as_lists(answer):
    """Return an Identification as `expected_names` does."""
    rows = zip(answer.identities.tolist(), answer.distances.tolist(), answer.indices.tolist(), strict=True)
    return [[each for each in zip(*row, strict=True) if np.isfinite(each[1])] for row in rows]


@st.composite
def galleries(draw):
    """Draw a gallery on a line with whole coordinates, so that distances tie and are exact; and probes."""
    n_images, n_probes = draw(st.integers(1, 14)), draw(st.integers(0, 4))
    places = st.integers(0, draw(st.sampled_from([2, 40])))
    rows = np.array([[draw(places)] for _ in range(n_images)], dtype=float)
    probes = np.array([[draw(places)] for _ in range(n_probes)], dtype=float).reshape(-1, 1)
    ids = [draw(st.sampled_from(NAMES[: draw(st.integers(1, 4))])) for _ in range(n_images)]
    cams = [draw(st.integers(0, 2)) for _ in range(n_images)]
    return rows, ids, cams, probes


@given(galleries(), st.integers(1, 4), st.sampled_from([1, 1, 2, 3]), st.sampled_from(["", "cams", "both"]), st.data())
def test_identities_are_those_of_a_loop_over_all_images(drawn, n_neighbors, n_images, hiding, data):
    """Order, distances, nearest images and ties, with images of the probe's camera hidden or not."""
    rows, ids, cams, probes = drawn
    n_neighbors, options, hidden = min(n_neighbors, len(set(ids))), {}, np.zeros((len(probes), len(rows)), dtype=bool)
    if hiding:
        options["cams"] = [data.draw(st.integers(0, 3)) for _ in probes]
        hidden = np.array(options["cams"])[:, None] == cams
    if hiding == "both":
        options["ids"] = [data.draw(st.sampled_from([*NAMES, "eve"])) for _ in probes]
        hidden &= np.array(options["ids"], dtype=str)[:, None] == ids
    answer = Gallery(rows, ids, cams).identify(probes, n_neighbors=n_neighbors, n_images=n_images, **options)
    expected = expected_names(np.abs(probes - rows.T), ids, n_neighbors, n_images, hidden)
    assert as_lists(answer) == expected
    assert answer.identities.shape == answer.distances.shape == answer.indices.shape == (len(probes), n_neighbors)
    gone = np.isinf(answer.distances)
    assert all(who is None for who in answer.identities[gone])
    assert (answer.indices[gone] > len(rows)).all()
    assert answer.best.tolist() == [row[0][0] if row else None for row in expected]


@given(galleries(), st.floats(0, 41), st.integers(1, 3))
def test_nobody_is_named_beyond_the_threshold(drawn, threshold, n_neighbors):
    """Distances stay; identities are those at a distance of at most the threshold."""
    rows, ids, _, probes = drawn
    n_neighbors = min(n_neighbors, len(set(ids)))
    everybody = Gallery(rows, ids).identify(probes, n_neighbors=n_neighbors)
    answer = Gallery(rows, ids).identify(probes, n_neighbors=n_neighbors, threshold=threshold)
    np.testing.assert_array_equal(answer.distances, everybody.distances)
    np.testing.assert_array_equal(answer.indices, everybody.indices)
    for who, all_who, distances in zip(answer.identities, everybody.identities, answer.distances, strict=True):
        expected = [name if d <= threshold else None for name, d in zip(all_who, distances, strict=True)]
        assert who.tolist() == expected
    assert answer.threshold == threshold


@pytest.mark.parametrize("engine", ["exact", "faiss"])
@pytest.mark.parametrize("n_images", [1, 3])
def test_identities_with_very_many_images_do_not_crowd_out_others(engine, n_images, monkeypatch):
    """All identities are found although the nearest 500 images show one person; also in many small batches."""
    if engine == "faiss":
        pytest.importorskip("faiss", reason="the approximate engine is an optional extra")
    rng = np.random.default_rng(0)
    ids = np.repeat(["ann", "bo", "cleo", "dee"], [500, 3, 2, 1])
    rows = rng.normal(size=(len(ids), 4)) * 0.1 + np.repeat([0, 1, 2, 3], [500, 3, 2, 1])[:, None]
    order = rng.permutation(len(ids))
    ids, rows, probes = ids[order], rows[order], rng.normal(size=(7, 4)) * 0.1
    gallery = Gallery(rows, ids, engine=engine, effort=len(ids) if engine == "faiss" else None)
    distances = np.sqrt(((probes[:, None] - rows) ** 2).sum(axis=2))
    for ranked_values in (identities.RANKED_VALUES, 700):
        monkeypatch.setattr(identities, "RANKED_VALUES", ranked_values)
        got = as_lists(gallery.identify(probes, n_neighbors=4, n_images=n_images))
        for mine, theirs in zip(got, expected_names(distances, ids, 4, n_images), strict=True):
            assert [(who, j) for who, _, j in mine] == [(who, j) for who, _, j in theirs]
            np.testing.assert_allclose([d for _, d, _ in mine], [d for _, d, _ in theirs])


def test_an_identity_with_hidden_images_is_judged_by_those_that_are_left():
    """Ann has one image left, nearer than the mean of Bo's two; nobody waits for her hidden one."""
    rows = np.array([[1.0], [5.0], [2.0], [2.0]] + [[9.0]] * 20)
    gallery = Gallery(rows, ["ann", "ann", "bo", "bo"] + ["cleo"] * 20, cams=[1, 0, 1, 1] + [1] * 20)
    answer = gallery.identify([[0.0]], n_images=2, cams=[0])
    assert (answer.best.tolist(), answer.distances.tolist()) == (["ann"], [[1.0]])


def test_only_as_many_images_are_searched_as_needed(monkeypatch):
    """One identity is that of the nearest image; more need about as many images as they have on average."""
    depths, nearest = [], Query.nearest
    monkeypatch.setattr(Query, "nearest", lambda self, n, part: depths.append(n) or nearest(self, n, part))
    rows = np.random.default_rng(0).normal(size=(3000, 3))
    gallery = Gallery(rows, np.arange(3000) // 3)
    gallery.identify(rows[:5])
    assert depths == [1]
    gallery.identify(rows[:5], n_neighbors=4)
    assert max(depths) <= 50


RNG = np.random.default_rng(1)
Y = np.repeat(np.arange(40), 4)
X = RNG.normal(size=(40, 6))[Y] + 0.5 * RNG.normal(size=(160, 6))
CAMS = np.tile(["a", "a", "b", "b"], 40)


@pytest.mark.parametrize("measure", ["cosine", "XQDA", "CVDCA"])
@pytest.mark.parametrize("engine", ["exact", "faiss"])
@pytest.mark.parametrize("n_images", [1, 2])
def test_every_measure_identifies_as_a_loop_does(measure, engine, n_images, tmp_path):
    """Cosine and learned metrics, with and without hidden cameras; after saving, opening and pickling too."""
    if engine == "faiss":
        pytest.importorskip("faiss", reason="the approximate engine is an optional extra")
    rows, ids, cams, probes, seen = X[80::2], Y[80::2], CAMS[80::2], X[81::2], CAMS[81::2]
    of_cameras, settings = {}, {"engine": engine, "effort": 40 if engine == "faiss" else None}
    if measure == "cosine":
        gallery = Gallery(rows, ids, cams, metric="cosine", **settings)
        distances = cosine_distances(probes, rows)
    else:
        pytest.importorskip("skops", reason="saves the system")
        metric = {"XQDA": XQDA(), "CVDCA": CVDCA()}[measure]
        system = make_pipeline(StandardScaler(), metric).fit(X[:80], Y[:80], **{f"{measure.lower()}__cams": CAMS[:80]})
        gallery = Gallery.from_estimator(system, rows, ids, cams, **settings)
        if measure == "CVDCA":
            of_cameras = {"cams_probe": seen, "cams_gallery": cams}
        given = [system[0].transform(each) for each in (probes, rows)]
        distances = system[-1].pairwise_distances(*given, **of_cameras)
    opened = Gallery.open(gallery.save(tmp_path) and tmp_path)
    trials = [({"cams_probe": seen}, None)] if of_cameras else [({}, None), ({"cams": seen}, seen[:, None] == cams)]
    for options, hidden in trials:
        expected = expected_names(distances, ids, 3, n_images, hidden)
        for each in (gallery, opened, pickle.loads(pickle.dumps(gallery))):
            answer = each.identify(probes, n_neighbors=3, n_images=n_images, **options)
            assert answer.identities.tolist() == [[who for who, *_ in row] for row in expected]
            np.testing.assert_allclose(
                answer.distances, [[d for _, d, _ in row] for row in expected], rtol=1e-6, atol=1e-9
            )


def test_images_are_identified_by_a_gallery_of_a_system(people, fitted):
    """Images and descriptors as probes have the same answer; nobody is an empty answer."""
    gallery = Gallery.from_estimator(fitted, people.images[::2], people.target[::2], people.cams[::2])
    probes = people.images[1::2]
    answer = gallery.identify(probes, n_neighbors=3)
    same = gallery.identify(fitted.transform(probes), n_neighbors=3)
    assert answer.identities.tolist() == same.identities.tolist()
    np.testing.assert_array_equal(answer.best, gallery.ids[gallery.kneighbors(probes, 1)[1][:, 0]])
    for nothing in ([], people.images[:0], np.empty((0, gallery.shape[1]))):
        empty = gallery.identify(nothing, n_neighbors=3, threshold=1)
        assert (len(empty), empty.identities.shape, empty.best.shape) == (0, (0, 3), (0,))
        assert repr(empty) == "Identification(n_probes=0, n_neighbors=3, threshold=1.0)"
        assert gallery.distance_blocks(nothing)(0, 0).shape == (0, len(gallery))


@pytest.mark.parametrize("nothing", [list, tuple, lambda: iter([]), lambda: X[:0]])
@pytest.mark.parametrize("engine", ["exact", "faiss"])
def test_no_probes_have_an_empty_answer_by_every_measure(nothing, engine):
    """A list, an array or a stream of nothing, in front of plain galleries and those of a Pipeline with a metric."""
    if engine == "faiss":
        pytest.importorskip("faiss", reason="the approximate engine is an optional extra")
    pipeline = make_pipeline(StandardScaler(), PCA(4), XQDA()).fit(X, Y)
    for system in (StandardScaler().fit(X), pipeline):
        gallery = Gallery.from_estimator(system, X, Y, CAMS, engine=engine)
        assert gallery.identify(nothing(), n_neighbors=2, cams=[], threshold=1).identities.shape == (0, 2)
        assert gallery.kneighbors(nothing(), 3)[1].shape == (0, 3)
        assert gallery.distance_blocks(nothing())(0, 0).shape == (0, 160)
        assert len(gallery.add(nothing(), ids=[], cams=[]).remove([])) == 160
        assert rank_gallery(system, nothing(), X, 3)[1].shape == (0, 3)
        with pytest.raises(ValueError, match="No probe shows a stranger"):
            gallery.threshold(nothing())


@given(st.integers(0, 50), st.sampled_from([0, 0.05, 0.2, 1 / 3, 0.5, 1]), st.sampled_from([1, 2]), st.booleans())
def test_at_the_threshold_no_more_strangers_are_named_than_allowed(seed, far, n_images, hiding):
    """On the strangers it was set on, in the middle of a gap between two of them; the enrolled do not count."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 60, 100)
    rows, ids, cams = rng.normal(size=(60, 2)), np.arange(60) // 3, rng.integers(0, 2, 60)
    probes, options = rng.normal(size=(100, 2)), {"cams": rng.integers(0, 2, 100)} if hiding else {}
    gallery = Gallery(rows, ids, cams)
    strangers = y >= 20
    with warnings.catch_warnings(action="ignore"):  # of a rate too fine
        threshold = gallery.threshold(probes, y, far=far, n_images=n_images, **options)
        alone = {name: values[strangers] for name, values in options.items()}
        assert threshold == gallery.threshold(probes[strangers], far=far, n_images=n_images, **alone)
    named = gallery.identify(probes, threshold=threshold, n_images=n_images, **options).best != None  # noqa: E711
    assert named[strangers].mean() <= far
    nearest = gallery.identify(probes[strangers], n_images=n_images, **alone).distances[:, 0]
    assert threshold == pytest.approx(reference.threshold(nearest, far), rel=1e-12)


def test_planted_strangers_are_named_at_about_the_rate_asked():
    """A threshold set on some strangers, tried on others; people in the gallery are still found."""
    rng = np.random.default_rng(0)
    people = rng.normal(size=(900, 12))

    def images(who):
        return people[who] + 0.25 * rng.normal(size=(len(who), 12))

    known, calibration, planted = np.arange(100), np.arange(100, 500), np.arange(500, 900)
    gallery = Gallery(images(np.repeat(known, 3)), np.repeat(known, 3))
    far = 0.1
    both = np.concatenate([known, calibration])
    threshold = gallery.threshold(images(both), both, far=far)
    named = np.not_equal(gallery.identify(images(planted), threshold=threshold).best, None)
    assert abs(named.mean() - far) < 3 * np.sqrt(2 * far * (1 - far) / 400)
    assert np.mean(gallery.identify(images(known), threshold=threshold).best == known) > 0.9


def test_drawn_strangers_are_named_at_about_the_rate_asked():
    """Pictures of people: the threshold of some strangers lets about as many of others through."""
    people = make_pedestrians(n_identities=260, image_size=(24, 10), random_state=3)
    images, y = people.images[people.cams == people.cams[0]], people.target[people.cams == people.cams[0]]
    probes, who = people.images[people.cams != people.cams[0]], people.target[people.cams != people.cams[0]]
    probes, who = probes[np.unique(who, return_index=True)[1]], np.unique(who)  # one of each person
    system = FunctionTransformer(lambda images: np.reshape(images, (len(images), -1)) / 255).fit(images)
    gallery = Gallery(system.transform(images[y < 40]), y[y < 40])
    descriptors, far = system.transform(probes), 0.2
    threshold = gallery.threshold(descriptors[who < 150], who[who < 150], far=far)
    named = np.not_equal(gallery.identify(descriptors[who >= 150], threshold=threshold).best, None)
    assert abs(named.mean() - far) < 3 * np.sqrt(2 * far * (1 - far) / 110)


def test_thresholds_are_those_of_the_metrics_on_the_distances_of_the_gallery():
    """For Euclidean distance, cosine and a learned metric; the curve has the rate at which people are identified."""
    system = make_pipeline(StandardScaler(), XQDA()).fit(X[:80], Y[:80])
    y = np.where(Y[1::2] % 2, Y[1::2], 100 + Y[1::2])
    enrolled = Y[::2] % 2 == 1
    for gallery in (
        Gallery(X[::2][enrolled], Y[::2][enrolled]),
        Gallery(X[::2][enrolled], Y[::2][enrolled], metric="cosine"),
        Gallery.from_estimator(system, X[::2][enrolled], Y[::2][enrolled]),
    ):
        distances = gallery.distance_blocks(X[1::2])
        np.testing.assert_allclose(np.sort(distances(3, 9))[:, :5], gallery.kneighbors(X[1::2][3:9])[0], atol=1e-7)
        threshold = gallery.threshold(X[1::2], y, far=0.25)
        assert threshold == pytest.approx(threshold_at_far(y, gallery.ids, distances, far=0.25))
        best = gallery.identify(X[1::2], threshold=threshold).best
        curve = open_set_curve(y, gallery.ids, distances)
        place = np.searchsorted(curve.thresholds, threshold, side="right") - 1
        assert curve.dir[place] == pytest.approx(np.mean((best == y)[y < 100]))
        assert curve.dir[place] <= curve.dir_at_far(0.25)
        assert np.isfinite(threshold_at_fmr(y, gallery.ids, distances, fmr=0.1))


def test_a_rate_finer_than_the_strangers_resolve_warns():
    """In the caller's line, and says how fine it can be."""
    gallery = Gallery([[0.0], [1.0]], ids=["ann", "bo"])
    says = r"far=0.01 is finer than 2 probes of strangers.*Use far=0.5 or more, or more probes"
    with pytest.warns(UserWarning, match=says) as caught:
        assert gallery.threshold([[4.0], [6.0], [0.0]], ["cy", "dee", "ann"]) == 3 * (1 - 1e-4)
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match=r"none of them is accepted\. Use more probes\."):
        gallery.threshold([[4.0]])
    with pytest.warns(UserWarning, match=r"Use far=0.34 or more, or more probes\."):
        gallery.threshold([[4.0], [5.0], [6.0]])


def test_a_stranger_whom_the_gallery_cannot_see_is_never_named():
    """With all images in the probe's own camera the distance is infinite, and the threshold may be."""
    gallery = Gallery([[0.0], [1.0]], ids=["ann", "bo"], cams=[0, 0])
    threshold = gallery.threshold([[5.0], [3.0]], cams=[1, 0], far=0.5)
    assert threshold == np.inf
    answer = gallery.identify([[5.0], [3.0]], cams=[1, 0], threshold=threshold)
    assert answer.best.tolist() == ["bo", None]
    assert repr(answer).splitlines()[2] == "  1  nobody, no image is left"


class Listed(BaseEstimator):
    """A learned metric whose distances are listed: one row per value of a probe."""

    def __init__(self, rows=None):
        self.rows = rows

    def __sklearn_is_fitted__(self):
        return True

    def fit(self, X, y=None):
        return self

    def pairwise_distances(self, X_probe, X_gallery):
        return np.array(self.rows)[np.ix_(X_probe[:, 0].astype(int), X_gallery[:, 0].astype(int))]


def test_images_that_never_match_by_a_learned_metric_are_never_named():
    """Infinite distances: those images are as if they were not there, in every search and at every threshold."""
    system = make_pipeline(FunctionTransformer().fit([[0.0]]), Listed([[1, np.inf, 3], [np.inf] * 3]))
    gallery = Gallery.from_estimator(system, np.arange(3.0)[:, None], ids=["a", "b", "c"])
    probes = [[0.0], [1.0]]
    threshold = gallery.threshold(probes, far=0.5)
    assert threshold == np.inf
    for limit in (threshold, None):
        answer = gallery.identify(probes, threshold=limit, n_neighbors=3)
        assert answer.identities.tolist() == [["a", "c", None], [None] * 3]
        assert answer.distances.tolist() == [[1, 3, np.inf], [np.inf] * 3]
        assert repr(answer).splitlines()[2] == "  1  nobody, no image is left"
    for distances, indices in (gallery.kneighbors(probes, 3), rank_gallery(system, probes, np.arange(3.0)[:, None], 3)):
        assert np.isfinite(distances).tolist() == (indices < 3).tolist() == [[True, True, False], [False] * 3]
    with pytest.raises(ValueError, match="Re-ranking divides distances by the largest, so they must be finite"):
        rank_gallery(make_pipeline(system[0], Listed(np.full((5, 5), np.inf))), probes, probes, 1, rerank=True)


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_what_is_no_distance_is_refused_by_name(value, monkeypatch):
    """In every search, with the probe's own index where probes are searched a few at a time."""
    monkeypatch.setattr(identities, "RANKED_VALUES", 2)
    images = np.arange(3.0)[:, None]
    table = np.ones((3, 3))
    table[2, 1] = value
    system = make_pipeline(FunctionTransformer().fit(images), Listed(table))
    gallery = Gallery.from_estimator(system, images, ids=["a", "b", "c"])
    distances = gallery.distance_blocks(images)
    for search in (
        lambda: gallery.identify(images),
        lambda: gallery.identify(images, n_neighbors=3),
        lambda: gallery.threshold(images, far=0.5),
        lambda: gallery.kneighbors(images, 1),
        lambda: rank_gallery(system, images, images, 1),
        lambda: distances(2, 3),
    ):
        with pytest.raises(
            ValueError, match=rf"Listed.pairwise_distances returned {value} for probe 2 and gallery image 1:.*Check the"
        ):
            search()
    with pytest.raises(ValueError, match=rf"Listed.pairwise_distances returned {value} for probe 2 and probe 1:"):
        rank_gallery(system, images, [[0.0]], 1, rerank=True)


def test_an_identification_prints_readably():
    """One line per probe; the first ten of many."""
    gallery = Gallery(np.arange(4.0)[:, None], ids=[("a", 1), ("b", 2), ("a", 1), ("b", 2)])
    answer = gallery.identify([[0.25], [7.0]], n_neighbors=2, threshold=0.80000001)
    assert isinstance(answer, Identification)
    assert answer.identities.tolist() == [[("a", 1), ("b", 2)], [None, None]]
    assert repr(answer).splitlines() == [
        "Identification(n_probes=2, n_neighbors=2, threshold=0.8)",
        "  0  ('a', 1) 0.25, ('b', 2) 0.75",
        "  1  nobody, the nearest is at 4",
    ]
    lines = repr(gallery.identify(np.zeros((1234, 1)))).splitlines()
    assert (len(lines), lines[-1]) == (12, "  ... and 1,224 more")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"threshold": "near"}, r"'threshold' parameter of Gallery.identify must be a float or None. Got 'near'"),
        ({"threshold": np.nan}, r"'threshold' parameter of Gallery.identify must be a float or None. Got nan"),
        ({"threshold": True}, r"'threshold' parameter of Gallery.identify must be a float or None. Got True"),
        (
            {"threshold": -1.0},
            r"in the range \[0.0, inf\) or None for euclidean distance, which is never smaller. Got -1.0",
        ),
        ({"threshold": -np.inf}, r"in the range \[0.0, inf\) or None for euclidean distance.* Got -inf"),
        ({"n_neighbors": 0}, r"'n_neighbors' parameter of Gallery.identify must be an int in the range \[1"),
        ({"n_neighbors": 3}, r"'n_neighbors' parameter of Gallery.identify must be at most 2, the number of ident"),
        ({"n_images": 1.5}, r"'n_images' parameter of Gallery.identify must be an int in the range \[1"),
        ({"ids": ["ann"]}, "ids without cams leave no image out"),
        ({"cams": [0]}, "The gallery has no cams"),
    ],
)
def test_wrong_arguments_are_named(given, message):
    """In scikit-learn's wording."""
    with pytest.raises(ValueError, match=message):
        Gallery([[0.0], [1.0]], ids=["ann", "bo"]).identify([[0.0]], **given)


def test_thresholds_may_be_negative_where_distances_are():
    """XQDA's are; cosine distances are not. A threshold below a stranger at distance 0 names nobody."""
    with pytest.raises(ValueError, match=r"\[0.0, inf\) or None for cosine distance, which is never smaller. Got -0.1"):
        Gallery([[1.0]], ids=["ann"], metric="cosine").identify([[1.0]], threshold=-0.1)
    metric = XQDA().fit(X[:80], Y[:80], CAMS[:80])
    metric.metric_ = -metric.metric_  # the form may have any signs
    learned = Gallery.from_estimator(metric, X[80::2], ids=Y[80::2])
    nearest = learned.identify(X[81::2]).distances
    assert nearest.min() < -1
    named = learned.identify(X[81::2], threshold=-1.0).best
    assert [who is not None for who in named] == (nearest[:, 0] <= -1).tolist()
    plain = Gallery([[0.0]], ids=["ann"])
    threshold = plain.threshold([[0.0], [0.0]], far=0.5)
    assert plain.identify([[0.0]], threshold=threshold).best.tolist() == [None]


def test_a_gallery_that_names_nobody_says_what_to_do():
    """Without ids, without images, and without strangers."""
    for call in (Gallery([[0.0]]).identify, Gallery([[0.0]]).threshold):
        with pytest.raises(ValueError, match=r"needs identities, and the gallery has no ids: give them when it is"):
            call([[0.0]])
    gallery = Gallery([[0.0]], ids=["ann"])
    with pytest.raises(ValueError, match=r"No probe shows a stranger.*threshold_at_fmr"):
        gallery.threshold([[0.0]], ["ann"])
    with pytest.raises(ValueError, match="No probe shows a stranger"):
        gallery.threshold([])
    with pytest.raises(ValueError, match=r"'far' parameter of Gallery.threshold must be a float in the range"):
        gallery.threshold([[0.0]], far=2)
    with pytest.raises(ValueError, match="y has 2 entries, X has 1 images"):
        gallery.threshold([[0.0]], ["ann", "bo"])
    with pytest.raises((TypeError, ValueError), match="kind"):
        gallery.threshold([[0.0]], [1])
    gallery.remove([0])
    with pytest.raises(ValueError, match="needs people in the gallery, and it is empty"):
        gallery.threshold([[0.0]])


def test_descriptors_ranked_without_their_learned_metric_warn_in_the_callers_line():
    """As in kneighbors."""
    system = make_pipeline(StandardScaler(), XQDA()).fit(X[:80], Y[:80])
    gallery = Gallery(describe(system, X[80:]), Y[80:])
    for call in (gallery.kneighbors, gallery.identify, gallery.distance_blocks):
        with pytest.warns(MeasureWarning, match="rank") as caught:
            call(X[:3])
        assert caught[0].filename == __file__
