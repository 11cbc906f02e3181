"""The patterns of cloth: stripes, bars, checks, dots, blocks and camouflage, the same in every shot of a person."""

from math import sin

import numpy as np
from PIL import Image, ImageDraw


def cloth_texture(size, person, at, unit, turn):
    """Return the pattern of the upper garment as an image of the canvas's size, or one colour if it is plain."""
    pattern, base, accent = person.pattern, person.upper_colour, person.upper_accent
    if pattern in ("plain", "logo"):
        return base
    texture = Image.new("RGB", size, base)
    draw = ImageDraw.Draw(texture)
    width, _ = size
    step = max(2.0, person.period * unit)
    u0, v0 = at[0] + turn * step, at[1] + person.phase * step
    top, bottom = v0 - 0.15 * unit, v0 + 0.62 * unit
    left, right = u0 - 0.3 * unit, u0 + 0.3 * unit
    if pattern == "blocks":
        split = at[1] + (0.1 + 0.1 * person.phase) * unit
        draw.rectangle((0, split, width, size[1]), fill=accent)
    if pattern in ("stripes", "checks"):
        share = 0.5 if pattern == "stripes" else 0.3
        for v in np.arange(top - top % 1, bottom, step):
            draw.rectangle((0, v, width, v + share * step), fill=accent)
    if pattern in ("bars", "checks"):
        both = tuple((a + b) // 2 for a, b in zip(base, accent, strict=True)) if pattern == "checks" else accent
        for u in np.arange(left, right, step):
            draw.rectangle((u, 0, u + 0.35 * step, size[1]), fill=both)
    if pattern in ("dots", "camouflage"):
        big = 1.25 if pattern == "dots" else 1.7
        for row, v in enumerate(np.arange(top, bottom, big * step)):
            for column, u in enumerate(np.arange(left, right, big * step)):
                if pattern == "dots":
                    r, du, rv = 0.36 * step, 0.6 * step * (row % 2), 0.36 * step
                else:  # a fixed, irregular blotch for each cell: the cloth is the same in every shot
                    wild = sin(12.9898 * row + 78.233 * column + 37.7 * person.phase) * 43758.5453 % 1
                    r, du, rv = (
                        (0.3 + 0.7 * wild) * step,
                        (wild * 7 % 1 - 0.5) * step,
                        (0.75 - 0.4 * wild) * step,
                    )
                draw.ellipse((u + du - r, v - rv, u + du + r, v + rv), fill=accent)
    return texture
