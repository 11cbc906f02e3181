"""The feature network: building it, its named taps, and maps read at the taps.

A backbone is a sequence of layers; a *tap* names the layer after which a map is read, so a forward pass
stops at the deepest tap asked for. For a VGG the taps are ``conv1_1`` to ``conv5_3``, after the ReLU.
"""

import copy
from collections import OrderedDict
from contextlib import contextmanager
from functools import lru_cache
from threading import RLock

import numpy as np
import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision import models

from skreid._base.blas import FreshLock
from skreid._base.checks import did_you_mean
from skreid._images.source import to_device, to_unit
from skreid._network.precision import autocast

_one_at_a_time = FreshLock(RLock)


class Backbone(nn.Module):
    """A sequence of layers with named taps.

    Parameters
    ----------
    layers : torch.nn.Sequential
    taps : dict of str to int
        Name of each tap -> place in `layers` of the layer after which it is read, shallow to deep.
    """

    def __init__(self, layers, taps):
        super().__init__()
        self.layers = layers
        self.taps = taps

    def forward(self, batch, wanted):
        """Return the maps at the wanted taps, running no layer beyond the deepest.

        Parameters
        ----------
        batch : tensor of shape (n, 3, height, width), normalised
        wanted : collection of str

        Returns
        -------
        maps : dict of str to tensor of shape (n, n_filters, h, w)
        """
        places = {self.taps[name]: name for name in wanted}
        found = {}
        for place, layer in enumerate(self.layers[: max(places) + 1]):
            batch = layer(batch)
            if place in places:
                found[places[place]] = batch
        return {name: found[name] for name in wanted}

    def weights(self):
        """Return a copy of all weights and buffers: name -> ndarray, with torchvision's names."""
        state = self.layers.state_dict()
        return {name: np.array(tensor.numpy(force=True), order="C") for name, tensor in state.items()}

    def load_weights(self, weights):
        """Take over a copy of weights that `weights` gave, and return the backbone."""
        own = self.layers.state_dict()
        for name, tensor in own.items():
            if name not in weights or weights[name].shape != tensor.shape:
                raise _another_network(f"its weights do not fit {name!r}")
        copies = {name: torch.from_numpy(np.array(weights[name])) for name in own}
        self.layers.load_state_dict(copies, assign=True)
        return self

    def until(self, wanted):
        """Return the part of the network that ends at the deepest of some taps."""
        for name in wanted:
            if name not in self.taps:
                raise _another_network(f"there is no layer {name!r} in this one")
        end = max(self.taps[name] for name in wanted) + 1
        return Backbone(self.layers[:end], {name: place for name, place in self.taps.items() if place < end})

    def fused(self, wanted=None):
        """Return the same function made for reading maps: evaluation mode, batch norm folded away.

        Only the wanted taps keep their maps; all do by default. This one is used up.
        """
        read = {self.taps[name] for name in (self.taps if wanted is None else wanted)}
        layers = _fold(list(self.layers.eval()), read)
        return Backbone(nn.Sequential(*layers), self.taps).requires_grad_(False)


def _another_network(reason):
    return ValueError(f"What was fitted is another network: {reason}. If backbone was changed after fit, fit again.")


def cut_backbone(backbone, filters):
    """Cut a fused backbone down to what the chosen filters of some taps need.

    It ends at the deepest tap, and a convolution that feeds only that tap computes its chosen filters alone.

    Parameters
    ----------
    backbone : Backbone
        As given by `Backbone.fused`; left as it is.
    filters : dict of str to ndarray of int
        Tap -> filters to keep, in the order wanted.

    Returns
    -------
    backbone : Backbone
    left : dict of str to ndarray of int, or None
        Tap -> filters that are still to be taken of its maps; None if they are the only ones.
    """
    deepest = max(filters, key=backbone.taps.get)
    read = {backbone.taps[name] for name in filters}
    layers = _fold(list(backbone.layers[: backbone.taps[deepest] + 1]), read)
    cut = _keep_filters(layers, filters[deepest], read)
    left = {name: None if cut and name == deepest else chosen for name, chosen in filters.items()}
    return Backbone(nn.Sequential(*layers), {name: backbone.taps[name] for name in filters}), left


def _fold(layers, read):
    """Fold each batch norm into the convolution before it, unless the maps between the two are read."""
    for place in range(len(layers) - 1):
        conv, norm = layers[place : place + 2]
        plain = _is_plain(conv, nn.Conv2d) and _is_plain(norm, nn.BatchNorm2d) and norm.running_mean is not None
        if plain and place not in read:
            layers[place : place + 2] = fuse_conv_bn_eval(conv, norm), nn.Identity()
    return layers


def _is_plain(layer, *kinds):
    """Whether a layer is of these very classes, and nothing is hooked to it: its weights then say what it does."""
    return type(layer) in kinds and not layer._forward_pre_hooks and not layer._forward_hooks


