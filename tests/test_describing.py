"""Chunks described anywhere equal those described here, even if workers are killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from describers import Interrupted, Killed, Means
from PIL import Image
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skreid import MultiDepthReID, describe
from skreid._lists.output import allocate
from skreid.exceptions import ImageError

N_IMAGES, SIZE = 45, 8


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (N_IMAGES, SIZE, SIZE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def means(images):
    return images.mean(axis=(1, 2))


def chunks(estimator, X, size):
    """Describe each chunk on its own: the oracle."""
    return np.concatenate([estimator.transform(X[start : start + size]) for start in range(0, len(X), size)])


# here and in local processes ----------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 7, 45, 100])
@pytest.mark.parametrize("kind", [np.asarray, list])
def test_chunks_come_back_in_order(images, means, batch_size, kind):
    """They do for any chunk size, and for arrays and lists."""
    np.testing.assert_array_equal(describe(Means().fit(images), kind(images), batch_size=batch_size), means)


def test_describe_equals_transform(fitted, people):
    """Descriptors are equal bit for bit in each chunk, and to those of one call if chunks are whole batches."""
    found = describe(fitted, people.images, batch_size=5)
    np.testing.assert_array_equal(found, chunks(fitted, people.images, 5))
    assert found.dtype == np.float32
    whole = describe(fitted, people.images, batch_size=2 * fitted.batch_size)
    np.testing.assert_array_equal(whole, fitted.transform(people.images))


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_local_workers_give_identical_descriptors(images, means, backend):
    """A Pipeline is described with joblib backends that stream their results, and with those that do not."""
    pipeline = make_pipeline(Means().fit(images), StandardScaler().fit(means))
    with joblib.parallel_config(backend=backend, n_jobs=2):
        found = describe(pipeline, images, batch_size=2)
    np.testing.assert_array_equal(found, chunks(pipeline, images, 2))


def test_a_killed_worker_costs_only_its_chunks(images, means, tmp_path):
    """One of two local workers is killed while it works, and the result is complete."""

    class Deadly(Means):
        def transform(self, X):
            first = Path(self.log) / "killed"
            if len(list(Path(self.log).glob("described-*"))) and not first.exists():
                first.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return super().transform(X)

    found = describe(Deadly(tmp_path, 0.05).fit(images), images, batch_size=3, n_jobs=2)
    np.testing.assert_array_equal(found, means)
    assert (tmp_path / "killed").exists()


# mistakes -----------------------------------------------------------------------------------------------


def test_unusable_images_are_named_by_their_position_in_the_list(fitted, people):
    """Errors and warnings give the position in the list, not in a chunk."""
    images = people.images[:12].astype(np.float32) / 255
    images[9, 0, 0, 0] = np.nan
    with pytest.raises(ImageError, match="image 9 contains NaN") as error:
        describe(fitted, images, batch_size=4)
    assert error.value.index == 9
    forgiving = MultiDepthReID(**fitted.get_params() | {"on_error": "nan"})
    vars(forgiving).update({name: value for name, value in vars(fitted).items() if name.endswith("_")})
    for n_threads in (1, 2):
        with (
            joblib.parallel_config(backend="threading", n_jobs=n_threads),
            pytest.warns(UserWarning, match="NaN") as warned,
        ):
            found = describe(forgiving, images, batch_size=4)
        assert [str(each.message) for each in warned] == ["1 of 12 images are described by NaN, at positions 9."]
        assert np.flatnonzero(np.isnan(found).any(axis=1)).tolist() == [9]


def test_wrong_outputs_are_refused(images):
    """Each error says what is expected."""
    means = Means().fit(images)
    with pytest.raises(ValueError, match=r"out has shape \(45, 4\); 45 descriptors of 3 dimensions need \(45, 3\)"):
        describe(means, images, out=np.empty((45, 4)))
    with pytest.raises(ValueError, match="out holds int64, which cannot hold descriptors of float64"):
        describe(means, images, out=np.empty((45, 3), np.int64))
    with pytest.raises(TypeError, match=r"'out' parameter of describe must be a path, an array or None\. Got a list"):
        describe(means, images, out=[])
    for batch_size in (0, 2.5, True, "8"):
        with pytest.raises(ValueError, match="'batch_size' parameter of describe must be an int"):
            describe(means, images, batch_size=batch_size)

    class Few(Means):
        def transform(self, X):
            return super().transform(X)[1:]

    with pytest.raises(ValueError, match="Few described 45 images by an array of shape"):
        describe(Few().fit(images), images)


# into a file --------------------------------------------------------------------------------------------


def test_a_given_array_is_filled(images, means, tmp_path):
    """Descriptors are written into it in place, memory-mapped or not."""
    for out in (np.empty((45, 3)), np.lib.format.open_memmap(tmp_path / "o.npy", "w+", shape=(45, 3))):
        assert describe(Means().fit(images), images, out=out, batch_size=10) is out
        np.testing.assert_array_equal(out, means)


def test_an_interrupted_call_resumes(images, means, tmp_path):
    """Finished chunks are not described again, the result is the same, and a third call describes nothing."""
    estimator, calls = Interrupted(tmp_path).fit(images), tmp_path / "calls"
    (tmp_path / "stop").touch()
    with pytest.raises(KeyboardInterrupt):
        describe(estimator, images, batch_size=10, out=tmp_path / "o.npy")
    (tmp_path / "stop").unlink()
    found = describe(estimator, images, batch_size=10, out=tmp_path / "o.npy")
    assert len(calls.read_text()) == 4 + 2  # five chunks, one of them twice
    np.testing.assert_array_equal(describe(estimator, images, batch_size=10, out=str(tmp_path / "o.npy")), found)
    assert len(calls.read_text()) == 4 + 2
    assert isinstance(found, np.memmap)
    np.testing.assert_array_equal(found, means)


def test_a_killed_call_resumes_in_another_process(tmp_path, means):
    """After SIGKILL at any moment, another process resumes from the record."""
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import numpy as np, describers as t, skreid;"
        "X = np.random.default_rng(0).integers(0, 256, (45, 8, 8, 3), dtype=np.uint8);"
        f"skreid.describe(t.Means({str(tmp_path)!r}, 0.1).fit(X), X, batch_size=5, out={str(tmp_path / 'o.npy')!r})"
    )
    process, record = subprocess.Popen([sys.executable, "-c", code]), tmp_path / "o.npy.progress"
    while not record.exists() or record.read_text().count("\n") < 3:
        time.sleep(0.02)
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    n_done = len(record.read_text().split("\n")) - 2
    assert 1 <= n_done < 9
    subprocess.run([sys.executable, "-c", code], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "o.npy"), means)
    assert sorted(map(int, record.read_text().split("\n")[1:-1])) == list(range(0, 45, 5))


def test_truncated_records_and_deleted_files_start_again(images, means, tmp_path):
    """A truncated last line is a chunk to describe again; without the file, all chunks are."""
    estimator, out = Means().fit(images), tmp_path / "o.npy"
    describe(estimator, images, batch_size=10, out=out)
    record = tmp_path / "o.npy.progress"
    record.write_text(record.read_text()[:-2])  # "40\n" becomes "4"
    for _ in range(2):
        np.testing.assert_array_equal(describe(estimator, images, batch_size=10, out=out), means)
    assert record.read_text().endswith("\n30\n40\n")
    out.unlink()
    np.testing.assert_array_equal(describe(estimator, images, batch_size=10, out=out), means)


def test_descriptors_of_another_call_are_refused(images, tmp_path):
    """The error names what differs: estimator, images or batch_size; or says that the record is missing."""
    out = tmp_path / "o.npy"
    describe(Means().fit(images), images, out=out)
    with pytest.raises(ValueError, match=r"o\.npy' do not match this call: estimator changed"):
        describe(Means(seconds=0.001).fit(images), images, out=out)
    with pytest.raises(ValueError, match="do not match this call: batch_size, images changed"):
        describe(Means().fit(images), images[::-1], out=out, batch_size=20)
    (tmp_path / "o.npy.progress").unlink()
    with pytest.raises(ValueError, match="exists without the record that describe keeps"):
        describe(Means().fit(images), images, out=out)


@pytest.mark.skipif(sys.platform == "win32", reason="limits sizes of files by resource")
@pytest.mark.parametrize("native", [True, False])
def test_a_full_disk_raises_and_leaves_no_file(tmp_path, native):
    """The error gives the path, the size and what to do; writing to a memory map would kill the process."""
    code = (
        "import errno, os, resource, sys, numpy as np\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import describers, skreid\n"
        f"if not {native}:\n"
        "    def none(*_): raise OSError(errno.EOPNOTSUPP, 'no such call')\n"
        "    os.posix_fallocate = none\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))\n"
        "X = np.zeros((100_000, 1, 1, 3), dtype=np.uint8)\n"
        f"try: skreid.describe(describers.Means().fit(X), X, out={str(tmp_path / 'o.npy')!r})\n"
        "except OSError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f"'{tmp_path / 'o.npy'}' could not be created, 2,400,000 bytes for 100,000 descriptors" in done.stdout
    assert "Free some space, or give a path on another disk" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="elsewhere zeros are written")
def test_disk_space_is_allocated_before_any_row_is_written(tmp_path):
    """The file has no holes, so that later writes cannot fail for lack of space."""
    with (tmp_path / "o.npy").open("wb") as file:
        allocate(file, np.dtype(np.float32), (1000, 1000))
    assert (tmp_path / "o.npy").stat().st_blocks * 512 >= 4_000_000
    assert not np.load(tmp_path / "o.npy").any()


@pytest.mark.parametrize("done", [2, 5], ids=["some", "all"])
@pytest.mark.parametrize("damage", ["cut", "longer", "shape", "dtype", "text"])
def test_a_file_that_differs_from_its_record_is_refused(images, tmp_path, damage, done):
    """A file of another size, shape or dtype is neither completed nor returned."""
    estimator, out, record = Means().fit(images), tmp_path / "o.npy", tmp_path / "o.npy.progress"
    describe(estimator, images, batch_size=10, out=out)
    record.write_text("".join(record.read_text().splitlines(keepends=True)[: 1 + done]))
    content = {"cut": out.read_bytes()[:-500], "longer": out.read_bytes() + b"0", "text": b"my notes"}
    if damage in content:
        out.write_bytes(content[damage])
    else:
        np.save(out, np.zeros((45, 2)) if damage == "shape" else np.zeros((45, 3), np.int64))
    before = out.read_bytes()
    with pytest.raises(ValueError, match=r"changed since it was written.*Delete that file and 'o\.npy\.progress'"):
        describe(estimator, images, batch_size=10, out=out)
    assert out.read_bytes() == before


@pytest.mark.parametrize(
    "damage",
    [
        lambda lines: [b"{"],
        lambda lines: [b"\xff\xfe"],
        lambda lines: [b"[]"],
        lambda lines: [*lines, b"7"],
        lambda lines: [*lines, b"ten"],
        lambda lines: [*lines, b""],
        lambda lines: [*lines, b"\0\0\0"],
        lambda lines: [*lines[:2], b"10 35"],
    ],
)
def test_a_damaged_record_is_named(images, tmp_path, damage):
    """The error names the file and says what to do."""
    record = tmp_path / "o.npy.progress"
    describe(Means().fit(images), images, batch_size=10, out=tmp_path / "o.npy")
    record.write_bytes(b"\n".join(damage(record.read_bytes().split(b"\n")[:-1])) + b"\n")
    with pytest.raises(ValueError, match=r"progress' is damaged .* Delete both, or give another path"):
        describe(Means().fit(images), images, batch_size=10, out=tmp_path / "o.npy")


@pytest.mark.parametrize("record", ["", '{"estimator": "'])
def test_a_file_without_a_valid_record_is_kept(images, tmp_path, record):
    """Without a complete first line, the file may be somebody else's: it is not overwritten."""
    np.save(tmp_path / "o.npy", np.ones(4))
    (tmp_path / "o.npy.progress").write_text(record)
    with pytest.raises(ValueError, match="exists without the record that describe keeps"):
        describe(Means().fit(images), images, out=tmp_path / "o.npy")
    assert np.load(tmp_path / "o.npy").tolist() == [1, 1, 1, 1]


