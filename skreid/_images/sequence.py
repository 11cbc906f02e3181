"""X in any form it may arrive, as a sequence of images: a checked stack (one array), a list, or a data set's `Items`.

No torch here: networks and hand-crafted descriptors accept the same X. This is the one place that says what X may be.
"""

import mimetypes
import os
import reprlib
from collections.abc import Mapping, Set
from pathlib import Path

import numpy as np
from PIL import Image

from skreid._base.arrays import from_torch, is_tensor
from skreid._base.dataset import IMAGES
from skreid._base.missing import refuse_masked
from skreid._images.forms import CODED, channels_last, is_encoded, names_file, one_image, shape_hint
from skreid._images.items import Items, is_loader, items_of

EXPECTED = (
    "X must be an array of shape (n, height, width, 3) or (n, height, width), uint8 or float in [0, 1], "
    "or a sequence of such images, PIL images, file paths or encoded pictures"
)


def as_sequence(X):
    """Return X as a numeric array of 3 or 4 dimensions, a list of images, or `Items`; refuse anything else.

    An iterator is read to its end. No images at all make an empty list.
    """
    X = as_source(X)
    if isinstance(X, np.ndarray) and len(X):
        return _checked_stack(X)
    return X if isinstance(X, (list, Items)) else list(X)


def as_source(X):
    """Return X as an array, a list or tuple of images, `Items`, or an iterator of images, which is not read yet."""
    refuse_single(X)
    if hasattr(X, "to_pylist"):  # an Arrow column
        X = X.to_pylist()
    elif hasattr(X, "to_numpy"):  # a pandas or polars column
        X = X.to_numpy()
    X = channels_last(from_torch(X)) if is_tensor(X) else X
    refuse_masked(X, "X")
    if isinstance(X, np.ndarray):
        return _images_of_array(X) if X.dtype.kind in "OUTS" else X
    if isinstance(X, (list, tuple)):
        return type(X)(map(one_image, X)) if type(X) in (list, tuple) else list(map(one_image, X))
    if not is_loader(X) and hasattr(X, "__len__") and hasattr(X, "__getitem__"):
        return Items(X)
    return items_of(X)


def refuse_empty(X):
    """Refuse a sequence without images, where there must be some."""
    if len(X) == 0:
        raise ValueError(f"Found array with 0 sample(s): X is empty. {EXPECTED}.")


def refuse_single(X):
    """Refuse what is not several images: one image, a table, a number, a folder...; the message says what to pass."""
    if X is None:
        raise ValueError(f"X is None. {EXPECTED}.")
    if isinstance(X, (str, os.PathLike)):
        raise ValueError(f"Got a single {_of_path(X)}")
    if isinstance(X, np.ndarray) and X.ndim == 0 and X.dtype.kind in "OUTS":
        refuse_single(X.item())
        raise ValueError(f"Got an array without axes as X, which holds a {type(X.item()).__name__}. {EXPECTED}.")
    if isinstance(X, Image.Image) or is_encoded(X) or hasattr(X, "read") or _is_coded(X):
        shown = reprlib.repr(X) if isinstance(X, (Image.Image, bytes)) else type(X).__name__
        raise ValueError(f"Got a single image ({shown}) as X. {EXPECTED}: put it in a list.")
    if isinstance(X, Mapping):
        column = next((name for name in (*IMAGES, "image", "img") if name in X), None)
        advice = "pass one of its values" if column is None else f"pass its images, X[{column!r}]"
        raise ValueError(f"Got X of type {type(X).__name__}, with the keys {_names(X)}. {EXPECTED}: {advice}.")
    if hasattr(X, "column_names"):  # a table of Arrow or of Hugging Face's datasets
        raise ValueError(
            f"Got a table as X, a {type(X).__name__} with the columns {_names(X.column_names or ())}. {EXPECTED}: pass "
            "its column of images."
        )
    if isinstance(X, Set):
        raise ValueError(f"Got X of type {type(X).__name__}, which has no order. {EXPECTED}: sort it into a list.")
    if np.ndim(X) == 0 if isinstance(X, (np.ndarray, np.generic)) else np.isscalar(X):
        raise ValueError(f"Got a single number, {X}, as X, of type {type(X).__name__}. {EXPECTED}.")
    if is_tensor(X) and len(X.shape) == 3 and X.shape[0] == 3 and X.shape[-1] not in (1, 3, 4):
        raise ValueError(
            f"Got a tensor of shape {tuple(X.shape)} as X: one colour image with its channels first, or three grey "
            "images. Pass X[None] for the one, X[..., None] for the others."
        )
    if not (hasattr(X, "__iter__") or hasattr(X, "__getitem__")):
        column = next((name for name in IMAGES if getattr(X, name, None) is not None), None)
        raise ValueError(f"Got X of type {type(X).__name__}. {EXPECTED}{f': pass X.{column}' if column else ''}.")


