"""Tracks that loaders read from names, folders and tables: labels by the rule of cameras, and what they are for."""

import re
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat
from sklearn.preprocessing import FunctionTransformer
from test_datasets_loaders import PRID, SEQUENCES, plant

from skreid import evaluate
from skreid.datasets import load_csv, load_ilids, load_image_folder, load_prid2011
from skreid.protocols import GivenSplitProtocol

TRACKLET = r"(?P<track>(?P<identity>00-1|\d{4})C(?P<camera>\d)T\d+)F\d+"
MARS = [
    f"bbox_test/{who}/{who}C{cam}T{track:04d}F{frame:03d}.jpg"
    for who, cam, track in [
        ("0002", 1, 1),
        ("0002", 2, 1),
        ("0004", 1, 1),
        ("0004", 2, 1),
        ("0000", 1, 9),
        ("00-1", 1, 2),
    ]
    for frame in (1, 2, 3)
]


def test_names_of_tracklets_are_read(tmp_path):
    """The group of the track holds those of the identity and the camera, whose tracks would count alike."""
    data = load_image_folder(plant(tmp_path, *MARS), pattern=TRACKLET)
    assert sorted(set(data.tracks.tolist())) == sorted({name[-19:-8] for name in MARS})
    assert data.tracks[-1] == "0004C2T0001"
    assert data.report.n_tracks == 6
    assert "tracks    track of each image" in data.DESCR
    assert not data.report.suspicious or "track" not in str(data.report.suspicious)


def test_tracklets_are_evaluated_with_junk_and_distractors(tmp_path):
    """Probes are tracklets; those of the junk identity do not count, and those of the distractors match nobody."""
    data = load_image_folder(plant(tmp_path, *MARS), pattern=TRACKLET, check_duplicates=False)
    data.subset = ["query" if cam == 1 and who not in ("0000", "00-1") else "gallery"
                   for who, cam in zip(data.target, data.cams, strict=True)]  # fmt: skip
    data.paths, data.data = None, [[int(who[3]), cam] for who, cam in zip(data.target, data.cams, strict=True)]
    protocol = GivenSplitProtocol(junk_ids=("00-1",), distractor_ids=(0,))
    result = evaluate(FunctionTransformer(), data, protocol, fit=False, tracks="mean", ranks=1)
    assert result.n_probes.tolist() == [2]
    assert result.repeats[0].n_gallery == 3
    assert result.mean["rank_1"] == 1


def test_the_page_reads_which_tracklets_of_mars_are_queries(tmp_path, monkeypatch):
    """Its code, on a small set with lists as published: counted from 1, in the order of the names."""
    plant(tmp_path / "MARS", *MARS, "bbox_train/0001/0001C1T0001F001.jpg")
    names = [name.rpartition("/")[2] for name in MARS]
    rows = [[3 * i + 1, 3 * i + 3, int(name[:4].replace("00-1", "-1")), int(name[5])]
            for i, name in enumerate(names[::3])]  # fmt: skip
    info = tmp_path / "MARS" / "info"
    info.mkdir()
    (info / "test_name.txt").write_text("\n".join(names) + "\n")
    savemat(info / "tracks_test_info.mat", {"track_test_info": np.array(rows, dtype=np.int32)})
    savemat(info / "query_IDX.mat", {"query_IDX": np.array([[2, 3]], dtype=np.uint16)})  # 0002 and 0004, in two cameras
    page = (Path(__file__).parent.parent / "docs" / "user_guide" / "tracks.md").read_text(encoding="utf-8")
    (code,) = [block for block in re.findall(r"^```python\n(.*?)^```", page, flags=re.M | re.S) if "loadmat" in block]
    monkeypatch.chdir(tmp_path)
    found = {}
    exec(code, found)
    of_track = dict(zip(found["mars"].tracks.tolist(), found["mars"].subset, strict=True))
    assert of_track == {
        "0001C1T0001": "train", "0002C1T0001": "gallery", "0002C2T0001": "query", "0004C1T0001": "query",
        "0004C2T0001": "gallery", "0000C1T0009": "gallery", "00-1C1T0002": "gallery",
    }  # fmt: skip


def test_tracks_known_for_some_images_only_are_refused(tmp_path):
    """By file or line, as cameras are; if no image has one, they are unknown and the report says so."""
    folder = plant(tmp_path, "ann_1.png", "ann_2.png", "bo.png")
    pattern = r"(?P<identity>[a-z]+)(_(?P<track>\d))?"
    with pytest.raises(
        ValueError, match=r"1 of 3 images have no track, the first 'bo.png' below .*group 'track' match"
    ):
        load_image_folder(folder, pattern=pattern)
    for name in ("ann_1.png", "ann_2.png"):
        (folder / name).unlink()
    data = load_image_folder(folder, pattern=pattern)
    assert "tracks" not in data
    assert data.report.n_without_track == 1
    assert any("without a track: the tracks are unknown" in sentence for sentence in data.report.suspicious)
    assert load_image_folder(folder, pattern="(?P<identity>[a-z]+)").report.n_without_track == 0


def test_a_column_of_a_table_may_hold_tracks(tmp_path):
    """Whole numbers become numbers; an empty cell is missing."""
    table = plant(tmp_path, "a.png", "b.png") / "t.csv"
    table.write_text("path,identity,camera,track\na.png,ann,1,7\nb.png,ann,1,8\n")
    assert load_csv(table, track_column="track").tracks.tolist() == [7, 8]
    assert "tracks" not in load_csv(table)
    table.write_text("path,identity,camera,track\na.png,ann,1,7\nb.png,ann,1,\n")
    with pytest.raises(ValueError, match=r"have no track, the first in line 3 of .*track_column=None"):
        load_csv(table, track_column="track")
    with pytest.raises(ValueError, match=r"'tracks' is not in .* Did you mean 'track'"):
        load_csv(table, track_column="tracks")


def test_sequences_are_tracks(tmp_path):
    """One per person and camera of iLIDS-VID and PRID 2011; single images have none."""
    root = plant(tmp_path / "vid", *SEQUENCES, *(name.replace("/images/", "/sequences/") for name in SEQUENCES))
    plant(root, "i-LIDS-VID/sequences/cam1/person001/cam1_person001_2.png")
    assert "tracks" not in load_ilids(root)
    data = load_ilids(root, part="sequences")
    assert data.tracks.tolist() == ["cam1/person001"] * 2 + ["cam1/person319", "cam2/person001", "cam2/person319"]
    plant(tmp_path, *PRID, *(f"multi_shot/cam_{c}/person_0201/{f:04d}.png" for c in "ab" for f in (1, 2)))
    assert "tracks" not in load_prid2011(tmp_path)
    data = load_prid2011(tmp_path, shots="multi")
    assert data.tracks.tolist() == ["cam_a/person_0201"] * 2 + ["cam_b/person_0201"] * 2
    assert data.target.tolist() == [201, 201, 10201, 10201]
