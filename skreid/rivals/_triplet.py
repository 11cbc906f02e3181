"""The improved triplet loss, and how the network of `TCPNet` is trained with it.

Pure functions, as in `skreid._training.loop`: images, labels and settings go in, numpy weights and a history come out.
"""

import math
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from skreid._network.backbone import as_arrays
from skreid._training.data import TrainingData, epoch_generator
from skreid._training.steps import GRADIENT_NORM
from skreid.rivals._part_network import build_network, crop


@dataclass(frozen=True)
class TripletSettings:
    """What the weights depend on besides images and identities; the fields are parameters of `TCPNet`."""

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

    .. warning::
       Experimental: may change without deprecation, like all of :mod:`skreid.rivals`.

    The loss of a triplet is ``max(d_ap - d_an, margin) + same_weight * max(d_ap, same_limit)``, where d_ap and d_an
    are the squared Euclidean distances from the anchor to the positive and to the negative. The first term is the
    usual triplet loss; the second pulls images of the same person together in absolute terms.

    Parameters
    ----------
    anchor, positive, negative : tensor of shape (n_triplets, n_features)
        Descriptors. `anchor` and `positive` show the same person, `negative` shows another.
    margin : float, default=-1.0
        The first term stops falling at this value of d_ap - d_an. It is negative: -1 asks for a negative that is
        further away by 1 than the positive.
    same_limit : float, default=0.01
        The second term stops falling at this value of d_ap.
    same_weight : float, default=0.002
        Weight of the second term.

    Returns
    -------
    loss : tensor of shape ()
        Mean over the triplets.

    References
    ----------
    D. Cheng, Y. Gong, S. Zhou, J. Wang, N. Zheng, "Person Re-Identification by Multi-Channel Parts-Based CNN
    with Improved Triplet Loss Function", CVPR 2016.

    Examples
    --------
    >>> import torch
    >>> from skreid.rivals import improved_triplet_loss
    >>> a, p, n = torch.tensor([[0.0]]), torch.tensor([[2.0]]), torch.tensor([[1.0]])
    >>> round(improved_triplet_loss(a, p, n).item(), 6)  # max(4 - 1, -1) + 0.002 max(4, 0.01)
    3.008
    """
    same = (anchor - positive).square().sum(dim=1)
    different = (anchor - negative).square().sum(dim=1)
    return ((same - different).clamp(min=margin) + same_weight * same.clamp(min=same_limit)).mean()


def draw_batches(labels, n_persons, n_triplets, rng):
    """Draw the triplets of one epoch: each identity with two or more images is the anchor in one batch.

    Parameters
    ----------
    labels : ndarray of shape (n,), int
        Identity codes, 0 to n_identities - 1.
    n_persons : int
        Identities per batch; the negatives of one identity are images of the others.
    n_triplets : int
        Triplets per identity.
    rng : numpy.random.Generator

    Yields
    ------
    images : ndarray of int
        Positions of the batch's images in `labels`, each once.
    triplets : ndarray of shape (n, 3), int
        Anchor, positive and negative, as positions in `images`.
    """
    members = np.split(np.argsort(labels, kind="stable"), np.cumsum(np.bincount(labels))[:-1])
    sizes = np.bincount(labels)
    paired = rng.permutation(np.flatnonzero(sizes > 1))
    for start in range(0, len(paired), n_persons):
        anchors = paired[start : start + n_persons]
        missing = min(n_persons, len(sizes)) - len(anchors)  # the last batch is filled up with others, for negatives
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


def train_triplets(source, labels, settings, *, device, on_epoch):
    """Train the network on triplets with Adam, whose learning rate falls along a cosine.

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
        One record per epoch, see `TCPNet`.

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
        images, triplets = zip(*drawn, strict=True)
        plan = data.plan(images, map(torch.from_numpy, triplets))
        for batch, _, rows in data.batches(plan):
            descriptors = network(crop(batch, settings.crop_size, generator))
            anchor, positive, negative = descriptors[rows].unbind(1)
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
                f"The training loss is not finite in epoch {epoch + 1}: lower learning_rate "
                f"(now {settings.learning_rate:g})."
            )
        history.append(record)
        on_epoch(record)
    return as_arrays(network.state_dict()), history
