"""FilterMarginDisplay: how well each filter of a layer tells people apart, and which filters were chosen (Fig. 5).

It shows whether the chosen filters stand out, or are barely better than the others.
"""

import numpy as np

from skreid.displays._common import BLUE, GREEN, ORANGE, fitted_part, single_axes, style

NAMED = 8  # number of chosen filters whose index is written


class FilterMarginDisplay:
    """Mean distances between images of the same and of different people for each filter of a layer, and the margin.

    Use :meth:`from_estimator` to create one.

    Parameters
    ----------
    d_same, d_different : array-like of shape (n_filters,)
        Mean distance between the smoothed maps of two images, over all pairs of the same person and over all pairs
        of different people (Eqs. 2-3), in units of the maps.
    chosen : array-like of int, default=()
        Indices of the filters to mark, best first.
    layer : str, default=None
        Name of the layer, for the title.
    name : str, default=None
        Name of the system, for the title.

    Attributes
    ----------
    margin_ : ndarray of shape (n_filters,)
        ``d_different - d_same`` (Eq. 4).
    order_ : ndarray of shape (n_filters,)
        Indices of the filters from left to right.
    lines_ : dict of str to matplotlib Artist
        The curves "d_same", "d_different" and "margin".
    marks_ : matplotlib Artist or None
        The marks of the chosen filters, on the margin.
    labels_ : list of matplotlib Artist
        Indices written beside the marks of the first 8 chosen filters, where they do not overlap. The legend names
        all 8.
    ax_ : matplotlib Axes
        The axes drawn on.
    figure_ : matplotlib Figure
        The figure that holds them.

    Examples
    --------
    >>> from skreid.displays import FilterMarginDisplay
    >>> display = FilterMarginDisplay(d_same=[1, 2, 1], d_different=[2, 5, 1], chosen=[1], layer="conv5_3")
    >>> display.plot().margin_
    array([1., 3., 0.])
    """

    def __init__(self, *, d_same, d_different, chosen=(), layer=None, name=None):
        self.d_same = d_same
        self.d_different = d_different
        self.chosen = chosen
        self.layer = layer
        self.name = name

    def plot(self, ax=None, *, name=None, sort=False, mark_kwargs=None, **kwargs):
        """Draw the distances and the margin.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Where to draw. None makes a new figure.
        name : str, default=None
            Name of the system, for the title. None uses that of the display.
        sort : bool, default=False
            True orders the filters by decreasing margin, False by index.
        mark_kwargs : dict, default=None
            Passed to matplotlib's `plot` for the marks.
        **kwargs : dict
            Passed to matplotlib's `plot` for the three curves.

        Returns
        -------
        display : FilterMarginDisplay
            This display.
        """
        same, different, chosen = self._checked()
        self.margin_ = different - same
        n_filters = len(same)
        self.order_ = np.argsort(-self.margin_, kind="stable") if sort else np.arange(n_filters)
        position = np.argsort(self.order_)

        self.ax_ = single_axes(ax, "FilterMarginDisplay", figsize=(9, 4))
        self.figure_ = self.ax_.figure
        x = np.arange(n_filters)
        marker = {"marker": "o", "markersize": 4} if n_filters <= 64 else {}
        is_short = n_filters <= 128  # a long jagged line is drawn thin, and not dashed: dashes would look like noise
        width = 1.5 if is_short else 0.7
        self.lines_ = {}
        for key, values, label, color, dashes in (
            ("d_different", different, "different people, $d_d$", ORANGE, "-"),
            ("d_same", same, "same person, $d_s$", BLUE, "--" if is_short else "-"),
            ("margin", self.margin_, "margin, $d_d - d_s$", GREEN, "-"),
        ):
            default = {"label": label, "color": color, "linestyle": dashes, "linewidth": width} | marker
            (self.lines_[key],) = self.ax_.plot(x, values[self.order_], **style(default, kwargs))
        self.ax_.fill_between(x, 0, self.margin_[self.order_], color=GREEN, alpha=0.2, linewidth=0)
        self.ax_.axhline(0, color="0.3", linewidth=0.8)
        self._mark(chosen, position, sort, mark_kwargs)

        title = ", ".join(part for part in (self.name if name is None else name, self.layer) if part)
        self.ax_.set(
            xlabel="Filters by decreasing margin" if sort else "Filter",
            ylabel="Mean distance of smoothed maps",
            xlim=(-0.02 * n_filters - 0.5, 1.02 * n_filters - 0.5),
            title=title or None,
        )
        top = max(different.max(), same.max())
        bottom = min(0.0, float(self.margin_.min()))
        self.ax_.set_ylim(bottom - 0.04 * (top - bottom or 1), top + 0.35 * (top - bottom or 1))
        self.ax_.legend(loc="upper center", ncols=2, fontsize="small")
        return self

    def _checked(self):
        same, different = (np.asarray(d, dtype=np.float64) for d in (self.d_same, self.d_different))
        if same.ndim != 1 or same.shape != different.shape or not same.size:
            raise ValueError(
                f"d_same and d_different must both have shape (n_filters,). Got {same.shape} and {different.shape}."
            )
        if not (np.isfinite(same).all() and np.isfinite(different).all()):
            raise ValueError("d_same or d_different is not finite: no pair of that kind was compared.")
        chosen = np.asarray(self.chosen, dtype=np.intp).ravel()
        if len(chosen) and not (chosen.min() >= 0 and chosen.max() < len(same)):
            raise ValueError(f"chosen holds {chosen.tolist()}, but the layer has {len(same)} filters, counted from 0.")
        return same, different, chosen

    def _mark(self, chosen, position, sort, mark_kwargs):
        self.marks_, self.labels_ = None, []
        if not len(chosen):
            return
        names = ", ".join(map(str, chosen[:NAMED])) + ", …" * (len(chosen) > NAMED)
        default = {"label": f"chosen: {names}", "color": "black", "marker": "v", "linestyle": "none", "zorder": 4}
        (self.marks_,) = self.ax_.plot(position[chosen], self.margin_[chosen], **style(default, mark_kwargs))
        if sort:  # the chosen filters crowd at the left: the legend names them
            return
        written = []
        for filter_ in chosen[:NAMED]:
            if any(abs(position[filter_] - position[other]) < 0.04 * len(position) for other in written):
                continue  # would cover the index of a better filter
            written.append(filter_)
            self.labels_.append(
                self.ax_.annotate(
                    str(filter_),
                    (position[filter_], self.margin_[filter_]),
                    xytext=(0, 6),
                    textcoords="offset points",
                    ha="center",
                    fontsize="small",
                    fontweight="bold",
                    zorder=5,
                    bbox={"boxstyle": "round,pad=0.1", "facecolor": "white", "alpha": 0.8, "linewidth": 0},
                )
            )

    @classmethod
    def from_estimator(cls, estimator, *, layer=None, name=None, ax=None, **kwargs):
        """Draw a layer of a fitted estimator.

        Parameters
        ----------
        estimator : MultiDepthReID, or a Pipeline or search that holds one
            The fitted estimator.
        layer : str, default=None
            The layer, one of its `layers_`. None is the last one.
        name : str, default=None
            Name of the system, for the title.
        ax : matplotlib axes, default=None
            Where to draw. None makes a new figure.
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
        layers = list(fitted.filter_distances_)
        layer = layers[-1] if layer is None else layer
        if layer not in layers:
            raise ValueError(f"Layer {layer!r} was not explored. Explored layers: {layers}.")
        distances = fitted.filter_distances_[layer]
        return cls(
            d_same=distances["d_same"],
            d_different=distances["d_different"],
            chosen=fitted.filters_[layer],
            layer=layer,
            name=name,
        ).plot(ax, **kwargs)
