"""make_pedestrians: a data set of drawn people in a street, seen by several cameras.

It needs no download and shows no real person. Comparing pixels fails on it, but a network can learn it.
"""

import numpy as np

from skreid._base.checks import check_choice, check_frame_size, check_int, is_int
from skreid.datasets._dataset import Dataset
from skreid.datasets._drawn.cameras import build_cameras
from skreid.datasets._drawn.shots import LEVELS, develop, shoot
from skreid.datasets._drawn.wardrobe import dress_all

_VIEWS = ("front", "right", "back", "left")

_DESCR = """\
Drawn people
============

{n} colour images ({height} x {width}, uint8) of {n_identities} people: {n_cameras} cameras, {n_shots} shots per
person and camera; difficulty "{difficulty}". Every image is drawn by a program; nobody in it exists.

A person has the same body, hair, garments, shoes, bag and hat in every image. A camera has the same place,
angle and colour response in every image. Even-numbered cameras see most people from the front or back,
odd-numbered ones from the side. Walking phase, position, light, passers-by, occlusion, blur and noise differ
from shot to shot.

    images    uint8 array of shape (n, {height}, {width}, 3), ordered by identity, camera, shot
    target    identity of each image, 0 to {last_identity}
    cams      camera of each image, 0 to {last_camera}
    shots     number of each shot within its identity and camera
    views     side of the person that is seen: "front", "back", "left" or "right"
    places    the place each camera looks at, one entry per camera

Use it in place of real sets in tests, tutorials and demonstrations. Scores on it say nothing about
photographs of people: report scores on real sets, with their protocol.
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
    """Draw people in a street as several cameras see them.

    Parameters
    ----------
    n_identities : int, default=100
        Number of people.
    n_cameras : int, default=2
        Number of cameras. Each has its own background, angle, colour cast and gamma.
    n_shots : int, default=2
        Number of images of each person in each camera.
    image_size : tuple of (int, int), default=(160, 60)
        Height and width of the images in pixels: at least 16 and 8.
    difficulty : {"easy", "medium", "hard"}, default="medium"
        How much the images of one person differ: in the cameras' colours, direction of walking, occlusion,
        blur and noise.
    random_state : int, RandomState instance, Generator or None, default=None
        With an int, every call returns the same images, and the first identities and cameras do not change
        when more are asked for. With ``None``, every call returns different images. The global random state is neither
        read nor changed.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the keys below; n = n_identities * n_cameras * n_shots.

        images : ndarray of shape (n, height, width, 3), uint8
            RGB images, ordered by identity, camera, shot.
        target : ndarray of shape (n,), int64
            Identity of each image, from 0.
        cams : ndarray of shape (n,), int64
            Camera of each image, from 0.
        shots : ndarray of shape (n,), int64
            Number of each shot within its identity and camera, from 0.
        views : ndarray of shape (n,), str
            Side of the person that is seen: "front", "back", "left" or "right".
        places : list of str
            The place each camera looks at, one entry per camera.
        DESCR : str
            Description of the set.

    Raises
    ------
    ValueError
        If a parameter is out of range; the message names it.

    Examples
    --------
    >>> from skreid.datasets import make_pedestrians
    >>> people = make_pedestrians(n_identities=3, image_size=(64, 32), random_state=0)
    >>> people.images.shape
    (12, 64, 32, 3)
    >>> people.target[:5], people.cams[:5]
    (array([0, 0, 0, 0, 1]), array([0, 0, 1, 1, 0]))
    """
    owner = "make_pedestrians"
    n_identities = check_int(n_identities, "n_identities", owner)
    n_cameras = check_int(n_cameras, "n_cameras", owner)
    n_shots = check_int(n_shots, "n_shots", owner)
    height, width = check_frame_size(image_size, "image_size", owner, low=(16, 8))
    check_choice(difficulty, "difficulty", owner, tuple(LEVELS))
    seed = _seed(random_state)
    level = LEVELS[difficulty]
    factor = max(2, -(-192 // height))  # drawn at least 192 pixels high, then averaged down
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
    return Dataset(
        images=images,
        target=target,
        cams=cams,
        shots=shots,
        views=np.array(views),
        places=[camera.place for camera in cameras],
        DESCR=descr,
    )


def _seed(random_state):
    """Return an int of any size: scikit-learn's `check_random_state` takes no Generator, and 32 bits only."""
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
    if is_int(random_state, 0):
        return int(random_state)
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31))
    raise ValueError(
        "The 'random_state' parameter of make_pedestrians must be an int in the range [0, inf), a "
        f"RandomState or Generator instance, or None. Got {random_state!r} instead."
    )
