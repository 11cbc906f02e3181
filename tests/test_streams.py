"""Iterators and data sets are described in bounded memory, in order, and resumed where they can be read again."""

import itertools
import json
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
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from skreid import describe
from skreid._lists.output import ArrayOutput
from skreid.exceptions import ImageError

N_IMAGES, SIZE = 45, 8


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (N_IMAGES, SIZE, SIZE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def means(images):
    return images.mean(axis=(1, 2))


class Noting(Dataset):
    """A data set that notes which images were taken from it."""

    def __init__(self, images):
        self.images, self.taken = images, []

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        self.taken.append(index)
        return self.images[index], "ann"


def noted(images, read):
    """Yield images, and note how many have been read."""
    for image in images:
        read.append(len(read))
        yield image


# memory and order ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("backend", "batch_size"),
    [*itertools.product(["sequential", "threading"], [1, 7, 45, 100]), ("loky", 7), ("multiprocessing", 7)],
)
def test_an_iterator_is_described_in_order(images, means, batch_size, backend, tmp_path):
    """It is, in any backend and chunk size, into an array, a given array or a file."""
    estimator = Means().fit(images)
    with joblib.parallel_config(backend=backend, n_jobs=1 if backend == "sequential" else 2):
        for out in (None, np.empty((45, 3)), tmp_path / "o.npy"):
            found = describe(estimator, iter(images), batch_size=batch_size, out=out)
            np.testing.assert_array_equal(found, means)
            assert found.dtype == np.float64
    assert (tmp_path / "o.npy").stat().st_size == 128 + means.nbytes
    np.testing.assert_array_equal(np.load(tmp_path / "o.npy"), means)


def test_an_iterator_is_not_read_ahead(images):
    """When a chunk is described, at most that chunk has been read."""

    class Counting(Means):
        def transform(self, X):
            n_read.append(len(read))
            return super().transform(X)

    read, n_read = [], []
    describe(Counting().fit(images), noted(images, read), batch_size=10)
    assert n_read == [10, 20, 30, 40, 45]


@pytest.mark.skipif(sys.platform == "win32", reason="measures memory by resource")
def test_memory_does_not_grow_with_the_length_of_a_stream(tmp_path):
    """Ten thousand images would be 100 MB; the peak of the process is that of one thousand."""
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import resource, numpy as np, describers, skreid\n"
        "n = int(sys.argv[1])\n"
        "X = (np.full((60, 60, 3), i % 256, np.uint8) for i in range(n))\n"
        "rows = skreid.describe(describers.Means().fit(None), X, batch_size=100, out=sys.argv[2])\n"
        "assert (rows == (np.arange(n) % 256)[:, None]).all()\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (2**20 if sys.platform == 'darwin' else 2**10))\n"
    )
    peaks = [
        int(subprocess.check_output([sys.executable, "-c", code, str(n), str(tmp_path / f"{n}.npy")]))
        for n in (1_000, 10_000)
    ]
    assert peaks[1] - peaks[0] < 30  # MB


@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=12), data=st.data())
def test_a_growing_array_keeps_its_rows(lengths, data):
    """Chunks in any order make the array that holds them in order."""
    rows = np.arange(sum(lengths) * 2.0).reshape(-1, 2)
    starts = np.cumsum([0, *lengths[:-1]])
    output = ArrayOutput(None, None)
    for place in data.draw(st.permutations(range(len(lengths)))):
        part = rows[starts[place] : starts[place] + lengths[place]]
        output.write(starts[place], part, None)
    np.testing.assert_array_equal(output.result(len(rows)), rows)


def test_a_killed_worker_loses_no_images_of_a_stream(images, means, tmp_path):
    """The chunks that it had are described again, though the iterator cannot give them twice."""
    found = describe(Killed(tmp_path, 0.05).fit(images), iter(images), batch_size=3, n_jobs=2)
    np.testing.assert_array_equal(found, means)
    assert (tmp_path / "killed").exists()


