"""One shot: a person in front of a camera's background, what gets in the way, and what lens and sensor do to it.

The difficulty sets how much of each there is.
"""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from skreid.datasets._drawn.figure import Pose, draw_person
from skreid.datasets._drawn.wardrobe import dress

# What disturbs a shot. Probabilities are per image, lengths are statures, noise is in grey levels.
LEVELS = {
    "easy": {
        "cast": 0.15, "turn": 0.3, "odd": 0.0, "jitter": 0.012, "zoom": 0.015, "passers": 0.1,
        "occluded": 0.0, "blur": 0.3, "noise": 2.0, "exposure": 0.02, "shadow": 0.0,
    },
    "medium": {
        "cast": 0.35, "turn": 0.35, "odd": 0.1, "jitter": 0.015, "zoom": 0.02, "passers": 0.3,
        "occluded": 0.1, "blur": 0.6, "noise": 5.0, "exposure": 0.035, "shadow": 0.1,
    },
    "hard": {
        "cast": 0.9, "turn": 0.7, "odd": 0.25, "jitter": 0.035, "zoom": 0.05, "passers": 0.6,
        "occluded": 0.35, "blur": 1.2, "noise": 9.0, "exposure": 0.12, "shadow": 0.4,
    },
}  # fmt: skip


def shoot(person, camera, heading, level, size, rng):
    """Return one shot as the lens sees it (see `develop` for the rest), and the person's yaw."""
    width, height = size
    # A person passes a camera in one direction, now and then in one that is unusual for the place.
    yaw = camera.headings[int(heading[0] * len(camera.headings))] + level["turn"] * (2 * heading[1] - 1)
    if heading[2] < level["odd"]:
        yaw += np.pi / 2
    yaw += rng.normal(0, 0.12)
    scale = 0.86 * height * camera.zoom * (1 + level["zoom"] * rng.normal())
    foot = (
        width / 2 + level["jitter"] * height * rng.normal(),
        0.945 * height + 0.5 * level["jitter"] * height * rng.normal(),
    )
    pose = Pose(
        yaw=float(yaw),
        phase=float(rng.uniform(0, 2 * np.pi)),
        stride=float(rng.uniform(0.5, 1.1)),
        pitch=camera.pitch,
        foot=foot,
        scale=scale,
        light=float(np.clip(camera.light + rng.normal(0, 0.2), -1, 1)),
    )
    left = int(rng.integers(camera.background.width - width + 1))
    canvas = camera.background.crop((left, 0, left + width, height))
    if rng.random() < level["passers"]:
        canvas = _passer(canvas, camera, scale * rng.uniform(0.55, 0.85), 0.86 * height, rng)
        canvas = canvas.filter(ImageFilter.BoxBlur(height / 220))
    _cast_shadow(canvas, foot, scale)
    canvas = draw_person(canvas, person, pose)
    if rng.random() < level["occluded"]:
        canvas = _occlude(canvas, camera, scale, rng)
    return canvas, yaw


def _passer(canvas, camera, scale, ground, rng, edge=None):
    """Draw a passer-by: behind the person, or in front of them at an ``edge`` of the image (-1 left, 1 right)."""
    width = canvas.width
    u = rng.uniform(-0.1, 1.1) * width if edge is None else width / 2 + edge * (width / 2 + 0.06 * scale)
    yaw = camera.headings[int(rng.integers(len(camera.headings)))] + rng.normal(0, 0.3)
    pose = Pose(
        yaw=float(yaw),
        phase=float(rng.uniform(0, 2 * np.pi)),
        stride=0.9,
        pitch=camera.pitch,
        foot=(u, ground),
        scale=scale,
        light=camera.light,
    )
    return draw_person(canvas, dress(rng), pose)


def _cast_shadow(canvas, foot, scale):
    box = [int(foot[0] - 0.17 * scale), int(foot[1] - 0.03 * scale)]
    box += [int(foot[0] + 0.17 * scale), int(foot[1] + 0.03 * scale)]
    mask = Image.new("L", (box[2] - box[0], box[3] - box[1]))
    ImageDraw.Draw(mask).ellipse((1, 1, mask.width - 2, mask.height - 2), fill=110)
    canvas.paste((24, 24, 28), tuple(box), mask.filter(ImageFilter.BoxBlur(max(1, mask.height / 8))))


def _occlude(canvas, camera, scale, rng):
    """Put something in front of the person that hides a part of them, never the whole."""
    width, height = canvas.size
    kind = rng.random()
    if kind < 0.45:
        return _passer(canvas, camera, 1.08 * scale, height, rng, edge=int(rng.choice((-1, 1))))
    draw = ImageDraw.Draw(canvas)
    grey = int(rng.integers(40, 170))
    colour = tuple(int(np.clip(grey + rng.integers(-30, 31), 0, 255)) for _ in range(3))
    if kind < 0.75:  # a bin, a bollard, a hedge: the legs from below the knee
        u, half, top = (
            rng.uniform(0.2, 0.8) * width,
            rng.uniform(0.15, 0.4) * width,
            rng.uniform(0.74, 0.86) * height,
        )
        draw.rectangle((u - half, top, u + half, height), fill=colour)
        draw.rectangle((u - half, top, u + half, top + 0.02 * height), fill=tuple(min(255, c + 40) for c in colour))
    else:  # a pole
        u, half = rng.uniform(0.1, 0.9) * width, 0.02 * height
        draw.rectangle((u - half, 0, u + half, height), fill=colour)
        draw.rectangle((u - half, 0, u - 0.4 * half, height), fill=tuple(min(255, c + 35) for c in colour))
    return canvas


def develop(image, camera, level, rng):
    """Apply what lens and sensor do: blur, colour response, exposure, a shadow across the image, noise."""
    height = image.height
    blur = (camera.blur + 0.004 * level["blur"] * rng.random()) * height
    if blur > 0.1:
        image = image.filter(ImageFilter.GaussianBlur(blur))
    pixels = np.asarray(image, dtype=np.float32) / 255
    pixels = pixels @ camera.response.T.astype(np.float32)
    exposure = np.exp(level["exposure"] * rng.normal())
    pixels = np.power(pixels, camera.gamma.astype(np.float32)) * (255 * exposure * camera.gain).astype(np.float32)
    pixels += camera.offset.astype(np.float32)
    if rng.random() < level["shadow"]:  # of a tree or a house, across the image
        edge = np.arange(height, dtype=np.float32)[:, None] / height - rng.uniform(0.15, 0.85)
        edge = edge + rng.uniform(-0.6, 0.6) * (np.arange(image.width, dtype=np.float32) / height)
        depth = rng.uniform(0.15, 0.4) * rng.choice((-1, 1))
        pixels *= (1 - abs(depth) / (1 + np.exp(np.clip(edge * 30 * np.sign(depth), -30, 30))))[..., None].astype(
            np.float32
        )
    pixels += level["noise"] * rng.standard_normal(pixels.shape, dtype=np.float32)
    return np.clip(pixels, 0, 255).astype(np.uint8)
