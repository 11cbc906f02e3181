"""Initial weights by torchvision name or from a file, and the normalisation that belongs to them.

No file is ever unpickled freely: state dicts are read with ``weights_only=True``, or as safetensors.
"""

import os
import pickle
from pathlib import Path

import numpy as np
import torch
from torchvision import models

from skreid._base.archives import check_archive
from skreid._base.checks import did_you_mean
from skreid._network.tensor_files import load_tensors

_CHOOSE = "Choose the backbone the weights were made for (vgg16 and vgg16_bn differ, and so do resnet18 and resnet34)."
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def initial_weights(weights, backbone):
    """Find the weights a network starts from.

    Parameters
    ----------
    weights : str, path-like or None
        A torchvision weights name ('DEFAULT', 'IMAGENET1K_V1', 'VGG16_Weights.IMAGENET1K_FEATURES', ...),
        which torchvision downloads once; or the path of a state dict (.pth) or safetensors file.
    backbone : str or callable
        The network they are for.

    Returns
    -------
    state : dict of str to ndarray, or None
    mean, std : tuple of three floats
        Per-channel normalisation of RGB in [0, 1]: the weights' own transforms, ImageNet's for a file.

    Raises
    ------
    ValueError
        If the name or file is unknown, or the file is no plain state dict.
    """
    if weights is None:
        return None, IMAGENET_MEAN, IMAGENET_STD
    if not isinstance(weights, (str, os.PathLike)):
        hint = ""
        if isinstance(weights, dict):
            hint = '; safetensors.numpy.save_file(weights, "features.safetensors") makes a file of a dict of arrays'
        raise ValueError(
            "The 'weights' parameter must be None, the name of torchvision weights or the path of a file. "
            f"Got a {type(weights).__name__} instead{hint}."
        )
    if isinstance(weights, str) and isinstance(backbone, str):
        known = models.get_model_weights(backbone).__members__ | {"DEFAULT": None}
        name = weights.rpartition(".")[2]
        if name in known and not os.path.exists(weights):
            chosen = getattr(models.get_model_weights(backbone), name)
            preset = chosen.transforms()
            try:  # without weights_only, torch would unpickle whatever lies in its folder of downloads
                state = chosen.get_state_dict(progress=False, check_hash=True, weights_only=True)
            except pickle.UnpicklingError as error:
                raise ValueError(
                    f"weights={weights!r}: the downloaded file is no plain state dict (nothing in it was run); "
                    f"delete it from {Path(torch.hub.get_dir()) / 'checkpoints'} to have it downloaded again."
                ) from error
            return _arrays(state, weights), tuple(preset.mean), tuple(preset.std)
    else:
        known = ()
    path = Path(weights)
    if not path.is_file():
        named = f" Neither is it one of its torchvision weights: {', '.join(known)}." if known else ""
        if not isinstance(backbone, str):
            named = " Names are those of torchvision's backbones; a function loads such weights itself."
        raise ValueError(f"weights={str(weights)!r} is not a file.{named}{did_you_mean(weights, list(known))}")
    return _read_state(path), IMAGENET_MEAN, IMAGENET_STD


def fit_weights(backbone, state):
    """Load into a backbone the part of a state dict that is its own.

    Parameters
    ----------
    backbone : Backbone
        Filled in place and returned.
    state : dict of str to ndarray
        A whole model or its features only, with any prefix before the names (``features.``, ``module.``).

    Raises
    ------
    ValueError
        Naming the first weights that are missing or of another shape.
    """
    own = backbone.layers.state_dict()
    needed = [name for name in own if not name.endswith("num_batches_tracked")]
    first = needed[0]
    prefixes = [key[: -len(first)] for key in state if key == first or key.endswith(f".{first}")]
    missing = {prefix: [name for name in needed if prefix + name not in state] for prefix in prefixes}
    prefix = min(missing, key=lambda p: len(missing[p]), default=None)
    if prefix is None or missing[prefix]:
        absent = needed if prefix is None else missing[prefix]
        raise ValueError(
            "The given weights do not belong to this backbone: "
            f"{len(absent)} of {len(needed)} tensors are missing, the first being {absent[0]!r}; "
            f"they hold {', '.join(list(state)[:3])}, ... {_CHOOSE}"
        )
    children = {name.partition(".")[0] for name in own}
    names = [key.removeprefix(prefix) for key in state if key.startswith(prefix)]
    beyond = [name for name in names if name.partition(".")[0] in children and name not in own]
    if beyond:
        raise ValueError(
            "The given weights do not belong to this backbone: they are of a larger network, with "
            f"{len(beyond)} more tensors, the first being {prefix + beyond[0]!r}. {_CHOOSE}"
        )
    found = {}
    for name, tensor in own.items():
        wanted = np.asarray(tensor)
        given = state.get(prefix + name, wanted)
        if given.shape != wanted.shape:
            raise ValueError(f"weights: {prefix + name!r} has shape {given.shape}, the backbone needs {wanted.shape}.")
        if given.dtype.kind not in "fiu":
            raise ValueError(f"weights: {prefix + name!r} holds {given.dtype}, the backbone needs {wanted.dtype}.")
        with np.errstate(over="ignore"):  # half or double precision; what is too large is told below
            found[name] = given.astype(wanted.dtype)
        if not np.isfinite(found[name]).all():
            raise ValueError(f"weights: {prefix + name!r} holds NaN or infinite numbers.")
    return backbone.load_weights(found)


def _read_state(path):
    """Read a state dict from a file without running anything it holds."""
    if path.suffix == ".safetensors" or _is_safetensors(path):
        try:
            from safetensors.torch import load_file  # its reader for numpy has no bfloat16
        except ImportError as error:
            raise ImportError(f"Reading {path} needs safetensors: pip install safetensors.") from error
        try:
            state = load_file(path)
        except Exception as error:  # the reader has an exception type of its own
            raise ValueError(f"weights='{path}' is not a safetensors file: {error}") from error
        return _arrays(state, path)
    try:
        check_archive(path)
        state = load_tensors(path)
    except Exception as error:  # a damaged file may raise anything
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        if isinstance(error, pickle.UnpicklingError):  # torch's words advise to run it
            reason = (
                "it holds more than tensors, or is damaged; save model.state_dict(), or the weights_ of a fitted "
                "estimator by safetensors, instead"
            )
        raise ValueError(
            f"weights='{path}' could not be read as a plain state dict of tensors (nothing in it was run): {reason}"
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    return _arrays(state, path)


def _is_safetensors(path):
    """Whether a file begins as that format does, whatever its name: the length of a header, then JSON."""
    with path.open("rb") as file:
        start = file.read(10)
    return len(start) == 10 and int.from_bytes(start[:8], "little") < path.stat().st_size and start[8:] == b'{"'


def _arrays(state, source):
    if not isinstance(state, dict) or not state or not all(isinstance(k, str) for k in state):
        raise ValueError(f"weights='{source}' hold {type(state).__name__}, not a state dict of named tensors.")
    return {key: _array(key, value, source) for key, value in state.items() if isinstance(value, torch.Tensor)}


def _array(name, tensor, source):
    try:
        if tensor.untyped_storage().nbytes() < tensor.nbytes:
            raise ValueError("it is larger than what the file holds")
        return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy(force=True)
    except Exception as error:  # sparse, quantised, 8-bit floats...: each has an error of its own
        reason = str(error).partition("\n")[0]
        raise ValueError(f"weights='{source}': {name!r} cannot be read as an array: {reason}") from error
