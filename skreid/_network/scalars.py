"""NumPy scalars in torch's files, such as the accuracy that Torchreid stores beside weights: read as plain numbers.

The names under which NumPy pickles them stand for the functions below while a file is read. NumPy itself, whose
unpickling takes objects, records and sizes of any kind, is never called by a file.
"""

import os
from contextlib import contextmanager
from threading import RLock

import numpy as np
from torch.serialization import get_safe_globals, safe_globals

_KINDS = {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"}
_one_at_a_time = RLock()  # what torch allows is global


def _renew_lock():
    global _one_at_a_time
    _one_at_a_time = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


class _Kind:
    """What stands for `numpy.dtype`: the kind and byte order of a number, and nothing else."""

    def __init__(self, code, align=False, copy=False):
        if not isinstance(code, str) or code not in _KINDS:
            raise ValueError(f"a NumPy scalar of the kind {code!r:.40}")
        self.code, self.order = code, "="

    def __setstate__(self, state):
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
        if order not in ("<", ">", "|", "="):
            raise ValueError("a NumPy scalar of a damaged kind")
        self.order = order


def _scalar(kind, content):
    """Stand for `numpy.core.multiarray.scalar`: return the number that some bytes hold."""
    if type(kind) is not _Kind or type(content) is not bytes or len(content) != int(kind.code[1]):
        raise ValueError("a NumPy scalar that is no number")
    return np.frombuffer(content, kind.order + kind.code)[0].item()


_ALLOWED = [
    (_scalar, "numpy.core.multiarray.scalar"),  # NumPy 1
    (_scalar, "numpy._core.multiarray.scalar"),
    (_Kind, "numpy.dtype"),
]


@contextmanager
def numpy_scalars():
    """Let `torch.load` with ``weights_only=True`` read NumPy's numbers, and nothing else of NumPy.

    If the user allowed NumPy's own functions with `torch.serialization.add_safe_globals`, these remain.
    """
    with _one_at_a_time:
        known = get_safe_globals()
        names = {each[1] if isinstance(each, tuple) else f"{each.__module__}.{each.__name__}" for each in known}
        with safe_globals([] if names.intersection(name for _, name in _ALLOWED) else _ALLOWED):
            yield
