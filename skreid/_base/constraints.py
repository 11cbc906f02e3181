"""Constraints of estimators' parameters, for scikit-learn's own validation."""

from numbers import Integral

import numpy as np
from sklearn.utils._param_validation import Interval


class IntRange(Interval):
    """Constraint of an estimator's parameter: an int, not a bool, of at least `low` and at most `high`."""

    def __init__(self, low, high=None):
        super().__init__(Integral, low, high, closed="left" if high is None else "both")

    def is_satisfied_by(self, value):
        """Whether a value is allowed."""
        return not isinstance(value, (bool, np.bool_)) and super().is_satisfied_by(value)
