"""From a listing of images to the Bunch that a loader returns, with a report of possible problems.

Duplicates and suspicious labels are reported, not fixed: a loader cannot know which of two equal images is
right.
"""

import hashlib
import os
import re
import stat
import warnings
from collections import Counter, defaultdict

import numpy as np
from sklearn.utils import Bunch

from skreid.datasets._layout import as_labels

_SHOWN = 5


def bundle(listing, source, root, *, check_duplicates=True, junk=(), stacklevel=3, **more):
    """Return the Bunch for the listed images; ``junk`` are the targets that are not identities."""
    if not listing.paths:
        what = "any image with an expected name"
        if listing.unmatched:
            what += f" ({len(listing.unmatched)} others are there, for example {listing.unmatched[0]!r})"
        raise source.missing(what, root)
    target, cams = as_labels(listing.identities), as_labels(listing.cameras)
    data = Bunch(paths=np.array(listing.paths), target=target, cams=cams)
    if any(s is not None for s in listing.subsets):
        data.subset = np.array([str(s) for s in listing.subsets])
    for name, values in listing.extras.items():
        data[name] = as_labels(values)
    data.update(more)
    data.report = inspect(data, listing, check_duplicates=check_duplicates, junk=junk, expected=source.expected)
    data.protocol = source.protocol
    data.DESCR = describe(data, source)
    if listing.unmatched:
        warnings.warn(
            f"{source.name}: {len(listing.unmatched)} image file(s) below {str(root)!r} have unexpected names and were "
            f"left out, the first is {listing.unmatched[0]!r}; report.unmatched lists all.",
            UserWarning,
            stacklevel=stacklevel,
        )
    return data


def inspect(data, listing, *, check_duplicates, junk=(), expected=None):
    """Return the report: counts, duplicates, and a sentence for each possible problem."""
    named = ~np.isin(data.target, list(junk)) if junk else np.ones(len(data.target), dtype=bool)
    people = Counter(data.target[named].tolist())
    sizes, unreadable = file_sizes(data.paths)
    within, across = find_duplicates(data.paths, data.target, sizes, unreadable) if check_duplicates else (None, None)
    report = Bunch(
        n_images=len(data.paths),
        n_identities=len(people),
        n_cameras=None if data.cams is None else len(np.unique(data.cams)),
        n_junk=int((~named).sum()),
        subsets=dict(Counter(data.subset.tolist())) if "subset" in data else None,
        expected=dict(expected or {}),
        duplicates_within=within,
        duplicates_across=across,
        unmatched=list(listing.unmatched),
        single_image_identities=sorted(p for p, count in people.items() if count == 1),
        single_camera_identities=_seen_once(data, named),
        empty_files=[path for path, size in zip(data.paths.tolist(), sizes, strict=True) if size == 0],
        unreadable_files=unreadable,
        label_variants=_variants(listing.identities),
    )
    report.suspicious = _sentences(report)
    return report


def file_sizes(paths):
    """Return the size of each file (None if it cannot be read), and path -> reason of those that cannot."""
    sizes, unreadable = [], {}
    for path in paths.tolist():
        try:
            status = os.stat(path)
            if not stat.S_ISREG(status.st_mode):
                unreadable[path] = "a pipe, device or folder"
        except OSError as error:
            unreadable[path] = error.strerror
        sizes.append(None if path in unreadable else status.st_size)
    return sizes, unreadable


def find_duplicates(paths, target, sizes, unreadable):
    """Return groups of indices of byte-identical files: within one identity, and across identities.

    Only files of equal size are read; those that cannot be read are added to `unreadable`.
    """
    by_size = defaultdict(list)
    for i, size in enumerate(sizes):
        by_size[size].append(i)
    by_content = defaultdict(list)
    for size, indices in by_size.items():
        if len(indices) > 1 and size:
            for i in indices:
                try:
                    with open(paths[i], "rb") as file:
                        by_content[size, hashlib.file_digest(file, "blake2b").digest()].append(i)
                except OSError as error:
                    unreadable[str(paths[i])] = error.strerror
    within, across = [], []
    for indices in sorted(group for group in by_content.values() if len(group) > 1):
        (within if len({target[i] for i in indices}) == 1 else across).append(tuple(indices))
    return within, across


def _seen_once(data, named):
    if data.cams is None:
        return None
    cameras = defaultdict(set)
    for identity, camera in zip(data.target[named].tolist(), data.cams[named].tolist(), strict=True):
        cameras[identity].add(camera)
    return sorted(identity for identity, seen in cameras.items() if len(seen) == 1)


def _variants(identities):
    """Return groups of labels that may mean the same person: they differ in case, spaces or leading zeros."""
    spellings = defaultdict(set)
    for identity in {str(i) for i in identities}:
        plain = re.sub(r"\s+", "", identity).casefold()
        spellings[re.sub(r"(?<!\d)0+(?=\d)", "", plain)].add(identity)
    return sorted(tuple(sorted(group)) for group in spellings.values() if len(group) > 1)


def _first(items):
    shown = ", ".join(str(i) for i in items[:_SHOWN])
    return shown + (", ..." if len(items) > _SHOWN else "")


def _sentences(report):
    sentences = []

    def note(items, text):
        if items:
            sentences.append(f"{len(items)} {text}: {_first(items)}")

    note(report.duplicates_across, "group(s) of byte-identical images across identities (indices)")
    note(report.duplicates_within, "group(s) of byte-identical images within an identity (indices)")
    note(report.unmatched, "image file(s) left out because of unexpected names")
    note(report.empty_files, "empty file(s)")
    note([f"{path} ({why})" for path, why in report.unreadable_files.items()], "file(s) that cannot be read")
    note(report.label_variants, "group(s) of identity labels that differ only in case, spaces or leading zeros")
    note(report.single_image_identities, "identity(ies) with a single image, which forms no pair")
    if report.n_cameras and report.n_cameras > 1:
        note(report.single_camera_identities, "identity(ies) seen by one camera only")
    for key, number in report.expected.items():
        if report.get(key) is not None and report[key] != number:
            sentences.append(f"{key} is {report[key]}, the published number is {number}")
    return sentences


def describe(data, source):
    """Return the text of DESCR."""
    report = data.report
    cameras = "unknown cameras" if report.n_cameras is None else f"{report.n_cameras} camera(s)"
    lines = [source.name, "=" * len(source.name), ""]
    lines.append(f"{report.n_images} images of {report.n_identities} identities, {cameras}.")
    if report.n_junk:
        lines.append(f"{report.n_junk} of the images belong to no identity (junk or distractors); they are kept.")
    if report.subsets:
        lines.append("Subsets: " + ", ".join(f"{name} {count}" for name, count in report.subsets.items()) + ".")
    lines += ["", f"Layout: {source.layout}."]
    if source.owner:
        lines += [f"Protocol: {source.protocol}.", f"Distributed by {source.owner}."]
    lines += ["", "    paths     path of each image", "    target    identity of each image"]
    lines.append("    cams      " + ("None: the cameras are unknown" if data.cams is None else "camera of each image"))
    if "subset" in data:
        lines.append("    subset    subset of each image")
    lines.append("    report    counts, duplicates and possible problems")
    if report.suspicious:
        lines += ["", "Possible problems:", *(f"- {sentence}" for sentence in report.suspicious)]
    return "\n".join(lines) + "\n"
