"""Columns of a dataset, which may be a Bunch, a dict, a table of any library or any object with attributes."""

from collections.abc import Iterable, Mapping

import numpy as np
from sklearn.utils.validation import _num_samples

from skreid._base.arrays import tabular
from skreid._base.labels import as_labels

WITHOUT_CAMS = "Without cameras, give use_cams=False."
IMAGES = ("images", "paths", "data")  # where images may be, in this order


def get_column(dataset, *names):
    """Return the first of these columns that a dataset has, or None."""
    in_table = _columns_of(dataset)
    for name in names:
        if isinstance(dataset, Mapping):
            values = dataset.get(name)
        else:
            values = dataset[name] if name in in_table else getattr(dataset, name, None)
        if values is not None:
            return values
    return None


def _columns_of(dataset):
    """Return the names of the columns of a table of pandas, polars or Arrow; none for anything else."""
    names = getattr(dataset, "column_names", None)
    names = getattr(dataset, "columns", None) if names is None else names
    return [name for name in names if isinstance(name, str)] if isinstance(names, Iterable) else []


def get_paths(dataset, n_images):
    """Return the paths of a dataset as an array, None if it has none; refuse more or fewer than `n_images`."""
    paths = get_column(dataset, "paths")
    if paths is None:
        return None
    if not isinstance(paths, np.ndarray):
        to_list = getattr(paths, "to_pylist", None) or getattr(paths, "to_list", None)  # of Arrow; of polars and pandas
        values = list(paths) if to_list is None else to_list()
        paths = np.fromiter(values, dtype=object, count=len(values))
    if paths.shape != (n_images,):
        raise ValueError(f"dataset.paths has shape {paths.shape}, but dataset.target has {n_images} entries.")
    return paths


def get_labels(dataset, name, owner, n_images=None, advice=""):
    """Return a column of labels as a checked array.

    Parameters
    ----------
    dataset : Bunch, dict or object
    name : str
        The column: "target", "cams" or "subset".
    owner : str
        Name of the caller, for messages.
    n_images : int, optional
        Required length.
    advice : str, optional
        What to do if the column is missing.

    Returns
    -------
    ndarray of shape (n_images,)

    Raises
    ------
    ValueError
        If the column is missing, has another length, or its labels are refused by `as_labels`.
    """
    values = get_column(dataset, name)
    if values is None:
        if name == "target":
            advice = (
                f"The dataset, a {type(dataset).__name__}, has none: give a dict of one column each, such as "
                "{'images': X, 'target': y, 'cams': cams}, or a Bunch such as loaders return."
            )
        raise ValueError(f"{owner} needs dataset.{name}, with one entry per image. {advice}".rstrip())
    labels = as_labels(values, f"dataset.{name}", any_text=name == "subset")
    if n_images is not None and len(labels) != n_images:
        raise ValueError(f"dataset.{name} has {len(labels)} entries, but dataset.target has {n_images}.")
    return labels


def get_images(dataset, n_images):
    """Return the images of a dataset as they are, from the first of the columns in `IMAGES` that it has.

    Raises
    ------
    ValueError
        If it has none, or not `n_images` of them.
    """
    for name in IMAGES:
        images = get_paths(dataset, n_images) if name == "paths" else get_column(dataset, name)
        if images is not None:
            images = tabular(images, f"dataset.{name}")
            if _num_samples(images) != n_images:
                raise ValueError(
                    f"dataset.{name} has {_num_samples(images)} entries, but dataset.target has {n_images}."
                )
            return images
    raise ValueError(
        f"The dataset, a {type(dataset).__name__}, has neither 'images' nor 'paths' nor 'data': give one of them, "
        "with one entry per image, beside 'target', in a dict or a Bunch such as loaders return."
    )
