"""Zip archives from untrusted sources (weights, checkpoints, estimators), checked before any library unpacks them.

torch never compresses what it writes, and skops only if asked to: neither writes an archive that grows when unpacked.
"""

import zipfile
from pathlib import PurePosixPath, PureWindowsPath


class ArchiveError(ValueError):
    """An archive that must not be unpacked; the message says why."""


def check_archive(file, growth=1):
    """Refuse a zip archive that grows when unpacked, or whose entries would be written outside the folder.

    Parameters
    ----------
    file : path-like or file object
        Only its table of entries is read. Files that are not zip archives pass.
    growth : float, default=1
        Largest allowed total size of the entries, as a multiple of the size of the archive.

    Raises
    ------
    ArchiveError
        If it does; the message names the entry.
    """
    if not zipfile.is_zipfile(file):
        return
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            size = archive.fp.seek(0, 2)
    except Exception as error:  # a damaged table may raise anything
        raise ArchiveError(f"its table of entries is damaged ({error})") from error
    for entry in entries:
        if any(path.is_absolute() or ".." in path.parts or path.drive for path in _paths(entry.filename)):
            raise ArchiveError(f"its entry {entry.filename!r} has a path that leads out of the archive")
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > growth * size:
        largest = max(entries, key=lambda entry: entry.file_size)
        raise ArchiveError(
            f"it would grow from {size:,} to {unpacked:,} bytes, as a zip bomb does; its entry {largest.filename!r} "
            f"alone to {largest.file_size:,}"
        )


def _paths(name):
    return PurePosixPath(name), PureWindowsPath(name)