class Gaps(Means):
    """Describes black images by NaN."""

    def transform(self, X):
        rows = super().transform(X)
        rows[rows.sum(axis=1) == 0] = np.nan
        return rows


def test_rows_of_nan_are_reported_by_every_call(images, tmp_path):
    """A resumed call and one with nothing left to do each warn once, naming all positions."""
    images, out, record = images.copy(), tmp_path / "o.npy", tmp_path / "o.npy.progress"
    images[[3, 4, 44]] = 0
    for n_left in (5, 2, 0):
        if n_left < 5:
            lines = record.read_text().splitlines(keepends=True)
            record.write_text("".join(lines[: 6 - n_left]))
        with pytest.warns(UserWarning, match="NaN") as warned:
            describe(Gaps().fit(images), images, batch_size=10, out=out)
        assert [str(each.message) for each in warned] == ["3 of 45 images are described by NaN, at positions 3, 4, 44."]


class Lengths(Means):
    """Describes paths by their lengths."""

    def transform(self, X):
        return np.array([[float(len(path))] for path in X])


@pytest.mark.parametrize("kind", [list, pd.Series, lambda paths: np.array(paths, dtype=str)])
def test_a_changed_image_file_counts_as_another_image(tmp_path, kind):
    """The same path with other content differs; a missing file stays missing."""
    paths, out = kind([str(tmp_path / name) for name in "abc"]), tmp_path / "o.npy"
    for path in paths[:2]:
        Path(path).write_bytes(b"pixels")
    for _ in range(2):
        describe(Lengths().fit(paths), paths, out=out)
    os.utime(paths[1], ns=(0, 10**18))
    with pytest.raises(ValueError, match="do not match this call: images changed"):
        describe(Lengths().fit(paths), paths, out=out)