def test_a_given_array_must_have_a_row_for_each_image(images):
    """One that is too short or too long is refused, since nobody could say whose the rows are."""
    estimator = Means().fit(images)
    with pytest.raises(ValueError, match="out has 30 rows, and X holds more images"):
        describe(estimator, iter(images), batch_size=10, out=np.empty((30, 3)))
    with pytest.raises(ValueError, match="out has 50 rows, but X ended after 45 images"):
        describe(estimator, iter(images), batch_size=10, out=np.empty((50, 3)))


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_an_error_of_an_iterator_is_raised_as_it_is(images, n_jobs, tmp_path):
    """Chunks before it are kept in the file."""

    def failing():
        yield from images[:25]
        raise ConnectionError("camera gone")

    with pytest.raises(ConnectionError, match="camera gone"):
        describe(Means().fit(images), failing(), batch_size=10, n_jobs=n_jobs, out=tmp_path / "o.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "o.npy"), images[:20].mean(axis=(1, 2)))


def test_unusable_images_of_a_stream_are_named_by_position(fitted, people):
    """The position counts from the start of the stream."""
    images = list(people.images[:12])
    images[9] = b"no\0picture"
    with pytest.raises(ImageError, match=r"image 9 \(10 bytes\) could not be read") as caught:
        describe(fitted, iter(images), batch_size=4)
    assert caught.value.index == 9


# resuming -----------------------------------------------------------------------------------------------


SOURCES = {"iterator": iter, "data set": Noting, "loader": lambda images: DataLoader(Noting(images), batch_size=None)}


@pytest.mark.parametrize("source", SOURCES)
def test_an_interrupted_stream_resumes(images, means, tmp_path, source):
    """Made again, it is read from the start; only what is missing is described; a third call describes nothing."""
    make, estimator, calls = SOURCES[source], Interrupted(tmp_path).fit(images), tmp_path / "calls"
    (tmp_path / "stop").touch()
    with pytest.raises(KeyboardInterrupt):
        describe(estimator, make(images), batch_size=10, out=tmp_path / "o.npy")
    (tmp_path / "stop").unlink()
    found = describe(estimator, make(images), batch_size=10, out=tmp_path / "o.npy")
    np.testing.assert_array_equal(found, means)
    assert len(calls.read_text()) == 4 + 2  # five chunks, one of them twice
    np.testing.assert_array_equal(describe(estimator, make(images), batch_size=10, out=tmp_path / "o.npy"), means)
    assert len(calls.read_text()) == 4 + 2


def test_a_killed_call_with_a_stream_resumes(tmp_path, means):
    """After SIGKILL at any moment, another process resumes from the record."""
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import numpy as np, describers as t, skreid;"
        "X = np.random.default_rng(0).integers(0, 256, (45, 8, 8, 3), dtype=np.uint8);"
        f"e = t.Means({str(tmp_path)!r}, 0.1).fit(X);"
        f"skreid.describe(e, iter(X), batch_size=5, out={str(tmp_path / 'o.npy')!r})"
    )
    process, record = subprocess.Popen([sys.executable, "-c", code]), tmp_path / "o.npy.progress"
    while not record.exists() or record.read_text().count("\n") < 3:
        time.sleep(0.02)
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    n_done = record.read_text().count("\n") - 1
    assert 1 <= n_done < 9
    subprocess.run([sys.executable, "-c", code], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "o.npy"), means)
    assert [int(line.split()[0]) for line in record.read_text().split("\n")[1:-1]] == list(range(0, 45, 5))


@pytest.mark.parametrize("source", SOURCES)
def test_other_images_of_a_stream_are_refused(images, tmp_path, source):
    """The error says from which position on they differ, or that there are fewer."""
    make, out, estimator = SOURCES[source], tmp_path / "o.npy", Means().fit(images)
    describe(estimator, make(images), batch_size=10, out=out)
    before, other = out.read_bytes(), images.copy()
    other[23, 0, 0, 0] ^= 1
    with pytest.raises(ValueError, match="do not match this call: the images from position 20 to 29 differ"):
        describe(estimator, make(other), batch_size=10, out=out)
    if source == "data set":  # its length is known beforehand
        for n_images in (40, 43, 50):
            says = f"do not match this call: images changed. X has {n_images} images, and 45 are described"
            with pytest.raises(ValueError, match=says):
                describe(estimator, make(np.resize(images, (n_images, 8, 8, 3))), batch_size=10, out=out)
    else:
        for n_images in (43, 30, 27):
            says = rf"X ended after {n_images} images, and 45 are described.*make it again"
            with pytest.raises(ValueError, match=says):
                describe(estimator, make(images[:n_images]), batch_size=10, out=out)
        more = np.concatenate([images, images[:9]])
        for n_images in (46, 54):
            with pytest.raises(ValueError, match="this call: X goes on after the 45 images that are described"):
                describe(estimator, make(more[:n_images]), batch_size=10, out=out)
        with pytest.raises(ValueError, match="this call: the images from position 40 to 46 differ"):
            describe(estimator, make(np.concatenate([images[:44], more[44:47] ^ 1])), batch_size=10, out=out)
    with pytest.raises(ValueError, match="estimator changed"):
        describe(Means(seconds=0.001).fit(images), make(images), batch_size=10, out=out)
    assert out.read_bytes() == before


