"""The script of Table 1: it runs on drawn pedestrians, resumes after an interruption, and its outputs agree."""

import csv
import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from skreid import STRONGEST
from skreid.metric_learning import XQDA

pytest.importorskip("matplotlib").use("agg")


@pytest.fixture(scope="module")
def table1():
    path = Path(__file__).parent.parent / "examples" / "cuhk01_table1.py"
    spec = importlib.util.spec_from_file_location("cuhk01_table1", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run(table1, tmp_path):
    def go(*arguments):
        table1.main(["--quick", "--n-jobs", "1", "--device", "cpu", "--out", str(tmp_path), *arguments])
        return tmp_path

    return go


fit = XQDA.fit


def forbid(*arguments, **settings):
    raise AssertionError("computed again")


@pytest.mark.parametrize("backbone", ["vgg11", "resnet18", "squeezenet1_1"])
@pytest.mark.parametrize("system", ["best", "strongest"])
def test_the_strongest_systems_run_with_any_backbone(run, table1, system, backbone):
    """They read three layers, with all parameters of `STRONGEST` but the number of filters, which is small here."""
    out = run("--systems", system, "--backbone", backbone, "--epochs", "0", "--repeats", "1", "--n-filters", "4")
    assert 0 <= json.loads((out / "results" / f"{system}-0.json").read_text())["rank_1"] <= 1
    options = table1.parse(["--systems", system, "--backbone", backbone, "--out", str(out)])
    reid = table1.SYSTEMS[system].build(table1.Run(options))[1][0]
    assert {name: getattr(reid, name) for name in STRONGEST} == STRONGEST


def test_cameras_reach_the_metric_of_the_strongest_system(run, table1, monkeypatch):
    """XQDA compares pairs across cameras, as exploring does."""
    given = []
    monkeypatch.setattr(table1.XQDA, "fit", lambda self, X, y, cams=None: given.append(cams) or fit(self, X, y, cams))
    run("--systems", "strongest", "--epochs", "0", "--repeats", "1")
    assert len(given) == 1
    assert len(np.unique(given[0])) == 2


def test_markdown_csv_and_records_have_the_same_figures(run):
    """Every footnote mark has its footnote."""
    out = run("--systems", "lomo", "best", "multi-depth", "--repeats", "2")
    text = (out / "table1.md").read_text(encoding="utf-8")
    with (out / "table1.csv").open(encoding="utf-8") as file:
        rows = {row["system"]: row for row in csv.DictReader(file)}
    assert list(rows) == [
        "LOMO + XQDA",
        "MultiDepthReID, the paper's setting",
        "the strongest descriptor + PCA + LDA",
    ]
    for name, row in zip(("lomo", "multi-depth", "best"), rows.values(), strict=True):
        records = [json.loads((out / "results" / f"{name}-{repeat}.json").read_text()) for repeat in range(2)]
        for figure in ("rank_1", "rank_5", "rank_10", "rank_20", "mAP"):
            values = [record[figure] for record in records]
            assert float(row[f"{figure}_mean"]) == pytest.approx(np.mean(values))
            assert float(row[f"{figure}_std"]) == pytest.approx(np.std(values, ddof=1))
        printed = f"| {100 * float(row['rank_1_mean']):.1f} ± {100 * float(row['rank_1_std']):.1f} |"
        assert printed in next(line for line in text.splitlines() if line.startswith(f"| {row['system']} |"))
    marks = set(re.findall(r"\[(\d)\] \|", text))
    assert marks
    assert marks <= set(re.findall(r"^\[(\d)\] ", text, re.M))
    with Image.open(out / "table1_cmc.png") as picture:
        assert picture.width > 600


def test_finished_repeats_are_not_computed_again(run, table1, monkeypatch):
    """A second call reads the records; damaged ones, and those of other settings, are computed again."""
    out = run("--systems", "lomo", "multi-depth")
    before = {path.name: json.loads(path.read_text()) for path in (out / "results").glob("*.json")}
    with monkeypatch.context() as patched:
        patched.setattr(table1, "evaluate", forbid)
        run("--systems", "lomo", "multi-depth")
    damaged = out / "results" / "multi-depth-0.json"
    damaged.write_text(damaged.read_text()[:50])
    with monkeypatch.context() as patched:
        patched.setattr("skreid.multidepth.train", forbid)
        run("--systems", "lomo", "multi-depth")
    after = json.loads(damaged.read_text())
    assert after | {"seconds": 0} == before[damaged.name] | {"seconds": 0}
    run("--systems", "lomo", "multi-depth", "--epochs", "2")
    assert json.loads(damaged.read_text())["key"] != after["key"]
    assert json.loads((out / "results" / "lomo-0.json").read_text())["key"] == before["lomo-0.json"]["key"]


def test_an_interruption_loses_one_repeat_only(run, table1, tmp_path, monkeypatch):
    """The next call computes the missing repeats, and no descriptor again."""
    calls, evaluate = [], table1.evaluate

    def interrupted(*arguments, **settings):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return evaluate(*arguments, **settings)

    monkeypatch.setattr(table1, "evaluate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run("--systems", "gog-rgb", "--repeats", "3")
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["gog-rgb-0.json"]
    monkeypatch.setattr("skreid.descriptors.GOG.transform", forbid)
    run("--systems", "gog-rgb", "--repeats", "4")
    assert len(calls) == 5


def test_root_reads_a_folder_of_images(run, table1, tmp_path_factory):
    """Part of CUHK01 is split into halves, and the protocol says so."""
    people = table1.datasets.make_pedestrians(n_identities=6, n_shots=2, image_size=(128, 48), random_state=0)
    folder = tmp_path_factory.mktemp("set")
    for image, identity, camera, shot in zip(people.images, people.target, people.cams, people.shots, strict=True):
        Image.fromarray(image).save(folder / f"{identity + 1:04}{2 * camera + shot + 1:03}.png")
    out = run("--root", str(folder), "--systems", "lomo", "--repeats", "2")
    text = (out / "table1.md").read_text(encoding="utf-8")
    assert "cuhk01 files of 6 persons (paper)" in text
    assert json.loads((out / "results" / "lomo-1.json").read_text())["n_gallery"] == 3


def test_every_published_figure_has_its_protocol(table1):
    """Every note belongs to a row of the table."""
    for system in table1.SYSTEMS.values():
        assert (system.published == "–") == (system.protocol == "")
    used = {note for system in table1.SYSTEMS.values() for note in system.notes}
    assert used | {"one-protocol"} == set(table1.NOTES)
