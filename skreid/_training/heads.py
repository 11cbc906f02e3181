"""The trained network: a backbone with identity classifiers at several depths, which are dropped after training.

Each classifier sees maps averaged over horizontal bands, much as a descriptor does. So the network learns maps that
tell people apart at each of these depths, band by band.
"""

import torch
import torch.nn.functional as F
from torch import nn

from skreid._network.building import build_backbone
from skreid._network.layers import block_ends, map_shapes
from skreid._network.precision import autocast
from skreid._training.parallel import whole_batch

CLASSIFIED_BLOCKS = 3  # number of blocks, counted from the deepest, that have classifiers at their end
BANDS = 4  # horizontal bands of a map, each with its own linear classifier
LABEL_SMOOTHING = 0.1


class Classifier(nn.Module):
    """A backbone and, at the end of each of its three deepest blocks, a `BandHead`.

    Parameters
    ----------
    network : Backbone
    heads : dict of str to BandHead
        Layer -> the classifiers that read its maps.
    settings : TrainingSettings
    """

    def __init__(self, network, heads, settings):
        super().__init__()
        self.network, self.heads = network, nn.ModuleList(heads.values())
        self.layers, self.precision = tuple(heads), settings.precision
        self.register_buffer("mean", torch.tensor(settings.mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(settings.std).view(3, 1, 1))

    def forward(self, batch, n_images=None):
        """Turn RGB in [0, 1], (n, 3, height, width), into logits, (n, n_classifiers, n_classes).

        With `n_images`, `batch` is this process's share of that many images, and the logits are of all of them.
        """
        with autocast(batch.device, self.precision):
            maps = self.network((batch - self.mean) / self.std, self.layers)
        bands = [head.bands(maps[layer].float()) for layer, head in zip(self.layers, self.heads, strict=True)]
        bands = whole_batch(torch.cat(bands, dim=1), n_images).split([band.shape[1] for band in bands], dim=1)
        return torch.cat([head(band) for head, band in zip(self.heads, bands, strict=True)], dim=1)


class BandHead(nn.Module):
    """Batch norm of each filter's mean over each band, and a linear classifier for each band.

    Parameters
    ----------
    n_filters, height : int
        Number of filters and height of the maps that it reads.
    n_classes : int
    generator : torch.Generator
        Draws the initial weights.
    """

    def __init__(self, n_filters, height, n_classes, generator):
        super().__init__()
        self.n_bands = min(BANDS, height)
        self.norm = nn.BatchNorm1d(n_filters * self.n_bands)
        self.norm.bias.requires_grad_(False)  # the classifiers are centred on the mean image
        weight = torch.empty(self.n_bands, n_filters, n_classes)
        self.weight = nn.Parameter(nn.init.normal_(weight, std=0.01, generator=generator))

    def bands(self, maps):
        """Average maps, (n, n_filters, h, w), over horizontal bands: (n, n_filters * n_bands)."""
        return F.adaptive_avg_pool2d(maps, (self.n_bands, 1)).flatten(1)

    def forward(self, bands):
        """Return logits, (n, n_bands, n_classes)."""
        bands = self.norm(bands).view(len(bands), -1, self.n_bands)  # (n, n_filters, n_bands)
        return torch.einsum("nfb,bfc->nbc", bands, self.weight)


def build_classifier(size, n_classes, settings):
    """Build the classifier for frames of `size`, seeded, with pretrained weights if there are any."""
    network = build_backbone(settings.backbone, settings.random_state)
    if settings.initial is not None:
        network.load_weights(settings.initial)
    shapes = map_shapes(settings.backbone, size)
    generator = torch.Generator().manual_seed(settings.random_state)
    heads = {
        layer: BandHead(*shapes[layer][:2], n_classes, generator) for layer in block_ends(shapes)[-CLASSIFIED_BLOCKS:]
    }
    return Classifier(network, heads, settings)


def identity_loss(logits, labels, smoothing=LABEL_SMOOTHING):
    """Return the cross-entropy of each image, averaged over the classifiers, (n,)."""
    n_images, n_classifiers, _ = logits.shape
    loss = F.cross_entropy(logits.flatten(0, 1), labels.repeat_interleave(n_classifiers), label_smoothing=smoothing,
                           reduction="none")  # fmt: skip
    return loss.view(n_images, n_classifiers).mean(dim=1)


def predicted(logits):
    """Return the identity that the classifiers together find most likely for each image, (n,)."""
    return logits.log_softmax(dim=2).mean(dim=1).argmax(dim=1)
