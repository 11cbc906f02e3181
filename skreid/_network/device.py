"""The device on which a network runs now, and torch's threads in forked processes."""

import os
import warnings

import torch


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


if hasattr(os, "register_at_fork"):
    # a fork copies no threads: torch would wait forever for those of the parent
    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))
