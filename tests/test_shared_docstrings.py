"""Shared parts of docstrings: marks become parts, indented alike, and a mistyped mark is an error."""

import pytest

from skreid._base.docs import filler

fill = filler(size="size : int\n    In pixels.", note="Two\nlines.")


def test_a_mark_is_replaced_by_its_part_at_the_same_indentation():
    def function():
        """Measure.

        Parameters
        ----------
        %(size)s
        unit : str
            %(note)s
        """

    expected = "Measure.\n\nParameters\n----------\nsize : int\n    In pixels.\nunit : str\n    Two\n    lines.\n"
    assert fill(function) is function
    assert function.__doc__ == expected


def test_a_mark_within_a_line_stays():
    """Text that shows formatting with ``%`` is not a mark."""

    def function():
        """Print "%(size)s" % values."""

    assert fill(function).__doc__.startswith('Print "%(size)s" % values.')


def test_an_unknown_mark_is_an_error():
    def function():
        """Measure.

        %(sides)s
        """

    with pytest.raises(KeyError, match="sides"):
        fill(function)


def test_a_function_without_docstring_stays_without():
    """``python -OO`` removes all docstrings."""

    def function():
        pass

    assert fill(function).__doc__ is None
