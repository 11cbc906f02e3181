"""Gallery: searches against brute force, files that survive interruptions, threads, bounded memory, FAISS's recall."""

import datetime
import json
import os
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest
import reference
import torch
from sklearn.preprocessing import StandardScaler

from skreid.gallery import Gallery, _files


def rows(n, d=6, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(dtype)


SCALER = StandardScaler().fit(rows(300))


@pytest.fixture
def filled():
    rng = np.random.default_rng(1)
    ids, cams = rng.integers(0, 9, 200), rng.integers(0, 3, 200)
    return Gallery(rows(200), ids=[f"p{i}" for i in ids], cams=cams)


@pytest.mark.parametrize("filters", ["none", "camera", "identity in camera"])
def test_rankings_equal_brute_force_with_rows_left_out(filled, filters):
    """Cameras, and identities within cameras, are left out inside the search: k neighbours remain."""
    probes, ids, cams = rows(15, seed=2), np.array([f"p{i % 10}" for i in range(15)]), np.arange(15) % 4
    given = {"none": {}, "camera": {"cams": cams}, "identity in camera": {"cams": cams, "ids": ids}}[filters]
    hidden = np.zeros((15, 200), dtype=bool) if filters == "none" else cams[:, None] == filled.cams
    if "ids" in given:
        hidden &= ids[:, None] == filled.ids
    ranking = filled.kneighbors(probes, 30, **given)
    expected = reference.nearest(probes, filled.descriptors, 30, hidden)
    np.testing.assert_array_equal(ranking[1], expected[1])
    np.testing.assert_allclose(ranking[0], expected[0], rtol=1e-12)


def test_rankings_shorter_than_asked_for_are_padded():
    """Where the filter leaves fewer images than asked for, distances are infinite and indices name nobody."""
    gallery = Gallery(rows(4), cams=[0, 0, 0, 1])
    distances, indices = gallery.kneighbors(rows(2, seed=1), 3, cams=[0, 7])
    assert indices[0].tolist() == [3, reference.MISSING, reference.MISSING]
    assert np.isinf(distances[0, 1:]).all()
    assert (indices[1] < 4).all()
    for use in (gallery.cams.__getitem__, gallery.descriptors.__getitem__, gallery.cams.take):
        with pytest.raises(IndexError):
            use(indices[0])
    with pytest.raises(IndexError, match="index -1 is out of bounds: the gallery has 4 images"):
        gallery.descriptors[[0, -1]]
    gallery.add(rows(5), cams=[0] * 5)
    with pytest.raises(IndexError):
        gallery.cams[indices[0]]  # not even after more images came


def test_a_changed_gallery_equals_one_built_from_its_images(filled):
    """After any changes the gallery answers as one built from the same images."""
    more, before = rows(50, seed=3), np.asarray(filled.descriptors)
    ids, cams = filled.ids, filled.cams
    filled.add(more[:20], ids=["new"] * 20, cams=[0] * 20).remove(np.arange(0, 210, 3))
    filled.add(more[20:], ids=["a much longer name"] * 30, cams=[2] * 30).remove(filled.ids == "p3")
    kept = np.delete(np.arange(220), np.arange(0, 210, 3))
    expected = np.concatenate([np.concatenate([before, more[:20]])[kept], more[20:]])
    names = np.concatenate([np.concatenate([ids, ["new"] * 20])[kept], ["a much longer name"] * 30])
    cameras = np.concatenate([np.concatenate([cams, [0] * 20])[kept], [2] * 30])
    expected, names, cameras = expected[names != "p3"], names[names != "p3"], cameras[names != "p3"]
    assert filled.ids.tolist() == names.tolist()
    np.testing.assert_array_equal(filled.descriptors, expected)
    np.testing.assert_array_equal(filled.descriptors[::7], expected[::7])
    np.testing.assert_array_equal(filled.descriptors[100:180], expected[100:180])
    ranking, wanted = filled.kneighbors(more, 9, cams=cameras[:50]), Gallery(expected, cams=cameras)
    np.testing.assert_array_equal(ranking[1], wanted.kneighbors(more, 9, cams=cameras[:50])[1])


def test_a_saved_gallery_opens_the_same_and_stays_on_disk(filled, tmp_path):
    """Identities, cameras and answers come back; the descriptors are mapped, not read."""
    filled.remove([0]).save(tmp_path / "new" / "gallery")
    opened = Gallery.open(tmp_path / "new" / "gallery")
    assert isinstance(opened.descriptors._parts[0][0], np.memmap)
    for name in ("ids", "cams", "descriptors"):
        np.testing.assert_array_equal(getattr(opened, name), getattr(filled, name))
    np.testing.assert_array_equal(opened.kneighbors(rows(5, seed=4))[1], filled.kneighbors(rows(5, seed=4))[1])
    opened.add(rows(3, seed=5), ids=["x"] * 3, cams=[0] * 3).save(tmp_path / "new" / "gallery")  # onto itself
    assert len(Gallery.open(tmp_path / "new" / "gallery")) == 202
    assert len(opened.kneighbors(rows(5, seed=4))[1]) == 5
    assert len(list((tmp_path / "new" / "gallery").iterdir())) == 4


def test_an_interrupted_save_leaves_the_gallery_that_was_there(filled, tmp_path, monkeypatch):
    """A save that fails on its last file changes nothing and leaves no files behind."""
    filled.save(tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())
    write = _files._write_npy

    def fail(path, column):
        if path.name.startswith("cams"):
            raise OSError("disk full")
        write(path, column)

    monkeypatch.setattr(_files, "_write_npy", fail)
    with pytest.raises(OSError, match="disk full"):
        filled.remove([0]).save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert len(Gallery.open(tmp_path)) == 200


@pytest.mark.parametrize(
    "card", ["not json", "{}", '{"format": "skreid gallery", "version": 1, "files": {"descriptors": "../x.npy"}}', "[]"]
)
def test_a_damaged_description_is_refused(tmp_path, card):
    """A file that describes no gallery, or points out of its folder, is not opened."""
    (tmp_path / "gallery.json").write_text(card, encoding="utf-8")
    with pytest.raises(ValueError, match="is not the description of a gallery"):
        Gallery.open(tmp_path)


def test_pickles_in_a_folder_are_not_loaded(filled, tmp_path):
    """Arrays that would need unpickling are refused; a folder without a gallery is named."""
    filled.save(tmp_path)
    card = json.loads((tmp_path / "gallery.json").read_text(encoding="utf-8"))
    np.save(tmp_path / card["files"]["ids"], np.array([{}] * 200, dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="is damaged"):
        Gallery.open(tmp_path)
    with pytest.raises(FileNotFoundError, match="holds no gallery"):
        Gallery.open(tmp_path / "elsewhere")


@pytest.mark.parametrize("name", ["descriptors", "gallery.json"])
@pytest.mark.parametrize("kind", ["link", "pipe"])
@pytest.mark.skipif(sys.platform == "win32", reason="needs rights for links, and has no pipes with names")
def test_links_and_pipes_are_not_followed(filled, tmp_path, name, kind):
    """A gallery from a stranger can neither read files outside of its folder nor block the reader."""
    folder, elsewhere = tmp_path / "gallery", tmp_path / "elsewhere"
    filled.save(folder)
    path = next(folder.glob(f"{name}*"))
    path.rename(elsewhere)
    path.symlink_to(elsewhere) if kind == "link" else os.mkfifo(path)
    with pytest.raises(ValueError, match=f"{path.name}' is not a plain file in its folder"):
        Gallery.open(folder)
    if name == "gallery.json":
        with pytest.raises(ValueError, match="is not a plain file in its folder"):
            filled.save(folder)
        assert len(list(folder.iterdir())) == 4
    path.unlink()
    elsewhere.rename(path)
    (tmp_path / "other").symlink_to(folder)
    assert len(Gallery.open(tmp_path / "other")) == 200  # a link to a whole gallery is one


@pytest.mark.parametrize("column", ["ids", "cams", "faiss"])
@pytest.mark.parametrize("foreign", ["my-notes.txt", "descriptors-2.npy", "descriptors"])
def test_a_save_removes_only_files_of_a_gallery(filled, tmp_path, column, foreign):
    """A description that names a file of another kind, or of another column, is refused and the file kept."""
    filled.save(tmp_path)
    card = json.loads((tmp_path / "gallery.json").read_text(encoding="utf-8"))
    foreign = card["files"]["descriptors"] if foreign == "descriptors" else foreign
    (tmp_path / foreign).touch()
    card["files"][column] = foreign
    (tmp_path / "gallery.json").write_text(json.dumps(card), encoding="utf-8")
    before = sorted(tmp_path.iterdir())
    for use in (Gallery.open, filled.save):
        with pytest.raises(ValueError, match="is not the description of a gallery"):
            use(tmp_path)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"index": "Flat"}, "index='Flat' is not used"),
        ({"effort": 3}, "effort=3 is not used"),
        ({"index": "Flat", "effort": 3}, "index='Flat' and effort=3 are not used"),
    ],
)
def test_settings_of_faiss_without_faiss_are_named(settings, named, tmp_path):
    """Where a gallery is built; one that was saved so opens without a word."""
    says = f"^{named}: engine='exact' searches without FAISS. Give engine=\"faiss\" too.$"
    with pytest.warns(UserWarning, match=says) as caught:
        gallery = Gallery(rows(3), **settings)
    with pytest.warns(UserWarning, match=says) as of_system:
        Gallery.from_estimator(StandardScaler().fit(rows(9)), rows(3), **settings)
    assert {each.filename for each in (*caught, *of_system)} == {__file__}
    gallery.save(tmp_path)
    assert Gallery.open(tmp_path).kneighbors(rows(3)[:1], 1)[1].tolist() == [[0]]
    Gallery(rows(3), index="HNSW32", effort=None)


