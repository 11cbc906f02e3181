"""TwoViewProtocol: probes from one camera, gallery from another."""

from dataclasses import dataclass

import numpy as np

from skreid._base.checks import check_int
from skreid._base.dataset import get_labels
from skreid._base.labels import as_labels, factorize
from skreid.model_selection import draw_per_identity
from skreid.protocols._base import coded
from skreid.protocols._random import RandomProtocol

OTHERWISE = "Without cameras, use ShotProtocol(use_cams=False)."


@dataclass(frozen=True)
class TwoViewProtocol(RandomProtocol):
    """Probes from one camera against a gallery from another; new identities are drawn for each repeat.

    Parameters
    ----------
    n_train : int, float or None, default=None
        Number or share of the identities seen in both views to train on; may be 0. None trains on half of them, and
        on nobody where :func:`skreid.evaluate` fits nothing: then every identity is tested.
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

    n_train: int | float | None = None
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
        identity, uniques, is_person = coded(dataset, type(self).__name__, junk_ids=self.junk_ids)
        cams = get_labels(dataset, "cams", type(self).__name__, len(identity), OTHERWISE)
        (camera,), names = factorize(cams=cams)
        views = [camera == names.index(cam) for cam in self._cams(names)]
        in_probe, in_gallery = (view & is_person for view in views)
        both = np.zeros(len(uniques), dtype=bool)
        both[np.intersect1d(identity[in_probe], identity[in_gallery])] = True
        if self.n_persons is not None and both.sum() != self.n_persons:
            raise ValueError(
                f"{self.name} needs {self.n_persons} identities seen in both views, but this dataset has "
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
        views = {"probe_cam": self.probe_cam, "gallery_cam": self.gallery_cam}
        views = {name: as_labels([cam], name).tolist()[0] for name, cam in views.items() if cam is not None}
        given = list(views.values())
        for cam in given:
            if cam not in names:
                raise ValueError(f"Camera {cam!r} is not among those of the dataset: {names}.")
        if len(given) == 2:
            if given[0] == given[1]:
                raise ValueError(f"probe_cam and gallery_cam are both {self.probe_cam!r}: two views are needed.")
            return given
        if len(names) != 2:
            raise ValueError(f"The dataset has {len(names)} cameras, {names}: name probe_cam and gallery_cam.")
        first, second = sorted(names)
        swap = views.get("probe_cam") == second or views.get("gallery_cam") == first
        return (second, first) if swap and given else (first, second)

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
