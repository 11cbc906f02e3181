"""A trained network on a device: from the pixels of a batch to the maps of its layers."""

import copy

import torch
from torch import nn

from skreid._images.batches import to_device, to_unit
from skreid._network.backbone import Backbone
from skreid._network.building import build_backbone
from skreid._network.device import free_memory
from skreid._network.precision import reading
from skreid._network.surgery import cut_backbone, fold_backbone

GPU_BATCH = 256  # images that a GPU reads at once ...
GPU_SHARE = 1 / 8  # ... if they take at most this share of its free memory ...
GPU_BYTES = 4 * 64 * 4  # ... which is estimated by pixel of a frame: four maps of 64 filters in float32, as in a VGG


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
    average_flips : bool, default=False
        Whether to average the maps of each image and of its mirror image, these mirrored back.
    """

    def __init__(self, backbone, weights, normalization, device, layers=None, precision="float32", average_flips=False):
        self.device, self.precision, self.average_flips = device, precision, average_flips
        network = build_backbone(backbone, None)
        network.check_same_weights(weights)
        network = network if layers is None else network.until(layers)
        self.network = self._ready(fold_backbone(network.load_weights(weights), layers))
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
        network, remaining = cut_backbone(self.network, filters)
        reader.network = self._ready(network)
        remaining = {
            layer: None if chosen is None else torch.tensor(chosen, device=self.device)
            for layer, chosen in remaining.items()
        }
        return reader, remaining

    def _ready(self, network):
        """Return a folded network on the device, its weights stored as they are read."""
        if self.precision == "bfloat16":
            network = _rounded(network, self.device)
        return network.to(self.device, memory_format=torch.channels_last)

    def batch_size(self, asked, frame_shape):
        """Return how many images to read at once: as many as asked for, and more on a GPU if they fit."""
        if self.device.type != "cuda":
            return asked
        fitting = GPU_SHARE * free_memory(self.device) / (GPU_BYTES * frame_shape[0] * frame_shape[1])
        return max(asked, min(GPU_BATCH, int(fitting)))

    @torch.inference_mode()
    def __call__(self, batch, layers):
        """Return layer -> maps (n, n_filters, h, w) of a batch of images, (n, 3, height, width)."""
        batch = to_unit(to_device(batch, self.device))
        maps = self._read(batch, layers)
        if self.average_flips:
            mirrored = self._read(batch.flip(3), layers)
            maps = {layer: values.add(mirrored[layer].flip(3)).div_(2) for layer, values in maps.items()}
        return maps

    def _read(self, batch, layers):
        with reading(self.device, self.precision):
            maps = self.network(torch.addcmul(self.offset, batch, self.scale), layers)
        return {layer: values.float() for layer, values in maps.items()}


def _rounded(network, device):
    """Return a network whose convolutions hold their weights in bfloat16, to which autocast would round them each time.

    Those that it leaves in float32 keep theirs, and so do those into which a batch norm may still be folded.
    """
    if not network.is_sequence:
        return network
    layers = list(network.layers)
    for place, (layer, following) in enumerate(zip(layers, [*layers[1:], None], strict=True)):
        if type(layer) is not nn.Conv2d or layer.weight.dtype != torch.float32:
            continue
        if not isinstance(following, nn.BatchNorm2d) and (device.type != "cpu" or max(layer.stride) == 1):
            layers[place] = copy.deepcopy(layer).to(torch.bfloat16)
    return Backbone(nn.Sequential(*layers), network.places).eval()
