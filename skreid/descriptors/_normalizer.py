"""Centre on the training mean and scale to unit length, block by block: the step between GOG and a metric.

scikit-learn's `StandardScaler(with_std=False)` and `Normalizer` would scale all blocks together.
"""

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin, _fit_context
from sklearn.utils.validation import FLOAT_DTYPES, check_is_fitted

from skreid._base.checks import is_int
from skreid._base.tables import validate_table


class CenteredNormalizer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Subtract the training mean, then scale each block of each row to unit Euclidean length.

    Parameters
    ----------
    block_sizes : sequence of int or None, default=None
        Lengths of consecutive blocks, which add up to the number of features; see ``GOG.block_sizes``. With
        None, all features are one block.

    Attributes
    ----------
    mean_ : ndarray of shape (n_features,)
        Mean of the training rows.
    n_features_in_ : int
        Number of features seen during `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if `X` had names that are all strings.

    See Also
    --------
    GOG : The descriptor it is used with.

    Notes
    -----
    A block that equals the training mean has no direction and stays zero.

    Examples
    --------
    >>> from skreid.descriptors import CenteredNormalizer
    >>> CenteredNormalizer(block_sizes=[2, 1]).fit_transform([[0, 0, 1], [6, 8, 5]])
    array([[-0.6, -0.8, -1. ],
           [ 0.6,  0.8,  1. ]])
    """

    _parameter_constraints = {"block_sizes": ["array-like", None]}  # noqa: RUF012 - scikit-learn's convention

    def __init__(self, block_sizes=None):
        self.block_sizes = block_sizes

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Learn the mean.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training descriptors.
        y : ignored
            Not used, present for API consistency.

        Returns
        -------
        self : object
            The fitted normalizer.

        Raises
        ------
        ValueError
            If `block_sizes` does not add up to the number of features.
        """
        X = validate_table(self, X, dtype=FLOAT_DTYPES)
        self._block_starts(X.shape[1])
        self.mean_ = X.mean(axis=0, dtype=np.float64)
        return self

    def transform(self, X):
        """Centre, and scale each block to unit length.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Descriptors.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            Of the floating type of `X`.
        """
        check_is_fitted(self)
        X = validate_table(self, X, dtype=FLOAT_DTYPES, reset=False, ensure_min_samples=0)
        centred = X - self.mean_.astype(X.dtype)
        starts = self._block_starts(X.shape[1])
        for start, stop in zip(starts, [*starts[1:], X.shape[1]], strict=True):
            block = centred[:, start:stop]
            norm = np.linalg.norm(block, axis=1, keepdims=True)
            rounding = 4 * np.finfo(X.dtype).eps * np.linalg.norm(X[:, start:stop], axis=1, keepdims=True)
            block[norm[:, 0] <= rounding[:, 0]] = 0
            block /= np.where(norm > rounding, norm, 1)
        return centred

    def _block_starts(self, n_features):
        if self.block_sizes is None:
            return [0]
        sizes = list(self.block_sizes)
        if not all(is_int(size) for size in sizes) or sum(sizes) != n_features:
            raise ValueError(
                "The 'block_sizes' parameter of CenteredNormalizer must hold positive ints that add up to "
                f"{n_features}, the number of features. Got {self.block_sizes!r} instead."
            )
        return np.concatenate([[0], np.cumsum(sizes)[:-1]]).tolist()

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
