"""Degenerate data and many threads lead to neither NaN nor a crash, but to the documented result."""

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
    """Check that all that was learned and all descriptors are finite."""
    assert np.isfinite(reid.transform(X)).all()
    for distances in reid.filter_distances_.values():
        assert all(np.isfinite(values).all() for values in distances.values())
    assert all(len(set(chosen)) == reid.n_filters for chosen in reid.filters_.values())


@pytest.mark.parametrize("criterion", ["margin", "dprime"])
@pytest.mark.parametrize("normalize", [None, "l2", "centered", "rooted", "whitened"])
@pytest.mark.parametrize("value", [0, 255])
def test_constant_images_have_no_true_match(settings, criterion, normalize, value):
    """All images are alike, so the first filters are chosen, all distances tie and the score is 0."""
    X, y = np.full((12, 32, 16, 3), value, np.uint8), np.repeat(np.arange(6), 2)
    reid = fit(X, y, settings, criterion=criterion, normalize=normalize)
    assert_sound(reid, X)
    assert cmc_score(reid, X, y) == 0
    assert reid.kneighbors(X[:2], X, n_neighbors=4)[1].tolist() == [[0, 1, 2, 3]] * 2


def test_filters_whose_maps_are_zero_describe_by_zeros(people, settings):
    """Scaling to unit length leaves them zero."""
    dead = {name: np.zeros_like(value) for name, value in fit(people.images, people.target, settings).weights_.items()}
    for name in dead:
        if name.endswith("running_var"):
            dead[name] += 1
    reid = fit(people.images, people.target, settings, normalize="l2")
    reid.weights_ = dead
    assert (reid.transform(people.images) == 0).all()


@pytest.mark.parametrize("blur_size", [33, 1000])
def test_a_blur_may_be_larger_than_the_frame(people, settings, blur_size):
    """The frame is mirrored as often as needed."""
    assert_sound(fit(people.images, people.target, settings, blur_size=blur_size), people.images)


@pytest.mark.filterwarnings("ignore:.* but the first image is upright")
@pytest.mark.parametrize("size", [(4, 4), (32, 16), (5, 31)])
def test_frames_may_be_small_or_of_odd_size(people, settings, size):
    """The smallest frame is the smallest that the poolings allow."""
    assert_sound(fit(people.images, people.target, settings, input_size=size), people.images)


def test_two_identities_and_one_filter_are_enough(people, settings):
    """No fit can be smaller."""
    assert_sound(fit(people.images[:8], people.target[:8], settings, n_filters=1, layers="high"), people.images)


def test_copies_of_an_image_tie_in_the_order_of_the_gallery(people, settings):
    """Their distance is zero."""
    X = np.concatenate([people.images[:8]] * 2)
    reid = fit(X, np.concatenate([people.target[:8]] * 2), settings)
    assert_sound(reid, X)
    distances, indices = reid.kneighbors(X[:8], X, n_neighbors=2)
    np.testing.assert_array_equal(indices, np.stack([np.arange(8), np.arange(8, 16)], axis=1))
    np.testing.assert_allclose(distances, 0, atol=1e-5)


def test_identities_may_have_one_image_or_hundreds(settings):
    """A warning counts those with a single image."""
    y = np.repeat([0, 1, 2, 3], [1, 2, 40, 500])
    X = rng.integers(0, 256, (len(y), 16, 8, 3), dtype=np.uint8)
    with pytest.warns(UserWarning, match="1 of 4 identities have a single image"):
        reid = fit(X, y, settings, input_size=(16, 8), batch_size=64)
    assert_sound(reid, X)


def test_thousands_of_identities_can_be_learned(settings):
    """The classifiers have one class per identity."""
    y = np.repeat(np.arange(3000), 2)
    X = rng.integers(0, 256, (len(y), 8, 8), dtype=np.uint8)
    reid = fit(X, y, settings, input_size=(8, 8), batch_size=2000, augment=False)
    assert len(reid.classes_) == 3000
    assert_sound(reid, X[:20])


def test_a_network_of_zero_weights_chooses_the_first_filters(people, settings, tmp_path):
    """All distances are 0, so all filters tie, and the score is 0."""
    import torch

    zeros = {name: torch.zeros(value.shape) for name, value in narrow().state_dict().items()}
    torch.save(zeros, tmp_path / "dead.pth")
    reid = fit(people.images, people.target, settings, weights=tmp_path / "dead.pth", max_epochs=0)
    assert_sound(reid, people.images)
    assert all(chosen.tolist() == [0, 1] for chosen in reid.filters_.values())
    assert cmc_score(reid, people.images, people.target) == 0


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_images_may_be_tensors_of_half_precision(people, settings, kind):
    """They describe like the same values in float32; torch's bfloat16 too, which numpy does not have."""
    import torch

    half = (torch.from_numpy(people.images) / 255).to(getattr(torch, kind))
    reid = fit(half, people.target, settings)
    assert_sound(reid, half)
    np.testing.assert_array_equal(reid.transform(half), reid.transform(half.float().numpy()))


