"""A gallery in a folder: one .npy a column and a JSON file that names them, replaced in one step.

A save that is interrupted leaves the gallery that was there; readers of the old one keep it.
"""

import contextlib
import json
import os
import re
import uuid
from pathlib import Path

import numpy as np

from skreid.distances import tiles

CARD = "gallery.json"
FILES, SETTINGS = {"descriptors", "ids", "cams", "faiss"}, {"engine", "index", "effort"}
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
            columns = {name: _map_npy(folder / file) for name, file in card["files"].items() if name != "faiss"}
            break
        except FileNotFoundError:
            if attempt == 2:
                raise
        except Exception as error:  # a damaged header may raise anything
            raise ValueError(f"The gallery in '{folder}' is damaged: {error}") from error
    for name, column in columns.items():
        n_axes, kinds = (2, "f") if name == "descriptors" else (1, "biufSU")
        sound = column.ndim == n_axes and column.dtype.kind in kinds and 0 not in column.shape[1:]
        if not sound or len(column) != len(columns["descriptors"]):
            raise ValueError(
                f"The gallery in '{folder}' is damaged: its {name} are {column.dtype} of shape {column.shape}."
            )
    others = {name: folder / file for name, file in card["files"].items() if name == "faiss"}
    return columns, card["settings"], others


def _read_card(folder):
    path = folder / CARD
    if not path.exists():
        raise FileNotFoundError(f"'{folder}' holds no gallery: there is no {CARD}. Gallery.save makes one.")
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        known = card["format"] == FORMAT and card["version"] == 1 and set(card["settings"]) == SETTINGS
        known = known and card["settings"]["engine"] in ("exact", "faiss")
        known = known and "descriptors" in card["files"] and set(card["files"]) <= FILES
        safe = known and all(re.fullmatch(r"\w+-\w+\.\w+", file) for file in card["files"].values())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"'{path}' is not the description of a gallery: {error!r}") from error
    if not safe:
        raise ValueError(f"'{path}' is not the description of a gallery that this version of skreid reads.")
    return card


def _map_npy(path):
    """Map an array without reading it; what would need unpickling is refused."""
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file) if version == (1, 0) else (None, None, None)
    if shape is None:
        raise ValueError(f"'{path.name}' has version {version} of the format, not 1.0")
    if 0 in shape:  # nothing to map
        return np.empty(shape, dtype)
    return np.lib.format.open_memmap(path, mode="r")


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
