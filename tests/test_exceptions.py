"""The tree of exceptions in the docstring of `skreid.exceptions` is that of the code."""

import ast
import builtins
import pickle
import re
from pathlib import Path

import sklearn.exceptions

import skreid
from skreid import exceptions

PRIVATE = {
    "ArchiveError",  # always caught and raised again as a ValueError that names the file
    "DistanceError",  # a ValueError that can be raised again with another index
}
LANGUAGE = {"AttributeError"}  # what `skreid.nothing` must raise


def drawn_tree():
    """Return (name, parent) of every exception in the drawing; a level is four characters wide."""
    above, pairs = [], []
    for line in exceptions.__doc__.splitlines():
        drawn = re.match(r"    ([\s│├└─]*)([A-Z]\w+)\b", line)
        if drawn and (drawn[1].endswith("── ") or drawn[2] == "Exception"):
            depth = len(drawn[1]) // 4
            above[depth:] = [drawn[2]]
            pairs += [(drawn[2], above[depth - 1])] if depth else []
    return pairs


def find_class(name):
    for module in (exceptions, builtins, sklearn.exceptions):
        if hasattr(module, name):
            return getattr(module, name)
    raise AssertionError(f"{name} is drawn but does not exist")


def raised_names():
    """Return the names of the exceptions that the package raises, found in its source."""
    names = set()
    for path in Path(skreid.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name):
                names.add(node.exc.func.id)
    return {name for name in names if name.endswith("Error")}


def test_every_exception_is_drawn_below_its_base():
    assert ("ImageError", "ValueError") in drawn_tree()
    for name, parent in drawn_tree():
        assert issubclass(find_class(name), find_class(parent)), (name, parent)


def test_exactly_the_exceptions_that_are_raised_are_drawn():
    drawn = {name for name, _ in drawn_tree()} - {"ArithmeticError"}
    assert raised_names() - PRIVATE - LANGUAGE == drawn


def test_image_error_survives_pickling():
    """Worker processes send exceptions back as pickles."""
    loaded = pickle.loads(pickle.dumps(exceptions.ImageError(3, "image 3 is empty")))
    assert (loaded.index, str(loaded)) == (3, "image 3 is empty")
