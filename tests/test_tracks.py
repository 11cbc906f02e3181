"""Tracks: pooling against loops by hand, as probes and gallery, and in an evaluation against pooling before ranking."""

import numpy as np
import pytest
from containers import columns, tables
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.distance import cdist
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import Bunch

from skreid import Gallery, Tracks, crop_boxes, describe, pool_tracks, rank_gallery
from skreid.evaluation import evaluate
from skreid.exceptions import MeasureWarning
from skreid.metric_learning import XQDA
from skreid.metrics import k_reciprocal_rerank, ranking_metrics
from skreid.protocols import CUHK01Protocol, GivenSplitProtocol, ShotProtocol, TwoViewProtocol
from skreid.report import evaluation_report

ROWS = np.array([[0.0, 1.0], [4.0, 1.0], [2.0, 7.0], [9.0, 9.0], [3.0, 3.0]])
TRACKS = ["a", "b", "a", "b", "a"]


def loop(descriptors, tracks, how="mean", weights=None):
    """Pool by plain loops; return a dict of track -> descriptor."""
    pooled = {}
    for track in dict.fromkeys(tracks):
        places = [i for i, other in enumerate(tracks) if other == track and not np.isnan(descriptors[i]).all()]
        pooled[track] = []
        for column in range(descriptors.shape[1]):
            values = [float(descriptors[i, column]) for i in places]
            if how == "median":
                values = sorted(values)
                middle = len(values) // 2
                pooled[track].append(values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2)
            else:
                quality = [1.0 if weights is None else float(weights[i]) for i in places]
                total = sum(value * q for value, q in zip(values, quality, strict=True))
                pooled[track].append(total / sum(quality))
    return pooled


@st.composite
def tracked(draw):
    """Draw descriptors, and the track of each."""
    n = draw(st.integers(1, 8))
    values = st.integers(-8, 8).map(float)
    descriptors = draw(hnp.arrays(np.float64, (n, draw(st.integers(1, 3))), elements=values))
    return descriptors, draw(st.lists(st.sampled_from("abc"), min_size=n, max_size=n))


# pooling --------------------------------------------------------------------------------------------------


@given(drawn=tracked(), how=st.sampled_from(["mean", "median"]))
def test_pooling_is_that_of_loops(drawn, how):
    """Labels come by first appearance, with the number of images of each."""
    descriptors, labels = drawn
    tracks, wanted = pool_tracks(descriptors, labels, how=how), loop(descriptors, labels, how)
    assert tracks.labels.tolist() == list(wanted)
    assert tracks.counts.tolist() == [labels.count(track) for track in wanted]
    np.testing.assert_allclose(tracks.descriptors, list(wanted.values()), rtol=1e-12, atol=1e-12)


@given(drawn=tracked(), data=st.data())
def test_weights_are_those_of_loops_and_zero_leaves_out(drawn, data):
    """A weight of 0 is as good as no image."""
    descriptors, labels = drawn
    weights = data.draw(st.lists(st.sampled_from([0.0, 0.5, 1, 3]), min_size=len(labels), max_size=len(labels)))
    dead = {track for track in labels if not any(w for w, t in zip(weights, labels, strict=True) if t == track)}
    if dead:
        with pytest.raises(ValueError, match="has no image with a descriptor and a weight above 0"):
            pool_tracks(descriptors, labels, weights=weights)
        return
    tracks, wanted = pool_tracks(descriptors, labels, weights=weights), loop(descriptors, labels, weights=weights)
    np.testing.assert_allclose(tracks.descriptors, list(wanted.values()), rtol=1e-12, atol=1e-12)
    kept = np.flatnonzero(weights)
    without = pool_tracks(descriptors[kept], [labels[i] for i in kept])
    counts = dict(zip(without.labels, without.counts, strict=True))
    assert dict(zip(tracks.labels, tracks.counts, strict=True)) == counts
    equal = pool_tracks(descriptors, labels, weights=[7] * len(labels))
    np.testing.assert_allclose(equal.descriptors, pool_tracks(descriptors, labels).descriptors, atol=1e-12)


