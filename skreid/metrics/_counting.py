"""The rank of every true match, by counting the gallery images that are not farther.

A rank is one more than the number of images ahead, and counting them is far cheaper than ordering a row.
"""

import numpy as np


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
        Whose match it is, ascending.
    order : ndarray of intp, shape (n_ranked,)
        j, from 1.
    rank : ndarray of intp, shape (n_ranked,)
        Its rank, from 1.
    """
    if which == "all":
        parts = [_ranks_of_all(block) for block in problem.blocks()]
    else:
        parts = [_ranks_of_one(block, which) for block in problem.blocks()]
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def _ranks_of_one(block, which):
    """Rank the nearest ("first") or farthest ("last") true match of each probe; its pairs need no sorting."""
    distance = block.values[block.probe, block.column]
    matches = block.probe[block.counts]
    begins = np.flatnonzero(_starts(matches))
    probe = matches[begins]
    extreme = np.minimum if which == "first" else np.maximum
    reached = extreme.reduceat(distance[block.counts], begins) if len(begins) else distance[:0]

    limit = np.full(len(block.values), -np.inf, dtype=distance.dtype)
    limit[probe] = reached
    same = np.bincount(block.probe[distance <= limit[block.probe]], minlength=len(limit))[probe]
    order = np.ones_like(probe) if which == "first" else np.diff(begins, append=len(matches))
    return block.start + probe, order, order + count_within(block.values, probe, reached) - same


def _ranks_of_all(block):
    distance = block.values[block.probe, block.column]
    by_distance = np.lexsort((distance, block.probe))
    probe, distance, counts = block.probe[by_distance], distance[by_distance], block.counts[by_distance]
    same = _running_count(probe, distance)

    probe, distance, same = probe[counts], distance[counts], same[counts]
    index = np.arange(len(probe))
    order = index - np.maximum.accumulate(np.where(_starts(probe), index, 0)) + 1
    return block.start + probe, order, order + count_within(block.values, probe, distance) - same


def _starts(groups):
    """Tell where a new value begins in an array of grouped values."""
    return np.append(np.ones(min(1, len(groups)), dtype=bool), groups[1:] != groups[:-1])


def _running_count(probe, distance):
    """Count, for each pair, those of its probe at no larger distance (pairs sorted by probe, distance)."""
    if not len(probe):
        return np.zeros(0, dtype=np.intp)
    begins = _starts(probe)
    new_value = begins.copy()
    new_value[1:] |= distance[1:] != distance[:-1]
    last = np.append(np.flatnonzero(new_value)[1:] - 1, len(probe) - 1)[np.cumsum(new_value) - 1]
    first = np.flatnonzero(begins)[np.cumsum(begins) - 1]
    return last - first + 1


def count_within(values, rows, thresholds):
    """Count the entries of a row that are <= a threshold, for many rows and thresholds.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_columns)
        C-ordered, finite.
    rows : ndarray of intp, shape (n,)
        Ascending row indices.
    thresholds : ndarray of shape (n,)
        Ascending within a row, of the dtype of `values`.

    Returns
    -------
    ndarray of intp, shape (n,)
    """
    n_columns = values.shape[1]
    # one comparison a threshold beats one binary search an entry until a row has this many thresholds
    # (measured)
    few = min(8 + n_columns // 500, 200)
    below = np.empty(n_columns, dtype=bool)
    result = np.empty(len(rows), dtype=np.intp)
    limits = thresholds.tolist()  # exact: compared in the dtype of the row
    first = np.flatnonzero(_starts(rows))
    for low, high in zip(first.tolist(), [*first[1:].tolist(), len(rows)], strict=False):
        row = values[rows[low]]
        if high - low <= few:
            for i in range(low, high):
                result[i] = np.count_nonzero(np.less_equal(row, limits[i], out=below))
        else:
            bins = np.searchsorted(thresholds[low:high], row)  # number of thresholds below each entry
            result[low:high] = np.bincount(bins, minlength=high - low + 1)[:-1].cumsum()
    return result
