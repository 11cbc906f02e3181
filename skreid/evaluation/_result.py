"""EvaluationResult: every figure of every repeat, and the protocol it belongs to.

A figure without its protocol means nothing, so the text, the table and the dict all contain the protocol's one line.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from skreid._base.checks import check_int
from skreid._search.reranking import label_of
from skreid.evaluation._nearest import Nearest
from skreid.evaluation._where import CameraCounts, by_camera_pair, hardest
from skreid.evaluation._written import as_dict, as_table, as_text, counts_of
from skreid.metrics import RankingMetrics, summary


@dataclass(frozen=True, eq=False)
class Repeat:
    """One repeat of an evaluation.

    Attributes
    ----------
    metrics : RankingMetrics
        Figures, curve, counts, and each probe's first rank and average precision.
    probe : ndarray of shape (n_probes,), intp
        Dataset index of each probe, or of the first image of each probe person if people are compared. A track has
        that of the image in its middle.
    nearest : Nearest
        The nearest images of each probe; its `indices` are dataset indices.
    n_train, n_gallery : int
        Numbers of images trained on, and of gallery images (or tracks, or people) ranked.
    seconds_fit, seconds_rank : float
        Wall-clock time of fitting, and of describing and ranking.
    match : ndarray of shape (n_probes,), intp
        Dataset index of each probe's nearest true match, however far down its ranking. If it has none, an index larger
        than any, with which indexing fails.
    match_distance : ndarray of shape (n_probes,)
        Distance of that match; NaN if there is none.
    cameras : object or None
        Counts for each pair of cameras, which :meth:`EvaluationResult.by_camera_pair` sums up; None without cameras.
    n_unusable : int
        Number of images without a descriptor that were left out of their tracks.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skreid.evaluation import evaluate
    >>> from skreid.protocols import TwoViewProtocol
    >>> people = {"target": np.repeat([0, 1, 2, 3], 2), "cams": np.tile([0, 1], 4), "data": np.arange(8.0)[:, None]}
    >>> result = evaluate(StandardScaler(), people, TwoViewProtocol(n_repeats=2), ranks=1)
    >>> repeat = result.repeats[0]
    >>> repeat.n_train, repeat.n_gallery
    (4, 2)
    """

    metrics: RankingMetrics
    probe: np.ndarray = field(repr=False)
    nearest: Nearest = field(repr=False)
    n_train: int
    n_gallery: int
    seconds_fit: float
    seconds_rank: float
    match: np.ndarray | None = field(default=None, repr=False)
    match_distance: np.ndarray | None = field(default=None, repr=False)
    cameras: CameraCounts | None = field(default=None, repr=False)
    n_unusable: int = 0


@dataclass(frozen=True, eq=False, repr=False)
class EvaluationResult:
    """The figures of every repeat of an evaluation, and the protocol they belong to.

    Attributes
    ----------
    name : str
        Name of the system.
    protocol : str
        The protocol in one line.
    ranks : tuple of int
        The ranks reported.
    repeats : tuple of Repeat
        One entry per trial.
    confidence : float
        Coverage of :attr:`interval`.
    estimator : estimator
        The estimator evaluated: unfitted if each repeat fitted a clone.
    estimators : tuple or None
        The fitted estimators, one per repeat, if they were asked for.
    target, cams, paths : sequence or None
        Identity, camera and file of each image of the dataset, for :meth:`hardest`; None if it has no such column.
    tracks : ndarray or None
        Track of each image of the dataset, if tracks were ranked.
    rerank : dict or None
        The settings of re-ranking, `k1`, `k2` and `lambda_value`; None without it. The protocol's line says so too.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skreid.evaluation import evaluate
    >>> from skreid.protocols import TwoViewProtocol
    >>> people = {"target": np.repeat([0, 1, 2, 3], 2), "cams": np.tile([0, 1], 4), "data": np.arange(8.0)[:, None]}
    >>> result = evaluate(StandardScaler(), people, TwoViewProtocol(n_repeats=2), ranks=1)
    >>> print(result.table().splitlines()[2])
    | StandardScaler | 75.0 ± 35.4 | 87.5 ± 17.7 |
    """

    name: str
    protocol: str
    ranks: tuple
    repeats: tuple
    confidence: float
    estimator: object
    estimators: tuple | None = None
    target: object = None
    cams: object = None
    paths: object = None
    tracks: object = None
    rerank: dict | None = None

    @property
    def label(self):
        """The name, with the settings of re-ranking if there was one: for legends and titles."""
        return self.name if self.rerank is None else f"{self.name}, {label_of(self.rerank)}"

    @cached_property
    def values(self):
        """Values per figure ("rank_1", ..., "mAP", "mINP"), a dict of ndarray of shape (n_repeats,), in [0, 1]."""
        metrics = [repeat.metrics for repeat in self.repeats]
        figures = {f"rank_{k}": np.array([each.ranks[k] for each in metrics]) for k in self.ranks}
        figures["mAP"] = np.array([each.mean_average_precision for each in metrics])
        figures["mINP"] = np.array([each.mean_inverse_negative_penalty for each in metrics])
        return figures

    @cached_property
    def summaries(self):
        """Summary per figure, a dict of :class:`skreid.metrics.Summary`.

        Several repeats have Student's interval. A single one has Wilson's for rank-k, and NaN for mAP and mINP.
        """
        n_counted = None
        if len(self.repeats) == 1:
            n_counted = int(self.n_probes[0] - self.n_dropped[0])
        return {
            figure: summary(
                values,
                n_probes=n_counted if figure.startswith("rank_") else None,
                confidence=self.confidence,
            )
            for figure, values in self.values.items()
        }

    @property
    def mean(self):
        """Mean per figure over the repeats, a dict."""
        return {figure: over_repeats.mean for figure, over_repeats in self.summaries.items()}

    @property
    def std(self):
        """Standard deviation per figure over the repeats, a dict; n - 1 in the denominator, NaN for a single repeat.

        It is 0 and says nothing if all repeats are the same, so it is not printed then.
        """
        return {figure: over_repeats.std for figure, over_repeats in self.summaries.items()}

    @property
    def interval(self):
        """Confidence interval (low, high) of the mean per figure, a dict; clipped to [0, 1], NaN if unknown."""
        return {
            figure: (float(np.clip(over_repeats.low, 0, 1)), float(np.clip(over_repeats.high, 0, 1)))
            for figure, over_repeats in self.summaries.items()
        }

    @property
    def cmc(self):
        """CMC curves, an ndarray of shape (n_repeats, n_ranks); beyond its gallery, each stays at its last value."""
        curves = [repeat.metrics.cmc for repeat in self.repeats]
        longest = max(map(len, curves))
        return np.stack([np.pad(curve, (0, longest - len(curve)), mode="edge") for curve in curves])

    @property
    def n_probes(self):
        """Number of probes per repeat, an ndarray of shape (n_repeats,)."""
        return np.array([repeat.metrics.n_probes for repeat in self.repeats])

    @property
    def n_valid(self):
        """Number of probes with a true match in their gallery, per repeat."""
        return np.array([repeat.metrics.n_valid for repeat in self.repeats])

    @property
    def n_dropped(self):
        """Number of probes left out of the means, per repeat."""
        return np.array([repeat.metrics.n_dropped for repeat in self.repeats])

    def by_camera_pair(self):
        """Return rank-1, mAP and counts for each pair of a probe's camera and a gallery camera, worst pairs first.

        For the pair (a, b), each probe of camera a is ranked against the gallery images of camera b alone. The repeats
        that have both, probes of a and gallery images of b, are counted together; other repeats say nothing about the
        pair. A smaller gallery is easier, so compare pairs of similar `n_gallery`.

        Returns
        -------
        ResultTable
            One row per pair in which any probe has a true match; its notes say which pairs have no row. Columns:

            - probe_cam, gallery_cam: the two cameras, a and b;
            - rank_1, mAP: in [0, 1], over the probes with a true match in camera b;
            - n_valid: the number of these probes;
            - n_probes: the number of all probes of camera a;
            - n_gallery: the number of gallery images of camera b.

            Probes are added up over the repeats that count for the pair. `n_gallery` is a mean over these. Where tracks
            or people are ranked, these are numbers of tracks or people.

        Raises
        ------
        ValueError
            If the cameras are not known.

        See Also
        --------
        skreid.displays.CameraPairDisplay : The same as a picture.
        """
        return by_camera_pair(self)

    def hardest(self, n=10):
        """Return the probes whose nearest true match ranks worst, and what stood first instead.

        Each probe image is listed once, in the repeat where it ranks worst. At equal ranks, the lower average
        precision comes first.

        Parameters
        ----------
        n : int, default=10
            Number of probes; all if there are fewer.

        Returns
        -------
        ResultTable
            With the columns probe (dataset index), rank (of the nearest true match), match (its dataset index),
            identity, cam and path of the probe, first (dataset index of the image that stood first), and its identity,
            cam and path; if there are several, "repeat", counted from 0 as in `repeats` and in the report. Columns that
            the dataset lacks are left out, and `first` is None if `evaluate` kept no rankings. For tracks, there are
            their labels and lengths too, and indices are those of the pictures in their middle.
        """
        return hardest(self, check_int(n, "n", "EvaluationResult.hardest"))

    def to_dict(self):
        """Return all figures and counts as plain numbers, strings, lists and dicts, for JSON.

        Unknown values, such as the deviation of a single repeat, are None.

        Returns
        -------
        dict
            With name, protocol, rerank, n_repeats, confidence, figures, cmc, and the counts of each repeat.
        """
        return as_dict(self)

    def table(self, *others):
        """Return a Markdown table in percent, with one row per system and the protocols below.

        mINP is left out where every probe has one true match: it is mAP then.

        Parameters
        ----------
        *others : EvaluationResult
            Results of further systems, with the same ranks.

        Returns
        -------
        str

        Raises
        ------
        ValueError
            If another result has other ranks.
        """
        return as_table([self, *others])

    def __repr__(self):
        return as_text(self)

    def counts(self):
        """Return in words how many probes the figures are based on, and whether all repeats are the same."""
        return counts_of(self)
