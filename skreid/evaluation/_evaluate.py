"""evaluate: fit, describe, rank and score an estimator on every trial of a protocol.

The protocol decides who trains and who is ranked, the metrics count; here they only meet.
"""

import time
from collections.abc import Mapping
from numbers import Integral

import numpy as np
from sklearn import get_config
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

from skreid._base.labels import as_labels
from skreid._ranking import check_usable, describe, gallery_distances
from skreid.evaluation._nearest import NearestRecorder
from skreid.evaluation._result import EvaluationResult, Repeat
from skreid.metrics import ranking_metrics


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
):
    """Evaluate an estimator under a protocol.

    Parameters
    ----------
    estimator : transformer or Pipeline
        What describes images, such as `MultiDepthReID`. A last step with `pairwise_distances`, such as
        `skreid.metric_learning.XQDA`, decides the distance; otherwise it is Euclidean.
    dataset : Bunch, dict or object
        With `images`, `paths` or `data` (tables of features) of length n, `target`, and `cams` and `subset`
        where the protocol needs them.
    protocol : object
        One of :mod:`skreid.protocols`.
    ranks : int or sequence of int, default=(1, 5, 10, 20)
        The ranks to report.
    fit : bool, default=True
        Whether each repeat fits a clone on its training images. If False, the estimator is taken as it is,
        and every image is described once.
    use_cams : bool or "auto", default="auto"
        Whether cameras are given to every `fit` that takes `cams`, and to a `pairwise_distances` that takes
        `cams_probe`. "auto" does so if the dataset has cameras.
    on_missing : {"drop", "warn", "zero", "raise"}, default="drop"
        What becomes of a probe without a true match in its gallery, as in
        :func:`skreid.metrics.ranking_metrics`; they are counted in any case.
    on_seen : {"raise", "ignore"}, default="raise"
        What to do if a fitted estimator's `classes_` hold identities that are probes here. Ignore it only if
        it was fitted on another dataset, whose identities have the same names by accident.
    confidence : float, default=0.95
        Coverage of the confidence intervals.
    n_neighbors : int, default=10
        Places of each ranking kept for looking at; 0 keeps none.
    name : str, default=None
        Of the system, for tables; by default from the estimator's class.
    return_estimators : bool, default=False
        Whether the result keeps the fitted estimators.

    Returns
    -------
    EvaluationResult

    Raises
    ------
    ValueError
        If the dataset lacks something, an identity is both trained on and a probe, or a parameter is out of
        range.

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
      mINP       47.4 ± 8.8 %   [25.6, 69.2]
      10 probes in each of 3 repeats, each with a true match; intervals at 95 %
    """
    _check(protocol, use_cams, on_seen, n_neighbors)
    ranks = (int(ranks),) if isinstance(ranks, Integral) else tuple(ranks)
    images = _Images(dataset)
    target = as_labels(_get(dataset, "target"), "dataset.target")
    images.check(len(target), "target")
    cams = _cams(dataset, use_cams, len(target))
    trials = list(protocol.split(dataset))
    if not trials:
        raise ValueError(f"{type(protocol).__name__}.split gave no trial.")
    _refuse_leaks(trials, target)
    if not fit:
        if on_seen == "raise":
            _refuse_seen(estimator, trials, target)
        describe_trial = _describe_once(estimator, images, trials)
    repeats, estimators = [], []
    for trial in trials:
        started = time.perf_counter()
        fitted = _fit(clone(estimator), images, target, cams, trial) if fit else estimator
        fitted_at = time.perf_counter()
        if fit:
            probes, gallery = (_described(fitted, images, part) for part in (trial.probe, trial.gallery))
        else:
            probes, gallery = describe_trial(trial)
        distances = _distances(fitted, probes, gallery, cams, trial)
        comparison = protocol.aggregate(dataset, trial, distances)
        recorder = NearestRecorder(comparison, n_neighbors)
        metrics = ranking_metrics(
            **comparison._replace(distances=recorder)._asdict(), ranks=ranks, on_missing=on_missing
        )
        repeats.append(
            Repeat(
                metrics=metrics,
                probe=_images_of(comparison.y_probe, trial.probe, target),
                nearest=_in_dataset(recorder.nearest(), comparison.y_gallery, trial.gallery, target),
                n_train=len(trial.train) if fit else 0,
                n_gallery=len(comparison.y_gallery),
                seconds_fit=fitted_at - started,
                seconds_rank=time.perf_counter() - fitted_at,
            )
        )
        if return_estimators:
            estimators.append(fitted)
    return EvaluationResult(
        name=name_of(estimator) if name is None else str(name),
        protocol=protocol.describe(),
        ranks=ranks,
        repeats=tuple(repeats),
        confidence=confidence,
        estimator=estimator,
        estimators=tuple(estimators) if return_estimators else None,
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
        For tables and legends.

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


class _Images:
    """The images of a dataset under the first name it has, taken by place."""

    def __init__(self, dataset):
        for key in ("images", "paths", "data"):
            self._all = _get(dataset, key, required=False)
            if self._all is not None:
                self.key = key
                return
        raise ValueError(
            f"The dataset, a {type(dataset).__name__}, has neither 'images' nor 'paths' nor 'data': give one of them, "
            "with one entry an image, beside 'target', in a dict or a Bunch such as loaders return."
        )

    def check(self, n, other):
        """Refuse a number of images that differs from the number of identities."""
        n_images = self._all.shape[0] if hasattr(self._all, "shape") else len(self._all)
        if n_images != n:
            raise ValueError(f"dataset.{self.key} has {n_images} entries, but dataset.{other} has {n}.")

    def take(self, indices):
        """Return some images, in the form they came."""
        if hasattr(self._all, "iloc"):
            return self._all.iloc[indices]
        if isinstance(self._all, np.ndarray):
            return self._all[indices]
        return [self._all[i] for i in indices]


def _get(dataset, key, required=True):
    values = dataset.get(key) if isinstance(dataset, Mapping) else getattr(dataset, key, None)
    if values is None and required:
        raise ValueError(f"evaluate needs dataset.{key}, with one entry an image.")
    return values


def _check(protocol, use_cams, on_seen, n_neighbors):
    if isinstance(protocol, type) or not hasattr(protocol, "split"):
        given = f"the class {protocol.__name__}" if isinstance(protocol, type) else f"a {type(protocol).__name__}"
        raise ValueError(
            "The 'protocol' parameter of evaluate must be a protocol such as skreid.protocols.TwoViewProtocol(). "
            f"Got {given} instead."
        )
    for name, value, options in (
        ("use_cams", use_cams, (True, False, "auto")),
        ("on_seen", on_seen, ("raise", "ignore")),
    ):
        if not any(value is option or value == option for option in options):
            raise ValueError(
                f"The {name!r} parameter of evaluate must be among {{{', '.join(map(repr, options))}}}. "
                f"Got {value!r} instead."
            )
    if isinstance(n_neighbors, bool) or not isinstance(n_neighbors, Integral) or n_neighbors < 0:
        raise ValueError(
            "The 'n_neighbors' parameter of evaluate must be an int in the range [0, inf). "
            f"Got {n_neighbors!r} instead."
        )


def _cams(dataset, use_cams, n):
    """Return the cameras to hand on, or None."""
    cams = _get(dataset, "cams", required=use_cams is True)
    if cams is None or use_cams is False:
        return None
    cams = as_labels(cams, "dataset.cams")
    if len(cams) != n:
        raise ValueError(f"dataset.cams has {len(cams)} entries, but dataset.target has {n}.")
    return cams


def _refuse_leaks(trials, target):
    """Refuse a protocol that trains on those it tests."""
    for number, trial in enumerate(trials):
        shared = set(target[trial.train].tolist()) & set(target[trial.probe].tolist())
        if shared:
            raise ValueError(
                f"Trial {number} trains on {len(shared)} identities that are probes, such as "
                f"{next(iter(shared))!r}: its figures would mean nothing. Mend the protocol's split."
            )


def _parts(estimator):
    """Yield an estimator and every fitted one within it: steps of Pipelines, members of unions, searches."""
    yield estimator
    nested = [part for _, part in getattr(estimator, "steps", None) or getattr(estimator, "transformer_list", ())]
    nested += [getattr(estimator, name) for name in ("best_estimator_", "estimator_") if hasattr(estimator, name)]
    for part in nested:
        if not isinstance(part, (str, type(None))):
            yield from _parts(part)


def _refuse_seen(estimator, trials, target):
    """Refuse a fitted estimator that knows a probe's identity."""
    steps = list(_parts(estimator))
    tested = set(target[np.concatenate([trial.probe for trial in trials])].tolist())
    for step in steps:
        classes = getattr(step, "classes_", None)
        seen = set() if classes is None else tested & set(np.asarray(classes).tolist())
        if seen:
            raise ValueError(
                f"{type(step).__name__} was fitted on {len(seen)} of the {len(tested)} identities that are probes "
                f"here, such as {next(iter(seen))!r}: its figures would mean nothing. Pass fit=True to fit on "
                "each repeat's training images, or on_seen='ignore' if these names meant other people when it "
                "was fitted."
            )


def _described(estimator, images, places):
    """Describe the images at some places of the dataset, all of which must be usable."""
    descriptors = describe(estimator, images.take(places))
    check_usable(descriptors, places)
    return descriptors


def _describe_once(estimator, images, trials):
    """Describe every image that a trial needs once; return a function that gives a trial's two parts."""
    wanted = np.unique(np.concatenate([part for trial in trials for part in (trial.probe, trial.gallery)]))
    descriptors = _described(estimator, images, wanted)

    def describe_trial(trial):
        return tuple(descriptors[np.searchsorted(wanted, part)] for part in (trial.probe, trial.gallery))

    return describe_trial


def _fit(estimator, images, target, cams, trial):
    """Fit on a trial's training images, with their cameras for all that takes them."""
    if not len(trial.train):
        raise ValueError(
            "The protocol leaves no image to train on: pass a fitted estimator, or one that learns nothing, "
            "with fit=False."
        )
    given = {}
    if cams is not None:
        given = dict.fromkeys(_camera_keywords(estimator), cams[trial.train])
    return estimator.fit(images.take(trial.train), target[trial.train], **given)


def _camera_keywords(estimator):
    """Return the keywords under which an estimator's fit wants the cameras."""
    if not isinstance(estimator, Pipeline):
        return ["cams"] if has_fit_parameter(estimator, "cams") else []
    takers = [name for name, step in estimator.steps if hasattr(step, "fit") and has_fit_parameter(step, "cams")]
    if get_config()["enable_metadata_routing"]:  # the steps say by set_fit_request whether they want them
        return ["cams"] if takers else []
    return [f"{name}__cams" for name in takers]


def _distances(estimator, probes, gallery, cams, trial):
    """Return the distances as a callable, by a metric that knows cameras where there is one."""
    views = () if cams is None else (cams[trial.probe], cams[trial.gallery])
    return gallery_distances(estimator, probes, gallery, *views)


def _images_of(ids, indices, target):
    """Return the place in the dataset of each row or column: its image, or its person's first one."""
    if len(ids) == len(indices):
        return indices
    first = {}
    for place in indices.tolist():
        first.setdefault(target[place], place)
    return np.array([first[identity] for identity in ids], dtype=np.intp)


def _in_dataset(nearest, ids, indices, target):
    """Turn gallery columns into places in the dataset."""
    places = _images_of(ids, indices, target)
    return nearest._replace(indices=np.where(nearest.indices >= 0, places[nearest.indices], -1))
