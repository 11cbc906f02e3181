"""CameraPairDisplay: which pairs of cameras a system fails on, as a heat map with counts.

A mean over all cameras hides a camera that sees nobody twice, or one in the dark.
"""

from textwrap import wrap

import numpy as np

from skreid._base.checks import check_choice
from skreid._base.text import visible
from skreid.displays._common import VERMILION, drawable, single_axes, style

FIGURES = {"rank_1": "Rank-1", "mAP": "mAP"}
CELL, SMALL_CELL = 1.0, 0.6  # inches; many cameras get small cells
SINGLE_CELL = 1.6
LETTER = 0.08  # inches of a letter
MANY = 6  # cameras


class CameraPairDisplay:
    """Rank-1 or mAP of each pair of a probe's camera and a gallery camera, with the number of probes it is based on.

    The probes counted are those with a true match in that camera. The worst pair is framed. A pair in which no probe
    has a true match is empty. Use :meth:`from_evaluation` to create one.

    Parameters
    ----------
    pairs : ResultTable
        What :meth:`skreid.evaluation.EvaluationResult.by_camera_pair` returned.
    name : str, default=None
        Name of the system, for the title.

    Attributes
    ----------
    values_ : ndarray of shape (n_probe_cams, n_gallery_cams)
        The figure of each pair, in [0, 1]; NaN where there is none.
    probe_cams_, gallery_cams_ : list
        The cameras of its rows and columns.
    image_ : matplotlib Artist
        The heat map.
    texts_ : dict of tuple to matplotlib Artist
        (probe camera, gallery camera) -> what is written in the cell.
    frame_ : matplotlib Artist or None
        The frame of the worst pair; None if fewer than two pairs have a figure.
    ax_ : matplotlib Axes
        The axes drawn on.
    figure_ : matplotlib Figure
        The figure that holds them.

    See Also
    --------
    skreid.evaluation.EvaluationResult.hardest : The probes behind the figures.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skreid.displays import CameraPairDisplay
    >>> from skreid.evaluation import evaluate
    >>> from skreid.protocols import ShotProtocol
    >>> people = {"target": np.repeat(np.arange(8), 3), "cams": np.tile(["a", "b", "c"], 8)}
    >>> people["data"] = np.random.default_rng(0).normal(size=(24, 3))
    >>> result = evaluate(StandardScaler(), people, ShotProtocol(n_repeats=6), ranks=1)
    >>> CameraPairDisplay.from_evaluation(result).values_.shape
    (3, 3)
    """

    def __init__(self, *, pairs, name=None):
        self.pairs = pairs
        self.name = name

    def plot(self, ax=None, *, figure="rank_1", name=None, text_kwargs=None, **kwargs):
        """Draw the heat map.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Where to draw. None makes a new figure, whose size depends on the number of cameras.
        figure : {"rank_1", "mAP"}, default="rank_1"
            Which figure to show.
        name : str, default=None
            Name of the system, for the title. None uses that of the display.
        text_kwargs : dict, default=None
            Passed to matplotlib's `text` for the cells.
        **kwargs : dict
            Passed to matplotlib's `imshow`. Colours span 0 to 100 percent unless `vmin` and `vmax` say otherwise.

        Returns
        -------
        display : CameraPairDisplay
            This display.
        """
        check_choice(figure, "figure", "CameraPairDisplay.plot", tuple(FIGURES))
        rows = list(self.pairs)
        if not rows:
            raise ValueError("There is no pair of cameras to draw: no probe has a true match that counts.")
        self.probe_cams_ = _ordered(row["probe_cam"] for row in rows)
        self.gallery_cams_ = _ordered(row["gallery_cam"] for row in rows)
        places = {
            (row["probe_cam"], row["gallery_cam"]): (
                self.probe_cams_.index(row["probe_cam"]),
                self.gallery_cams_.index(row["gallery_cam"]),
            )
            for row in rows
        }
        self.values_ = np.full((len(self.probe_cams_), len(self.gallery_cams_)), np.nan)
        for row, place in zip(rows, places.values(), strict=True):
            self.values_[place] = row[figure]

        n_rows, n_columns = self.values_.shape
        is_large = max(n_rows, n_columns) <= MANY
        self.ax_ = single_axes(ax, "CameraPairDisplay", figsize=figure_size(self.gallery_cams_, self.probe_cams_))
        self.figure_ = self.ax_.figure
        self.image_ = self.ax_.imshow(100 * self.values_, **{"cmap": "cividis", "vmin": 0, "vmax": 100} | kwargs)
        self.ax_.set_facecolor("0.93")
        self._write(rows, places, figure, is_large, text_kwargs)
        self._frame_worst()
        scale = self.figure_.colorbar(self.image_, ax=self.ax_, shrink=0.9)
        scale.set_label(f"{FIGURES[figure]} (%)")
        self.ax_.set_xticks(range(n_columns), [drawable(cam) for cam in self.gallery_cams_])
        self.ax_.set_yticks(range(n_rows), [drawable(cam) for cam in self.probe_cams_])
        if max(len(str(cam)) for cam in self.gallery_cams_) > 4:
            self.ax_.tick_params(axis="x", rotation=90 if n_columns > MANY else 30)
        self.ax_.set(xlabel="Camera of the gallery", ylabel="Camera of the probe")
        name = self.name if name is None else name
        title = f"{FIGURES[figure]} of n probes"
        if not is_large:
            title = f"{FIGURES[figure]} in percent, above the number of probes"
        width = int(self.ax_.get_window_extent().width / self.figure_.dpi / LETTER)
        lines = [
            line
            for text in (name, title)
            if text
            for line in wrap(visible(text), max(width, 24), break_on_hyphens=False)
        ]
        self.ax_.set_title("\n".join(lines), fontsize="medium")
        return self

    def _write(self, rows, places, figure, is_large, text_kwargs):
        """Write the figure and the number of probes into each cell, dark on light and light on dark."""
        self.texts_ = {}
        for row, (pair, place) in zip(rows, places.items(), strict=True):
            value = row[figure]
            red, green, blue, _ = self.image_.cmap(self.image_.norm(100 * value))
            is_light = 0.299 * red + 0.587 * green + 0.114 * blue > 0.5
            default = {"ha": "center", "va": "center", "color": "black" if is_light else "white"}
            default |= {"fontsize": "medium" if is_large else "x-small"}
            text = f"{100 * value:.0f}"
            text += f" %\nn = {row['n_valid']}" if is_large else f"\n{row['n_valid']}"
            self.texts_[pair] = self.ax_.text(place[1], place[0], text, **style(default, text_kwargs))

    def _frame_worst(self):
        from matplotlib.patches import Rectangle

        self.frame_ = None
        if np.isfinite(self.values_).sum() > 1:
            i, j = np.unravel_index(np.nanargmin(self.values_), self.values_.shape)
            frame = Rectangle((j - 0.47, i - 0.47), 0.94, 0.94, fill=False, edgecolor=VERMILION, linewidth=2.5)
            self.frame_ = self.ax_.add_patch(frame)

    @classmethod
    def from_evaluation(cls, result, *, name=None, ax=None, **kwargs):
        """Draw the camera pairs of an evaluation.

        Parameters
        ----------
        result : EvaluationResult
            What :func:`skreid.evaluation.evaluate` returned.
        name : str, default=None
            Name of the system, for the title; by default the `label` of the result.
        ax : matplotlib axes, default=None
            Where to draw. None makes a new figure.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : CameraPairDisplay

        Raises
        ------
        ValueError
            If the cameras are not known, or there is no pair to draw.
        """
        return cls(pairs=result.by_camera_pair(), name=result.label if name is None else name).plot(ax, **kwargs)


def figure_size(gallery_cams, probe_cams):
    """Return width and height in inches of a figure in which all cells and names can be read."""
    n_columns, n_rows = len(gallery_cams), len(probe_cams)
    cell = CELL if max(n_columns, n_rows) <= MANY else SMALL_CELL
    if n_columns == n_rows == 1:
        cell = SINGLE_CELL
    names = [LETTER * max(len(str(cam)) for cam in cams) for cams in (probe_cams, gallery_cams)]
    return cell * n_columns + 1.7 + names[0], max(cell * n_rows, 1.2) + 1.5 + names[1] / 2


def _ordered(cams):
    """Return the distinct cameras in sorted order, or by first appearance if they have none."""
    distinct = list(dict.fromkeys(cams))
    try:
        return sorted(distinct)
    except TypeError:
        return distinct
