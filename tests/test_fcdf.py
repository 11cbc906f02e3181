"""FCDF: the clusters' ranking against a plain reading of it, and the fused features."""

import numpy as np
import pytest
from conftest import SETTINGS
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from skreid import MultiDepthReID, cmc_score, evaluate
from skreid.descriptors import LOMO
from skreid.protocols import TwoViewProtocol
from skreid.rivals import FCDF, ClusterFirst

LOMO_SMALL = LOMO(n_scales=1, window_size=6, step=3, n_bins=3)


@pytest.fixture(scope="module")
def groups():
    """Three far groups of gallery rows, and probes near them."""
    rng = np.random.default_rng(0)
    centres = np.array([[0, 0, 0], [20, 0, 0], [0, 20, 0]])
    gallery = centres[np.repeat([0, 1, 2], 8)] + rng.normal(size=(24, 3))
    probes = centres[[2, 0, 1]] + rng.normal(size=(3, 3))
    return probes, gallery


@pytest.mark.parametrize("n_searched", [1, 2])
def test_searched_clusters_come_first(groups, n_searched):
    """Within the clusters searched the order is Euclidean; every image elsewhere comes after them."""
    probes, gallery = groups
    metric = ClusterFirst(n_clusters=3, n_searched=n_searched).fit(gallery)
    found = metric.pairwise_distances(probes, gallery)
    euclidean = np.linalg.norm(probes[:, None] - gallery, axis=2)
    inside = np.isclose(found, euclidean)
    assert (inside.sum(axis=1) == 8 * n_searched).all()
    for row, own, distance in zip(found, inside, euclidean, strict=True):
        assert inside.any()
        assert row[own].max() <= row[~own].min()
        np.testing.assert_array_equal(np.argsort(row[~own]), np.argsort(distance[~own]))
    home = np.repeat([0, 1, 2], 8) == np.array([2, 0, 1])[:, None]
    assert inside[home].all()


def test_one_cluster_is_the_euclidean_distance(groups):
    """With one cluster, all searched, or all images alike, nothing is set apart."""
    probes, gallery = groups
    euclidean = np.linalg.norm(probes[:, None] - gallery, axis=2)
    for settings in ({"n_clusters": 1}, {"n_clusters": 3, "n_searched": 3}, {"n_clusters": 2, "n_searched": 5}):
        found = ClusterFirst(**settings).fit(gallery).pairwise_distances(probes, gallery)
        np.testing.assert_allclose(found, euclidean)
    alike = np.ones((5, 3))
    found = ClusterFirst().fit(alike).pairwise_distances(probes, alike)
    np.testing.assert_allclose(found, np.linalg.norm(probes - 1, axis=1)[:, None].repeat(5, axis=1))


def test_each_probe_stands_alone(groups):
    """Probes in blocks get the distances they get together."""
    probes, gallery = groups
    metric = ClusterFirst(n_clusters=3).fit(gallery)
    together = metric.pairwise_distances(probes, gallery)
    alone = np.concatenate([metric.pairwise_distances(probe[None], gallery) for probe in probes])
    np.testing.assert_allclose(alone, together)


def test_cluster_first_passes_the_common_checks():
    """scikit-learn's own checks, on tables."""
    results = check_estimator(ClusterFirst(), on_fail="warn", on_skip=None)
    assert [result["check_name"] for result in results if result["status"] == "failed"] == []


@pytest.fixture(scope="module")
def fcdf(people):
    settings = SETTINGS | {"max_epochs": 0}
    deep = MultiDepthReID(**settings)
    return FCDF(handcrafted=LOMO_SMALL, deep=deep, random_state=0).fit(people.images, people.target)


def test_features_are_both_descriptors(fcdf, people):
    """Each block is its descriptor, centred on the training mean, of unit length times its weight."""
    heavy = clone(fcdf).set_params(deep_weight=3.0).fit(people.images, people.target)
    found = heavy.transform(people.images[:5])
    hand, deep = LOMO_SMALL.transform(people.images), fcdf.deep_.transform(people.images)
    width = hand.shape[1]
    for block, table, length in ((found[:, :width], hand, 1), (found[:, width:], deep, 3)):
        expected = (table - table.mean(axis=0))[:5]
        expected *= length / np.linalg.norm(expected, axis=1, keepdims=True)
        np.testing.assert_allclose(block, expected, atol=2e-5)
    names = fcdf.get_feature_names_out()
    assert (len(names), names[0], names[width]) == (found.shape[1], "handcrafted_0", "deep_0")


def test_gallery_is_ranked_by_clusters(fcdf, people):
    """The ranking is the order of its metric's distances, for images and descriptors alike."""
    distances, indices = fcdf.kneighbors(people.images[:4], people.images, n_neighbors=32)
    table = fcdf.transform(people.images)
    expected = fcdf.metric().fit(table).pairwise_distances(table[:4], table)
    np.testing.assert_array_equal(indices, np.argsort(expected, axis=1, kind="stable"))
    np.testing.assert_allclose(distances, np.sort(expected, axis=1))
    np.testing.assert_array_equal(fcdf.kneighbors(table[:4], table, 5, return_distance=False), indices[:, :5])
    with pytest.raises(ValueError, match="Expected 1 <= n_neighbors <= n_gallery"):
        fcdf.kneighbors(table[:4], table, 33)


def test_it_is_evaluated_under_a_protocol(fcdf, people):
    """In a Pipeline its metric decides the ranking; its own score leaves clusters aside."""
    result = evaluate(make_pipeline(fcdf, fcdf.metric()), people, TwoViewProtocol(n_repeats=2), ranks=1)
    assert 0 < result.mean["rank_1"] <= 1
    assert fcdf.score(people.images, people.target) == cmc_score(fcdf, people.images, people.target)


def test_wrong_settings_are_named(people):
    """In scikit-learn's words."""
    with pytest.raises(ValueError, match="'handcrafted' parameter of FCDF"):
        FCDF(handcrafted="LOMO").fit(people.images, people.target)
    with pytest.raises(ValueError, match="y has 3 entries, X has 32 images"):
        FCDF().fit(people.images, people.target[:3])
