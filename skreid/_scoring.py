"""CMC inside cross-validation: describe the test fold once, split it into probes and gallery, rank and score.

The scorer is an object rather than a function, so that cameras can be routed to it.
"""

import warnings
from collections import Counter
from numbers import Integral

import numpy as np
from sklearn.utils.metadata_routing import MetadataRequest
from sklearn.utils.validation import check_consistent_length

from skreid._base.checks import check_choice, check_int, check_ranks
from skreid._base.junk import alike
from skreid._base.labels import as_labels, factorize
from skreid._ranking import gallery_distances
from skreid._search.system import check_usable, describe, identities_of, parts_of, split_system, warn_without_cams
from skreid.exceptions import SeenIdentitiesWarning
from skreid.metrics import ranking_metrics
from skreid.model_selection import split_probe_gallery
from skreid.protocols import Comparison


class CMCScorer:
    """Score a transformer by how well it recognises test people: rank-k and mAP.

    Called as ``scorer(estimator, X, y, *, cams=None)`` on a test fold, it describes every image once. Then it draws
    `n_repeats` galleries of `n_shots` images per identity; all other images are probes (given cameras, those from
    other cameras). It ranks each gallery for every probe and averages the figures.

    Parameters
    ----------
    ranks : int or sequence of int, default=1
        Ranks of the cumulative matching characteristic.
    mean_average_precision : bool, default=False
        Whether to report mAP as well.
    n_repeats : int, default=10
        Random galleries to average over.
    n_shots : int, default=1
        Gallery images per identity; 1 is the single-shot protocol.
    random_state : int, default=0
        Seeds the galleries, so that all candidates of a search are scored on the same ones.
    on_seen : {"warn", "ignore"}, default="warn"
        What to do if the estimator, or a step of it, was fitted on identities that it is scored on. Only labels are
        compared: use "ignore" if it was fitted on another dataset whose identities happen to have the same labels.

    Notes
    -----
    If the estimator was fitted on identities that it is scored on, the score is too high: split by identity, as
    `skreid.model_selection.IdentityKFold` does. `skreid.evaluation.evaluate` refuses such identities. A score on
    exactly the training images is a training score, which `cross_validate`, `learning_curve` and epoch monitors
    compute on purpose, and does not warn. Images are taken for the training images if each identity has as many of
    them as in the training.

    With one rank and no mAP the score is a float; otherwise a dict such as ``{"rank_1": 0.7, "mAP": 0.6}``,
    which searches take with ``refit="rank_1"``. Cameras reach the scorer through scikit-learn's metadata
    routing, e.g. ``cross_validate(..., params={"cams": cams})`` with routing enabled; without routing, `params`
    are passed to `fit` only. `sklearn.callback.ScoringMonitor` needs named scores: ``scoring={"rank_1": cmc_score}``.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.preprocessing import FunctionTransformer
    >>> from skreid import CMCScorer
    >>> X, y = np.array([[0.0], [0.1], [5.0], [5.2]]), ["ann", "ann", "bob", "bob"]
    >>> CMCScorer(ranks=(1, 2))(FunctionTransformer().fit(X), X, y)
    {'rank_1': 1.0, 'rank_2': 1.0}
    """

    def __init__(
        self, ranks=1, *, mean_average_precision=False, n_repeats=10, n_shots=1, random_state=0, on_seen="warn"
    ):
        check_choice(on_seen, "on_seen", "CMCScorer", ("warn", "ignore"))
        check_int(n_repeats, "n_repeats", "CMCScorer")
        check_int(n_shots, "n_shots", "CMCScorer")
        self.ranks = ranks
        self.mean_average_precision = mean_average_precision
        self.n_repeats = n_repeats
        self.n_shots = n_shots
        self.random_state = random_state
        self.on_seen = on_seen

    def __setstate__(self, state):
        self.__init__()  # earlier versions had fewer parameters,
        vars(self).update(state)
        vars(self).pop("_request", None)  # and kept what `get_metadata_routing` returns

    def __call__(self, estimator, X, y, *more, cams=None):
        """Score a fitted estimator.

        Parameters
        ----------
        estimator : fitted transformer or Pipeline
            A last step with `pairwise_distances` decides the metric; otherwise it is Euclidean.
        X : images, n of them
            In any form the estimator takes.
        y : array-like of shape (n,)
            Identities.
        cams : array-like of shape (n,), optional
            Camera of each image; probe and gallery then come from different cameras, and a metric whose
            `pairwise_distances` takes cameras gets them.
        *more : object
            Nothing: positional arguments after `y` are refused, because cameras are a keyword.

        Returns
        -------
        score : float, or dict of str to float
            In [0, 1], higher is better.

        Raises
        ------
        ValueError
            If there is only one identity, if no identity has a probe (each has one image, or one camera), or if an
            image has no usable descriptor.

        Warns
        -----
        SeenIdentitiesWarning
            If the estimator was fitted on some of the identities, unless `on_seen` says otherwise.
        UserWarning
            If the metric learned a projection for each camera, and no cameras are given.
        """
        if more:
            raise TypeError("cams is a keyword argument of a CMCScorer: score(estimator, X, y, cams=cams).")
        ranks = check_ranks(self.ranks, "CMCScorer")
        if not ranks:
            raise ValueError("The 'ranks' parameter of CMCScorer is empty: give one rank or several.")
        draws = self.n_repeats, self.n_shots, self.random_state
        galleries = random_galleries(estimator, X, y, cams, *draws, self.on_seen)
        repeats = [ranking_metrics(**comparison._asdict(), ranks=ranks) for comparison in galleries]
        scores = {f"rank_{k}": float(np.mean([repeat.ranks[k] for repeat in repeats])) for k in ranks}
        if self.mean_average_precision:
            scores["mAP"] = float(np.mean([repeat.mean_average_precision for repeat in repeats]))
        elif isinstance(self.ranks, Integral):
            return scores[f"rank_{self.ranks}"]
        return scores

    def get_metadata_routing(self):
        """Return the routing request: the scorer takes `cams`."""
        request = MetadataRequest(owner="CMCScorer")
        request.score.add_request(param="cams", alias=True)
        return request

    def __repr__(self):
        parameters = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        return f"CMCScorer({', '.join(f'{name}={value!r}' for name, value in parameters.items())})"


