"""evaluate: fit an estimator, describe, rank and score on every trial of a protocol.

The protocol chooses the images to train on and to rank, and the metrics score; this module connects them.
"""

import time

import numpy as np
from sklearn import get_config
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import has_fit_parameter

from skreid._base.checks import check_choice, check_int, check_ranks
from skreid._base.dataset import WITHOUT_CAMS, get_column, get_images, get_labels, get_paths
from skreid._ranking import gallery_distances
from skreid._search.reranking import check_rerank, label_of
from skreid._search.system import split_system, warn_without_cams
from skreid.evaluation._leaks import refuse_leaks, refuse_seen
from skreid.evaluation._nearest import NearestRecorder
from skreid.evaluation._result import EvaluationResult, Repeat
from skreid.evaluation._units import units_of
from skreid.evaluation._where import camera_recorder, images_of
from skreid.metrics import ranking_metrics
from skreid.metrics._figures import check_on_missing


def evaluate(
    estimator,
    dataset,
    protocol,
    *,
    ranks=(1, 5, 10, 20),
    fit=True,
    use_cams="auto",
    on_missing="drop",
    on_seen="raise",
    confidence=0.95,
    n_neighbors=10,
    name=None,
    return_estimators=False,
    tracks=None,
    rerank=False,
):
    """Evaluate an estimator under a protocol.

    Parameters
    ----------
    estimator : transformer or Pipeline
        An estimator that describes images, such as `MultiDepthReID`. A last step with `pairwise_distances`, such as
        `skreid.metric_learning.XQDA`, decides the distance; otherwise it is Euclidean.
    dataset : Bunch, dict or object
        With `images`, `paths` or `data` (a table of features) of length n, `target`, and, if the protocol needs
        them, `cams` and `subset`; for `tracks`, with `tracks` and maybe `quality`.
    protocol : object
        One of :mod:`skreid.protocols`, or your own, with the methods `split`, `aggregate` and `describe`.
    ranks : int or sequence of int, default=(1, 5, 10, 20)
        The ranks to report.
    fit : bool, default=True
        Whether each repeat fits a clone on its training images. If False, the estimator is used as it is, and every
        image is described once. Then a protocol that draws identities tests all of them, unless it was given an
        `n_train`, the number or share to leave out.
    use_cams : bool or "auto", default="auto"
        Whether cameras are passed to every `fit` that takes `cams`, and to a `pairwise_distances` that takes
        `cams_probe`. "auto" passes them if the dataset has cameras. The parts of a FeatureUnion get them
        only by metadata routing.
    on_missing : {"drop", "warn", "zero", "raise"}, default="drop"
        How to treat a probe without a true match in its gallery, as in
        :func:`skreid.metrics.ranking_metrics`; such probes are counted in any case.
    on_seen : {"raise", "ignore"}, default="raise"
        What to do if the `classes_` of a fitted estimator contain identities that are probes here. Only labels are
        compared: use "ignore" if it was fitted on another dataset whose identities happen to have the same labels.
        The other way round, a person whose label differs between the two datasets is not recognised.
    confidence : float, default=0.95
        Coverage of the confidence intervals.
    n_neighbors : int, default=10
        Length of the rankings kept for inspection; 0 keeps none.
    name : str, default=None
        Name of the system in tables; by default the class of the estimator, as `name_of` returns it.
    return_estimators : bool, default=False
        Whether the result keeps the fitted estimators.
    tracks : {"mean", "median", "weighted"} or None, default=None
        Whether to rank tracks in place of images, and how the descriptors of a track are pooled, as by
        :func:`skreid.pool_tracks`; "weighted" is the mean weighted by the column `quality`. The column `tracks` has the
        label of each image's track. The protocol draws and compares tracks as it would images, and each fit learns from
        all images of its training tracks.
    rerank : bool or dict, default=False
        Whether distances are re-ranked by k-reciprocal neighbours, as by :func:`skreid.metrics.k_reciprocal_blocks`; a
        dict sets `k1`, `k2` or `lambda_value`. All probes of a trial are used together, so the figures belong to
        another protocol than those without re-ranking: the result says so wherever it is printed or drawn.

    Returns
    -------
    EvaluationResult

    Raises
    ------
    ValueError
        If the dataset lacks a column, an identity is both trained on and a probe, or a parameter is out of range.

    Warns
    -----
    UserWarning
        If the metric of a fitted system learned a projection for each camera, and cameras are not used or not known.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skreid.evaluation import evaluate
    >>> from skreid.protocols import TwoViewProtocol
    >>> rng = np.random.default_rng(0)
    >>> people = {"target": np.repeat(np.arange(20), 2), "cams": np.tile([0, 1], 20)}
    >>> people["data"] = rng.normal(size=(20, 8))[people["target"]] + rng.normal(size=(40, 8))
    >>> evaluate(StandardScaler(), people, TwoViewProtocol(n_repeats=3), ranks=(1, 5))
    EvaluationResult of StandardScaler
      protocol: Two views: 50% training / all other test identities; ... 3 repeats (random_state=0)
      rank_1     23.3 ± 5.8 %   [9.0, 37.7]
      rank_5     86.7 ± 5.8 %   [72.3, 100.0]
      mAP        47.4 ± 8.8 %   [25.6, 69.2]
      10 probes in each of 3 repeats, each with a true match; intervals at 95 %
    """
    target = get_labels(dataset, "target", "evaluate")
    _check(protocol, fit, use_cams, on_seen, n_neighbors)
    check_on_missing(on_missing, "evaluate")
    rerank = check_rerank(rerank, "evaluate")
    protocol = protocol.applied_to(dataset, fit) if hasattr(protocol, "applied_to") else protocol
    ranks = check_ranks(ranks, "evaluate")
    images, paths = get_images(dataset, len(target)), get_paths(dataset, len(target))
    cams = _cams(dataset, use_cams, len(target))
    units = units_of(dataset, tracks, target, cams)
    trials = list(protocol.split(units.dataset))
    if not trials:
        raise ValueError(f"{type(protocol).__name__}.split yielded no trial.")
    refuse_leaks(trials, units.target)
    if not fit:
        if on_seen == "raise":
            refuse_seen(estimator, trials, units.target)
        describe_trial = _describe_once(estimator, images, units, trials)
    repeats, estimators = [], []
    for trial in trials:
        started = time.perf_counter()
        train = units.images(trial.train)
        fitted = _fit(clone(estimator), images, target, cams, train) if fit else estimator
        fitted_at = time.perf_counter()
        if not repeats and cams is None:
            warn_without_cams(split_system(fitted)[1])
        if fit:
            probes, gallery = (units.described(fitted, images, part) for part in (trial.probe, trial.gallery))
        else:
            probes, gallery = describe_trial(trial)
        distances = _distances(fitted, probes, gallery, units.cams, trial, rerank)
        comparison = protocol.aggregate(units.dataset, trial, distances)
        nearest = NearestRecorder(comparison, n_neighbors)
        comparison = comparison._replace(distances=nearest)
        cameras = camera_recorder(comparison, trial, units.target, units.cams)
        if cameras is not None:
            comparison = comparison._replace(distances=cameras)
        metrics = ranking_metrics(**comparison._asdict(), ranks=ranks, on_missing=on_missing)
        in_dataset = units.shown(images_of(comparison.y_gallery, trial.gallery, units.target))
        match, match_distance = nearest.match(in_dataset)
        repeats.append(
            Repeat(
                metrics=metrics,
                probe=units.shown(images_of(comparison.y_probe, trial.probe, units.target)),
                nearest=nearest.nearest(in_dataset),
                n_train=len(train) if fit else 0,
                n_gallery=len(comparison.y_gallery),
                seconds_fit=fitted_at - started,
                seconds_rank=time.perf_counter() - fitted_at,
                match=match,
                match_distance=match_distance,
                cameras=None if cameras is None else cameras.counts(metrics),
                n_unusable=units.n_unusable(np.union1d(trial.probe, trial.gallery)),
            )
        )
        if return_estimators:
            estimators.append(fitted)
    return EvaluationResult(
        name=name_of(estimator) if name is None else str(name),
        protocol=protocol.describe() + units.note + ("" if rerank is None else f"; {label_of(rerank)}"),
        ranks=ranks,
        repeats=tuple(repeats),
        confidence=confidence,
        estimator=estimator,
        estimators=tuple(estimators) if return_estimators else None,
        target=target,
        cams=cams,
        paths=paths,
        tracks=None if tracks is None else get_labels(dataset, "tracks", "evaluate"),
        rerank=rerank,
    )


