"""Interrupted training goes on: the whole state after each epoch, written atomically, with a digest of its origin.

The last two epochs are kept, so that a file cut short by a full disk or a power failure costs one epoch.
"""

import contextlib
import os
import warnings
from pathlib import Path

import torch

KEPT = 2


class Checkpoint:
    """A folder holding the state of one training.

    Parameters
    ----------
    folder : str or path-like
        Made if it does not exist.
    origin : dict of str to str
        Everything that decides the training, by name: a state of another origin is refused.
    """

    def __init__(self, folder, origin):
        self.folder, self.origin = Path(folder), origin
        self.folder.mkdir(parents=True, exist_ok=True)

    def load(self, device):
        """Return the newest readable state, its tensors on `device`; None if there is none.

        Raises
        ------
        ValueError
            If the state belongs to other data or settings; the message names them.

        Warns
        -----
        UserWarning
            When a damaged file is passed over for the one before it.
        """
        for path in reversed(self._files()):
            try:
                saved = torch.load(path, map_location=device, weights_only=True)
                origin, state = saved["origin"], saved["state"]
            except Exception as error:  # a damaged file may raise anything
                warnings.warn(
                    f"Checkpoint {path} is damaged and passed over: {str(error).splitlines()[0]}", stacklevel=2
                )
                continue
            other = sorted(name for name in self.origin | origin if self.origin.get(name) != origin.get(name))
            if other:
                raise ValueError(
                    f"The checkpoint in {self.folder} belongs to another training: {', '.join(other)} differ. "
                    "Give another folder, or delete this one to start anew."
                )
            return state
        return None

    def save(self, epoch, state):
        """Write the state after an epoch; the one before it stays until this one is whole.

        Raises
        ------
        OSError
            If it cannot be written, such as on a full disk; the last good checkpoint stays.
        """
        path = self.folder / f"epoch-{epoch:06d}.pt"
        part = path.with_suffix(".part")
        try:
            with part.open("wb") as file:
                torch.save({"origin": self.origin, "state": state}, file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except (OSError, RuntimeError) as error:  # torch reports a failed write as a RuntimeError
            with contextlib.suppress(OSError):
                part.unlink()
            raise OSError(
                f"The checkpoint of epoch {epoch} could not be written to {self.folder} ({error}); the last good "
                "one is kept. Free some space, then fit again to go on from there."
            ) from error
        for old in self._files()[:-KEPT]:
            old.unlink()

    def _files(self):
        return sorted(self.folder.glob("epoch-*.pt"))
