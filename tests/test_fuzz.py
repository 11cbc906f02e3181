"""Random input and damaged files for every reader: a result, or an error that names the input, and nothing else.

`pytest --hypothesis-profile=nightly tests/test_fuzz.py` tries more than 10,000 inputs; the default, a few hundred.
`test_fuzz_inputs.py` does the same for labels and numbers in any container.
"""

import contextlib
import csv
import functools
import io
import os
import re
import tempfile
import unicodedata
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
from skreid._network.weights import initial_weights
from skreid.datasets._labels import is_missing
from skreid.exceptions import ImageError
from skreid.gallery import Gallery
from skreid.persistence import dump, load

rng = np.random.default_rng(0)
PIXELS = rng.integers(0, 256, (24, 12, 3), dtype=np.uint8)
pytestmark = pytest.mark.filterwarnings("ignore")  # warnings of Pillow and the loaders about damaged files

a_fifth = tries(max_examples=tries.default.max_examples // 5)  # there are many readers


def attempt(call):
    """Return a call's result and no message, or None and the message of its error; errors of other types are bugs."""
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


ENCODED = {
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


@pytest.mark.parametrize("kind", ENCODED)
@a_fifth
@given(data=st.data())
def test_damaged_image_is_read_or_named(folder, kind, data):
    """The result has the size asked for, or the error names the file; the other image does not change."""
    content = ENCODED[kind]
    for damage in data.draw(st.lists(own.damages(), min_size=1, max_size=3)):
        content = damage(content)
    path = folder / "image"
    path.write_bytes(content)
    source = ImageSource([PIXELS, path], (24, 12), on_error="nan")
    result = source.read(slice(None)).permute(0, 2, 3, 1).numpy()
    assert result.shape == (2, 24, 12, 3)
    np.testing.assert_array_equal(result[0], PIXELS)
    if source.unusable:
        assert source.unusable[1].startswith(f"image 1 ('{path}')")
        with pytest.raises(ImageError, match=r"image 1 \('"):
            ImageSource([PIXELS, path], (24, 12)).read(slice(None))


@a_fifth
@given(X=own.stacks(), size=st.tuples(own.SIDES, own.SIDES), chunk=st.integers(1, 5), n_jobs=st.sampled_from([1, 2]))
def test_image_does_not_depend_on_batch_and_threads(X, size, chunk, n_jobs):
    """In batches of any size and any number of threads, images are read as alone, and within their own range."""
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


@a_fifth
@given(X=st.lists(own.images() | ODD | st.lists(ODD, max_size=3), min_size=1, max_size=4) | ODD)
def test_any_object_as_x_is_read_or_refused(X):
    """The result is a batch of finite images, or the error has a message."""
    batch, message = attempt(lambda: ImageSource(X, (6, 5)).read(slice(None)))
    if message:
        assert len(message) > 20
    else:
        assert batch.shape == (len(X), 3, 6, 5)
        assert torch.isfinite(batch.float()).all()


# the estimator --------------------------------------------------------------------------------------------


DATA = ("identit", "pair", "camera", "pass through")  # words in errors about data, which may come first


@a_fifth
@given(chosen=own.parameters(), data=st.data())
def test_wrong_parameters_are_named_and_right_ones_fit(people, settings, chosen, data):
    """Right parameters give finite descriptors; a wrong one is named."""
    given_, mistaken = chosen
    count = data.draw(st.integers(6, 12))
    y = data.draw(own.identities(count, 3))
    cams = data.draw(st.none() | own.cameras(count, 2))
    reid = MultiDepthReID(**settings | {"max_epochs": 0, "input_size": (16, 8)} | given_)
    _, message = attempt(lambda: reid.fit(people.images[:count], y, cams))
    if mistaken is not None:
        assert mistaken in message or any(word in message for word in DATA)
    if message:
        assert mistaken is not None or any(word in message for word in DATA)
        return
    described = reid.transform(people.images)
    assert described.shape == (len(people.images), reid.n_features_out_)
    assert np.isfinite(described).all()


# weights --------------------------------------------------------------------------------------------------


@functools.cache
def weight_files():
    """Return the contents of files of each kind with the same weights."""
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
@a_fifth
@given(data=st.data())
def test_damaged_weights_are_read_or_refused(folder, suffix, data):
    """The result is a network of the right shapes with finite weights, or a ValueError about weights."""
    content = weight_files()[suffix]
    for damage in data.draw(st.lists(own.damages(), min_size=1, max_size=3)):
        content = damage(content)
    path = folder / f"w{suffix}"
    path.write_bytes(content)
    network, message = attempt(lambda: build_backbone(narrow, 1).load_weights(initial_weights(path, narrow)[0]))
    if message:
        assert "weights" in message
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


@a_fifth
@given(damage=own.damages())
def test_damaged_estimator_is_read_or_named(folder, damage):
    """The error names the file."""
    path = folder / "x.skops"
    path.write_bytes(damage(estimator_file()))
    _, message = attempt(lambda: load(path))
    assert not message or "x.skops" in message


# galleries ------------------------------------------------------------------------------------------------


@functools.cache
def gallery_files():
    with tempfile.TemporaryDirectory() as name:
        descriptors = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
        Gallery(descriptors, ids=[f"p{i}" for i in range(9)], cams=np.arange(9) % 2).save(name)
        return {path.name: path.read_bytes() for path in sorted(Path(name).iterdir())}


@a_fifth
@given(damage=own.damages(), which=st.integers(0, 3), probes=own.descriptors(2, 4))
def test_damaged_gallery_ranks_or_is_named(damage, which, probes):
    """The result is a gallery that ranks its own images, or an error that names it."""
    with tempfile.TemporaryDirectory() as name:
        files = gallery_files()
        for place, (file, content) in enumerate(files.items()):
            (Path(name) / file).write_bytes(damage(content) if place == which else content)
        gallery, message = attempt(lambda: Gallery.open(name))
        assert not message or name in message
        if message:
            return
        indices, message = attempt(lambda: gallery.kneighbors(probes, 3, return_distance=False))
        if message:
            assert len(message) > 20
        else:
            assert ((indices >= 0) & (indices < len(gallery))).all()
            assert all(len(set(row)) == len(row) for row in indices.tolist())


# datasets ------------------------------------------------------------------------------------------------


TABLE = "path,identity,camera\na.png,anna,1\nb.png,bö,2\n".encode()


@a_fifth
@given(damages=st.lists(own.damages(), min_size=1, max_size=3), noise=st.none() | st.binary(max_size=80))
def test_damaged_table_is_read_or_named(folder, damages, noise):
    """The result has images that exist, or the error names the table."""
    content = TABLE if noise is None else TABLE[:21] + noise
    for damage in damages:
        content = damage(content)
    for image in ("a.png", "b.png"):
        (folder / image).write_bytes(ENCODED["png"])
    path = folder / "table.csv"
    path.write_bytes(content)
    data, message = attempt(lambda: datasets.load_csv(path))
    if message:
        assert "table.csv" in message
    else:
        assert len(data.paths) == len(data.target) == len(data.cams)
        assert all(os.path.isfile(path) for path in data.paths)


LISTS = ("train", "val", "query", "gallery")


@a_fifth
@given(damage=own.damages(), which=st.sampled_from(LISTS), noise=st.none() | st.binary(max_size=40))
def test_damaged_list_of_msmt17_is_read_or_named(damage, which, noise):
    """The result has images that exist, or the error names the list or the set."""
    with tempfile.TemporaryDirectory() as name:
        for camera, listed in enumerate(LISTS, 1):
            half = "train" if camera < 3 else "test"
            image = f"0000/0000_000_{camera:02d}_0303noon_0015_0.jpg"
            (Path(name) / half / "0000").mkdir(parents=True, exist_ok=True)
            (Path(name) / half / image).write_bytes(ENCODED["jpeg"])
            content = f"{image} 0\n".encode() + (noise or b"")
            (Path(name) / f"list_{listed}.txt").write_bytes(damage(content) if listed == which else content)
        data, message = attempt(lambda: datasets.load_msmt17(name))
        if message:
            assert name in message
        else:
            assert all(os.path.isfile(path) for path in data.paths)
            assert len(data.paths) == len(data.target) == len(data.cams)


@functools.cache
def matlab_file():
    from test_datasets_loaders import write_mat

    with tempfile.TemporaryDirectory() as name:
        write_mat(Path(name) / "cuhk-03.mat")
        return (Path(name) / "cuhk-03.mat").read_bytes()


@a_fifth
@given(damages=st.lists(own.damages(), min_size=1, max_size=3))
def test_damaged_matlab_file_is_read_or_named(damages):
    """The result has labels and readable images, or the error names the file or the set."""
    pytest.importorskip("h5py")
    content = matlab_file()
    for damage in damages:
        content = damage(content)
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "cuhk-03.mat").write_bytes(content)
        data, message = attempt(lambda: datasets.load_cuhk03(name, extract_to=Path(name) / "out"))
        if message:
            assert name in message
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
WHERE = (".", "..", "0.png", "../ann", "ann", "../ann/0.png", "nowhere", "/dev/null")  # what links lead to


def accounted(report):
    """Return whether the files of a report are those listed and those passed over, each once."""
    names = [name for several in report.passed_over.values() for name in several]
    return len(set(names)) == len(names) == report.n_files - report.n_listed


def count_files(root):
    """Return the number of entries below a folder that are not real folders."""
    return sum(
        len(files) + sum(os.path.islink(os.path.join(folder, inner)) for inner in inner_folders)
        for folder, inner_folders, files in os.walk(os.fsencode(root))
    )


@pytest.mark.parametrize("loader", LAYOUTS)
@a_fifth
@given(data=st.data())
def test_folder_with_any_file_names_is_listed_or_named(loader, data):
    """Every file and link is listed or passed over for a reason, or the error names the folder."""
    with tempfile.TemporaryDirectory() as name:
        for path in data.draw(st.lists(own.file_names(loader), min_size=1, max_size=7, unique=True)):
            whole = Path(os.fsdecode(os.path.join(os.fsencode(name), os.fsencode(path))))
            with contextlib.suppress(OSError):  # a file where a folder should be
                whole.parent.mkdir(parents=True, exist_ok=True)
                where = data.draw(st.none() | st.sampled_from(WHERE))
                if where is None:
                    whole.write_bytes(data.draw(st.sampled_from([ENCODED["ppm"], ENCODED["png"], b""])))
                else:
                    whole.symlink_to(where)
        listed, message = attempt(lambda: loader(name))
        if message:
            assert name in message
        else:
            assert len(listed.paths) == len(listed.target)
            assert accounted(listed.report)
            assert listed.report.n_files == count_files(name)
            assert len({os.path.realpath(os.fsencode(path)) for path in listed.paths}) == len(set(listed.paths))
            assert listed.target.dtype.kind in "iU"
            str(listed).encode()  # can be printed
            target(float(len(listed.paths)))


PEOPLE = st.text(st.sampled_from("01aA .+-é\u0301e\uff11\u200bn"), min_size=1, max_size=4) | own.WORDS_FOR_MISSING


@given(
    people=st.lists(PEOPLE, min_size=1, max_size=5, unique=True),
    cams=st.lists(PEOPLE, min_size=1, max_size=3, unique=True),
)
def test_no_two_names_become_one_person_or_camera_unnoticed(people, cams):
    """Labels are equal exactly where Unicode says that the names are, or the error says which one is missing."""
    with tempfile.TemporaryDirectory() as name:
        made = {}
        for who in people:
            for cam in cams:
                path = Path(name) / f"x{who}" / f"c{cam}_.png"
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(ENCODED["png"])
                made[str(path)] = who, cam
        pattern = r"^x(?P<identity>.*)/c(?P<camera>.*)_\.png$"
        listed, message = attempt(lambda: datasets.load_image_folder(name, pattern=pattern, check_duplicates=False))
        absent = [text for text in (*people, *cams) if is_missing(text)]
        if message:
            assert name in message
            assert absent
            return
        assert not set(absent) - set(cams)
        assert len(listed.paths) == len(made)
        same = functools.partial(unicodedata.normalize, "NFD")
        for labels, place in ((listed.target, 0), (listed.cams, 1)):
            if labels is None:
                assert all(map(is_missing, cams))
                continue
            expected = [same(made[path][place]) for path in listed.paths]
            for i, one in enumerate(expected):
                for j, other in enumerate(expected):
                    assert (labels[i] == labels[j]) == (one == other)


@given(data=st.data())
def test_any_cell_of_a_table_is_a_label_or_refused_by_line(folder, data):
    """No label comes from another cell, none is blank, and none of two cells is joined but for blanks and Unicode."""
    cell = st.text(st.sampled_from('01a ,"\n\r\t;é'), max_size=4) | own.WORDS_FOR_MISSING
    rows = data.draw(st.lists(st.tuples(st.just("a.png"), cell, cell), min_size=1, max_size=4))
    (folder / "a.png").write_bytes(ENCODED["png"])
    path, text = folder / "cells.csv", io.StringIO()
    csv.writer(text).writerows([("path", "identity", "camera"), *rows])
    path.write_bytes(text.getvalue().encode())
    table, message = attempt(lambda: datasets.load_csv(path))
    if message:
        assert "cells.csv" in message
        assert re.search(r"(?i)line \d", message)
    else:
        assert [str(label) for label in to_plain(table.target)] == [to_plain(who) for _, who, _ in rows]
        if table.cams is None:
            assert all(is_missing(cam) or cam.strip() in ("NA", "NaN", "null") for _, _, cam in rows)
        else:
            assert [str(label) for label in to_plain(table.cams)] == [to_plain(cam) for _, _, cam in rows]


def to_plain(given_):
    """Return a cell, or labels, without blanks around them, and numbers without zeros before them."""
    if isinstance(given_, np.ndarray):
        return [to_plain(str(label)) for label in given_.tolist()]
    text = unicodedata.normalize("NFC", given_.strip())
    return str(int(text)) if re.fullmatch("[+-]?[0-9]+", text) else text
