"""FilterMarginDisplay: how well each filter of a layer tells people apart, and which filters were chosen (Fig. 5).

Beside the margins it draws what the criterion saw, which may be something else: what a filter adds to others.
"""

import numpy as np

from skreid._base.checks import check_choice
from skreid._base.text import visible
from skreid._filters.choosing import margin_over_spread
from skreid.displays._common import fitted_part, grid_of_axes
from skreid.displays._filter_panels import FilterPanels

CRITERIA = ("margin", "dprime", "joint")


class FilterMarginDisplay:
    """Mean distances between images of the same and of different people for each filter of a layer, and the margin.

    Each layer has a row. On the left are the distances and the margin of all its filters. On the right is what the
    criterion saw, unless that is the margin itself: the margin in units of the distances' spread for "dprime", and what
    each chosen filter adds to those before it for "joint". Use :meth:`from_estimator` to create one.

    Parameters
    ----------
    d_same, d_different : array-like of shape (n_filters,), or dict of str to such arrays
        Mean distance between the smoothed maps of two images, over all pairs of the same person and over all pairs
        of different people (Eqs. 2-3), in units of the maps. A dict has one entry per layer.
    chosen : array-like of int, default=()
        Indices of the filters to mark, best first. A dict if the distances are.
    layer : str, default=None
        Name of the layer, for the title, if the distances are not a dict.
    name : str, default=None
        Name of the system, for the title.
    criterion : {"margin", "dprime", "joint"}, default=None
        What chose the filters, for the title; None if unknown.
    scores : array-like, default=None
        What the criterion saw: for "dprime" one value per filter, for "joint" one per chosen filter, d' of all filters
        chosen up to it. A dict if the distances are. None draws the left side only.

    Attributes
    ----------
    margin_ : ndarray of shape (n_filters,)
        ``d_different - d_same`` (Eq. 4). This and the attributes below are dicts by layer if the distances are.
    order_ : ndarray of shape (n_filters,)
        Indices of the filters from left to right.
    lines_ : dict of str to matplotlib Artist
        The curves "d_same", "d_different" and "margin", and "score", the curve on the right, if there is one.
    marks_ : matplotlib Artist or None
        The marks of the chosen filters: on the margin if there are at most 8, otherwise ticks in a strip below it.
    labels_ : list of matplotlib Artist
        Indices written beside the marks on the margin, where they do not overlap.
    ax_ : matplotlib Axes
        The axes with the margin.
    figure_ : matplotlib Figure
        The figure that holds all axes.

    Examples
    --------
    >>> from skreid.displays import FilterMarginDisplay
    >>> display = FilterMarginDisplay(d_same=[1, 2, 1], d_different=[2, 5, 1], chosen=[1], layer="conv5_3")
    >>> display.plot().margin_
    array([1., 3., 0.])
    """

    def __init__(self, *, d_same, d_different, chosen=(), layer=None, name=None, criterion=None, scores=None):
        self.d_same = d_same
        self.d_different = d_different
        self.chosen = chosen
        self.layer = layer
        self.name = name
        self.criterion = criterion
        self.scores = scores

    def plot(self, ax=None, *, name=None, sort=False, mark_kwargs=None, **kwargs):
        """Draw the distances, the margin and what the criterion saw.

        Parameters
        ----------
        ax : matplotlib axes or array of axes, default=None
            Where to draw: one axes, which is divided if there are several panels, or an array of them, with one row
            per layer. None makes a new figure.
        name : str, default=None
            Name of the system, for the title. None uses that of the display.
        sort : bool, default=False
            True orders the filters by decreasing margin, False by index.
        mark_kwargs : dict, default=None
            Passed to matplotlib's `plot` for the marks.
        **kwargs : dict
            Passed to matplotlib's `plot` for the three curves on the left.

        Returns
        -------
        display : FilterMarginDisplay
            This display.
        """
        check_choice(self.criterion, "criterion", "FilterMarginDisplay", (None, *CRITERIA))
        several = isinstance(self.d_same, dict)
        layers = [FilterPanels(*parts) for parts in self._parts()]
        is_wide = any(layer.scores is not None for layer in layers)
        shape = len(layers), 1 + is_wide
        ratios = {"width_ratios": [2, 1]} if is_wide else {}
        if shape == (1, 1) and ax is not None and hasattr(ax, "get_subplotspec"):
            axes = np.array([[ax]], dtype=object)
        else:
            size = 12 if is_wide else 9, 4 if len(layers) == 1 else 3.4 * len(layers)
            axes = grid_of_axes(ax, shape, "FilterMarginDisplay", figsize=size, **ratios)
        name = self.name if name is None else name
        for layer, row in zip(layers, axes, strict=True):
            layer.draw(row[0], sort, mark_kwargs, kwargs)
            row[0].set_title(_title(name and visible(name), layer.name, self._choice(layer)) or None)
            if is_wide:
                layer.draw_scores(row[1], self.criterion)

        def kept(attribute):
            values = {layer.name: getattr(layer, attribute) for layer in layers}
            return values if several else next(iter(values.values()))

        self.margin_, self.order_, self.lines_ = kept("margin"), kept("order"), kept("lines")
        self.marks_, self.labels_, self.ax_ = kept("marks"), kept("labels"), kept("ax")
        self.figure_ = axes[0, 0].figure
        return self

    def _parts(self):
        """Return name, distances, chosen filters and scores of each layer, checked."""
        if not isinstance(self.d_same, dict):
            scores = None if self.criterion == "margin" else self.scores
            return [(self.layer, *_checked(self.d_same, self.d_different, self.chosen, scores, self.criterion))]
        if not self.d_same:
            raise ValueError("d_same is empty: give the distances of at least one layer.")
        chosen = self.chosen if isinstance(self.chosen, dict) else {}
        scores = self.scores if isinstance(self.scores, dict) and self.criterion != "margin" else {}
        return [
            (
                layer,
                *_checked(d_same, self.d_different[layer], chosen.get(layer, ()), scores.get(layer), self.criterion),
            )
            for layer, d_same in self.d_same.items()
        ]

    def _choice(self, layer):
        if not len(layer.chosen):
            return None
        by = "" if self.criterion is None else f", criterion “{self.criterion}”"
        return f"{len(layer.chosen)} of {len(layer.same)} filters chosen{by}"

    @classmethod
    def from_estimator(cls, estimator, *, layer=None, name=None, ax=None, **kwargs):
        """Draw the layers of a fitted estimator.

        Parameters
        ----------
        estimator : MultiDepthReID, or a Pipeline or search that holds one
            The fitted estimator.
        layer : str, default=None
            The layer, one of its `layers_`. None draws all of them, and the attributes are dicts by layer.
        name : str, default=None
            Name of the system, for the title.
        ax : matplotlib axes or array of axes, default=None
            Where to draw, as in :meth:`plot`.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : FilterMarginDisplay

        Raises
        ------
        ValueError
            If the estimator is not fitted, or the layer was not explored.
        """
        fitted = fitted_part(estimator, "filter_distances_", cls.__name__)
        distances, criterion = fitted.filter_distances_, getattr(fitted, "criterion", None)
        if layer is not None and layer not in distances:
            raise ValueError(f"Layer {layer!r} was not explored. Explored layers: {list(distances)}.")
        scores = {each: _scores(fitted, each, criterion) for each in distances}
        parts = {
            "d_same": {each: values["d_same"] for each, values in distances.items()},
            "d_different": {each: values["d_different"] for each, values in distances.items()},
            "chosen": fitted.filters_,
            "scores": scores,
        }
        if layer is not None:
            parts = {part: values[layer] for part, values in parts.items()} | {"layer": layer}
        return cls(**parts, name=name, criterion=criterion).plot(ax, **kwargs)


