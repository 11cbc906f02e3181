"""Files from strangers: no code in them is run, and they are refused with the reason."""

import hashlib
import io
import json
import pickle
import struct
import zipfile

import numpy as np
import pytest
import torch
import torchvision
from networks import narrow
from safetensors.numpy import save_file
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import skreid
from skreid._base.archives import ArchiveError, check_archive
from skreid._network.building import build_backbone
from skreid._network.weights import initial_weights
from skreid._training.checkpoint import Checkpoint
from skreid.datasets import load_cuhk03
from skreid.gallery import Gallery
from skreid.persistence import dump, load, trusted_types


@pytest.fixture
def evil(tmp_path):
    """Return an object whose pickle creates a file when loaded, and check that the test did not create it."""
    ran = tmp_path / "ran"

    class Evil:
        def __reduce__(self):
            return open, (str(ran), "w")

    pickle.loads(pickle.dumps(Evil())).close()
    assert ran.exists()  # it works
    ran.unlink()
    yield Evil()
    assert not ran.exists()


def archive(**entries):
    """Return a zip archive. Values are contents, or tuples of content and compression."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name, content in entries.items():
            content, compression = content if isinstance(content, tuple) else (content, zipfile.ZIP_STORED)
            made.writestr(name, content, compression)
    return file.getvalue()


def quine_like():
    """Return an archive whose table lists the same stored entry a thousand times."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("data", bytes(10_000))
        made.filelist *= 1000
    return file.getvalue()


