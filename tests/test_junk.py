"""Junk, subsets and identities seen in training: named in another spelling or kind, and found all the same."""

import datetime

import numpy as np
import pytest

from skreid import cmc_score, metrics
from skreid._base.junk import alike, codes_of, spelled_number
from skreid.evaluation import evaluate
from skreid.exceptions import SeenIdentitiesWarning
from skreid.metric_learning import XQDA
from skreid.protocols import GivenSplitProtocol, Market1501Protocol, ShotProtocol

SPELLINGS = [
    "-1",
    "-01",
    "-0001",
    "-1.0",
    "-1.",
    " -1",
    "-1 ",
    "\u22121",
    "\uff0d1",
    "\uff0d\uff11",
    "-1e0",
    "-1.000E+00",
]
X = np.random.default_rng(0).normal(size=(12, 3))


@pytest.mark.parametrize("text", SPELLINGS)
@pytest.mark.parametrize("junk", [-1, -1.0, "-1", b"-1", "-1.0", "\u22121"])
def test_junk_is_found_in_any_spelling(text, junk):
    """A number is found in text that spells it, and text in text that spells the same number."""
    for held in (text, text.encode()) if text.isascii() else (text,):
        ids = ["7", held] if isinstance(held, str) else [b"7", held]
        assert codes_of(junk, ids, "junk_ids") == [1]
        assert metrics.rank_k(ids[:1], ids, [[2, 1]], junk_ids=junk) == 1.0


def test_what_spells_no_whole_number_is_no_junk():
    """Neither hashes that look like powers of ten, nor numbers with a remainder, nor words."""
    for text in ("0e12", "1e1", "-1.5", "--1", "p-1", "- 1", "1_0", "", "\u00bd", "0x1"):
        assert spelled_number(text) is None, text
    assert codes_of(-1, ["-1.5", "--1", "1"], "junk_ids") == []


def test_text_that_is_equal_comes_first():
    """Only where none is equal may another spelling be meant; two others are refused."""
    assert codes_of("-1", ["-1", "-01"], "junk_ids") == [0]
    assert codes_of("-01", [b"-1", b"-01"], "junk_ids") == [1]
    assert codes_of("junk", [b"junk", b"-1"], "junk_ids") == [0]
    with pytest.raises(ValueError, match=r"junk_ids holds '-1', which could be '-01' or '-1.0' among the identities"):
        codes_of("-1", ["-01", "-1.0"], "junk_ids")


def test_dates_are_junk():
    """One or several, in an array or as Python's."""
    days = np.array(["2020-01-01", "2020-01-02"], "M8[D]")
    for junk in (days[1:], days[1], datetime.date(2020, 1, 2), [datetime.datetime(2020, 1, 2)]):
        assert metrics.rank_k(days[:1], days, [[0.2, 0.1]], junk_ids=junk) == 1.0


PEOPLE = {"target": ["7", "7", "-1", "8"], "cams": [1, 2, 2, 2], "subset": ["query", *["gallery"] * 3]}


@pytest.mark.parametrize("protocol", [GivenSplitProtocol, Market1501Protocol, ShotProtocol])
def test_what_can_be_read_only_once_is_refused(protocol):
    """A second evaluation would count the junk."""
    with pytest.raises(TypeError, match=r"^junk_ids .*is a map, which can be read only once: give a list"):
        next(protocol(junk_ids=map(int, ["-1"])).split(PEOPLE))
    with pytest.raises(TypeError, match=r"^junk_ids is a generator, which can be read only once"):
        metrics.rank_k([7], [7, -1], [[2, 1]], junk_ids=(label for label in [-1]))


@pytest.mark.parametrize("wrong", ["Gallery", "query ", "galery", b"gallery", 3, "test"])
def test_unknown_subsets_are_refused_by_name_and_number(wrong):
    """Their images would be left out in silence."""
    subset = ["query", "gallery", wrong, wrong] if isinstance(wrong, str) else [wrong] * 4
    with pytest.raises(ValueError, match=rf"dataset.subset holds {wrong!r} \({subset.count(wrong)} images\)"):
        next(GivenSplitProtocol().split(PEOPLE | {"subset": subset}))


