"""Plots of training, chosen filters, rankings and recognition rates, by scikit-learn's Display convention.

A Display keeps the data it draws as attributes and draws them in ``plot()``. matplotlib is imported only there.
"""

from skreid.displays._camera_pairs import CameraPairDisplay
from skreid.displays._cmc import CMCDisplay
from skreid.displays._feature_maps import FeatureMapDisplay
from skreid.displays._filter_margin import FilterMarginDisplay
from skreid.displays._match import MatchDisplay
from skreid.displays._open_set import OpenSetDisplay
from skreid.displays._ranking import RankingDisplay
from skreid.displays._training_curve import TrainingCurveDisplay

__all__ = [
    "CMCDisplay",
    "CameraPairDisplay",
    "FeatureMapDisplay",
    "FilterMarginDisplay",
    "MatchDisplay",
    "OpenSetDisplay",
    "RankingDisplay",
    "TrainingCurveDisplay",
]
