"""Every form of X gives the same pixels, and the error for a bad image names it."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from PIL import Image

from skreid._images.source import ImageSource
from skreid.exceptions import ImageError

rng = np.random.default_rng(0)
colour = rng.integers(0, 256, (5, 12, 8, 3), dtype=np.uint8)


@pytest.fixture
def paths(tmp_path):
    names = [tmp_path / f"{number}.png" for number in range(len(colour))]
    for name, pixels in zip(names, colour, strict=True):
        Image.fromarray(pixels).save(name)
    return names


def pixels(X, **settings):
    source = ImageSource(X, **settings)
    return torch.cat(list(source.batches(2))).permute(0, 2, 3, 1).numpy()


def test_every_form_gives_the_same_pixels(paths):
    """X may hold arrays, tensors, lists, PIL images, paths, strings or columns of them."""
    names = [str(path) for path in paths]
    forms = [
        colour,
        list(colour),
        [Image.fromarray(image) for image in colour],
        paths,
        names,
        np.array(names),
        np.array(names, dtype=object),
        pd.Series(names),
        pd.DataFrame({"path": names}),
        pl.Series(names),
        pl.DataFrame({"path": names}),
        tuple(names),
        torch.from_numpy(colour),
    ]
    for form in forms:
        np.testing.assert_array_equal(pixels(form), colour)


@pytest.mark.parametrize("n_jobs", [1, 3])
def test_threads_keep_the_order(paths, n_jobs):
    """Images decoded in threads are in the order of the indices."""
    batch = ImageSource(paths, n_jobs=n_jobs).read([4, 0, 2])
    np.testing.assert_array_equal(batch.permute(0, 2, 3, 1), colour[[4, 0, 2]])


def test_grey_becomes_three_equal_channels(paths):
    """The channel of (n, H, W), (n, H, W, 1) and grey PIL images is repeated."""
    grey = colour[..., 0]
    for form in (grey, grey[..., None], list(grey), [Image.fromarray(image) for image in grey]):
        np.testing.assert_array_equal(pixels(form), grey[..., None].repeat(3, axis=-1))


def test_grey_images_three_pixels_wide_are_grey(paths):
    """An array of shape (n, H, 3, 1) is not taken for one colour image."""
    grey = colour[:, :, :3, :1]
    np.testing.assert_array_equal(pixels(grey), grey.repeat(3, axis=-1))


def test_floats_stay_floats():
    """Floats in [0, 1] are read as float32, also those of double and half precision."""
    result = pixels(colour / 255)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, colour / 255, rtol=1e-6)
    np.testing.assert_allclose(pixels((colour / 255).astype(np.float16)), colour / 255, atol=1e-3)


def test_resizing_is_antialiased_bilinear():
    """Images of any size are resized as by Pillow's bilinear filter, up to rounding."""
    large = rng.integers(0, 256, (40, 30, 3), dtype=np.uint8)
    results = pixels([large, large[:20]], input_size=(10, 9))
    for image, result in zip([large, large[:20]], results, strict=True):
        expected = np.asarray(Image.fromarray(image).resize((9, 10), Image.Resampling.BILINEAR))
        assert np.abs(result.astype(int) - expected).max() <= 1


def test_size_is_that_of_the_first_image_by_default():
    """The default is `input_size=None`."""
    assert ImageSource([colour[0][:7], colour[1]]).size == (7, 8)


def test_uint8_and_float_images_together_become_floats():
    """uint8 images are scaled to [0, 1]."""
    result = pixels([colour[0], colour[1] / 255])
    np.testing.assert_allclose(result, colour[:2] / 255, atol=1e-6)


def test_read_only_and_strided_arrays_are_read():
    """Callers need not copy memory maps and views."""
    frozen = colour.copy()
    frozen.flags.writeable = False
    np.testing.assert_array_equal(pixels(frozen[:, ::-1]), colour[:, ::-1])


def test_digest_depends_on_pixels_and_their_order_only(paths):
    """It is the same for files, arrays and images cached in memory."""
    source = ImageSource(paths)
    np.testing.assert_array_equal(source.cached().read(slice(None)), source.read(slice(None)))
    assert source.cached(limit=10) is source
    assert source.digest() == source.cached().digest() == ImageSource(colour).digest()
    changed = colour.copy()
    changed[3, 0, 0, 0] ^= 1
    assert len({s.digest() for s in map(ImageSource, (colour, changed, colour[::-1], colour[:4]))}) == 4


def saved(tmp_path, image, name, **settings):
    path = tmp_path / name
    image.save(path, **settings)
    return [path]


