"""Eqs. 2-4 against loops over pairs in float64, and the streaming in blocks."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import uniform_filter1d

from skreid._filters import pairs as exploring
from skreid._filters import sums
from skreid._filters.choosing import choose_filters
from skreid._filters.pairs import PairStatistics, identity_blocks, pair_statistics
from skreid._filters.smoothing import BoxFilter
from skreid._images.source import ImageSource


def compare(maps, labels, cams=None, blur=5, sampling="pixel", **changed):
    """Run the streaming statistics on given maps instead of a network."""
    pixels = np.arange(len(labels), dtype=np.uint8)[:, None, None].repeat(16, 1).repeat(8, 2)

    def network(batch, layers):  # each picture holds its own number
        chosen = batch[:, 0, 0, 0].long()
        return {layer: torch.from_numpy(maps[layer]).float()[chosen] for layer in layers}

    arguments = {"batch_size": 4, "random_state": 0, "progress": lambda n: None}
    source, box = ImageSource(pixels), BoxFilter(*sides(blur), sampling)
    return pair_statistics(network, source, labels, layers=tuple(maps), box=box, cams=cams, **(arguments | changed))


def sides(blur):
    return blur if isinstance(blur, tuple) else (blur, blur)


def smoothed(maps, blur, sampling="pixel"):
    """Show maps at frame size and blur them; a side of None becomes its mean, boxes side by side those of their own."""
    up = torch.nn.functional.interpolate(torch.from_numpy(maps), size=(16, 8), mode="bilinear").numpy()
    for axis, side in zip((2, 3), sides(blur), strict=True):
        if side is None:
            up = np.repeat(up.mean(axis=axis, keepdims=True), up.shape[axis], axis=axis)
        elif sampling == "box":  # of sides that divide the frame
            parts = np.split(up, up.shape[axis] // side, axis=axis)
            up = np.concatenate([np.repeat(part.mean(axis, keepdims=True), side, axis) for part in parts], axis=axis)
        else:
            up = uniform_filter1d(up, side, axis=axis, mode="mirror")
    return up


def by_loops(maps, labels, cams=None, blur=5, sampling="pixel"):
    """Means and deviations of pair distances, one pair and filter at a time, at frame size."""
    smooth = smoothed(maps, blur, sampling)
    kinds = {True: [], False: []}
    for i, j in itertools.combinations(range(len(labels)), 2):
        if cams is None or cams[i] != cams[j]:
            kinds[labels[i] == labels[j]].append(
                [np.sqrt(((smooth[i, f] - smooth[j, f]) ** 2).sum()) for f in range(maps.shape[1])]
            )
    same, different = np.array(kinds[True]), np.array(kinds[False])
    return same.mean(0), different.mean(0), same.std(0), different.std(0), len(same), len(different)


@pytest.fixture
def maps():
    rng = np.random.default_rng(0)
    return {"shallow": rng.random((14, 5, 8, 4)), "deep": rng.random((14, 7, 2, 1)) + 50}


labels = np.array([0, 0, 1, 1, 1, 2, 3, 3, 4, 4, 4, 4, 5, 5])
cams = np.array([0, 1, 0, 0, 1, 0, 1, 1, 0, 1, 0, 1, 2, 0])


@pytest.mark.parametrize(
    ("blur", "sampling"),
    [
        *((blur, "pixel") for blur in (5, (3, 6), (5, None), (None, 2), (None, None))),
        *((blur, "box") for blur in (4, (2, 8), (8, None), (None, 4), 1)),
    ],
)
@pytest.mark.parametrize("cameras", [None, cams])
def test_statistics_equal_loops_over_pairs(maps, cameras, blur, sampling):
    """Means, deviations and counts of every filter agree with loops in float64, for every kind of box."""
    found = compare(maps, labels, cameras, blur, sampling)
    for layer, given_maps in maps.items():
        loops = by_loops(given_maps, labels, cameras, blur, sampling)
        for value, expected in zip(found[layer][:6], loops, strict=True):
            np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-7)


def test_mean_map_is_the_mean_of_the_compact_maps(maps):
    """An axis that the box spans has one value: the mean along it, times the square root of its pixels."""
    found = compare(maps, labels, blur=(5, None))
    for layer, given_maps in maps.items():
        mean = smoothed(given_maps, (5, None)).mean(axis=0)[..., 0] * np.sqrt(8)  # (n_filters, 16)
        assert found[layer].mean_map.shape == (*given_maps.shape[1:3], 1)
        lengths = np.linalg.norm(found[layer].mean_map, axis=(1, 2))
        np.testing.assert_allclose(lengths, np.linalg.norm(mean, axis=1), rtol=1e-5)


def test_mean_map_has_one_value_per_box(maps):
    """Boxes side by side: the mean of each, times the root of its pixels; a layer with fewer cells keeps its own."""
    found = compare(maps, labels, blur=(4, 4), sampling="box")
    boxes = smoothed(maps["shallow"], (4, 4), "box")[:, :, ::4, ::4] * np.sqrt(4 * 4)
    assert boxes.shape[2:] == (4, 2)
    np.testing.assert_allclose(found["shallow"].mean_map, boxes.mean(axis=0), rtol=1e-5)
    assert found["deep"].mean_map.shape == (7, 2, 1)


def test_mean_root_is_the_mean_of_signed_roots(maps):
    """With a box over the whole frame, a map is one value: its mean times the square root of all pixels."""
    maps = {layer: each - each.mean() for layer, each in maps.items()}
    found = compare(maps, labels, blur=(None, None))
    for layer, given_maps in maps.items():
        number = smoothed(given_maps, (None, None))[..., 0, 0] * np.sqrt(16 * 8)
        assert number.min() < 0 < number.max()
        expected = (np.sign(number) * np.sqrt(np.abs(number))).mean(axis=0)
        np.testing.assert_allclose(found[layer].mean_root[:, 0, 0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cameras", [None, cams])
def test_covariances_equal_loops_over_pairs(maps, cameras):
    """Covariances are those of squared distances over each kind of pair, then the mean of both."""
    found = compare(maps, labels, cameras, covariance=True)
    for layer, given_maps in maps.items():
        smooth, kinds = smoothed(given_maps, 5), {True: [], False: []}
        for i, j in itertools.combinations(range(len(labels)), 2):
            if cameras is None or cameras[i] != cameras[j]:
                kinds[labels[i] == labels[j]].append(((smooth[i] - smooth[j]) ** 2).sum(axis=(1, 2)))
        expected = (np.cov(np.array(kinds[True]).T, ddof=0) + np.cov(np.array(kinds[False]).T, ddof=0)) / 2
        np.testing.assert_allclose(found[layer].covariance, expected, rtol=1e-3, atol=1e-6 * np.abs(expected).max())


def test_joint_choice_is_greedy(maps):
    """Each chosen filter is the one that most raises d' of the summed squared distances, found by trying all."""
    layer, smooth = compare(maps, labels, covariance=True)["shallow"], smoothed(maps["shallow"], 5)
    squared = {True: [], False: []}
    for i, j in itertools.combinations(range(len(labels)), 2):
        squared[labels[i] == labels[j]].append(((smooth[i] - smooth[j]) ** 2).sum(axis=(1, 2)))
    same, different = np.array(squared[True]), np.array(squared[False])

    def separation(filters):
        one, two = same[:, filters].sum(axis=1), different[:, filters].sum(axis=1)
        return (two.mean() - one.mean()) / np.sqrt((one.var() + two.var()) / 2)

    chosen = []
    while len(chosen) < 5:
        chosen.append(max(set(range(5)) - set(chosen), key=lambda other: separation([*chosen, other])))
    np.testing.assert_array_equal(choose_filters(layer, "joint", 5), chosen)


