"""The device on which a network runs now: its free memory, copies from it, and torch's threads on a CPU.

These are as many as cores are idle where that is asked for, and one in a forked process.
"""

import os
import warnings
from copy import deepcopy

import numpy as np
import torch

from skreid._base.cores import idle_cores

WAITING_BATCHES = 8  # descriptors of this many batches wait on the device before they are copied
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")  # set by users who want a certain number


def resolve_device(name, fall_back=False):
    """Return the torch device that a `device` parameter means now.

    Parameters
    ----------
    name : str
        A torch device, or "auto" for CUDA where there is one and the CPU elsewhere.
    fall_back : bool, default=False
        Whether to use the CPU, with a warning, where the device does not exist.

    Raises
    ------
    ValueError
        If it is not the name of a torch device, or the device does not exist and `fall_back` is False.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"device={name!r} is not a torch device: {error}") from error
    if _exists(device):
        return device
    kind = "CUDA" if device.type == "cuda" else device.type
    message = f"device={name!r}, but torch finds no such {kind} device"
    if not fall_back:
        raise ValueError(f"{message}; use device='auto' or 'cpu'.")
    warnings.warn(
        f"{message}: using the CPU; set_params(device='auto') uses the device that is available.", stacklevel=5
    )
    return torch.device("cpu")


def _exists(device):
    """Return whether a torch device exists on this machine."""
    if device.type == "cpu":
        return True
    present = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    same_type = present is not None and device.type == present.type
    return same_type and (device.index or 0) < torch.accelerator.device_count()


def free_memory(device):
    """Return the bytes that a GPU has free: what the driver reports, and what torch reserved and does not use."""
    free = torch.cuda.mem_get_info(device)[0]
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def to_host(*tensors):
    """Return tensors of one type as arrays, copied from their device in one go: the host waits for it once."""
    if all(tensor.device.type == "cpu" for tensor in tensors):
        return [tensor.numpy() for tensor in tensors]
    values = torch.cat([tensor.flatten() for tensor in tensors]).numpy(force=True)
    ends = np.cumsum([tensor.numel() for tensor in tensors])[:-1]
    return [part.reshape(tensor.shape) for part, tensor in zip(np.split(values, ends), tensors, strict=True)]


def copy_rows(batches, out, progress):
    """Copy batches of rows from their device into an array, several at a time: a GPU is not stopped for each of them.

    Parameters
    ----------
    batches : iterable of tensor of shape (n, n_features)
    out : ndarray of shape (n_rows, n_features)
        Overwritten.
    progress : callable
        Called with the number of rows of each batch.
    """
    waiting, done = [], 0

    def copy():
        nonlocal done
        rows = torch.cat(waiting) if len(waiting) > 1 else waiting[0]
        out[done : done + len(rows)] = rows.numpy(force=True)
        done += len(rows)
        waiting.clear()

    for rows in batches:
        waiting.append(rows)
        if rows.device.type == "cpu" or len(waiting) == WAITING_BATCHES:
            copy()
        progress(len(rows))
    if waiting:
        copy()


def snapshot(state, device):
    """Return a copy of a nested state, made on its device, and a function that waits until the device has made it."""
    copied = deepcopy(state)
    wait = torch.cuda.current_stream(device).record_event().synchronize if device.type == "cuda" else lambda: None
    return copied, wait


def use_idle_cores():
    """Let torch use as many threads as cores are idle now, and return their number.

    Training beside a busy process takes twice as long if two threads share one core. The number of threads decides
    how sums are rounded, so the same seed returns the same weights only for the same number. This is why no `fit` does
    it by itself: call it once, before `fit`, where speed matters more than equal bits.

    Returns
    -------
    n_threads : int
        At least 1, and at most the number that torch used before. That number stays if ``OMP_NUM_THREADS`` or
        ``MKL_NUM_THREADS`` is set.

    Examples
    --------
    >>> from skreid import use_idle_cores
    >>> use_idle_cores() >= 1
    True
    """
    if not any(os.environ.get(name) for name in THREAD_VARIABLES):
        torch.set_num_threads(min(torch.get_num_threads(), idle_cores()))
    return torch.get_num_threads()


if hasattr(os, "register_at_fork"):
    # a fork copies no threads: torch would wait forever for those of the parent
    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))
