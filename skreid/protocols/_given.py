"""Protocols whose split comes with the dataset: one training set, one set of probes, one gallery.

They also define the camera filter and which gallery images are junk.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from skreid._base.dataset import get_labels
from skreid._base.junk import several
from skreid._base.missing import missing
from skreid.protocols._base import Applicable, Trial, coded, compare

SUBSETS = ("train", "query", "gallery", "val")


@dataclass(frozen=True)
class GivenSplitProtocol(Applicable):
    """The split that comes with a dataset: all its queries are probes, against its whole gallery.

    Parameters
    ----------
    junk_ids : tuple, default=()
        Identities left out altogether, such as bad detections, which count neither for nor against anyone. Numbers
        also name text that spells them: -1 is "-1", 0 is "0000".
    distractor_ids : tuple, default=()
        Identities that stay in the gallery, where they match nobody, and are not trained on.
    use_cams : bool, default=True
        Whether gallery images of the probe's identity from the probe's camera are left out for that probe.
    name : str, default="Given split"
        For :meth:`describe`.

    Examples
    --------
    >>> from skreid.protocols import GivenSplitProtocol
    >>> dataset = {"target": [5, 7, 7, -1, 8], "cams": [1, 1, 2, 2, 1],
    ...            "subset": ["train", "query", "gallery", "gallery", "gallery"]}
    >>> next(GivenSplitProtocol(junk_ids=(-1,)).split(dataset))
    Trial(train=array([0]), probe=array([1]), gallery=array([2, 4]))
    """

    junk_ids: tuple = ()
    distractor_ids: tuple = ()
    use_cams: bool = True
    name: str = "Given split"

    @property
    def n_repeats(self):
        """Always 1, because the split is given."""
        return 1

    def split(self, dataset):
        """Yield the only trial.

        Parameters
        ----------
        dataset : Bunch, dict or object
            With `target` and `subset` of shape (n_samples,), and `cams` if `use_cams`. The subset of an image in use
            is "train", "query" or "gallery"; "val" and blank text leave it out, and anything else is refused.

        Yields
        ------
        Trial

        Raises
        ------
        ValueError
            If the dataset lacks a column, or has no query or no gallery image.
        """
        owner = type(self).__name__
        identity, uniques, counts = coded(dataset, owner, junk_ids=self.junk_ids)
        _, _, is_person = coded(dataset, owner, junk_ids=self.junk_ids, distractor_ids=self.distractor_ids)
        subset = get_labels(dataset, "subset", owner, len(identity))
        _check_subsets(subset, owner)
        train = np.flatnonzero((subset == "train") & is_person)
        probe = np.flatnonzero((subset == "query") & is_person)
        gallery = np.flatnonzero((subset == "gallery") & counts)
        if not len(probe) or not len(gallery):
            raise ValueError(
                f"{owner} found {len(probe)} query and {len(gallery)} gallery images in dataset.subset: "
                "both are needed. It must say 'train', 'query' or 'gallery' for each image."
            )
        shared = np.intersect1d(identity[train], identity[probe])
        if len(shared):
            raise ValueError(
                f"{len(shared)} identities are both training identities and queries, {uniques[shared[0]]!r} first: "
                "check dataset.subset."
            )
        yield Trial(train, probe, gallery)

    def aggregate(self, dataset, trial, distances):
        """Return the arguments of the metrics: identities, distances and, if `use_cams`, cameras.

        Parameters
        ----------
        dataset : Bunch, dict or object
            The dataset that `trial` was taken from.
        trial : Trial
            The trial of :meth:`split`.
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
        return compare(dataset, trial, distances, type(self).__name__, with_cams=self.use_cams)

    def describe(self):
        """Return the protocol as one line for a table."""
        left_out = ["images of the same identity in the same camera"] * self.use_cams
        left_out += ["junk"] * bool(several(self.junk_ids))
        without = f" without {' and without '.join(left_out)}" if left_out else ""
        title = self.name
        if self.name == type(self).name:  # not a name that the user gave
            title = self._title(self.name, f"{self.name}'s protocol")
        split = "given split" if self._fits else "given split, nothing fitted"
        return f"{title}: {split}; probes: all queries, gallery: all gallery images{without}; 1 repeat"


def _check_subsets(subset, owner):
    """Refuse subsets that no protocol knows: their images would be left out in silence."""
    unknown = {name: n for name, n in Counter(subset.tolist()).items() if name not in SUBSETS and not missing(name)}
    if unknown:
        counts = ", ".join(f"{name!r} ({n} image{'s' * (n > 1)})" for name, n in unknown.items())
        raise ValueError(
            f"dataset.subset holds {counts}: {owner} knows {', '.join(map(repr, SUBSETS))}, written like this, and "
            "leaves out 'val' and blank ones. Write one of them, or '' for an image that is not in use."
        )


@dataclass(frozen=True)
class Market1501Protocol(GivenSplitProtocol):
    """Market-1501 with its own split; identity -1 marks junk and identity 0 marks distractors.

    Parameters
    ----------
    junk_ids, distractor_ids, use_cams, name : tuple, tuple, bool, str
        As in :class:`GivenSplitProtocol`, with Market-1501's values.

    References
    ----------
    L. Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015.

    Examples
    --------
    >>> from skreid.protocols import Market1501Protocol
    >>> Market1501Protocol().describe()
    'Market-1501: given split; probes: all queries, gallery: all gallery images without images of the same
    identity in the same camera and without junk; 1 repeat'
    """

    junk_ids: tuple = (-1,)
    distractor_ids: tuple = (0,)
    name: str = "Market-1501"

    _published_for = "Market-1501"


@dataclass(frozen=True)
class CUHK03NPProtocol(GivenSplitProtocol):
    """CUHK03 under its new protocol: a fixed split into 767 training and 700 test identities.

    Parameters
    ----------
    junk_ids, distractor_ids, use_cams, name : tuple, tuple, bool, str
        As in :class:`GivenSplitProtocol`.

    References
    ----------
    Z. Zhong, L. Zheng, D. Cao, S. Li, "Re-ranking Person Re-identification with k-reciprocal Encoding", CVPR
    2017.

    Examples
    --------
    >>> from skreid.protocols import CUHK03NPProtocol
    >>> CUHK03NPProtocol().describe()
    'CUHK03-NP: given split; probes: all queries, gallery: all gallery images without images of the same
    identity in the same camera; 1 repeat'
    """

    name: str = "CUHK03-NP"

    _published_for = "CUHK03"
