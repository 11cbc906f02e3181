"""CVDCA and KCVDCA against the objective written as loops over pairs."""

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose
from scipy.linalg import block_diag, eigh
from sklearn.base import clone
from sklearn.metrics.pairwise import euclidean_distances, rbf_kernel
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skreid.metric_learning import CVDCA, KCVDCA


def make_views(n_ids=9, n_features=5, n_cams=3, seed=0, shots=(1, 2)):
    """Return descriptors of unbalanced identities and cameras: X, y, cams."""
    rng = np.random.default_rng(seed)
    person = rng.normal(size=(n_ids, n_features))
    warp = np.eye(n_features) + 0.4 * rng.normal(size=(n_cams, n_features, n_features))
    y, cams = [], []
    for identity in range(n_ids):
        for camera in range(n_cams):
            count = rng.integers(*shots, endpoint=True)
            y += [identity] * count
            cams += [camera] * count
    y, cams = np.array(y), np.array(cams)
    X = np.einsum("nd,nde->ne", person[y], warp[cams]) + 0.2 * rng.normal(size=(len(y), n_features))
    return X, y, cams


def objective(U, X, y, cams, view_reg, negative_weight, within_weight):
    """Sum the published objective pair by pair, for U (n_views, d, r)."""
    total = 0.0
    for p in range(len(U)):
        for q in range(p, len(U)):
            pairs = [(i, j) for i in np.flatnonzero(cams == p) for j in np.flatnonzero(cams == q) if i != j]
            n_same = sum(y[i] == y[j] for i, j in pairs)
            for i, j in pairs:
                weight = 1 / n_same if y[i] == y[j] else -negative_weight / (len(pairs) - n_same)
                scale = within_weight if p == q else 1.0
                total += scale * weight * ((U[p].T @ X[i] - U[q].T @ X[j]) ** 2).sum()
            if p < q:
                total += view_reg * ((U[p] - U[q]) ** 2).sum()
    return total


def constraint(X, cams, reg):
    """Return the block-diagonal matrix M of the constraint."""
    blocks = []
    for camera in np.unique(cams):
        second = X[cams == camera].T @ X[cams == camera] / (cams == camera).sum()
        blocks.append(second + reg * np.diag(second).mean() * np.eye(X.shape[1]))
    return block_diag(*blocks)


def objective_matrix(X, y, cams, **weights):
    """Return the matrix of the objective for one component, found by polarisation of `objective`."""
    n_views, d = len(np.unique(cams)), X.shape[1]

    def value(u):
        return objective(u.reshape(n_views, d, 1), X, y, cams, **weights)

    basis = np.eye(n_views * d)
    single = [value(e) for e in basis]
    return np.array(
        [[(value(e + f) - a - b) / 2 for f, b in zip(basis, single, strict=True)]
         for e, a in zip(basis, single, strict=True)]
    )  # fmt: skip


WEIGHTS = {"view_reg": 0.3, "negative_weight": 0.7, "within_weight": 0.6}


def test_projections_are_the_exact_minimisers_of_the_objective():
    """The eigenvalues sum to the objective, and the constraint is met."""
    X, y, cams = make_views(n_ids=6, n_features=4, n_cams=3)
    metric = CVDCA(n_components=3, reg=0.05, **WEIGHTS).fit(X, y, cams)
    U = metric.components_.transpose(0, 2, 1)
    assert_allclose(objective(U, X, y, cams, **WEIGHTS), metric.eigenvalues_.sum(), rtol=1e-9)
    stacked, M = U.reshape(-1, 3), constraint(X, cams, 0.05)
    assert_allclose(stacked.T @ M @ stacked, np.eye(3), atol=1e-10)
    values, vectors = eigh(objective_matrix(X, y, cams, **WEIGHTS), M)
    assert_allclose(metric.eigenvalues_, values[:3], rtol=1e-8)
    assert_allclose(np.abs(np.sum(vectors[:, :3] * (M @ stacked), axis=0)), 1, rtol=1e-6)


