"""All figures of one ranking in a single pass, with the counts of the probes they are based on.

Evaluation needs them together, and the distances may be too large, or too expensive, to compute twice.
"""

from dataclasses import dataclass, field, fields

import numpy as np

from skreid._base.checks import check_int, check_ranks
from skreid.metrics._counting import match_ranks
from skreid.metrics._docs import fill
from skreid.metrics._figures import (
    average_precision,
    count_probes,
    cumulative,
    first_ranks,
)
from skreid.metrics._problem import Problem


@dataclass(frozen=True, eq=False, repr=False)
class RankingMetrics:
    """All figures of one ranking, and the counts of the probes they are based on.

    Attributes
    ----------
    cmc : ndarray of shape (max_rank,)
        Share of probes whose nearest true match is among the first k, for k = 1, 2, ...
    ranks : dict of int to float
        The curve at the ranks asked for.
    mean_average_precision, mean_inverse_negative_penalty : float
        mAP and mINP, in [0, 1].
    n_probes, n_valid, n_dropped : int
        Probes given, those with a true match in their gallery, and those left out of the means.
    first_rank : ndarray of intp, shape (n_probes,)
        Rank of each probe's nearest true match, from 1; 0 if it has none.
    average_precision : ndarray of shape (n_probes,)
        Average precision of each probe; NaN if it has no match.
    n_matches : ndarray of intp, shape (n_probes,)
        Number of true matches of each probe. Where every probe has one, mINP is mAP.

    Examples
    --------
    >>> from skreid.metrics import ranking_metrics
    >>> result = ranking_metrics(["ann", "bo"], ["bo", "ann"], [[0.2, 0.1], [0.4, 0.3]], ranks=(1, 2))
    >>> result.ranks, result.first_rank
    ({1: 0.5, 2: 1.0}, array([1, 2]))
    """

    cmc: np.ndarray = field(repr=False)
    ranks: dict
    mean_average_precision: float
    mean_inverse_negative_penalty: float
    n_probes: int
    n_valid: int
    n_dropped: int
    first_rank: np.ndarray = field(repr=False)
    average_precision: np.ndarray = field(repr=False)
    n_matches: np.ndarray | None = field(default=None, repr=False)  # None in results stored by an earlier version

    def __repr__(self):
        shown = [each.name for each in fields(self) if each.repr]
        if self.n_matches is not None and self.n_matches.max(initial=0) <= 1:
            shown.remove("mean_inverse_negative_penalty")  # it is mAP
        return f"RankingMetrics({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"


@fill
def ranking_metrics(
    y_probe,
    y_gallery,
    distances,
    *,
    cams_probe=None,
    cams_gallery=None,
    ranks=(1, 5, 10, 20),
    max_rank=None,
    junk_ids=None,
    on_missing="drop",
    block_size=None,
):
    """Compute CMC, rank-k, mAP and mINP in one pass over the distances, and count the probes they are based on.

    Parameters
    ----------
    %(identities)s
    %(distances)s
    %(cams)s
    %(junk_ids)s
    ranks : int or sequence of int, default=(1, 5, 10, 20)
        The ranks to report.
    max_rank : int, default=None
        Length of the curve; by default the number of gallery images that are not junk.
    on_missing : {"warn", "drop", "zero", "raise"}, default="drop"
        %(on_missing)s
    %(block_size)s

    Returns
    -------
    RankingMetrics

    Raises
    ------
    %(raises)s

    See Also
    --------
    cmc_curve : How ties are treated.

    Examples
    --------
    >>> from skreid.metrics import ranking_metrics
    >>> result = ranking_metrics([7, 8, 5], [7, 8, 7], [[1, 2, 3], [1, 2, 3], [1, 2, 3]], ranks=(1, 2))
    >>> result.ranks, result.n_valid, result.n_dropped
    ({1: 0.5, 2: 1.0}, 2, 1)
    """
    ranks = check_ranks(ranks, "ranking_metrics")
    max_rank = check_int(max_rank, "max_rank", "ranking_metrics", none=True)
    problem = Problem(
        "ranking_metrics",
        y_probe,
        y_gallery,
        distances,
        cams_probe=cams_probe,
        cams_gallery=cams_gallery,
        junk_ids=junk_ids,
        on_missing=on_missing,
        block_size=block_size,
    )
    probe, order, rank = match_ranks(problem, "all")
    precision = average_precision(problem, probe, order, rank)
    first = first_ranks(problem, probe, order, rank)
    n_counted = count_probes(problem, first > 0)

    max_rank = max_rank or problem.n_kept
    curve = cumulative(first, max([max_rank, *ranks]), n_counted)
    last = np.append(probe[1:] != probe[:-1], True)[: len(probe)]  # a probe's farthest match: order = m
    return RankingMetrics(
        cmc=curve[:max_rank],
        ranks={k: float(curve[k - 1]) for k in ranks},
        mean_average_precision=float(np.nansum(precision) / n_counted),
        mean_inverse_negative_penalty=float(np.sum(order[last] / rank[last]) / n_counted),
        n_probes=problem.n_probes,
        n_valid=int((first > 0).sum()),
        n_dropped=problem.n_probes - n_counted,
        first_rank=first,
        average_precision=precision,
        n_matches=np.bincount(probe, minlength=problem.n_probes),
    )
