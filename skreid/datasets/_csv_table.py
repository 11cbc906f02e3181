"""load_csv: a table of images with their identities and cameras.

Use it for sets whose labels are in a file, not in the names of the images.
"""

import csv
import io
import os
import stat
from collections import Counter
from pathlib import Path

from skreid._base.checks import did_you_mean
from skreid._base.missing import missing
from skreid.datasets._docs import fill
from skreid.datasets._layout import Listing, Source, read_text
from skreid.datasets._report import bundle


@fill
def load_csv(
    path,
    *,
    path_column="path",
    identity_column="identity",
    camera_column="camera",
    subset_column=None,
    track_column=None,
    root=None,
    delimiter=",",
    check_duplicates=True,
    verbose=1,
):
    r"""List the images of a CSV table with a header, in the order of its rows.

    Parameters
    ----------
    path : str or Path
        The table, encoded as UTF-8. Blanks around a cell do not belong to it.
    path_column, identity_column : str, default="path", "identity"
        Names of the columns with the path and the identity of an image.
    camera_column : str or None, default="camera"
        Name of the column with the camera; ``None`` if the table has none.
    subset_column : str or None, default=None
        Name of the column with the subset, such as "train", "query" or "gallery".
    track_column : str or None, default=None
        Name of the column with the track; a track shows one person in one camera.
    root : str, Path or None, default=None
        Folder that relative paths start from; ``None`` is the folder of the table.
    delimiter : str, default=","
        Character between two columns.
    %(check_duplicates)s
    %(verbose)s

    Returns
    -------
    %(returns)s

    Raises
    ------
    FileNotFoundError
        If the table, or an image in it, does not exist; the message counts the missing images and names the first
        line.
    ValueError
        If a column is not in the header, or is there twice; a row has more or fewer cells than the header, or a quote
        that is not closed; a path or identity is missing; or some cameras, subsets or tracks are missing while others
        are there. Empty cells are missing, and "nan", "NaN", "NA", "N/A", "#N/A", "None", "NULL", "null", "<NA>" and
        "NaT". The message names the line.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skreid.datasets import load_csv
    >>> with tempfile.TemporaryDirectory() as root:
    ...     Image.new("RGB", (4, 8)).save(Path(root) / "a.png")
    ...     _ = (Path(root) / "people.csv").write_text("path,identity,camera\na.png,anna,2\n")
    ...     data = load_csv(Path(root) / "people.csv")
    >>> data.target.tolist(), data.cams.tolist()
    (['anna'], [2])
    """
    try:
        path = Path(path).expanduser()
    except TypeError:
        raise TypeError(f"The 'path' parameter of load_csv must be a str or Path. Got {path!r} instead.") from None
    if not path.is_file():
        raise FileNotFoundError(
            f"The table {str(path)!r} does not exist or is not a file; relative paths start from {str(Path.cwd())!r}."
        )
    root = path.parent if root is None else Path(root).expanduser()
    wanted = {
        "path": path_column,
        "identity": identity_column,
        "camera": camera_column,
        "subset": subset_column,
        "track": track_column,
    }
    wanted = {key: column for key, column in wanted.items() if column is not None or key in ("path", "identity")}
    listing, absent = Listing(table=str(path), verbose=verbose), []
    for line, cells in _rows(path, wanted, delimiter):
        image = root / cells.pop("path")
        try:
            status = os.stat(image)
        except (OSError, ValueError):
            status = None
        if status is None or not stat.S_ISREG(status.st_mode):
            absent.append((line, image, "does not exist" if status is None else _what(status.st_mode)))
        else:
            listing.sizes.append(status.st_size)
        listing.add(line, path=str(image), **cells)
    if not listing.paths:
        raise ValueError(f"The table {str(path)!r} has a header, but no row below it.")
    if absent:
        line, image, why = absent[0]
        raise FileNotFoundError(
            f"{len(absent)} of the {len(listing.paths)} images in {str(path)!r} do not exist or are no files, the "
            f"first in line {line}: {str(image)!r} {why}. Relative paths start from {str(root)!r}; pass another folder "
            "as 'root'."
        )
    source = Source(
        name="CSV table",
        owner="",
        layout=f"a header and one row per image, columns {', '.join(wanted.values())}",
        protocol="",
    )
    return bundle(listing, source, path, check_duplicates=check_duplicates)


def _what(mode):
    """Return in words what is there in place of a file."""
    return "is a folder" if stat.S_ISDIR(mode) else "is a pipe or device"


def _rows(path, wanted, delimiter):
    """Yield the line and the wanted cells of each row of a table; a missing label is ""."""
    text = io.StringIO(read_text(path), newline="")
    try:
        rows = csv.reader(text, delimiter=delimiter, strict=True)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"The 'delimiter' parameter of load_csv must be one character. Got {delimiter!r} instead."
        ) from error
    header, start = None, 1
    try:
        for cells in rows:
            line, start = start, rows.line_num + 1
            if not cells or (len(cells) == 1 and not cells[0].strip()):  # a blank line
                continue
            if header is None:
                header = [name.strip() for name in cells]
                places = _places(header, wanted, path)
            else:
                if len(cells) < len(header) or any(cell.strip() for cell in cells[len(header) :]):
                    raise ValueError(
                        f"Line {line} of {str(path)!r} has {len(cells)} cells, and the header has {len(header)}: one "
                        f"is missing, or one contains the delimiter {delimiter!r} and has no quotes. Got {cells}."
                    )
                yield line, {key: _cell(cells[place], key, line, path) for key, place in places.items()}
    except csv.Error as error:
        raise ValueError(f"Line {start} of {str(path)!r} is not CSV: {error}.") from error
    if header is None:
        raise ValueError(f"The table {str(path)!r} is empty: it has no header.")


def _places(header, wanted, path):
    """Return the place of each wanted column in the header."""
    for key, column in wanted.items():
        number = Counter(header)[column.strip()] if isinstance(column, str) else 0
        if number > 1:
            raise ValueError(f"The column {column!r} is {number} times in {str(path)!r}: rename all but one.")
        if not number:
            raise ValueError(
                f"The column {column!r} is not in {str(path)!r}, whose columns are {header}. Pass the right "
                f"name as '{key}_column'"
                + (f", or pass {key}_column=None." if key in ("camera", "subset", "track") else ".")
                + (" Or pass the character between two columns as 'delimiter'." if len(header) == 1 else "")
                + did_you_mean(column, header)
            )
    return {key: header.index(column.strip()) for key, column in wanted.items()}


def _cell(cell, key, line, path):
    """Return a cell of one line: a path without blanks around it, a label as it is, or "" if it is missing."""
    text = cell.strip()
    if "\n" in text or "\r" in text:
        raise ValueError(
            f"The {key} in line {line} of {str(path)!r} has a line break: a quote is not closed. Got {text[:60]!r}."
        )
    if not text or (key != "path" and missing(text)):
        if key in ("path", "identity"):
            raise ValueError(
                f"Line {line} of {str(path)!r} has no {key}: {cell!r} counts as missing. Fill the cell, or "
                "delete the row."
            )
        return ""
    return text if key == "path" else cell
