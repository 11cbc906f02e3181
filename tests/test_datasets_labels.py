"""Identities and cameras of loaders: two become one only where Unicode says so, and a missing one is no label."""

import os
import unicodedata
from decimal import Decimal
from enum import IntEnum
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image
from test_datasets_loaders import GRID, MARKET, PKU, PRID, SEQUENCES, VIPER, msmt, plant

from skreid.datasets import (
    load_csv,
    load_grid,
    load_ilids,
    load_image_folder,
    load_market1501,
    load_msmt17,
    load_pku_reid,
    load_prid2011,
    load_viper,
)
from skreid.datasets._labels import near_groups, to_labels


class View(IntEnum):
    """An enumeration whose members are ints."""

    ONE = 1


NAMED = r"(?P<identity>[^_]+)_(?P<camera>[^_.]*)"


def folder_of(root, *people):
    """Make a folder of two images for each person."""
    return plant(root, *(f"{who}/{n}.png" for who in people for n in (0, 1)))


def table_of(root, *rows, header="path,identity,camera", ending="\n"):
    """Write a table beside images a.png to d.png."""
    (plant(root, "a.png", "b.png", "c.png", "d.png") / "t.csv").write_text(ending.join([header, *rows]) + ending)
    return root / "t.csv"


# the rule -----------------------------------------------------------------------------------------------------

PARTS = st.sampled_from(
    ["0", "1", "7", "00", "+", "-", ".0", "a", "A", " ", "\uff11", "\u0661", "e\u0301", "\u00e9", "\ufb01"]
)
TEXTS = st.lists(st.lists(PARTS, min_size=1, max_size=3).map("".join), min_size=1, max_size=6)


@given(texts=TEXTS)
@example(texts=["001017", "1017"])
@example(texts=["1", "2", "-0", "0"])
@example(texts=["1" * 18, "1" * 19])
def test_labels_are_equal_exactly_where_unicode_says_that_the_texts_are(texts):
    """By comparing all pairs; what was joined is reported with its spellings."""
    labels = to_labels(texts)
    for one, first in zip(texts, labels.values, strict=True):
        for other, second in zip(texts, labels.values, strict=True):
            assert (first == second) == (unicodedata.normalize("NFD", one) == unicodedata.normalize("NFD", other))
    forms = {unicodedata.normalize("NFC", text): set() for text in texts}
    for text in texts:
        forms[unicodedata.normalize("NFC", text)].add(text)
    assert labels.joined == {form: sorted(several) for form, several in forms.items() if len(several) > 1}


@given(numbers=st.lists(st.integers(-(10**18) + 1, 10**18 - 1), min_size=1, max_size=5), width=st.integers(1, 9))
def test_whole_numbers_of_one_width_become_numbers(numbers, width):
    """With any number of zeros before them, if all have the same form."""
    labels = to_labels([f"{number:0{width}d}" for number in numbers])
    assert labels.values.dtype == np.int64
    assert labels.values.tolist() == numbers
    assert labels.near == []


@given(texts=TEXTS, offsets=st.lists(st.sampled_from([0, 10, 1000]), min_size=6, max_size=6))
def test_offsets_keep_people_apart(texts, offsets):
    """The same text with another offset is another person, and so are a number and a sum of the same value."""
    offsets = offsets[: len(texts)]
    values = to_labels(texts, offsets).values
    pairs = [(unicodedata.normalize("NFC", text), offset) for text, offset in zip(texts, offsets, strict=True)]
    for i, one in enumerate(pairs):
        for j, other in enumerate(pairs):
            assert (values[i] == values[j]) == (one == other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("001017", "1017"), ("1", "01"), ("1", "1.0"), ("1", "\uff11"), ("1", "+1"), ("0", "-0"), ("1", "\u0661"),
        ("Ann", "ann"), ("ann", "ann "), ("an n", "ann"), ("ann\u200b", "ann"), ("\ufb01n", "fin"), ("ss", "\u00df"),
        ("c1", "C01"), ("1_01", "1_1"), ("\ufeffann", "ann"), ("ann\u00a0", "ann"),
    ],
)  # fmt: skip
def test_labels_that_are_nearly_alike_stay_apart_and_are_reported(tmp_path, one, other):
    """As identities and as cameras, by every loader of one's own images."""
    report = load_image_folder(folder_of(tmp_path / "folders", one, other, "zed")).report
    assert report.n_identities == 3
    assert report.label_variants == [tuple(sorted((one, other)))]
    assert any("identity labels that differ only" in s for s in report.suspicious)
    root = plant(tmp_path / "names", *(f"{who}_{cam}.png" for who in ("x1", "x2") for cam in (one, other)))
    report = load_image_folder(root, pattern=r"(?P<identity>x\d)_(?P<camera>.*)\.png").report
    assert report.n_cameras == 2
    assert report.camera_variants == [tuple(sorted((one, other)))]
    if one.strip() != other.strip():
        rows = (
            f"{image}.png,{who},{cam}" for image, who, cam in zip("abcd", (one, one, other, other), "1212", strict=True)
        )
        table = load_csv(table_of(tmp_path / "t", *rows)).report
        assert table.n_identities == 2
        assert len(table.label_variants) == 1


