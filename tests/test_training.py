"""Held-out images, early stopping, augmentation and the training loop, each against its own statement."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks import narrow

from skreid._images.source import ImageSource
from skreid._training.augmentation import AUGMENTATIONS, augment
from skreid._training.data import hold_out
from skreid._training.heads import build_classifier
from skreid._training.loop import TrainingSettings, build_optimizer, train
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
def test_held_out_images_leave_every_identity_one_to_train_on(sizes, fraction, seed):
    """The two sides partition the images, as near the fraction as identities allow."""
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    train_part, validation = hold_out(labels, fraction, seed)
    np.testing.assert_array_equal(np.sort(np.r_[train_part, validation]), np.arange(len(labels)))
    assert set(labels[train_part]) == set(labels)
    assert len(validation) == min(round(fraction * len(labels)), len(labels) - len(sizes))


def test_held_out_images_spread_over_identities():
    """No identity gives a second image before every other gave one."""
    labels = np.repeat(np.arange(10), 4)
    counts = np.bincount(labels[hold_out(labels, 0.4, 0)[1]], minlength=10)
    assert counts.min() >= 1
    assert counts.max() <= 2


def figures(accuracy, loss):
    return {"validation_accuracy": accuracy, "validation_loss": loss, "epoch": 0}


class Weights:
    """A network whose weights are the epoch's number."""

    def __init__(self, epoch):
        self.epoch = epoch

    def weights(self):
        return self.epoch


def test_training_stops_when_accuracy_no_longer_rises_and_loss_no_longer_falls():
    """Either getting better goes on; the best accuracy, then the lowest loss, is kept (worked by hand)."""
    curve = [(0.1, 3.0), (0.5, 2.0), (0.5, 1.9), (0.4, 1.8), (0.5, 1.85), (0.4, 1.9)]
    stopping, done = EarlyStopping(2), []
    for epoch, (accuracy, loss) in enumerate(curve):
        stopping.update(figures(accuracy, loss) | {"epoch": epoch}, Weights(epoch))
        done.append(stopping.done)
    assert done == [False, False, False, False, False, True]
    assert stopping.epoch == stopping.weights == 4  # 0.5 at the lowest loss


def test_without_validation_images_the_training_figures_decide():
    """NaN validation figures are not compared."""
    stopping = EarlyStopping(1)
    for epoch, loss in enumerate((2.0, 1.0, 1.5)):
        record = figures(math.nan, math.nan) | {"epoch": epoch, "train_accuracy": 0.5, "train_loss": loss}
        stopping.update(record, Weights(epoch))
    assert stopping.done
    assert stopping.weights == 1


def test_training_repeats_bit_for_bit_and_leaves_global_states(people):
    """Equal seeds give equal weights, another seed others; numpy's and torch's generators do not move."""
    states = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    (one, _), (same, _), (other, _) = (run(people, random_state=seed) for seed in (0, 0, 1))
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert any(not np.array_equal(one[name], other[name]) for name in one)
    assert torch.equal(states[0], torch.random.get_rng_state())
    np.testing.assert_array_equal(states[1], np.random.get_state()[1])  # noqa: NPY002


def test_training_learns(people):
    """Eight persons are told apart after a few epochs without augmentation."""
    _, history = run(people, max_epochs=60, augment=(), validation_fraction=0)
    assert history[-1]["train_accuracy"] > 0.9
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    assert math.isnan(history[0]["validation_loss"])


def test_history_has_a_record_an_epoch_and_the_best_is_returned(people):
    """The weights returned are those that stood at the end of the epoch marked best."""
    seen = []
    weights, history = run(people, on_epoch=lambda record, now: seen.append(now()), max_epochs=4)
    assert [record["epoch"] for record in history] == [0, 1, 2, 3]
    (best,) = (record["epoch"] for record in history if record["best"])
    assert all(np.array_equal(weights[name], seen[best][name]) for name in weights)
    key = [(r["validation_accuracy"], -r["validation_loss"]) for r in history]
    assert best == key.index(max(key))


