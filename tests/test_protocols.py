"""Protocols of the field: their sizes, who is on which side, and figures worked by hand."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils import Bunch

from skreid.metrics import ranking_metrics
from skreid.protocols import (
    CUHK01Protocol,
    CUHK03NPProtocol,
    GivenSplitProtocol,
    Market1501Protocol,
    ShotProtocol,
    TwoViewProtocol,
    VIPeRProtocol,
    aggregate_distances,
)


def two_views(n_persons, n_images):
    """Identities 1.. with `n_images` images in each of cameras A and B."""
    target = np.repeat(np.arange(1, n_persons + 1), 2 * n_images)
    return Bunch(target=target, cams=np.tile(np.repeat(["A", "B"], n_images), n_persons))


CUHK01, VIPER = two_views(971, 2), two_views(632, 1)
NAMED = [
    # protocol, dataset, persons trained and tested, probe and gallery images
    (CUHK01Protocol("paper"), CUHK01, 487, 484, 968, 484),
    (CUHK01Protocol("single-shot"), CUHK01, 486, 485, 970, 485),
    (CUHK01Protocol("multi-shot"), CUHK01, 485, 486, 972, 972),
    (CUHK01Protocol("100-test"), CUHK01, 871, 100, 200, 100),
    (VIPeRProtocol(), VIPER, 316, 316, 316, 316),
]


@pytest.mark.parametrize(("protocol", "dataset", "n_train", "n_test", "n_probe", "n_gallery"), NAMED)
def test_protocols_have_the_published_sizes(protocol, dataset, n_train, n_test, n_probe, n_gallery):
    """Every repeat has the published sizes, no shared identity, probes from A and the gallery from B."""
    trials = list(protocol.split(dataset))
    assert len(trials) == protocol.n_repeats == 10
    for trial in trials:
        assert len(trial.train) == n_train * len(dataset.target) / len(set(dataset.target))
        assert (len(trial.probe), len(trial.gallery)) == (n_probe, n_gallery)
        trained, tested = (set(dataset.target[i]) for i in (trial.train, trial.gallery))
        assert (len(trained), len(tested)) == (n_train, n_test)
        assert tested == set(dataset.target[trial.probe])
        assert not trained & tested
        assert set(dataset.cams[trial.probe]) == {"A"}
        assert set(dataset.cams[trial.gallery]) == {"B"}
    assert len({tuple(t.gallery) for t in trials}) == 10
    assert f"{n_train} training / {n_test} test identities" in protocol.describe()
    assert "10 repeats (random_state=0)" in protocol.describe()


def test_repeats_are_seeded_and_nested():
    """The same seed draws the same, another seed does not, and more repeats only append."""
    fewer = list(CUHK01Protocol(n_repeats=2).split(CUHK01))
    more = list(CUHK01Protocol(n_repeats=3).split(CUHK01))
    other = next(CUHK01Protocol(random_state=1).split(CUHK01))
    for a, b in zip(fewer, more, strict=False):
        for side in ("train", "probe", "gallery"):
            assert (getattr(a, side) == getattr(b, side)).all()
    assert (fewer[0].train != other.train).any()


def test_multi_shot_is_the_sum_of_four_distances():
    """Two people with two images on each side: their distances are the sums over image pairs, by hand."""
    dataset = two_views(2, 2)
    protocol = TwoViewProtocol(n_train=0, probe_shots=2, gallery_shots=2, aggregation="sum", n_repeats=1)
    (trial,) = protocol.split(dataset)
    assert len(trial.train) == 0
    distances = np.array([[1, 2, 50, 60], [3, 4, 70, 80], [5, 5, 1, 0], [5, 5, 1, 1]])
    got = protocol.aggregate(dataset, trial, distances)
    assert got.distances.tolist() == [[10, 260], [20, 3]]
    assert (got.y_probe.tolist(), got.y_gallery.tolist()) == ([1, 2], [1, 2])
    assert got.cams_probe is got.cams_gallery is None
    assert ranking_metrics(**got._asdict()).ranks[1] == 1.0


@pytest.mark.parametrize(("how", "reduce"), [("sum", np.sum), ("mean", np.mean), ("min", np.min)])
@pytest.mark.parametrize("probes", [True, False])
def test_aggregation_equals_a_loop_over_people(how, reduce, probes):
    """Each entry is the reduction over the image pairs of two people, in any order and for any identities."""
    rng = np.random.default_rng(0)
    y_gallery = rng.permutation(["x", "yy", "zzz"] * 3)
    y_probe = [("t", i) for i in rng.integers(3, size=8)]
    distances = rng.random((8, 9))
    got, people, others = aggregate_distances(distances, y_probe, y_gallery, how=how, probes=probes)
    assert people.tolist() == (list(dict.fromkeys(y_probe)) if probes else y_probe)
    assert others.tolist() == list(dict.fromkeys(y_gallery.tolist()))
    for i, person in enumerate(people):
        rows = [r for r in range(8) if y_probe[r] == person] if probes else [i]
        for j, other in enumerate(others):
            assert got[i, j] == pytest.approx(reduce(distances[np.ix_(rows, y_gallery == other)]))


def test_sums_over_different_numbers_of_images_are_refused():
    """A sum over fewer images is smaller for that reason alone."""
    with pytest.raises(ValueError, match="'a' has 1 and 'b' has 2"):
        aggregate_distances([[1, 2, 3]], ["a"], ["a", "b", "b"], how="sum")
    mean, _, _ = aggregate_distances([[1, 2, 3]], ["a"], ["a", "b", "b"], how="mean")
    assert mean.tolist() == [[1, 2.5]]


def test_identical_descriptors_tie_after_aggregation():
    """Equal image distances become exactly equal distances of people, so that they never score."""
    y = np.repeat(np.arange(7), 3)
    for how in ("sum", "mean", "min"):
        distances, probe, gallery = aggregate_distances(np.full((21, 21), 0.1), y, y, how=how)
        assert ranking_metrics(probe, gallery, distances).ranks[1] == 0.0


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abcdefg"), st.sampled_from([1, 2, 3])), min_size=4, max_size=50),
    st.sampled_from(
        [
            TwoViewProtocol(n_repeats=2, probe_cam=1, gallery_cam=2),
            TwoViewProtocol(0.3, 0.5, n_repeats=2, probe_cam=2, gallery_cam=1, distractors=True, junk_ids=("g",)),
            TwoViewProtocol(1, n_repeats=2, probe_cam=3, gallery_cam=1, probe_shots=1, gallery_shots=None),
            ShotProtocol(n_repeats=2),
            ShotProtocol(1, 2, n_repeats=2, use_cams=False, n_shots=2, junk_ids=("a",)),
        ]
    ),
)
def test_nobody_is_both_trained_on_and_a_probe(people, protocol):
    """On any dataset no identity is on both sides, no image appears twice, and each probe has a true match."""
    dataset = {"target": [p for p, _ in people], "cams": [c for _, c in people]}
    y, cams = (np.array(dataset[name]) for name in ("target", "cams"))
    try:
        trials = list(protocol.split(dataset))
    except ValueError as error:
        if "qualify" not in str(error) and "not among" not in str(error) and "No probe" not in str(error):
            raise
        return
    for trial in trials:
        assert not set(y[trial.train]) & set(y[trial.probe])
        assert not set(trial.probe) & set(trial.gallery)
        assert set(y[trial.probe]) <= set(y[trial.gallery])
        assert len(trial.probe)
        for side in (trial.train, trial.probe, trial.gallery):
            assert side.dtype == np.intp
            assert (np.diff(side) > 0).all()
            assert not set(protocol.junk_ids) & set(y[side])
        if isinstance(protocol, TwoViewProtocol):
            assert set(cams[trial.probe]) == {protocol.probe_cam}
            assert set(cams[trial.gallery]) == {protocol.gallery_cam}
        comparison = protocol.aggregate(dataset, trial, np.zeros((len(trial.probe), len(trial.gallery))))
        assert ranking_metrics(**comparison._asdict()).n_dropped == 0


def test_distractors_join_every_gallery():
    """People seen only in the gallery view are in every gallery, and never trained on, as in PRID and GRID."""
    dataset = two_views(6, 1)
    dataset.target = np.append(dataset.target, [0, 0, 0, 77])
    dataset.cams = np.append(dataset.cams, ["B", "B", "B", "A"])
    for trial in TwoViewProtocol(n_train=3, distractors=True, n_repeats=4).split(dataset):
        assert set(trial.gallery) >= {12, 13, 14}
        assert 15 not in set(trial.gallery) | set(trial.probe) | set(trial.train)
        assert len(trial.gallery) == 6
        assert not set(trial.train) & {12, 13, 14}


def test_shot_protocol_aggregates_the_gallery():
    """Probe images are compared with people, each by the nearest of its shots."""
    dataset = SimpleNamespace(target=["a"] * 3 + ["b"] * 3)
    protocol = ShotProtocol(0, n_shots=2, use_cams=False, aggregation="min", n_repeats=1)
    (trial,) = protocol.split(dataset)
    got = protocol.aggregate(dataset, trial, [[0.3, 0.1, 0.2, 0.9], [0.5, 0.6, 0.8, 0.4]])
    assert got.y_probe.tolist() == ["a", "b"]
    assert got.y_gallery.tolist() == ["a", "b"]
    assert got.distances.tolist() == [[0.1, 0.2], [0.5, 0.4]]


def market():
    return Bunch(
        target=[3, 3, 5, 5, 5, -1, 0, 9, 9, -1],
        cams=[1, 2, 1, 1, 2, 2, 1, 4, 5, 3],
        subset=["train", "train", "query", *["gallery"] * 5, "query", "train"],
    )


def test_market_drops_junk_and_filters_cameras():
    """Junk is on neither side, distractors stay, and the same person in the same camera is no true match."""
    dataset, protocol = market(), Market1501Protocol()
    (trial,) = protocol.split(dataset)
    assert protocol.n_repeats == 1
    assert trial.train.tolist() == [0, 1]
    assert trial.probe.tolist() == [2, 8]
    assert trial.gallery.tolist() == [3, 4, 6, 7]
    distances = [[0.0, 0.3, 0.2, 0.5], [0.9, 0.8, 0.7, 0.1]]
    result = ranking_metrics(**protocol.aggregate(dataset, trial, distances)._asdict())
    assert result.first_rank.tolist() == [2, 1]
    unfiltered = GivenSplitProtocol(junk_ids=(-1,), use_cams=False).aggregate(dataset, trial, distances)
    assert ranking_metrics(**unfiltered._asdict()).first_rank.tolist() == [1, 1]


def test_new_cuhk03_keeps_every_image():
    """CUHK03-NP has neither junk nor distractors: identity 0 is a person like any other."""
    dataset = Bunch(target=[0, 1, 1, 2], cams=[1, 1, 2, 1], subset=["train", "query", "gallery", "gallery"])
    (trial,) = CUHK03NPProtocol().split(dataset)
    assert [trial.train.tolist(), trial.probe.tolist(), trial.gallery.tolist()] == [[0], [1], [2, 3]]
    assert "same identity in the same camera" in CUHK03NPProtocol().describe()


def test_callable_distances_pass_through():
    """Distances computed in blocks remain so unless they are aggregated over people."""
    dataset = two_views(5, 2)
    (trial,) = TwoViewProtocol(n_repeats=1).split(dataset)
    y = dataset.target
    blocks = lambda a, b: (y[trial.probe[a:b], None] != y[trial.gallery]).astype(float)  # noqa: E731
    got = TwoViewProtocol().aggregate(dataset, trial, blocks)
    assert got.distances is blocks
    assert ranking_metrics(**got._asdict()).ranks[1] == 1.0
    aggregated = TwoViewProtocol(aggregation="mean").aggregate(dataset, trial, blocks)
    assert aggregated.distances.shape == (len(trial.gallery),) * 2


def test_describe_is_one_line():
    """For any settings, the statement is one line that contains them."""
    protocols = [
        TwoViewProtocol(0.25, 7, probe_cam="left", gallery_cam="right", distractors=True, name="PRID"),
        ShotProtocol(n_shots=3, aggregation="mean", gallery_cam=2, n_repeats=1),
        ShotProtocol(use_cams=False),
        GivenSplitProtocol(use_cams=False),
    ]
    lines = [p.describe() for p in protocols]
    assert not any("\n" in line for line in lines)
    assert lines[0] == (
        "PRID: 25% training / 7 test identities; probes: all images of camera left, "
        "gallery: 1 random image per identity of camera right and all distractors; 10 repeats (random_state=0)"
    )
    order = "from the first camera that saw it, in one order of cameras drawn per repeat"
    assert f"3 random images per identity {order}, camera 2 first, person distance = mean" in lines[1]
    assert "probes: all other images, gallery: 1 random image per identity; 10 repeats" in lines[2]
    assert lines[3] == "Given split: given split; probes: all queries, gallery: all gallery images; 1 repeat"
    assert repr(CUHK01Protocol("paper")) == "CUHK01Protocol(variant='paper', n_repeats=10, random_state=0)"


def split_once(protocol, **dataset):
    return next(protocol.split(Bunch(**dataset)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: CUHK01Protocol("single"),
            "'variant' parameter of CUHK01Protocol must be among {'paper', 'single-sh",
        ),
        (lambda: CUHK01Protocol(n_repeats=0), "'n_repeats' parameter of CUHK01Protocol"),
        (lambda: split_once(CUHK01Protocol(), **two_views(970, 2)), "971 identities .* this dataset has 970"),
        (lambda: split_once(VIPeRProtocol(), target=[1]), "TwoViewProtocol needs dataset.cams"),
        (lambda: split_once(TwoViewProtocol(), cams=[1]), "needs dataset.target"),
        (lambda: split_once(TwoViewProtocol(), target=[1], cams=[1, 2]), "dataset.cams has 2 entries, but"),
        (
            lambda: split_once(TwoViewProtocol(), target=[1, 1, 2], cams=[1, 2, 3]),
            "has 3 cameras, .*: name probe_cam",
        ),
        (lambda: split_once(TwoViewProtocol(), target=[1, 1], cams=[1, "b"]), "dataset.cams must hold labels of one"),
        (
            lambda: split_once(TwoViewProtocol(probe_cam=9), target=[1, 1], cams=[1, 2]),
            "Camera 9 is not among",
        ),
        (
            lambda: split_once(TwoViewProtocol(probe_cam=1, gallery_cam=1), target=[1, 1], cams=[1, 2]),
            "both 1: two views",
        ),
        (
            lambda: split_once(TwoViewProtocol(3, 3), **two_views(5, 1)),
            "draws 3 training and 3 test identities, but the dataset has 5 that qualify",
        ),
        (lambda: split_once(ShotProtocol(5), **two_views(5, 1)), "draws 5 training and 0 test"),
        (lambda: split_once(ShotProtocol(7), **two_views(5, 1)), "draws 7 training and 0 test"),
        (
            lambda: TwoViewProtocol(1.5),
            r"'n_train' parameter of TwoViewProtocol must be a float in the range",
        ),
        (lambda: TwoViewProtocol(aggregation="max"), "'aggregation' parameter"),
        (lambda: TwoViewProtocol(gallery_shots=0), "'gallery_shots' parameter"),
        (lambda: ShotProtocol(n_shots=None), "'n_shots' parameter of ShotProtocol"),
        (
            lambda: split_once(GivenSplitProtocol(), target=[1], subset=["train"]),
            "found 0 query and 0 gallery",
        ),
        (
            lambda: split_once(GivenSplitProtocol(), target=["p"] * 3, subset=["train", "query", "gallery"]),
            "1 identities are both training identities and queries, 'p' first",
        ),
        (lambda: aggregate_distances([[1.0]], ["a"], ["a"], how="max"), "'how' parameter"),
        (lambda: aggregate_distances([[1.0]], ["a"], ["a", "b"]), r"\(1, 2\). Got \(1, 1\)"),
        (
            lambda: VIPeRProtocol().aggregate(VIPER, next(VIPeRProtocol().split(VIPER)), np.zeros((2, 2))),
            r"\(316, 316\). Got \(2, 2\)",
        ),
    ],
)
def test_bad_arguments_are_named(call, message):
    """Each error says what is allowed and what was given."""
    with pytest.raises(ValueError, match=message):
        call()


def test_naming_one_of_two_cameras_is_enough():
    """Either one may be named; the other is implied."""
    dataset = two_views(4, 1)
    for settings_ in ({"probe_cam": "B"}, {"gallery_cam": "A"}):
        trial = split_once(TwoViewProtocol(**settings_), **dataset)
        assert set(dataset.cams[trial.probe]) == {"B"}
    assert set(dataset.cams[split_once(TwoViewProtocol(probe_cam="A"), **dataset).probe]) == {"A"}
