"""Random input and damaged bytes for every reader: a result, or an error that names the culprit; never anything else.

`pytest --hypothesis-profile=nightly tests/test_fuzz.py` tries more than 10,000 inputs; the default, a few hundred.
"""

import contextlib
import functools
import io
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
import strategies as own
import torch
from hypothesis import given, target
from hypothesis import settings as tries
from hypothesis import strategies as st
from networks import narrow
from PIL import Image
from safetensors.numpy import save_file

from skreid import MultiDepthReID, datasets
from skreid._images.source import ImageSource
from skreid._network.building import build_backbone
from skreid._network.weights import fit_weights, initial_weights
from skreid.exceptions import ImageError
from skreid.gallery import Gallery
from skreid.persistence import dump, load

rng = np.random.default_rng(0)
PIXELS = rng.integers(0, 256, (24, 12, 3), dtype=np.uint8)
pytestmark = pytest.mark.filterwarnings("ignore")  # Pillow's and the loaders' remarks on what is damaged


some = tries(max_examples=tries.default.max_examples // 5)  # there are many readers


def attempt(call):
    """Return what a call gives and no words, or nothing and the words of its error; any other error is a defect."""
    try:
        return call(), ""
    except (ValueError, FileNotFoundError) as error:
        return None, str(error)


@pytest.fixture(scope="module")
def folder():
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def encoded(kind, **settings):
    file, image = io.BytesIO(), Image.fromarray(PIXELS)
    if kind == "GIF":
        settings |= {"save_all": True, "append_images": [Image.fromarray(PIXELS[::-1])]}
    image.save(file, kind, **settings)
    return file.getvalue()


@functools.cache
def exif():
    made = Image.Exif()
    made[0x0112] = 6
    return made


PICTURES = {
    "jpeg": encoded("JPEG", exif=exif()),
    "jpeg, progressive": encoded("JPEG", progressive=True, quality=50),
    "png": encoded("PNG", exif=exif()),
    "gif": encoded("GIF"),
    "bmp": encoded("BMP"),
    "ppm": encoded("PPM"),
    "webp": encoded("WEBP"),
    "tiff": encoded("TIFF"),
    "tiff, lzw": encoded("TIFF", compression="tiff_lzw"),
    "tiff, jpeg": encoded("TIFF", compression="jpeg"),
}


# images ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", PICTURES)
@some
@given(data=st.data())
def test_damaged_pictures(folder, kind, data):
    """Pixels of the size asked for, or an error that names the file; the other picture is untouched."""
    content = PICTURES[kind]
    for damage in data.draw(st.lists(own.damages(), min_size=1, max_size=3)):
        content = damage(content)
    path = folder / "picture"
    path.write_bytes(content)
    source = ImageSource([PIXELS, path], (24, 12), on_error="nan")
    found = source.read(slice(None)).permute(0, 2, 3, 1).numpy()
    assert found.shape == (2, 24, 12, 3)
    np.testing.assert_array_equal(found[0], PIXELS)
    if source.unusable:
        assert source.unusable[1].startswith(f"image 1 ('{path}')")
        with pytest.raises(ImageError, match=r"image 1 \('"):
            ImageSource([PIXELS, path], (24, 12)).read(slice(None))


@some
@given(X=own.stacks(), size=st.tuples(own.SIDES, own.SIDES), chunk=st.integers(1, 5), n_jobs=st.sampled_from([1, 2]))
def test_pictures_of_every_form(X, size, chunk, n_jobs):
    """Read in any parts, by any number of threads, each is what it is alone; in range, and of its own means."""
    source = ImageSource(X, size, n_jobs)
    together = torch.cat(
        [batch.float() / (255 if batch.dtype == torch.uint8 else 1) for batch in source.batches(chunk)]
    )
    assert together.shape == (len(X), 3, *size)
    assert together.min() >= 0
    assert together.max() <= 1
    for place, image in enumerate(X):
        alone = ImageSource([image], size).read([0])
        alone = alone.float() / (255 if alone.dtype == torch.uint8 else 1)
        torch.testing.assert_close(together[place], alone[0], atol=1e-6, rtol=0)
        array = np.asarray(image)
        scaled = array / (255 if array.dtype == np.uint8 else 1)
        assert together[place].min() >= scaled.min() - 0.01
        assert together[place].max() <= scaled.max() + 0.01


ODD = st.none() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5) | st.just({}) | st.just([])
ODD |= st.just(object()) | own.anything()


