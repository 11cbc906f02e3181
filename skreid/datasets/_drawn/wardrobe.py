"""What a drawn person looks like: body, hair, garments and bags, the same for all cameras and shots.

Colours are mostly dark and neutral, as in a real street, so that many people look alike at a glance.
"""

from dataclasses import dataclass

import numpy as np

COLOURS = {
    "black": (30, 30, 34),
    "charcoal": (62, 64, 70),
    "grey": (122, 124, 128),
    "silver": (184, 186, 188),
    "white": (236, 236, 232),
    "navy": (34, 42, 84),
    "denim": (72, 98, 144),
    "blue": (48, 92, 182),
    "sky": (142, 184, 218),
    "red": (180, 36, 42),
    "maroon": (106, 28, 46),
    "pink": (224, 142, 164),
    "purple": (98, 60, 136),
    "green": (48, 112, 64),
    "olive": (94, 96, 54),
    "khaki": (170, 150, 106),
    "brown": (98, 66, 44),
    "beige": (208, 190, 158),
    "yellow": (226, 190, 62),
    "orange": (216, 112, 42),
    "teal": (36, 118, 124),
}
NAMES = tuple(COLOURS)
# One weight per colour, in the order of COLOURS.
UPPER_WEIGHTS = (14, 6, 6, 3, 11, 7, 4, 5, 4, 5, 3, 3, 2, 3, 3, 3, 3, 3, 2, 2, 2)
LOWER_WEIGHTS = (17, 9, 7, 1, 3, 10, 15, 2, 1, 1, 2, 1, 1, 1, 4, 7, 5, 4, 0, 0, 1)
ACCENT_WEIGHTS = (6, 3, 4, 3, 10, 4, 2, 5, 4, 6, 2, 3, 2, 3, 2, 2, 2, 2, 4, 3, 3)

PATTERNS = ("plain", "stripes", "bars", "checks", "dots", "blocks", "logo", "camouflage")
PATTERN_WEIGHTS = (42, 13, 5, 9, 5, 10, 12, 4)
SKINS = ((238, 205, 180), (226, 184, 152), (204, 158, 124), (168, 120, 86), (122, 82, 58), (84, 56, 42))
HAIR_COLOURS = (
    (26, 22, 22),
    (52, 38, 30),
    (88, 60, 40),
    (128, 92, 56),
    (196, 160, 98),
    (150, 72, 40),
    (150, 148, 146),
)
HAIR_COLOUR_WEIGHTS = (34, 22, 16, 10, 9, 4, 5)
HAIR_STYLES = ("short", "bald", "bob", "long", "ponytail", "bun", "volume")
UPPERS = ("tshirt", "shirt", "jacket", "coat", "hoodie", "top")
LOWERS = ("trousers", "slim", "wide", "shorts", "skirt", "long skirt")
BAGS = ("none", "backpack", "shoulder bag", "handbag", "carrier bag")
HATS = ("none", "cap", "beanie", "brimmed hat")


@dataclass(frozen=True)
class Person:
    """Everything about a person that no camera changes. Lengths are fractions of an average stature."""

    height: float
    build: float
    shoulders: float
    hips: float
    skin: tuple
    hair: str
    hair_colour: tuple
    beard: bool
    glasses: bool
    upper: str
    upper_colour: tuple
    upper_accent: tuple
    pattern: str
    period: float
    phase: float
    sleeve: float  # share of the arm that is covered
    hem: float  # height of the upper garment's lower edge
    opened: bool  # an open jacket shows the accent colour beneath
    lower: str
    lower_colour: tuple
    lower_accent: tuple
    lower_stripe: bool
    tights: bool
    shoe_colour: tuple
    boots: bool
    bag: str
    bag_colour: tuple
    bag_side: int
    hat: str
    hat_colour: tuple
    scarf: bool
    signature: tuple  # the coarse look, by which no two people may be the same


def _pick(rng, items, weights):
    weights = np.asarray(weights, dtype=np.float64)
    return items[int(np.searchsorted(np.cumsum(weights), rng.random() * weights.sum(), side="right"))]


def _dye(rng, name, spread=9):
    """Return a random shade of a named colour: two navy coats differ a little."""
    return tuple(int(np.clip(c + rng.integers(-spread, spread + 1), 8, 246)) for c in COLOURS[name])


def _contrasting(rng, weights, name):
    """Return a colour name that can be distinguished from ``name`` when the two lie side by side."""
    base = np.array(COLOURS[name])
    while True:
        other = _pick(rng, NAMES, weights)
        if np.abs(base - COLOURS[other]).sum() > 150:
            return other


