"""The check of X in estimators of descriptors: scikit-learn's own, on whatever `skreid._base.arrays` takes.

Apart from it, because figures need neither estimators nor scikit-learn.
"""

import numpy as np
from sklearn.utils.validation import validate_data

from skreid._base.arrays import as_array, unwrapped
from skreid._base.missing import missing


def validate_table(estimator, X, **options):
    """Return X as scikit-learn's `validate_data` does, after `unwrapped`; refuse text, dates and pandas.NA by name.

    With ``ensure_min_samples=0``, an empty list is a table without rows.
    """
    X = unwrapped(X, "X")
    try:
        entries = np.asarray(X)
    except ValueError:  # rows of different lengths, which scikit-learn refuses
        entries = np.empty(())
    if entries.shape == (0,) and options.get("ensure_min_samples") == 0:
        X = np.empty((0, estimator.n_features_in_))
    text = entries.dtype.kind == "O" and any(isinstance(value, (str, bytes)) for value in entries.flat)
    if text or entries.dtype.kind in "USTmM":
        as_array(X, "X")
    try:
        return validate_data(estimator, X, **options)
    except TypeError:
        if entries.dtype.kind == "O" and entries.ndim and any(map(missing, entries.flat)):
            as_array(X, "X")
        raise
