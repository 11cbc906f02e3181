"""What users read of functions: their names in errors, and docstrings with parameters in common, described once.

A docstring marks the place of a shared part by its name, ``%(block_size)s``, alone on a line.
"""

import inspect
import re
from textwrap import indent


def named_alone(base):
    """Let Python's own errors call public methods by their names, without the name of their private base class."""
    for name, method in vars(base).items():
        if inspect.isfunction(method) and not name.startswith("_"):
            method.__qualname__ = name
    return base


def filler(**parts):
    """Return a decorator that replaces the marks in a function's docstring by the parts of these names."""

    def fill(function):
        if function.__doc__:  # python -OO removes it
            text = re.sub(
                r"^( *)%\((\w+)\)s$",
                lambda mark: indent(parts[mark[2]], mark[1]),
                inspect.cleandoc(function.__doc__),
                flags=re.MULTILINE,
            )
            function.__doc__ = text + "\n"  # numpydoc wants the quotes on a line of their own
        return function

    return fill
