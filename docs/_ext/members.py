"""Leave out of the API reference what nobody wrote: accessors of named tuples, scikit-learn's routing methods.

Their texts are generated, say nothing of skreid, and link to pages of other projects.
"""

import re
from collections import namedtuple

_GENERATED = re.compile(r"set_\w+_request$")
_FIELD = type(namedtuple("_Pair", "first").first)


def skip(app, what, name, obj, would_skip, options):
    """Tell autodoc to skip a generated member; None leaves the decision to others."""
    return True if isinstance(obj, _FIELD) or _GENERATED.match(name) else None


def setup(app):
    """Register with Sphinx."""
    app.connect("autodoc-skip-member", skip)
    return {"parallel_read_safe": True}