@some
@given(X=st.lists(own.pictures() | ODD | st.lists(ODD, max_size=3), min_size=1, max_size=4) | ODD)
def test_what_may_be_no_picture(X):
    """A batch of pictures in range, or a ValueError in words."""
    found, said = attempt(lambda: ImageSource(X, (6, 5)).read(slice(None)))
    if said:
        assert len(said) > 20
    else:
        assert found.shape == (len(X), 3, 6, 5)
        assert torch.isfinite(found.float()).all()


# the estimator --------------------------------------------------------------------------------------------


DATA = ("identit", "pair", "camera", "pass through")  # words of errors about data, which come first


@some
@given(chosen=own.parameters(), data=st.data())
def test_parameters_right_and_wrong(people, settings, chosen, data):
    """What is right fits and describes finitely; what is wrong is named before training."""
    given_, mistaken = chosen
    count = data.draw(st.integers(6, 12))
    y = data.draw(own.identities(count, 3))
    cams = data.draw(st.none() | own.cameras(count, 2))
    reid = MultiDepthReID(**settings | {"max_epochs": 0, "input_size": (16, 8)} | given_)
    _, said = attempt(lambda: reid.fit(people.images[:count], y, cams))
    if mistaken is not None:
        assert mistaken in said or any(word in said for word in DATA)
    if said:
        assert mistaken is not None or any(word in said for word in DATA)
        return
    described = reid.transform(people.images)
    assert described.shape == (len(people.images), reid.n_features_out_)
    assert np.isfinite(described).all()


# weights --------------------------------------------------------------------------------------------------


@functools.cache
def weight_files():
    """Return the same weights in each kind of file."""
    state = build_backbone(narrow, 0).weights()
    tensors = {name: torch.from_numpy(value) for name, value in state.items()}
    files = {}
    for kind, new in ((".pth", True), (".old.pth", False)):
        buffer = io.BytesIO()
        torch.save(tensors, buffer, _use_new_zipfile_serialization=new)
        files[kind] = buffer.getvalue()
    with tempfile.TemporaryDirectory() as name:
        save_file(state, Path(name) / "w")
        files[".safetensors"] = (Path(name) / "w").read_bytes()
    return files


@pytest.mark.parametrize("suffix", [".pth", ".old.pth", ".safetensors"])
@some
@given(data=st.data())
def test_damaged_weights(folder, suffix, data):
    """A network of the right shapes with finite weights, or a ValueError."""
    content = weight_files()[suffix]
    for damage in data.draw(st.lists(own.damages(), min_size=1, max_size=3)):
        content = damage(content)
    path = folder / f"w{suffix}"
    path.write_bytes(content)
    network, said = attempt(lambda: fit_weights(build_backbone(narrow, 1), initial_weights(path, narrow)[0]))
    if said:
        assert "weights" in said
    else:
        for name, value in network.weights().items():
            assert value.shape == build_backbone(narrow, 0).weights()[name].shape
            assert np.isfinite(value).all()


# estimators -----------------------------------------------------------------------------------------------


@functools.cache
def estimator_file():
    from skreid.metric_learning import XQDA

    with tempfile.TemporaryDirectory() as name:
        metric = XQDA().fit(np.random.default_rng(0).normal(size=(12, 3)), np.repeat(np.arange(6), 2))
        return dump(metric, Path(name) / "x.skops").read_bytes()


@some
@given(damage=own.damages())
def test_damaged_estimators(folder, damage):
    """An estimator of the same class, or a ValueError that names the file."""
    path = folder / "x.skops"
    path.write_bytes(damage(estimator_file()))
    _, said = attempt(lambda: load(path))
    assert not said or "x.skops" in said


# galleries ------------------------------------------------------------------------------------------------


@functools.cache
def gallery_files():
    with tempfile.TemporaryDirectory() as name:
        descriptors = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
        Gallery(descriptors, ids=[f"p{i}" for i in range(9)], cams=np.arange(9) % 2).save(name)
        return {path.name: path.read_bytes() for path in sorted(Path(name).iterdir())}


@some
@given(damage=own.damages(), which=st.integers(0, 3), probes=own.descriptors(2, 4))
def test_damaged_galleries(damage, which, probes):
    """A gallery that ranks its own places, or a ValueError that names it, or the missing file."""
    with tempfile.TemporaryDirectory() as name:
        files = gallery_files()
        for place, (file, content) in enumerate(files.items()):
            (Path(name) / file).write_bytes(damage(content) if place == which else content)
        gallery, said = attempt(lambda: Gallery.open(name))
        assert not said or name in said
        if said:
            return
        indices, said = attempt(lambda: gallery.kneighbors(probes, 3, return_distance=False))
        if said:
            assert len(said) > 20
        else:
            assert ((indices >= 0) & (indices < len(gallery))).all()
            assert all(len(set(row)) == len(row) for row in indices.tolist())