def test_joint_choice_skips_copies():
    """After a filter, its exact copy adds less than a weaker filter that differs."""
    rng = np.random.default_rng(0)
    persons = np.repeat(np.arange(40), 2)
    strong, weak = rng.normal(0, 1.0, 40)[persons], rng.normal(0, 0.6, 40)[persons]
    seen = np.stack([strong + rng.normal(0, 0.3, 80), np.zeros(80), weak + rng.normal(0, 0.3, 80)], axis=1)
    seen[:, 1] = 0.99 * seen[:, 0]
    found = compare({"layer": seen[:, :, None, None] + 5}, persons, blur=1, covariance=True)["layer"]
    assert set(choose_filters(found, "margin", 2)) == {0, 1}
    assert set(choose_filters(found, "joint", 2)) in ({0, 2}, {1, 2})


def test_identical_images_have_distance_zero():
    """Cancellation does not separate two copies of a map whose values are far from zero."""
    maps = {"layer": np.repeat(np.random.default_rng(1).random((2, 3, 4, 2)) + 1000, 2, axis=0)}
    found = compare(maps, np.array([0, 0, 1, 1]))["layer"]
    assert found.d_same.max() < 1e-6 * found.d_different.min()


@pytest.mark.parametrize("cameras", [None, np.arange(150) % 3])
def test_large_blocks_stay_exact_with_silent_filters_and_duplicates(cameras):
    """Blocks computed in float32 are accurate to 1e-6 with large offsets, mostly silent filters and copies."""
    rng = np.random.default_rng(0)
    maps = {"layer": rng.random((150, 4, 4, 2)) + np.array([0, 1000, 0, 0])[:, None, None]}
    maps["layer"][5:, 2] = 0
    maps["layer"][40:60] = maps["layer"][40]
    maps["layer"] = maps["layer"].astype(np.float32).astype(float)
    identities = np.repeat(np.arange(40), 4)[:150]
    found = compare(maps, identities, cameras, blur=1, batch_size=64)["layer"]
    kept = {True: [], False: []}
    for i, j in itertools.combinations(range(150), 2):
        if cameras is None or cameras[i] != cameras[j]:
            up = torch.from_numpy(maps["layer"][[i, j]])
            large = torch.nn.functional.interpolate(up, size=(16, 8), mode="bilinear").numpy()
            kept[identities[i] == identities[j]].append(np.linalg.norm((large[0] - large[1]).reshape(4, -1), axis=1))
    for value, pairs in ((found.d_same, kept[True]), (found.d_different, kept[False])):
        expected = np.mean(pairs, axis=0)
        np.testing.assert_allclose(value[[0, 2, 3]], expected[[0, 2, 3]], rtol=1e-6)
        np.testing.assert_allclose(value[1], expected[1], rtol=1e-3)  # the maps' own float32 at 1000


