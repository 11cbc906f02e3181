"""Whitening of descriptors, against the same formula written out with numpy; and averages over mirror images."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from skreid import MultiDepthReID
from skreid._filters.whitening import _Scatter, whitening_matrix

LEARNED = {"max_epochs": 1, "blur_size": (4, None), "sampling": "box"}


def whitened_by_hand(roots, identities, shrinkage=0.3):
    """Return one layer's part: roots about the mean identity by identity, Eq. by Eq. of the page on the method."""
    centred = roots - roots.mean(axis=0)
    scatter = np.zeros((roots.shape[1],) * 2)
    for identity in np.unique(identities):
        own = centred[identities == identity]
        for row in own - own.mean(axis=0):
            scatter += np.outer(row, row)
    level = np.trace(scatter) / len(scatter)
    shrunk = (1 - shrinkage) * scatter + shrinkage * level * np.eye(len(scatter))
    values, vectors = np.linalg.eigh(shrunk)
    part = centred @ vectors @ np.diag(values**-0.5) @ vectors.T
    return part / np.linalg.norm(part, axis=1, keepdims=True)


def layer_parts(reid, people):
    """Return the signed roots of the maps of each layer of an estimator fitted with ``normalize=None``."""
    maps = reid.transform(people.images).astype(np.float64)
    ends = np.cumsum([mean.size for mean in reid.mean_maps_.values()])[:-1]
    return np.split(np.sign(maps) * np.sqrt(np.abs(maps)), ends, axis=1)


@pytest.mark.parametrize("changes", [{}, {"blur_size": 8}, {"sampling": "pixel"}, {"batch_size": 5}], ids=str)
def test_descriptors_are_whitened_as_the_page_says(people, settings, changes):
    """Each layer apart, in strips, squares and whole rows; the batches do not matter."""
    settings |= LEARNED | changes
    plain, reid = (
        MultiDepthReID(**settings | {"normalize": how}).fit(people.images, people.target) for how in (None, "whitened")
    )
    expected = np.hstack([whitened_by_hand(part, people.target) for part in layer_parts(plain, people)])
    np.testing.assert_allclose(reid.transform(people.images), expected, atol=2e-3)
    for layer, matrix in reid.whitening_.items():
        assert matrix.shape == (reid.mean_maps_[layer].size,) * 2
        assert matrix.dtype == np.float32
        np.testing.assert_array_equal(matrix, matrix.T)


def test_without_shrinkage_images_of_a_person_vary_alike_in_all_directions():
    rng = np.random.default_rng(0)
    scatter = np.cov(rng.normal(size=(6, 50)) * np.arange(1, 7)[:, None])
    matrix = whitening_matrix(scatter, shrinkage=0).astype(np.float64)
    within = matrix @ scatter @ matrix.T
    np.testing.assert_allclose(within, np.eye(6) * np.trace(scatter) / 6, rtol=1e-5, atol=1e-5)


