"""Where descriptors of a long list go: an array in memory, or a ``.npy`` file with a record of what is done.

The file's disk space is allocated at the start. The record grows with each chunk: an interrupted call resumes from it.
"""

import errno
import json
import math
import os
from contextlib import suppress

import numpy as np

from skreid._base.files import replacing
from skreid._base.provenance import changed_parts, origin_of, refuse_changes


class ArrayOutput:
    """Descriptors in an array.

    Parameters
    ----------
    out : ndarray of shape (n_images, n_features) or None
        None for a new array.
    n_images : int

    Attributes
    ----------
    done : sequence of int
        Positions of the first images of the chunks that an earlier call described.
    unusable : list of int
        Positions of the images that could not be used, whose rows are NaN.
    """

    def __init__(self, out, n_images):
        self.out, self.n_images, self.done, self.unusable = out, n_images, (), []

    def write(self, start, rows):
        """Store the descriptors of a chunk; return the positions of its images that could not be used."""
        if self.out is None:
            self.out = np.empty((self.n_images, rows.shape[1]), rows.dtype)
        shape = self.n_images, rows.shape[1]
        if self.out.shape != shape:
            raise ValueError(
                f"out has shape {self.out.shape}; {shape[0]} descriptors of {shape[1]} dimensions need {shape}."
            )
        self.out[start : start + len(rows)] = rows
        unusable = (start + np.flatnonzero(np.isnan(rows).all(axis=1))).tolist()
        self.unusable += unusable
        return unusable

    def result(self):
        """Return the descriptors."""
        return self.out


class FileOutput(ArrayOutput):
    """Descriptors in a ``.npy`` file, with a `Record` beside it.

    Parameters
    ----------
    path : pathlib.Path
    estimator : estimator
    X : sequence of images
    batch_size : int
        Images per chunk.
    """

    def __init__(self, path, estimator, X, batch_size):
        super().__init__(None, len(X))
        self.path = path
        try:
            origin = origin_of(estimator=estimator, images=(X, _stamps(X)))
        except ValueError as error:
            raise ValueError(f"No record can be kept beside '{path}': {error} Or give an array as out.") from error
        self.record = Record(path, origin | {"batch_size": batch_size}, range(0, len(X), batch_size))
        before = self.record.read()
        if not path.exists():
            return
        if before is None:
            raise ValueError(
                f"'{path}' exists without the record that describe keeps: delete it, or give another path."
            )
        self._check(before)
        self.done = list(self.record.chunks)
        self.unusable = [place for places in self.record.chunks.values() for place in places]
        if len(self.done) < len(self.record.starts):
            self.record.resume()
            self.out = np.lib.format.open_memmap(path, mode="r+")

    def _check(self, before):
        """Refuse a file that is not the one on record: numpy would pad a truncated one."""
        expected = before.get("dtype"), before.get("shape")
        try:
            out = np.lib.format.open_memmap(self.path, mode="r")
            actual = out.dtype.str, list(out.shape)
            if not out.flags.c_contiguous or self.path.stat().st_size != out.offset + out.nbytes:
                actual = f"{self.path.stat().st_size:,} bytes"
        except Exception as error:  # a damaged header may raise anything
            actual = error
        if actual != expected:
            raise ValueError(
                f"'{self.path}' changed since it was written, with dtype and shape {expected}: it now has {actual}. "
                f"{self.record.remedy}"
            )

    def write(self, start, rows):
        """Store the descriptors of a chunk and record it."""
        if self.out is None:
            self._make(rows)
        unusable = super().write(start, rows)
        self.out.flush()
        self.record.add(start, unusable)
        return unusable

    def _make(self, rows):
        """Allocate the whole file before it gets its name, and start the record."""
        shape, part = (self.n_images, rows.shape[1]), self.path.with_name(f"{self.path.name}.part")
        try:
            part.unlink(missing_ok=True)
            with replacing(self.path, part) as file:
                allocate(file, rows.dtype, shape)
                self.record.start(rows.dtype, shape)
        except BaseException as error:
            self.record.delete()
            if not isinstance(error, OSError):
                raise
            raise OSError(
                error.errno,
                f"'{self.path}' could not be created, {math.prod(shape) * rows.dtype.itemsize:,} bytes for "
                f"{shape[0]:,} descriptors of {shape[1]:,} dimensions ({error}). Free some space, or give a path "
                "on another disk.",
            ) from error
        self.out = np.lib.format.open_memmap(self.path, mode="r+")

    def result(self):
        """Return the file, memory-mapped and read-only."""
        self.out = None
        return np.load(self.path, mmap_mode="r")


