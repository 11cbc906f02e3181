"""The precision in which a network computes: float32, or bfloat16 where the device multiplies it natively.

Only autocast is used: weights, batch statistics and losses stay in float32 even if convolutions use bfloat16.
"""

from contextlib import contextmanager, nullcontext
from threading import Lock

import numpy as np
import torch
import torch.nn.functional as F
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
        with torch.autocast("cpu", torch.bfloat16), _OnCPU():
            yield
    else:
        with torch.autocast(device.type, torch.bfloat16, cache_enabled=False):  # a graph must round the weights itself
            yield


@contextmanager
def reading(device, precision):
    """Enter the context in which maps are read: `autocast`, and float32 in full."""
    with full_float32(device), autocast(device, precision):
        yield


class _FullFloat32:
    """Keeps a GPU from rounding the factors of float32 products to TF32, which torch allows in convolutions.

    The flags belong to the process: the first thread that enters sets them, and the last one that leaves restores them.
    """

    def __init__(self):
        self._lock, self._n_inside, self._before = Lock(), 0, ()

    def __enter__(self):
        with self._lock:
            if not self._n_inside:
                self._before = [getattr(backend, name) for backend, name, _ in _tf32_flags()]
                for backend, name, full in _tf32_flags():
                    setattr(backend, name, full)
            self._n_inside += 1

    def __exit__(self, *_):
        with self._lock:
            self._n_inside -= 1
            if not self._n_inside:
                for (backend, name, _), value in zip(_tf32_flags(), self._before, strict=True):
                    setattr(backend, name, value)


def _tf32_flags():
    """Return the backend, name and value for full float32 of each flag that allows TF32."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    if hasattr(cudnn, "conv"):  # since torch 2.9; to mix these names with the old ones is an error
        return (cudnn.conv, "fp32_precision", "ieee"), (matmul, "fp32_precision", "ieee")
    return (cudnn, "allow_tf32", False), (matmul, "allow_tf32", False)


_full_float32 = _FullFloat32()


def full_float32(device):
    """Return the context in which products of float32 on a device are computed in full, not in TF32."""
    return _full_float32 if device.type == "cuda" else nullcontext()


class _OnCPU(TorchFunctionMode):
    """What torch does badly in bfloat16 on a CPU: strided convolutions are in float32, a training's ReLUs fast.

    Strided convolutions read uninitialised memory where maps are narrow (seen with torch 2.14): their outputs are
    random or NaN with AMX, and the gradients of their weights with AVX-512 too.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is F.relu and args[0].dtype == torch.bfloat16 and torch.is_grad_enabled():
            return _ReLU.apply(args[0], kwargs.get("inplace", False))
        if func is not torch.conv2d or np.max(kwargs.get("stride", args[3:4] or 1)) == 1:
            return func(*args, **kwargs)
        with torch.autocast("cpu", enabled=False):
            return func(*map(_float32, args), **{name: _float32(value) for name, value in kwargs.items()})


def _float32(value):
    return value.float() if isinstance(value, torch.Tensor) else value


class _ReLU(torch.autograd.Function):
    """ReLU, for which torch takes several times as long: a bfloat16 is negative if its bits are, as an integer.

    Of NaN, some become 0; the gradients of weights that lead to them are NaN all the same, and so are the weights.
    """

    @staticmethod
    def forward(ctx, maps, inplace):
        if inplace:
            ctx.mark_dirty(maps)
            maps.view(torch.int16).clamp_min_(0)
        else:
            maps = maps.view(torch.int16).clamp_min(0).view(torch.bfloat16)
        ctx.save_for_backward(maps)
        return maps

    @staticmethod
    def backward(ctx, gradient):
        return torch.ops.aten.threshold_backward(gradient, ctx.saved_tensors[0], 0), None
