"""Loaders, on tiny folders with the layouts of the real sets."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from skreid import datasets
from skreid.datasets import (
    load_csv,
    load_cuhk01,
    load_cuhk03,
    load_grid,
    load_ilids,
    load_image_folder,
    load_market1501,
    load_msmt17,
    load_pku_reid,
    load_prid2011,
    load_viper,
)


def plant(root, *names):
    """Write a small image under each name, each of another colour."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        colour = tuple(np.random.default_rng(list(name.encode())).integers(0, 256, 3).tolist())
        Image.new("RGB", (4, 8), colour).save(path)
    return root


def names_of(data, root):
    """Return the paths relative to the folder, with forward slashes."""
    return [p.replace("\\", "/")[len(str(root)) + 1 :] for p in data.paths.tolist()]


CUHK01 = [f"{person:04d}{shot:03d}.png" for person in (1, 2, 971) for shot in (1, 2, 3, 4)]
MARKET = [
    "bounding_box_train/0002_c1s1_000451_03.jpg",
    "bounding_box_train/0002_c3s1_000551_00.jpg",
    "query/0001_c1s1_001051_00.jpg",
    "bounding_box_test/-1_c2s1_000401_03.jpg",
    "bounding_box_test/0000_c1s1_000151_01.jpg",
    "bounding_box_test/0001_c6s1_011741_02.jpg",
]
VIPER = ["cam_a/000_45.bmp", "cam_a/001_0.bmp", "cam_b/000_135.bmp", "cam_b/001_90.bmp"]
GRID = ["probe/0001_1_25004_107_32_106_221.jpeg", "gallery/0001_2_25023_116_134_128_330.jpeg"]
GRID += ["gallery/0000_7_25101_65_28_59_137.jpeg"]
PRID = [f"single_shot/cam_{c}/person_{n:04d}.png" for c in "ab" for n in (1, 200, 201)]
PKU = [f"PKUv1a_128x48/{p:03d}_{c:02d}_{v:02d}.png" for p in (1, 2) for c in (1, 2) for v in (1, 8)]
STILLS = ["Persons/0001001.jpg", "Persons/0001002.jpg", "Persons/0119001.jpg"]
SEQUENCES = [f"i-LIDS-VID/images/cam{c}/person{p:03d}/cam{c}_person{p:03d}.png" for c in (1, 2) for p in (1, 319)]
NP = [
    "labeled/bounding_box_train/0003_c1_21.png",
    "labeled/query/0001_c2_3.png",
    "labeled/bounding_box_test/0001_c1_1.png",
]


def msmt(root, version="V1"):
    train, test = ("train", "test") if version == "V1" else ("mask_train_v2", "mask_test_v2")
    lists = {
        "train": (train, "0000/0000_000_01_0303morning_0015_0.jpg", 0),
        "val": (train, "0000/0000_001_14_0303morning_0016_0.jpg", 0),
        "query": (test, "0000/0000_000_02_0303noon_0036_1.jpg", 0),
        "gallery": (test, "0000/0000_001_15_0303noon_0037_1.jpg", 0),
    }
    for name, (half, image, person) in lists.items():
        plant(root, f"{half}/{image}")
        (root / f"list_{name}.txt").write_text(f"{image} {person}\n")
    return root


def test_cuhk01_labels_come_from_the_file_names(tmp_path):
    """Person, view and shot are NNNNKKK; the folder 'campus' is found; files are sorted."""
    data = load_cuhk01(plant(tmp_path / "campus", *CUHK01[::-1]).parent)
    assert names_of(data, tmp_path / "campus") == CUHK01
    assert data.target.tolist() == [1] * 4 + [2] * 4 + [971] * 4
    assert data.cams.tolist() == [0, 0, 1, 1] * 3
    assert data.shots.tolist() == [1, 2, 3, 4] * 3
    assert data.report.n_identities == 3
    assert "n_images is 12, the published number is 3884" in data.report.suspicious
    assert "CUHK01" in data.DESCR
    assert "487" in data.protocol


