"""Images arrive in many forms; every entry point takes the same ones, and refuses the others by name."""

import collections
import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler
from torch.utils.data import DataLoader, Dataset, TensorDataset

from skreid import MultiDepthReID, describe, rank_gallery
from skreid._images.sequence import as_sequence
from skreid._images.source import ImageSource
from skreid.descriptors import GOG, LOMO
from skreid.exceptions import ImageError

N, SIZE = 6, (24, 12)
rng = np.random.default_rng(0)
colour = rng.integers(0, 256, (N, *SIZE, 3), dtype=np.uint8)


def png(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


ENCODED = [png(image) for image in colour]
PILS = [Image.fromarray(image) for image in colour]
TENSORS = torch.from_numpy(colour).permute(0, 3, 1, 2)  # channels first


class Indexed(Dataset):
    """A data set of images, with labels or without."""

    def __init__(self, images, *labels):
        self.images, self.labels = images, labels

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image = self.images[index]
        return (image, *(label[index] for label in self.labels)) if self.labels else image


class Column:
    """A column of images of a library that decodes when it is asked: length, positions and slices, and no array."""

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index]


NAMES = np.array([f"p{place}" for place in range(N)])

# A function of the paths of PNG files -> X
FORMS = {
    "encoded bytes": lambda paths: ENCODED,
    "bytearray, memoryview": lambda paths: [bytearray(ENCODED[0]), *map(memoryview, ENCODED[1:])],
    "array of encoded bytes": lambda paths: np.array(ENCODED),
    "objects of encoded bytes": lambda paths: np.array([*ENCODED, None], dtype=object)[:-1],
    "array of paths as bytes": lambda paths: np.array([str(path).encode() for path in paths]),
    "paths as bytes": lambda paths: [str(path).encode() for path in paths],
    "files in memory": lambda paths: [io.BytesIO(content) for content in ENCODED],
    "coded, by bytes": lambda paths: [{"bytes": content, "path": "gone.png"} for content in ENCODED],
    "coded, by path": lambda paths: [{"bytes": None, "path": str(path)} for path in paths],
    "column": lambda paths: Column(PILS),
    "column of coded images": lambda paths: Column([{"bytes": content, "path": None} for content in ENCODED]),
    "paths with numbers": lambda paths: [(str(path), place) for place, path in enumerate(paths)],
    "arrays with names": lambda paths: list(zip(colour, NAMES, strict=True)),
    "bytes with names": lambda paths: list(zip(ENCODED, NAMES, strict=True)),
    "grey with numbers": lambda paths: [(image[..., 0], 1) for image in colour],
    "image, identity, camera, path": lambda paths: [[image, 7, 1, "x.png"] for image in PILS],
    "column of lists": lambda paths: [[str(path)] for path in paths],
    "deque": lambda paths: collections.deque(PILS),
    "values of a dict": lambda paths: dict(enumerate(paths)).values(),
    "arrow": lambda paths: pa.array([str(path) for path in paths]),
    "arrow, in parts": lambda paths: pa.chunked_array([ENCODED[:2], ENCODED[2:]]),
    "arrow, coded": lambda paths: pa.array([{"bytes": content, "path": None} for content in ENCODED]),
    "polars, bytes": lambda paths: pl.Series(ENCODED),
    "pandas, bytes": lambda paths: pd.Series(ENCODED),
    "generator": lambda paths: (image for image in colour),
    "zip": lambda paths: zip(PILS, NAMES, strict=True),
    "iterator of batches": lambda paths: iter([colour[:4], colour[4:]]),
    "iterator of labelled batches": lambda paths: ((batch, 0) for batch in TENSORS.split(4)),
    "tensor": lambda paths: TENSORS,
    "list of tensors": lambda paths: list(TENSORS),
    "data set": lambda paths: Indexed(colour),
    "data set of tensors": lambda paths: TensorDataset(TENSORS, torch.arange(N)),
    "data set, labelled": lambda paths: Indexed(PILS, NAMES, range(N)),
    "loader": lambda paths: DataLoader(Indexed(TENSORS), batch_size=4),
    "loader, labelled": lambda paths: DataLoader(Indexed(TENSORS, range(N)), batch_size=4),
    "loader of paths": lambda paths: DataLoader(Indexed(list(map(str, paths)), range(N)), batch_size=4),
    "loader of one at a time": lambda paths: DataLoader(Indexed(list(map(str, paths)), range(N)), batch_size=1),
    "loader without batches": lambda paths: DataLoader(Indexed(PILS, range(N)), batch_size=None),
    "loader, lists of pairs": lambda paths: DataLoader(Indexed(PILS, range(N)), batch_size=2, collate_fn=list),
    "loader, pairs of lists": lambda paths: DataLoader(
        Indexed(PILS, range(N)), batch_size=4, collate_fn=lambda pairs: tuple(map(list, zip(*pairs, strict=True)))
    ),
}


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    names = [folder / f"{place}.png" for place in range(N)]
    for name, content in zip(names, ENCODED, strict=True):
        name.write_bytes(content)
    return names


