"""One image, however it arrives (array, PIL image, file), as a checked array; every mistake in it is named.

No torch here: networks and hand-crafted descriptors see the same pixels.
"""

import os
from collections.abc import Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from skreid.exceptions import ImageError

FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
EXPECTED = (
    "X must be an array of shape (n, height, width, 3) or (n, height, width), uint8 or float in [0, 1], "
    "or a sequence of such images, PIL images or file paths"
)


def as_sequence(X):
    """Return X as a numeric array of 3 or 4 dimensions or a list of images; refuse anything else."""
    if isinstance(X, (str, os.PathLike, Image.Image)):
        raise ValueError(f"Got a single image ({X!r}) as X. {EXPECTED}: put it in a list.")
    if hasattr(X, "to_numpy"):  # a pandas or polars column of paths
        X = X.to_numpy()
    X = from_torch(X)
    if isinstance(X, Mapping):
        raise ValueError(f"Got X of type {type(X).__name__}. {EXPECTED}: pass one of its values.")
    if not isinstance(X, np.ndarray):
        try:
            X = list(X)
        except TypeError:
            raise ValueError(f"Got X of type {type(X).__name__}. {EXPECTED}.") from None
    elif X.dtype.kind in "OUT":
        if X.ndim == 2 and X.shape[1] > 1 and X.size and isinstance(X[0, 0], (str, os.PathLike)):
            raise ValueError(f"Got a table of {X.shape[1]} columns as X. {EXPECTED}: pass its column of paths.")
        X = list(X.ravel() if X.ndim <= 2 else X)  # a column of paths; or images in an array of objects
    elif X.ndim == 0:
        raise ValueError(f"Got the single number {X} as X. {EXPECTED}.")
    if len(X) == 0:
        raise ValueError(f"Found array with 0 sample(s): X is empty. {EXPECTED}.")
    if isinstance(X, np.ndarray):
        return _checked_stack(X)
    return X


def from_torch(X):
    """Return a torch tensor as an array, anything else as it is; torch itself is not imported here."""
    if not (hasattr(X, "detach") and hasattr(X, "numpy")):
        return X
    return (X.float() if str(X.dtype) == "torch.bfloat16" else X).numpy(force=True)  # numpy has no bfloat16


def _checked_stack(X):
    """Return an array of images as uint8 or float32, (n, H, W) or (n, H, W, 3)."""
    shape = f"Got an array of shape {X.shape}. {EXPECTED}"
    if X.ndim not in (3, 4):
        raise ValueError(f"{shape}.")
    if X.ndim == 4 and X.shape[-1] not in (1, 3):
        hint = "; move the channels last, np.moveaxis(X, 1, -1)" if X.shape[1] in (1, 3) else ""
        raise ValueError(f"{shape}{hint}.")
    if X.ndim == 3 and X.shape[-1] in (3, 4) and X.shape[1] > 4:
        raise ValueError(f"{shape}. This looks like one colour image: pass X[None].")
    if 0 in X.shape:
        raise ValueError(f"{shape}, with no side of zero pixels.")
    if X.dtype != np.uint8 and X.dtype.kind != "f":
        raise ValueError(f"Got an array of dtype {X.dtype}. {EXPECTED}. {_dtype_hint(X)}")
    return X[..., 0] if X.ndim == 4 and X.shape[-1] == 1 else X


def _dtype_hint(image):
    if np.issubdtype(image.dtype, np.integer) and image.min() >= 0 and image.max() <= 255:
        return "Its values fit: use .astype(np.uint8)."
    return "Scale it to one of the two."


def load(image, index):
    """Return one image as a checked array of shape (H, W) or (H, W, 3), uint8 or float."""
    if isinstance(image, (str, os.PathLike)):
        return _open(image, index)
    name = f"image {index}"
    if isinstance(image, Image.Image):
        with _naming(index, name):  # it may be a file not yet decoded
            return _from_pil(image, index, name)
    try:
        array = np.asarray(from_torch(image))
        if array.dtype == object:  # pixels that came in an array of objects
            array = np.array(array.tolist())
    except Exception as error:  # an object's own __array__ raises anything
        reason = str(error) or type(error).__name__
        raise ImageError(index, f"{name} is not an array ({reason}). {EXPECTED}.") from error
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[-1] != 3):
        raise ImageError(
            index,
            f"{name} has shape {array.shape}; expected (height, width) or (height, width, 3). {EXPECTED}.",
        )
    if array.size == 0:
        raise ImageError(index, f"{name} has shape {array.shape}: it holds no pixel.")
    if array.dtype != np.uint8 and array.dtype.kind != "f":
        hint = _dtype_hint(array) if array.dtype.kind in "iu" else ""
        raise ImageError(index, f"{name} has dtype {array.dtype}; expected uint8 or float in [0, 1]. {hint}")
    check_values(array, index, name)
    return array


