"""The nearest identities of probes, as a search for images finds them: it is asked for more until there are enough.

The distance of an identity is that of its nearest image, or the mean of its few nearest ones.
"""

import numpy as np
from sklearn.utils import gen_batches

from skreid._search.nearest import MISSING, is_row, sorted_neighbors

RANKED_VALUES = 2**22  # distances ranked at once
DEEPEST = 1024  # nearest images asked for; where more are needed, sorting all images is faster


def nearest_identities(query, n_neighbors, n_images):
    """Find the nearest identities of each probe, asking for ever more images until there are enough.

    Parameters
    ----------
    query : Query
    n_neighbors : int
        Number of identities.
    n_images : int
        Number of nearest images whose mean distance is that of their identity.

    Returns
    -------
    distances : ndarray of shape (n_probes, n_neighbors)
        Ascending; infinite where no identity is left.
    rows : ndarray of shape (n_probes, n_neighbors), int64
        The nearest image of each identity; `MISSING` where no identity is left.
    """
    known, codes = query.state.codes("ids")
    distances = np.full((len(query), n_neighbors), np.inf)
    rows = np.full((len(query), n_neighbors), MISSING)
    if not len(known):
        return distances, rows
    depth = min((n_neighbors - 1) * max(n_images, -(-len(codes) // len(known))) + n_images, len(codes))
    waiting = np.arange(len(query))
    while len(waiting):
        depth, is_done = depth if depth <= DEEPEST else len(codes), np.zeros(len(waiting), dtype=bool)
        for batch in gen_batches(len(waiting), max(1, RANKED_VALUES // depth)):
            part = waiting[batch]
            distances[part], rows[part], is_done[batch] = _ranked(query, codes, part, depth, n_neighbors, n_images)
        waiting, depth = waiting[~is_done], min(4 * depth, len(codes))
    return distances, rows


def _ranked(query, codes, part, depth, n_neighbors, n_images):
    """Rank the identities among the nearest images of a part of the probes; say where no further image matters."""
    distances, rows = query.nearest(depth, part) if depth < len(codes) else query.ranked(part)
    probe, place = np.nonzero(is_row(rows))
    code = codes[rows[probe, place]]
    order = np.lexsort((place, code, probe))
    probe, place, code = probe[order], place[order], code[order]
    begins = np.flatnonzero(np.append(True, (np.diff(probe) != 0) | (np.diff(code) != 0))[: len(probe)])
    sizes = np.diff(begins, append=len(probe))
    counted = np.arange(len(probe)) - np.repeat(begins, sizes) < n_images
    sums = np.add.reduceat(np.where(counted, distances[probe, place], 0), begins) if len(begins) else np.zeros(0)
    probe, place, code, n_seen = probe[begins], place[begins], code[begins], np.minimum(sizes, n_images)

    # images that were not seen are at least as far as the last one seen, the frontier
    frontier = np.where(depth < len(codes), distances[:, -1], np.inf)
    n_wanted = n_seen if n_images == 1 else np.minimum(query.n_visible(part[probe], code), n_images)
    is_complete = (n_seen >= n_wanted) | np.isinf(frontier[probe])
    identity_distances, places = sorted_neighbors(
        probe[is_complete], (sums / n_seen)[is_complete], place[is_complete], (len(part), n_neighbors)
    )
    rest, bound = ~is_complete, np.full(len(part), np.inf)
    n_missing = (n_wanted - n_seen)[rest]
    np.minimum.at(bound, probe[rest], (sums[rest] + n_missing * frontier[probe[rest]]) / n_wanted[rest])
    is_done = np.isinf(frontier) | (identity_distances[:, -1] < bound)  # which are within the frontier
    is_found = is_row(places)
    places[is_found] = np.take_along_axis(rows, np.where(is_found, places, 0), axis=1)[is_found]
    return identity_distances, places, is_done
