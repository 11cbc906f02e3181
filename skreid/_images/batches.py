"""Images as torch tensors of shape (n, 3, height, width): converted from arrays, resized, joined, scaled, moved."""

import numpy as np
import torch
import torch.nn.functional as F

from skreid._images.decode import grey_to_rgb


def to_channels(stack):
    """Return a checked stack (n, H, W[, 3]) as a tensor (n, 3, H, W), channels last in memory."""
    if stack.dtype != np.uint8:
        stack = stack.astype(np.float32, copy=False)
    if stack.ndim == 3:
        stack = grey_to_rgb(stack)
    if not stack.flags.writeable:  # torch warns about read-only memory; copying one batch is cheap
        stack = stack.copy()
    # An axis of length 1 may have any stride; torch infers a wrong memory order from an odd one, and resizes wrongly
    stack = np.ascontiguousarray(stack).ravel().reshape(stack.shape)
    return torch.from_numpy(stack).permute(0, 3, 1, 2)


def join(batches):
    """Concatenate batches; uint8 and float batches together become floats in [0, 1]."""
    return torch.cat(_of_one_type(list(batches)))


def _of_one_type(batches):
    """Return batches unchanged, or as floats in [0, 1] if some are uint8 and some float."""
    return [to_unit(batch) for batch in batches] if len({batch.dtype for batch in batches}) > 1 else batches


def stack_images(images):
    """Concatenate images of shape (1, 3, height, width), channels last in memory.

    This uses numpy: torch would start threads in the thread that reads ahead, and slow down the network's.
    """
    stack = np.concatenate([image.permute(0, 2, 3, 1).numpy() for image in _of_one_type(images)])
    return torch.from_numpy(stack).permute(0, 3, 1, 2)


def to_unit(batch):
    """Return a batch of uint8 or float32 images as float32 in [0, 1]."""
    return batch.float().div_(255) if batch.dtype == torch.uint8 else batch


def to_device(tensor, device):
    """Return a tensor on a device; it is copied to a GPU from pinned memory, without waiting for it."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def resize(batch, size):
    """Resize a batch of images (bilinear, antialiased); one of this size is returned unchanged."""
    if tuple(batch.shape[-2:]) == tuple(size):
        return batch
    resized = F.interpolate(batch, size=tuple(size), mode="bilinear", antialias=True)
    if resized.dtype != torch.uint8:
        resized = resized.clamp_(0, 1)
    return resized.contiguous(memory_format=torch.channels_last)
