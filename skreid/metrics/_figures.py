"""Turn ranks into figures; handle probes without a true match in one way for all figures.

If they are left out silently, two papers report different figures for the same ranking.
"""

import warnings

import numpy as np

from skreid._base.checks import check_choice


def check_on_missing(on_missing, owner):
    """Refuse a wrong `on_missing` before anything is computed."""
    check_choice(on_missing, "on_missing", owner, ("warn", "drop", "zero", "raise"))


def count_probes(problem, has_match, stacklevel=3):
    """Return the number of probes that the means are taken over; the problem says how those without a match count."""
    missing, on_missing = np.flatnonzero(~has_match), problem.on_missing
    if not len(missing) or on_missing == "zero":
        return problem.n_probes
    first = f"the first is probe {missing[0]}, identity {problem.uniques[problem.probe_ids[missing[0]]]!r}"
    says = f"{len(missing)} of {problem.n_probes} probes have no true match in their gallery; {first}"
    if on_missing == "raise":
        raise ValueError(f"{says}. Remove them, or pass on_missing='drop' or 'zero'.")
    if len(missing) == problem.n_probes:
        raise ValueError(
            f"{says}. Nothing is left to average over: check that y_probe and y_gallery name the same people "
            "and that they were not all seen by one camera, or pass on_missing='zero'."
        )
    if on_missing == "warn":
        warnings.warn(
            f"{says}. {problem.owner} leaves them out; on_missing='drop' does so without this warning.",
            UserWarning,
            stacklevel=stacklevel,
        )
    return problem.n_probes - len(missing)


def first_ranks(problem, probe, order, rank):
    """Return the rank of each probe's nearest true match, 0 where there is none."""
    first = np.zeros(problem.n_probes, dtype=np.intp)
    first[probe[order == 1]] = rank[order == 1]
    return first


def cumulative(first_rank, max_rank, n_counted):
    """Return the curve whose k-th entry is the share of probes recognised within rank k."""
    hits = np.bincount(first_rank[(first_rank > 0) & (first_rank <= max_rank)], minlength=max_rank + 1)
    return hits[1:].cumsum() / n_counted


def average_precision(problem, probe, order, rank):
    """Return the average precision of each probe, NaN where it has no true match."""
    n_matches = np.bincount(probe, minlength=problem.n_probes)
    total = np.bincount(probe, weights=order / rank, minlength=problem.n_probes)
    return np.divide(total, n_matches, out=np.full(problem.n_probes, np.nan), where=n_matches > 0)
