"""The rank of every true match, by counting the gallery images that are not farther away.

A rank is one more than the number of images ahead, and counting those is far cheaper than sorting a row.
"""

import numpy as np

from skreid.metrics._problem import row_sums

GROUP_BYTES = 2**22  # rows read together: few calls, so that threads rarely wait for each other


def match_ranks(problem, which="all"):
    """Return the rank of each true match of each probe, ties counted against it.

    The j-th nearest true match of a probe, at distance t, has rank j + the number of wrong gallery images at
    a distance <= t. Images that the camera filter removes are neither right nor wrong.

    Parameters
    ----------
    problem : Problem
        The validated inputs.
    which : {"all", "first", "last"}
        Which true matches of each probe to rank: each one, the nearest, the farthest.

    Returns
    -------
    probe : ndarray of intp, shape (n_ranked,)
        The probe it belongs to, ascending.
    order : ndarray of intp, shape (n_ranked,)
        j, from 1.
    rank : ndarray of intp, shape (n_ranked,)
        Its rank, from 1.
    """

    def ranks_of(block):
        probe, order, same, distance = _matches(block) if which == "all" else extremes(block, which)
        within, sums = count_within(block.values, probe, distance)
        problem.refuse_nonfinite(block.start, block.values, sums)
        return block.start + probe, order, order + within - same

    parts = problem.each_block(ranks_of, check=False)
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def extremes(block, which):
    """Return the same as `_matches`, but only for each probe's nearest or farthest match; nothing is sorted."""
    distance = block.values[block.probe, block.column]
    matches = block.probe[block.is_match]
    begins = np.flatnonzero(_starts(matches))
    probe = matches[begins]
    extreme = np.minimum if which == "first" else np.maximum
    reached = extreme.reduceat(distance[block.is_match], begins) if len(begins) else distance[:0]

    limit = np.full(len(block.values), -np.inf, dtype=distance.dtype)
    limit[probe] = reached
    same = np.bincount(block.probe[distance <= limit[block.probe]], minlength=len(limit))[probe]
    order = np.ones_like(probe) if which == "first" else np.diff(begins, append=len(matches))
    return probe, order, same, reached


def _matches(block):
    """Return, for each true match, its probe, j, the number of images of its identity as near, and its distance."""
    distance = block.values[block.probe, block.column]
    by_distance = np.lexsort((distance, block.probe))
    probe, distance, is_match = block.probe[by_distance], distance[by_distance], block.is_match[by_distance]
    same = _running_count(probe, distance)

    probe, distance, same = probe[is_match], distance[is_match], same[is_match]
    index = np.arange(len(probe))
    order = index - np.maximum.accumulate(np.where(_starts(probe), index, 0)) + 1
    return probe, order, same, distance


def _starts(groups):
    """Return where a new value begins in an array of grouped values."""
    return np.append(np.ones(min(1, len(groups)), dtype=bool), groups[1:] != groups[:-1])


def _running_count(probe, distance):
    """Count, for each pair, the pairs of its probe at no larger distance (pairs are sorted by probe and distance)."""
    if not len(probe):
        return np.zeros(0, dtype=np.intp)
    begins = _starts(probe)
    new_value = begins.copy()
    new_value[1:] |= distance[1:] != distance[:-1]
    last = np.append(np.flatnonzero(new_value)[1:] - 1, len(probe) - 1)[np.cumsum(new_value) - 1]
    first = np.flatnonzero(begins)[np.cumsum(begins) - 1]
    return last - first + 1


def count_within(values, rows, thresholds):
    """Count the entries of a row that are at most a threshold, for many rows and thresholds.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_columns)
        C-ordered.
    rows : ndarray of intp, shape (n,)
        Ascending row indices.
    thresholds : ndarray of shape (n,)
        Ascending within a row, of the dtype of `values`.

    Returns
    -------
    counts : ndarray of intp, shape (n,)
    sums : ndarray of shape (n_rows,)
        Sum of each row, taken while the row is in the cache: not finite if one of its entries is not.
    """
    counts, sums = np.empty(len(rows), dtype=np.intp), np.empty(len(values))
    step = max(1, GROUP_BYTES // values[0].nbytes)
    for low in range(0, len(values), step):
        group = values[low : low + step]
        sums[low : low + step] = row_sums(group)
        own = slice(*np.searchsorted(rows, [low, low + step]))
        counts[own] = _count_in_group(group, rows[own] - low, thresholds[own])
    return counts, sums


def _count_in_group(values, rows, thresholds):
    """Count as `count_within`, by comparing all rows with their first thresholds, their second ones, and so on."""
    place = np.arange(len(rows)) - np.searchsorted(rows, rows)
    n_places = place.max(initial=-1) + 1
    if n_places > np.log2(values.shape[1]):  # to sort a row costs about as much as so many comparisons
        return _count_by_sorting(values, rows, thresholds)
    limits = np.full((n_places, len(values), 1), -np.inf, dtype=values.dtype)
    limits[place, rows, 0] = thresholds
    below = np.empty(values.shape, dtype=bool)
    counts = np.empty((n_places, len(values)), dtype=np.intp)
    for count, limit in zip(counts, limits, strict=True):
        bits = np.packbits(np.less_equal(values, limit, out=below), axis=1)
        np.bitwise_count(bits).sum(axis=1, dtype=np.intp, out=count)
    return counts[place, rows]


def _count_by_sorting(values, rows, thresholds):
    ends = np.searchsorted(rows, np.arange(len(values) + 1)).tolist()
    parts = zip(np.sort(values, axis=1), ends[:-1], ends[1:], strict=True)
    return np.concatenate([row.searchsorted(thresholds[low:high], side="right") for row, low, high in parts])
