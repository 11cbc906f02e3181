"""From ranks to figures: what all of them share, above all what becomes of a probe that nothing matches.

Leaving such probes out in silence is how two papers report different figures for the same ranking.
"""

import warnings
from numbers import Integral

import numpy as np


def check_rank(value, name, owner, none=False):
    """Return a rank, or a curve's length, as an int of at least 1."""
    if none and value is None:
        return None
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Integral) or value < 1:
        raise ValueError(
            f"The {name!r} parameter of {owner} must be an int in the range [1, inf){' or None' * none}. "
            f"Got {value!r} instead."
        )
    return int(value)


def check_on_missing(on_missing, owner):
    """Refuse another word before anything is computed."""
    if on_missing not in ("warn", "drop", "zero", "raise"):
        raise ValueError(
            f"The 'on_missing' parameter of {owner} must be a str among {{'warn', 'drop', 'zero', 'raise'}}. "
            f"Got {on_missing!r} instead."
        )


def count_probes(problem, found, on_missing, owner, stacklevel=3):
    """Return how many probes the means are over, after `on_missing` had its say."""
    missing = np.flatnonzero(~found)
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
            f"{says}. {owner} leaves them out; on_missing='drop' does so without this warning.",
            UserWarning,
            stacklevel=stacklevel,
        )
    return problem.n_probes - len(missing)


def first_ranks(problem, probe, order, rank):
    """Return the rank of each probe's nearest true match, 0 where nothing matches."""
    first = np.zeros(problem.n_probes, dtype=np.intp)
    first[probe[order == 1]] = rank[order == 1]
    return first


def cumulative(first_rank, max_rank, n_counted):
    """Return the curve whose k-th entry is the share of probes found within rank k."""
    hits = np.bincount(first_rank[(first_rank > 0) & (first_rank <= max_rank)], minlength=max_rank + 1)
    return hits[1:].cumsum() / n_counted


def average_precision(problem, probe, order, rank):
    """Return the average precision of each probe, NaN where nothing matches."""
    n_matches = np.bincount(probe, minlength=problem.n_probes)
    total = np.bincount(probe, weights=order / rank, minlength=problem.n_probes)
    return np.divide(total, n_matches, out=np.full(problem.n_probes, np.nan), where=n_matches > 0)