@pytest.mark.parametrize(("one", "other"), [("ann", "bo"), ("1", "10"), ("1.5", "15"), ("a1", "1a"), ("-1", "1")])
def test_labels_that_differ_are_not_reported_as_alike(one, other):
    """Their digits, letters and signs are others."""
    assert near_groups([one, other]) == []


def test_spellings_of_one_text_are_joined_and_reported(tmp_path):
    """Composed and decomposed letters of a name, of a camera, and in a table."""
    composed, decomposed = "Zo\u00eb", "Zoe\u0308"
    data = load_image_folder(folder_of(tmp_path / "a", composed, decomposed, "ann"))
    assert data.target.tolist().count(composed) == 4
    assert data.report.joined_labels == {composed: [decomposed, composed]}
    assert any(r"'Zoe\u0308', 'Zo\xeb'" in sentence for sentence in data.report.suspicious)
    root = plant(tmp_path / "b", *(f"{who}_{cam}.png" for who in "12" for cam in (composed, decomposed)))
    data = load_image_folder(root, pattern=NAMED)
    assert (data.report.n_cameras, list(data.report.joined_cameras)) == (1, [composed])
    table = table_of(tmp_path / "c", f"a.png,{composed},1", f"b.png,{decomposed},2", "c.png, bo,1", "d.png,bo ,2")
    data = load_csv(table)
    assert data.target.tolist() == [composed, composed, "bo", "bo"]
    assert set(data.report.joined_labels) == {composed, "bo"}  # blanks around a cell do not belong to it


def test_folders_of_one_name_are_one_person_and_reported(tmp_path):
    """Two parts of a set may number their people anew, and a folder of cameras is no person."""
    data = load_image_folder(folder_of(tmp_path, "site1/ann", "site2/ann", "site1/bo"))
    assert data.report.joined_folders == {"ann": ["site1/ann", "site2/ann"]}
    assert any("'ann' (site1/ann, site2/ann)" in sentence for sentence in data.report.suspicious)


PUBLISHED = {
    load_market1501: (MARKET, "bounding_box_test/001_c6s1_011741_02.jpg", 3),
    load_grid: (GRID, "gallery/001_2_3.jpeg", 2),
    load_viper: (VIPER, "cam_a/00_45.bmp", 3),
    load_ilids: (SEQUENCES, "i-LIDS-VID/images/cam1/person1/0.png", 3),
    load_pku_reid: (PKU, "PKUv1a_128x48/1_01_01.png", 3),
    load_prid2011: (PRID, "single_shot/cam_a/person_1.png", 5),
}


@pytest.mark.parametrize("load", PUBLISHED)
def test_published_layouts_join_no_two_spellings_of_a_number(tmp_path, load):
    """All identities stay text then, and junk is still no person."""
    names, other, expected = PUBLISHED[load]
    data = load(plant(tmp_path, *names, other))
    assert data.target.dtype.kind == "U"
    assert data.report.n_identities == expected
    assert len(data.report.label_variants) == 1
    assert data.report.n_junk == {load_market1501: 2, load_grid: 1}.get(load, 0)


def test_lists_of_msmt17_join_no_two_spellings_of_a_number(tmp_path):
    """Both halves keep their people apart as text, too."""
    root = msmt(tmp_path)
    path = root / "list_val.txt"
    path.write_text(path.read_text().replace(" 0", " 00"))
    assert load_msmt17(root).target.tolist() == ["0", "00", "0 + 10000", "0 + 10000"]


