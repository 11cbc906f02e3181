"""The optional approximate engine: a FAISS index of the descriptors, whose search skips hidden rows.

The distances of the rows that it finds are computed again exactly: only the choice of rows is approximate.
"""

import re
import warnings
from contextlib import contextmanager

import numpy as np

from skreid._search.distances import check_range, tiles

TRAINING_ROWS = 64  # per cell, to place the cells of an inverted file or of a product quantizer
FEWEST_ROWS = 39  # per cell: with fewer, FAISS itself warns
CANDIDATES = 64  # followed by default in a graph
CELLS = 32, 8  # searched by default: one in 32, and at least 8
LINKS = 2, 1024  # per image in a graph: with fewer FAISS crashes, with more it allocates terabytes
UNITS = {"": 1, "k": 2**10, "M": 2**20}  # suffixes of a number of cells


def import_faiss():
    """Import FAISS; if it is missing, the error says how to install it."""
    try:
        import faiss
    except ImportError as error:
        raise ImportError('engine="faiss" needs FAISS: pip install faiss-cpu, or skreid[faiss].') from error
    return faiss


def empty_index(factory, n_rows, n_features):
    """Make the index of a factory string such as "HNSW32" or "IVF1024,Flat"; refuse one that cannot be filled."""
    faiss = import_faiss()
    placed, made = _cells(factory)
    cells = placed + made
    if max(cells) > n_rows or min(cells) < 1:
        raise ValueError(
            f"index={factory!r} asks for {max(cells):,} cells, which must be between 1 and the number of descriptors, "
            f"{n_rows:,}. Use about {max(1, min(round(2 * n_rows**0.5), n_rows // FEWEST_ROWS)):,} cells; a product "
            "quantizer has 256, or 2**bits as in 'PQ<bytes>x<bits>'."
        )
    for parts in map(int, re.findall(r"PQ(\d+)", factory)):
        if parts < 1 or n_features % parts:
            divisors = [part for part in range(1, min(parts, n_features) + 1) if n_features % part == 0] or [1]
            raise ValueError(
                f"index={factory!r} cuts vectors of {n_features} dimensions into {parts} parts of equal length, which "
                f"needs a divisor of {n_features}, such as 'PQ{divisors[-1]}'."
            )
    links = [int(number) for number in re.findall(r"HNSW(\d+)", factory)]
    if links and not LINKS[0] <= min(links) <= max(links) <= LINKS[1]:
        raise ValueError(f"index={factory!r} asks for {links[0]} links per image: give a number in {list(LINKS)}.")
    with _naming(factory, n_rows, n_features):
        index = faiss.index_factory(n_features, factory)
    searched = faiss.IndexHNSW, faiss.IndexIVF, faiss.IndexFlat, faiss.IndexScalarQuantizer
    if not isinstance(index, searched) or isinstance(index, faiss.IndexIVFAdditiveQuantizer):
        raise ValueError(
            f"index={factory!r} is of type {type(index).__name__}, which cannot hide rows from a search: give "
            "'HNSW<links>' or 'IVF<cells>,...'."
        )
    return index


