"""benchmarks/rivals.py: it searches within some people, step by step, reports on others, and goes on where it was."""

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skreid.datasets import make_pedestrians
from skreid.metric_learning import XQDA

ROW = {"dimensions": 8, "seconds": 0.0, "figures": {"mAP": {"mean": 0.5, "std": 0.1}}}
SIZES = "--difficulty easy --n-search 12 --n-train 6 --n-test 5 --draws 2 --repeats 2 --input-size 16 8"


@pytest.fixture(scope="module")
def rivals(benchmark):
    return benchmark("rivals")


def pixels(images):
    return np.reshape(images, (len(images), -1)) / 255


def build(**settings):
    return FunctionTransformer(pixels), make_pipeline(PCA(8, random_state=0), XQDA(**settings))


@pytest.fixture
def small(rivals, monkeypatch):
    """Return the benchmark with one rival of four settings in two steps, and a list of what it measures."""
    steps = {"reg": [1e-3, 10.0]}, {"n_components": [1, 4]}
    monkeypatch.setattr(rivals, "RIVALS", {"small": rivals.Rival(build, {"n_components": 2}, steps)})
    measured, measure = [], rivals.measure

    def recorded(systems, dataset, train, tested, options):
        (estimator,) = systems.values()
        rows = measure(systems, dataset, train, tested, options)
        (row,) = rows.values()
        people = [frozenset(dataset["target"][part].tolist()) for part in (train, tested)]
        measured.append((estimator[-1].reg, estimator[-1].n_components, people, row["figures"]["mAP"]["mean"]))
        return rows

    monkeypatch.setattr(rivals, "measure", recorded)
    return rivals, measured


def test_each_step_keeps_the_best_and_the_report_is_on_people_the_search_never_saw(small, tmp_path):
    """The later step starts from the best of the first; default and found settings are reported."""
    rivals, measured = small
    rivals.main([*SIZES.split(), "--out", str(tmp_path)])
    searched, reported = measured[:8], measured[8:]
    score = {key: np.mean([s for *k, _, s in searched if tuple(k) == key]) for key in {row[:2] for row in searched}}
    reg = max([1e-3, 10.0], key=lambda reg: score[reg, 2])
    assert set(score) == {(1e-3, 2), (10.0, 2), (reg, 1), (reg, 4)}
    n_components = max([1, 4], key=lambda n: score[reg, n])
    assert [row[:2] for row in reported] == [(1e-3, None)] * 2 + [(reg, n_components)] * 2
    seen = frozenset().union(*(part for row in searched for part in row[2]))
    others = frozenset().union(*(part for row in reported for part in row[2]))
    assert len(seen) == 12
    assert len(others) == 11
    assert not seen & others
    assert all(not train & tested for *_, (train, tested), _ in measured)
    assert {len(train) for *_, (train, _), _ in searched} == {8}
    rows = json.loads((tmp_path / "rivals.json").read_text())["rows"]
    assert [row["system"] for row in rows] == ["small, default", "small, searched"]
    assert rows[1]["mAP"]["mean"] == pytest.approx(np.mean([row[3] for row in reported[2:]]))


def test_an_interrupted_run_goes_on_where_it_was(small, tmp_path):
    """What is recorded is not measured again, and a line that was half written is."""
    rivals, measured = small
    rivals.main([*SIZES.split(), "--out", str(tmp_path)])
    first, results = len(measured), tmp_path / "rivals.json"
    once = results.read_text()
    rivals.main([*SIZES.split(), "--out", str(tmp_path)])
    assert len(measured) == first
    assert results.read_text() == once
    records = tmp_path / "rivals.jsonl"
    text = records.read_text()
    records.write_text(text[: len(text) - 40])
    rivals.main([*SIZES.split(), "--out", str(tmp_path)])
    assert len(measured) == first + 1
    assert len(records.read_text().splitlines()) == len(text.splitlines())
    rivals.main([*SIZES.split(), "--draws", "1", "--out", str(tmp_path)])  # other sizes are other results
    assert len(measured) > first + 1


def test_what_is_kept_counts_for_the_same_pictures_and_version_only(small, tmp_path, monkeypatch):
    """A picture that changes under its old name is measured anew, and so is everything with another version."""
    rivals, measured = small
    people = make_pedestrians(18, image_size=(16, 8), random_state=0)
    for number, (image, identity) in enumerate(zip(people.images, people.target, strict=True)):
        Image.fromarray(image).save(tmp_path / f"{identity:02}_{number % 4 // 2}_{number}.png")
    options = [*SIZES.split(), "--folder", str(tmp_path), "--pattern", r"(?P<identity>\d+)_(?P<camera>\d)"]
    options += ["--n-search", "0", "--out", str(tmp_path / "out")]
    monkeypatch.setattr(rivals, "RIVALS", {"small": rivals.Rival(lambda: (None, XQDA()), {}, ())})
    monkeypatch.setattr(rivals, "measure", lambda systems, *_: measured.append(0) or dict.fromkeys(systems, ROW))
    rivals.main(options)
    assert len(measured) == 2
    rivals.main(options)
    assert len(measured) == 2
    Image.fromarray(people.images[0][::-1]).save(next(tmp_path.glob("00_*.png")))
    rivals.main(options)
    assert len(measured) == 4
    monkeypatch.setattr(rivals, "__version__", "0.0")
    rivals.main(options)
    assert len(measured) == 6


def test_too_few_people_to_search_among_are_refused(rivals, capsys):
    with pytest.raises(SystemExit):
        rivals.main(["--n-search", "2"])
    assert "--n-search must be 3 or more" in capsys.readouterr().err


def test_one_stage_alone(small, tmp_path):
    """Without people to search among there is a report of the default, and without people to test only a search."""
    rivals, measured = small
    rivals.main([*SIZES.split(), "--n-search", "0", "--out", str(tmp_path)])
    assert {row[:2] for row in measured} == {(1e-3, None)}
    measured.clear()
    rivals.main([*SIZES.split(), "--n-test", "0", "--n-train", "0", "--out", str(tmp_path)])
    assert len(measured) == 8
    assert json.loads((tmp_path / "rivals.json").read_text())["rows"] == []


def test_descriptors_are_kept_in_fewer_dimensions_with_the_same_distances(rivals):
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 4, 3), dtype=np.uint8)
    rows = rivals._described(FunctionTransformer(pixels), images, "")
    assert rows.shape == (6, 6)
    assert_allclose(euclidean_distances(rows), euclidean_distances(pixels(images)), atol=1e-5)


def test_every_rival_can_be_built_with_every_setting_of_its_search(rivals):
    """A misspelt parameter would end the search after hours."""
    for rival in rivals.RIVALS.values():
        for step in rival.steps:
            for settings in rivals.ParameterGrid(step):
                built = [part for part in rival.build(**rival.start | settings) if part is not None]
                for part in built:
                    (part[-1] if hasattr(part, "steps") else part)._validate_params()


def test_defaults_are_among_what_is_searched(rivals):
    """Except widths that follow from the data (`gamma=None`), so that the search can confirm or better them."""
    for name in ("KCVDCA", "MLGD"):
        rival = rivals.RIVALS[name]
        part = [part for part in rival.build() if part is not None][0 if name == "MLGD" else -1]
        defaults = (part[-1] if hasattr(part, "steps") else part).get_params()
        searched = [rival.start, *(settings for step in rival.steps for settings in rivals.ParameterGrid(step))]
        for parameter in {key for settings in searched for key in settings} - {"gamma"}:
            assert defaults[parameter] in [settings.get(parameter) for settings in searched], (name, parameter)
