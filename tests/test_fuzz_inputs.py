"""Random containers, kinds of labels and missing values at every entry point, against brute force on Python's lists.

The same figure as that of lists of numbers, or an error that names the argument: nothing else. See `test_fuzz.py`.
"""

import contextlib

import numpy as np
import pytest
import reference
from containers import columns, of_numbers, of_text, tables
from hypothesis import assume, event, given
from hypothesis import settings as tries
from hypothesis import strategies as st
from sklearn.preprocessing import FunctionTransformer

from skreid import metrics
from skreid.evaluation import evaluate
from skreid.gallery import Gallery
from skreid.metric_learning import XQDA
from skreid.model_selection import IdentityKFold, split_probe_gallery
from skreid.protocols import GivenSplitProtocol

pytestmark = [
    pytest.mark.filterwarnings("ignore:the matrix subclass"),
    pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names"),
]
half = tries(max_examples=tries.default.max_examples // 2)

KINDS = {  # how a whole number from -1 to 9 is written as a label
    "numbers": int,
    "strings": str,
    "padded": lambda number: f"{number:04d}" if number >= 0 else "-1",
    "names": lambda number: f"p{number}" if number > 0 else str(number),
    "bytes": lambda number: str(number).encode(),
}
OF_KIND = {"numbers": of_numbers(), "strings": of_text(), "padded": of_text(), "names": of_text(), "bytes": {}}
NOT_FOR_BYTES = {"polars", "polars frame"}  # polars has no frame or series of Python's bytes that NumPy reads
BLANKS = {
    "numbers": [None, np.nan, float("inf"), np.ma.masked],
    "bytes": [None, b"", b" ", b"nan", np.ma.masked],
}
TEXT = [None, "", " ", "\t", "nan", "None", "<NA>", "NaT", np.nan, np.ma.masked]
TABLES = tables()


@st.composite
def labels(draw, numbers, kind):
    """Draw labels of a kind, for these whole numbers, in any container."""
    ways = columns() | OF_KIND[kind]
    name = draw(st.sampled_from(sorted(ways.keys() - (NOT_FOR_BYTES if kind == "bytes" else set()))))
    event(f"labels in: {name}")
    return ways[name]([KINDS[kind](number) for number in numbers])


@st.composite
def rankings(draw):
    """Draw a small ranking on Python's lists: identities, cameras, distances with many ties, junk."""
    n_probe, n_gallery = draw(st.integers(1, 4)), draw(st.integers(1, 6))
    people = st.sampled_from([1, 1, 2, 2, 3, 0, -1])
    y_probe = draw(st.lists(st.integers(1, 3), min_size=n_probe, max_size=n_probe))
    y_gallery = draw(st.lists(people, min_size=n_gallery, max_size=n_gallery))
    seed = draw(st.integers(0, 2**32 - 1))
    distances = np.random.default_rng(seed).integers(0, draw(st.sampled_from([1, 3, 9])), (n_probe, n_gallery)) / 8
    cams = [draw(st.lists(st.integers(1, 2), min_size=n, max_size=n)) for n in (n_probe, n_gallery)]
    return y_probe, y_gallery, distances.astype(np.float32), *(cams if draw(st.booleans()) else (None, None))


@st.composite
def junks(draw, kind):
    """Draw nothing, -1 or 0 as junk, written in any way that names one label of a kind."""
    number = draw(st.sampled_from([None, -1, 0]))
    if number is None:
        return None, ()
    own = KINDS[kind](number)
    text = own.decode() if isinstance(own, bytes) else str(own)
    ways = [number, float(number), np.int8(number), [number], {number}, own, [own], text, text.encode()]
    return draw(st.sampled_from(ways)), (number,)


@st.composite
def blanked(draw, numbers, kind):
    """Draw labels as a list or an array of objects with one missing value, and its index."""
    values = [KINDS[kind](number) for number in numbers]
    index = draw(st.integers(0, len(values) - 1))
    values[index] = draw(st.sampled_from(BLANKS.get(kind, TEXT)))
    event(f"missing: {values[index]!r}")
    if draw(st.booleans()):
        column = np.empty(len(values), dtype=object)
        column[:] = values
        return column, index
    return values, index


def figures(args, options):
    """Return every figure of a ranking, from every function that computes one."""
    whole = metrics.ranking_metrics(*args, **options, max_rank=6, ranks=(1, 2))
    assert whole.ranks == {k: metrics.rank_k(*args, **options, k=k) for k in (1, 2)}
    assert whole.cmc.tolist() == metrics.cmc_curve(*args, **options, max_rank=6).tolist()
    assert whole.mean_average_precision == pytest.approx(metrics.mean_average_precision(*args, **options))
    penalty = metrics.mean_inverse_negative_penalty(*args, **options)
    assert whole.mean_inverse_negative_penalty == pytest.approx(penalty)
    return whole.cmc.tolist(), whole.mean_average_precision, penalty, whole.n_matches.tolist()


def brute_force(ranks):
    """Return the same figures by their definitions; probes without a match count as failures."""
    n = len(ranks)
    curve = [sum(mine[0] <= k for mine in ranks if mine) / n for k in range(1, 7)]
    precision = sum(sum(j / rank for j, rank in enumerate(mine, 1)) / len(mine) for mine in ranks if mine) / n
    return curve, precision, sum(len(mine) / mine[-1] for mine in ranks if mine) / n, [len(mine) for mine in ranks]


@given(ranking=rankings(), data=st.data())
def test_figures_are_those_of_lists_of_numbers(ranking, data):
    """Whatever holds identities, cameras and distances, in whatever kind: or the error names both kinds."""
    y_probe, y_gallery, distances, *cams = ranking
    kind, of_cams = (data.draw(st.sampled_from(sorted(KINDS)), label=name) for name in ("kind", "kind of cameras"))
    junk, numbers = data.draw(junks(kind))
    assume(not set(y_gallery) <= set(numbers))
    container = data.draw(st.sampled_from(sorted(TABLES)))
    event(f"distances in: {container}")
    event(f"identities: {kind}")
    args = [data.draw(labels(y_probe, kind)), data.draw(labels(y_gallery, kind)), TABLES[container](distances)]
    options = {"junk_ids": junk, "on_missing": "zero"}
    if cams[0] is not None:
        options["cams_probe"] = data.draw(labels(cams[0], of_cams))
        options["cams_gallery"] = data.draw(labels(cams[1], of_cams))
    expected = brute_force(reference.true_match_ranks(y_probe, y_gallery, distances, *cams, junk=numbers))
    for found, right in zip(figures(args, options), expected, strict=True):
        assert found == pytest.approx(right)

    other = data.draw(st.sampled_from(sorted(set(KINDS) - {kind})))
    if {kind, other} <= {"strings", "padded", "names"}:
        return
    event("two kinds refused")
    args[1] = data.draw(labels(y_gallery, other))
    with pytest.raises(ValueError, match=r"^y_probe holds \w+, such as .*, and y_gallery holds \w+, such as "):
        metrics.ranking_metrics(*args, **options)


LABELS = {  # entry points by the name of their argument in the error
    "y_probe": lambda y: metrics.cmc_curve(y, ["a"] * len(y), np.ones((len(y), len(y)))),
    "cams_gallery": lambda c: metrics.rank_k([1], [1] * len(c), np.ones((1, len(c))), cams_probe=[1], cams_gallery=c),
    "y": lambda y: next(IdentityKFold(2).split(y, y)),
    "cams": lambda c: split_probe_gallery([1] * len(c), cams=c),
    "ids": lambda y: Gallery(np.ones((len(y), 1)), ids=y),
    "dataset.target": lambda y: next(GivenSplitProtocol().split({"target": y, "subset": ["query"] * len(y)})),
    "junk_ids": lambda y: metrics.rank_k(["a"], ["a"], [[1.0]], junk_ids=y),
}


@pytest.mark.parametrize("name", LABELS)
@half
@given(data=st.data())
def test_missing_labels_are_named_by_index(name, data):
    """One missing value anywhere among labels of any kind."""
    kind = data.draw(st.sampled_from(sorted(KINDS)))
    numbers = data.draw(st.lists(st.integers(-1, 9), min_size=1, max_size=6))
    values, index = data.draw(blanked(numbers, kind))
    with pytest.raises(ValueError, match=rf"^Input {name} contains .* at index {index}: "):
        LABELS[name](values)


@half
@given(data=st.data(), n_probes=st.integers(1, 3), n_images=st.integers(2, 6))
def test_searches_are_those_of_lists_of_numbers(data, n_probes, n_images):
    """A Gallery in any containers ranks as SciPy does; cameras and identities hide what they should."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    rows, probes = (rng.integers(-3, 4, (n, 2)).astype(np.float32) for n in (n_images, n_probes))
    ids, cams = ([rng.integers(1, 4, n).tolist() for n in (n_images, n_probes)] for _ in range(2))
    kind, of_cams = (data.draw(st.sampled_from(sorted(KINDS))) for _ in range(2))
    contained = [TABLES[data.draw(st.sampled_from(sorted(TABLES)))](table) for table in (rows, probes)]
    gallery = Gallery(contained[0], ids=data.draw(labels(ids[0], kind)), cams=data.draw(labels(cams[0], of_cams)))
    hidden = np.equal.outer(cams[1], cams[0])
    options = {"cams": data.draw(labels(cams[1], of_cams))}
    if data.draw(st.booleans()):
        options["ids"] = data.draw(labels(ids[1], kind))
        hidden &= np.equal.outer(ids[1], ids[0])
    expected, order = reference.nearest(probes, rows, n_images, hidden)
    distances, indices = gallery.kneighbors(contained[1], n_images, **options)
    np.testing.assert_allclose(distances, expected, rtol=1e-6)
    np.testing.assert_array_equal(indices, order)


@half
@given(data=st.data(), n_images=st.integers(2, 6))
def test_evaluations_are_those_of_lists_of_numbers(data, n_images):
    """A dataset in any containers has the figures of brute force over distances."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    rows = rng.integers(0, 5, (n_images + 1, 1)) * np.array([1, 0], np.float32)  # equal rows only are equally far
    rows[0] = 0
    target, cams = [1, *rng.integers(0, 3, n_images).tolist()], rng.integers(1, 3, n_images + 1).tolist()
    kind = data.draw(st.sampled_from(sorted(KINDS)))
    container = data.draw(st.sampled_from(sorted(TABLES)))
    event(f"data in: {container}")
    dataset = {"data": TABLES[container](rows), "subset": ["query"] + ["gallery"] * n_images}
    dataset |= {"target": data.draw(labels(target, kind)), "cams": data.draw(labels(cams, "strings"))}
    junk, numbers = data.draw(junks(kind))
    assume(not set(target[1:]) <= set(numbers))
    protocol = GivenSplitProtocol(junk_ids=() if junk is None else junk)
    distances = np.linalg.norm(rows[:1, None].astype(float) - rows[None, 1:], axis=2)
    (ranks,) = reference.true_match_ranks(target[:1], target[1:], distances, cams[:1], cams[1:], junk=numbers)
    as_is = FunctionTransformer()
    if not ranks:
        event("no true match")
        with pytest.raises(ValueError, match="no true match"):
            evaluate(as_is, dataset, protocol, fit=False)
        return
    result = evaluate(as_is, dataset, protocol, fit=False, ranks=(1, 2))
    assert result.values["rank_1"].tolist() == [ranks[0] == 1]
    assert result.values["mAP"] == pytest.approx(np.mean([j / rank for j, rank in enumerate(ranks, 1)]))


@half
@given(data=st.data())
def test_learned_metrics_are_those_of_plain_arrays(data):
    """Descriptors, identities and cameras in any containers: the same distances."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    rows = rng.integers(-8, 9, (8, 3)).astype(np.float32)
    y, cams = [1, 1, 2, 2, 3, 3, 4, 4], [1, 2] * 4
    kind = data.draw(st.sampled_from(sorted(KINDS)))
    contain = TABLES[data.draw(st.sampled_from(sorted(TABLES)))]
    args = contain(rows), data.draw(labels(y, kind)), data.draw(labels(cams, "numbers"))
    with contextlib.suppress(ValueError):  # singular
        plain = XQDA(reg=0.5).fit(rows.astype(np.float64), y, cams)
        expected = plain.pairwise_distances(rows[:2].astype(np.float64), rows.astype(np.float64))
        found = XQDA(reg=0.5).fit(*args).pairwise_distances(contain(rows[:2]), contain(rows))
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