def test_a_generator_that_was_read_before_is_refused(images, tmp_path):
    """It looks empty; the file is kept, and the message says what to do."""
    X, estimator = (image for image in images), Means().fit(images)
    describe(estimator, X, out=tmp_path / "o.npy")
    with pytest.raises(ValueError, match=r"ended after 0 images.*A generator that was read before is empty"):
        describe(estimator, X, out=tmp_path / "o.npy")
    assert len(np.load(tmp_path / "o.npy")) == 45
    with pytest.raises(ValueError, match="out has 45 rows, but X ended after 0 images"):
        describe(estimator, X, out=np.zeros((45, 3)))


def test_a_generator_that_was_read_before_counts_as_no_images_where_there_are_no_rows(images, means, tmp_path):
    """In memory and in a new file, which a new generator then fills."""
    X, estimator = iter(images), Means().fit(images)
    describe(estimator, X)
    assert describe(estimator, X).shape == describe(estimator, X, out=tmp_path / "o.npy").shape == (0, 3)
    np.testing.assert_array_equal(describe(estimator, iter(images), out=tmp_path / "o.npy"), means)


def test_a_stream_and_a_list_do_not_resume_each_other(images, tmp_path):
    """What is recorded differs, and the message says how images are compared."""
    estimator = Means().fit(images)
    describe(estimator, list(images), out=tmp_path / "o.npy")
    with pytest.raises(ValueError, match="X came as list of array of uint8 when it was described, and comes as stream"):
        describe(estimator, iter(images), out=tmp_path / "o.npy")


FORMS = {
    "array of uint8": lambda images: images,
    "strided array of uint8": np.asfortranarray,
    "array of float64": lambda images: images / 255,
    "list of array of uint8": list,
    "tuple of array of uint8": tuple,
    "list of Image": lambda images: [Image.fromarray(image) for image in images],
    "data set": Noting,
    "stream": iter,
}


@pytest.mark.parametrize("before", FORMS)
def test_equal_images_in_another_form_are_refused_by_the_name_of_the_form(images, tmp_path, before):
    """Each form resumes itself; the message names both forms, or no form if the pixels changed."""
    estimator, out = Means().fit(images), tmp_path / "o.npy"
    for _ in range(2):
        describe(estimator, FORMS[before](images), out=out)
    for now in FORMS.keys() - {before}:
        says = f"images changed. X came as {before} when it was described, and comes as {now} now. Images are compared"
        with pytest.raises(ValueError, match=f"this call: {says} in the form"):
            describe(estimator, FORMS[now](images), out=out)
    with pytest.raises(ValueError, match=r"images changed\. Images are|position 0 to 44 differ, or come in another"):
        describe(estimator, FORMS[before](images ^ 1), out=out)


def test_a_record_without_a_form_is_read(images, means, tmp_path):
    """Files of versions that did not record the form still resume, and refuse other images."""
    estimator, out, record = Means().fit(images), tmp_path / "o.npy", tmp_path / "o.npy.progress"
    describe(estimator, images, batch_size=10, out=out)
    first, *lines = record.read_text().splitlines(keepends=True)
    about = json.loads(first)
    assert about.pop("form") == "array of uint8"
    record.write_text("".join([json.dumps(about) + "\n", *lines[:2]]))
    with pytest.raises(ValueError, match=r"images changed\. Images are compared in the form"):
        describe(estimator, list(images), batch_size=10, out=out)
    np.testing.assert_array_equal(describe(estimator, images, batch_size=10, out=out), means)


class Lengths(Means):
    """Describes paths by their lengths."""

    def transform(self, X):
        return np.array([[float(len(path))] for path in X])


def test_changed_files_of_a_stream_count_as_other_images(tmp_path):
    """The same path with another size or time of change differs."""
    paths, estimator = [str(tmp_path / name) for name in "abc"], Lengths().fit(None)
    for path in paths:
        Path(path).write_bytes(b"pixels")
    for _ in range(2):
        describe(estimator, iter(paths), out=tmp_path / "o.npy")
    os.utime(paths[1], ns=(0, 10**18))
    with pytest.raises(ValueError, match="images from position 0 to 2 differ"):
        describe(estimator, iter(paths), out=tmp_path / "o.npy")