def test_market_keeps_junk_and_distractors(tmp_path):
    """Junk (-1) and distractors (0) are counted, but not as identities."""
    data = load_market1501(plant(tmp_path, *MARKET))
    assert data.target.tolist() == [2, 2, 1, -1, 0, 1]
    assert data.cams.tolist() == [1, 3, 1, 2, 1, 6]
    assert data.subset.tolist() == ["train", "train", "query", "gallery", "gallery", "gallery"]
    assert (data.report.n_identities, data.report.n_junk) == (2, 2)
    assert data.report.subsets == {"train": 2, "query": 1, "gallery": 3}


def test_viper_cameras_are_its_folders(tmp_path):
    """The angle is a key of the result."""
    data = load_viper(plant(tmp_path / "VIPeR", *VIPER).parent)
    assert data.target.tolist() == [0, 1, 0, 1]
    assert data.cams.tolist() == [0, 0, 1, 1]
    assert data.angles.tolist() == [45, 0, 135, 90]


def test_grid_distractors_have_identity_0(tmp_path):
    """Images of the folder "probe" are the queries."""
    data = load_grid(plant(tmp_path / "underground_reid", *GRID).parent)
    assert data.subset.tolist() == ["query", "gallery", "gallery"]
    assert data.target.tolist() == [1, 0, 1]
    assert data.cams.tolist() == [1, 7, 2]
    assert data.report.n_junk == 1


def test_prid_numbers_above_200_are_other_people_in_each_camera(tmp_path):
    """Number 200 is the same person in both cameras, 201 is not."""
    data = load_prid2011(plant(tmp_path, *PRID))
    assert data.target.tolist() == [1, 200, 201, 1, 200, 10201]
    assert data.cams.tolist() == [0, 0, 0, 1, 1, 1]
    plant(tmp_path, *(f"multi_shot/cam_{c}/person_0007/{f:04d}.png" for c in "ab" for f in (1, 2)))
    sequences = load_prid2011(tmp_path, shots="multi")
    assert sequences.target.tolist() == [7] * 4
    assert sequences.frames.tolist() == [1, 2, 1, 2]


@pytest.mark.parametrize("version", ["V1", "V2"])
def test_msmt_labels_come_from_its_lists(tmp_path, version):
    """The same number in the two halves means different people."""
    data = load_msmt17(msmt(tmp_path, version))
    assert data.subset.tolist() == ["train", "val", "query", "gallery"]
    assert data.target.tolist() == [0, 0, 10000, 10000]
    assert data.cams.tolist() == [1, 14, 2, 15]