def test_descriptors_of_half_precision_rank_by_their_exact_distances(people, fitted):
    """Distances are computed in single precision or better, so nothing overflows where float16 would."""
    rows = (fitted.transform(people.images) * 1000).astype(np.float16)
    assert np.isfinite(rows).all()
    assert ((rows.astype(float) ** 2).sum(axis=1) > np.finfo(np.float16).max).all()
    distances, indices = fitted.kneighbors(rows[:8], rows, n_neighbors=4)
    exact = np.linalg.norm(rows[:8, None].astype(float) - rows[None].astype(float), axis=2)
    np.testing.assert_allclose(distances, np.sort(exact, axis=1)[:, :4], rtol=1e-4, atol=1e-3)
    assert (indices[:, 0] == np.arange(8)).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_images_of_any_float_type_describe_alike(people, settings, dtype):
    """Half, single and double precision give the descriptors of uint8."""
    reid = fit(people.images, people.target, settings)
    descriptors = reid.transform((people.images / 255).astype(dtype))
    np.testing.assert_allclose(descriptors, reid.transform(people.images), rtol=0.05, atol=0.02)


def test_identical_descriptors_score_zero(settings, people):
    """If all probes and gallery images are alike, the order of the files earns no match."""
    reid = fit(people.images, people.target, settings)
    alike = np.repeat(reid.transform(people.images[:1]), 32, axis=0)
    assert cmc_score(reid, alike, people.target) == 0


def test_one_estimator_may_be_used_in_many_threads(people, fitted):
    """`transform` and `kneighbors` return in eight threads what they return in one."""
    expected = fitted.transform(people.images)
    results, errors = [None] * 8, []

    def work(place):
        try:
            for _ in range(3):
                results[place] = fitted.transform(people.images)
                assert fitted.kneighbors(people.images[:4], expected, n_neighbors=1)[1].ravel().tolist() == [0, 1, 2, 3]
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    for described in results:
        np.testing.assert_array_equal(described, expected)


def test_divergence_after_the_first_epoch_keeps_the_best_epoch(people, settings):
    """A loss that is not finite ends training with a warning, and the weights learned before it are returned."""
    from skreid._training import loop as training

    epochs = iter([1.0, float("nan")])

    def broken(*arguments):
        factor = next(epochs)
        return [factor * tally for tally in original(*arguments)]

    original = training.train_one_epoch
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "train_one_epoch", broken)
        with pytest.warns(UserWarning, match="not finite in epoch 2: lower learning_rate"):
            reid = MultiDepthReID(**settings | {"max_epochs": 5, "backbone": narrow}).fit(people.images, people.target)
    assert len(reid.history_) == 1
    assert_sound(reid, people.images)


@pytest.mark.parametrize("validation", [0.0, 0.3])
def test_divergence_in_the_first_epoch_is_an_error(people, settings, validation):
    """Weights that are not finite are never returned, with or without validation images."""
    wild = settings | {"learning_rate": 1e30, "max_epochs": 1, "batch_size": 64, "validation_fraction": validation}
    with pytest.raises(FloatingPointError, match=r"not finite|infinite maps"):
        MultiDepthReID(**wild).fit(people.images, people.target)


def test_an_epoch_whose_validation_loss_is_nan_is_never_the_best(people, settings):
    """It ends training, and the epoch before it is kept."""
    from skreid._training import loop as training

    figures, original = iter(torch.tensor([[[1.0, 0.5]], [[math.nan, 0.9]]])), training.evaluate
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "evaluate", lambda *arguments: original(*arguments) and [next(figures)])
        reid = MultiDepthReID(**settings | {"max_epochs": 5, "validation_fraction": 0.3})
        with pytest.warns(UserWarning, match="not finite in epoch 2"):
            reid.fit(people.images, people.target)
    assert [record["best"] for record in reid.history_] == [True]


def test_weights_that_lead_to_nan_maps_are_refused(people, settings, tmp_path):
    """Finite weights can do so; the error names the layer, before any filter of it is chosen."""
    weights = str(tmp_path / "negative.safetensors")
    save_file(narrow().state_dict() | {"norm3.running_var": torch.full((8,), -1.0)}, weights)
    with pytest.raises(FloatingPointError, match="of layer 'high' returns NaN"):
        MultiDepthReID(**settings | {"weights": weights, "max_epochs": 0}).fit(people.images, people.target)


def test_weights_of_another_backbone_are_refused(people, fitted):
    """After `set_params(backbone=...)` the error says which parameter was changed."""
    changed = clone(fitted).fit(people.images, people.target).set_params(backbone="vgg11")
    with pytest.raises(ValueError, match="If backbone was changed after fit"):
        copy.deepcopy(changed).transform(people.images)
