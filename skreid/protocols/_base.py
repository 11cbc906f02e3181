"""Shared by all protocols: a trial, the identities of a dataset, and the comparison of a trial's distances.

A protocol needs only identities and cameras, so it works on any object that has `target` and `cams`.
"""

from dataclasses import dataclass

import numpy as np

from skreid._base.dataset import get_labels
from skreid._base.labels import codes_of, factorize
from skreid.protocols._aggregate import Comparison, aggregate_distances


@dataclass(frozen=True, eq=False)
class Trial:
    """One repeat of a protocol.

    Attributes
    ----------
    train, probe, gallery : ndarray of intp
        Ascending indices into the dataset. No probe shows an identity of `train`.

    Examples
    --------
    >>> from skreid.protocols import TwoViewProtocol
    >>> people = {"target": [0, 0, 1, 1, 2, 2], "cams": [0, 1, 0, 1, 0, 1]}
    >>> trial = next(TwoViewProtocol(n_train=2).split(people))
    >>> len(trial.train), len(trial.probe), len(trial.gallery)
    (4, 1, 1)
    """

    train: np.ndarray
    probe: np.ndarray
    gallery: np.ndarray


def coded(dataset, owner, left_out=()):
    """Return the identities as integers, the label of each integer, and which images are not `left_out`."""
    (identity,), uniques = factorize(target=get_labels(dataset, "target", owner))
    return identity, uniques, ~np.isin(identity, codes_of(list(left_out), uniques))


def compare(dataset, trial, distances, owner, how=None, probes=True, with_cams=False):
    """Return a trial's distances with identities, and with cameras if asked; aggregate them unless `how` is None."""
    target = get_labels(dataset, "target", owner)
    y_probe, y_gallery = target[trial.probe], target[trial.gallery]
    shape = (len(y_probe), len(y_gallery))
    if not callable(distances):
        distances = np.asarray(distances)
        if distances.shape != shape:
            raise ValueError(
                f"distances must have shape (len(trial.probe), len(trial.gallery)) = {shape}. "
                f"Got {distances.shape} instead."
            )
    if how is not None:
        matrix = distances(0, shape[0]) if callable(distances) else distances
        combined, y_probe, y_gallery = aggregate_distances(matrix, y_probe, y_gallery, how=how, probes=probes)
        return Comparison(y_probe, y_gallery, combined)
    if not with_cams:
        return Comparison(y_probe, y_gallery, distances)
    cams = get_labels(dataset, "cams", owner, len(target))
    return Comparison(y_probe, y_gallery, distances, cams[trial.probe], cams[trial.gallery])