@pytest.fixture(scope="module")
def reid():
    settings = {"backbone": "vgg11_bn", "input_size": (32, 16), "max_epochs": 0, "random_state": 0, "n_filters": 4}
    return MultiDepthReID(**settings).fit(colour, [0, 0, 1, 1, 2, 2])


SMALL_LOMO = LOMO(n_scales=1, input_size=SIZE)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_pixels_and_descriptors(paths, form):
    """Networks, hand-crafted descriptors and `describe` see the same pixels in all forms."""
    make = FORMS[form]
    expected = colour if form != "grey with numbers" else colour[..., :1].repeat(3, axis=-1)
    found = ImageSource(make(paths), n_jobs=2).read(slice(None)).permute(0, 2, 3, 1)
    np.testing.assert_array_equal(found, expected)
    descriptors = SMALL_LOMO.transform(expected)
    np.testing.assert_array_equal(SMALL_LOMO.transform(make(paths)), descriptors)
    np.testing.assert_array_equal(describe(SMALL_LOMO, make(paths), batch_size=4), descriptors)


@pytest.mark.parametrize("form", ["encoded bytes", "generator", "loader, labelled", "data set", "files in memory"])
def test_fit_and_kneighbors_take_what_describe_takes(paths, reid, form):
    """They learn and find the same as from an array."""
    make = FORMS[form]
    again = MultiDepthReID(**reid.get_params()).fit(make(paths), [0, 0, 1, 1, 2, 2])
    np.testing.assert_array_equal(again.transform(colour), reid.transform(colour))
    np.testing.assert_array_equal(reid.kneighbors(make(paths), make(paths), 1)[1][:, 0], np.arange(N))
    np.testing.assert_array_equal(rank_gallery(reid, make(paths), colour, 1)[1][:, 0], np.arange(N))


def test_workers_take_files_and_data_sets(paths):
    """What cannot be pickled is read before it is sent to another process."""
    expected = SMALL_LOMO.transform(colour)
    with paths[0].open("rb") as file:
        X = [file, *ENCODED[1:]]
        np.testing.assert_array_equal(pixels_of(X), colour)
        np.testing.assert_array_equal(describe(SMALL_LOMO, X, batch_size=2, n_jobs=2), expected)
        data = Indexed(colour)
        data.handle = file
        np.testing.assert_array_equal(describe(SMALL_LOMO, data, batch_size=2, n_jobs=2), expected)


def test_files_in_an_archive_that_cannot_be_rewound_are_read_once(tmp_path):
    """The first image is read twice by `transform`, for its size and its descriptor."""

    class Once(io.BytesIO):
        def seekable(self):
            return False

    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for place, content in enumerate(ENCODED):
            archive.writestr(f"{place}.png", content)
    with zipfile.ZipFile(tmp_path / "images.zip") as archive:
        members = [archive.open(name) for name in archive.namelist()]
        np.testing.assert_array_equal(np.stack(list(map(np.asarray, PILS))), pixels_of(members))
    np.testing.assert_array_equal(pixels_of(map(Once, ENCODED)), colour)


def pixels_of(X):
    return ImageSource(X).read(slice(None)).permute(0, 2, 3, 1).numpy()


