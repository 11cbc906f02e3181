"""Loaders account for every file: it is listed, or passed over for a reason that the report has."""

import errno
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as tries
from hypothesis import strategies as st
from PIL import Image
from test_datasets_loaders import CUHK01, GRID, MARKET, NP, PKU, PRID, SEQUENCES, STILLS, VIPER, msmt, names_of, plant

from skreid import datasets
from skreid._images.source import ImageSource
from skreid.datasets import load_cuhk01, load_image_folder, load_market1501, load_msmt17
from skreid.datasets._duplicates import find_duplicates

quiet = pytest.mark.filterwarnings("ignore:.*passed over")


def count_files(root):
    """Return the number of entries below a folder that are not real folders, by another walk than the loaders'."""
    return sum(
        len(files) + sum(os.path.islink(os.path.join(folder, inner)) for inner in inner_folders)
        for folder, inner_folders, files in os.walk(root)
    )


def check_sum(report):
    """Check that the files of a report are those listed and those passed over, each once."""
    names = [name for several in report.passed_over.values() for name in several]
    assert len(names) == len(set(names))
    assert report.n_files == report.n_listed + len(names)


def passed(report):
    """Return the reason for each path that was passed over."""
    return {name: reason for reason, names in report.passed_over.items() for name in names}


def test_empty_folder_of_a_person_is_reported(tmp_path):
    """Nobody is listed for it; a hidden one is no person's."""
    plant(tmp_path, "ann/0.png", "ann/1.png")
    for name in ("bo", "cy/inner", ".cache"):
        (tmp_path / name).mkdir(parents=True)
    report = load_image_folder(tmp_path).report
    assert report.empty_folders == ["bo", "cy/inner"]
    assert "2 empty folders: 'bo', 'cy/inner'" in report.suspicious
    assert report.n_files == 2


def test_report_and_warnings_count_in_words_and_call_a_file_passed_over(tmp_path):
    """One file and several are counted in the same words, in the warning as in the report."""
    plant(tmp_path, "ann/0.png", "ann/1.png")
    for number, noun in ((1, "image file"), (2, "image files")):
        plant(tmp_path, f"{number}.png")
        with pytest.warns(UserWarning, match=f"{number} {noun} below .* passed over because of unexpected names"):
            report = load_image_folder(tmp_path).report
        assert any(s.startswith(f"{number} {noun} passed over because of unexpected") for s in report.suspicious)
        assert not any("(s)" in sentence or "left out" in sentence for sentence in report.suspicious)


# one folder ---------------------------------------------------------------------------------------------------

CLUTTER = {
    ".DS_Store": "hidden or service file",
    "ann/._0.png": "hidden or service file",
    ".ipynb_checkpoints/0.png": "hidden or service file",
    ".thumbnails/ann/0.png": "hidden or service file",
    ".git/objects/ab/c.png": "hidden or service file",
    "ann/@eaDir/0.png/SYNO.jpg": "hidden or service file",
    "__MACOSX/ann/0.png": "hidden or service file",
    "$RECYCLE.BIN/S-1/0.png": "hidden or service file",
    "#recycle/0.png": "hidden or service file",
    "lost+found/0.png": "hidden or service file",
    "ann/Thumbs.db": "hidden or service file",
    "ann/THUMBS.DB": "hidden or service file",
    "ann/desktop.ini": "hidden or service file",
    "notes.txt": "other ending",
    "ann/film.mpg": "other ending",
    "ann/drawing.eps": "other ending",
    "ann/page.pdf": "other ending",
    "ann/0.png.part": "other ending",
    "ann/noending": "other ending",
    "ann/empty.png": "empty",
    "loose.png": "unexpected name",
}


@quiet
def test_every_file_of_a_cluttered_folder_is_listed_or_passed_over_for_its_reason(tmp_path):
    """The sentences of the report name the folders and endings."""
    for name in CLUTTER:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"" if "empty" in name else b"some bytes")
    plant(tmp_path, "ann/0.png", "ann/1.JPG", "bo/0.png", "bo/1.png")
    data = load_image_folder(tmp_path)
    assert names_of(data, tmp_path) == ["ann/0.png", "ann/1.JPG", "bo/0.png", "bo/1.png"]
    assert passed(data.report) == CLUTTER
    check_sum(data.report)
    assert data.report.n_files == count_files(tmp_path)
    told = " ".join(data.report.suspicious)
    for name in (".ipynb_checkpoints (1)", "Thumbs.db (1)", ".txt (1)", ".part (1)", "'ann/empty.png'", "'loose.png'"):
        assert name in told.replace(str(tmp_path) + "/", "")


