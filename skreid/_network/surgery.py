"""The same maps for less work: batch norm folded into convolutions, and the last convolution cut to the chosen filters.

Only plain layers without hooks are changed, since their weights alone determine what they compute.
"""

import copy

import numpy as np
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from skreid._network.backbone import Backbone


def fold_backbone(backbone, names=None):
    """Return a backbone for reading maps only: in evaluation mode, with batch norm folded into convolutions.

    Modifies `backbone`; do not use it afterwards.

    Parameters
    ----------
    backbone : Backbone
    names : collection of str, optional
        The layers that keep their maps; all of them by default.

    Returns
    -------
    backbone : Backbone
    """
    if not backbone.is_sequence:
        return backbone.eval().requires_grad_(False)
    read = {backbone.places[name] for name in (backbone.places if names is None else names)}
    layers = _fold(list(backbone.layers.eval()), read)
    return Backbone(nn.Sequential(*layers), backbone.places).requires_grad_(False)


def cut_backbone(backbone, filters):
    """Cut a folded backbone down to what it needs to compute the chosen filters.

    It ends at the deepest of these layers, and a convolution that feeds only that layer computes its chosen filters
    alone.

    Parameters
    ----------
    backbone : Backbone
        As returned by `fold_backbone`; not modified.
    filters : dict of str to ndarray of int
        Layer -> filters to keep, in the order of the result.

    Returns
    -------
    backbone : Backbone
    remaining : dict of str to ndarray of int, or None
        Layer -> filters still to be taken from its maps; None if its maps are those of the chosen filters already.
    """
    if not backbone.is_sequence:
        return backbone.until(filters).eval().requires_grad_(False), dict(filters)
    deepest = max(filters, key=backbone.places.get)
    read = {backbone.places[name] for name in filters}
    layers = _fold(list(backbone.layers[: backbone.places[deepest] + 1]), read)
    cut = _keep_filters(layers, filters[deepest], read)
    remaining = {name: None if cut and name == deepest else chosen for name, chosen in filters.items()}
    return Backbone(nn.Sequential(*layers), {name: backbone.places[name] for name in filters}), remaining


def _fold(layers, read):
    """Fold each batch norm into the convolution before it, unless the maps between the two are read."""
    for place in range(len(layers) - 1):
        conv, norm = layers[place : place + 2]
        plain = _is_plain(conv, nn.Conv2d) and _is_plain(norm, nn.BatchNorm2d) and norm.running_mean is not None
        if plain and place not in read:
            layers[place : place + 2] = fuse_conv_bn_eval(conv, norm), nn.Identity()
    return layers


def _is_plain(layer, *kinds):
    """Return whether a layer is exactly of one of these classes and has no hooks."""
    return type(layer) in kinds and not layer._forward_pre_hooks and not layer._forward_hooks


def _keep_filters(layers, chosen, read):
    """Cut the last convolution in a list of layers to the chosen filters; return False if that is not possible."""
    place = len(layers) - 1
    while place >= 0 and _is_plain(layers[place], nn.ReLU, nn.Identity):
        place -= 1
    conv = layers[place]
    if (
        place < 0
        or any(place <= other < len(layers) - 1 for other in read)
        or not _is_plain(conv, nn.Conv2d)
        or conv.groups != 1
    ):
        return False
    chosen = torch.from_numpy(np.array(chosen))
    narrow = copy.copy(conv)
    narrow._parameters = dict(conv._parameters)
    narrow.weight = nn.Parameter(conv.weight[chosen].contiguous(), requires_grad=False)
    if conv.bias is not None:
        narrow.bias = nn.Parameter(conv.bias[chosen], requires_grad=False)
    narrow.out_channels = len(chosen)
    layers[place] = narrow
    return True
