"""Mean average precision and mean inverse negative penalty, which depend on all true matches, not only the nearest.

They separate a system that finds all images of a person from one that finds a single image.
"""

import numpy as np

from skreid.metrics._counting import match_ranks
from skreid.metrics._docs import fill
from skreid.metrics._figures import average_precision, count_probes
from skreid.metrics._problem import Problem


@fill
def mean_average_precision(
    y_probe,
    y_gallery,
    distances,
    *,
    cams_probe=None,
    cams_gallery=None,
    junk_ids=None,
    on_missing="warn",
    block_size=None,
):
    """Compute the mean over the probes of the average precision of their rankings (mAP).

    A probe with true matches at ranks r_1 < ... < r_m has average precision (1 / m) sum_j j / r_j.

    Parameters
    ----------
    %(identities)s
    %(distances)s
    %(cams)s
    %(junk_ids)s
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

    References
    ----------
    L. Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015.

    Examples
    --------
    >>> from skreid.metrics import mean_average_precision
    >>> mean_average_precision([7], [7, 8, 7, 9], [[0.1, 0.2, 0.3, 0.4]])  # (1/1 + 2/3) / 2
    0.8333333333333333
    """
    problem = Problem(
        "mean_average_precision",
        y_probe,
        y_gallery,
        distances,
        cams_probe=cams_probe,
        cams_gallery=cams_gallery,
        junk_ids=junk_ids,
        on_missing=on_missing,
        block_size=block_size,
    )
    precision = average_precision(problem, *match_ranks(problem, "all"))
    n_counted = count_probes(problem, ~np.isnan(precision))
    return float(np.nansum(precision) / n_counted)


@fill
def mean_inverse_negative_penalty(
    y_probe,
    y_gallery,
    distances,
    *,
    cams_probe=None,
    cams_gallery=None,
    junk_ids=None,
    on_missing="warn",
    block_size=None,
):
    """Compute the mean over the probes of m / r_m (mINP), which is high if even the last true match comes early.

    m is the number of a probe's true matches, r_m the rank of the farthest.

    Parameters
    ----------
    %(identities)s
    %(distances)s
    %(cams)s
    %(junk_ids)s
    on_missing : {"warn", "drop", "zero", "raise"}, default="warn"
        %(on_missing)s
    %(block_size)s

    Returns
    -------
    float
        In [0, 1]; 1 if all true matches of all probes come first. Ties as in :func:`cmc_curve`.

    Raises
    ------
    %(raises)s

    References
    ----------
    M. Ye et al., "Deep Learning for Person Re-identification: A Survey and Outlook", TPAMI 2021.

    Examples
    --------
    >>> from skreid.metrics import mean_inverse_negative_penalty
    >>> round(mean_inverse_negative_penalty([7], [7, 8, 7, 9], [[0.1, 0.2, 0.3, 0.4]]), 3)  # 2 / 3
    0.667
    """
    problem = Problem(
        "mean_inverse_negative_penalty",
        y_probe,
        y_gallery,
        distances,
        cams_probe=cams_probe,
        cams_gallery=cams_gallery,
        junk_ids=junk_ids,
        on_missing=on_missing,
        block_size=block_size,
    )
    probe, order, rank = match_ranks(problem, "last")
    has_match = np.zeros(problem.n_probes, dtype=bool)
    has_match[probe] = True
    n_counted = count_probes(problem, has_match)
    return float(np.sum(order / rank) / n_counted)
