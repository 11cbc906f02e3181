"""Chunks described anywhere are the chunks described here, whatever is killed on the way."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import joblib
import numpy as np
import pytest
from describers import Interrupted, Killed, Means
from PIL import Image
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skreid import MultiDepthReID, describe
from skreid.images import ImageError

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
    """Whatever their size, for arrays and lists."""
    np.testing.assert_array_equal(describe(Means().fit(images), kind(images), batch_size=batch_size), means)


def test_a_fitted_network_describes_as_it_does_itself(fitted, people):
    """Bit for bit, chunk by chunk; and as one call when a chunk is whole forward passes."""
    found = describe(fitted, people.images, batch_size=5)
    np.testing.assert_array_equal(found, chunks(fitted, people.images, 5))
    assert found.dtype == np.float32
    whole = describe(fitted, people.images, batch_size=2 * fitted.batch_size)
    np.testing.assert_array_equal(whole, fitted.transform(people.images))


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_local_workers_give_the_same_bits(images, means, backend):
    """A pipeline over the workers of joblib, those that stream their results and those that do not."""
    pipeline = make_pipeline(Means().fit(images), StandardScaler().fit(means))
    with joblib.parallel_config(backend=backend, n_jobs=2):
        found = describe(pipeline, images, batch_size=2)
    np.testing.assert_array_equal(found, chunks(pipeline, images, 2))


def test_a_killed_process_costs_its_chunks_only(images, means, tmp_path):
    """One of two local workers is killed while it works: the result is whole."""

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


def test_an_unusable_image_is_named_by_its_place_in_the_list(fitted, people):
    """Not by its place in a chunk; or described by NaN, with a warning that names it."""
    images = people.images[:12].astype(np.float32) / 255
    images[9, 0, 0, 0] = np.nan
    with pytest.raises(ImageError, match="image 9 contains NaN") as error:
        describe(fitted, images, batch_size=4)
    assert error.value.index == 9
    forgiving = MultiDepthReID(**fitted.get_params() | {"on_error": "nan"})
    vars(forgiving).update({name: value for name, value in vars(fitted).items() if name.endswith("_")})
    with pytest.warns(UserWarning, match="NaN") as warned:
        found = describe(forgiving, images, batch_size=4)
    assert any("1 of 12 images are described by NaN, at places 9." in str(each.message) for each in warned)
    assert np.flatnonzero(np.isnan(found).any(axis=1)).tolist() == [9]


def test_a_wrong_output_an_empty_list_and_rows_astray_are_told(images):
    """Each error says what is expected."""
    means = Means().fit(images)
    with pytest.raises(ValueError, match=r"out has shape \(45, 4\); 45 images of 3 numbers need \(45, 3\)"):
        describe(means, images, out=np.empty((45, 4)))
    with pytest.raises(ValueError, match="no image to describe"):
        describe(means, [])
    with pytest.raises(ValueError, match="'batch_size' parameter of describe"):
        describe(means, images, batch_size=0)

    class Few(Means):
        def transform(self, X):
            return super().transform(X)[1:]

    with pytest.raises(ValueError, match="Few described 45 images by an array of shape"):
        describe(Few().fit(images), images)


# into a file --------------------------------------------------------------------------------------------


def test_an_array_given_is_filled(images, means, tmp_path):
    """In place, memory-mapped or not."""
    for out in (np.empty((45, 3)), np.lib.format.open_memmap(tmp_path / "o.npy", "w+", shape=(45, 3))):
        assert describe(Means().fit(images), images, out=out, batch_size=10) is out
        np.testing.assert_array_equal(out, means)


def test_an_interrupted_run_goes_on(images, means, tmp_path):
    """The chunks done are not made again, the end is the same, and a further call makes nothing at all."""
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


def test_a_killed_run_goes_on_in_another_process(tmp_path, means):
    """SIGKILL at any moment; the record is read by a process that knows nothing of the first."""
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import numpy as np, describers as t, skreid;"
        "X = np.random.default_rng(0).integers(0, 256, (45, 8, 8, 3), dtype=np.uint8);"
        f"skreid.describe(t.Means({str(tmp_path)!r}, 0.1).fit(X), X, batch_size=5, out={str(tmp_path / 'o.npy')!r})"
    )
    process, record = subprocess.Popen([sys.executable, "-c", code]), tmp_path / "o.npy.progress"
    while not record.exists() or len(record.read_text().split()) < 8:
        time.sleep(0.02)
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    n_done = len(record.read_text().split("\n")) - 2
    assert 1 <= n_done < 9
    subprocess.run([sys.executable, "-c", code], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "o.npy"), means)
    assert sorted(map(int, record.read_text().split("\n")[1:-1])) == list(range(0, 45, 5))


def test_a_record_cut_short_and_a_lost_file_are_no_trouble(images, means, tmp_path):
    """A torn last line is a chunk to make; without the file all are."""
    estimator, out = Means().fit(images), tmp_path / "o.npy"
    describe(estimator, images, batch_size=10, out=out)
    record = tmp_path / "o.npy.progress"
    record.write_text(record.read_text()[:-2])  # "40\n" becomes "4"
    np.testing.assert_array_equal(describe(estimator, images, batch_size=10, out=out), means)
    out.unlink()
    np.testing.assert_array_equal(describe(estimator, images, batch_size=10, out=out), means)


def test_another_calls_descriptors_are_refused_by_name(images, tmp_path):
    """Another estimator, other images, other chunks, and a file of unknown origin."""
    out = tmp_path / "o.npy"
    describe(Means().fit(images), images, out=out)
    with pytest.raises(ValueError, match=r"o\.npy' were made by another call: estimator differ"):
        describe(Means(seconds=0.001).fit(images), images, out=out)
    with pytest.raises(ValueError, match="another call: batch_size, images differ"):
        describe(Means().fit(images), images[::-1], out=out, batch_size=20)
    (tmp_path / "o.npy.progress").unlink()
    with pytest.raises(ValueError, match="no record of its making"):
        describe(Means().fit(images), images, out=out)


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


def test_a_cluster_gives_the_same_bits_from_files(dask, fitted, people, tmp_path):
    """Paths go out, descriptors come back into a file."""
    paths = [tmp_path / f"{place}.png" for place in range(len(people.images))]
    for path, image in zip(paths, people.images, strict=True):
        Image.fromarray(image).save(path)
    found = describe(fitted, paths, batch_size=4, out=tmp_path / "o.npy")
    np.testing.assert_array_equal(found, chunks(fitted, paths, 4))


def test_each_worker_loads_the_model_once(dask, images, means, tmp_path):
    """Both work, and each unpickles one time for all its chunks."""
    np.testing.assert_array_equal(describe(Means(tmp_path, 0.05).fit(images), images, batch_size=3), means)
    loaded = [path.read_text() for path in tmp_path.glob("loaded-*")]
    assert loaded == ["x", "x"]
    assert len(list(tmp_path.glob("described-*"))) == 2


def test_an_error_of_a_worker_arrives(dask, fitted, people):
    """With the image's own place."""
    images = people.images[:12].astype(np.float32) / 255
    images[9, 0, 0, 0] = 2
    with pytest.raises(ImageError, match="image 9 has values in"):
        describe(fitted, images, batch_size=4)


@pytest.mark.parametrize(("n_workers", "n_threads"), [(1, 2), (2, 1)])
def test_a_killed_worker_loses_nothing(images, means, tmp_path, n_workers, n_threads):
    """Even the only one, with the model and its results in its memory: Dask starts another, which goes on."""
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
