"""Shared by all Displays: axes, styles, single images of X, and the fitted step of a Pipeline or search.

The colours are those of Okabe and Ito, which colour-blind readers can tell apart. Colour is never the only difference.
"""

import numpy as np
from sklearn.pipeline import Pipeline

from skreid._base.text import visible
from skreid._images.decode import grey_to_rgb, load
from skreid.exceptions import ImageError

BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
SIGN_FONT = "DejaVu Sans"  # comes with matplotlib and has the signs ✓ and ✗


def require_matplotlib(caller):
    """Raise an ImportError that says what to install if matplotlib is missing."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError(f"{caller} requires matplotlib. Install it with 'pip install skreid[plot]'.") from error


def single_axes(ax, owner, **figure_kwargs):
    """Return the axes to draw on: `ax`, or the axes of a new figure if it is None."""
    require_matplotlib(f"{owner}.plot")
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(layout="constrained", **figure_kwargs)[1]


def grid_of_axes(ax, shape, owner, *, figsize, **ratios):
    """Return an array of axes of a shape: those of a new figure, one given axes divided, or a given array of axes."""
    require_matplotlib(f"{owner}.plot")
    if ax is None:
        import matplotlib.pyplot as plt

        figure = plt.figure(figsize=figsize, layout="constrained")
        return figure.subplots(*shape, squeeze=False, gridspec_kw=ratios)
    if hasattr(ax, "get_subplotspec"):
        spec = ax.get_subplotspec()
        if spec is None:
            raise ValueError(
                f"The 'ax' given to {owner}.plot is not part of a grid, so it cannot be divided: make it with "
                f"plt.subplots(), or pass an array of axes of shape {shape}."
            )
        ax.set_axis_off()
        inner = spec.subgridspec(*shape, **ratios)
        return np.array([[ax.figure.add_subplot(inner[i, j]) for j in range(shape[1])] for i in range(shape[0])])
    axes = np.asarray(ax, dtype=object)
    if axes.size != shape[0] * shape[1]:
        raise ValueError(
            f"{owner}.plot draws on {shape[0]} x {shape[1]} axes, but 'ax' holds {axes.size}. Pass one axes, "
            f"an array of {shape[0] * shape[1]}, or None."
        )
    return axes.reshape(shape)


def style(default, given):
    """Merge given keyword arguments of matplotlib into the defaults; short names such as "lw" are spelled out."""
    short = {"c": "color", "ls": "linestyle", "lw": "linewidth", "ms": "markersize", "ec": "edgecolor"}
    given = {} if given is None else given
    for alias, name in short.items():
        if alias in given and name in given:
            raise TypeError(f"Got both {alias!r} and {name!r}, which are aliases of one another.")
    return default | {short.get(name, name): value for name, value in given.items()}


def drawable(text):
    """Return a text that matplotlib draws as it is, even if no font has its letters; a dollar starts no formula."""
    return visible(text).replace("$", r"\$")


def readable(value):
    """Write a number with three significant digits, as people do: 0.0123, 12.3 or 4.56 × 10⁻⁵."""
    if value == 0 or not np.isfinite(value):
        return f"{value:g}"
    mantissa, exponent = f"{value:.2e}".split("e")
    if -4 < int(exponent) < 5:
        return f"{value:.{max(0, 2 - int(exponent))}f}"
    return f"{mantissa} × 10{str(int(exponent)).translate(SUPERSCRIPT)}"


def picture(images, index):
    """Return one image as a network sees it, but at its own size.

    Parameters
    ----------
    images : sequence
        Images as estimators accept them: arrays, PIL images or file paths.
    index : int

    Returns
    -------
    picture : ndarray of shape (height, width, 3)
        uint8, or float in [0, 1].

    Raises
    ------
    ImageError
        If the entry is not an image, or its file cannot be read.
    ValueError
        If there are no images.
    """
    if hasattr(images, "__len__") and not len(images):
        raise ValueError("There is no image to show: give at least one.")
    image = images.iloc[index] if hasattr(images, "iloc") else images[index]
    try:
        array = load(image, index)
    except ImageError as error:
        hint = " If these are descriptors, pass the images they came from." if getattr(image, "ndim", 0) == 1 else ""
        raise ImageError(index, f"Cannot be shown: {error}{hint}") from error
    if array.ndim == 2:
        array = grey_to_rgb(array)
    return array if array.dtype == np.uint8 else array.astype(np.float64)


def fitted_part(estimator, attribute, owner):
    """Return the estimator that has a fitted attribute: the given one, or a step of the given Pipeline or search."""
    candidates = [estimator]
    best = getattr(estimator, "best_estimator_", None)
    if best is not None:
        candidates.append(best)
    for candidate in list(candidates):
        if isinstance(candidate, Pipeline):
            candidates.extend(step for _, step in candidate.steps)
    for candidate in candidates:
        if hasattr(candidate, attribute):
            return candidate
    raise ValueError(
        f"{owner} needs a fitted estimator with the attribute {attribute!r}, such as MultiDepthReID, alone or in a "
        f"Pipeline. Got {type(estimator).__name__} without it: fit it first, or use another display."
    )