def test_encoded_pictures_keep_the_zeros_at_their_end():
    """Arrays of bytes lose them: a bitmap that ends in black is complete all the same."""
    images = colour.copy()
    images[:, 0] = 0  # a bitmap starts with the lowest row
    files = [io.BytesIO() for _ in images]
    for image, file in zip(images, files, strict=True):
        Image.fromarray(image).save(file, "BMP")
    contents = np.array([file.getvalue() for file in files])
    assert len(contents[0]) < len(files[0].getvalue())
    np.testing.assert_array_equal(pixels_of(contents), images)


def test_a_data_set_is_not_read_before_it_is_needed_nor_by_several_threads():
    """Only the images asked for are taken from it, and in the caller's thread."""
    import threading

    class Noting(Indexed):
        def __init__(self, images):
            super().__init__(images)
            self.taken, self.threads = [], set()

        def __getitem__(self, index):
            self.taken.append(index)
            self.threads.add(threading.get_ident())
            return super().__getitem__(index)

    data = Noting(colour)
    source = ImageSource(data, SIZE, n_jobs=3)
    assert data.taken == []
    part = source.take([4, 1])
    assert data.taken == []
    np.testing.assert_array_equal(part.read(slice(None)).permute(0, 2, 3, 1), colour[[4, 1]])
    assert data.taken == [4, 1]
    assert len(data.threads) == 1


# what is no image ---------------------------------------------------------------------------------------


class Broken(Indexed):
    def __getitem__(self, index):
        raise KeyError("record lost")