def test_solution_in_the_span_of_the_data_is_the_minimum_over_all_dimensions():
    X, y, cams = make_views(n_ids=4, n_features=14, n_cams=2, shots=(1, 1))
    metric = CVDCA(n_components=2, reg=0.1, **WEIGHTS).fit(X, y, cams)
    A, M = objective_matrix(X, y, cams, **WEIGHTS), constraint(X, cams, 0.1)
    assert X.shape == (8, 14)
    assert_allclose(metric.eigenvalues_, eigh(A, M, eigvals_only=True)[:2], rtol=1e-8)
    U = metric.components_.transpose(0, 2, 1)
    assert_allclose(objective(U, X, y, cams, **WEIGHTS), metric.eigenvalues_.sum(), rtol=1e-8)


def test_projections_become_equal_as_the_penalty_grows():
    """view_reg=np.inf is the limit."""
    X, y, cams = make_views(n_ids=12)

    def spread(view_reg):
        U = CVDCA(n_components=2, view_reg=view_reg).fit(X, y, cams).components_
        return np.abs(U - U.mean(axis=0)).max() / np.abs(U).max()

    spreads = [spread(view_reg) for view_reg in (1e-3, 1.0, 1e3, 1e6)]
    assert spreads == sorted(spreads, reverse=True)
    assert spreads[0] > 0.1
    assert spreads[-1] < 1e-4
    assert spread(np.inf) < 1e-15
    near = CVDCA(n_components=2, view_reg=1e6).fit(X, y, cams)
    limit = CVDCA(n_components=2, view_reg=np.inf).fit(X, y, cams)
    assert_allclose(near.components_, limit.components_, atol=1e-4)
    assert_allclose(
        limit.pairwise_distances(X, X, cams_probe=cams, cams_gallery=cams),
        limit.pairwise_distances(X, X),
        atol=1e-6,
    )


def test_images_are_projected_by_their_camera_or_by_the_mean_projection():
    X, y, cams = make_views()
    metric = CVDCA(n_components=2, normalize=None).fit(X, y, np.array(["a", "b", "c"])[cams])
    assert metric.cameras_.tolist() == ["a", "b", "c"]
    a, b, c = metric.components_
    distances = metric.pairwise_distances(X[:2], X[2:5], cams_probe=["c", "a"], cams_gallery=["b"] * 3)
    probe = np.vstack([X[0] @ c.T, X[1] @ a.T])
    assert_allclose(distances, euclidean_distances(probe, X[2:5] @ b.T), atol=1e-9)
    assert_allclose(metric.transform(X), X @ ((a + b + c) / 3).T, atol=1e-9)
    with pytest.raises(ValueError, match="cams_probe holds camera 'z', which was not in fit"):
        metric.pairwise_distances(X[:2], X[2:5], cams_probe=["a", "z"], cams_gallery=["b"] * 3)
    with pytest.raises(ValueError, match="cams holds camera 0, which was not in fit"):
        metric.transform(X[:2], [0, 1])
    with pytest.raises(ValueError, match="cams contains None at index 1"):
        metric.transform(X[:2], ["a", None])
    with pytest.raises(ValueError, match="cams_gallery has 2 entries but there are 3 samples"):
        metric.pairwise_distances(X[:2], X[2:5], cams_probe=["a", "b"], cams_gallery=["a", "b"])
    np.testing.assert_array_equal(
        CVDCA(n_components=2, normalize=None).fit_transform(X, y, cams),
        metric.transform(X, np.array(["a", "b", "c"])[cams]),
    )