def bad_pixels(stack):
    """Return the places in a stack of the images with a value outside [0, 1]; uint8 has none."""
    if stack.dtype == np.uint8:
        return ()
    flat = stack.reshape(len(stack), -1)
    return np.flatnonzero(~((flat.min(axis=1) >= 0) & (flat.max(axis=1) <= 1)))  # NaN is not within either


def check_values(array, index, name):
    if array.dtype == np.uint8:
        return
    if not np.isfinite(array).all():
        kind = "NaN" if np.isnan(array).any() else "inf"
        raise ImageError(index, f"{name} contains {kind}; float images must be finite and in [0, 1].")
    low, high = float(array.min()), float(array.max())
    if low < 0 or high > 1:
        hint = " Divide by 255, or pass uint8." if low >= 0 and high <= 255 else ""
        raise ImageError(index, f"{name} has values in [{low:g}, {high:g}]; float images must be in [0, 1].{hint}")


def _open(path, index):
    with _naming(index, f"image {index}"):
        path = Path(path)
    name = f"image {index} ('{path}')"
    with _naming(index, name):
        if path.is_dir():
            raise ImageError(index, f"{name} is a folder; give the paths of its files.")
        if not path.is_file():
            what = "is no file but a pipe or device" if path.exists() else "does not exist"
            raise ImageError(index, f"{name} {what}; paths are taken relative to {Path.cwd()}.")
        with Image.open(path, formats=_formats()) as image:
            return _from_pil(image, index, name)


@cache
def _formats():
    """Return what is decoded: Pillow hands some other formats to programs outside, or guards them less."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


@contextmanager
def _naming(index, name):
    """Turn whatever Pillow raises on a damaged file into an error that names the image."""
    try:
        yield
    except ImageError:
        raise
    except Exception as error:  # its decoders raise anything
        reason = str(error) or type(error).__name__
        raise ImageError(index, f"{name} could not be read as an image: {reason}") from error


def _from_pil(image, index, name):
    """Return a PIL image as uint8 RGB: upright, first frame, 16 bits scaled to 8, alpha over black."""
    width, height = image.size
    if width * height == 0:
        raise ImageError(index, f"{name} is {width} x {height} pixels: it holds no pixel.")
    if Image.MAX_IMAGE_PIXELS and width * height > Image.MAX_IMAGE_PIXELS:
        raise ImageError(
            index,
            f"{name} is {width} x {height} pixels, over the limit of {Image.MAX_IMAGE_PIXELS:,} "
            "(PIL.Image.MAX_IMAGE_PIXELS) that guards against decompression bombs.",
        )
    if image.mode == "F":
        raise ImageError(index, f"{name} holds 32-bit floats; save it with 8 or 16 bits a channel.")
    if image.mode == "I" and image.format == "TIFF":
        raise ImageError(index, f"{name} holds 32-bit integers; save it with 8 or 16 bits a channel.")
    coding = image.tile[0].args if getattr(image, "tile", None) else None  # gone once it is decoded
    image = ImageOps.exif_transpose(image)
    if "transparency" in image.info:
        image.info["transparency"] = _scaled_key(image.info["transparency"], coding)
    if image.mode.startswith("I"):  # 16-bit greys, which Pillow's own conversion would clip to white
        greys = np.asarray(image).astype(np.int64)
        greys[greys == image.info.get("transparency")] = 0
        image = Image.fromarray((np.clip(greys, 0, 65535) // 257).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    return np.asarray(image.convert("RGB"))


def _scaled_key(key, coding):
    """Return a PNG's transparent colour on the scale of its decoded pixels; Pillow leaves it on that of the file.

    Of colours with 16 bits a channel Pillow keeps the upper 8, so these decide.
    """
    if isinstance(key, tuple) and (coding == "RGB;16B" or max(key) > 255):
        return tuple(part >> 8 for part in key)
    return key * {"L;2": 85, "L;4": 17}.get(coding, 1) if isinstance(key, int) else key
