"""Learning to tell the training identities apart: images, labels and settings in, numpy weights and a history out.

One pure function, `train`: it reads and changes nothing global, so that a training can be repeated and cached.
"""

import time
import warnings
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from skreid._network.backbone import as_arrays
from skreid._network.seeding import may_draw, seeded
from skreid._training.augmentation import draw
from skreid._training.data import TrainingData, epoch_generator, hold_out
from skreid._training.graphs import Recorder, can_record, let_record, stream_for_recording
from skreid._training.heads import build_classifier
from skreid._training.parallel import check_alike, from_first, share_out
from skreid._training.steps import build_optimizer, evaluation_step, learning_rates, set_rates, training_step
from skreid._training.stopping import EarlyStopping


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

    AdamW minimises the mean cross-entropy, with smoothed labels, of the classifiers of `skreid._training.heads`, with
    the learning rates of `skreid._training.steps`. Training stops when accuracy has not risen and loss has not fallen
    for `n_iter_no_change` epochs, on the images held out or, without these, on the training images.
    `skreid._training.stopping` says which epoch is returned.

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
    with run.stream(), checkpoint.writing() if checkpoint else nullcontext():
        while not run.ended:
            record, finite = run.train_epoch()
            if not finite:
                _report_divergence(record["epoch"], settings)
                break
            run.keep(record, checkpoint)
            stop = on_epoch(record, run.model.network.weights)
            if from_first(partial(bool, stop)):  # asked for in this call only: the checkpoint does not hold it
                break
        return from_first(partial(run.result, checkpoint))


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
        self.recorded = can_record(self.model.network, device)
        self.data = TrainingData(source, labels, device)
        n_batches = max(1, -(-len(self.held_out) // settings.batch_size))
        self.validation = self.data.plan(np.array_split(self.held_out, n_batches), shared=True)
        self.optimizer = build_optimizer(self.model)
        self.stopping = EarlyStopping(settings.n_iter_no_change)
        self.history, self.finished = [], False
        self.step = partial(training_step, self.shared, self.optimizer, settings.augment)
        self.evaluation_step = partial(evaluation_step, self.shared)
        if self.recorded:
            recorder = Recorder()
            self.step, self.evaluation_step = map(recorder.recorded, (self.step, self.evaluation_step))
            let_record(self.optimizer, device)

    @property
    def ended(self):
        """Whether there is no further epoch to train."""
        return self.finished or len(self.history) >= self.settings.max_epochs

    @property
    def _stateful(self):
        names = ("model", "optimizer", "stopping")
        return {name: getattr(self, name) for name in names}

    def restore(self, checkpoint):
        """Resume from the state in a checkpoint, if it holds one."""
        saved = from_first(lambda: checkpoint.load("cpu"))
        if saved:
            try:
                self.history, self.finished = saved["history"], saved["finished"]
                saved["optimizer"]["param_groups"] = self.optimizer.state_dict()["param_groups"]  # recorded or not
                for name, part in self._stateful.items():
                    part.load_state_dict(saved[name])
            except (KeyError, RuntimeError, TypeError, ValueError) as error:
                raise ValueError(
                    f"The checkpoint in {checkpoint.folder} holds no state of this training: {error}."
                ) from error
        if not self.ended:
            checkpoint.check_writable()

    def stream(self):
        """Return the context in which to train."""
        return stream_for_recording(self.data.device) if self.recorded else nullcontext()

    def train_epoch(self):
        """Train and evaluate for one epoch; return its record, and whether its losses and all weights are finite."""
        epoch, started, settings = len(self.history), time.perf_counter(), self.settings
        generator = epoch_generator(settings.random_state, epoch)
        parts = np.array_split(self.kept[torch.randperm(len(self.kept), generator=generator).numpy()], self.n_steps)
        drawn = [draw(settings.augment, len(part), generator) for part in parts]
        steps = range(epoch * self.n_steps, (epoch + 1) * self.n_steps)
        rates = [learning_rates(settings, step, self.n_steps * settings.max_epochs) for step in steps]
        record = {"epoch": epoch, "learning_rate": rates[0][-1]}
        with seeded(generator.initial_seed(), self.data.device) if self.draws else nullcontext():
            batches = self.data.batches(self.data.plan(parts, drawn, shared=True))
            trained = train_one_epoch(self.shared, self.step, batches, self.optimizer, rates)
        evaluated = evaluate(self.shared, self.evaluation_step, self.data.batches(self.validation))
        tallies, finite = self._wait_for([*trained, *evaluated])
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
            from_first(lambda: checkpoint.save_later(record["epoch"], state, self.data.device))

    def result(self, checkpoint):
        """Return the weights of the best epoch and the history that marks it, once the checkpoint is written."""
        if checkpoint:
            checkpoint.finish()
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


def train_one_epoch(model, step, batches, optimizer, rates):
    """Take one step per batch, each with learning rates of its own; return the tally of each batch."""
    model.train()
    tallies = []
    for batch, rate in zip(batches, rates, strict=True):
        set_rates(optimizer, rate)
        tallies.append(step(*batch))
    return tallies


@torch.inference_mode()
def evaluate(model, step, batches):
    """Return the tally of each batch."""
    model.eval()
    return [step(*batch) for batch in batches]
