"""From a listing of images to the dataset that a loader returns, with a report of possible problems.

Duplicates and suspicious labels are reported, not fixed: a loader cannot know which of two equal images is
right.
"""

import mimetypes
import warnings
from collections import Counter, defaultdict

import numpy as np

from skreid._base.text import count, visible
from skreid.datasets._dataset import Dataset, Report
from skreid.datasets._duplicates import find_duplicates
from skreid.datasets._labels import as_number, doubtful, is_missing, refuse_missing, to_labels
from skreid.datasets._sentences import counted, describe, ending_of, sentences
from skreid.datasets._tree import ELSEWHERE, EMPTY, ENDING, LISTED, UNMATCHED, UNREADABLE

_REMEDIES = {  # by what is missing: in a table, and in a folder
    "identity": ("Fill the cell, or delete the row.", "Rename the file or folder, or change the pattern."),
    "camera": (
        "Fill the cells, or pass camera_column=None to leave the cameras out.",
        "Let the group 'camera' match every image, or leave it out of the pattern.",
    ),
    "subset": (
        "Fill the cells, or pass subset_column=None to leave the subsets out.",
        "Let the group 'subset' match every image, or leave it out of the pattern.",
    ),
    "track": (
        "Fill the cells, or pass track_column=None to leave the tracks out.",
        "Let the group 'track' match every image, or leave it out of the pattern.",
    ),
}


def bundle(listing, source, root, *, check_duplicates=True, junk=(), stacklevel=3, joined_folders=None, **more):
    """Return the dataset of the listed images.

    ``junk`` are the targets that are not identities, and ``joined_folders`` the folders of identities that were found
    in several folders of one name.
    """
    if not listing.paths:
        raise source.missing("any image with an expected name" + what_is_there(listing), root)
    target = _target(listing)
    cams, subset, tracks = (_optional(listing, what) for what in ("camera", "subset", "track"))
    data = Dataset(paths=np.array(listing.paths), target=target.values, cams=cams and cams.values)
    for name, labels in {"subset": subset, "tracks": tracks}.items():
        if labels:
            data[name] = labels.values
    for name, values in listing.extras.items():
        data[name] = _extra(values)
    data.update(more)
    data.report = report = _count(data, listing, junk, source)
    report.joined_folders, report.unlike_names = joined_folders or {}, listing.unlike_names
    n_without = {name: values.count(None) for name, values in listing.extras.items()}
    report.n_without = {name: number for name, number in n_without.items() if number}
    report.subset_variants = subset.near if subset else []
    for kind, labels in (("label", target), ("camera", cams)):
        report[f"joined_{kind}s"] = labels.joined if labels else {}
        report[f"{kind}_variants"] = labels.near if labels else []
    _check_files(report, data, listing, check_duplicates)
    report.suspicious = sentences(report, listing.names if listing.table is None else listing.paths)
    data.protocol = source.protocol
    data.DESCR = describe(data, source)
    for problem in _losses(report, listing):
        warnings.warn(visible(f"{source.name}: {problem}"), UserWarning, stacklevel=stacklevel)
    return data


def _target(listing):
    _refuse_missing(listing, listing.identities, "identity")
    return to_labels(listing.identities, listing.offsets, strip=listing.table is not None)


def _optional(listing, what):
    """Return the cameras, subsets or tracks of a listing, None where no image has one; refuse some without one."""
    given = {"camera": listing.cameras, "subset": listing.subsets, "track": listing.tracks}[what]
    if all(not isinstance(value, int) and is_missing(value) for value in set(given)):
        return None
    _refuse_missing(listing, given, what)
    return to_labels(given, strip=listing.table is not None, as_text=what == "subset")


def _extra(values):
    """Return the values of one more group of a pattern, None for each image where it did not match."""
    there = np.array([value is not None for value in values])
    if not there.any():
        return None
    labels = to_labels([value for value in values if value is not None]).values
    if there.all():
        return labels
    column = np.full(len(values), None, dtype=object)
    column[there] = labels.tolist()
    return column


def _refuse_missing(listing, given, what):
    in_table, in_folder = _REMEDIES[what]
    refuse_missing(given, what, listing.place, in_folder if listing.table is None else in_table)


