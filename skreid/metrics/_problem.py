"""The validated inputs of a figure: identities, the gallery images that count, and distances by blocks of probes.

All figures are computed from these blocks: cameras, junk, shapes and NaN are handled once, and memory is bounded.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from skreid._base.arrays import as_array
from skreid._base.blas import single_threaded_blas
from skreid._base.checks import check_int
from skreid._base.junk import codes_of
from skreid._base.labels import check_both_or_none, factorize
from skreid.metrics._figures import check_on_missing

_ARRAY_BLOCK_BYTES = 2**23  # stays in the cache while it is read more than once
_CALLABLE_BLOCK_BYTES = 2**28  # large enough for matrix products to pay


@dataclass(frozen=True, eq=False)
class Block:
    """Distances of a block of probes to the kept gallery, and the pairs of the same identity among them.

    Attributes
    ----------
    start : int
        The first probe's index.
    values : ndarray of shape (n_block, n_kept)
        Floating-point distances.
    probe, column : ndarray of shape (n_pairs,)
        The pairs of the same identity, as indices into `values`, probe by probe.
    is_match : ndarray of bool, shape (n_pairs,)
        Whether a pair is a true match; False where the camera filter removes it.
    """

    start: int
    values: np.ndarray
    probe: np.ndarray
    column: np.ndarray
    is_match: np.ndarray


class Problem:
    """Validated inputs of a function called as ``owner(y_probe, y_gallery, distances, ...)``.

    `on_missing` says how :func:`skreid.metrics._figures.count_probes` counts probes without a true match.
    """

    def __init__(
        self,
        owner,
        y_probe,
        y_gallery,
        distances,
        *,
        cams_probe=None,
        cams_gallery=None,
        junk_ids=None,
        block_size=None,
        on_missing="zero",
    ):
        check_on_missing(on_missing, owner)
        self.owner, self.on_missing = owner, on_missing
        (self.probe_ids, gallery_ids), self.uniques = factorize(y_probe=y_probe, y_gallery=y_gallery)
        self.n_probes, self.n_gallery = len(self.probe_ids), len(gallery_ids)
        if not self.n_probes or not self.n_gallery:
            raise ValueError(
                f"Nothing to rank: {self.n_probes} probes and {self.n_gallery} gallery images. A figure of nothing has "
                "no value: give at least one of each."
            )
        self._set_distances(distances, check_int(block_size, "block_size", owner, none=True))
        self._set_cams(cams_probe, cams_gallery)

        self.kept = None  # None saves a copy if the whole gallery counts
        if junk_ids is not None:
            junk = np.isin(gallery_ids, codes_of(junk_ids, self.uniques, "junk_ids"))
            if junk.all():
                raise ValueError("Every gallery image has one of the junk_ids: nothing is left to rank.")
            if junk.any():
                self.kept = np.flatnonzero(~junk)
                gallery_ids = gallery_ids[self.kept]
                if self.cams is not None:
                    self.cams = (self.cams[0], self.cams[1][self.kept])
        self.n_kept = len(gallery_ids)

        # the gallery grouped by identity: one probe's pairs are a slice of it
        self._by_identity = np.argsort(gallery_ids, kind="stable")
        grouped = gallery_ids[self._by_identity]
        self._low = np.searchsorted(grouped, self.probe_ids, side="left")
        self._high = np.searchsorted(grouped, self.probe_ids, side="right")

    @property
    def n_impostor_pairs(self):
        """Number of probe-gallery pairs of different identities."""
        return self.n_probes * self.n_kept - int((self._high - self._low).sum())

    @property
    def is_stranger(self):
        """Whether the identity of each probe has no gallery image at all, in any camera."""
        return self._low == self._high

    def _set_distances(self, distances, block_size):
        self._function = distances if callable(distances) else None
        itemsize = 8
        if self._function is None:
            self._matrix = as_array(distances, "distances")
            expected = (self.n_probes, self.n_gallery)
            if self._matrix.shape != expected:
                raise ValueError(
                    f"distances must have shape (n_probe, n_gallery) = {expected}. Got {self._matrix.shape} instead."
                )
            itemsize = self._matrix.dtype.itemsize
        if block_size is None:
            budget = _ARRAY_BLOCK_BYTES if self._function is None else _CALLABLE_BLOCK_BYTES
            block_size = min(max(1, budget // (itemsize * self.n_gallery)), 4096)
        self._block_size = block_size

    def _set_cams(self, cams_probe, cams_gallery):
        if not check_both_or_none(cams_probe=cams_probe, cams_gallery=cams_gallery):
            self.cams = None
            return
        self.cams, _ = factorize(cams_probe=cams_probe, cams_gallery=cams_gallery)
        for name, cams, n in zip(("probe", "gallery"), self.cams, (self.n_probes, self.n_gallery), strict=True):
            if len(cams) != n:
                raise ValueError(f"cams_{name} has {len(cams)} entries, but y_{name} has {n}.")

    def _read(self, start, stop):
        """Return the distances of probes ``start:stop`` to the kept gallery, in C order."""
        if self._function is None:
            values = self._matrix[start:stop]
        else:
            values = as_array(self._function(start, stop), f"distances({start}, {stop})")
            if values.shape != (stop - start, self.n_gallery):
                raise ValueError(
                    f"distances({start}, {stop}) must have shape {(stop - start, self.n_gallery)}. "
                    f"Got {values.shape} instead."
                )
        if self.kept is not None:
            values = values.take(self.kept, axis=1)
        if values.dtype.kind != "f":
            values = values.astype(np.float64)
        elif values.dtype.itemsize < 4:
            values = values.astype(np.float32)
        return np.ascontiguousarray(values)

    def refuse_nonfinite(self, start, values, sums):
        """Raise for the first distance that is not finite, given the sum of each row, which reveals it."""
        for row in np.flatnonzero(~np.isfinite(sums)):  # a sum may also overflow: only the entries can tell
            bad = np.flatnonzero(~np.isfinite(values[row]))
            if len(bad):
                column = bad[0] if self.kept is None else self.kept[bad[0]]
                raise ValueError(
                    f"distances contains {values[row, bad[0]]} for probe {start + row} and gallery image "
                    f"{column}: all distances must be finite. Check the descriptors of these two images."
                )

    def blocks(self):
        """Yield one `Block` after another."""
        return map(self._block, self._starts)

    def each_block(self, function, check=True):
        """Return what a function returns for each `Block`, in order.

        Blocks of a matrix are computed in as many threads as numpy's matrix products use, so the function must not
        depend on their order. Distances from a callable, which need not allow threads, are computed one block at a
        time. Without `check`, the function must refuse distances that are not finite.
        """

        def compute(start):
            with np.errstate(all="ignore"):  # distances that are not finite are refused by name
                return function(self._block(start, check))

        if self._function is not None or len(self._starts) == 1:
            return list(map(compute, self._starts))
        with single_threaded_blas() as n_threads:
            if n_threads == 1:
                return list(map(compute, self._starts))
            with ThreadPoolExecutor(n_threads) as pool:
                return list(pool.map(compute, self._starts))

    @property
    def _starts(self):
        return range(0, self.n_probes, self._block_size)

    def _block(self, start, check=True):
        stop = min(start + self._block_size, self.n_probes)
        values = self._read(start, stop)
        if check:
            self.refuse_nonfinite(start, values, row_sums(values))
        low, n_pairs = self._low[start:stop], (self._high - self._low)[start:stop]
        probe = np.repeat(np.arange(stop - start), n_pairs)
        first = np.cumsum(n_pairs) - n_pairs
        column = self._by_identity[np.arange(len(probe)) + np.repeat(low - first, n_pairs)]
        if self.cams is None:
            is_match = np.ones(len(probe), dtype=bool)
        else:
            is_match = self.cams[0][start:stop][probe] != self.cams[1][column]
        return Block(start, values, probe, column, is_match)


def row_sums(values):
    """Return the sum of each row, which is not finite if one of its entries is not; threads do not wait for each other.

    Products of OpenBLAS with a vector of ones are faster, but threads wait for each other there.
    """
    with np.errstate(all="ignore"):
        return np.einsum("ij->i", values)
