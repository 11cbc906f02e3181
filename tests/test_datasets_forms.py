"""What may be a dataset of evaluate, and what stands beside its images: tables of any library, paths, odd names."""

import contextlib
import importlib
import io
from pathlib import Path

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from skreid import MultiDepthReID, cmc_score
from skreid.displays import CameraPairDisplay
from skreid.evaluation import evaluate
from skreid.gallery import Gallery
from skreid.protocols import TwoViewProtocol
from skreid.report import evaluation_report


def features():
    """Return a dataset of 12 people under two cameras, with features in place of images."""
    rng = np.random.default_rng(5)
    target = np.repeat(np.arange(12), 2)
    return {
        "target": target,
        "cams": np.tile([0, 1], 12),
        "data": rng.normal(size=(12, 4))[target] + np.arange(24.0)[:, None] % 3,
    }


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow", "pyarrow batch"])
def test_a_table_of_any_library_is_a_dataset(library):
    """Its columns are those of a dict."""
    module = pytest.importorskip(library.split()[0])
    columns = features()
    lists = {name: values.tolist() for name, values in columns.items()}
    make = {"pyarrow": "table", "pyarrow batch": "record_batch"}.get(library, "DataFrame")
    protocol = TwoViewProtocol(n_repeats=2)
    expected = evaluate(StandardScaler(), columns, protocol)
    assert evaluate(StandardScaler(), getattr(module, make)(lists), protocol).mean == expected.mean


@pytest.mark.parametrize("given", [([[0.0]], [0]), [0, 1], np.zeros((4, 2)), None])
def test_images_and_labels_beside_each_other_name_the_form_of_a_dataset(given):
    """evaluate(system, (X, y), protocol) and evaluate(system, X, y) say what a dataset is."""
    for protocol in (TwoViewProtocol(), [0, 1]):
        with pytest.raises(ValueError, match=r"needs dataset\.target.*\{'images': X, 'target': y, 'cams': cams\}"):
            evaluate(StandardScaler(), given, protocol)


def test_paths_beside_images_have_one_entry_per_image():
    """Others would name the wrong files; columns of any library are read as lists are."""
    columns = features()
    columns["images"] = columns.pop("data")
    names = [f"{place}.png" for place in range(24)]
    for wrong in (names[:-1], np.array([*names, "x"]), []):
        with pytest.raises(
            ValueError, match=rf"dataset\.paths has shape \({len(wrong)},\), but dataset\.target has 24"
        ):
            evaluate(StandardScaler(), columns | {"paths": wrong}, TwoViewProtocol())
    forms = [names, tuple(names), np.array(names), [Path(name) for name in names]]
    for module, make in (("pandas", "Series"), ("polars", "Series"), ("pyarrow", "array")):
        with contextlib.suppress(ImportError):
            forms.append(getattr(importlib.import_module(module), make)(names))
    for paths in forms:
        rows = evaluate(StandardScaler(), columns | {"paths": paths}, TwoViewProtocol()).hardest(3).to_dict()
        assert rows["path"] == [names[probe] for probe in rows["probe"]]
        assert rows["first_path"] == [names[first] for first in rows["first"]]


def test_file_names_that_are_no_text_can_be_printed(tmp_path):
    """Bytes of a name that no encoding explains are escaped in tables, and drawn escaped."""
    columns = features()
    columns["images"] = columns.pop("data")
    columns["cams"] = np.tile(["\udcffa", "\udcffb"], 12)
    result = evaluate(StandardScaler(), columns | {"paths": [f"\udcff{i}.png" for i in range(24)]}, TwoViewProtocol())
    for table in (result.hardest(), result.by_camera_pair()):
        assert r"\udcff" in repr(table).encode("utf-8").decode()
    assert result.hardest()[0]["path"].startswith("\udcff")
    display = CameraPairDisplay.from_evaluation(result, ax=pytest.importorskip("matplotlib.figure").Figure().subplots())
    labels = *display.ax_.get_yticklabels(), *display.ax_.get_xticklabels()
    assert [label.get_text() for label in labels] == [r"\udcffa", r"\udcffb"]
    display.ax_.figure.savefig(io.BytesIO())
    page = evaluation_report(result, tmp_path / "report.html").read_text(encoding="utf-8")
    assert r"\udcff" in page


def test_errors_of_python_name_no_private_class():
    """Users know the method that they called, not the base class that it stands in."""
    with pytest.raises(TypeError, match=r"^kneighbors\(\) missing 1 required positional argument: 'gallery'"):
        MultiDepthReID().kneighbors([])
    with pytest.raises(TypeError, match=r"^score\(\) got an unexpected keyword argument 'cam'"):
        MultiDepthReID().score([], [], cam=[])
    with pytest.raises(TypeError, match=r"^identify\(\) missing 1 required positional argument: 'probes'"):
        Gallery([[0.0]]).identify()


def test_cameras_given_to_the_scorer_by_position_are_named_as_a_keyword():
    """cmc_score(estimator, X, y, cams) says how to write it."""
    people = features()
    scaler = StandardScaler().fit(people["data"])
    with pytest.raises(TypeError, match=r"cams is a keyword argument.*cams=cams\)"):
        cmc_score(scaler, people["data"], people["target"], people["cams"])
    assert 0 <= cmc_score(scaler, people["data"], people["target"], cams=people["cams"]) <= 1