def test_msmt_reports_unlisted_images_and_refuses_missing_ones(tmp_path):
    """An image that is on disk but in no list gives a warning; one that is only listed, an error."""
    root = plant(msmt(tmp_path), "train/0001/0001_000_03_x_1_0.jpg")
    with pytest.warns(UserWarning, match="1 image file.*0001_000_03"):
        data = load_msmt17(root)
    assert data.report.unmatched == ["train/0001/0001_000_03_x_1_0.jpg"]
    (root / "test/0000/0000_000_02_0303noon_0036_1.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"1 listed image.*0036_1\.jpg.*partial"):
        load_msmt17(root)


def test_ilids_recognises_both_of_its_sets(tmp_path):
    """QMUL i-LIDS has no cameras, iLIDS-VID has two."""
    stills = load_ilids(plant(tmp_path / "stills", *STILLS))
    assert stills.target.tolist() == [1, 1, 119]
    assert stills.cams is None
    sequences = load_ilids(plant(tmp_path / "sequences", *SEQUENCES))
    assert sequences.target.tolist() == [1, 319, 1, 319]
    assert sequences.cams.tolist() == [1, 1, 2, 2]


def test_pku_labels_are_the_same_in_both_layouts(tmp_path):
    """One folder of PPP_CC_VV, or one folder per person."""
    flat = load_pku_reid(plant(tmp_path / "a", *PKU))
    nested = [n.split("/")[1].replace("_", "/", 1) for n in PKU]
    deep = load_pku_reid(plant(tmp_path / "b", *nested))
    for data in (flat, deep):
        assert data.target.tolist() == [1] * 4 + [2] * 4
        assert data.cams.tolist() == [1, 1, 2, 2] * 2
        assert data.views.tolist() == [1, 8] * 4


def test_cuhk03_recognises_three_layouts_of_folders(tmp_path):
    """The folders of the new protocol, names with a camera pair, and names without."""
    new = load_cuhk03(plant(tmp_path / "np", *NP))
    assert new.target.tolist() == [3, 1, 1]
    assert new.cams.tolist() == [1, 2, 1]
    assert new.subset.tolist() == ["train", "query", "gallery"]
    pair = load_cuhk03(
        plant(tmp_path / "pair", "images_detected/1_001_1_01.png", "images_detected/2_001_2_06.png"),
        boxes="detected",
    )
    assert pair.target.tolist() == ["1_001", "2_001"]
    assert (pair.cams.tolist(), pair.pairs.tolist()) == ([1, 2], [1, 2])
    flat = load_cuhk03(plant(tmp_path / "flat", *(f"images/full/0000_0{v}.jpg" for v in (0, 4, 5, 9))))
    assert flat.cams.tolist() == [1, 1, 2, 2]


def write_mat(path):
    """Write a file with the structure of cuhk-03.mat: references to cells, arrays transposed."""
    h5py = pytest.importorskip("h5py")
    rng = np.random.default_rng(0)
    images = {}
    with h5py.File(path, "w") as file:
        kept = file.create_group("#refs#")
        empty = kept.create_dataset("empty", data=np.zeros(2, dtype=np.uint64))

        def cell(name, rows):
            out = kept.create_dataset(name, rows.shape, dtype=h5py.ref_dtype)
            for index in np.ndindex(rows.shape):
                out[index] = rows[index].ref
            return out

        for boxes in ("labeled", "detected"):
            pairs = []
            for pair in (1, 2):
                rows = np.empty((10, 2), dtype=object)
                for index in np.ndindex(rows.shape):
                    rows[index] = empty
                for person, shot in ((1, 1), (1, 6), (2, 10)):
                    image = rng.integers(0, 256, (8, 4, 3), dtype=np.uint8)
                    name = f"{boxes}_{pair}_{person:03d}_{1 if shot < 6 else 2}_{shot:02d}.png"
                    images[name] = image
                    rows[shot - 1, person - 1] = kept.create_dataset(name, data=image.T)
                pairs.append(cell(f"{boxes}{pair}", rows))
            top = file.create_dataset(boxes, (1, 2), dtype=h5py.ref_dtype)
            top[0, 0], top[0, 1] = pairs[0].ref, pairs[1].ref
        tests = file.create_dataset("testsets", (1, 1), dtype=h5py.ref_dtype)
        tests[0, 0] = kept.create_dataset("t", data=np.array([[1.0, 2.0], [2.0, 1.0]])).ref
    return images


def test_cuhk03_mat_is_extracted_once(tmp_path):
    """The MATLAB file becomes PNG files with the same pixels; a second call writes nothing."""
    images = write_mat(tmp_path / "cuhk-03.mat")
    data = load_cuhk03(tmp_path, extract_to=tmp_path / "out")
    assert data.target.tolist() == ["1_001", "1_001", "1_002", "2_001", "2_001", "2_002"]
    assert data.cams.tolist() == [1, 2, 2] * 2
    assert [t.tolist() for t in data.test_identities] == [["1_002", "2_001"]]
    for path in data.paths:
        stored = images["labeled_" + path.replace("\\", "/").rsplit("/", 1)[1]]
        np.testing.assert_array_equal(np.asarray(Image.open(path)), stored)
    Image.new("RGB", (4, 8)).save(data.paths[0])
    again = load_cuhk03(tmp_path, extract_to=tmp_path / "out")
    assert not np.asarray(Image.open(again.paths[0])).any()


def test_cuhk03_mat_errors_say_what_to_do(tmp_path, monkeypatch):
    """Errors without a folder to extract to, without h5py, and for a file of another version."""
    write_mat(tmp_path / "cuhk-03.mat")
    with pytest.raises(ValueError, match="extract_to"):
        load_cuhk03(tmp_path)
    with monkeypatch.context() as patch:
        patch.setitem(__import__("sys").modules, "h5py", None)
        with pytest.raises(ImportError, match="pip install h5py"):
            load_cuhk03(tmp_path, extract_to=tmp_path / "out")
    (tmp_path / "cuhk-03.mat").write_bytes(b"MATLAB 5.0 MAT-file")
    with pytest.raises(ValueError, match=r"version 7\.3"):
        load_cuhk03(tmp_path, extract_to=tmp_path / "out")


@pytest.mark.parametrize("where", ["labeled", "testsets"])
def test_cuhk03_mat_with_references_to_nothing_is_named(tmp_path, where):
    """The error for an overwritten reference names the file."""
    write_mat(tmp_path / "cuhk-03.mat")
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "cuhk-03.mat") as file:
        start = file[where].id.get_offset()
    content = bytearray((tmp_path / "cuhk-03.mat").read_bytes())
    content[start : start + 8] = bytes(8)  # the null reference
    (tmp_path / "cuhk-03.mat").write_bytes(content)
    with pytest.raises(ValueError, match=r"cuhk-03\.mat' is damaged"):
        load_cuhk03(tmp_path, extract_to=tmp_path / "out")


