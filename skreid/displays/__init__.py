"""Pictures of training, exploring, ranking and figures, by scikit-learn's Display convention.

Each Display keeps what it draws as attributes and draws in ``plot()``; matplotlib is imported only there.
"""

from skreid.displays._cmc import CMCDisplay
from skreid.displays._feature_maps import FeatureMapDisplay
from skreid.displays._filter_margin import FilterMarginDisplay
from skreid.displays._ranking import RankingDisplay
from skreid.displays._training_curve import TrainingCurveDisplay

__all__ = [
    "CMCDisplay",
    "FeatureMapDisplay",
    "FilterMarginDisplay",
    "RankingDisplay",
    "TrainingCurveDisplay",
]
