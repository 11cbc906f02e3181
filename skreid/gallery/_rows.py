"""Rows of several arrays as one: a gallery grows and shrinks without copying what it holds.

The arrays may be memory-mapped: only the rows asked for are read.
"""

import numpy as np


class Rows:
    """Some rows of some arrays, in order; never changed.

    Parameters
    ----------
    parts : sequence of (array of shape (n, n_features), ndarray of int or None)
        Arrays, and which of their rows belong; None for all.
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
        out = np.empty((len(rows), self.shape[1]), dtype=self.dtype)
        where = np.searchsorted(self._ends, rows, side="right")
        for place in np.unique(where):
            (array, kept), mine = self._parts[place], where == place
            local = rows[mine] - (self._ends[place - 1] if place else 0)
            out[mine] = array[local if kept is None else kept[local]]
        return out

    def _range(self, start, stop):
        found, begin = [], 0
        for (array, kept), end in zip(self._parts, self._ends, strict=True):
            some = slice(max(start - begin, 0), stop - begin)
            if start < end and stop > begin:
                found.append(np.asarray(array[some]) if kept is None else array[kept[some]])
            begin = end
        if len(found) == 1:
            return found[0]
        return np.concatenate(found) if found else np.empty((0, self.shape[1]), dtype=self.dtype)

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self[:], dtype=dtype)

    def plus(self, array):
        """Return these rows and those of one more array."""
        return Rows([*self._parts, (array, None)])

    def only(self, kept):
        """Return the rows where `kept`, an ndarray of bool, is true."""
        parts, begin = [], 0
        for (array, places), end in zip(self._parts, self._ends, strict=True):
            local = np.flatnonzero(kept[begin:end])
            parts.append((array, local if places is None else places[local]))
            begin = end
        return Rows([part for part in parts if len(part[1])] or parts[:1])
