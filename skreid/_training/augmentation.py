"""Random changes to training images, for a whole batch at once and on its device: no per-image Python."""

import math

import torch
import torch.nn.functional as F

from skreid._images.batches import to_device
from skreid._training.parallel import own_share

AUGMENTATIONS = ("flip", "crop", "color", "erase")
ZOOM = 0.1  # crops show 0.9 to 1.1 times the frame ...
SHIFT = 0.06  # ... moved by at most this share of it
CAST = 0.1  # the gain of each colour channel is 1 plus or minus this
CONTRAST = 0.25  # the gains of brightness, contrast and saturation are 1 plus or minus this
ERASED = (0.02, 0.25)  # share of the frame that a rectangle hides, in about half of the images


def augment(batch, kinds, generator, n_images=None):
    """Return a changed copy of a batch of images.

    Parameters
    ----------
    batch : tensor of shape (n, 3, height, width), float in [0, 1]
    kinds : collection of {"flip", "crop", "color", "erase"}
        "flip" mirrors about half of the images left to right. "crop" zooms and shifts, repeating the border. "color"
        changes brightness, contrast and saturation, and adds a colour cast. "erase" fills a rectangle of about half of
        the images with one random colour.
    generator : torch.Generator
        Source of all random draws; on the CPU.
    n_images : int, optional
        Size of the whole batch, if `batch` is one process's share of it: values are drawn for all images, so that the
        changes do not depend on the number of processes.

    Returns
    -------
    changed : tensor of the same shape, float in [0, 1]
    """
    n, device = len(batch), batch.device
    n_drawn, share = (n, slice(None)) if n_images is None else (n_images, own_share(n_images))

    def draw(low, high, *shape):
        return to_device(low + (high - low) * torch.rand(n_drawn, *shape, generator=generator)[share], device)

    if "flip" in kinds or "crop" in kinds:
        zoom = draw(1 - ZOOM, 1 + ZOOM) if "crop" in kinds else torch.ones(n, device=device)
        mirror = 1 - 2 * (draw(0, 1) < 0.5).float() if "flip" in kinds else torch.ones(n, device=device)
        shift = 2 * draw(-SHIFT, SHIFT, 2) if "crop" in kinds else torch.zeros(n, 2, device=device)
        zero = torch.zeros(n, device=device)
        rows = [torch.stack([zoom * mirror, zero, shift[:, 0]], 1), torch.stack([zero, zoom, shift[:, 1]], 1)]
        grid = F.affine_grid(torch.stack(rows, 1), list(batch.shape), align_corners=False)
        batch = F.grid_sample(batch, grid, padding_mode="border", align_corners=False)
    if "color" in kinds:
        light, contrast, saturation = draw(1 - CONTRAST, 1 + CONTRAST, 3, 1, 1, 1).unbind(1)
        batch = batch * light * draw(1 - CAST, 1 + CAST, 3, 1, 1)
        grey = batch.mean(dim=1, keepdim=True)
        batch = torch.lerp(grey, batch, saturation)
        batch = torch.lerp(grey.mean(dim=(2, 3), keepdim=True), batch, contrast).clamp(0, 1)
    if "erase" in kinds:
        batch = torch.where(_rectangles(batch.shape, draw), draw(0, 1, 3, 1, 1), batch)
    return batch


def _rectangles(shape, draw):
    """Return a mask (n, 1, H, W), true inside a random rectangle in about half of the images."""
    height, width = shape[-2:]
    area, aspect = draw(*ERASED) * height * width, torch.exp(draw(math.log(0.3), math.log(3.3)))
    tall, wide = (area * aspect).sqrt().clamp(max=height), (area / aspect).sqrt().clamp(max=width)
    top, left = draw(0, 1) * (height - tall), draw(0, 1) * (width - wide)
    y = torch.arange(height, device=tall.device)[None, :, None]
    x = torch.arange(width, device=tall.device)[None, None]
    top, left, tall, wide = (value[:, None, None] for value in (top, left, tall, wide))
    inside = (y >= top) & (y < top + tall) & (x >= left) & (x < left + wide)
    return (inside & (draw(0, 1, 1, 1) < 0.5))[:, None]
