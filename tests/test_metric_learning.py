"""XQDA and KernelXQDA against hand-worked values and loops over pairs; what all learned metrics share."""

import inspect
import pickle
import subprocess
import sys

import numpy as np
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.metrics.pairwise import euclidean_distances, rbf_kernel
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from skreid import metric_learning
from skreid.metric_learning import CVDCA, KCVDCA, XQDA, KernelXQDA, cross_view_scatter

METRICS = [XQDA(), KernelXQDA(), CVDCA(), KCVDCA()]
IDS = [type(metric).__name__ for metric in METRICS]
each_metric = pytest.mark.parametrize("metric", METRICS, ids=IDS)


def make_people(n_ids=40, n_features=12, n_cams=2, shots=2, shift=2.0, seed=0):
    """Return descriptors of people, shifted and disturbed by each camera: X, y, cams."""
    rng = np.random.default_rng(seed)
    person = rng.normal(size=(n_ids, 5)) @ rng.normal(size=(5, n_features))
    clutter = 2 * rng.normal(size=(4, n_features))
    y = np.tile(np.repeat(np.arange(n_ids), shots), n_cams)
    cams = np.repeat(np.arange(n_cams), n_ids * shots)
    shifts = shift * rng.normal(size=(n_cams, n_features))
    noise = 0.15 * rng.normal(size=(len(y), n_features))
    return person[y] + shifts[cams] + rng.normal(size=(len(y), 4)) @ clutter + noise, y, cams


def brute_scatter(X, y, cams):
    """Return the mean outer products over ordered pairs of images from different cameras, by two loops."""
    sums, counts = {True: 0, False: 0}, {True: 0, False: 0}
    for i in range(len(X)):
        for j in range(len(X)):
            if cams[i] != cams[j]:
                same = bool(y[i] == y[j])
                sums[same] = sums[same] + np.outer(X[i] - X[j], X[i] - X[j])
                counts[same] += 1
    return sums[True] / counts[True], sums[False] / counts[False]


def brute_xqda(X, y, cams, probe, gallery, reg):
    """Return XQDA's distances by its definition, in all dimensions, with explicit inverses."""
    intra, inter = brute_scatter(X, y, cams)
    intra = intra + reg * np.eye(X.shape[1])
    U, s, _ = np.linalg.svd(np.linalg.inv(intra) @ inter)
    V = U[:, : max(1, (s > 1).sum())]
    M = np.linalg.inv(V.T @ intra @ V) - np.linalg.inv(V.T @ inter @ V)
    return np.array([[(g - p) @ V @ M @ V.T @ (g - p) for g in gallery] for p in probe])


def anchor():
    i, j = np.mgrid[:6, :4]
    gallery = np.sin(1 + 1.7 * i + 0.9 * j)
    return gallery + 0.3 * np.cos(2 + 0.6 * i - 1.3 * j), gallery


def test_every_exported_metric_is_tested_here():
    """A new metric must be added to `METRICS`, to run through the tests that all metrics share."""
    exported = [getattr(metric_learning, name) for name in metric_learning.__all__]
    assert {type(metric) for metric in METRICS} == {value for value in exported if inspect.isclass(value)}


def test_xqda_has_known_distances_on_a_closed_form_data_set():
    probe, gallery = anchor()
    X, y, cams = np.vstack([probe, gallery]), np.tile(np.arange(6), 2), np.repeat([0, 1], 6)
    intra, inter = cross_view_scatter(X, y, cams)
    assert_allclose(np.diag(intra) + 1e-3, [0.041569, 0.047806, 0.047335, 0.041905], atol=6e-7)
    assert_allclose(np.diag(inter), [1.170019, 1.434078, 1.278124, 1.096856], atol=6e-7)
    xqda = XQDA().fit(X, y, cams)
    assert_allclose(xqda.singular_values_, [1426.13409, 371.111522, 0.599866, 0.137691], rtol=1e-6, atol=6e-7)
    assert xqda.n_components_ == 2
    distances = xqda.pairwise_distances(probe, gallery)
    assert_allclose(np.diag(distances), [0.03982, 0.29432, 0.66384, 0.67714, 0.31726, 0.04315], atol=6e-6)
    assert_allclose(distances.sum(), 29095.99048, rtol=1e-8)


@st.composite
def labelled(draw):
    """Small sets that have at least one cross-view pair of one person; cams may be None."""
    n = draw(st.integers(4, 14))
    y = [0, 0, 1, *draw(st.lists(st.integers(0, 3), min_size=n - 3, max_size=n - 3))]
    cams = [0, 1, 0, *draw(st.lists(st.integers(0, 2), min_size=n - 3, max_size=n - 3))]
    X = np.random.default_rng(draw(st.integers(0, 2**32 - 1))).normal(size=(n, 3)) + draw(st.sampled_from([0.0, 1e4]))
    return X, np.array(y), draw(st.sampled_from([np.array(cams), None]))


