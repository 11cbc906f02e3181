"""Distances, descriptors and figures: every entry point takes the same containers, with the same results."""

from decimal import Decimal

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from containers import tables, with_a_gap
from scipy import sparse
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skreid import cmc_score, metrics, rank_gallery
from skreid._base.arrays import as_array
from skreid.descriptors import CenteredNormalizer
from skreid.displays import CMCDisplay, RankingDisplay
from skreid.evaluation import evaluate, nearest_images
from skreid.gallery import Gallery
from skreid.metric_learning import CVDCA, KCVDCA, XQDA, KernelXQDA, cross_view_scatter
from skreid.protocols import GivenSplitProtocol, TwoViewProtocol, aggregate_distances
from skreid.rivals import ClusterFirst

pytestmark = [
    pytest.mark.filterwarnings("ignore:the matrix subclass"),
    pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names"),  # scikit-learn's, of frames
]
Y, CAMS = [1, 2, 1, 2], [1, 1, 2, 2]
TABLE = np.array([[0.5, 2, 1, 8], [3, 0.25, 2, 7], [1.5, 4, 0.125, 5], [6, 1, 9, 0]], np.float32) / 16
PIXELS = [np.full((8, 4, 3), 20 * i, np.uint8) for i in range(4)]
SAME = np.equal.outer(Y, Y)
XQDA_ = XQDA(reg=0.1).fit(TABLE, Y, CAMS)
CVDCA_ = CVDCA(reg=0.1).fit(TABLE, Y, CAMS)
CENTRED = CenteredNormalizer().fit(TABLE)
AS_IS = FunctionTransformer().fit(TABLE)
SYMMETRIC = TABLE + TABLE.T


def described(x):
    people = {"data": x, "target": Y, "cams": CAMS, "subset": ["query", "query", "gallery", "gallery"]}
    return evaluate(AS_IS, people, GivenSplitProtocol(), fit=False).repeats[0].nearest.distances


def fitted(x):
    people = {"data": x, "target": Y, "subset": ["train", "query", "train", "gallery"]}
    return evaluate(CenteredNormalizer(), people, GivenSplitProtocol(use_cams=False)).repeats[0].nearest.distances


def aggregated(x):
    protocol = TwoViewProtocol(n_train=0, n_repeats=1)
    people = {"target": [1, 2, 3, 4] * 2, "cams": [1] * 4 + [2] * 4}
    return protocol.aggregate(people, next(protocol.split(people)), x).distances


def shown(distances):
    display = RankingDisplay.from_predictions(Y, Y, distances, probes=PIXELS, gallery=PIXELS, n_neighbors=3)
    return np.array(display.distances)


