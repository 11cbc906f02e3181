"""Shared by all loaders: finding the folder, listing its images, and reading labels from their names.

No image is left out silently: files with unexpected names are listed. The error for a missing set says who
distributes it.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from skreid.datasets._tree import Tree

_LABELS = ("identity", "camera", "subset", "track", "offset")
_ARCHIVES = (".7z", ".bz2", ".gz", ".rar", ".tar", ".tgz", ".xz", ".zip")


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
    """The images listed so far, one entry per image in each list: from the files below a folder, or from a table."""

    root: str | Path | None = None
    endings: tuple | None = None
    verbose: int = 0
    table: str | None = None
    tree: Tree | None = None
    paths: list = field(default_factory=list)
    names: list = field(default_factory=list)  # paths below the root, or lines of the table
    identities: list = field(default_factory=list)
    offsets: list = field(default_factory=list)
    cameras: list = field(default_factory=list)
    subsets: list = field(default_factory=list)
    tracks: list = field(default_factory=list)
    extras: dict = field(default_factory=dict)
    unmatched: list = field(default_factory=list)
    sizes: list = field(default_factory=list)  # of the files of a table
    unreadable: dict = field(default_factory=dict)
    unlike_names: list = field(default_factory=list)  # images whose label is another than their name says

    def __post_init__(self):
        if self.root is not None:
            self.tree = Tree(Path(self.root).expanduser(), self.endings, self.verbose)

    def add(self, name, identity, camera=None, subset=None, track=None, *, path=None, offset=0, extras=None):
        """Append one image; `offset` is added to an identity that is a number."""
        self.paths.append(self.tree.path(name) if path is None else path)
        self.names.append(name)
        self.identities.append(identity)
        self.offsets.append(offset)
        self.cameras.append(camera)
        self.subsets.append(subset)
        self.tracks.append(track)
        for key, value in (extras or {}).items():
            self.extras.setdefault(key, []).append(value)

    def place(self, index):
        """Return what messages call an image."""
        if self.table is not None:
            return f"in line {self.names[index]} of {self.table!r}"
        return f"{self.names[index]!r} below {str(self.tree.root)!r}"


def existing_folder(root, source=None):
    """Return ``root`` as a Path, or raise if it is not a folder."""
    try:
        folder = Path(root).expanduser()
    except TypeError:
        raise TypeError(f"The 'root' parameter must be the path of a folder, a str or Path. Got {root!r}.") from None
    if folder.is_dir():
        return folder
    problem = f"does not exist; relative paths start from {str(Path.cwd())!r}"
    if folder.exists():
        problem = "is a file, not a folder"
        if folder.suffix.lower() in _ARCHIVES:
            problem += ": unpack it, and pass the folder"
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


def read_text(path):
    """Return the text of a file; the error for a file that is not UTF-8 names its line."""
    content = Path(path).read_bytes()
    if b"\0" in content:  # UTF-16, for example, or no text at all
        line = content[: content.index(b"\0")].count(b"\n") + 1
        raise ValueError(f"Line {line} of {str(path)!r} has a NUL byte: save the file as UTF-8 text.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ValueError(
            f"Line {line} of {str(path)!r} is not UTF-8 text ({error.reason}): save the file as UTF-8."
        ) from error


def read_names(listing, folder, pattern, *, subset=None, recursive=False, label=None):
    """Add the images of a folder whose whole relative path matches ``pattern``; add the others to ``unmatched``.

    ``label(groups)`` may change the groups of a match, or return ``None`` for a name that does not match after all.
    Groups that are no arguments of `Listing.add` become further keys of the result.
    """
    pattern = re.compile(pattern, re.IGNORECASE | re.ASCII)
    for name, inner in listing.tree.below(folder, recursive):
        match = pattern.fullmatch(inner)
        groups = match and match.groupdict()
        groups = label(groups) if groups and label else groups
        if groups:
            labels = {key: groups.pop(key) for key in _LABELS if key in groups}
            listing.add(name, **{"subset": subset} | labels, extras=groups)
        else:
            listing.unmatched.append(name)
    return listing
