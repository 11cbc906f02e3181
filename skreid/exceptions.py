"""The exceptions that skreid raises, which of them to catch, and its warnings.

skreid has one public exception of its own, :class:`ImageError`; all others are Python's and scikit-learn's::

    Exception
    ├── ValueError                a parameter, label, array or file has a bad value
    │   ├── ImageError            one image cannot be used; ``error.index`` is its position in ``X``
    │   └── NotFittedError        (sklearn.exceptions) the estimator has to be fitted first
    ├── TypeError                 an argument is the wrong kind of object, such as a model without ``transform``
    ├── ArithmeticError
    │   └── FloatingPointError    training or a network produced NaN or infinity
    ├── IndexError                a gallery was asked for an image that it does not have
    ├── ImportError               an optional package is missing; the message says what to install
    ├── RuntimeError              another training uses the same checkpoint folder
    └── OSError                   a file or folder cannot be read or written
        ├── FileExistsError       a file is to be written where a folder, pipe or device is
        ├── FileNotFoundError     a data set, table, gallery or folder for results does not exist
        ├── NotADirectoryError    the checkpoint folder is a file
        └── PermissionError       the checkpoint folder cannot be written to

Every message says what is wrong, what is allowed, what was given, and where it helps, what to do. To leave out images
that cannot be used, catch `ImageError` and drop the image at its `index`.

Three warnings have classes of their own, so that they can be filtered: :class:`SeenIdentitiesWarning`,
:class:`MeasureWarning` and :class:`WeightsWarning`. All others are `UserWarning`.
"""

__all__ = ["ImageError", "MeasureWarning", "SeenIdentitiesWarning", "WeightsWarning"]


class SeenIdentitiesWarning(UserWarning):
    """A score is of people that the estimator was fitted on, so it is too high.

    Identities are compared by their labels alone. A score of as many images of each identity as in the training is
    taken for a training score, and does not warn.

    Examples
    --------
    >>> import warnings
    >>> from skreid.exceptions import SeenIdentitiesWarning
    >>> warnings.filterwarnings("error", category=SeenIdentitiesWarning)  # refuse such scores
    """


class MeasureWarning(UserWarning):
    """Descriptors are ranked by another measure than the system that they come from ranks by.

    Examples
    --------
    >>> import warnings
    >>> from skreid.exceptions import MeasureWarning
    >>> warnings.filterwarnings("error", category=MeasureWarning)  # refuse such rankings
    """


class WeightsWarning(UserWarning):
    """A file of initial weights holds several networks that fit the backbone; the message says which was taken.

    Examples
    --------
    >>> import warnings
    >>> from skreid.exceptions import WeightsWarning
    >>> warnings.filterwarnings("error", category=WeightsWarning)  # refuse such files
    """


class ImageError(ValueError):
    """An image cannot be used.

    The message names the image, says what is wrong with it and what was expected.

    Parameters
    ----------
    index : int
        Position of the image in `X`.
    message : str
        The reason.

    Attributes
    ----------
    index : int
        Position of the image in `X`.

    Examples
    --------
    >>> import numpy as np
    >>> from skreid.descriptors import LOMO
    >>> from skreid.exceptions import ImageError
    >>> images = [np.zeros((128, 48, 3), np.uint8), np.full((128, 48, 3), 7.0)]
    >>> try:
    ...     LOMO().transform(images)
    ... except ImageError as error:
    ...     print(error.index)
    1
    """

    def __init__(self, index, message):
        super().__init__(message)
        self.index = index

    def __reduce__(self):
        return type(self), (self.index, str(self))