cmc_score = CMCScorer()
cmc_score.__doc__ = """Score a fitted estimator by rank-1: the share of probes whose nearest gallery image is right.

Called as ``cmc_score(estimator, X, y, *, cams=None)``, or passed as ``scoring=cmc_score`` to `cross_validate` and
searches. Probes and gallery are drawn from X ten times, with one gallery image per identity. It is ``CMCScorer()``; see
`skreid.CMCScorer` for other ranks, mAP and several gallery images.

Parameters
----------
estimator : fitted transformer or Pipeline
    A last step with `pairwise_distances` decides the metric; otherwise it is Euclidean.
X : images, n of them
    In any form the estimator takes. They should show people whom it was not trained on.
y : array-like of shape (n,)
    Identities.
cams : array-like of shape (n,), optional
    Camera of each image; probe and gallery then come from different cameras.

Returns
-------
score : float
    In [0, 1], higher is better.

Examples
--------
>>> import numpy as np
>>> from sklearn.preprocessing import FunctionTransformer
>>> from skreid import cmc_score
>>> X, y = np.array([[0.0], [0.1], [5.0], [5.2]]), ["ann", "ann", "bob", "bob"]
>>> cmc_score(FunctionTransformer().fit(X), X, y)
1.0
"""
__test__ = {"cmc_score": cmc_score.__doc__}  # doctest looks into classes and functions alone


def random_galleries(estimator, X, y, cams, n_repeats, n_shots, random_state, on_seen="warn"):
    """Yield several random draws of probes and gallery, each with its distances.

    Parameters
    ----------
    estimator : fitted transformer or Pipeline
        Called once to describe all images.
    X : images, n of them
    y : array-like of shape (n,)
        Identities.
    cams : array-like of shape (n,) or None
        Cameras; probe and gallery of an identity then come from different ones.
    n_repeats, n_shots : int
        Galleries, and gallery images per identity.
    random_state : int
        Seeds the draws.
    on_seen : {"warn", "ignore"}, default="warn"
        What to do if the estimator was fitted on some of the identities.

    Yields
    ------
    Comparison
        What the functions of `skreid.metrics` take; its distances are a callable.

    Raises
    ------
    ValueError
        If lengths differ, there is only one identity, an image has no usable descriptor, or no probe can be drawn.
    """
    y = as_labels(y, "y")
    cams = None if cams is None else as_labels(cams, "cams")
    if hasattr(X, "__len__") or hasattr(X, "shape"):
        check_consistent_length(X, y, cams)
    if len(factorize(y=y)[1]) == 1:
        raise ValueError(f"y holds only one identity, {y[0]}: every ranking would be right. Score two or more.")
    if on_seen == "warn":
        _warn_seen(estimator, y)
    descriptors = describe(estimator, X)
    check_consistent_length(descriptors, y, cams)
    check_usable(descriptors)
    if cams is None:
        warn_without_cams(split_system(estimator)[1])
    rng = np.random.default_rng(random_state)
    for _ in range(n_repeats):
        seed = int(rng.integers(2**31))
        probe, gallery = split_probe_gallery(y, cams=cams, n_shots=n_shots, random_state=seed)
        views = {} if cams is None else {"cams_probe": cams[probe], "cams_gallery": cams[gallery]}
        distances = gallery_distances(estimator, descriptors[probe], descriptors[gallery], **views)
        yield Comparison(y[probe], y[gallery], distances, **views)


def _warn_seen(estimator, y):
    """Warn if the identities are some that an estimator was fitted on, unless the images are those of its training."""
    scored = Counter(y.tolist())
    for part in parts_of(estimator):
        trained = identities_of(part)
        is_known = None not in trained.values()
        on_purpose = trained == scored if is_known else trained.keys() == scored.keys()
        seen = alike(scored, trained)
        if seen and not on_purpose:
            warnings.warn(
                f"{type(part).__name__} was fitted on {len(seen)} of the {len(scored)} identities that are scored, "
                f"such as {seen[0]!r}, going by their labels: the score is too high. Score other people, splitting by "
                "identity as skreid.model_selection.IdentityKFold does. If these labels meant other people when it was "
                "fitted, use CMCScorer(on_seen='ignore').",
                SeenIdentitiesWarning,
                stacklevel=5,
            )
            return