@pytest.mark.parametrize("name", [".hidden", "@eaDir", "lost+found"])
def test_folder_that_the_user_names_is_read_whatever_its_name(tmp_path, name):
    """It may also be reached through a link."""
    root = plant(tmp_path / name, "ann/0.png", "bo/0.png")
    assert len(load_image_folder(root).paths) == 2
    (tmp_path / "link").symlink_to(name)
    assert len(load_image_folder(tmp_path / "link").paths) == 2


SAVED = {
    "avif": "AVIF", "bmp": "BMP", "gif": "GIF", "jpg": "JPEG", "jpe": "JPEG", "jpeg": "JPEG", "jfif": "JPEG",
    "jp2": "JPEG2000", "j2k": "JPEG2000", "png": "PNG", "ppm": "PPM", "pgm": "PPM", "pbm": "PPM", "tif": "TIFF",
    "tiff": "TIFF", "webp": "WEBP",
}  # fmt: skip


def test_all_formats_that_the_pages_promise_are_listed_and_decoded(tmp_path):
    """Endings may be in capitals; every file that is listed can be decoded."""
    for ending, kind in SAVED.items():
        for spelled in (ending, ending.upper()):
            path = tmp_path / spelled / f"0.{spelled}"
            path.parent.mkdir()
            Image.new("1" if ending == "pbm" else "RGB", (4, 8)).save(path, kind)
    data = load_image_folder(tmp_path, check_duplicates=False)
    assert set(data.target.tolist()) == {s for ending in SAVED for s in (ending, ending.upper())}
    assert not data.report.passed_over
    assert ImageSource(data.paths, (8, 4)).read(slice(None)).shape == (len(data.paths), 3, 8, 4)


def test_picture_of_an_unsupported_format_is_warned_of(tmp_path):
    """The warning counts them by ending. Texts and films are no pictures, and give no warning."""
    plant(tmp_path, "ann/0.png", "bo/0.png")
    (tmp_path / "bo/notes.txt").write_text("x")
    load_image_folder(tmp_path)
    for name in ("1.heic", "2.HEIC"):
        (tmp_path / "bo" / name).write_bytes(b"x")
    with pytest.warns(UserWarning, match=r"2 image file.*format that is not supported.*\.heic \(2\)"):
        report = load_image_folder(tmp_path).report
    assert any("other ending" not in s and ".heic (2), .txt (1)" in s for s in report.suspicious)


def test_only_the_endings_that_are_asked_for_are_listed(tmp_path):
    """With or without their dot. A str would be taken apart into letters."""
    root = plant(tmp_path, "ann/0.png", "ann/1.jpg", "ann/2.bmp")
    data = load_image_folder(root, extensions=["PNG", ".jpg"])
    assert names_of(data, root) == ["ann/0.png", "ann/1.jpg"]
    assert data.report.passed_over == {"other ending": ["ann/2.bmp"]}
    for wrong in (".png", [1], [""]):
        with pytest.raises(ValueError, match="'extensions' parameter"):
            load_image_folder(root, extensions=wrong)


# links --------------------------------------------------------------------------------------------------------


@quiet
def test_links_are_followed_once(tmp_path):
    """A real file comes before a link to it, whatever their order; loops of one or several links end."""
    root = plant(tmp_path / "root", "m/0.png", "m/deep/1.png")
    plant(tmp_path, "other/cy/0.png", "other/cy/1.png")
    links = {
        "a": "m",  # before the folder that it leads to
        "m/again.png": "0.png",
        "m/loop": "..",
        "m/deep/loop": "../../m",
        "m/up": "../..",
        "cy": "../other/cy",
        "cz": "../other/cy",
        "zz": "../other",
        "m/gone.png": "nowhere.png",
        "m/self": "self",
        "p/x": "../q",
        "q/y": "../p",
        "one.png/0.png": "../../other/cy/1.png",
    }
    for link, target in links.items():
        (root / link).parent.mkdir(exist_ok=True)
        (root / link).symlink_to(target)
    data = load_image_folder(root)
    assert names_of(data, root) == ["cy/0.png", "cy/1.png", "m/0.png", "m/deep/1.png"]
    reasons = passed(data.report)
    again, unreadable = "link to what is listed", "cannot be read"
    assert reasons == {
        **dict.fromkeys(("a", "m/again.png", "m/loop", "m/deep/loop", "m/up", "cz", "one.png/0.png", "zz/cy"), again),
        **dict.fromkeys(("p/x", "q/y"), again),
        **dict.fromkeys(("m/gone.png", "m/self"), unreadable),
    }
    check_sum(data.report)
    loops = {name for name, why in data.report.why.items() if "a loop" in why}
    assert loops == {"m/loop", "m/deep/loop", "m/up"}


