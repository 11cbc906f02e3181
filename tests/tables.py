"""One adapter from tables to images, so that scikit-learn's estimator checks run on estimators of images."""

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted, validate_data

PICTURE = (12, 8, 3)


class TakesTables(TransformerMixin):
    """Mixin before an estimator of images: each row of a table becomes a small picture."""

    def fit(self, X, y=None, **fit_params):
        """Fit on rows."""
        return super().fit(self._pictures(X, reset=True), y, **fit_params)

    def transform(self, X):
        """Describe rows."""
        if self.__sklearn_tags__().requires_fit:
            check_is_fitted(self)
        transform = super().transform.__wrapped__  # set_output must see the table, not the pictures
        return transform(self, self._pictures(X, reset=False))

    def get_feature_names_out(self, input_features=None):
        """Return the names, after checking those of the columns."""
        _check_feature_names_in(self, input_features, generate_names=False)
        return super().get_feature_names_out()

    def _pictures(self, X, reset):
        rows = validate_data(self, X, reset=reset, dtype=np.float64)
        greys = 1 / (1 + np.exp(-np.clip(rows, -30, 30)))  # any value -> (0, 1)
        return np.stack([np.resize(row, PICTURE) for row in greys])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.three_d_array = False
        tags.input_tags.string = False
        return tags