def test_an_estimator_that_cannot_be_pickled_needs_an_array(images, means, tmp_path):
    """It can fill an array, but not a file, whose record needs a digest of the estimator."""
    estimator = Means(log=None, seconds=0.0).fit(images)
    estimator.backbone = lambda: None
    np.testing.assert_array_equal(describe(estimator, images, out=np.empty((45, 3))), means)
    with pytest.raises(ValueError, match=r"because it cannot be pickled .*give an array"):
        describe(estimator, images, out=tmp_path / "o.npy")
    assert list(tmp_path.iterdir()) == []


# a cluster ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client():
    distributed = pytest.importorskip("dask.distributed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture
def dask(client):
    with joblib.parallel_config(backend="dask"):
        yield client


def test_a_cluster_describes_files_identically(dask, fitted, people, tmp_path):
    """Workers get paths, and descriptors come back into one file."""
    paths = [tmp_path / f"{place}.png" for place in range(len(people.images))]
    for path, image in zip(paths, people.images, strict=True):
        Image.fromarray(image).save(path)
    found = describe(fitted, paths, batch_size=4, out=tmp_path / "o.npy")
    np.testing.assert_array_equal(found, chunks(fitted, paths, 4))


def test_each_worker_loads_the_model_once(dask, images, means, tmp_path):
    """Both workers get chunks, and each unpickles the estimator once."""
    np.testing.assert_array_equal(describe(Means(tmp_path, 0.05).fit(images), images, batch_size=3), means)
    loaded = [path.read_text() for path in tmp_path.glob("loaded-*")]
    assert loaded == ["x", "x"]
    assert len(list(tmp_path.glob("described-*"))) == 2


def test_errors_in_workers_are_raised_here(dask, fitted, people):
    """They give the position of the image in the list."""
    images = people.images[:12].astype(np.float32) / 255
    images[9, 0, 0, 0] = 2
    with pytest.raises(ImageError, match="image 9 has values in"):
        describe(fitted, images, batch_size=4)


@pytest.mark.parametrize(("n_workers", "n_threads"), [(1, 2), (2, 1)])
def test_a_killed_worker_loses_nothing(images, means, tmp_path, n_workers, n_threads):
    """If it was the only worker, Dask starts another one, which describes the rest."""
    distributed = pytest.importorskip("dask.distributed")
    settings = {"threads_per_worker": n_threads, "dashboard_address": ":0", "silence_logs": 50}
    with (
        distributed.LocalCluster(n_workers=n_workers, **settings) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config(backend="dask"),
    ):
        found = describe(Killed(tmp_path, 0.05).fit(images), images, batch_size=3)
    np.testing.assert_array_equal(found, means)
    assert (tmp_path / "killed").exists()


def test_tables_of_arrow_and_buffers_are_described_as_arrays_are():
    """A system of features takes them in transform's other callers, and here too."""
    pa = pytest.importorskip("pyarrow")
    X = np.random.default_rng(0).normal(size=(7, 3))
    scaler, columns = StandardScaler().fit(X), {name: X[:, i] for i, name in enumerate("abc")}
    for table in (pa.table(columns), pa.record_batch(columns), memoryview(X), X.tolist()):
        np.testing.assert_array_equal(describe(scaler, table, batch_size=3), scaler.transform(X))


@pytest.mark.parametrize("table", [pd.DataFrame, pl.DataFrame])
def test_tables_with_one_column_of_pictures_are_described_as_the_column(fitted, people, table, tmp_path):
    """Encoded pictures and paths, also in a call that resumes; a second column is refused."""
    paths = [tmp_path / f"{number}.png" for number in range(len(people.images))]
    for path, image in zip(paths, people.images, strict=True):
        Image.fromarray(image).save(path)
    for column in ([path.read_bytes() for path in paths], list(map(str, paths))):
        out = tmp_path / f"{type(column[0]).__name__}.npy"
        for _ in range(2):
            found = describe(fitted, table({"image": column}), batch_size=4, out=out)
            np.testing.assert_array_equal(found, describe(fitted, column, batch_size=4))
        with pytest.raises(ValueError, match="Got a table of 2 columns as X"):
            describe(fitted, table({"image": column, "who": people.target}))
