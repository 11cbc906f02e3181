"""Refuse leaks: no identity may be both trained on and tested, by the protocol or in a fitted estimator."""

import numpy as np

from skreid._base.junk import alike
from skreid._search.system import identities_of, parts_of


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
    for part in parts_of(estimator):
        seen = alike(tested, identities_of(part))
        if seen:
            raise ValueError(
                f"{type(part).__name__} was fitted on {len(seen)} of the {len(tested)} identities that are probes "
                f"here, such as {seen[0]!r}: its figures would mean nothing. Pass fit=True to fit on "
                "each repeat's training images, or on_seen='ignore' if these names meant other people when it "
                "was fitted."
            )
