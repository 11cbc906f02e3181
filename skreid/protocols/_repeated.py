"""Protocols that draw at random: training and test identities, then probes and gallery, all from one seed.

A repeat does not depend on how many follow: raising `n_repeats` adds repeats and leaves the first ones as they were.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from numbers import Integral

import numpy as np
from sklearn.utils import check_random_state

from skreid._base.checks import check_choice, check_count_or_share, check_int
from skreid._base.dataset import get_labels
from skreid._base.labels import factorize
from skreid.model_selection import draw_per_identity, split_probe_gallery
from skreid.protocols._base import Trial, coded, compare


class _Repeated(ABC):
    """Draws identities, then images, `n_repeats` times."""

    def _check(self):
        check_count_or_share(self.n_train, "n_train", type(self).__name__)
        check_count_or_share(self.n_test, "n_test", type(self).__name__, none=True)
        check_int(self.n_repeats, "n_repeats", type(self).__name__, 1)
        check_choice(self.aggregation, "aggregation", type(self).__name__, (None, "sum", "mean", "min"))

    def split(self, dataset):
        """Yield one trial per repeat.

        Parameters
        ----------
        dataset : Bunch, dict or object
            With `target`, identities of shape (n_samples,), and `cams`, the cameras.

        Yields
        ------
        Trial

        Raises
        ------
        ValueError
            If the dataset lacks a column, or has too few identities for the sizes asked for.
        """
        draw, identities = self._prepare(dataset)
        n_train, n_test = self._sizes(len(identities))
        identity, _, is_person = coded(dataset, type(self).__name__, self.junk_ids)
        rng = check_random_state(self.random_state)
        for _ in range(self.n_repeats):
            drawn = rng.permutation(identities)
            train = np.flatnonzero(np.isin(identity, drawn[n_test : n_test + n_train]) & is_person)
            yield Trial(train, *draw(drawn[:n_test], rng))

    @abstractmethod
    def _prepare(self, dataset):
        """Return a function (test identities, rng) -> (probe, gallery), and the identities to draw from."""

    def _sizes(self, n):
        def count(size):
            return int(size) if isinstance(size, Integral) else round(size * n)

        n_train = count(self.n_train)
        n_test = n - n_train if self.n_test is None else count(self.n_test)
        if n_test < 1 or n_train + n_test > n:
            raise ValueError(
                f"{type(self).__name__} draws {n_train} training and {n_test} test identities, "
                f"but the dataset has {n} that qualify ({self._qualify}). "
                "Change n_train or n_test, or check the dataset."
            )
        return n_train, n_test

    def _describe(self, probes_and_gallery):
        def words(size):
            return str(size) if isinstance(size, Integral) else f"{size:.0%}"

        test = "all other" if self.n_test is None else words(self.n_test)
        aggregated = "" if self.aggregation is None else f", person distance = {self.aggregation} over image pairs"
        repeats = f"{self.n_repeats} repeat{'s' * (self.n_repeats > 1)} (random_state={self.random_state})"
        sizes = f"{words(self.n_train)} training / {test} test identities"
        return f"{self.name}: {sizes}; {probes_and_gallery}{aggregated}; {repeats}"


@dataclass(frozen=True)
class TwoViewProtocol(_Repeated):
    """Probes from one camera against a gallery from another; new identities are drawn for each repeat.

    Parameters
    ----------
    n_train : int or float, default=0.5
        Number or share of the identities seen in both views to train on; may be 0.
    n_test : int or float, default=None
        Number or share of the identities to test; by default all others.
    probe_cam, gallery_cam : object, default=None
        The two cameras. By default the dataset must have two, and the probes are from the first in sorted order.
    probe_shots, gallery_shots : int, default=None and 1
        Random images per identity on each side; None for all.
    aggregation : {None, "sum", "mean", "min"}, default=None
        How image distances become distances between people. None ranks images.
    aggregate_probes : bool, default=True
        Whether the images of a probe person are combined too; only with an `aggregation`.
    distractors : bool, default=False
        Whether every gallery includes the images from the gallery view whose identity is never seen in the probe
        view.
    junk_ids : tuple, default=()
        Identities to leave out altogether.
    n_persons : int, default=None
        Number of identities that must be seen in both views; a dataset with another number is refused.
    n_repeats : int, default=10
        Number of trials.
    random_state : int, RandomState instance or None, default=0
        Seeds all draws.
    name : str, default="Two views"
        For :meth:`describe`.

    Examples
    --------
    >>> from skreid.metrics import ranking_metrics
    >>> from skreid.protocols import TwoViewProtocol
    >>> dataset = {"target": [0, 0, 1, 1, 2, 2, 3, 3], "cams": ["a", "b"] * 4}
    >>> protocol = TwoViewProtocol(n_train=2, n_repeats=1)
    >>> for trial in protocol.split(dataset):
    ...     distances = abs(trial.probe[:, None] // 2 - trial.gallery // 2)  # or an estimator's
    ...     comparison = protocol.aggregate(dataset, trial, distances)
    ...     ranking_metrics(**comparison._asdict()).ranks[1]
    1.0
    >>> protocol.describe()
    'Two views: 2 training / all other test identities; probes: all images of the first camera, gallery: 1
    random image per identity of the second camera; 1 repeat (random_state=0)'
    """

    n_train: int | float = 0.5
    n_test: int | float | None = None
    probe_cam: object = None
    gallery_cam: object = None
    probe_shots: int | None = None
    gallery_shots: int | None = 1
    aggregation: str | None = None
    aggregate_probes: bool = True
    distractors: bool = False
    junk_ids: tuple = ()
    n_persons: int | None = None
    n_repeats: int = 10
    random_state: object = 0
    name: str = "Two views"

    _qualify = "seen in both views"

    def __post_init__(self):
        self._check()
        for field in ("probe_shots", "gallery_shots", "n_persons"):
            check_int(getattr(self, field), field, type(self).__name__, 1, none=True)

    def _prepare(self, dataset):
        identity, uniques, is_person = coded(dataset, type(self).__name__, self.junk_ids)
        cams = get_labels(dataset, "cams", type(self).__name__, len(identity))
        (camera,), names = factorize(cams=cams)
        views = [camera == names.index(cam) for cam in self._cams(names)]
        in_probe, in_gallery = (view & is_person for view in views)
        both = np.zeros(len(uniques), dtype=bool)
        both[np.intersect1d(identity[in_probe], identity[in_gallery])] = True
        if self.n_persons is not None and both.sum() != self.n_persons:
            raise ValueError(
                f"{self.name} has {self.n_persons} identities seen in both views, but this dataset has "
                f"{both.sum()}. Check that the set is complete, or use TwoViewProtocol with your sizes."
            )
        extra = np.flatnonzero(in_gallery & ~both[identity]) if self.distractors else []

        def draw(test, rng):
            tested = np.isin(identity, test)
            probe = draw_per_identity(np.flatnonzero(tested & in_probe), identity, self.probe_shots, rng)
            gallery = draw_per_identity(np.flatnonzero(tested & in_gallery), identity, self.gallery_shots, rng)
            return probe, np.union1d(gallery, extra).astype(np.intp)

        return draw, np.flatnonzero(both)

    def _cams(self, names):
        given = [cam for cam in (self.probe_cam, self.gallery_cam) if cam is not None]
        for cam in given:
            if cam not in names:
                raise ValueError(f"Camera {cam!r} is not among those of the dataset: {names}.")
        if len(given) == 2:
            if self.probe_cam == self.gallery_cam:
                raise ValueError(f"probe_cam and gallery_cam are both {self.probe_cam!r}: two views are needed.")
            return given
        if len(names) != 2:
            raise ValueError(f"The dataset has {len(names)} cameras, {names}: name probe_cam and gallery_cam.")
        try:
            first, second = sorted(names)
        except TypeError:
            raise ValueError(f"Cameras {names} have no order: name probe_cam and gallery_cam.") from None
        swap = self.probe_cam == second or self.gallery_cam == first
        return (second, first) if swap and given else (first, second)

    def aggregate(self, dataset, trial, distances):
        """Return the arguments of the metrics: identities and distances, of people or of images.

        Parameters
        ----------
        dataset : Bunch, dict or object
            The dataset that `trial` was drawn from.
        trial : Trial
            One of the trials of :meth:`split`.
        distances : array-like of shape (len(trial.probe), len(trial.gallery)), or callable
            Lower is nearer; a callable returns rows, as in :mod:`skreid.metrics`.

        Returns
        -------
        Comparison

        Raises
        ------
        ValueError
            If `distances` has another shape.
        """
        return compare(dataset, trial, distances, type(self).__name__, self.aggregation, self.aggregate_probes)

    def describe(self):
        """Return the protocol as one line for a table."""

        def side(shots, cam, which):
            number = "all images" if shots is None else f"{shots} random image{'s' * (shots > 1)} per identity"
            return f"{number} of {f'the {which} camera' if cam is None else f'camera {cam}'}"

        distractors = " and all distractors" if self.distractors else ""
        probes = side(self.probe_shots, self.probe_cam, "first")
        return self._describe(
            f"probes: {probes}, gallery: {side(self.gallery_shots, self.gallery_cam, 'second')}{distractors}"
        )


@dataclass(frozen=True)
class ShotProtocol(_Repeated):
    """Random gallery images of each identity against its other images as probes, with or without cameras.

    Parameters
    ----------
    n_train : int or float, default=0.5
        Number or share of the identities to train on; may be 0.
    n_test : int or float, default=None
        Number or share of the identities to test; by default all others.
    n_shots : int, default=1
        Gallery images per identity: 1 is single-shot, more is multi-shot.
    use_cams : bool, default=True
        Whether probes must come from other cameras than their gallery images, as in
        :func:`skreid.model_selection.split_probe_gallery`.
    gallery_cam : object, default=None
        The camera that gallery images come from, for identities that it saw.
    aggregation : {None, "sum", "mean", "min"}, default=None
        How the distances of a probe image to the gallery images of a person become one. None ranks images.
    junk_ids : tuple, default=()
        Identities to leave out altogether.
    n_repeats : int, default=10
        Number of trials.
    random_state : int, RandomState instance or None, default=0
        Seeds all draws.
    name : str, default="Random shots"
        For :meth:`describe`.

    Examples
    --------
    >>> from skreid.protocols import ShotProtocol
    >>> dataset = {"target": ["ann"] * 3 + ["bo"] * 3 + ["cy"] * 3}
    >>> for trial in ShotProtocol(n_train=1, use_cams=False, n_repeats=2).split(dataset):
    ...     print(len(trial.train), len(trial.probe), len(trial.gallery))
    3 4 2
    3 4 2
    """

    n_train: int | float = 0.5
    n_test: int | float | None = None
    n_shots: int = 1
    use_cams: bool = True
    gallery_cam: object = None
    aggregation: str | None = None
    junk_ids: tuple = ()
    n_repeats: int = 10
    random_state: object = 0
    name: str = "Random shots"

    _qualify = "not junk"

    def __post_init__(self):
        self._check()
        check_int(self.n_shots, "n_shots", type(self).__name__, 1)

    def _prepare(self, dataset):
        identity, _, is_person = coded(dataset, type(self).__name__, self.junk_ids)
        cams = get_labels(dataset, "cams", type(self).__name__, len(identity)) if self.use_cams else None

        def draw(test, rng):
            tested = np.flatnonzero(np.isin(identity, test) & is_person)
            probe, gallery = split_probe_gallery(
                identity[tested],
                cams=None if cams is None else cams[tested],
                n_shots=self.n_shots,
                gallery_cam=self.gallery_cam,
                random_state=rng,
            )
            return tested[probe], tested[gallery]

        return draw, np.unique(identity[is_person])

    def aggregate(self, dataset, trial, distances):
        """Return the arguments of the metrics: identities, and distances of probe images to images or people.

        Parameters
        ----------
        dataset : Bunch, dict or object
            The dataset that `trial` was drawn from.
        trial : Trial
            One of the trials of :meth:`split`.
        distances : array-like of shape (len(trial.probe), len(trial.gallery)), or callable
            Lower is nearer; a callable returns rows, as in :mod:`skreid.metrics`.

        Returns
        -------
        Comparison

        Raises
        ------
        ValueError
            If `distances` has another shape.
        """
        return compare(dataset, trial, distances, type(self).__name__, self.aggregation, probes=False)

    def describe(self):
        """Return the protocol as one line for a table."""
        probes = "all images of an identity's other cameras" if self.use_cams else "all other images"
        prefer = "" if self.gallery_cam is None else f", of camera {self.gallery_cam} where it saw them"
        shots = f"{self.n_shots} random image{'s' * (self.n_shots > 1)} per identity"
        return self._describe(f"probes: {probes}, gallery: {shots}{prefer}")
