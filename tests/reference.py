"""One reference search for all tests: brute force over whole distance matrices, by SciPy and a sort.

Nothing here uses the package, so that an error in it cannot hide in the expected values.
"""

import numpy as np
from scipy.spatial.distance import cdist

MISSING = int("7F" * 8, 16)  # larger than any index, also cut to fewer bytes: indexing with it fails


def rank(distances, k, hidden=None, last=None):
    """Sort each row of a distance matrix.

    Parameters
    ----------
    distances : array-like of shape (n_probes, n_gallery)
    k : int
        Length of each ranking.
    hidden : array-like of shape (n_probes, n_gallery), bool, optional
        Pairs to leave out.
    last : array-like of shape (n_probes, n_gallery), bool, optional
        Pairs that come after all others at the same distance.

    Returns
    -------
    distances : ndarray of shape (n_probes, k)
        Ascending; infinite where no image is left.
    indices : ndarray of shape (n_probes, k)
        Equal distances in the gallery's order; `MISSING` where no image is left.
    """
    distances = np.array(distances, dtype=np.float64)
    if hidden is not None:
        distances[np.asarray(hidden)] = np.inf
    late = np.zeros(distances.shape) if last is None else np.asarray(last)
    ranked, indices = np.full((len(distances), k), np.inf), np.full((len(distances), k), MISSING)
    for probe, row in enumerate(distances):
        order = np.lexsort((np.arange(len(row)), late[probe], row))
        order = order[np.isfinite(row[order])][:k]
        ranked[probe, : len(order)], indices[probe, : len(order)] = row[order], order
    return ranked, indices


def nearest(probes, gallery, k, hidden=None, metric="euclidean"):
    """Rank the rows of a gallery for each probe by SciPy's distances in float64; returns as `rank` does."""
    return rank(cdist(np.asarray(probes, float), np.asarray(gallery, float), metric), k, hidden)


def true_match_ranks(y_probe, y_gallery, distances, cams_probe=None, cams_gallery=None, junk=()):
    """Return, for each probe, the ranks of its true matches from 1, wrong images before right ones at one distance."""
    same = np.array([[person == other for other in y_gallery] for person in y_probe])
    hidden = np.array([[other in junk for other in y_gallery] for _ in y_probe])
    if cams_probe is not None:
        hidden |= same & (np.asarray(cams_probe)[:, None] == np.asarray(cams_gallery))
    _, indices = rank(distances, len(y_gallery), hidden, last=same)
    return [
        [place for place, column in enumerate(row, start=1) if column != MISSING and same[probe, column]]
        for probe, row in enumerate(indices.tolist())
    ]


def threshold(distances, rate):
    """Return the middle between the last distance that a rate accepts and the next, by a loop over all; inf of all."""
    distances = [float(distance) for distance in distances]
    within = {each: sum(other <= each for other in distances) / len(distances) for each in sorted(set(distances))}
    accepted = [each for each, share in within.items() if share <= rate and each < np.inf]
    refused = [each for each, share in within.items() if share > rate and each < np.inf]
    if not refused:
        return np.inf
    return (accepted[-1] + refused[0]) / 2 if accepted else refused[0] - abs(refused[0]) / 10_000