@pytest.mark.filterwarnings("ignore:.*have a single:UserWarning")
@settings(max_examples=60, deadline=None)
@given(labelled())
def test_scatter_from_class_sums_equals_loops_over_pairs(case):
    """They are equal for any cameras, unbalanced identities and a large mean."""
    X, y, cams = case
    expected = brute_scatter(X, y, np.arange(len(X)) if cams is None else cams)
    for ours, theirs in zip(cross_view_scatter(X, y, cams), expected, strict=True):
        assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("n_features", [6, 60])
@pytest.mark.parametrize("n_cams", [2, 3])
def test_xqda_equals_its_definition(n_features, n_cams):
    """It does even if there are more features than samples."""
    X, y, cams = make_people(n_ids=8, n_features=n_features, n_cams=n_cams, shots=1)
    probe, gallery = make_people(n_ids=5, n_features=n_features, seed=1)[0].reshape(2, -1, n_features)
    ours = XQDA(reg=0.05).fit(X, y, cams).pairwise_distances(probe, gallery)
    theirs = brute_xqda(X, y, cams, probe, gallery, 0.05)
    assert_allclose(ours, theirs, rtol=1e-7, atol=1e-9 * np.abs(theirs).max())


def test_xqda_does_not_depend_on_the_mean():
    """Adding the same vector to all descriptors does not change the distances."""
    X, y, cams = make_people()
    near = XQDA().fit(X, y, cams).pairwise_distances(X[:9], X[9:20])
    far = XQDA().fit(X + 1000, y, cams).pairwise_distances(X[:9] + 1000, X[9:20] + 1000)
    assert_allclose(far, near, rtol=1e-6, atol=1e-6)


def test_xqda_projects_onto_orthonormal_directions():
    """Distances are the quadratic form of projected differences."""
    X, y, cams = make_people()
    xqda = XQDA(n_components=3).fit(X, y, cams)
    assert_allclose(xqda.components_ @ xqda.components_.T, np.eye(3), atol=1e-10)
    assert_allclose(xqda.transform(X), X @ xqda.components_.T, atol=1e-12)
    difference = xqda.transform(X[:1]) - xqda.transform(X[1:2])
    expected = (difference @ xqda.metric_ @ difference.T).item()
    assert_allclose(xqda.pairwise_distances(X[:1], X[1:2]), [[expected]], rtol=1e-8)


def test_xqda_distances_may_be_negative():
    """A direction that varies most within a person counts negatively."""
    X = np.array([[0.0, 5], [0, -5], [9, 1], [9, -1]])
    xqda = XQDA(n_components=2).fit(X, [0, 0, 1, 1], [0, 1, 0, 1])
    assert xqda.pairwise_distances([[0.0, 0]], [[0.0, 1]])[0, 0] < 0


