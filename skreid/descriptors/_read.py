"""Every way one image may arrive (array, PIL image, file path) -> one (H, W, 3) uint8 RGB array.

The worker that describes an image reads it, one at a time: a folder larger than memory works.
"""

from numbers import Integral
from os import PathLike, fspath

import numpy as np
from PIL import Image, UnidentifiedImageError

_ACCEPTED = (
    "an image is a file path, a PIL image, or an array of shape (H, W, 3) or (H, W), uint8 or float in [0, 1]"
)


def as_image_list(X):
    """Check the container, not the images: an indexable of images.

    Parameters
    ----------
    X : ndarray of shape (n, H, W, 3) or (n, H, W), or sequence of images
        Images as in :func:`read_image`.

    Returns
    -------
    ndarray or list
        Supports ``len`` and slicing; its elements are the images.

    Raises
    ------
    TypeError
        If `X` is a single path or a single PIL image, or cannot be iterated.
    ValueError
        If `X` is empty, or is one image where several were expected.
    """
    if isinstance(X, (str, bytes, PathLike, Image.Image)):
        raise TypeError(f"X is a single image ({X!r}): pass a sequence of images, [image] for one.")
    if isinstance(X, np.ndarray) and X.dtype != object and X.dtype.kind not in "US":
        if X.ndim == 3 and X.shape[-1] == 3:
            raise ValueError(
                f"X has shape {X.shape}: this is one colour image. Pass X[None] to describe one image; "
                "images of 3 columns must come as (n, H, 3, 3)."
            )
        if X.ndim not in (3, 4):
            raise ValueError(f"X must have shape (n, H, W, 3) or (n, H, W), got {X.shape}.")
    else:
        try:
            X = list(X)
        except TypeError:
            raise TypeError(
                f"X must be an array or a sequence of images, got {type(X).__name__}; {_ACCEPTED}."
            ) from None
    if len(X) == 0:
        raise ValueError("Found array with 0 sample(s): X holds no image, while a minimum of 1 is required.")
    return X


def read_image(x, index=0):
    """Read one image, whatever it is, as RGB.

    Parameters
    ----------
    x : str, Path, PIL image or array-like of shape (H, W, 3), (H, W, 1) or (H, W)
        Arrays are uint8, or float in [0, 1] (rounded to 8 bits). Grey images get three equal channels.
    index : int, default=0
        Position of the image in the call, named in errors.

    Returns
    -------
    ndarray of shape (H, W, 3), uint8
        Red, green, blue in [0, 255].

    Raises
    ------
    FileNotFoundError, ValueError, TypeError
        If the file is missing, cannot be decoded, or the values are no picture. The index or path is named.

    Examples
    --------
    >>> import numpy as np
    >>> read_image(np.full((2, 2), 0.5))[0, 0]
    array([128, 128, 128], dtype=uint8)
    """
    if isinstance(x, (str, PathLike)):
        return _read_file(fspath(x), index)
    if isinstance(x, Image.Image):
        return _rgb(x, f"Image {index}")
    return _from_array(x, f"Image {index}")


def resize_image(image, size, resample):
    """Resize with Pillow's antialiased filters; an image that already has the size is returned as it is."""
    height, width = size
    if image.shape[:2] == (height, width):
        return image
    return np.asarray(Image.fromarray(image).resize((width, height), resample))


def check_input_size(input_size, owner, name="input_size"):
    """``(height, width)`` as two positive ints, or None; a ValueError in scikit-learn's words otherwise."""
    if input_size is None:
        return None
    size = tuple(input_size)
    if len(size) != 2 or not all(
        isinstance(s, Integral) and not isinstance(s, bool) and s >= 1 for s in size
    ):
        raise ValueError(
            f"The {name!r} parameter of {owner} must be None or (height, width), two ints in the range "
            f"[1, inf). Got {input_size!r} instead."
        )
    return int(size[0]), int(size[1])


def _read_file(path, index):
    who = f"Image {index} ({path!r})"
    try:
        with Image.open(path) as picture:
            return _rgb(picture, who)
    except FileNotFoundError:
        raise FileNotFoundError(f"{who}: no such file.") from None
    except UnidentifiedImageError:
        raise ValueError(f"{who} is not an image that Pillow can read.") from None
    except (OSError, SyntaxError) as error:  # Pillow reports some broken files as SyntaxError
        raise ValueError(f"{who} cannot be decoded: {error}") from error


def _rgb(picture, who):
    if picture.mode.startswith(("I", "F")):  # conversion to 8 bits would clip silently
        raise ValueError(f"{who} has Pillow mode {picture.mode!r}; convert it to 8 bits a channel first.")
    return np.asarray(picture.convert("RGB"))


def _from_array(x, who):
    try:
        x = np.asarray(x)
    except ValueError as error:
        raise ValueError(f"{who} is no rectangular array; {_ACCEPTED}.") from error
    if x.dtype == object or x.dtype.kind not in "fiub":
        raise TypeError(f"{who} has type {x.dtype}; {_ACCEPTED}.")
    if x.ndim == 3 and x.shape[2] == 1:
        x = x[:, :, 0]
    if not (x.ndim == 2 or (x.ndim == 3 and x.shape[2] == 3)) or x.size == 0:
        raise ValueError(f"{who} has shape {x.shape}; {_ACCEPTED}.")
    if x.dtype.kind == "f":
        x = _from_float(x, who)
    elif x.dtype != np.uint8:
        raise TypeError(f"{who} has dtype {x.dtype}; use uint8 in [0, 255], or float in [0, 1].")
    return x if x.ndim == 3 else np.repeat(x[:, :, None], 3, axis=2)


def _from_float(x, who):
    if not np.isfinite(x).all():
        raise ValueError(f"{who} holds NaN or infinity.")
    low, high = x.min(), x.max()
    if low < 0 or high > 1:
        raise ValueError(
            f"{who} is float with values in [{low:g}, {high:g}]; float images lie in [0, 1] "
            "(divide by 255, or pass uint8)."
        )
    return np.rint(x.astype(np.float64) * 255).astype(np.uint8)
