"""The data of a training: which images are held out, the order of the others, and batches on the device."""

import numpy as np
import torch

from skreid._images.batches import join, to_device, to_unit
from skreid._training.parallel import own_share

RESIDENT_SHARE = 0.5  # images stay on a GPU if they take at most this share of its free memory


class TrainingData:
    """Images and labels by index, on the training device; all images are kept there if they fit."""

    def __init__(self, source, labels, device):
        self.source, self.device = source.cached(), device
        self.labels = torch.from_numpy(labels).to(device)
        self.resident = None
        if device.type == "cuda":
            first = self.source.read([0])
            free = torch.cuda.mem_get_info(device)[0]
            if first.numel() * first.element_size() * len(source) < RESIDENT_SHARE * free:
                self.resident = join(batch.to(device) for batch in self.source.batches(256))

    def batches(self, parts, shared=False):
        """Yield (images, labels) for each part of the indices; images are float in [0, 1].

        With `shared`, the images are this process's share of each part, and the labels are of the whole part.
        """
        parts = [part for part in parts if len(part)]
        own = [part[own_share(len(part))] for part in parts] if shared else parts
        if self.resident is None:
            stream = self.source.read_ahead(own) if own else ()
        else:
            stream = (self.resident[places] for places in self._on_device(own))
        for places, images in zip(self._on_device(parts), stream, strict=True):
            yield to_unit(to_device(images, self.device) if self.resident is None else images), self.labels[places]

    def _on_device(self, parts):
        """Return indices as tensors, sent in one go, so that the host never waits within an epoch."""
        sizes = [len(part) for part in parts]
        return torch.from_numpy(np.concatenate(parts)).to(self.device).split(sizes) if parts else ()


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