def test_no_cams_means_every_image_its_own_camera():
    X, y, _ = make_people(n_ids=10)
    alone = XQDA().fit(X, y).pairwise_distances(X, X)
    assert_allclose(XQDA().fit(X, y, np.arange(len(X))).pairwise_distances(X, X), alone, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("n_features", [12, 200])
def test_linear_kernel_xqda_with_indefinite_form_equals_xqda(n_features):
    X, y, cams = make_people(n_features=n_features)
    expected = XQDA(reg=0.01).fit(X, y, cams).pairwise_distances(X[:20], X[30:60])
    kernel = KernelXQDA(kernel="linear", reg=0.01, psd=False).fit(X, y, cams)
    assert_allclose(
        kernel.pairwise_distances(X[:20], X[30:60]),
        expected,
        rtol=1e-6,
        atol=1e-7 * np.abs(expected).max(),
    )


def test_kernel_xqda_has_the_documented_width_and_unit_directions():
    """The RBF has sigma = sqrt(mean d^2 / 2), and no distance is negative."""
    X, y, cams = make_people(n_ids=15)
    metric = KernelXQDA().fit(X, y, cams)
    sigma = np.sqrt((euclidean_distances(X) ** 2).mean() / 2)
    K = rbf_kernel(X, gamma=1 / (2 * sigma**2))
    assert_allclose(metric.gamma_, 1 / (2 * sigma**2))
    assert_allclose(metric.dual_components_ @ K @ metric.dual_components_.T, np.eye(metric.n_components_), atol=1e-7)
    assert_allclose(metric.transform(X), K @ metric.dual_components_.T, atol=1e-8)
    distances = metric.pairwise_distances(X, X)
    assert distances.min() > -1e-9 * distances.max()


def test_a_callable_replaces_a_named_kernel():
    """Callables that return another shape, an indefinite or a constant kernel are refused."""
    X, y, cams = make_people(n_ids=15)
    named = KernelXQDA(kernel="rbf", gamma=0.05).fit(X, y, cams)
    called = KernelXQDA(kernel=lambda a, b: rbf_kernel(a, b, gamma=0.05)).fit(X, y, cams)
    assert_allclose(called.pairwise_distances(X[:5], X), named.pairwise_distances(X[:5], X), rtol=1e-6)
    with pytest.raises(ValueError, match="one value per pair"):
        KernelXQDA(kernel=lambda a, b: a).fit(X, y, cams)
    with pytest.raises(ValueError, match="not positive semi-definite"):
        KernelXQDA(kernel=lambda a, b: -rbf_kernel(a, b)).fit(X, y, cams)
    with pytest.raises(ValueError, match="is the same for all training images"):
        KernelXQDA(kernel=lambda a, b: np.ones((len(a), len(b)))).fit(X, y, cams)


def rank1(distances, probe, gallery):
    return (gallery[distances.argmin(axis=1)] == probe).mean()


@each_metric
def test_learned_metrics_beat_the_euclidean_distance(metric):
    """Rank-1 is 40 points higher on people who were not in training, under camera shifts and clutter."""
    X, y, cams = make_people(n_ids=120, n_features=30, shift=1.0)
    X = X / 30
    train, probe, gallery = y < 60, (y >= 60) & (cams == 0), (y >= 60) & (cams == 1)
    plain = rank1(euclidean_distances(X[probe], X[gallery]), y[probe], y[gallery])
    distances = clone(metric).fit(X[train], y[train], cams[train]).pairwise_distances(X[probe], X[gallery])
    assert distances.shape == (120, 120)
    assert distances.dtype == np.float64
    assert plain < 0.3
    assert rank1(distances, y[probe], y[gallery]) > plain + 0.4


@each_metric
def test_label_names_and_order_do_not_matter(metric):
    """Strings instead of numbers and another order of samples do not change the distances."""
    X, y, cams = make_people(n_ids=12, n_cams=3)
    order = np.random.default_rng(0).permutation(len(X))
    names, places = np.array([f"p{99 - i}" for i in y]), np.array([f"c{9 - c}" for c in cams])
    expected = clone(metric).fit(X, y, cams).pairwise_distances(X[:10], X)
    again = clone(metric).fit(X[order], names[order], places[order]).pairwise_distances(X[:10], X)
    assert_allclose(again, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


@each_metric
def test_bad_labels_and_parameters_are_refused_by_name(metric):
    """Identities without a pair are counted in a warning only."""
    X, y, cams = make_people(n_ids=6, shots=1)
    fit = clone(metric).fit
    with pytest.raises(ValueError, match="at least 2 identities"):
        fit(X, np.zeros(12), cams)
    with pytest.raises(ValueError, match="cams has 11 entries, X has 12 samples"):
        fit(X, y, cams[:-1])
    with pytest.raises(ValueError, match=r"single camera \(0.0\)"):
        fit(X, y, np.zeros(12))
    with pytest.raises(ValueError, match="cams contains NaN at index 1"):
        fit(X, y, [0, np.nan] * 6)
    with pytest.raises(ValueError, match="one type"):
        fit(X, y, np.array([0, "a"] * 6, dtype=object))
    with pytest.raises(ValueError, match="Every one of the 6 identities has a single camera"):
        fit(X, y, y % 2)
    with pytest.raises(ValueError, match="Every one of the 12 identities has a single image"):
        fit(X, np.arange(12))
    with pytest.raises(ValueError, match=r"'n_components' parameter of \w+ must be at most 1[12], the .* Got 13"):
        clone(metric).set_params(n_components=13).fit(X, y, cams)
    with pytest.raises(ValueError, match="'n_components' parameter"):
        clone(metric).set_params(n_components=0).fit(X, y, cams)
    with pytest.raises(ValueError, match="'reg' parameter"):
        clone(metric).set_params(reg=-1.0).fit(X, y, cams)
    with pytest.warns(UserWarning, match="2 of 6 identities have a single camera"):
        fit(X[:-2], y[:-2], cams[:-2])


@each_metric
def test_more_components_than_the_rank_of_the_data_are_refused(metric):
    """Copies of images lower the rank."""
    X, y, cams = make_people(n_ids=6, shots=1, n_features=20)
    X, y, cams = np.vstack([X, X]), np.tile(y, 2), np.tile(cams, 2)
    clone(metric).set_params(n_components=11).fit(X, y, cams)
    if not isinstance(metric, KCVDCA):
        with pytest.raises(ValueError, match=r"must be at most 1[12], the (dimension|rank) of .* Got 20 instead"):
            clone(metric).set_params(n_components=20).fit(np.hstack([X, X]), y, cams)


def test_singular_scatter_and_constant_features_are_refused():
    X, y, cams = make_people(n_ids=6, shots=1, n_features=8)
    with pytest.raises(ValueError, match="singular with reg=0"):
        XQDA(reg=0).fit(X, y, cams)
    with pytest.raises(ValueError, match="nothing to tell apart"):
        XQDA().fit(np.ones_like(X), y, cams)
    with pytest.raises(ValueError, match="singular: use a larger reg"):
        CVDCA(reg=0).fit(X, y, cams)


@each_metric
def test_float32_descriptors_have_float32_projections(metric):
    """Distances are float64, and close to those of float64 descriptors."""
    X, y, cams = make_people(n_ids=20)
    X = X / 10
    wide, narrow = clone(metric).fit(X, y, cams), clone(metric).fit(X.astype(np.float32), y, cams)
    assert narrow.transform(X.astype(np.float32)).dtype == np.float32
    assert wide.transform(X).dtype == np.float64
    distances = narrow.pairwise_distances(X.astype(np.float32), X[:5].astype(np.float32))
    assert distances.dtype == np.float64
    assert np.corrcoef(distances.ravel(), wide.pairwise_distances(X, X[:5]).ravel())[0, 1] > 0.999


@each_metric
def test_fitted_metrics_pickle_clone_and_return_data_frames(metric):
    X, y, cams = make_people(n_ids=12)
    fitted = clone(metric).set_params(n_components=2).fit(X, y, cams)
    again = pickle.loads(pickle.dumps(fitted))
    expected = fitted.pairwise_distances(X, X)
    assert_allclose(again.pairwise_distances(X, X), expected, rtol=1e-9, atol=1e-6 * expected.max())
    names = [f"{type(metric).__name__.lower()}{i}" for i in range(2)]
    assert fitted.get_feature_names_out().tolist() == names
    assert fitted.set_output(transform="pandas").transform(X).columns.tolist() == names
    assert not hasattr(clone(fitted), "n_components_")


@each_metric
def test_fits_show_their_steps_when_asked(metric, capfd):
    """On the error stream, to the last step; silent by default, with the same result."""
    X, y, cams = make_people()
    silent = clone(metric).fit(X, y, cams)
    assert capfd.readouterr() == ("", "")
    shown = clone(metric).set_params(verbose=1).fit(X, y, cams)
    out, bar = capfd.readouterr()
    assert out == ""
    assert f"Fitting {type(metric).__name__}: 100%" in bar
    np.testing.assert_array_equal(shown.pairwise_distances(X, X), silent.pairwise_distances(X, X))


@each_metric
def test_metrics_saved_before_they_were_verbose_still_work(metric):
    """Their state has no `verbose`."""
    X, y, cams = make_people()
    fitted = clone(metric).fit(X, y, cams)
    state = fitted.__getstate__()
    del state["verbose"]
    old = type(metric).__new__(type(metric))
    old.__setstate__(state)
    assert old.get_params()["verbose"] == 0
    np.testing.assert_array_equal(old.pairwise_distances(X, X), fitted.pairwise_distances(X, X))
    clone(old).fit(X, y, cams)


@each_metric
def test_a_pipeline_routes_cams_to_fit(metric):
    """With metadata routing on, the result is that of direct calls."""
    X, y, cams = make_people(n_ids=12)
    direct = clone(metric).fit(PCA(6).fit_transform(X), y, cams)
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(PCA(6), clone(metric).set_fit_request(cams=True))
        pipeline.fit(X, y, cams=cams)
    inner = pipeline[:-1].transform(X)
    expected = direct.pairwise_distances(inner[:5], inner)
    assert_allclose(pipeline[-1].pairwise_distances(inner[:5], inner), expected, rtol=1e-6, atol=1e-8)
    blind = make_pipeline(PCA(6), clone(metric)).fit(X, y)
    assert not np.allclose(blind[-1].pairwise_distances(inner[:5], inner), expected)


def test_torch_is_not_imported():
    code = "import sys, skreid.metric_learning; raise SystemExit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@parametrize_with_checks(METRICS)
def test_common_checks_of_scikit_learn_pass(estimator, check):
    check(estimator)


@each_metric
def test_no_common_check_is_skipped(metric):
    """The only exception is the check on array-API input, which needs other packages."""
    results = check_estimator(clone(metric), on_skip=None, on_fail=None)
    status = [result["status"] for result in results]
    assert status.count("passed") >= 47
    assert {result["check_name"] for result in results if result["status"] != "passed"} <= {"check_array_api_input"}
