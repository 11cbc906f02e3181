"""Which line of the user's a warning is about, however many functions lie between."""

import sys

_WITHIN = ("skreid", "sklearn")  # scikit-learn's decorators stand between a user and a `fit`


def level():
    """Return the `stacklevel` with which a warning, given where this is called, names the first line outside skreid."""
    frame, found = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _WITHIN:
        frame, found = frame.f_back, found + 1
    return found
