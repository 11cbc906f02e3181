"""Leave out of the API reference what nobody here wrote: methods of scikit-learn, accessors of named tuples.

Their docstrings say nothing about skreid and link to other projects' pages. autodoc's options would need each private
mixin and method by name; numpydoc's cross-references of types, which would escape shapes, need other projects' indexes.
"""

import re
from collections import namedtuple

_GENERATED = re.compile(r"set_\w+_request$")
_FIELD = type(namedtuple("_Pair", "first").first)


def skip(app, what, name, obj, would_skip, options):
    """Tell autodoc to skip a generated member; None leaves the decision to others."""
    foreign = callable(obj) and not (getattr(obj, "__module__", None) or "skreid").startswith("skreid")
    return True if foreign or isinstance(obj, _FIELD) or _GENERATED.match(name) else None


def escape_shapes(app, what, name, obj, options, lines):
    """Escape names such as ``n_features_in_`` in shapes: reStructuredText takes the end for a link."""
    for i, line in enumerate(lines):
        if " of shape (" in line:
            lines[i] = re.sub(r"(\w)_(?=[,)])", r"\1\\_", line)


def setup(app):
    """Register with Sphinx."""
    app.connect("autodoc-process-docstring", escape_shapes, priority=100)  # before numpydoc
    app.connect("autodoc-skip-member", skip)
    return {"parallel_read_safe": True}
