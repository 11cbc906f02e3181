"""Files of weights, whoever wrote them: the tensors in them by name, however deep. Nothing in a file is run."""

import pickle
import re

import torch

from skreid._base.archives import check_archive
from skreid._network.scalars import numpy_scalars
from skreid._network.tensor_files import load_tensors

_FIRST = ("state_dict", "model", "teacher")  # what a file's own authors load, if it holds several networks
_DEPTH = 4  # dicts within dicts
_LONGEST = 500  # letters of a name


def read_tensors(path):
    """Read all tensors of a state dict, checkpoint or safetensors file.

    Parameters
    ----------
    path : Path

    Returns
    -------
    tensors : dict of str to tensor
        With the names of the dicts that they lie in: "state_dict.module.conv1.weight". Where a file has several
        networks, the one that its authors load comes first.

    Raises
    ------
    ValueError
        If the file is damaged, or holds anything but tensors, plain values and NumPy numbers.
    """
    if path.suffix == ".safetensors" or _is_safetensors(path):
        try:
            from safetensors.torch import load_file  # its reader for numpy cannot read bfloat16
        except ImportError as error:
            raise ImportError(f"Reading {path} needs safetensors: pip install safetensors.") from error
        try:
            tensors = load_file(path)
        except Exception as error:  # the reader raises a type of its own
            raise ValueError(f"weights='{path}' is not a safetensors file: {error}") from error
    else:
        tensors = _torch_tensors(path)
    for name in tensors:
        if len(name) > _LONGEST or not name.isprintable():  # names are shown
            raise ValueError(f"weights='{path}' names a tensor {name[:60]!r}, as no layer is called: it is damaged.")
    return tensors


def _torch_tensors(path):
    """Read all tensors of a file that torch wrote."""
    try:
        check_archive(path)
        with numpy_scalars():
            state = load_tensors(path)
        tensors = {}
        _collect(state, tensors, set())
    except Exception as error:  # a damaged file may raise anything
        raise ValueError(
            f"weights='{path}' could not be read as a plain state dict of tensors (nothing in it was run): "
            f"{_reason(error)}"
        ) from error
    if not tensors:
        raise ValueError(f"weights='{path}': expected a state dict of named tensors, got {type(state).__name__}.")
    return tensors


def as_array(name, tensor, source):
    """Return a tensor of a file as an array, bfloat16 as float32; an error names it."""
    try:
        if tensor.untyped_storage().nbytes() < tensor.nbytes:
            raise ValueError("it is larger than what the file holds")
        return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy(force=True)
    except Exception as error:  # sparse, quantised, 8-bit floats...: each raises its own error
        reason = str(error).partition("\n")[0]
        raise ValueError(f"weights='{source}': {name!r} cannot be read as an array: {reason}") from error


def _collect(values, tensors, seen, prefix="", depth=_DEPTH):
    """Add the tensors of nested dicts to `tensors`; each dict counts once."""
    if not isinstance(values, dict) or id(values) in seen or not all(isinstance(key, str) for key in values):
        return
    seen.add(id(values))
    for key in sorted(values, key=lambda key: key not in _FIRST):  # stable: the file's order otherwise
        name = prefix + key
        if isinstance(values[key], torch.Tensor):
            if name in tensors:
                raise ValueError(f"it holds two tensors named {name!r}")
            if values[key].is_nested:
                raise ValueError(f"it holds a nested tensor, {name!r}, which has no shape")
            tensors[name] = values[key]
        elif depth:
            _collect(values[key], tensors, seen, f"{name}.", depth - 1)


def _is_safetensors(path):
    """Return whether a file starts as safetensors do: the length of a header, then JSON. Its name does not count."""
    with path.open("rb") as file:
        start = file.read(10)
    return len(start) == 10 and int.from_bytes(start[:8], "little") < path.stat().st_size and start[8:] == b'{"'


def _reason(error):
    """Return in one line why a file could not be read; torch's own message advises running the file."""
    text = str(error).strip().partition("\n")[0]
    if isinstance(error, pickle.UnpicklingError):
        unknown = re.search(r"GLOBAL (\S{1,80})", str(error))
        holds = f"more than tensors ({unknown[1]})" if unknown else "more than tensors"
        return (
            f"it holds {holds}, or is damaged; save model.state_dict() instead, or the weights_ of a fitted estimator "
            "with safetensors"
        )
    if isinstance(error, ValueError):  # what is checked here, and in archives
        return text
    text = re.split(r"(?<=\.) ", text)[0]  # what follows lists all of torch's backends
    return f"it is damaged, cut short, or not a file of torch ({type(error).__name__}{text and ': '}{text})"
