"""Learning to tell the training identities apart: images, labels and settings in, numpy weights and a history out.

One pure function, `train`: it reads and changes nothing global, so that a training can be repeated and cached.
"""

import math
import time
import warnings
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import nn

from skreid._network.backbone import as_arrays
from skreid._network.seeding import may_draw, seeded
from skreid._training.augmentation import augment
from skreid._training.data import TrainingData, epoch_generator, hold_out
from skreid._training.heads import build_classifier, identity_loss, predicted
from skreid._training.parallel import check_alike, from_first, share_out
from skreid._training.stopping import EarlyStopping

WARMUP = 0.1  # share of the planned steps over which the learning rate rises
PRETRAINED_RATE = 0.1  # pretrained layers learn at this share of the head's rate
WEIGHT_DECAY = 5e-4
GRADIENT_NORM = 5.0  # longer gradients are shortened to this


@dataclass(frozen=True)
class TrainingSettings:
    """What the weights depend on besides images and identities: parameters of `MultiDepthReID`.

    `initial` holds pretrained weights (name -> ndarray) or None. `mean` and `std` are the normalisation of RGB in
    [0, 1] that belongs to them. `random_state` seeds weights, validation images, order and augmentation. `precision`
    is "float32" or "bfloat16".
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

    AdamW minimises the mean cross-entropy, with smoothed labels, of the classifiers of `skreid._training.heads`. The
    learning rate rises over the first steps and falls along a cosine; pretrained layers learn at a tenth of the
    classifiers' rate. Training stops when the validation accuracy has not risen and the validation loss has not
    fallen for `n_iter_no_change` epochs, and returns the epoch of the best accuracy, then the lowest loss. Without
    validation images the training figures decide.

    Parameters
    ----------
    source : ImageSource
    labels : ndarray of shape (n,), int
        Identity codes, 0 to n_identities - 1.
    settings : TrainingSettings
    device : torch.device
    on_epoch : callable
        ``on_epoch(record, weights)`` is called after each epoch; `weights` is a function that returns the current
        weights. A true result stops the training.
    checkpoint : Checkpoint, optional
        Keeps the state after each epoch; training resumes from the state that it holds.

    Returns
    -------
    weights : dict of str to ndarray
    history : list of dict
        One record per epoch: epoch, train_loss, train_accuracy, validation_loss, validation_accuracy (NaN
        without validation images), learning_rate, seconds, best (whether the weights are those of this epoch).

    Raises
    ------
    FloatingPointError
        If a loss or weight is not finite in the first epoch; in a later one, training ends with the best epoch so far.
    """
    _check_same_in_all_processes(source, labels, settings)
    run = _Run(source, labels, settings, device)
    if checkpoint:
        run.restore(checkpoint)
    while not run.ended:
        record, finite = run.train_epoch()
        if not finite:
            _report_divergence(record["epoch"], settings)
            break
        run.keep(record, checkpoint)
        stop = on_epoch(record, run.model.network.weights)
        if from_first(partial(bool, stop)):  # asked for in this call only: the checkpoint does not hold it
            break
    return from_first(run.result)


def _check_same_in_all_processes(source, labels, settings):
    plain = repr(replace(settings, backbone=None, initial=None))
    check_alike(images=(len(source), source.size), identities=labels.tolist(), parameters=plain)


