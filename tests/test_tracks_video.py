"""The how-to of tracks, with the code of its page, on two drawn videos: boxes and frames in, a ranking out."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skreid import Gallery, describe, evaluate, pool_tracks, rank_gallery
from skreid.datasets import make_pedestrians
from skreid.descriptors import LOMO
from skreid.protocols import TwoViewProtocol

PAGE = Path(__file__).parent.parent / "docs" / "user_guide" / "tracks.md"
N_PEOPLE, N_SHOTS, SIZE = 6, 5, (64, 32)


def code_of_page(function):
    """Run the block of the page that defines a function, and return the function."""
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), flags=re.M | re.S)
    (block,) = [block for block in blocks if f"def {function}(" in block]
    names = {}
    exec(block, names)
    return names[function]


@pytest.fixture(scope="module")
def videos():
    """Return frames, boxes, pictures and identities of two cameras; people walk in two lanes, at first cut off."""
    people = make_pedestrians(N_PEOPLE, 2, N_SHOTS, image_size=SIZE, difficulty="medium", random_state=3)
    made = []
    for cam in (0, 1):
        rows, order = [], np.random.default_rng(cam).permutation(N_PEOPLE)
        frames = np.full((N_SHOTS * N_PEOPLE // 2, 150, 190, 3), 90, dtype=np.uint8)
        for number, who in enumerate(order):
            pictures = people.images[(people.target == who) & (people.cams == cam)]
            for shot, picture in enumerate(pictures):
                frame, x, y = number // 2 * N_SHOTS + shot, -6 + 36 * shot, 4 + number % 2 * 72
                left, top = max(x, 0), y
                frames[frame, top : y + SIZE[0], left : x + SIZE[1]] = picture[:, left - x :]
                rows.append((frame, number + 1, x, y, SIZE[1], SIZE[0], who, picture[:, left - x :]))
        columns = ["frame", "track", "x", "y", "width", "height", "who", "picture"]
        boxes = pd.DataFrame(rows, columns=columns).sort_values("frame", kind="stable")
        made.append((frames, boxes.drop(columns=["who", "picture"]), boxes["picture"], boxes["who"]))
    return made


def test_crops_are_the_people_in_the_order_of_the_table(videos):
    """Without what is outside the frame; frames are read one at a time."""
    for frames, boxes, pictures, _ in videos:
        for first in (0, 1):
            crops = code_of_page("crops_of")(iter(frames), boxes.assign(frame=boxes["frame"] + first), first)
            for crop, picture in zip(crops, pictures, strict=True):
                np.testing.assert_array_equal(crop, picture)


def test_boxes_that_would_get_the_crops_of_others_are_refused(videos):
    """Boxes in the order of tracks, and boxes of a frame that the video does not have, also through `describe`."""
    frames, boxes, *_ = videos[0]
    crops_of, lomo = code_of_page("crops_of"), LOMO(n_scales=1, input_size=SIZE).fit([np.zeros((*SIZE, 3), np.uint8)])
    with pytest.raises(ValueError, match="sort the boxes first"):
        describe(lomo, crops_of(iter(frames), boxes.sort_values("track", kind="stable"), 0))
    with pytest.raises(ValueError, match=rf"the number {len(frames)} of a box. Is the first frame number 0"):
        describe(lomo, crops_of(iter(frames), boxes.assign(frame=boxes["frame"] + 1), 0))
    with pytest.raises(ValueError, match=r"the number 0 of a box. Is the first frame number 1"):
        list(crops_of(iter(frames), boxes, 1))


def test_tracks_of_two_cameras_are_ranked(videos):
    """From a stream of crops to a gallery of tracks: what is found is what loops over the crops find."""
    lomo = LOMO(n_scales=1, input_size=SIZE).fit([np.zeros((*SIZE, 3), np.uint8)])
    crops_of, tracks, descriptors = code_of_page("crops_of"), [], []
    for frames, boxes, _, who in videos:
        descriptors.append(describe(lomo, crops_of(iter(frames), boxes, 0), batch_size=8))
        tracks.append(pool_tracks(descriptors[-1], boxes["track"], ids=who))
        for label, pooled in zip(tracks[-1].labels, tracks[-1].descriptors, strict=True):
            rows = [row for row, track in zip(descriptors[-1], boxes["track"], strict=True) if track == label]
            np.testing.assert_allclose(pooled, sum(rows) / N_SHOTS, rtol=1e-5)
    door, yard = tracks
    gallery = Gallery(door.descriptors, ids=door.labels)
    distances, indices = gallery.kneighbors(yard.descriptors, n_neighbors=N_PEOPLE)
    apart = np.linalg.norm(yard.descriptors[:, None] - door.descriptors, axis=2)
    np.testing.assert_allclose(distances, np.sort(apart, axis=1), rtol=1e-5)
    np.testing.assert_array_equal(indices, rank_gallery(lomo, yard.descriptors, door.descriptors, N_PEOPLE)[1])
    found = door.ids[indices[:, 0]] == yard.ids

    camera = np.repeat([0, 1], [len(boxes) for _, boxes, _, _ in videos])
    number = np.concatenate([boxes["track"] for _, boxes, _, _ in videos])
    people = {
        "images": [picture for _, _, pictures, _ in videos for picture in pictures],
        "target": np.concatenate([who for *_, who in videos]),
        "cams": camera,
        "tracks": [f"{cam}-{track}" for cam, track in zip(camera, number, strict=True)],
    }
    protocol = TwoViewProtocol(n_repeats=1, probe_cam=1)
    result = evaluate(lomo, people, protocol, fit=False, tracks="mean", ranks=1)
    assert result.mean["rank_1"] == pytest.approx(found.mean())
    assert result.mean["rank_1"] > evaluate(lomo, people, protocol, fit=False, ranks=1).mean["rank_1"]
    with pytest.raises(ValueError, match="Track 1 has two identities"):
        evaluate(lomo, people | {"tracks": number}, protocol, fit=False, tracks="mean")