@pytest.mark.parametrize("damage", ["cut", "shape", "dtype", "text"])
def test_a_changed_file_of_a_stream_is_refused(images, tmp_path, damage):
    """A file with fewer rows, or of another shape or type, is neither completed nor returned."""
    estimator, out = Means().fit(images), tmp_path / "o.npy"
    describe(estimator, iter(images), batch_size=10, out=out)
    content = {"cut": out.read_bytes()[:-500], "text": b"my notes"}
    if damage in content:
        out.write_bytes(content[damage])
    else:
        np.save(out, np.zeros((45, 2)) if damage == "shape" else np.zeros((45, 3), np.int64))
    before = out.read_bytes()
    with pytest.raises(ValueError, match=r"changed since it was written.*Delete that file and 'o\.npy\.progress'"):
        describe(estimator, iter(images), batch_size=10, out=out)
    assert out.read_bytes() == before


def test_rows_beyond_the_record_are_overwritten(images, means, tmp_path):
    """A call killed after it wrote rows and before it recorded them leaves them in the file."""
    estimator, out, record = Means().fit(images), tmp_path / "o.npy", tmp_path / "o.npy.progress"
    describe(estimator, itertools.chain(images, images), batch_size=10, out=out)
    record.write_text("".join(record.read_text().splitlines(keepends=True)[:4]))
    np.testing.assert_array_equal(describe(estimator, iter(images), batch_size=10, out=out), means)
    assert out.stat().st_size == 128 + means.nbytes


def test_the_record_of_a_stream_says_what_it_holds(images, tmp_path):
    """The first line says that images are compared by chunk; each chunk has a digest of its images."""
    describe(Means().fit(images), iter(images), batch_size=20, out=tmp_path / "o.npy")
    first, *lines = (tmp_path / "o.npy.progress").read_text().splitlines()
    assert json.loads(first)["images"] == "compared by chunk"
    assert json.loads(first)["shape"] == [None, 3]
    assert [line.split()[0] for line in lines] == ["0", "20", "40"]
    assert len({line.split()[1] for line in lines}) == 3


def test_images_of_a_stream_need_not_be_picklable_to_be_compared(tmp_path):
    """Objects that only look like arrays are compared by their pixels."""

    class Picture:
        def __init__(self, value):
            self.value, self.lock = value, open(os.devnull)  # noqa: SIM115 - what cannot be pickled

        def __array__(self, dtype=None, copy=None):
            return np.full((4, 4, 3), self.value, np.uint8)

        def close(self):
            self.lock.close()

    pictures, others = [Picture(1), Picture(2)], [Picture(1), Picture(3)]
    estimator = Means().fit(None)
    rows = describe(estimator, iter(pictures), out=tmp_path / "o.npy")
    assert rows[:, 0].tolist() == [1, 2]
    with pytest.raises(ValueError, match="images from position 0 to 1 differ"):
        describe(estimator, iter(others), out=tmp_path / "o.npy")
    for picture in (*pictures, *others):
        picture.close()


# places -------------------------------------------------------------------------------------------------


def test_a_missing_folder_is_named_before_anything_is_described(images, tmp_path):
    """The error says that the folder does not exist, not that the disk is full."""
    X = Noting(images)
    for source in (X, iter(images), images):
        with pytest.raises(FileNotFoundError, match=r"folder '.*gone' does not exist: make it first"):
            describe(Means().fit(images), source, out=tmp_path / "gone" / "o.npy")
        with pytest.raises(ValueError, match="is a folder: give the path of a file in it"):
            describe(Means().fit(images), source, out=tmp_path)
    assert X.taken == []


@pytest.mark.skipif(sys.platform == "win32", reason="limits sizes of files by resource")
def test_a_disk_that_fills_up_keeps_what_is_done(tmp_path):
    """The error says so, and the same call resumes when there is space."""
    code = (
        "import resource, signal, sys, numpy as np\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import describers, skreid\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "if sys.argv[1] == 'full': resource.setrlimit(resource.RLIMIT_FSIZE, (2**13, 2**13))\n"
        "X = (np.full((2, 2, 3), i % 256, np.uint8) for i in range(1000))\n"
        f"try: skreid.describe(describers.Means().fit(None), X, batch_size=50, out={str(tmp_path / 'o.npy')!r})\n"
        "except OSError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, "full"], capture_output=True, text=True, check=True)
    assert "o.npy' could not be written" in done.stdout
    assert "Free some space, or give a path on another disk" in done.stdout
    done = subprocess.run([sys.executable, "-c", code, "free"], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    np.testing.assert_array_equal(np.load(tmp_path / "o.npy")[:, 0], np.arange(1000) % 256)
