"""The pixel features of the Gaussian descriptors: named groups of channels, computed on demand.

All channels are scaled to about unit range, since they share one covariance matrix.
"""

import numpy as np
from scipy.ndimage import uniform_filter
from scipy.signal import fftconvolve

from skreid.descriptors._color import hsv, lab, luma, nrng

# (sigma, tau) of Schmid's 13 rotation invariant filters.
SCHMID = tuple((sigma, tau) for sigma, most in ((2, 1), (4, 2), (6, 3), (8, 3), (10, 4)) for tau in range(1, most + 1))
MOMENT_SIZE = 5

GROUPS = {
    "y": ("y",),
    "x": ("x",),
    "gradient": ("g0", "g90", "g180", "g270"),
    "luma": ("luma",),
    "rgb": ("red", "green", "blue"),
    "lab": ("L", "a", "b"),
    "hsv": ("hue", "saturation", "value"),
    "nrng": ("nr", "ng"),
    "mean": ("mean_red", "mean_green", "mean_blue"),
    "std": ("std_red", "std_green", "std_blue"),
    "skewness": ("skewness_red", "skewness_green", "skewness_blue"),
    "schmid": tuple(f"schmid_{sigma}_{tau}" for sigma, tau in SCHMID),
}
_GROUP_OF = {channel: group for group, channels in GROUPS.items() for channel in channels}


def resolve(features, owner):
    """Return the channels of a list of features: group names, channel names, or ``(names, callable)`` pairs.

    Parameters
    ----------
    features : sequence
        Each is a key of `GROUPS`, a channel of a group, or ``(name or names, callable)``.
    owner : str
        Name of the class, for errors.

    Returns
    -------
    list of (source, names)
        A source is a group name or a callable; names are the channels taken from it.

    Raises
    ------
    ValueError
        If the list is empty, a name is unknown, or a channel is repeated.
    """
    plan = []
    for feature in features:
        if isinstance(feature, str) and feature in GROUPS:
            plan.append((feature, GROUPS[feature]))
        elif isinstance(feature, str) and feature in _GROUP_OF:
            plan.append((_GROUP_OF[feature], (feature,)))
        elif isinstance(feature, (tuple, list)) and len(feature) == 2 and callable(feature[1]):
            names = (feature[0],) if isinstance(feature[0], str) else tuple(feature[0])
            plan.append((feature[1], names))
        else:
            raise ValueError(
                f"The 'features' parameter of {owner} holds {feature!r}; each must be a group "
                f"{sorted(GROUPS)}, a channel of one, or (name, callable)."
            )
    names = [name for _, group in plan for name in group]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if not names or repeated:
        what = f"repeats the channels {repeated}" if repeated else "is empty"
        raise ValueError(f"The 'features' parameter of {owner} {what}.")
    return plan


def pixel_features(image, plan):
    """Return the pixel features of one image.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8
        Red, green, blue.
    plan : list of (source, names)
        From :func:`resolve`.

    Returns
    -------
    ndarray of shape (H, W, d), float64
        The channels, in the order of the plan.
    """
    rgb = image / 255.0
    cache, maps = {}, []
    for source, names in plan:
        if callable(source):
            maps.append(_from_callable(source, names, rgb))
            continue
        if source == "schmid":
            maps.append(schmid(luma(rgb), [SCHMID[GROUPS["schmid"].index(name)] for name in names]))
            continue
        if source not in cache:
            cache[source] = _COMPUTE[source](rgb)
        maps.append(cache[source][..., [GROUPS[source].index(name) for name in names]])
    return np.concatenate(maps, axis=-1)