class Record:
    """The text file beside a file of descriptors: what they depend on, and which chunks are done.

    The first line is JSON: the origin, dtype and shape. Each further line is one chunk: the position of its first
    image, then the positions of its images that could not be used.

    Parameters
    ----------
    path : pathlib.Path
        The file of descriptors.
    origin : dict of str to str or int
        What they depend on.
    starts : range
        Position of the first image of each chunk.

    Attributes
    ----------
    chunks : dict of int to list of int
        Position of the first image of each chunk on record -> positions of its images that could not be used.
    """

    def __init__(self, path, origin, starts):
        self.descriptors, self.path = path, path.with_name(f"{path.name}.progress")
        self.origin, self.starts, self.chunks, self._size = origin, starts, {}, 0
        self.remedy = f"Delete that file and '{self.path.name}', or give another path."

    def read(self):
        """Read the record; return its first line, or None if there is no record."""
        if not self.path.exists():
            return None
        lines = self.path.read_bytes().split(b"\n")[:-1]  # a line cut short is dropped
        if not lines:
            return None
        self._size = sum(len(line) + 1 for line in lines)
        try:
            before = json.loads(lines[0])
            recorded = {name: before.get(name) for name in self.origin}
            chunks = {start: places for start, *places in (map(int, line.split()) for line in lines[1:])}
            if recorded == self.origin:
                self._check(chunks)
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(
                f"'{self.path}' is damaged and cannot say which rows of '{self.descriptors.name}' are done ({error}). "
                "Delete both, or give another path."
            ) from error
        what = f"The descriptors in '{self.descriptors}' do not match this call"
        refuse_changes(changed_parts(recorded, self.origin), what, self.remedy)
        self.chunks = chunks
        return before

    def _check(self, chunks):
        for start, places in chunks.items():
            if start not in self.starts or set(places).difference(range(start, start + self.starts.step)):
                raise ValueError(f"{[start, *places]} is not a chunk")

    def start(self, dtype, shape):
        """Write the first line."""
        about = self.origin | {"dtype": dtype.str, "shape": shape}
        self.path.write_text(json.dumps(about) + "\n", encoding="utf-8")

    def resume(self):
        """Cut off a last line that an interruption left incomplete."""
        os.truncate(self.path, self._size)

    def add(self, start, unusable):
        """Record a chunk as done."""
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(" ".join(map(str, [start, *unusable])) + "\n")
        except OSError as error:
            raise OSError(
                error.errno,
                f"'{self.path}' could not be written ({error}). Free some space: the same call resumes from there.",
            ) from error

    def delete(self):
        """Remove the record, if it is there."""
        with suppress(OSError):
            self.path.unlink()


def allocate(file, dtype, shape):
    """Create a ``.npy`` file of zeros, all its disk space allocated: writing to a full disk would kill the process."""
    n_bytes = math.prod(shape) * dtype.itemsize
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    file.flush()
    try:
        os.posix_fallocate(file.fileno(), file.tell(), n_bytes)
    except (AttributeError, OSError) as error:  # not on every system, nor on every disk
        if getattr(error, "errno", None) not in (None, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL):
            raise
        zeros = memoryview(bytes(2**20))
        while n_bytes:
            n_bytes -= file.write(zeros[:n_bytes])


def _stamps(X):
    """Return the size and time of change of each file among images, which stand for the content."""
    X = X.to_numpy() if hasattr(X, "to_numpy") else X
    if isinstance(X, np.ndarray):
        X = X.ravel() if X.dtype.kind in "OUT" else ()
    return [_stamp(image) for image in X if isinstance(image, (str, os.PathLike))]


def _stamp(path):
    try:
        status = os.stat(path)
    except (OSError, ValueError):  # an image that cannot be used
        return None
    return status.st_size, status.st_mtime_ns
