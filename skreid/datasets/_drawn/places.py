"""The places that cameras look at, painted as wide images: a street, a brick wall, a park, a station hall, ..."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

_WIDTH_IN_HEIGHTS = 3.0
_HAZE, _CONTRAST = 138, 0.62


def _tone(rng, low, high, tint=10):
    grey = rng.uniform(low, high)
    return tuple(int(np.clip(grey + rng.uniform(-tint, tint), 0, 255)) for _ in range(3))


def _shift(colour, by):
    return tuple(int(np.clip(c + by, 0, 255)) for c in colour)


def paint_place(place, canvas_size, rng):
    """Paint one place as a wide image; people stand near its lower edge."""
    height = canvas_size[1]
    width = int(_WIDTH_IN_HEIGHTS * height) + canvas_size[0]
    horizon = int(height * rng.uniform(0.5, 0.68))
    image = Image.new("RGB", (width, height), _tone(rng, 120, 190))
    draw = ImageDraw.Draw(image)
    ground = _tone(rng, 95, 165, 8)
    draw.rectangle((0, horizon, width, height), fill=ground)
    _PAINTERS[place](draw, rng, width, height, horizon, ground)
    return _grain(image, rng)


def _grain(image, rng):
    """Make surfaces uneven: fine grain and larger stains."""
    pixels = np.asarray(image, dtype=np.float32)
    height, width = pixels.shape[:2]
    fine = rng.normal(0, 5, (height, width)).astype(np.float32)
    coarse = rng.normal(0, 8, (max(2, height // 16), max(2, width // 16))).astype(np.float32)
    coarse = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    # Distance lowers the contrast of what lies behind a person.
    pixels = _HAZE + _CONTRAST * (pixels - _HAZE) + (fine + coarse)[..., None]
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    return image.filter(ImageFilter.GaussianBlur(height / 220))


def _windows(draw, rng, width, top, bottom, wide, tall, glass):
    frame = _tone(rng, 60, 210)
    gap = wide * rng.uniform(0.4, 0.9)
    for v in np.arange(top, bottom - tall, tall * 1.5):
        for u in np.arange(-rng.uniform(0, wide), width, wide + gap):
            draw.rectangle((u, v, u + wide, v + tall), fill=frame)
            lit = _shift(glass, rng.uniform(-25, 45))
            edge = 0.08 * wide
            draw.rectangle((u + edge, v + edge, u + wide - edge, v + tall - edge), fill=lit)


def _street(draw, rng, width, height, horizon, ground):
    for left in np.arange(0, width, height * 0.9):
        house = _tone(rng, 90, 215, 22)
        right = left + height * rng.uniform(0.7, 1.0)
        draw.rectangle((left, 0, right, horizon), fill=house)
    _windows(draw, rng, width, -0.05 * height, horizon, 0.13 * height, 0.2 * height, (64, 76, 92))
    kerb = horizon + int(0.1 * height)
    draw.rectangle((0, horizon, width, kerb), fill=_shift(ground, 28))
    draw.rectangle((0, kerb, width, kerb + 0.02 * height), fill=_shift(ground, 70))
    for u in np.arange(0, width, 0.6 * height):
        v = height * 0.93
        draw.polygon(
            [
                (u, v),
                (u + 0.3 * height, v),
                (u + 0.33 * height, v + 0.03 * height),
                (u + 0.02 * height, v + 0.03 * height),
            ],
            fill=_shift(ground, 75),
        )
    _cars(draw, rng, width, height, kerb, 2)


def _cars(draw, rng, width, height, base, count):
    for _ in range(count):
        paint = tuple(
            int(c) for c in rng.choice([(190, 190, 192), (40, 40, 44), (150, 30, 34), (40, 60, 110), (230, 230, 228)])
        )
        u, long = rng.uniform(0, width), height * 0.75
        v = base - 0.2 * height
        draw.polygon(
            [
                (u + 0.2 * long, v),
                (u + 0.75 * long, v),
                (u + 0.9 * long, v + 0.1 * height),
                (u + 0.08 * long, v + 0.1 * height),
            ],
            fill=(56, 66, 78),
        )
        draw.rectangle((u, v + 0.09 * height, u + long, v + 0.21 * height), fill=paint)
        for wheel in (0.2, 0.78):
            x, r = u + wheel * long, 0.055 * height
            draw.ellipse((x - r, v + 0.21 * height - r, x + r, v + 0.21 * height + r), fill=(26, 26, 28))


def _brick_wall(draw, rng, width, height, horizon, ground):
    brick = (
        150 + int(rng.integers(-30, 30)),
        92 + int(rng.integers(-20, 24)),
        74 + int(rng.integers(-16, 24)),
    )
    mortar = _shift(brick, 42)
    draw.rectangle((0, 0, width, horizon), fill=mortar)
    tall, long = height / 26, height / 10
    for row, v in enumerate(np.arange(0, horizon - 2, tall)):
        for u in np.arange(-long * (0.5 if row % 2 else 1), width, long):
            fill = _shift(brick, rng.uniform(-16, 16))
            draw.rectangle((u + 1, v + 1, u + long - 1, min(horizon, v + tall - 1)), fill=fill)
    _slabs(draw, width, height, horizon, ground, 0.34)


def _slabs(draw, width, height, horizon, ground, size, contrast=-22):
    """Draw the joints of a paved floor, running together towards the horizon."""
    line = _shift(ground, contrast)
    depth = 1.0
    while depth > 0.03:
        v = horizon + (height - horizon) * depth
        draw.line((0, v, width, v), fill=line, width=2)
        depth *= 0.72
    middle = width / 2
    for u in np.arange(-width, 2 * width, size * height):
        draw.line((u, height, middle + 0.55 * (u - middle), horizon), fill=line, width=2)


def _park(draw, rng, width, height, horizon, ground):
    draw.rectangle((0, 0, width, horizon), fill=_tone(rng, 170, 220, 12))
    for u in np.arange(0, width, 0.12 * height):
        leaf = (int(rng.integers(30, 90)), int(rng.integers(70, 130)), int(rng.integers(25, 70)))
        r, v = height * rng.uniform(0.1, 0.26), horizon - height * rng.uniform(0.05, 0.4)
        draw.rectangle((u - 0.015 * height, v, u + 0.015 * height, horizon + 2), fill=(74, 58, 44))
        draw.ellipse((u - r, v - r, u + r, v + 0.8 * r), fill=leaf)
    grass = (int(rng.integers(70, 120)), int(rng.integers(115, 160)), int(rng.integers(50, 90)))
    draw.rectangle((0, horizon, width, height), fill=grass)
    top = horizon + 0.35 * (height - horizon)
    draw.polygon([(0, top), (width, top + 6), (width, height), (0, height)], fill=_tone(rng, 150, 195, 14))


def _station_hall(draw, rng, width, height, horizon, ground):
    draw.rectangle((0, 0, width, horizon), fill=_tone(rng, 150, 215, 8))
    draw.rectangle((0, 0.12 * height, width, 0.2 * height), fill=_tone(rng, 60, 130, 50))
    _windows(draw, rng, width, 0.24 * height, horizon, 0.3 * height, 0.2 * height, (120, 136, 150))
    for u in np.arange(rng.uniform(0, 0.5) * height, width, 0.85 * height):
        draw.rectangle((u, 0, u + 0.12 * height, horizon + 0.04 * height), fill=_tone(rng, 180, 225, 6))
    _slabs(draw, width, height, horizon, _shift(ground, 35), 0.22, -40)


def _crossing(draw, rng, width, height, horizon, ground):
    _street(draw, rng, width, height, horizon, ground)
    asphalt = _tone(rng, 70, 100, 5)
    top = horizon + 0.06 * height
    draw.rectangle((0, top, width, height), fill=asphalt)
    for u in np.arange(0, width, 0.28 * height):
        stripe = [
            (u, height),
            (u + 0.14 * height, height),
            (u + 0.17 * height, top),
            (u + 0.06 * height, top),
        ]
        draw.polygon(stripe, fill=_tone(rng, 160, 190, 4))


def _shop_front(draw, rng, width, height, horizon, ground):
    draw.rectangle((0, 0, width, horizon), fill=_tone(rng, 60, 130, 24))
    for u in np.arange(0, width, 0.7 * height):
        sign = _tone(rng, 60, 190, 45)
        draw.rectangle((u, 0, u + 0.66 * height, 0.1 * height), fill=sign)
        draw.rectangle(
            (u + 0.03 * height, 0.13 * height, u + 0.6 * height, horizon - 0.05 * height),
            fill=_tone(rng, 95, 190, 20),
        )
        for _ in range(9):  # what lies in the window
            x, y = u + height * rng.uniform(0.05, 0.5), rng.uniform(0.2 * height, horizon - 0.12 * height)
            w, h = height * rng.uniform(0.03, 0.09, 2)
            draw.rectangle((x, y, x + w, y + h), fill=_tone(rng, 50, 210, 40))
    _slabs(draw, width, height, horizon, ground, 0.26)


def _car_park(draw, rng, width, height, horizon, ground):
    draw.rectangle((0, 0, width, horizon), fill=_tone(rng, 175, 225, 12))
    draw.rectangle((0, 0.22 * height, width, horizon), fill=_tone(rng, 85, 150, 14))
    asphalt = _tone(rng, 80, 120, 4)
    draw.rectangle((0, horizon, width, height), fill=asphalt)
    _cars(draw, rng, width, height, horizon + 0.02 * height, 4)
    for u in np.arange(0, width, 0.5 * height):
        draw.line((u, height, u + 0.12 * height, horizon), fill=(214, 212, 200), width=max(2, height // 70))


def _corridor(draw, rng, width, height, horizon, ground):
    wall = _tone(rng, 165, 220, 16)
    draw.rectangle((0, 0, width, horizon), fill=wall)
    draw.rectangle((0, 0.55 * horizon, width, horizon), fill=_shift(wall, -34))
    for u in np.arange(rng.uniform(0, 0.4) * height, width, 0.95 * height):
        door = _tone(rng, 70, 160, 26)
        draw.rectangle((u, 0.12 * height, u + 0.34 * height, horizon), fill=door)
        draw.ellipse((u + 0.29 * height, 0.36 * height, u + 0.31 * height, 0.38 * height), fill=(220, 214, 190))
    floor = _shift(ground, 20)
    draw.rectangle((0, horizon, width, height), fill=floor)
    _slabs(draw, width, height, horizon, floor, 0.16, -14)


_PAINTERS = {
    "street": _street,
    "brick wall": _brick_wall,
    "park": _park,
    "station hall": _station_hall,
    "crossing": _crossing,
    "shop front": _shop_front,
    "car park": _car_park,
    "corridor": _corridor,
}
PLACES = tuple(_PAINTERS)
