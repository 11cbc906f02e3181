"""Checks of parameters (ints, ranks, shares, sizes, choices), and the one "Did you mean ...?".

Messages follow scikit-learn: parameter, owner, what is allowed, what was given. A bool is not an int.
"""

import difflib
import warnings
from collections.abc import Iterable
from numbers import Integral, Real

import numpy as np

from skreid._base.caller import level


def is_int(value, low=1):
    """Return whether a value is an int (not a bool) of at least `low`."""
    return isinstance(value, Integral) and not isinstance(value, (bool, np.bool_)) and value >= low


def check_int(value, name, owner, low=1, none=False):
    """Return an int of at least `low` (or None, where `none` allows it); refuse anything else."""
    if none and value is None:
        return None
    if not is_int(value, low):
        raise ValueError(
            f"The {name!r} parameter of {owner} must be an int in the range [{low}, inf){' or None' * none}. "
            f"Got {value!r} instead."
        )
    return int(value)


def check_ranks(ranks, owner):
    """Return the ranks to report, an int or several, as a tuple of ints of at least 1; refuse anything else."""
    several = isinstance(ranks, Iterable) and not isinstance(ranks, str)
    return tuple(check_int(rank, "ranks", owner) for rank in (ranks if several else [ranks]))


def check_share(value, name, owner, closed=True):
    """Return a share, a float in [0, 1], or in (0, 1) unless the range is closed; refuse anything else."""
    is_number = isinstance(value, Real) and not isinstance(value, (bool, np.bool_))
    if not is_number or not (0 <= value <= 1 if closed else 0 < value < 1):
        allowed = "[0.0, 1.0]" if closed else "(0.0, 1.0)"
        raise ValueError(
            f"The {name!r} parameter of {owner} must be a float in the range {allowed}. Got {value!r} instead."
        )
    return float(value)


def check_count_or_share(value, name, owner, none=False):
    """Refuse anything but a number of identities, an int, or a share of them, a float in [0, 1]."""
    if none and value is None:
        return
    is_share = isinstance(value, Real) and not isinstance(value, Integral) and 0 <= value <= 1
    if not is_share and not is_int(value, 0):
        raise ValueError(
            f"The {name!r} parameter of {owner} must be a float in the range [0.0, 1.0] or an int "
            f"in the range [0, inf){' or None' * none}. Got {value!r} instead."
        )


def check_frame_size(value, name, owner, low=(1, 1), none=False):
    """Return a height and a width in pixels as two ints (or None, where `none` allows it); refuse anything else."""
    if none and value is None:
        return None
    sides = tuple(value) if isinstance(value, (tuple, list, np.ndarray)) else ()
    if len(sides) != 2 or not all(is_int(side, least) for side, least in zip(sides, low, strict=True)):
        ranges = f"two ints in the range [{low[0]}, inf)"
        if low[0] != low[1]:
            ranges = f"two ints in the ranges [{low[0]}, inf) and [{low[1]}, inf)"
        raise ValueError(
            f"The {name!r} parameter of {owner} must be {'None or ' * none}{ranges}, height and width. "
            f"Got {value!r} instead."
        )
    return int(sides[0]), int(sides[1])


def warn_if_swapped(size, image_shape):
    """Warn if a frame is wide and an image upright, as when width was given before height."""
    (height, width), (image_height, image_width) = size, image_shape
    if width > height and image_height > image_width:
        warnings.warn(
            f"input_size={tuple(size)} is a frame {height} pixels high and {width} wide, but the first image is "
            f"upright, {image_height} high and {image_width} wide. input_size is (height, width).",
            stacklevel=level(),
        )


def check_choice(value, name, owner, options):
    """Refuse a value that is not among the options; the message suggests the most similar option."""
    plain = value.item() if isinstance(value, np.generic) else value
    if not any(plain is option or (type(plain) is type(option) and plain == option) for option in options):
        raise ValueError(
            f"The {name!r} parameter of {owner} must be among {{{', '.join(map(repr, options))}}}. "
            f"Got {value!r} instead.{did_you_mean(value, [option for option in options if isinstance(option, str)])}"
        )


def did_you_mean(name, known):
    """Return ' Did you mean ...?' for the nearest known name, or an empty string."""
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.4)
    return f" Did you mean {near[0]!r}?" if near else ""