def _keep_filters(layers, chosen, read):
    """Cut the last convolution of a list of layers to the chosen filters; False if it ends otherwise."""
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


class MapReader:
    """A trained network on a device, from pixels to maps.

    Parameters
    ----------
    backbone : str or callable
    weights : dict of str to ndarray
        As `Backbone.weights` gave them.
    normalization : tuple of two tuples of three floats
        Mean and standard deviation of RGB in [0, 1].
    device : torch.device
    layers : collection of str, optional
        The only ones that will be asked for: nothing deeper is loaded.
    precision : {"float32", "bfloat16"}
        In which the network computes; maps are float32.
    """

    def __init__(self, backbone, weights, normalization, device, layers=None, precision="float32"):
        self.device, self.precision = device, precision
        network = build_backbone(backbone, None)
        network = network if layers is None else network.until(layers)
        self.network = network.load_weights(weights).fused(layers)
        self.network.to(device, memory_format=torch.channels_last)
        mean, std = (torch.tensor(values, device=device).view(3, 1, 1) for values in normalization)
        self.scale, self.offset = 1 / std, -mean / std

    def choose(self, filters):
        """Return a reader for the chosen filters of some layers, and which of its maps they are.

        Parameters
        ----------
        filters : dict of str to ndarray of int

        Returns
        -------
        reader : MapReader
        left : dict of str to tensor of int, or None
            Layer -> filters to take of the maps that the reader gives; None for all.
        """
        reader = copy.copy(self)
        reader.network, left = cut_backbone(self.network, filters)
        reader.network.to(self.device, memory_format=torch.channels_last)
        left = {layer: None if few is None else torch.tensor(few, device=self.device) for layer, few in left.items()}
        return reader, left

    @torch.inference_mode()
    def __call__(self, batch, *layers):
        """Return layer -> maps (n, n_filters, h, w) of a batch of images, (n, 3, height, width)."""
        batch = to_unit(to_device(batch, self.device))
        with autocast(self.device, self.precision):
            maps = self.network(torch.addcmul(self.offset, batch, self.scale), *layers)
        return {layer: found.float() for layer, found in maps.items()}


def build_backbone(backbone, random_state):
    """Build an untrained backbone.

    Parameters
    ----------
    backbone : str or callable
        A torchvision model name, or a callable without arguments returning a `torch.nn.Sequential`.
    random_state : int or None
        Seed of the initial weights; torch's global state is left as it was. None allocates nothing for a
        torchvision name (the meta device): for shapes, or to load weights into.

    Returns
    -------
    backbone : Backbone

    Raises
    ------
    ValueError
        If torchvision has no such model, or the network has no sequence of layers to tap.
    """
    named = isinstance(backbone, str)
    if named and backbone.startswith("vgg") and backbone in models.list_models(models):
        with torch.device("meta"):  # the 4096-wide classifier is never allocated
            layers = models.get_model(backbone, weights=None).features[:-1]  # nothing reads the last pooling
        if random_state is not None:
            layers.to_empty(device="cpu")
            _initialise(layers, torch.Generator().manual_seed(random_state))
        return Backbone(layers, _vgg_taps(layers))
    layers = _shape_of(backbone) if named and random_state is None else None
    if layers is None:
        with seeded(random_state or 0):
            layers = _torchvision_layers(backbone) if named else _called_layers(backbone)
    for module in layers.modules():
        if getattr(module, "inplace", False):  # it would overwrite the map of the tap before it
            module.inplace = False
    names = layers._modules  # named_children leaves out a layer's second use
    return Backbone(layers, {name: place for place, name in enumerate(names)})


