"""The shapes a drawn person is made of: arms, legs, torso with its garments, head with hair and hat, bags.

Lengths are fractions of the stature, so that every image size shows the same person.
"""


def _mix(first, second, share):
    return tuple(int(a + share * (b - a)) for a, b in zip(first, second, strict=True))


def _darker(colour, factor=0.7):
    return tuple(int(factor * c) for c in colour)


def _between(start, end, share):
    return tuple(a + share * (b - a) for a, b in zip(start, end, strict=True))


def dress_arm(brush, see, person, joints, texture):
    """Paint one arm: skin, the sleeve as far as it reaches, the hand."""
    shoulder, elbow, wrist = joints
    thick = see.unit * 0.028 * person.build**0.5
    loose = 1.25 if person.upper in ("jacket", "coat", "hoodie") else 1.1
    a, b, c = see(*shoulder), see(*elbow), see(*wrist)
    brush.disc(see(*_between(elbow, wrist, 1.12)), 0.75 * thick, 0.95 * thick, person.skin)
    if person.sleeve < 1:
        brush.limb((a, b, c), (thick, 0.85 * thick, 0.62 * thick), person.skin)
    if person.sleeve >= 1:
        brush.limb((a, b, c), (1.12 * loose * thick, loose * thick, 0.82 * loose * thick), texture)
    elif person.sleeve > 0:
        cuff = see(*_between(shoulder, elbow, 2 * person.sleeve))
        brush.limb((a, cuff), (1.22 * thick, 1.2 * thick), texture)


# Radii at hip, knee and hem, in thicknesses of the leg, and how far down the shin the cloth reaches.
_LEGS = {"trousers": (1.2, 0.95, 0.72), "slim": (1.1, 0.78, 0.52), "wide": (1.3, 1.2, 1.12)}


def dress_leg(brush, see, person, joints):
    """Paint one leg: shoe, skin or tights, trouser leg or shorts."""
    hip, knee, ankle = joints
    thick = see.unit * 0.047 * person.build**0.6
    x, y, z = ankle
    a, b, c = see(*hip), see(*knee), see(*ankle)
    if person.lower in ("shorts", "skirt", "long skirt"):
        tone = person.skin
        if person.tights and person.lower != "shorts":
            tone = _mix(person.skin, (34, 32, 36), 0.8)
        brush.limb((a, b, c), (1.1 * thick, 0.74 * thick, 0.46 * thick), tone)
    heel, toe = see(x, y - 0.015, z - 0.02), see(x, y + 0.075, z - 0.03)
    brush.limb((heel, toe), (0.5 * thick, 0.36 * thick), person.shoe_colour, rim=205)
    if person.lower == "shorts":
        hem = see(*_between(hip, knee, 0.85))
        brush.limb((a, hem), (1.22 * thick, 1.1 * thick), person.lower_colour)
    elif person.lower in _LEGS:
        radii = [r * thick for r in _LEGS[person.lower]]
        brush.limb((a, b, see(*_between(knee, ankle, 0.97))), radii, person.lower_colour)
    if person.boots:
        shaft = see(*_between(knee, ankle, 0.35))
        brush.limb((shaft, c), (0.78 * thick, 0.62 * thick), person.shoe_colour)
    if person.lower_stripe:
        end = b if person.lower == "shorts" else c
        out = 0.5 * thick * (1 if a[0] > see(0, 0, 0.5)[0] else -1) * abs(see.c)
        seam = [(a[0] + out, a[1]), (b[0] + out, b[1]), (end[0] + out, end[1])]
        brush.draw.line(seam, person.lower_accent, max(1, round(0.4 * thick)))


def _outline(see, levels, drop):
    """Return the closed outline of a stack of elliptic slices (z, half-width, half-depth, forward)."""
    left, right = [], []
    for z, across, deep, forward in levels:
        u, v = see(0, forward, z - drop)
        half = see.half_width(across, deep)
        left.append((u - half, v))
        right.append((u + half, v))
    return left + right[::-1]