def test_directions_are_those_of_a_discriminant_analysis():
    """Distances of whitened rows are those behind scikit-learn's LDA with all directions and the same shrinkage."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(12), 5)
    X = rng.normal(size=(12, 4))[y] + rng.normal(size=(60, 4)) * [0.1, 0.5, 1, 2]
    within = X - np.stack([X[y == k].mean(axis=0) for k in y])
    lda = LinearDiscriminantAnalysis("eigen", shrinkage=0.3).fit(X, y).transform(X)
    ours = X @ whitening_matrix(within.T @ within)
    ratio = np.linalg.norm(lda[:, None] - lda, axis=2)[~np.eye(60, dtype=bool)]
    ratio /= np.linalg.norm(ours[:, None] - ours, axis=2)[~np.eye(60, dtype=bool)]
    np.testing.assert_allclose(ratio, ratio.mean(), rtol=1e-4)


@given(st.integers(1, 6), st.integers(0, 10), st.floats(1e-6, 1e6))
def test_matrix_is_finite_and_does_not_depend_on_the_scale(d, n, scale):
    """Also with fewer images than dimensions, and where nothing varies."""
    rows = np.random.default_rng(n).normal(size=(n, d))
    matrix = whitening_matrix(rows.T @ rows)
    assert np.isfinite(matrix).all()
    np.testing.assert_allclose(whitening_matrix(scale * rows.T @ rows), matrix, rtol=1e-4, atol=1e-6)
    if n == 0:
        np.testing.assert_array_equal(matrix, np.eye(d))


def test_only_an_estimator_that_learned_to_whiten_whitens(people, settings):
    """One that did can leave it out later, without another fit."""
    rooted, reid = (
        MultiDepthReID(**settings | LEARNED | {"normalize": how}).fit(people.images, people.target)
        for how in ("rooted", "whitened")
    )
    assert rooted.whitening_ == {}
    np.testing.assert_array_equal(
        reid.set_params(normalize="rooted").transform(people.images), rooted.transform(people.images)
    )
    with pytest.raises(ValueError, match="normalize='whitened' was not set when this estimator was fitted"):
        rooted.set_params(normalize="whitened").transform(people.images)


def test_whitening_is_cached_with_the_filters(people, settings, tmp_path, monkeypatch):
    """A second fit reads no image; one with other filters whitens anew."""
    reid = MultiDepthReID(**settings | LEARNED | {"normalize": "whitened", "memory": tmp_path})
    expected = reid.fit(people.images, people.target).whitening_
    calls, computed = [], "skreid.multidepth.whitening_matrices"
    monkeypatch.setattr(computed, lambda *args, **how: calls.append(how) or {"low": np.eye(1)})
    again = clone(reid).fit(people.images, people.target)
    assert not calls
    assert all(np.array_equal(again.whitening_[layer], expected[layer]) for layer in expected)
    clone(reid).set_params(n_filters=3).fit(people.images, people.target)
    assert len(calls) == 1


def test_flips_are_averaged_where_maps_are_read(people, settings):
    """Maps are the mean of those of the image and, mirrored back, of the mirror image; filters are chosen by them."""
    reid = MultiDepthReID(**settings).fit(people.images, people.target)
    averaged = clone(reid).set_params(average_flips=True).fit(people.images, people.target)
    mirrored = people.images[:, :, ::-1]
    assert all(np.array_equal(reid.weights_[name], averaged.weights_[name]) for name in reid.weights_)
    for layer, maps in averaged.feature_maps(people.images).items():
        expected = (reid.feature_maps(people.images)[layer] + reid.feature_maps(mirrored)[layer][..., ::-1]) / 2
        np.testing.assert_allclose(maps, expected, rtol=1e-4, atol=1e-4)
    back = reid.set_params(average_flips=True).feature_maps(mirrored)["high"][..., ::-1]
    np.testing.assert_allclose(back, reid.feature_maps(people.images)["high"], rtol=1e-4, atol=1e-4)


def test_averaged_flips_in_strips_describe_an_image_and_its_mirror_image_alike(people, settings):
    settings |= LEARNED | {"average_flips": True, "normalize": "whitened"}
    reid = MultiDepthReID(**settings).fit(people.images, people.target)
    mirrored = torch.from_numpy(people.images).flip(2).numpy()
    np.testing.assert_allclose(reid.transform(mirrored), reid.transform(people.images), atol=2e-3)
    plain = clone(reid).set_params(average_flips=False).fit(people.images, people.target)
    assert np.abs(plain.transform(mirrored) - plain.transform(people.images)).max() > 0.02


def test_parts_that_are_too_long_are_refused_before_training(people, settings, monkeypatch):
    """The message names the layer, its dimensions, and three ways out: here 32 x 16 cells x 4 filters."""
    monkeypatch.setattr("skreid._filters.whitening.MOST_DIMENSIONS", 1000)
    settings |= {"blur_size": 1, "normalize": "whitened", "n_filters": 4, "layers": "low", "max_epochs": 99999}
    with pytest.raises(ValueError, match=r"'low', which has 2048 dimensions; at most 1000 .*sampling='box'"):
        MultiDepthReID(**settings).fit(people.images, people.target)


def test_rounding_is_no_scatter():
    """Images of a person that differ in the last digits only, as in another batch, do not decide the directions."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(4), 3)
    maps = rng.uniform(1, 2, size=(4, 5, 2, 1))[y] * (1 + 1e-7 * rng.normal(size=(12, 5, 2, 1)))
    scatter = _Scatter(np.zeros((5, 2, 1), dtype=np.float32), 4)
    scatter.add(torch.from_numpy(maps), y)
    np.testing.assert_array_equal(whitening_matrix(scatter.within(np.bincount(y))), np.eye(10))
