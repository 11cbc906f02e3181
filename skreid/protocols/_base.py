"""Shared by all protocols: a trial, how an evaluation applies a protocol, and the comparison of a trial's distances.

A protocol needs only identities and cameras, so it works on any object that has `target` and `cams`.
"""

from copy import copy
from dataclasses import dataclass

import numpy as np

from skreid._base.arrays import as_array
from skreid._base.dataset import WITHOUT_CAMS, get_column, get_labels
from skreid._base.junk import codes_of
from skreid._base.labels import factorize
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


class Applicable:
    """A protocol whose one line says whose data it was applied to, and whether anything was fitted."""

    _published_for = None  # the data set that the protocol is named after
    _fits, _data = True, None

    def applied_to(self, dataset, fit=True):
        """Return this protocol as an evaluation applies it.

        Parameters
        ----------
        dataset : Bunch, dict or object
            A text `name`, or the first line of `DESCR` as loaders write it, says whose data it is.
        fit : bool, default=True
            Whether a system is fitted in each repeat. If False, a protocol whose `n_train` is None leaves nobody out.

        Returns
        -------
        protocol : object
            Of the same class. Its `describe` says what was done.
        """
        applied = copy(self)
        vars(applied).update(_fits=bool(fit), _data=_name_of(dataset))
        return applied

    def _title(self, title, named_after):
        """Return the title of the line; `named_after` is what a protocol on other data than its own is called."""
        own = self._data is None or self._published_for is None
        own = own or self._data == self._published_for or self._data.startswith(f"{self._published_for} (")
        return title if own else f"{named_after} on {self._data}"


def _name_of(dataset):
    """Return what a dataset calls itself, as far as its counts agree with the published ones."""
    name, text = get_column(dataset, "name"), get_column(dataset, "DESCR")
    if isinstance(name, str) and name.strip():
        return name
    name = text.strip().partition("\n")[0].strip() if isinstance(text, str) else ""
    if not name:
        return "given data"
    report = get_column(dataset, "report")
    published = {} if report is None else get_column(report, "expected") or {}
    other = any(get_column(report, count) not in (None, number) for count, number in published.items())
    return f"data in the layout of {name}" if other else name


def coded(dataset, owner, **left_out):
    """Return the identities as integers, the label of each integer, and which images are not `left_out`.

    Keywords are the parameters that name identities to leave out, such as ``junk_ids=(-1,)``.
    """
    (identity,), uniques = factorize(target=get_labels(dataset, "target", owner))
    codes = [code for name, ids in left_out.items() for code in codes_of(ids, uniques, f"{name} of {owner}")]
    return identity, uniques, ~np.isin(identity, codes)


def compare(dataset, trial, distances, owner, how=None, probes=True, with_cams=False):
    """Return a trial's distances with identities, and with cameras if asked; aggregate them unless `how` is None."""
    target = get_labels(dataset, "target", owner)
    y_probe, y_gallery = target[trial.probe], target[trial.gallery]
    shape = (len(y_probe), len(y_gallery))
    if not callable(distances):
        distances = as_array(distances, "distances")
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
    cams = get_labels(dataset, "cams", owner, len(target), WITHOUT_CAMS)
    return Comparison(y_probe, y_gallery, distances, cams[trial.probe], cams[trial.gallery])
