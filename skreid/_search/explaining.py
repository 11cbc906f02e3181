"""Why two images are near or far: the squared distance of their descriptors as a sum over layers, filters and rows.

Exact for the descriptor of `MultiDepthReID`, whose every dimension has a layer, a filter and a place, and through
linear steps after it.
"""

from contextlib import contextmanager
from numbers import Real

import numpy as np

from skreid._base.checks import check_int
from skreid._search.parts import split_distance
from skreid._search.system import steps_of
from skreid.exceptions import ImageError


class MatchExplanation:
    """The parts of one distance, as returned by `explain_match`.

    Parameters
    ----------
    distance : float
        The distance, as `skreid.rank_gallery` returns it.
    total : float
        What the parts add up to: the squared Euclidean distance, or the distance of a learned metric.
    parts : ndarray of shape (n_dimensions,), float64
        What each dimension of the descriptor adds to `total`. Parts of a Euclidean distance between descriptors are
        never negative. Behind linear steps and learned metrics, a negative part brings the two images together.
    remainder : float
        What no dimension adds, so that ``parts.sum() + remainder`` is `total`. It is zero, up to rounding, unless a
        `Normalizer` follows a step whose constant part no descriptor can produce.
    layers : ndarray of shape (n_dimensions,), object
        Layer of each dimension.
    filters : ndarray of shape (n_dimensions,), int
        Filter of each dimension, counted within its layer.
    heights : ndarray of shape (n_dimensions, 2), float
        Top and bottom of the row of each dimension, as shares of the frame's height: 0 is the top, 1 the bottom.

    See Also
    --------
    explain_match : Makes it.
    skreid.displays.MatchDisplay : Draws it.

    Examples
    --------
    A layer of one filter with two rows; the upper one adds three quarters of the squared distance:

    >>> import numpy as np
    >>> from skreid import MatchExplanation
    >>> explanation = MatchExplanation(
    ...     distance=2.0, total=4.0, parts=np.array([3.0, 1.0]), remainder=0.0, layers=np.array(["deep", "deep"]),
    ...     filters=np.array([7, 7]), heights=np.array([[0, 0.5], [0.5, 1]]),
    ... )
    >>> explanation.by_band().tolist(), explanation.by_filter()[0][1:]
    ([3.0, 1.0], (7, 4.0))
    """

    def __init__(self, *, distance, total, parts, remainder, layers, filters, heights):
        self.distance = distance
        self.total = total
        self.parts = parts
        self.remainder = remainder
        self.layers = layers
        self.filters = filters
        self.heights = heights

    def by_layer(self):
        """Return what each layer adds: a dict from its name to a float, shallowest first."""
        return {layer: float(self.parts[self.layers == layer].sum()) for layer in dict.fromkeys(self.layers)}

    def by_filter(self):
        """Return what each filter adds: tuples (layer, filter, part), the largest absolute part first."""
        sums = {}
        for key, part in zip(zip(self.layers, self.filters, strict=True), self.parts, strict=True):
            sums[key] = sums.get(key, 0.0) + float(part)
        return sorted(((layer, int(chosen), part) for (layer, chosen), part in sums.items()), key=lambda s: -abs(s[2]))

    def by_band(self, n_bands=None, layer=None):
        """Return what each horizontal band of the frame adds, from top to bottom.

        Parameters
        ----------
        n_bands : int, default=None
            Number of bands of equal height. None takes as many as the coarsest layer has rows. A row that lies in
            several bands is divided by how much of it lies in each.
        layer : str, default=None
            Only what this layer adds. None adds all layers.

        Returns
        -------
        bands : ndarray of shape (n_bands,), float64
            They add up to the sum of all parts, or of the parts of `layer`.
        """
        if n_bands is None:
            n_bands = round(1 / np.ptp(self.heights, axis=1).max())
        check_int(n_bands, "n_bands", "by_band")
        if layer is not None and layer not in self.layers:
            raise ValueError(f"Layer {layer!r} has no part. Layers: {list(dict.fromkeys(self.layers))}.")
        chosen = slice(None) if layer is None else self.layers == layer
        top, bottom = self.heights[chosen].T
        edges = np.linspace(0, 1, n_bands + 1)[:, None]
        above = np.clip((edges - top) / (bottom - top), 0, 1)  # share of each row that lies above each edge
        return np.diff(above, axis=0) @ self.parts[chosen]

    def __repr__(self):
        layers = ", ".join(f"{layer} {part:.3g}" for layer, part in self.by_layer().items())
        return f"<MatchExplanation: distance {self.distance:.4g}, total {self.total:.4g} = {layers}>"