def test_image_folder_labels_come_from_the_groups_of_the_pattern(tmp_path):
    """Identity, camera, subset and other groups are found in the path with its folders."""
    root = plant(tmp_path, "train/007/02_5.png", "train/007/01_1.png", "val/anna/01_1.png")
    data = load_image_folder(root, pattern=r"(?P<subset>\w+)/(?P<identity>\w+)/(?P<camera>\d\d)_(?P<view>\d)\.png$")
    assert data.target.tolist() == ["007", "007", "anna"]
    assert data.cams.tolist() == [1, 2, 1]
    assert data.view.tolist() == [1, 5, 1]
    assert data.subset.tolist() == ["train", "train", "val"]


def test_image_folder_without_a_pattern_takes_folders_for_identities(tmp_path):
    """The cameras are unknown; an image outside of any folder is reported."""
    root = plant(tmp_path, "anna/1.png", "ben/2.JPG", "loose.png")
    (root / "anna" / "notes.txt").write_text("not an image")
    (root / "anna" / "._1.png").write_bytes(b"a system's own copy")
    with pytest.warns(UserWarning, match=r"1 image file.*unexpected names.*'loose\.png'"):
        data = load_image_folder(root)
    assert data.target.tolist() == ["anna", "ben"]
    assert data.cams is None
    assert data.report.unmatched == ["loose.png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pattern": r"(\d+)"}, "named group 'identity'"),
        ({"pattern": r"(?P<identity>\d+"}, "'pattern' .* is not a regular expression: missing"),
        ({"pattern": r"(?P<identity>x*)"}, r"no identity.*the first '1\.png'"),
        ({"pattern": r"(?P<identity>\d)(?P<target>.)"}, "target"),
        ({"camera": int}, "needs a group 'camera'"),
    ],
)
def test_image_folder_refuses_bad_patterns(tmp_path, arguments, message):
    """The error says why the pattern gives no identity."""
    with pytest.raises(ValueError, match=message):
        load_image_folder(plant(tmp_path, "1.png"), **arguments)


@pytest.mark.parametrize(
    ("pattern", "role"), [(r"(?P<identity>\d)(?P<Cam>\d)", "camera"), (r"(?P<identity>\d)(?P<tracklet>\d)", "track")]
)
def test_image_folder_warns_of_a_group_that_seems_to_be_camera_or_track(tmp_path, pattern, role):
    """It becomes one more key and changes no figure, which is easily missed."""
    with pytest.warns(
        UserWarning, match=rf"no group '{role}', so the {role}s are unknown.*write \(\?P<{role}>"
    ) as caught:
        data = load_image_folder(plant(tmp_path, "11.png", "12.png"), pattern=pattern)
    assert data.cams is None
    assert caught[0].filename == __file__
    load_image_folder(tmp_path, pattern=r"(?P<identity>\d)(?P<camera>(?P<cam_no>\d))")  # says nothing
    load_image_folder(tmp_path, pattern=r"(?P<identity>\d)(?P<campus>\d)")