def test_projections_per_camera_beat_the_mean_projection():
    """If cameras permute the features, only projections per camera recognise people."""
    rng = np.random.default_rng(3)
    person = rng.normal(size=(150, 10))
    X = np.vstack([person, np.roll(person, 3, axis=1)]) + 0.3 * rng.normal(size=(300, 10))
    y, cams = np.tile(np.arange(150), 2), np.repeat([0, 1], 150)
    train, probe, gallery = y < 90, (y >= 90) & (cams == 0), (y >= 90) & (cams == 1)
    metric = CVDCA(n_components=10).fit(X[train], y[train], cams[train])
    own = metric.pairwise_distances(X[probe], X[gallery], cams_probe=cams[probe], cams_gallery=cams[gallery])
    mean = metric.pairwise_distances(X[probe], X[gallery])
    hits = [(d.argmin(axis=1) == np.arange(60)).mean() for d in (own, mean, euclidean_distances(X[probe], X[gallery]))]
    assert hits[0] > 0.8
    assert hits[1] < hits[0]
    assert hits[2] < 0.1


def test_without_cams_there_is_one_projection():
    """It is learned from all pairs of images, and cameras given to transform are ignored."""
    X, y, cams = make_views()
    metric = CVDCA(n_components=2, negative_weight=0.5, within_weight=0.0).fit(X, y)
    assert metric.cameras_ is None
    assert metric.components_.shape == (1, 2, 5)
    U, one = metric.components_.transpose(0, 2, 1), np.zeros(len(X), dtype=int)
    expected = objective(U, X, y, one, view_reg=0.0, negative_weight=0.5, within_weight=1.0)
    assert_allclose(expected, metric.eigenvalues_.sum(), rtol=1e-9)
    np.testing.assert_array_equal(metric.transform(X, cams), metric.transform(X))


@pytest.mark.parametrize("view_reg", [0.01, np.inf])
def test_default_keeps_the_components_of_negative_cost(view_reg):
    """They are the minimisers in one; without pairs of different people no cost is negative, and one is kept."""
    X, y, cams = make_views(n_ids=30, n_features=12)
    metric = CVDCA(view_reg=view_reg).fit(X, y, cams)
    every = CVDCA(n_components=12, view_reg=view_reg).fit(X, y, cams)
    assert 1 < metric.n_components_ < 12
    assert metric.n_components_ == (every.eigenvalues_ < 0).sum()
    assert_allclose(metric.components_, every.components_[:, : metric.n_components_], atol=1e-7)
    assert CVDCA(view_reg=view_reg, negative_weight=0).fit(X, y, cams).n_components_ == 1


def test_zero_costs_are_not_negative_through_rounding():
    """A linear kernel has as many directions as features; all other weights of the images cost nothing."""
    X, y, cams = make_views(n_ids=30, n_features=4)
    metric = KCVDCA(kernel="linear", reg=1e-6, view_reg=np.inf, negative_weight=1.0).fit(X, y, cams)
    assert metric.n_components_ <= 4


@pytest.mark.parametrize("metric", [CVDCA(), KCVDCA()])
@pytest.mark.parametrize("views", [None, [0, 1, 2, 0]])
def test_projections_have_unit_length_unless_told_otherwise(metric, views):
    """Distances are those of the directions of the projections; a row that is projected to zero stays there."""
    X, y, cams = make_views()
    metric = clone(metric).set_params(n_components=3).fit(X, y, cams)
    raw = clone(metric).set_params(normalize=None).fit(X, y, cams).transform(X[:4], views)
    directions = raw / np.sqrt((raw**2).sum(axis=1))[:, None]
    assert_allclose(metric.transform(X[:4], views), directions, rtol=1e-9)
    distances = metric.pairwise_distances(X[:4], X[:4], cams_probe=views, cams_gallery=views)
    assert_allclose(distances**2, 2 - 2 * directions @ directions.T, atol=1e-9)
    if isinstance(metric, CVDCA):
        np.testing.assert_array_equal(metric.transform(np.zeros((1, 5))), np.zeros((1, 3)))