def _of_path(X):
    """Return what a path as X is, and what to pass instead."""
    path, kind = Path(os.fspath(X)), mimetypes.guess_type(os.fspath(X))[0] or ""
    if path.is_dir():
        return (
            f"folder ({os.fspath(X)!r}) as X. skreid.datasets.load_image_folder reads a folder: "
            f"people = load_image_folder({os.fspath(X)!r}), then pass people.paths as X and people.target as y."
        )
    if kind.startswith("video/"):
        return f"video ({os.fspath(X)!r}) as X. {EXPECTED}: pass the frames of the video, read with its decoder."
    if kind == "text/csv":
        return f"table ({os.fspath(X)!r}) as X. skreid.datasets.load_csv reads it; then pass its paths."
    if set(os.fspath(X)) & set("*?[" if isinstance(X, str) else ""):
        return f"pattern ({X!r}) as X. {EXPECTED}: pass the paths that it matches, sorted(glob.glob({X!r}))."
    return f"image ({X!r}) as X. {EXPECTED}: put it in a list."


def _is_coded(X):
    return isinstance(X, Mapping) and bool(X) and CODED.issuperset(X)


def _names(names):
    return ", ".join(map(repr, list(names)[:6])) + ", ..." * (len(names) > 6)


def _images_of_array(X):
    """Return an array of paths, of encoded pictures or of objects as a list of images."""
    if X.ndim == 2 and X.shape[1] != 1 and len(X):
        raise ValueError(f"Got a table of {X.shape[1]} columns as X. {EXPECTED}: pass its column of images.")
    images = list(X.ravel() if X.ndim <= 2 else X)  # a column; or images in an array of objects
    if X.dtype.kind == "S":  # numpy cuts zero bytes off the end
        images = [item if names_file(item) else item.ljust(X.itemsize, b"\0") for item in images]
    return list(map(one_image, images))


def _checked_stack(X):
    """Return an array of images with shape (n, H, W) or (n, H, W, 3), uint8 or float."""
    shape = f"Got an array of shape {X.shape}. {EXPECTED}"
    if X.ndim == 5:
        raise ValueError(f"{shape}. These look like videos: X.reshape(-1, *X.shape[2:]) holds all frames.")
    if X.ndim not in (3, 4):
        raise ValueError(f"{shape}.")
    if X.ndim == 4 and X.shape[-1] not in (1, 3):
        raise ValueError(f"{shape}.{shape_hint(X.shape[1:], 'X')}")
    if X.ndim == 3 and X.shape[-1] in (3, 4) and X.shape[1] > 4:
        raise ValueError(f"{shape}. This looks like one colour image: pass X[None].")
    if 0 in X.shape:
        raise ValueError(f"{shape}, without empty axes.")
    if X.dtype != np.uint8 and X.dtype.kind != "f":
        raise ValueError(f"Got an array of dtype {X.dtype}. {EXPECTED}. {dtype_hint(X)}")
    return X[..., 0] if X.ndim == 4 and X.shape[-1] == 1 else X


def dtype_hint(image):
    """Return how to convert pixels of a wrong type, for the end of an error message."""
    if np.issubdtype(image.dtype, np.integer) and image.min() >= 0 and image.max() <= 255:
        return "Its values fit: use .astype(np.uint8)."
    if image.dtype == np.uint16:
        return "Scale it: (image // 257).astype(np.uint8), where white is 65535."
    return "Scale it to one of these types."
