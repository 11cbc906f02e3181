"""The best and the worst probes of a repeat, each with the gallery images nearest to it.

Rankings are lists of images with captions, which wrap where the screen is narrow.
"""

import os
import warnings

import numpy as np

from skreid._base.dataset import get_column
from skreid._search.nearest import is_row
from skreid._search.tracks import lengths_of
from skreid.displays._common import picture, readable
from skreid.exceptions import ImageError
from skreid.report._page import escape, paragraph, thumbnail

GREY = np.full((120, 48, 3), 190, dtype=np.uint8)  # stands for an image that cannot be read


def best_and_worst(result, dataset, n_probes, n_neighbors, repeat):
    """Return the rankings of the probes that were recognised best and worst in a repeat; "" if there is no image."""
    done = result.repeats[repeat]
    images = None if dataset is None else get_column(dataset, "images", "paths")
    if not n_probes or images is None or not done.nearest.indices.shape[1]:
        return ""
    shown = done.nearest.indices[is_row(done.nearest.indices)]
    last = max(shown.max(initial=0), done.probe.max())
    target = get_column(dataset, "target")
    if target is None or len(target) <= last:
        raise ValueError(
            f"dataset.target has {0 if target is None else len(target)} entries, but image {last} was ranked: pass "
            "the dataset that was evaluated."
        )
    first_rank, precision = done.metrics.first_rank, done.metrics.average_precision
    matched = np.flatnonzero(first_rank > 0)
    order = matched[np.lexsort((done.nearest.distances[matched, 0], -precision[matched], first_rank[matched]))]
    best = order[:n_probes]
    worst = order[len(best) :][::-1][:n_probes]
    rankings = _Rankings(dataset, images, target, n_neighbors, result.tracks)
    of_tracks = ""
    if result.tracks is not None:
        of_tracks = " Tracks were ranked: each is shown by the picture in its middle, with its number of images below."
    parts = [
        paragraph(
            f"{result.name}, repeat {repeat}, counted from 0. A solid frame and ✓ mark a true match; a dashed frame "
            "and ✗ mark somebody else. The number below the rank is the distance. Where the nearest true match ranks "
            f"behind the images shown, it stands at the end, after a gap.{of_tracks}"
        )
    ]
    for heading, rows in (("Best probes, best first", best), ("Worst probes, worst first", worst)):
        if len(rows):
            parts.append(f"<h3>{heading}</h3>")
            parts += [rankings.ranking(done, row) for row in rows]
    n_unmatched = int((first_rank == 0).sum())
    if n_unmatched:
        parts.append(paragraph(f"Not shown: {n_unmatched} probes without a true match in the gallery."))
    rankings.warn_unreadable()
    return "\n".join(parts)


def images_in(length):
    """Return the length of a track in words."""
    return "1 image" if length == 1 else f"{length} images"


class _Rankings:
    """Makes the HTML of rankings, and remembers which images cannot be read."""

    def __init__(self, dataset, images, target, n_neighbors, tracks=None):
        self._images, self._target, self._n_neighbors = images, target, n_neighbors
        self._cams, self._paths = get_column(dataset, "cams"), get_column(dataset, "paths")
        self._tracks, self._lengths = tracks, None if tracks is None else lengths_of(tracks)
        self._unreadable = {}  # position -> reason

    def ranking(self, done, row):
        """Return a probe and the gallery images nearest to it."""
        probe, metrics, nearest = int(done.probe[row]), done.metrics, done.nearest
        heading = (
            f"{self._caption(probe)}: first match at rank {int(metrics.first_rank[row])}, average precision "
            f"{metrics.average_precision[row]:.2f}"
        )
        items = [f'<li class="probe">{self._figure(probe, "Probe", ["probe"])}</li>']
        n_shown = min(self._n_neighbors, int(is_row(nearest.indices[row]).sum()))
        for column in range(n_shown):
            place, distance = nearest.indices[row, column], nearest.distances[row, column]
            items.append(self._ranked(column + 1, place, distance, nearest.matches[row, column]))
        rank = int(metrics.first_rank[row])
        if rank > n_shown and done.match is not None:
            items.append('<li class="gap">…</li>')
            items.append(self._ranked(rank, done.match[row], done.match_distance[row], True))
        return f'<div class="ranking"><p>{escape(heading)}</p>\n<ul class="strip">\n{"".join(items)}\n</ul></div>'

    def _ranked(self, rank, place, distance, match):
        """Return a gallery image with its rank and distance, marked as right or wrong."""
        sign, kind = ("✓", "right") if match else ("✗", "wrong")
        alt = f"Rank {rank}, {kind}, distance {readable(distance)}"
        return f'<li class="{kind}">{self._figure(int(place), alt, [f"{sign} {rank}", readable(distance)])}</li>'

    def _figure(self, place, alt, lines):
        """Return an image with lines of text below it."""
        try:
            image = picture(self._images, place)
        except ImageError as error:
            self._unreadable[place] = str(error)
            image, lines, alt = GREY, [*lines, "unreadable"], f"{alt}, cannot be read"
        caption = self._caption(place)
        if self._tracks is not None:
            lines = [*lines, images_in(self._lengths[place])]
        return (
            f'<figure title="{escape(caption)}">{thumbnail(image, f"{alt}: {caption}")}'
            f"<figcaption>{'<br>'.join(map(escape, lines))}</figcaption></figure>"
        )

    def _caption(self, place):
        """Return who is seen in an image, by which camera, and the name of its file."""
        parts = [f"identity {self._target[place]}"]
        if self._cams is not None:
            parts.append(f"camera {self._cams[place]}")
        if self._paths is not None:
            parts.append(os.path.basename(str(self._paths[place])))
        if self._tracks is not None:
            parts.append(f"track {self._tracks[place]}")
        return ", ".join(parts)

    def warn_unreadable(self):
        """Warn of images that cannot be read. The page, which others see, never shows whole paths."""
        if self._unreadable:
            reasons = "; ".join(self._unreadable[place] for place in sorted(self._unreadable))
            warnings.warn(
                f"{len(self._unreadable)} images cannot be read and are grey in the report: {reasons}", stacklevel=4
            )