@given(drawn=tracked(), how=st.sampled_from(["mean", "median"]), seed=st.integers(0, 99))
def test_the_order_of_images_is_irrelevant(drawn, how, seed):
    descriptors, labels = drawn
    order = np.random.default_rng(seed).permutation(len(labels))
    one, other = (
        pool_tracks(descriptors, labels, how=how),
        pool_tracks(descriptors[order], [labels[i] for i in order], how=how),
    )
    places = [other.labels.tolist().index(label) for label in one.labels]
    np.testing.assert_allclose(one.descriptors, other.descriptors[places], rtol=1e-12, atol=1e-12)


@given(
    values=hnp.arrays(np.float32, (4, 3), elements=st.floats(-(2.0**99), 2.0**99, width=32)),
    how=st.sampled_from(["mean", "median"]),
)
def test_tracks_of_one_image_are_the_images(values, how):
    """To the last bit, in their dtype, whatever their weights."""
    weights = [1, 1e-300, 1e300, 3] if how == "mean" else None
    tracks = pool_tracks(values, [5, 3, 9, 1], how=how, weights=weights)
    assert tracks.descriptors.dtype == np.float32
    np.testing.assert_array_equal(tracks.descriptors, values)


def test_large_values_do_not_overflow():
    """A mean is no larger than its largest value, and large weights have a finite sum."""
    rows = np.full((4, 2), 1e308)
    tracks = pool_tracks(rows, ["a"] * 4, weights=[1e308] * 4)
    np.testing.assert_allclose(tracks.descriptors, 1e308)


@pytest.mark.parametrize("name", columns())
def test_labels_may_be_in_any_container(name):
    tracks = pool_tracks(ROWS, columns()[name](TRACKS), ids=columns()[name](["p", "q", "p", "q", "p"]))
    assert tracks.labels.tolist() == ["a", "b"]
    assert tracks.ids.tolist() == ["p", "q"]
    np.testing.assert_allclose(tracks.descriptors, [[5 / 3, 11 / 3], [6.5, 5]])


@pytest.mark.filterwarnings("ignore:the matrix subclass")
@pytest.mark.parametrize("name", tables())
def test_descriptors_may_be_in_any_container(name):
    tracks = pool_tracks(tables()[name](ROWS.astype(np.float32)), TRACKS, how="median")
    np.testing.assert_allclose(tracks.descriptors, [[2, 3], [6.5, 5]])


def test_images_without_a_descriptor_are_left_out_counted_and_warned_of():
    rows = ROWS.copy()
    rows[2] = np.nan
    with pytest.warns(
        UserWarning, match="1 of 5 images have no descriptor, only NaN, and were left out of their tracks"
    ):
        tracks = pool_tracks(rows, TRACKS)
    np.testing.assert_allclose(tracks.descriptors, list(loop(rows, TRACKS).values()))
    assert tracks.counts.tolist() == [2, 2]
    assert tracks.n_unusable.tolist() == [1, 0]


def test_a_track_without_a_descriptor_is_refused_by_name():
    rows = ROWS.copy()
    rows[[1, 3]] = np.nan
    with pytest.raises(ValueError, match="Track 'b' has no image with a descriptor, among 2: leave out"):
        pool_tracks(rows, TRACKS)