# Each takes a table of four rows and four columns; wherever it holds a missing value, the entry point refuses it.
ENTRY_POINTS = {
    "cmc_curve": lambda x: metrics.cmc_curve(Y, Y, x),
    "cmc_curve, callable": lambda x: metrics.cmc_curve(Y, Y, lambda start, stop: x),
    "rank_k": lambda x: metrics.rank_k(Y, Y, x, cams_probe=CAMS, cams_gallery=CAMS),
    "mean_average_precision": lambda x: metrics.mean_average_precision(Y, Y, x),
    "mean_inverse_negative_penalty": lambda x: metrics.mean_inverse_negative_penalty(Y, Y, x),
    "ranking_metrics": lambda x: metrics.ranking_metrics(Y, Y, x).average_precision,
    "verification_curve": lambda x: metrics.verification_curve(Y, Y, x).fnmr,
    "threshold_at_fmr": lambda x: metrics.threshold_at_fmr(Y, Y, x, fmr=0.5),
    "open_set_curve": lambda x: metrics.open_set_curve([1, 2, 3, 4], Y, x).thresholds[:-1],
    "threshold_at_far": lambda x: metrics.threshold_at_far([1, 2, 3, 4], Y, x, far=0.5),
    "k_reciprocal_rerank distances": lambda x: metrics.k_reciprocal_rerank(x, SYMMETRIC, SYMMETRIC, k1=2, k2=2),
    "k_reciprocal_rerank probes": lambda x: metrics.k_reciprocal_rerank(SYMMETRIC, x, SYMMETRIC, k1=2, k2=2),
    "k_reciprocal_rerank gallery": lambda x: metrics.k_reciprocal_rerank(SYMMETRIC, SYMMETRIC, x, k1=2, k2=2),
    "distance_blocks probe": lambda x: metrics.distance_blocks(x, TABLE)(0, 4),
    "distance_blocks gallery": lambda x: metrics.distance_blocks(TABLE, x, metric="cosine")(0, 4),
    "k_reciprocal_blocks probe": lambda x: metrics.k_reciprocal_blocks(x, TABLE, k1=2, k2=2)(0, 4),
    "k_reciprocal_blocks gallery": lambda x: metrics.k_reciprocal_blocks(TABLE, x, k1=2, k2=2)(0, 4),
    "summary": lambda x: metrics.summary(x).low,
    "wilson_interval": lambda x: metrics.wilson_interval(x, 5),
    "aggregate_distances": lambda x: aggregate_distances(x, Y, Y)[0],
    "TwoViewProtocol.aggregate": lambda x: metrics.cmc_curve([1, 2, 3, 4], [1, 2, 3, 4], aggregated(x)),
    "nearest_images": lambda x: nearest_images(x, SAME).indices,
    "rank_gallery probes": lambda x: rank_gallery(AS_IS, x, TABLE, 3),
    "rank_gallery gallery": lambda x: rank_gallery(AS_IS, TABLE, x, 3),
    "rank_gallery of a metric": lambda x: rank_gallery(XQDA_, x, TABLE, 3),
    "rank_gallery of a Pipeline": lambda x: rank_gallery(make_pipeline(CENTRED, XQDA_), TABLE, x, 3),
    "rank_gallery in a Gallery": lambda x: rank_gallery(AS_IS, x, Gallery(TABLE), 3),
    "cmc_score": lambda x: cmc_score(AS_IS, x, Y, cams=CAMS),
    "evaluate": described,
    "evaluate a fit": fitted,
    "CMCDisplay": lambda x: CMCDisplay(cmc=x).plot().line_.get_ydata(),
    "CMCDisplay.from_predictions": lambda x: CMCDisplay.from_predictions(Y, Y, x).line_.get_ydata(),
    "CMCDisplay.from_estimator": lambda x: CMCDisplay.from_estimator(AS_IS, x, Y).line_.get_ydata(),
    "RankingDisplay.from_predictions": shown,
    "Gallery": lambda x: Gallery(x).kneighbors(TABLE, 3),
    "Gallery.add": lambda x: Gallery(TABLE).add(x).kneighbors(TABLE, 3),
    "Gallery.kneighbors": lambda x: Gallery(TABLE).kneighbors(x, 3),
    "Gallery.identify": lambda x: Gallery(TABLE, Y).identify(x, n_neighbors=2).distances,
    "Gallery.threshold": lambda x: Gallery(TABLE, Y).threshold(x, far=0.5),
    "Gallery.distance_blocks": lambda x: Gallery(TABLE).distance_blocks(x)(0, 3),
    "XQDA.fit": lambda x: XQDA(reg=0.1).fit(x, Y, CAMS).metric_,
    "XQDA.transform": XQDA_.transform,
    "XQDA.pairwise_distances": lambda x: XQDA_.pairwise_distances(x, TABLE),
    "KernelXQDA": lambda x: KernelXQDA(reg=0.1).fit(x, Y, CAMS).pairwise_distances(TABLE, x),
    "CVDCA.fit": lambda x: CVDCA(reg=0.1).fit(x, Y, CAMS).components_,
    "CVDCA.pairwise_distances": lambda x: CVDCA_.pairwise_distances(TABLE, x, cams_probe=CAMS, cams_gallery=CAMS),
    "KCVDCA": lambda x: KCVDCA(reg=0.1).fit(x, Y, CAMS).transform(x, CAMS),
    "cross_view_scatter": lambda x: cross_view_scatter(x, Y, CAMS),
    "CenteredNormalizer.fit": lambda x: CenteredNormalizer().fit(x).mean_,
    "CenteredNormalizer.transform": CENTRED.transform,
    "ClusterFirst": lambda x: ClusterFirst(n_clusters=2, random_state=0).fit(x).pairwise_distances(x, TABLE),
}


def flat(result):
    """Return all numbers of a result as one array."""
    parts = result if isinstance(result, (tuple, list)) else [result]
    return np.concatenate([np.ravel(np.asarray(part, dtype=np.float64)) for part in parts])


@pytest.mark.parametrize("entry", ENTRY_POINTS)
def test_every_container_has_the_result_of_a_numpy_array(entry):
    """Lists, frames, Arrow's tables, tensors of any precision, with a gradient: the same figures and descriptors."""
    call = ENTRY_POINTS[entry]
    for name, contain in tables().items():
        plain = TABLE.astype(as_array(contain(TABLE), name).dtype)
        expected = flat(call(plain))
        np.testing.assert_allclose(flat(call(contain(TABLE))), expected, rtol=1e-6, atol=1e-9, err_msg=name)
        plt.close("all")


@pytest.mark.parametrize("container", tables())
def test_the_values_are_those_of_the_container(container):
    """The array that any of them becomes holds the numbers that were put in, none rounded."""
    array = as_array(tables()[container](TABLE), "x")
    assert type(array) is np.ndarray
    np.testing.assert_array_equal(array, TABLE)


