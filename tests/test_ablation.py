"""benchmarks/ablation.py: its rows are those of estimators of their own, though each picture is read once."""

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.preprocessing import FunctionTransformer

from skreid import PAPER_SETTING, STRONGEST, MultiDepthReID, evaluate
from skreid._images.source import ImageSource
from skreid.datasets import load_image_folder, make_pedestrians
from skreid.protocols import TwoViewProtocol

pytest.importorskip("matplotlib")
PATTERN = r"(?P<identity>\d+)_(?P<camera>\d+)"
SETTINGS = ("blur_size", "sampling", "criterion", "normalize", "n_filters")  # that differ between steps


@pytest.fixture(scope="module")
def ablation(benchmark):
    return benchmark("ablation")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Drawn people in files: eight of them, three views per camera."""
    folder = tmp_path_factory.mktemp("people")
    people = make_pedestrians(n_identities=8, n_shots=3, image_size=(32, 16), random_state=0)
    for image, identity, camera, shot in zip(people.images, people.target, people.cams, people.shots, strict=True):
        Image.fromarray(image).save(folder / f"{identity:04}_{3 * camera + shot:02}.png")
    return folder


def arguments(folder, out, *more):
    fixed = "--views-per-camera 3 --shots 2 --input-size 32 16 --backbone vgg11 --epochs 0 --repeats 2 --device cpu"
    return ["--folder", str(folder), "--pattern", PATTERN, *fixed.split(), "--out", str(out), *more]


@pytest.fixture(scope="module")
def written(ablation, folder, tmp_path_factory):
    """Return the folder that the benchmark wrote, its rows, and the pictures whose maps were asked for."""
    out, read, feature_maps = tmp_path_factory.mktemp("results"), [], MultiDepthReID.feature_maps
    (out / "tested").write_text("1\n3\n4\n7\n")

    def counted(self, X, layers=None, smooth=False):
        read.extend(map(str, X))
        return feature_maps(self, X, layers, smooth)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MultiDepthReID, "feature_maps", counted)
        ablation.main(arguments(folder, out, "--test-identities", str(out / "tested"), "--n-test", "4"))
    return out, json.loads((out / "ablation.json").read_text())["rows"], read


def test_every_picture_is_recorded_once(written):
    """Two pictures per person and camera, of those who are trained on and those who are tested."""
    assert len(written[2]) == len(set(written[2])) == 8 * 2 * 2


@pytest.mark.parametrize("place", [0, 4, 7, 9, -3, -2])
def test_a_row_is_that_of_an_estimator_of_its_own(folder, written, place):
    """It has the same layers and dimensions, and ranks the same pictures alike."""
    rows, read = written[1:]
    row = rows[place]
    people = load_image_folder(folder, pattern=PATTERN, camera=lambda number: int(number) // 3)
    kept = np.isin(list(map(str, people.paths)), read)
    X, y, cams = (np.asarray(people[name])[kept] for name in ("paths", "target", "cams"))
    tested = np.isin(y, [1, 3, 4, 7])
    box = tuple(row["blur_size"]) if isinstance(row["blur_size"], list) else row["blur_size"]
    settings = {name: row[name] for name in ("sampling", "criterion", "normalize", "n_filters", "layers")}
    reid = MultiDepthReID(
        backbone="vgg11", input_size=(32, 16), max_epochs=0, blur_size=box, device="cpu", random_state=0, **settings
    ).fit(X[~tested], y[~tested], cams=cams[~tested])
    assert reid.n_features_out_ == row["dimensions"]
    data = {"data": reid.transform(X[tested]), "target": y[tested], "cams": cams[tested]}
    protocol = TwoViewProtocol(n_train=0, n_test=4, n_repeats=2)
    result = evaluate(FunctionTransformer().fit(data["data"]), data, protocol, fit=False, ranks=(1, 5, 10, 20))
    assert row["rank_1"] == pytest.approx([result.mean["rank_1"], result.std["rank_1"]])


def test_the_way_leads_from_the_papers_setting_over_the_default_to_the_strongest(written):
    """Each step on the way changes one thing only."""
    way = [row for row in written[1] if row["step"]]
    first, default, strongest, learned = way[0], *way[-3:]
    assert {name: first[name] for name in PAPER_SETTING} == PAPER_SETTING | {"blur_size": 4}
    for row, changed in ((default, {}), (strongest, STRONGEST)):
        expected = MultiDepthReID(**{"blur_size": [4, None]} | changed).get_params()
        assert {name: row[name] for name in SETTINGS} == {name: expected[name] for name in SETTINGS}
        assert row["layers"] == ["conv3_2", "conv4_2", "conv5_2"]
    for one, other in pairwise(way[:-2]):
        assert len([name for name in (*SETTINGS, "layers") if one[name] != other[name]]) == 1
    assert {name for name in learned if learned[name] != strongest[name]} >= {"learned", "step"}
    assert {name for name in (*SETTINGS, "layers") if learned[name] != strongest[name]} == set()
    assert learned["dimensions"] == 3  # of LDA, which tells four people apart


def test_the_picture_is_drawn(written):
    """It shows the steps, and curves over the number of filters."""
    with Image.open(written[0] / "ablation.png") as picture:
        assert picture.width > 800
        assert len(picture.convert("L").getcolors()) > 10


def test_identities_to_test_are_drawn_without_a_list_of_them(ablation, folder, tmp_path):
    """A backbone with few filters is described by all that it has."""
    ablation.main(arguments(folder, tmp_path, "--n-train", "4", "--n-test", "3", "--backbone", "mobilenet_v2"))
    rows = json.loads((tmp_path / "ablation.json").read_text())["rows"]
    assert max(row["n_filters"] for row in rows) == 32
    assert rows[0]["layers"] == ["6", "13", "18"]


def test_known_layouts_are_read_and_probes_drawn(ablation, tmp_path):
    """The views of CUHK01 need no pattern; `--probe-shots` draws some of a person's probes."""
    people = make_pedestrians(n_identities=6, n_shots=2, image_size=(32, 16), random_state=0)
    for image, identity, camera, shot in zip(people.images, people.target, people.cams, people.shots, strict=True):
        Image.fromarray(image).save(tmp_path / f"{identity + 1:04}{2 * camera + shot + 1:03}.png")
    options = "--layout cuhk01 --n-train 3 --n-test 3 --probe-shots 1 --input-size 32 16 --backbone vgg11 --epochs 0"
    out = tmp_path / "out"
    ablation.main(["--folder", str(tmp_path), "--out", str(out), "--repeats", "2", *options.split()])
    written = json.loads((out / "ablation.json").read_text())
    assert all(3 * row["rank_1"][0] * 2 == pytest.approx(round(3 * row["rank_1"][0] * 2)) for row in written["rows"])


def test_settings_of_the_steps_are_the_public_ones(ablation):
    """The last step is what `STRONGEST` says, where the layers have so many filters."""
    last = ablation.steps(20, {"a": 256, "b": 512, "c": 512})[-1].parameters
    assert {name: last[name] for name in STRONGEST} == STRONGEST
    assert last["blur_size"] == (20, None)


@given(
    numbers=st.lists(st.integers(0, 2**24 - 1), min_size=1),
    frame=st.tuples(st.integers(16, 70), st.integers(1, 20)),
    mean=st.floats(0.3, 0.6),
    std=st.floats(0.1, 1),
)
def test_numbers_survive_the_way_of_an_image(ablation, numbers, frame, mean, std):
    """A picture's number is read from its image in a frame of 16 rows or more, whatever the normalisation of pixels."""
    batch = next(ImageSource(ablation.numbered(numbers), frame).batches(len(numbers)))
    first = ablation.Number()
    first((batch / 255 - mean) / std)
    np.testing.assert_array_equal(first.numbers, numbers)
