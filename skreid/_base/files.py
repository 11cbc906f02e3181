"""Files replaced in one step, and folders locked to one process at a time."""

import contextlib
import errno
import os
import uuid
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None


@contextlib.contextmanager
def replacing(path, part):
    """Open `part` for writing and, when it is complete and on the disk, let it replace `path`.

    If anything fails, `part` is removed and `path` stays as it was. `part` must not exist: no link there is followed.

    Raises
    ------
    FileExistsError
        If `path` is a pipe, a device, a folder or anything else but a file. It stays as it is.
    """
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "a pipe or device"
        raise FileExistsError(errno.EEXIST, f"'{path}' is {kind}, not a file, and is not replaced: give another path")
    file = part.open("x+b")
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


def write_file(path, content):
    """Write a file, or replace it in one step; a link stays one. Return its path.

    Raises
    ------
    FileExistsError
        If the path is of anything else but a file, such as a pipe, a device or a folder.
    OSError
        If it cannot be written; the message names it. An existing file stays unchanged.
    """
    path = Path(path)
    target = Path(os.path.realpath(path))
    try:
        with replacing(target, target.with_name(f"{uuid.uuid4().hex}.part")) as file:
            file.write(content)
    except FileExistsError:
        raise
    except OSError as error:
        raise OSError(
            error.errno,
            f"'{path}' could not be written ({len(content):,} bytes): {error}. An existing file stays unchanged. "
            "Free some space, or give another path.",
        ) from error
    return path


@contextlib.contextmanager
def locked(folder, wait=True):
    """Lock a folder against others that lock it, if the system can; the lock ends with the process at the latest.

    Raises
    ------
    BlockingIOError
        If another process holds the lock and `wait` is False.
    """
    with contextlib.ExitStack() as stack:
        if fcntl is not None:
            try:
                descriptor = os.open(folder, os.O_RDONLY)
                stack.callback(os.close, descriptor)
                fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise
            except OSError:  # some network disks cannot lock folders
                pass
        yield
