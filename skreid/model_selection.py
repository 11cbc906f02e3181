"""Splits in which no identity is on both sides, and a draw of probes and gallery among the test images.

Stratified folds put every person into training, so a re-identification figure computed from them is a leak.
"""

import warnings

import numpy as np
from sklearn.model_selection import BaseCrossValidator, GroupShuffleSplit
from sklearn.utils import check_consistent_length, check_random_state

from skreid._base.checks import check_int
from skreid._base.labels import as_labels, factorize
from skreid._base.text import count

__all__ = ["IdentityKFold", "IdentityShuffleSplit", "split_probe_gallery"]


class IdentityKFold(BaseCrossValidator):
    """K folds of whole identities, with about equally many images each.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2.
    shuffle : bool, default=False
        Whether identities are assigned to folds at random. If False, the identities with the most images are
        assigned first, and equal ones by first appearance.
    random_state : int, RandomState instance or None, default=None
        Seeds the shuffling; must be None if `shuffle` is False.

    See Also
    --------
    IdentityShuffleSplit : Random splits of identities.
    sklearn.model_selection.GroupKFold : The same idea for groups that are not the target.

    Examples
    --------
    >>> from skreid.model_selection import IdentityKFold
    >>> y = ["ann", "ann", "bo", "bo", "cy", "cy"]
    >>> for train, test in IdentityKFold(3).split(y, y):
    ...     print(train, test)
    [2 3 4 5] [0 1]
    [0 1 4 5] [2 3]
    [0 1 2 3] [4 5]
    """

    def __init__(self, n_splits=5, *, shuffle=False, random_state=None):
        check_int(n_splits, "n_splits", "IdentityKFold", 2)
        if not isinstance(shuffle, (bool, np.bool_)):
            raise ValueError(
                f"The 'shuffle' parameter of IdentityKFold must be an instance of 'bool'. Got {shuffle!r} instead."
            )
        if not shuffle and random_state is not None:
            raise ValueError(
                "Setting a random_state has no effect since shuffle is False. Leave random_state at None, "
                "or set shuffle=True."
            )
        self.n_splits = n_splits
        self.shuffle = shuffle
        self.random_state = random_state

    def split(self, X, y=None, groups=None):
        """Yield the indices of each fold's training and test images.

        Parameters
        ----------
        X : sequence of length n_samples
            The images, in any form; only their number is used.
        y : array-like of shape (n_samples,)
            Identities.
        groups : object
            Ignored, because the identities are the groups.

        Yields
        ------
        train, test : ndarray of intp
            Ascending.

        Raises
        ------
        ValueError
            If `y` is missing, differs in length from `X`, or has fewer identities than there are folds.
        """
        _ignore_groups(groups, self)
        identity, n_identities = _identities(X, y, self)
        if n_identities < self.n_splits:
            raise ValueError(
                f"Cannot have number of splits n_splits={self.n_splits} greater than the number of "
                f"identities: {n_identities}. Lower n_splits, or check that y holds identities."
            )
        fold = self._folds(np.bincount(identity))[identity]
        for k in range(self.n_splits):
            yield np.flatnonzero(fold != k), np.flatnonzero(fold == k)

    def _folds(self, n_images):
        """Return the fold of each identity: largest first, each is assigned to the fold with the fewest images."""
        order = np.arange(len(n_images))
        if self.shuffle:
            order = check_random_state(self.random_state).permutation(order)
        order = order[np.argsort(-n_images[order], kind="stable")]
        load = np.zeros(self.n_splits, dtype=np.intp)
        fold = np.empty(len(n_images), dtype=np.intp)
        for identity in order:
            fold[identity] = np.argmin(load)
            load[fold[identity]] += n_images[identity]
        return fold

    def get_n_splits(self, X=None, y=None, groups=None):
        """Return the number of folds; the arguments are ignored."""
        return self.n_splits


class IdentityShuffleSplit(BaseCrossValidator):
    """Random splits of whole identities.

    Parameters
    ----------
    n_splits : int, default=10
        Number of random splits.
    test_size, train_size : float or int, default=None
        Share, or number, of the *identities* on that side. By default a share of 0.2 is for testing and the rest
        for training.
    random_state : int, RandomState instance or None, default=None
        Seeds the splits.

    See Also
    --------
    IdentityKFold : K folds, which test every identity exactly once.

    Examples
    --------
    >>> from skreid.model_selection import IdentityShuffleSplit
    >>> y = ["ann", "ann", "bo", "bo", "cy", "cy"]
    >>> train, test = next(IdentityShuffleSplit(test_size=1, random_state=0).split(y, y))
    >>> len(train), len(test)
    (4, 2)
    """

    def __init__(self, n_splits=10, *, test_size=None, train_size=None, random_state=None):
        check_int(n_splits, "n_splits", "IdentityShuffleSplit")
        self.n_splits = n_splits
        self.test_size = test_size
        self.train_size = train_size
        self.random_state = random_state

    def split(self, X, y=None, groups=None):
        """Yield the indices of each split's training and test images.

        Parameters
        ----------
        X : sequence of length n_samples
            The images, in any form; only their number is used.
        y : array-like of shape (n_samples,)
            Identities.
        groups : object
            Ignored, because the identities are the groups.

        Yields
        ------
        train, test : ndarray of intp
            Ascending.

        Raises
        ------
        ValueError
            If `y` is missing or differs in length from `X`, or the sizes leave one side empty.
        """
        _ignore_groups(groups, self)
        identity, n_identities = _identities(X, y, self)
        if n_identities < 2:
            raise ValueError(f"{type(self).__name__} needs at least 2 identities in y. Got {n_identities}.")
        draw = GroupShuffleSplit(
            self.n_splits,
            test_size=self.test_size,
            train_size=self.train_size,
            random_state=self.random_state,
        )
        for train, test in draw.split(identity, groups=identity):
            yield np.sort(train), np.sort(test)

    def get_n_splits(self, X=None, y=None, groups=None):
        """Return the number of splits; the arguments are ignored."""
        return self.n_splits


