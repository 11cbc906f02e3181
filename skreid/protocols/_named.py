"""The protocols of CUHK01 and VIPeR, under the names that papers use.

The four protocols of CUHK01 give one system figures up to twenty points apart: never mix them.
"""

from dataclasses import dataclass

from skreid._base.checks import check_choice, check_int
from skreid.protocols._base import Applicable
from skreid.protocols._two_views import TwoViewProtocol

_CUHK01 = {
    # the paper does not state the shots: all images of view A against one image of view B is our reading
    "paper": {"n_train": 487, "n_test": 484},
    "single-shot": {"n_train": 486, "n_test": 485},
    "multi-shot": {"n_train": 485, "n_test": 486, "probe_shots": 2, "gallery_shots": 2, "aggregation": "sum"},
    "100-test": {"n_train": 871, "n_test": 100},
}


class _Named(Applicable):
    """Delegates to the two-view protocol that `_settings` describes."""

    def __post_init__(self):
        check_int(self.n_repeats, "n_repeats", type(self).__name__, 1)

    @property
    def _two_view(self):
        settings = self._settings() | {"n_repeats": self.n_repeats, "random_state": self.random_state}
        variant = settings["name"].removeprefix(self._published_for)
        settings["name"] = self._title(settings["name"], f"{self._published_for}'s protocol{variant}")
        return TwoViewProtocol(**settings).applied_to({}, self._fits)

    def split(self, dataset):
        """Yield one :class:`Trial` per repeat from a dataset with `target` and `cams`; see TwoViewProtocol."""
        yield from self._two_view.split(dataset)

    def aggregate(self, dataset, trial, distances):
        """Return the :class:`Comparison` of a trial's distances, as TwoViewProtocol does."""
        return self._two_view.aggregate(dataset, trial, distances)

    def describe(self):
        """Return the protocol as one line for a table."""
        return self._two_view.describe()


@dataclass(frozen=True)
class CUHK01Protocol(_Named):
    """One of the four protocols in use on CUHK01 (971 identities, two views, two images per view).

    Parameters
    ----------
    variant : {"paper", "single-shot", "multi-shot", "100-test"}, default="paper"
        "paper": 487 training and 484 test identities; "single-shot" (M=1): 486 and 485; "100-test": 871 and 100.
        In these three, all images of the first view are probes, and one random image per identity from the second
        view is the gallery. "multi-shot" (M=2): 485 and 486, with two images per identity on each side; the distance
        between two people is the sum of the distances between their images.
    n_repeats : int, default=10
        Number of trials.
    random_state : int, RandomState instance or None, default=0
        Seeds all draws.

    References
    ----------
    W. Li, R. Zhao, X. Wang, "Human Reidentification with Transferred Metric Learning", ACCV 2012.

    Examples
    --------
    >>> from skreid.protocols import CUHK01Protocol
    >>> CUHK01Protocol("multi-shot").describe()
    'CUHK01 (multi-shot): 485 training / 486 test identities; probes: 2 random images per identity of the first
    camera, gallery: 2 random images per identity of the second camera, person distance = sum over image pairs;
    10 repeats (random_state=0)'
    """

    variant: str = "paper"
    n_repeats: int = 10
    random_state: object = 0

    _published_for = "CUHK01"

    def __post_init__(self):
        check_choice(self.variant, "variant", "CUHK01Protocol", tuple(_CUHK01))
        super().__post_init__()

    def _settings(self):
        return {**_CUHK01[self.variant], "n_persons": 971, "name": f"CUHK01 ({self.variant})"}


@dataclass(frozen=True)
class VIPeRProtocol(_Named):
    """VIPeR: 632 identities with one image in each of two views; 316 train and 316 test.

    Parameters
    ----------
    n_repeats : int, default=10
        Number of trials.
    random_state : int, RandomState instance or None, default=0
        Seeds all draws.

    References
    ----------
    D. Gray, S. Brennan, H. Tao, "Evaluating Appearance Models for Recognition, Reacquisition, and Tracking",
    PETS 2007.

    Examples
    --------
    >>> from skreid.protocols import VIPeRProtocol
    >>> VIPeRProtocol().describe()
    'VIPeR: 316 training / 316 test identities; probes: 1 random image per identity of the first camera,
    gallery: 1 random image per identity of the second camera; 10 repeats (random_state=0)'
    """

    n_repeats: int = 10
    random_state: object = 0

    _published_for = "VIPeR"

    def _settings(self):
        return {"n_train": 316, "n_test": 316, "n_persons": 632, "probe_shots": 1, "name": "VIPeR"}
