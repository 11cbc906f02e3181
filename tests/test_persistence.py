"""Estimators saved by every route and loaded in a fresh process without CUDA describe the same, bit for bit."""

import copy
import os
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
import skops.io
from networks import narrow
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skreid.multidepth
from skreid import MultiDepthReID, persistence, rank_gallery
from skreid.descriptors import LOMO
from skreid.rivals import FCDF

LOADER = """
import pickle, sys, warnings
from pathlib import Path
import joblib, numpy as np, skops.io
folder = Path(sys.argv[1])
images = np.load(folder / "images.npy")
warnings.simplefilter("always")
for path in sorted(folder.glob("*.*")):
    with warnings.catch_warnings(record=True) as caught:
        if path.suffix == ".pkl":
            loaded = pickle.loads(path.read_bytes())
        elif path.suffix == ".joblib":
            loaded = joblib.load(path)
            mapped = joblib.load(path, mmap_mode="r")
            np.save(folder / f"{path.name}-mapped.out", mapped.transform(images), allow_pickle=False)
            assert isinstance(next(iter(mapped.weights_.values())), np.memmap)
            assert joblib.hash(mapped, coerce_mmap=True) == joblib.hash(loaded)
        elif path.suffix == ".skops":
            loaded = skops.io.load(path, trusted=["skreid.multidepth.MultiDepthReID"])
        else:
            continue
        digest = joblib.hash(loaded)
        np.save(folder / f"{path.name}.out", loaded.transform(images), allow_pickle=False)
        assert joblib.hash(loaded) == digest
    messages = "\\n".join(str(warning.message) for warning in caught if warning.category is UserWarning)
    (folder / f"{path.name}.txt").write_text(f"{digest}\\n{messages}")
assert "torch" in sys.modules and not sys.modules["torch"].cuda.is_available()
"""


@pytest.fixture(scope="module")
def small(people):
    """Return a small network of torchvision, fitted without training, with everything that a descriptor may need."""
    return MultiDepthReID(
        backbone="squeezenet1_1", layers=("2", "3"), input_size=(48, 32), blur_size=(4, None), sampling="box",
        normalize="whitened", average_flips=True, max_epochs=0, device="cpu", random_state=0,
    ).fit(people.images, people.target)  # fmt: skip


