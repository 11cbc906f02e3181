"""The precision in which a network computes: float32, or bfloat16 where the device multiplies it natively.

Only autocast is used: weights, batch statistics and losses stay in float32 even if convolutions use bfloat16.
"""

from contextlib import contextmanager

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

PRECISIONS = ("auto", "float32", "bfloat16")
NATIVE = ("avx512_bf16", "amx_bf16")  # torch.cpu's names for the instructions that multiply bfloat16


def training_precision(precision, device):
    """Return "float32" or "bfloat16": what `precision` means for training on a device.

    Parameters
    ----------
    precision : {"auto", "float32", "bfloat16"}
        "auto" is bfloat16 where the device multiplies it natively.
    device : torch.device
    """
    if precision == "auto":
        return "bfloat16" if multiplies_bfloat16(device) else "float32"
    return precision


def reading_precision(precision):
    """Return what `precision` means for reading maps: bfloat16 only if it is asked for by name."""
    return "bfloat16" if precision == "bfloat16" else "float32"


def multiplies_bfloat16(device):
    """Return whether a device has instructions for bfloat16; emulation does not count."""
    if device.type == "cuda":
        with torch.cuda.device(device):
            return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu" and hasattr(torch.cpu, "get_capabilities"):  # older versions of torch cannot say
        able = torch.cpu.get_capabilities()
        return any(able.get(name, False) for name in NATIVE)
    return False


@contextmanager
def autocast(device, precision):
    """Enter the context in which a network computes in a precision, "float32" or "bfloat16"."""
    if precision == "float32":
        yield
    elif device.type == "cpu":
        with torch.autocast("cpu", torch.bfloat16), _StridedInFloat32():
            yield
    else:
        with torch.autocast(device.type, torch.bfloat16):
            yield


class _StridedInFloat32(TorchFunctionMode):
    """Keeps strided convolutions in float32.

    In bfloat16 on a CPU they read uninitialised memory where maps are narrow (seen with torch 2.14): their outputs are
    random or NaN with AMX, and the gradients of their weights with AVX-512 too.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is not torch.conv2d or np.max(kwargs.get("stride", args[3:4] or 1)) == 1:
            return func(*args, **kwargs)
        with torch.autocast("cpu", enabled=False):
            return func(*map(_float32, args), **{name: _float32(value) for name, value in kwargs.items()})


def _float32(value):
    return value.float() if isinstance(value, torch.Tensor) else value