def dress(rng):
    """Return a person of random looks, from ``rng`` (a `numpy.random.Generator`)."""
    womanly = rng.random() < 0.5
    build = float(np.clip(rng.normal(1.0, 0.13), 0.78, 1.4))
    upper = _pick(rng, UPPERS, (24, 20, 22, 9, 14, 11 if womanly else 2))
    lower = _pick(rng, LOWERS, (34, 22, 9, 13, 15, 7) if womanly else (52, 14, 12, 20, 0, 0))
    upper_name = _pick(rng, NAMES, UPPER_WEIGHTS)
    accent_name = _contrasting(rng, ACCENT_WEIGHTS, upper_name)
    lower_name = _pick(rng, NAMES, LOWER_WEIGHTS)
    pattern = _pick(rng, PATTERNS, PATTERN_WEIGHTS)
    sleeve = {"tshirt": 0.42, "shirt": 1.0, "jacket": 1.0, "coat": 1.0, "hoodie": 1.0, "top": 0.0}[upper]
    if upper == "shirt" and rng.random() < 0.35:
        sleeve = 0.45
    opened = upper in ("jacket", "coat", "shirt") and rng.random() < 0.5
    if opened and pattern == "logo":
        pattern = "plain"
    hem = {"tshirt": 0.49, "shirt": 0.48, "jacket": 0.48, "coat": 0.33, "hoodie": 0.48, "top": 0.52}[upper]
    hair = _pick(rng, HAIR_STYLES, (14, 0, 22, 34, 18, 8, 4) if womanly else (74, 12, 3, 3, 2, 0, 6))
    bag = _pick(rng, BAGS, (38, 22, 20, 14, 6) if womanly else (50, 27, 14, 2, 7))
    hat = _pick(rng, HATS, (84, 7, 5, 4))
    bag_name = _pick(rng, NAMES, ACCENT_WEIGHTS)
    hair_index = _pick(rng, range(len(HAIR_COLOURS)), HAIR_COLOUR_WEIGHTS)
    lower_stripe = lower in ("trousers", "slim", "shorts") and rng.random() < 0.12
    return Person(
        height=float(np.clip(rng.normal(0.97 if womanly else 1.02, 0.035), 0.88, 1.1)),
        build=build,
        shoulders=(0.97 if womanly else 1.1) * build**0.6,
        hips=(1.04 if womanly else 0.96) * build**0.8,
        skin=SKINS[_pick(rng, range(len(SKINS)), (20, 26, 24, 14, 9, 7))],
        hair=hair,
        hair_colour=tuple(int(c + rng.integers(-6, 7)) for c in HAIR_COLOURS[hair_index]),
        beard=not womanly and rng.random() < 0.25,
        glasses=rng.random() < 0.2,
        upper=upper,
        upper_colour=_dye(rng, upper_name),
        upper_accent=_dye(rng, accent_name),
        pattern=pattern,
        period=float(rng.choice((0.032, 0.045, 0.065))),
        phase=float(rng.random()),
        sleeve=sleeve,
        hem=hem + float(rng.uniform(-0.03, 0.02)),
        opened=opened,
        lower=lower,
        lower_colour=_dye(rng, lower_name),
        lower_accent=_dye(rng, _contrasting(rng, ACCENT_WEIGHTS, lower_name)),
        lower_stripe=lower_stripe,
        tights=rng.random() < 0.35,
        shoe_colour=_dye(rng, _pick(rng, NAMES, (20, 6, 5, 3, 14, 4, 0, 3, 1, 3, 1, 1, 0, 1, 0, 2, 9, 2, 0, 1, 0))),
        boots=womanly and rng.random() < 0.2,
        bag=bag,
        bag_colour=_dye(rng, bag_name),
        bag_side=int(rng.choice((-1, 1))),
        hat=hat,
        hat_colour=_dye(rng, _pick(rng, NAMES, ACCENT_WEIGHTS)),
        scarf=rng.random() < 0.07,
        signature=(
            NAMES.index(upper_name),
            PATTERNS.index(pattern),
            NAMES.index(accent_name) if pattern != "plain" or opened else -1,
            int(10 * sleeve) + 20 * opened,
            LOWERS.index(lower),
            NAMES.index(lower_name),
            HAIR_STYLES.index(hair) if hat == "none" else -1 - HATS.index(hat),
            hair_index,
            BAGS.index(bag),
            NAMES.index(bag_name) if bag != "none" else -1,
        ),
    )


# How visible a difference in each entry of the signature is from a distance.
_VISIBILITY = np.array((3, 2, 1, 1, 2, 3, 1, 1, 1, 1))
_LEAST_DIFFERENCE = 4
_MAX_TRIES = 30


def dress_all(seed, n_identities):
    """Return people who all differ visibly; the first ones do not depend on how many follow."""
    people, signatures = [], np.empty((n_identities, len(_VISIBILITY)), dtype=np.int16)
    for identity in range(n_identities):
        rng = np.random.default_rng([seed, 0, identity])
        for _ in range(_MAX_TRIES):
            person = dress(rng)
            seen = signatures[:identity] != np.array(person.signature)
            if not identity or (seen @ _VISIBILITY).min() >= _LEAST_DIFFERENCE:
                break
        signatures[identity] = person.signature
        people.append(person)
    return people