def test_file_kinds_have_defined_results(tmp_path):
    """Palettes, CMYK, 16 bits, alpha, rotation and animation become upright 8-bit RGB."""
    image = Image.fromarray(colour[0])
    np.testing.assert_array_equal(pixels(saved(tmp_path, image.convert("CMYK"), "a.tif")), colour[:1])
    palette = image.quantize(200)
    expected = np.asarray(palette.convert("RGB"))
    np.testing.assert_array_equal(pixels(saved(tmp_path, palette, "b.png"))[0], expected)
    deep = (np.arange(96).reshape(12, 8) * 600).astype(np.uint16)
    np.testing.assert_array_equal(pixels(saved(tmp_path, Image.fromarray(deep), "c.png"))[0, ..., 0], deep // 257)
    clear = np.dstack([colour[0], np.zeros((12, 8), np.uint8)])
    clear[:6, :, 3] = 255
    result = pixels(saved(tmp_path, Image.fromarray(clear), "d.png"))[0]
    np.testing.assert_array_equal(result[:6], colour[0, :6])
    assert result[6:].max() == 0
    turned = Image.Exif()
    turned[0x0112] = 6  # to be shown a quarter turn clockwise
    result = pixels(saved(tmp_path, image, "e.png", exif=turned))[0]
    np.testing.assert_array_equal(result, np.rot90(colour[0], -1))
    frames = [Image.fromarray(image) for image in colour]
    moving = saved(tmp_path, frames[0], "f.png", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(pixels(moving)[0], colour[0])


def truncated():
    file = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(file, "JPEG")
    return file.getvalue()[:1500]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"hello", "could not be read as an image"),
        (truncated(), "[Tt]runcated"),
        (None, "does not exist"),
        ("folder", "is a folder"),
    ],
)
def test_bad_files_are_named(paths, tmp_path, content, reason):
    """The error has index, path and reason."""
    bad = tmp_path / "bad.jpg"
    if content == "folder":
        bad.mkdir()
    elif content is not None:
        bad.write_bytes(content)
    with pytest.raises(ImageError, match=r"image 2 \('.*bad\.jpg'\).*" + reason) as caught:
        ImageSource([*paths[:2], bad]).read(slice(None))
    assert caught.value.index == 2


