"""Rankings against brute force, ties in the gallery's order, and who decides the metric."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.base import BaseEstimator, clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skreid import MultiDepthReID, rank_gallery
from skreid import _ranking as ranking
from skreid._ranking import gallery_distances
from skreid._search import nearest as neighbors
from skreid.gallery import Gallery

identity = FunctionTransformer().fit([[0.0]])


class Manhattan(BaseEstimator):
    """A metric of its own."""

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def pairwise_distances(self, probes, gallery):
        return cdist(probes, gallery, "cityblock")


def by_brute_force(distances, k):
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(distances, order, axis=1), order


@given(st.integers(1, 40), st.integers(1, 12), st.integers(0, 5), st.data())
def test_rankings_equal_brute_force_with_ties_in_gallery_order(n_gallery, n_probes, seed, data):
    """Small integers make many ties and duplicates; tiles of a few numbers make many merges."""
    k = data.draw(st.integers(1, n_gallery))
    rng = np.random.default_rng(seed)
    gallery = rng.integers(0, 3, (n_gallery, 2)).astype(float)
    probes = rng.integers(0, 3, (n_probes, 2)).astype(float)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbors, "BLOCK_NUMBERS", 20)
        patch.setattr(neighbors, "BLOCK_PROBES", 5)
        distances, indices = rank_gallery(identity, probes, gallery, n_neighbors=k)
    expected, order = by_brute_force(cdist(probes, gallery), k)
    np.testing.assert_allclose(distances, expected, atol=1e-7)
    same_distance = np.isclose(expected[:, 1:], expected[:, :-1], atol=1e-7)
    assert np.all(indices[:, 1:][same_distance] != indices[:, :-1][same_distance])
    np.testing.assert_allclose(np.take_along_axis(cdist(probes, gallery), indices, 1), expected, atol=1e-7)
    assert indices.shape == order.shape


def test_identical_descriptors_rank_in_the_gallerys_order():
    """Copies of one row tie exactly, wherever they stand in a matrix product."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(7, 33)).astype(np.float32)
    gallery = rows[rng.permutation(np.repeat(np.arange(7), 30))]
    distances, indices = rank_gallery(identity, rows, gallery, n_neighbors=60)
    assert np.all(np.diff(indices[:, :30], axis=1) > 0)
    assert np.all(np.ptp(distances[:, :30], axis=1) == 0)
    assert np.all(np.diff(indices[:, 30:], axis=1) > 0)


def test_large_offsets_do_not_disturb_the_order():
    """Centring keeps neighbours right where squares would cancel."""
    rng = np.random.default_rng(0)
    gallery, probes = rng.normal(size=(50, 8)), rng.normal(size=(9, 8))
    near = rank_gallery(identity, probes, gallery, n_neighbors=10, return_distance=False)
    far = rank_gallery(identity, probes + 1e5, gallery + 1e5, n_neighbors=10, return_distance=False)
    np.testing.assert_array_equal(near, far)


def test_the_last_step_decides_the_metric():
    """A Pipeline ending in `pairwise_distances` ranks by it, on what the steps before give."""
    rng = np.random.default_rng(0)
    X, probes = rng.normal(size=(30, 4)) * [1, 10, 1, 1], rng.normal(size=(5, 4)) * [1, 10, 1, 1]
    pipeline = make_pipeline(StandardScaler(), Manhattan()).fit(X)
    scaled = StandardScaler().fit(X)
    expected = by_brute_force(cdist(scaled.transform(probes), scaled.transform(X), "cityblock"), 30)
    found = rank_gallery(pipeline, probes, X, n_neighbors=30)
    np.testing.assert_array_equal(found[1], expected[1])
    np.testing.assert_allclose(found[0], expected[0])
    blocks = gallery_distances(pipeline, scaled.transform(probes), scaled.transform(X))
    np.testing.assert_allclose(blocks(1, 3), cdist(scaled.transform(probes[1:3]), scaled.transform(X), "cityblock"))


def test_a_bare_metric_ranks_descriptors():
    """An estimator that only measures takes descriptors as they are."""
    found = rank_gallery(Manhattan().fit(None), np.array([[0.0, 0.0]]), np.array([[1.0, 1.0], [0.0, 1.5]]), 2)
    assert found[1].tolist() == [[1, 0]]
    np.testing.assert_allclose(found[0], [[1.5, 2.0]])


def test_images_or_descriptors(fitted, people):
    """Where images go in, the table that `transform` gave goes in as well."""
    described = fitted.transform(people.images)
    by_images = rank_gallery(fitted, people.images[:3], people.images, n_neighbors=4)
    for probes, gallery in ((described[:3], people.images), (people.images[:3], described)):
        mixed = rank_gallery(fitted, probes, gallery, n_neighbors=4)
        np.testing.assert_array_equal(by_images[1], mixed[1])


def test_a_pipeline_of_images_ranks_as_its_parts(fitted, people):
    """Descriptors, then PCA: the ranking is the Euclidean one after the last step."""
    reduce = PCA(3, random_state=0).fit(fitted.transform(people.images))
    pipeline = make_pipeline(fitted, reduce)
    rows = reduce.transform(fitted.transform(people.images))
    expected = by_brute_force(cdist(rows[:4], rows), 5)[1]
    np.testing.assert_array_equal(rank_gallery(pipeline, people.images[:4], people.images)[1], expected)


