"""load_csv: a table of images with their identities and cameras.

Use it for sets whose labels are in a file, not in the names of the images.
"""

import csv
import io
import os
from pathlib import Path

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
    root=None,
    delimiter=",",
    check_duplicates=True,
):
    r"""List the images of a CSV table with a header, in the order of its rows.

    Parameters
    ----------
    path : str or Path
        The table, encoded as UTF-8.
    path_column, identity_column : str, default="path", "identity"
        Names of the columns with the path and the identity of an image.
    camera_column : str or None, default="camera"
        Name of the column with the camera; ``None`` if the table has none.
    subset_column : str or None, default=None
        Name of the column with the subset, such as "train", "query" or "gallery".
    root : str, Path or None, default=None
        Folder that relative paths start from; ``None`` is the folder of the table.
    delimiter : str, default=","
        Character between two columns.
    %(check_duplicates)s

    Returns
    -------
    %(returns)s

    Raises
    ------
    FileNotFoundError
        If the table, or an image in it, does not exist; the message counts the missing images and names the first
        line.
    ValueError
        If a column is not in the header, or a row has no path or identity.

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
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"The table {str(path)!r} does not exist or is not a file.")
    root = path.parent if root is None else Path(root).expanduser()
    wanted = {
        "path": path_column,
        "identity": identity_column,
        "camera": camera_column,
        "subset": subset_column,
    }
    wanted = {key: column for key, column in wanted.items() if column is not None}
    listing, absent = Listing(), []
    rows = csv.DictReader(io.StringIO(read_text(path), newline=""), delimiter=delimiter)
    try:
        header = rows.fieldnames or []
        for key, column in wanted.items():
            if column not in header:
                raise ValueError(
                    f"The column {column!r} is not in {str(path)!r}, whose columns are {header}. Pass the right "
                    f"name as '{key}_column'" + (", or pass camera_column=None." if key == "camera" else ".")
                )
        for row in rows:
            entry = {key: (row[column] or "").strip() for key, column in wanted.items()}
            if not entry["path"] or not entry["identity"]:
                raise ValueError(f"Line {rows.line_num} of {str(path)!r} has no path or no identity: {row}.")
            image = root / entry.pop("path")
            if not os.path.isfile(image):
                absent.append((rows.line_num, image))
            listing.add(image, **entry)
    except csv.Error as error:
        raise ValueError(f"Line {rows.line_num} of {str(path)!r} is not CSV: {error}.") from error
    if absent:
        line, image = absent[0]
        raise FileNotFoundError(
            f"{len(absent)} of the {len(listing.paths)} images in {str(path)!r} do not exist, the first in line "
            f"{line}: {str(image)!r}. Relative paths start from {str(root)!r}; pass another folder as 'root'."
        )
    source = Source(
        name="CSV table",
        owner="",
        layout=f"a header and one row per image, columns {', '.join(wanted.values())}",
        protocol="",
    )
    return bundle(listing, source, path, check_duplicates=check_duplicates)
