"""Broken and unusual image files of every kind: each has a defined result, an error or NaN."""

import io
import os
import shutil
import struct
import tempfile
import zlib
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from skreid import MultiDepthReID
from skreid._images.decode import load
from skreid._images.sequence import refuse_single
from skreid._images.source import ImageSource
from skreid.exceptions import ImageError

rng = np.random.default_rng(0)
pixels = rng.integers(0, 256, (32, 16, 3), dtype=np.uint8)
picture = Image.fromarray(pixels)


def encoded(kind, image=picture, **settings):
    file = io.BytesIO()
    image.save(file, kind, **settings)
    return file.getvalue()


def chunk(name, content):
    body = name + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def png(width, height, *more, depth=8, kind=2, content=b""):
    """Return a PNG with this size in its header, and pixels only if `content` has them."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(content)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + body


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 16 32\n(ran) (w) file closefile\n%%EOF\n"
BROKEN = {  # content of the file, and what the error says about it
    "zero_bytes.jpg": (b"", "is empty"),
    "text.jpg": (b"this is no picture\n" * 99, "in none of the formats"),
    "page.png": (b"<!DOCTYPE html><html></html>", "in none of the formats"),
    "drawing.png": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "in none of the formats"),
    "postscript.jpg": (POSTSCRIPT, "in none of the formats"),
    "truncated.jpg": (encoded("JPEG", quality=95)[:-400], "truncated"),
    "truncated.png": (encoded("PNG")[:-400], "truncated"),
    "truncated.gif": (encoded("GIF")[:-400], "truncated"),
    "truncated.webp": (encoded("WEBP", lossless=True)[:-400], "could not be read as an image"),
    "truncated.tif": (encoded("TIFF", compression="tiff_lzw")[:-400], "could not be read as an image"),
    "header_only.png": (encoded("PNG")[:33], "could not be read as an image"),
    "flipped.png": (encoded("PNG")[:60] + b"\xff" * 8 + encoded("PNG")[68:], "could not be read as an image"),
    "bomb.png": (png(60_000, 60_000), "decompression bomb"),
    "words.png": (png(4, 4, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**26)))), "too large"),
    "floats.tif": (encoded("TIFF", Image.fromarray(pixels[..., 0].astype(np.float32))), "holds 32-bit floats"),
    "gone.png": (None, "does not exist"),
    "folder.png": (os.mkdir, "is a folder"),
    "denied.png": (encoded("PNG"), "Permission denied"),
    "loop.png": (lambda path: path.symlink_to(path.name), "loop.png"),
}
if hasattr(os, "mkfifo"):
    BROKEN["pipe.png"] = (os.mkfifo, "is a pipe or device, not a file")


@contextmanager
def unprivileged():
    """Read as a user to whom permissions apply; to a superuser they do not."""
    superuser = hasattr(os, "geteuid") and os.geteuid() == 0
    if superuser:
        os.seteuid(65534)
    try:
        yield
    finally:
        if superuser:
            os.seteuid(0)


@pytest.fixture(scope="module")
def broken():
    """Write all of them where every user may read: the temporary folder of a superuser may be closed to others."""
    folder = Path(tempfile.mkdtemp(dir="/tmp" if Path("/tmp").is_dir() else None))
    folder.chmod(0o755)
    for name, (content, _) in BROKEN.items():
        if isinstance(content, bytes):
            (folder / name).write_bytes(content)
        elif content is not None:
            content(folder / name)
    (folder / "denied.png").chmod(0)
    yield [folder / name for name in BROKEN]
    shutil.rmtree(folder)


@pytest.mark.parametrize("name", BROKEN)
def test_error_for_each_broken_file_has_the_reason(broken, name):
    """With `on_error="raise"`, the error has index, path and reason."""
    if name == "denied.png" and not hasattr(os, "seteuid"):
        pytest.skip("permissions work differently on this system")
    path = broken[list(BROKEN).index(name)]
    with unprivileged(), pytest.raises(ImageError) as caught:
        ImageSource([pixels, path], (32, 16)).read(slice(None))
    assert caught.value.index == 1
    assert f"image 1 ('{path}')" in str(caught.value)
    assert BROKEN[name][1] in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="permissions work differently on this system")
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # Pillow's own warning
@pytest.mark.parametrize("n_jobs", [1, 3])
def test_broken_files_do_not_change_the_other_descriptors(broken, fitted, people, n_jobs):
    """With `on_error="nan"`, the broken ones are described by NaN, and one warning has their number and names."""
    good = list(people.images[: len(broken)])
    X = [image for pair in zip(good, broken, strict=True) for image in pair]
    reid = MultiDepthReID(**fitted.get_params() | {"on_error": "nan", "n_jobs": n_jobs})
    reid.__dict__ |= {name: value for name, value in vars(fitted).items() if name.endswith("_")}
    with unprivileged(), pytest.warns(UserWarning, match="described by NaN") as caught:
        descriptors = reid.transform(X)
    (message,) = (str(warning.message) for warning in caught if "described" in str(warning.message))
    assert f"{len(broken)} of {len(X)} images cannot be used" in message
    for path, (_, reason) in zip(broken, BROKEN.values(), strict=True):
        assert f"('{path}')" in message
        assert reason in message
    assert np.isnan(descriptors[1::2]).all()
    np.testing.assert_array_equal(descriptors[::2], fitted.transform(np.stack(good)))


def test_fit_without_a_usable_image_is_an_error(broken, settings):
    """The error says that no image can be used."""
    reid = MultiDepthReID(**settings, on_error="nan")
    with pytest.raises(ValueError, match="None of the 3 images can be used"):
        reid.fit(broken[:3], [0, 0, 1])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_are_turned_upright(tmp_path, orientation):
    """Each of the eight EXIF orientations gives the same upright image."""
    stored = {  # the pixels that a camera in this orientation stores
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.transpose(1, 0, 2),
        6: np.rot90(pixels),
        7: np.rot90(pixels, 2).transpose(1, 0, 2),
        8: np.rot90(pixels, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "a.png", exif=exif)
    result = ImageSource([tmp_path / "a.png"]).read([0])[0].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(result, pixels)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "TIFF", "WEBP"])
def test_first_frame_of_an_animation_is_read(tmp_path, kind):
    """The other frames are ignored."""
    frames = [Image.new("RGB", (16, 32), colour) for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    lossless = {"lossless": True} if kind == "WEBP" else {}
    frames[0].save(tmp_path / "a", kind, save_all=True, append_images=frames[1:], **lossless)
    result = ImageSource([tmp_path / "a"]).read([0])[0].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(result, np.asarray(frames[0]))


@pytest.mark.parametrize("size", [(1, 1), (1, 20_000), (20_000, 1), (3000, 2000)])
def test_tiny_and_huge_images_are_resized(tmp_path, fitted, size):
    """An image of one colour keeps it, whether it has one pixel or six million."""
    Image.new("RGB", size, (200, 100, 50)).save(tmp_path / "a.png", compress_level=1)
    result = ImageSource([tmp_path / "a.png"], (32, 16)).read([0])[0].permute(1, 2, 0).numpy()
    assert (result == (200, 100, 50)).all()
    assert np.isfinite(fitted.transform([tmp_path / "a.png"])).all()


def test_transparent_images_are_put_on_black(tmp_path):
    """Transparency may be in a palette or beside grey levels."""
    palette = picture.quantize(8)
    palette.save(tmp_path / "p.png", transparency=0)
    expected = np.where(np.asarray(palette)[..., None] == 0, 0, np.asarray(palette.convert("RGB")))
    greys = np.dstack([pixels[..., 0], np.where(pixels[..., 1] > 127, 255, 0).astype(np.uint8)])
    Image.fromarray(greys, "LA").save(tmp_path / "la.png")
    for name, wanted in (("p", expected), ("la", np.where(greys[..., 1:] == 0, 0, greys[..., :1]).repeat(3, axis=2))):
        result = ImageSource([tmp_path / f"{name}.png"]).read([0])[0].permute(1, 2, 0).numpy()
        np.testing.assert_array_equal(result, wanted)


@pytest.mark.parametrize("clear", [0, 1, 2])
@pytest.mark.parametrize("depth", [2, 4, 8, 16])
def test_transparent_colour_becomes_black_at_every_depth(tmp_path, depth, clear):
    """For grey levels, and for colours where PNG has them: one of three pixels is black, the others keep theirs."""
    top = 2**depth - 1
    wanted = np.array([255, 170, 85])
    for channels in (1, 3) if depth >= 8 else (1,):
        pixels = np.repeat(wanted * top // 255, channels)
        key = chunk(b"tRNS", struct.pack(">H", wanted[clear] * top // 255) * channels)
        if depth < 8:
            bits = "".join(format(value, f"0{depth}b") for value in pixels)
            row = int(bits.ljust(16, "0"), 2).to_bytes(2, "big")[: -(-3 * depth // 8)]
        else:
            row = pixels.astype(f">u{depth // 8}").tobytes()
        (tmp_path / "a.png").write_bytes(png(3, 1, key, depth=depth, kind=channels - 1, content=b"\0" + row))
        result = ImageSource([tmp_path / "a.png"]).read([0])[0].permute(1, 2, 0).numpy()
        assert result.tolist() == [[[0 if i == clear else value] * 3 for i, value in enumerate(wanted)]]
        with Image.open(tmp_path / "a.png") as opened:
            before = dict(opened.info)
            ImageSource([opened]).read([0])
            assert opened.info == before


def test_dark_transparent_colour_of_16_bits_does_not_match_white(tmp_path):
    """With 16 bits per channel, 255 of 65535 is nearly black, not the white of 8 bits."""
    row = np.repeat([65535, 255], 3).astype(">u2").tobytes()
    key = chunk(b"tRNS", struct.pack(">HHH", 255, 255, 255))
    (tmp_path / "a.png").write_bytes(png(2, 1, key, depth=16, content=b"\0" + row))
    assert ImageSource([tmp_path / "a.png"]).read([0])[0, 0].tolist() == [[255, 0]]


def test_broken_pil_image_is_named(tmp_path):
    """An opened PIL image may turn out to be broken only when its pixels are decoded."""
    (tmp_path / "a.png").write_bytes(BROKEN["truncated.png"][0])
    with Image.open(tmp_path / "a.png") as lazy, pytest.raises(ImageError, match="image 0 could not be read"):
        ImageSource([lazy], (32, 16)).read([0])
    with Image.open(tmp_path / "a.png") as lazy:
        source = ImageSource([lazy], (32, 16), on_error="nan")
        assert source.read([0]).max() == 0
    assert list(source.unusable) == [0]


def test_bfloat16_tensors_are_read():
    """They become float32, since numpy has no bfloat16."""
    import torch

    half = torch.from_numpy(pixels[None] / 255).bfloat16()
    result = ImageSource(half).read([0])[0].permute(1, 2, 0)
    assert torch.equal(result, half[0].float())
    assert torch.equal(ImageSource(list(half)).read([0])[0].permute(1, 2, 0), half[0].float())
    with pytest.raises(ImageError, match="image 0 has values in"):
        ImageSource([half[0] * 9]).read([0])


def test_tables_of_paths_are_refused():
    """A table with paths and labels, or a dict, is not a list of images."""
    with pytest.raises(ValueError, match="a table of 2 columns as X"):
        ImageSource(np.array([["0.png", "ann"]], dtype=object))
    with pytest.raises(ValueError, match="X of type dict"):
        ImageSource({"0.png": "ann"})


def test_integers_of_32_bits_are_refused(tmp_path):
    """The value of white is unknown, as for floats."""
    Image.fromarray(np.full((8, 4), 100, np.int32)).save(tmp_path / "i.tif")
    with pytest.raises(ImageError, match="holds 32-bit integers"):
        ImageSource([tmp_path / "i.tif"])


def test_addresses_and_patterns_are_named():
    """Neither is a path; the message says what to do."""
    with pytest.raises(ImageError, match=r"image 0 \('http://example.org/a.jpg'\) is an address; download it"):
        load("http://example.org/a.jpg", 0)
    with pytest.raises(ValueError, match=r"Got a single pattern \('people/\*/\*.jpg'\) as X.*sorted\(glob.glob"):
        refuse_single("people/*/*.jpg")