def test_a_gallery_index_takes_the_place_of_descriptors():
    """A Gallery ranks as the table it holds, by Euclidean distance and by a metric of one's own."""
    rng = np.random.default_rng(0)
    rows, probes = rng.normal(size=(60, 4)), rng.normal(size=(7, 4))
    gallery = Gallery(rows[:40]).add(rows[40:]).remove([3])
    for estimator in (identity, Manhattan().fit(None)):
        expected = rank_gallery(estimator, probes, np.delete(rows, 3, axis=0), n_neighbors=9)
        found = rank_gallery(estimator, probes, gallery, n_neighbors=9)
        np.testing.assert_array_equal(found[1], expected[1])
        np.testing.assert_array_equal(found[0], expected[0])


@pytest.mark.parametrize("k", [0, 4])
def test_more_neighbours_than_gallery_is_refused(k):
    """The error tells both numbers."""
    with pytest.raises(ValueError, match=rf"n_neighbors = {k}, n_gallery = 3"):
        rank_gallery(identity, np.zeros((1, 2)), np.zeros((3, 2)), n_neighbors=k)


def test_descriptors_of_different_lengths_are_refused():
    """Mixing two estimators' descriptors is named."""
    with pytest.raises(ValueError, match=r"4 features and the gallery has 3"):
        rank_gallery(identity, np.zeros((1, 4)), np.zeros((3, 3)), n_neighbors=1)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["probes", "gallery"])
@pytest.mark.parametrize("estimator", [identity, Manhattan().fit(None)])
def test_what_is_not_finite_is_refused_wherever_it_stands(estimator, name, value):
    """The first bad row is told, of either side, for every metric; a Gallery's own were checked when added."""
    rng = np.random.default_rng(0)
    for place in (0, 1, 5999):
        rows = {"probes": rng.normal(size=(6000, 3)), "gallery": rng.normal(size=(6000, 3))}
        rows[name][place, 1] = value
        with pytest.raises(ValueError, match=f"{name} contains NaN or infinity in row {place}"):
            rank_gallery(estimator, **rows, n_neighbors=2)
        if name == "probes":
            with pytest.raises(ValueError, match=f"probes contains NaN or infinity in row {place}"):
                rank_gallery(estimator, rows["probes"], Gallery(rows["gallery"]), n_neighbors=2)


def test_an_unfitted_estimator_is_refused():
    """As everywhere in scikit-learn."""
    with pytest.raises(NotFittedError):
        rank_gallery(StandardScaler(), np.zeros((1, 4)), np.zeros((3, 4)), n_neighbors=1)


def test_what_cannot_describe_is_refused():
    """The error says what is missing."""
    with pytest.raises(TypeError, match="no transform method"):
        ranking.describe(BaseEstimator(), np.zeros((1, 4, 4)))


def nested_pipelines(people, settings):
    """Yield one fitted metric Pipeline, and wrappers of it that must rank alike."""
    from sklearn.model_selection import GridSearchCV

    from skreid.metric_learning import XQDA
    from skreid.model_selection import IdentityKFold

    reid = MultiDepthReID(**settings | {"max_epochs": 1})
    flat = make_pipeline(reid, PCA(6, random_state=0), XQDA()).fit(people.images, people.target)
    nested = make_pipeline(flat[0], make_pipeline(flat[1], flat[2]))
    trailing = make_pipeline(*(step for _, step in flat.steps), "passthrough")
    search = GridSearchCV(flat, {"pca__n_components": [6]}, scoring=lambda *_: 1.0, cv=IdentityKFold(2))
    return flat, [nested, trailing, search.fit(people.images, people.target)]


def test_a_metric_counts_wherever_it_is_nested(people, settings):
    """In a Pipeline of Pipelines, before a passthrough, inside a fitted search."""
    flat, wrappers = nested_pipelines(people, settings)
    expected = rank_gallery(flat, people.images[:5], people.images, n_neighbors=6)
    rows = flat[:-1].transform(people.images)
    for wrapped in (flat, *wrappers):
        found = rank_gallery(wrapped, people.images[:5], people.images, n_neighbors=6)
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(found[1], expected[1])
        described = rank_gallery(wrapped, rows[:5], rows, n_neighbors=6)  # descriptors are taken as they are
        np.testing.assert_array_equal(described[1], expected[1])


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_tensors_are_descriptors(people, fitted, dtype):
    """Tables on the CPU, with gradients or not, beside arrays or images; a bare metric takes them too."""
    rows = torch.from_numpy(fitted.transform(people.images)).to(getattr(torch, dtype)).requires_grad_()
    plain = rows.detach().double().numpy()
    expected = by_brute_force(cdist(plain[:3], plain), 4)
    for estimator in (fitted, identity):
        distances, indices = rank_gallery(estimator, rows[:3], rows, n_neighbors=4)
        np.testing.assert_array_equal(indices, expected[1])
        np.testing.assert_allclose(distances, expected[0], rtol=1e-6)
    assert rank_gallery(Manhattan().fit(None), rows[:3], rows, n_neighbors=1)[1].ravel().tolist() == [0, 1, 2]
    assert fitted.kneighbors(rows[:2], people.images, 1, return_distance=False).ravel().tolist() == [0, 1]


def test_frames_of_set_output_are_descriptors(people, fitted):
    """What `transform` gave under `set_output` ranks as the array does."""
    framed = clone(fitted).set_output(transform="pandas").fit(people.images, people.target)
    table = framed.transform(people.images)
    np.testing.assert_array_equal(
        framed.kneighbors(table, table)[1], fitted.kneighbors(people.images, people.images)[1]
    )


@pytest.mark.parametrize("k", [2.5, "3", None, True])
def test_a_number_of_neighbours_that_is_none_is_refused(k):
    """The error names the parameter."""
    with pytest.raises(ValueError, match="n_neighbors must be an int"):
        rank_gallery(identity, np.zeros((1, 2)), np.zeros((3, 2)), n_neighbors=k)
