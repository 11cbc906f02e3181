"""Where a system fails: the figures of each pair of cameras, and the probes whose true match comes last.

Both are recorded while a trial is ranked, as small tables: the distances themselves are not kept.
"""

from dataclasses import dataclass

import numpy as np

from skreid._base.labels import factorize
from skreid._base.text import count
from skreid._search.nearest import MISSING, is_row
from skreid._search.tracks import lengths_of
from skreid.evaluation._table import ResultTable
from skreid.metrics import ranking_metrics


@dataclass(frozen=True, eq=False, repr=False)
class CameraCounts:
    """Counts of a trial for each pair of a probe's camera (row) and a gallery camera (column).

    Attributes
    ----------
    probe_cams, gallery_cams : list
        The cameras of rows and columns.
    n_probes : ndarray of shape (n_probe_cams,)
    n_gallery : ndarray of shape (n_gallery_cams,)
    n_valid, n_first : ndarray of shape (n_probe_cams, n_gallery_cams)
        Probes with a true match in that camera, and those of them whose true match stands first there.
    precision : ndarray of the same shape
        Sum of their average precisions.
    across_only : bool
        Whether the protocol leaves out true matches in the probe's own camera.
    """

    probe_cams: list
    gallery_cams: list
    n_probes: np.ndarray
    n_gallery: np.ndarray
    n_valid: np.ndarray
    n_first: np.ndarray
    precision: np.ndarray
    across_only: bool


class CameraRecorder:
    """Distances as :mod:`skreid.metrics` takes them; also ranks each probe against each gallery camera alone.

    Parameters
    ----------
    comparison : Comparison
        Its distances are callable.
    cams_probe, cams_gallery : array-like
        Camera of each row and column.
    """

    def __init__(self, comparison, cams_probe, cams_gallery):
        self._comparison = comparison
        (self._of_probe, of_gallery), self._names = factorize(cams_probe=cams_probe, cams_gallery=cams_gallery)
        self._columns = [np.flatnonzero(of_gallery == camera) for camera in np.unique(of_gallery)]
        self._gallery_cams = np.unique(of_gallery)
        shape = len(self._of_probe), len(self._columns)
        self._first_rank, self._precision = np.zeros(shape, dtype=np.int32), np.full(shape, np.nan)

    def __call__(self, start, stop):
        """Return the distances of probes ``start:stop`` and record how they rank in each camera."""
        values = self._comparison.distances(start, stop)
        if len(self._columns) > 1 and np.isfinite(values).all():  # others are refused by name afterwards
            for camera, columns in enumerate(self._columns):
                self._record(camera, slice(start, stop), columns, values[:, columns])
        return values

    def _record(self, camera, rows, columns, values):
        y_probe, y_gallery, _, cams_probe, cams_gallery = self._comparison
        metrics = ranking_metrics(
            y_probe[rows],
            y_gallery[columns],
            values,
            cams_probe=None if cams_probe is None else cams_probe[rows],
            cams_gallery=None if cams_gallery is None else cams_gallery[columns],
            ranks=1,
            on_missing="zero",
        )
        self._first_rank[rows, camera] = metrics.first_rank
        self._precision[rows, camera] = metrics.average_precision

    def counts(self, metrics):
        """Return the counts of the trial, whose figures over all cameras are `metrics`."""
        if len(self._columns) == 1:  # the whole gallery is that camera
            self._first_rank[:, 0], self._precision[:, 0] = metrics.first_rank, metrics.average_precision
        of_probe = np.unique(self._of_probe)
        rows = [self._of_probe == camera for camera in of_probe]

        def per_pair(values):
            return np.stack([values[row].sum(axis=0) for row in rows])

        return CameraCounts(
            probe_cams=[self._names[camera] for camera in of_probe],
            gallery_cams=[self._names[camera] for camera in self._gallery_cams],
            n_probes=np.array([row.sum() for row in rows]),
            n_gallery=np.array([len(columns) for columns in self._columns]),
            n_valid=per_pair(self._first_rank > 0),
            n_first=per_pair(self._first_rank == 1),
            precision=per_pair(np.nan_to_num(self._precision)),
            across_only=self._comparison.cams_probe is not None,
        )


def images_of(ids, indices, target):
    """Return the dataset index of each row or column: of its image, or of the first image of its person."""
    if len(ids) == len(indices):
        return indices
    first = {}
    for place in indices.tolist():
        first.setdefault(target[place], place)
    return np.array([first[identity] for identity in ids], dtype=np.intp)


def camera_recorder(comparison, trial, target, cams):
    """Return a `CameraRecorder`, or None if the cameras of rows or columns are not known."""
    views = comparison.cams_probe, comparison.cams_gallery
    if views[0] is None and cams is not None:
        sides = (comparison.y_probe, trial.probe), (comparison.y_gallery, trial.gallery)
        views = [_cameras_of(ids, indices, target, cams) for ids, indices in sides]
    return None if views[0] is None or views[1] is None else CameraRecorder(comparison, *views)


def _cameras_of(ids, indices, target, cams):
    """Return the camera of each row or column; None if one of them combines images of several cameras."""
    if len(ids) != len(indices):
        (person,), people = factorize(target=target[indices])
        (camera,), _ = factorize(cams=cams[indices])
        if len(np.unique(np.stack([person, camera]), axis=1).T) > len(people):
            return None
    return cams[images_of(ids, indices, target)]


