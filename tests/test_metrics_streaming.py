"""Distances computed in blocks: the same figures as from the whole matrix, in bounded memory."""

import threading
import tracemalloc

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from threadpoolctl import threadpool_limits

from skreid.metrics import _problem as problem
from skreid.metrics import (
    distance_blocks,
    mean_average_precision,
    ranking_metrics,
    threshold_at_fmr,
    verification_curve,
)


def people(n_probe, n_gallery, n_features=8, seed=0):
    rng = np.random.default_rng(seed)
    y_probe, y_gallery = rng.integers(20, size=n_probe), rng.integers(20, size=n_gallery)
    means = rng.normal(size=(20, n_features))
    return (
        y_probe,
        y_gallery,
        means[y_probe] + rng.normal(size=(n_probe, n_features)),
        means[y_gallery] + rng.normal(size=(n_gallery, n_features)),
    )


@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean", "cosine"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_distances_are_scipys(metric, dtype):
    """Each block holds scipy's distances, far from the origin too."""
    _, _, a, b = people(13, 29)
    a, b = (a, b) if metric == "cosine" else (a + 100, b + 100)
    blocks = distance_blocks(a, b, metric=metric, dtype=dtype)
    assert blocks.shape == (13, 29)
    assert blocks(2, 9).dtype == dtype
    atol = 1e-12 if dtype == np.float64 else 1e-4
    np.testing.assert_allclose(blocks(2, 9), cdist(a, b, metric)[2:9], rtol=1e-4 if atol > 1e-9 else 1e-9, atol=atol)


@pytest.mark.parametrize("outlier", [1e5, 1e9, 1e100])
@pytest.mark.parametrize("n_gallery", [3, 29, 9000])
def test_an_outlier_leaves_the_other_distances_exact(outlier, n_gallery):
    """Although the mean of the gallery is then far from all other images."""
    _, _, probes, gallery = people(5, n_gallery)
    gallery[0] *= outlier
    found = distance_blocks(probes, gallery)(0, 5)
    np.testing.assert_allclose(found[:, 1:], cdist(probes, gallery[1:]), rtol=1e-9)
    np.testing.assert_array_equal(distance_blocks([[1.0], [0.0]], [[0.0], [1.0], [1e9]])(0, 2)[:, :2], [[1, 0], [0, 1]])


@pytest.mark.parametrize("n_different", [13, 50, 53])  # matrix products alone fail some of these
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equal_descriptors_tie_to_the_last_bit(dtype, n_different):
    """Equal gallery descriptors, including 0.0 and -0.0, have equal distances, so that they never score."""
    rng = np.random.default_rng(0)
    gallery = rng.normal(size=(n_different, 64)).astype(np.float32)
    gallery[:, 0] = 0.0
    gallery = np.concatenate([gallery] * 3)[rng.permutation(3 * n_different)]
    gallery[::2, 0] = -0.0
    blocks = distance_blocks(rng.normal(size=(3, 64)).astype(np.float32), gallery, dtype=dtype)
    for start, stop in ((0, 1), (0, 2), (0, 3)):
        block = blocks(start, stop)
        for j in range(len(gallery)):
            twins = np.flatnonzero((gallery == gallery[j]).all(axis=1))
            assert len(twins) == 3
            assert (block[:, twins] == block[:, [j]]).all()


@pytest.mark.parametrize("block_size", [None, 1, 7, 1000])
def test_a_callable_has_the_figures_of_its_matrix(block_size):
    """A callable has the figures of the matrix it would fill, for every block size."""
    y_probe, y_gallery, a, b = people(40, 90)
    blocks = distance_blocks(a, b)
    whole = blocks(0, 40)
    expected = ranking_metrics(y_probe, y_gallery, whole)
    got = ranking_metrics(y_probe, y_gallery, blocks, block_size=block_size)
    np.testing.assert_allclose(got.cmc, expected.cmc)
    assert got.mean_average_precision == pytest.approx(expected.mean_average_precision, abs=1e-9)
    exact = lambda start, stop: whole[start:stop]  # noqa: E731
    args = (y_probe, y_gallery)
    assert (
        verification_curve(*args, exact, block_size=block_size).equal_error_rate
        == verification_curve(*args, whole).equal_error_rate
    )
    assert threshold_at_fmr(*args, exact, fmr=0.03, block_size=block_size) == threshold_at_fmr(*args, whole, fmr=0.03)


