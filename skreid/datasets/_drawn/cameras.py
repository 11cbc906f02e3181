"""The cameras of the drawn street: each has its own place, angle, distance and colour response.

A camera's background is painted once, wide; every shot crops its own stretch of it.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from skreid.datasets._drawn.places import PLACES, paint_place


@dataclass(frozen=True)
class Camera:
    """Everything that all shots of one camera have in common."""

    place: str
    background: Image.Image
    pitch: float
    headings: tuple  # yaws, in radians, of most people who pass
    zoom: float
    light: float
    blur: float  # of the lens, in statures
    response: np.ndarray  # (3, 3) colour mixing
    gamma: np.ndarray  # (3,)
    gain: np.ndarray  # (3,)
    offset: np.ndarray  # (3,)


def build_cameras(seed, n_cameras, canvas_size, level):
    """Return cameras for canvases of (width, height) pixels and one of the difficulties (`shots.LEVELS`)."""
    cameras = []
    # Neighbouring cameras look at different places and from different sides.
    first = int(np.random.default_rng([seed, 1]).integers(len(PLACES)))
    for index in range(n_cameras):
        rng = np.random.default_rng([seed, 1, index])
        place = PLACES[(first + 3 * index) % len(PLACES)]
        headings = (np.pi / 2, -np.pi / 2) if index % 2 else (0.0, np.pi)
        cast = level["cast"]
        grey = rng.uniform(0, 0.3 * cast)  # loss of saturation
        mixing = (1 - grey) * np.eye(3) + grey * np.array([[0.3, 0.59, 0.11]] * 3)
        warmth = rng.uniform(0.5, 1.0) * (1 if (index + first) % 2 else -1) * 0.16 * cast
        cameras.append(
            Camera(
                place=place,
                background=paint_place(place, canvas_size, rng),
                pitch=float(rng.uniform(0.02, 0.22)),
                headings=headings,
                zoom=float(rng.uniform(0.97, 1.07)),
                light=float(rng.uniform(-1, 1)),
                blur=float(rng.uniform(0.0, 0.006) * level["blur"]),
                response=mixing,
                gamma=np.exp(rng.uniform(-0.33, 0.33) * cast + rng.uniform(-0.05, 0.05, 3) * cast),
                gain=np.exp(np.array([warmth, 0.15 * rng.uniform(-1, 1) * cast, -warmth])) * rng.uniform(0.88, 1.06),
                offset=rng.uniform(0, 16, 3) * cast,
            )
        )
    return cameras
