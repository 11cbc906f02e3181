"""benchmarks/teachers.py: students start from the weights that their teachers wrote."""

import json

import numpy as np
import pytest
from PIL import Image

from skreid import MultiDepthReID
from skreid.datasets import make_pedestrians

OPTIONS = (
    "--n-train 5 --n-test 4 --draws 1 --repeats 2 --input-size 32 16 --backbone vgg11_bn --device cpu "
    "--teacher-epochs 1 --student-epochs 0 1 --drawn 0 6 --teacher-pattern (?P<identity>\\d+)_\\d"
)


@pytest.fixture(scope="module")
def written(benchmark, tmp_path_factory):
    """Return the folder that the benchmark wrote, and its rows by system."""
    out, folder = tmp_path_factory.mktemp("results"), tmp_path_factory.mktemp("people")
    people = make_pedestrians(6, image_size=(32, 16), random_state=3)
    for number, (image, identity) in enumerate(zip(people.images, people.target, strict=True)):
        Image.fromarray(image).save(folder / f"{identity:02}_{number % 4}.png")
    benchmark("teachers").main([*OPTIONS.split(), "--teacher-folder", str(folder), "--out", str(out)])
    rows = json.loads((out / "teachers.json").read_text())["rows"]
    return out, folder, {row["system"]: row for row in rows}


def test_each_teacher_and_length_is_a_row(written):
    _, folder, rows = written
    names = ("no teacher", "6 drawn people", f"people of {folder.name}")
    students = [f"{name}, {epochs} epochs" for name in names for epochs in (0, 1)]
    assert list(rows) == [row for name in students for row in (name, f"{name}: strongest, PCA, LDA")]


def test_the_drawn_teacher_is_the_network_that_learned_these_people(written):
    """Trained here by itself, from the same people and seed, it has the weights in the file."""
    people = make_pedestrians(6, image_size=(32, 16), difficulty="hard", random_state=1)
    own = MultiDepthReID(backbone="vgg11_bn", input_size=(32, 16), blur_size=(4, None), max_epochs=1, random_state=0)
    own.set_params(device="cpu").fit(people.images, people.target)
    student = MultiDepthReID(**own.get_params() | {"max_epochs": 0})
    student.set_params(weights=str(written[0] / "teacher-6-drawn-people.safetensors"))
    student.fit(people.images, people.target)
    for name, values in own.weights_.items():
        np.testing.assert_array_equal(student.weights_[name], values)


def test_a_teacher_changes_what_an_untrained_student_finds(written):
    """Three different starts give three different figures of some kind; equal ones would mean that none was read."""
    _, folder, rows = written
    names = ("no teacher", "6 drawn people", f"people of {folder.name}")
    figures = {json.dumps([rows[f"{name}, {epochs} epochs"]["mAP"]["draws"] for epochs in (0, 1)]) for name in names}
    assert len(figures) == 3


def test_teachers_who_are_tested_are_refused(benchmark, written, tmp_path):
    """Also under another name in another folder: pictures are compared by what they hold."""
    _, folder, _ = written
    picture = next(folder.glob("*.png"))
    (tmp_path / f"99_{picture.name}").write_bytes(picture.read_bytes())
    people = ["--folder", str(folder), "--pattern", r"(?P<identity>\d+)_(?P<camera>\d)"]
    with pytest.raises(SystemExit, match=r"is the same picture as .*: teachers must be other people"):
        benchmark("teachers").main([*OPTIONS.split(), *people, "--teacher-folder", str(tmp_path)])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [("--drawn", "There is no teacher"), ("--teacher-folder people", "--teacher-folder and --teacher-pattern need")],
)
def test_teachers_that_are_not_there_are_named(benchmark, capsys, arguments, message):
    with pytest.raises(SystemExit):
        benchmark("teachers").main(arguments.split())
    assert message in capsys.readouterr().err