def test_link_into_a_hidden_folder_is_followed(tmp_path):
    """Stores of large files keep them in a hidden folder, and links to them where they belong."""
    root = plant(tmp_path, ".store/one.png", ".store/two.png")
    (root / "ann").mkdir()
    (root / "ann/0.png").symlink_to("../.store/one.png")
    (root / "bo").symlink_to(".store")
    with pytest.warns(UserWarning, match="link to what is listed"):
        data = load_image_folder(root)
    assert names_of(data, root) == ["ann/0.png", "bo/two.png"]
    assert passed(data.report) == {
        ".store/one.png": "hidden or service file",
        ".store/two.png": "hidden or service file",
        "bo/one.png": "link to what is listed",
    }


@quiet
def test_files_and_folders_without_permission_are_reported(tmp_path, monkeypatch):
    """The report has the system's reason."""
    root = plant(tmp_path, "ann/0.png", "ann/1.png", "bo/0.png", "cy/0.png")
    (root / "ann/1.png").chmod(0o200)
    access, scandir = os.access, os.scandir
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).endswith("1.png") and access(path, mode))

    def refuse(path):
        if str(path).endswith("bo"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    data = load_image_folder(root)
    assert names_of(data, root) == ["ann/0.png", "cy/0.png"]
    assert passed(data.report) == dict.fromkeys(("ann/1.png", "bo"), "cannot be read")
    assert set(data.report.unreadable_files) == {str(root / "ann/1.png"), str(root / "bo")}
    assert "Permission denied" in data.report.why["bo"]
    check_sum(data.report)


# any tree -----------------------------------------------------------------------------------------------------

FOLDERS = ["", "ann", "bo/deep", ".cache", "bo/@eaDir", "__MACOSX/ann", "ann/Thumbs.db"]
FILES = [
    "0.png",
    "1.JPG",
    "2.avif",
    "notes.txt",
    "README",
    ".hidden.png",
    "desktop.ini",
    "x.PNG~",
    "é.png",
    "e\u0301.png",
]
# No link to a hidden folder: it is followed, and then its files count twice, once as hidden.
TARGETS = ["0.png", "..", ".", "../ann", "../ann/0.png", "nowhere", "/dev/null", "loop.png"]
ITEMS = st.tuples(st.sampled_from(FOLDERS), st.sampled_from(FILES), st.sampled_from([b"", b"a", b"bb"])) | st.tuples(
    st.sampled_from(FOLDERS), st.sampled_from(["link", "loop.png", "z.png"]), st.sampled_from(TARGETS)
)


@quiet
@tries(max_examples=tries.default.max_examples // 2)
@given(items=st.lists(ITEMS, max_size=12))
def test_every_file_of_any_tree_is_accounted_for_once(items):
    """The total is that of another walk, and what is listed are the pictures that a plain rule finds, or links."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "root"
        plant(root, "keep/0.png")
        for folder, file, content in items:
            path = root / folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            if os.path.lexists(path):
                continue
            path.write_bytes(content) if isinstance(content, bytes) else path.symlink_to(content)
        data = load_image_folder(root, pattern="(?P<identity>.)")
        check_sum(data.report)
        assert data.report.n_files == count_files(root)
        listed = set(names_of(data, root))
        assert len(listed) == len(data.paths)
        assert len({os.path.realpath(path) for path in data.paths}) == len(data.paths)
        real = {
            path.relative_to(root).as_posix()
            for path in root.rglob("*")
            if path.suffix.lower() in (".png", ".jpg", ".avif")
            and path.is_file()
            and not path.is_symlink()
            and path.stat().st_size
            and not any(p.startswith((".", "@", "__")) or p == "Thumbs.db" for p in path.relative_to(root).parts)
        }
        assert {name for name in listed if not (root / name).is_symlink()} >= real
        assert all(os.path.getsize(path) and os.path.isfile(path) for path in data.paths)


LAYOUTS = {
    datasets.load_cuhk01: CUHK01,
    datasets.load_cuhk03: NP,
    datasets.load_grid: GRID,
    datasets.load_ilids: SEQUENCES,
    datasets.load_market1501: MARKET,
    datasets.load_pku_reid: PKU,
    datasets.load_prid2011: PRID,
    datasets.load_viper: VIPER,
    datasets.load_msmt17: None,
}


@quiet
@pytest.mark.parametrize("load", LAYOUTS)
def test_published_layouts_account_for_every_file_too(tmp_path, load):
    """Files beside and below the folders of the layout are passed over, each for its reason; links are followed."""
    names = LAYOUTS[load]
    root = tmp_path / "set"
    if names is None:
        msmt(root)
    else:
        plant(root, *names)
    expected = len(load(root).paths)
    inner = next(path.parent for path in sorted(root.rglob("*")) if path.suffix in (".png", ".jpg", ".jpeg", ".bmp"))
    for clutter in (inner / ".ipynb_checkpoints", inner / "@eaDir", root / "elsewhere/deeper", root / ".git"):
        plant(clutter, "0.png")
    (root / "readme.txt").write_text("x")
    (inner / "Thumbs.db").write_text("x")
    (inner / "loop").symlink_to("..")
    (inner / "empty.png").touch()
    data = load(root)
    assert len(data.paths) == expected
    check_sum(data.report)
    assert data.report.n_files == count_files(root)
    reasons = passed(data.report)
    assert reasons["elsewhere/deeper/0.png"] in ("outside of the layout", "unexpected name")
    assert reasons["readme.txt"] == "other ending"
    place = inner.relative_to(root).as_posix()
    prefix = "" if place == "." else f"{place}/"
    assert reasons[f"{prefix}empty.png"] == "empty"
    assert reasons[f"{prefix}loop"] == "link to what is listed"
    for name in (".ipynb_checkpoints/0.png", "@eaDir/0.png", "Thumbs.db"):
        assert reasons[prefix + name] == "hidden or service file"


@quiet
def test_links_beside_a_set_do_not_hide_its_folders(tmp_path):
    """A link may be the name that a loader looks for; what it leads to is read under its real name."""
    root = msmt(tmp_path / "a", "V2")
    (root / "train").symlink_to("mask_train_v2")
    (root / "test").symlink_to("mask_test_v2")
    assert len(load_msmt17(root).paths) == 4
    plant(tmp_path / "b/market", *MARKET)
    (tmp_path / "b/Market-1501").symlink_to("market")
    assert len(load_market1501(tmp_path / "b").paths) == len(MARKET)


def test_still_images_of_ilids_are_accounted_for(tmp_path):
    """The second layout of this loader, too."""
    report = datasets.load_ilids(plant(tmp_path, *STILLS, "extra/0.png")).report
    assert report.passed_over == {"outside of the layout": ["extra/0.png"]}
    check_sum(report)


# what is printed, and errors ----------------------------------------------------------------------------------


def test_a_healthy_set_prints_three_lines(tmp_path):
    """Of the dataset, and of its report; a problem is one more line."""
    root = plant(tmp_path, *(f"{who}/{camera}_{n}.png" for who in ("ann", "bo") for camera in "12" for n in "01"))
    data = load_image_folder(root, pattern=r"(?P<identity>\w+)/(?P<camera>\d)_")
    lines = str(data).split("\n")
    assert lines == [
        f"Image folder {str(root)!r}: 8 images of 2 identities, 2 cameras",
        "8 files: all listed",
        "no problems found",
    ]
    assert str(data.report).split("\n") == lines
    (root / "notes.txt").write_text("x")
    more = str(load_image_folder(root)).split("\n")
    assert more[1:3] == ["9 files: 8 listed, 1 passed over", "1 possible problem:"]
    assert len(more) == 4


def test_drawn_people_print_three_lines():
    """Not their pixels."""
    drawn = datasets.make_pedestrians(3, n_cameras=2, n_shots=1, image_size=(32, 16))
    lines = str(drawn).split("\n")
    assert lines[0] == "Drawn people: 6 images of 3 identities, 2 cameras"
    assert len(lines) == 3


def test_report_can_be_printed_whatever_the_file_names(tmp_path):
    """Names may be bytes that are no text, and hold line breaks."""
    root = plant(tmp_path, "ann/0.png", "bo/0.png")
    os.rename(root / "bo", os.path.join(os.fsencode(root), b"\xff\n"))
    (root / "ann/a\nb.t\nxt").write_text("x")
    data = load_image_folder(root)
    str(data).encode("utf-8")
    assert len(str(data).split("\n")) == 3 + len(data.report.suspicious)


def test_errors_of_a_folder_say_what_is_there_and_what_to_do(tmp_path):
    """For a missing folder, a file, an archive, an empty folder, one without pictures, and loose pictures."""
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "set.zip").write_bytes(b"PK")
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts/a.txt").write_text("x")
    plant(tmp_path / "loose", "1.png", "2.png")
    cases = {
        "absent": r"'.*absent' does not exist; relative paths start from",
        "notes.txt": r"notes\.txt' is a file, not a folder",
        "set.zip": r"set\.zip' is a file, not a folder: unpack it",
        "empty": r"No image.*empty' \(no file is there\)",
        "texts": r"No image.*texts' \(the 1 file there: other ending 1\)",
        "loose": r"only 2 images directly in it, such as '1\.png'.*folder of their own.*'pattern'",
    }
    for name, message in cases.items():
        with pytest.raises(FileNotFoundError, match=message):
            load_image_folder(tmp_path / name)
    for wrong in (None, 5, ["a"]):
        with pytest.raises(TypeError, match="'root' parameter must be the path of a folder"):
            load_image_folder(wrong)
    for wrong in (b"(?P<identity>x)", 5):
        with pytest.raises(TypeError, match="'pattern' parameter"):
            load_image_folder(tmp_path, pattern=wrong)
    with pytest.raises(TypeError, match=r"'camera' parameter .* callable"):
        load_image_folder(tmp_path, pattern="(?P<identity>x)(?P<camera>y)", camera=5)


# bars ---------------------------------------------------------------------------------------------------------


def test_a_bar_appears_only_where_reading_takes_long(tmp_path, monkeypatch, capfd):
    """Fast reads show none, and verbose=0 never does."""
    root = plant(tmp_path, *CUHK01)
    for path in root.iterdir():
        path.write_bytes(path.read_bytes().ljust(500, b"\0"))  # of equal size: they are compared
    load_cuhk01(root)
    assert capfd.readouterr().err == ""
    monkeypatch.setattr("skreid.datasets._tree._DELAY", 0)
    load_cuhk01(root)
    shown = capfd.readouterr().err
    assert f"Listing {root.name}" in shown
    assert "Comparing files" in shown
    assert "12/12" in shown
    load_cuhk01(root, verbose=0)
    assert capfd.readouterr().err == ""


def test_no_file_is_looked_up_twice(tmp_path, monkeypatch):
    """Reading a folder asks the system for the status of each folder, and of nothing else by its path."""
    root = plant(tmp_path, *(f"{who}/{n}.png" for who in ("ann", "bo") for n in range(9)))
    stat, asked = os.stat, []
    monkeypatch.setattr(os, "stat", lambda path, **more: asked.append(str(path)) or stat(path, **more))
    load_image_folder(root, check_duplicates=False)
    assert not [path for path in asked if path.endswith(".png")]


@given(contents=st.lists(st.binary(max_size=2), max_size=8), who=st.lists(st.integers(0, 1), min_size=8, max_size=8))
def test_equal_files_are_found_as_by_comparing_all(contents, who):
    """Empty files are not compared."""
    with tempfile.TemporaryDirectory() as name:
        paths = [os.path.join(name, str(i)) for i in range(len(contents))]
        for path, content in zip(paths, contents, strict=True):
            Path(path).write_bytes(content)
        within, across, unreadable = find_duplicates(paths, who, list(map(len, contents)))
        groups = {
            tuple(i for i, other in enumerate(contents) if other == content) for content in contents if len(content)
        }
        groups = {group for group in groups if len(group) > 1}
        assert set(within) == {group for group in groups if len({who[i] for i in group}) == 1}
        assert set(across) == groups - set(within)
        assert not unreadable


def test_large_files_are_compared_whole(tmp_path):
    """Those that are read in parts differ in their last byte only."""
    content = np.random.default_rng(0).bytes(3 * 2**20)
    for name, end in (("a", b"1"), ("b", b"2"), ("c", b"1")):
        (tmp_path / name).write_bytes(content + end)
    paths = [str(tmp_path / name) for name in "abc"]
    assert find_duplicates(paths, [0, 0, 1], [len(content) + 1] * 3) == ([], [(0, 2)], {})
