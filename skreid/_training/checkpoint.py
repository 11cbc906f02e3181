"""Interrupted training resumes: its whole state is written after each epoch, atomically, with its origin.

A copy of the state is written while the next epoch runs. The last two epochs are kept, and each file ends with a digest
of its content: a damaged file costs one epoch.
"""

import contextlib
import hashlib
import io
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from skreid._base.archives import check_archive
from skreid._base.files import locked, replacing
from skreid._base.provenance import changed_parts, refuse_changes
from skreid._network.device import snapshot
from skreid._network.tensor_files import load_tensors
from skreid._training.parallel import is_first

KEPT = 2
DIGEST_BYTES = hashlib.sha256().digest_size


class Checkpoint:
    """A folder holding the state of one training.

    Parameters
    ----------
    folder : str or path-like
        Created if it does not exist.
    origin : dict of str to str
        Everything that the training depends on, as `origin_of` returns it; a state of another origin is refused.
    """

    def __init__(self, folder, origin):
        self.folder, self.origin = Path(folder), origin
        self._writer = self._unfinished = None
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:
            raise NotADirectoryError(f"checkpoint={str(folder)!r} is a file; give a folder.") from error
        except OSError as error:
            raise type(error)(f"checkpoint={str(folder)!r} cannot be created: {error.strerror}.") from error

    def __enter__(self):
        """Lock the folder against other trainings until this one leaves it, or its process ends in any way."""
        self._lock = contextlib.ExitStack()
        try:
            if is_first():
                self._lock.enter_context(locked(self.folder, wait=False))
        except BlockingIOError as error:
            raise RuntimeError(
                f"Another training uses the checkpoint folder {self.folder}. Give each training a folder of its own."
            ) from error
        return self

    def __exit__(self, *_):
        self._lock.close()

    def load(self, device):
        """Return the newest readable state, its tensors on `device`; None if there is none.

        Raises
        ------
        ValueError
            If the state belongs to other data or settings; the message names what differs.

        Warns
        -----
        UserWarning
            If a damaged file is skipped in favour of the one before it.
        """
        for path in reversed(self._files()):
            try:
                content = path.read_bytes()
            except OSError as error:
                raise type(error)(
                    f"Checkpoint {path} cannot be read: {error.strerror}. It is left as it is."
                ) from error
            try:
                origin, state = _read(path, content, device)
                changed = changed_parts(origin, self.origin)
            except Exception as error:  # a damaged file may raise anything
                reason = str(error).partition("\n")[0] or type(error).__name__
                warnings.warn(f"Checkpoint {path} is damaged and was skipped: {reason}", stacklevel=2)
                continue
            refuse_changes(
                changed,
                f"The checkpoint in {self.folder} does not match this fit",
                "Give each training a folder of its own, or delete this one to start again. In a search or "
                "cross-validation, which trains many times, use memory instead.",
            )
            return state
        return None

    def save(self, epoch, state):
        """Write the state after an epoch; the one before it stays until the new file is complete.

        Raises
        ------
        OSError
            If it cannot be written, for example because the disk is full; the last good checkpoint stays.
        """
        path = self.folder / f"epoch-{epoch:06d}.pt"
        part = path.with_suffix(".part")
        try:
            part.unlink(missing_ok=True)
            with replacing(path, part) as file:
                torch.save({"origin": self.origin, "state": state}, file)
                file.seek(0)
                file.write(hashlib.file_digest(file, "sha256").digest())
        except (OSError, RuntimeError) as error:  # torch reports a failed write as a RuntimeError
            kept = "the last good one is kept" if self._files() else "there is none before it"
            raise OSError(
                f"The checkpoint of epoch {epoch + 1} could not be written to {self.folder} ({error}); {kept}. Free "
                "some space or solve the problem that the error names, then call fit again to resume."
            ) from error
        files = self._files()
        place = files.index(path)
        for other in [*files[: max(0, place + 1 - KEPT)], *files[place + 1 :]]:  # later ones were damaged
            other.unlink()

    @contextlib.contextmanager
    def writing(self):
        """Let `save_later` write in the background; every file is complete when this context ends, in any way."""
        with ThreadPoolExecutor(1, "checkpoint") as self._writer:
            try:
                yield
            except BaseException as error:
                if self._unfinished and (failure := self._unfinished.exception()):
                    error.add_note(str(failure))
                raise

    def save_later(self, epoch, state, device):
        """Write a copy of the state after an epoch, made on its device, while training goes on.

        Raises
        ------
        OSError
            If the state before this one could not be written.
        """
        self.finish()
        state, wait = snapshot(state, device)

        def save():
            wait()
            self.save(epoch, state)

        self._unfinished = self._writer.submit(save)

    def finish(self):
        """Wait until the state given to `save_later` is written, and raise the error of `save` if it is not."""
        unfinished, self._unfinished = self._unfinished, None
        if unfinished:
            unfinished.result()

    def check_writable(self):
        """Raise PermissionError if nothing can be written here, before hours of training are spent."""
        if is_first() and not os.access(self.folder, os.W_OK | os.X_OK):
            raise PermissionError(f"checkpoint={str(self.folder)!r} cannot be written to: check its permissions.")

    def _files(self):
        return sorted(self.folder.glob(f"epoch-{'[0-9]' * 6}.pt"))


def _read(path, content, device):
    """Return the origin and the state in a file, after comparing its digest; nothing in the file is run."""
    content, digest = content[:-DIGEST_BYTES], content[-DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != digest:
        raise ValueError("its digest does not match its content")
    check_archive(io.BytesIO(content))
    saved = load_tensors(path, device, content)
    return saved["origin"], saved["state"]