BOMB = bytes(2**24), zipfile.ZIP_DEFLATED
ARCHIVES = {
    "bomb": (archive(**{"archive/data.pkl": BOMB}), "grow from .* as a zip bomb does"),
    "overlap": (quine_like(), "grow from .* as a zip bomb does"),
    "climbs": (archive(**{"../../outside": b"x"}), "leads out of the archive"),
    "absolute": (archive(**{"/etc/outside": b"x"}), "leads out of the archive"),
    "drive": (archive(**{"C:\\outside": b"x"}), "leads out of the archive"),
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_archives_that_grow_or_leave_their_folder_are_refused(tmp_path, kind):
    """Weights, checkpoints and estimators are refused before anything is unpacked."""
    content, message = ARCHIVES[kind]
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(ValueError, match=rf"w\.pth.*{message}"):
        initial_weights(tmp_path / "w.pth", narrow)
    (tmp_path / "epoch-000000.pt").write_bytes(content + hashlib.sha256(content).digest())
    with pytest.warns(UserWarning, match=message):
        assert Checkpoint(tmp_path, {}).load(torch.device("cpu")) is None
    (tmp_path / "e.skops").write_bytes(content)
    with pytest.raises(ValueError, match=rf"e\.skops.*{message}"):
        load(tmp_path / "e.skops")


def test_archives_written_by_torch_and_skops_are_accepted(tmp_path, fitted):
    """Compressed archives of skops and files that are not archives are accepted too."""
    import skops.io
    from sklearn.preprocessing import StandardScaler

    torch.save({name: torch.from_numpy(value) for name, value in fitted.weights_.items()}, tmp_path / "w.pth")
    check_archive(tmp_path / "w.pth")
    skops.io.dump(StandardScaler().fit(np.eye(9)), tmp_path / "s.skops", compression=zipfile.ZIP_DEFLATED)
    check_archive(tmp_path / "s.skops", growth=100)
    check_archive(io.BytesIO(b"text"))
    with pytest.raises(ArchiveError, match="table of entries is damaged"):
        check_archive(io.BytesIO(archive(a=b"b").replace(b"PK\1\2", b"PK\1\3")))


def test_a_tensor_larger_than_its_file_is_refused(tmp_path):
    """Weights and checkpoints are checked; torch before 2.10 would read beyond the tensor's memory."""
    saved = io.BytesIO()
    torch.save({"origin": {}, "state": torch.zeros(100_000)}, saved)
    with zipfile.ZipFile(saved) as honest:
        entries = {name: honest.read(name) for name in honest.namelist()}
    content = archive(**{name: value[:4] if name.endswith("data/0") else value for name, value in entries.items()})
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(ValueError, match=r"w\.pth' could not be read"):
        initial_weights(tmp_path / "w.pth", narrow)
    (tmp_path / "epoch-000000.pt").write_bytes(content + hashlib.sha256(content).digest())
    with pytest.warns(UserWarning, match="is damaged"):
        assert Checkpoint(tmp_path, {}).load(torch.device("cpu")) is None


# pickles --------------------------------------------------------------------------------------------------


def test_pickles_in_weights_are_not_run(tmp_path, evil):
    """The pickle is alone, within torch's archive or beside tensors, with any file extension."""
    (tmp_path / "a.pth").write_bytes(pickle.dumps(evil, protocol=2))
    torch.save({"layer": torch.zeros(2), "more": evil}, tmp_path / "b.pth")
    torch.save({"more": evil}, tmp_path / "c.pth", _use_new_zipfile_serialization=False)
    (tmp_path / "d.safetensors").write_bytes(pickle.dumps(evil))
    for path in sorted(tmp_path.glob("?.*")):
        with pytest.raises(ValueError, match=path.name):
            initial_weights(path, narrow)


def test_pickles_in_torchs_download_folder_are_not_run(tmp_path, evil, monkeypatch):
    """Somebody may have replaced the file of the pretrained weights."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    name = torchvision.models.VGG16_Weights.IMAGENET1K_V1.url.rpartition("/")[2]
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save({"features.0.bias": evil}, tmp_path / "hub" / "checkpoints" / name)
    with pytest.raises(ValueError, match=r"nothing in it was run\); delete it from"):
        initial_weights("IMAGENET1K_V1", "vgg16")


def test_pickles_in_a_gallery_are_not_run(tmp_path, evil):
    """Any column may be replaced by an array of objects."""
    Gallery(np.eye(3), ids=[1, 2, 3], cams=[0, 0, 1]).save(tmp_path / "g")
    files = json.loads((tmp_path / "g" / "gallery.json").read_text())["files"]
    for name in files.values():
        honest = (tmp_path / "g" / name).read_bytes()
        np.save(tmp_path / "g" / name, np.array([evil] * 3, dtype=object), allow_pickle=True)
        with pytest.raises(ValueError, match="is damaged"):
            Gallery.open(tmp_path / "g")
        (tmp_path / "g" / name).write_bytes(honest)
    assert len(Gallery.open(tmp_path / "g")) == 3


def test_a_pickle_named_like_a_matlab_file_is_not_run(tmp_path, evil):
    """The loader of CUHK03 reads HDF5 only."""
    pytest.importorskip("h5py")
    (tmp_path / "cuhk-03.mat").write_bytes(pickle.dumps(evil))
    with pytest.raises(ValueError, match="is not a MATLAB file of version"):
        load_cuhk03(tmp_path, extract_to=tmp_path / "out")


# estimators -----------------------------------------------------------------------------------------------


def test_loaded_estimators_return_the_same_descriptors_and_distances(tmp_path, people):
    """A network, and a Pipeline that ends in a learned metric."""
    from skreid import MultiDepthReID
    from skreid.metric_learning import XQDA

    reid = MultiDepthReID(
        backbone="squeezenet1_1", layers="2", input_size=(48, 32), max_epochs=0, device="cpu", random_state=0
    ).fit(people.images, people.target)
    again = load(dump(reid, tmp_path / "reid.skops"))
    np.testing.assert_array_equal(again.transform(people.images), reid.transform(people.images))
    rows = reid.transform(people.images)[:, :20]
    pipeline = make_pipeline(StandardScaler(), XQDA()).fit(rows, people.target, xqda__cams=people.cams)
    again = load(dump(pipeline, str(tmp_path / "pipeline.skops")))
    np.testing.assert_array_equal(
        again[-1].pairwise_distances(again[0].transform(rows), again[0].transform(rows)),
        pipeline[-1].pairwise_distances(pipeline[0].transform(rows), pipeline[0].transform(rows)),
    )


def test_every_estimator_of_skreid_is_trusted():
    """By the names that skops uses; so are scorers, splitters, protocols and results, and no other class of it."""
    rooms = [skreid, skreid.descriptors, skreid.metric_learning, skreid.rivals, skreid.model_selection]
    public = [getattr(room, name) for room in rooms for name in room.__all__ if not name.startswith("_")]
    public = [cls for cls in public if hasattr(cls, "get_params") or hasattr(cls, "get_n_splits")]
    public += [getattr(skreid.protocols, name) for name in skreid.protocols.__all__ if name.endswith("Protocol")]
    results = ["_nearest.Nearest", "_result.EvaluationResult", "_result.Repeat", "_where.CameraCounts"]
    names = {f"{cls.__module__}.{cls.__qualname__}" for cls in public}
    names |= {f"skreid.evaluation.{name}" for name in results}
    names |= {"skreid.metrics._ranking.RankingMetrics", "skreid.metrics._summary.Summary", "skreid._scoring.CMCScorer"}
    names |= {"skreid._base.stand_ins.Distribution", "skreid._base.stand_ins.Request"}
    assert {name for name in trusted_types() if not name.startswith("sklearn.model_selection.")} == names


def test_types_that_are_not_trusted_are_named_and_not_run(tmp_path):
    """A parameter may be a function of the attacker's choice."""
    import skops.io
    from skops.io import get_untrusted_types

    with pytest.warns(UserWarning, match=r"only with trusted=\['_pickle.loads'\]"):
        path = dump(FunctionTransformer(func=pickle.loads), tmp_path / "f.skops")
    assert get_untrusted_types(file=path)
    with pytest.raises(ValueError, match=r"f\.skops' was not loaded, and nothing in it was run.*loads"):
        load(path)
    assert load(path, trusted=skops.io.get_untrusted_types(file=path)).func is pickle.loads


@pytest.mark.parametrize("content", [b"", b"text", archive(**{"schema.json": b"{}"}), archive(a=b"b")])
def test_files_that_are_not_estimators_are_refused_by_name(tmp_path, content):
    """Damaged archives and other files are named."""
    (tmp_path / "x.skops").write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.skops' is not a readable skops archive"):
        load(tmp_path / "x.skops")


def test_missing_skops_raises_an_error_that_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "skops.io", None)
    with pytest.raises(ImportError, match=r"skreid\[skops\]"):
        load(tmp_path / "x.skops")


