"""make_pedestrians: the embedded data set, a procedural street of clothed people seen by several cameras.
It needs no download and shows no real person, yet pixels fail on it and a network can learn it."""

import numbers

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from sklearn.utils import Bunch

from skreid.datasets._figure import Pose, draw_person
from skreid.datasets._streets import build_cameras
from skreid.datasets._wardrobe import dress, dress_all

# What a shot suffers. Chances are per image; lengths are statures; noise is in grey levels.
_LEVELS = {
    "easy": {
        "cast": 0.15, "turn": 0.3, "odd": 0.0, "jitter": 0.012, "zoom": 0.015, "passers": 0.1,
        "occluded": 0.0, "blur": 0.3, "noise": 2.0, "exposure": 0.04, "shadow": 0.1,
    },
    "medium": {
        "cast": 0.4, "turn": 0.45, "odd": 0.1, "jitter": 0.015, "zoom": 0.02, "passers": 0.35,
        "occluded": 0.12, "blur": 0.6, "noise": 5.0, "exposure": 0.1, "shadow": 0.3,
    },
    "hard": {
        "cast": 0.9, "turn": 0.7, "odd": 0.25, "jitter": 0.035, "zoom": 0.05, "passers": 0.6,
        "occluded": 0.35, "blur": 1.2, "noise": 9.0, "exposure": 0.2, "shadow": 0.6,
    },
}  # fmt: skip
_VIEWS = ("front", "right", "back", "left")

_DESCR = """\
Made-up pedestrians
===================

{n} colour images ({height} x {width}, uint8) of {n_identities} people, {n_cameras} cameras, {n_shots} shots a camera;
difficulty "{difficulty}". Every image is drawn by a program; nobody in it exists.

A person keeps body, hair, garments, shoes, bag and hat in every image. A camera keeps its place, angle and colour
response; people pass an even-numbered camera mostly frontally (front or back), an odd-numbered one mostly from the
side. A shot has its own walking phase, position, light, passers-by, occlusion, blur and noise.

    images    uint8 array of shape (n, {height}, {width}, 3), ordered by identity, camera, shot
    target    identity of each image, 0 to {last_identity}
    cams      camera of each image, 0 to {last_camera}
    shots     number of each image among those of its identity and camera
    views     "front", "back", "left" or "right": the side of the person that is seen
    places    the place each camera looks at, one a camera

It is a stand-in for real sets in tests, tutorials and demonstrations. A figure reached on it says nothing about
people in the street: report figures on real sets, with their protocol.
"""


