"""load_image_folder: any folder of images, with identity and camera from the path of each file.

Use it for sets without a loader of their own, and for your own images.
"""

import re
import warnings
from collections import defaultdict

import numpy as np

from skreid._base.caller import level
from skreid._base.missing import missing
from skreid._base.text import count
from skreid._images.decode import FORMATS
from skreid.datasets._docs import fill
from skreid.datasets._layout import Listing, Source, existing_folder
from skreid.datasets._report import bundle, what_is_there

_TAKEN = {"path", "paths", "images", "data", "target", "cams", "tracks", "report", "protocol", "DESCR"}


@fill
def load_image_folder(root, *, pattern=None, camera=None, extensions=None, check_duplicates=True, verbose=1):
    r"""List a folder of images, with identity and camera from a regular expression or the folder names.

    Every file below the folder is either listed, or counted in the report by the reason for which it was passed over:
    hidden files and folders, those of systems and programs (such as ``@eaDir`` and ``Thumbs.db``), other endings,
    empty files, files that cannot be read, names that do not match. Links are followed; what was listed already is not
    listed again.

    Parameters
    ----------
    root : str or Path
        The folder; images may be in it or in its subfolders.
    pattern : str, re.Pattern or None, default=None
        Regular expression to search (`re.search`) in the path of each image relative to ``root``, with forward
        slashes. It needs the named group ``identity`` and may have ``camera``, ``subset`` and ``track``; other named
        groups become further keys of the result, ``None`` for each image where one did not match. A group may hold
        others, as in ``(?P<track>(?P<identity>\d+)C(?P<camera>\d)T\d+)``, so that a track has the same label in no two
        cameras. With ``None``, the identity is the name of the folder that contains the image, and the camera is
        unknown.
    camera : callable or None, default=None
        Function from the text of the group ``camera`` to the camera, an int or a str, for names with the number of a
        view where several views belong to one camera.
    extensions : tuple of str or None, default=None
        Endings of image files, in upper or lower case. ``None`` takes all supported formats: AVIF, BMP, GIF, JPEG,
        JPEG 2000, PNG, PPM, TIFF and WebP, with all endings that Pillow knows for them.
    %(check_duplicates)s
    %(verbose)s

    Returns
    -------
    %(returns)s

    Raises
    ------
    FileNotFoundError
        If the folder does not exist, or contains no image that matches.
    ValueError
        If the pattern has no group ``identity``, an image has no identity, or some images have no camera, subset or
        track while others have one. Blank labels, "nan", "None", "<NA>" and "NaT" are missing.
    TypeError
        If the function `camera` returns anything but an int or a str; the message names the image.

    Warns
    -----
    UserWarning
        If a group is named nearly like ``camera`` or ``track``, such as ``cam``, and there is none of that name. If
        images are passed over because of their names, because they are empty or cannot be read, or because their
        format is not supported; the message has their number and names the first one.

    Examples
    --------
    Names such as ``0007_03.png``, views 00-04 of one camera and 05-09 of another:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skreid.datasets import load_image_folder
    >>> with tempfile.TemporaryDirectory() as root:
    ...     for name in ("0001_00.png", "0001_07.png", "0002_01.png"):
    ...         Image.new("RGB", (4, 8)).save(Path(root) / name)
    ...     data = load_image_folder(
    ...         root, pattern=r"(?P<identity>\d{4})_(?P<camera>\d\d)", camera=lambda view: int(view) // 5
    ...     )
    >>> data.target, data.cams
    (array([1, 1, 2]), array([0, 1, 0]))
    """
    pattern = _checked(pattern, camera)
    folder = existing_folder(root)
    listing = Listing(folder, _endings(extensions), verbose)
    parents = defaultdict(set)
    for name in listing.tree.pictures:
        if pattern is None:
            parent, _, identity = name.rpartition("/")[0].rpartition("/")
            groups = {"identity": identity} if "/" in name else None
            parents[identity].add(f"{parent}/{identity}" if parent else identity)
        else:
            match = pattern.search(name)
            groups = match and match.groupdict()
        if groups is None:
            listing.unmatched.append(name)
            continue
        labels = {key: groups.pop(key) or "" for key in ("identity", "camera", "subset", "track") if key in groups}
        if camera is not None and labels["camera"]:
            labels["camera"] = _called(camera, labels["camera"], name)
        listing.add(name, **labels, extras=groups)
    if not listing.paths:
        raise FileNotFoundError(_nothing(listing, pattern))
    _check_kinds(listing.cameras)
    form = "one folder per identity" if pattern is None else f"paths that match {pattern.pattern!r}"
    source = Source(
        name="Image folder",
        owner="",
        layout=f"images ({', '.join(listing.endings or FORMATS)}) in {form}",
        protocol="",
    )
    joined = {identity: sorted(folders) for identity, folders in sorted(parents.items()) if len(folders) > 1}
    return bundle(listing, source, folder, check_duplicates=check_duplicates, joined_folders=joined)