# states of other shapes -----------------------------------------------------------------------------------


@pytest.fixture
def state():
    return build_backbone(narrow, 0).weights()


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_of_another_precision_are_converted(tmp_path, state, dtype, suffix, people, settings):
    """Half and double precision become that of the network, which then trains."""
    path = tmp_path / f"w{suffix}"
    changed = {name: value.astype(dtype) if value.dtype.kind == "f" else value for name, value in state.items()}
    if suffix == ".pth":
        torch.save({name: torch.from_numpy(value) for name, value in changed.items()}, path)
    else:
        save_file(changed, path)
    loaded = build_backbone(narrow, 1).load_weights(initial_weights(path, narrow)[0]).weights()
    for name, value in state.items():
        assert loaded[name].dtype == value.dtype
        np.testing.assert_allclose(loaded[name], value, rtol=1e-3, atol=1e-6)
    reid = skreid.MultiDepthReID(**settings | {"weights": path, "max_epochs": 1}).fit(people.images, people.target)
    assert np.isfinite(reid.transform(people.images)).all()


def test_the_format_of_weights_is_recognised_by_content(tmp_path, state):
    """A safetensors file may have any name; the error on pickled objects does not repeat torch's unsafe advice."""
    save_file(state, tmp_path / "w.pth")
    assert set(initial_weights(str(tmp_path / "w.pth"), narrow)[0]) == set(state)
    (tmp_path / "p.pth").write_bytes(pickle.dumps(Checkpoint, protocol=2))
    with pytest.raises(ValueError, match=r"save model.state_dict\(\) instead, or the weights_") as caught:
        initial_weights(str(tmp_path / "p.pth"), narrow)
    assert "weights_only" not in str(caught.value)


