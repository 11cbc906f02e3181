"""k-reciprocal re-ranking against its definition on the full joint matrix, with Python sets."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.base import BaseEstimator
from sklearn.preprocessing import FunctionTransformer

from skreid import rank_gallery
from skreid._search import joint, nearest, reranking
from skreid.displays import CameraPairDisplay, CMCDisplay
from skreid.evaluation import evaluate
from skreid.gallery import Gallery
from skreid.metric_learning import CVDCA, XQDA
from skreid.metrics import (
    RerankedBlocks,
    k_reciprocal_blocks,
    k_reciprocal_rerank,
    mean_average_precision,
    ranking_metrics,
)
from skreid.protocols import GivenSplitProtocol
from skreid.report import evaluation_report
from skreid.rivals import ClusterFirst

AS_IS = FunctionTransformer().fit([[0.0]])


def reference(D, P, G, k1, k2, lam):
    """Follow Zhong et al. (2017) image by image on dense matrices."""
    return reference_of_squares(np.block([[P, D], [D.T, G]]) ** 2, len(D), k1, k2, lam)


def reference_of_squares(joint, n_probe, k1, k2, lam):
    n, joint = len(joint), joint / joint.max(axis=1, keepdims=True)
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


def whole(blocks, step):
    """Return all rows of blocks, read a few probes at a time."""
    n_probe = blocks.shape[0]
    return np.concatenate([blocks(start, min(start + step, n_probe)) for start in range(0, n_probe, step)])


@given(
    st.sampled_from(["euclidean", "sqeuclidean"]), st.integers(1, 8), st.integers(1, 25), st.integers(0, 99), st.data()
)
def test_blocks_equal_the_definition_with_ties(metric, n_probe, n_gallery, seed, data):
    """Small integers make ties, copies and neighbourhoods larger than the data; small blocks make many of them."""
    rng = np.random.default_rng(seed)
    a, b = (rng.integers(0, 4, (n, 2)).astype(np.float32) for n in (n_probe, n_gallery))
    assume(len(np.unique(np.concatenate([a, b]), axis=0)) > 1)
    k1, k2 = data.draw(st.integers(1, 25), "k1"), data.draw(st.integers(1, 8), "k2")
    lam = data.draw(st.sampled_from([0, 0.3, 1]), "lambda")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reranking, "IMAGES", 5)
        patch.setattr(reranking, "PAIRS", data.draw(st.sampled_from([1, 7, 1000]), "pairs"))
        patch.setattr(joint, "BLOCK_PROBES", 4)
        patch.setattr(nearest, "BLOCK_PROBES", 6)
        got = whole(k_reciprocal_blocks(a, b, metric=metric, k1=k1, k2=k2, lambda_value=lam), 3)
    D, P, G = cdist(a, b, metric), cdist(a, a, metric), cdist(b, b, metric)
    np.testing.assert_allclose(got, reference(D, P, G, k1, k2, lam), atol=1e-9)
    dense = k_reciprocal_rerank(D, P, G, k1=k1, k2=k2, lambda_value=lam)
    np.testing.assert_allclose(got, dense, atol=1e-9)


@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean", "cosine"])
def test_blocks_equal_the_dense_distances_far_from_the_origin(metric):
    """Probes and gallery of different precision, one of them mapped from disk, are one set of images."""
    rng = np.random.default_rng(1)
    a, b = 3 + rng.normal(size=(9, 5)).astype(np.float32), 3 + rng.normal(size=(40, 5))
    D, P, G = cdist(a, b, metric), cdist(a, a, metric), cdist(b, b, metric)
    blocks = k_reciprocal_blocks(a, b, metric=metric, k1=6, k2=3)
    assert isinstance(blocks, RerankedBlocks)
    assert blocks.shape == (9, 40)
    np.testing.assert_allclose(whole(blocks, 4), reference(D, P, np.abs(G), 6, 3, 0.3), rtol=0, atol=1e-10)


def test_metrics_take_blocks_in_place_of_a_matrix():
    """Figures are those of the matrix, with cameras left out by the metrics as ever."""
    rng = np.random.default_rng(0)
    y, cams = np.repeat(np.arange(12), 6), np.tile([0, 1, 2], 24)
    x = rng.normal(size=(12, 8))[y] + rng.normal(size=(72, 8))
    p, g = np.arange(72) % 6 == 0, np.arange(72) % 6 > 0
    ids = {"y_probe": y[p], "y_gallery": y[g], "cams_probe": cams[p], "cams_gallery": cams[g]}
    matrix = k_reciprocal_rerank(between(x[p], x[g]), between(x[p], x[p]), between(x[g], x[g]), k1=5, k2=2)
    blocks = k_reciprocal_blocks(x[p], x[g], k1=5, k2=2)
    got, expected = ranking_metrics(distances=blocks, block_size=5, **ids), ranking_metrics(distances=matrix, **ids)
    assert got.mean_average_precision == pytest.approx(expected.mean_average_precision, abs=1e-12)
    assert expected.mean_average_precision < 1


def test_copies_in_the_gallery_tie_to_the_last_bit():
    """A tie counts against the system, so copies of a descriptor must not differ by rounding."""
    rng = np.random.default_rng(0)
    b = np.tile(rng.normal(size=(60, 4)), (3, 1))
    got = whole(k_reciprocal_blocks(rng.normal(size=(20, 4)), b, k1=12, k2=6), 20)
    np.testing.assert_array_equal(got[:, :60], got[:, 60:120])
    np.testing.assert_array_equal(got[:, :60], got[:, 120:])


def test_blocks_of_identical_descriptors_are_finite():
    """All distances are exactly zero, at any place."""
    got = k_reciprocal_blocks(np.full((3, 7), 0.1), np.full((9, 7), 0.1), k1=2, k2=2)(0, 3)
    expected = k_reciprocal_rerank(np.zeros((3, 9)), np.zeros((3, 3)), np.zeros((9, 9)), k1=2, k2=2)
    np.testing.assert_allclose(got, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k1": 0}, "'k1' parameter of k_reciprocal_blocks"),
        ({"metric": "manhattan"}, "'metric' parameter"),
        ({"X_gallery": np.ones((2, 4))}, "must have shape"),
        ({"X_gallery": np.array([[1.0, 2, 3], [0, np.nan, 0]])}, "X_gallery contains NaN or infinity in row 1"),
        ({"X_gallery": np.eye(4, 3), "metric": "cosine"}, "X_gallery is zero in row 3"),
    ],
)
def test_descriptors_that_cannot_be_reranked_are_named(change, message):
    """Each error names the argument, and the row."""
    good = {"X_probe": np.ones((2, 3)), "X_gallery": np.eye(3)}
    with pytest.raises(ValueError, match=message):
        k_reciprocal_blocks(**{**good, **change})


# rank_gallery ---------------------------------------------------------------------------------------------


def crowd(seed=0):
    """Return descriptors, identities and cameras of probes (camera 0) and gallery (camera 1)."""
    rng = np.random.default_rng(seed)
    y, cams = np.repeat(np.arange(15), 4), np.tile([0, 1, 1, 1], 15)
    x = rng.normal(size=(15, 5))[y] + 0.6 * rng.normal(size=(60, 5))
    return x, y, cams, cams == 0, cams == 1


def assert_ranked_by(matrix, ranking):
    """Assert that a ranking sorts the rows of a matrix."""
    distances, indices = ranking
    np.testing.assert_allclose(distances, np.sort(matrix, axis=1)[:, : distances.shape[1]], atol=1e-9)
    np.testing.assert_allclose(np.take_along_axis(matrix, indices, axis=1), distances, atol=1e-9)


def test_rank_gallery_sorts_reranked_distances(monkeypatch):
    """A dict sets what it names; blocks of one probe change nothing."""
    x, _, _, p, g = crowd()
    D, P, G = between(x[p], x[g]), between(x[p], x[p]), between(x[g], x[g])
    assert_ranked_by(k_reciprocal_rerank(D, P, G), rank_gallery(AS_IS, x[p], x[g], 45, rerank=True))
    monkeypatch.setattr(nearest, "COLUMN_VALUES", 1)
    got = rank_gallery(AS_IS, x[p], x[g], 7, rerank={"k1": 5, "lambda_value": 0.1})
    assert_ranked_by(k_reciprocal_rerank(D, P, G, k1=5, lambda_value=0.1), got)
    assert rank_gallery(AS_IS, x[p], x[g], 7, False, rerank=True).shape == (15, 7)
    assert rank_gallery(AS_IS, x[:0], x[g], 7, rerank=True)[1].shape == (0, 7)


def test_equal_reranked_distances_keep_the_gallerys_order():
    """With one identity of copies there are ties only."""
    assert rank_gallery(AS_IS, np.zeros((2, 3)), np.zeros((6, 3)), 4, False, rerank=True).tolist() == [[0, 1, 2, 3]] * 2


@pytest.mark.parametrize("with_system", [False, True])
def test_a_gallery_is_reranked_by_its_descriptors(with_system):
    """A Gallery ranks as its descriptors do."""
    x, _, _, p, g = crowd()
    gallery = Gallery.from_estimator(AS_IS, x[g]) if with_system else Gallery(x[g])
    expected = rank_gallery(AS_IS, x[p], x[g], 9, rerank=True)
    np.testing.assert_array_equal(rank_gallery(AS_IS, x[p], gallery, 9, rerank=True), expected)


def test_a_gallery_of_another_distance_is_refused():
    """Nothing is re-ranked by a distance that the gallery does not use."""
    x, _, _, p, g = crowd()
    with pytest.raises(ValueError, match=r"ranks by cosine distance: use skreid\.metrics\.k_reciprocal_blocks"):
        rank_gallery(AS_IS, x[p], Gallery(x[g], metric="cosine"), rerank=True)


@pytest.mark.parametrize("in_gallery", [False, True])
def test_a_metric_with_cameras_measures_each_pair_by_its_own(in_gallery, monkeypatch):
    """Within the probes and within the gallery too; small blocks change nothing."""
    monkeypatch.setattr(joint, "LEARNED_IMAGES", 7)
    monkeypatch.setattr(joint, "BLOCK_PROBES", 8)
    monkeypatch.setattr(reranking, "IMAGES", 11)
    x, y, cams, p, g = crowd()
    metric = CVDCA(reg=0.1).fit(x, y, cams)
    D, P, G = (
        metric.pairwise_distances(x[i], x[j], cams_probe=cams[i], cams_gallery=cams[j])
        for i, j in ((p, g), (p, p), (g, g))
    )
    assert not np.allclose(D, metric.pairwise_distances(x[p], x[g]))
    if in_gallery:
        gallery = Gallery.from_estimator(metric, x[g], cams=cams[g])
        got = rank_gallery(metric, x[p], gallery, 45, cams_probe=cams[p], rerank={"k1": 6})
    else:
        got = rank_gallery(metric, x[p], x[g], 45, cams_probe=cams[p], cams_gallery=cams[g], rerank={"k1": 6})
    assert_ranked_by(k_reciprocal_rerank(D, P, G, k1=6), got)


def test_cameras_of_one_side_alone_are_refused():
    """Distances within the gallery would be measured without them."""
    x, y, cams, p, g = crowd()
    with pytest.raises(ValueError, match="cams_probe was given without cams_gallery"):
        rank_gallery(CVDCA(reg=0.1).fit(x, y, cams), x[p], x[g], cams_probe=cams[p], rerank=True)


def test_quadratic_forms_are_not_squared_again():
    """XQDA's distances are squares, of which some are negative."""
    x, y, cams, p, g = crowd()
    metric = XQDA(reg=0.1, n_components=5).fit(x, y, cams)
    metric.metric_ = np.diag([1, 1, 1, 1, -0.2])
    both = np.concatenate([x[p], x[g]])
    squares = metric.pairwise_distances(both, both)
    assert squares.min() < -0.01
    expected = reference_of_squares(squares, 15, 6, 2, 0.3)
    assert_ranked_by(expected, rank_gallery(metric, x[p], x[g], 45, rerank={"k1": 6, "k2": 2}))


