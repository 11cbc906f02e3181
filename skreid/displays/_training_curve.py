"""TrainingCurveDisplay: loss and accuracy of the baseline network in each epoch (Fig. 4).

It shows whether training was long enough, and which epoch's weights were kept.
"""

import math

import numpy as np

from skreid._base.text import visible
from skreid.displays._common import BLUE, ORANGE, fitted_part, grid_of_axes, style

_PANELS = (("loss", "Cross-entropy loss"), ("accuracy", "Accuracy"))
_SIDES = (("train", BLUE, "-", "o"), ("validation", ORANGE, "--", "s"))


class TrainingCurveDisplay:
    """Loss and accuracy of each epoch, on training and validation images; the epoch whose weights were kept is marked.

    Use :meth:`from_estimator` or :meth:`from_history` to create one.

    Parameters
    ----------
    history : list of dict
        One record per epoch, from the first on, with "epoch", "train_loss" and "train_accuracy". "validation_loss" and
        "validation_accuracy" may be missing or NaN. "best" is true for the epoch whose weights were kept. Epochs are
        drawn as 1, 2, ..., as progress bars count them.
    name : str, default=None
        Name of the system, for the title.

    Attributes
    ----------
    lines_ : dict of str to matplotlib Artist
        The curves, by their keys in the records, such as "train_loss".
    best_lines_ : list of matplotlib Artist
        The marks of the epoch kept, one per panel; empty if no record is "best".
    axes_ : ndarray of matplotlib Axes, shape (2,)
        The panels of loss and accuracy.
    figure_ : matplotlib Figure
        The figure that holds them.

    Examples
    --------
    >>> from skreid.displays import TrainingCurveDisplay
    >>> history = [{"epoch": 0, "train_loss": 2.0, "train_accuracy": 0.3, "best": False},
    ...            {"epoch": 1, "train_loss": 1.0, "train_accuracy": 0.8, "best": True}]
    >>> display = TrainingCurveDisplay.from_history(history)
    >>> sorted(display.lines_)
    ['train_accuracy', 'train_loss']
    """

    def __init__(self, *, history, name=None):
        self.history = history
        self.name = name

    def plot(self, ax=None, *, name=None, best_kwargs=None, **kwargs):
        """Draw both panels.

        Parameters
        ----------
        ax : matplotlib axes or array of two axes, default=None
            Where to draw: one axes, which is divided, or two. None makes a new figure.
        name : str, default=None
            Name of the system, for the title. None uses that of the display.
        best_kwargs : dict, default=None
            Passed to matplotlib's `axvline` for the marks of the epoch kept.
        **kwargs : dict
            Passed to matplotlib's `plot` for every curve.

        Returns
        -------
        display : TrainingCurveDisplay
            This display.

        Raises
        ------
        ValueError
            If the history is empty, or a record lacks "epoch", "train_loss" or "train_accuracy".
        """
        self._check()
        axes = grid_of_axes(ax, (1, 2), "TrainingCurveDisplay", figsize=(9.6, 3.8))
        self.axes_ = axes.ravel()
        self.figure_ = self.axes_[0].figure
        self.lines_, self.best_lines_ = {}, []
        epochs = range(1, len(self.history) + 1)
        for panel, (figure, label) in zip(self.axes_, _PANELS, strict=True):
            for side, color, dashes, marker in _SIDES:
                values = [record.get(f"{side}_{figure}", math.nan) for record in self.history]
                if all(math.isnan(value) for value in values):
                    continue  # there were no validation images
                default = {"label": f"{side}ing" if side == "train" else side, "color": color}
                default |= {"linestyle": dashes, "marker": marker if len(epochs) <= 30 else None, "markersize": 4}
                (self.lines_[f"{side}_{figure}"],) = panel.plot(epochs, values, **style(default, kwargs))
            self._mark_best(panel, best_kwargs)
            lines = [line for key, line in self.lines_.items() if key.endswith(figure)]
            self._frame(panel, figure, label, epochs, lines)
        name = self.name if name is None else name
        if name is not None:
            self.axes_[0].set_title(visible(name), loc="left")
        return self

    def _check(self):
        if not len(self.history):
            raise ValueError("The history is empty: no epoch was trained (max_epochs=0?), so there is no curve.")
        for record in self.history:
            for key in ("epoch", "train_loss", "train_accuracy"):
                if key not in record:
                    raise ValueError(f"A record of the history lacks {key!r}; it has {sorted(record)}.")

    def _mark_best(self, panel, best_kwargs):
        for epoch, record in enumerate(self.history, 1):
            if record.get("best"):
                default = {"color": "0.35", "linestyle": ":", "label": f"kept: epoch {epoch}"}
                self.best_lines_.append(panel.axvline(epoch, **style(default, best_kwargs)))

    @staticmethod
    def _frame(panel, figure, label, epochs, lines):
        from matplotlib.ticker import MaxNLocator

        panel.set(xlabel="Epoch", ylabel=label)
        panel.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
        if len(epochs) == 1:
            panel.set_xlim(epochs[0] - 1, epochs[0] + 1)
        if figure == "accuracy":
            panel.set_ylim(-0.02, 1.02)
        else:
            panel.set_ylim(0, 1.08 * max(np.nanmax(line.get_ydata()) for line in lines) or 1)
        panel.grid(alpha=0.3)
        panel.legend()

    @classmethod
    def from_estimator(cls, estimator, *, name=None, ax=None, **kwargs):
        """Draw the training of a fitted estimator.

        Parameters
        ----------
        estimator : MultiDepthReID, or a Pipeline or search that holds one
            The fitted estimator.
        name : str, default=None
            Name of the system, for the title.
        ax : matplotlib axes or array of two axes, default=None
            Where to draw, as in :meth:`plot`.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : TrainingCurveDisplay
        """
        fitted = fitted_part(estimator, "history_", cls.__name__)
        return cls(history=fitted.history_, name=name).plot(ax, **kwargs)

    @classmethod
    def from_history(cls, history, *, name=None, ax=None, **kwargs):
        """Draw a history, for example one read from a file.

        Parameters
        ----------
        history : list of dict
            One record per epoch, as in the constructor.
        name : str, default=None
            Name of the system, for the title.
        ax : matplotlib axes or array of two axes, default=None
            Where to draw, as in :meth:`plot`.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : TrainingCurveDisplay
        """
        return cls(history=list(history), name=name).plot(ax, **kwargs)
