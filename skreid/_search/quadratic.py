"""The quadratic form of a learned metric, as its fitted attributes hold it: read here and nowhere else.

The distance is (p - g)^T C^T M C (p - g): `components_` is C, which projects, and `metric_` is M, which weighs.
"""

import numpy as np


def weights_of(metric, n_components):
    """Return M, shape (n_components, n_components); the identity for a metric whose projections have no weights."""
    return np.asarray(getattr(metric, "metric_", np.eye(n_components)))


def quadratic_form(metric, consequence):
    """Return C, shape (n_components, n_features), and M, shape (n_components, n_components).

    Parameters
    ----------
    metric : fitted metric
    consequence : str
        What follows for a metric that has no such form, for the message.

    Raises
    ------
    TypeError
        If the metric does not hold both.
    """
    components, weights = getattr(metric, "components_", None), getattr(metric, "metric_", None)
    if np.ndim(components) != 2 or np.ndim(weights) != 2:
        raise TypeError(
            f"{type(metric).__name__} is not a quadratic form of the difference of two descriptors, so {consequence}"
        )
    return np.asarray(components), np.asarray(weights)