class Form(BaseEstimator):
    """Distances by a function of all pairs of rows."""

    def __init__(self, function):
        self.function = function

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def pairwise_distances(self, probes, gallery):
        return self.function(probes[:, None], gallery[None])


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (Form(lambda a, b: np.abs(a - 2 * b).sum(axis=2)), "Form cannot be re-ranked: its distance"),
        (Form(lambda a, b: np.abs(a - b).sum(axis=2) / a.shape[0] / b.shape[1]), "depends on the other images"),
        (ClusterFirst(), "ClusterFirst cannot be re-ranked"),
        (Form(lambda a, b: np.abs(a - b).sum(axis=2) - 1), "Form returned -1"),
    ],
)
def test_a_metric_that_cannot_be_reranked_is_refused(metric, message):
    """Neighbourhoods need a distance that is the same both ways, of two images alone, and not negative."""
    x, _, _, p, g = crowd()
    with pytest.raises(ValueError, match=message):
        rank_gallery(metric.fit(x), x[p], x[g], rerank=True)


@pytest.mark.parametrize(
    ("rerank", "message"),
    [
        (1, "'rerank' parameter of rank_gallery must be a bool or a dict"),
        ({"k": 3}, "takes k1, k2 and lambda_value. Got 'k' instead"),
        ({"k2": 0}, r"'k2' parameter of rank_gallery\(rerank=...\) must be an int"),
        ({"lambda_value": 2}, r"'lambda_value' parameter of rank_gallery\(rerank=...\)"),
    ],
)
def test_wrong_settings_are_named(rerank, message):
    """Nothing is ranked with settings that mean nothing."""
    with pytest.raises(ValueError, match=message):
        rank_gallery(AS_IS, [[0.0]], [[1.0]], 1, rerank=rerank)


