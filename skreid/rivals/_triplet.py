"""The multi-channel part network, its improved triplet loss, and how it is trained: what `TCPNet` stands on.

Pure functions of images, labels and settings, as in `skreid._training.loop`: numpy weights and a history come out.
"""

import math
import time
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from skreid._training.loop import TrainingData, epoch_generator

GRADIENT_NORM = 5.0  # longer gradients are shortened to this
MEAN, STD = 0.5, 0.25  # of pixels in [0, 1], roughly


@dataclass(frozen=True)
class TripletSettings:
    """What decides the weights besides images and identities; the parameters of `TCPNet`."""

    crop_size: tuple
    n_channels: int
    stem_size: int
    stem_stride: int
    n_parts: int
    n_body: int
    n_part: int
    normalize: str | None
    margin: float
    same_limit: float
    same_weight: float
    n_persons: int
    n_triplets: int
    max_epochs: int
    learning_rate: float
    random_state: int


def improved_triplet_loss(anchor, positive, negative, *, margin=-1.0, same_limit=0.01, same_weight=0.002):
    """Return the mean improved triplet loss (Cheng et al., CVPR 2016).

    With squared Euclidean distances, of each triplet ``max(d_ap - d_an, margin) + same_weight * max(d_ap,
    same_limit)``: the usual triplet term, and one that keeps images of a person together in absolute terms.

    Parameters
    ----------
    anchor, positive, negative : tensor of shape (n_triplets, n_features)
        `anchor` and `positive` are of one person, `negative` is of another.
    margin : float, default=-1.0
        By how much a different person shall be further away, as a negative number.
    same_limit : float, default=0.01
        Squared distance of a person's images below which they are near enough.
    same_weight : float, default=0.002
        Weight of the second term.

    Returns
    -------
    loss : tensor of shape ()

    Examples
    --------
    >>> import torch
    >>> from skreid.rivals._triplet import improved_triplet_loss
    >>> a, p, n = torch.tensor([[0.0]]), torch.tensor([[2.0]]), torch.tensor([[1.0]])
    >>> round(improved_triplet_loss(a, p, n).item(), 6)  # max(4 - 1, -1) + 0.002 max(4, 0.01)
    3.008
    """
    same = (anchor - positive).square().sum(dim=1)
    different = (anchor - negative).square().sum(dim=1)
    return ((same - different).clamp(min=margin) + same_weight * same.clamp(min=same_limit)).mean()


