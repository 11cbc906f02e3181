"""benchmarks/accuracy.py: its figures are those of estimators fitted and evaluated by hand, over draws of people."""

import json

import numpy as np
import pytest
from PIL import Image
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skreid import MultiDepthReID
from skreid.datasets import make_pedestrians
from skreid.descriptors import GOG
from skreid.metrics import ranking_metrics
from skreid.protocols import TwoViewProtocol

OPTIONS = "--difficulty hard --n-train 4 --n-test 9 --input-size 32 16 --backbone vgg11 --epochs 0 --device cpu"


@pytest.fixture(scope="module")
def accuracy(benchmark):
    return benchmark("accuracy")


def rows_of(accuracy, out, *more):
    accuracy.main([*OPTIONS.split(), "--systems", "pixels", "--out", str(out), *more])
    return json.loads((out / "accuracy.json").read_text())["rows"]


def test_a_figure_is_the_mean_over_draws_of_people_and_galleries(accuracy, tmp_path):
    """Pixels, which learn nothing, ranked here with one random gallery per repeat, as the protocol draws them."""
    (row,) = rows_of(accuracy, tmp_path, "--draws", "3", "--repeats", "2")
    people = make_pedestrians(13, image_size=(32, 16), difficulty="hard", random_state=0)
    pixels = people.images.reshape(len(people.images), -1) / 255.0
    draws = []
    for draw in range(3):
        chosen = TwoViewProtocol(n_train=4, n_test=9, n_repeats=1, random_state=draw)
        tested = np.isin(people.target, people.target[next(chosen.split(people)).probe])
        unknown = {"target": people.target[tested], "cams": people.cams[tested]}
        shares = []
        for trial in TwoViewProtocol(n_train=0, n_test=9, n_repeats=2).split(unknown):
            probe, gallery = (pixels[tested][part] for part in (trial.probe, trial.gallery))
            distances = np.linalg.norm(probe[:, None] - gallery[None], axis=2)
            ids = unknown["target"][trial.probe], unknown["target"][trial.gallery]
            shares.append(ranking_metrics(*ids, distances).ranks[1])
        draws.append(shares)
    means = np.mean(draws, axis=1)
    np.testing.assert_allclose(row["rank_1"]["draws"], means)
    np.testing.assert_allclose(row["rank_1"]["mean"], means.mean())
    np.testing.assert_allclose(row["rank_1"]["std"], means.std(ddof=1))
    np.testing.assert_allclose(row["rank_1"]["galleries"], np.std(draws, axis=1, ddof=1).mean())
    assert means.std() > 0


def test_one_draw_and_one_gallery_have_no_deviation(accuracy, tmp_path):
    (row,) = rows_of(accuracy, tmp_path, "--draws", "1", "--repeats", "1")
    assert row["rank_1"]["std"] is None
    assert row["rank_1"]["galleries"] is None


def test_named_people_are_tested_and_all_others_trained_on(accuracy, benchmark, tmp_path, monkeypatch):
    seen = []
    recorder = FunctionTransformer(lambda images: images.reshape(len(images), -1))
    monkeypatch.setattr(accuracy, "systems", lambda *_: {"pixels": make_pipeline(recorder)})
    draws = benchmark("_draws")
    evaluate = draws.evaluate

    def noted(estimator, dataset, *args, **kwargs):
        seen.append(dataset)
        return evaluate(estimator, dataset, *args, **kwargs)

    monkeypatch.setattr(draws, "evaluate", noted)
    (tmp_path / "tested").write_text("1\n5\n")
    rows_of(accuracy, tmp_path, "--test-identities", str(tmp_path / "tested"), "--n-test", "2", "--repeats", "2")
    fitted, tested = seen
    assert set(fitted["target"][fitted["subset"] == "train"]) == {0, 2, 3, 4}
    assert set(tested["target"]) == {1, 5}


