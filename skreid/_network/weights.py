"""Initial weights by name or from a file, and the normalisation that belongs to them.

Nothing in a file is ever run: state dicts are read with ``weights_only=True``, or as safetensors.
"""

import os
import pickle
import warnings
from pathlib import Path

import numpy as np
import torch
from torchvision import models

from skreid._base.checks import did_you_mean
from skreid._network.building import build_backbone
from skreid._network.matching import match_weights
from skreid._network.timm_models import is_timm, timm_normalization, timm_weights
from skreid._network.weight_files import as_array, read_tensors
from skreid.exceptions import WeightsWarning

_SHOWN = 12  # groups of tensors that were left, in a message
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def initial_weights(weights, backbone, say=None):
    """Return the initial weights of a network, and their normalisation.

    Parameters
    ----------
    weights : str, path-like or None
        A torchvision weights name ('DEFAULT', 'IMAGENET1K_V1', 'VGG16_Weights.IMAGENET1K_FEATURES', ...), or
        'DEFAULT' for a timm model, which are downloaded once; or the path of a state dict (.pth) or safetensors file.
    backbone : str or callable
        The network that the weights are for.
    say : callable, optional
        Receives a line on what was taken and what was left.

    Returns
    -------
    state : dict of str to ndarray, or None
        All that the network needs, by its own names.
    mean, std : tuple of three floats
        Normalisation of each channel of RGB in [0, 1]: that of weights by name; for a file its own (`pixel_mean` and
        `pixel_std`), else that of a timm model, else ImageNet's.

    Raises
    ------
    ValueError
        If the name or file is unknown, the file is not a plain state dict, or its weights do not fit the network.
    OSError
        If the weights of a name cannot be downloaded.

    Warns
    -----
    WeightsWarning
        If a file holds several networks that fit.
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
    names = _names(backbone)
    if names and isinstance(weights, str) and weights.rpartition(".")[2] in names and not os.path.exists(weights):
        tensors, *normalization = (timm_weights if is_timm(backbone) else _torchvision_weights)(weights, backbone)
        known = "that of these weights"
    else:
        tensors, normalization = read_tensors(_file(weights, backbone, names)), None
    match = match_weights(build_backbone(backbone, None), tensors, weights)
    if normalization is None:
        normalization, known = _normalization(tensors, match.prefix, backbone, weights)
    if match.others:
        others = ", ".join(repr(prefix.rstrip(".")) for prefix in match.others)
        warnings.warn(
            f"weights='{weights}' holds {1 + len(match.others)} networks that fit the backbone: "
            f"{match.prefix.rstrip('.')!r} was taken, and not {others}. To take another one, save its tensors to a "
            "file of their own.",
            WeightsWarning,
            stacklevel=6,  # the call of fit
        )
    if say is not None:
        behind = f" behind {match.prefix!r}" if match.prefix else ""
        left = [f"{name} ({count})" for name, count in match.left.items()] or ["nothing"]
        more = f" and {len(left) - _SHOWN} other groups" if len(left) > _SHOWN else ""
        left = ", ".join(left[:_SHOWN]) + more
        say(f"weights='{weights}': took {len(match.weights)} tensors{behind}, left {left}; normalisation: {known}.")
    return match.weights, *normalization


def _names(backbone):
    """Return the names of weights that can be downloaded for a backbone."""
    if not isinstance(backbone, str):
        return ()
    return (
        ("DEFAULT",) if is_timm(backbone) else tuple(models.get_model_weights(backbone).__members__ | {"DEFAULT": None})
    )


def _file(weights, backbone, names):
    path = Path(weights)
    if not path.is_file():
        advice = ""
        if not isinstance(backbone, str):
            advice = " Weights by name need a torchvision backbone by name; a function loads its weights itself."
        elif isinstance(weights, str):
            library = "timm" if is_timm(backbone) else "torchvision"
            advice = f" It is not the name of {library} weights of {backbone} either; these are {', '.join(names)}."
        raise ValueError(f"weights={str(weights)!r} is not a file.{advice}{did_you_mean(weights, list(names))}")
    return path


def _normalization(tensors, prefix, backbone, source):
    """Return the normalisation of a file, (mean, std), and where it is from.

    FastReID and others keep it beside the network, as `pixel_mean` and `pixel_std` of pixels in [0, 255].
    """
    parts = prefix.split(".")[:-1]
    for depth in range(len(parts), -1, -1):  # from beside the network up to the top of the file
        names = [".".join([*parts[:depth], name]) for name in ("pixel_mean", "pixel_std")]
        given = [as_array(name, tensors[name], source).ravel().astype(float) for name in names if name in tensors]
        if given:
            break
    else:
        if is_timm(backbone):
            return timm_normalization(backbone), "timm's of this model, since the file holds none"
        return (IMAGENET_MEAN, IMAGENET_STD), "ImageNet's, since the file holds none"
    if [len(values) for values in given] != [3, 3] or not np.isfinite(given).all() or not (given[1] > 0).all():
        raise ValueError(
            f"weights='{source}': {names[0]!r} and {names[1]!r} must be three finite numbers each, one per channel of "
            "RGB, and the latter must be positive."
        )
    mean, std = np.divide(given, 255 if np.max(given) > 1 else 1)
    if np.allclose(mean, IMAGENET_MEAN, atol=1e-4) and np.allclose(std, IMAGENET_STD, atol=1e-4):
        return (IMAGENET_MEAN, IMAGENET_STD), "ImageNet's, as the file says"
    return (tuple(mean.tolist()), tuple(std.tolist())), "the file's own"


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
    return state, tuple(preset.mean), tuple(preset.std)