def _checked(pattern, camera):
    """Return the pattern as compiled, None for None; refuse a bad one, and a camera that does not go with it."""
    if pattern is not None:
        if not isinstance(getattr(pattern, "pattern", pattern), str):
            raise TypeError(
                f"The 'pattern' parameter of load_image_folder must be a str or a compiled one. Got {pattern!r}."
            )
        try:
            pattern = re.compile(pattern)
        except re.error as error:
            raise ValueError(
                f"The 'pattern' parameter of load_image_folder is not a regular expression: {error}. Got {pattern!r}."
            ) from error
        if "identity" not in pattern.groupindex:
            raise ValueError(
                "The 'pattern' parameter of load_image_folder must have a named group 'identity', written "
                f"(?P<identity>...), and may have a group 'camera'. Got {pattern.pattern!r} instead."
            )
        taken = sorted(_TAKEN & set(pattern.groupindex))
        if taken:
            raise ValueError(f"The groups {taken} of the pattern have names of keys of the result: choose others.")
        _warn_of_near_names(pattern)
    if camera is not None and not callable(camera):
        raise TypeError(f"The 'camera' parameter of load_image_folder must be callable or None. Got {camera!r}.")
    if camera is not None and (pattern is None or "camera" not in pattern.groupindex):
        raise ValueError("The 'camera' parameter of load_image_folder needs a group 'camera' in 'pattern'.")
    return pattern


def _endings(extensions):
    """Return endings in lower case, with their dot; None for None."""
    if extensions is None:
        return None
    if isinstance(extensions, str) or not all(isinstance(ending, str) and ending for ending in extensions):
        raise ValueError(
            "The 'extensions' parameter of load_image_folder must be a tuple of str, such as ('.png', '.jpg'), or "
            f"None. Got {extensions!r} instead."
        )
    return tuple(e.lower() if e.startswith(".") else f".{e.lower()}" for e in extensions)


def _called(camera, text, name):
    """Return what the function `camera` makes of a text, "" for a missing value."""
    try:
        value = camera(text)
    except Exception as error:
        raise ValueError(
            f"The 'camera' parameter of load_image_folder failed for {text!r}, from the image {name!r}: {error}"
        ) from error
    value = value.item() if isinstance(value, np.generic) else value
    if type(value) not in (int, str):
        if value is None or (isinstance(value, float) and missing(value)):
            return ""
        raise TypeError(
            "The 'camera' parameter of load_image_folder must return an int or a str. "
            f"Got {value!r}, of type {type(value).__name__}, for {text!r}, from the image {name!r}."
        )
    if isinstance(value, int) and abs(value) >= 10**18:
        raise ValueError(
            "The 'camera' parameter of load_image_folder must return an int of at most 18 digits, or a str. "
            f"Got {value} for {text!r}, from the image {name!r}."
        )
    return "" if missing(value) else value


def _check_kinds(cameras):
    """Refuse cameras of several types: as text, 1 and "1" would become one."""
    types = {type(value) for value in cameras if value not in (None, "")}
    if len(types) > 1:
        names = " and ".join(sorted(kind.__name__ for kind in types))
        raise ValueError(f"The 'camera' parameter of load_image_folder must return values of one type, not {names}.")


def _warn_of_near_names(pattern):
    """Warn of a group that seems to be meant as camera or track: as one more key it would have no effect."""
    for name, stem in (("camera", "cam(era)?s?"), ("track", "track(let)?s?")):
        near = [
            g for g in pattern.groupindex if re.fullmatch(rf"{stem}_?(id|no|nr|num|number|name)?", g, re.IGNORECASE)
        ]
        if near and name not in near:
            warnings.warn(
                f"The pattern has a group {near[0]!r}, which becomes a further key of the result, and no group "
                f"{name!r}, so the {name}s are unknown. If that group is the {name}, write (?P<{name}>...).",
                stacklevel=level(),
            )


def _nothing(listing, pattern):
    """Return the error for a folder in which no image was listed, with the way out."""
    where = str(listing.tree.root)
    if not listing.unmatched:
        return f"No image was found below {where!r}{what_is_there(listing)}. Pass the folder that contains the images."
    number, example = len(listing.unmatched), listing.unmatched[0]
    if pattern is None:
        return (
            f"No folder of a person was found below {where!r}, only {count(number, 'image')} directly in it, such as "
            f"{example!r}. Put the images of each person in a folder of their own, or pass a 'pattern' that finds "
            "the identity in the file name, such as r'(?P<identity>[^_]+)_'."
        )
    return (
        f"The pattern {pattern.pattern!r} matches none of the {count(number, 'image')} below {where!r}. It is searched "
        f"in the path relative to this folder, such as {example!r}; try it with re.search."
    )
