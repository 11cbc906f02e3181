"""Where does it fail: figures per pair of cameras against loops, the hardest probes, and the table both come in."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import Bunch

from skreid.evaluation import ResultTable, evaluate
from skreid.protocols import GivenSplitProtocol, ShotProtocol, TwoViewProtocol


def crowd(n=90, people=9, cams="abcd", seed=0):
    """Images as numbers of rows of features, some of them queries, as a Bunch with paths."""
    rng = np.random.default_rng(seed)
    target = rng.integers(0, people, n)
    return Bunch(
        paths=[f"street/{i}.png" for i in range(n)],
        target=target,
        cams=rng.choice(list(cams), n),
        features=rng.normal(size=(people, 3))[target] + rng.normal(size=(n, 3)),
        subset=np.where(np.arange(n) < n // 3, "query", "gallery"),
    )


def reader(people):
    """Return an estimator that describes the files of `crowd` by their features."""
    return FunctionTransformer(lambda paths: people.features[[int(path[7:-4]) for path in paths]])


def loop(people, probes, gallery, distances, across):
    """Return {(a, b): (probes, first ranks, average precisions)} by sorting tuples; ties count against the system."""
    pairs = {}
    for i, probe in enumerate(probes):
        for cam in set(people.cams[gallery]):
            if across and cam == people.cams[probe]:
                continue
            ranked = sorted(
                (distances[i, j], people.target[image] == people.target[probe])
                for j, image in enumerate(gallery)
                if people.cams[image] == cam
            )
            ranks = [rank for rank, (_, match) in enumerate(ranked, 1) if match]
            # a true match among equals stands behind all wrong ones, and tuples sort it there
            pair = pairs.setdefault((people.cams[probe], cam), [0, [], []])
            pair[0] += 1
            if ranks:
                pair[1].append(ranks[0])
                pair[2].append(np.mean([hits / rank for hits, rank in enumerate(ranks, 1)]))
    return pairs


class Given:
    """A trial whose distances are given."""

    def __init__(self, probes, gallery, distances, cams=None):
        self.trial, self.distances, self.cams = Bunch(train=[], probe=probes, gallery=gallery), distances, cams

    def split(self, dataset):
        yield self.trial

    def aggregate(self, dataset, trial, distances):
        from skreid.protocols import Comparison

        cams = () if self.cams is None else (self.cams[trial.probe], self.cams[trial.gallery])
        return Comparison(dataset.target[trial.probe], dataset.target[trial.gallery], self.distances, *cams)

    def describe(self):
        return "given"


@given(st.integers(0, 10**6), st.booleans(), st.integers(1, 4))
def test_camera_pairs_are_those_of_a_loop(seed, across, n_cams):
    """Counts, rank-1 and mAP agree with sorted lists, with equal distances too, with and without the camera filter."""
    people = crowd(n=24, people=4, cams="abcd"[:n_cams], seed=seed)
    probes, gallery = np.arange(8), np.arange(8, 24)
    distances = np.random.default_rng(seed).integers(0, 4, (8, 16)).astype(float)
    protocol = Given(probes, gallery, distances, people.cams if across else None)
    result = evaluate(reader(people), people, protocol, fit=False, on_missing="zero")
    table, wanted = result.by_camera_pair(), loop(people, probes, gallery, distances, across)
    valid = {pair: counts for pair, counts in wanted.items() if counts[1]}
    assert {(row["probe_cam"], row["gallery_cam"]) for row in table} == set(valid)
    assert (f"{len(wanted) - len(valid)} pair" in repr(table)) == (len(wanted) > len(valid))
    n_missing = sum(n_probes - len(ranks) for n_probes, ranks, _ in valid.values())
    assert (f"In {n_missing} case" in repr(table)) == (n_missing > 0)
    for row in table:
        n_probes, ranks, precisions = wanted[row["probe_cam"], row["gallery_cam"]]
        assert (row["n_probes"], row["n_valid"]) == (n_probes, len(ranks))
        assert row["n_gallery"] == (people.cams[gallery] == row["gallery_cam"]).sum()
        assert row["rank_1"] == pytest.approx(np.mean(np.equal(ranks, 1)))
        assert row["mAP"] == pytest.approx(np.mean(precisions))
    shares = [row["rank_1"] for row in table]
    assert shares == sorted(shares)


def test_a_table_worked_by_hand():
    """Two probes of camera a, one of b; the second probe of a has nobody to find in camera b."""
    people = Bunch(
        data=np.zeros((8, 1)),
        target=np.array([1, 2, 1, 1, 2, 3, 1, 3]),
        cams=np.array(list("aababbbc")),
        subset=None,
    )
    # gallery: person 1 in a, 2 in b, 3 in b, 1 in b, 3 in c
    distances = np.array([[0.0, 2, 3, 1, 9], [5, 1, 2, 3, 4], [1, 2, 3, 0, 9]])
    people.target[4] = 4  # nobody is person 2 in the gallery
    protocol = Given(np.array([0, 1, 2]), np.array([3, 4, 5, 6, 7]), distances, people.cams)
    result = evaluate(FunctionTransformer(), people, protocol, fit=False)
    rows = {(row["probe_cam"], row["gallery_cam"]): row for row in result.by_camera_pair()}
    assert rows["a", "b"] | {"mAP": 1.0} == {
        "probe_cam": "a", "gallery_cam": "b", "rank_1": 1.0, "mAP": 1.0, "n_valid": 1, "n_probes": 2, "n_gallery": 3,
    }  # fmt: skip
    assert rows["b", "a"]["rank_1"] == 1
    assert set(rows) == {("a", "b"), ("b", "a")}
    text = repr(result.by_camera_pair())
    assert "In 1 case the probe has no true match in that camera" in text
    assert "no probe has a true match there: 2 pairs (a and c, b and c)" in text
    assert "in the probe's own camera, so these pairs have no row" in text


def test_all_repeats_are_counted_together():
    """With one camera on each side the only pair has the figures of all probes."""
    people = crowd(cams="ab")
    result = evaluate(reader(people), people, TwoViewProtocol(n_repeats=3), fit=False)
    (row,) = result.by_camera_pair()
    first_ranks = np.concatenate([repeat.metrics.first_rank for repeat in result.repeats])
    assert row["rank_1"] == pytest.approx((first_ranks == 1).mean())
    assert row["n_probes"] == len(first_ranks)
    assert row["n_gallery"] == np.mean([repeat.n_gallery for repeat in result.repeats])
    assert "Probes of all 3 repeats" in repr(result.by_camera_pair())


def test_counts_of_several_repeats_worked_by_hand():
    """Probes are added up, galleries averaged, over the repeats that have both cameras."""
    people = Bunch(data=np.arange(6.0)[:, None], target=np.array([1, 1, 1, 2, 2, 2]), cams=np.array(list("abbabc")))
    trials = [
        Bunch(train=[], probe=np.array([0, 3]), gallery=np.array([1, 2, 4])),  # a against b: all of it
        Bunch(train=[], probe=np.array([0]), gallery=np.array([1, 5])),  # a against b, and against c: not person 1
        Bunch(train=[], probe=np.array([5]), gallery=np.array([3, 0])),  # c against a
    ]

    class Three(Given):
        def __init__(self):
            pass

        def split(self, dataset):
            yield from trials

        def aggregate(self, dataset, trial, distances):
            return GivenSplitProtocol().aggregate(dataset, trial, distances)

    result = evaluate(FunctionTransformer(), people, Three(), fit=False)
    rows = {(row["probe_cam"], row["gallery_cam"]): row for row in result.by_camera_pair()}
    assert set(rows) == {("a", "b"), ("c", "a")}
    # probe 0 is at 0, and finds 1; probe 3 is at 3, and finds 2 and 4 equally near, of which 4 is right: second
    assert rows["a", "b"] | {"mAP": None} == {
        "probe_cam": "a", "gallery_cam": "b", "rank_1": 2 / 3, "mAP": None, "n_valid": 3, "n_probes": 3,
        "n_gallery": 2,
    }  # fmt: skip
    assert rows["a", "b"]["mAP"] == pytest.approx((1 + 1 / 2 + 1) / 3)
    assert (rows["c", "a"]["n_probes"], rows["c", "a"]["n_gallery"], rows["c", "a"]["rank_1"]) == (1, 2, 1)
    text = repr(result.by_camera_pair())
    assert "1 pair (a and c)" in text
    assert (
        "Of the 3 repeats, a pair counts those with probes of its first camera and gallery images of its second" in text
    )
    assert "Probes of all 3 repeats" not in text


def test_equal_repeats_are_said_to_be_equal_and_have_no_deviation():
    """One track per person and camera leaves nothing to draw; other draws keep their deviation, even of 0."""
    people = crowd(cams="ab")
    people.subset = None
    people.tracks = [f"{who}{cam}" for who, cam in zip(people.target, people.cams, strict=True)]
    protocol = TwoViewProtocol(n_repeats=3, probe_cam="a")
    same = evaluate(reader(people), people, protocol, fit=False, tracks="mean", ranks=(1, 100))
    assert not any(same.std.values())
    assert "±" not in repr(same)
    assert "[" not in repr(same)
    assert "9 probe tracks in each of 3 repeats, which are all the same, each with" in repr(same)
    differ = evaluate(reader(people), people, protocol, fit=False, ranks=(1, 100), name="images")
    assert "100.0 ± 0.0 %   [100.0, 100.0]" in repr(differ)
    assert "all the same" not in repr(differ)
    table = differ.table(same)
    assert "| 100.0 ± 0.0 |" in table.splitlines()[2]
    assert "±" not in table.splitlines()[3]
    assert "all repeats are the same: FunctionTransformer." in table
    assert "all repeats are the same" not in differ.table()
    single = evaluate(reader(people), people, TwoViewProtocol(n_repeats=1), fit=False, tracks="mean", ranks=1)
    assert "all the same" not in repr(single)


def test_only_counts_are_kept_of_the_distances():
    """What a trial keeps for the pairs of cameras does not grow with its images."""
    people = crowd(n=600)
    (repeat,) = evaluate(reader(people), people, GivenSplitProtocol(), fit=False).repeats
    sizes = [np.size(value) for value in vars(repeat.cameras).values()]
    assert max(sizes) <= 16


@pytest.mark.parametrize("change", [{"cams": None}, {"use_cams": False}])
def test_without_cameras_there_are_no_pairs(change):
    """The error says why."""
    people = crowd(cams="ab")
    given = {name: value for name, value in change.items() if name == "use_cams"}
    people.cams = change.get("cams", people.cams)
    protocol = ShotProtocol(n_train=0, use_cams=False, n_repeats=1)
    result = evaluate(reader(people), people, protocol, fit=False, **given)
    with pytest.raises(ValueError, match="are not known"):
        result.by_camera_pair()
    assert "cam" not in result.hardest(2).columns


def test_people_seen_by_one_camera_each_have_pairs_and_others_have_none():
    """Aggregated rows and columns have a camera if all their images come from one."""
    people = crowd(cams="ab", n=120)
    views = TwoViewProtocol(n_train=0, gallery_shots=None, aggregation="min", n_repeats=1)
    (row,) = evaluate(reader(people), people, views, fit=False).by_camera_pair()
    assert (row["probe_cam"], row["gallery_cam"], row["n_probes"]) == ("a", "b", 9)
    shots = ShotProtocol(n_train=0, n_shots=4, use_cams=False, aggregation="min", n_repeats=1)
    with pytest.raises(ValueError, match="several cameras"):
        evaluate(reader(people), people, shots, fit=False).by_camera_pair()


def test_hardest_probes_are_those_whose_true_match_ranks_worst():
    """Ranks descend, each image is listed once where it ranks worst, and what stood first is named with its path."""
    people = crowd()
    result = evaluate(reader(people), people, ShotProtocol(n_train=0, n_repeats=4), fit=False)
    worst = {}
    for repeat in result.repeats:
        for probe, rank in zip(repeat.probe.tolist(), repeat.metrics.first_rank.tolist(), strict=True):
            worst[probe] = max(rank, worst.get(probe, 0))
    table = result.hardest(1000)
    assert len(table) == len(worst)
    assert table.columns["rank"].tolist() == sorted(worst.values(), reverse=True)
    for row in table:
        repeat = result.repeats[row["repeat"]]
        place = repeat.probe.tolist().index(row["probe"])
        assert row["rank"] == repeat.metrics.first_rank[place] == worst[row["probe"]]
        assert row["first"] == repeat.nearest.indices[place, 0]
        assert (row["path"], row["first_path"]) == (people.paths[row["probe"]], people.paths[row["first"]])
        assert (row["identity"], row["cam"]) == (people.target[row["probe"]], people.cams[row["probe"]])
        assert (row["first_identity"] == row["identity"]) == (row["rank"] == 1)
    assert len(result.hardest(3)) == 3
    assert "counted from 0" in repr(table)
    with pytest.raises(ValueError, match=r"'n' parameter of EvaluationResult.hardest must be an int"):
        result.hardest(0)


def test_the_nearest_true_match_is_kept_however_far_down_it_ranks():
    """Its distance is that of the descriptors, and an image of the probe's own camera is no true match."""
    people = crowd()
    result = evaluate(reader(people), people, GivenSplitProtocol(), fit=False, n_neighbors=1)
    (repeat,) = result.repeats
    gallery = np.flatnonzero(people.subset == "gallery")
    for probe, match, distance in zip(repeat.probe, repeat.match, repeat.match_distance, strict=True):
        allowed = gallery[
            (people.target[gallery] == people.target[probe]) & (people.cams[gallery] != people.cams[probe])
        ]
        away = np.linalg.norm(people.features[allowed] - people.features[probe], axis=1)
        if not len(allowed):
            assert (match, np.isnan(distance)) == (-1, True)
            continue
        assert match == allowed[away.argmin()]
        assert distance == pytest.approx(away.min())