def build_index(rows, factory):
    """Build the index that a factory string names from rows of descriptors."""
    index = empty_index(factory, *rows.shape)
    check_range("descriptors", rows, np.float32)
    with _naming(factory, *rows.shape):
        if not index.is_trained:
            _keep_quiet(index)
            placed, made = _cells(factory)
            step = max(1, len(rows) // (TRAINING_ROWS * max(placed + made)))
            index.train(np.ascontiguousarray(rows[::step], dtype=np.float32))
        for tile in tiles(rows):
            index.add(np.ascontiguousarray(rows[tile], dtype=np.float32))
    return index


def warn_of_few_rows(factory, n_rows, stacklevel):
    """Warn if an index has more cells than this many descriptors can place well."""
    cells = max(_cells(factory)[0])
    if n_rows < FEWEST_ROWS * cells and cells > 1:
        warnings.warn(
            f"index={factory!r} places {cells:,} cells by {n_rows:,} descriptors, fewer than {FEWEST_ROWS} per cell, "
            f"so that it may miss many neighbours: use at most {max(1, n_rows // FEWEST_ROWS)} cells, or 'HNSW32', "
            "which has none.",
            stacklevel=stacklevel + 1,
        )


def read_index(path, shape):
    """Read an index that FAISS wrote for descriptors of this shape."""
    try:
        index = import_faiss().read_index(str(path))
    except (RuntimeError, MemoryError) as error:
        raise ValueError(f"'{path}' is not a FAISS index: {_reason(error)}") from error
    if (index.ntotal, index.d) != shape:
        raise ValueError(f"'{path}' is an index of shape {(index.ntotal, index.d)}, for descriptors of shape {shape}")
    return index


def _cells(factory):
    """Return how many cells each part of a factory string places, at least one number, and makes of those."""
    placed = [int(number) * UNITS[unit] for number, unit in re.findall(r"IVF(\d+)([kM]?)", factory)]
    placed += [2 ** min(int(bits or 8), 64) for bits in re.findall(r"(?:PQ|IMI)\d+(?:x(\d+))?", factory)]
    made = [2 ** min(int(parts) * int(bits), 64) for parts, bits in re.findall(r"IMI(\d+)x(\d+)", factory)]
    return placed or [1], made


def _keep_quiet(index):
    """Keep FAISS from warning of few rows per cell on the standard error stream; `warn_of_few_rows` does."""
    for part in (index, getattr(index, "storage", None), getattr(index, "quantizer", None)):
        part = part and import_faiss().downcast_index(part)
        for clustering in (part, getattr(part, "pq", None)):
            if hasattr(clustering, "cp"):
                clustering.cp.min_points_per_centroid = 1


@contextmanager
def _naming(factory, n_rows, n_features):
    """Turn an error of FAISS into one that names the index."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        raise ValueError(
            f"FAISS cannot build index={factory!r} over {n_rows:,} descriptors of {n_features:,} dimensions: "
            f"{_reason(error)}"
        ) from error


def _reason(error):
    """Return the message of FAISS without the location in its source and the condition that failed."""
    return re.sub(r"^Error in .*?\.(cpp|h):\d+: (Error: )?('.*?' failed: )?", "", str(error), flags=re.DOTALL)


def search_index(index, probes, n_neighbors, effort, probe_keys=None, row_keys=None):
    """Return the probe and the row of each neighbour that the index finds; rows with the probe's own key are skipped.

    The cells of an inverted file are scanned row by row for each probe, whereas the exact search takes all probes in
    one product. So the exact search is faster if more than a few per cent of the cells are searched.
    """
    faiss = import_faiss()
    probes = np.ascontiguousarray(probes, dtype=np.float32)
    effort = effort and min(effort, index.ntotal)
    neighbors = np.full((len(probes), n_neighbors), -1, dtype=np.int64)
    if probe_keys is None:
        groups = [(slice(None), None)]
    else:
        order = np.argsort(row_keys, kind="stable")
        ordered = row_keys[order]
        groups = []
        for key in np.unique(probe_keys):
            hidden = order[np.searchsorted(ordered, key) : np.searchsorted(ordered, key, side="right")]
            groups.append((probe_keys == key, hidden if len(hidden) else None))
    for group, hidden in groups:
        options = {}
        if hidden is not None:
            visible = np.ones(index.ntotal, dtype=bool)
            visible[hidden] = False
            options["sel"] = faiss.IDSelectorBitmap(np.packbits(visible, bitorder="little"))
        if isinstance(index, faiss.IndexHNSW):
            parameters = faiss.SearchParametersHNSW(efSearch=max(effort or CANDIDATES, n_neighbors), **options)
        elif isinstance(index, faiss.IndexIVF):
            cells = min(index.nlist, max(index.nlist // CELLS[0], CELLS[1]))
            parameters = faiss.SearchParametersIVF(nprobe=effort or cells, **options)
        else:
            parameters = faiss.SearchParameters(**options)
        neighbors[group] = index.search(probes[group], n_neighbors, params=parameters)[1]
    probe, rank = np.nonzero(neighbors >= 0)
    return probe, neighbors[probe, rank]
