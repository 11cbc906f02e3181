"""Shared by all hand-crafted descriptors: no state, parallel work over images, errors that name the image.

A subclass has the parameters `input_size`, `n_jobs` and `verbose`; `_describe` says how one image becomes a vector.
"""

from abc import ABCMeta, abstractmethod
from numbers import Integral

import numpy as np
from joblib import effective_n_jobs
from joblib.parallel import get_active_backend
from PIL.Image import Resampling
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.exceptions import NotFittedError
from sklearn.utils import gen_batches
from sklearn.utils.parallel import Parallel, delayed

from skreid._base.bars import progress_bar
from skreid._base.checks import check_frame_size, warn_if_swapped
from skreid._images.docs import fill_images
from skreid._images.sequence import as_sequence, refuse_empty
from skreid.descriptors._read import read_image, resize_image

_CHUNK = 32  # images per task: long enough to hide joblib's overhead, short enough to balance the workers


class ImageDescriptor(TransformerMixin, BaseEstimator, metaclass=ABCMeta):
    """Base of the stateless image descriptors (not for direct use)."""

    _parameter_constraints = {  # noqa: RUF012 - scikit-learn's convention
        "input_size": "no_validation",  # see _frame_size
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }
    verbose = 0  # of descriptors saved before they had this parameter
    _may_keep_size = True  # whether input_size may be None
    _resampling = Resampling.BILINEAR

    @_fit_context(prefer_skip_nested_validation=True)
    @fill_images
    def fit(self, X, y=None):
        """Check the parameters and store the size of the first image; nothing is learned.

        Parameters
        ----------
        %(images)s
        y : ignored
            Not used, present for API consistency.

        Returns
        -------
        self : object
            The descriptor itself.
        """
        self._check_settings()
        images = as_sequence(X)
        refuse_empty(images)
        self.image_shape_ = self._first_of(images).shape[:2]
        return self

    @fill_images
    def transform(self, X):
        """Describe each image.

        Parameters
        ----------
        %(images)s
            The worker that describes a file reads it.

        Returns
        -------
        ndarray of shape (n_images, n_features_out), float32
            One row per image.

        Raises
        ------
        ValueError
            If an image cannot be read or has the wrong size; the message names its index or path.
        NotFittedError
            If `X` is empty, and the size of images, which decides the number of features, is unknown.
        """
        self._validate_params()
        self._check_settings()
        images = as_sequence(X)
        if not len(images):
            return self._describe_nothing()
        shape = self._first_of(images).shape[:2]
        expected = getattr(self, "image_shape_", shape)
        if shape != expected:
            raise ValueError(
                f"Image 0 is {_size(shape)}, but {type(self).__name__} was fitted on images of "
                f"{_size(expected)}; set input_size to resize them all."
            )
        n = len(images)
        chunk = max(1, min(_CHUNK, -(-n // effective_n_jobs(self.n_jobs))))
        streams = self.verbose and getattr(get_active_backend()[0], "supports_return_generator", True)
        calls = (delayed(_describe_chunk)(self, images[part], part.start, shape) for part in gen_batches(n, chunk))
        parts = []
        with progress_bar("Describing", "image", n, shown=self.verbose) as bar:
            for part in Parallel(n_jobs=self.n_jobs, return_as="generator" if streams else "list")(calls):
                parts.append(part)
                bar.update(len(part))
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _first_of(self, images):
        """Return the first image as it is described; warn if the sides of the frame seem to be swapped."""
        image, size = read_image(images[0], 0), self._frame_size()
        if size is not None:
            warn_if_swapped(size, image.shape[:2])
        return self._prepare(image, 0)

    def _describe_nothing(self):
        """Return the descriptors of no images, which are as wide as that of a black one."""
        size = self._frame_size() or getattr(self, "image_shape_", None)
        if size is None:
            raise NotFittedError(
                f"X is empty. The number of features of {type(self).__name__} depends on the image size: call fit, or "
                "set input_size."
            )
        black = self._prepare(np.zeros((*size, 3), np.uint8), 0)
        return np.empty((0, len(self._describe(black))), np.float32)

    def _check_settings(self):
        """Raise if a parameter is wrong in a way that `_parameter_constraints` cannot express."""
        self._frame_size()

    def _frame_size(self):
        """Return `input_size` as two ints, or None if images keep their own size."""
        return check_frame_size(self.input_size, "input_size", type(self).__name__, none=self._may_keep_size)

    def _prepare(self, image, index):
        """Return one uint8 image resized to `input_size`; a subclass may raise if it cannot be described."""
        size = self._frame_size()
        return image if size is None else resize_image(image, size, self._resampling)

    @abstractmethod
    def _describe(self, image):
        """Return the float vector of one prepared uint8 image (H, W, 3)."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _describe_chunk(descriptor, images, start, shape):
    """Read and describe a chunk of images, in a worker or in this process."""
    rows = []
    for index, x in enumerate(images, start):
        image = descriptor._prepare(read_image(x, index), index)
        if image.shape[:2] != shape:
            raise ValueError(
                f"Image {index} is {_size(image.shape)}, but image 0 is {_size(shape)}; all images of one "
                "call must have the same size: set input_size to resize them."
            )
        rows.append(descriptor._describe(image).astype(np.float32))
    return np.stack(rows)


def _size(shape):
    return f"{shape[0]}x{shape[1]} (height x width)"
