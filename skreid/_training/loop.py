"""Learning to tell the training identities apart: images, labels and settings in, numpy weights and a history out.

One pure function, `train`: nothing global is read or changed, so that a run can be repeated and cached.
"""

import math
import time
import warnings
from contextlib import nullcontext
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from skreid._images.batches import join, to_device, to_unit
from skreid._network.seeding import may_draw, seeded
from skreid._training.augmentation import augment
from skreid._training.heads import build_classifier, identity_loss, predicted
from skreid._training.parallel import check_alike, from_first, own_share, share_out

WARMUP = 0.1  # share of the planned steps over which the learning rate rises
PRETRAINED_RATE = 0.1  # pretrained layers learn at this share of the head's rate
WEIGHT_DECAY = 5e-4
GRADIENT_NORM = 5.0  # longer gradients are shortened to this
RESIDENT_SHARE = 0.5  # of a GPU's free memory, at most, goes to keeping images on it


@dataclass(frozen=True)
class TrainingSettings:
    """What decides the weights besides images and identities; the parameters of `MultiDepthReID`.

    `initial` holds pretrained weights (name -> ndarray) or None, `mean` and `std` the normalisation of RGB in
    [0, 1] that belongs to them; `random_state` seeds weights, validation images, order and augmentation;
    `precision` is "float32" or "bfloat16".
    """

    backbone: object
    initial: dict | None
    mean: tuple
    std: tuple
    max_epochs: int
    batch_size: int
    learning_rate: float
    validation_fraction: float
    n_iter_no_change: int
    augment: tuple
    random_state: int
    precision: str = "float32"