class PartNetwork(nn.Module):
    """One convolution of the whole image, then a channel for the body and one for each part of the height.

    Parameters
    ----------
    settings : TripletSettings
    """

    def __init__(self, settings):
        super().__init__()
        n = settings.n_channels
        self.n_parts, self.normalize = settings.n_parts, settings.normalize
        self.stem = nn.Sequential(
            nn.Conv2d(3, n, settings.stem_size, settings.stem_stride, settings.stem_size // 2), nn.ReLU()
        )
        with torch.no_grad():
            shape = self.stem(torch.zeros(1, 3, *settings.crop_size)).shape[2:]
        pool = nn.MaxPool2d(3, ceil_mode=True)
        self.body = _channel([nn.Conv2d(n, n, 5, padding=2), nn.ReLU(), pool, nn.Conv2d(n, n, 3, padding=1),
                              nn.ReLU(), pool], n, shape, settings.n_body)  # fmt: skip
        strips = [len(rows) for rows in torch.arange(shape[0]).tensor_split(settings.n_parts)]
        self.parts = nn.ModuleList(
            _channel([nn.Conv2d(n, n, 3, padding=1), nn.ReLU(), nn.Conv2d(n, n, 3, padding=1), nn.ReLU()],
                     n, (height, shape[1]), settings.n_part)
            for height in strips
        )  # fmt: skip

    def forward(self, batch):
        """Turn RGB in [0, 1], (n, 3, *crop_size), into descriptors, (n, n_body + n_parts * n_part)."""
        maps = self.stem((batch - MEAN) / STD)  # (n, C, h, w)
        strips = maps.tensor_split(self.n_parts, dim=2)
        found = [self.body(maps), *(part(strip) for part, strip in zip(self.parts, strips, strict=True))]
        descriptors = torch.cat(found, dim=1)
        return F.normalize(descriptors) if self.normalize == "l2" else descriptors


def _channel(layers, n, shape, n_out):
    """Return convolutions and the fully connected layer that their output, for maps of a shape, needs."""
    convolutions = nn.Sequential(*layers)
    with torch.no_grad():
        n_in = convolutions(torch.zeros(1, n, *shape)).numel()
    return nn.Sequential(convolutions, nn.Flatten(), nn.Linear(n_in, n_out))


def build_network(settings):
    """Build the seeded network; torch's global state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.random_state)
        return PartNetwork(settings)


def draw_batches(labels, n_persons, n_triplets, rng):
    """Draw the triplets of one epoch: each person with two images or more is an anchor in one batch.

    Parameters
    ----------
    labels : ndarray of shape (n,), int
        Identity codes, 0 to n_identities - 1.
    n_persons : int
        Persons a batch; the negatives of one are the images of the others.
    n_triplets : int
        Triplets of each person.
    rng : numpy.random.Generator

    Yields
    ------
    images : ndarray of int
        Distinct places of the batch's images.
    triplets : ndarray of shape (n, 3), int
        Anchor, positive and negative, as places in `images`.
    """
    members = np.split(np.argsort(labels, kind="stable"), np.cumsum(np.bincount(labels))[:-1])
    sizes = np.bincount(labels)
    paired = rng.permutation(np.flatnonzero(sizes > 1))
    for start in range(0, len(paired), n_persons):
        anchors = paired[start : start + n_persons]
        missing = min(n_persons, len(sizes)) - len(anchors)  # others fill the last batch, as negatives
        others = rng.choice(np.setdiff1d(np.arange(len(sizes)), anchors), missing, replace=False)
        persons, rows = np.concatenate([anchors, others]), []
        for person in anchors:
            negatives = np.concatenate([members[other] for other in persons if other != person])
            anchor = rng.integers(sizes[person], size=n_triplets)
            positive = (anchor + rng.integers(1, sizes[person], size=n_triplets)) % sizes[person]
            rows.append(np.stack([members[person][anchor], members[person][positive],
                                  rng.choice(negatives, n_triplets)], axis=1))  # fmt: skip
        images, places = np.unique(np.concatenate(rows), return_inverse=True)
        yield images, places.reshape(-1, 3)


def crop(batch, size, generator=None):
    """Cut windows of a size out of images: random ones of a generator, or else the middle.

    Parameters
    ----------
    batch : tensor of shape (n, 3, height, width)
    size : tuple of int
        At most that of the images.
    generator : torch.Generator, optional

    Returns
    -------
    windows : tensor of shape (n, 3, *size)
    """
    room = [batch.shape[2] - size[0], batch.shape[3] - size[1]]
    if generator is None:
        top, left = room[0] // 2, room[1] // 2
        return batch[:, :, top : top + size[0], left : left + size[1]]
    tops, lefts = (torch.randint(side + 1, (len(batch), 1), generator=generator).to(batch.device) for side in room)
    rows = tops + torch.arange(size[0], device=batch.device)
    columns = lefts + torch.arange(size[1], device=batch.device)
    image = torch.arange(len(batch), device=batch.device)[:, None, None]
    return batch.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None]].permute(0, 3, 1, 2)


def train_triplets(source, labels, settings, *, device, on_epoch):
    """Train the network on triplets; Adam, its rate falling along a cosine.

    Parameters
    ----------
    source : ImageSource
    labels : ndarray of shape (n,), int
        Identity codes.
    settings : TripletSettings
    device : torch.device
    on_epoch : callable
        Called with the record of each epoch.

    Returns
    -------
    weights : dict of str to ndarray
    history : list of dict
        One record an epoch: epoch, learning_rate, train_loss, violated (share of triplets short of the
        margin), seconds.

    Raises
    ------
    FloatingPointError
        If the loss is not finite.
    """
    network = build_network(settings).to(device)
    n_steps = -(-int((np.bincount(labels) > 1).sum()) // settings.n_persons) * settings.max_epochs
    optimizer = torch.optim.Adam(network.parameters(), settings.learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: 0.5 * (1 + math.cos(math.pi * step / max(1, n_steps)))
    )
    limits = {name: getattr(settings, name) for name in ("margin", "same_limit", "same_weight")}
    data, history = TrainingData(source, labels, device), []
    for epoch in range(settings.max_epochs):
        started, generator, totals = time.perf_counter(), epoch_generator(settings.random_state, epoch), []
        rng = np.random.default_rng([settings.random_state, epoch])
        record = {"epoch": epoch, "learning_rate": optimizer.param_groups[0]["lr"]}
        drawn = list(draw_batches(labels, settings.n_persons, settings.n_triplets, rng))
        batches = data.batches([images for images, _ in drawn])
        for (images, _), (_, triplets) in zip(batches, drawn, strict=True):
            found = network(crop(images, settings.crop_size, generator))
            anchor, positive, negative = found[torch.from_numpy(triplets).to(device)].unbind(1)
            loss = improved_triplet_loss(anchor, positive, negative, **limits)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), GRADIENT_NORM)
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                gap = (anchor - positive).square().sum(1) - (anchor - negative).square().sum(1)
                totals.append(torch.stack([loss.detach(), (gap > settings.margin).float().mean()]))
        record["train_loss"], record["violated"] = torch.stack(totals).mean(dim=0).tolist()
        record["seconds"] = time.perf_counter() - started
        if not math.isfinite(record["train_loss"]):
            raise FloatingPointError(
                f"The training loss is not finite in epoch {epoch}: lower learning_rate "
                f"(now {settings.learning_rate:g})."
            )
        history.append(record)
        on_epoch(record)
    return {name: np.array(tensor.numpy(force=True)) for name, tensor in network.state_dict().items()}, history
