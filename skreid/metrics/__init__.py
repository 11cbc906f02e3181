"""Figures computed from identities and distances: CMC, mAP, mINP and error rates, without torch.

Each figure is a function ``f(y_probe, y_gallery, distances, *, cams_probe=None, cams_gallery=None, ...)``. The other
functions make distances (`distance_blocks`, `k_reciprocal_blocks`, `k_reciprocal_rerank`) or say how certain a figure
is (`summary`, `wilson_interval`).
"""

from skreid._search.distances import DistanceBlocks, distance_blocks
from skreid._search.reranking import RerankedBlocks
from skreid.metrics._cmc import cmc_curve, rank_k
from skreid.metrics._open_set import OpenSetCurve, open_set_curve, threshold_at_far
from skreid.metrics._precision import mean_average_precision, mean_inverse_negative_penalty
from skreid.metrics._ranking import RankingMetrics, ranking_metrics
from skreid.metrics._rerank import k_reciprocal_blocks, k_reciprocal_rerank
from skreid.metrics._summary import Summary, summary, wilson_interval
from skreid.metrics._verification import VerificationCurve, threshold_at_fmr, verification_curve

__all__ = [
    "DistanceBlocks",
    "OpenSetCurve",
    "RankingMetrics",
    "RerankedBlocks",
    "Summary",
    "VerificationCurve",
    "cmc_curve",
    "distance_blocks",
    "k_reciprocal_blocks",
    "k_reciprocal_rerank",
    "mean_average_precision",
    "mean_inverse_negative_penalty",
    "open_set_curve",
    "rank_k",
    "ranking_metrics",
    "summary",
    "threshold_at_far",
    "threshold_at_fmr",
    "verification_curve",
    "wilson_interval",
]
