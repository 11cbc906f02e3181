"""Loaders on tiny trees of the real layouts, drawn here."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

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
    """Write a small image of its own colour under each name."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        colour = tuple(np.random.default_rng(list(name.encode())).integers(0, 256, 3).tolist())
        Image.new("RGB", (4, 8), colour).save(path)
    return root


def names_of(data, root):
    """Return the paths relative to the tree, with forward slashes."""
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
WALKS = [f"i-LIDS-VID/images/cam{c}/person{p:03d}/cam{c}_person{p:03d}.png" for c in (1, 2) for p in (1, 319)]
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


def test_cuhk01_labels(tmp_path):
    """Person, view and shot come from NNNNKKK; 'campus' is found; files are sorted."""
    data = load_cuhk01(plant(tmp_path / "campus", *CUHK01[::-1]).parent)
    assert names_of(data, tmp_path / "campus") == CUHK01
    assert data.target.tolist() == [1] * 4 + [2] * 4 + [971] * 4
    assert data.cams.tolist() == [0, 0, 1, 1] * 3
    assert data.shots.tolist() == [1, 2, 3, 4] * 3
    assert data.report.n_identities == 3
    assert "n_images is 12, published is 3884" in data.report.suspicious
    assert "CUHK01" in data.DESCR
    assert "487" in data.protocol


def test_market_keeps_junk_and_distractors(tmp_path):
    """Junk (-1) and distractors (0) stay, are counted, and are nobody's identity."""
    data = load_market1501(plant(tmp_path, *MARKET))
    assert data.target.tolist() == [2, 2, 1, -1, 0, 1]
    assert data.cams.tolist() == [1, 3, 1, 2, 1, 6]
    assert data.subset.tolist() == ["train", "train", "query", "gallery", "gallery", "gallery"]
    assert (data.report.n_identities, data.report.n_junk) == (2, 2)
    assert data.report.subsets == {"train": 2, "query": 1, "gallery": 3}


def test_viper_labels(tmp_path):
    """The camera is the folder, the angle is kept."""
    data = load_viper(plant(tmp_path / "VIPeR", *VIPER).parent)
    assert data.target.tolist() == [0, 1, 0, 1]
    assert data.cams.tolist() == [0, 0, 1, 1]
    assert data.angles.tolist() == [45, 0, 135, 90]


def test_grid_labels(tmp_path):
    """Probe is the query; lone people have identity 0."""
    data = load_grid(plant(tmp_path / "underground_reid", *GRID).parent)
    assert data.subset.tolist() == ["query", "gallery", "gallery"]
    assert data.target.tolist() == [1, 0, 1]
    assert data.cams.tolist() == [1, 7, 2]
    assert data.report.n_junk == 1


def test_prid_keeps_unshared_people_apart(tmp_path):
    """Number 201 is another person in each camera; 200 is the same."""
    data = load_prid2011(plant(tmp_path, *PRID))
    assert data.target.tolist() == [1, 200, 201, 1, 200, 10201]
    assert data.cams.tolist() == [0, 0, 0, 1, 1, 1]
    plant(tmp_path, *(f"multi_shot/cam_{c}/person_0007/{f:04d}.png" for c in "ab" for f in (1, 2)))
    walks = load_prid2011(tmp_path, shots="multi")
    assert walks.target.tolist() == [7] * 4
    assert walks.frames.tolist() == [1, 2, 1, 2]


@pytest.mark.parametrize("version", ["V1", "V2"])
def test_msmt_reads_lists(tmp_path, version):
    """Labels come from the lists; equal numbers of the two halves are different people."""
    data = load_msmt17(msmt(tmp_path, version))
    assert data.subset.tolist() == ["train", "val", "query", "gallery"]
    assert data.target.tolist() == [0, 0, 10000, 10000]
    assert data.cams.tolist() == [1, 14, 2, 15]


