"""Random changes to training images, for a whole batch at once and on its device: no per-image Python.

All values are drawn on the CPU before an epoch begins (`draw`); the changes are functions of images and these values.
To add a change, add what it draws to `DRAWS`, and the function to `CHANGES`.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F

from skreid._training.parallel import own_share

AUGMENTATIONS = ("flip", "crop", "color", "erase")
ZOOM = 0.1  # crops show 0.9 to 1.1 times the frame ...
SHIFT = 0.06  # ... moved by at most this share of it
CAST = 0.1  # the gain of each colour channel is 1 plus or minus this
CONTRAST = 0.25  # the gains of brightness, contrast and saturation are 1 plus or minus this
ERASED = (0.02, 0.25)  # share of the frame that a rectangle hides, in about half of the images


class Draw(NamedTuple):
    """What is drawn for each image: the kind of augmentation that needs it, its range, and the number of values."""

    kind: str
    low: float
    high: float
    n_values: int = 1


DRAWS = {  # in the order in which they are drawn
    "zoom": Draw("crop", 1 - ZOOM, 1 + ZOOM),
    "mirror": Draw("flip", 0, 1),
    "shift": Draw("crop", -SHIFT, SHIFT, 2),
    "gains": Draw("color", 1 - CONTRAST, 1 + CONTRAST, 3),  # of brightness, contrast and saturation
    "cast": Draw("color", 1 - CAST, 1 + CAST, 3),
    "area": Draw("erase", *ERASED),
    "aspect": Draw("erase", math.log(0.3), math.log(3.3)),
    "top": Draw("erase", 0, 1),
    "left": Draw("erase", 0, 1),
    "hidden": Draw("erase", 0, 1),
    "colour": Draw("erase", 0, 1, 3),
}


def draw(kinds, n_images, generator):
    """Draw all that `augment` needs for a batch.

    Parameters
    ----------
    kinds : collection of {"flip", "crop", "color", "erase"}
    n_images : int
        Size of the whole batch: values are drawn for all of its images, so that they do not depend on the number of
        processes.
    generator : torch.Generator
        On the CPU.

    Returns
    -------
    drawn : tensor of shape (n_values,), float32
        The values for this process's share of the batch, one kind of value after the other.
    """
    drawn, share = [torch.empty(0)], own_share(n_images)
    for _, low, high, n_values in _drawn_for(kinds).values():
        values = low + (high - low) * torch.rand(n_images, n_values, generator=generator)
        drawn.append(values[share].flatten())
    return torch.cat(drawn)


def augment(batch, kinds, drawn):
    """Return a changed copy of a batch of images.

    Parameters
    ----------
    batch : tensor of shape (n, 3, height, width), float in [0, 1]
    kinds : collection of {"flip", "crop", "color", "erase"}
        "flip" mirrors about half of the images left to right. "crop" zooms and shifts, repeating the border. "color"
        changes brightness, contrast and saturation, and adds a colour cast. "erase" fills a rectangle of about half of
        the images with one random colour.
    drawn : tensor of shape (n_values,)
        What `draw` drew for these images, on their device.

    Returns
    -------
    changed : tensor of the same shape, float in [0, 1]
    """
    used = _drawn_for(kinds)
    parts = drawn.split([len(batch) * each.n_values for each in used.values()])
    draws = {name: part.view(len(batch), -1) for name, part in zip(used, parts, strict=True)}
    for needed, change in CHANGES.items():
        if not needed.isdisjoint(kinds):
            batch = change(batch, draws)
    return batch


def _drawn_for(kinds):
    return {name: each for name, each in DRAWS.items() if each.kind in kinds}


def _move(batch, draws):
    """Mirror, zoom and shift by one interpolation."""
    (n, *_), device = batch.shape, batch.device
    zoom = draws["zoom"][:, 0] if "zoom" in draws else torch.ones(n, device=device)
    mirror = 1 - 2 * (draws["mirror"][:, 0] < 0.5).float() if "mirror" in draws else torch.ones(n, device=device)
    shift = 2 * draws["shift"] if "shift" in draws else torch.zeros(n, 2, device=device)
    zero = torch.zeros(n, device=device)
    rows = [torch.stack([zoom * mirror, zero, shift[:, 0]], 1), torch.stack([zero, zoom, shift[:, 1]], 1)]
    grid = F.affine_grid(torch.stack(rows, 1), list(batch.shape), align_corners=False)
    return F.grid_sample(batch, grid, padding_mode="border", align_corners=False)


def _recolour(batch, draws):
    """Change brightness, contrast and saturation, and add a colour cast."""
    light, contrast, saturation = draws["gains"][..., None, None, None].unbind(1)
    batch = batch * light * draws["cast"][..., None, None]
    grey = batch.mean(dim=1, keepdim=True)
    batch = torch.lerp(grey, batch, saturation)
    return torch.lerp(grey.mean(dim=(2, 3), keepdim=True), batch, contrast).clamp(0, 1)


def _erase(batch, draws):
    """Fill a rectangle of about half of the images with one colour."""
    return torch.where(_rectangles(batch.shape, draws), draws["colour"][..., None, None], batch)


def _rectangles(shape, draws):
    """Return a mask (n, 1, H, W), true inside a random rectangle in about half of the images."""
    height, width = shape[-2:]
    area, aspect = draws["area"] * height * width, torch.exp(draws["aspect"])
    tall, wide = (area * aspect).sqrt().clamp(max=height), (area / aspect).sqrt().clamp(max=width)
    top, left = draws["top"] * (height - tall), draws["left"] * (width - wide)
    y = torch.arange(height, device=tall.device)[None, :, None]
    x = torch.arange(width, device=tall.device)[None, None]
    top, left, tall, wide = (value[..., None] for value in (top, left, tall, wide))
    inside = (y >= top) & (y < top + tall) & (x >= left) & (x < left + wide)
    return (inside & (draws["hidden"][..., None] < 0.5))[:, None]


CHANGES = {frozenset({"flip", "crop"}): _move, frozenset({"color"}): _recolour, frozenset({"erase"}): _erase}