def name_of(estimator):
    """Return a short name of an estimator: its class, or those of a Pipeline's steps.

    Parameters
    ----------
    estimator : estimator or Pipeline
        Fitted or not.

    Returns
    -------
    str
        The name, for tables and legends.

    Examples
    --------
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.pipeline import make_pipeline
    >>> from skreid.evaluation import name_of
    >>> from skreid.metric_learning import XQDA
    >>> name_of(make_pipeline(PCA(), XQDA()))
    'PCA + XQDA'
    """
    if isinstance(estimator, Pipeline):
        steps = [step for _, step in estimator.steps if step is not None and step != "passthrough"]
        return " + ".join(type(step).__name__ for step in steps)
    return type(estimator).__name__


def _check(protocol, fit, use_cams, on_seen, n_neighbors):
    missing = [method for method in ("split", "aggregate", "describe") if not hasattr(protocol, method)]
    if isinstance(protocol, type) or missing:
        given = f"a {type(protocol).__name__} without {', '.join(missing)}"
        if isinstance(protocol, type):
            given = f"the class {protocol.__name__}"
        raise ValueError(
            "The 'protocol' parameter of evaluate must be a protocol such as skreid.protocols.TwoViewProtocol(). "
            f"Got {given} instead."
        )
    check_choice(fit, "fit", "evaluate", (True, False))
    check_choice(use_cams, "use_cams", "evaluate", (True, False, "auto"))
    check_choice(on_seen, "on_seen", "evaluate", ("raise", "ignore"))
    check_int(n_neighbors, "n_neighbors", "evaluate", 0)


