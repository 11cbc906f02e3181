"""The filter-and-refine search against brute force in float64: far offsets, scales, overflow, hidden rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from skreid._search import nearest as neighbors
from skreid._search.nearest import EuclideanMeasure, nearest_rows


def by_brute_force(distances, k, hidden=None):
    if hidden is not None:
        distances = np.where(hidden, np.inf, distances)
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    found = np.take_along_axis(distances, order, axis=1)
    return found, np.where(np.isinf(found), -1, order)


@given(st.integers(1, 60), st.integers(1, 9), st.integers(1, 8), st.integers(0, 5), st.integers(1, 4))
def test_hidden_rows_and_ties_equal_brute_force(n_gallery, n_probes, k, seed, n_keys):
    """Rows of the probe's own key are never found, ties keep the order, missing places are -1 at infinity."""
    rng = np.random.default_rng(seed)
    gallery, probes = rng.integers(0, 3, (n_gallery, 2)).astype(float), rng.integers(0, 3, (n_probes, 2)).astype(float)
    row_keys, probe_keys = rng.integers(0, n_keys, n_gallery), rng.integers(0, n_keys, n_probes)
    measure = EuclideanMeasure(gallery)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbors, "FIRST_ROWS", 1)
        patch.setattr(neighbors, "BLOCK_PROBES", 4)
        measure.numbers = 20
        found = nearest_rows(measure, probes, k, probe_keys=probe_keys, row_keys=row_keys)
    whole = cdist(probes, gallery)
    expected = by_brute_force(whole, min(k, n_gallery), probe_keys[:, None] == row_keys)
    np.testing.assert_array_equal(found[1][:, : expected[1].shape[1]], expected[1])
    np.testing.assert_allclose(found[0][:, : expected[0].shape[1]], expected[0])
    assert np.all(found[1][:, n_gallery:] == -1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("offset", "scale"), [(0, 1), (1e5, 1), (0, 1e-30), (3e3, 1e25), (-7, 1e15)])
def test_no_neighbour_is_lost_to_rounding(dtype, offset, scale):
    """Whatever the units and the origin, distances are those of differences in float64."""
    rng = np.random.default_rng(0)
    gallery = ((rng.normal(size=(3000, 17)) + offset) * scale).astype(dtype)
    probes = ((rng.normal(size=(40, 17)) + offset) * scale).astype(dtype)
    distances, indices = nearest_rows(EuclideanMeasure(gallery), probes, 6)
    expected = by_brute_force(cdist(probes.astype(float), gallery.astype(float)), 6)
    np.testing.assert_array_equal(indices, expected[1])
    np.testing.assert_allclose(distances, expected[0], rtol=1e-12)


@pytest.mark.parametrize("types", [(np.float32, np.float64), (np.float64, np.float32), (np.float16, np.float32)])
def test_probes_and_gallery_of_two_types_far_from_the_origin(types):
    """Both are moved by the same centre before float32 looks at them."""
    rng = np.random.default_rng(0)
    gallery, probes = (
        (10 + 1e-3 * rng.standard_normal((n, 16))).astype(dtype) for n, dtype in zip((3000, 200), types, strict=True)
    )
    found = nearest_rows(EuclideanMeasure(gallery), probes, 1)
    whole = cdist(probes.astype(float), gallery.astype(float))
    np.testing.assert_allclose(found[0][:, 0], whole.min(axis=1), rtol=1e-10)


def test_rows_too_large_for_float32_are_still_ranked():
    """A few rows beyond float32's range neither vanish nor hide others."""
    rng = np.random.default_rng(0)
    gallery = rng.normal(size=(20000, 5))
    gallery[[3, 9000, 19999]] *= 1e60
    probes = np.concatenate([gallery[[3, 9000]] * (1 + 1e-12), rng.normal(size=(3, 5))])
    found = nearest_rows(EuclideanMeasure(gallery), probes, 4)
    expected = by_brute_force(cdist(probes, gallery), 4)
    np.testing.assert_array_equal(found[1], expected[1])


def test_an_image_is_at_distance_zero_from_itself_and_first():
    """No cancellation: the copy of a probe is at 0.0, the copy of its copy next."""
    rng = np.random.default_rng(0)
    gallery = rng.normal(size=(500, 300)).astype(np.float32) + 100
    gallery[400] = gallery[7]
    distances, indices = nearest_rows(EuclideanMeasure(gallery), gallery, 2)
    assert distances[:, 0].max() == 0
    assert indices[7].tolist() == indices[400].tolist() == [7, 400]


@pytest.mark.parametrize("order", [1, -1])
def test_a_sorted_gallery_is_no_harder(order):
    """Rows that come nearer and nearer, all beating the best so far, are all ranked."""
    gallery = np.arange(30000.0)[::order, None]
    found = nearest_rows(EuclideanMeasure(gallery), np.zeros((1, 1)), 5)
    assert found[0].tolist() == [[0, 1, 2, 3, 4]]


@pytest.mark.parametrize("name", ["probes", "gallery"])
def test_nan_is_named(name):
    """The first bad row is told."""
    probes, gallery = np.zeros((5, 2)), np.zeros((5000, 2))
    (probes if name == "probes" else gallery)[3] = np.nan
    with pytest.raises(ValueError, match=rf"{name} contains NaN or infinity in row 3"):
        nearest_rows(EuclideanMeasure(gallery), probes, 2)


def test_infinity_is_named_where_no_sample_shows_it():
    """The centre is taken of every fourth row of so many; the second is read with its tile."""
    gallery = np.zeros((20_000, 2))
    gallery[1] = np.inf
    with pytest.raises(ValueError, match="gallery contains NaN or infinity in row 1"):
        nearest_rows(EuclideanMeasure(gallery), np.zeros((3, 2)), 2)
