"""The fitted system of a gallery, a copy that later fits of the original do not change.

Descriptors of another system, or ranked by another measure than their system's, are noticed where that is known.
"""

import warnings
from copy import deepcopy

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skreid._images.forms import is_image
from skreid._search.identity import digest_of, mark_of
from skreid._search.system import describe, origin_of_system, parts_of, split_system
from skreid.exceptions import MeasureWarning


class System:
    """What describes the images of a gallery, and the learned metric that ranks them, if there is one.

    Parameters
    ----------
    estimator : fitted transformer or Pipeline
    copied : bool, default=True
        Whether to copy it; not needed for one that was just loaded.
    """

    def __init__(self, estimator, copied=True):
        check_is_fitted(estimator)
        if copied:  # callbacks may hold connections, which cannot be copied
            callbacks = [getattr(part, "_skl_callbacks", None) for part in parts_of(estimator)]
            estimator = deepcopy(estimator, {id(each): each for each in callbacks if each is not None})
        self.estimator, self.metric = estimator, split_system(estimator)[1]
        self.origin = origin_of_system(estimator)

    def describe(self, X, name):
        """Describe images, called `name` in messages; descriptors are returned as they are."""
        return describe(self.estimator, X, name)


def check_origin(ours, theirs, what):
    """Refuse descriptors of another system than a gallery's; None is an origin that is not known.

    Parameters
    ----------
    ours, theirs : Origin or None
        Of the gallery, and of what is added or searched for.
    what : str
        What the latter is called.
    """
    if ours is not None and theirs is not None and ours.digest != theirs.digest:
        raise ValueError(
            f"{what} come from another fitted system than the gallery's descriptors: no distance between them means "
            "anything. Describe them by the gallery's own system, or build the gallery with this one."
        )


def refuse_images(X, name):
    """Refuse images, or the estimator that describes them, where descriptors belong."""
    if hasattr(X, "fit"):
        raise TypeError(
            f"{name} must be an array of shape (n_images, n_features). Got the estimator {type(X).__name__}: build the "
            "gallery with Gallery.from_estimator(system, images)."
        )
    first = X[0] if type(X) in (list, tuple, np.ndarray) and len(X) else None
    if isinstance(X, (str, bytes)) or getattr(X, "ndim", 0) == 4 or (first is not None and _shows(first)):
        raise ValueError(
            f"{name} are images, and this gallery has no system that describes them: give descriptors, as "
            "skreid.describe(system, images) returns them, or build the gallery with "
            "Gallery.from_estimator(system, images)."
        )


def _shows(entry):
    """Return whether the first of several entries is an image, and no row of numbers."""
    return is_image(entry) and not isinstance(entry, (list, tuple))


def refuse_other_system(system, origin, measure, estimator):
    """Refuse an estimator that describes or ranks in another way than a gallery.

    Parameters
    ----------
    system : System or None
        Of the gallery.
    origin : Origin or None
        Of its descriptors.
    measure : str
        Name of its measure.
    estimator : fitted transformer or Pipeline
    """
    metric = split_system(estimator)[1]
    if origin is not None:
        check_origin(origin, origin_of_system(estimator), "the probes")
    same = digest_of(metric) == digest_of(system.metric) if system else metric is None or measure == "euclidean"
    if not same:
        given = "Euclidean distance" if metric is None else f"{type(metric).__name__}, as it was fitted"
        raise ValueError(
            f"This gallery ranks by {measure}, and the estimator given by {given}: call gallery.kneighbors, or build "
            "the gallery with Gallery.from_estimator and this estimator."
        )


def warn_of_metric(ours, theirs, metric):
    """Warn if descriptors whose system ranks by a learned metric are ranked by a plain one."""
    learned = [origin.metric for origin in (ours, theirs) if origin is not None and origin.metric is not None]
    if learned:
        warnings.warn(
            f"The descriptors come from a system that ranks by {learned[0]}, and this gallery ranks them by "
            f"{metric} distance. Build it with Gallery.from_estimator(system, images) to rank by {learned[0]}.",
            MeasureWarning,
            stacklevel=4,
        )


def known_origin(values):
    """Return the origin of descriptors, if `skreid.describe` returned them; None otherwise."""
    return mark_of(values) if isinstance(values, np.ndarray) else None