def test_reading_layers_in_several_passes_changes_nothing(maps, monkeypatch):
    """A small memory budget changes the number of passes, not the statistics."""
    whole = compare(maps, labels)
    monkeypatch.setattr(exploring, "BLOCK_BYTES", 1)
    monkeypatch.setattr(sums, "PRODUCT_BYTES", 1)
    for layer, found in compare(maps, labels).items():
        for value, expected in zip(found[:7], whole[layer][:7], strict=True):
            np.testing.assert_allclose(value, expected, rtol=1e-12)


def test_several_blocks_count_exactly_the_pairs_within_them(maps, monkeypatch):
    """With small blocks, all pairs of one identity count, and those pairs of two identities that share a block."""
    blocks = identity_blocks(labels, 0, max_images=8)
    monkeypatch.setattr(exploring, "identity_blocks", lambda *given: blocks)
    found = compare(maps, labels)["deep"]
    parts = [by_loops(maps["deep"][block], labels[block]) for block in blocks if len(set(labels[block])) > 1]
    assert found.n_same == sum(n * (n - 1) // 2 for n in np.bincount(labels))
    assert found.n_different == sum(part[5] for part in parts)
    expected = sum(part[1] * part[5] for part in parts) / found.n_different
    np.testing.assert_allclose(found.d_different, expected, rtol=1e-4)


@given(st.lists(st.integers(1, 30), min_size=2, max_size=40), st.integers(0, 3))
def test_blocks_hold_every_image_once_and_whole_identities(sizes, seed):
    """Blocks partition the images, respect the limit, keep small identities whole and hold two identities."""
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    blocks = identity_blocks(labels, seed, max_images=20)
    np.testing.assert_array_equal(np.sort(np.concatenate(blocks)), np.arange(len(labels)))
    assert max(map(len, blocks)) <= 20
    assert len(set(labels[blocks[0]])) >= 2
    for identity in np.flatnonzero(np.array(sizes) <= 10):
        assert sum(identity in labels[block] for block in blocks) == 1


def test_identities_with_many_images_are_split_at_random():
    """Each part has an equal share of each camera, and images from all over the original order."""
    labels, cams = np.repeat([0, 1], 1024), np.tile(np.repeat([0, 1], 512), 2)
    for block in identity_blocks(labels, 0, cams):
        for identity in (0, 1):
            mine = block[labels[block] == identity] - 1024 * identity
            assert np.bincount(cams[mine]).tolist() == [128, 128]
            assert 90 < (mine % 512 < 256).sum() < 166  # of 256, half but for chance
    (first, *_) = identity_blocks(labels, 0)
    assert np.abs(np.diff(first)).max() > 2


def test_choice_by_margin_and_by_dprime():
    """The margin prefers large maps, d' margins that are large for their spread; ties go to the lower index."""
    statistics = PairStatistics(
        d_same=np.array([1.0, 10.0, 0.0, 1.0]),
        d_different=np.array([3.0, 14.0, 0.0, 3.0]),
        std_same=np.array([0.5, 8.0, 0.0, 0.5]),
        std_different=np.array([0.5, 8.0, 0.0, 0.5]),
        n_same=3,
        n_different=9,
    )
    assert choose_filters(statistics, "margin", 4).tolist() == [1, 0, 3, 2]
    assert choose_filters(statistics, "dprime", 3).tolist() == [0, 3, 1]