def split_probe_gallery(y, *, cams=None, n_shots=1, gallery_cam=None, random_state=None):
    """Draw the probe and gallery images of each identity at random.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Identities.
    cams : array-like of shape (n_samples,), default=None
        Cameras. Without them, `n_shots` images of each identity form the gallery and all its other images are
        probes. With them, one order of the cameras is drawn for all identities: the gallery images of an identity come
        from the first camera in this order that saw it, and its probes are its images from all other cameras.
    n_shots : int, default=1
        Gallery images per identity; all of its images if it has fewer.
    gallery_cam : object, default=None
        The camera to put first in that order.
    random_state : int, RandomState instance or None, default=None
        Seeds the draws.

    Returns
    -------
    probe, gallery : ndarray of intp
        Ascending, disjoint indices. An identity without a probe (one image, or one camera) stays in the
        gallery as a distractor.

    Raises
    ------
    ValueError
        If no probe can be drawn, `gallery_cam` saw no identity, or a parameter is out of range.

    Examples
    --------
    >>> from skreid.model_selection import split_probe_gallery
    >>> y, cams = ["ann", "ann", "ann", "bo", "bo", "cy"], [1, 2, 2, 1, 2, 1]
    >>> split_probe_gallery(y, cams=cams, gallery_cam=1, random_state=0)
    (array([1, 2, 4]), array([0, 3, 5]))
    """
    check_int(n_shots, "n_shots", "split_probe_gallery")
    (identity,), uniques = factorize(y=y)
    rng = check_random_state(random_state)
    n_identities = len(uniques)
    if cams is None:
        if gallery_cam is not None:
            raise ValueError("gallery_cam was given without cams: pass the cameras too.")
        in_view = np.ones(len(identity), dtype=bool)
    else:
        (camera,), names = factorize(cams=cams)
        if len(camera) != len(identity):
            raise ValueError(f"cams has {len(camera)} entries, but y has {len(identity)}.")
        turn = rng.permutation(len(names))
        if gallery_cam is not None:
            (gallery_cam,) = as_labels([gallery_cam], "gallery_cam").tolist()
            if gallery_cam not in names:
                raise ValueError(f"gallery_cam={gallery_cam!r} is not among the cameras of these images: {names}.")
            turn[names.index(gallery_cam)] = -1
        first_turn = np.full(n_identities, len(names))
        np.minimum.at(first_turn, identity, turn[camera])
        in_view = turn[camera] == first_turn[identity]

    gallery = draw_per_identity(np.flatnonzero(in_view), identity, n_shots, rng)
    probe = np.setdiff1d(np.arange(len(identity)), gallery) if cams is None else np.flatnonzero(~in_view)
    if not len(probe):
        if cams is None:
            needs, remedy = f"more than {count(n_shots, 'image')}", "Use more images, lower n_shots, or check y"
        else:
            needs = "images from two cameras"
            remedy = "Check y and cams, or leave cams out (in a protocol, use_cams=False)"
        raise ValueError(
            f"No probe can be drawn from {len(identity)} images of {n_identities} identities: "
            f"no identity has {needs}. {remedy}."
        )
    return probe, gallery


def draw_per_identity(candidates, identity, n_shots, rng):
    """Return at most `n_shots` random candidates of each identity, ascending; all if it is None."""
    if n_shots is None:
        return np.sort(candidates)
    drawn = rng.permutation(candidates)
    drawn = drawn[np.argsort(identity[drawn], kind="stable")]
    place = np.arange(len(drawn)) - np.searchsorted(identity[drawn], identity[drawn])
    return np.sort(drawn[place < n_shots])


def _identities(X, y, splitter):
    """Return the identities as integers, and the number of identities."""
    if y is None:
        raise ValueError(f"The 'y' parameter should not be None: {type(splitter).__name__} splits by identity.")
    (identity,), uniques = factorize(y=y)
    check_consistent_length(X, identity)
    return identity, len(uniques)


def _ignore_groups(groups, splitter):
    if groups is not None:
        warnings.warn(
            f"The groups parameter is ignored by {type(splitter).__name__}: y holds the groups.",
            UserWarning,
            stacklevel=3,
        )
