"""The data of a training: which images are held out, the order of the others, and batches on the device."""

import math

import numpy as np
import torch

from skreid._images.batches import to_device, to_unit
from skreid._network.device import free_memory
from skreid._training.parallel import own_share

RESIDENT_SHARE = 0.5  # images stay on a GPU if they take at most this share of its free memory


class TrainingData:
    """Images and labels by index, on the training device; all images are kept there if they fit."""

    def __init__(self, source, labels, device):
        self.source, self.device = source.cached(), device
        self.labels = torch.from_numpy(labels).to(device)
        self.resident = self._copy_all() if device.type == "cuda" else None

    def _copy_all(self):
        """Return all images in one tensor on the device, (n, 3, height, width); None if they need too much memory."""
        first = self.source.read([0])
        copies = self._copy_as(first.dtype, first.shape[1:])
        if copies is None and first.dtype == torch.uint8:  # perhaps because some are float: then all are
            copies = self._copy_as(torch.float32, first.shape[1:])
        return copies

    def _copy_as(self, dtype, shape):
        """Return all images as one type; None if this one does not hold them all, or they need too much memory."""
        size = (len(self.source), *shape)
        if math.prod(size) * dtype.itemsize > RESIDENT_SHARE * free_memory(self.device):
            return None
        copies, done = torch.empty(size, dtype=dtype, device=self.device, memory_format=torch.channels_last), 0
        for batch in self.source.batches(256):
            batch = to_unit(batch) if dtype == torch.float32 else batch
            if batch.dtype != dtype:
                return None
            copies[done : done + len(batch)] = to_device(batch, self.device)
            done += len(batch)
        return copies

    def batches(self, parts, shared=False):
        """Yield (images, labels) for each part of the indices; images are float in [0, 1].

        With `shared`, the images are this process's share of each part, and the labels are of the whole part.
        """
        parts = [part for part in parts if len(part)]
        own = [part[own_share(len(part))] for part in parts] if shared else parts
        if not parts:
            return
        if self.resident is None:
            stream = (to_device(images, self.device) for images in self.source.read_ahead(own))
        else:
            stream = (self.resident[places] for places in self.to_device(own))
        for places, images in zip(self.to_device(parts), stream, strict=True):
            yield to_unit(images), self.labels[places]

    def to_device(self, parts):
        """Return arrays as tensors on the device, copied in one go."""
        return to_device(torch.from_numpy(np.concatenate(parts)), self.device).split([len(part) for part in parts])


def hold_out(labels, fraction, random_state):
    """Choose validation images within identities: every identity keeps at least one image for training.

    Parameters
    ----------
    labels : ndarray of shape (n,), int
    fraction : float
        Share of the images to hold out, in [0, 1).
    random_state : int

    Returns
    -------
    train, validation : ndarray of int
        Sorted indices. `validation` is shorter than asked for, or empty, if identities have too few images.
    """
    rng = np.random.default_rng(random_state)
    order = rng.permutation(len(labels))
    by_identity = order[np.argsort(labels[order], kind="stable")]
    starts = np.flatnonzero(np.r_[True, np.diff(labels[by_identity]) > 0])
    sizes = np.diff(np.r_[starts, len(labels)])
    place = np.arange(len(labels)) - np.repeat(starts, sizes)  # 0, 1, ... within each identity
    share = place / np.repeat(sizes, sizes) + rng.random(len(labels)) / np.repeat(sizes, sizes)
    share[place == 0] = np.inf  # never held out
    wanted = min(round(fraction * len(labels)), len(labels) - len(starts))
    validation = np.sort(by_identity[np.argsort(share, kind="stable")[:wanted]])
    return np.setdiff1d(np.arange(len(labels)), validation), validation


def epoch_generator(random_state, epoch):
    """Return the generator for the order and augmentation of one epoch; it does not depend on earlier epochs."""
    seed = np.random.SeedSequence([random_state, epoch]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(seed >> np.uint64(1)))