# data sets ------------------------------------------------------------------------------------------------


TABLE = "path,identity,camera\na.png,anna,1\nb.png,bö,2\n".encode()


@some
@given(damages=st.lists(own.damages(), min_size=1, max_size=3), noise=st.none() | st.binary(max_size=80))
def test_damaged_tables(folder, damages, noise):
    """Rows whose images are there, or an error that names the table."""
    content = TABLE if noise is None else TABLE[:21] + noise
    for damage in damages:
        content = damage(content)
    for image in ("a.png", "b.png"):
        (folder / image).write_bytes(PICTURES["png"])
    path = folder / "table.csv"
    path.write_bytes(content)
    data, said = attempt(lambda: datasets.load_csv(path))
    if said:
        assert "table.csv" in said
    else:
        assert len(data.paths) == len(data.target) == len(data.cams)
        assert all(os.path.isfile(found) for found in data.paths)


LISTS = ("train", "val", "query", "gallery")


@some
@given(damage=own.damages(), which=st.sampled_from(LISTS), noise=st.none() | st.binary(max_size=40))
def test_damaged_lists(damage, which, noise):
    """MSMT17's own lists: images that are there, or an error that names the list or the set."""
    with tempfile.TemporaryDirectory() as name:
        for camera, listed in enumerate(LISTS, 1):
            half = "train" if camera < 3 else "test"
            image = f"0000/0000_000_{camera:02d}_0303noon_0015_0.jpg"
            (Path(name) / half / "0000").mkdir(parents=True, exist_ok=True)
            (Path(name) / half / image).write_bytes(PICTURES["jpeg"])
            content = f"{image} 0\n".encode() + (noise or b"")
            (Path(name) / f"list_{listed}.txt").write_bytes(damage(content) if listed == which else content)
        data, said = attempt(lambda: datasets.load_msmt17(name))
        if said:
            assert name in said
        else:
            assert all(os.path.isfile(found) for found in data.paths)
            assert len(data.paths) == len(data.target) == len(data.cams)


@functools.cache
def matlab_file():
    from test_datasets_loaders import write_mat

    with tempfile.TemporaryDirectory() as name:
        write_mat(Path(name) / "cuhk-03.mat")
        return (Path(name) / "cuhk-03.mat").read_bytes()


@some
@given(damages=st.lists(own.damages(), min_size=1, max_size=3))
def test_damaged_matlab_files(damages):
    """The set with its labels, or an error that names file or set; written images are pictures."""
    pytest.importorskip("h5py")
    content = matlab_file()
    for damage in damages:
        content = damage(content)
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "cuhk-03.mat").write_bytes(content)
        data, said = attempt(lambda: datasets.load_cuhk03(name, extract_to=Path(name) / "out"))
        if said:
            assert name in said
        else:
            ImageSource(data.paths, (8, 4)).read(slice(None))
            assert len(data.paths) == len(data.target)


LAYOUTS = [
    datasets.load_cuhk01,
    datasets.load_cuhk03,
    datasets.load_grid,
    datasets.load_ilids,
    datasets.load_image_folder,
    datasets.load_market1501,
    datasets.load_msmt17,
    datasets.load_pku_reid,
    datasets.load_prid2011,
    datasets.load_viper,
]


@pytest.mark.parametrize("loader", LAYOUTS)
@some
@given(data=st.data())
def test_folders_of_any_names(loader, data):
    """Folders that look like a set and hold files of other names: all images told of, or an error in words."""
    with tempfile.TemporaryDirectory() as name:
        made = 0
        for path in data.draw(st.lists(own.file_names(loader), min_size=1, max_size=5, unique=True)):
            whole = Path(os.fsdecode(os.path.join(os.fsencode(name), os.fsencode(path))))
            with contextlib.suppress(OSError):  # a file where a folder should be
                whole.parent.mkdir(parents=True, exist_ok=True)
                whole.write_bytes(PICTURES["ppm"])
                made += 1
        found, said = attempt(lambda: loader(name))
        if said:
            assert name in said
        else:
            assert len(found.paths) == len(found.target)
            assert len(found.paths) + len(found.report.unmatched) <= made
            assert found.target.dtype.kind in "iU"
            target(float(len(found.paths)))
