"""Degenerate data and many threads: no NaN, no crash, and the documented outcome."""

import copy
import math
import threading

import numpy as np
import pytest
import torch
from networks import narrow
from safetensors.torch import save_file
from sklearn.base import clone

from skreid import MultiDepthReID, cmc_score

rng = np.random.default_rng(0)


def fit(X, y, settings, **changed):
    return MultiDepthReID(**(settings | {"max_epochs": 1} | changed)).fit(X, y)


def assert_sound(reid, X):
    """Everything learned and described is finite."""
    assert np.isfinite(reid.transform(X)).all()
    for found in reid.filter_distances_.values():
        assert all(np.isfinite(values).all() for values in found.values())
    assert all(len(set(chosen)) == reid.n_filters for chosen in reid.filters_.values())


@pytest.mark.parametrize("criterion", ["margin", "dprime"])
@pytest.mark.parametrize("normalize", [None, "l2", "centered", "rooted"])
@pytest.mark.parametrize("value", [0, 255])
def test_constant_images(settings, criterion, normalize, value):
    """All alike: every filter is as good as any, the first are kept, and nobody is recognised."""
    X, y = np.full((12, 32, 16, 3), value, np.uint8), np.repeat(np.arange(6), 2)
    reid = fit(X, y, settings, criterion=criterion, normalize=normalize)
    assert_sound(reid, X)
    assert cmc_score(reid, X, y) == 0
    assert reid.kneighbors(X[:2], X, n_neighbors=4)[1].tolist() == [[0, 1, 2, 3]] * 2


def test_dead_filters_describe_by_zeros(people, settings):
    """A network whose maps are all zero gives zeros, also at unit length."""
    dead = {name: np.zeros_like(value) for name, value in fit(people.images, people.target, settings).weights_.items()}
    for name in dead:
        if name.endswith("running_var"):
            dead[name] += 1
    reid = fit(people.images, people.target, settings, normalize="l2")
    reid.weights_ = dead
    assert (reid.transform(people.images) == 0).all()


@pytest.mark.parametrize("blur_size", [33, 1000])
def test_a_blur_larger_than_the_frame(people, settings, blur_size):
    """Mirroring goes on beyond the frame."""
    assert_sound(fit(people.images, people.target, settings, blur_size=blur_size), people.images)


@pytest.mark.parametrize("size", [(4, 4), (32, 16), (5, 31)])
def test_small_and_odd_frames(people, settings, size):
    """As small as the network lets through."""
    assert_sound(fit(people.images, people.target, settings, input_size=size), people.images)


def test_two_identities_and_one_filter(people, settings):
    """The least there can be."""
    assert_sound(fit(people.images[:8], people.target[:8], settings, n_filters=1, layers="high"), people.images)


def test_duplicated_images(people, settings):
    """Copies are at distance zero and tie in the gallery's order."""
    X = np.concatenate([people.images[:8]] * 2)
    reid = fit(X, np.concatenate([people.target[:8]] * 2), settings)
    assert_sound(reid, X)
    distances, indices = reid.kneighbors(X[:8], X, n_neighbors=2)
    np.testing.assert_array_equal(indices, np.stack([np.arange(8), np.arange(8, 16)], axis=1))
    np.testing.assert_allclose(distances, 0, atol=1e-5)


def test_unbalanced_identities(settings):
    """One image of some, hundreds of others."""
    y = np.repeat([0, 1, 2, 3], [1, 2, 40, 500])
    X = rng.integers(0, 256, (len(y), 16, 8, 3), dtype=np.uint8)
    with pytest.warns(UserWarning, match="1 of 4 identities have a single image"):
        reid = fit(X, y, settings, input_size=(16, 8), batch_size=64)
    assert_sound(reid, X)


def test_many_identities(settings):
    """A head as wide as a town."""
    y = np.repeat(np.arange(10_000), 2)
    X = rng.integers(0, 256, (len(y), 8, 8), dtype=np.uint8)
    reid = fit(X, y, settings, input_size=(8, 8), batch_size=2000, augment=False)
    assert len(reid.classes_) == 10_000
    assert_sound(reid, X[:20])


def test_a_network_that_is_dead_from_the_start(people, settings, tmp_path):
    """Weights of zero: every distance is 0, the first filters are kept, and nobody is recognised."""
    import torch

    zeros = {name: torch.zeros(value.shape) for name, value in narrow().state_dict().items()}
    torch.save(zeros, tmp_path / "dead.pth")
    reid = fit(people.images, people.target, settings, weights=tmp_path / "dead.pth", max_epochs=0)
    assert_sound(reid, people.images)
    assert all(chosen.tolist() == [0, 1] for chosen in reid.filters_.values())
    assert cmc_score(reid, people.images, people.target) == 0


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_tensors_of_half_precision_are_read(people, settings, kind):
    """As images, of torch's kinds too."""
    import torch

    half = (torch.from_numpy(people.images) / 255).to(getattr(torch, kind))
    reid = fit(half, people.target, settings)
    assert_sound(reid, half)
    np.testing.assert_array_equal(reid.transform(half), reid.transform(half.float().numpy()))