def test_no_images_make_no_tracks():
    """As many dimensions as the array has, so that a gallery can be searched for nobody."""
    tracks = pool_tracks(np.empty((0, 2)), [], ids=[], cams=[])
    assert (len(tracks), tracks.descriptors.shape) == (0, (0, 2))
    assert Gallery(ROWS).kneighbors(tracks.descriptors, n_neighbors=2)[1].shape == (0, 2)
    assert len(pool_tracks([], [])) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tracks": TRACKS[:4]}, "tracks has 4 entries, but there are 5 images: give one for each"),
        ({"tracks": ["a", None, "a", "b", "b"]}, "Input tracks contains None at index 1"),
        ({"tracks": [1, "b", 1, "b", 1]}, "tracks must hold labels of one type"),
        ({"ids": [1, 2, 1, 2]}, "ids has 4 entries"),
        ({"ids": [1, 2, 1, 2, 3]}, r"Track 'a' has two ids: 1 \(image 0\) and 3 \(image 4\). A track shows one person"),
        ({"cams": np.array([1, 2, 1, 5, 1])}, r"Track 'b' has two cams: 2 \(image 1\) and 5 \(image 3\)"),
        ({"how": "max"}, "The 'how' parameter of pool_tracks must be among {'mean', 'median'}"),
        ({"weights": [1, 2, 3, 4]}, r"weights must have shape \(5,\), one per image. Got \(4,\)"),
        ({"weights": [1, 2, -1, 4, 1]}, r"weights must be in the range \[0, inf\). Got -1.0 at index 2"),
        ({"weights": [1, 2, 1, np.nan, 1]}, "Got nan at index 3"),
        ({"weights": [1, np.inf, 1, 1, 1]}, "Got inf at index 1"),
        ({"weights": [1, 0, 1, 0, 1]}, "Track 'b' has no image with a descriptor and a weight above 0"),
        ({"weights": [1] * 5, "how": "median"}, "weights were given, but the median takes none"),
        ({"descriptors": ROWS[:, 0]}, r"descriptors must have shape \(n_images, n_features\). Got \(5,\)"),
        ({"descriptors": np.empty((5, 0))}, r"Got \(5, 0\)"),
        ({"descriptors": np.where(ROWS == 7, np.nan, ROWS)}, "descriptor of image 2 holds NaN or infinity in part"),
        ({"descriptors": np.where(ROWS == 4, np.inf, ROWS)}, "descriptor of image 1 holds NaN or infinity"),
    ],
)
def test_bad_input_is_refused_by_name(change, message):
    with pytest.raises(ValueError, match=message):
        pool_tracks(**{"descriptors": ROWS, "tracks": TRACKS} | change)


def test_tracks_print_their_sizes():
    assert repr(pool_tracks(ROWS, TRACKS)) == "Tracks(n_tracks=2, n_images=5, n_features=2)"
    assert isinstance(pool_tracks(ROWS, TRACKS), Tracks)


# probes and gallery ---------------------------------------------------------------------------------------


def people(n=10, length=3, width=5, seed=0):
    """Feature vectors of `n` people in two cameras, with two tracks of one to `length` images in each."""
    rng = np.random.default_rng(seed)
    rows = [
        (who, cam, f"c{cam}-{who}-{track}")
        for who in range(n)
        for cam in (0, 1)
        for track in (0, 1)
        for _ in range(rng.integers(1, length + 1))
    ]
    rows = [rows[i] for i in rng.permutation(len(rows))]
    target, cams, tracks = map(np.array, zip(*rows, strict=True))
    data = rng.normal(size=(n, width))[target] + 1.2 * rng.normal(size=(len(target), width))
    return Bunch(data=data, target=target, cams=cams, tracks=tracks, quality=rng.uniform(0.1, 2, len(target)))


class Describer(TransformerMixin, BaseEstimator):
    """Describes images by their first rows of pixels."""

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return np.array([np.asarray(image, dtype=np.float64)[:, 0].ravel() for image in X])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.three_d_array = False, True
        return tags


def test_a_gallery_of_tracks_is_searched_saved_and_opened(tmp_path):
    """Pooled descriptors are descriptors; labels by row say which track was found."""
    data = people()
    halves = [data.cams == cam for cam in (0, 1)]
    probes, gallery = (
        pool_tracks(data.data[half], data.tracks[half], ids=data.target[half], cams=data.cams[half]) for half in halves
    )
    index = Gallery(gallery.descriptors[:15], ids=gallery.ids[:15], cams=gallery.cams[:15])
    index.add(gallery.descriptors[15:], ids=gallery.ids[15:], cams=gallery.cams[15:])
    found = Gallery.open(index.save(tmp_path / "g") and tmp_path / "g").kneighbors(probes.descriptors, n_neighbors=3)
    pooled = loop(data.data, data.tracks.tolist())
    for row, label in enumerate(probes.labels):
        apart = np.linalg.norm(np.array([pooled[other] for other in gallery.labels]) - pooled[label], axis=1)
        np.testing.assert_allclose(found[0][row], np.sort(apart)[:3])
        assert gallery.labels[found[1][row]].tolist() == gallery.labels[np.argsort(apart)[:3]].tolist()


