"""Eq. 1 against scipy and hand-written loops, and the compact form against frame-size distances."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import uniform_filter

from skreid._filters.smoothing import BoxFilter, compact_maps, compact_operator, smooth_maps, smoothing_operator

sizes = st.tuples(st.integers(1, 6), st.integers(1, 5), st.integers(1, 24), st.integers(1, 24))


def upsample_by_hand(row, size):
    """Bilinear with half-pixel centres and clamped ends, written as a loop."""
    out = np.empty(size)
    for pixel in range(size):
        place = max((pixel + 0.5) * len(row) / size - 0.5, 0)
        left = min(int(place), len(row) - 1)
        right = min(left + 1, len(row) - 1)
        out[pixel] = row[left] + (place - left) * (row[right] - row[left])
    return out


@pytest.mark.parametrize("frame", [8, 9, 31])
def test_upsampling_is_bilinear_with_half_pixel_centres(frame):
    """With a box of one pixel, the operator equals bilinear upsampling computed by a loop."""
    row = np.random.default_rng(0).normal(size=5)
    np.testing.assert_allclose(smoothing_operator(5, frame, 1) @ row, upsample_by_hand(row, frame), atol=1e-12)


@given(sizes, st.integers(1, 60))
def test_smoothed_maps_equal_scipys_box_filter(size, blur):
    """Smoothed maps equal upsampling by torch and filtering by scipy, also for boxes larger than the frame."""
    h, w, height, width = size
    maps = torch.rand(2, 3, h, w, dtype=torch.float64, generator=torch.Generator().manual_seed(blur))
    upsampled = torch.nn.functional.interpolate(maps, size=(height, width), mode="bilinear").numpy()
    expected = uniform_filter(upsampled, size=(1, 1, blur, blur), mode="mirror")
    np.testing.assert_allclose(smooth_maps(maps, (height, width), BoxFilter(blur, blur)), expected, atol=1e-10)


@given(sizes, st.integers(1, 60), st.sampled_from(["pixel", "box"]))
def test_compact_maps_keep_every_distance(size, blur, sampling):
    """Distances between compact maps equal those between smoothed maps of frame size."""
    h, w, height, width = size
    maps = torch.rand(4, 2, h, w, dtype=torch.float64, generator=torch.Generator().manual_seed(blur))
    box = BoxFilter(blur, blur, sampling)
    whole = smooth_maps(maps, (height, width), box).flatten(2)
    compact = compact_maps(maps, (height, width), box)
    n_boxes = [max(1, round(side / blur)) if sampling == "box" else np.inf for side in (height, width)]
    assert compact.shape == (4, 2, min(h, n_boxes[0]), min(w, n_boxes[1]))
    one = compact_maps(maps, (height, width), box, chosen=torch.tensor([1]))
    torch.testing.assert_close(one, compact[:, 1:], rtol=1e-10, atol=1e-12)
    apart = torch.cdist(whole.transpose(0, 1), whole.transpose(0, 1), compute_mode="donot_use_mm_for_euclid_dist")
    near = compact.flatten(2).transpose(0, 1)
    torch.testing.assert_close(
        torch.cdist(near, near, compute_mode="donot_use_mm_for_euclid_dist"), apart, rtol=1e-8, atol=1e-7
    )


def test_a_constant_map_stays_constant():
    """Every row of the operator sums to one: smoothing makes no dark border."""
    np.testing.assert_allclose(smoothing_operator(10, 160, 20).sum(axis=1), 1)


def test_compact_values_stay_near_their_cell():
    """Nearly all weight of a compact value lies within one box width of its own cell."""
    factor = compact_operator(40, 160, 20) ** 2
    cells = np.arange(40)
    near = np.abs(cells[:, None] - cells) * 4 <= 20
    assert (factor * near).sum() / factor.sum() > 0.99


def test_cached_operators_are_read_only():
    """A caller cannot change the operator that others share."""
    with pytest.raises(ValueError, match="read-only"):
        smoothing_operator(4, 8, 3)[0, 0] = 1


@pytest.mark.parametrize("blur", [(3, None), (None, 4), (None, None)])
def test_a_box_over_a_whole_axis_takes_its_mean(blur):
    """Smoothed maps are constant along that axis, and one value per row or column keeps their distances."""
    maps = torch.rand(6, 2, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    up = torch.nn.functional.interpolate(maps, size=(20, 9), mode="bilinear")
    whole = [axis for axis, side in zip((2, 3), blur, strict=True) if side is None]
    box = BoxFilter(*blur)
    smooth, compact = smooth_maps(maps, (20, 9), box), compact_maps(maps, (20, 9), box)
    turned = compact_maps(maps, (20, 9), box, chosen=torch.tensor([1, 0]))
    np.testing.assert_allclose(turned, compact.flip(1), atol=1e-12)
    for axis in whole:
        np.testing.assert_allclose(smooth.mean(dim=axis, keepdim=True).expand_as(smooth), smooth, atol=1e-12)
        assert compact.shape[axis] == 1
    if blur == (None, None):
        np.testing.assert_allclose(smooth.mean(dim=(2, 3)), up.mean(dim=(2, 3)))
    np.testing.assert_allclose(torch.cdist(*[compact.flatten(1)] * 2), torch.cdist(*[smooth.flatten(1)] * 2), atol=1e-6)


@given(sizes, st.integers(1, 60))
def test_boxes_side_by_side_take_the_means_of_their_pixels(size, blur):
    """They tile the frame, as many as fit best, and their heights differ by one pixel at most."""
    _, w, height, _ = size
    maps = torch.rand(2, 3, w, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(blur))
    rows = torch.nn.functional.interpolate(maps, size=(height, 1), mode="bilinear")[..., 0].numpy()
    smooth = smooth_maps(maps, (height, 1), BoxFilter(blur, None, "box"))[..., 0].numpy()
    n_boxes = max(1, round(height / blur))
    ends = np.rint(height * np.arange(n_boxes + 1) / n_boxes).astype(int)
    assert np.ptp(np.diff(ends)) <= 1
    for top, bottom in pairwise(ends):
        expected = rows[..., top:bottom].mean(axis=2, keepdims=True)
        np.testing.assert_allclose(smooth[..., top:bottom], np.repeat(expected, bottom - top, axis=2), atol=1e-12)


def test_eight_strips_of_a_frame():
    """By hand: strips of 20 rows in a frame of 160, from a map with one row per four rows of the frame."""
    operator = compact_operator(40, 160, 20, "box")
    assert operator.shape == (8, 40)
    np.testing.assert_allclose(operator.sum(axis=1), 20**0.5)
    weights = operator[3] / 20**0.5  # of the rows of the map from 60 to 80 pixels: rows 15 to 19, and one beside each
    np.testing.assert_allclose(weights[15:20], [0.175, 0.2, 0.2, 0.2, 0.175], atol=1e-12)
    np.testing.assert_allclose(weights[[14, 20]], 0.025, atol=1e-12)
