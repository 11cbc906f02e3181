"""Tracks: images that show one person, one after the other, in one camera; their descriptors become one.

Pooling averages out what differs from image to image, and leaves one probe, or one entry of a gallery, per track.
"""

import warnings
from dataclasses import dataclass, field

import numpy as np

from skreid._base.arrays import as_array
from skreid._base.checks import check_choice
from skreid._base.labels import as_labels, factorize
from skreid._search.identity import pass_on_mark

HOW = ("mean", "median")


@dataclass(frozen=True, eq=False, repr=False)
class Tracks:
    """One descriptor per track, as `pool_tracks` returns them.

    Attributes
    ----------
    descriptors : ndarray of shape (n_tracks, n_features)
        What `skreid.Gallery`, `skreid.rank_gallery` and `kneighbors` take, as probes and as gallery.
    labels : ndarray of shape (n_tracks,)
        The label of each track, by first appearance.
    counts : ndarray of shape (n_tracks,), intp
        Number of images pooled in each track.
    n_unusable : ndarray of shape (n_tracks,), intp
        Number of images left out of each track because they have no descriptor, only NaN.
    ids, cams : ndarray of shape (n_tracks,) or None
        Identity and camera of each track, if those of the images were given.

    Examples
    --------
    >>> import numpy as np
    >>> from skreid import pool_tracks
    >>> tracks = pool_tracks(np.array([[0.0], [2.0], [7.0]]), ["a", "a", "b"])
    >>> tracks
    Tracks(n_tracks=2, n_images=3, n_features=1)
    >>> len(tracks)
    2
    """

    descriptors: np.ndarray
    labels: np.ndarray
    counts: np.ndarray
    n_unusable: np.ndarray = field(repr=False)
    ids: np.ndarray | None = None
    cams: np.ndarray | None = None

    def __len__(self):
        return len(self.labels)

    def __repr__(self):
        n_features = self.descriptors.shape[1]
        return f"Tracks(n_tracks={len(self)}, n_images={self.counts.sum()}, n_features={n_features})"


def pool_tracks(descriptors, tracks, *, how="mean", weights=None, ids=None, cams=None):
    """Pool the descriptors of each track into one.

    Parameters
    ----------
    descriptors : array-like of shape (n_images, n_features)
        As `transform` and :func:`skreid.describe` return them. Images with a row of NaN (`on_error="nan"`) are left out
        and counted.
    tracks : array-like of shape (n_images,)
        Label of each image's track, numbers or strings. The images of a track need not follow one another. -1 is a
        label like any other: if it means "no track", leave these images out, as in
        ``pool_tracks(descriptors[tracks != -1], tracks[tracks != -1])``.
    how : {"mean", "median"}, default="mean"
        How values become one; the median, of each dimension, is robust against single images that show somebody else.
    weights : array-like of shape (n_images,), optional
        Quality of each image, at least 0, for the mean. 0 leaves the image out.
    ids, cams : array-like of shape (n_images,), optional
        Identity and camera of each image. A track has one of each; a label that two people or cameras share is refused.

    Returns
    -------
    tracks : Tracks
        With `descriptors`, in the dtype of the given ones, and `labels`, `ids` and `cams` by first appearance.

    Raises
    ------
    ValueError
        If lengths differ, a track has two identities or cameras or no image with a descriptor and a weight above 0,
        a descriptor has some NaN or infinity, or a weight is negative.

    Warns
    -----
    UserWarning
        If images are left out because they have no descriptor.

    Notes
    -----
    Descriptors of unit length have shorter means, the shorter the more the images differ. The cosine distance of
    ``Gallery(metric="cosine")`` ignores lengths, and ``sklearn.preprocessing.normalize`` restores them.

    Examples
    --------
    >>> import numpy as np
    >>> from skreid import Gallery, pool_tracks
    >>> descriptors = np.array([[0.0, 1.0], [0.2, 1.2], [5.0, 5.0], [0.1, 1.3]])
    >>> tracks = pool_tracks(descriptors, [7, 7, 9, 7], ids=["ann", "ann", "bo", "ann"])
    >>> tracks.labels, tracks.counts
    (array([7, 9], dtype=object), array([3, 1]))
    >>> gallery = Gallery(tracks.descriptors, ids=tracks.ids)
    >>> gallery.ids[gallery.kneighbors([[4.0, 4.0]], n_neighbors=1, return_distance=False)]
    array([['bo']], dtype='<U3')
    """
    check_choice(how, "how", "pool_tracks", HOW)
    rows = as_array(descriptors, "descriptors")
    if not rows.size and rows.ndim == 1:  # of no image
        rows = rows.reshape(0, 0)
    if rows.ndim != 2 or (len(rows) and not rows.shape[1]):
        raise ValueError(f"descriptors must have shape (n_images, n_features). Got {rows.shape} instead.")
    grouped = Grouping(tracks, "tracks", len(rows))
    ids, cams = (
        None if values is None else grouped.common(_labels(values, name, len(rows)), name)
        for name, values in {"ids": ids, "cams": cams}.items()
    )
    if weights is not None:
        weights = check_weights(weights, "weights", len(rows))
        if how != "mean":
            raise ValueError(f"weights were given, but the {how} takes none: leave them out, or use how='mean'.")
    pooled, counts, n_unusable = pool(rows, grouped.members, how, weights, grouped.labels)
    if n_unusable.any():
        warnings.warn(
            f"{n_unusable.sum()} of {len(rows)} images have no descriptor, only NaN, and were left out of their "
            "tracks: n_unusable has their number for each track.",
            stacklevel=2,
        )
    pass_on_mark(descriptors, pooled)
    return Tracks(pooled, grouped.labels, counts, n_unusable, ids, cams)


