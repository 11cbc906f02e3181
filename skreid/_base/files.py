"""Files replaced in one step, and folders kept to one process at a time."""

import contextlib
import os

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None


@contextlib.contextmanager
def replacing(path, part):
    """Give `part`, opened to be written, which takes the place of `path` once it is whole and on the disk.

    If anything fails, `part` is removed and `path` is as it was. `part` must not exist: no link there is followed.
    """
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


@contextlib.contextmanager
def locked(folder, wait=True):
    """Keep a folder from others that lock it, where the system can; the end of the process, of any kind, frees it.

    Raises
    ------
    BlockingIOError
        If another has it and `wait` is False.
    """
    with contextlib.ExitStack() as stack:
        if fcntl is not None:
            try:
                place = os.open(folder, os.O_RDONLY)
                stack.callback(os.close, place)
                fcntl.flock(place, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise
            except OSError:  # some network disks lock no folder
                pass
        yield
