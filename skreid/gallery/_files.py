"""A gallery in a folder: one .npy file per column, and a JSON file that names them and is replaced in one step.

An interrupted save leaves the previous gallery intact, and so does a save while others read it.
"""

import contextlib
import json
import os
import re
import uuid
import warnings
from pathlib import Path

import numpy as np

from skreid._base.checks import check_choice, check_int
from skreid._base.files import locked, replacing
from skreid._search.distances import tiles
from skreid._search.identity import Origin

CARD = "gallery.json"
FILES = {name: rf"{name}-[0-9a-f]{{32}}\.npy" for name in ("descriptors", "ids", "cams")}
FILES["faiss"] = r"index-[0-9a-f]{32}\.faiss"
FILES["system"] = r"system-[0-9a-f]{32}\.skops"
SETTINGS = {"engine", "index", "effort"}  # and "metric", unless it is Euclidean
INDEX = "HNSW32"  # by default
METRICS = ("euclidean", "cosine")
FORMAT = "skreid gallery"
LABEL_KINDS = "biufSU"  # NumPy's kinds of numbers and strings


def check_settings(engine, index, effort, metric="euclidean"):
    """Return the settings of a gallery as plain values; refuse a wrong one by name."""
    check_choice(metric, "metric", "Gallery", METRICS)
    check_choice(engine, "engine", "Gallery", ("exact", "faiss"))
    if not isinstance(index, str) or not 0 < len(index) <= 100:
        raise ValueError(f"The 'index' parameter of Gallery must be a factory string of FAISS. Got {index!r} instead.")
    effort = check_int(effort, "effort", "Gallery", none=True)
    return {"engine": engine, "index": index, "effort": effort, "metric": metric}


def warn_of_unused(settings, stacklevel=3):
    """Warn of checked settings of FAISS where another engine searches."""
    unused = [name for name, default in (("index", INDEX), ("effort", None)) if settings[name] != default]
    if unused and settings["engine"] != "faiss":
        given = " and ".join(f"{name}={settings[name]!r}" for name in unused)
        warnings.warn(
            f"{given} {'is' if len(unused) == 1 else 'are'} not used: engine={settings['engine']!r} searches without "
            'FAISS. Give engine="faiss" too.',
            UserWarning,
            stacklevel=stacklevel,
        )


def save_gallery(folder, columns, settings, extra=None, origin=None):
    """Write columns (name -> array of rows, or None) and settings into a folder.

    Parameters
    ----------
    folder : path-like
    columns : dict of str to array or None
    settings : dict
        Plain values, kept in the JSON file.
    extra : dict of str to callable, optional
        Name of a further file in `FILES` -> function that writes it, given its path.
    origin : Origin, optional
        What the descriptors come from, if that is known.
    """
    for name in ("ids", "cams"):
        column = columns.get(name)
        if column is not None and column.dtype.kind not in LABEL_KINDS:
            raise ValueError(
                f"{name} of a Gallery must be numbers or strings to be saved. They are {column.dtype}, such as "
                f"{column[0]!r}: build the Gallery with their str()."
            )
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    token, files = uuid.uuid4().hex, {}
    try:
        for name, column in columns.items():
            if column is not None:
                files[name] = f"{name}-{token}.npy"
                _write_npy(folder / files[name], column)
        for name, write in (extra or {}).items():
            stem, _, extension = FILES[name].partition(r"-[0-9a-f]{32}\.")
            files[name] = f"{stem}-{token}.{extension}"
            write(str(folder / files[name]))
        if settings["metric"] == "euclidean":  # earlier versions read such a gallery too
            settings = {name: settings[name] for name in SETTINGS}
        card = {"format": FORMAT, "version": 1, "files": files, "settings": settings}
        if origin is not None:
            card["described_by"] = origin._asdict()
        with locked(folder):  # each save removes the one before it, even if several run at once
            before = _read_card(folder)["files"].values() if os.path.lexists(folder / CARD) else ()
            with replacing(folder / CARD, folder / f"{CARD}-{token}") as file:  # the one step
                file.write(json.dumps(card, indent=2).encode())
    except BaseException:
        _remove(folder, files.values())
        raise
    _remove(folder, before)


def open_gallery(folder):
    """Return the columns of a gallery, memory-mapped, its settings, the paths of further files, and its origin.

    Raises
    ------
    FileNotFoundError, ValueError
        If the folder holds no gallery, or a damaged one; the file is named.
    """
    folder = Path(folder)
    for attempt in range(3):  # a save in between removes the files that the card names
        card = _read_card(folder)
        try:
            paths = {name: _own(folder, file) for name, file in card["files"].items()}
            columns = {name: _map_npy(path) for name, path in paths.items() if path.suffix == ".npy"}
            break
        except FileNotFoundError:
            if attempt == 2:
                raise
        except Exception as error:  # a damaged header may raise anything
            raise ValueError(f"The gallery in '{folder}' is damaged: {error}") from error
    for name, column in columns.items():
        n_axes, kinds = (2, "f") if name == "descriptors" else (1, LABEL_KINDS)
        sound = column.ndim == n_axes and column.dtype.kind in kinds and not (len(column) and 0 in column.shape)
        if not sound or len(column) != len(columns["descriptors"]):
            raise ValueError(
                f"The gallery in '{folder}' is damaged: its {name} are {column.dtype} of shape {column.shape}."
            )
    others = {name: path for name, path in paths.items() if name not in columns}
    origin = card.get("described_by")
    return columns, check_settings(**card["settings"]), others, None if origin is None else Origin(**origin)


def _read_card(folder):
    path = _own(folder, CARD)
    if not path.exists():
        raise FileNotFoundError(f"'{folder}' holds no gallery: there is no {CARD}. Gallery.save writes one.")
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        known = card["format"] == FORMAT and card["version"] == 1 and set(card["settings"]) - {"metric"} == SETTINGS
        known = known and bool(check_settings(**card["settings"]))
        known = known and "descriptors" in card["files"] and set(card["files"]) <= set(FILES)
        known = known and set(card.get("described_by") or Origin._fields) == set(Origin._fields)
        safe = known and all(re.fullmatch(FILES[name], file) for name, file in card["files"].items())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"'{path}' is not the description of a gallery: {error!r}") from error
    if not safe:
        raise ValueError(f"'{path}' is not the description of a gallery that this version of skreid reads.")
    return card


def _own(folder, name):
    """Return the path of a file, unless a link leads out of the folder."""
    path = folder / name
    if Path(os.path.realpath(path)).parent != Path(os.path.realpath(folder)) or (path.exists() and not path.is_file()):
        raise ValueError(f"'{path}' is not a plain file in its folder; links out of the folder are not followed.")
    return path


def _map_npy(path):
    """Map an array without reading it; refuse one that would need unpickling."""
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file) if version == (1, 0) else (None, None, None)
    if shape is None:
        raise ValueError(f"'{path.name}' has version {version} of the format, not 1.0")
    if 0 in shape:  # nothing to map
        return np.empty(shape, dtype)
    return np.lib.format.open_memmap(path, mode="r")


def _write_npy(path, column):
    """Write an array, or anything with rows, one tile at a time."""
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
        with contextlib.suppress(OSError):  # some systems do not remove files that are mapped
            (folder / name).unlink()
