"""Docstrings of functions that have parameters in common, each of which is described once.

A docstring marks the place of a shared part by its name, ``%(block_size)s``, alone on a line.
"""

import inspect
import re
from textwrap import indent


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
