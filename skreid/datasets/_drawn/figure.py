"""One walking person: a small 3-D skeleton, turned, projected, and clothed in flat shapes from back to front."""

from dataclasses import dataclass
from math import cos, hypot, sin

from skreid.datasets._drawn.brush import Brush
from skreid.datasets._drawn.cloth import cloth_texture
from skreid.datasets._drawn.garments import draw_bag, draw_head, draw_torso, dress_arm, dress_leg


@dataclass(frozen=True)
class Pose:
    """How a person stands in one shot. Angles are radians."""

    yaw: float  # 0 faces the camera
    phase: float  # of the stride
    stride: float
    pitch: float
    foot: tuple  # pixels of the canvas (u, v)
    scale: float  # pixels of an average stature
    light: float  # -1 from the left, 1 from the right


class _View:
    """Orthographic projection of the body's own axes: x to its right, y forward, z up, in statures."""

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


def _lower(joints, drop):
    return tuple((x, y, z - drop) for x, y, z in joints)


def draw_person(canvas, person, pose):
    """Return ``canvas`` (an RGB Pillow image) with the person drawn on it."""
    see = _View(pose, person.height)
    brush = Brush(canvas, pose.light)
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
