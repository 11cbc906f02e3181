"""The panels of one layer in a FilterMarginDisplay: margins on the left, what the criterion saw on the right."""

import numpy as np

from skreid.displays._common import BLUE, GREEN, ORANGE, style

FEW = 8  # chosen filters that are marked on the margin and named; more of them are ticks in a strip below it


class FilterPanels:
    """One row of a FilterMarginDisplay: the margin of all filters of a layer, and what the criterion saw.

    Parameters
    ----------
    name : str or None
    same, different : ndarray of shape (n_filters,)
    chosen : ndarray of intp
    scores : ndarray or None
    """

    def __init__(self, name, same, different, chosen, scores):
        self.name, self.same, self.different, self.chosen, self.scores = name, same, different, chosen, scores
        self.margin = different - same

    def draw(self, ax, sort, mark_kwargs, kwargs):
        """Draw the distances and the margin of all filters, and mark the chosen ones."""
        n_filters = len(self.same)
        self.ax, self.lines = ax, {}
        self.order = np.argsort(-self.margin, kind="stable") if sort else np.arange(n_filters)
        self.position = np.argsort(self.order)
        x = np.arange(n_filters)
        marker = {"marker": "o", "markersize": 4} if n_filters <= 64 else {}
        is_short = n_filters <= 128  # a long jagged line is drawn thin, and not dashed: dashes would look like noise
        width = 1.5 if is_short else 0.7
        for key, values, label, color, dashes in (
            ("d_different", self.different, "different people, $d_d$", ORANGE, "-"),
            ("d_same", self.same, "same person, $d_s$", BLUE, "--" if is_short else "-"),
            ("margin", self.margin, "margin, $d_d - d_s$", GREEN, "-"),
        ):
            default = {"label": label, "color": color, "linestyle": dashes, "linewidth": width} | marker
            (self.lines[key],) = ax.plot(x, values[self.order], **style(default, kwargs))
        ax.fill_between(x, 0, self.margin[self.order], color=GREEN, alpha=0.2, linewidth=0)
        ax.axhline(0, color="0.3", linewidth=0.8)
        top = max(self.different.max(), self.same.max())
        bottom = min(0.0, float(self.margin.min()))
        height = top - bottom or 1
        strip = 0.12 * height if len(self.chosen) > FEW else 0
        ax.set_ylim(bottom - 0.04 * height - strip, top + 0.35 * height)
        self._mark(bottom - strip, strip, sort, mark_kwargs)
        ax.set(
            xlabel="Filters by decreasing margin" if sort else "Filter",
            ylabel="Mean distance of smoothed maps",
            xlim=(-0.02 * n_filters - 0.5, 1.02 * n_filters - 0.5),
        )
        ax.legend(loc="upper center", ncols=2, fontsize="small")

    def _mark(self, low, strip, sort, mark_kwargs):
        self.marks, self.labels = None, []
        if not len(self.chosen):
            return
        names = ", ".join(map(str, self.chosen[:FEW])) + ", …" * (len(self.chosen) > FEW)
        default = {"label": f"chosen: {names}", "color": "black", "linestyle": "none", "zorder": 4}
        if strip:  # on the margin they would hide one another, many of them at zero
            heights = np.full(len(self.chosen), low + 0.4 * strip)
            default |= {"marker": "|", "markersize": 9, "markeredgewidth": 1}
        else:
            heights = self.margin[self.chosen]
            default |= {"marker": "v"}
        (self.marks,) = self.ax.plot(self.position[self.chosen], heights, **style(default, mark_kwargs))
        if sort or strip:  # the chosen filters crowd: the legend names the first
            return
        written = []
        for filter_ in self.chosen:
            if any(abs(self.position[filter_] - self.position[other]) < 0.04 * len(self.same) for other in written):
                continue  # would cover the index of a better filter
            written.append(filter_)
            self.labels.append(
                self.ax.annotate(
                    str(filter_),
                    (self.position[filter_], self.margin[filter_]),
                    xytext=(0, 6),
                    textcoords="offset points",
                    ha="center",
                    fontsize="small",
                    fontweight="bold",
                    zorder=5,
                    bbox={"boxstyle": "round,pad=0.1", "facecolor": "white", "alpha": 0.8, "linewidth": 0},
                )
            )

    def draw_scores(self, ax, criterion):
        """Draw what the criterion saw."""
        if self.scores is None:
            ax.set_axis_off()
            return
        if criterion == "joint":
            self._draw_gains(ax)
        else:
            self._draw_ratios(ax)
        ax.grid(axis="y", alpha=0.3)

    def _draw_gains(self, ax):
        """Draw d' of the filters chosen so far: each bar reaches from that of those before it to that with it."""
        from matplotlib.ticker import MaxNLocator

        count = np.arange(1, len(self.scores) + 1)
        before = np.concatenate([[0.0], self.scores[:-1]])
        ax.bar(count, self.scores - before, bottom=before, width=1, color=GREEN, alpha=0.5)
        (self.lines["score"],) = ax.plot(count, self.scores, color="black", linewidth=1, drawstyle="steps-mid")
        low, high = min(0.0, float(self.scores.min())), max(0.0, float(self.scores.max()))
        ax.set_ylim(low, high + 0.08 * (high - low or 1))
        ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
        ax.set(xlabel="Filters chosen, in order", ylabel="d' of all filters so far", title="what each filter adds")

    def _draw_ratios(self, ax):
        """Draw the margin in units of the spread, of all filters from best to worst."""
        order = np.argsort(-self.scores, kind="stable")
        x = np.arange(1, len(order) + 1)
        (self.lines["score"],) = ax.plot(x, self.scores[order], color=GREEN)
        ax.axhline(0, color="0.3", linewidth=0.8)
        is_chosen = np.isin(order, self.chosen)
        ax.fill_between(x, 0, self.scores[order], where=is_chosen, color=GREEN, alpha=0.4, label="chosen")
        ax.set(xlabel="Filters, best first", ylabel="d' = margin / spread", title="what the criterion saw")
        ax.legend()
