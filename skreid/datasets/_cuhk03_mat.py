"""Extracts the MATLAB file of CUHK03 to PNG files.

It is an HDF5 file of references: a cell array of five camera pairs, each a table of people by ten images.
"""

import math
from contextlib import contextmanager

import numpy as np
from PIL import Image

MAX_BYTES = 2**26  # of one array: a thousand times the size of an image
_DONE = "complete.txt"


def extract(mat, boxes, folder):
    """Write the images of ``mat`` to ``folder`` as C_PPP_V_II.png; return the published test sets."""
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            f"Reading {str(mat)!r} needs the package h5py, which is not installed: pip install h5py. Folders of "
            "its images, extracted elsewhere, are read without it."
        ) from error
    if not h5py.is_hdf5(mat):
        raise ValueError(
            f"{str(mat)!r} is not a MATLAB file of version 7.3 (HDF5), as CUHK03 is distributed: it is damaged, or "
            "was saved again in another version."
        )
    with _named_errors(mat), h5py.File(mat, "r") as file:
        absent = [name for name in (boxes, "testsets") if name not in file]
        if absent:
            raise ValueError(f"{str(mat)!r} contains {sorted(file)} and not {absent}: it is not the file of CUHK03.")
        if not (folder / _DONE).exists():
            folder.mkdir(parents=True, exist_ok=True)
            for pair, reference in enumerate(_read(file, boxes).ravel(), 1):
                _extract_pair(file, _read(file, reference), pair, folder)
            # Written last: an interrupted extraction starts over instead of being taken for the whole set.
            (folder / _DONE).write_text(f"All images of {boxes!r} in cuhk-03.mat.\n")
        return [_identities(_read(file, reference)) for reference in _read(file, "testsets").ravel()]


@contextmanager
def _named_errors(mat):
    """Turn any error of a damaged file into one that names the file."""
    try:
        yield
    except Exception as error:  # HDF5 and Pillow raise errors of all types on damaged content
        if repr(str(mat)) in str(error) or getattr(error, "errno", None) is not None:
            raise  # it names the file already, or comes from the system (a full disk)
        raise ValueError(f"{str(mat)!r} is damaged, or not the file of CUHK03: {error}") from error


def _read(file, place):
    """Return an array of the file itself: HDF5 can also refer to any other file, and claim any size."""
    import h5py

    array = file[place]
    if array.file != file or getattr(array, "external", None) or getattr(array, "is_virtual", False):
        raise ValueError(f"{file.filename!r} refers to data outside of it ({array.name!r}), which is not read.")
    numbers = array.dtype.kind in "uif" and array.dtype.itemsize <= 8
    if not numbers and h5py.check_ref_dtype(array.dtype) is not h5py.Reference:
        raise ValueError(f"{file.filename!r} contains {array.dtype} in {array.name!r}, neither numbers nor references.")
    n_bytes = array.dtype.itemsize * max(array.size, math.prod(array.chunks or ()))  # chunks are read whole
    if n_bytes > MAX_BYTES:
        raise ValueError(f"{file.filename!r} claims {n_bytes:,} bytes in {array.name!r}: it is damaged.")
    return array[()]


def _extract_pair(file, cells, pair, folder):
    # HDF5 shows MATLAB's arrays transposed: (10 images, people) here, (width, height) below.
    for person, row in enumerate(cells.T, 1):
        for shot, reference in enumerate(row, 1):
            pixels = _read(file, reference)
            if pixels.ndim == 3:  # a missing image is an empty matrix
                name = f"{pair}_{person:03d}_{1 if shot <= 5 else 2}_{shot:02d}.png"
                Image.fromarray(np.ascontiguousarray(pixels.T)).save(folder / name)


def _identities(table):
    """Return the identities of a test set from its (2, people) table of camera pairs and people."""
    return np.array([f"{int(pair)}_{int(person):03d}" for pair, person in table.T])
