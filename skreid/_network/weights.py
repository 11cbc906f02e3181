"""Initial weights by torchvision name or from a file, and the normalisation that belongs to them.

Nothing in a file is ever run: state dicts are read with ``weights_only=True``, or as safetensors.
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
    """Return the initial weights of a network, and their normalisation.

    Parameters
    ----------
    weights : str, path-like or None
        A torchvision weights name ('DEFAULT', 'IMAGENET1K_V1', 'VGG16_Weights.IMAGENET1K_FEATURES', ...),
        which torchvision downloads once; or the path of a state dict (.pth) or safetensors file.
    backbone : str or callable
        The network that the weights are for.

    Returns
    -------
    state : dict of str to ndarray, or None
    mean, std : tuple of three floats
        Normalisation of each channel of RGB in [0, 1]: that of torchvision's weights, ImageNet's for a file.

    Raises
    ------
    ValueError
        If the name or file is unknown, or the file is not a plain state dict.
    OSError
        If the weights of a name cannot be downloaded.
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
    names = ()
    if isinstance(weights, str) and isinstance(backbone, str):
        names = tuple(models.get_model_weights(backbone).__members__ | {"DEFAULT": None})
        if weights.rpartition(".")[2] in names and not os.path.exists(weights):
            return _torchvision_weights(weights, backbone)
    path = Path(weights)
    if not path.is_file():
        advice = f" Neither is it one of its torchvision weights: {', '.join(names)}." if names else ""
        if not isinstance(backbone, str):
            advice = " Weights by name need a torchvision backbone by name; a function loads its weights itself."
        raise ValueError(f"weights={str(weights)!r} is not a file.{advice}{did_you_mean(weights, list(names))}")
    return _read_state(path), IMAGENET_MEAN, IMAGENET_STD


def _torchvision_weights(weights, backbone):
    """Return torchvision's weights of a name, downloading them once, and their own normalisation."""
    chosen = getattr(models.get_model_weights(backbone), weights.rpartition(".")[2])
    preset = chosen.transforms()
    try:  # without weights_only, torch would unpickle any file in its folder of downloads
        state = chosen.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"weights={weights!r}: the downloaded file is not a plain state dict (nothing in it was run); "
            f"delete it from {Path(torch.hub.get_dir()) / 'checkpoints'} to have it downloaded again."
        ) from error
    except (OSError, RuntimeError) as error:  # no network, no space; or a download cut short, whose digest is wrong
        file = chosen.url.rpartition("/")[2]
        raise OSError(
            f"weights={weights!r} could not be downloaded ({error}). Download {chosen.url} elsewhere, and give the "
            f"path of that file, weights='{file}'; or put it into {Path(torch.hub.get_dir()) / 'checkpoints'}. Other "
            "files of weights for this backbone work as well, and weights=None starts from random ones."
        ) from error
    return _arrays(state, weights), tuple(preset.mean), tuple(preset.std)


def fit_weights(backbone, state):
    """Load into a backbone the part of a state dict that belongs to it.

    Parameters
    ----------
    backbone : Backbone
        Filled in place and returned.
    state : dict of str to ndarray
        A whole model or only its features, with any prefix before the names (``features.``, ``module.``).

    Raises
    ------
    ValueError
        If weights are missing or have another shape; the message names the first.
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
            f"the weights hold {', '.join(list(state)[:3])}, ... {_CHOOSE}"
        )
    children = {name.partition(".")[0] for name in own}
    names = [key.removeprefix(prefix) for key in state if key.startswith(prefix)]
    beyond = [name for name in names if name.partition(".")[0] in children and name not in own]
    if beyond:
        raise ValueError(
            "The given weights do not belong to this backbone: they are those of a larger network, with "
            f"{len(beyond)} more tensors, the first being {prefix + beyond[0]!r}. {_CHOOSE}"
        )
    fitting = {}
    for name, tensor in own.items():
        wanted = np.asarray(tensor)
        given = state.get(prefix + name, wanted)
        if given.shape != wanted.shape:
            raise ValueError(f"weights: {prefix + name!r} has shape {given.shape}, the backbone needs {wanted.shape}.")
        if given.dtype.kind not in "fiu":
            raise ValueError(f"weights: {prefix + name!r} holds {given.dtype}, the backbone needs {wanted.dtype}.")
        with np.errstate(over="ignore"):  # half or double precision; values that are too large are reported below
            fitting[name] = given.astype(wanted.dtype)
        if not np.isfinite(fitting[name]).all():
            raise ValueError(f"weights: {prefix + name!r} holds NaN or infinite values.")
    return backbone.load_weights(fitting)


def _read_state(path):
    """Read a state dict from a file; nothing in the file is run."""
    if path.suffix == ".safetensors" or _is_safetensors(path):
        try:
            from safetensors.torch import load_file  # its reader for numpy cannot read bfloat16
        except ImportError as error:
            raise ImportError(f"Reading {path} needs safetensors: pip install safetensors.") from error
        try:
            state = load_file(path)
        except Exception as error:  # the reader raises a type of its own
            raise ValueError(f"weights='{path}' is not a safetensors file: {error}") from error
        return _arrays(state, path)
    try:
        check_archive(path)
        state = load_tensors(path)
    except Exception as error:  # a damaged file may raise anything
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        if isinstance(error, pickle.UnpicklingError):  # torch's message advises running the file
            reason = (
                "it holds more than tensors, or is damaged; save model.state_dict() instead, or the weights_ of a "
                "fitted estimator with safetensors"
            )
        raise ValueError(
            f"weights='{path}' could not be read as a plain state dict of tensors (nothing in it was run): {reason}"
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    return _arrays(state, path)


def _is_safetensors(path):
    """Return whether a file starts as safetensors do: the length of a header, then JSON. Its name does not count."""
    with path.open("rb") as file:
        start = file.read(10)
    return len(start) == 10 and int.from_bytes(start[:8], "little") < path.stat().st_size and start[8:] == b'{"'


def _arrays(state, source):
    if not isinstance(state, dict) or not state or not all(isinstance(k, str) for k in state):
        raise ValueError(f"weights='{source}': expected a state dict of named tensors, got {type(state).__name__}.")
    return {key: _array(key, value, source) for key, value in state.items() if isinstance(value, torch.Tensor)}


def _array(name, tensor, source):
    try:
        if tensor.untyped_storage().nbytes() < tensor.nbytes:
            raise ValueError("it is larger than what the file holds")
        return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy(force=True)
    except Exception as error:  # sparse, quantised, 8-bit floats...: each raises its own error
        reason = str(error).partition("\n")[0]
        raise ValueError(f"weights='{source}': {name!r} cannot be read as an array: {reason}") from error
