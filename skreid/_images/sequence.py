"""X in any form it may arrive, as a sequence of images: a checked stack (one array), or a list.

No torch here: networks and hand-crafted descriptors accept the same X.
"""

import os
from collections.abc import Mapping

import numpy as np
from PIL import Image

EXPECTED = (
    "X must be an array of shape (n, height, width, 3) or (n, height, width), uint8 or float in [0, 1], "
    "or a sequence of such images, PIL images or file paths"
)


def as_sequence(X):
    """Return X as a numeric array of 3 or 4 dimensions, or as a list of images; refuse anything else."""
    if isinstance(X, (str, os.PathLike, Image.Image)):
        raise ValueError(f"Got a single image ({X!r}) as X. {EXPECTED}: put it in a list.")
    if hasattr(X, "to_numpy"):  # a pandas or polars column of paths
        X = X.to_numpy()
    X = from_torch(X)
    if isinstance(X, Mapping):
        raise ValueError(f"Got X of type {type(X).__name__}. {EXPECTED}: pass one of its values.")
    if not isinstance(X, np.ndarray):
        try:
            X = list(X)
        except TypeError:
            raise ValueError(f"Got X of type {type(X).__name__}. {EXPECTED}.") from None
    elif X.dtype.kind in "OUT":
        if X.ndim == 2 and X.shape[1] > 1 and X.size and isinstance(X[0, 0], (str, os.PathLike)):
            raise ValueError(f"Got a table of {X.shape[1]} columns as X. {EXPECTED}: pass its column of paths.")
        X = list(X.ravel() if X.ndim <= 2 else X)  # a column of paths; or images in an array of objects
    elif X.ndim == 0:
        raise ValueError(f"Got a single number, {X}, as X. {EXPECTED}.")
    if len(X) == 0:
        raise ValueError(f"Found array with 0 sample(s): X is empty. {EXPECTED}.")
    if isinstance(X, np.ndarray):
        return _checked_stack(X)
    return X


def from_torch(X):
    """Return a torch tensor as an array, and anything else unchanged, without importing torch."""
    if not (hasattr(X, "detach") and hasattr(X, "numpy")):
        return X
    return (X.float() if str(X.dtype) == "torch.bfloat16" else X).numpy(force=True)  # numpy has no bfloat16


def _checked_stack(X):
    """Return an array of images with shape (n, H, W) or (n, H, W, 3), uint8 or float."""
    shape = f"Got an array of shape {X.shape}. {EXPECTED}"
    if X.ndim not in (3, 4):
        raise ValueError(f"{shape}.")
    if X.ndim == 4 and X.shape[-1] not in (1, 3):
        hint = "; move the channels last, np.moveaxis(X, 1, -1)" if X.shape[1] in (1, 3) else ""
        raise ValueError(f"{shape}{hint}.")
    if X.ndim == 3 and X.shape[-1] in (3, 4) and X.shape[1] > 4:
        raise ValueError(f"{shape}. This looks like one colour image: pass X[None].")
    if 0 in X.shape:
        raise ValueError(f"{shape}, without empty axes.")
    if X.dtype != np.uint8 and X.dtype.kind != "f":
        raise ValueError(f"Got an array of dtype {X.dtype}. {EXPECTED}. {dtype_hint(X)}")
    return X[..., 0] if X.ndim == 4 and X.shape[-1] == 1 else X


def dtype_hint(image):
    """Return how to convert pixels of a wrong type, for the end of an error message."""
    if np.issubdtype(image.dtype, np.integer) and image.min() >= 0 and image.max() <= 255:
        return "Its values fit: use .astype(np.uint8)."
    return "Scale it to one of these types."