@pytest.mark.parametrize("metric", [CVDCA(), KCVDCA()])
def test_metrics_saved_before_they_had_a_length_keep_their_projections(metric):
    """Their state has no `normalize`."""
    X, y, cams = make_views()
    raw = clone(metric).set_params(normalize=None).fit(X, y, cams)
    state = raw.__getstate__()
    del state["normalize"]
    old = type(metric).__new__(type(metric))
    old.__setstate__(state)
    np.testing.assert_array_equal(old.transform(X), raw.transform(X))


@pytest.mark.parametrize("kernel", ["rbf", "linear", "poly", "laplacian", "cosine"])
def test_kcvdca_is_cvdca_of_kernel_columns(kernel):
    X, y, cams = make_views(n_ids=8, n_cams=2, shots=(1, 1))
    metric = KCVDCA(n_components=2, kernel=kernel, reg=0.05, **WEIGHTS).fit(X, y, cams)
    columns = metric._kernel(X)
    assert columns.shape == (len(X), len(X))
    plain = CVDCA(n_components=2, reg=0.05, **WEIGHTS).fit(columns, y, cams)
    assert_allclose(metric.eigenvalues_, plain.eigenvalues_, rtol=1e-6)
    assert_allclose(
        metric.pairwise_distances(X[:4], X, cams_probe=cams[:4], cams_gallery=cams),
        plain.pairwise_distances(columns[:4], columns, cams_probe=cams[:4], cams_gallery=cams),
        rtol=1e-5,
        atol=1e-8,
    )


def test_kcvdca_with_a_linear_kernel_and_no_penalties_is_cvdca():
    """Weights of the training images express the same projections as weights of the features."""
    X, y, cams = make_views(n_ids=12, n_features=4)
    free = {"reg": 1e-6, "view_reg": 0.0, "negative_weight": 0.5, "normalize": None}
    kernel, plain = (metric.fit(X, y, cams) for metric in (KCVDCA(kernel="linear", **free), CVDCA(**free)))
    assert_allclose(kernel.eigenvalues_, plain.eigenvalues_, rtol=1e-3)
    views = {"cams_probe": cams[:5], "cams_gallery": cams[5:]}
    assert_allclose(*(m.pairwise_distances(X[:5], X[5:], **views) for m in (kernel, plain)), rtol=1e-3)


def test_kcvdca_minimises_the_objective_on_rbf_columns():
    """The RBF has the documented width."""
    X, y, cams = make_views(n_ids=6, n_cams=2, shots=(1, 1))
    metric = KCVDCA(n_components=2, reg=0.1, **WEIGHTS).fit(X, y, cams)
    K = rbf_kernel(X, gamma=1 / (4 * (euclidean_distances(X) ** 2).mean()))
    U = metric.dual_components_.transpose(0, 2, 1)
    assert_allclose(objective(U, K, y, cams, **WEIGHTS), metric.eigenvalues_.sum(), rtol=1e-8)
    stacked = U.reshape(-1, 2)
    assert_allclose(stacked.T @ constraint(K, cams, 0.1) @ stacked, np.eye(2), atol=1e-9)


def test_chi2_kernel_works_on_non_negative_features():
    X, y, cams = make_views()
    assert KCVDCA(kernel="chi2", n_components=2).fit(np.abs(X), y, cams).gamma_ == 1.0


def test_a_pipeline_routes_cams_to_fit_and_transform():
    """Metadata routing is on."""
    X, y, cams = make_views()
    with sklearn.config_context(enable_metadata_routing=True):
        metric = CVDCA(n_components=2).set_fit_request(cams=True).set_transform_request(cams=True)
        pipeline = make_pipeline(StandardScaler(), metric).fit(X, y, cams=cams)
        routed = pipeline.transform(X, cams=cams)
    scaled = StandardScaler().fit_transform(X)
    direct = CVDCA(n_components=2).fit(scaled, y, cams)
    assert_allclose(routed, direct.transform(scaled, cams), atol=1e-12)
    assert not np.allclose(routed, direct.transform(scaled))
