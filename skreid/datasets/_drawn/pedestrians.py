"""make_pedestrians: the embedded data set, a procedural street of clothed people seen by several cameras.

It needs no download and shows no real person, yet pixels fail on it and a network can learn it.
"""

import numbers

import numpy as np
from sklearn.utils import Bunch

from skreid.datasets._drawn.shots import LEVELS, develop, shoot
from skreid.datasets._drawn.streets import build_cameras
from skreid.datasets._drawn.wardrobe import dress_all

_VIEWS = ("front", "right", "back", "left")

_DESCR = """\
Made-up pedestrians
===================

{n} colour images ({height} x {width}, uint8) of {n_identities} people, {n_cameras} cameras, {n_shots} shots a
camera; difficulty "{difficulty}". Every image is drawn by a program; nobody in it exists.

A person keeps body, hair, garments, shoes, bag and hat in every image. A camera keeps its place, angle and
colour response; people pass an even-numbered camera mostly frontally (front or back), an odd-numbered one
mostly from the side. A shot has its own walking phase, position, light, passers-by, occlusion, blur and
noise.

    images    uint8 array of shape (n, {height}, {width}, 3), ordered by identity, camera, shot
    target    identity of each image, 0 to {last_identity}
    cams      camera of each image, 0 to {last_camera}
    shots     number of each image among those of its identity and camera
    views     "front", "back", "left" or "right": the side of the person that is seen
    places    the place each camera looks at, one a camera

It is a stand-in for real sets in tests, tutorials and demonstrations. A figure reached on it says nothing
about people in the street: report figures on real sets, with their protocol.
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
        How strongly the shots of one person differ: the cameras' colours, turns, occlusion, blur, noise.
    random_state : int, RandomState instance, Generator or None, default=None
        An int gives the same people, cameras and shots at every call. The first identities and cameras do
        not change when more are asked for. ``None`` draws afresh; the global random state is left alone.

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
    if difficulty not in LEVELS:
        raise ValueError(
            "The 'difficulty' parameter of make_pedestrians must be a str among "
            f"{set(LEVELS)}. Got {difficulty!r} instead."
        )
    seed = _seed(random_state)
    level = LEVELS[difficulty]
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
        canvas, yaw = shoot(people[target[i]], cameras[cams[i]], heading, level, canvas_size, rng)
        images[i] = develop(canvas.reduce(factor), cameras[cams[i]], level, rng)
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
            "The 'image_size' parameter of make_pedestrians must be a (height, width) pair of ints, "
            f"at least (16, 8). Got {image_size!r} instead."
        )
    return int(height), int(width)


def _seed(random_state):
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
    if isinstance(random_state, numbers.Integral) and not isinstance(random_state, bool) and random_state >= 0:
        return int(random_state)
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31))
    raise ValueError(
        "The 'random_state' parameter of make_pedestrians must be an int in the range [0, inf), a "
        f"RandomState or Generator instance, or None. Got {random_state!r} instead."
    )