def test_tracks_of_a_system_are_ranked_by_its_metric():
    """Pooled descriptors of a system that takes images are not described again, and its metric ranks them."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(12), 4)
    images = np.clip(rng.uniform(size=(12, 1, 8, 4, 3))[y, 0] + 0.2 * rng.normal(size=(48, 8, 4, 3)), 0, 1)
    system = make_pipeline(Describer(), PCA(6), XQDA()).fit(list(images[:24]), y[:24])
    tracks = pool_tracks(describe(system, images[24:]), np.arange(24) // 2, ids=y[24:])
    probes, gallery = tracks.descriptors[::2], tracks.descriptors[1::2]
    wanted = system[-1].pairwise_distances(probes, gallery)
    distances, indices = rank_gallery(system, probes, gallery, n_neighbors=6)
    np.testing.assert_allclose(distances, np.sort(wanted, axis=1))
    index = Gallery.from_estimator(system, gallery, ids=tracks.ids[1::2])
    np.testing.assert_array_equal(index.kneighbors(probes, n_neighbors=6)[1], indices)
    with pytest.warns(MeasureWarning, match="XQDA"):  # pooled descriptors still know where they come from
        Gallery(gallery).kneighbors(tracks.descriptors, n_neighbors=1)


# evaluate -------------------------------------------------------------------------------------------------


def figures_by_hand(data, protocol, how, weights=None, **options):
    """Pool first, then evaluate each trial on the pooled descriptors."""
    pooled = loop(data.data, data.tracks.tolist(), how, weights)
    labels = list(pooled)
    first = [data.tracks.tolist().index(label) for label in labels]
    table = Bunch(data=np.array(list(pooled.values())), target=data.target[first], cams=data.cams[first])
    if "subset" in data:
        table.subset = data.subset[first]
    for trial in protocol.applied_to(table, fit=False).split(table):
        apart = np.linalg.norm(table.data[trial.probe][:, None] - table.data[trial.gallery], axis=2)
        yield ranking_metrics(**protocol.aggregate(table, trial, apart)._asdict(), **options)


@pytest.mark.parametrize(("tracks", "how"), [("mean", "mean"), ("median", "median"), ("weighted", "mean")])
@pytest.mark.parametrize(
    "protocol",
    [
        TwoViewProtocol(n_repeats=3),
        TwoViewProtocol(n_repeats=2, gallery_shots=2, aggregation="sum"),
        ShotProtocol(n_repeats=2, use_cams=False),
        ShotProtocol(n_repeats=2, n_shots=2, aggregation="min"),
    ],
    ids=["two views", "sum", "shots", "min"],
)
def test_figures_are_those_of_pooling_before_ranking(protocol, tracks, how):
    """The protocol draws tracks as it would images."""
    data = people()
    weights = data.quality if tracks == "weighted" else None
    result = evaluate(FunctionTransformer().fit(data.data), data, protocol, fit=False, tracks=tracks, ranks=(1, 2))
    for repeat, wanted in zip(result.repeats, figures_by_hand(data, protocol, how, weights, ranks=(1, 2)), strict=True):
        np.testing.assert_array_equal(repeat.metrics.first_rank, wanted.first_rank)
        np.testing.assert_allclose(repeat.metrics.average_precision, wanted.average_precision)
    pooled_by = {"weighted": "mean weighted by quality"}.get(tracks, tracks)
    assert result.protocol.endswith(f"; tracks in place of images, pooled by {pooled_by}")


def test_a_given_split_of_tracklets_as_in_mars():
    """Probes and gallery are tracklets; junk is left out, distractors stay, and the own camera does not count."""
    data = people()
    held = data.target >= 4
    first = np.char.endswith(data.tracks, "-0")
    data.subset = np.where(~held, "train", np.where(first & (data.cams == 0), "query", "gallery"))
    data.target = np.where(data.target == 9, 0, data.target + 1)
    data.subset[data.target == 0] = "gallery"
    protocol = GivenSplitProtocol(distractor_ids=(0,))
    result = evaluate(FunctionTransformer().fit(data.data), data, protocol, fit=False, tracks="mean")
    (wanted,) = figures_by_hand(data, protocol, "mean", ranks=1)
    np.testing.assert_array_equal(result.repeats[0].metrics.first_rank, wanted.first_rank)
    assert result.n_probes.tolist() == [5]
    assert result.repeats[0].n_gallery == 4 + 5 * 3


def test_each_track_of_one_image_is_as_without_tracks():
    data = people(length=1)
    one, other = (
        evaluate(PCA(3), data, TwoViewProtocol(n_repeats=3), tracks=how, ranks=(1, 3)) for how in (None, "mean")
    )
    assert {k: v for k, v in one.to_dict().items() if k != "protocol"} == {
        k: v for k, v in other.to_dict().items() if k != "protocol"
    }
    for before, after in zip(one.repeats, other.repeats, strict=True):
        np.testing.assert_array_equal(before.probe, after.probe)
        np.testing.assert_array_equal(before.nearest.indices, after.nearest.indices)


class Seen(TransformerMixin, BaseEstimator):
    """Records what it was fitted on."""

    fits = []  # noqa: RUF012 - shared by clones on purpose

    def fit(self, X, y, cams=None):
        self.fits.append((np.asarray(X), y, cams))
        self.fitted_ = True
        return self

    def transform(self, X):
        return np.asarray(X)


def test_a_fit_learns_from_all_images_of_its_training_tracks():
    """Images, not tracks, of half of the identities, with their own identities and cameras."""
    Seen.fits.clear()
    data = people()
    result = evaluate(Seen(), data, TwoViewProtocol(n_repeats=2), tracks="mean")
    for (X, y, cams), repeat in zip(Seen.fits, result.repeats, strict=True):
        train = np.isin(data.target, y)
        assert len(np.unique(y)) == 5
        assert repeat.n_train == len(y) == train.sum()
        np.testing.assert_array_equal(X, data.data[train])  # in the order of the dataset
        np.testing.assert_array_equal(y, data.target[train])
        np.testing.assert_array_equal(cams, data.cams[train])


def test_tracks_are_re_ranked():
    """Neighbours are sought among the pooled descriptors."""
    data = people()
    system, protocol = FunctionTransformer().fit(data.data), TwoViewProtocol(n_repeats=1)
    options = {"k1": 4, "k2": 2, "lambda_value": 0.2}
    result = evaluate(system, data, protocol, fit=False, tracks="mean", rerank=options)
    pooled = loop(data.data, data.tracks.tolist())
    first = [data.tracks.tolist().index(label) for label in pooled]
    table = {"target": data.target[first], "cams": data.cams[first]}
    (trial,) = protocol.applied_to(table, fit=False).split(table)
    rows = np.array(list(pooled.values()))
    probes, gallery = rows[trial.probe], rows[trial.gallery]
    distances = k_reciprocal_rerank(
        *(cdist(*pair) for pair in [(probes, gallery), (probes,) * 2, (gallery,) * 2]), **options
    )
    wanted = ranking_metrics(table["target"][trial.probe], table["target"][trial.gallery], distances)
    np.testing.assert_allclose(result.repeats[0].metrics.average_precision, wanted.average_precision)
    assert "re-ranked" in result.protocol
    assert "tracks in place of images" in result.protocol


def test_two_views_of_cuhk01_are_pooled_instead_of_summed():
    """A track per person and view: two people are as far apart as their means."""
    rng = np.random.default_rng(0)
    target, cams = np.repeat(np.arange(971), 4), np.tile([0, 0, 1, 1], 971)
    data = Bunch(
        data=rng.normal(size=(971, 4))[target] + 0.3 * rng.normal(size=(3884, 4)),
        target=target,
        cams=cams,
        tracks=[f"{who}-{cam}" for who, cam in zip(target, cams, strict=True)],
    )
    system = FunctionTransformer().fit(data.data)
    result = evaluate(system, data, CUHK01Protocol("multi-shot", n_repeats=1), fit=False, tracks="mean", ranks=1)
    pooled = data.data.reshape(971, 2, 2, 4).mean(axis=2)
    tested = data.target[result.repeats[0].probe]
    assert len(tested) == 486
    apart = np.linalg.norm(pooled[tested, 0][:, None] - pooled[tested, 1], axis=2)
    assert result.mean["rank_1"] == pytest.approx((apart.argmin(axis=1) == np.arange(486)).mean())


def test_probes_and_neighbours_are_shown_by_the_middle_image_of_their_track(tmp_path):
    """In the result, the table of the hardest probes, and the report, with the length of the track."""
    data = people(length=5)
    data.images = np.random.default_rng(0).integers(0, 255, (len(data.target), 8, 4, 3)).astype(np.uint8)
    data.paths = [f"{i}.png" for i in range(len(data.target))]
    table = {name: values for name, values in data.items() if name not in ("images", "paths")}
    result = evaluate(FunctionTransformer(), table, TwoViewProtocol(n_repeats=1, random_state=1), tracks="mean")
    middles = {}
    for label in np.unique(data.tracks):
        images = np.flatnonzero(data.tracks == label)
        middles[label] = images[len(images) // 2]
    repeat = result.repeats[0]
    shown = np.concatenate([repeat.probe, repeat.nearest.indices[np.isfinite(repeat.nearest.distances)], repeat.match])
    assert set(shown.tolist()) <= set(middles.values())
    assert "Tracks were ranked: the indices are those of the images in their middle." in repr(result.hardest())
    for row in result.hardest(5):
        assert row["length"] == (data.tracks == row["track"]).sum()
        assert middles[row["track"]] == row["probe"]
        assert middles[row["first_track"]] == row["first"]
    page = evaluation_report(result, tmp_path / "r.html", dataset=data).read_text(encoding="utf-8")
    worst = result.hardest(1)[0]
    assert f"track {worst['track']} of {worst['length']} image" in page
    assert "Tracks were ranked: each is shown by the picture in its middle" in page
    assert f"{worst['length']} image" in page.partition("Worst probes")[2]
    assert "10 probe tracks, each with a true match" in repr(result)
    (pair,) = result.by_camera_pair()
    assert (pair["probe_cam"], pair["gallery_cam"], pair["n_probes"], pair["n_gallery"]) == (0, 1, 10, 5)


def test_unusable_images_of_a_track_are_left_out_and_counted():
    """The figures are those without them; a track of nothing else is refused by name."""
    data = people(n=12, length=4)
    length = np.array([(data.tracks == track).sum() for track in data.tracks])
    broken = int(np.flatnonzero(length > 2)[0])
    data.data[broken] = np.nan
    system, protocol = FunctionTransformer().fit(data.data), TwoViewProtocol(n_repeats=1, gallery_shots=None)
    result = evaluate(system, data, protocol, fit=False, tracks="mean")
    kept = np.arange(len(data.target)) != broken
    rest = {name: data[name][kept] for name in ("data", "target", "cams", "tracks")}
    wanted = evaluate(system, rest, protocol, fit=False, tracks="mean").values
    assert {figure: pytest.approx(values) for figure, values in result.values.items()} == wanted
    assert "1 images without a descriptor left out of tracks" in result.counts()
    assert result.repeats[0].n_unusable == 1
    data.data[broken + 1, 2] = np.inf
    with pytest.raises(ValueError, match=f"The descriptor of image {broken + 1} holds NaN or infinity in part"):
        evaluate(system, data, protocol, fit=False, tracks="mean")
    data.data[data.tracks == data.tracks[broken]] = np.nan
    with pytest.raises(ValueError, match=f"Track '{data.tracks[broken]}' has no image with a descriptor"):
        evaluate(system, data, protocol, fit=False, tracks="mean")


def changed(name, place, value):
    """Return a change of one entry of a column."""

    def change(data):
        values = data[name].astype(object)
        values[place] = value
        data[name] = values.tolist()

    return change


@pytest.mark.parametrize(
    ("change", "tracks", "message"),
    [
        (lambda data: data.pop("tracks"), "mean", r"evaluate needs dataset.tracks, .*f'{who}-{cam}' for who, cam in"),
        (lambda data: data.pop("quality"), "weighted", "evaluate needs dataset.quality"),
        (changed("quality", 3, -1.0), "weighted", "dataset.quality must be in the range .* at index 3"),
        (changed("tracks", 5, None), "mean", "Input dataset.tracks contains None at index 5"),
        (lambda data: data.update(tracks=data.tracks[1:]), "mean", "dataset.tracks has .* entries, but dataset.target"),
        (changed("target", 0, 99), "mean", r"Track '.*' has two identities: 99 \(image 0\) and \d+ \(image \d+\)"),
        (changed("cams", 0, 7), "mean", r"Track '.*' has two cameras: 7 \(image 0\)"),
        (lambda data: data.update(subset=["query"] + ["gallery"] * (len(data.cams) - 1)), "mean", "two subsets"),
        (lambda data: None, "max", "'tracks' parameter of evaluate must be among {None, 'mean', 'median', 'weighted'}"),
        (lambda data: None, ["a", "b"], "Got a list instead. The labels of tracks go into the dataset"),
    ],
)  # fmt: skip
def test_bad_tracks_are_refused(change, tracks, message):
    data = people(length=4, seed=3)
    while (data.tracks == data.tracks[0]).sum() < 2:  # the first image is not alone in its track
        data = Bunch(**{name: np.roll(values, 1, axis=0) for name, values in data.items()})
    change(data)
    with pytest.raises(ValueError, match=message):
        evaluate(FunctionTransformer(), data, TwoViewProtocol(n_repeats=1), tracks=tracks)


# boxes ----------------------------------------------------------------------------------------------------


@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    boxes=st.lists(st.tuples(*[st.integers(-5, 12)] * 2, *[st.integers(-2, 15)] * 2), min_size=1, max_size=4),
)
def test_a_crop_holds_the_pixels_of_its_box_that_are_in_the_frame(size, boxes):
    """By asking each pixel; a box without any is refused by its index."""
    frame = np.arange(size[0] * size[1] * 3).astype(np.uint8).reshape(*size, 3)
    inside = [
        [[(r, c) for c in range(size[1]) if x <= c < x + w] for r in range(size[0]) if y <= r < y + h]
        for x, y, w, h in boxes
    ]
    empty = [i for i, rows in enumerate(inside) if not rows or not rows[0]]
    if empty:
        with pytest.raises(ValueError, match=f"Box {empty[0]}, .* has no pixel in the frame of {size[1]} x {size[0]}"):
            crop_boxes(frame, boxes)
        return
    for crop, rows in zip(crop_boxes(frame, boxes), inside, strict=True):
        np.testing.assert_array_equal(crop, [[frame[place] for place in row] for row in rows])
        assert not np.shares_memory(crop, frame)


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([1, 2, 3, 4], r"boxes must have shape \(n_boxes, 4\): x, y, width and height. Got \(4,\)"),
        ([[1, 2, 3]], r"Got \(1, 3\)"),
        ([[1, 2, 3, 4], [1, np.nan, 3, 4]], "Box 1, of x 1, y nan"),
        ([[1, 2, np.inf, 4]], "Box 0"),
        ([[1, 2, 0.3, 4]], "Box 0, of x 1, y 2, width 0.3"),
    ],
)
def test_boxes_that_are_none_are_refused(boxes, message):
    with pytest.raises(ValueError, match=message):
        crop_boxes(np.zeros((9, 9, 3), np.uint8), boxes)


def test_corners_are_rounded_and_no_boxes_make_no_crops():
    frame = np.arange(100, dtype=np.uint8).reshape(10, 10)
    (crop,) = crop_boxes(frame, [[1.6, 0.4, 3.0, 2.2]])
    np.testing.assert_array_equal(crop, frame[0:3, 2:5])
    assert crop_boxes(frame, np.empty((0, 4))) == crop_boxes(frame, []) == []
