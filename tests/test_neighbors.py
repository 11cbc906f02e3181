"""The filter-and-refine search against brute force in float64: far offsets, scales, overflow, hidden rows."""

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st

from skreid._search import nearest
from skreid._search.measures import EuclideanMeasure
from skreid._search.nearest import nearest_rows
from skreid.gallery import Gallery


@given(st.integers(1, 60), st.integers(1, 9), st.integers(1, 8), st.integers(0, 5), st.integers(1, 4))
def test_hidden_rows_and_ties_equal_brute_force(n_gallery, n_probes, k, seed, n_keys):
    """Rows with the probe's own key are left out, ties keep the gallery's order, and short rankings are padded."""
    rng = np.random.default_rng(seed)
    gallery, probes = rng.integers(0, 3, (n_gallery, 2)).astype(float), rng.integers(0, 3, (n_probes, 2)).astype(float)
    row_keys, probe_keys = rng.integers(0, n_keys, n_gallery), rng.integers(0, n_keys, n_probes)
    measure = EuclideanMeasure(gallery)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nearest, "FIRST_ROWS", 1)
        patch.setattr(nearest, "BLOCK_PROBES", 4)
        measure.n_bounds = 20
        distances, indices = nearest_rows(measure, probes, k, probe_keys=probe_keys, row_keys=row_keys)
    expected = reference.nearest(probes, gallery, k, probe_keys[:, None] == row_keys)
    np.testing.assert_array_equal(indices, expected[1])
    np.testing.assert_allclose(distances, expected[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("offset", "scale"), [(0, 1), (1e5, 1), (0, 1e-30), (3e3, 1e25), (-7, 1e15)])
def test_no_neighbour_is_lost_to_rounding(dtype, offset, scale):
    """In any units and about any origin, distances are those of differences in float64."""
    rng = np.random.default_rng(0)
    gallery = ((rng.normal(size=(3000, 17)) + offset) * scale).astype(dtype)
    probes = ((rng.normal(size=(40, 17)) + offset) * scale).astype(dtype)
    distances, indices = nearest_rows(EuclideanMeasure(gallery), probes, 6)
    expected = reference.nearest(probes, gallery, 6)
    np.testing.assert_array_equal(indices, expected[1])
    np.testing.assert_allclose(distances, expected[0], rtol=1e-12)


@pytest.mark.parametrize("types", [(np.float32, np.float64), (np.float64, np.float32), (np.float16, np.float32)])
def test_probes_and_gallery_of_two_dtypes_far_from_the_origin(types):
    """Both are shifted by the same centre before they are rounded to float32."""
    rng = np.random.default_rng(0)
    gallery, probes = (
        (10 + 1e-3 * rng.standard_normal((n, 16))).astype(dtype) for n, dtype in zip((3000, 200), types, strict=True)
    )
    distances, _ = nearest_rows(EuclideanMeasure(gallery), probes, 1)
    np.testing.assert_allclose(distances, reference.nearest(probes, gallery, 1)[0], rtol=1e-10)


def test_rows_too_large_for_float32_are_still_ranked():
    """A few rows beyond float32's range neither vanish nor hide others."""
    rng = np.random.default_rng(0)
    gallery = rng.normal(size=(20000, 5))
    gallery[[3, 9000, 19999]] *= 1e60
    probes = np.concatenate([gallery[[3, 9000]] * (1 + 1e-12), rng.normal(size=(3, 5))])
    _, indices = nearest_rows(EuclideanMeasure(gallery), probes, 4)
    np.testing.assert_array_equal(indices, reference.nearest(probes, gallery, 4)[1])


def test_an_image_is_at_distance_zero_from_itself_and_first():
    """No cancellation: a probe is at 0.0 from itself, and its copy comes next."""
    rng = np.random.default_rng(0)
    gallery = rng.normal(size=(500, 300)).astype(np.float32) + 100
    gallery[400] = gallery[7]
    distances, indices = nearest_rows(EuclideanMeasure(gallery), gallery, 2)
    assert distances[:, 0].max() == 0
    assert indices[7].tolist() == indices[400].tolist() == [7, 400]


@pytest.mark.parametrize("order", [1, -1])
def test_a_gallery_sorted_by_distance_is_ranked(order):
    """Rows may come in any order, even if each row is nearer than all before it."""
    gallery = np.arange(30000.0)[::order, None]
    distances, _ = nearest_rows(EuclideanMeasure(gallery), np.zeros((1, 1)), 5)
    assert distances.tolist() == [[0, 1, 2, 3, 4]]


@pytest.mark.parametrize("name", ["probes", "gallery"])
def test_the_first_row_with_nan_is_named(name):
    """It may be in the probes or in the gallery."""
    probes, gallery = np.zeros((5, 2)), np.zeros((5000, 2))
    (probes if name == "probes" else gallery)[3] = np.nan
    with pytest.raises(ValueError, match=rf"{name} contains NaN or infinity in row 3"):
        nearest_rows(EuclideanMeasure(gallery), probes, 2)


def test_infinity_in_a_row_outside_the_sample_is_named():
    """The centre is the mean of every fourth row here; the second row is checked with its tile."""
    gallery = np.zeros((20_000, 2))
    gallery[1] = np.inf
    with pytest.raises(ValueError, match="gallery contains NaN or infinity in row 1"):
        nearest_rows(EuclideanMeasure(gallery), np.zeros((3, 2)), 2)


@pytest.mark.parametrize("n_neighbors", [0, 10**6, "5"])
def test_errors_of_kneighbors_name_it(fitted, people, n_neighbors):
    """Not `rank_gallery`, which it calls; a Gallery is refused before the probes are described."""
    descriptors = fitted.transform(people.images[:3])
    for gallery in (descriptors, Gallery(descriptors)):
        with pytest.raises(ValueError, match=r"'n_neighbors' parameter of MultiDepthReID.kneighbors must be"):
            fitted.kneighbors(descriptors, gallery, n_neighbors=n_neighbors)