def test_image_folder_where_no_image_matches_is_refused(tmp_path):
    """The error has the number of other images, and the first one."""
    with pytest.raises(FileNotFoundError, match=r"matches none of the 2 image.*'1\.png'"):
        load_image_folder(plant(tmp_path, "1.png", "2.png"), pattern="(?P<identity>[a-z]{9})")


def test_csv_keeps_the_order_of_rows(tmp_path):
    """Columns can have other names; relative paths start from the folder of the table, or from root."""
    plant(tmp_path, "x/b.png", "x/a.png")
    table = tmp_path / "people.csv"
    table.write_text("file;who;cam;part\nx/b.png;2;c1;query\nx/a.png;1;c2;gallery\n", encoding="utf-8")
    kwargs = {"path_column": "file", "identity_column": "who", "camera_column": "cam", "delimiter": ";"}
    data = load_csv(table, subset_column="part", **kwargs)
    assert names_of(data, tmp_path) == ["x/b.png", "x/a.png"]
    assert data.target.tolist() == [2, 1]
    assert data.cams.tolist() == ["c1", "c2"]
    assert data.subset.tolist() == ["query", "gallery"]
    assert load_csv(table, **{**kwargs, "camera_column": None}).cams is None
    with pytest.raises(FileNotFoundError, match=r"2 of the 2 images.*line 2.*'root'"):
        load_csv(table, root=tmp_path / "x", **kwargs)


def test_csv_errors_name_the_column_or_line(tmp_path):
    """Errors for a missing table, column and label."""
    table = plant(tmp_path, "a.png") / "t.csv"
    with pytest.raises(FileNotFoundError, match=r"t\.csv"):
        load_csv(table)
    table.write_text("path,identity\na.png,1\n")
    with pytest.raises(ValueError, match=r"'camera' is not in .*\['path', 'identity'\].*camera_column=None"):
        load_csv(table)
    table.write_text("path,identity\na.png,1\na.png,\n")
    with pytest.raises(ValueError, match="Line 3"):
        load_csv(table, camera_column=None)


LOADERS = [
    (load_cuhk01, CUHK01, "Chinese University of Hong Kong"),
    (load_cuhk03, NP, "Chinese University of Hong Kong"),
    (load_market1501, MARKET, "Liang Zheng"),
    (load_viper, VIPER, "Santa Cruz"),
    (load_grid, GRID, "Chen Change Loy"),
    (load_prid2011, PRID, "Graz"),
    (load_msmt17, [], "Peking University"),
    (load_ilids, SEQUENCES, "Queen Mary"),
    (load_pku_reid, PKU, "Peking University"),
]


def test_every_exported_loader_is_tested_here():
    """A new loader must be added to `LOADERS`, to be tried with missing, partial and unexpected files."""
    exported = {getattr(datasets, name) for name in datasets.__all__ if name.startswith("load_")}
    assert {load for load, _, _ in LOADERS} == exported - {load_csv, load_image_folder}


@pytest.mark.parametrize(("load", "owner"), [(load, owner) for load, _, owner in LOADERS])
def test_missing_set_says_who_distributes_it(tmp_path, load, owner):
    """The error for a missing or empty folder says what is missing, where, and who distributes it."""
    for root in (tmp_path, tmp_path / "absent"):
        with pytest.raises(FileNotFoundError, match=owner) as caught:
            load(root)
        assert str(tmp_path) in str(caught.value)
        assert "could not find" in str(caught.value)


@pytest.mark.parametrize(("load", "names"), [(load, names) for load, names, _ in LOADERS if names])
def test_partial_set_is_refused(tmp_path, load, names):
    """A set without one of its cameras or subsets is an error."""
    kept = {
        load_cuhk01: [n for n in names if n[6] in "12"],
        load_pku_reid: [n for n in names if "_01_" in n],
    }.get(load, names[:1])
    with pytest.raises(FileNotFoundError, match="could not find"):
        load(plant(tmp_path, *kept))