# evaluate -------------------------------------------------------------------------------------------------

LABEL = "re-ranked (k1=5, k2=6, lambda=0.3)"


@pytest.fixture
def people():
    x, y, cams, _, _ = crowd()
    return {"data": x, "target": y, "cams": cams, "subset": np.where(cams == 0, "query", "gallery")}


def test_evaluation_has_the_figures_of_the_reranked_matrix(people):
    """Cameras are still left out by the protocol, and the nearest images are those of the new order."""
    result = evaluate(AS_IS, people, GivenSplitProtocol(), fit=False, ranks=(1, 3), rerank={"k1": 5})
    x, y, cams, p, g = crowd()
    matrix = k_reciprocal_rerank(between(x[p], x[g]), between(x[p], x[p]), between(x[g], x[g]), k1=5)
    expected = ranking_metrics(y[p], y[g], matrix, cams_probe=cams[p], cams_gallery=cams[g], ranks=(1, 3))
    assert result.repeats[0].metrics.ranks == expected.ranks
    assert result.mean["mAP"] == pytest.approx(expected.mean_average_precision, abs=1e-12)
    plain = evaluate(AS_IS, people, GivenSplitProtocol(), fit=False, ranks=(1, 3))
    assert result.mean["mAP"] != pytest.approx(plain.mean["mAP"], abs=1e-3)
    np.testing.assert_allclose(result.repeats[0].nearest.distances[:, 0], matrix.min(axis=1))