@pytest.fixture(scope="module")
def kept(people, fitted, small, tmp_path_factory):
    """Save by every route, load all files in one fresh process that has no CUDA device, and return their folder."""
    folder = tmp_path_factory.mktemp("kept")
    np.save(folder / "images.npy", people.images)
    (folder / "trained.pkl").write_bytes(pickle.dumps(fitted))
    (folder / "named.pkl").write_bytes(pickle.dumps(small))
    (folder / "copied.pkl").write_bytes(pickle.dumps(copy.deepcopy(fitted)))
    joblib.dump(fitted, folder / "trained.joblib")
    joblib.dump(small, folder / "named.joblib")
    skops.io.dump(small, folder / "named.skops")
    (folder / "cuda.pkl").write_bytes(pickle.dumps(copy.deepcopy(fitted).set_params(device="cuda")))
    pipeline = make_pipeline(fitted, StandardScaler().fit(fitted.transform(people.images)))
    (folder / "pipeline.pkl").write_bytes(pickle.dumps(pipeline))
    paths = os.pathsep.join([str(Path(__file__).parent), str(Path(skreid.__file__).parents[1])])
    environment = os.environ | {"PYTHONPATH": paths, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", LOADER, str(folder)], check=True, env=environment, timeout=240)
    return folder


def loaded_descriptors(kept, name):
    return np.load(kept / f"{name}.out.npy")


@pytest.mark.parametrize(
    ("file", "original"),
    [
        ("trained.pkl", "fitted"),
        ("copied.pkl", "fitted"),
        ("trained.joblib", "fitted"),
        ("trained.joblib-mapped", "fitted"),
        ("named.pkl", "small"),
        ("named.joblib", "small"),
        ("named.joblib-mapped", "small"),
        ("named.skops", "small"),
        ("cuda.pkl", "fitted"),
    ],
)
def test_descriptors_survive_bit_for_bit(people, kept, request, file, original):
    """The estimator is loaded in another process."""
    original = request.getfixturevalue(original)
    np.testing.assert_array_equal(loaded_descriptors(kept, file), original.transform(people.images))


@pytest.mark.parametrize("file", ["trained.pkl", "trained.joblib", "named.pkl", "named.joblib", "named.skops"])
def test_hashes_survive_without_a_warning(kept, fitted, small, file):
    """`joblib.hash` is the same before saving, after loading in another process, and after use."""
    digest, messages = (kept / f"{file}.txt").read_text().split("\n", 1)
    assert digest == joblib.hash(fitted if file.startswith("trained") else small)
    assert messages == ""


def test_a_pipeline_survives(people, kept, fitted):
    descriptors = fitted.transform(people.images)
    expected = StandardScaler().fit(descriptors).transform(descriptors)
    np.testing.assert_array_equal(loaded_descriptors(kept, "pipeline.pkl"), expected)


def test_a_pipeline_that_ends_in_fcdfs_metric_ranks_the_same_after_loading(people, tmp_path):
    deep = MultiDepthReID(backbone="squeezenet1_1", layers="2", input_size=(48, 32), max_epochs=0, random_state=0)
    fcdf = FCDF(handcrafted=LOMO(n_scales=1, window_size=6, step=3, n_bins=3), deep=deep, random_state=0)
    pipeline = make_pipeline(fcdf, fcdf.metric()).fit(people.images, people.target)
    loaded = persistence.load(persistence.dump(pipeline, tmp_path / "pipeline.skops"))
    expected = rank_gallery(pipeline, people.images[:5], people.images, n_neighbors=32)
    for mine, theirs in zip(
        rank_gallery(loaded, people.images[:5], people.images, n_neighbors=32), expected, strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)


def test_no_tensor_is_saved(fitted, kept, small, people):
    """Files hold numpy arrays and plain values only, even after the estimator has built its network."""
    small.transform(people.images[:2])
    assert b"torch" not in pickle.dumps(small)
    for file in ("trained.pkl", "trained.joblib", "named.joblib", "named.skops"):
        assert b"torch" not in (kept / file).read_bytes()


def test_skops_has_to_trust_only_the_estimators_own_class(small):
    assert skops.io.get_untrusted_types(data=skops.io.dumps(small)) == ["skreid.multidepth.MultiDepthReID"]


def test_a_missing_device_is_replaced_by_the_cpu_with_a_warning(people, kept, fitted, monkeypatch):
    """Fitting on it is refused; device="auto" and "cpu" do not warn."""
    assert "device='cuda', but torch finds no such CUDA device: using the CPU" in (kept / "cuda.pkl.txt").read_text()
    monkeypatch.setattr("torch.accelerator.is_available", lambda: False)
    loaded = pickle.loads((kept / "cuda.pkl").read_bytes())
    uses = [
        lambda: loaded.transform(people.images),
        lambda: loaded.feature_maps(people.images),
        lambda: loaded.kneighbors(people.images[:1], people.images),
        lambda: loaded.score(people.images, people.target),
    ]
    for use in uses:
        with pytest.warns(UserWarning, match=r"using the CPU; set_params\(device='auto'\)"):
            use()
    with pytest.raises(ValueError, match="finds no such CUDA device; use device='auto' or 'cpu'"):
        loaded.fit(people.images, people.target)
    loaded.set_params(device="cpu")
    np.testing.assert_array_equal(loaded.transform(people.images), fitted.transform(people.images))


@pytest.mark.parametrize("device", ["meta", "cuda:99", "mps:7"])
def test_fit_refuses_a_device_that_does_not_exist(people, fitted, device):
    with pytest.raises(ValueError, match=f"device='{device}', but torch finds no such"):
        clone(fitted).set_params(device=device).fit(people.images, people.target)


@pytest.mark.parametrize("route", ["pickle", "joblib", "skops"])
def test_loading_a_file_of_another_version_warns(small, monkeypatch, tmp_path, route):
    """The warning names both versions. There is none for the same version."""

    def save():
        if route == "pickle":
            return pickle.dumps(small), pickle.loads
        if route == "joblib":
            joblib.dump(small, tmp_path / "small.joblib")
            return tmp_path / "small.joblib", joblib.load
        return skops.io.dumps(small), lambda data: skops.io.loads(data, trusted=["skreid.multidepth.MultiDepthReID"])

    with monkeypatch.context() as patch:
        patch.setattr(skreid.multidepth, "__version__", "0.0.7")
        saved, load = save()
    with pytest.warns(UserWarning, match=f"saved by skreid 0.0.7 and is loaded by skreid {skreid.__version__}"):
        load(saved)
    saved, load = save()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(saved)


def test_a_deep_copy_shares_nothing_with_its_original(people, fitted):
    """It has the same hash and descriptors, and changing it does not change the original."""
    other = copy.deepcopy(fitted)
    assert joblib.hash(other) == joblib.hash(fitted)
    expected = fitted.transform(people.images)
    np.testing.assert_array_equal(other.transform(people.images), expected)
    for weights in other.weights_.values():
        weights += 1
    np.testing.assert_array_equal(fitted.transform(people.images), expected)


def test_clones_are_not_fitted_and_have_equal_hashes(people, fitted):
    with pytest.raises(NotFittedError):
        clone(fitted).transform(people.images)
    assert joblib.hash(clone(fitted)) == joblib.hash(clone(clone(fitted)))


def test_a_lambda_backbone_works_but_cannot_be_pickled(people, settings):
    """The error of pickle names the lambda."""
    reid = MultiDepthReID(**(settings | {"backbone": lambda: narrow()})).fit(people.images, people.target)
    assert rank_gallery(reid, people.images[:1], people.images, return_distance=False)[0, 0] == 0
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(reid)


@pytest.mark.skipif(sys.platform == "win32", reason="limits sizes of files by resource")
@pytest.mark.parametrize("there", [True, False])
def test_a_dump_to_a_full_disk_leaves_the_existing_file_unchanged(tmp_path, there):
    """The error names the path and a remedy, and no temporary file is left."""
    path = tmp_path / "scaler.skops"
    if there:
        persistence.dump(StandardScaler().fit([[0.0], [3.0]]), path)
    code = (
        "import resource, sys, numpy as np, skreid.persistence\n"
        "from sklearn.preprocessing import StandardScaler\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2**14, 2**14))\n"
        "try: skreid.persistence.dump(StandardScaler().fit(np.eye(2, 10_000)), sys.argv[1])\n"
        "except OSError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert f"'{path}' could not be written" in done.stdout
    assert "Free some space, or give another path" in done.stdout
    assert [each.name for each in tmp_path.iterdir()] == ["scaler.skops"] * there
    assert not there or persistence.load(path).mean_ == 1.5


@pytest.mark.skipif(sys.platform == "win32", reason="needs rights for links")
def test_a_dump_to_a_link_replaces_the_file_it_points_to(tmp_path):
    (tmp_path / "link.skops").symlink_to(tmp_path / "file.skops")
    for value in (1.0, 2.0):
        persistence.dump(StandardScaler().fit([[value]]), tmp_path / "link.skops")
        assert persistence.load(tmp_path / "file.skops").mean_ == value
    assert (tmp_path / "link.skops").is_symlink()
