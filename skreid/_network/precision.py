"""In which numbers a network computes: float32, or bfloat16 where the device multiplies it natively.

Autocast only: weights, batch statistics and losses stay float32, whatever the convolutions take.
"""

from contextlib import nullcontext

import torch

PRECISIONS = ("auto", "float32", "bfloat16")
NATIVE = ("avx512_bf16", "amx_bf16")  # what multiplies bfloat16, by the names of torch.cpu


def training_precision(precision, device):
    """Return "float32" or "bfloat16": what `precision` means for a training on a device.

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
    """Return what `precision` means for reading maps: "bfloat16" only if it is asked for by name."""
    return "bfloat16" if precision == "bfloat16" else "float32"


def multiplies_bfloat16(device):
    """Whether a device has instructions for bfloat16; emulation does not count."""
    if device.type == "cuda":
        with torch.cuda.device(device):
            return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu" and hasattr(torch.cpu, "get_capabilities"):  # older versions of torch do not tell
        able = torch.cpu.get_capabilities()
        return any(able.get(name, False) for name in NATIVE)
    return False


def autocast(device, precision):
    """Return the context in which a network computes in a precision, "float32" or "bfloat16"."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bfloat16" else nullcontext()
