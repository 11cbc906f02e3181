"""FilterMarginDisplay: how far each filter of a layer keeps persons apart, and which were chosen (Fig. 5).

It tells whether the chosen filters stand out or were picked from a crowd of equals.
"""

import numpy as np

from skreid.displays._common import BLUE, GREEN, ORANGE, fitted_part, single_axes, style

NAMED = 8  # chosen filters whose numbers are written


class FilterMarginDisplay:
    """Mean distances of same and of different persons for every filter of a layer, and their margin.

    Make one with :meth:`from_estimator`.

    Parameters
    ----------
    d_same, d_different : array-like of shape (n_filters,)
        Mean distance of the smoothed maps over pairs of one person and of two (Eqs. 2-3), in units of the
        maps.
    chosen : array-like of int, default=()
        Filters to mark, best first.
    layer : str, default=None
        For the title.
    name : str, default=None
        Of the system, for the title.

    Attributes
    ----------
    margin_ : ndarray of shape (n_filters,)
        ``d_different - d_same`` (Eq. 4).
    order_ : ndarray of shape (n_filters,)
        The filters from left to right.
    lines_ : dict of str to matplotlib Artist
        "d_same", "d_different" and "margin".
    marks_ : matplotlib Artist or None
        The chosen filters on the margin.
    labels_ : list of matplotlib Artist
        Numbers beside the marks, of those of the first 8 that have room; the legend names all 8.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

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
            Where to draw; a new figure by default.
        name : str, default=None
            For the title; by default the display's own.
        sort : bool, default=False
            Whether filters stand by falling margin rather than by number.
        mark_kwargs : dict, default=None
            Passed to matplotlib's `plot` of the marks.
        **kwargs : dict
            Passed to matplotlib's `plot` of the three curves.

        Returns
        -------
        display : FilterMarginDisplay
        """
        same, different, chosen = self._checked()
        self.margin_ = different - same
        n_filters = len(same)
        self.order_ = np.argsort(-self.margin_, kind="stable") if sort else np.arange(n_filters)
        place = np.argsort(self.order_)

        self.ax_ = single_axes(ax, "FilterMarginDisplay", figsize=(9, 4))
        self.figure_ = self.ax_.figure
        x = np.arange(n_filters)
        marker = {"marker": "o", "markersize": 4} if n_filters <= 64 else {}
        few = n_filters <= 128  # dashes of a long jagged line read as noise
        width = 1.5 if few else 0.7
        self.lines_ = {}
        for key, values, label, color, dashes in (
            ("d_different", different, "different persons, $d_d$", ORANGE, "-"),
            ("d_same", same, "same person, $d_s$", BLUE, "--" if few else "-"),
            ("margin", self.margin_, "margin, $d_d - d_s$", GREEN, "-"),
        ):
            default = {"label": label, "color": color, "linestyle": dashes, "linewidth": width} | marker
            (self.lines_[key],) = self.ax_.plot(x, values[self.order_], **style(default, kwargs))
        self.ax_.fill_between(x, 0, self.margin_[self.order_], color=GREEN, alpha=0.2, linewidth=0)
        self.ax_.axhline(0, color="0.3", linewidth=0.8)
        self._mark(chosen, place, sort, mark_kwargs)

        title = ", ".join(part for part in (self.name if name is None else name, self.layer) if part)
        self.ax_.set(
            xlabel="Filters by falling margin" if sort else "Filter",
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
            raise ValueError("d_same or d_different is not finite: no pair of a kind was compared.")
        chosen = np.asarray(self.chosen, dtype=np.intp).ravel()
        if len(chosen) and not (chosen.min() >= 0 and chosen.max() < len(same)):
            raise ValueError(f"chosen holds {chosen.tolist()}, but the layer has {len(same)} filters, from 0.")
        return same, different, chosen

    def _mark(self, chosen, place, sort, mark_kwargs):
        self.marks_, self.labels_ = None, []
        if not len(chosen):
            return
        numbers = ", ".join(map(str, chosen[:NAMED])) + ", …" * (len(chosen) > NAMED)
        default = {"label": f"chosen: {numbers}", "color": "black", "marker": "v", "linestyle": "none", "zorder": 4}
        (self.marks_,) = self.ax_.plot(place[chosen], self.margin_[chosen], **style(default, mark_kwargs))
        if sort:  # they stand side by side at the left: the legend names them
            return
        written = []
        for filter_ in chosen[:NAMED]:
            if any(abs(place[filter_] - place[other]) < 0.04 * len(place) for other in written):
                continue  # would cover a better one's number
            written.append(filter_)
            self.labels_.append(
                self.ax_.annotate(
                    str(filter_),
                    (place[filter_], self.margin_[filter_]),
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
        estimator : MultiDepthReID, or Pipeline or search that holds one
            Fitted.
        layer : str, default=None
            One of its `layers_`; by default the last.
        name : str, default=None
            For the title.
        ax : matplotlib axes, default=None
            Where to draw; a new figure by default.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : FilterMarginDisplay

        Raises
        ------
        ValueError
            If the estimator was not fitted, or did not explore that layer.
        """
        found = fitted_part(estimator, "filter_distances_", cls.__name__)
        layers = list(found.filter_distances_)
        layer = layers[-1] if layer is None else layer
        if layer not in layers:
            raise ValueError(f"Layer {layer!r} was not explored. Those that were: {layers}.")
        distances = found.filter_distances_[layer]
        return cls(
            d_same=distances["d_same"],
            d_different=distances["d_different"],
            chosen=found.filters_[layer],
            layer=layer,
            name=name,
        ).plot(ax, **kwargs)