class _Run:
    """A training in progress: what it works on, and what a checkpoint holds because it changes with every epoch."""

    def __init__(self, source, labels, settings, device):
        self.settings = settings
        self.kept, self.held_out = hold_out(labels, settings.validation_fraction, settings.random_state)
        self.n_steps = max(1, min(-(-len(self.kept) // settings.batch_size), len(self.kept) // 2))  # 2 images or more
        self.model = build_classifier(source.size, int(labels.max()) + 1, settings)
        self.model.to(device, memory_format=torch.channels_last)
        self.shared = share_out(self.model)
        self.draws = may_draw(self.model.network)
        self.data = TrainingData(source, labels, device)
        self.optimizer, self.schedule = build_optimizer(self.model, settings, self.n_steps * settings.max_epochs)
        self.stopping = EarlyStopping(settings.n_iter_no_change)
        self.history, self.finished = [], False

    @property
    def ended(self):
        """Whether there is no further epoch to train."""
        return self.finished or len(self.history) >= self.settings.max_epochs

    @property
    def _stateful(self):
        names = ("model", "optimizer", "schedule", "stopping")
        return {name: getattr(self, name) for name in names}

    def restore(self, checkpoint):
        """Resume from the state in a checkpoint, if it holds one."""
        saved = from_first(lambda: checkpoint.load("cpu"))
        if saved:
            try:
                self.history, self.finished = saved["history"], saved["finished"]
                for name, part in self._stateful.items():
                    part.load_state_dict(saved[name])
            except (KeyError, RuntimeError, TypeError, ValueError) as error:
                raise ValueError(
                    f"The checkpoint in {checkpoint.folder} holds no state of this training: {error}."
                ) from error
        if not self.ended:
            checkpoint.check_writable()

    def train_epoch(self):
        """Train and evaluate for one epoch; return its record, and whether its losses and all weights are finite."""
        epoch, started = len(self.history), time.perf_counter()
        generator = epoch_generator(self.settings.random_state, epoch)
        order = self.kept[torch.randperm(len(self.kept), generator=generator).numpy()]
        record = {"epoch": epoch, "learning_rate": self.optimizer.param_groups[-1]["lr"]}
        with seeded(generator.initial_seed(), self.data.device) if self.draws else nullcontext():
            batches = self.data.batches(np.array_split(order, self.n_steps), shared=True)
            trained = train_one_epoch(
                self.shared, batches, self.optimizer, self.schedule, self.settings.augment, generator
            )
        n_batches = max(1, -(-len(self.held_out) // self.settings.batch_size))
        batches = self.data.batches(np.array_split(self.held_out, n_batches), shared=True)
        tallies, finite = self._wait_for([*trained, *evaluate(self.shared, batches)])
        for kind, part in ("train", tallies[: len(self.kept)]), ("validation", tallies[len(self.kept) :]):
            record[f"{kind}_loss"], record[f"{kind}_accuracy"] = part.mean(dim=0).tolist()  # NaN without images
        record["seconds"] = time.perf_counter() - started
        return from_first(lambda: (record, finite))  # they decide what comes next

    def _wait_for(self, tallies):
        """Return the tallies of an epoch on the CPU, (n, 2), and whether they and all weights are finite.

        The host waits for the device here and nowhere else in an epoch.
        """
        state = self.model.network.state_dict().values()
        finite = torch.stack([torch.isfinite(part).all() for part in state]).all()
        tallies = torch.cat([*tallies, finite.float().expand(1, 2)]).cpu().double()
        return tallies[:-1], bool(tallies.isfinite().all() and tallies[-1].all())

    def keep(self, record, checkpoint):
        """Add an epoch to the history and, if there is one, to the checkpoint."""
        self.history.append(record)
        self.stopping.update(record, self.model.network)
        self.finished = self.stopping.done
        if checkpoint:
            state = {name: part.state_dict() for name, part in self._stateful.items()}
            state |= {"history": self.history, "finished": self.finished}
            from_first(lambda: checkpoint.save(record["epoch"], state))

    def result(self):
        """Return the weights of the best epoch and the history that marks it."""
        if not self.history:  # no epoch was asked for
            return self.model.network.weights(), self.history
        for record in self.history:
            record["best"] = record["epoch"] == self.stopping.epoch
        return as_arrays(self.stopping.weights), self.history


def _report_divergence(epoch, settings):
    """Raise an error in the first epoch; later warn, since there are epochs to return."""
    advice = (
        f"The loss or the weights are not finite in epoch {epoch + 1}: lower learning_rate (now "
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
    optimizer = torch.optim.AdamW(groups, weight_decay=WEIGHT_DECAY, fused=True)
    warmup = max(1, round(WARMUP * n_steps))

    def share(step):
        rising = (step + 1) / warmup
        return min(rising, 0.5 * (1 + math.cos(math.pi * max(0, step - warmup) / max(1, n_steps - warmup))))

    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, share)


def train_one_epoch(model, batches, optimizer, schedule, augmentations, generator):
    """Take one step per batch; return the tally of each batch of augmented images."""
    model.train()
    tallies = []
    for images, labels in batches:
        logits = model(augment(images, augmentations, generator, len(labels)), len(labels))
        loss = identity_loss(logits, labels)
        optimizer.zero_grad()
        loss.mean().backward()
        _shorten_gradients(model)
        optimizer.step()
        schedule.step()
        tallies.append(_tally(loss.detach(), logits.detach(), labels))
    return tallies


def _shorten_gradients(model):
    """Scale all gradients by one factor so that their norm is at most GRADIENT_NORM."""
    parameters = [parameter for parameter in model.parameters() if parameter.grad is not None]
    norm = nn.utils.get_total_norm([parameter.grad for parameter in parameters])
    if norm.device.type != "cpu" or not norm <= GRADIENT_NORM:  # a GPU would be waited for
        nn.utils.clip_grads_with_norm_(parameters, GRADIENT_NORM, norm)


@torch.inference_mode()
def evaluate(model, batches):
    """Return the tally of each batch, for the cross-entropy without smoothing."""
    model.eval()
    tallies = []
    for images, labels in batches:
        logits = model(images, len(labels))
        tallies.append(_tally(identity_loss(logits, labels, smoothing=0.0), logits, labels))
    return tallies


def _tally(loss, logits, labels):
    """Return the loss of each image and whether it was recognised, (n, 2), on their device: nothing waits for them."""
    return torch.stack([loss, predicted(logits) == labels], dim=1)