def test_evaluation_passes_cameras_to_a_metric(people):
    """Each image is measured by its own camera, in probes and gallery."""
    x, y, cams, p, g = crowd()
    metric = CVDCA(reg=0.1).fit(x, y, cams)
    result = evaluate(metric, people, GivenSplitProtocol(), fit=False, on_seen="ignore", rerank=True)
    expected = rank_gallery(metric, x[p], x[g], 10, cams_probe=cams[p], cams_gallery=cams[g], rerank=True)
    np.testing.assert_allclose(result.repeats[0].nearest.distances, expected[0], atol=1e-12)


def test_a_reranked_result_says_so_wherever_it_is_shown(people, tmp_path):
    """Text, table, JSON, legend, title and report name the settings; a result without re-ranking does not."""
    protocol = GivenSplitProtocol()
    plain, result = (evaluate(AS_IS, people, protocol, fit=False, rerank=rerank) for rerank in (False, {"k1": 5}))
    assert result.protocol == f"{plain.protocol}; {LABEL}"
    assert LABEL in repr(result)
    assert f"[2] {result.protocol}." in plain.table(result)
    assert json.loads(json.dumps(result.to_dict()))["rerank"] == {"k1": 5, "k2": 6, "lambda_value": 0.3}
    assert LABEL in result.by_camera_pair().title
    assert LABEL in result.hardest(1).title
    ax = CMCDisplay.from_evaluation(result).ax_
    CMCDisplay.from_evaluation(plain, ax=ax)
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    plt.close(ax.figure)
    assert [LABEL in text for text in texts] == [True, False]
    title = CameraPairDisplay.from_evaluation(result).ax_.get_title()
    plt.close("all")
    assert LABEL in title.replace("\n", " ")
    pages = [evaluation_report(each, tmp_path / "page.html").read_text(encoding="utf-8") for each in (result, plain)]
    assert pages[0].count(LABEL) >= 2  # the line of the protocol, and the curve in words
    assert "re-ranked" not in pages[1]
    assert plain.to_dict()["rerank"] is None


def test_evaluate_refuses_wrong_settings_before_it_fits(people):
    """The error names evaluate."""
    with pytest.raises(ValueError, match=r"'k1' parameter of evaluate\(rerank=...\)"):
        evaluate(None, people, GivenSplitProtocol(), rerank={"k1": 0})
