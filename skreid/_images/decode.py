"""One image, however it arrives (array, PIL image, file), as a checked array; errors name the image.

No torch here: networks and hand-crafted descriptors see the same pixels.
"""

import io
import mimetypes
import os
import reprlib
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from skreid._images.forms import Unreadable, names_file, one_image, shape_hint
from skreid._images.sequence import EXPECTED, dtype_hint
from skreid.exceptions import ImageError

FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")


def load(image, index):
    """Return one image as a checked array of shape (H, W) or (H, W, 3), uint8 or float."""
    image = one_image(image)
    if isinstance(image, (str, os.PathLike)):
        return _open(image, index)
    name = f"image {index}"
    if isinstance(image, Unreadable):
        raise ImageError(index, f"{name} {image.reason}")
    if isinstance(image, bytes):
        return _decoded(image, index)
    if isinstance(image, Image.Image):
        with _named_errors(index, name):  # its file may not be decoded yet
            return _from_pil(image, index, name)
    try:
        array = np.asarray(image)
        if array.dtype == object:  # an image taken from an array of objects
            array = np.array(array.tolist())
    except Exception as error:  # __array__ of an arbitrary object may raise anything
        reason = str(error) or type(error).__name__
        raise ImageError(index, f"{name} is not an array ({reason}). {EXPECTED}.") from error
    if array.ndim == 0:
        raise ImageError(
            index,
            f"{name} is {reprlib.repr(image)}, of type {type(image).__name__}, which is no image. Where an image is "
            "missing, leave it out, with its label.",
        )
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[-1] != 3):
        raise ImageError(
            index,
            f"{name} has shape {array.shape}; expected (height, width) or (height, width, 3). {EXPECTED}."
            f"{shape_hint(array.shape, 'image')}",
        )
    if array.size == 0:
        raise ImageError(index, f"{name} has shape {array.shape}: it has no pixels.")
    if array.dtype != np.uint8 and array.dtype.kind != "f":
        hint = dtype_hint(array) if array.dtype.kind in "iu" else ""
        raise ImageError(index, f"{name} has dtype {array.dtype}; expected uint8 or float in [0, 1]. {hint}")
    check_values(array, index, name)
    return array


def grey_to_rgb(grey):
    """Return grey images (..., H, W) with three equal channels: (..., H, W, 3)."""
    return np.repeat(grey[..., None], 3, axis=-1)


def bad_pixels(stack):
    """Return the indices of images in a float stack that have NaN or a value outside [0, 1]."""
    if stack.dtype == np.uint8:
        return ()
    flat = stack.reshape(len(stack), -1)
    return np.flatnonzero(~((flat.min(axis=1) >= 0) & (flat.max(axis=1) <= 1)))  # not <, >: also true of NaN


def check_values(array, index, name):
    """Raise if a float image has NaN, infinity or a value outside [0, 1]."""
    if array.dtype == np.uint8:
        return
    if not np.isfinite(array).all():
        kind = "NaN" if np.isnan(array).any() else "inf"
        raise ImageError(index, f"{name} contains {kind}; float images must be finite and in [0, 1].")
    low, high = float(array.min()), float(array.max())
    if low < 0 or high > 1:
        hint = " Divide by 255, or pass uint8." if low >= 0 and high <= 255 else ""
        if low < 0:
            hint = " Leave out their normalization by mean and standard deviation: the estimator has its own."
        raise ImageError(index, f"{name} has values in [{low:g}, {high:g}]; float images must be in [0, 1].{hint}")


def _decoded(content, index):
    if names_file(content):
        raise ImageError(
            index,
            f"image {index} ({content[:40]!r}{'...' * (len(content) > 40)}) is neither an encoded picture nor the path "
            f"of a file that exists; relative paths start from {Path.cwd()}.",
        )
    name = f"image {index} ({len(content):,} bytes)"
    with _named_errors(index, name), Image.open(io.BytesIO(content), formats=_formats()) as image:
        return _from_pil(image, index, name)


