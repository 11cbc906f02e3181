"""Where descriptors of a long list go: an array in memory, or a ``.npy`` file with a record of what is done.

The file's disk space is allocated at the start, except for an iterator: its file grows.
"""

import errno
import io
import math
import os
import sys

import numpy as np

from skreid._base.files import replacing
from skreid._base.provenance import origin_of
from skreid._lists.chunks import count_images, is_read_once
from skreid._lists.record import Record, form_of, stamps_of

BY_CHUNK = "compared by chunk"  # in place of a digest of all images


class ArrayOutput:
    """Descriptors in an array.

    Parameters
    ----------
    out : ndarray of shape (n_images, n_features) or None
        None for a new array.
    n_images : int or None
        None if nobody knows: a new array grows, and a given one says how many there must be.

    Attributes
    ----------
    unusable : list of int
        Positions of the images that could not be used, whose rows are NaN.
    """

    def __init__(self, out, n_images):
        if not isinstance(out, (np.ndarray, type(None))):
            raise TypeError(
                f"The 'out' parameter of describe must be a path, an array or None. Got a {type(out).__name__} instead."
            )
        self.out, self.unusable = out, []
        self._grows = out is None and n_images is None
        self.n_images = len(out) if out is not None and n_images is None and out.ndim else n_images

    def is_done(self, start, read):
        """Return whether an earlier call described the chunk at a position; `read` returns its images."""
        return False

    def write(self, start, rows, images):
        """Store the descriptors of a chunk; return the positions of its images that could not be used."""
        n_rows = max(start + len(rows), 0 if self.out is None else len(self.out)) if self._grows else self.n_images
        shape = n_rows, rows.shape[1]
        if self.out is None:
            self.out = np.empty(shape, rows.dtype)
        elif self._grows and self.out.shape != shape and self.out.shape[1] == shape[1]:
            self.out.resize((max(n_rows, len(self.out) * 5 // 4), shape[1]), refcheck=False)
        elif self.out.shape != shape:
            raise ValueError(
                f"out has shape {self.out.shape}; {shape[0]} descriptors of {shape[1]} dimensions need {shape}."
            )
        if start + len(rows) > len(self.out):
            raise ValueError(f"out has {len(self.out)} rows, and X holds more images: give an array of one row each.")
        if not np.can_cast(rows.dtype, self.out.dtype, "same_kind"):
            raise ValueError(f"out holds {self.out.dtype}, which cannot hold descriptors of {rows.dtype}.")
        self.out[start : start + len(rows)] = rows
        return self._note(start, rows)

    def _note(self, start, rows):
        unusable = (start + np.flatnonzero(np.isnan(rows).all(axis=1))).tolist()
        self.unusable += unusable
        return unusable

    def result(self, n_images):
        """Return the descriptors of all images, when there are no more."""
        if self._grows:
            self.out.resize((n_images, self.out.shape[1]), refcheck=False)
        elif len(self.out) != n_images:
            raise ValueError(f"out has {len(self.out)} rows, but X ended after {n_images} images.")
        return self.out


class FileOutput(ArrayOutput):
    """Descriptors in a ``.npy`` file, with a `Record` beside it.

    Parameters
    ----------
    path : pathlib.Path
    estimator : estimator
    X : images
        As `listed` returns them.
    batch_size : int
        Images per chunk.
    """

    def __init__(self, path, estimator, X, batch_size):
        super().__init__(None, count_images(X))
        self.path = path
        if not path.parent.is_dir():
            raise FileNotFoundError(
                f"'{path}' cannot be created, because the folder '{path.parent}' does not exist: make it first."
            )
        if path.is_dir():
            raise ValueError(f"out='{path}' is a folder: give the path of a file in it.")
        by_chunk, n_images = is_read_once(X), sys.maxsize if self.n_images is None else self.n_images
        try:
            origin = origin_of(estimator=estimator, images=None if by_chunk else (X, stamps_of(X)))
        except ValueError as error:
            raise ValueError(f"No record can be kept beside '{path}': {error} Or give an array as out.") from error
        if by_chunk:
            origin["images"] = BY_CHUNK if self.n_images is None else f"{n_images} images, {BY_CHUNK}"
        starts = range(0, n_images, batch_size)
        self.record = Record(path, origin | {"batch_size": batch_size}, starts, by_chunk, form_of(X))
        before = self.record.read()
        if not path.exists():
            self.record.forget()
            return
        if before is None:
            raise ValueError(
                f"'{path}' exists without the record that describe keeps: delete it, or give another path."
            )
        self._check(before)
        self.record.n_rows = len(np.load(path, mmap_mode="r"))
        self.unusable = [place for places in self.record.chunks.values() for place in places]
        if len(self.record.chunks) < len(starts):
            self.record.resume()
            self.out = np.lib.format.open_memmap(path, mode="r+")

    def is_done(self, start, read):
        if start not in self.record.chunks:
            return False
        self.record.refuse_others(start, read)
        return True

    def _check(self, before):
        """Refuse a file that is not the one on record: numpy would pad a truncated one."""
        try:
            out = np.lib.format.open_memmap(self.path, mode="r")
            actual = out.dtype.str, list(out.shape)
            if not out.flags.c_contiguous or self.path.stat().st_size != out.offset + out.nbytes:
                actual = f"{self.path.stat().st_size:,} bytes"
        except Exception as error:  # a damaged header may raise anything
            actual = error
        self._refuse_change(before, actual)

    def _refuse_change(self, before, actual):
        expected = before.get("dtype"), before.get("shape")
        if actual != expected:
            raise ValueError(
                f"'{self.path}' changed since it was written, with dtype and shape {expected}: it now has {actual}. "
                f"{self.record.remedy}"
            )

    def write(self, start, rows, images):
        """Store the descriptors of a chunk and record it."""
        if self.out is None:
            self._make(rows)
        unusable = super().write(start, rows, images)
        self.out.flush()
        if len(rows):
            self.record.add(start, unusable, images)
        return unusable

    def _make(self, rows):
        """Allocate the whole file before it gets its name, and start the record."""
        shape, part = (self.n_images or 0, rows.shape[1]), self.path.with_name(f"{self.path.name}.part")
        try:
            part.unlink(missing_ok=True)
            with replacing(self.path, part) as file:
                allocate(file, rows.dtype, shape)
                self.record.start(rows.dtype, (self.n_images, rows.shape[1]))
        except BaseException as error:
            self.record.delete()
            if not isinstance(error, OSError):
                raise
            raise OSError(
                error.errno,
                f"'{self.path}' could not be created, {math.prod(shape) * rows.dtype.itemsize:,} bytes for "
                f"{shape[0]:,} descriptors of {shape[1]:,} dimensions ({error}).{full_disk(error)}",
            ) from error
        self.out = np.lib.format.open_memmap(self.path, mode="r+")

    def result(self, n_images):
        """Return the file, memory-mapped and read-only."""
        self.out = None
        return np.load(self.path, mmap_mode="r")


class GrowingFile(FileOutput):
    """Descriptors of an iterator in a ``.npy`` file that grows with each chunk, and is whole after each."""

    def _check(self, before):
        try:
            out = np.lib.format.open_memmap(self.path, mode="r")
            actual = out.dtype.str, [None, *out.shape[1:]]
            if not out.flags.c_contiguous or len(out) <= max(self.record.chunks, default=-1):
                actual = f"{len(out)} rows"
        except Exception as error:  # a damaged header may raise anything
            actual = error
        self._refuse_change(before, actual)

    def write(self, start, rows, images):
        if self.out is None:
            self._make(rows)
        n_rows, n_features = max(len(self.out), start + len(rows)), self.out.shape[1]
        if rows.shape[1] != n_features:
            raise ValueError(f"A chunk has descriptors of {rows.shape[1]} dimensions, the one before of {n_features}.")
        try:
            with self.path.open("r+b") as file:
                file.seek(self.out.offset + start * n_features * self.out.itemsize)
                file.write(np.ascontiguousarray(rows, self.out.dtype))
                file.seek(0)
                file.write(self._header(n_rows))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OSError(error.errno, f"'{self.path}' could not be written ({error}).{full_disk(error)}") from error
        self.out = np.lib.format.open_memmap(self.path, mode="r")
        unusable = self._note(start, rows)
        if len(rows):
            self.record.add(start, unusable, images)
        return unusable

    def _header(self, n_rows):
        """Return the first bytes of the file; numpy leaves room in them for more rows."""
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, _header(self.out.dtype, (n_rows, self.out.shape[1])))
        return header.getvalue()

    def result(self, n_images):
        self.record.refuse_end(n_images)
        size = self.out.offset + n_images * self.out.shape[1] * self.out.itemsize
        if (len(self.out), self.path.stat().st_size) != (n_images, size):  # an interrupted call wrote more
            with self.path.open("r+b") as file:
                file.write(self._header(n_images))
                file.truncate(size)
        return super().result(n_images)


def full_disk(error):
    """Return what to do if an error means that a disk is full, for the end of its message."""
    full = error.errno in (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", None))
    return " Free some space, or give a path on another disk." if full else ""


def allocate(file, dtype, shape):
    """Create a ``.npy`` file of zeros, all its disk space allocated: writing to a full disk would kill the process."""
    n_bytes = math.prod(shape) * dtype.itemsize
    np.lib.format.write_array_header_1_0(file, _header(dtype, shape))
    file.flush()
    try:
        os.posix_fallocate(file.fileno(), file.tell(), n_bytes)
    except (AttributeError, OSError) as error:  # not on every system, nor on every disk
        if getattr(error, "errno", None) not in (None, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL):
            raise
        zeros = memoryview(bytes(2**20))
        while n_bytes:
            n_bytes -= file.write(zeros[:n_bytes])


def _header(dtype, shape):
    return {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
