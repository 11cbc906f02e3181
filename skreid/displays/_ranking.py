"""RankingDisplay: probes and the gallery images nearest to them, right ones and wrong ones framed (Fig. 1).

Looking at what a system mistakes for whom tells more than its rank-1 figure.
"""

from numbers import Integral

import numpy as np
from sklearn.utils.validation import column_or_1d

from skreid._ranking import describe, gallery_distances
from skreid.displays._common import GREEN, SIGN_FONT, VERMILION, count, picture, single_axes, style
from skreid.evaluation import nearest_images

SIGNS = {True: "✓", False: "✗"}
GAP = 0.06  # between pictures, in heights of a picture
TEXT = 0.16  # room below a picture for sign and distance
LIMIT = 25  # probes in one picture; more is a mistake of the call


class RankingDisplay:
    """Probes, each with its ranked gallery.

    Right matches have a solid green frame and the sign ✓, wrong ones a dashed vermilion frame and the sign
    ✗; distances stand below. Make one with :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    probes : list of ndarray of shape (height, width, 3), n of them
        Pictures of the probes.
    ranked : list of list of ndarray
        Pictures of the gallery images of each probe, nearest first.
    distances : list of array-like
        Their distances.
    matches : list of array-like of bool, default=None
        Whether each is of the probe's person; None if unknown.
    first_rank : array-like of int, default=None
        Rank of the nearest right match of each probe, shown or not; 0 if it has none.
    labels : list of str, default=None
        Of the probes.

    Attributes
    ----------
    images_ : list of list of matplotlib Artist
        A row a probe: the probe, then its gallery.
    frames_ : list of list of matplotlib Artist
        Of the gallery images.
    texts_ : list of list of matplotlib Artist
        Sign and distance of the gallery images.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    See Also
    --------
    skreid.rank_gallery : The ranking in numbers.

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
        """Draw all rankings, a row a probe.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Where to draw; a new figure by default.
        labels : list of str, default=None
            Of the probes; by default the display's own.
        frame_kwargs : dict, default=None
            Passed to matplotlib's `Rectangle` of all frames.
        text_kwargs : dict, default=None
            Passed to matplotlib's `text` of signs and distances.
        **kwargs : dict
            Passed to matplotlib's `imshow`.

        Returns
        -------
        display : RankingDisplay
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
        """Draw a picture in its cell, whole and undistorted."""
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
        lines = [] if labels is None else [str(labels[row])]
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
        """Rank a gallery for some probes with a fitted estimator, and draw it.

        Parameters
        ----------
        estimator : fitted transformer or Pipeline
            As for :func:`skreid.rank_gallery`.
        X : images, a few of them
            The probes.
        gallery : images
            Those to rank.
        y, y_gallery : array-like, default=None
            Identities of probes and gallery; without them no frame says right or wrong.
        cams, cams_gallery : array-like, default=None
            Cameras. If given, gallery images of a probe's person and camera are left out for it.
        n_neighbors : int, default=10
            Gallery images shown.
        labels : list of str, default=None
            Of the probes.
        ax : matplotlib axes, default=None
            Where to draw; a new figure by default.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : RankingDisplay
        """
        for images in (X, gallery):
            picture(images, 0)  # descriptors have nothing to show: refuse them before describing
        described = describe(estimator, X), describe(estimator, gallery)
        distances = gallery_distances(estimator, *described, cams, cams_gallery)
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
        """Draw rankings by given distances.

        Parameters
        ----------
        y_probe, y_gallery : array-like or None
            Identities; without them no frame says right or wrong.
        distances : array-like of shape (n_probe, n_gallery), or callable
            Lower is nearer, as in :mod:`skreid.metrics`; equal distances count against a right match, as
            there.
        probes, gallery : images
            The pictures of rows and columns: arrays, PIL images or paths.
        cams_probe, cams_gallery : array-like, default=None
            Cameras. If given, gallery images of a probe's person and camera are left out for it.
        n_neighbors : int, default=10
            Gallery images shown.
        labels : list of str, default=None
            Of the probes.
        ax : matplotlib axes, default=None
            Where to draw; a new figure by default.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : RankingDisplay

        Raises
        ------
        ValueError
            If lengths disagree, only one side's identities or cameras are given, or there are more than 25
            probes.
        ImageError
            Naming a picture to be shown that estimators could not use either.
        """
        n_probes, n_gallery = count(probes), count(gallery)
        if not 1 <= n_probes <= LIMIT:
            raise ValueError(f"RankingDisplay draws 1 to {LIMIT} probes. Got {n_probes}: choose some of them.")
        if isinstance(n_neighbors, bool) or not isinstance(n_neighbors, Integral) or n_neighbors < 1:
            raise ValueError(
                "The 'n_neighbors' parameter of RankingDisplay must be an int in the range [1, inf). "
                f"Got {n_neighbors!r} instead."
            )
        known = _both_or_none(y_probe, y_gallery, ("y_probe", "y_gallery"), (n_probes, n_gallery))
        cams = _both_or_none(cams_probe, cams_gallery, ("cams_probe", "cams_gallery"), (n_probes, n_gallery))
        if cams is not None and known is None:
            raise ValueError("The camera filter leaves out images of the same person: give identities too.")
        same = np.zeros((n_probes, n_gallery), dtype=bool) if known is None else known[0][:, None] == known[1]
        left_out = None if cams is None else same & (cams[0][:, None] == cams[1])
        matrix = np.asarray(distances(0, n_probes) if callable(distances) else distances, dtype=np.float64)
        if matrix.shape != same.shape:
            raise ValueError(
                f"distances must have shape (n_probe, n_gallery) = {same.shape}. Got {matrix.shape} instead."
            )
        found = nearest_images(matrix, same, left_out, n_neighbors)
        kept = [index[index >= 0] for index in found.indices]
        return cls(
            probes=[picture(probes, i) for i in range(n_probes)],
            ranked=[[picture(gallery, i) for i in row] for row in kept],
            distances=[found.distances[i, : len(row)] for i, row in enumerate(kept)],
            matches=None if known is None else [found.matches[i, : len(row)] for i, row in enumerate(kept)],
            first_rank=None if known is None else found.first_rank,
            labels=labels,
        ).plot(ax, **kwargs)


def _color(match, dark=False):
    if match is None:
        return "0.6"
    return ("#00694D" if dark else GREEN) if match else ("#A04000" if dark else VERMILION)


def _short(distance):
    """Write a distance in at most six characters where its size allows."""
    size = abs(distance)
    return f"{distance:.2f}" if 0.01 <= size < 100 or size == 0 else f"{distance:.3g}"


def _both_or_none(probe, gallery, names, sizes):
    if (probe is None) != (gallery is None):
        missing, given = names[:: 1 if probe is None else -1]
        raise ValueError(f"{given} was given without {missing}: pass both, or neither.")
    if probe is None:
        return None
    arrays = column_or_1d(probe), column_or_1d(gallery)
    for name, array, size in zip(names, arrays, sizes, strict=True):
        if len(array) != size:
            raise ValueError(f"{name} has {len(array)} entries, but there are {size} images.")
    return arrays