def _open(path, index):
    if path == "":
        raise ImageError(index, f"image {index} is an empty path. Leave it out, with its label.")
    if "://" in str(path):
        raise ImageError(
            index, f"image {index} ({str(path)!r}) is an address; download it, and pass the path of the file."
        )
    with _named_errors(index, f"image {index}"):
        path = Path(path)
    name = f"image {index} ('{path}')"
    with _named_errors(index, name):
        if path.is_dir():
            raise ImageError(
                index, f"{name} is a folder; pass the paths of its files. skreid.datasets.load_image_folder lists them."
            )
        if not path.is_file():
            what = "is a pipe or device, not a file" if path.exists() else "does not exist"
            raise ImageError(index, f"{name} {what}; relative paths start from {Path.cwd()}.")
        if path.stat().st_size == 0:
            raise ImageError(index, f"{name} is empty. Leave it out, with its label.")
        if (mimetypes.guess_type(path)[0] or "").startswith("video/"):
            raise ImageError(index, f"{name} is a video; pass its frames, read with a decoder of videos.")
        with Image.open(path, formats=_formats()) as image:
            return _from_pil(image, index, name)


@cache
def _formats():
    """Return the formats to decode: Pillow passes some of the others to external programs, or guards them less."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


@cache
def image_endings():
    """Return the endings of the files that can be decoded, such as ".jpg", in lower case and in order."""
    endings = {ending for ending, name in Image.registered_extensions().items() if name in _formats()}
    return tuple(sorted(endings - {".pfm"}))  # always floats, which are refused


@contextmanager
def _named_errors(index, name):
    """Turn any error of Pillow on a damaged file into one that names the image."""
    try:
        yield
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(
            index,
            f"{name} could not be read as an image: it is damaged, or in none of the formats {', '.join(FORMATS)}. "
            "Convert it, for example to PNG, or leave it out, with its label.",
        ) from error
    except Exception as error:  # decoders raise errors of all types
        raise ImageError(
            index,
            f"{name} could not be read as an image: {str(error) or type(error).__name__}. Leave it out, with its "
            "label, or set on_error='nan' where the estimator has it.",
        ) from error


def _from_pil(image, index, name):
    """Return a PIL image as uint8 RGB: upright, first frame, 16 bits scaled to 8, alpha over black."""
    width, height = image.size
    if width * height == 0:
        raise ImageError(index, f"{name} is {width} x {height} pixels: it has no pixels.")
    if Image.MAX_IMAGE_PIXELS and width * height > Image.MAX_IMAGE_PIXELS:
        raise ImageError(
            index,
            f"{name} is {width} x {height} pixels, over the limit of {Image.MAX_IMAGE_PIXELS:,} "
            "(PIL.Image.MAX_IMAGE_PIXELS) that guards against decompression bombs.",
        )
    if image.mode == "F":
        raise ImageError(index, f"{name} holds 32-bit floats; save it with 8 or 16 bits per channel.")
    if image.mode == "I" and image.format == "TIFF":
        raise ImageError(index, f"{name} holds 32-bit integers; save it with 8 or 16 bits per channel.")
    coding = image.tile[0].args if getattr(image, "tile", None) else None  # lost when the file is decoded
    image = ImageOps.exif_transpose(image)
    if "transparency" in image.info:
        image.info["transparency"] = _scaled_key(image.info["transparency"], coding)
    if image.mode.startswith("I"):  # 16-bit grey, which Pillow's own conversion would clip to white
        greys = np.asarray(image).astype(np.int64)
        greys[greys == image.info.get("transparency")] = 0
        image = Image.fromarray((np.clip(greys, 0, 65535) // 257).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    return np.asarray(image.convert("RGB"))


def _scaled_key(key, coding):
    """Return the transparent colour of a PNG on the scale of the decoded pixels; Pillow keeps it on the file's.

    Of colours with 16 bits per channel Pillow keeps the upper 8 bits, so these are compared.
    """
    if isinstance(key, tuple) and (coding == "RGB;16B" or max(key) > 255):
        return tuple(part >> 8 for part in key)
    return key * {"L;2": 85, "L;4": 17}.get(coding, 1) if isinstance(key, int) else key