def draw_torso(brush, see, person, texture, drop, swing):
    """Paint hips, skirt and upper garment, with what is on it: open jacket, logo, hood, scarf."""
    wide, hips, deep = person.shoulders, person.hips, person.build
    seat = [(0.6, 0.078 * hips, 0.062 * deep, 0.0), (0.53, 0.094 * hips, 0.078 * deep, -0.008)]
    if person.lower in ("skirt", "long skirt"):
        hem, flare = (0.3, 1.25) if person.lower == "skirt" else (0.14, 1.5)
        sway = 0.05 * abs(swing)
        seat.append((hem, 0.094 * flare * hips, (0.08 + sway) * flare * deep, 0.0))
    else:
        seat.append((0.465, 0.088 * hips, 0.072 * deep, -0.005))
    brush.polygon(_outline(see, seat, drop), person.lower_colour)

    neck = see(0, 0.01, 0.86 - drop)
    thick = 0.028 * see.unit
    brush.limb((neck, see(0, 0, 0.81 - drop)), (thick, 1.2 * thick), person.skin, rim=150, core=215)
    loose = {"jacket": 1.1, "coat": 1.13, "hoodie": 1.12}.get(person.upper, 1.02)
    body = [
        (0.842, 0.042, 0.035, 0.0),
        (0.822, 0.098 * wide, 0.046 * deep, 0.0),
        (0.78, 0.112 * wide, 0.066 * deep * loose, 0.004),
        (0.7, 0.1 * wide * loose, 0.076 * deep * loose, 0.008),
        (0.6, 0.086 * hips * loose, 0.07 * deep * loose, 0.006),
        (min(0.53, person.hem + 0.02), 0.097 * hips * loose, 0.082 * deep * loose, 0.0),
    ]
    if person.hem < 0.45:
        body.append((person.hem, 0.112 * hips * loose, 0.1 * deep * loose, 0.0))
    elif person.hem < 0.53:
        body.append((person.hem, 0.096 * hips * loose, 0.082 * deep * loose, 0.0))
    brush.polygon(_outline(see, body, drop), texture)
    _front(brush, see, person, body, drop)
    if person.upper == "hoodie":
        at = see(0, -0.03, 0.835 - drop)
        brush.disc(at, see.half_width(0.062, 0.05), 0.026 * see.unit, _darker(person.upper_colour, 0.8), 215)
    if person.scarf:
        at = see(0, 0.0, 0.845 - drop)
        brush.disc(at, see.half_width(0.055, 0.05), 0.022 * see.unit, person.hat_colour)


def _front(brush, see, person, body, drop):
    """Paint what lies on the chest; it disappears as the body turns away."""
    if person.opened and see.c > -0.2:
        strip = []
        for z, across, deep, _ in body:
            half = 0.34 * across * max(0.12, see.c) * see.unit
            u, v = see(0, 0.85 * deep, z - drop)
            strip.append((u, v, half))
        points = [(u - h, v) for u, v, h in strip] + [(u + h, v) for u, v, h in strip[::-1]]
        brush.draw.polygon(points, fill=person.upper_accent)
    elif person.upper in ("jacket", "coat", "shirt") and see.c > 0.1:
        seam = [see(0, 0.85 * deep, z - drop) for z, _, deep, _ in body]
        brush.draw.line(seam, _darker(person.upper_colour, 0.62), max(1, round(0.007 * see.unit)))
    if person.pattern == "logo":
        # Three kinds of print, by phase: on the chest, on the back, a small badge with a back print.
        front = see.c > 0
        if (person.phase < 0.65) == front or person.phase > 0.85:
            reach = 0.055 if front or person.phase < 0.85 else 0.075
            u, v = see(0, 0.07 if front else -0.07, 0.715 - drop)
            ru, rv = max(0.5, reach * abs(see.c) * see.unit), reach * (0.5 + person.phase) * see.unit
            shape = brush.draw.rectangle if person.period < 0.04 else brush.draw.ellipse
            shape((u - ru, v - rv, u + ru, v + rv), fill=person.upper_accent)
    if person.upper in ("tshirt", "top") and see.c > 0:
        u, v = see(0, 0.035, 0.838 - drop)
        r = 0.034 * see.unit
        brush.draw.ellipse((u - r * see.c, v - 0.5 * r, u + r * see.c, v + 0.6 * r), fill=person.skin)


def draw_head(brush, see, person, drop, part):
    """Paint the ``"head"`` (skull, face, hat), or the long hair that falls ``"behind"``."""
    unit, hair = see.unit, person.hair_colour
    centre = see(0, 0.012, 0.925 - drop)
    half, tall = see.half_width(0.047, 0.056), 0.066 * unit
    back = (centre[0] - 0.3 * see.s * half, centre[1])
    if part == "behind":
        _long_hair(brush, person, back, see, half, tall)
        return
    bald = person.hair == "bald"
    puff = 1.3 if person.hair == "volume" else 1.06
    scalp = person.skin if bald else hair
    if person.hair == "bun":
        brush.disc((back[0] - 0.6 * see.s * half, centre[1] - 0.85 * tall), 0.5 * half, 0.45 * half, hair)
    brush.disc(centre, half, tall, person.skin)
    brush.disc((back[0], centre[1] - 0.1 * tall), puff * half, puff * 0.95 * tall, scalp, 225)
    facing = (see.c + 0.75) / 1.75
    if facing > 0.05:
        face = (centre[0] + 0.5 * see.s * half, centre[1] + 0.2 * tall)
        ru, rv = max(0.5, 0.88 * half * min(1.0, facing)), 0.8 * tall
        brush.disc(face, ru, rv, person.skin, 240)
        if person.beard:
            brush.draw.chord((face[0] - ru, face[1] - rv, face[0] + ru, face[1] + rv), 25, 155, fill=hair)
        look = face[0] + 0.15 * see.s * half
        for side in (-1, 1):
            eye = (look + 0.38 * side * half * see.c, face[1] - 0.15 * rv)
            r = (0.17 if person.glasses else 0.1) * half
            if see.c > -0.2:
                brush.draw.ellipse((eye[0] - r, eye[1] - r, eye[0] + r, eye[1] + r), fill=(40, 32, 32))
    _hat(brush, person, centre, see, half, tall)


