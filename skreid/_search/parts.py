"""The distance of two descriptors as what each of their dimensions adds, also through the steps behind them."""

from copy import copy

import numpy as np
from scipy.sparse import issparse
from sklearn.base import OneToOneFeatureMixin
from sklearn.preprocessing import Normalizer

from skreid._search.quadratic import quadratic_form

PROBED_VALUES = 2**24  # of unit vectors, sent through a step at once
ROUNDING = 1e-6  # relative error up to which a step counts as linear


def split_distance(rows, steps):
    """Split the distance of two rows, after all steps, into what each of their dimensions adds.

    Dimensions keep their identity until the first step that mixes them. From there on, each image is
    ``scale * mixing @ row + constant``, where the scale and the constant differ between the two images.

    Returns total (float), parts (d,), remainder (float), and whether a learned metric decides the distance.
    """
    steps = [_without_names(step) for step in steps]
    metric = steps.pop() if steps and hasattr(steps[-1], "pairwise_distances") else None
    while steps and isinstance(steps[0], OneToOneFeatureMixin):
        rows = _through(steps.pop(0), rows)
    mixing, scale, constant, ends = None, np.ones(2), 0.0, rows
    for step in steps:
        after = _through(step, ends)
        if isinstance(step, Normalizer):
            length, before = np.linalg.norm(after, axis=1), np.linalg.norm(ends, axis=1)
            length = np.divide(length, before, out=np.ones(2), where=before > 0)  # a row of zeros stays one
            scale, constant = scale * length, constant * length[:, None]
        elif mixing is None:
            mixing, constant = _linear_map(step, ends, after)
            constant = np.tile(constant, (2, 1))
        else:
            matrix, added = _linear_map(step, ends, after)
            mixing, constant = matrix @ mixing, constant @ matrix.T + added
        ends = after
    apart = ends[0] - ends[1]
    pull = apart
    if metric is not None:
        components, weights = quadratic_form(metric, "its distances have no exact parts. XQDA is one.")
        pull = components.T @ (weights @ (components @ apart))
    total = float(apart @ pull)
    if mixing is None:
        return total, apart * pull, 0.0, metric is not None
    left = constant[0] - constant[1]  # of the difference: what the two rows do not explain
    rows = rows - _origin(mixing, left, scale[0] - scale[1])
    left = apart - mixing @ (scale[0] * rows[0] - scale[1] * rows[1])
    return total, (scale[0] * rows[0] - scale[1] * rows[1]) * (mixing.T @ pull), float(left @ pull), metric is not None


def _origin(mixing, left, apart):
    """Return the point to count rows from, (d,): then images scaled apart share as little of a constant as possible."""
    if apart == 0:
        return np.zeros(mixing.shape[1])
    return mixing.T @ np.linalg.lstsq(mixing @ mixing.T, -left / apart)[0]


def _through(step, rows):
    """Return what a step makes of rows, as a float64 array."""
    if not hasattr(step, "transform"):
        raise TypeError(f"{type(step).__name__} has no transform method, so no distance can be explained through it.")
    return _dense(step.transform(rows))


def _dense(values):
    """Return an array or a sparse matrix as a float64 array."""
    return np.asarray(values.toarray() if issparse(values) else values, dtype=np.float64)


def _without_names(step):
    """Return a copy of a step that takes plain arrays, even if it was fitted on a table with names."""
    step = copy(step)
    vars(step).pop("feature_names_in_", None)
    return step


def _linear_map(step, rows, after):
    """Return the matrix (k, d) and the constant (k,) of a linear step; `after` is what it makes of `rows`."""
    constant = _through(step, np.zeros((1, rows.shape[1])))[0]
    for matrix in _candidates(step, rows.shape[1]):
        expected = rows @ matrix.T + constant
        if np.abs(expected - after).max() <= ROUNDING * np.abs(after).max(initial=0):
            return matrix, constant
    raise TypeError(
        f"{type(step).__name__} is not linear, so the distance behind it has no exact parts. explain_match goes "
        "through linear steps and Normalizer. Right behind MultiDepthReID, it also goes through steps that treat each "
        "dimension apart (scikit-learn's OneToOneFeatureMixin), such as PowerTransformer."
    )


def _candidates(step, n_features):
    """Yield matrices that a step may multiply by: its components, then what it makes of unit vectors."""
    components = getattr(step, "components_", None)
    if np.ndim(components) == 2 and components.shape[1] == n_features:
        components = _dense(components)
        yield components
        if hasattr(step, "explained_variance_"):  # whitened
            yield components / np.sqrt(step.explained_variance_)[:, None]
    constant = _through(step, np.zeros((1, n_features)))
    size = max(1, PROBED_VALUES // n_features)
    yield np.concatenate(
        [
            _through(step, np.eye(min(size, n_features - low), n_features, low)) - constant
            for low in range(0, n_features, size)
        ]
    ).T
