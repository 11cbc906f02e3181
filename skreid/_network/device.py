"""Networks in forked processes: one thread there, and no CUDA that the parent had begun to use.

A fork copies no threads: torch would wait for those of the parent for ever.
"""

import os

import torch

_parent_used_cuda = _spoilt = False


def check_fork(device):
    """Raise ValueError if `device` cannot work here because this process was forked from one that used CUDA."""
    if _spoilt and device.type == "cuda":
        raise ValueError(
            f"device='{device}' cannot be used in this process: it was forked from one that had used CUDA already. "
            "Use n_jobs=1, or joblib's own processes (backend 'loky', the default) or threads; or start processes with "
            "the method 'spawn'; or use device='cpu' in them."
        )


def _note_cuda():
    global _parent_used_cuda
    _parent_used_cuda = torch.cuda.is_initialized()


def _begin_anew():
    global _spoilt
    _spoilt = _spoilt or _parent_used_cuda
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_note_cuda, after_in_child=_begin_anew)
