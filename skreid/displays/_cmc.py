"""CMCDisplay: the cumulative matching characteristic, with its mean and a band over repeats.

The curve of one random gallery is partly luck; the band shows how much curves vary.
"""

import numpy as np
from sklearn.utils import _safe_indexing

from skreid._base.arrays import as_array, tabular
from skreid._base.checks import check_choice, check_int
from skreid._base.labels import as_labels
from skreid.displays._common import single_axes
from skreid.displays._curves import draw_band, draw_legend, draw_line, random_curves
from skreid.evaluation import name_of
from skreid.evaluation._written import all_equal
from skreid.metrics import cmc_curve, summary

_BANDS = {
    "std": "Band: ± 1 standard deviation over n repeats",
    "ci": "Band: 95 % confidence interval of the mean of n repeats",
    "range": "Band: lowest to highest of n repeats",
}


class CMCDisplay:
    """Share of probes recognised within the first k ranks, as a curve over k.

    Create one with :meth:`from_estimator`, :meth:`from_predictions`, :meth:`from_cv_results` or
    :meth:`from_evaluation`. To draw several systems on the same axes, pass ``ax=display.ax_`` to the next.

    Parameters
    ----------
    cmc : array-like of shape (n_ranks,) or (n_repeats, n_ranks)
        Curves in [0, 1], one per repeat, starting at rank 1.
    name : str, default=None
        Name of the system in the legend.

    Attributes
    ----------
    line_ : matplotlib Artist
        The mean curve.
    band_ : matplotlib Artist or None
        The band over the repeats; None for a single repeat.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    See Also
    --------
    skreid.metrics.cmc_curve : The curve itself.
    skreid.evaluation.evaluate : Repeats under a protocol.

    Examples
    --------
    >>> from skreid.displays import CMCDisplay
    >>> display = CMCDisplay.from_predictions(["ann", "bo"], ["bo", "ann", "cy"], [[3, 1, 2], [5, 4, 9]])
    >>> display.line_.get_ydata()
    array([0.5, 1. , 1. ])
    """

    def __init__(self, *, cmc, name=None):
        self.cmc = cmc
        self.name = name

    def plot(self, ax=None, *, name=None, max_rank=20, band="std", band_kwargs=None, **kwargs):
        """Draw the curve.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Where to draw; a new figure by default.
        name : str, default=None
            Name in the legend; by default the name of the display.
        max_rank : int or None, default=20
            Last rank shown; None for all.
        band : {"std", "ci", "range"} or None, default="std"
            Range of the band over the repeats: one standard deviation on each side of the mean, the 95 % confidence
            interval of the mean, or all repeats.
        band_kwargs : dict, default=None
            Passed to matplotlib's `fill_between`.
        **kwargs : dict
            Passed to matplotlib's `plot`.

        Returns
        -------
        display : CMCDisplay
        """
        check_choice(band, "band", "CMCDisplay.plot", (None, *_BANDS))
        max_rank = check_int(max_rank, "max_rank", "CMCDisplay.plot", none=True)
        curves = self._curves()
        shown = curves.shape[1] if max_rank is None else min(max_rank, curves.shape[1])
        ranks = np.arange(1, shown + 1)
        over_repeats = summary(curves)
        figure = f"rank-1 = {over_repeats.mean[0]:.3f}"
        if len(curves) > 1:
            figure += f" ± {over_repeats.std[0]:.3f}, n = {len(curves)}"
        name = self.name if name is None else name

        self.ax_ = single_axes(ax, "CMCDisplay", figsize=(6.4, 4.4))
        self.figure_ = self.ax_.figure
        default = {"marker": "o^sDv"[len(self.ax_.lines) % 5], "markersize": 4} if shown <= 30 else {}
        default |= {"drawstyle": "default"}
        self.line_ = draw_line(self.ax_, ranks, over_repeats.mean[:shown], name, figure, kwargs, **default)
        self.band_ = None
        if band is not None and len(curves) > 1:
            low, high = _band(curves, over_repeats, band)
            self.band_ = draw_band(self.ax_, self.line_, low[:shown], high[:shown], band_kwargs)
        self._frame(shown, None if self.band_ is None else band)
        return self

    def _curves(self):
        curves = np.atleast_2d(as_array(self.cmc, "cmc").astype(np.float64))
        if curves.ndim != 2 or not curves.size:
            raise ValueError(
                f"cmc must have shape (n_ranks,) or (n_repeats, n_ranks). Got an array of shape {np.shape(self.cmc)}."
            )
        return curves

    def _frame(self, shown, band):
        """Label the axes; keep the range of an earlier, longer curve and the meaning of its band."""
        shown = max([shown, *(int(line.get_xdata()[-1]) for line in self.ax_.lines if len(line.get_xdata()))])
        margin = max(0.5, shown * 0.02)
        self.ax_.set(xlabel="Rank k", ylabel="Share of probes found within rank k")
        self.ax_.set(xlim=(1 - margin, shown + margin), ylim=(-0.02, 1.02))
        step = 1
        if shown > 10:
            step = next(s * 10**power for power in range(12) for s in (5, 10, 20) if shown <= s * 10 ** (power + 1))
        self.ax_.set_xticks(sorted({1, *range(step, shown + 1, step)}))
        self.ax_.grid(alpha=0.3)
        draw_legend(self.ax_, "lower right", _BANDS.get(band))

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y,
        *,
        cams=None,
        n_repeats=10,
        n_shots=1,
        random_state=0,
        max_rank=20,
        name=None,
        ax=None,
        **kwargs,
    ):
        """Draw the curve of a fitted estimator, over random galleries of test people.

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
        n_repeats : int, default=10
            Number of random galleries.
        n_shots : int, default=1
            Gallery images per identity.
        random_state : int, RandomState instance or None, default=0
            Seeds the galleries.
        max_rank : int or None, default=20
            Last rank shown.
        name : str, default=None
            Name in the legend; by default that of the estimator.
        ax : matplotlib axes, default=None
            Where to draw; a new figure by default.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : CMCDisplay
        """
        curves = _random_curves(estimator, X, y, cams, n_repeats, n_shots, random_state)
        name = name_of(estimator) if name is None else name
        return cls(cmc=curves, name=name).plot(ax, max_rank=max_rank, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        y_probe,
        y_gallery,
        distances,
        *,
        cams_probe=None,
        cams_gallery=None,
        junk_ids=None,
        on_missing="warn",
        max_rank=20,
        name=None,
        ax=None,
        **kwargs,
    ):
        """Draw the curve for a matrix of distances.

        Parameters
        ----------
        y_probe, y_gallery, distances, cams_probe, cams_gallery, junk_ids, on_missing : various
            As in :func:`skreid.metrics.cmc_curve`.
        max_rank : int or None, default=20
            Last rank shown.
        name : str, default=None
            Name in the legend.
        ax : matplotlib axes, default=None
            Where to draw; a new figure by default.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : CMCDisplay
        """
        curve = cmc_curve(
            y_probe,
            y_gallery,
            distances,
            cams_probe=cams_probe,
            cams_gallery=cams_gallery,
            junk_ids=junk_ids,
            on_missing=on_missing,
        )
        return cls(cmc=curve, name=name).plot(ax, max_rank=max_rank, **kwargs)

    @classmethod
    def from_cv_results(
        cls,
        cv_results,
        X,
        y,
        *,
        cams=None,
        n_repeats=10,
        n_shots=1,
        random_state=0,
        max_rank=20,
        name=None,
        ax=None,
        **kwargs,
    ):
        """Draw the mean curve over the folds of a cross-validation; the band treats each fold as a repeat.

        Parameters
        ----------
        cv_results : dict
            What :func:`sklearn.model_selection.cross_validate` returns with ``return_estimator=True`` and
            ``return_indices=True``.
        X, y : images and identities
            The data that was cross-validated.
        cams, n_repeats, n_shots, random_state : various
            As in :meth:`from_estimator`, within each fold.
        max_rank : int or None, default=20
            Last rank shown.
        name : str, default=None
            Name in the legend; by default that of the estimator.
        ax : matplotlib axes, default=None
            Where to draw; a new figure by default.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : CMCDisplay

        Raises
        ------
        ValueError
            If `cv_results` lacks estimators or indices, or belongs to other data.
        """
        if not {"estimator", "indices"} <= set(cv_results):
            raise ValueError(
                "cv_results has no estimators or no indices: call cross_validate with return_estimator=True and "
                "return_indices=True."
            )
        X, y = tabular(X, "X"), as_labels(y, "y")
        tests = cv_results["indices"]["test"]
        n_samples = len(cv_results["indices"]["train"][0]) + len(tests[0])
        if len(y) < n_samples or len(y) <= max(int(np.max(test)) for test in tests):
            raise ValueError(f"y has {len(y)} entries, but {n_samples} images were cross-validated.")
        cams = None if cams is None else as_labels(cams, "cams")
        curves = []
        for estimator, test in zip(cv_results["estimator"], tests, strict=True):
            images = _safe_indexing(X, test)
            of_test = None if cams is None else cams[test]
            repeats = _random_curves(estimator, images, y[test], of_test, n_repeats, n_shots, random_state)
            curves.append(repeats.mean(axis=0))
        name = name_of(cv_results["estimator"][0]) if name is None else name
        return cls(cmc=_stack(curves), name=name).plot(ax, max_rank=max_rank, **kwargs)

    @classmethod
    def from_evaluation(cls, result, *, max_rank=20, name=None, ax=None, **kwargs):
        """Draw the curves of an evaluation: one curve without a band if all repeats are the same.

        Parameters
        ----------
        result : EvaluationResult
            What :func:`skreid.evaluation.evaluate` returned.
        max_rank : int or None, default=20
            Last rank shown.
        name : str, default=None
            Name in the legend; by default the `label` of the result, which says if it was re-ranked.
        ax : matplotlib axes, default=None
            Where to draw; a new figure by default.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : CMCDisplay
        """
        curves = result.cmc[:1] if all_equal(result) else result.cmc  # equal repeats show no deviation
        return cls(cmc=curves, name=result.label if name is None else name).plot(ax, max_rank=max_rank, **kwargs)


def _random_curves(*args):
    """Return one curve per random gallery, as an array of shape (n_repeats, n_ranks)."""
    return _stack(random_curves("CMCDisplay", cmc_curve, *args))


def _stack(curves):
    """Stack curves of galleries of different sizes: each is padded with its last value."""
    longest = max(len(curve) for curve in curves)
    return np.stack([np.pad(curve, (0, longest - len(curve)), mode="edge") for curve in curves])


def _band(curves, over_repeats, band):
    """Return the lower and upper edge of the band, within [0, 1]."""
    if band == "range":
        return curves.min(axis=0), curves.max(axis=0)
    if band == "std":
        low, high = over_repeats.mean - over_repeats.std, over_repeats.mean + over_repeats.std
    else:
        low, high = over_repeats.low, over_repeats.high
    return np.clip(low, 0, 1), np.clip(high, 0, 1)
