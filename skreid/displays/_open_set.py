"""OpenSetDisplay: how many enrolled people are identified, against how many strangers are taken for one of them.

A threshold buys one with the other; the curve shows the price of each.
"""

from collections.abc import Iterable

import numpy as np

from skreid._base.checks import check_choice, check_count_or_share, check_int, check_share
from skreid._base.labels import factorize
from skreid.displays._common import single_axes
from skreid.displays._curves import draw_band, draw_legend, draw_line, random_curves
from skreid.evaluation import name_of
from skreid.metrics import OpenSetCurve, open_set_curve, summary


class OpenSetDisplay:
    """Identification rate of enrolled people over the false-alarm rate of strangers, on a logarithmic axis.

    Create one with :meth:`from_estimator` or :meth:`from_predictions`. To draw several systems on the same axes, pass
    ``ax=display.ax_`` to the next.

    Parameters
    ----------
    curves : OpenSetCurve, or sequence of them
        One per repeat, all of one rank.
    name : str, default=None
        Name of the system in the legend.

    Attributes
    ----------
    far_ : ndarray of shape (n_points,)
        False-alarm rates, from the finest that the strangers resolve to 1.
    dir_ : ndarray of shape (n_points,)
        Mean identification rate at each of them.
    line_ : matplotlib Artist
        The mean curve.
    band_ : matplotlib Artist or None
        The band around it.
    ax_ : matplotlib Axes
        The axes drawn on.
    figure_ : matplotlib Figure
        The figure that holds them.

    See Also
    --------
    skreid.metrics.open_set_curve : The curve itself.
    skreid.gallery.Gallery.threshold : The threshold at a false-alarm rate.

    Examples
    --------
    >>> from skreid.displays import OpenSetDisplay
    >>> display = OpenSetDisplay.from_predictions(["ann", "bo", "cy"], ["ann", "bo"], [[1, 5], [6, 4], [7, 3]])
    >>> display.far_, display.dir_
    (array([1.]), array([1.]))
    """

    def __init__(self, *, curves, name=None):
        self.curves = curves
        self.name = name

    def plot(self, ax=None, *, name=None, far=0.01, band="ci", band_kwargs=None, **kwargs):
        """Draw the curve.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Where to draw; a new figure by default.
        name : str, default=None
            Name in the legend; by default the name of the display.
        far : float, default=0.01
            False-alarm rate whose identification rate stands in the legend; the finest that the strangers resolve, if
            that is coarser.
        band : {"ci"} or None, default="ci"
            The band is the 95 % confidence interval: of the mean over repeats, or Wilson's for a single curve.
        band_kwargs : dict, default=None
            Passed to matplotlib's `fill_between`.
        **kwargs : dict
            Passed to matplotlib's `plot`.

        Returns
        -------
        display : OpenSetDisplay
            This display.
        """
        check_choice(band, "band", "OpenSetDisplay.plot", (None, "ci"))
        check_share(far, "far", "OpenSetDisplay.plot")
        curves = self._curves()
        finest = 1 / min(curve.n_strangers for curve in curves)
        far = max(far, finest)
        self.far_ = np.unique(np.concatenate([[finest], *(curve.far[curve.far >= finest] for curve in curves)]))
        over_repeats = summary([_rates(curve, self.far_) for curve in curves], n_probes=curves[0].n_enrolled)
        self.dir_ = over_repeats.mean
        figure = f"{np.mean([curve.dir_at_far(far) for curve in curves]):.3f} at {100 * far:.3g} % false alarms"
        name = self.name if name is None else name

        self.ax_ = single_axes(ax, "OpenSetDisplay", figsize=(6.4, 4.4))
        self.figure_ = self.ax_.figure
        default = {"marker": "o", "markersize": 4} if len(self.far_) == 1 else {}
        default |= {"drawstyle": "steps-post"}
        self.line_ = draw_line(self.ax_, self.far_, self.dir_, name, figure, kwargs, **default)
        self.band_ = None
        if band is not None:
            low, high = np.clip(over_repeats.low, 0, 1), np.clip(over_repeats.high, 0, 1)
            self.band_ = draw_band(self.ax_, self.line_, low, high, band_kwargs, step="post")
        self._frame(curves)
        return self

    def _curves(self):
        curves = list(self.curves) if isinstance(self.curves, Iterable) else [self.curves]
        if not curves or not all(isinstance(curve, OpenSetCurve) for curve in curves):
            raise ValueError(
                "curves must be what skreid.metrics.open_set_curve returned, or a sequence of at least one of them. "
                f"Got {self.curves!r} instead."
            )
        if len({curve.k for curve in curves}) > 1:
            raise ValueError(
                f"curves are of several ranks, {sorted({curve.k for curve in curves})}: give those of one."
            )
        return curves

    def _frame(self, curves):
        """Label the axes; keep the range of earlier curves, and what their bands mean."""
        finest = min(line.get_xdata()[0] for line in self.ax_.lines if len(line.get_xdata()))
        k, n_repeats = curves[0].k, len(curves)
        within = "" if k == 1 else f" within rank {k}"
        self.ax_.set(xscale="log", xlim=(min(finest, 0.5) / 1.15, 1.15), ylim=(-0.02, 1.02))
        self.ax_.xaxis.set_major_formatter("{x:g}")
        self.ax_.xaxis.set_minor_formatter("")
        self.ax_.set(xlabel="False-alarm rate: share of strangers who are named")
        self.ax_.set(ylabel=f"Share of enrolled people identified{within}")
        self.ax_.grid(alpha=0.3)
        of = "one curve (Wilson)" if n_repeats == 1 else f"the mean of {n_repeats} repeats"
        note = None if self.band_ is None else f"Band: 95 % confidence interval of {of}"
        draw_legend(self.ax_, "best", note)

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y,
        *,
        cams=None,
        n_strangers=0.5,
        k=1,
        n_repeats=10,
        n_shots=1,
        random_state=0,
        name=None,
        ax=None,
        **kwargs,
    ):
        """Draw the curve of a fitted estimator, over random galleries of some of the people.

        Parameters
        ----------
        estimator : fitted transformer or Pipeline
            As for :func:`skreid.rank_gallery`.
        X : images, n of them
            Images of people it was not fitted on, in any form that it takes.
        y : array-like of shape (n,)
            Identities.
        cams : array-like of shape (n,), default=None
            Cameras; probe and gallery images of a person then come from different cameras.
        n_strangers : float or int, default=0.5
            Share or number of the people who are left out of each gallery, at random.
        k : int, default=1
            Rank within which the true match must be.
        n_repeats : int, default=10
            Number of random galleries.
        n_shots : int, default=1
            Gallery images per identity.
        random_state : int or None, default=0
            Seeds the galleries, and who is left out.
        name : str, default=None
            Name in the legend; by default that of the estimator.
        ax : matplotlib axes, default=None
            Where to draw; a new figure by default.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : OpenSetDisplay

        Raises
        ------
        ValueError
            If nobody or everybody is a stranger, among the people who have a probe in a gallery's draw.
        """
        owner = "OpenSetDisplay.from_estimator"
        check_int(k, "k", owner)
        check_count_or_share(n_strangers, "n_strangers", owner)
        people = factorize(y=y)[1]
        count = n_strangers if isinstance(n_strangers, int | np.integer) else round(n_strangers * len(people))
        if len(people) < 2:
            raise ValueError(f"{owner} needs images of two people, one enrolled and one not. y has {len(people)}.")
        if not 0 < count < len(people):
            raise ValueError(
                f"The 'n_strangers' parameter of {owner} must make strangers of 1 to {len(people) - 1} of "
                f"{len(people)} people. Got {n_strangers!r}, which makes {count}."
            )
        rng = np.random.default_rng(random_state)

        def curve(**comparison):
            strangers = [people[i] for i in rng.permutation(len(people))[:count]]
            _check_probes(owner, comparison["y_probe"], strangers, len(people))
            return open_set_curve(**comparison | {"junk_ids": strangers}, k=k)

        curves = random_curves(owner, curve, estimator, X, y, cams, n_repeats, n_shots, random_state)
        return cls(curves=curves, name=name_of(estimator) if name is None else name).plot(ax, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        y_probe,
        y_gallery,
        distances,
        *,
        cams_probe=None,
        cams_gallery=None,
        k=1,
        junk_ids=None,
        on_missing="warn",
        name=None,
        ax=None,
        **kwargs,
    ):
        """Draw the curve for distances of probes, some of them of strangers.

        Parameters
        ----------
        y_probe, y_gallery, distances, cams_probe, cams_gallery, k, junk_ids, on_missing : various
            As in :func:`skreid.metrics.open_set_curve`. With a :class:`skreid.gallery.Gallery`, they are its `ids` and
            its `distance_blocks`.
        name : str, default=None
            Name in the legend.
        ax : matplotlib axes, default=None
            Where to draw; a new figure by default.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : OpenSetDisplay
        """
        curve = open_set_curve(
            y_probe,
            y_gallery,
            distances,
            cams_probe=cams_probe,
            cams_gallery=cams_gallery,
            k=k,
            junk_ids=junk_ids,
            on_missing=on_missing,
        )
        return cls(curves=curve, name=name).plot(ax, **kwargs)


def _check_probes(owner, y_probe, strangers, n_people):
    """Refuse a draw that has a probe of no stranger, or of nobody else."""
    probed = set(y_probe.tolist())
    n_strangers = len(probed & set(strangers))
    if not 0 < n_strangers < len(probed):
        raise ValueError(
            f"{owner} drew {len(strangers)} of {n_people} people as strangers. {n_strangers} of them are among the "
            f"{len(probed)} people who have images for gallery and probe: some must be, and not all. Leave out people "
            "who have too few images, or images of one camera only, or pass another n_strangers or random_state."
        )


def _rates(curve, far):
    """Return the largest identification rate at each false-alarm rate."""
    return curve.dir[np.searchsorted(curve.far, far, side="right") - 1]
