"""From distances between images to distances between persons, for protocols with several images a person.

Sum, mean and min rank persons differently: the choice belongs to the protocol, not to the metric.
"""

from typing import NamedTuple

import numpy as np

from skreid._base.labels import as_labels, factorize


class Comparison(NamedTuple):
    """What the functions of :mod:`skreid.metrics` take: ``ranking_metrics(**comparison._asdict())``.

    Attributes
    ----------
    y_probe, y_gallery : ndarray of shape (n_probe,) and (n_gallery,)
        Identities of the rows and columns: of images, or of persons after aggregation.
    distances : ndarray of shape (n_probe, n_gallery), or callable
    cams_probe, cams_gallery : ndarray or None
        Given only where the protocol filters by camera.

    Examples
    --------
    >>> from skreid.metrics import ranking_metrics
    >>> from skreid.protocols import Comparison
    >>> comparison = Comparison(["ann"], ["bo", "ann"], [[0.4, 0.1]])
    >>> ranking_metrics(**comparison._asdict(), ranks=1).ranks
    {1: 1.0}
    """

    y_probe: np.ndarray
    y_gallery: np.ndarray
    distances: object
    cams_probe: np.ndarray | None = None
    cams_gallery: np.ndarray | None = None


def aggregate_distances(distances, y_probe, y_gallery, *, how="mean", probes=True):
    """Combine the distances of all images of a person into one.

    Parameters
    ----------
    distances : array-like of shape (n_probe, n_gallery)
        Between images.
    y_probe, y_gallery : array-like of shape (n_probe,) and (n_gallery,)
        Identities, of any hashable type.
    how : {"mean", "sum", "min"}, default="mean"
        Over all pairs of an image of one person and an image of the other.
    probes : bool, default=True
        Whether probes become persons too. If False, each probe image is compared with gallery persons.

    Returns
    -------
    distances : ndarray of shape (n_probe_persons, n_gallery_persons)
        In float64.
    y_probe, y_gallery : ndarray
        The persons of rows and columns, by first appearance.

    Raises
    ------
    ValueError
        If shapes disagree, `how` is another word, or "sum" would compare persons with differing numbers of
        gallery images.

    Examples
    --------
    >>> from skreid.protocols import aggregate_distances
    >>> distances = [[1.0, 2.0, 9.0, 9.0], [3.0, 4.0, 8.0, 8.0]]
    >>> aggregate_distances(distances, ["ann", "ann"], ["ann", "ann", "bo", "bo"], how="sum")
    (array([[10., 34.]]), array(['ann'], dtype=object), array(['ann', 'bo'], dtype=object))
    """
    options = {"mean": np.add, "sum": np.add, "min": np.minimum}
    if how not in options:
        raise ValueError(
            "The 'how' parameter of aggregate_distances must be a str among {'mean', 'sum', 'min'}. "
            f"Got {how!r} instead."
        )
    y_probe, y_gallery = as_labels(y_probe, "y_probe"), as_labels(y_gallery, "y_gallery")
    distances = np.asarray(distances, dtype=np.float64)
    if distances.shape != (len(y_probe), len(y_gallery)):
        raise ValueError(
            f"distances must have shape (n_probe, n_gallery) = {(len(y_probe), len(y_gallery))}. "
            f"Got {distances.shape} instead."
        )
    distances, y_gallery, n_images = _combine(distances, y_gallery, options[how], axis=1)
    if how == "sum" and n_images.min() < n_images.max():
        few, many = y_gallery[[n_images.argmin(), n_images.argmax()]].tolist()
        raise ValueError(
            f"Sums compare only persons with equally many gallery images, but {few!r} has "
            f"{n_images.min()} and {many!r} has {n_images.max()}. Use 'mean' or 'min', or draw equally many."
        )
    if how == "mean":
        distances /= n_images
    if probes:
        distances, y_probe, n_images = _combine(distances, y_probe, options[how], axis=0)
        if how == "mean":
            distances /= n_images[:, None]
    return distances, y_probe, y_gallery


def _combine(distances, ids, operation, axis):
    """Reduce the rows or columns of each person; return the persons and their numbers of images too."""
    (person,), uniques = factorize(ids=ids)
    by_person = np.argsort(person, kind="stable")
    first = np.searchsorted(person[by_person], np.arange(len(uniques)))
    combined = operation.reduceat(np.take(distances, by_person, axis=axis), first, axis=axis)
    return combined, ids[by_person[first]], np.bincount(person)
