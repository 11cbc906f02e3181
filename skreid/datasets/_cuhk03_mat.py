"""The MATLAB file of CUHK03, unpacked into PNG files.

It is an HDF5 file of references: a cell of five camera pairs, each a table of people by ten images.
"""

import math
from contextlib import contextmanager

import numpy as np
from PIL import Image

MOST_BYTES = 2**26  # in one array: a thousand times those of a person's picture
_DONE = "complete.txt"


def extract(mat, boxes, folder):
    """Write the images of ``mat`` to ``folder`` as C_PPP_V_II.png; return the published test sets."""
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            f"Reading {str(mat)!r} needs the package h5py, which is not installed: pip install h5py. "
            "Folders of its "
            "images, made elsewhere, are read without it."
        ) from error
    if not h5py.is_hdf5(mat):
        raise ValueError(
            f"{str(mat)!r} is not a MATLAB file of version 7.3 (HDF5), the form CUHK03 is given out in: "
            "it is damaged, "
            "or was saved anew in another version."
        )
    with _naming(mat), h5py.File(mat, "r") as file:
        absent = [name for name in (boxes, "testsets") if name not in file]
        if absent:
            raise ValueError(f"{str(mat)!r} holds {sorted(file)} and not {absent}: it is not the file of CUHK03.")
        if not (folder / _DONE).exists():
            folder.mkdir(parents=True, exist_ok=True)
            for pair, reference in enumerate(_read(file, boxes).ravel(), 1):
                _extract_pair(file, _read(file, reference), pair, folder)
            # Written last: an interrupted extraction starts over instead of passing for the whole set.
            (folder / _DONE).write_text(f"All images of {boxes!r} in cuhk-03.mat.\n")
        return [_identities(_read(file, reference)) for reference in _read(file, "testsets").ravel()]


@contextmanager
def _naming(mat):
    """Turn what a damaged file raises into an error that names it."""
    try:
        yield
    except Exception as error:  # HDF5 and Pillow raise anything on damaged content
        if repr(str(mat)) in str(error) or getattr(error, "errno", None) is not None:  # named; or a full disk
            raise
        raise ValueError(f"{str(mat)!r} is damaged, or not the file of CUHK03: {error}") from error


def _read(file, place):
    """Return an array that lies within the file itself: HDF5 can point at any other file, and claim any size."""
    import h5py

    found = file[place]
    if found.file != file or getattr(found, "external", None) or getattr(found, "is_virtual", False):
        raise ValueError(f"{file.filename!r} points at data outside of it ({found.name!r}): it is not read.")
    numbers = found.dtype.kind in "uif" and found.dtype.itemsize <= 8
    if not numbers and h5py.check_ref_dtype(found.dtype) is not h5py.Reference:
        raise ValueError(f"{file.filename!r} holds {found.dtype} in {found.name!r}, neither numbers nor references.")
    n_bytes = found.dtype.itemsize * max(found.size, math.prod(found.chunks or ()))  # a chunk is read as a whole
    if n_bytes > MOST_BYTES:
        raise ValueError(f"{file.filename!r} claims {n_bytes:,} bytes in {found.name!r}: it is damaged.")
    return found[()]


def _extract_pair(file, cells, pair, folder):
    # HDF5 shows MATLAB's arrays transposed: (10 images, people) here, (width, height) below.
    for person, row in enumerate(cells.T, 1):
        for shot, reference in enumerate(row, 1):
            pixels = _read(file, reference)
            if pixels.ndim == 3:  # an absent image is an empty matrix
                name = f"{pair}_{person:03d}_{1 if shot <= 5 else 2}_{shot:02d}.png"
                Image.fromarray(np.ascontiguousarray(pixels.T)).save(folder / name)


def _identities(table):
    """Return the labels of a test set, a (2, people) table of camera pairs and persons."""
    return np.array([f"{int(pair)}_{int(person):03d}" for pair, person in table.T])
