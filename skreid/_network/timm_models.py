"""Backbones of timm, "timm:NAME": its feature interface as a network whose maps are read by name.

timm's wrappers return the maps of several layers at once, and rename what they wrap. Here the weights keep the names
that they have in timm's whole model, so that its files fit.
"""

from functools import lru_cache

import torch
from torch import nn

from skreid._base.checks import did_you_mean
from skreid._network.backbone import Backbone
from skreid._network.seeding import seeded

PREFIX = "timm:"
# with these, transformers take frames of any size; models that do not know them refuse them
_DYNAMIC = {"dynamic_img_size": True}
_ANY_SIZE = (_DYNAMIC | {"dynamic_img_pad": True}, _DYNAMIC, {"strict_img_size": False})


class TimmBackbone(Backbone):
    """A model of timm, read through its feature interface.

    Parameters
    ----------
    name : str
        timm's name of the model.
    features : nn.Module
        Returns a list of maps, shallow to deep.
    layers : nn.Module
        The same modules, under the names of the whole model.
    """

    is_sequence = False

    def __init__(self, name, features, layers):
        super().__init__(layers, {layer: place for place, layer in enumerate(features.feature_info.module_name())})
        self.name = name
        self.features = (features,)  # in a tuple: torch would count its weights twice
        self.filters_last = str(getattr(features, "output_fmt", "")).endswith("NHWC")

    def forward(self, batch, names):
        """Return the maps of the named layers, as `Backbone.forward`."""
        maps = self.features[0](batch)
        if self.filters_last:
            maps = [values.permute(0, 3, 1, 2) for values in maps]
        return {name: maps[self.places[name]] for name in names}

    def _ending(self, end):
        own, part = self.layers.state_dict(), _build(self.name, None, end)
        part.layers.load_state_dict({name: own[name] for name in part.layers.state_dict()}, assign=True)
        return part


def is_timm(backbone):
    """Return whether a backbone is one of timm's, by name."""
    return isinstance(backbone, str) and backbone.startswith(PREFIX)


def timm_backbone(backbone, random_state):
    """Build an untrained backbone of timm; see `build_backbone`."""
    timm, name = _timm(backbone)
    known = timm.list_models() + timm.list_models(include_tags=True)
    if name not in known:
        raise ValueError(
            f"backbone={backbone!r} is not a model of timm.{did_you_mean(name, known)} timm.list_models() lists them."
        )
    return _build(name, random_state)


def timm_normalization(backbone):
    """Return the normalisation of RGB that timm's weights of a model expect, (mean, std)."""
    timm, name = _timm(backbone)
    config = timm.get_pretrained_cfg(name)
    return tuple(map(float, config.mean)), tuple(map(float, config.std))


def timm_weights(weights, backbone):
    """Return timm's own weights of a model, downloading them once, and their normalisation."""
    timm, name = _timm(backbone)
    try:
        state = timm.create_model(name, pretrained=True).state_dict()
    except (OSError, RuntimeError) as error:  # no network, no space, or no weights of this name
        raise OSError(
            f"weights={weights!r} of backbone={backbone!r} could not be downloaded ({error}). Where there is a "
            f"network, save timm.create_model({name!r}, pretrained=True).state_dict() with torch.save, and give the "
            "path of that file; weights=None starts from random ones."
        ) from error
    return state, *timm_normalization(backbone)


def _timm(backbone):
    """Return timm, and its name of a backbone."""
    try:
        import timm
    except ImportError as error:
        raise ImportError(f"backbone={backbone!r} needs timm: pip install skreid[timm].") from error
    return timm, backbone.removeprefix(PREFIX)


def _build(name, random_state, end=None):
    """Build a model up to a number of layers that have maps."""
    options, n_layers, modules, names = _plan(name)
    wanted = options | {"features_only": True, "out_indices": tuple(range(n_layers))[:end]}
    with seeded(random_state or 0):
        features = _create(name, wanted, without_memory=random_state is None)
        if any(buffer.is_meta for buffer in _unsaved(features)):  # no file would fill them
            features = _create(name, wanted)
    for module in features.modules():
        if getattr(module, "inplace", False):  # it would overwrite the map of the layer before it
            module.inplace = False
    return TimmBackbone(name, features, _as_in_whole(features, modules, names))


@lru_cache(maxsize=64)
def _plan(name):
    """Return how a model is built, its number of layers with maps, and its modules and weights by name."""
    with seeded(0):
        for options in (*_ANY_SIZE, {}):
            try:
                whole = _create(name, options, without_memory=True)
                break
            except TypeError:  # it does not know these options
                if not options:
                    raise
    layers = getattr(whole, "feature_info", None)
    if not layers:
        raise ValueError(f"backbone='{PREFIX}{name}' has no feature interface in timm; wrap it in a callable.")
    modules = {module.replace(".", "_"): module for module, _ in whole.named_modules()}
    return options, len(layers), modules, frozenset(whole.state_dict())


def _create(name, options, without_memory=False):
    import timm

    if without_memory:
        try:
            with torch.device("meta"):
                return timm.create_model(name, **options)
        except (NotImplementedError, RuntimeError):  # some models compute with values while they are built
            pass
    return timm.create_model(name, **options)


def _unsaved(features):
    """Return the buffers that are not part of a state dict."""
    saved = features.state_dict()
    return [buffer for name, buffer in features.named_buffers() if name not in saved]


def _as_in_whole(features, modules, names):
    """Return a module with the weights of a feature interface, under the names that the whole model has for them."""
    children = dict(features.named_children())
    for module in (features, *(children.values() if len(children) == 1 else ())):
        if names.issuperset(module.state_dict()):
            return module
    layers = nn.Module()
    for child, module in children.items():  # "stages_0" was "stages.0"
        *parents, last = modules[child].split(".")
        place = layers
        for parent in parents:
            if not hasattr(place, parent):
                place.add_module(parent, nn.Module())
            place = getattr(place, parent)
        place.add_module(last, module)
    return layers