# missing labels -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [" ", "nan", "None", "<NA>", "NaT", "\u200b", "\u3000"])
def test_missing_identity_of_a_folder_is_refused_by_file(tmp_path, name):
    """Blank and invisible names, and missing values that were written as text."""
    with pytest.raises(ValueError, match=r"2 of 4 images have no identity .*/0\.png' below"):
        load_image_folder(folder_of(tmp_path, name, "bo"))


@pytest.mark.parametrize("cell", ["", " ", "nan", "NaN", "NA", "N/A", "None", "null", "NULL", "<NA>", '""', "NaT"])
@pytest.mark.parametrize("key", ["path", "identity", "camera", "subset"])
def test_missing_cell_of_a_table_is_refused_by_line(tmp_path, cell, key):
    """Its message names the column's meaning and the line."""
    rows = [["a.png", "1", "1", "query"], ["b.png", "1", "2", "gallery"], ["c.png", "2", "1", "gallery"]]
    rows[1][["path", "identity", "camera", "subset"].index(key)] = cell
    table = table_of(tmp_path, *map(",".join, rows), header="path,identity,camera,part")
    if key == "path" and cell.strip(' "'):
        with pytest.raises(FileNotFoundError, match="line 3"):
            load_csv(table, subset_column="part")
        return
    with pytest.raises(ValueError, match=r"(?i)line 3 of .*t\.csv") as caught:
        load_csv(table, subset_column="part")
    assert key in str(caught.value)


def test_column_without_any_camera_is_reported_as_unknown(tmp_path):
    """So is a group of the pattern that never matches; nothing stands for them."""
    data = load_csv(table_of(tmp_path / "a", "a.png,1,", "b.png,1,nan", "c.png,2, "))
    assert data.cams is None
    assert data.report.n_cameras is None
    assert "3 images without a camera: the cameras are unknown" in data.report.suspicious
    root = plant(tmp_path / "b", "ann.png", "bo.png")
    data = load_image_folder(root, pattern=r"(?P<identity>[a-z]+)(_(?P<camera>\d))?(_(?P<subset>\w))?(?P<note>#)?")
    assert (data.cams, data.note) == (None, None)
    assert data.report.n_without_camera == 2
    assert "subset" not in data


@pytest.mark.parametrize("group", ["camera", "subset"])
def test_group_that_matches_some_images_only_is_refused_by_file(tmp_path, group):
    """A missing camera or subset is not one of that name."""
    root = plant(tmp_path, "ann_1.png", "bo.png", "cy_1.png")
    with pytest.raises(ValueError, match=rf"1 of 3 images have no {group}, the first 'bo\.png' below .*'{group}'"):
        load_image_folder(root, pattern=rf"(?P<identity>[a-z]+)(_(?P<{group}>\w+))?\.png")


def test_other_groups_may_match_some_images_only(tmp_path):
    """The value of the others is None, which no figure takes for a label, and the report counts them."""
    root = plant(tmp_path, "ann_1.png", "bo.png", "cy_x.png")
    data = load_image_folder(root, pattern=r"(?P<identity>[a-z]+)(_(?P<shot>\d))?(_(?P<note>x))?(?P<never>q)?\.png")
    assert data.shot.tolist() == [1, None, None]
    assert data.note.tolist() == [None, None, "x"]
    assert data.never is None
    assert data.report.n_without == {"shot": 2, "note": 2, "never": 3}
    assert "2 images without 'shot': None there" in data.report.suspicious


@pytest.mark.parametrize("value", [1.5, True, b"1", ("1",), [1], Decimal(1), View.ONE, np.zeros(2), object()])
def test_function_of_the_camera_must_return_an_int_or_text(tmp_path, value):
    """Anything else is refused with its type and the image."""
    root = plant(tmp_path, "ann_1.png", "bo_2.png")
    name = type(value).__name__
    with pytest.raises(TypeError, match=rf"return an int or a str\. Got .*of type {name}, for '1', .*'ann_1\.png'"):
        load_image_folder(root, pattern=NAMED, camera=lambda text: value)
    with pytest.raises(ValueError, match=r"at most 18 digits.*'ann_1\.png'"):
        load_image_folder(root, pattern=NAMED, camera=lambda text: 10**18 + int(text))
    assert load_image_folder(root, pattern=NAMED, camera=lambda text: np.str_(text)).cams.tolist() == [1, 2]