LOADER_ADVICE = "make it with "
REFUSED = {  # X, and what the message says
    "None": (None, "X is None"),
    "NaN": (float("nan"), "single number, nan"),
    "one file": (io.BytesIO(ENCODED[0]), "single image .*BytesIO.* as X.*put it in a list"),
    "one picture's bytes": (ENCODED[0], "single image .* as X.*put it in a list"),
    "one coded image": ({"bytes": ENCODED[0], "path": None}, "single image .*dict.* as X.*put it in a list"),
    "an array of one string": (np.array("one.png"), "single image .*'one.png'.*put it in a list"),
    "an array of None": (np.array(None), "X is None"),
    "a dict": ({"target": [1], "images": colour}, r"keys 'target', 'images'.*pass its images, X\['images'\]"),
    "a dict of splits": ({"train": 1, "test": 2}, "keys 'train', 'test'.*pass one of its values"),
    "a table": (pa.table({"image": ENCODED, "label": NAMES}), "table .*as X.*its column of images"),
    "an array of pairs": (np.array([(image, 1) for image in PILS], dtype=object), "a table of 2 columns"),
    "a table of nothing": (np.empty((3, 0), dtype="U1"), "a table of 0 columns"),
    "a set": (set(ENCODED), "set, which has no order.*sort it"),
    "a folder": (str(Path(__file__).parent), "load_image_folder.*people.paths as X and people.target as y"),
    "a video": (Path("walk.mp4"), "a single video .*'walk.mp4'.*pass the frames"),
    "a csv file": ("people.csv", "a single table .*load_csv"),
    "videos": (np.zeros((2, 4, 8, 8, 3), np.uint8), r"like videos: X\.reshape\(-1, \*X\.shape\[2:\]\)"),
    "channels first": (colour.transpose(0, 3, 1, 2), r"Move the channels last: np\.moveaxis\(X, -3, -1\)"),
    "masked pixels": (np.ma.masked_array(colour, colour > 250), "X contains a masked entry at index"),
    "alpha": (np.zeros((2, 4, 8, 4), np.uint8), r"Drop its alpha channel: X\[\.\.\., :3\]"),
    "16 bits": (colour.astype(np.uint16) * 257, r"\(image // 257\)\.astype\(np\.uint8\)"),
    "one tensor": (TENSORS[0], r"X\[None\] for the one, X\[\.\.\., None\] for the others"),
    "shuffled loader": (DataLoader(Indexed(TENSORS), shuffle=True), LOADER_ADVICE + "shuffle=False"),
    "shortened loader": (DataLoader(Indexed(TENSORS), batch_size=4, drop_last=True), LOADER_ADVICE + "drop_last=False"),
    "an object": (type("Persons", (), {"paths": NAMES})(), r"X of type Persons.*pass X\.paths"),
}
REFUSED_ITEMS = {  # the second item of X, and what the message says after "image 1"
    "None": (None, "is None, of type NoneType, which is no image"),
    "NaN": (float("nan"), "is nan, of type float"),
    "NA": (pd.NA, "is <NA>, of type NAType"),
    "an empty path": ("", "is an empty path"),
    "a number": (3, "is 3, of type int"),
    "a folder": (str(Path(__file__).parent), "is a folder; .*load_image_folder"),
    "a row of a table": (
        {"image": PILS[0], "label": 1},
        r"a dict with the keys \['image', 'label'\].*row\['image'\]",
    ),
    "a coded image without content": ({"bytes": None, "path": None}, "holds neither bytes nor a path"),
    "two paths": (("a.png", "b.png"), "is a tuple of 2 entries, 2 of which may be images"),
    "two images": ([PILS[0], PILS[1], 3], "is a list of 3 entries, 2 of which may be images"),
    "text file": (io.StringIO("pixels"), "returned a str instead of bytes.*'rb'"),
    "empty file": (io.BytesIO(), "returned no bytes"),
    "no picture": (
        b"<html>\n</html>",
        r"\(14 bytes\) could not be read .*: it is damaged, or in none of the formats AVIF",
    ),
    "no bytes": (b"", r"\(0 bytes\) could not be read"),
    "cut short": (ENCODED[1][:200], r"\(200 bytes\) could not be read as an image"),
    "missing file": (b"gone.png", r"\(b'gone.png'\) is neither an encoded picture nor the path of a file that exists"),
    "a damaged picture that might be a path": (b"GIF89a" + b"?" * 50, r"\(b'GIF89a\?+'\.\.\.\) is neither an encoded"),
    "a label before an image": ((3, PILS[0]), r"a tuple whose first entry is 3, and .* entry 1\. Put the image first"),
    "a name before an image": (
        ["ann", colour[0]],
        r"a list whose first entry is 'ann', and .* entry 1\. Put the image",
    ),
    "a label before a path": ((3, "a.png"), r"a tuple whose first entry is 3, and whose image seems to be entry 1"),
    "labels before a batch": ((np.arange(6), colour), r"a tuple whose first entry is array.*seems to be entry 1"),
    "channels first": (colour[0].transpose(2, 0, 1), r"shape \(3, 24, 12\).*np\.moveaxis\(image, -3, -1\)"),
    "alpha": (np.zeros((4, 8, 4), np.uint8), r"Drop its alpha channel: image\[\.\.\., :3\]"),
    "a batch": (colour[:2], "shape .*holds several images"),
    "a batch of one": (colour[:1], r"shape .*It is a batch of one image: pass image\[0\]\.$"),
    "negative": (colour[0] / 255 - 0.5, "normalization by mean"),
    "16 bits": (colour[0].astype(np.uint16) * 257, r"dtype uint16.*image // 257"),
    "no pixels": (np.zeros((0, 4, 3), np.uint8), "has no pixels"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_holds_no_images_is_refused_with_the_way_out(reid, what):
    """Every entry point refuses it in the same words."""
    X, message = REFUSED[what]
    y = [0, 0, 1, 1, 2, 2]
    for call in (
        lambda: reid.transform(X),
        lambda: describe(reid, X),
        lambda: SMALL_LOMO.transform(X),
        lambda: GOG(input_size=SIZE).fit(X),
        lambda: MultiDepthReID(**reid.get_params()).fit(X, y),
        lambda: reid.kneighbors(X, colour),
        lambda: reid.kneighbors(colour, X),
        lambda: rank_gallery(SMALL_LOMO, X, colour),
    ):
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize("what", REFUSED_ITEMS)
def test_an_item_that_is_no_image_is_named(reid, what):
    """The message has its index; with `on_error="nan"`, the others are described."""
    item, message = REFUSED_ITEMS[what]
    for call in (
        lambda: reid.transform([PILS[0], item]),
        lambda: describe(reid, [PILS[0], item], batch_size=1),
        lambda: describe(reid, iter([PILS[0], item]), batch_size=1),
        lambda: SMALL_LOMO.transform([PILS[0], item]),
    ):
        if what.startswith("a batch") and "iter" in call.__code__.co_names:
            continue  # an iterator may yield batches
        with pytest.raises(ImageError, match="image 1.*" + message) as caught:
            call()
        assert caught.value.index == 1
    forgiving = MultiDepthReID(**reid.get_params() | {"on_error": "nan"})
    vars(forgiving).update({name: value for name, value in vars(reid).items() if name.endswith("_")})
    with pytest.warns(UserWarning, match="1 of 2 images"):
        rows = forgiving.transform([PILS[0], item])
    assert np.isnan(rows).all(axis=1).tolist() == [False, True]


def test_an_error_of_a_data_set_names_the_image():
    """Its own reason is kept."""
    with pytest.raises(ImageError, match=r"image 0 could not be read from the Broken .*record lost"):
        SMALL_LOMO.transform(Broken(colour))


def test_a_video_among_paths_is_named(tmp_path):
    """A list of files may hold one."""
    (tmp_path / "walk.mp4").write_bytes(b"\0\0\0\x18ftypmp42")
    with pytest.raises(ImageError, match=r"image 1 \('.*walk\.mp4'\) is a video; pass its frames"):
        SMALL_LOMO.transform([colour[0], tmp_path / "walk.mp4"])


def test_nested_lists_are_still_images():
    """An image given as its rows is not taken for an image with labels."""
    rows = list(colour[0])  # 24 arrays of shape (12, 3)
    for form in (rows, tuple(rows), colour[0].tolist()):
        found = as_sequence([form])[0]
        np.testing.assert_array_equal(np.asarray(found), colour[0])
    np.testing.assert_array_equal(pixels_of([[colour[0][0].astype(np.uint8)]])[0], colour[0][:1])


# no images ----------------------------------------------------------------------------------------------

EMPTY = {
    "list": list,
    "array": lambda: colour[:0],
    "column": lambda: pd.Series([], dtype=str),
    "iterator": lambda: iter([]),
}


@pytest.mark.parametrize("kind", EMPTY)
def test_no_images_have_no_descriptors(reid, kind, tmp_path):
    """They have the width of all others, whatever describes them, and no neighbours; `fit` refuses them."""
    make = EMPTY[kind]
    rows = reid.transform(colour)
    pipelines = [
        make_pipeline(reid, StandardScaler(), PCA(2)).fit(colour, [0, 0, 1, 1, 2, 2]),
        make_pipeline(make_union(SMALL_LOMO, GOG(input_size=SIZE)), StandardScaler()).fit(colour),
    ]
    for estimator in (reid, SMALL_LOMO, *pipelines):
        width = estimator.transform(colour[:1]).shape[1]
        assert describe(estimator, make()).shape == (0, width)
        if estimator not in pipelines:
            assert estimator.transform(make()).shape == (0, width)
        if kind != "iterator":
            distances, indices = rank_gallery(estimator, make(), colour, n_neighbors=2)
            assert distances.shape == indices.shape == (0, 2)
            assert indices.dtype == np.int64
    assert describe(reid, make(), out=tmp_path / "none.npy").shape == (0, rows.shape[1])
    assert describe(reid, make(), out=tmp_path / "none.npy").shape == (0, rows.shape[1])
    for distances in reid.kneighbors(make(), colour, 3), reid.kneighbors(rows[:0], rows, 3):
        assert distances[0].shape == (0, 3)
    maps = reid.feature_maps(make())
    assert {layer: each.shape[1:] for layer, each in maps.items()} == {
        layer: each.shape[1:] for layer, each in reid.feature_maps(colour[:1]).items()
    }
    assert all(len(each) == 0 for each in maps.values())
    for fit in (lambda X: MultiDepthReID().fit(X, []), LOMO().fit):
        with pytest.raises(ValueError, match="X is empty"):
            fit(make())


def test_the_width_of_no_descriptors_needs_a_size():
    """Without one, the error says how to give it."""
    with pytest.raises(ValueError, match=r"X is empty.*call fit, or set input_size"):
        LOMO().transform([])
    assert LOMO(n_scales=1).fit(colour).transform([]).shape == SMALL_LOMO.transform(colour[:1])[:0].shape


def test_docstrings_say_the_order_of_colours():
    """Crops of OpenCV have blue first; every docstring that says what X may be says so."""
    for call in (describe, LOMO.fit, LOMO.transform, GOG.transform, MultiDepthReID.fit, MultiDepthReID.transform):
        assert "image[:, :, ::-1]" in call.__doc__
