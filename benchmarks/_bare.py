"""What the benchmarks of training are compared with: the same training written bare in PyTorch, and its convolutions.

The bare training has the same layers, losses, augmentations and optimiser steps, but no reading of images, validation,
early stopping or history. The convolutions alone are the limit of any training.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn
from torchvision import models

BANDS = 4  # horizontal bands of a map, each with a classifier of its own


class Classifier(nn.Module):
    """A torchvision VGG with identity classifiers at the ends of its three deepest blocks."""

    def __init__(self, name, n_classes):
        super().__init__()
        layers = models.get_model(name, weights=None).features[:-1]
        pools = [place for place, layer in enumerate(layers) if isinstance(layer, nn.MaxPool2d)]
        *_, first, second = pools
        self.stages = nn.ModuleList([layers[:first], layers[first:second], layers[second:]])
        widths = [[layer for layer in stage if isinstance(layer, nn.Conv2d)][-1].out_channels for stage in self.stages]
        self.norms = nn.ModuleList([nn.BatchNorm1d(width * BANDS) for width in widths])
        self.weights = nn.ParameterList([nn.init.normal_(torch.empty(BANDS, width, n_classes), std=0.01)
                                         for width in widths])  # fmt: skip

    def forward(self, batch):
        """Turn RGB in [0, 1], (n, 3, height, width), into logits, (n, n_classifiers, n_classes)."""
        maps, logits = (batch - 0.5) / 0.25, []
        for stage, norm, weight in zip(self.stages, self.norms, self.weights, strict=True):
            maps = stage(maps)
            bands = norm(F.adaptive_avg_pool2d(maps, (BANDS, 1)).flatten(1)).view(len(maps), -1, BANDS)
            logits.append(torch.einsum("nfb,bfc->nbc", bands, weight))
        return torch.cat(logits, dim=1)


def to_device(tensor, device):
    """Return a tensor on a device, without waiting for a GPU."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


def augment(batch, kinds, generator):
    """Return a changed copy of a batch, (n, 3, height, width) in [0, 1], as the parameter `augment` of skreid does."""
    n, _, height, width = batch.shape

    def draw(low, high, *shape):
        return to_device(low + (high - low) * torch.rand(n, *shape, generator=generator), batch.device)

    if "flip" in kinds or "crop" in kinds:
        zoom = draw(0.9, 1.1) if "crop" in kinds else 1.0
        mirror = 1 - 2 * (draw(0, 1) < 0.5).float() if "flip" in kinds else 1.0
        transform = torch.zeros(n, 2, 3, device=batch.device)
        transform[:, 0, 0], transform[:, 1, 1] = zoom * mirror, zoom
        if "crop" in kinds:
            transform[:, :, 2] = draw(-0.12, 0.12, 2)  # of half the frame
        grid = F.affine_grid(transform, list(batch.shape), align_corners=False)
        batch = F.grid_sample(batch, grid, padding_mode="border", align_corners=False)
    if "color" in kinds:
        light, contrast, saturation = draw(0.75, 1.25, 3, 1, 1, 1).unbind(1)
        batch = batch * light * draw(0.9, 1.1, 3, 1, 1)
        grey = batch.mean(dim=1, keepdim=True)
        batch = torch.lerp(grey, batch, saturation)
        batch = torch.lerp(grey.mean(dim=(2, 3), keepdim=True), batch, contrast).clamp(0, 1)
    if "erase" in kinds:  # a rectangle of 2 to 25 % of the frame, in every other image
        area, aspect = draw(0.02, 0.25, 1) * height * width, torch.exp(draw(math.log(0.3), math.log(3.3), 1))
        tall, wide = (area * aspect).sqrt().clamp(max=height), (area / aspect).sqrt().clamp(max=width)
        top, left = draw(0, 1, 1) * (height - tall), draw(0, 1, 1) * (width - wide)
        y, x = torch.arange(height, device=batch.device), torch.arange(width, device=batch.device)
        rows, columns = (y >= top) & (y < top + tall), (x >= left) & (x < left + wide)
        hidden = rows[:, None, :, None] & columns[:, None, None, :] & (draw(0, 1, 1, 1, 1) < 0.5)
        batch = torch.where(hidden, draw(0, 1, 3, 1, 1), batch)
    return batch


def trainer(model, n_steps, learning_rate=1e-4):
    """Return a function that trains on batches of (images, labels): AdamW, with a warm-up and a cosine schedule."""
    optimizer = torch.optim.AdamW(model.parameters(), learning_rate, weight_decay=5e-4, fused=True)
    warmup = max(1, round(0.1 * n_steps))

    def share(step):
        falling = 0.5 * (1 + math.cos(math.pi * max(0, step - warmup) / max(1, n_steps - warmup)))
        return min((step + 1) / warmup, falling)

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, share)

    def train(batches, kinds, generator):
        model.train()
        for images, labels in batches:
            logits = model(augment(images, kinds, generator))
            repeated = labels.repeat_interleave(logits.shape[1])
            loss = F.cross_entropy(logits.flatten(0, 1), repeated, label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            schedule.step()

    return train


def convolutions(name, frame, n_images, precision, depth=None, backward=True):
    """Return a function that computes the convolutions of a torchvision VGG alone, forward and backward, for a batch.

    Maps, weights and gradients are in `precision`, "float32" or "bfloat16", and filters side by side in memory, from
    the start: nothing is cast or copied. With `depth`, only the first convolutions are computed.
    """
    layers = models.get_model(name, weights=None).features[:-1].to(memory_format=torch.channels_last)
    given = []
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_pre_hook(lambda layer, inputs: given.append((layer, inputs[0].detach())))
    with torch.no_grad():
        layers(torch.rand(n_images, 3, *frame).contiguous(memory_format=torch.channels_last))
    steps = []
    for layer, maps in given[:depth]:
        values = [part.detach().to(getattr(torch, precision)) for part in (maps, layer.weight, layer.bias)]
        wanted = [part.requires_grad_() for part in values[len(steps) == 0 :]]  # images need no gradient
        outgoing = torch.ones_like(F.conv2d(*values, padding=layer.padding))
        steps.append((values, layer.padding, wanted, outgoing))

    def step():
        for values, padding, wanted, outgoing in steps:
            if backward:
                torch.autograd.grad(F.conv2d(*values, padding=padding), wanted, outgoing)
            else:
                with torch.inference_mode():
                    F.conv2d(*values, padding=padding)

    step()
    return step
