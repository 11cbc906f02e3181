"""Held-out images, early stopping, augmentation and the training loop do what their documentation says."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks import narrow
from torch import nn

from skreid._images.source import ImageSource
from skreid._training import loop, steps
from skreid._training.augmentation import AUGMENTATIONS, augment, draw
from skreid._training.data import hold_out
from skreid._training.heads import build_classifier
from skreid._training.loop import TrainingSettings, train
from skreid._training.steps import GRADIENT_NORM, build_optimizer, learning_rates, set_rates
from skreid._training.stopping import EarlyStopping


def settings(**changed):
    base = {
        "backbone": narrow,
        "initial": None,
        "mean": (0.5, 0.5, 0.5),
        "std": (0.2, 0.2, 0.2),
        "max_epochs": 3,
        "batch_size": 8,
        "learning_rate": 1e-2,
        "validation_fraction": 0.2,
        "n_iter_no_change": 10,
        "augment": AUGMENTATIONS,
        "random_state": 0,
    }
    return TrainingSettings(**(base | changed))


def run(people, on_epoch=lambda record, weights: False, **changed):
    labels = np.unique(people.target, return_inverse=True)[1].astype(np.int64)
    source = ImageSource(people.images)
    return train(source, labels, settings(**changed), device=torch.device("cpu"), on_epoch=on_epoch)


@given(st.lists(st.integers(1, 9), min_size=2, max_size=30), st.floats(0, 0.99), st.integers(0, 3))
def test_every_identity_keeps_an_image_to_train_on(sizes, fraction, seed):
    """Training and held-out images partition all images, as close to the fraction as the identities allow."""
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    train_part, validation = hold_out(labels, fraction, seed)
    np.testing.assert_array_equal(np.sort(np.r_[train_part, validation]), np.arange(len(labels)))
    assert set(labels[train_part]) == set(labels)
    assert len(validation) == min(round(fraction * len(labels)), len(labels) - len(sizes))


def test_held_out_images_are_spread_over_identities():
    """No identity loses a second image before every other has lost one."""
    labels = np.repeat(np.arange(10), 4)
    counts = np.bincount(labels[hold_out(labels, 0.4, 0)[1]], minlength=10)
    assert counts.min() >= 1
    assert counts.max() <= 2


def figures(accuracy, loss):
    return {"validation_accuracy": accuracy, "validation_loss": loss, "epoch": 0}


class Weights:
    """A network whose weights are the number of the epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def snapshot(self):
        return self.epoch


def test_training_stops_when_accuracy_no_longer_rises_and_loss_no_longer_falls():
    """Progress in either continues it; the best accuracy, then the lowest loss, is kept (worked out by hand)."""
    curve = [(0.1, 3.0), (0.5, 2.0), (0.5, 1.9), (0.4, 1.8), (0.5, 1.85), (0.4, 1.9)]
    stopping, done = EarlyStopping(2), []
    for epoch, (accuracy, loss) in enumerate(curve):
        stopping.update(figures(accuracy, loss) | {"epoch": epoch}, Weights(epoch))
        done.append(stopping.done)
    assert done == [False, False, False, False, False, True]
    assert stopping.epoch == stopping.weights == 4  # 0.5 at the lowest loss


def test_the_best_weights_stay_those_of_their_epoch_while_training_goes_on():
    """They are a copy: steps change the network's own in place."""
    network, stopping = build_classifier((32, 16), 4, settings()).network, EarlyStopping(2)
    stopping.update(figures(0.5, 1.0), network)
    before = network.weights()
    for weight in network.parameters():
        weight.data.add_(1)
    assert all(np.array_equal(stopping.weights[name], before[name]) for name in before)


def test_without_validation_images_the_training_loss_decides():
    """Accuracy, which soon is 1, only keeps training going."""
    stopping, done = EarlyStopping(1), []
    for epoch, (accuracy, loss) in enumerate([(0.5, 2.0), (1.0, 1.2), (0.9, 1.0), (1.0, 1.5)]):
        record = figures(math.nan, math.nan) | {"epoch": epoch, "train_accuracy": accuracy, "train_loss": loss}
        stopping.update(record, Weights(epoch))
        done.append(stopping.done)
    assert done == [False, False, False, True]
    assert stopping.epoch == stopping.weights == 2  # not 1, whose accuracy is higher


def test_training_is_repeatable_and_leaves_global_generators_alone(people):
    """Equal seeds give equal weights bit for bit, another seed does not; global generators do not advance."""
    states = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    (one, _), (same, _), (other, _) = (run(people, random_state=seed) for seed in (0, 0, 1))
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert any(not np.array_equal(one[name], other[name]) for name in one)
    assert torch.equal(states[0], torch.random.get_rng_state())
    np.testing.assert_array_equal(states[1], np.random.get_state()[1])  # noqa: NPY002