def test_images_that_are_not_in_use_have_no_subset_or_are_for_validation():
    """Blank text in any form, and "val"."""
    trial = next(GivenSplitProtocol().split(PEOPLE | {"subset": ["query", "gallery", "val", ""]}))
    assert (trial.probe.tolist(), trial.gallery.tolist()) == ([0], [1])


@pytest.mark.parametrize("write", [str, lambda number: str(number).encode(), "{:04d}".format, "{:.1f}".format])
def test_people_seen_in_training_are_noticed_in_another_kind(write):
    """Text that spells the number of a training identity is that identity, for scores and evaluations."""
    y = np.repeat(range(6), 2)
    metric = XQDA(reg=0.1).fit(X, y)
    tested = [write(number) for number in y[2:]]
    with pytest.warns(SeenIdentitiesWarning, match="fitted on 5 of the 5 identities that are scored"):
        cmc_score(metric, X[2:], tested)
    people = {"data": X[2:], "target": tested}
    with pytest.raises(ValueError, match="fitted on 5 of the 5 identities that are probes here"):
        evaluate(metric, people, ShotProtocol(0, use_cams=False), fit=False)
    others = {"data": X[2:], "target": [f"p{number}" for number in y[2:]]}
    evaluate(metric, others, ShotProtocol(0, use_cams=False), fit=False)


def test_alike_are_labels_that_spell_the_same():
    """Of one kind they have to be equal; of two kinds they spell one number or one text."""
    assert alike(["7", "8"], [7, 9]) == alike(["7", "8"], [b"7"]) == ["7"]
    assert alike(["07"], ["7"]) == alike([7], [8.5]) == alike(["a"], []) == alike([("a", 1)], ["a"]) == []
    assert alike(["ann"], [b"ann"]) == ["ann"]


def test_days_are_seen_in_any_unit():
    """An identity is no whole number of nanoseconds."""
    days = np.repeat(np.array(["2020-01-01", "2020-01-02", "2020-01-03"], "M8[ns]"), 4)
    metric = XQDA(reg=0.1).fit(X, days)
    with pytest.warns(SeenIdentitiesWarning, match="fitted on 2 of the 2 identities"):
        cmc_score(metric, X[:8], days[:8].astype("M8[D]"))


def test_a_missing_row_names_nobody_when_cut_to_fewer_bytes():
    """Indexing with what a ranking has in place of a row fails in every type of integer."""
    from skreid.gallery import Gallery

    gallery = Gallery(X[:3], ids=["ann", "bo", "cy"], cams=[1, 1, 1])
    indices = gallery.kneighbors(X[:1], 1, cams=[1], ids=["ann"])[1], gallery.kneighbors(X[:1], 1, cams=[1])[1]
    assert indices[0].tolist() == [[1]] or indices[0].tolist() == [[2]]
    for dtype in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"):
        with pytest.raises(IndexError):
            gallery.ids[indices[1].astype(dtype)]


def test_mean_inverse_negative_penalty_is_not_printed_as_a_second_map():
    """Where every probe has one true match, it is mAP; the attribute stays."""
    single = metrics.ranking_metrics([7, 8], [8, 7], [[1, 2], [1, 2]], ranks=1)
    assert "mean_inverse_negative_penalty" not in repr(single)
    assert single.mean_inverse_negative_penalty == single.mean_average_precision == 0.75
    double = metrics.ranking_metrics([7], [7, 8, 7], [[1, 2, 3]], ranks=1)
    assert "mean_average_precision=0.8333333333333333, mean_inverse_negative_penalty=0.6666666666666666" in repr(double)
    assert repr(double).startswith("RankingMetrics(ranks={1: 1.0}, ")
