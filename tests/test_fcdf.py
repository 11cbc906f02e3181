"""FCDF and ClusterFirst: the ranking by clusters against plain Euclidean distances, and the joined features."""

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
    """Return probes, and a gallery of three groups of descriptors far apart."""
    rng = np.random.default_rng(0)
    centres = np.array([[0, 0, 0], [20, 0, 0], [0, 20, 0]])
    gallery = centres[np.repeat([0, 1, 2], 8)] + rng.normal(size=(24, 3))
    probes = centres[[2, 0, 1]] + rng.normal(size=(3, 3))
    return probes, gallery


@pytest.mark.parametrize("n_searched", [1, 2])
def test_searched_clusters_come_first(groups, n_searched):
    """Within the searched clusters the order is Euclidean; all other images come after them, in Euclidean order."""
    probes, gallery = groups
    metric = ClusterFirst(n_clusters=3, n_searched=n_searched).fit(gallery)
    distances = metric.pairwise_distances(probes, gallery)
    euclidean = np.linalg.norm(probes[:, None] - gallery, axis=2)
    inside = np.isclose(distances, euclidean)
    assert (inside.sum(axis=1) == 8 * n_searched).all()
    for row, searched, distance in zip(distances, inside, euclidean, strict=True):
        assert row[searched].max() <= row[~searched].min()
        np.testing.assert_array_equal(np.argsort(row[~searched]), np.argsort(distance[~searched]))
    home = np.repeat([0, 1, 2], 8) == np.array([2, 0, 1])[:, None]
    assert inside[home].all()


def test_one_cluster_is_the_euclidean_distance(groups):
    """The same holds if all clusters are searched, or if all descriptors are equal."""
    probes, gallery = groups
    euclidean = np.linalg.norm(probes[:, None] - gallery, axis=2)
    for settings in ({"n_clusters": 1}, {"n_clusters": 3, "n_searched": 3}, {"n_clusters": 2, "n_searched": 5}):
        distances = ClusterFirst(**settings).fit(gallery).pairwise_distances(probes, gallery)
        np.testing.assert_allclose(distances, euclidean)
    equal = np.ones((5, 3))
    distances = ClusterFirst().fit(equal).pairwise_distances(probes, equal)
    np.testing.assert_allclose(distances, np.linalg.norm(probes - 1, axis=1)[:, None].repeat(5, axis=1))


def test_distances_of_a_probe_do_not_depend_on_other_probes(groups):
    probes, gallery = groups
    metric = ClusterFirst(n_clusters=3).fit(gallery)
    together = metric.pairwise_distances(probes, gallery)
    alone = np.concatenate([metric.pairwise_distances(probe[None], gallery) for probe in probes])
    np.testing.assert_allclose(alone, together)


def test_cluster_first_passes_the_common_checks():
    results = check_estimator(ClusterFirst(), on_fail="warn", on_skip=None)
    assert [result["check_name"] for result in results if result["status"] == "failed"] == []


@pytest.fixture(scope="module")
def fcdf(people):
    settings = SETTINGS | {"max_epochs": 0}
    deep = MultiDepthReID(**settings)
    return FCDF(handcrafted=LOMO_SMALL, deep=deep, random_state=0).fit(people.images, people.target)


def test_descriptors_hold_both_kinds_of_features(fcdf, people):
    """Each kind is centred on its training mean and scaled to its weight."""
    heavy = clone(fcdf).set_params(deep_weight=3.0).fit(people.images, people.target)
    descriptors = heavy.transform(people.images[:5])
    hand, deep = LOMO_SMALL.transform(people.images), fcdf.deep_.transform(people.images)
    width = hand.shape[1]
    for block, table, length in ((descriptors[:, :width], hand, 1), (descriptors[:, width:], deep, 3)):
        expected = (table - table.mean(axis=0))[:5]
        expected *= length / np.linalg.norm(expected, axis=1, keepdims=True)
        np.testing.assert_allclose(block, expected, atol=2e-5)
    names = fcdf.get_feature_names_out()
    assert (len(names), names[0], names[width]) == (descriptors.shape[1], "handcrafted_0", "deep_0")


def test_gallery_is_ranked_by_clusters(fcdf, people):
    """The ranking is the order of its metric's distances, for images and for descriptors."""
    distances, indices = fcdf.kneighbors(people.images[:4], people.images, n_neighbors=32)
    table = fcdf.transform(people.images)
    expected = fcdf.metric().fit(table).pairwise_distances(table[:4], table)
    np.testing.assert_array_equal(indices, np.argsort(expected, axis=1, kind="stable"))
    np.testing.assert_allclose(distances, np.sort(expected, axis=1))
    np.testing.assert_array_equal(fcdf.kneighbors(table[:4], table, 5, return_distance=False), indices[:, :5])
    with pytest.raises(ValueError, match=r"'n_neighbors' parameter of FCDF\.kneighbors must be at most 32, .* Got 33"):
        fcdf.kneighbors(table[:4], table, 33)
    with pytest.raises(ValueError, match=r"'n_neighbors' parameter of FCDF\.kneighbors must be an int in the range"):
        fcdf.kneighbors(table[:4], table, True)


def test_a_pipeline_with_its_metric_is_evaluated_under_a_protocol(fcdf, people):
    """Its own score does not use clusters."""
    result = evaluate(make_pipeline(fcdf, fcdf.metric()), people, TwoViewProtocol(n_repeats=2), ranks=1)
    assert 0 < result.mean["rank_1"] <= 1
    assert fcdf.score(people.images, people.target) == cmc_score(fcdf, people.images, people.target)


def test_bad_parameters_are_refused_by_name(people):
    with pytest.raises(ValueError, match="'handcrafted' parameter of FCDF"):
        FCDF(handcrafted="LOMO").fit(people.images, people.target)
    with pytest.raises(ValueError, match="y has 3 entries, X has 32 images"):
        FCDF().fit(people.images, people.target[:3])