def test_msmt_tells_missing_and_unlisted_images(tmp_path):
    """An image that is on disk but in no list is reported; one that is only listed raises."""
    root = plant(msmt(tmp_path), "train/0001/0001_000_03_x_1_0.jpg")
    with pytest.warns(UserWarning, match="1 image file.*0001_000_03"):
        data = load_msmt17(root)
    assert data.report.unmatched == ["train/0001/0001_000_03_x_1_0.jpg"]
    (root / "test/0000/0000_000_02_0303noon_0036_1.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"1 listed image.*0036_1\.jpg.*partial"):
        load_msmt17(root)


def test_ilids_tells_its_two_sets_apart(tmp_path):
    """Stills have no camera; walks have two."""
    stills = load_ilids(plant(tmp_path / "stills", *STILLS))
    assert stills.target.tolist() == [1, 1, 119]
    assert stills.cams is None
    walks = load_ilids(plant(tmp_path / "walks", *WALKS))
    assert walks.target.tolist() == [1, 319, 1, 319]
    assert walks.cams.tolist() == [1, 1, 2, 2]


def test_pku_labels_in_both_layouts(tmp_path):
    """One folder of PPP_CC_VV, or a folder a person, give the same labels."""
    flat = load_pku_reid(plant(tmp_path / "a", *PKU))
    nested = [n.split("/")[1].replace("_", "/", 1) for n in PKU]
    deep = load_pku_reid(plant(tmp_path / "b", *nested))
    for data in (flat, deep):
        assert data.target.tolist() == [1] * 4 + [2] * 4
        assert data.cams.tolist() == [1, 1, 2, 2] * 2
        assert data.views.tolist() == [1, 8] * 4


def test_cuhk03_image_folders(tmp_path):
    """The three kinds of folders are told apart."""
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


def test_cuhk03_mat_is_unpacked_once(tmp_path):
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


def test_cuhk03_mat_errors(tmp_path, monkeypatch):
    """Without a place to extract to, h5py, or the right kind of file, the error says what to do."""
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
    """A reference that was overwritten is told with the file's name."""
    write_mat(tmp_path / "cuhk-03.mat")
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "cuhk-03.mat") as file:
        start = file[where].id.get_offset()
    content = bytearray((tmp_path / "cuhk-03.mat").read_bytes())
    content[start : start + 8] = bytes(8)  # the null reference
    (tmp_path / "cuhk-03.mat").write_bytes(content)
    with pytest.raises(ValueError, match=r"cuhk-03\.mat' is damaged"):
        load_cuhk03(tmp_path, extract_to=tmp_path / "out")


def test_image_folder_pattern_groups(tmp_path):
    """Identity, camera, subset and further groups come from the pattern, on the path with its folders."""
    root = plant(tmp_path, "train/007/02_5.png", "train/007/01_1.png", "val/anna/01_1.png")
    data = load_image_folder(root, pattern=r"(?P<subset>\w+)/(?P<identity>\w+)/(?P<camera>\d\d)_(?P<view>\d)\.png$")
    assert data.target.tolist() == ["007", "007", "anna"]
    assert data.cams.tolist() == [1, 2, 1]
    assert data.view.tolist() == [1, 5, 1]
    assert data.subset.tolist() == ["train", "train", "val"]


def test_image_folder_without_pattern(tmp_path):
    """The folder is the identity and the camera is unknown; a loose image is told."""
    root = plant(tmp_path, "anna/1.png", "ben/2.JPG", "loose.png")
    (root / "anna" / "notes.txt").write_text("not an image")
    (root / "anna" / "._1.png").write_bytes(b"a system's own copy")
    with pytest.warns(UserWarning, match=r"1 image file.*'loose\.png'"):
        data = load_image_folder(root)
    assert data.target.tolist() == ["anna", "ben"]
    assert data.cams is None
    assert data.report.unmatched == ["loose.png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pattern": r"(\d+)"}, "named group 'identity'"),
        ({"pattern": r"(?P<identity>\d+"}, "'pattern' .* is no regular expression: missing"),
        ({"pattern": r"(?P<identity>x*)"}, "empty for the image '1.png'"),
        ({"pattern": r"(?P<identity>\d)(?P<target>.)"}, "target"),
        ({"camera": int}, "needs a group 'camera'"),
    ],
)
def test_image_folder_refuses_bad_patterns(tmp_path, arguments, message):
    """A pattern that cannot give an identity is an error that says so."""
    with pytest.raises(ValueError, match=message):
        load_image_folder(plant(tmp_path, "1.png"), **arguments)


def test_image_folder_where_nothing_fits(tmp_path):
    """No image that fits raises, with how many there are and the first."""
    with pytest.raises(FileNotFoundError, match=r"2 others.*'1\.png'"):
        load_image_folder(plant(tmp_path, "1.png", "2.png"), pattern="(?P<identity>[a-z]{9})")


def test_csv_columns_and_rows(tmp_path):
    """Rows keep their order; relative paths start from the table or from root; columns can be named."""
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


def test_csv_errors(tmp_path):
    """A missing table, column or label is told with its name or line."""
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
    (load_ilids, WALKS, "Queen Mary"),
    (load_pku_reid, PKU, "Peking University"),
]


