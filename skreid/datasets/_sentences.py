"""What a loader found, in words: the sentences of its report, the lines that are printed, and the text of DESCR."""

import os
from collections import Counter

from skreid._base.text import count, visible
from skreid.datasets._tree import ELSEWHERE, ENDING, LISTED, SERVICE, UNMATCHED, is_service

_SHOWN = 5  # images or labels
_SHOWN_KINDS = 20  # endings or folders


def first(items, number=_SHOWN):
    """Return the first items as text."""
    return ", ".join(map(str, items[:number])) + (", ..." if len(items) > number else "")


def counted(items):
    """Return the most frequent items with their numbers, such as ".heic (7), .txt (1)"."""
    return first([f"{item} ({number})" for item, number in Counter(items).most_common()], _SHOWN_KINDS)


def ending_of(name):
    """Return the ending of a file name in lower case, or "none"."""
    return os.path.splitext(name)[1].lower() or "none"


def sentences(report, names):
    """Return a sentence for each possible problem of a report on images of these names."""
    found = []

    def note(items, noun, text="", shown=first, plural=None):
        if items:
            found.append(visible(f"{count(len(items), noun, plural)}{text and ' '}{text}: {shown(list(items))}"))

    def note_people(items, text, shown=first):
        note(items, "identity", text, shown, "identities")

    def with_reason(names):
        return first([f"{name!r} ({report.why[name]})" if name in report.why else repr(name) for name in names])

    def quoted(names):
        return first([repr(name) for name in names])

    def spelled(joined):
        return first([f"{label!r} from {', '.join(map(ascii, several))}" for label, several in joined])

    def equal(groups):
        return first([" = ".join(repr(names[i]) for i in group) for group in groups])

    passed = report.passed_over
    across, within = report.duplicates_across, report.duplicates_within
    note(across, "group", "of byte-identical images across identities", equal)
    note(within, "group", "of byte-identical images within an identity", equal)
    note(passed.get(UNMATCHED), "image file", "passed over because of unexpected names", quoted)
    note(passed.get(ELSEWHERE), "image file", "passed over outside of the layout, by folder", _by_folder)
    note(passed.get(ENDING), "file", "passed over by ending", lambda n: counted(map(ending_of, n)))
    note(passed.get(SERVICE), "hidden or service file", "passed over", _by_service)
    note(passed.get(LISTED), "link", "passed over because what it leads to is listed already", with_reason)
    note(report.empty_files, "empty file", shown=quoted)
    note(report.empty_folders, "empty folder", shown=quoted)
    note([f"{path!r} ({why})" for path, why in report.unreadable_files.items()], "file", "that cannot be read")
    for noun, number in (("camera", report.n_without_camera), ("track", report.n_without_track)):
        if number:
            found.append(f"{count(number, 'image')} without a {noun}: the {noun}s are unknown")
    for key, number in report.n_without.items():
        found.append(visible(f"{count(number, 'image')} without {key!r}: None there"))
    for noun, joined, near in (
        ("identity", report.joined_labels, report.label_variants),
        ("camera", report.joined_cameras, report.camera_variants),
        ("subset", {}, report.subset_variants),
    ):
        note(joined.items(), f"{noun} label", "joined from spellings of the same text", spelled)
        note(near, "group", f"of {noun} labels that differ only in case, blanks, zeros or forms of a letter", _groups)
    note(report.unlike_names, "image", "whose label in the list is unlike the person in the file name", quoted)
    note_people(report.joined_folders.items(), "joined from several folders of one name", _folders)
    note(report.doubtful_labels, "identity label", "that may stand for no person", quoted)
    note(report.doubtful_cameras, "camera label", "that may stand for no camera", quoted)
    note_people(report.single_image_identities, "with a single image, which forms no pair")
    if report.n_cameras and report.n_cameras > 1:
        note_people(report.single_camera_identities, "seen by one camera only")
    for key, number in report.expected.items():
        if report.get(key) is not None and report[key] != number:
            found.append(f"{key} is {report[key]}, the published number is {number}")
    return found


def _by_folder(names):
    return counted(name.rpartition("/")[0] or "." for name in names)


def _by_service(names):
    return counted(_service_part(name) for name in names)


def _service_part(name):
    return next((part for part in name.split("/") if is_service(part)), name)


def _groups(groups):
    return first([f"({', '.join(map(repr, group))})" for group in groups])


def _folders(joined):
    return first([f"{label!r} ({', '.join(folders)})" for label, folders in joined])


def counts(n_images, n_identities, n_cameras):
    """Return the numbers of images, identities and cameras as text."""
    cameras = "unknown cameras" if n_cameras is None else count(n_cameras, "camera")
    return f"{count(n_images, 'image')} of {count(n_identities, 'identity', 'identities')}, {cameras}"


def summary(report):
    """Return a report as three lines, and one more for each possible problem."""
    number = counts(report.n_images, report.n_identities, report.n_cameras)
    passed = report.n_files - report.n_listed
    files = f"{report.n_listed} listed, {passed} passed over" if passed else "all listed"
    problems = [f"- {sentence}" for sentence in report.suspicious]
    found = f"{count(len(problems), 'possible problem')}:" if problems else "no problems found"
    lines = [f"{report.name} {report.root!r}: {number}", f"{count(report.n_files, 'file')}: {files}", found]
    return "\n".join(lines + problems)


def describe(data, source):
    """Return the text of DESCR."""
    report = data.report
    number = counts(report.n_images, report.n_identities, report.n_cameras)
    lines = [source.name, "=" * len(source.name), "", f"{number}."]
    if report.n_junk:
        lines.append(f"{report.n_junk} of the images belong to no identity (junk or distractors); they are kept.")
    if report.subsets:
        subsets = ", ".join(f"{name} {number}" for name, number in report.subsets.items())
        lines.append(visible(f"Subsets: {subsets}."))
    lines += ["", f"Layout: {source.layout}."]
    if source.owner:
        lines += [f"Protocol: {source.protocol}.", f"Distributed by {source.owner}."]
    lines += ["", "    paths     path of each image", "    target    identity of each image"]
    lines.append("    cams      " + ("None: the cameras are unknown" if data.cams is None else "camera of each image"))
    if "subset" in data:
        lines.append("    subset    subset of each image")
    if "tracks" in data:
        lines.append("    tracks    track of each image")
    lines.append("    report    counts, duplicates and possible problems")
    if report.suspicious:
        lines += ["", "Possible problems:", *(f"- {sentence}" for sentence in report.suspicious)]
    return "\n".join(lines) + "\n"
