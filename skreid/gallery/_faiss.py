"""The optional approximate engine: a FAISS index over the descriptors, hidden rows left out of its search.

What it finds is measured again exactly, so that only which rows are found is approximate.
"""

import numpy as np

from skreid.distances import tiles

TRAINING_ROWS = 64  # a cell, to place the cells of an inverted file
CANDIDATES = 64  # followed by default in a graph
CELLS = 32, 8  # looked into by default: one in so many, so many at least


def import_faiss():
    """Import FAISS or say how to get it."""
    try:
        import faiss
    except ImportError as error:
        raise ImportError('engine="faiss" needs FAISS: pip install faiss-cpu, or skreid[faiss].') from error
    return faiss


def build_index(rows, factory):
    """Build the index that a factory string such as "HNSW32" or "IVF1024,Flat" names."""
    faiss = import_faiss()
    index = faiss.index_factory(rows.shape[1], factory)
    if not index.is_trained:
        cells = getattr(index, "nlist", 1)
        step = max(1, len(rows) // (TRAINING_ROWS * cells))
        index.train(np.ascontiguousarray(rows[::step], dtype=np.float32))
    for some in tiles(rows):
        index.add(np.ascontiguousarray(rows[some], dtype=np.float32))
    return index


def search_index(index, probes, n_neighbors, effort, probe_keys=None, row_keys=None):
    """Return the probe and the row of what the index finds, rows of a probe's own key left out.

    The cells of an inverted file are scanned row by row for each probe, where the exact search takes all probes in one
    product: beyond a few of a hundred cells it is the slower of the two, however many cells there are.
    """
    faiss = import_faiss()
    probes = np.ascontiguousarray(probes, dtype=np.float32)
    found = np.full((len(probes), n_neighbors), -1, dtype=np.int64)
    if probe_keys is None:
        groups = [(slice(None), None)]
    else:
        order = np.argsort(row_keys, kind="stable")
        ordered = row_keys[order]
        groups = []
        for key in np.unique(probe_keys):
            hidden = order[np.searchsorted(ordered, key) : np.searchsorted(ordered, key, side="right")]
            groups.append((probe_keys == key, hidden if len(hidden) else None))
    for some, hidden in groups:
        options = {}
        if hidden is not None:
            seen = np.ones(index.ntotal, dtype=bool)
            seen[hidden] = False
            options["sel"] = faiss.IDSelectorBitmap(np.packbits(seen, bitorder="little"))
        if isinstance(index, faiss.IndexHNSW):
            parameters = faiss.SearchParametersHNSW(efSearch=max(effort or CANDIDATES, n_neighbors), **options)
        elif isinstance(index, faiss.IndexIVF):
            few = min(index.nlist, max(index.nlist // CELLS[0], CELLS[1]))
            parameters = faiss.SearchParametersIVF(nprobe=effort or few, **options)
        else:
            parameters = faiss.SearchParameters(**options)
        found[some] = index.search(probes[some], n_neighbors, params=parameters)[1]
    probe, place = np.nonzero(found >= 0)
    return probe, found[probe, place]