def test_a_decompression_bomb_is_refused(paths, monkeypatch):
    """Pillow's own limit applies, and the error names the file."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 60)
    with pytest.raises(ImageError, match=r"image 0 \('.*0\.png'\)"), pytest.warns(Image.DecompressionBombWarning):
        ImageSource(paths)


with_nan = np.where(np.arange(5)[:, None, None, None] == 3, np.nan, colour / 255)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((3, 4)), r"array of shape \(3, 4\)"),
        (np.zeros((2, 4, 4, 4), np.uint8), r"shape \(2, 4, 4, 4\)"),
        (np.zeros((2, 3, 8, 5), np.uint8), r"Move the channels last: np\.moveaxis\(X, -3, -1\)"),
        (colour[0], r"looks like one colour image: pass X\[None\]"),
        (np.zeros((2, 0, 4, 3), np.uint8), "without empty axes"),
        (colour.astype(np.int64), r"dtype int64.*use \.astype\(np\.uint8\)"),
        (colour.astype(np.int64) * 300, "dtype int64.*Scale it"),
        (with_nan, "image 3 contains NaN"),
        (np.where(np.isnan(with_nan), np.inf, with_nan), "image 3 contains inf"),
        (colour.astype(float), r"image 0 has values in \[.*Divide by 255"),
        (colour / 255 - 0.5, r"image 0 has values in \[-"),
        ([colour[0], colour[1] * 1.0], r"image 1 has values in \[.*Divide by 255"),
        ([colour[0], np.zeros((0, 4, 3), np.uint8)], r"image 1 has shape \(0, 4, 3\): it has no pixels"),
        ([colour[0], np.zeros(4, np.uint8)], r"image 1 has shape \(4,\)"),
        ([colour[0], np.zeros((4, 4, 2), np.uint8)], r"image 1 has shape \(4, 4, 2\)"),
        ([colour[0], colour[1].astype(np.int32)], "image 1 has dtype int32"),
        ([colour[0], np.full((4, 4), np.nan)], "image 1 contains NaN"),
        ([colour[0], [[1, 2], [3]]], "image 1 is not an array"),
        ([Image.fromarray(np.zeros((4, 4), np.float32))], "image 0 holds 32-bit floats"),
        ("one.png", "Got a single image"),
        (Path("one.png"), "Got a single image"),
        (Image.fromarray(colour[0]), "Got a single image"),
        (7, "Got a single number, 7, as X"),
        ([None], "image 0 is None, of type NoneType, which is no image"),
    ],
)
def test_bad_x_is_refused(X, message):
    """The error names the image and says what was expected."""
    with pytest.raises(ValueError, match=message):
        ImageSource(X, input_size=(8, 8)).read(slice(None))


def test_an_image_error_can_be_pickled():
    """A worker process can send it back."""
    import pickle

    error = pickle.loads(pickle.dumps(ImageError(3, "image 3 is bad")))
    assert (error.index, str(error)) == (3, "image 3 is bad")


def test_unusable_images_are_read_as_black_with_on_error_nan(paths, tmp_path):
    """Each is listed with its reason; the other images are unchanged."""
    (tmp_path / "bad.png").write_bytes(b"no image")
    source = ImageSource([*paths[:2], tmp_path / "bad.png", "nowhere.png"], (12, 8), on_error="nan")
    result = source.read(slice(None)).permute(0, 2, 3, 1).numpy()
    np.testing.assert_array_equal(result[:2], colour[:2])
    assert result[2:].max() == 0
    assert list(source.unusable) == [2, 3]
    assert "could not be read" in source.unusable[2]
    assert "does not exist" in source.unusable[3]
    floats = with_nan.copy()
    source = ImageSource(floats, (12, 8), on_error="nan")
    assert source.read(slice(None))[3].max() == 0
    assert list(source.unusable) == [3]
    assert np.isnan(floats[3]).all()


def test_image_that_becomes_unusable_after_the_check_is_an_error(tmp_path):
    """No network is trained on a black image in its place. The error has the index in X."""
    files = saved(tmp_path, Image.fromarray(colour[0]), "a.png") + saved(tmp_path, Image.fromarray(colour[1]), "b.png")
    source = ImageSource(["nowhere.png", *files], (12, 8), on_error="nan")
    with pytest.warns(UserWarning, match="1 of 3 images cannot be used"):
        taken = source.take(source.usable("left out"))
    files[1].unlink()
    for read in (lambda: taken.read([1]), taken.cached, taken.digest):
        with pytest.raises(ImageError, match=r"image 2 \('.*b\.png'\) does not exist") as caught:
            read()
        assert caught.value.index == 2
    floats = colour / 255
    source = ImageSource(floats, (12, 8), on_error="nan")
    taken = source.take(source.usable("left out")[2:])
    taken._images[1] = np.nan
    with pytest.raises(ImageError, match="image 3 contains NaN"):
        taken.read(slice(None))


def test_uint8_and_float_images_are_cached_on_one_scale():
    """The first batch holds uint8 images and the second holds floats."""
    grey = [np.full((4, 4), 128, np.uint8)] * 260 + [np.full((4, 4), 0.5)] * 5
    result = ImageSource(ImageSource(grey).cached().read(slice(None)).permute(0, 2, 3, 1).numpy()).read(slice(None))
    np.testing.assert_allclose(result, 0.5, atol=0.003)


def test_unusual_containers_are_read_or_refused():
    """An array of objects is read like a list; a single number and a path that is too long are refused."""
    np.testing.assert_allclose(pixels(np.array(list(colour / 255), dtype=object)), colour / 255, rtol=1e-6)
    with pytest.raises(ImageError, match=r"image 0 has dtype int64.*use \.astype\(np\.uint8\)"):
        pixels(np.array(list(colour), dtype=object))
    with pytest.raises(ValueError, match="single number, 5"):
        ImageSource(np.array(5))
    with pytest.raises(ImageError, match=r"image 0 \('xxx"):
        ImageSource(["x" * 5000])


class Failing:
    """Looks like an array, but raises an error of its own when it is read."""

    def __array__(self, dtype=None, copy=None):
        raise KeyError("pixels")


class FailingPath(Failing):
    """Looks like a path, too."""

    def __fspath__(self):
        raise KeyError("path")


def test_image_one_pixel_wide_is_resized_alike_alone_and_in_a_stack():
    """Torch resizes such images wrongly in some memory orders."""
    X = np.random.default_rng(0).random((2, 3, 1, 3)).astype(np.float32)
    expected = np.array([[0.625, 0.375, 0], [0, 0.375, 0.625]]) @ X[:, :, 0]  # triangle filter of 3 rows
    for source in (ImageSource(X, (2, 1)), ImageSource(list(X), (2, 1))):
        np.testing.assert_allclose(source.read([0, 1])[..., 0].transpose(1, 2), expected, atol=1e-6)
    one = ImageSource(X[0][None], (2, 1)).read(slice(None))  # its first axis has stride 0
    np.testing.assert_allclose(one[..., 0].transpose(1, 2), expected[:1], atol=1e-6)


@pytest.mark.parametrize("image", [Failing(), FailingPath()])
def test_objects_that_raise_are_named(image):
    """Any error of theirs becomes an ImageError."""
    with pytest.raises(ImageError, match=r"image 1 .*(pixels|path)"):
        ImageSource([colour[0], image]).read(slice(None))
    source = ImageSource([colour[0], image], on_error="nan")
    assert source.read([1]).max() == 0
    assert list(source.unusable) == [1]


def test_the_size_is_that_of_the_first_usable_image(tmp_path):
    """A broken first file is passed over with `on_error="nan"`."""
    assert ImageSource(["nowhere.png", colour[0]], on_error="nan").size == (12, 8)
    with pytest.raises(ImageError, match="does not exist"):
        ImageSource(["nowhere.png", colour[0]])
