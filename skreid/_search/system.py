"""A fitted system: the part that describes images, the learned metric at its end, and the estimators within it.

A last step with a method `pairwise_distances` is a learned metric; without one, distances are Euclidean.
"""

import warnings
from collections.abc import Iterator
from contextlib import suppress
from inspect import signature
from itertools import chain, islice

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from skreid._base.arrays import as_array, tabular
from skreid._base.caller import level
from skreid._images.forms import is_image
from skreid._images.sequence import refuse_single
from skreid._search.identity import Origin, digest_of, mark_of


def describe(estimator, X, name="the images"):
    """Describe images with an estimator, leaving out a metric at its end.

    Parameters
    ----------
    estimator : fitted transformer or Pipeline
        If its last step has `pairwise_distances`, the steps before it describe.
    X : images, or array of shape (n, n_features)
        If the estimator takes images, a two-dimensional float array is assumed to be its descriptors, and returned. If
        it takes tables, descriptors are recognised where `skreid.describe` made them with this estimator.
    name : str
        What they are called in messages.

    Returns
    -------
    descriptors : ndarray of shape (n, n_features)
    """
    transformer, _ = split_system(estimator)
    if transformer is None:
        return _of_width(estimator, as_array(X, "descriptors"), name)
    origin = mark_of(X)
    if origin is not None and origin.digest == digest_of(transformer):
        return X
    X = tabular(X, "X")
    descriptors, takes_images = _descriptors(X), not get_tags(_first_step(transformer)).input_tags.two_d_array
    if descriptors is not None:
        if takes_images:
            if origin is not None:
                raise ValueError(
                    f"{name} come from another fitted system than the {type(estimator).__name__} given: no distance "
                    "between their descriptors means anything. Describe them by this system, or use theirs."
                )
            return _of_width(estimator, descriptors, name)
        if not hasattr(transformer, "feature_names_in_"):  # a frame's names would be new to it
            X = descriptors
    elif takes_images:
        refuse_single(X)
    if isinstance(X, Iterator):
        first = list(islice(X, 1))
        X = chain(first, X) if first else first
    if hasattr(X, "__len__") and len(X) == 0:
        return _describe_nothing(transformer, X)
    if not hasattr(transformer, "transform"):
        raise TypeError(
            f"{type(transformer).__name__} has no transform method, so it cannot describe images; rank "
            "with a transformer, a Pipeline of transformers, or one that ends in a metric with pairwise_distances."
        )
    return as_array(transformer.transform(X), "descriptors")


def width_of(system):
    """Return the number of dimensions of a fitted system's descriptors; None if it depends on images never seen."""
    describing, metric = split_system(system)
    width = getattr(metric, "n_features_in_", None)
    if width is not None or describing is None:
        return width
    last = steps_of(describing)[-1]
    if hasattr(last, "n_features_out_"):
        return last.n_features_out_
    with suppress(AttributeError, TypeError, ValueError):  # a step need not know names
        return len(last.get_feature_names_out())
    blank = _blank(_first_step(describing))
    return None if blank is None else as_array(describing.transform(blank), "descriptors").shape[1]


def check_width(name, width, others, expected):
    """Refuse descriptors, called `name`, of another width than `others`, which they are compared with."""
    if width != expected:
        raise ValueError(
            f"{name} have {width} dimensions, and {others} {expected}: descriptors must come from the same fitted "
            "system."
        )


def origin_of_system(estimator):
    """Return the origin of the descriptors of a fitted system."""
    describing, metric = split_system(estimator)
    return Origin(digest_of(describing), None if metric is None else type(metric).__name__)


def check_usable(descriptors, places=None):
    """Raise a ValueError if an image has no usable descriptor, naming the index of the first one."""
    bad = np.flatnonzero(~np.isfinite(descriptors).all(axis=1))
    if len(bad):
        raise ValueError(
            f"{len(bad)} of {len(descriptors)} images have descriptors with NaN or infinity, the first being image "
            f"{bad[0] if places is None else places[bad[0]]}: leave out images that cannot be used before scoring."
        )


def takes_cams(metric):
    """Return whether a metric's `pairwise_distances` takes cameras."""
    return metric is not None and "cams_probe" in signature(metric.pairwise_distances).parameters


def warn_without_cams(metric):
    """Warn that a metric is used without cameras, if it learned a projection for each."""
    learned = getattr(metric, "cameras_", None)
    if learned is not None and len(learned) > 1 and np.isfinite(getattr(metric, "view_reg", np.inf)):
        warnings.warn(
            f"{type(metric).__name__} learned a projection for each of {len(learned)} cameras, but no cameras were "
            "given to rank with, so it takes the mean of its projections and may find fewer people. If the cameras are "
            "among those of fit, give them: cams_probe and cams_gallery, or cams of a scorer, a data set or "
            "Gallery.from_estimator.",
            stacklevel=level(),
        )


