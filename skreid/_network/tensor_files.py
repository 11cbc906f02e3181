"""Tensors read from torch's files: nothing in a file is run, and no tensor reaches beyond the file."""

import copy
import io

import torch


def load_tensors(path, device="cpu", content=None):
    """Read a file that `torch.save` wrote, refusing anything but tensors and plain values.

    Parameters
    ----------
    path : path-like
    device : torch.device or str, default='cpu'
        Where to put its tensors.
    content : bytes, optional
        Its content, if it was read already.

    Raises
    ------
    Exception
        Of any type, if the file is damaged or holds anything else.
    """
    if torch.__version__ >= (2, 10):
        file = path if content is None else io.BytesIO(content)
        return torch.load(file, map_location=device, weights_only=True)
    # Before 2.10 a tensor may claim more values than its file holds, and is then read and written beyond its memory
    # (CVE-2026-24747). From a file mapped into memory torch takes slices, which end where the file does; the copy
    # releases the file. Only zip archives can be mapped; torch's older format checks the number of values itself.
    with open(path, "rb") as file:
        is_archive = file.read(4) == b"PK\3\4"
    return copy.deepcopy(torch.load(path, map_location=device, weights_only=True, mmap=is_archive))