@pytest.mark.parametrize(("load", "owner"), [(load, owner) for load, _, owner in LOADERS])
def test_missing_set_says_where_to_get_it(tmp_path, load, owner):
    """A folder that is absent or empty raises with what was looked for, where, and the owner."""
    for root in (tmp_path, tmp_path / "absent"):
        with pytest.raises(FileNotFoundError, match=owner) as caught:
            load(root)
        assert str(tmp_path) in str(caught.value)
        assert "looked for" in str(caught.value)


@pytest.mark.parametrize(("load", "names"), [(load, names) for load, names, _ in LOADERS if names])
def test_partial_set_raises(tmp_path, load, names):
    """Every part of a set is needed: leaving out one camera or subset raises."""
    kept = {
        load_cuhk01: [n for n in names if n[6] in "12"],
        load_pku_reid: [n for n in names if "_01_" in n],
    }.get(load, names[:1])
    with pytest.raises(FileNotFoundError, match=r"not found|partial"):
        load(plant(tmp_path, *kept))


@pytest.mark.parametrize(("load", "names"), [(load, names) for load, names, _ in LOADERS if names])
def test_foreign_image_is_reported(tmp_path, load, names):
    """An image whose name does not fit is counted and named, never skipped in silence."""
    folder = plant(tmp_path, *names) / names[0].rpartition("/")[0]
    Image.new("RGB", (2, 2)).save(folder / "holiday.png")
    if load is load_ilids:  # there, only the folders carry labels
        (folder / "holiday.png").rename(tmp_path / "i-LIDS-VID/images/cam1/holiday.png")
    with pytest.warns(UserWarning, match=r"1 image file.*holiday\.png"):
        data = load(tmp_path)
    assert len(data.paths) == len(names)
    assert any("left out" in sentence for sentence in data.report.suspicious)


def test_duplicates_are_reported_and_kept(tmp_path):
    """Byte-identical files are found within and across identities, and nothing is dropped."""
    plant(tmp_path, *CUHK01)
    for copy, original in ((1, 0), (4, 0), (11, 10)):
        (tmp_path / CUHK01[copy]).write_bytes((tmp_path / CUHK01[original]).read_bytes())
    report = load_cuhk01(tmp_path).report
    assert report.duplicates_across == [(0, 1, 4)]
    assert report.duplicates_within == [(10, 11)]
    assert report.n_images == 12
    unchecked = load_cuhk01(tmp_path, check_duplicates=False).report
    assert unchecked.duplicates_across is None


def test_suspicious_labels(tmp_path):
    """One-image and one-camera identities, spellings of one label, and empty files are told."""
    names = ("Anna/1_a.png", "anna /1_b.png", "ben/1_a.png", "ben/1_b.png", "cleo/1_a.png", "cleo/2_a.png")
    root = plant(tmp_path, *names)
    (root / "cleo/2_a.png").write_bytes(b"")
    report = load_image_folder(root, pattern=r"(?P<identity>[^/]+)/(?P<camera>\d)_").report
    assert report.label_variants == [("Anna", "anna ")]
    assert report.single_image_identities == ["Anna", "anna "]
    assert report.single_camera_identities == ["Anna", "anna ", "ben"]
    assert len(report.empty_files) == 1
    assert len(report.suspicious) == 4


def test_files_that_cannot_be_read_are_told(tmp_path):
    """A link to nothing, a loop and a pipe stay in the listing, with a reason in the report."""
    root = plant(tmp_path, "ann/1_a.png", "ann/1_b.png")
    (root / "ann/1_c.png").symlink_to("nowhere.png")
    (root / "ann/1_d.png").symlink_to("1_d.png")
    os.mkfifo(root / "ann/1_e.png")
    data = load_image_folder(root)
    assert len(data.paths) == 5
    assert [Path(path).name for path in data.report.unreadable_files] == ["1_c.png", "1_d.png", "1_e.png"]
    assert any("1_e.png (a pipe, device or folder)" in sentence for sentence in data.report.suspicious)


@pytest.mark.parametrize(("load", "bad"), [(load_cuhk03, "boxes"), (load_prid2011, "shots"), (load_ilids, "part")])
def test_unknown_option_is_named(tmp_path, load, bad):
    """An option outside its set is refused in scikit-learn's wording."""
    with pytest.raises(ValueError, match=rf"The '{bad}' parameter of \w+ must be a str among .* Got 'x' instead\."):
        load(tmp_path, **{bad: "x"})
