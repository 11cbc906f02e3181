"""What every loader shares: finding the folder, listing its images, reading labels from their names.

Nothing is dropped in silence: a name that cannot be read is counted, and a set that is not there says where
to get it.
"""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

IMAGE_EXTENSIONS = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class Source:
    """A public set: its name, who gives it out, how it lies on disk, its protocol and published numbers."""

    name: str
    owner: str
    layout: str
    protocol: str
    expected: dict = field(default_factory=dict)

    def missing(self, what, where):
        """Return the error that says what was looked for, where, and where to get the set."""
        message = f"{self.name}: {what} was looked for in {str(where)!r} and not found. Expected: {self.layout}."
        if self.owner:  # one's own images have none
            message += f" The set is distributed by {self.owner}; unpack it and pass its folder as 'root'."
        return FileNotFoundError(message)


@dataclass
class Listing:
    """The images found so far: one entry an image, in order."""

    paths: list = field(default_factory=list)
    identities: list = field(default_factory=list)
    cameras: list = field(default_factory=list)
    subsets: list = field(default_factory=list)
    extras: dict = field(default_factory=dict)
    unmatched: list = field(default_factory=list)

    def add(self, path, identity, camera=None, subset=None, **extras):
        """Append one image."""
        self.paths.append(str(path))
        self.identities.append(identity)
        self.cameras.append(camera)
        self.subsets.append(subset)
        for name, value in extras.items():
            self.extras.setdefault(name, []).append(value)


def existing_folder(root, source=None):
    """Return ``root`` as a Path, or raise when it is no folder."""
    folder = Path(root).expanduser()
    if folder.is_dir():
        return folder
    problem = "is a file, not a folder" if folder.exists() else "does not exist"
    if source is None:
        raise FileNotFoundError(f"The folder {str(folder)!r} {problem}. Pass the folder that holds the images.")
    raise source.missing(f"its folder ('root' {problem})", folder)


def locate(root, source, needed, inside=()):
    """Return the folder that holds all of ``needed``: ``root`` or one of the folders ``inside`` it."""
    root = existing_folder(root, source)
    candidates = [root, *(root / name for name in inside)]
    for folder in candidates:
        if all((folder / name).exists() for name in needed):
            return folder
    best = max(candidates, key=lambda folder: sum((folder / name).exists() for name in needed))
    absent = [name for name in needed if not (best / name).exists()]
    partial = " (the others are there: a partial copy)" if len(absent) < len(needed) else ""
    raise source.missing(", ".join(repr(name) for name in absent) + partial, best)


def scan(folder, extensions=IMAGE_EXTENSIONS, recursive=True):
    """Return the image files below ``folder`` as sorted relative paths with forward slashes."""
    extensions = tuple(e.lower() if e.startswith(".") else f".{e.lower()}" for e in extensions)
    folder = str(folder)
    found = []
    for directory, subfolders, files in os.walk(folder):
        subfolders[:] = sorted(subfolders) if recursive else []
        inner = os.path.relpath(directory, folder).replace(os.sep, "/")
        prefix = "" if inner == "." else f"{inner}/"
        # Hidden files are copies made by other systems ("._0001.jpg"), not images of the set.
        found += [prefix + f for f in files if not f.startswith(".") and f.lower().endswith(extensions)]
    return sorted(found)


def read_text(path):
    """Return the text of a list or table; one that is no UTF-8 is named."""
    try:
        return Path(path).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ValueError(
            f"Line {line} of {str(path)!r} is not UTF-8 text ({error.reason}): save it as such."
        ) from error


def read_names(listing, folder, pattern, *, subset=None, recursive=False, prefix="", label=None):
    """Add the images of a folder whose relative path matches ``pattern`` entirely; note the others.

    ``label(groups)`` turns the groups of a match into keywords of `Listing.add`, or refuses with ``None``.
    """
    pattern = re.compile(pattern, re.IGNORECASE)
    for name in scan(folder, recursive=recursive):
        match = pattern.fullmatch(name)
        groups = match and match.groupdict()
        entry = label(groups) if groups and label else groups
        if entry:
            listing.add(Path(folder) / name, subset=subset, **entry)
        else:
            listing.unmatched.append(prefix + name)
    return listing


def as_labels(values):
    """Return labels as int64 when all are whole numbers, else as str; ``None`` when there are none."""
    if all(v is None for v in values):
        return None
    if all(re.fullmatch(r"[+-]?\d{1,18}", str(v)) for v in values):
        return np.array([int(v) for v in values], dtype=np.int64)
    return np.array(["" if v is None else str(v) for v in values])
