"""Checks of the arguments of a fit: everything that can fail does so here, before the long training."""

from dataclasses import dataclass

import joblib
import numpy as np
import torch

from skreid._base.checks import warn_if_swapped
from skreid._base.labels import encode, encode_cams, encode_identities
from skreid._filters.smoothing import BoxFilter
from skreid._images.sequence import refuse_empty
from skreid._images.source import ImageSource
from skreid._network.layers import deepest_layers, map_shapes
from skreid.exceptions import ImageError


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images with identities, and cameras if there are any.

    Attributes
    ----------
    images : ImageSource
    classes : ndarray of shape (n_identities,)
        The identities, sorted.
    identities : ndarray of shape (n,), int64
        Position of each image's identity in `classes`.
    cams : ndarray of shape (n,), int64, or None
        Code of each image's camera.
    """

    images: ImageSource
    classes: np.ndarray
    identities: np.ndarray
    cams: np.ndarray | None


@dataclass(frozen=True, eq=False)
class FitInputs(LabelledImages):
    """The checked inputs of one fit, beside its labelled images.

    Attributes
    ----------
    layers : tuple of str
        The layers to describe by.
    map_shapes : dict of str to tuple
        Shape of the maps of each layer of the network, (n_filters, h, w).
    augment : tuple of str
    box : BoxFilter
    initial : dict of str to ndarray, or None
        Pretrained weights.
    normalization : tuple of two tuples of three floats
        Mean and standard deviation of RGB in [0, 1].
    seed : int
    device : torch.device
    memory : joblib.Memory
    pixels : str or None
        Digest of all pixels; None where neither a cache nor a checkpoint needs it.
    network : list or None
        What identifies the network, see `identity_of`; None where neither a cache nor a checkpoint needs it.
    """

    layers: tuple
    map_shapes: dict
    augment: tuple
    box: BoxFilter
    initial: dict | None
    normalization: tuple
    seed: int
    device: torch.device
    memory: joblib.Memory
    pixels: str | None
    network: list | None


def check_images(X, y, cams=None, *, input_size, n_jobs, on_error="raise"):
    """Check images and their labels.

    Parameters
    ----------
    X, y, cams
        The arguments of a fit.
    input_size : tuple of two int or None
        Height and width of the frame; None takes the first image's.
    n_jobs : int or None
        Threads decoding images.
    on_error : {"raise", "nan"}
        Whether an image that cannot be used raises an error, or is left out with a warning.

    Returns
    -------
    LabelledImages
    """
    images = ImageSource(X, input_size, n_jobs, on_error)
    refuse_empty(images)
    _warn_if_swapped(images)
    classes, identities = encode_identities(y, len(images))
    if cams is not None:
        cameras, codes = encode(cams, "cams", len(images))
        cams = cameras[codes]
    if on_error == "nan":
        usable = images.usable("left out of training")
        images = images.take(usable)
        classes, identities = encode_identities(classes[identities[usable]], len(usable))
        cams = None if cams is None else cams[usable]
    return LabelledImages(images, classes, identities, encode_cams(cams, identities)[0])


def _warn_if_swapped(images):
    """Warn if the sides of the frame seem to be swapped, going by the first image."""
    height, width = images.size
    if width > height:
        try:
            warn_if_swapped(images.size, images.first_size())
        except ImageError:
            return  # reported where images are read


def check_backbone(backbone):
    """Refuse a network where a function that builds one is needed."""
    if isinstance(backbone, torch.nn.Module):
        raise ValueError(
            f"backbone is a {type(backbone).__name__}, a network itself, which every fit would train further. Give a "
            "function that builds and returns it."
        )


def check_maps(layers, n_filters, backbone, frame_size):
    """Return the layers to describe by and the shapes of all maps, for frames of a size.

    Raises
    ------
    ValueError
        If a layer returns no maps, or has too few filters; or if there are fewer blocks than layers asked for.
    """
    shapes = map_shapes(backbone, frame_size)
    layers = deepest_layers(layers, shapes, backbone)
    deepest = list(shapes)[-1]  # feeds the classifier that trains the network
    for layer in (*layers, deepest):
        if len(shapes[layer]) != 3:
            raise ValueError(
                f"Layer {layer!r} of backbone {backbone!r} turns an image into an array of shape {shapes[layer]}; "
                "expected maps, (n_filters, height, width). Let the backbone end before it."
            )
    for layer in layers:
        if n_filters > shapes[layer][0]:
            raise ValueError(
                f"n_filters={n_filters}, but layer {layer!r} of backbone {backbone!r} has only {shapes[layer][0]} "
                "filters. Set fewer n_filters, or other layers: a smaller number leaves out the shallowest."
            )
    return layers, shapes