def split_system(estimator):
    """Return the describing part of an estimator (or None) and its learned metric (None if Euclidean).

    The metric is the last step of a Pipeline, which may be inside another Pipeline or a fitted search.
    """
    within = _within(estimator)
    if hasattr(estimator, "best_estimator_"):
        return split_system(within[0][1])
    if not isinstance(estimator, Pipeline):
        return (None, estimator) if hasattr(estimator, "pairwise_distances") else (estimator, None)
    name, last = within[-1] if within else ("", estimator)
    describing, metric = split_system(last) if within else (None, None)
    if metric is None:
        return estimator, None
    steps = within[:-1] + ([] if describing is None else [(name, describing)])
    return (Pipeline(steps) if steps else None), metric


def steps_of(system):
    """Return the fitted steps of a system, however nested, in order, without those that do nothing."""
    if isinstance(system, Pipeline) or hasattr(system, "best_estimator_"):
        return [inner for _, part in _within(system) for inner in steps_of(part)]
    check_is_fitted(system)
    return [system]


def parts_of(estimator):
    """Yield an estimator and every fitted one within it: steps of Pipelines, members of unions, searches."""
    yield estimator
    others = [estimator.estimator_] if hasattr(estimator, "estimator_") else []
    for part in [part for _, part in _within(estimator)] + others:
        yield from parts_of(part)


def identities_of(part):
    """Return the identities that an estimator was fitted on -> number of images, or None where it is not known."""
    passes_on = hasattr(part, "steps") or hasattr(part, "best_estimator_")  # those of an estimator within it
    classes = np.asarray(() if passes_on else getattr(part, "classes_", ()))
    if classes.ndim != 1:
        return {}
    counts = getattr(part, "class_count_", None)
    counts = [None] * len(classes) if counts is None else np.asarray(counts).tolist()
    return dict(zip(classes.tolist(), counts, strict=True))


def _within(estimator):
    """Return the names of the estimators directly within a Pipeline, a union or a search, and these, in order."""
    if hasattr(estimator, "best_estimator_"):
        return [("best_estimator_", estimator.best_estimator_)]
    parts = getattr(estimator, "steps", None) or getattr(estimator, "transformer_list", None) or ()
    return [(name, part) for name, part in parts if part not in (None, "passthrough", "drop")]


def _first_step(estimator):
    """Return the estimator that gets the images first, however nested."""
    within = _within(estimator)
    return _first_step(within[0][1]) if within else estimator


def _of_width(system, descriptors, name):
    """Return descriptors that were given in place of images, if they are as wide as those of the system."""
    expected = width_of(system)
    if expected is None:
        return descriptors
    if not descriptors.size:
        return np.empty((0, expected), descriptors.dtype)
    if descriptors.ndim == 2:
        check_width(name, descriptors.shape[1], f"the descriptors of this {type(system).__name__}", expected)
    return descriptors


def _blank(first, shape=()):
    """Return one input that shows nothing, a row of zeros or a black image, as a first step takes it; None if unknown.

    `shape` is that of inputs, as far as it is known.
    """
    n_features = shape[1] if len(shape) == 2 and shape[1] else getattr(first, "n_features_in_", None)
    if n_features is not None and get_tags(first).input_tags.two_d_array:
        return np.zeros((1, n_features))
    size = getattr(first, "image_shape_", None) or getattr(first, "input_size", None)
    return None if size is None else np.zeros((1, *size, 3), np.uint8)


def _describe_nothing(transformer, X):
    """Describe no images: no rows, as wide as the descriptor of a blank; scikit-learn's steps refuse no rows."""
    first = _first_step(transformer)
    blank = _blank(first, getattr(X, "shape", ()))
    if blank is None and hasattr(first, "input_size"):
        return first.transform(X)  # says that the size of images is unknown
    if blank is None:
        blank = np.zeros((1, 128, 48, 3), np.uint8)
    return as_array(transformer.transform(blank), "descriptors")[:0]


def _descriptors(X):
    """Return X as an array if it is a table of floats, which may be descriptors; None otherwise."""
    if isinstance(X, (list, tuple)):
        is_table = len(X) > 0 and (isinstance(X[0], (list, tuple)) or len(getattr(X[0], "shape", ())) == 1)
    else:
        is_table = len(getattr(X, "shape", ())) == 2 and not hasattr(X, "toarray")
    if not is_table:
        return None
    try:
        table = np.asarray(X)
    except ValueError:  # rows of different lengths
        return None
    if table.ndim != 2 or table.dtype.kind in "US" or is_image(next(table.flat, None)):
        return None  # a table of paths, say
    table = as_array(X, "descriptors")
    return table if table.dtype.kind == "f" else None
