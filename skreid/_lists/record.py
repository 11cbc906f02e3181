"""The record beside a file of descriptors: what they depend on, and which chunks are done.

It grows with each chunk, so that an interrupted call can resume. What images are is written here once: a digest of all,
or one of each chunk where they can only be read in order.
"""

import json
import os
import sys
from contextlib import suppress

import joblib
import numpy as np

from skreid._base.provenance import changed_parts, refuse_changes
from skreid._images.decode import load
from skreid._images.items import Items
from skreid.exceptions import ImageError


class Record:
    """A text file.

    The first line is JSON: the origin, dtype and shape. Each further line is one chunk: the position of its first
    image, then the digest of its images if these are compared by chunk, then the positions of its images that could
    not be used.

    Parameters
    ----------
    path : pathlib.Path
        The file of descriptors.
    origin : dict of str to str or int
        What they depend on.
    starts : range
        Position of the first image of each chunk; it may go on beyond the last.
    by_chunk : bool
        Whether images are compared chunk by chunk.
    form : str
        How the images come, as `form_of` returns it; for messages.

    Attributes
    ----------
    chunks : dict of int to list of int
        Position of the first image of each chunk on record -> positions of its images that could not be used.
    digests : dict of int to str
        Position -> digest of the images of the chunk, if these are compared by chunk.
    n_rows : int
        Rows of the file of descriptors.
    """

    def __init__(self, path, origin, starts, by_chunk, form):
        self.descriptors, self.path = path, path.with_name(f"{path.name}.progress")
        self.origin, self.starts, self._by_chunk, self._size = origin, starts, by_chunk, 0
        self.chunks, self.digests, self.n_rows, self.form = {}, {}, 0, form
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
            chunks, digests = {}, {}
            if recorded == self.origin:
                chunks, digests = self._chunks_of(lines[1:])
        except (ValueError, TypeError, AttributeError, IndexError, RecursionError) as error:
            raise ValueError(
                f"'{self.path}' is damaged and cannot say which rows of '{self.descriptors.name}' are done ({error}). "
                "Delete both, or give another path."
            ) from error
        refuse_changes(changed_parts(recorded, self.origin), self._mismatch, self._remedy_of(recorded, before))
        self.chunks, self.digests = chunks, digests
        return before

    @property
    def _mismatch(self):
        return f"The descriptors in '{self.descriptors}' do not match this call"

    def _remedy_of(self, recorded, before):
        """Return what to do, and what makes images differ if they do."""
        if recorded["images"] == self.origin["images"]:
            return self.remedy
        n_images, n_described = self.starts.stop, (before.get("shape") or [None])[0]
        if n_described is not None and n_images != sys.maxsize and n_images != n_described:
            return f"X has {n_images} images, and {n_described} are described. {self.remedy}"
        return (
            f"{self._form_before(before)}Images are compared in the form that they come in: arrays and PIL images by "
            "their pixels, encoded pictures by their bytes, files by path, size and time of change. Pass the same "
            f"images in the same form. {self.remedy}"
        )

    def _form_before(self, before):
        """Return a sentence on the form in which images came before, if it was another; records may not have it."""
        form = before.get("form", self.form)
        return "" if form == self.form else f"X came as {form} when it was described, and comes as {self.form} now. "

    def _chunks_of(self, lines):
        """Return the chunks and digests on record."""
        chunks, digests = {}, {}
        for line in lines:
            start, *rest = line.split()
            start = int(start)
            if self._by_chunk:
                digests[start] = rest.pop(0).decode("ascii")
            chunks[start] = places = list(map(int, rest))
            if start not in self.starts or set(places).difference(range(start, start + self.starts.step)):
                raise ValueError(f"{[start, *places]} is not a chunk")
        return chunks, digests

    def refuse_others(self, start, read):
        """Refuse a chunk on record if its images, which `read` returns, are not those that it was described from."""
        if not self._by_chunk or self.digests[start] == digest_of(images := read()):
            return
        n_described = min(self.starts.step, self.n_rows - start)
        if len(images) < n_described:
            self._refuse_end(start + len(images), self.n_rows)
        if len(images) > n_described and self.digests[start] == digest_of(images[:n_described]):
            raise ValueError(
                f"{self._mismatch}: X goes on after the {start + n_described} images that are described. {self.remedy}"
            )
        raise ValueError(
            f"{self._mismatch}: the images from position {start} to {start + len(images) - 1} differ, or come in "
            f"another form. {self.remedy}"
        )

    def refuse_end(self, n_images):
        """Refuse an iterator that ended before the last chunk on record."""
        if any(start >= n_images for start in self.chunks):
            self._refuse_end(n_images, self.n_rows)

    def _refuse_end(self, n_images, n_described):
        raise ValueError(
            f"{self._mismatch}: X ended after {n_images} images, and {n_described} are described. A generator that was "
            f"read before is empty: make it again. {self.remedy}"
        )

    def forget(self):
        """Forget the chunks that were read, since their descriptors are gone."""
        self.chunks, self.digests = {}, {}

    def start(self, dtype, shape):
        """Write the first line."""
        about = self.origin | {"dtype": dtype.str, "shape": shape, "form": self.form}
        self.path.write_text(json.dumps(about) + "\n", encoding="utf-8")

    def resume(self):
        """Cut off a last line that an interruption left incomplete."""
        os.truncate(self.path, self._size)

    def add(self, start, unusable, images=None):
        """Record a chunk as done; its images are needed if they are compared by chunk."""
        digest = [digest_of(images)] if self._by_chunk else []
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(" ".join(map(str, [start, *digest, *unusable])) + "\n")
        except OSError as error:
            raise OSError(
                error.errno,
                f"'{self.path}' could not be written ({error}). Free some space: the same call resumes from there.",
            ) from error

    def delete(self):
        """Remove the record, if it is there."""
        with suppress(OSError):
            self.path.unlink()


def stamps_of(X):
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


def form_of(X):
    """Return how images come, such as "list of str": equal images that come in two forms have two digests."""
    if isinstance(X, Items) or not hasattr(X, "__len__"):
        return "data set" if isinstance(X, Items) else "stream"
    if isinstance(X, (list, tuple)):
        return f"{type(X).__name__} of {_form_of_image(next(iter(X), None))}"
    return _form_of_image(X)


def _form_of_image(image):
    if not isinstance(image, np.ndarray):
        return type(image).__name__
    return f"{'' if image.flags.c_contiguous else 'strided '}array of {image.dtype}"


def digest_of(images):
    """Return the digest of the images of one chunk."""
    return joblib.hash([list(map(_digest, images)), stamps_of(images)])


def _digest(image):
    try:
        return joblib.hash(image)
    except Exception:  # pickling a damaged picture, or an object of a user's class, may raise anything
        with suppress(ImageError):  # all images that cannot be used are alike
            return joblib.hash(load(image, 0))
