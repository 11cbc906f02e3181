"""What is known of a backbone before any image is read: its layers, the shapes of its maps, and what identifies it."""

from functools import lru_cache
from numbers import Integral

import torch

from skreid._base.checks import check_int, did_you_mean
from skreid._network.building import build_backbone

DESCRIBING_BLOCKS = 3  # how many of the deepest blocks describe by default


def identity_of(backbone, seed, frame_shape):
    """Return what identifies a backbone: its name; for a callable, the network that it builds, and its maps."""
    if isinstance(backbone, str):
        return (backbone,)
    network = build_backbone(backbone, seed)
    weights, images = network.weights(), torch.rand(2, 3, *frame_shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():  # two networks that look alike may compute different maps
        maps = network.eval()(images, network.places)
    return repr(network.layers), weights, {name: values.numpy(force=True) for name, values in maps.items()}


def layer_names(backbone):
    """Return the names of a backbone's layers, shallow to deep; a torchvision model takes no memory for it."""
    return (_layer_names_of_model if isinstance(backbone, str) else _layer_names)(backbone)


def _layer_names(backbone):
    return tuple(build_backbone(backbone, None).places)


def map_shapes(backbone, frame_shape):
    """Return the number of filters, height and width of each layer's maps for frames of a given size.

    Raises
    ------
    ValueError
        If frames of this size do not pass through the network.
    """
    return dict((_shapes_of_model if isinstance(backbone, str) else _shapes)(backbone, tuple(frame_shape)))


def _shapes(backbone, frame_shape):
    network = build_backbone(backbone, None).eval()
    device = next(network.parameters(), torch.empty(0)).device
    with torch.no_grad():
        try:
            maps = network(torch.zeros(1, 3, *frame_shape, device=device), network.places)
        except (RuntimeError, AssertionError) as error:  # of torch, and of timm
            raise ValueError(
                f"Frames of {frame_shape[0]} x {frame_shape[1]} pixels (input_size) do not pass through "
                f"backbone {backbone!r}: {error}"
            ) from error
    return {name: tuple(getattr(values, "shape", ())[1:]) for name, values in maps.items()}


# a torchvision name always means the same network; what a callable returns may change
_layer_names_of_model, _shapes_of_model = lru_cache(maxsize=64)(_layer_names), lru_cache(maxsize=64)(_shapes)


def block_ends(shapes):
    """Return the deepest layer for each size of maps, shallow to deep."""
    blocks = {shape[1:]: name for name, shape in shapes.items() if len(shape) == 3}
    return tuple(name for name in shapes if name in blocks.values())


def deepest_layers(layers, shapes, backbone):
    """Return the layers that `check_layers` returned as names: a number of blocks stands for their last layers.

    Parameters
    ----------
    layers : tuple of str, int or None
        Names; or the number of deepest blocks, where None is 3, or all if there are fewer.
    shapes : dict of str to tuple of int
        As `map_shapes` returns them.
    backbone : str or callable

    Returns
    -------
    layers : tuple of str
        Shallow to deep, where blocks are counted.

    Raises
    ------
    ValueError
        If the backbone has fewer blocks.
    """
    if isinstance(layers, tuple):
        return layers
    ends = block_ends(shapes)
    if layers is not None and layers > len(ends) > 0:  # without any maps, no number would be right
        raise ValueError(
            f"The 'layers' parameter of MultiDepthReID must be at most {len(ends)}, the number of blocks (sizes of "
            f"maps) of backbone {backbone!r}. Got {layers} instead."
        )
    return ends[-(layers or DESCRIBING_BLOCKS) :]


def check_layers(layers, backbone):
    """Return the requested layers: names as a tuple; a number of blocks, or None for the default, as it is.

    Raises
    ------
    ValueError
        For the first layer that the backbone does not have, suggesting the most similar name; or if a number is no
        int of at least 1.
    """
    names = layer_names(backbone)
    if layers is None:
        return None
    if isinstance(layers, Integral):
        return check_int(layers, "layers", "MultiDepthReID")
    layers = (layers,) if isinstance(layers, str) else tuple(layers)
    if not layers:
        raise ValueError(f"layers={layers!r} names no layer; choose from {', '.join(names)}.")
    for name in layers:
        if name not in names:
            raise ValueError(
                f"layers={layers!r} names {name!r}, which backbone {backbone!r} does not have."
                f"{did_you_mean(name, names)} Its layers are {', '.join(names)}."
            )
    if len(set(layers)) < len(layers):
        raise ValueError(f"layers={layers!r} names a layer twice.")
    return layers
