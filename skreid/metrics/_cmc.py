"""The cumulative matching characteristic and its value at one rank.

Only the nearest true match of a probe matters here, so one count per probe is enough.
"""

from skreid._base.checks import check_int
from skreid.metrics._counting import match_ranks
from skreid.metrics._docs import fill
from skreid.metrics._figures import count_probes, cumulative, first_ranks
from skreid.metrics._problem import Problem


def _curve(problem, max_rank):
    first = first_ranks(problem, *match_ranks(problem, "first"))
    n_counted = count_probes(problem, first > 0, stacklevel=4)
    return cumulative(first, max_rank, n_counted)


@fill
def cmc_curve(
    y_probe,
    y_gallery,
    distances,
    *,
    cams_probe=None,
    cams_gallery=None,
    max_rank=None,
    junk_ids=None,
    on_missing="warn",
    block_size=None,
):
    """Compute the cumulative matching characteristic: the share of probes recognised within the first k ranks.

    Parameters
    ----------
    %(identities)s
    %(distances)s
    %(cams)s
    %(junk_ids)s
    max_rank : int, default=None
        Length of the curve; by default the number of gallery images that are not junk. Beyond the gallery's
        end the curve stays at its last value.
    on_missing : {"warn", "drop", "zero", "raise"}, default="warn"
        %(on_missing)s
    %(block_size)s

    Returns
    -------
    ndarray of shape (max_rank,)
        Never decreasing, in [0, 1]; the first entry is rank 1.

    Raises
    ------
    %(raises)s

    See Also
    --------
    ranking_metrics : All figures and counts in one pass.

    Notes
    -----
    A true match tied with wrong gallery images is ranked behind all of them. So the figure depends neither on
    the order of the files nor on a random state, and a descriptor that is the same for all images scores 0
    until the last ranks.

    Examples
    --------
    >>> from skreid.metrics import cmc_curve
    >>> cmc_curve(["ann", "bo"], ["bo", "ann", "cy"], [[0.3, 0.1, 0.2], [0.5, 0.4, 0.9]])
    array([0.5, 1. , 1. ])
    """
    max_rank = check_int(max_rank, "max_rank", "cmc_curve", none=True)
    problem = Problem(
        "cmc_curve",
        y_probe,
        y_gallery,
        distances,
        cams_probe=cams_probe,
        cams_gallery=cams_gallery,
        junk_ids=junk_ids,
        on_missing=on_missing,
        block_size=block_size,
    )
    return _curve(problem, max_rank or problem.n_kept)


@fill
def rank_k(
    y_probe,
    y_gallery,
    distances,
    *,
    cams_probe=None,
    cams_gallery=None,
    k=1,
    junk_ids=None,
    on_missing="warn",
    block_size=None,
):
    """Compute the share of probes with a true match among the k nearest gallery images.

    Parameters
    ----------
    %(identities)s
    %(distances)s
    %(cams)s
    %(junk_ids)s
    k : int, default=1
        The rank.
    on_missing : {"warn", "drop", "zero", "raise"}, default="warn"
        %(on_missing)s
    %(block_size)s

    Returns
    -------
    float
        In [0, 1]; ties as in :func:`cmc_curve`.

    Raises
    ------
    %(raises)s

    Examples
    --------
    >>> from skreid.metrics import rank_k
    >>> rank_k(["ann", "bo"], ["bo", "ann", "cy"], [[0.3, 0.1, 0.2], [0.5, 0.4, 0.9]], k=1)
    0.5
    """
    k = check_int(k, "k", "rank_k")
    problem = Problem(
        "rank_k",
        y_probe,
        y_gallery,
        distances,
        cams_probe=cams_probe,
        cams_gallery=cams_gallery,
        junk_ids=junk_ids,
        on_missing=on_missing,
        block_size=block_size,
    )
    return float(_curve(problem, k)[-1])