def architecture(backbone, seed, frame_shape):
    """Return what tells one backbone from another: its name, or what a callable builds, whatever its name."""
    if isinstance(backbone, str):
        return (backbone,)
    network = build_backbone(backbone, seed)
    weights, probe = network.weights(), torch.rand(2, 3, *frame_shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():  # what it computes tells apart what looks the same
        maps = network.eval()(probe, network.taps)
    return repr(network.layers), weights, {name: found.numpy(force=True) for name, found in maps.items()}


@contextmanager
def seeded(random_state, device=None):
    """Seed torch's own generators, which other people's networks draw from, and put them back; a thread at a time."""
    gpus = [device] if device is not None and device.type == "cuda" else []
    with _one_at_a_time, torch.random.fork_rng(gpus):
        torch.default_generator.manual_seed(random_state)
        for gpu in gpus:
            with torch.cuda.device(gpu):
                torch.cuda.manual_seed(random_state)
        yield


def may_draw(network):
    """Whether a network may draw at random while it trains: any does that is not made of these layers alone."""
    plain = (nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d, nn.AvgPool2d, nn.Identity, nn.Sequential, Backbone)
    return any(type(module) not in plain for module in network.modules())


def tap_names(backbone):
    """Return the taps of a backbone, shallow to deep; built without memory for torchvision's names."""
    return _named_taps(backbone) if isinstance(backbone, str) else tuple(build_backbone(backbone, None).taps)


@lru_cache(maxsize=64)
def _named_taps(backbone):
    return tuple(build_backbone(backbone, None).taps)


def map_shapes(backbone, frame_shape):
    """Return each tap's number of filters, height and width for frames of a size.

    Raises
    ------
    ValueError
        If the frame is too small for the network, or a layer's output is no map.
    """
    return dict((_named_shapes if isinstance(backbone, str) else _shapes)(backbone, tuple(frame_shape)))


def _shapes(backbone, frame_shape):
    network = build_backbone(backbone, None).eval()
    device = next(network.parameters(), torch.empty(0)).device
    with torch.no_grad():
        try:
            maps = network(torch.zeros(1, 3, *frame_shape, device=device), network.taps)
        except RuntimeError as error:
            raise ValueError(
                f"Frames of {frame_shape[0]} x {frame_shape[1]} pixels (input_size) do not pass through "
                f"backbone {backbone!r}: {error}"
            ) from error
    return {name: tuple(getattr(found, "shape", ())[1:]) for name, found in maps.items()}


_named_shapes = lru_cache(maxsize=64)(_shapes)  # torchvision's names mean one network each; a callable may change


def block_ends(shapes):
    """Return the deepest tap of each size of maps, shallow to deep."""
    blocks = {shape[1:]: name for name, shape in shapes.items() if len(shape) == 3}
    return tuple(name for name in shapes if name in blocks.values())


def check_layers(layers, names, backbone):
    """Raise ValueError naming the first layer that is not a tap, with the nearest one that is."""
    if not layers:
        raise ValueError(f"layers={layers!r} names no layer; choose from {', '.join(names)}.")
    for name in layers:
        if name not in names:
            raise ValueError(
                f"layers={tuple(layers)!r} names {name!r}, which backbone {backbone!r} does not have."
                f"{did_you_mean(name, names)} Its layers are {', '.join(names)}."
            )
    if len(set(layers)) < len(layers):
        raise ValueError(f"layers={tuple(layers)!r} names a layer twice.")


def _vgg_taps(layers):
    """Name the ReLU after each convolution ``conv<block>_<place in block>``."""
    taps, block, place = {}, 1, 0
    for index, layer in enumerate(layers):
        if isinstance(layer, nn.ReLU):
            place += 1
            taps[f"conv{block}_{place}"] = index
        elif isinstance(layer, nn.MaxPool2d):
            block, place = block + 1, 0
    return taps


def _shape_of(name):
    """Return the layers of a torchvision classifier without memory, or None if it cannot be built so."""
    try:
        with torch.device("meta"):
            return _torchvision_layers(name)
    except NotImplementedError:  # some compute with their weights while they are built
        return None


def _torchvision_layers(name):
    """Return the layers before pooling of any torchvision classifier made of a sequence of them."""
    known = models.list_models(models)
    if name not in known:
        raise ValueError(
            f"backbone={name!r} is not a torchvision classification model.{did_you_mean(name, known)} "
            "Give such a name ('vgg16_bn', 'vgg16', 'resnet50', ...) or a callable returning a Sequential."
        )
    model = models.get_model(name, weights=None)
    if isinstance(model, models.SwinTransformer):
        raise ValueError(f"backbone={name!r} gives maps with filters in their last axis; wrap it in a callable.")
    if isinstance(getattr(model, "features", None), nn.Sequential):
        return model.features
    children = dict(model.named_children())
    if "avgpool" not in children:
        raise ValueError(f"backbone={name!r} is not a plain sequence of layers; wrap it in a callable.")
    before = list(children)[: list(children).index("avgpool")]
    before = [child for child in before if not child.lower().startswith("aux")]  # classifiers at the side
    return nn.Sequential(OrderedDict((child, children[child]) for child in before))


def _called_layers(backbone):
    """Return the layers of a user's own network, or say what it must be."""
    layers = backbone()
    if not isinstance(layers, nn.Sequential) or len(layers) == 0:
        raise ValueError(
            f"backbone={backbone!r} returned {type(layers).__name__}; expected a torch.nn.Sequential of at "
            "least one layer, whose children's names are the layers to choose from."
        )
    if any(is_lazy(parameter) for parameter in layers.parameters()):
        raise ValueError(
            f"backbone={backbone!r} returned lazy layers, whose sizes are not known yet: run a picture through the "
            "network before it is returned."
        )
    return layers


def _initialise(layers, generator):
    """Draw torchvision's initial VGG weights from a generator of their own."""
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu", generator=generator)
            nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d):
            layer.reset_parameters()
            layer.reset_running_stats()