def explain_match(system, probe, candidate):
    r"""Say what each layer, filter and row adds to the distance of two images.

    The squared Euclidean distance of two descriptors is a sum over their dimensions, and each dimension of a
    `MultiDepthReID` descriptor belongs to one row of one filter of one layer. Linear steps behind it (PCA, LDA,
    scalers, the quadratic form of XQDA) keep that: with the difference :math:`\delta` of the two descriptors and the
    distance :math:`\delta^T G \delta`, dimension :math:`i` adds :math:`\delta_i (G \delta)_i`. These parts add up
    exactly.

    Parameters
    ----------
    system : fitted MultiDepthReID, or Pipeline that begins with one
        Steps after it may be linear (PCA, LDA, scalers), or scale each image to unit length
        (`sklearn.preprocessing.Normalizer`). Steps that are not linear may only stand right behind `MultiDepthReID`,
        and must treat each dimension apart, as scikit-learn's `PowerTransformer` and `QuantileTransformer` do. The last
        step may be a learned metric with a quadratic form, such as `skreid.metric_learning.XQDA`.
    probe, candidate : image
        An array, a PIL image or a file path, as an entry of `X` in `MultiDepthReID.transform`. Or a descriptor of that
        step: numbers of shape (n_dimensions,) or (1, n_dimensions).

    Returns
    -------
    explanation : MatchExplanation
        With `by_layer`, `by_filter` and `by_band`. `skreid.displays.MatchDisplay` draws it.

    Raises
    ------
    ValueError
        If the system does not begin with a fitted `MultiDepthReID`, or a descriptor has another length.
    ImageError
        If the probe or the candidate cannot be used; the message says which.
    TypeError
        If a step mixes dimensions but is not linear, or the metric has no quadratic form; the message names it.

    Examples
    --------
    >>> from skreid import MultiDepthReID, explain_match
    >>> from skreid.datasets import make_pedestrians
    >>> people = make_pedestrians(n_identities=4, image_size=(32, 16), random_state=0)
    >>> reid = MultiDepthReID(input_size=(32, 16), max_epochs=0, blur_size=(4, None), random_state=0)
    >>> reid = reid.fit(people.images, people.target)
    >>> explanation = explain_match(reid, people.images[0], people.images[2])
    >>> bool(abs(explanation.parts.sum() - explanation.distance**2) < 1e-9)
    True
    >>> list(explanation.by_layer())
    ['conv3_3', 'conv4_3', 'conv5_3']
    """
    describing, *steps = steps_of(system)
    if not hasattr(describing, "filters_") or not hasattr(describing, "mean_maps_"):
        raise ValueError(
            "explain_match needs a fitted MultiDepthReID, alone or as the first step of a Pipeline. Got "
            f"{type(describing).__name__} instead."
        )
    rows = np.concatenate([_described(describing, probe, "probe"), _described(describing, candidate, "candidate")])
    layers, filters, heights = _places(describing)
    total, parts, remainder, learned = split_distance(rows.astype(np.float64), steps)
    return MatchExplanation(
        distance=total if learned else max(total, 0.0) ** 0.5,
        total=total,
        parts=parts,
        remainder=remainder,
        layers=layers,
        filters=filters,
        heights=heights,
    )


def _described(describing, image, name):
    """Return the descriptor of one image, (1, n_dimensions)."""
    n_dimensions = describing.n_features_out_
    row = _given_descriptor(image, n_dimensions)
    if row is None:
        with named_in_errors(name):
            row = np.asarray(describing.transform([image]))
    n_bad = int((~np.isfinite(row)).sum())
    if row.shape[1] != n_dimensions or n_bad:
        given = f"{n_bad} values that are not finite" if n_bad else f"{row.shape[1]} dimensions"
        raise ValueError(
            f"The {name} must be one image, or one finite descriptor of {n_dimensions} dimensions. Got {given} instead."
        )
    return row


def _given_descriptor(image, n_dimensions):
    """Return numbers that cannot be an image as a row, (1, n); None for anything else."""
    if isinstance(image, list | tuple) and image and all(isinstance(value, Real) for value in image):
        image = np.array(image, dtype=np.float64)
    if not isinstance(image, np.ndarray) or image.dtype.kind not in "iuf":
        return None
    return image.reshape(1, -1) if image.ndim == 1 or image.shape == (1, n_dimensions) else None


@contextmanager
def named_in_errors(name):
    """Call an image "the probe" or "the candidate" in errors that count it, as "image 0"."""
    try:
        yield
    except ImageError as error:
        message = str(error).replace(f"image {error.index}", f"the {name}", 1)
        raise ImageError(error.index, message) from error


def _places(describing):
    """Return layer, filter, and top and bottom of the row of each dimension of a descriptor."""
    layers, filters, tops = [], [], []
    for layer in describing.layers_:
        n_filters, n_rows, n_columns = describing.mean_maps_[layer].shape
        size = n_filters * n_rows * n_columns
        layers += [layer] * size
        filters.append(np.repeat(describing.filters_[layer], n_rows * n_columns))
        row = np.tile(np.repeat(np.arange(n_rows), n_columns), n_filters)
        tops.append(np.stack([row / n_rows, (row + 1) / n_rows], axis=1))
    return np.array(layers, dtype=object), np.concatenate(filters), np.concatenate(tops)