class Grouping:
    """Images grouped into tracks, which are numbered by first appearance.

    Parameters
    ----------
    tracks : array-like of shape (n_images,)
        Label of each image's track.
    name : str
        What messages call them.
    n_images : int

    Attributes
    ----------
    labels : ndarray of shape (n_tracks,)
    codes : ndarray of shape (n_images,), intp
        Number of each image's track.
    members : list of ndarray
        Indices of the images of each track, ascending.
    """

    def __init__(self, tracks, name, n_images):
        labels = _labels(tracks, name, n_images)
        (self.codes,), _ = factorize(**{name: labels})
        by_track = np.argsort(self.codes, kind="stable")
        self.members = np.split(by_track, np.cumsum(np.bincount(self.codes))[:-1]) if n_images else []
        self._first = np.array([places[0] for places in self.members], dtype=np.intp)
        self.labels = labels[self._first]

    def common(self, labels, name):
        """Return the label that all images of each track share; refuse a track with two."""
        ours = labels[self._first]
        differ = np.flatnonzero(labels != ours[self.codes])
        if len(differ):
            image = differ[0]
            track = self.codes[image]
            images = self._first[track], image
            one, other = (f"{_plain(labels, place)!r} (image {place})" for place in images)
            raise ValueError(
                f"Track {_plain(self.labels, track)!r} has two {name}: {one} and {other}. A track shows one person in "
                "one camera. If several cameras count alike, make their labels differ: f'{cam}-{track}'."
            )
        return ours


def check_weights(weights, name, n_images):
    """Return the weights of images as float64; refuse what is negative or not finite by its index."""
    weights = as_array(weights, name).astype(np.float64)
    if weights.shape != (n_images,):
        raise ValueError(f"{name} must have shape ({n_images},), one per image. Got {weights.shape} instead.")
    bad = np.flatnonzero(~(weights >= 0) | np.isinf(weights))
    if len(bad):
        raise ValueError(f"{name} must be in the range [0, inf). Got {weights[bad[0]]} at index {bad[0]} instead.")
    return weights


def pool(descriptors, members, how, weights, labels, places=None):
    """Pool the rows of each track.

    Parameters
    ----------
    descriptors : ndarray of shape (n_images, n_features)
        Read one track at a time.
    members : list of ndarray
        The rows of each track.
    how : {"mean", "median"}
    weights : ndarray of shape (n_images,) or None
        For the mean.
    labels : sequence
        The label of each track, for messages.
    places : ndarray of shape (n_images,), optional
        What messages call each row.

    Returns
    -------
    pooled : ndarray of shape (n_tracks, n_features)
    counts, n_unusable : ndarray of shape (n_tracks,)
        Numbers of rows pooled, and of rows with nothing but NaN, which are left out.
    """
    dtype = descriptors.dtype if descriptors.dtype.kind == "f" else np.float64
    pooled = np.empty((len(members), descriptors.shape[1]), dtype=dtype)
    counts, n_unusable = np.zeros((2, len(members)), dtype=np.intp)
    for track, images in enumerate(members):
        rows = np.asarray(descriptors[images], dtype=np.float64)
        usable = ~np.isnan(rows).all(axis=1)
        n_unusable[track] = len(rows) - usable.sum()
        broken = usable & ~np.isfinite(rows).all(axis=1)
        if broken.any():
            image = images[broken.argmax()]
            image = image if places is None else places[image]
            raise ValueError(f"The descriptor of image {image} holds NaN or infinity in part: check that image.")
        quality = usable.astype(np.float64) if weights is None else np.where(usable, weights[images], 0)
        kept = quality > 0
        counts[track] = kept.sum()
        if not counts[track]:
            reason = "a descriptor" if weights is None else "a descriptor and a weight above 0"
            raise ValueError(
                f"Track {_plain(labels, track)!r} has no image with {reason}, among {len(images)}: leave out "
                "all images of this track."
            )
        if how == "mean":
            share = quality[kept] / quality.max()
            pooled[track] = (share / share.sum()) @ rows[kept]
        else:
            pooled[track] = np.median(rows[kept], axis=0)
    return pooled, counts, n_unusable


def lengths_of(tracks):
    """Return the number of images in each image's track."""
    codes = Grouping(tracks, "tracks", len(tracks)).codes
    return np.bincount(codes)[codes]


def _plain(labels, place):
    """Return a label as Python writes it."""
    return labels[place : place + 1].tolist()[0]


def _labels(values, name, n_images):
    labels = as_labels(values, name)
    if len(labels) != n_images:
        raise ValueError(f"{name} has {len(labels)} entries, but there are {n_images} images: give one for each.")
    return labels
