"""One walking person drawn with Pillow: a small 3-D skeleton, turned, projected and clothed in flat shapes.

A second, grey picture takes the shading of every shape, so that sleeves stand out from their coat.
"""

from dataclasses import dataclass
from math import cos, hypot, sin

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from skreid.datasets._drawn.garments import draw_bag, draw_head, draw_torso, dress_arm, dress_leg


@dataclass(frozen=True)
class Pose:
    """How one shot catches a person: turned by ``yaw`` (0 faces the camera), at a ``phase`` of the stride."""

    yaw: float
    phase: float
    stride: float
    pitch: float
    foot: tuple  # pixels of the canvas (u, v)
    scale: float  # pixels of an average stature
    light: float  # -1 from the left, 1 from the right


class _Brush:
    """Paints shapes on the canvas, cloth or flat colour, and their shading on a grey canvas beside it."""

    def __init__(self, canvas, light):
        self.canvas, self.light = canvas, light
        self.draw = ImageDraw.Draw(canvas)
        self.shade = Image.new("L", canvas.size, 255)
        self.shade_draw = ImageDraw.Draw(self.shade)

    def polygon(self, points, cloth, rim=172, core=250):
        """Fill a closed outline given as (u, v) pairs; the core of the shape is lit, its rim is not."""
        if isinstance(cloth, tuple):
            self.draw.polygon(points, fill=cloth)
        else:
            mask = Image.new("L", self.canvas.size)
            ImageDraw.Draw(mask).polygon(points, fill=255)
            self._paste(cloth, mask)
        self.shade_draw.polygon(points, fill=rim)
        centre = sum(u for u, _ in points) / len(points)
        reach = max(abs(u - centre) for u, _ in points)
        shift = centre + 0.28 * self.light * reach
        self.shade_draw.polygon([(shift + 0.66 * (u - centre), v) for u, v in points], fill=core)

    def limb(self, joints, radii, cloth, rim=185, core=248):
        """Fill a chain of tapered capsules: one radius a joint, shaded as one piece."""
        flat = isinstance(cloth, tuple)
        mask = None if flat else Image.new("L", self.canvas.size)
        draw, fill = (self.draw, cloth) if flat else (ImageDraw.Draw(mask), 255)
        _chain(draw, joints, radii, fill)
        if not flat:
            self._paste(cloth, mask)
        _chain(self.shade_draw, joints, radii, rim)
        lit = [(u + 0.25 * self.light * r, v) for (u, v), r in zip(joints, radii, strict=True)]
        _chain(self.shade_draw, lit, [0.66 * r for r in radii], core)

    def disc(self, centre, ru, rv, colour, shade=235):
        """Fill an upright ellipse."""
        box = (centre[0] - ru, centre[1] - rv, centre[0] + ru, centre[1] + rv)
        self.draw.ellipse(box, fill=colour)
        self.shade_draw.ellipse(box, fill=shade)

    def _paste(self, cloth, mask):
        box = mask.getbbox()
        if box:
            self.canvas.paste(cloth.crop(box), box, mask.crop(box))

    def finish(self, softness):
        """Return the canvas with its shading multiplied in."""
        shade = self.shade.filter(ImageFilter.BoxBlur(softness))
        return ImageChops.multiply(self.canvas, Image.merge("RGB", (shade, shade, shade)))


def _chain(draw, joints, radii, fill):
    for k in range(len(joints) - 1):
        _capsule(draw, joints[k], radii[k], joints[k + 1], radii[k + 1], fill)


def _capsule(draw, start, r0, end, r1, fill):
    (u0, v0), (u1, v1) = start, end
    length = hypot(u1 - u0, v1 - v0)
    if length > 1e-6:
        nu, nv = (v1 - v0) / length, (u0 - u1) / length
        quad = [
            (u0 + nu * r0, v0 + nv * r0),
            (u1 + nu * r1, v1 + nv * r1),
            (u1 - nu * r1, v1 - nv * r1),
            (u0 - nu * r0, v0 - nv * r0),
        ]
        draw.polygon(quad, fill=fill)
    draw.ellipse((u0 - r0, v0 - r0, u0 + r0, v0 + r0), fill=fill)
    draw.ellipse((u1 - r1, v1 - r1, u1 + r1, v1 + r1), fill=fill)


