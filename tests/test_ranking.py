"""Rankings against brute force, ties in the gallery's order, and who decides the metric."""

import numpy as np
import pytest
import reference
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
from skreid._search import measures
from skreid._search import nearest as search
from skreid.gallery import Gallery

identity = FunctionTransformer().fit([[0.0]])


class Manhattan(BaseEstimator):
    """A metric that is not Euclidean."""

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def pairwise_distances(self, probes, gallery):
        return cdist(probes, gallery, "cityblock")


@given(st.integers(1, 40), st.integers(1, 12), st.integers(0, 5), st.data())
def test_rankings_equal_brute_force_with_ties_in_gallery_order(n_gallery, n_probes, seed, data):
    """Small integers make many ties and duplicates; small tiles make many merges."""
    k = data.draw(st.integers(1, n_gallery))
    rng = np.random.default_rng(seed)
    gallery = rng.integers(0, 3, (n_gallery, 2)).astype(float)
    probes = rng.integers(0, 3, (n_probes, 2)).astype(float)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measures, "BLOCK_VALUES", 20)
        patch.setattr(search, "BLOCK_PROBES", 5)
        distances, indices = rank_gallery(identity, probes, gallery, n_neighbors=k)
    expected = reference.nearest(probes, gallery, k)
    np.testing.assert_allclose(distances, expected[0], atol=1e-7)
    np.testing.assert_array_equal(indices, expected[1])


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
    """A Pipeline ending in a metric ranks by it, on the output of the steps before."""
    rng = np.random.default_rng(0)
    X, probes = rng.normal(size=(30, 4)) * [1, 10, 1, 1], rng.normal(size=(5, 4)) * [1, 10, 1, 1]
    pipeline = make_pipeline(StandardScaler(), Manhattan()).fit(X)
    scaled = StandardScaler().fit(X)
    expected = reference.nearest(scaled.transform(probes), scaled.transform(X), 30, metric="cityblock")
    ranked = rank_gallery(pipeline, probes, X, n_neighbors=30)
    np.testing.assert_array_equal(ranked[1], expected[1])
    np.testing.assert_allclose(ranked[0], expected[0])
    blocks = gallery_distances(pipeline, scaled.transform(probes), scaled.transform(X))
    np.testing.assert_allclose(blocks(1, 3), cdist(scaled.transform(probes[1:3]), scaled.transform(X), "cityblock"))


def test_a_bare_metric_ranks_descriptors():
    """An estimator that only measures takes descriptors as they are."""
    ranked = rank_gallery(Manhattan().fit(None), np.array([[0.0, 0.0]]), np.array([[1.0, 1.0], [0.0, 1.5]]), 2)
    assert ranked[1].tolist() == [[1, 0]]
    np.testing.assert_allclose(ranked[0], [[1.5, 2.0]])


def test_descriptors_are_taken_in_place_of_images(fitted, people):
    """An estimator of images ranks what its `transform` returned, on either side."""
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
    expected = reference.nearest(rows[:4], rows, 5)[1]
    np.testing.assert_array_equal(rank_gallery(pipeline, people.images[:4], people.images)[1], expected)


def test_a_gallery_index_takes_the_place_of_descriptors():
    """A Gallery ranks as the descriptors it holds, by Euclidean distance and by a user's metric."""
    rng = np.random.default_rng(0)
    rows, probes = rng.normal(size=(60, 4)), rng.normal(size=(7, 4))
    gallery = Gallery(rows[:40]).add(rows[40:]).remove([3])
    for estimator in (identity, Manhattan().fit(None)):
        expected = rank_gallery(estimator, probes, np.delete(rows, 3, axis=0), n_neighbors=9)
        ranked = rank_gallery(estimator, probes, gallery, n_neighbors=9)
        np.testing.assert_array_equal(ranked[1], expected[1])
        np.testing.assert_array_equal(ranked[0], expected[0])


def test_more_neighbours_than_gallery_images_are_refused():
    """The error says how many there are."""
    with pytest.raises(ValueError, match=r"parameter of rank_gallery must be at most 3, .* Got 4"):
        rank_gallery(identity, np.zeros((1, 2)), np.zeros((3, 2)), n_neighbors=4)


def test_descriptors_of_different_lengths_are_refused():
    """The error gives both lengths."""
    with pytest.raises(ValueError, match=r"the probes have 4 dimensions, and those of the gallery 3"):
        rank_gallery(identity, np.zeros((1, 4)), np.zeros((3, 3)), n_neighbors=1)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["probes", "gallery"])
@pytest.mark.parametrize("estimator", [identity, Manhattan().fit(None)])
def test_the_first_row_that_is_not_finite_is_named(estimator, name, value):
    """It may be on either side, for every metric; the descriptors of a Gallery were checked when added."""
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
    """The error is scikit-learn's NotFittedError."""
    with pytest.raises(NotFittedError):
        rank_gallery(StandardScaler(), np.zeros((1, 4)), np.zeros((3, 4)), n_neighbors=1)


def test_an_estimator_without_transform_is_refused():
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
    """It may be in a Pipeline of Pipelines, before a passthrough, or inside a fitted search."""
    flat, wrappers = nested_pipelines(people, settings)
    expected = rank_gallery(flat, people.images[:5], people.images, n_neighbors=6)
    rows = flat[:-1].transform(people.images)
    for wrapped in (flat, *wrappers):
        ranked = rank_gallery(wrapped, people.images[:5], people.images, n_neighbors=6)
        np.testing.assert_allclose(ranked[0], expected[0], rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(ranked[1], expected[1])
        described = rank_gallery(wrapped, rows[:5], rows, n_neighbors=6)  # descriptors are taken as they are
        np.testing.assert_array_equal(described[1], expected[1])


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_tensors_are_descriptors(people, fitted, dtype):
    """They may have any precision and a gradient; a bare metric takes them too."""
    rows = torch.from_numpy(fitted.transform(people.images)).to(getattr(torch, dtype)).requires_grad_()
    plain = rows.detach().double().numpy()
    expected = reference.nearest(plain[:3], plain, 4)
    for estimator in (fitted, identity):
        distances, indices = rank_gallery(estimator, rows[:3], rows, n_neighbors=4)
        np.testing.assert_array_equal(indices, expected[1])
        np.testing.assert_allclose(distances, expected[0], rtol=1e-6)
    assert rank_gallery(Manhattan().fit(None), rows[:3], rows, n_neighbors=1)[1].ravel().tolist() == [0, 1, 2]
    assert fitted.kneighbors(rows[:2], people.images, 1, return_distance=False).ravel().tolist() == [0, 1]


def test_data_frames_are_descriptors(people, fitted):
    """What `transform` returns under `set_output` ranks as the array does."""
    framed = clone(fitted).set_output(transform="pandas").fit(people.images, people.target)
    table = framed.transform(people.images)
    np.testing.assert_array_equal(
        framed.kneighbors(table, table)[1], fitted.kneighbors(people.images, people.images)[1]
    )


@pytest.mark.parametrize("k", [0, -1, 2.5, "3", None, True])
@pytest.mark.parametrize("as_gallery", [False, True])
def test_a_number_of_neighbours_that_is_no_positive_int_is_refused(k, as_gallery):
    """The error names the parameter; a bool is not an int."""
    gallery = Gallery(np.zeros((3, 2))) if as_gallery else np.zeros((3, 2))
    says = r"The 'n_neighbors' parameter of rank_gallery must be an int in the range \[1, inf\)"
    with pytest.raises(ValueError, match=says):
        rank_gallery(identity, np.zeros((1, 2)), gallery, n_neighbors=k)