def _count(data, listing, junk, source):
    """Return a report with the counts of the images, identities and cameras."""
    named = np.array([as_number(identity) not in junk for identity in listing.identities])
    people = Counter(data.target[named].tolist())
    return Report(
        name=source.name,
        root=listing.table or str(listing.tree.root),
        n_images=len(data.paths),
        n_identities=len(people),
        n_cameras=None if data.cams is None else len(np.unique(data.cams)),
        n_junk=int((~named).sum()),
        n_without_camera=len(listing.cameras) if data.cams is None and None not in listing.cameras else 0,
        n_tracks=len(np.unique(data.tracks)) if "tracks" in data else None,
        n_without_track=len(listing.tracks) if "tracks" not in data and None not in listing.tracks else 0,
        subsets=dict(Counter(data.subset.tolist())) if "subset" in data else None,
        expected=dict(source.expected),
        single_image_identities=sorted(p for p, number in people.items() if number == 1),
        single_camera_identities=_seen_once(data, named),
        doubtful_labels=doubtful(people),
        doubtful_cameras=[] if data.cams is None else doubtful(set(data.cams.tolist())),
    )


def _seen_once(data, named):
    if data.cams is None:
        return None
    cameras = defaultdict(set)
    for identity, camera in zip(data.target[named].tolist(), data.cams[named].tolist(), strict=True):
        cameras[identity].add(camera)
    return sorted(identity for identity, seen in cameras.items() if len(seen) == 1)


def _check_files(report, data, listing, check_duplicates):
    """Add to a report what became of every file: listed, or passed over for a reason; and which are equal."""
    tree, paths = listing.tree, data.paths.tolist()
    report.unmatched = sorted(set(listing.unmatched))
    if tree is None:  # every row of a table is listed
        report.passed_over, report.why, report.empty_folders = {}, {}, []
        report.n_files = report.n_listed = len(paths)
        report.empty_files = [path for path, size in zip(paths, listing.sizes, strict=True) if size == 0]
        report.unreadable_files = dict(listing.unreadable)
        sizes = listing.sizes
    else:
        sizes = [tree.pictures[name] for name in listing.names]
        elsewhere = tree.pictures.keys() - set(listing.names) - set(listing.unmatched)
        passed_over = dict(tree.passed_over) | {UNMATCHED: report.unmatched, ELSEWHERE: sorted(elsewhere)}
        report.passed_over = {reason: names for reason, names in passed_over.items() if names}
        report.why, report.empty_folders = tree.why, tree.empty_folders
        report.n_listed = len(set(listing.names))
        report.n_files = report.n_listed + sum(map(len, report.passed_over.values()))
        report.empty_files = list(map(tree.path, tree.passed_over.get(EMPTY, [])))
        report.unreadable_files = {tree.path(name): tree.why[name] for name in tree.passed_over.get(UNREADABLE, [])}
    report.duplicates_within = report.duplicates_across = None
    if check_duplicates:
        within, across, unreadable = find_duplicates(paths, data.target.tolist(), sizes, listing.verbose)
        report.duplicates_within, report.duplicates_across = within, across
        report.unreadable_files |= unreadable


def _losses(report, listing):
    """Return a sentence for each kind of loss that one may not expect: what may be pictures, and is not listed."""
    passed, known = report.passed_over, mimetypes.types_map | mimetypes.common_types
    where = f"below {report.root!r}"
    if report.unmatched:
        yield (
            f"{count(len(report.unmatched), 'image file')} {where} passed over because of unexpected names, the first "
            f"is {report.unmatched[0]!r}; report.unmatched lists all."
        )
    for reason in (EMPTY, UNREADABLE, LISTED):
        for name in passed.get(reason, [])[:1]:
            why = f" ({report.why[name]})" if name in report.why else ""
            yield (
                f"{count(len(passed[reason]), 'file or folder', 'files or folders')} {where} passed over for this "
                f"reason: {reason}; the first is {name!r}{why}. report.passed_over[{reason!r}] lists all."
            )
    if report.unlike_names:
        yield (
            f"{count(len(report.unlike_names), 'image')} {where} with a label in the list that is unlike the person in "
            f"the file name, which joins or splits people; the first is {report.unlike_names[0]!r}. "
            "report.unlike_names lists all."
        )
    foreign = [ending_of(name) for name in passed.get(ENDING, [])]
    foreign = [ending for ending in foreign if known.get(ending, "").startswith("image/")]
    if foreign and listing.endings is None:
        yield (
            f"{count(len(foreign), 'image file')} {where} passed over because of a format that is not supported: "
            f"{counted(foreign)}. Convert them, for example to PNG."
        )


def what_is_there(listing):
    """Return what an error says about the files that are there, where no image was listed."""
    if listing.unmatched:
        return f" ({len(listing.unmatched)} others are there, for example {listing.unmatched[0]!r})"
    reasons = {reason: len(names) for reason, names in listing.tree.passed_over.items()}
    if listing.tree.pictures:
        reasons[ELSEWHERE] = len(listing.tree.pictures)
    if not reasons:
        return " (no file is there)"
    shown = ", ".join(f"{reason} {number}" for reason, number in reasons.items())
    return f" (the {count(sum(reasons.values()), 'file')} there: {shown})"
