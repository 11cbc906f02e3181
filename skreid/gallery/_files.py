"""A gallery in a folder: one .npy a column and a JSON file that names them, replaced in one step.

A save that is interrupted leaves the gallery that was there; readers of the old one keep it.
"""

import contextlib
import json
import os
import uuid
from pathlib import Path

import numpy as np

from skreid.distances import tiles

CARD = "gallery.json"
FORMAT = "skreid gallery"


def save_gallery(folder, columns, settings, extra=None):
    """Write columns (name -> array of rows, or None) and settings into a folder.

    Parameters
    ----------
    folder : path-like
    columns : dict of str to array or None
    settings : dict
        Plain values, kept in the JSON file.
    extra : dict of str to callable, optional
        Ending of a further file -> what writes it, given its path.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    before = set(_read_card(folder)["files"].values()) if (folder / CARD).exists() else set()
    token, files = uuid.uuid4().hex, {}
    try:
        for name, column in columns.items():
            if column is not None:
                files[name] = f"{name}-{token}.npy"
                _write_npy(folder / files[name], column)
        for ending, write in (extra or {}).items():
            files[ending] = f"index-{token}.{ending}"
            write(str(folder / files[ending]))
        card = {"format": FORMAT, "version": 1, "files": files, "settings": settings}
        waiting = folder / f"{CARD}-{token}"
        with waiting.open("w", encoding="utf-8") as file:
            json.dump(card, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        waiting.replace(folder / CARD)  # the one step
    except BaseException:
        _remove(folder, [*files.values(), f"{CARD}-{token}"])
        raise
    _remove(folder, before)


def open_gallery(folder):
    """Return the columns of a gallery, memory-mapped, its settings, and the paths of further files.

    Raises
    ------
    FileNotFoundError, ValueError
        If the folder holds no gallery, or a damaged one; the file is named.
    """
    folder = Path(folder)
    for attempt in range(3):  # a save in between takes the files away that its predecessor named
        card = _read_card(folder)
        try:
            columns = {
                name: np.load(folder / file, mmap_mode="r", allow_pickle=False)
                for name, file in card["files"].items()
                if file.endswith(".npy")
            }
            break
        except FileNotFoundError:
            if attempt == 2:
                raise
        except ValueError as error:
            raise ValueError(f"The gallery in '{folder}' is damaged: {error}") from error
    if len({len(column) for column in columns.values()}) != 1 or columns["descriptors"].ndim != 2:
        shapes = {name: column.shape for name, column in columns.items()}
        raise ValueError(f"The gallery in '{folder}' is damaged: its columns have shapes {shapes}.")
    others = {name: folder / file for name, file in card["files"].items() if not file.endswith(".npy")}
    return columns, card["settings"], others


def _read_card(folder):
    path = folder / CARD
    if not path.exists():
        raise FileNotFoundError(f"'{folder}' holds no gallery: there is no {CARD}. Gallery.save makes one.")
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        known = card["format"] == FORMAT and card["version"] == 1 and "descriptors" in card["files"]
        safe = known and all(Path(file).name == file for file in card["files"].values())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"'{path}' is not the description of a gallery: {error!r}") from error
    if not safe:
        raise ValueError(f"'{path}' is not the description of a gallery that this version of skreid reads.")
    return card


def _write_npy(path, column):
    """Write an array, or anything with rows, a tile at a time."""
    shape = (len(column), *column.shape[1:])
    with path.open("wb") as file:
        header = {"descr": np.lib.format.dtype_to_descr(column.dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for rows in tiles(column) if column.ndim == 2 else [slice(None)]:
            file.write(np.ascontiguousarray(column[rows]).data)
        file.flush()
        os.fsync(file.fileno())


def _remove(folder, names):
    for name in names:
        with contextlib.suppress(OSError):  # a system may keep files that someone has mapped
            (folder / name).unlink()
