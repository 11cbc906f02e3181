"""Backbones by name or by callable: a torchvision classifier that is a sequence of layers, a timm model, one's own."""

from collections import OrderedDict

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torchvision import models

from skreid._base.checks import did_you_mean
from skreid._network.backbone import Backbone
from skreid._network.seeding import seeded
from skreid._network.timm_models import is_timm, timm_backbone


def build_backbone(backbone, random_state):
    """Build an untrained backbone.

    Parameters
    ----------
    backbone : str or callable
        A torchvision model name, "timm:" and a timm model name, or a callable without arguments returning a
        `torch.nn.Sequential`.
    random_state : int or None
        Seed of the initial weights; torch's global state is restored. None allocates no memory for a torchvision
        name, if possible (it uses the meta device): enough for shapes, or to load weights into.

    Returns
    -------
    backbone : Backbone

    Raises
    ------
    ValueError
        If torchvision or timm has no such model, or the network is not a sequence of layers.
    """
    if is_timm(backbone):
        return timm_backbone(backbone, random_state)
    named = isinstance(backbone, str)
    if named and backbone.startswith("vgg") and backbone in models.list_models(models):
        with torch.device("meta"):  # the 4096-wide classifier is never allocated
            layers = models.get_model(backbone, weights=None).features[:-1]  # nothing reads the last pooling
        if random_state is not None:
            layers.to_empty(device="cpu")
            _initialise(layers, torch.Generator().manual_seed(random_state))
        return Backbone(layers, _vgg_places(layers))
    layers = _layers_without_memory(backbone) if named and random_state is None else None
    if layers is None:
        with seeded(random_state or 0):
            layers = _torchvision_layers(backbone) if named else _called_layers(backbone)
    for module in layers.modules():
        if getattr(module, "inplace", False):  # it would overwrite the map of the layer before it
            module.inplace = False
    names = layers._modules  # named_children leaves out the second use of a layer
    return Backbone(layers, {name: place for place, name in enumerate(names)})


def _vgg_places(layers):
    """Name the ReLU after each convolution ``conv<block>_<position in block>``."""
    places, block, position = {}, 1, 0
    for index, layer in enumerate(layers):
        if isinstance(layer, nn.ReLU):
            position += 1
            places[f"conv{block}_{position}"] = index
        elif isinstance(layer, nn.MaxPool2d):
            block, position = block + 1, 0
    return places


def _layers_without_memory(name):
    """Return the layers of a torchvision classifier on the meta device, or None if it cannot be built there."""
    try:
        with torch.device("meta"):
            return _torchvision_layers(name)
    except NotImplementedError:  # some models compute with their weights while they are built
        return None


def _torchvision_layers(name):
    """Return the layers before the pooling of a torchvision classifier, if they are a sequence."""
    known = models.list_models(models)
    if name not in known:
        raise ValueError(
            f"backbone={name!r} is not a torchvision classification model.{did_you_mean(name, known)} "
            "Give the name of one ('vgg16_bn', 'vgg16', 'resnet50', ...) or a callable returning a Sequential."
        )
    model = models.get_model(name, weights=None)
    if isinstance(model, models.SwinTransformer):
        raise ValueError(f"backbone={name!r} returns maps with filters in their last axis; wrap it in a callable.")
    if isinstance(getattr(model, "features", None), nn.Sequential):
        return model.features
    children = dict(model.named_children())
    if "avgpool" not in children:
        raise ValueError(f"backbone={name!r} is not a plain sequence of layers; wrap it in a callable.")
    before = list(children)[: list(children).index("avgpool")]
    before = [child for child in before if not child.lower().startswith("aux")]  # auxiliary classifiers
    return nn.Sequential(OrderedDict((child, children[child]) for child in before))


def _called_layers(backbone):
    """Return the layers of a user's own network on the CPU; raise ValueError if it is not a usable Sequential."""
    layers = backbone()
    if not isinstance(layers, nn.Sequential) or len(layers) == 0:
        raise ValueError(
            f"backbone={backbone!r} returned {type(layers).__name__}; expected a torch.nn.Sequential of at "
            "least one layer, whose children's names are the layers to choose from."
        )
    if any(is_lazy(parameter) for parameter in layers.parameters()):
        raise ValueError(
            f"backbone={backbone!r} returned lazy layers, whose sizes are not known yet: run an image through the "
            "network before it is returned."
        )
    return layers.to("cpu")


def _initialise(layers, generator):
    """Draw the initial weights of a VGG as torchvision does, from the given generator."""
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu", generator=generator)
            nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d):
            layer.reset_parameters()
            layer.reset_running_stats()