def test_probes_without_a_true_match_are_counted_but_not_listed():
    people = Bunch(
        data=np.array([[0.0], [1.0], [0.1], [5.0]]),
        target=np.array([1, 2, 1, 3]),
        cams=np.array([0, 0, 1, 1]),
        subset=np.array(["query", "query", "gallery", "gallery"]),
    )
    table = evaluate(FunctionTransformer(), people, GivenSplitProtocol(), fit=False, n_neighbors=0).hardest()
    assert table.columns["probe"].tolist() == [0]
    assert table[0]["first"] is None
    assert "Not listed: 1 of 2 probes" in repr(table)


def test_a_table_becomes_a_data_frame_and_prints_shares_in_percent():
    """Values are plain, unknown ones are a dash, long cells keep their end, and a slice is a table."""
    table = ResultTable("Title", {"path": ["x" * 60 + "end", None], "mAP": [0.5, float("nan")]}, ["A note."])
    frame = pd.DataFrame(table.to_dict())
    assert frame["mAP"].tolist()[0] == 0.5
    lines = repr(table).splitlines()
    assert lines[0] == "Title"
    assert lines[1].split() == ["path", "mAP", "%"]
    assert lines[2].split()[0].endswith("xend")
    assert len(lines[2].split()[0]) == 40
    assert lines[2].split()[1] == "50.0"
    assert lines[3].split() == ["-", "-"]
    assert lines[4].strip() == "A note."
    assert len(table[:1]) == 1
    assert table[1] | {"mAP": None} == {"path": None, "mAP": None}
