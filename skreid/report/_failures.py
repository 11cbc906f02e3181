"""Where a system fails: its camera pairs as a heat map and a table, and its hardest probes."""

import os

from skreid._base.text import visible
from skreid.displays import CameraPairDisplay
from skreid.displays._camera_pairs import figure_size
from skreid.report._page import folded, new_figure, paragraph, plot, table
from skreid.report._probes import images_in

SHOWN = 10  # rows that are not folded away
HEADS = {
    "probe_cam": "Camera of the probe",
    "gallery_cam": "Camera of the gallery",
    "rank_1": "Rank 1 (%)",
    "mAP": "mAP (%)",
    "n_valid": "Probes with a true match",
    "n_probes": "All probes",
    "n_gallery": "Gallery",
}


def failures(result):
    """Return the camera pairs and the hardest probes of a result; "" if neither is known."""
    return "\n".join(part for part in (_camera_pairs(result), _hardest(result)) if part)


def _camera_pairs(result):
    """Return the pairs of cameras; "" if cameras are not known, or one pair is all there is and has all figures."""
    if any(repeat.cameras is None for repeat in result.repeats):
        return ""
    pairs = result.by_camera_pair()
    is_whole = all(repeat.cameras.n_valid.size == 1 for repeat in result.repeats)
    if not len(pairs) or (len(pairs) == 1 and is_whole):
        return ""
    cams = [set(pairs.columns[side].tolist()) for side in ("gallery_cam", "probe_cam")]
    figure, ax = new_figure(*figure_size(*cams))
    CameraPairDisplay.from_evaluation(result, name="", ax=ax)
    worst = pairs[0]
    alt = f"Rank-1 of each pair of cameras. The worst: probe of camera {worst['probe_cam']}, gallery of camera "
    alt += f"{worst['gallery_cam']}, {100 * worst['rank_1']:.0f} % of {worst['n_valid']} probes. See the table below."
    _, rows = pairs.texts()
    heads = [HEADS[name] for name in pairs.columns]
    caption = "Pairs of cameras, worst rank 1 first"
    parts = [
        "<h3>Pairs of cameras, worst first</h3>",
        paragraph(" ".join(pairs.notes)),
        plot(figure, "Rank-1 of each pair of cameras", alt),
        table(caption, heads, rows[:SHOWN], range(2, len(heads))),
    ]
    if len(rows) > SHOWN:
        rest = table(f"{caption}, continued", heads, rows[SHOWN:], range(2, len(heads)))
        parts.append(folded(f"{len(rows) - SHOWN} more pairs", rest))
    return "\n".join(parts)


def _hardest(result):
    """Return the probes whose true match ranks worst."""
    if result.target is None or any(repeat.match is None for repeat in result.repeats):
        return ""
    probes = result.hardest(SHOWN)
    several = len(result.repeats) > 1
    rows = [
        [_image(row, ""), str(row["rank"]), _image(row, "first_"), *([str(row["repeat"])] if several else [])]
        for row in probes
    ]
    if not rows:
        return ""
    heads = ["Probe", "Rank", "What stood first"] + ["Repeat (from 0)"] * several
    caption = "Probes, the rank of their nearest true match, and what stood first instead"
    return f"<h3>Hardest probes, worst first</h3>\n{table(caption, heads, rows, {1, 3})}"


def _image(row, side):
    """Return who is seen in an image and by which camera, with its index and the name of its file as a note."""
    index = row["first"] if side else row["probe"]
    if index is None:
        return "not kept"
    who = f"identity {row[f'{side}identity']}"
    if f"{side}cam" in row:
        who += f", camera {row[f'{side}cam']}"
    if f"{side}track" in row:
        who += f", track {row[f'{side}track']} of {images_in(row[f'{side}length'])}"
    path = row.get(f"{side}path")
    return who, f"image {index}" + ("" if path is None else f", {visible(os.path.basename(str(path)))}")