def test_bfloat16_safetensors_are_read(tmp_path, state):
    """They become float32, because numpy has no bfloat16."""
    from safetensors.torch import save_file as save_tensors

    save_tensors(
        {name: torch.from_numpy(value).bfloat16() for name, value in state.items()}, tmp_path / "w.safetensors"
    )
    assert initial_weights(tmp_path / "w.safetensors", narrow)[0]["conv1.weight"].dtype == np.float32


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (torch.zeros(4, 3, 3), r"'conv1.weight' has shape \(4, 3, 3\), the backbone needs \(4, 3, 3, 3\)"),
        (torch.zeros(4, 3, 3, 3, dtype=torch.complex64), "'conv1.weight' holds complex64"),
        (torch.zeros(4, 3, 3, 3, dtype=torch.bool), "'conv1.weight' holds bool"),
        (torch.full((4, 3, 3, 3), 1e300, dtype=torch.float64), "'conv1.weight' holds NaN or infinite"),
        (torch.zeros(1).expand(4, 3, 3, 3), "'conv1.weight' cannot be read as an array: it is larger than"),
        (torch.zeros(4, 3, 3, 3).to(torch.float8_e5m2), "'conv1.weight' cannot be read as an array"),
    ],
)
def test_tensors_that_cannot_be_weights_are_refused_by_name(tmp_path, state, tensor, message):
    """They have another shape or kind, or are a view that claims more values than are stored."""
    torch.save(
        {name: torch.from_numpy(value) for name, value in state.items()} | {"conv1.weight": tensor}, tmp_path / "w"
    )
    with pytest.raises(ValueError, match=message):
        initial_weights(tmp_path / "w", narrow)


# galleries and HDF5 ---------------------------------------------------------------------------------------


def npy(descr, shape, content=b""):
    header = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape!r}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + content


@pytest.mark.parametrize(
    "content",
    [
        npy("<f4", (10**12, 4)),  # more than the file holds
        npy("<f4", (3,), bytes(12)),
        npy("<i4", (3, 3), bytes(36)),
        npy("<f8", (), bytes(8)),
        npy("<f4", (3, 0)),
        npy("|O", (3, 3), bytes(72)),
        npy([("a", "<f4")], (3, 3), bytes(36)),
        npy("<f4", (-3, 3), bytes(36)),
        archive(**{"descriptors.npy": npy("<f4", (3, 3), bytes(36))}),  # what numpy would open as .npz
        npy("__import__('os').getcwd()", (3, 3), bytes(36)),
        b"\x93NUMPY\1\0\x10\x00" + b"(" * 16,
        b"\x93NUMPY\3\0" + bytes(99),
    ],
)
def test_a_gallery_with_a_bad_column_is_refused(tmp_path, content):
    """The column is too large, of another shape or kind, or not an array."""
    Gallery(np.eye(3), ids=[1, 2, 3]).save(tmp_path)
    (next(tmp_path.glob("descriptors-*"))).write_bytes(content)
    with pytest.raises(ValueError, match="is damaged"):
        Gallery.open(tmp_path)


@pytest.mark.parametrize("name", ["../x.npy", "..", "/etc/passwd", "a\\b-c.npy", "sub/ids-x.npy", 3, None, "x\0-y.npy"])
@pytest.mark.parametrize("column", ["descriptors", "ids", "faiss"])
def test_a_gallery_that_names_a_file_outside_its_folder_is_refused(tmp_path, name, column):
    Gallery(np.eye(3), ids=[1, 2, 3]).save(tmp_path)
    card = json.loads((tmp_path / "gallery.json").read_text())
    card["files"][column] = name
    (tmp_path / "gallery.json").write_text(json.dumps(card))
    with pytest.raises(ValueError, match="is not the description of a gallery"):
        Gallery.open(tmp_path)


