"""One walk over a folder: every file below it is a picture, or is passed over for a reason that is kept.

Links are followed once, after all real folders, so that a real file comes before a link to it and a loop ends.
"""

import errno
import os
import stat
from bisect import bisect_left
from collections import defaultdict
from itertools import islice, takewhile
from pathlib import Path

from skreid._base.bars import progress_bar
from skreid._images.decode import image_endings

# The reasons for which a file is passed over.
SERVICE = "hidden or service file"
ENDING = "other ending"
UNREADABLE = "cannot be read"
EMPTY = "empty"
LISTED = "link to what is listed"
UNMATCHED = "unexpected name"
ELSEWHERE = "outside of the layout"

_SERVICE_NAMES = {
    *("@eadir", "@tmp", "@recycle", "#recycle", "#snapshot", "$recycle.bin", "system volume information"),
    *("lost+found", "__macosx", "__pycache__", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"),
}
_EVERYONE_READS = stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH
_DELAY = 2  # seconds before a bar appears


def progress(verbose, desc, total=None):
    """Return a bar that appears where the work takes longer than two seconds, if at all."""
    return progress_bar(desc, "file", total, shown=verbose, delay=_DELAY)


def is_service(name):
    """Return whether the name of a file or folder is a hidden one, or one that systems and programs give."""
    return name.startswith(".") or name.lower() in _SERVICE_NAMES


class Tree:
    """All files below a folder.

    Parameters
    ----------
    root : str or Path
        The folder; its own name may be a hidden one, and it may be a link.
    endings : tuple of str or None
        Endings of pictures, in lower case; ``None`` for those of all formats that can be decoded.
    verbose : int
        Whether a bar may show the progress.

    Attributes
    ----------
    pictures : dict of str to int
        Path of each picture relative to the folder, with forward slashes, and its size in bytes; in order.
    passed_over : dict of str to list of str
        The paths of all other files, by reason. A link or a folder that is not read counts as one file.
    why : dict of str to str
        More about some of the paths that were passed over.
    empty_folders : list of str
        The paths of folders with nothing in them.
    """

    def __init__(self, root, endings=None, verbose=0):
        self.root, self.pictures, self.passed_over, self.why = Path(root), {}, defaultdict(list), {}
        self._endings = image_endings() if endings is None else endings
        self._start = os.path.join(self.root, "") if self.root.parts else ""
        self._folders, self._files, self._links = {}, set(), []  # what was read, by device and inode
        self.empty_folders = []
        with progress(verbose, f"Listing {self.root.name}") as self._bar:
            self._read("")
            while self._links:
                links, self._links = sorted(self._links), []
                for name in links:
                    self._follow(name)
        self.pictures = dict(sorted(self.pictures.items()))
        self._names = list(self.pictures)
        for names in (*self.passed_over.values(), self.empty_folders):
            names.sort()

    def path(self, name):
        """Return the path of a file from its path relative to the folder."""
        return self._start + (name if os.sep == "/" else name.replace("/", os.sep))

    def below(self, folder, recursive=True):
        """Return the pictures below a folder: pairs of the path relative to the root, and relative to the folder.

        The folder may also be a link to one that was read under another name.
        """
        try:
            start = self._folders.get(_identity(os.stat(folder)))
        except OSError:
            start = None
        if start is None:
            return []
        prefix = f"{start}/" if start else ""
        names = islice(self._names, bisect_left(self._names, prefix), None)
        pairs = [(name, name[len(prefix) :]) for name in takewhile(lambda name: name.startswith(prefix), names)]
        return pairs if recursive else [pair for pair in pairs if "/" not in pair[1]]

    def _pass_over(self, name, reason, why=None):
        self.passed_over[reason].append(name)
        if why:
            self.why[name] = why

    def _read(self, start, linked=False):
        """Read a folder and the real folders below it; keep the links for later."""
        waiting = [(start, False)]  # and whether the folder is in a service folder
        while waiting:
            folder, in_service = waiting.pop()
            path = self.path(folder) or "."
            try:
                identity = _identity(os.stat(path))
                with os.scandir(path) as entries:
                    entries = list(entries)
            except OSError as error:
                self._pass_over(folder or ".", SERVICE if in_service else UNREADABLE, f"a folder: {error.strerror}")
                continue
            if not in_service and self._folders.setdefault(identity, folder) != folder:
                self._pass_over(folder, LISTED, f"the folder {self._folders[identity] or '.'!r}")
                continue
            if not entries and folder and not in_service:
                self.empty_folders.append(folder)
            for entry in entries:
                self._bar.update()
                name = f"{folder}/{entry.name}" if folder else entry.name
                inside_service = in_service or is_service(entry.name)
                if not entry.is_symlink() and entry.is_dir(follow_symlinks=False):
                    waiting.append((name, inside_service))
                elif inside_service:
                    self._pass_over(name, SERVICE)
                elif entry.is_symlink():
                    self._links.append(name)
                else:
                    self._add(name, entry.stat, linked)

    def _follow(self, name):
        """Read what a link leads to, unless it is listed already."""
        try:
            status = os.stat(self.path(name))
        except OSError as error:
            broken = {errno.ENOENT: "a link to nothing", errno.ELOOP: "a link that leads back to itself"}
            self._pass_over(name, UNREADABLE, broken.get(error.errno, f"a link: {error.strerror}"))
            return
        identity = _identity(status)
        if not stat.S_ISDIR(status.st_mode):
            self._add(name, lambda: status, linked=True)
        elif identity in self._folders:
            target = self._folders[identity]
            loop = not target or name.startswith(f"{target}/")
            self._pass_over(name, LISTED, "a loop" if loop else f"the folder {target!r}")
        elif identity in self._above():
            self._pass_over(name, LISTED, "a loop: it leads to a folder above")
        else:
            self._read(name, linked=True)

    def _above(self):
        """Return the folders that contain the root: a link to one of them would list the root again, and much else."""
        return {_identity(os.stat(folder)) for folder in self.root.resolve().parents}

    def _add(self, name, status, linked):
        """Add a file that is a picture by its ending, if it can be read; `status` returns its status.

        A file that a link led to is listed once. Other files of one inode, hard links, are equal files.
        """
        if not name.lower().endswith(self._endings):
            self._pass_over(name, ENDING)
            return
        try:
            status = status()
        except OSError as error:
            self._pass_over(name, UNREADABLE, error.strerror)
            return
        if not stat.S_ISREG(status.st_mode):
            self._pass_over(name, UNREADABLE, "a pipe or device")
        elif status.st_mode & _EVERYONE_READS != _EVERYONE_READS and not os.access(self.path(name), os.R_OK):
            self._pass_over(name, UNREADABLE, os.strerror(errno.EACCES))
        elif status.st_size == 0:
            self._pass_over(name, EMPTY)
        elif linked and _identity(status) in self._files:
            self._pass_over(name, LISTED)
        else:
            self.pictures[name] = status.st_size
            self._files.add(_identity(status))


def _identity(status):
    return status.st_dev, status.st_ino