def make_pedestrians(
    n_identities=100,
    n_cameras=2,
    n_shots=2,
    *,
    image_size=(160, 60),
    difficulty="medium",
    random_state=None,
):
    """Draw a street of clothed people as several cameras see it.

    Parameters
    ----------
    n_identities : int, default=100
        Number of people.
    n_cameras : int, default=2
        Number of cameras. Each has its own background, angle, colour cast and gamma.
    n_shots : int, default=2
        Images of each person in each camera.
    image_size : tuple of (int, int), default=(160, 60)
        Height and width of the images in pixels, at least (16, 8).
    difficulty : {"easy", "medium", "hard"}, default="medium"
        How strongly the shots of one person differ: colour response of the cameras, turns, occlusion, blur, noise.
    random_state : int, RandomState instance, Generator or None, default=None
        An int gives the same people, cameras and shots at every call. The first identities and cameras do not
        change when more are asked for. ``None`` draws afresh; the global random state is never read nor changed.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the keys below, ``n = n_identities * n_cameras * n_shots``.

        images : ndarray of shape (n, height, width, 3), uint8
            RGB images, ordered by identity, camera, shot.
        target : ndarray of shape (n,), int64
            Identities, from 0.
        cams : ndarray of shape (n,), int64
            Cameras, from 0.
        shots : ndarray of shape (n,), int64
            Number of the shot within its identity and camera, from 0.
        views : ndarray of shape (n,), str
            The side that is seen: "front", "back", "left" or "right".
        places : list of str
            What each camera looks at.
        DESCR : str
            Description of the set.

    Raises
    ------
    ValueError
        If a number is below its least value, or the difficulty is unknown.

    Examples
    --------
    >>> from skreid.datasets import make_pedestrians
    >>> people = make_pedestrians(n_identities=3, image_size=(64, 32), random_state=0)
    >>> people.images.shape
    (12, 64, 32, 3)
    >>> people.target[:5], people.cams[:5]
    (array([0, 0, 0, 0, 1]), array([0, 0, 1, 1, 0]))
    """
    _check_count("n_identities", n_identities)
    _check_count("n_cameras", n_cameras)
    _check_count("n_shots", n_shots)
    height, width = _check_size(image_size)
    if difficulty not in _LEVELS:
        raise ValueError(
            "The 'difficulty' parameter of make_pedestrians must be a str among "
            f"{set(_LEVELS)}. Got {difficulty!r} instead."
        )
    seed = _seed(random_state)
    level = _LEVELS[difficulty]
    factor = max(2, -(-192 // height))  # drawn larger, then averaged down
    canvas_size = (width * factor, height * factor)
    people = dress_all(seed, n_identities)
    cameras = build_cameras(seed, n_cameras, canvas_size, level)

    n = n_identities * n_cameras * n_shots
    target, cams, shots = (a.ravel() for a in np.indices((n_identities, n_cameras, n_shots)).astype(np.int64))
    images, views = np.empty((n, height, width, 3), dtype=np.uint8), []
    for i in range(n):
        rng = np.random.default_rng([seed, 2, int(target[i]), int(cams[i]), int(shots[i])])
        heading = np.random.default_rng([seed, 3, int(target[i]), int(cams[i])]).random(3)
        canvas, yaw = _shoot(people[target[i]], cameras[cams[i]], heading, level, canvas_size, rng)
        images[i] = _develop(canvas.reduce(factor), cameras[cams[i]], level, rng)
        views.append(_VIEWS[round(2 * yaw / np.pi) % 4])
    descr = _DESCR.format(
        n=n, height=height, width=width, n_identities=n_identities, n_cameras=n_cameras, n_shots=n_shots,
        difficulty=difficulty, last_identity=n_identities - 1, last_camera=n_cameras - 1,
    )  # fmt: skip
    return Bunch(
        images=images,
        target=target,
        cams=cams,
        shots=shots,
        views=np.array(views),
        places=[camera.place for camera in cameras],
        DESCR=descr,
    )


def _check_count(name, value):
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < 1:
        raise ValueError(
            f"The '{name}' parameter of make_pedestrians must be an int in the range [1, inf). Got {value!r} instead."
        )


def _check_size(image_size):
    try:
        height, width = image_size
        fits = all(isinstance(v, numbers.Integral) for v in (height, width)) and height >= 16 and width >= 8
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise ValueError(
            "The 'image_size' parameter of make_pedestrians must be a (height, width) pair of ints, at least (16, 8). "
            f"Got {image_size!r} instead."
        )
    return int(height), int(width)


def _seed(random_state):
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
    if (
        isinstance(random_state, numbers.Integral)
        and not isinstance(random_state, bool)
        and random_state >= 0
    ):
        return int(random_state)
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31))
    raise ValueError(
        "The 'random_state' parameter of make_pedestrians must be an int in the range [0, inf), a RandomState or "
        f"Generator instance, or None. Got {random_state!r} instead."
    )


def _shoot(person, camera, heading, level, size, rng):
    """Return the canvas of one shot before the camera's electronics, and the person's yaw."""
    width, height = size
    # A person crosses a camera in one direction; now and then in one that is odd for the place.
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
    """Draw somebody else, behind the person, or in front of the picture's ``edge`` (-1 left, 1 right)."""
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
    """Put something before the person that hides a part, never the whole."""
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
        draw.rectangle(
            (u - half, top, u + half, top + 0.02 * height), fill=tuple(min(255, c + 40) for c in colour)
        )
    else:  # a pole
        u, half = rng.uniform(0.1, 0.9) * width, 0.02 * height
        draw.rectangle((u - half, 0, u + half, height), fill=colour)
        draw.rectangle((u - half, 0, u - 0.4 * half, height), fill=tuple(min(255, c + 35) for c in colour))
    return canvas


def _develop(image, camera, level, rng):
    """Apply what lens and sensor do: blur, colour response, exposure, shadow across the picture, noise."""
    height = image.height
    blur = (camera.blur + 0.004 * level["blur"] * rng.random()) * height
    if blur > 0.1:
        image = image.filter(ImageFilter.GaussianBlur(blur))
    pixels = np.asarray(image, dtype=np.float32) / 255
    pixels = pixels @ camera.response.T.astype(np.float32)
    exposure = np.exp(level["exposure"] * rng.normal())
    pixels = np.power(pixels, camera.gamma.astype(np.float32)) * (255 * exposure * camera.gain).astype(
        np.float32
    )
    pixels += camera.offset.astype(np.float32)
    if rng.random() < level["shadow"]:  # of a tree or a house, across the picture
        edge = np.arange(height, dtype=np.float32)[:, None] / height - rng.uniform(0.15, 0.85)
        edge = edge + rng.uniform(-0.6, 0.6) * (np.arange(image.width, dtype=np.float32) / height)
        depth = rng.uniform(0.15, 0.4) * rng.choice((-1, 1))
        pixels *= (1 - abs(depth) / (1 + np.exp(np.clip(edge * 30 * np.sign(depth), -30, 30))))[
            ..., None
        ].astype(np.float32)
    pixels += level["noise"] * rng.standard_normal(pixels.shape, dtype=np.float32)
    return np.clip(pixels, 0, 255).astype(np.uint8)
