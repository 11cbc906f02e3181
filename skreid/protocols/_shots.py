"""ShotProtocol: random gallery images of each identity, and its other images as probes."""

from dataclasses import dataclass

import numpy as np

from skreid._base.checks import check_int
from skreid._base.dataset import WITHOUT_CAMS, get_labels
from skreid.model_selection import split_probe_gallery
from skreid.protocols._base import coded
from skreid.protocols._random import RandomProtocol


@dataclass(frozen=True)
class ShotProtocol(RandomProtocol):
    """Random gallery images of each identity against its other images as probes, with or without cameras.

    With cameras, each repeat draws one order of the cameras for all identities. The gallery images of an identity come
    from the first camera in this order that saw it, and its probes are its images from all other cameras. So a
    camera that saw everyone is the only gallery camera of the repeats that draw it first: use more repeats than
    cameras.

    Parameters
    ----------
    n_train : int, float or None, default=None
        Number or share of the identities to train on; may be 0. None trains on half of them, and on nobody where
        :func:`skreid.evaluate` fits nothing: then every identity is tested.
    n_test : int or float, default=None
        Number or share of the identities to test; by default all others.
    n_shots : int, default=1
        Gallery images per identity: 1 is single-shot, more is multi-shot.
    use_cams : bool, default=True
        Whether the probes of an identity must come from other cameras than its gallery images, as in
        :func:`skreid.model_selection.split_probe_gallery`.
    gallery_cam : object, default=None
        The camera to put first in the order of cameras: gallery images come from it, for identities that it saw.
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

    n_train: int | float | None = None
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
        identity, _, is_person = coded(dataset, type(self).__name__, junk_ids=self.junk_ids)
        cams = None
        if self.use_cams:
            cams = get_labels(dataset, "cams", type(self).__name__, len(identity), WITHOUT_CAMS)

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

    def describe(self):
        """Return the protocol as one line for a table."""
        probes = "all images of an identity's other cameras" if self.use_cams else "all other images"
        shots = f"{self.n_shots} random image{'s' * (self.n_shots > 1)} per identity"
        if self.use_cams:
            shots += " from the first camera that saw it, in one order of cameras drawn per repeat"
        if self.gallery_cam is not None:
            shots += f", camera {self.gallery_cam} first"
        return self._describe(f"probes: {probes}, gallery: {shots}")
