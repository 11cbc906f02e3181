"""A trained network on a device: from the pixels of a batch to the maps of its layers."""

import copy

import torch

from skreid._images.batches import to_device, to_unit
from skreid._network.building import build_backbone
from skreid._network.precision import reading
from skreid._network.surgery import cut_backbone, fold_backbone


class MapReader:
    """A trained network on a device, made for reading maps.

    Parameters
    ----------
    backbone : str or callable
    weights : dict of str to ndarray
        As returned by `Backbone.weights`.
    normalization : tuple of two tuples of three floats
        Mean and standard deviation of RGB in [0, 1].
    device : torch.device
    layers : collection of str, optional
        The layers that will be read; nothing deeper is loaded.
    precision : {"float32", "bfloat16"}
        Precision in which the network computes; maps are float32. On a GPU, float32 is computed in full, not in TF32.
    """

    def __init__(self, backbone, weights, normalization, device, layers=None, precision="float32"):
        self.device, self.precision = device, precision
        network = build_backbone(backbone, None)
        network.check_same_weights(weights)
        network = network if layers is None else network.until(layers)
        self.network = fold_backbone(network.load_weights(weights), layers)
        self.network.to(device, memory_format=torch.channels_last)
        mean, std = (torch.tensor(values, device=device).view(3, 1, 1) for values in normalization)
        self.scale, self.offset = 1 / std, -mean / std

    def choose(self, filters):
        """Return a reader for the chosen filters of the given layers, and the indices of these filters in its maps.

        Parameters
        ----------
        filters : dict of str to ndarray of int

        Returns
        -------
        reader : MapReader
        remaining : dict of str to tensor of int, or None
            Layer -> filters to take from the maps that the reader returns; None for all of them.
        """
        reader = copy.copy(self)
        reader.network, remaining = cut_backbone(self.network, filters)
        reader.network.to(self.device, memory_format=torch.channels_last)
        remaining = {
            layer: None if chosen is None else torch.tensor(chosen, device=self.device)
            for layer, chosen in remaining.items()
        }
        return reader, remaining

    @torch.inference_mode()
    def __call__(self, batch, layers):
        """Return layer -> maps (n, n_filters, h, w) of a batch of images, (n, 3, height, width)."""
        batch = to_unit(to_device(batch, self.device))
        with reading(self.device, self.precision):
            maps = self.network(torch.addcmul(self.offset, batch, self.scale), layers)
        return {layer: values.float() for layer, values in maps.items()}