def test_training_tells_eight_people_apart(people):
    """After a few epochs without augmentation, most training images are classified correctly."""
    _, history = run(people, max_epochs=60, augment=(), validation_fraction=0)
    assert history[-1]["train_accuracy"] > 0.9
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    assert math.isnan(history[0]["validation_loss"])


def test_history_has_one_record_per_epoch_and_marks_the_epoch_returned(people):
    """The weights returned are those at the end of the epoch marked as best."""
    seen = []
    weights, history = run(people, on_epoch=lambda record, now: seen.append(now()), max_epochs=4)
    assert [record["epoch"] for record in history] == [0, 1, 2, 3]
    (best,) = (record["epoch"] for record in history if record["best"])
    assert all(np.array_equal(weights[name], seen[best][name]) for name in weights)
    key = [(r["validation_accuracy"], -r["validation_loss"]) for r in history]
    assert best == key.index(max(key))


def test_a_true_result_of_on_epoch_stops_training(people):
    """Two of five epochs are trained."""
    assert len(run(people, on_epoch=lambda record, weights: record["epoch"] == 1, max_epochs=5)[1]) == 2


def test_zero_epochs_return_the_initial_weights(people):
    """The history is empty."""
    weights, history = run(people, max_epochs=0)
    start = build_classifier((32, 16), 8, settings()).network.weights()
    assert history == []
    assert all(np.array_equal(weights[name], start[name]) for name in start)


def test_divergence_in_the_first_epoch_is_an_error_that_advises_a_lower_rate(people):
    """The loss is not finite."""
    with pytest.raises(FloatingPointError, match="lower learning_rate"):
        run(people, learning_rate=1e30)


def test_the_rate_warms_up_and_falls_along_a_cosine():
    """Worked out by hand for twenty steps; pretrained layers get three tenths."""
    chosen = settings(learning_rate=1.0, initial={})
    rates = [learning_rates(chosen, step, 20) for step in range(20)]
    expected = [0.5, 1.0, 1.0, *(0.5 * (1 + math.cos(math.pi * step / 18)) for step in range(1, 18))]
    np.testing.assert_allclose([rate[1] for rate in rates], expected, rtol=1e-12)
    np.testing.assert_allclose([rate[0] for rate in rates], np.array(expected) * 0.3, rtol=1e-12)
    assert learning_rates(settings(learning_rate=1.0), 0, 20) == (0.5, 0.5)


def test_each_step_has_the_rates_of_its_place_in_the_training(people, monkeypatch):
    """They go on from one epoch to the next, the network's first; the history shows the rate at the start of each."""
    used = []
    monkeypatch.setattr(loop, "set_rates", lambda optimizer, rates: used.append(rates) or set_rates(optimizer, rates))
    _, history = run(people, max_epochs=3, batch_size=8)
    n_steps = len(used) // 3
    assert used == [learning_rates(settings(), step, 3 * n_steps) for step in range(3 * n_steps)]
    assert [record["learning_rate"] for record in history] == [rates[1] for rates in used[::n_steps]]


# augmentation -------------------------------------------------------------------------------------------


@pytest.fixture
def batch():
    return torch.rand(200, 3, 16, 8, generator=torch.Generator().manual_seed(0))


def changed_by(kinds, batch, seed=0):
    return augment(batch, kinds, draw(kinds, len(batch), torch.Generator().manual_seed(seed)))


def test_no_augmentation_changes_nothing(batch):
    """Without any kind, the batch is returned as it is."""
    assert torch.equal(changed_by((), batch), batch)


def test_flip_mirrors_about_half_of_the_images(batch):
    """Every image is unchanged or mirrored."""
    changed = changed_by(("flip",), batch)
    kept = (changed - batch).abs().amax(dim=(1, 2, 3)) < 1e-5
    turned = (changed - batch.flip(3)).abs().amax(dim=(1, 2, 3)) < 1e-5
    assert torch.all(kept ^ turned)
    assert 60 < kept.sum() < 140


def test_erase_fills_a_rectangle_of_about_half_of_the_images_with_one_colour(batch):
    """Its area is within the documented share, and all other pixels stay."""
    changed = changed_by(("erase",), batch)
    erased = (changed != batch).any(dim=1)
    hit = erased.flatten(1).any(dim=1)
    assert 60 < hit.sum() < 140
    for image, mask in zip(changed[hit], erased[hit], strict=True):
        rows, columns = mask.any(dim=1).nonzero().ravel(), mask.any(dim=0).nonzero().ravel()
        assert mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        assert image[:, mask].std(dim=1).max() < 1e-6
        assert mask.float().mean() <= 0.3


@pytest.mark.parametrize("kind", AUGMENTATIONS)
def test_augmented_values_stay_in_range_and_are_repeatable(batch, kind):
    """Values stay in [0, 1], and equal seeds give equal results."""
    one, same = (changed_by((kind,), batch, seed=3) for _ in range(2))
    assert torch.equal(one, same)
    assert one.shape == batch.shape
    assert one.min() >= 0
    assert one.max() <= 1
    assert not torch.equal(one, batch)