def oriented_gradients(level):
    """Return the gradient magnitude, shared among four orientations: 0, 90, 180 and 270 degrees.

    The gradient filter is [-1 0 1] across and down, with zeros beyond the border. The magnitude is shared
    linearly between the two nearest orientations.

    Parameters
    ----------
    level : ndarray of shape (H, W)
        Grey levels.

    Returns
    -------
    ndarray of shape (H, W, 4)
        Their sum over the last axis is the gradient magnitude.
    """
    padded = np.pad(level, 1)
    across = padded[1:-1, 2:] - padded[1:-1, :-2]
    down = padded[2:, 1:-1] - padded[:-2, 1:-1]
    magnitude = np.hypot(across, down)
    quarter_turns = np.arctan2(down, across) * (2 / np.pi)  # (-2, 2]
    distance = np.abs((quarter_turns[..., None] - np.arange(4) + 2) % 4 - 2)
    return magnitude[..., None] * np.maximum(1 - distance, 0)


def schmid(level, pairs):
    r"""Return responses of Schmid's filters, ``cos(pi tau r / sigma) exp(-r^2 / (2 sigma^2))`` minus the mean.

    The filters are rotation invariant. Each has a radius of three sigma, sums to zero and has unit L1 norm.
    Borders are mirrored.

    Parameters
    ----------
    level : ndarray of shape (H, W)
        Grey levels.
    pairs : sequence of (sigma, tau)
        Scale in pixels, and number of cycles.

    Returns
    -------
    ndarray of shape (H, W, n_filters)
        One response per pair.

    References
    ----------
    Schmid, "Constructing models for content-based image retrieval", CVPR 2001.
    """
    responses = []
    for sigma, tau in pairs:
        kernel = schmid_kernel(sigma, tau)
        padded = np.pad(level, 3 * sigma, mode="symmetric")
        responses.append(fftconvolve(padded, kernel, mode="valid"))
    return np.stack(responses, axis=-1)


def schmid_kernel(sigma, tau):
    """Return one Schmid filter, (6 sigma + 1) pixels square."""
    axis = np.arange(-3 * sigma, 3 * sigma + 1)
    radius = np.hypot(*np.meshgrid(axis, axis))
    kernel = np.cos(np.pi * tau * radius / sigma) * np.exp(-(radius**2) / (2 * sigma**2))
    kernel -= kernel.mean()
    return kernel / np.abs(kernel).sum()


def _position(axis):
    def position(rgb):
        n = rgb.shape[axis]
        line = (np.arange(n) + 1) / n  # counted from 1: the last row or column has the value 1
        line = line[:, None] if axis == 0 else line[None, :]
        return np.broadcast_to(line, rgb.shape[:2])[..., None]

    return position


def _moment(order):
    """Return the function for a moment of 5x5 pixels: mean, standard deviation, or cube root of the third moment."""

    def moment(rgb):
        size = (MOMENT_SIZE, MOMENT_SIZE, 1)
        mean = uniform_filter(rgb, size, mode="nearest")
        if order == 1:
            return mean
        square = uniform_filter(rgb**2, size, mode="nearest")
        if order == 2:
            return np.sqrt(np.maximum(square - mean**2, 0))
        return np.cbrt(uniform_filter(rgb**3, size, mode="nearest") - 3 * mean * square + 2 * mean**3)

    return moment


def _from_callable(function, names, rgb):
    maps = np.asarray(function(rgb.copy()), dtype=np.float64)
    if maps.ndim == 2:
        maps = maps[..., None]
    if maps.shape != (*rgb.shape[:2], len(names)) or not np.isfinite(maps).all():
        raise ValueError(
            f"The pixel feature {names} must return finite values of shape {(*rgb.shape[:2], len(names))} "
            f"(height, width, channels). Got shape {maps.shape} instead, or values that are not finite."
        )
    return maps


_COMPUTE = {
    "y": _position(0),
    "x": _position(1),
    "gradient": lambda rgb: oriented_gradients(luma(rgb)),
    "luma": lambda rgb: luma(rgb)[..., None],
    "rgb": lambda rgb: rgb,
    "lab": lab,
    "hsv": hsv,
    "nrng": nrng,
    "mean": _moment(1),
    "std": _moment(2),
    "skewness": _moment(3),
}
