"""Rows of several arrays as one array: a gallery grows and shrinks without copying its descriptors.

The arrays may be memory-mapped: only the rows asked for are read.
"""

import numpy as np

from skreid._base.arrays import unwrapped


class Rows:
    """Chosen rows of several arrays, in order; immutable.

    Parameters
    ----------
    parts : sequence of (array of shape (n, n_features), ndarray of int or None)
        Arrays, and which of their rows are included; None for all.
    """

    def __init__(self, parts):
        self._parts = tuple(parts)
        sizes = [len(array if kept is None else kept) for array, kept in self._parts]
        self._ends = np.cumsum(sizes)
        first = self._parts[0][0]
        self.shape, self.dtype, self.ndim = (int(self._ends[-1]), first.shape[1]), first.dtype, 2

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, rows):
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            if step == 1:
                return self._range(start, max(start, stop))
            rows = np.arange(start, stop, step)
        rows = np.asarray(rows)
        outside = np.flatnonzero((rows < 0) | (rows >= len(self)))
        if len(outside):
            raise IndexError(f"index {rows[outside[0]]} is out of bounds: the gallery has {len(self)} images.")
        out = np.empty((len(rows), self.shape[1]), dtype=self.dtype)
        part_of_row = np.searchsorted(self._ends, rows, side="right")
        for part in np.unique(part_of_row):
            (array, kept), chosen = self._parts[part], part_of_row == part
            local = rows[chosen] - (self._ends[part - 1] if part else 0)
            out[chosen] = array[local if kept is None else kept[local]]
        return out

    def _range(self, start, stop):
        pieces, begin = [], 0
        for (array, kept), end in zip(self._parts, self._ends, strict=True):
            local = slice(max(start - begin, 0), stop - begin)
            if start < end and stop > begin:
                pieces.append(np.asarray(array[local]) if kept is None else array[kept[local]])
            begin = end
        if len(pieces) == 1:
            return pieces[0]
        return np.concatenate(pieces) if pieces else np.empty((0, self.shape[1]), dtype=self.dtype)

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self[:], dtype=dtype)

    def plus(self, array):
        """Return these rows followed by those of one more array."""
        return Rows([*self._parts, (array, None)])

    def only(self, kept):
        """Return the rows where `kept`, an ndarray of bool, is true."""
        parts, begin = [], 0
        for (array, places), end in zip(self._parts, self._ends, strict=True):
            local = np.flatnonzero(kept[begin:end])
            parts.append((array, local if places is None else places[local]))
            begin = end
        return Rows([part for part in parts if len(part[1])] or parts[:1])


def rows_of(indices, n_rows):
    """Return a mask of the rows that indices or a mask choose; refuse indices that are meant as something else.

    Parameters
    ----------
    indices : array-like of int, or of shape (n_rows,) of bool
    n_rows : int
    """
    owner = "The 'indices' parameter of Gallery.remove"
    indices = np.asarray(unwrapped(indices, "indices"))
    if indices.dtype.kind == "b":
        if indices.shape != (n_rows,):
            raise ValueError(
                f"{owner} has shape {indices.shape} and holds booleans: a mask needs one for each of the {n_rows} "
                "images. If the gallery has no ids, there is nothing to compare."
            )
        return indices
    indices, chosen = np.atleast_1d(indices), np.zeros(n_rows, dtype=bool)
    if indices.ndim != 1 or (indices.size and indices.dtype.kind not in "iu"):
        raise ValueError(
            f"{owner} must hold ints, or a boolean for each image. Got dtype {indices.dtype} and shape {indices.shape}."
        )
    outside = indices[(indices < -n_rows) | (indices >= n_rows)]
    if len(outside):
        raise IndexError(f"index {outside[0]} is out of bounds: the gallery has {n_rows} images.")
    places, counts = np.unique(indices.astype(np.intp) % max(n_rows, 1), return_counts=True)
    if (counts > 1).any():
        raise ValueError(
            f"{owner} names row {places[counts > 1][0]} more than once. Give each index once; a mask must hold "
            "booleans, such as array.astype(bool)."
        )
    chosen[places] = True
    return chosen
