"""What CMCDisplay and OpenSetDisplay share: curves of random galleries, lines with bands, and their legend.

Axes may hold earlier systems: each line has its own dashes, and the legend keeps the notes of the earlier bands.
"""

from skreid._base.checks import check_int
from skreid._base.text import visible
from skreid._scoring import random_galleries
from skreid.displays._common import style

DASHES = ("-", "--", "-.", ":")


def random_curves(owner, curve, estimator, X, y, cams, n_repeats, n_shots, random_state):
    """Return what `curve`, called as a function of :mod:`skreid.metrics`, makes of each random gallery, as a list."""
    check_int(n_repeats, "n_repeats", owner)
    check_int(n_shots, "n_shots", owner)
    galleries = random_galleries(estimator, X, y, cams, n_repeats, n_shots, random_state)
    return [curve(**comparison._asdict(), on_missing="drop") for comparison in galleries]


def draw_line(ax, x, y, name, figure, given, **default):
    """Draw a curve whose label is the name of the system, if it has one, and its main figure; return the line."""
    default |= {"label": figure if name is None else f"{visible(name)} ({figure})"}
    default |= {"linestyle": DASHES[len(ax.lines) % len(DASHES)]}
    return ax.plot(x, y, **style(default, given))[0]


def draw_band(ax, line, low, high, given, **default):
    """Draw a band in the colour of its line; return it."""
    default |= {"color": line.get_color(), "alpha": 0.2, "linewidth": 0}
    return ax.fill_between(line.get_xdata(), low, high, **style(default, given))


def draw_legend(ax, loc, note=None):
    """Draw the legend anew, titled by the notes of earlier curves and by this one, each of them once."""
    old = ax.get_legend()
    notes = [] if old is None else old.get_title().get_text().split("\n")
    notes = dict.fromkeys(line for line in (*notes, note) if line)
    legend = ax.legend(loc=loc)
    if notes:
        legend.set_title("\n".join(notes), prop={"size": "small"})