def test_descriptors_of_half_precision_rank_as_their_numbers(people, fitted):
    """Ranked in single precision or better: nothing overflows where float16 would."""
    rows = (fitted.transform(people.images) * 1000).astype(np.float16)
    assert np.isfinite(rows).all()
    assert ((rows.astype(float) ** 2).sum(axis=1) > np.finfo(np.float16).max).all()
    distances, indices = fitted.kneighbors(rows[:8], rows, n_neighbors=4)
    exact = np.linalg.norm(rows[:8, None].astype(float) - rows[None].astype(float), axis=2)
    np.testing.assert_allclose(distances, np.sort(exact, axis=1)[:, :4], rtol=1e-4, atol=1e-3)
    assert (indices[:, 0] == np.arange(8)).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_every_float_is_read(people, settings, dtype):
    """Half, single and double precision describe alike."""
    reid = fit(people.images, people.target, settings)
    found = reid.transform((people.images / 255).astype(dtype))
    np.testing.assert_allclose(found, reid.transform(people.images), rtol=0.05, atol=0.02)


def test_identical_descriptors_never_score(settings, people):
    """Probe and gallery alike in every number: no rank is earned by the order of the files."""
    reid = fit(people.images, people.target, settings)
    alike = np.repeat(reid.transform(people.images[:1]), 32, axis=0)
    assert cmc_score(reid, alike, people.target) == 0


def test_one_estimator_in_many_threads(people, fitted):
    """Transform and kneighbors give in eight threads what they give in one."""
    expected = fitted.transform(people.images)
    found, errors = [None] * 8, []

    def work(place):
        try:
            for _ in range(3):
                found[place] = fitted.transform(people.images)
                assert fitted.kneighbors(people.images[:4], expected, n_neighbors=1)[1].ravel().tolist() == [0, 1, 2, 3]
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    for described in found:
        np.testing.assert_array_equal(described, expected)


def test_divergence_after_the_first_epoch_keeps_the_best(people, settings):
    """A loss that is not finite ends the training with a warning; what was learned before stays."""
    from skreid._training import loop as training

    epochs = iter([1.0, float("nan")])

    def broken(*arguments):
        _, accuracy = original(*arguments)
        return next(epochs), accuracy

    original = training.train_one_epoch
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "train_one_epoch", broken)
        with pytest.warns(UserWarning, match="not finite in epoch 1: lower learning_rate"):
            reid = MultiDepthReID(**settings | {"max_epochs": 5, "backbone": narrow}).fit(people.images, people.target)
    assert len(reid.history_) == 1
    assert_sound(reid, people.images)


@pytest.mark.parametrize("validation", [0.0, 0.3])
def test_a_divergence_in_the_first_epoch_is_an_error(people, settings, validation):
    """Weights that left the numbers are never returned, whether or not images were held out to see it."""
    wild = settings | {"learning_rate": 1e30, "max_epochs": 1, "batch_size": 64, "validation_fraction": validation}
    with pytest.raises(FloatingPointError, match=r"not finite|infinite maps"):
        MultiDepthReID(**wild).fit(people.images, people.target)


def test_an_epoch_without_a_validation_loss_is_never_the_best(people, settings):
    """NaN ends the training; the epoch before is kept."""
    from skreid._training import loop as training

    found, original = iter([(1.0, 0.5), (math.nan, 0.9)]), training.evaluate
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "evaluate", lambda *arguments: original(*arguments) and next(found))
        reid = MultiDepthReID(**settings | {"max_epochs": 5, "validation_fraction": 0.3})
        with pytest.warns(UserWarning, match="not finite in epoch 1"):
            reid.fit(people.images, people.target)
    assert [record["best"] for record in reid.history_] == [True]


def test_weights_that_make_no_numbers_are_refused(people, settings, tmp_path):
    """Finite weights may give NaN: the layer is named before anything is chosen from it."""
    weights = str(tmp_path / "negative.safetensors")
    save_file(narrow().state_dict() | {"norm3.running_var": torch.full((8,), -1.0)}, weights)
    with pytest.raises(FloatingPointError, match="of layer 'high' returns NaN"):
        MultiDepthReID(**settings | {"weights": weights, "max_epochs": 0}).fit(people.images, people.target)


def test_a_backbone_changed_after_fit_is_told(people, fitted):
    """The weights do not fit it, and which parameter it was is said."""
    changed = clone(fitted).fit(people.images, people.target).set_params(backbone="vgg11")
    with pytest.raises(ValueError, match="If backbone was changed after fit"):
        copy.deepcopy(changed).transform(people.images)