class _Camera:
    """Orthographic view of the body's own axes: x to its right, y forward, z up, in statures."""

    def __init__(self, pose, height):
        self.c, self.s = cos(pose.yaw), sin(pose.yaw)
        self.unit = pose.scale * height
        self.foot = pose.foot
        self.up, self.down = cos(pose.pitch), sin(pose.pitch)

    def __call__(self, x, y, z):
        u = -x * self.c + y * self.s
        near = y * self.c + x * self.s
        return (self.foot[0] + self.unit * u, self.foot[1] - self.unit * (z * self.up - near * self.down))

    def half_width(self, across, deep):
        """Return the half-width in pixels of an upright elliptic cylinder."""
        return self.unit * hypot(across * self.c, deep * self.s)


def _swing(root, thigh, shin, angle, bend):
    """Return the two lower joints of a leg or an arm swung in the walking direction."""
    x, y, z = root
    y1, z1 = y + thigh * sin(angle), z - thigh * cos(angle)
    return (x, y1, z1), (x, y1 + shin * sin(angle - bend), z1 - shin * cos(angle - bend))


def cloth_texture(size, person, at, unit, turn):
    """Return the upper garment's pattern as a picture of the canvas's size; when plain, its colour."""
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


def _lower(joints, drop):
    return tuple((x, y, z - drop) for x, y, z in joints)


def draw_person(canvas, person, pose):
    """Return ``canvas`` (an RGB Pillow image) with the person drawn on it."""
    see = _Camera(pose, person.height)
    brush = _Brush(canvas, pose.light)
    swing = pose.stride * sin(pose.phase)
    hip, shoulder = 0.052 * person.hips, 0.1 * person.shoulders
    limbs = []
    for side, way in ((1, 1.0), (-1, -1.0)):
        angle = 0.5 * way * swing
        bend = pose.stride * max(0.0, 0.75 * cos(pose.phase) * way) + 0.05
        leg = ((side * hip, 0.0, 0.5), *_swing((side * hip, 0.0, 0.5), 0.235, 0.22, angle, bend))
        root = (side * shoulder, 0.0, 0.8)
        arm = (root, *_swing(root, 0.165, 0.15, -0.55 * way * swing, -0.2 - 0.25 * max(0.0, -way * swing)))
        splay = 0.018 + 0.02 * (person.build - 0.8)
        arm = (root, (arm[1][0] + side * splay, *arm[1][1:]), (arm[2][0] + 1.2 * side * splay, *arm[2][1:]))
        limbs.append((side * see.s, side, leg, arm))
    # The standing foot carries the body: the lower ankle touches the ground.
    drop = min(leg[2][2] for _, _, leg, _ in limbs) - 0.045
    limbs = sorted((near, side, _lower(leg, drop), _lower(arm, drop)) for near, side, leg, arm in limbs)
    texture = cloth_texture(canvas.size, person, see(0, 0, 0.8 - drop), see.unit, see.s)
    behind = see.c < 0

    (_, far_side, far_leg, far_arm), (_, near_side, near_leg, near_arm) = limbs
    draw_bag(brush, see, person, "far", far_side, far_arm, drop)
    if not behind:
        draw_head(brush, see, person, drop, "behind")
    dress_arm(brush, see, person, far_arm, texture)
    dress_leg(brush, see, person, far_leg)
    dress_leg(brush, see, person, near_leg)
    draw_torso(brush, see, person, texture, drop, swing)
    if behind:
        draw_bag(brush, see, person, "back", near_side, near_arm, drop)
    draw_head(brush, see, person, drop, "head")
    if behind:
        draw_head(brush, see, person, drop, "behind")
    dress_arm(brush, see, person, near_arm, texture)
    draw_bag(brush, see, person, "near", near_side, near_arm, drop)
    return brush.finish(max(1.0, 0.007 * see.unit))
