"""A network as a sequence of layers whose maps are read by name; it stops at the deepest layer asked for.

For a VGG the named layers are ``conv1_1`` to ``conv5_3``, read after the ReLU.
"""

import numpy as np
import torch
from torch import nn


class Backbone(nn.Module):
    """A sequence of layers, some of them named.

    Parameters
    ----------
    layers : torch.nn.Sequential
    places : dict of str to int
        Name -> position in `layers` of the layer after which the maps of that name are read, shallow to deep.
    """

    is_sequence = True

    def __init__(self, layers, places):
        super().__init__()
        self.layers = layers
        self.places = places

    def forward(self, batch, names):
        """Return the maps of the named layers; layers beyond the deepest of them do not run.

        Parameters
        ----------
        batch : tensor of shape (n, 3, height, width), normalised
        names : collection of str

        Returns
        -------
        maps : dict of str to tensor of shape (n, n_filters, h, w)
        """
        wanted = {self.places[name]: name for name in names}
        maps = {}
        layers = list(self.layers)[: max(wanted) + 1]
        for place in _order(layers, wanted):
            batch = layers[place](batch)
            if place in wanted:
                maps[wanted[place]] = batch
        return {name: maps[name] for name in names}

    def weights(self):
        """Return a copy of all weights and buffers: name -> ndarray, with torchvision's names."""
        return as_arrays(self.layers.state_dict())

    def snapshot(self):
        """Return a copy of all weights and buffers on their device: name -> tensor."""
        return {name: tensor.clone() for name, tensor in self.layers.state_dict().items()}

    def load_weights(self, weights):
        """Load a copy of weights that `weights` returned, and return the backbone."""
        own = self.layers.state_dict()
        for name, tensor in own.items():
            if name not in weights or weights[name].shape != tensor.shape:
                raise _another_network(f"its weights do not fit {name!r}")
        copies = {name: torch.from_numpy(np.array(weights[name])) for name in own}
        self.layers.load_state_dict(copies, assign=True)
        return self

    def check_same_weights(self, weights):
        """Refuse weights whose names are those of another network, even if only a part of the network will be read."""
        unknown = sorted(set(weights).difference(self.layers.state_dict()))
        if unknown:
            raise _another_network(f"the present one has no weights {unknown[0]!r}")

    def until(self, names):
        """Return the part of the network that ends at the deepest of the named layers."""
        for name in names:
            if name not in self.places:
                raise _another_network(f"the present one has no layer {name!r}")
        return self._ending(max(self.places[name] for name in names) + 1)

    def _ending(self, end):
        return Backbone(self.layers[:end], {name: place for name, place in self.places.items() if place < end})


def _order(layers, wanted):
    """Return the places of the layers in the order in which they run.

    Pooling comes before the ReLU whose map it reduces, unless either is read: the maximum is the same, bit for bit, and
    so are all gradients, and the ReLU, a tenth of a training step, has a quarter of the work.
    """
    order = list(range(len(layers)))
    for place in order[:-1]:
        kinds = type(layers[place]), type(layers[place + 1])
        if kinds == (nn.ReLU, nn.MaxPool2d) and place not in wanted and place + 1 not in wanted:
            order[place : place + 2] = place + 1, place
    return order


def as_arrays(state):
    """Return a copy of a state of tensors on any device: name -> ndarray."""
    return {name: np.array(tensor.numpy(force=True), order="C") for name, tensor in state.items()}


def _another_network(reason):
    return ValueError(
        f"The estimator was fitted with another network: {reason}. If backbone was changed after fit, fit again."
    )
