"""ResultTable: the rows of an evaluation's breakdown, printed as a table and turned into a DataFrame in one call."""

import math
from collections.abc import Sequence

import numpy as np

from skreid._base.text import visible

SHARES = ("rank_1", "mAP")  # columns in [0, 1], printed in percent
SHOWN = 40  # most letters of a cell that are printed; the end of a path says more than its beginning


class ResultTable(Sequence):
    """Rows of equal columns, such as :meth:`EvaluationResult.by_camera_pair` returns.

    ``len(table)`` is the number of rows, ``table[0]`` the first row as a dict, and ``print(table)`` shows all rows.

    Parameters
    ----------
    title : str
        What the rows are, in one line.
    columns : dict of str to sequence
        Name -> one value per row. Shares are in [0, 1] here, and printed in percent.
    notes : sequence of str, default=()
        What a reader must know, printed below the rows.

    Attributes
    ----------
    title : str
        As given.
    columns : dict of str to ndarray
        Name -> array of shape (n_rows,).
    notes : tuple of str
        As given.

    Examples
    --------
    >>> from skreid.evaluation import ResultTable
    >>> table = ResultTable("Camera pairs", {"probe_cam": ["a", "b"], "rank_1": [0.25, 1.0], "n_probes": [4, 4]})
    >>> table
    Camera pairs
      probe_cam  rank_1 %  n_probes
      a              25.0         4
      b             100.0         4
    >>> table[0]
    {'probe_cam': 'a', 'rank_1': 0.25, 'n_probes': 4}
    >>> table.to_dict()["rank_1"]
    [0.25, 1.0]
    """

    def __init__(self, title, columns, notes=()):
        self.title = title
        self.columns = {name: _column(values) for name, values in columns.items()}
        self.notes = tuple(notes)

    def __len__(self):
        return len(next(iter(self.columns.values())))

    def __getitem__(self, index):
        if isinstance(index, slice):
            return ResultTable(self.title, {name: values[index] for name, values in self.columns.items()}, self.notes)
        return {name: _plain(values[index]) for name, values in self.columns.items()}

    def to_dict(self):
        """Return the columns as lists of plain values: ``pandas.DataFrame(table.to_dict())`` is a DataFrame.

        Returns
        -------
        dict of str to list
        """
        return {name: [_plain(value) for value in values] for name, values in self.columns.items()}

    def texts(self):
        """Return the heads and the cells as people read them: shares in percent, "-" for what is unknown.

        Returns
        -------
        heads : list of str
        rows : list of list of str
        """
        heads = [f"{name} %" if name in SHARES else name for name in self.columns]
        return heads, [[_text(name, value) for name, value in row.items()] for row in self]

    def __repr__(self):
        heads, rows = self.texts()
        rows = [[cell if len(cell) <= SHOWN else f"…{cell[1 - SHOWN :]}" for cell in row] for row in rows]
        widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
        numeric = [values.dtype.kind in "iuf" for values in self.columns.values()]
        lines = [
            "  ".join(
                cell.rjust(width) if right else cell.ljust(width)
                for cell, width, right in zip(row, widths, numeric, strict=True)
            ).rstrip()
            for row in (heads, *rows)
        ]
        return "\n".join([self.title, *(f"  {line}" for line in lines), *(f"  {note}" for note in self.notes)])


def _column(values):
    """Return a column as a one-dimensional array; labels such as tuples, and None beside them, stay what they are."""
    if isinstance(values, np.ndarray):
        return values
    values = list(values)
    if values and all(isinstance(value, int | float | np.number) for value in values):
        return np.array(values)
    return np.fromiter(values, dtype=object, count=len(values))


def _plain(value):
    return value.item() if isinstance(value, np.generic) else value


def _text(name, value):
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if name in SHARES:
        return f"{100 * value:.1f}"
    return f"{value:g}" if isinstance(value, float) else visible(value)