@pytest.mark.parametrize("entry", ENTRY_POINTS)
def test_missing_numbers_are_refused_everywhere(entry):
    """None, NaN, nulls and masked entries in any container; what is under a mask is never used."""
    for name, contain in with_a_gap().items():
        with pytest.raises(ValueError, match=r"(?i)nan\b|None|masked|<NA>|not finite"):
            pytest.fail(f"{name} was taken: {ENTRY_POINTS[entry](contain(TABLE))}")
        plt.close("all")


WRONG = {
    "None": None,
    "a string": "distances",
    "strings": [["1", "2", "3", "4"]] * 4,
    "numbers beside strings": [[1, "2", 3, 4]] * 4,
    "a dict": {"distances": TABLE},
    "a set": {1, 2},
    "a generator": (row for row in TABLE),
    "rows of different lengths": [[1, 2], [1]],
    "complex numbers": TABLE * 1j,
    "dates": np.zeros((4, 4), "M8[D]"),
    "sparse": sparse.csr_array(TABLE),
    "a sparse tensor": torch.tensor(TABLE).to_sparse(),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_holds_no_numbers_is_refused_by_name(wrong):
    """The error names the argument."""
    with pytest.raises((ValueError, TypeError), match=r"^distances "):
        as_array(WRONG[wrong], "distances")


@pytest.mark.parametrize("entry", ENTRY_POINTS)
def test_what_holds_no_numbers_is_refused_everywhere(entry):
    """It is a ValueError or a TypeError, whatever it is."""
    for name, value in WRONG.items():
        with pytest.raises((ValueError, TypeError)):
            pytest.fail(f"{name} was taken: {ENTRY_POINTS[entry](value)}")


@pytest.mark.parametrize(
    "wrong", [2**53 + 1, -(2**53) - 1, 2**64 - 1, 10**30, Decimal(2**53 + 1), Decimal("0." + "1" * 16)]
)
def test_numbers_that_floats_would_join_are_refused(wrong):
    """Two distances would tie, or change places: the number and its index are named."""
    for values in ([[1, wrong]], [[0.5, wrong]], ((1, wrong),), np.array([[1, wrong]], dtype=object)):
        with pytest.raises(ValueError, match=rf"^distances holds {wrong} at index \(0, 1\), .* up to 2\*\*53"):
            as_array(values, "distances")
    for dtype in ("i8", "u8"):
        with pytest.raises(ValueError, match=r"^distances holds 9007199254740993 at index 1, "):
            as_array(np.array([2**53, 2**53 + 1], dtype), "distances")
    for right in (2**53, -(2**53), Decimal("0." + "1" * 15), 0.1, 1e300):
        assert as_array([[right, 0.5]], "distances").tolist() == [[float(right), 0.5]]


UNREADABLE = {
    "on the device meta": (lambda x: x.to("meta"), "device 'meta'"),
    "by rows": (lambda x: x.to_sparse_csr(), "is sparse"),
    "by columns": (lambda x: x.to_sparse_csc(), "is sparse"),
    "by blocks": (lambda x: x.to_sparse_bsr((2, 2)), "is sparse"),
    "nested": (lambda x: torch.nested.nested_tensor(list(x), layout=torch.jagged), "is a nested tensor"),
}


@pytest.mark.filterwarnings("ignore:Sparse", "ignore:The PyTorch API of nested")
@pytest.mark.parametrize("wrong", UNREADABLE)
def test_tensors_that_numpy_cannot_read_are_refused_by_name(wrong):
    """The error is skreid's, with what to do, not torch's."""
    contain, says = UNREADABLE[wrong]
    values = contain(torch.tensor(TABLE))
    for call, name in (
        (lambda: as_array(values, "distances"), "distances"),
        (lambda: metrics.rank_k(Y, Y, values), "distances"),
        (lambda: Gallery(values), "X|descriptors"),
        (lambda: XQDA(reg=0.1).fit(values, Y), "X"),
    ):
        with pytest.raises((ValueError, TypeError), match=rf"^({name}).*{says}"):
            call()


def test_missing_numbers_are_named_by_index():
    """Where a library says None, <NA> or masked, the error has its row and column."""
    for value, name in (([[1.0, None]], "None"), (np.ma.array([[1, 2]], mask=[[False, True]]), "a masked entry")):
        with pytest.raises(ValueError, match=rf"^Input d contains {name} at index \(0, 1\)"):
            as_array(value, "d")


def test_arrays_are_not_copied():
    """A memory-mapped array stays one, and a tensor on the CPU shares its memory."""
    assert as_array(TABLE, "x") is TABLE
    tensor = torch.tensor(TABLE, requires_grad=True)
    assert np.shares_memory(as_array(tensor, "x"), tensor.detach().numpy())


def test_types_of_other_libraries_are_floats():
    """ml_dtypes is where JAX and TensorFlow have bfloat16 from."""
    ml_dtypes = pytest.importorskip("ml_dtypes")
    array = as_array(TABLE.astype(ml_dtypes.bfloat16), "x")
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, TABLE)