def test_crop_changes_a_smooth_image_little(batch):
    """Zoom and shift are small."""
    smooth = torch.linspace(0, 1, 16).view(1, 1, 16, 1).expand(50, 3, 16, 8)
    changed = changed_by(("crop",), smooth)
    assert (changed - smooth).abs().max() < 0.2


def test_figures_are_means_over_images_not_over_batches(people, monkeypatch):
    """Batches of unequal size count by their images: worked out by hand, 26 training images and 6 held out."""
    batches = [torch.tensor([[3.0, 1.0]] * 20), torch.tensor([[1.0, 0.0]] * 6)]
    monkeypatch.setattr(loop, "train_one_epoch", lambda *arguments: batches)
    monkeypatch.setattr(loop, "evaluate", lambda *arguments: [torch.tensor([[2.0, 1.0]] * 2 + [[5.0, 0.0]] * 4)])
    ((record,), n_images) = run(people, max_epochs=1)[1], len(people.target)
    assert n_images == 32
    assert record["train_loss"] == pytest.approx((20 * 3 + 6) / 26)
    assert record["train_accuracy"] == pytest.approx(20 / 26)
    assert (record["validation_loss"], record["validation_accuracy"]) == pytest.approx((4, 1 / 3))


@pytest.mark.parametrize("norm", [0.5 * GRADIENT_NORM, 3 * GRADIENT_NORM])
def test_gradients_are_shortened_as_torch_does_and_short_ones_are_not_written(norm):
    """The gradients are those of clip_grad_norm_, bit for bit."""
    model = torch.nn.Sequential(torch.nn.Linear(7, 5), torch.nn.Linear(5, 3))
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0))
    length = torch.cat([parameter.grad.flatten() for parameter in model.parameters()]).norm()
    for parameter in model.parameters():
        parameter.grad = parameter.grad * (norm / length)
    model[1].bias.grad = None  # a layer that took no part
    other = torch.nn.Sequential(torch.nn.Linear(7, 5), torch.nn.Linear(5, 3))
    for parameter, copied in zip(model.parameters(), other.parameters(), strict=True):
        copied.grad = None if parameter.grad is None else parameter.grad.clone()
    versions = [parameter.grad._version for parameter in model.parameters() if parameter.grad is not None]
    steps._shorten_gradients(model)
    torch.nn.utils.clip_grad_norm_(other.parameters(), GRADIENT_NORM)
    for parameter, copied in zip(model.parameters(), other.parameters(), strict=True):
        assert (parameter.grad is None) == (copied.grad is None)
        assert parameter.grad is None or torch.equal(parameter.grad, copied.grad)
    written = [parameter.grad._version for parameter in model.parameters() if parameter.grad is not None] != versions
    assert written == (norm > GRADIENT_NORM)


def test_the_optimiser_steps_in_one_pass_and_as_adamw_is_defined():
    """All groups are fused; three steps agree with the formula written out in float64 (Loshchilov and Hutter, 2019)."""
    model = build_classifier((32, 16), 4, settings())
    optimizer = build_optimizer(model)
    set_rates(optimizer, (1e-2, 1e-3))
    assert all(group["fused"] for group in optimizer.param_groups)
    weight = next(model.parameters())
    expected, first, second = weight.detach().double().numpy().copy(), 0.0, 0.0
    for step in range(1, 4):
        gradient = torch.randn(weight.shape, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        weight.grad = gradient
        group = optimizer.param_groups[0]
        optimizer.step()
        g = gradient.double().numpy()
        first, second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g * g
        expected *= 1 - group["lr"] * steps.WEIGHT_DECAY
        expected -= group["lr"] * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
    np.testing.assert_allclose(weight.detach().numpy(), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("n_filters", [16, 5])
def test_channels_last_weights_are_updated_where_they_lie_and_like_any_others(monkeypatch, n_filters):
    """Torch would copy them to another order and back; the steps are the same to the last bit."""
    weights, calls, fused = [], [], torch._fused_adamw_
    monkeypatch.setattr(torch, "_fused_adamw_", lambda *args, **options: calls.append(args) or fused(*args, **options))
    for memory in (torch.contiguous_format, torch.channels_last):
        torch.manual_seed(0)
        model = SimpleNamespace(network=nn.Conv2d(3, n_filters, 3).to(memory_format=memory), heads=nn.Linear(2, 3))
        optimizer = build_optimizer(model)
        set_rates(optimizer, (1e-2, 1e-3))
        for _ in range(2):
            model.network.weight.grad = torch.randn(n_filters, 3, 3, 3).contiguous(memory_format=memory)
            optimizer.step()
        weights.append(model.network.weight.detach())
    assert torch.equal(*weights)
    assert all(calls[-1][part][0].is_contiguous() for part in range(4))  # gradients, averages too
