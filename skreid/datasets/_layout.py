"""Shared by all loaders: finding the folder, listing its images, and reading labels from their names.

No image is left out silently: files with unexpected names are listed. The error for a missing set says who
distributes it.
"""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

IMAGE_EXTENSIONS = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class Source:
    """A data set: its name, distributor, layout on disk, usual protocol and published counts."""

    name: str
    owner: str
    layout: str
    protocol: str
    expected: dict = field(default_factory=dict)

    def missing(self, what, where):
        """Return the error that says what is missing, where, and who distributes the set."""
        message = f"{self.name}: could not find {what} in {str(where)!r}. Expected layout: {self.layout}."
        if self.owner:  # not for the user's own images
            message += f" The set is distributed by {self.owner}; unpack it and pass its folder as 'root'."
        return FileNotFoundError(message)


@dataclass
class Listing:
    """The images listed so far: one entry per image in each list."""

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
    """Return ``root`` as a Path, or raise if it is not a folder."""
    folder = Path(root).expanduser()
    if folder.is_dir():
        return folder
    problem = "is a file, not a folder" if folder.exists() else "does not exist"
    if source is None:
        raise FileNotFoundError(f"The folder {str(folder)!r} {problem}. Pass the folder that contains the images.")
    raise source.missing(f"the folder of the set ('root' {problem})", folder)


def locate(root, source, needed, inside=()):
    """Return the folder that contains all of ``needed``: ``root`` or one of the folders ``inside`` it."""
    root = existing_folder(root, source)
    candidates = [root, *(root / name for name in inside)]
    for folder in candidates:
        if all((folder / name).exists() for name in needed):
            return folder
    best = max(candidates, key=lambda folder: sum((folder / name).exists() for name in needed))
    absent = [name for name in needed if not (best / name).exists()]
    partial = " (the other parts are there: this is a partial copy)" if len(absent) < len(needed) else ""
    raise source.missing(", ".join(repr(name) for name in absent) + partial, best)


def scan(folder, extensions=IMAGE_EXTENSIONS, recursive=True):
    """Return the image files below ``folder`` as sorted relative paths with forward slashes."""
    extensions = tuple(e.lower() if e.startswith(".") else f".{e.lower()}" for e in extensions)
    folder = str(folder)
    names = []
    for directory, subfolders, files in os.walk(folder):
        subfolders[:] = sorted(subfolders) if recursive else []
        inner = os.path.relpath(directory, folder).replace(os.sep, "/")
        prefix = "" if inner == "." else f"{inner}/"
        # Hidden files are copies that other systems make ("._0001.jpg"), not images of the set.
        names += [prefix + f for f in files if not f.startswith(".") and f.lower().endswith(extensions)]
    return sorted(names)


def read_text(path):
    """Return the text of a file; the error for a file that is not UTF-8 names its line."""
    try:
        return Path(path).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ValueError(
            f"Line {line} of {str(path)!r} is not UTF-8 text ({error.reason}): save the file as UTF-8."
        ) from error


def read_names(listing, folder, pattern, *, subset=None, recursive=False, prefix="", label=None):
    """Add the images of a folder whose whole relative path matches ``pattern``; add the others to ``unmatched``.

    ``label(groups)`` turns the groups of a match into keywords of `Listing.add`, or returns ``None`` for a name
    that does not match after all.
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
    """Return labels as int64 if all are whole numbers, else as str; ``None`` if all are ``None``."""
    if all(v is None for v in values):
        return None
    if all(re.fullmatch(r"[+-]?\d{1,18}", str(v)) for v in values):
        return np.array([int(v) for v in values], dtype=np.int64)
    return np.array(["" if v is None else str(v) for v in values])
