"""The example that learns without labels: its steps on planted clusters, and the whole of it on few people."""

import ast
import re
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.base import BaseEstimator

from skreid import cmc_score, evaluate
from skreid.protocols import ShotProtocol

EXAMPLE = Path(__file__).parent.parent / "examples" / "plot_without_labels.py"
CODE = EXAMPLE.read_text(encoding="utf-8")
SMALL = {
    "n_identities=40, image_size": "n_identities=6, image_size",
    "n_identities=50": "n_identities=10",
    "people.target < 20": "people.target < 6",
    "max_epochs=6": "max_epochs=1",
    'memory="cache", ': "",
    "n_rounds=3": "n_rounds=1",
}


class Recorder(BaseEstimator):
    """A system whose pictures are descriptors already; it keeps what each clone of it was fitted on."""

    fits = []  # noqa: RUF012 - shared by all clones

    def fit(self, X, y):
        self.fits.append((X, y))
        return self

    def transform(self, X):
        return np.asarray(X)


class Learner(Recorder):
    """A `Recorder` that says whom it was fitted on."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self


@pytest.fixture
def steps():
    """Return the functions of the example, which is not run."""
    kept = (ast.Import, ast.ImportFrom, ast.FunctionDef)
    tree = ast.Module([node for node in ast.parse(CODE).body if isinstance(node, kept)], [])
    names = {}
    exec(compile(tree, EXAMPLE, "exec"), names)
    names["untrained"] = Recorder()
    Recorder.fits.clear()
    return names


@pytest.fixture
def planted():
    """Return descriptors in two cameras far apart, their cameras and people: eight of three people, two of nobody."""
    rng = np.random.default_rng(0)
    y, cams = np.append(np.repeat([0, 1, 2], 8), [-1, -1]), np.tile([0, 1], 13)
    places = np.append(10 * np.eye(3), [[-50, 50, -50]], axis=0)
    return places[y] + 100 * cams[:, None] + rng.normal(scale=0.1, size=(26, 3)), cams, y


def test_clusters_are_the_people_once_cameras_are_centred(steps, planted):
    """Far apart cameras split each person; with their means taken away, a cluster is a person."""
    X, cams, y = (column[:24] for column in planted)
    split = steps["find_clusters"](X)
    assert all(len(set(cams[split == cluster])) == 1 for cluster in set(split.tolist()) - {-1})
    clusters = steps["find_clusters"](steps["centred"](X, cams))
    np.testing.assert_array_equal(clusters[:, None] == clusters, y[:, None] == y)
    assert clusters.min() == 0


def test_pictures_of_no_cluster_are_not_trained_on(steps, planted):
    """Each round fits on the pictures of clusters alone, with the clusters' own names as identities."""
    X, cams, y = planted
    rounds = list(steps["train_without_labels"](Recorder(), X, cams))
    assert len(rounds) == len(Recorder.fits) == 3
    for (clusters, _), (images, identities) in zip(rounds, Recorder.fits, strict=True):
        np.testing.assert_array_equal(clusters == -1, y == -1)
        assert clusters.max() == 2  # three people: each camera's mean was taken away
        np.testing.assert_array_equal(images, X[clusters >= 0])
        np.testing.assert_array_equal(identities, [f"cluster {number:03}" for number in clusters[clusters >= 0]])


@pytest.mark.parametrize("n_clusters", [0, 1])
def test_fewer_than_two_clusters_are_not_trained_on(steps, n_clusters):
    """There is nobody to tell apart; the error says what to change."""
    steps["find_clusters"] = lambda descriptors: np.full(len(descriptors), n_clusters - 1)
    with pytest.raises(ValueError, match="Fewer than two clusters: lower min_cluster_size"):
        next(steps["train_without_labels"](Recorder(), np.zeros((4, 2)), np.array([0, 1, 0, 1])))
    assert not Recorder.fits


def test_names_of_clusters_are_nobody_else(steps, planted):
    """A network trained on clusters is ranked on people who are numbered from 0, without an error or a warning."""
    X, cams, _ = planted
    steps["untrained"] = Learner()
    ((_, reid),) = steps["train_without_labels"](Learner(), X, cams, 1)
    y = np.repeat([0, 1, 2, 3], 6)
    people = {"data": X[:24], "target": y, "cams": cams[:24]}
    assert evaluate(reid, people, ShotProtocol(n_train=0, n_repeats=1), fit=False).mean
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cmc_score(reid, X[:24], y, cams=cams[:24])


def test_columns_count_what_is_said_of_them(steps):
    """Clusters, pictures left out, clusters of one camera and the agreement, counted by hand."""
    clusters = np.array([0, 0, 1, 1, 2, 2, -1, -1])
    cams = np.array([0, 1, 0, 0, 1, 0, 0, 1])
    people = np.array([5, 5, 7, 7, 9, 9, 9, 5])
    assert steps["describe_clusters"](clusters, people, cams).split() == ["3", "25%", "1", "1.00"]


def test_ranked_leaves_out_the_same_person_in_the_same_camera(steps):
    """It is neither right nor wrong, while strangers of that camera are wrong; hand-worked rank-1 and mAP."""
    descriptors = np.array([[0.0], [0.1], [1.0], [3.0], [10.0], [10.5]])
    y, cams = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 0, 1, 0, 1, 1])
    # Picture 3 finds its person fourth and fifth, behind three strangers, two of them in its own camera.
    aps = [1, 1, 1, (1 / 4 + 2 / 5) / 2, 1, 1]
    assert steps["ranked"](descriptors, y, cams).split() == [f"{5 / 6:.2f}", f"{np.mean(aps):.2f}"]


def test_whole_example_runs_on_few_people(capsys):
    """Every system has a row with its figures, and only rounds say what was clustered."""
    code = CODE
    for written, small in SMALL.items():
        assert code.count(written) == 1, written
        code = code.replace(written, small)
    try:
        exec(compile(code, EXAMPLE, "exec"), {})
    finally:
        plt.close("all")
    head, *rows = capsys.readouterr().out.splitlines()
    assert re.split(r"  +", head)[1:] == ["rank-1", "mAP", "centred", "mAP", "clusters", "left out", "one camera",
                                          "agreement"]  # fmt: skip
    named = {re.split(r"  +", row)[0]: re.split(r"  +", row)[1:] for row in rows}
    assert {name: len(cells) for name, cells in named.items()} == {
        "before": 4, "round 1": 8, "true labels": 4,
    }  # fmt: skip
    assert all(0 <= float(cell) <= 1 for cells in named.values() for cell in cells[:4])
