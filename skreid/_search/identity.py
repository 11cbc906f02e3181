"""Which system described an array: a digest of a fitted system, and marks on the arrays that `describe` returned.

Descriptors of two systems can have one width, and no distance between them means anything.
"""

import weakref
from typing import NamedTuple

import joblib
import numpy as np
from sklearn.base import BaseEstimator

HOW_ONLY = {"batch_size", "checkpoint", "device", "memory", "n_jobs", "verbose"}  # change no descriptor
PLAIN = (bool, int, float, complex, str, bytes, type(None))


class _Facts:
    """Facts about arrays, each kept as long as its array lives."""

    def __init__(self):
        self._facts = {}

    def get(self, array):
        known = self._facts.get(id(array))
        return known[1] if known and known[0]() is array else None

    def set(self, array, fact):
        key = id(array)
        self._facts[key] = weakref.ref(array, lambda _: self._facts.pop(key, None)), fact


_digests, _marks = _Facts(), _Facts()


class Origin(NamedTuple):
    """What descriptors come from.

    Attributes
    ----------
    digest : str
        Of what described the images.
    metric : str or None
        Name of the learned metric that the system ranks by.
    """

    digest: str
    metric: str | None


def mark(descriptors, origin):
    """Remember what an array comes from, as long as the array lives."""
    _marks.set(descriptors, origin)


def pass_on_mark(descriptors, made):
    """Remember that an array made from others has their origin, if it is known."""
    origin = mark_of(descriptors)
    if origin is not None:
        mark(made, origin)


def mark_of(descriptors):
    """Return the origin of an array, or of the array whose rows it is a view of; None if it is not known."""
    width = getattr(descriptors, "shape", ())[-1:]
    while isinstance(descriptors, np.ndarray) and descriptors.shape[-1:] == width:
        origin = _marks.get(descriptors)
        if origin is not None:
            return origin
        descriptors = descriptors.base
    return None


def digest_of(estimator):
    """Return a digest of what a fitted estimator does; copies, also loaded ones, and other devices have the same."""
    return joblib.hash(_plain(estimator))


def _plain(value):
    """Return a value as nested lists of strings, which do not depend on how its parts are stored."""
    if isinstance(value, np.ndarray):
        digest = _digests.get(value)
        if digest is None:
            digest = joblib.hash(np.ascontiguousarray(value))
            _digests.set(value, digest)
        return digest
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, PLAIN):
        return repr(value)
    if isinstance(value, BaseEstimator):
        names = sorted(name for name in vars(value) if name not in HOW_ONLY and not name.startswith(("_skl", "_meta")))
        return [type(value).__qualname__, *([name, _plain(vars(value)[name])] for name in names)]
    if isinstance(value, dict):
        return sorted(([_plain(key), _plain(part)] for key, part in value.items()), key=str)
    if isinstance(value, (list, tuple)):
        return ["list", *map(_plain, value)]
    try:
        return joblib.hash(value)
    except Exception:  # pickling calls the methods of users' objects, which may raise anything
        return getattr(value, "__qualname__", type(value).__qualname__)