def _long_hair(brush, person, back, see, half, tall):
    length = {"bob": 1.0, "long": 2.0, "volume": 0.9}.get(person.hair, 0.0)
    if length:
        u, v = back
        foot = v + length * tall
        wide = 1.12 * half
        points = [
            (u - wide, v - 0.3 * tall),
            (u - 1.08 * wide, foot),
            (u + 1.08 * wide, foot),
            (u + wide, v - 0.3 * tall),
        ]
        brush.polygon(points, person.hair_colour, rim=185, core=235)
        if see.c < 0:
            brush.disc((u, v - 0.1 * tall), wide, tall, person.hair_colour, 225)
    if person.hair == "ponytail":
        top = (back[0] - 0.9 * see.s * half, back[1] - 0.35 * tall)
        end = (back[0] - 1.35 * see.s * half, back[1] + 1.35 * tall)
        brush.limb((top, end), (0.3 * half, 0.24 * half), person.hair_colour)


def _hat(brush, person, centre, see, half, tall):
    if person.hat == "none":
        return
    u, v = centre[0] - 0.1 * see.s * half, centre[1] - 0.28 * tall
    box = (u - 1.12 * half, v - 0.95 * tall, u + 1.12 * half, v + 0.75 * tall)
    for draw, fill in ((brush.draw, person.hat_colour), (brush.shade_draw, 228)):
        draw.chord(box, 180, 360, fill=fill)
    if person.hat == "cap" and see.c > -0.5:
        tip = u + 1.0 * see.s * half
        reach = half * (0.55 + 0.35 * abs(see.c))
        brush.disc((tip, v - 0.1 * tall), reach, 0.16 * tall, _darker(person.hat_colour, 0.75))
    elif person.hat == "brimmed hat":
        brush.disc((u, v - 0.1 * tall), 1.75 * half, 0.2 * tall, person.hat_colour, 215)


def draw_bag(brush, see, person, depth, side, arm, drop):
    """Paint the parts of the bag that lie at one depth: "far", "back" or "near"."""
    colour, unit = person.bag_colour, see.unit
    if person.bag == "backpack":
        _backpack(brush, see, person, depth, drop)
    elif person.bag == "shoulder bag":
        if depth == "near":
            ends = (
                see(-person.bag_side * 0.06, 0.05, 0.83 - drop),
                see(person.bag_side * 0.1, 0.06, 0.54 - drop),
            )
            brush.draw.line(ends, _darker(colour, 0.75), max(1, round(0.014 * unit)))
        if (depth == "near") == (side == person.bag_side) and depth != "back":
            u, v = see(person.bag_side * 0.125, -0.01, 0.5 - drop)
            half, tall = see.half_width(0.04, 0.085), 0.055 * unit
            corners = [
                (u - half, v - tall),
                (u + half, v - tall),
                (u + 1.08 * half, v + tall),
                (u - 1.08 * half, v + tall),
            ]
            brush.polygon(corners, colour)
    elif person.bag in ("handbag", "carrier bag") and side == person.bag_side and depth != "back":
        hand = see(*arm[2])
        big = 1.35 if person.bag == "carrier bag" else 1.0
        half, top, foot = (
            big * see.half_width(0.03, 0.075),
            hand[1] + 0.05 * unit,
            hand[1] + (0.05 + 0.11 * big) * unit,
        )
        u = hand[0]
        brush.draw.line(
            [(u - 0.6 * half, top), hand, (u + 0.6 * half, top)], _darker(colour), max(1, round(0.01 * unit))
        )
        brush.polygon([(u - 0.8 * half, top), (u + 0.8 * half, top), (u + half, foot), (u - half, foot)], colour)


def _backpack(brush, see, person, depth, drop):
    unit, colour = see.unit, person.bag_colour
    if (depth == "far" and see.c >= 0) or depth == "back":
        u, v = see(0, -0.115, 0.7 - drop)
        half, tall = see.half_width(0.082, 0.055), 0.11 * unit
        points = [
            (u - 0.8 * half, v - tall),
            (u + 0.8 * half, v - tall),
            (u + half, v - 0.6 * tall),
            (u + half, v + tall),
            (u - half, v + tall),
            (u - half, v - 0.6 * tall),
        ]
        brush.polygon(points, colour)
        pocket = (u - 0.65 * half, v + 0.2 * tall, u + 0.65 * half, v + 0.8 * tall)
        brush.draw.rectangle(pocket, fill=_darker(colour, 0.72))
    if depth == "near" and see.c > 0.15:
        for side in (-1, 1):
            strap = see(side * 0.062, 0.05, 0.832 - drop), see(side * 0.066, 0.06, 0.67 - drop)
            brush.draw.line(strap, colour, max(1, round(0.018 * unit)))
