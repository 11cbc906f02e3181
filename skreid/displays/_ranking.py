"""RankingDisplay: probes and the gallery images nearest to them, framed as right or wrong (Fig. 1).

Seeing which people a system confuses says more than its rank-1 figure.
"""

import numpy as np
from sklearn.utils.validation import _num_samples

from skreid._base.arrays import as_array
from skreid._base.checks import check_int
from skreid._base.labels import check_both_or_none, factorize
from skreid._ranking import describe, gallery_distances
from skreid._search.nearest import is_row
from skreid._search.system import split_system, warn_without_cams
from skreid.displays._common import GREEN, SIGN_FONT, VERMILION, drawable, picture, readable, single_axes, style
from skreid.evaluation import nearest_images

SIGNS = {True: "✓", False: "✗"}
GAP = 0.06  # between images; lengths are in heights of an image
TEXT = 0.16  # room below an image for sign and distance
LIMIT = 25  # most probes in one figure


class RankingDisplay:
    """Probes, each with its ranked gallery images.

    True matches have a solid green frame and the sign ✓, other images a dashed vermilion frame and the sign ✗.
    Distances are written below. Use :meth:`from_estimator` or :meth:`from_predictions` to create one.

    Parameters
    ----------
    probes : list of ndarray of shape (height, width, 3), n of them
        The images of the probes.
    ranked : list of list of ndarray
        The gallery images of each probe, nearest first.
    distances : list of array-like
        The distances of these gallery images.
    matches : list of array-like of bool, default=None
        Whether each gallery image is a true match; None if unknown.
    first_rank : array-like of int, default=None
        Rank of each probe's nearest true match, even if it is not shown; 0 if it has none.
    labels : list of str, default=None
        Labels of the probes.

    Attributes
    ----------
    images_ : list of list of matplotlib Artist
        One row per probe: the probe, then its gallery images.
    frames_ : list of list of matplotlib Artist
        Frames of the gallery images.
    texts_ : list of list of matplotlib Artist
        Sign and distance of each gallery image.
    ax_ : matplotlib Axes
        The axes drawn on.
    figure_ : matplotlib Figure
        The figure that holds them.

    See Also
    --------
    skreid.rank_gallery : Returns such a ranking as arrays.

    Examples
    --------
    >>> from skreid.datasets import make_pedestrians
    >>> from skreid.displays import RankingDisplay
    >>> people = make_pedestrians(n_identities=2, n_shots=1, image_size=(32, 16), random_state=0)
    >>> display = RankingDisplay.from_predictions(
    ...     [0], [0, 1], [[0.3, 0.2]], probes=people.images[:1], gallery=people.images[[1, 2]])
    >>> [text.get_text() for text in display.texts_[0]]
    ['✗ 0.20', '✓ 0.30']
    """

    def __init__(self, *, probes, ranked, distances, matches=None, first_rank=None, labels=None):
        self.probes = probes
        self.ranked = ranked
        self.distances = distances
        self.matches = matches
        self.first_rank = first_rank
        self.labels = labels

    def plot(self, ax=None, *, labels=None, frame_kwargs=None, text_kwargs=None, **kwargs):
        """Draw all rankings, one row per probe.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Where to draw. None makes a new figure.
        labels : list of str, default=None
            Labels of the probes. None uses those of the display.
        frame_kwargs : dict, default=None
            Passed to matplotlib's `Rectangle` for the frames.
        text_kwargs : dict, default=None
            Passed to matplotlib's `text` for signs and distances.
        **kwargs : dict
            Passed to matplotlib's `imshow` for the images.

        Returns
        -------
        display : RankingDisplay
            This display.
        """
        labels = self.labels if labels is None else labels
        n_probes, n_columns = len(self.probes), 1 + max(len(row) for row in self.ranked)
        if labels is not None and len(labels) != n_probes:
            raise ValueError(f"labels has {len(labels)} entries, but there are {n_probes} probes.")
        shapes = np.array([np.shape(image)[:2] for row in self.ranked for image in row] +
                          [np.shape(image)[:2] for image in self.probes])  # fmt: skip
        width = float(np.clip(np.median(shapes[:, 1] / shapes[:, 0]), 0.25, 2))
        lefts = np.arange(n_columns) * (width + GAP) + 3 * GAP * (np.arange(n_columns) > 0)
        tops = np.arange(n_probes) * (1 + TEXT + 2 * GAP)
        extent = lefts[-1] + width, tops[-1] + 1 + TEXT
        self.ax_ = single_axes(ax, "RankingDisplay", figsize=(1.4 * extent[0] + 1.8, 1.4 * extent[1] + 0.4))
        self.figure_ = self.ax_.figure
        self.images_, self.frames_, self.texts_ = [], [], []
        for row, top in enumerate(tops):
            images = [self._show(self.probes[row], lefts[0], top, width, kwargs)]
            frames, texts = [], []
            for column, image in enumerate(self.ranked[row]):
                left = lefts[column + 1]
                images.append(self._show(image, left, top, width, kwargs))
                match = None if self.matches is None else bool(self.matches[row][column])
                frames.append(self._frame(left, top, width, match, frame_kwargs))
                texts.append(self._text(left + width / 2, top, self.distances[row][column], match, text_kwargs))
            self.images_.append(images)
            self.frames_.append(frames)
            self.texts_.append(texts)
        self.ax_.set(xlim=(-GAP, extent[0] + GAP), ylim=(extent[1] + GAP, -GAP), aspect="equal", frame_on=False)
        self.ax_.set_xticks(lefts + width / 2, ["probe", *map(str, range(1, n_columns))])
        self.ax_.set_yticks(tops + 0.5, [self._row_label(row, labels) for row in range(n_probes)])
        self.ax_.tick_params(length=0, labeltop=True, labelbottom=False)
        return self

    def _show(self, image, left, top, width, kwargs):
        """Draw an image in its cell, whole and undistorted."""
        height = np.shape(image)[0] / np.shape(image)[1] * width
        scale = min(1, 1 / height)
        x, y = left + (1 - scale) * width / 2, top + (1 - scale * height) / 2
        default = {"extent": (x, x + scale * width, y + scale * height, y), "zorder": 1}
        return self.ax_.imshow(image, **default | kwargs)

    def _frame(self, left, top, width, match, frame_kwargs):
        from matplotlib.patches import Rectangle

        default = {"fill": False, "edgecolor": _color(match), "linewidth": 1 if match is None else 2.5}
        default |= {"linestyle": (0, (4, 2)) if match is False else "solid", "zorder": 2, "clip_on": False}
        return self.ax_.add_patch(Rectangle((left, top), width, 1, **style(default, frame_kwargs)))

    def _text(self, x, top, distance, match, text_kwargs):
        sign = "" if match is None else f"{SIGNS[match]} "
        default = {"ha": "center", "va": "top", "fontsize": 8, "fontfamily": SIGN_FONT}
        default |= {"color": "black" if match is None else _color(match, dark=True)}
        return self.ax_.text(x, top + 1.04, f"{sign}{_short(distance)}", **default | (text_kwargs or {}))

    def _row_label(self, row, labels):
        lines = [] if labels is None else [drawable(line) for line in str(labels[row]).split("\n")]
        if self.first_rank is not None:
            first = self.first_rank[row]
            lines.append(f"first match\nat rank {first}" if first else "no match\nin the gallery")
        return "\n".join(lines)

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        gallery,
        y=None,
        y_gallery=None,
        *,
        cams=None,
        cams_gallery=None,
        n_neighbors=10,
        labels=None,
        ax=None,
        **kwargs,
    ):
        """Rank a gallery for each probe with a fitted estimator, and draw the rankings.

        Parameters
        ----------
        estimator : fitted transformer or Pipeline
            As for :func:`skreid.rank_gallery`.
        X : images, 1 to 25 of them
            The probes.
        gallery : images
            The gallery.
        y, y_gallery : array-like, default=None
            Identities of the probes and of the gallery. Without them, frames do not mark true matches.
        cams, cams_gallery : array-like, default=None
            Cameras of the probes and of the gallery. If given, a ranking leaves out gallery images that show the
            probe's person in the probe's camera.
        n_neighbors : int, default=10
            Number of gallery images shown per probe.
        labels : list of str, default=None
            Labels of the probes.
        ax : matplotlib axes, default=None
            Where to draw. None makes a new figure.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : RankingDisplay

        Raises
        ------
        ValueError
            If lengths differ, identities or cameras are given for one side only, or there are more than 25 probes.
        ImageError
            If an image cannot be used; the message names it.
        """
        for images in (X, gallery):
            picture(images, 0)  # descriptors cannot be shown: refuse them before anything is computed
        descriptors = describe(estimator, X), describe(estimator, gallery)
        if cams is None and cams_gallery is None:
            warn_without_cams(split_system(estimator)[1])
        distances = gallery_distances(estimator, *descriptors, cams, cams_gallery)
        return cls.from_predictions(
            y,
            y_gallery,
            distances,
            probes=X,
            gallery=gallery,
            cams_probe=cams,
            cams_gallery=cams_gallery,
            n_neighbors=n_neighbors,
            labels=labels,
            ax=ax,
            **kwargs,
        )

    @classmethod
    def from_predictions(
        cls,
        y_probe,
        y_gallery,
        distances,
        *,
        probes,
        gallery,
        cams_probe=None,
        cams_gallery=None,
        n_neighbors=10,
        labels=None,
        ax=None,
        **kwargs,
    ):
        """Draw the rankings for a matrix of distances.

        Parameters
        ----------
        y_probe, y_gallery : array-like or None
            Identities of the probes and of the gallery. Without them, frames do not mark true matches.
        distances : array-like of shape (n_probe, n_gallery), or callable
            Lower is nearer, as in :mod:`skreid.metrics`. At equal distances a true match comes last, as there.
        probes, gallery : images
            The images of the probes and of the gallery: arrays, PIL images or paths.
        cams_probe, cams_gallery : array-like, default=None
            Cameras of the probes and of the gallery. If given, a ranking leaves out gallery images that show the
            probe's person in the probe's camera.
        n_neighbors : int, default=10
            Number of gallery images shown per probe.
        labels : list of str, default=None
            Labels of the probes.
        ax : matplotlib axes, default=None
            Where to draw. None makes a new figure.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : RankingDisplay

        Raises
        ------
        ValueError
            If lengths differ, identities or cameras are given for one side only, or there are more than 25 probes.
        ImageError
            If an image to be shown cannot be used; the message names it.
        """
        n_probes = _num_samples(probes)
        shape = n_probes, _num_samples(gallery)
        if not 1 <= n_probes <= LIMIT:
            raise ValueError(f"RankingDisplay draws 1 to {LIMIT} probes. Got {n_probes}.")
        check_int(n_neighbors, "n_neighbors", "RankingDisplay")
        same = _equal_pairs(shape, y_probe=y_probe, y_gallery=y_gallery)
        left_out = _equal_pairs(shape, cams_probe=cams_probe, cams_gallery=cams_gallery)
        if left_out is not None and same is None:
            raise ValueError("Cameras are used to leave out images of the probe's person: give identities too.")
        is_known = same is not None
        same = same if is_known else np.zeros(shape, dtype=bool)
        left_out = None if left_out is None else same & left_out
        matrix = as_array(distances(0, n_probes) if callable(distances) else distances, "distances")
        if matrix.shape != shape:
            raise ValueError(f"distances must have shape (n_probe, n_gallery) = {shape}. Got {matrix.shape} instead.")
        nearest = nearest_images(matrix, same, left_out, n_neighbors)
        rows = [row[is_row(row)] for row in nearest.indices]
        return cls(
            probes=[picture(probes, i) for i in range(n_probes)],
            ranked=[[picture(gallery, i) for i in row] for row in rows],
            distances=[nearest.distances[i, : len(row)] for i, row in enumerate(rows)],
            matches=[nearest.matches[i, : len(row)] for i, row in enumerate(rows)] if is_known else None,
            first_rank=nearest.first_rank if is_known else None,
            labels=labels,
        ).plot(ax, **kwargs)


def _color(match, dark=False):
    if match is None:
        return "0.6"
    return ("#00694D" if dark else GREEN) if match else ("#A04000" if dark else VERMILION)


def _short(distance):
    """Write a distance with two decimals, or as `readable` does if it is very small or large."""
    size = abs(distance)
    return f"{distance:.2f}" if 0.01 <= size < 100 or size == 0 else readable(distance)


def _equal_pairs(shape, **labels):
    """Return which pairs of probe and gallery image have equal labels, (n_probe, n_gallery); None without labels."""
    if not check_both_or_none(**labels):
        return None
    (probe, gallery), _ = factorize(**labels)
    for name, codes, n_images in zip(labels, (probe, gallery), shape, strict=True):
        if len(codes) != n_images:
            raise ValueError(f"{name} has {len(codes)} entries, but there are {n_images} images.")
    return probe[:, None] == gallery