def _scores(fitted, layer, criterion):
    """Return what the criterion saw of a layer; None if it is the margin, or was not kept by an older version."""
    if criterion == "dprime":
        distances = fitted.filter_distances_[layer]
        margin = distances["d_different"] - distances["d_same"]
        return margin_over_spread(margin, distances["std_same"], distances["std_different"])
    return getattr(fitted, "filter_scores_", {}).get(layer) if criterion == "joint" else None


def _checked(d_same, d_different, chosen, scores, criterion):
    same, different = (np.asarray(d, dtype=np.float64) for d in (d_same, d_different))
    if same.ndim != 1 or same.shape != different.shape or not same.size:
        raise ValueError(
            f"d_same and d_different must both have shape (n_filters,). Got {same.shape} and {different.shape}."
        )
    if not (np.isfinite(same).all() and np.isfinite(different).all()):
        raise ValueError("d_same or d_different is not finite: no pair of that kind was compared.")
    chosen = np.asarray(chosen, dtype=np.intp).ravel()
    if len(chosen) and not (chosen.min() >= 0 and chosen.max() < len(same)):
        raise ValueError(f"chosen holds {chosen.tolist()}, but the layer has {len(same)} filters, counted from 0.")
    if scores is not None:
        scores, wanted = np.asarray(scores, dtype=np.float64), len(chosen if criterion == "joint" else same)
        if scores.shape != (wanted,):
            per = "chosen filter" if criterion == "joint" else "filter"
            raise ValueError(f"scores must have one value per {per}, shape ({wanted},). Got {scores.shape} instead.")
    return same, different, chosen, scores


def _title(*parts):
    first = ", ".join(part for part in parts[:2] if part)
    return ": ".join(part for part in (first, parts[2]) if part)