@pytest.mark.parametrize(
    "settings",
    [{"effort": "all"}, {"effort": 0}, {"effort": True}, {"effort": 1.5}, {"index": 3}, {"index": None}, {"index": ""}],
)
def test_settings_are_checked_wherever_they_come_from(filled, tmp_path, settings):
    """Wrong settings are named, whether given or read from a file; a NumPy integer is saved as an integer."""
    with pytest.raises(ValueError, match=f"'{next(iter(settings))}' parameter of Gallery must be"):
        Gallery(rows(3), **settings)
    with pytest.warns(UserWarning, match="effort=5 is not used"):
        Gallery(rows(3), effort=np.int64(5)).save(tmp_path)
    card = json.loads((tmp_path / "gallery.json").read_text(encoding="utf-8"))
    assert card["settings"]["effort"] == 5
    card["settings"] |= settings
    (tmp_path / "gallery.json").write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(ValueError, match="is not the description of a gallery"):
        Gallery.open(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="locks no folder")
def test_saves_at_the_same_time_leave_one_gallery(tmp_path, monkeypatch):
    """The last one is complete, and no file of the others remains."""
    write, together = _files._write_npy, threading.Barrier(3)

    def wait(path, column):
        write(path, column)
        together.wait(60)

    Gallery(rows(9)).save(tmp_path)
    monkeypatch.setattr(_files, "_write_npy", wait)
    threads = [threading.Thread(target=Gallery(rows(n)).save, args=(tmp_path,)) for n in (10, 11, 12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Gallery.open(tmp_path)) in (10, 11, 12)
    assert len(list(tmp_path.iterdir())) == 2


def test_removing_nothing_removes_nothing(filled):
    """An empty selection may be a list, a tuple, an array or a mask."""
    for nothing in ([], (), np.array([]), np.array([], dtype=int), np.zeros(200, dtype=bool)):
        filled.remove(nothing)
    assert len(filled) == 200
    assert len(filled.remove(np.arange(200)).remove([])) == 0


def test_remove_takes_each_index_once_or_a_mask_of_the_right_length(filled):
    """A mask of 0 and 1 as ints, one boolean, and a comparison with no ids remove nobody."""
    n_images, before = len(filled), filled.ids.tolist()
    zeros_and_ones = (filled.ids == "p3").astype(int)
    without_ids = Gallery(np.asarray(filled.descriptors))
    for wrong in ([0, 1, 0], zeros_and_ones, zeros_and_ones.tolist(), [-1, n_images - 1]):
        with pytest.raises(ValueError, match="more than once"):
            filled.remove(wrong)
    for wrong in (True, False, [True], np.ones(n_images - 1, dtype=bool), without_ids.ids != "ann"):
        with pytest.raises(ValueError, match=f"one for each of the {n_images} images"):
            filled.remove(wrong)
    for wrong in ([1.0], ["p3"], None, [[0, 1]]):
        with pytest.raises(ValueError, match="must hold ints"):
            filled.remove(wrong)
    for wrong in (n_images, [-n_images - 1], np.array([np.iinfo(np.int64).max])):
        with pytest.raises(IndexError, match="out of bounds"):
            filled.remove(wrong)
    assert filled.ids.tolist() == before
    assert filled.remove([-1, 0]).remove(3).ids.tolist() == [*before[1:4], *before[5:-1]]
    assert filled.remove([True] + [False] * (len(filled) - 1)).ids.tolist() == [*before[2:4], *before[5:-1]]


def test_searches_in_threads_see_whole_states(filled):
    """While one thread adds and removes, every search sees a complete state, never half of a change."""
    extra, probe = rows(10, seed=6), rows(10, seed=6)
    allowed = {tuple(filled.kneighbors(probe, 3)[1].ravel())}
    filled.add(extra, ids=["x"] * 10, cams=[9] * 10)
    allowed.add(tuple(filled.kneighbors(probe, 3)[1].ravel()))
    filled.remove(np.arange(200, 210))
    seen, stop = set(), threading.Event()

    def search():
        while not stop.is_set():
            seen.add(tuple(filled.kneighbors(probe, 3)[1].ravel()))

    threads = [threading.Thread(target=search) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(30):
        filled.add(extra, ids=["x"] * 10, cams=[9] * 10).remove(np.arange(200, 210))
    stop.set()
    for thread in threads:
        thread.join()
    assert seen
    assert seen <= allowed


def test_a_pickled_gallery_answers_the_same(filled):
    """Pickling, as joblib does it, keeps everything."""
    again = pickle.loads(pickle.dumps(filled))
    np.testing.assert_array_equal(again.kneighbors(rows(5))[1], filled.kneighbors(rows(5))[1])
    assert repr(again) == "Gallery(n_images=200, n_features=6, engine='exact')"


SEARCH = """
import resource, sys
import numpy as np
from skreid.gallery import Gallery
import sklearn.utils, skreid._search.nearest
gallery = Gallery.open(sys.argv[1])
probes = np.random.default_rng(0).normal(size=(50, 128)).astype(np.float32)
Gallery(probes).kneighbors(probes, 5)
with open("/proc/self/status") as status:
    before = int(next(line for line in status if line.startswith("RssAnon")).split()[1])
from threading import Event, Thread
peak, stop = [before], Event()
def watch():
    while not stop.wait(0.005):
        with open("/proc/self/status") as status:
            peak.append(int(next(line for line in status if line.startswith("RssAnon")).split()[1]))
watcher = Thread(target=watch)
watcher.start()
indices = gallery.kneighbors(probes, 5, return_distance=False)
stop.set()
watcher.join()
print((max(peak) - before) / 1024, indices[:, 0].sum())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the process's own memory from /proc")
def test_a_gallery_on_disk_is_searched_in_bounded_memory(tmp_path):
    """200,000 descriptors of 128 dimensions, 98 MiB, are searched within 40 MiB beside the page cache."""
    Gallery(rows(200_000, 128)).save(tmp_path)
    done = subprocess.run([sys.executable, "-c", SEARCH, tmp_path], capture_output=True, text=True, check=True)
    assert float(done.stdout.split()[0]) < 40


@pytest.mark.parametrize("index", ["HNSW16", "IVF32,Flat"])
def test_the_approximate_engine_finds_nearly_all_and_hides_cameras(tmp_path, index):
    """Recall against the exact search is 0.95 or more, filtered or not, saved or not; distances are exact."""
    pytest.importorskip("faiss", reason="the approximate engine is an optional extra")
    data, probes = rows(4000, 16), rows(100, 16, seed=1)
    cams = np.random.default_rng(2).integers(0, 4, 4000)
    exact = Gallery(data, cams=cams)
    fast = Gallery(data, cams=cams, engine="faiss", index=index, effort=64 if index[0] == "H" else 16)
    opened = Gallery.open(fast.save(tmp_path) and tmp_path)
    for given in ({}, {"cams": np.arange(100) % 4}):
        wanted = exact.kneighbors(probes, 10, **given)
        for gallery in (fast, opened):
            distances, indices = gallery.kneighbors(probes, 10, **given)
            recall = np.mean([len(np.intersect1d(a, b)) / 10 for a, b in zip(indices, wanted[1], strict=True)])
            assert recall >= 0.95
            np.testing.assert_allclose(
                distances, np.linalg.norm(probes[:, None].astype(float) - data[indices], axis=2), rtol=1e-12
            )
            if given:
                assert (cams[indices] != given["cams"][:, None]).all()


@pytest.mark.parametrize(("index", "effort"), [("HNSW16", 64), ("IVF32,Flat", 8), ("IVF4,Flat", 4)])
def test_the_default_effort_is_the_documented_one(index, effort):
    """64 candidates, or 1/32 of the cells and at least 8, but never more than there are."""
    pytest.importorskip("faiss", reason="the approximate engine is an optional extra")
    galleries = [Gallery(rows(2000, 16), engine="faiss", index=index, effort=given) for given in (None, effort)]
    one, two = (gallery.kneighbors(rows(50, 16, seed=1), 10)[1] for gallery in galleries)
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ("IVF999999999,Flat", r"999,999,999 cells, which must be between 1 and the number of descriptors, 300"),
        ("IVF301,Flat", r"asks for 301 cells.*Use about 7 cells; a product quantizer has 256"),
        ("IVF1M,Flat", "asks for 1,048,576 cells"),
        ("IVF0,Flat", "asks for 0 cells"),
        ("IMI2x16,Flat", "asks for 4,294,967,296 cells"),
        ("PQ2x24", "asks for 16,777,216 cells"),
        ("HNSW1", "asks for 1 links per image"),
        ("HNSW99999999", "asks for 99999999 links per image"),
        ("tree", "cannot build index='tree' over 300 descriptors of 6 dimensions: could not parse index string tree$"),
        ("PQ4", r"cuts vectors of 6 dimensions into 4 parts.*a divisor of 6, such as 'PQ3'"),
        ("IVF4,PQ5x4", r"cuts vectors of 6 dimensions into 5 parts"),
        ("PQ0", r"cuts vectors of 6 dimensions into 0 parts"),
        ("IVF99999999999999999999,Flat", "cells, which must be between 1"),
        ("LSH", "is of type IndexLSH, which cannot hide rows"),
        ("PQ3x4", "is of type IndexPQ, which cannot hide rows"),
        ("IVF4,RQ2x4", "is of type IndexIVFResidualQuantizer, which cannot hide rows"),
        ("IVF4,Flat,RFlat", "is of type IndexRefineFlat, which cannot hide rows"),
    ],
)
def test_an_index_that_cannot_be_built_is_named(tmp_path, index, message):
    """The error comes before FAISS allocates memory or ends the process, when a gallery is created or opened."""
    pytest.importorskip("faiss", reason="the approximate engine is an optional extra")
    with pytest.raises(ValueError, match=message):
        Gallery(rows(300), engine="faiss", index=index)
    with pytest.warns(UserWarning, match="is not used"):
        Gallery(rows(300), index=index).save(tmp_path)
    card = (tmp_path / "gallery.json").read_text(encoding="utf-8")
    (tmp_path / "gallery.json").write_text(card.replace("exact", "faiss"), encoding="utf-8")
    with pytest.raises(ValueError, match=f"The gallery in '{tmp_path}' is damaged: .*{message}"):
        Gallery.open(tmp_path)


@pytest.mark.parametrize(
    ("index", "cells"), [("IVF16,Flat", 16), ("HNSW32_PQ3x4", 16), ("IVF2,PQ3x5", 32), ("IMI2x4,Flat", 16)]
)
def test_too_many_cells_warn_in_the_callers_line_and_not_on_the_stream_of_errors(index, cells, capfd):
    """FAISS prints such warnings; with 39 descriptors per cell there is none, by either."""
    pytest.importorskip("faiss", reason="the approximate engine is an optional extra")
    says = rf"index='{index}' places {cells} cells by 300 descriptors.*use at most 7 cells, or 'HNSW32'"
    data, start = rows(300), Gallery([], engine="faiss", index=index)
    for make in (
        lambda: Gallery(data, engine="faiss", index=index),
        lambda: Gallery.from_estimator(SCALER, data, engine="faiss", index=index),
        lambda: start.add(data),
    ):
        with pytest.warns(UserWarning, match=says) as caught:
            gallery = make()
        assert [warning.filename for warning in caught] == [__file__]
        assert gallery.kneighbors(data[:1], 1)[1].shape == (1, 1)
    enough = Gallery(rows(39 * cells), engine="faiss", index=index)
    assert enough.kneighbors(
        data[:9],
        1,
    )[1].shape == (9, 1)
    assert "WARNING" not in "".join(capfd.readouterr())


def test_a_product_quantizer_learns_from_enough_descriptors():
    """Its cells are not those of the inverted file: all 4,000 descriptors place its 256."""
    pytest.importorskip("faiss", reason="the approximate engine is an optional extra")
    data = rows(10_000)
    gallery = Gallery(data, engine="faiss", index="IVF1,PQ6", effort=1)
    assert np.mean(gallery.kneighbors(data[::100], 1)[1].ravel() == np.arange(0, 10_000, 100)) > 0.9


def test_an_index_of_another_gallery_is_refused(tmp_path):
    """An index of other rows would return rows that do not exist; a file that is no index is named."""
    pytest.importorskip("faiss", reason="the approximate engine is an optional extra")
    for n in (300, 200):
        Gallery(rows(n), engine="faiss").save(tmp_path / str(n))
    paths = [next((tmp_path / name).glob("*.faiss")) for name in ("200", "300")]
    for content in (paths[1].read_bytes(), b"notes", b""):
        paths[0].write_bytes(content)
        with pytest.raises(ValueError, match=r"is damaged: .*\.faiss' is (an index of shape|not a FAISS index)"):
            Gallery.open(tmp_path / "200")


def test_an_effort_larger_than_the_gallery_searches_all_of_it():
    """The approximate engine then finds what the exact one finds."""
    pytest.importorskip("faiss", reason="the approximate engine is an optional extra")
    for index in ("HNSW8", "IVF4,Flat"):
        ranking = Gallery(rows(300), engine="faiss", index=index, effort=10**30).kneighbors(rows(9, seed=1), 3)[1]
        np.testing.assert_array_equal(ranking, Gallery(rows(300)).kneighbors(rows(9, seed=1), 3)[1])


@pytest.mark.parametrize("value", [1e19, 1e39, 1e100])
def test_values_too_large_for_faiss_are_refused(tmp_path, value):
    """FAISS squares in float32; where that overflows, it would silently find nothing."""
    pytest.importorskip("faiss", reason="the approximate engine is an optional extra")
    large = np.array([[1.0] * 6, [value] * 6])
    says = r"in row 1, whose squared distances overflow float32: scale them below 4e\+18 or use engine='exact'"
    gallery = Gallery(np.ones((3, 6)), engine="faiss")
    for use in (lambda x: Gallery(x, engine="faiss"), gallery.add, lambda x: gallery.kneighbors(x, 1)):
        with pytest.raises(ValueError, match=says):
            use(large)
    Gallery(large).save(tmp_path)
    card = (tmp_path / "gallery.json").read_text(encoding="utf-8")
    (tmp_path / "gallery.json").write_text(card.replace("exact", "faiss"), encoding="utf-8")
    with pytest.raises(ValueError, match=says):
        Gallery.open(tmp_path).kneighbors(large[:1], 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Gallery(rows(3, dtype=np.float16)).add([[0.0] * 6, [1e6] * 6]), r"1e\+06 in row 1, .* float16, the"),
        (
            lambda: Gallery(rows(3)).add([[0.0] * 6, [1e100] * 6]),
            r"1e\+100 in row 1, which overflows float32, the dtype",
        ),
        (lambda: Gallery(rows(3)).add([[1e300] * 6]), r"the new descriptors hold 1e\+300 in row 0, whose squared"),
        (
            lambda: Gallery([[1.0], [1e200]]),
            r"descriptors hold 1e\+200 in row 1, whose squared distances overflow float64",
        ),
        (lambda: Gallery([[1.0]]).kneighbors([[1e200]], 1), r"probes hold 1e\+200 in row 0, whose squared"),
        (lambda: Gallery([[1.0]]).add([[np.inf]]), "the new descriptors contains NaN or infinity in row 0"),
        (lambda: Gallery(rows(3), engine="fais"), "'engine' parameter of Gallery"),
        (lambda: Gallery(rows(3)[0]), "Descriptors must be an array of floats"),
        (lambda: Gallery(np.array([[1.0], [np.nan]])), "NaN or infinity in row 1"),
        (lambda: Gallery(rows(3), ids=[1]), "ids has 1 entries"),
        (lambda: Gallery(rows(3)).add(rows(2, 5)), "the new descriptors have 5 dimensions, and those of the gallery 6"),
        (lambda: Gallery(rows(3)).add(rows(2), cams=[0, 0]), "The gallery has no cams"),
        (lambda: Gallery(rows(3), ids=[1, 2, 3]).add(rows(1)), "has ids, but add was given no ids"),
        (lambda: Gallery(rows(3), ids=[1, 2, 3]).add(rows(1), ids=["1"]), "so that both use one kind"),
        (
            lambda: Gallery(rows(3)).kneighbors(rows(1), 4),
            r"parameter of Gallery\.kneighbors must be at most 3, .* Got 4",
        ),
        (
            lambda: Gallery(rows(3)).kneighbors(rows(1), True),
            "'n_neighbors' parameter of Gallery.kneighbors must be an",
        ),
        (lambda: Gallery(rows(3)).kneighbors(rows(1), 2.5), r"an int in the range \[1, inf\)\. Got 2\.5 instead"),
        (lambda: Gallery(rows(3)).kneighbors(rows(1, 2), 1), "probes have 2 dimensions, and those of the gallery 6"),
        (lambda: Gallery(rows(3)).kneighbors(rows(1), 1, cams=[0]), "The gallery has no cams"),
        (
            lambda: Gallery(rows(3), ids=[1, 2, 3]).kneighbors(rows(1), 1, ids=[1]),
            "ids without cams leave no image out",
        ),
    ],
)
def test_mistakes_are_named(call, message):
    """Every error says what is wrong."""
    with pytest.raises(ValueError, match=message):
        call()


def test_bfloat16_tensors_are_taken():
    """NumPy has no bfloat16; its values fit float32."""
    rows = torch.tensor([[0.0], [2.0]], dtype=torch.bfloat16)
    assert Gallery(rows).kneighbors(rows[1:], 1)[1].tolist() == [[1]]


@pytest.mark.parametrize(
    "ids",
    [
        [datetime.datetime(2022, 1, 1), datetime.datetime(2022, 1, 1), datetime.datetime(2023, 1, 1)],
        [("a", 1), ("a", 1), ("b", 1)],
        [10**30, 10**30, 10**30 + 1],
    ],
    ids=["dates", "tuples", "large ints"],
)
def test_identities_of_any_sortable_kind_are_searched_but_not_saved(ids, tmp_path):
    """They hide a probe's own person in its own camera as strings would; a file would need pickle."""
    gallery = Gallery(np.array([[0.0], [1.0], [2.0]]), ids=ids, cams=[0, 1, 0])
    assert gallery.kneighbors([[0.0]], 2, ids=ids[:1], cams=[0], return_distance=False).tolist() == [[1, 2]]
    assert gallery.add([[3.0]], ids=ids[:1], cams=[1]).ids.tolist() == [*ids, ids[0]]
    with pytest.raises(ValueError, match="ids of a Gallery must be numbers or strings to be saved"):
        gallery.save(tmp_path / "gallery")
    assert not (tmp_path / "gallery").exists()