def _cams(dataset, use_cams, n_images):
    """Return the cameras to pass on, or None."""
    if not use_cams or (use_cams == "auto" and get_column(dataset, "cams") is None):
        return None
    return get_labels(dataset, "cams", "evaluate", n_images, WITHOUT_CAMS)


def _describe_once(estimator, images, units, trials):
    """Describe once what is in any trial; return a function (trial) -> descriptors of its probes and gallery."""
    wanted = np.unique(np.concatenate([part for trial in trials for part in (trial.probe, trial.gallery)]))
    descriptors = units.described(estimator, images, wanted)

    def describe_trial(trial):
        return tuple(descriptors[np.searchsorted(wanted, part)] for part in (trial.probe, trial.gallery))

    return describe_trial


def _fit(estimator, images, target, cams, train):
    """Fit on a trial's training images; cameras are passed to every step whose fit takes them."""
    if not len(train):
        raise ValueError(
            "The protocol leaves no image to train on: raise its n_train, or pass a fitted estimator, or one that "
            "learns nothing, with fit=False."
        )
    given = {}
    if cams is not None:
        given = dict.fromkeys(_camera_keywords(estimator), cams[train])
    return estimator.fit(_safe_indexing(images, train), target[train], **given)


def _camera_keywords(estimator):
    """Return the keywords under which an estimator's fit takes the cameras."""
    if not isinstance(estimator, Pipeline):
        return ["cams"] if has_fit_parameter(estimator, "cams") else []
    takers = [name for name, step in estimator.steps if hasattr(step, "fit") and has_fit_parameter(step, "cams")]
    if get_config()["enable_metadata_routing"]:  # the steps say by set_fit_request whether they want them
        return ["cams"] if takers else []
    return [f"{name}__cams" for name in takers]


def _distances(estimator, probes, gallery, cams, trial, rerank):
    """Return the distances as a callable; a metric that takes cameras gets them."""
    views = () if cams is None else (cams[trial.probe], cams[trial.gallery])
    return gallery_distances(estimator, probes, gallery, *views, rerank=rerank)