@pytest.mark.parametrize("settings", [{}, {"engine": "other", "index": "", "effort": 1}, [], None])
def test_a_gallery_with_bad_settings_is_refused(tmp_path, settings):
    Gallery(np.eye(3)).save(tmp_path)
    card = json.loads((tmp_path / "gallery.json").read_text()) | {"settings": settings}
    (tmp_path / "gallery.json").write_text(json.dumps(card))
    with pytest.raises(ValueError, match="is not the description of a gallery"):
        Gallery.open(tmp_path)
    (tmp_path / "gallery.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match="is not the description of a gallery"):
        Gallery.open(tmp_path)


@pytest.mark.parametrize(
    ("trick", "message"),
    [
        ("external data", "refers to data outside of it"),
        ("external link", "refers to data outside of it"),
        ("virtual", "refers to data outside of it"),
        ("claims", "claims 3,000,000,000,000 bytes"),
        ("wide", "contains .V2000.* neither numbers nor references"),
        ("wide numbers", "claims 201,326,592 bytes"),
        ("chunk", "claims 1,000,000,000 bytes"),
        ("group", "is damaged"),
        ("text", "neither numbers nor references"),
        ("no reference", "is damaged"),
    ],
)
def test_a_matlab_file_that_points_outside_or_claims_too_much_is_refused(tmp_path, trick, message):
    """HDF5 can refer to any file of the reader, and claim any size; nothing is written before it is refused."""
    h5py = pytest.importorskip("h5py")
    (tmp_path / "secret").write_bytes(bytes(range(96)))
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["secret"] = np.zeros((3, 4, 8), np.uint8)
    with h5py.File(tmp_path / "cuhk-03.mat", "w") as file:
        kept = file.create_group("kept")
        if trick == "external data":
            external = [(str(tmp_path / "secret"), 0, 96)]
            picture = kept.create_dataset("p", (3, 4, 8), np.uint8, external=external)
        elif trick == "virtual":
            layout = h5py.VirtualLayout((3, 4, 8), np.uint8)
            layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "secret", (3, 4, 8))
            picture = kept.create_virtual_dataset("p", layout)
        elif trick == "claims":
            picture = kept.create_dataset("p", (3, 10**6, 10**6), np.uint8, chunks=(3, 100, 100))
        elif trick == "wide":
            picture = kept.create_dataset("p", (3, 2, 2), "V2000")
        elif trick == "wide numbers":
            picture = kept.create_dataset("p", (3, 2**12, 2**11), np.float64, chunks=(3, 100, 100))
        elif trick == "chunk":
            picture = kept.create_dataset("p", (3, 4, 8), np.uint8, chunks=(1000,) * 3, maxshape=(None,) * 3)
        elif trick == "group":
            picture = kept.create_group("p")
        else:
            picture = kept.create_dataset("p", data=b"text" if trick == "text" else np.zeros((3, 4, 8), np.uint8))
        cells = kept.create_dataset("cells", (10, 1), h5py.ref_dtype)
        cells[...] = picture.ref
        if trick == "text":
            cells = picture
        for name in ("labeled", "testsets"):
            if trick == "external link":
                file[name] = h5py.ExternalLink(tmp_path / "other.h5", "secret")
            elif trick == "no reference":
                file[name] = np.zeros(3)
            else:
                file.create_dataset(name, (1, 1), h5py.ref_dtype)[0, 0] = cells.ref
    with pytest.raises(ValueError, match=rf"cuhk-03\.mat.*{message}"):
        load_cuhk03(tmp_path, extract_to=tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.png"))