@pytest.mark.parametrize(
    "pair",
    [("i", "\u0130"), ("I", "\u0131"), ("a", "a\ufe0f"), ("a", "a\U000e0100"), ("a", "a\u034f"), ("a", "\u3164a")],
)
def test_labels_that_look_alike_are_reported_as_near(tmp_path, pair):
    """Turkish letters i, and characters that Unicode says may be ignored; other letters stay apart."""
    assert near_groups(["x", *pair, "\u00e4"]) == [tuple(sorted(pair))]


def test_list_that_joins_or_splits_the_people_of_msmt17_is_reported(tmp_path):
    """A label unlike the person in the name is kept, counted, and warned of; new numbers for all are no fault."""
    root = plant(msmt(tmp_path), "test/0001/0001_000_03_x_1_0.jpg", "test/0002/0002_000_03_x_1_0.jpg")
    path = root / "list_gallery.txt"
    lines = path.read_text().strip()
    path.write_text(f"{lines}\n0001/0001_000_03_x_1_0.jpg 0\n0002/0002_000_03_x_1_0.jpg 2\n")
    with pytest.warns(UserWarning, match=r"1 image .*unlike the person in the file name.*'test/0001/0001_000_03_x_1_0"):
        report = load_msmt17(root).report
    assert report.unlike_names == ["test/0001/0001_000_03_x_1_0.jpg"]
    assert any("unlike the person in the file name" in sentence for sentence in report.suspicious)
    path.write_text(f"{lines}\n0001/0001_000_03_x_1_0.jpg 8\n0002/0002_000_03_x_1_0.jpg 9\n")  # numbered anew
    assert not load_msmt17(root).report.unlike_names


def test_subsets_that_are_nearly_alike_are_reported(tmp_path):
    """An evaluation would use one of them only."""
    rows = ("a.png,ann,1,query", "b.png,ann,2,Query", "c.png,bo,1,gallery", "d.png,bo,2,gallery")
    report = load_csv(table_of(tmp_path, *rows, header="path,identity,camera,split"), subset_column="split").report
    assert report.subset_variants == [("Query", "query")]
    assert any("subset labels that differ only in case" in sentence for sentence in report.suspicious)


def test_function_of_the_camera_may_not_lose_or_mix_cameras(tmp_path):
    """A missing value, values of two types and an error name the camera or the image."""
    root = plant(tmp_path, "ann_1.png", "ann_2.png", "bo_x.png")
    for missing in (None, float("nan"), ""):
        with pytest.raises(ValueError, match=r"1 of 3 images have no camera, the first 'bo_x\.png'"):
            load_image_folder(root, pattern=NAMED, camera={"1": 1, "2": 2, "x": missing}.get)
    with pytest.raises(ValueError, match="values of one type, not int and str"):
        load_image_folder(root, pattern=NAMED, camera={"1": 1, "2": "1", "x": 2}.get)
    with pytest.raises(ValueError, match=r"failed for 'x', from the image 'bo_x\.png': invalid literal"):
        load_image_folder(root, pattern=NAMED, camera=int)
    data = load_image_folder(root, pattern=NAMED, camera={"1": np.int64(4), "2": 5, "x": 4}.get)
    assert data.cams.tolist() == [4, 5, 4]


@pytest.mark.parametrize("label", ["unknown", "Null", "-1", "?"])
def test_label_that_may_stand_for_nobody_is_reported(tmp_path, label):
    """It may also be a name, so it is kept."""
    report = load_image_folder(folder_of(tmp_path / "a", label, "2")).report
    assert report.doubtful_labels == [label]
    assert report.n_identities == 2
    report = load_image_folder(plant(tmp_path / "b", f"1_{label}.png", "1_2.png"), pattern=NAMED).report
    assert report.doubtful_cameras == [label]
    assert any("may stand for no camera" in sentence for sentence in report.suspicious)


def test_group_with_the_name_of_a_column_is_refused(tmp_path):
    """A group called images would be taken for the images of the dataset."""
    for name in ("images", "data", "paths", "report"):
        with pytest.raises(ValueError, match=name):
            load_image_folder(plant(tmp_path, "a.png"), pattern=rf"(?P<identity>a)(?P<{name}>\.)")
    data = load_image_folder(tmp_path, pattern=r"(?P<identity>a)(?P<self>\.)(?P<offset>p)(?P<path_>n)")
    assert (data["self"].tolist(), data["offset"].tolist(), data.target.tolist()) == (["."], ["p"], ["a"])


