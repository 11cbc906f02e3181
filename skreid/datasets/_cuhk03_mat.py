"""The MATLAB file of CUHK03, unpacked into PNG files.

It is an HDF5 file of references: a cell of five camera pairs, each a table of people by ten images.
"""

import numpy as np
from PIL import Image

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
    with h5py.File(mat, "r") as file:
        absent = [name for name in (boxes, "testsets") if name not in file]
        if absent:
            raise ValueError(f"{str(mat)!r} holds {sorted(file)} and not {absent}: it is not the file of CUHK03.")
        if not (folder / _DONE).exists():
            folder.mkdir(parents=True, exist_ok=True)
            for pair, reference in enumerate(file[boxes][()].ravel(), 1):
                _extract_pair(file, file[reference][()], pair, folder)
            # Written last: an interrupted extraction starts over instead of passing for the whole set.
            (folder / _DONE).write_text(f"All images of {boxes!r} in cuhk-03.mat.\n")
        return [_identities(file[reference][()]) for reference in file["testsets"][()].ravel()]


def _extract_pair(file, cells, pair, folder):
    # HDF5 shows MATLAB's arrays transposed: (10 images, people) here, (width, height) below.
    for person, row in enumerate(cells.T, 1):
        for shot, reference in enumerate(row, 1):
            pixels = file[reference][()]
            if pixels.ndim == 3:  # an absent image is an empty matrix
                name = f"{pair}_{person:03d}_{1 if shot <= 5 else 2}_{shot:02d}.png"
                Image.fromarray(np.ascontiguousarray(pixels.T)).save(folder / name)


def _identities(table):
    """Return the labels of a test set, a (2, people) table of camera pairs and persons."""
    return np.array([f"{int(pair)}_{int(person):03d}" for pair, person in table.T])
