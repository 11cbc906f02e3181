"""Colour spaces for the descriptors: plain formulas on float RGB in [0, 1] that return channels in [0, 1].

OpenCV's 8-bit conventions (hue up to 179, BGR order), a common source of errors in other implementations, are
not used.
"""

import numpy as np

# sRGB primaries and D65 white (IEC 61966-2-1); BT.601 weights of studio-range luma, (Y - 16) on [0, 219].
_RGB_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_WHITE = _RGB_TO_XYZ.sum(axis=1)
_LUMA = np.array([65.481, 128.553, 24.966])
_GREY = np.array([0.298936, 0.587043, 0.114021])


def hsv(rgb):
    """Return hue, saturation and value in [0, 1] (hue in [0, 1): a full turn is 1).

    Parameters
    ----------
    rgb : ndarray of shape (..., 3)
        Red, green, blue, on any common scale that starts at 0; value has the same scale.

    Returns
    -------
    ndarray of shape (..., 3)
        Hue and saturation are 0 where they are undefined (grey, black).
    """
    red, green, blue = np.moveaxis(rgb, -1, 0)
    value = rgb.max(axis=-1)
    chroma = value - rgb.min(axis=-1)
    safe = np.where(chroma > 0, chroma, 1)
    hue = np.where(
        value == red,
        ((green - blue) / safe) % 6,
        np.where(value == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    hue = np.where(chroma > 0, hue / 6, 0)
    hue = np.where(hue >= 1, 0, hue)  # a tiny negative sextant rounds up to the full turn
    saturation = chroma / np.where(value > 0, value, 1)
    return np.stack([hue, saturation, value], axis=-1)


def lab(rgb):
    """Return CIE L*a*b* of sRGB under D65, as ``L / 100``, ``(a + 50) / 100``, ``(b + 50) / 100``."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = linear @ (_RGB_TO_XYZ / _WHITE[:, None]).T
    delta = 6 / 29
    f = np.where(xyz > delta**3, np.cbrt(xyz), xyz / (3 * delta**2) + 4 / 29)
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([1.16 * y - 0.16, 5 * (x - y) + 0.5, 2 * (y - z) + 0.5], axis=-1)


def nrng(rgb):
    """Return normalised red and green, ``R / s`` and ``G / s`` with ``s = R + G + B``; black counts as grey, 1/3."""
    total = rgb.sum(axis=-1, keepdims=True)
    return np.where(total > 0, rgb[..., :2] / np.where(total > 0, total, 1), 1 / 3)


def luma(rgb):
    """Return BT.601 studio-range luma, ``(Y - 16) / 235``, of RGB in [0, 1]: from 0 (black) to 219 / 235."""
    return rgb @ (_LUMA / 235)


def grey(image):
    """Return the grey levels of a uint8 image (H, W, 3), rounded to 8 bits, as floats in [0, 1]."""
    return np.floor(image @ _GREY + 0.5) / 255
