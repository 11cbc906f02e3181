"""Refuse leaks: no identity may be both trained on and tested, by the protocol or in a fitted estimator."""

import numpy as np


def refuse_leaks(trials, target):
    """Refuse a protocol that trains on the people it tests."""
    for number, trial in enumerate(trials):
        shared = set(target[trial.train].tolist()) & set(target[trial.probe].tolist())
        if shared:
            raise ValueError(
                f"Trial {number} trains on {len(shared)} identities that are probes, such as "
                f"{next(iter(shared))!r}: its figures would mean nothing. Fix the protocol's split."
            )


def refuse_seen(estimator, trials, target):
    """Refuse a fitted estimator that was trained on the identity of a probe."""
    tested = set(target[np.concatenate([trial.probe for trial in trials])].tolist())
    for part in _parts(estimator):
        classes = getattr(part, "classes_", None)
        seen = set() if classes is None else tested & set(np.asarray(classes).tolist())
        if seen:
            raise ValueError(
                f"{type(part).__name__} was fitted on {len(seen)} of the {len(tested)} identities that are probes "
                f"here, such as {next(iter(seen))!r}: its figures would mean nothing. Pass fit=True to fit on "
                "each repeat's training images, or on_seen='ignore' if these names meant other people when it "
                "was fitted."
            )


def _parts(estimator):
    """Yield an estimator and every fitted one within it: steps of Pipelines, members of unions, searches."""
    yield estimator
    nested = [part for _, part in getattr(estimator, "steps", None) or getattr(estimator, "transformer_list", ())]
    nested += [getattr(estimator, name) for name in ("best_estimator_", "estimator_") if hasattr(estimator, name)]
    for part in nested:
        if not isinstance(part, (str, type(None))):
            yield from _parts(part)
