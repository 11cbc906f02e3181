"""`MultiDepthReID` as one torch module, from uint8 frames to descriptors, and as an ONNX graph.

The module computes what `MultiDepthReID.transform` computes, with operators that every ONNX runtime has.
"""

import warnings

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from skreid._filters.smoothing import ROOTED, ROUNDING, compact_operator
from skreid._network.reader import MapReader


class Describer(nn.Module):
    """A fitted `MultiDepthReID` on the CPU, in float32.

    Parameters
    ----------
    estimator : fitted MultiDepthReID
    resize : bool
        Whether frames are resized first; otherwise they must have the estimator's size.
    """

    def __init__(self, estimator, resize):
        super().__init__()
        reader = MapReader(
            estimator.backbone, estimator.weights_, estimator.normalization_, torch.device("cpu"), estimator.layers_
        )
        chosen, self.remaining = reader.choose(estimator.filters_)
        self.network, self.scale, self.offset = chosen.network, reader.scale, reader.offset
        self.layers, self.normalize = estimator.layers_, estimator.normalize
        self.average_flips = estimator.average_flips
        self.size = tuple(estimator.image_shape_) if resize else None
        self.operators = {}
        for layer in self.layers:
            cells = zip(estimator.map_shapes_[layer], estimator.image_shape_, estimator.blur_size_, strict=True)
            self.operators[layer] = [_constant(compact_operator(*axis, estimator.sampling_)) for axis in cells]
        means, whitening = estimator._scaled_by()
        self.means = {layer: _constant(mean).flatten() for layer, mean in means.items()}
        self.whitening = {layer: _constant(matrix) for layer, matrix in whitening.items()}

    def forward(self, frames):
        """Return descriptors (n, n_dimensions), float32, of frames (n, height, width, 3), uint8."""
        pixels = frames.permute(0, 3, 1, 2).float()
        if self.size is not None:
            resized = F.interpolate(pixels, size=self.size, mode="bilinear", antialias=True)
            pixels = resized.round().clamp(0, 255)  # as uint8 images are resized
        pixels = pixels / 255 * self.scale + self.offset
        maps = self.network(pixels, self.layers)
        if self.average_flips:
            mirrored = self.network(pixels.flip(3), self.layers)
            maps = {layer: (maps[layer] + mirrored[layer].flip(3)) / 2 for layer in self.layers}
        return torch.cat([self._part(layer, maps[layer]) for layer in self.layers], dim=1)

    def _part(self, layer, maps):
        """Return a layer's part of the descriptors: Eq. 1 in its compact form, then the scale."""
        if self.remaining[layer] is not None:
            maps = maps.index_select(1, self.remaining[layer])
        rows, columns = self.operators[layer]
        part = _along_last(_along_last(maps, columns).transpose(2, 3), rows).transpose(2, 3).flatten(1)
        if self.normalize is None:
            return part
        if self.normalize in ROOTED:
            part = part.sign() * part.abs().sqrt()
        length = part.square().sum(dim=1, keepdim=True).sqrt()
        if layer not in self.means:
            return part / length.clamp_min(1e-12)
        part = part - self.means[layer]
        own = part.square().sum(dim=1, keepdim=True).sqrt()
        scaled = part / own
        if self.normalize == "whitened":
            scaled = torch.mm(scaled, self.whitening[layer])
            scaled = scaled / scaled.square().sum(dim=1, keepdim=True).sqrt().clamp_min(1e-12)
        return torch.where(own > ROUNDING * length, scaled, torch.zeros_like(part))


def describing_graph(estimator, resize):
    """Return the ONNX model of a fitted `MultiDepthReID`, with input "frames" and output "descriptors"."""
    frames = torch.zeros(2, *estimator.image_shape_, 3, dtype=torch.uint8)
    axes = {0: torch.export.Dim("n")}
    if resize:
        frames = frames.repeat(1, 2, 2, 1)  # of another size, so that no size is taken for a constant
        axes |= {1: torch.export.Dim("height", min=2), 2: torch.export.Dim("width", min=2)}
    describer = Describer(estimator, resize).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter, about its own parts
        program = torch.onnx.export(
            describer,
            (frames,),
            dynamo=True,
            dynamic_shapes=(axes,),
            input_names=["frames"],
            output_names=["descriptors"],
            optimize=True,
            verbose=False,
        )
    return program.model_proto


def _along_last(maps, operator):
    """Multiply the last axis of maps by an operator, as a product of two matrices: torch 2.6 exports no other."""
    return torch.mm(maps.flatten(0, 2), operator.T).unflatten(0, maps.shape[:3])


def _constant(values):
    return torch.from_numpy(np.array(values, dtype=np.float32))