def test_the_strongest_system_describes_three_times_and_its_metric_sees_the_cameras(accuracy, tmp_path, monkeypatch):
    """Two networks of different frames and GOG of four colour spaces, side by side, and a projection per camera."""
    seen = []

    class Recorder(accuracy.KCVDCA):
        def fit(self, X, y, cams=None):
            seen.append((X.shape[1], cams))
            return super().fit(X, y, cams)

    monkeypatch.setattr(accuracy, "KCVDCA", Recorder)
    name = "strongest of two, flips, fused GOG, KCVDCA"
    (row,) = rows_of(accuracy, tmp_path, "--systems", name, "--n-test", "2", "--draws", "1")
    ((width, cams),) = seen
    gog = GOG(color=("rgb", "lab", "hsv", "nrng")).fit_transform(np.zeros((1, 32, 16, 3), np.uint8)).shape[1]
    strips = (8 + 4 + 2) + (6 + 3 + 1)  # of maps of 8, 4 and 2 rows; and of 6, 3 and 1 in the lower frame
    assert set(cams) == {0, 1}
    assert width == 256 * strips + gog
    assert row["system"] == name


@pytest.fixture
def folder(tmp_path):
    """Return a folder of pictures of 13 people, whose cameras are named by letters."""
    people = make_pedestrians(13, image_size=(32, 16), random_state=0)
    for number, (image, identity, camera) in enumerate(zip(people.images, people.target, people.cams, strict=True)):
        Image.fromarray(image).save(tmp_path / f"{identity:02}_{'ab'[camera]}_{number}.png")
    return tmp_path


def test_cameras_may_be_named(accuracy, folder):
    pattern = r"(?P<identity>\d+)_(?P<camera>[ab])"
    (row,) = rows_of(accuracy, folder / "out", "--folder", str(folder), "--pattern", pattern, "--draws", "1")
    assert row["rank_1"]["mean"] > 1 / 9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--draws 0", "--draws must be 1 or more. Got 0"),
        ("--repeats 0", "--repeats must be 1 or more. Got 0"),
        ("--layout cuhk01", "--layout needs --folder"),
        ("--folder people", "--folder needs --layout or --pattern"),
        ("--folder people --pattern (?P<identity>.)", "--pattern has no named group (?P<camera>...)"),
        ("--checkpoint kept --draws 2", "--checkpoint resumes one training"),
        ("--checkpoint kept --draws 1 --search", "--checkpoint resumes one training"),
    ],
)
def test_options_that_do_not_fit_are_refused_before_anything_is_read(accuracy, capsys, arguments, message):
    with pytest.raises(SystemExit):
        accuracy.main(arguments.split())
    assert message in capsys.readouterr().err


def test_each_draw_searches_among_its_own_training_people(accuracy, tmp_path, monkeypatch):
    """The settings of a draw know none of the people that it tests."""
    searched, measured, measure = [], [], accuracy.measure

    def search(reid, X, y):
        searched.append(set(y.tolist()))
        return {"n_filters": 8}

    def recorded(systems, dataset, train, tested, options):
        measured.append((systems["searched"].n_filters, set(dataset["target"][tested].tolist())))
        return measure({"pixels": systems["pixels"]}, dataset, train, tested, options)

    monkeypatch.setattr(accuracy, "searched", search)
    monkeypatch.setattr(accuracy, "measure", recorded)
    rows_of(accuracy, tmp_path, "--systems", "pixels", "searched", "--search", "--draws", "2")
    assert [n_filters for n_filters, _ in measured] == [8, 8]
    assert all(not people & tested for people, (_, tested) in zip(searched, measured, strict=True))
    assert searched[0] != searched[1]


def test_a_network_of_fewer_filters_is_described_by_all_of_them(accuracy, tmp_path):
    """The shallowest of the three layers has 128, where the strongest descriptor asks for 256."""
    options = ["--backbone", "resnet18", "--draws", "1", "--systems"]
    (row,) = rows_of(accuracy, tmp_path, *options, "strongest, PCA, LDA")
    assert row["dimensions"] == 3


def test_a_pca_keeps_no_more_dimensions_than_there_are(accuracy, tmp_path, monkeypatch):
    monkeypatch.setattr(accuracy, "capacity", lambda reid: (512, 3))
    (row,) = rows_of(accuracy, tmp_path, "--draws", "1", "--systems", "default, PCA")
    assert row["dimensions"] == 3


def test_the_capacity_of_a_network_is_known_without_training_it(benchmark):
    """64 filters of each of three layers, whose maps have 4, 2 and 1 rows."""
    data = benchmark("_data")
    reid = MultiDepthReID(backbone="vgg11", input_size=(16, 16), blur_size=(2, None), device="cpu")
    assert data.capacity(reid) == (256, 64 * (4 + 2 + 1))