def train(source, labels, settings, *, device, on_epoch, checkpoint=None):
    """Train a backbone to tell identities apart, stopping early, and return its best epoch.

    AdamW on the mean cross-entropy, with smoothed labels, of the classifiers of `skreid._training.heads`; the rate
    rises over the first steps and falls along a cosine; pretrained layers learn at a tenth of the classifiers' rate.
    Training stops when for `n_iter_no_change` epochs neither the validation accuracy rose nor the validation loss
    fell; the epoch of the best accuracy, then the lowest loss, is restored. Without validation images the training
    figures decide.

    Parameters
    ----------
    source : ImageSource
    labels : ndarray of shape (n,), int
        Identity codes, 0 to n_identities - 1.
    settings : TrainingSettings
    device : torch.device
    on_epoch : callable
        ``on_epoch(record, weights)`` after each epoch, `weights` being a function that returns the current
        ones; a true result stops the training.
    checkpoint : Checkpoint, optional
        Keeps the state after each epoch; training goes on from what it holds.

    Returns
    -------
    weights : dict of str to ndarray
    history : list of dict
        One record an epoch: epoch, train_loss, train_accuracy, validation_loss, validation_accuracy (NaN
        without validation images), learning_rate, seconds, best (whether this epoch was restored).

    Raises
    ------
    FloatingPointError
        If a loss or weight is not finite in the first epoch; later it ends the training at the best epoch so far.
    """
    plain = repr(replace(settings, backbone=None, initial=None))
    check_alike(images=(len(source), source.size), identities=labels.tolist(), parameters=plain)
    model = build_classifier(source.size, int(labels.max()) + 1, settings)
    model.to(device, memory_format=torch.channels_last)
    shared = share_out(model)
    kept, held_out = hold_out(labels, settings.validation_fraction, settings.random_state)
    n_steps = max(1, min(-(-len(kept) // settings.batch_size), len(kept) // 2))  # no batch of one image
    optimizer, schedule = build_optimizer(model, settings, n_steps * settings.max_epochs)
    data = TrainingData(source, labels, device)
    history, stopping, finished = [], EarlyStopping(settings.n_iter_no_change), False
    draws = may_draw(model.network)
    stateful = {"model": model, "optimizer": optimizer, "schedule": schedule, "stopping": stopping}
    saved = from_first(lambda: checkpoint.load("cpu")) if checkpoint else None
    if saved:
        try:
            history, finished = saved["history"], saved["finished"]
            for name, part in stateful.items():
                part.load_state_dict(saved[name])
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise ValueError(
                f"The checkpoint in {checkpoint.folder} holds no state of this training: {error}."
            ) from error
    if checkpoint and len(history) < settings.max_epochs and not finished:
        checkpoint.check_writable()
    while len(history) < settings.max_epochs and not finished:
        epoch, started = len(history), time.perf_counter()
        generator = epoch_generator(settings.random_state, epoch)
        order = kept[torch.randperm(len(kept), generator=generator).numpy()]
        record = {"epoch": epoch, "learning_rate": optimizer.param_groups[-1]["lr"]}
        with seeded(generator.initial_seed(), device) if draws else nullcontext():
            batches = data.batches(np.array_split(order, n_steps), True)
            record["train_loss"], record["train_accuracy"] = train_one_epoch(
                shared, batches, optimizer, schedule, settings.augment, generator
            )
        record["validation_loss"], record["validation_accuracy"] = evaluate(
            shared, data.batches(np.array_split(held_out, -(-len(held_out) // settings.batch_size) or 1), True)
        )
        record["seconds"] = time.perf_counter() - started
        record = from_first(lambda record=record: record)  # it decides what comes next
        losses = record["train_loss"], *([record["validation_loss"]] if len(held_out) else [])
        if not all(map(math.isfinite, losses)) or not _is_finite(model.network):
            _diverged(epoch, settings)
            break
        history.append(record)
        stopping.update(record, model.network)
        finished = stopping.done
        if checkpoint:
            states = {name: part.state_dict() for name, part in stateful.items()}
            states |= {"history": history, "finished": finished}
            from_first(lambda epoch=epoch, states=states: checkpoint.save(epoch, states))
        stop = on_epoch(record, model.network.weights)
        if from_first(lambda stop=stop: bool(stop)):  # asked for this time only: the checkpoint does not know
            break
    if not history:  # no training asked for
        return from_first(lambda: (model.network.weights(), history))
    for record in history:
        record["best"] = record["epoch"] == stopping.epoch
    return from_first(lambda: (stopping.weights, history))


def _is_finite(network):
    """Whether no weight is NaN or infinite."""
    return all(bool(torch.isfinite(tensor).all()) for tensor in network.state_dict().values())


def _diverged(epoch, settings):
    """Say that training left the numbers: an error at once, a warning when there are epochs to return."""
    advice = (
        f"The loss or the weights are not finite in epoch {epoch}: lower learning_rate (now "
        f"{settings.learning_rate:g})."
    )
    if epoch == 0:
        raise FloatingPointError(advice)
    warnings.warn(f"{advice} The best epoch before it is kept.", stacklevel=3)


def build_optimizer(model, settings, n_steps):
    """Return AdamW and its schedule: a linear warm-up, then a cosine down to zero over `n_steps`."""
    rate = settings.learning_rate
    backbone_rate = rate if settings.initial is None else rate * PRETRAINED_RATE
    parts = (model.network, backbone_rate), (model.heads, rate)
    groups = [{"params": part.parameters(), "lr": part_rate} for part, part_rate in parts]
    optimizer = torch.optim.AdamW(groups, weight_decay=WEIGHT_DECAY)
    warmup = max(1, round(WARMUP * n_steps))

    def share(step):
        rising = (step + 1) / warmup
        return min(rising, 0.5 * (1 + math.cos(math.pi * max(0, step - warmup) / max(1, n_steps - warmup))))

    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, share)


def train_one_epoch(model, batches, optimizer, schedule, augmentations, generator):
    """Take one step a batch; return the mean loss and the accuracy over the (augmented) images."""
    model.train()
    totals = 0.0
    for images, labels in batches:
        logits = model(augment(images, augmentations, generator, len(labels)), len(labels))
        loss = identity_loss(logits, labels)
        optimizer.zero_grad()
        loss.mean().backward()
        nn.utils.clip_grad_norm_(model.parameters(), GRADIENT_NORM)
        optimizer.step()
        schedule.step()
        totals = totals + _tally(loss.detach(), logits.detach(), labels)
    return _means(totals)


@torch.inference_mode()
def evaluate(model, batches):
    """Return the mean cross-entropy and the accuracy over some images; NaN if there are none."""
    model.eval()
    totals = 0.0
    for images, labels in batches:
        logits = model(images, len(labels))
        totals = totals + _tally(identity_loss(logits, labels, smoothing=0.0), logits, labels)
    return _means(totals)


def _tally(loss, logits, labels):
    """Return loss, hits and count of a batch on its own device: nothing waits for the numbers."""
    hits = predicted(logits) == labels
    return torch.stack([loss.double(), hits.double(), torch.ones_like(loss, dtype=torch.double)], dim=1).sum(dim=0)


def _means(totals):
    if isinstance(totals, float):
        return math.nan, math.nan
    loss, hits, count = totals.tolist()
    return loss / count, hits / count


def epoch_generator(random_state, epoch):
    """Return the generator behind the order and augmentation of one epoch, whatever came before it."""
    seed = np.random.SeedSequence([random_state, epoch]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(seed >> np.uint64(1)))


class TrainingData:
    """Images and labels, handed out by index on the training device; kept there whole if they fit."""

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

        With `shared`, images are this process's share of each part.
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
        """Return indices as tensors, sent in one go: within an epoch the host waits for nothing."""
        sizes = [len(part) for part in parts]
        return torch.from_numpy(np.concatenate(parts)).to(self.device).split(sizes) if parts else ()


class EarlyStopping:
    """Watches the validation figures (the training ones without them) and keeps the best epoch's weights."""

    def __init__(self, patience):
        self.patience, self.stalled = patience, 0
        self.accuracy, self.loss = -math.inf, math.inf
        self.best, self.epoch, self.weights = (-math.inf, -math.inf), None, None

    @property
    def done(self):
        """Whether for `patience` epochs neither accuracy rose nor loss fell."""
        return self.stalled >= self.patience

    def state_dict(self):
        """Return the state as tensors and plain values."""
        weights = {name: torch.from_numpy(value) for name, value in (self.weights or {}).items()}
        return vars(self) | {"weights": weights}

    def load_state_dict(self, state):
        """Take over a state that `state_dict` gave."""
        weights = {name: tensor.numpy(force=True) for name, tensor in state["weights"].items()}
        vars(self).update(state | {"weights": weights})

    def update(self, record, network):
        """Take in the record of an epoch and, if it is the best so far, the network's weights."""
        kind = "train" if math.isnan(record["validation_loss"]) else "validation"
        accuracy, loss = record[f"{kind}_accuracy"], record[f"{kind}_loss"]
        self.stalled = 0 if accuracy > self.accuracy or loss < self.loss else self.stalled + 1
        self.accuracy, self.loss = max(self.accuracy, accuracy), min(self.loss, loss)
        if (accuracy, -loss) > self.best:
            self.best, self.epoch, self.weights = (accuracy, -loss), record["epoch"], network.weights()


def hold_out(labels, fraction, random_state):
    """Choose validation images within identities: every identity keeps one image or more for training.

    Parameters
    ----------
    labels : ndarray of shape (n,), int
    fraction : float
        Share of the images to hold out, in [0, 1).
    random_state : int

    Returns
    -------
    train, validation : ndarray of int
        Sorted indices; `validation` is shorter than asked, or empty, where identities have too few images.
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
