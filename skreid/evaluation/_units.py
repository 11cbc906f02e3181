"""What an evaluation ranks: single images, or tracks whose descriptors are pooled.

A protocol draws and compares tracks as it does images: it gets a dataset with one entry per track. So no track is ever
torn apart.
"""

import numpy as np
from sklearn.utils import _safe_indexing

from skreid._base.checks import check_choice
from skreid._base.dataset import get_column, get_labels
from skreid._search.system import check_usable, describe
from skreid._search.tracks import Grouping, check_weights, pool

HOW = {"mean": "mean", "median": "median", "weighted": "mean weighted by quality"}
WITHOUT_TRACKS = (
    "To pool all images of an identity in one camera: dataset.tracks = [f'{who}-{cam}' for who, cam in "
    "zip(target, cams)]. To rank images, leave 'tracks' out."
)
WITHOUT_QUALITY = "tracks='weighted' pools by it; 'mean' and 'median' do without."


def units_of(dataset, tracks, target, cams):
    """Return the units of an evaluation.

    Parameters
    ----------
    dataset : Bunch, dict or object
    tracks : {"mean", "median", "weighted"} or None
        How tracks are pooled; None ranks images.
    target : ndarray of shape (n_images,)
    cams : ndarray of shape (n_images,) or None
        If cameras are passed on.
    """
    if not isinstance(tracks, str | None):
        raise ValueError(
            f"The 'tracks' parameter of evaluate says how tracks are pooled, {', '.join(map(repr, HOW))} or None. "
            f"Got a {type(tracks).__name__} instead. The labels of tracks go into the dataset, as dataset.tracks."
        )
    check_choice(tracks, "tracks", "evaluate", (None, *HOW))
    return Images(dataset, target, cams) if tracks is None else Tracks(dataset, tracks, target, cams)


class Images:
    """Single images.

    Attributes
    ----------
    dataset : object
        What the protocol gets, with one entry per unit.
    target, cams : ndarray of shape (n_units,), or None
    note : str
        What the line of the protocol has to add.
    """

    note = ""

    def __init__(self, dataset, target, cams):
        self.dataset, self.target, self.cams = dataset, target, cams

    def images(self, units):
        """Return the indices of all images of these units."""
        return units

    def shown(self, units):
        """Return the index of an image that stands for each of these units."""
        return units

    def described(self, estimator, images, units):
        """Return a descriptor per unit; refuse one without a usable descriptor."""
        descriptors = describe(estimator, _safe_indexing(images, units))
        check_usable(descriptors, units)
        return descriptors

    def n_unusable(self, units):
        """Return the number of images without a descriptor that were left out of these units."""
        return 0


class Tracks(Images):
    """Tracks, numbered by the first appearance of their labels in the column `tracks`."""

    def __init__(self, dataset, how, target, cams):
        labels = get_labels(dataset, "tracks", "evaluate", len(target), WITHOUT_TRACKS)
        grouped = Grouping(labels, "dataset.tracks", len(target))
        self._how, self._weights = how, None
        self._members, self._labels = grouped.members, grouped.labels
        columns = {"tracks": grouped.labels, "target": grouped.common(target, "identities")}
        for name, called in {"cams": "cameras", "subset": "subsets"}.items():
            if get_column(dataset, name) is not None:
                values = get_labels(dataset, name, "evaluate", len(target))
                columns[name] = grouped.common(values, called)
        if how == "weighted":
            quality = get_column(dataset, "quality")
            if quality is None:
                raise ValueError(f"evaluate needs dataset.quality, with one entry per image. {WITHOUT_QUALITY}")
            self._how, self._weights = "mean", check_weights(quality, "dataset.quality", len(target))
        super().__init__(columns, columns["target"], None if cams is None else columns["cams"])
        self._middle = np.array([images[len(images) // 2] for images in self._members], dtype=np.intp)
        self._n_unusable = np.zeros(len(self._members), dtype=np.intp)
        self.note = f"; tracks in place of images, pooled by {HOW[how]}"

    def images(self, units):
        return np.sort(self._images(units))

    def _images(self, units):
        return np.concatenate([self._members[unit] for unit in units] or [np.empty(0, dtype=np.intp)])

    def shown(self, units):
        """Return the image in the middle of each track: at its ends, people are often cut by the border."""
        return self._middle[units]

    def described(self, estimator, images, units):
        places = self._images(units)
        ends = np.cumsum([len(self._members[unit]) for unit in units])
        pooled, _, self._n_unusable[units] = pool(
            describe(estimator, _safe_indexing(images, places)),
            np.split(np.arange(len(places)), ends[:-1]),
            self._how,
            None if self._weights is None else self._weights[places],
            self._labels[units],
            places,
        )
        return pooled

    def n_unusable(self, units):
        return int(self._n_unusable[units].sum())