# tables -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["a.png,1,1", "b.png,1"], r"Line 3 of .*t\.csv' has 2 cells, and the header has 3"),
        (["a.png,1,1", "b.png,1,x,2"], r"Line 3 of .*has 4 cells, and the header has 3.*delimiter ','"),
        (['a.png,1,"1', "b.png,1,2"], r"Line 2 of .*is not CSV: unexpected end"),
        (['a.png,1,"1', 'b.png,1,2"', "c.png,1,1"], r"The camera in line 2 of .*line break: a quote is not closed"),
        (['"a"x.png,1,1'], r"Line 2 of .*is not CSV"),
        (["", "", "a.png,1,1", "b.png,,1"], r"Line 5 of .*no identity"),
        ([], "has a header, but no row"),
    ],
)
def test_rows_that_would_shift_or_swallow_labels_are_refused_by_line(tmp_path, rows, message):
    """Labels are never taken from another column or another row."""
    with pytest.raises(ValueError, match=message):
        load_csv(table_of(tmp_path, *rows))


def test_headers_that_leave_a_doubt_are_refused(tmp_path):
    """A column that is there twice, another delimiter, a name that is nearly right, an empty file."""
    with pytest.raises(ValueError, match="'identity' is 2 times in"):
        load_csv(table_of(tmp_path, "a.png,1,1,2", header="path,identity,camera,identity"))
    with pytest.raises(ValueError, match="'delimiter'"):
        load_csv(table_of(tmp_path, "a.png;1;1", header="path;identity;camera"))
    with pytest.raises(ValueError, match="Did you mean 'Identity'"):
        load_csv(table_of(tmp_path, "a.png,1,1", header="path,Identity,camera"))
    with pytest.raises(ValueError, match=r"'delimiter' .* one character"):
        load_csv(table_of(tmp_path, "a.png,1,1"), delimiter=";;")
    with pytest.raises(ValueError, match="'path_column'"):
        load_csv(table_of(tmp_path, "a.png,1,1"), path_column=None)
    (tmp_path / "t.csv").write_text("")
    with pytest.raises(ValueError, match="is empty"):
        load_csv(tmp_path / "t.csv")
    with pytest.raises(TypeError, match="'path' parameter of load_csv"):
        load_csv(None)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "latin-1"])
def test_other_encodings_are_refused_by_line(tmp_path, encoding):
    """They would give other labels, or none."""
    path = table_of(tmp_path, "a.png,Zoë,1")
    path.write_bytes("path,identity,camera\na.png,Zoë,1\n".encode(encoding))
    with pytest.raises(ValueError, match=r"Line [12] of .*save the file as UTF-8"):
        load_csv(path)


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_harmless_differences_of_tables_change_nothing(tmp_path, mark, ending):
    """A byte order mark, line endings, blanks around cells and names, empty lines, a delimiter after the last cell."""
    rows = ["", " a.png , 01, 1,", "   ", "b.png, 01,2,", ""]
    data = load_csv(table_of(tmp_path, *rows, header=f"{mark}path , identity,camera", ending=ending))
    assert [Path(path).name for path in data.paths] == ["a.png", "b.png"]
    assert (data.target.tolist(), data.cams.tolist()) == ([1, 1], [1, 2])
    assert data.report.suspicious == []
    assert data.report.n_files == data.report.n_listed == 2


def test_empty_file_of_a_table_is_reported_and_kept(tmp_path):
    """The rows of a table stay as they are."""
    table = table_of(tmp_path, "a.png,1,1", "b.png,1,2")
    os.truncate(tmp_path / "b.png", 0)
    data = load_csv(table)
    assert len(data.paths) == 2
    assert data.report.empty_files == [str(tmp_path / "b.png")]


def test_folder_or_pipe_in_a_table_is_called_what_it_is(tmp_path):
    """It exists, but it is no image."""
    path = table_of(tmp_path, "a.png,ann,1", "inner,bo,2", "pipe,bo,3")
    (tmp_path / "inner").mkdir()
    with pytest.raises(FileNotFoundError, match=r"2 of the 3 images .*line 3: '.*inner' is a folder\."):
        load_csv(path)
    (tmp_path / "inner").rmdir()
    Image.new("RGB", (2, 2)).save(tmp_path / "inner", "PNG")
    with pytest.raises(FileNotFoundError, match=r"line 4: '.*pipe' does not exist\."):
        load_csv(path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(FileNotFoundError, match=r"line 4: '.*pipe' is a pipe or device\."):
            load_csv(path)