@pytest.mark.parametrize(("load", "names"), [(load, names) for load, names, _ in LOADERS if names])
def test_image_with_an_unexpected_name_is_reported(tmp_path, load, names):
    """A warning counts and names the images that are passed over."""
    folder = plant(tmp_path, *names) / names[0].rpartition("/")[0]
    Image.new("RGB", (2, 2)).save(folder / "holiday.png")
    if load is load_ilids:  # its labels are in the names of folders
        (folder / "holiday.png").rename(tmp_path / "i-LIDS-VID/images/cam1/holiday.png")
    with pytest.warns(UserWarning, match=r"1 image file.*holiday\.png"):
        data = load(tmp_path)
    assert len(data.paths) == len(names)
    assert any("passed over" in sentence for sentence in data.report.suspicious)


def test_duplicates_are_reported_and_kept(tmp_path):
    """Byte-identical files are found within and across identities."""
    plant(tmp_path, *CUHK01)
    for copy, original in ((1, 0), (4, 0), (11, 10)):
        (tmp_path / CUHK01[copy]).write_bytes((tmp_path / CUHK01[original]).read_bytes())
    report = load_cuhk01(tmp_path).report
    assert report.duplicates_across == [(0, 1, 4)]
    assert report.duplicates_within == [(10, 11)]
    assert report.n_images == 12
    unchecked = load_cuhk01(tmp_path, check_duplicates=False).report
    assert unchecked.duplicates_across is None


def test_suspicious_labels_and_empty_files_are_reported(tmp_path):
    """Identities with one image or camera, and labels that differ only in case or spaces."""
    names = (
        "Anna/1_a.png",
        "anna /1_b.png",
        "ben/1_a.png",
        "ben/1_b.png",
        "cleo/1_a.png",
        "cleo/2_a.png",
        "cleo/2_b.png",
    )
    root = plant(tmp_path, *names)
    (root / "cleo/2_a.png").write_bytes(b"")
    with pytest.warns(UserWarning, match=r"1 file.*empty; the first is 'cleo/2_a\.png'"):
        report = load_image_folder(root, pattern=r"(?P<identity>[^/]+)/(?P<camera>\d)_").report
    assert report.label_variants == [("Anna", "anna ")]
    assert report.single_image_identities == ["Anna", "anna "]
    assert report.single_camera_identities == ["Anna", "anna ", "ben"]
    assert len(report.empty_files) == 1
    assert len(report.suspicious) == 4


def test_unreadable_files_are_reported_and_passed_over(tmp_path):
    """The report has a reason for a broken link, a loop of links and a pipe."""
    root = plant(tmp_path, "ann/1_a.png", "ann/1_b.png")
    (root / "ann/1_c.png").symlink_to("nowhere.png")
    (root / "ann/1_d.png").symlink_to("1_d.png")
    os.mkfifo(root / "ann/1_e.png")
    with pytest.warns(UserWarning, match=r"3 file.*cannot be read; the first is 'ann/1_c\.png' \(a link to nothing\)"):
        data = load_image_folder(root)
    assert names_of(data, root) == ["ann/1_a.png", "ann/1_b.png"]
    assert [Path(path).name for path in data.report.unreadable_files] == ["1_c.png", "1_d.png", "1_e.png"]
    assert any("1_e.png' (a pipe or device)" in sentence for sentence in data.report.suspicious)


@pytest.mark.parametrize(("load", "bad"), [(load_cuhk03, "boxes"), (load_prid2011, "shots"), (load_ilids, "part")])
def test_unknown_option_is_refused(tmp_path, load, bad):
    """The error names the option in scikit-learn's wording."""
    with pytest.raises(ValueError, match=rf"The '{bad}' parameter of \w+ must be among .* Got 'x' instead\."):
        load(tmp_path, **{bad: "x"})


@pytest.mark.parametrize("load", [load for load, _, _ in LOADERS] + [load_csv, load_image_folder])
def test_docstrings_contain_the_common_parts(load):
    """The parts are filled in, with the indentation of their section."""
    lines = load.__doc__.split("\n")
    assert "%(" not in load.__doc__
    assert lines.count("check_duplicates : bool, default=True") == 1
    assert lines.count("    report : Bunch") == 1
