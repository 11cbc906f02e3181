"""The data of a training: which images are held out, the order of the others, and batches on the device."""

import math
from typing import NamedTuple

import numpy as np
import torch

from skreid._images.batches import to_device, to_unit
from skreid._network.device import free_memory
from skreid._training.parallel import own_share

RESIDENT_SHARE = 0.5  # images stay on a GPU if they take at most this share of its free memory


class Plan(NamedTuple):
    """What the batches of an epoch are made of.

    Attributes
    ----------
    parts : list of ndarray of int
        Indices of the images of each batch.
    sent : list of tuple of tensor
        For each batch, on the device: the same indices, the labels, and whatever else was sent along.
    """

    parts: list
    sent: list


class TrainingData:
    """Images and labels by index, for training on a device; all images are kept there if they fit.

    Parameters
    ----------
    source : ImageSource
    labels : ndarray of shape (n,), int
    device : torch.device
    """

    def __init__(self, source, labels, device):
        self.source, self.device, self.labels = source.cached(), device, torch.from_numpy(labels)
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

    def plan(self, parts, *others, shared=False):
        """Send all that an epoch needs, except images, to the device in one copy.

        Parameters
        ----------
        parts : sequence of ndarray of int
            Indices of the images of each batch; an empty part is left out.
        *others : sequences of tensor
            More tensors for each part, int64 or float32, such as the values drawn for it.
        shared : bool, default=False
            Whether the images of a batch are this process's share of the part. Labels are always of the whole part.

        Returns
        -------
        plan : Plan
            For `batches`, in as many epochs as it fits.
        """
        rows = [(torch.from_numpy(part), *other) for part, *other in zip(parts, *others, strict=True) if len(part)]
        rows = [(part[own_share(len(part))] if shared else part, self.labels[part], *other) for part, *other in rows]
        sent = iter(send_together([tensor for row in rows for tensor in row], self.device))
        return Plan([row[0].numpy() for row in rows], [tuple(next(sent) for _ in row) for row in rows])

    def batches(self, plan):
        """Yield (images, labels, *others) for each batch of a plan; images are float in [0, 1]."""
        if not plan.parts:
            return
        if self.resident is None:
            stream = (to_device(images, self.device) for images in self.source.read_ahead(plan.parts))
        else:
            stream = (self.resident[places] for places, *_ in plan.sent)
        for images, (_, *others) in zip(stream, plan.sent, strict=True):
            yield to_unit(images), *others


def send_together(tensors, device):
    """Return tensors of int64 (below 2**31) and of float32 on a device, sent in one copy of four-byte values."""
    if device.type == "cpu" or not tensors:
        return tensors
    whole = [tensor for tensor in tensors if not tensor.is_floating_point()]
    real = [tensor for tensor in tensors if tensor.is_floating_point()]
    flat = [*(tensor.flatten().int() for tensor in whole), *(tensor.flatten().view(torch.int32) for tensor in real)]
    sizes = [[tensor.numel() for tensor in kind] for kind in (whole, real)]
    sent = to_device(torch.cat(flat), device).split([sum(each) for each in sizes])
    whole, real = iter(sent[0].long().split(sizes[0])), iter(sent[1].view(torch.float32).split(sizes[1]))
    return [next(real if tensor.is_floating_point() else whole).view(tensor.shape) for tensor in tensors]


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
