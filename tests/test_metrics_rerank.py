"""k-reciprocal re-ranking against its definition on the full joint matrix, with Python sets."""

import numpy as np
import pytest

from skreid.metrics import k_reciprocal_rerank, mean_average_precision


def reference(D, P, G, k1, k2, lam):
    """Follow Zhong et al. (2017) image by image on dense matrices."""
    n_probe, n = len(D), len(D) + D.shape[1]
    joint = np.block([[P, D], [D.T, G]]) ** 2
    joint = joint / joint.max(axis=1, keepdims=True)
    order = [[i, *sorted((j for j in range(n) if j != i), key=lambda j, i=i: (joint[i, j], j))] for i in range(n)]

    def reciprocal(i, k):
        return {j for j in order[i][: k + 1] if i in order[j][: k + 1]}

    V = np.zeros((n, n))
    for i in range(n):
        base = reciprocal(i, k1)
        members = set(base)
        for j in base:
            candidate = reciprocal(j, int(np.around(k1 / 2)))
            if len(candidate & base) > 2 / 3 * len(candidate):
                members |= candidate
        for j in members:
            V[i, j] = np.exp(-joint[i, j])
        V[i] /= V[i].sum()
    V = np.array([V[order[i][:k2]].mean(axis=0) for i in range(n)])
    jaccard = np.array(
        [
            [1 - np.minimum(V[i], V[j]).sum() / np.maximum(V[i], V[j]).sum() for j in range(n_probe, n)]
            for i in range(n_probe)
        ]
    )
    return (1 - lam) * jaccard + lam * joint[:n_probe, n_probe:]


def between(a, b):
    return np.sqrt(((a[:, None] - b) ** 2).sum(axis=2))


@pytest.mark.parametrize("seed", range(12))
def test_distances_equal_the_definition(seed):
    """All settings, tied distances and neighbourhoods larger than the data follow the definition."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(rng.integers(1, 9), 3)), rng.normal(size=(rng.integers(1, 30), 3))
    if seed % 3 == 0:
        a, b = a.round(), b.round()
    D, P, G = between(a, b), between(a, a), between(b, b)
    k1, k2, lam = int(rng.integers(1, 25)), int(rng.integers(1, 8)), float(rng.random())
    got = k_reciprocal_rerank(D, P, G, k1=k1, k2=k2, lambda_value=lam)
    np.testing.assert_allclose(got, reference(D, P, G, k1, k2, lam), atol=1e-10)


def test_blocks_of_rows_change_nothing(monkeypatch):
    """Blocks that straddle probes and gallery have the same distances."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(7, 3)), rng.normal(size=(20, 3))
    args = between(a, b), between(a, a), between(b, b)
    whole = k_reciprocal_rerank(*args, k1=6, k2=3)
    monkeypatch.setattr("skreid.metrics._rerank._ROWS", 4)
    np.testing.assert_array_equal(k_reciprocal_rerank(*args, k1=6, k2=3), whole)


def test_reranking_raises_map_on_clustered_descriptors():
    """The method is made for tight neighbourhoods."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(20), 8)
    x = rng.normal(size=(20, 16))[y] + 0.9 * rng.normal(size=(160, 16))
    p, g = slice(0, None, 8), np.arange(160) % 8 > 0
    D = between(x[p], x[g])
    refined = k_reciprocal_rerank(D, between(x[p], x[p]), between(x[g], x[g]), k1=8, k2=3)
    assert mean_average_precision(y[p], y[g], refined) > mean_average_precision(y[p], y[g], D) + 0.05


def test_identical_descriptors_have_finite_distances():
    """There is no warning of a division by zero."""
    assert np.isfinite(k_reciprocal_rerank(np.zeros((3, 9)), np.zeros((3, 3)), np.zeros((9, 9)), k1=2, k2=2)).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k1": 0}, "'k1' parameter of k_reciprocal_rerank"),
        ({"k2": 1.5}, "'k2' parameter"),
        ({"lambda_value": 1.1}, "'lambda_value' parameter"),
        ({"probe_distances": np.zeros((3, 3))}, r"probe_distances must have shape \(2, 2\)"),
        ({"gallery_distances": np.zeros((2, 3))}, r"gallery_distances must have shape \(3, 3\)"),
        ({"distances": np.array([[0, 1, np.nan], [0, 0, 0]])}, "Got nan at row 0, column 2"),
        ({"distances": np.array([[0, 1, 1.0], [0, -1, 0]])}, "Got -1.0 at row 1, column 1"),
    ],
)
def test_bad_arguments_are_named(change, message):
    """Each error names the argument."""
    good = {
        "distances": np.ones((2, 3)),
        "probe_distances": np.ones((2, 2)),
        "gallery_distances": np.ones((3, 3)),
    }
    with pytest.raises(ValueError, match=message):
        k_reciprocal_rerank(**{**good, **change})