def test_a_true_answer_stops_the_training(people):
    """What watches the epochs can end them."""
    assert len(run(people, on_epoch=lambda record, weights: record["epoch"] == 1, max_epochs=5)[1]) == 2


def test_no_epochs_keep_the_initial_weights(people):
    """`max_epochs=0` returns the network as it starts."""
    weights, history = run(people, max_epochs=0)
    start = build_classifier((32, 16), 8, settings()).network.weights()
    assert history == []
    assert all(np.array_equal(weights[name], start[name]) for name in start)


def test_a_first_epoch_that_diverges_says_what_to_do(people):
    """A loss that is not finite names the learning rate."""
    with pytest.raises(FloatingPointError, match="lower learning_rate"):
        run(people, learning_rate=1e30)


def test_the_rate_warms_up_and_falls_along_a_cosine():
    """Worked by hand for ten steps; pretrained layers get a tenth."""
    chosen = settings(learning_rate=1.0, initial=build_classifier((8, 8), 2, settings()).network.weights())
    optimizer, schedule = build_optimizer(build_classifier((8, 8), 2, chosen), chosen, 20)
    rates = []
    for _ in range(20):
        rates.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        schedule.step()
    expected = [0.5, 1.0, 1.0, *(0.5 * (1 + math.cos(math.pi * step / 18)) for step in range(1, 18))]
    np.testing.assert_allclose([rate[1] for rate in rates], expected, rtol=1e-12)
    np.testing.assert_allclose([rate[0] for rate in rates], np.array(expected) / 10, rtol=1e-12)


# augmentation -------------------------------------------------------------------------------------------


@pytest.fixture
def batch():
    return torch.rand(200, 3, 16, 8, generator=torch.Generator().manual_seed(0))


def test_no_kind_changes_nothing(batch):
    """An empty choice returns the batch."""
    assert torch.equal(augment(batch, (), torch.Generator()), batch)


def test_flip_mirrors_about_half_and_leaves_the_rest(batch):
    """Every image is itself or its mirror image."""
    changed = augment(batch, ("flip",), torch.Generator().manual_seed(0))
    kept = (changed - batch).abs().amax(dim=(1, 2, 3)) < 1e-5
    turned = (changed - batch.flip(3)).abs().amax(dim=(1, 2, 3)) < 1e-5
    assert torch.all(kept ^ turned)
    assert 60 < kept.sum() < 140


def test_erase_fills_rectangles_of_one_colour(batch):
    """About half the images get one rectangle within the stated share; all else stays."""
    changed = augment(batch, ("erase",), torch.Generator().manual_seed(0))
    erased = (changed != batch).any(dim=1)
    hit = erased.flatten(1).any(dim=1)
    assert 60 < hit.sum() < 140
    for image, mask in zip(changed[hit], erased[hit], strict=True):
        rows, columns = mask.any(dim=1).nonzero().ravel(), mask.any(dim=0).nonzero().ravel()
        assert mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        assert image[:, mask].std(dim=1).max() < 1e-6
        assert mask.float().mean() <= 0.3


@pytest.mark.parametrize("kind", AUGMENTATIONS)
def test_every_kind_stays_in_range_and_repeats(batch, kind):
    """Values stay in [0, 1]; one seed gives one result."""
    one, same = (augment(batch, (kind,), torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one, same)
    assert one.shape == batch.shape
    assert one.min() >= 0
    assert one.max() <= 1
    assert not torch.equal(one, batch)


def test_crop_moves_little(batch):
    """A smooth picture stays close to itself under zoom and shift."""
    smooth = torch.linspace(0, 1, 16).view(1, 1, 16, 1).expand(50, 3, 16, 8)
    changed = augment(smooth, ("crop",), torch.Generator().manual_seed(0))
    assert (changed - smooth).abs().max() < 0.2
