"""One image in any form it may arrive, in a form that can be read again and pickled: path, bytes, PIL image or array.

No torch here: networks and hand-crafted descriptors accept the same images.
"""

import os
import re
import reprlib
from collections.abc import Mapping
from pathlib import PurePath

import numpy as np
from PIL import Image

from skreid._base.arrays import from_torch, is_tensor

CODED = {"bytes", "path"}  # keys of an image in a column of Hugging Face's datasets that is not decoded
LONGEST_PATH = 4096  # bytes


class Unreadable:
    """Stands for an item of X that holds no image, until somebody tries to read it.

    Parameters
    ----------
    reason : str
        What it is instead, and what to do: the end of a sentence that starts with "image 3".
    """

    def __init__(self, reason):
        self.reason = reason


def one_image(item):
    """Return the image that an item of X holds, as a path, bytes, a PIL image or an array; never raise.

    Parameters
    ----------
    item : object
        An image in one of these forms; a tensor, with its channels first or last; bytes of a path or of an encoded
        picture; a file object, which is read; a dict of "bytes" and "path"; or a tuple or list of an image and labels.

    Returns
    -------
    image : str, path-like, bytes, PIL.Image.Image, array, Unreadable or object
        An item of any other kind is returned unchanged.
    """
    if isinstance(item, (str, np.ndarray, Image.Image, PurePath)):
        return item
    if isinstance(item, (tuple, list)):
        alone = _without_labels(item)
        return item if alone is item else one_image(alone)
    if isinstance(item, Mapping):
        return _of_mapping(item)
    if is_encoded(item):
        return _path_or_picture(bytes(item))
    if hasattr(item, "read"):
        return _content(item)
    return channels_last(from_torch(item)) if is_tensor(item) else item


def is_encoded(item):
    """Return whether an item is bytes, of a path or of an encoded picture."""
    return isinstance(item, (bytes, bytearray)) or (isinstance(item, memoryview) and item.ndim == 1)


def channels_last(array):
    """Return the array of a tensor of one or more images with its channels last; torch keeps them first."""
    if array.ndim in (3, 4) and array.shape[-3] in (1, 3) and array.shape[-1] not in (1, 3):
        return np.moveaxis(array, -3, -1)
    return array


def names_file(content):
    """Return whether bytes can be the path of a file; an encoded picture has control characters near its start."""
    return 0 < len(content) <= LONGEST_PATH and re.search(rb"[\0-\x1f]", content) is None


def shape_hint(shape, name):
    """Return what to do about the shape of one image, for the end of an error message; it may be empty."""
    if len(shape) == 3 and shape[0] in (1, 3, 4) and shape[-1] not in (1, 3, 4):
        return f" Move the channels last: np.moveaxis({name}, -3, -1)."
    if len(shape) == 3 and shape[-1] == 4:
        return f" Drop its alpha channel: {name}[..., :3]."
    if len(shape) == 4 and shape[0] == 1:
        return f" It is a batch of one image: pass {name}[0]."
    if len(shape) == 4:
        return " It holds several images: give each of them, or each frame of a video, on its own."
    return ""


def _path_or_picture(content):
    return os.fsdecode(content) if names_file(content) and os.path.exists(content) else content


def _of_mapping(item):
    """Return the image of a dict of encoded bytes and a path."""
    if item and CODED.issuperset(item):
        if item.get("bytes") is not None:
            return bytes(item["bytes"])
        path = item.get("path")
        return path if path is not None else Unreadable("holds neither bytes nor a path. Leave it out, with its label.")
    keys = list(item)
    wanted = next((key for key in ("image", "img", "images") if key in item), keys[0] if keys else "image")
    return Unreadable(
        f"is a {type(item).__name__} with the keys {reprlib.repr(keys)}. Pass the images alone, such as "
        f"[row[{wanted!r}] for row in X]."
    )


def _content(file):
    """Return the bytes of a file object, read from its start where it has one."""
    advice = "Open it in binary mode, open(path, 'rb'), and close it only afterwards."
    try:
        if getattr(file, "seekable", bool)():
            file.seek(0)
        content = file.read()
    except Exception as error:  # file objects of any library raise errors of any type
        return Unreadable(f"is a file object that could not be read ({error or type(error).__name__}). {advice}")
    if not isinstance(content, bytes) or not content:
        what = "no bytes" if isinstance(content, bytes) else f"a {type(content).__name__} instead of bytes"
        return Unreadable(f"is a file object that returned {what}. {advice}")
    return content


def _without_labels(item):
    """Return the image of (image, label, ...); anything else unchanged, such as an image of nested lists."""
    if not item:
        return item
    first, *others = item
    if not is_image(first) or (_is_path(first) and any(is_image(entry) and not _is_path(entry) for entry in others)):
        return _with_image_first(item)
    if not others and getattr(first, "ndim", 3) == 2:  # an image of one row
        return item
    images = [entry for entry in others if is_image(entry) and (_is_path(first) or not _is_path(entry))]
    if not images:
        return first
    if all(getattr(entry, "ndim", 0) == 2 for entry in item):  # an image, as a list of its rows
        return item
    return Unreadable(
        f"is a {type(item).__name__} of {len(item)} entries, {1 + len(images)} of which may be images. Pass one image "
        "each, such as [image for image, *labels in X]."
    )


def _with_image_first(item):
    """Return what cannot be read if a label seems to come before an image; anything else unchanged."""
    images = [place for place, entry in enumerate(item) if is_image(entry) or getattr(entry, "ndim", 0) == 4]
    place = next((place for place in images if not _is_path(item[place])), images[0] if images else 0)
    if not place:
        return item
    return Unreadable(
        f"is a {type(item).__name__} whose first entry is {reprlib.repr(item[0])}, and whose image seems to be entry "
        f"{place}. Put the image first, as in (image, label), or pass the images alone."
    )


def _is_path(entry):
    return isinstance(entry, (str, os.PathLike)) or (is_encoded(entry) and names_file(bytes(entry)))


def is_image(entry):
    """Return whether an entry of a tuple or list looks like an image in a form that `one_image` takes."""
    return (
        isinstance(entry, (str, os.PathLike, Image.Image))
        or is_encoded(entry)
        or hasattr(entry, "read")
        or (isinstance(entry, Mapping) and bool(entry) and CODED.issuperset(entry))
        or getattr(entry, "ndim", 0) in (2, 3)
    )
