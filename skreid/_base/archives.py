"""Zip archives from strangers (weights, checkpoints, states): looked at before any library unpacks them.

torch stores what it writes uncompressed, and so does skops unless asked: an archive that grows is not theirs.
"""

import zipfile
from pathlib import PurePosixPath, PureWindowsPath


class ArchiveError(ValueError):
    """An archive that must not be unpacked; the message says why."""


def check_archive(file, growth=1):
    """Refuse a zip archive that grows when unpacked or whose names lead out of a folder; let others pass.

    Parameters
    ----------
    file : path-like or file object
        Not read beyond the archive's own table.
    growth : float, default=1
        Size of all entries at most, in sizes of the archive.

    Raises
    ------
    ArchiveError
        Naming the entry.
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
