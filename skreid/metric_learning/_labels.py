"""Identities and cameras to integer codes, checked: every mistake in y and cams is named here.

A metric is learned from cross-view pairs of one person and of different persons: both must exist.
"""

import warnings

import numpy as np
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets


def _codes(values, name, n_samples):
    """Encode labels of any one sortable type as 0..m-1: the sorted labels and the codes."""
    values = column_or_1d(values)
    if len(values) != n_samples:
        raise ValueError(f"{name} has {len(values)} entries but X has {n_samples} samples: give one for each.")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError(f"{name} holds NaN or infinity at entry {np.flatnonzero(~np.isfinite(values))[0]}.")
    try:
        return np.unique(values, return_inverse=True)
    except TypeError as error:
        raise ValueError(f"{name} must hold labels of one type (all numbers or all strings): {error}.") from error


def encode_identities(y, n_samples):
    """Encode ``y`` as integers; ValueError when it is no label vector or holds one identity only."""
    check_classification_targets(y)
    identities, ids = _codes(y, "y", n_samples)
    if len(identities) < 2:
        raise ValueError("Metric learning needs at least 2 identities in y; got 1 class only.")
    return ids


def encode_cams(cams, ids):
    """Encode ``cams`` as integers, given encoded identities, and check that cross-view pairs exist.

    Returns ``(views, cameras)``, both None without cams. Identities not seen by two cameras (without cams:
    in two images) are counted in a warning, not refused: they still serve in pairs of different persons.
    Where one identity has a cross-view pair, pairs of different persons exist too: whoever else there is
    differs in camera from one of its two images.
    """
    n_ids = int(ids.max()) + 1
    if cams is None:
        views = cameras = None
        alone, missing = np.bincount(ids) < 2, "two images"
    else:
        cameras, views = _codes(cams, "cams", len(ids))
        if len(cameras) < 2:
            raise ValueError(
                f"cams holds a single camera ({cameras.tolist()[0]!r}), so there are no cross-view pairs: "
                "leave cams out to learn from all pairs of images."
            )
        seen = np.bincount(ids * len(cameras) + views, minlength=n_ids * len(cameras)) > 0
        alone, missing = seen.reshape(n_ids, -1).sum(axis=1) < 2, "images in two cameras"
    if alone.all():
        raise ValueError(
            f"None of the {n_ids} identities has {missing}: there is no cross-view pair of one person to learn from."
        )
    if alone.any():
        warnings.warn(
            f"{alone.sum()} of {n_ids} identities lack {missing}: they serve in pairs of different persons only.",
            UserWarning,
            stacklevel=3,
        )
    return views, cameras
