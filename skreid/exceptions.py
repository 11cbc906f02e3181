"""The errors that skreid raises under names of its own.

All other mistakes in arguments are plain ``ValueError`` or ``TypeError``, as in scikit-learn::

    Exception
    └── ValueError
        ├── ImageError          an image cannot be used; its place in X is in ``index``
        └── (a bad parameter, label, file or array; the message names it and says what to do)
"""

__all__ = ["ImageError"]


class ImageError(ValueError):
    """An image cannot be used; the message names it and says what was expected.

    Parameters
    ----------
    index : int
        Position of the image in `X`.
    message : str
        What is wrong with it.

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
