"""From distances between images to distances between people, for protocols with several images per person.

Sum, mean and min rank people differently: the choice belongs to the protocol, not to the metric.
"""

from typing import NamedTuple

import numpy as np

from skreid._base.arrays import as_array
from skreid._base.checks import check_choice
from skreid._base.labels import as_labels, factorize
from skreid._search.distances import check_finite


class Comparison(NamedTuple):
    """The arguments of the functions of :mod:`skreid.metrics`: ``ranking_metrics(**comparison._asdict())``.

    Attributes
    ----------
    y_probe, y_gallery : ndarray of shape (n_probe,) and (n_gallery,)
        Identities of the rows and columns, which are images, or people after aggregation.
    distances : ndarray of shape (n_probe, n_gallery), or callable
    cams_probe, cams_gallery : ndarray or None
        Given only if the protocol filters by camera.

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
    """Turn distances between images into distances between people.

    Parameters
    ----------
    distances : array-like of shape (n_probe, n_gallery)
        Between images.
    y_probe, y_gallery : array-like of shape (n_probe,) and (n_gallery,)
        Identities.
    how : {"mean", "sum", "min"}, default="mean"
        How the distances between all image pairs of two people become one distance.
    probes : bool, default=True
        Whether the images of a probe person are combined too. If False, each probe image is compared with the people
        in the gallery.

    Returns
    -------
    distances : ndarray of shape (n_probe_identities, n_gallery_identities)
        In float64.
    y_probe, y_gallery : ndarray
        The identities of rows and columns, by first appearance.

    Raises
    ------
    ValueError
        If shapes disagree, `how` is another word, or "sum" would compare people with different numbers of
        gallery images.

    Examples
    --------
    >>> from skreid.protocols import aggregate_distances
    >>> distances = [[1.0, 2.0, 9.0, 9.0], [3.0, 4.0, 8.0, 8.0]]
    >>> aggregate_distances(distances, ["ann", "ann"], ["ann", "ann", "bo", "bo"], how="sum")
    (array([[10., 34.]]), array(['ann'], dtype=object), array(['ann', 'bo'], dtype=object))
    """
    options = {"mean": np.add, "sum": np.add, "min": np.minimum}
    check_choice(how, "how", "aggregate_distances", tuple(options))
    y_probe, y_gallery = as_labels(y_probe, "y_probe"), as_labels(y_gallery, "y_gallery")
    distances = as_array(distances, "distances").astype(np.float64)
    if distances.shape != (len(y_probe), len(y_gallery)):
        raise ValueError(
            f"distances must have shape (n_probe, n_gallery) = {(len(y_probe), len(y_gallery))}. "
            f"Got {distances.shape} instead."
        )
    check_finite("distances", distances)
    distances, y_gallery, n_images = _combine(distances, y_gallery, options[how], axis=1)
    if how == "sum" and n_images.min() < n_images.max():
        fewest, most = y_gallery[[n_images.argmin(), n_images.argmax()]].tolist()
        raise ValueError(
            f"Sums can only be compared between people with equally many gallery images, but {fewest!r} has "
            f"{n_images.min()} and {most!r} has {n_images.max()}. Use 'mean' or 'min', or draw equally many."
        )
    if how == "mean":
        distances /= n_images
    if probes:
        distances, y_probe, n_images = _combine(distances, y_probe, options[how], axis=0)
        if how == "mean":
            distances /= n_images[:, None]
    return distances, y_probe, y_gallery


def _combine(distances, ids, operation, axis):
    """Reduce the rows or columns of each identity; return distances, identities and the number of images of each."""
    (identity,), uniques = factorize(ids=ids)
    by_identity = np.argsort(identity, kind="stable")
    first = np.searchsorted(identity[by_identity], np.arange(len(uniques)))
    combined = operation.reduceat(np.take(distances, by_identity, axis=axis), first, axis=axis)
    return combined, ids[by_identity[first]], np.bincount(identity)