def test_memory_does_not_grow_with_probes():
    """Ten times the probes have the same peak, apart from the few values kept per probe."""
    peaks = []
    for n_probe in (300, 3000):
        y_probe, _, a, b = people(n_probe, 2000)
        tracemalloc.start()
        mean_average_precision(y_probe, np.arange(2000), distance_blocks(a, b), block_size=50)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 300 * 3000  # the matrix would be 48 MB more
    assert peaks[1] < 6 * 50 * 2000 * 8


@pytest.mark.parametrize(
    ("args", "options", "message"),
    [
        ((np.ones((2, 3)), np.ones((2, 4))), {}, r"Got \(2, 3\) and \(2, 4\)"),
        ((np.ones(3), np.ones((2, 3))), {}, "must have shape"),
        (
            (np.ones((2, 3)), np.ones((2, 3))),
            {"metric": "manhattan"},
            "'metric' parameter of distance_blocks",
        ),
        ((np.array([[1.0], [np.nan]]), np.ones((2, 1))), {}, "X_probe contains NaN or infinity in row 1"),
        ((np.ones((2, 1)), np.array([[np.inf], [1.0]])), {}, "X_gallery contains NaN or infinity in row 0"),
    ],
)
def test_descriptors_that_cannot_be_compared_are_named(args, options, message):
    """The error has the row or the shape."""
    with pytest.raises(ValueError, match=message):
        distance_blocks(*args, **options)


def ranked(distances, block_size=None):
    y_probe, y_gallery, *_ = people(60, 300)
    return ranking_metrics(y_probe, y_gallery, distances, block_size=block_size)


def test_blocks_of_a_matrix_ranked_in_threads_stay_in_order():
    """Many blocks in several threads have the ranks of one block, probe by probe."""
    distances = np.random.default_rng(1).random((60, 300))
    with threadpool_limits(3, user_api="blas"):
        blocks = ranked(distances, block_size=1)
    whole = ranked(distances)
    assert len(np.unique(whole.first_rank)) > 10
    np.testing.assert_array_equal(blocks.first_rank, whole.first_rank)
    np.testing.assert_array_equal(blocks.average_precision, whole.average_precision)


def test_the_first_probe_with_a_bad_distance_is_named_whichever_thread_meets_one_first():
    """Several blocks have a bad distance; the error is that of the first."""
    distances = np.random.default_rng(1).random((60, 300))
    distances[7:, 5] = np.nan
    with threadpool_limits(3, user_api="blas"), pytest.raises(ValueError, match="nan for probe 7 and gallery image 5"):
        ranked(distances, block_size=5)


def test_a_callable_is_called_in_order_by_the_thread_that_asks_for_figures():
    """Not every callable allows threads."""
    distances, calls = np.random.default_rng(1).random((60, 300)), []

    def rows(start, stop):
        calls.append((start, threading.current_thread()))
        return distances[start:stop]

    with threadpool_limits(3, user_api="blas"):
        ranked(rows, block_size=5)
    assert calls == [(start, threading.current_thread()) for start in range(0, 60, 5)]


def test_a_matrix_is_ranked_in_as_many_threads_as_numpys_products_use(monkeypatch):
    """None are started where these are limited to one, as in the processes of joblib."""
    asked, pool = [], problem.ThreadPoolExecutor
    monkeypatch.setattr(problem, "ThreadPoolExecutor", lambda n_threads: asked.append(n_threads) or pool(n_threads))
    for n_threads in (3, 1):
        with threadpool_limits(n_threads, user_api="blas"):
            ranked(np.random.default_rng(1).random((60, 300)), block_size=5)
    assert asked == [3]