def by_camera_pair(result):
    """Return the table of `EvaluationResult.by_camera_pair`."""
    totals, n_gallery = {}, {}
    for repeat in result.repeats:
        counts = repeat.cameras
        if counts is None:
            raise ValueError(
                f"The cameras of {result.name!r} are not known: the dataset has no 'cams', evaluate was called with "
                "use_cams=False, or the protocol compares people whose images come from several cameras."
            )
        for i, probe_cam in enumerate(counts.probe_cams):
            for j, gallery_cam in enumerate(counts.gallery_cams):
                if counts.across_only and probe_cam == gallery_cam:
                    continue
                one = (counts.n_probes[i], counts.n_valid[i, j], counts.n_first[i, j], counts.precision[i, j])
                totals[probe_cam, gallery_cam] = np.add(totals.get((probe_cam, gallery_cam), 0.0), one)
                n_gallery.setdefault((probe_cam, gallery_cam), []).append(counts.n_gallery[j])
    n_probes, n_valid, n_first, precision = np.array(list(totals.values())).reshape(-1, 4).T
    with np.errstate(invalid="ignore"):
        rank_1, mean_precision = n_first / n_valid, precision / n_valid
    order = np.lexsort((-n_valid, mean_precision, rank_1))
    order = order[n_valid[order] > 0]
    pairs = [list(totals)[place] for place in order]
    notes = ["Each probe is ranked against the images of that gallery camera alone."]
    if any(repeat.cameras.across_only for repeat in result.repeats):
        notes.append("The protocol leaves out true matches in the probe's own camera, so these pairs have no row.")
    empty = [f"{a} and {b}" for (a, b), n_found in zip(totals, n_valid, strict=True) if not n_found]
    if empty:
        named = ", ".join(empty[:3]) + (", ..." if len(empty) > 3 else "")
        notes.append(f"Without a row, because no probe has a true match there: {count(len(empty), 'pair')} ({named}).")
    n_missing = int((n_probes - n_valid)[order].sum())
    if n_missing:
        cases = count(n_missing, "case")
        notes.append(f"In {cases} the probe has no true match in that camera: left out of rank-1 and mAP.")
    n_repeats = len(result.repeats)
    if n_repeats > 1 and all(len(n_gallery[pair]) == n_repeats for pair in pairs):
        notes.append(f"Probes of all {n_repeats} repeats are counted together; gallery sizes are means over them.")
    elif n_repeats > 1:
        notes.append(
            f"Of the {n_repeats} repeats, a pair counts those with probes of its first camera and gallery images of "
            "its second. Probes are added up over these repeats; gallery sizes are means over them."
        )
    means = np.array([np.mean(n_gallery[pair]) for pair in pairs])
    return ResultTable(
        f"Camera pairs of {result.label}, worst rank-1 first",
        {
            "probe_cam": [probe_cam for probe_cam, _ in pairs],
            "gallery_cam": [gallery_cam for _, gallery_cam in pairs],
            "rank_1": rank_1[order],
            "mAP": mean_precision[order],
            "n_valid": n_valid[order].astype(np.int64),
            "n_probes": n_probes[order].astype(np.int64),
            "n_gallery": means.astype(np.int64) if (means == means.astype(np.int64)).all() else means,
        },
        notes,
    )


def hardest(result, n):
    """Return the table of `EvaluationResult.hardest`."""

    def gather(column):
        return np.concatenate([column(one) for one in result.repeats])

    def first_of(one):
        return one.nearest.indices[:, 0] if one.nearest.indices.shape[1] else np.full(len(one.probe), MISSING)

    repeat = np.repeat(np.arange(len(result.repeats)), [len(one.probe) for one in result.repeats])
    probe, match, first = gather(lambda one: one.probe), gather(lambda one: one.match), gather(first_of)
    rank = gather(lambda one: one.metrics.first_rank)
    precision = gather(lambda one: one.metrics.average_precision)
    order = np.lexsort((repeat, probe, precision, -rank))
    order = order[rank[order] > 0]
    _, once = np.unique(probe[order], return_index=True)  # each image where it ranks worst
    order = order[np.sort(once)][:n]

    columns = {"probe": probe[order], "rank": rank[order], "match": match[order]}
    known = {"identity": result.target, "cam": result.cams, "path": result.paths, "track": result.tracks}
    known["length"] = None if result.tracks is None else lengths_of(result.tracks)
    known = {name: values for name, values in known.items() if values is not None}
    for name, values in known.items():
        columns[name] = [_entry(values, place) for place in probe[order]]
    columns["first"] = [int(place) if is_row(place) else None for place in first[order]]
    for name, values in known.items():
        columns[f"first_{name}"] = [_entry(values, place) if is_row(place) else None for place in first[order]]
    n_missing = int((rank == 0).sum())
    notes = ["probe, match and first are indices into the dataset; first is the image that stood first."]
    if len(result.repeats) > 1:
        columns["repeat"] = repeat[order]
        notes.append("Repeats are counted from 0, as in result.repeats.")
    if result.tracks is not None:
        notes.append("Tracks were ranked: the indices are those of the images in their middle.")
    if n_missing:
        notes.append(f"Not listed: {n_missing} of {len(rank)} probes, which have no true match in their gallery.")
    return ResultTable(f"Hardest probes of {result.label}, worst rank of the true match first", columns, notes)


def _entry(values, place):
    value = values.iloc[place] if hasattr(values, "iloc") else values[place]
    return str(value) if isinstance(value, str) or hasattr(value, "__fspath__") else value
