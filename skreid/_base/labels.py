"""Identities and cameras as integer codes: every mistake in `y` and `cams` is named here."""

import warnings

import numpy as np
from sklearn.utils import column_or_1d


def encode(values, name, n_samples, of="images"):
    """Encode labels of any one sortable type.

    Parameters
    ----------
    values : array-like of shape (n_samples,)
    name : str
        What they are called in errors.
    n_samples : int
        How many there must be.
    of : str, default="images"
        What `X` holds so many of.

    Returns
    -------
    labels : ndarray of shape (n_labels,)
        The sorted distinct labels.
    codes : ndarray of shape (n_samples,), int64
        Place of each value in `labels`.

    Raises
    ------
    ValueError
        If `values` has another length, holds NaN or infinity, or mixes types.
    """
    if any(value is None for value in np.asarray(values, dtype=object).ravel()):
        raise ValueError(f"Input {name} has missing labels (None): every image needs one.")
    mixed = f"{name} must hold labels of one type, all numbers or all strings; it mixes them."
    if isinstance(values, (list, tuple)) and len({isinstance(value, str) for value in values}) > 1:
        raise ValueError(mixed)
    values = column_or_1d(values)
    if len(values) != n_samples:
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: {name} has {len(values)} entries, "
            f"X has {n_samples} {of}; give one for each."
        )
    bad = ()
    if values.dtype.kind == "f":
        bad = np.flatnonzero(~np.isfinite(values))
    elif values.dtype == object:
        bad = [i for i, one in enumerate(values) if isinstance(one, (float, np.floating)) and not np.isfinite(one)]
    if len(bad):
        raise ValueError(f"Input {name} contains NaN or infinity, first at entry {bad[0]}.")
    try:
        labels, codes = np.unique(values, return_inverse=True)
    except TypeError:
        raise ValueError(mixed) from None
    return labels, codes.astype(np.int64)


def encode_identities(y, n_samples, of="images"):
    """Encode the identities of training images; there must be two or more, and no continuous target."""
    if y is None:
        raise ValueError("This estimator requires y to be passed, but the target y is None.")
    classes, codes = encode(y, "y", n_samples, of)
    if classes.dtype.kind == "f" and np.any(classes != np.floor(classes)):
        raise ValueError(
            f"Unknown label type: continuous. y must hold identities; got numbers such as "
            f"{classes[classes != np.floor(classes)][0]:g}."
        )
    if len(classes) < 2:
        raise ValueError(
            f"y holds 1 class only ({classes[0]!s}), a single identity; at least 2 identities are needed to learn "
            "what tells persons apart."
        )
    return classes, codes


def encode_cams(cams, identities, of="images"):
    """Encode the cameras beside encoded identities, and check that pairs across them exist.

    Parameters
    ----------
    cams : array-like of shape (n_samples,) or None
    identities : ndarray of shape (n_samples,), int
    of : str, default="images"
        What `X` holds so many of.

    Returns
    -------
    views : ndarray of shape (n_samples,), int64, or None
    cameras : ndarray of shape (n_cameras,) or None
        The sorted distinct cameras; both are None without `cams`.

    Raises
    ------
    ValueError
        If there is one camera only, or no identity has a pair; see `check_pairs`.
    """
    views = cameras = None
    if cams is not None:
        cameras, views = encode(cams, "cams", len(identities), of)
        if len(cameras) < 2:
            raise ValueError(
                f"cams holds a single camera ({cameras.tolist()[0]!r}), so there is no pair across cameras: "
                "leave cams out to learn from all pairs of images."
            )
    check_pairs(identities, views, stacklevel=4)
    return views, cameras


def check_pairs(codes, cams=None, stacklevel=3):
    """Check that some identity has a pair of images (in two cameras, if `cams` are given).

    Raises
    ------
    ValueError
        If no identity has one.

    Warns
    -----
    UserWarning
        With the number of identities that have none, when others do.
    """
    n_identities = codes.max() + 1
    if cams is None:
        seen, wanted = np.bincount(codes, minlength=n_identities), "image"
    else:
        seen = np.bincount(np.unique(np.stack([codes, cams]), axis=1)[0], minlength=n_identities)
        wanted = "camera"
    alone = int((seen < 2).sum())
    if alone == n_identities:
        raise ValueError(
            f"Every one of the {n_identities} identities has a single {wanted}: there is no pair of images of "
            f"the same person to compare. Give two or more {wanted}s of at least one identity."
        )
    if alone:
        warnings.warn(
            f"{alone} of {n_identities} identities have a single {wanted}: they serve as other persons, but give "
            "no pair of the same person.",
            stacklevel=stacklevel,
        )
