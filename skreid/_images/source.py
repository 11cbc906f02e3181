"""X as batches of RGB tensors of one size; errors name the image.

Files are decoded batch by batch, one batch ahead, so that a folder may be larger than memory.
"""

import copy
import hashlib
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from joblib import effective_n_jobs
from sklearn.utils import gen_batches

from skreid._images.batches import join, resize, stack_images, to_channels
from skreid._images.decode import bad_pixels, check_values, load
from skreid._images.items import Items
from skreid._images.sequence import as_sequence, refuse_empty
from skreid.exceptions import ImageError

CACHE_BYTES = 2 * 2**30  # decoded training images are kept in memory up to this size


class ImageSource:
    """The images of `X`, read in one size.

    Parameters
    ----------
    X : array of shape (n, height, width[, 3]), or images in any form that `as_sequence` takes
        uint8, or float in [0, 1]. A data set is read by one thread, since its code may not stand several.
    input_size : tuple of int or None
        Height and width to resize images to (bilinear, antialiased); None takes those of the first image.
    n_jobs : int or None
        Decoding threads, as in joblib.
    on_error : {"raise", "nan"}
        Whether an image that cannot be used raises an error, or is read as black and listed in `unusable`.

    Attributes
    ----------
    size : tuple of int
        Height and width of the images that are read.
    unusable : dict of int to str
        Index in `X` -> reason, for each unusable image read so far.

    Raises
    ------
    ValueError
        If `X` is in none of the accepted forms, or empty and without an `input_size`.
    """

    def __init__(self, X, input_size=None, n_jobs=None, on_error="raise"):
        self._images = as_sequence(X)
        self._places = range(len(self._images))  # index of each image in X, for errors
        self._threads = 1 if isinstance(self._images, Items) else effective_n_jobs(n_jobs)
        self._on_error = on_error
        self.unusable = {}
        self.size = tuple(input_size) if input_size is not None else self.first_size()

    def __len__(self):
        return len(self._images)

    def first_size(self):
        """Return the height and width of the first image, or of the first usable one with `on_error="nan"`."""
        refuse_empty(self)
        for place in range(len(self)):
            try:
                return self._load(place).shape[:2]
            except ImageError:
                if self._on_error == "raise" or place == len(self) - 1:
                    raise

    def _load(self, place):
        return load(self._images[place], self._places[place])

    def read(self, indices):
        """Return the images at `indices`.

        Parameters
        ----------
        indices : sequence of int or slice

        Returns
        -------
        batch : tensor of shape (n, 3, height, width), channels last in memory
            uint8, or float32 in [0, 1] if one of the images is a float array.

        Raises
        ------
        ImageError
            If an image cannot be used and `on_error` is "raise"; the first one is named.
        """
        places = range(len(self))[indices] if isinstance(indices, slice) else [int(i) for i in indices]
        if isinstance(self._images, np.ndarray):
            stack = self._images[indices]
            for bad in bad_pixels(stack):
                place = self._places[places[bad]]
                try:
                    check_values(stack[bad], place, f"image {place}")
                except ImageError as error:
                    self._note(error)
                    stack = np.array(stack)  # the caller's pixels do not change
                    stack[bad] = 0
            return resize(to_channels(stack), self.size)  # (n, 3, H, W)
        if not places:
            return torch.empty(0, 3, *self.size, dtype=torch.uint8)
        if self._threads > 1 and len(places) > 1:
            with ThreadPoolExecutor(self._threads) as pool:
                images = list(pool.map(self._read_one, places))
        else:
            images = [self._read_one(place) for place in places]
        return stack_images(images)

    def _read_one(self, place):
        try:
            return resize(to_channels(self._load(place)[None]), self.size)
        except ImageError as error:
            self._note(error)
            return torch.zeros(1, 3, *self.size, dtype=torch.uint8)

    def _note(self, error):
        if self._on_error == "raise":
            raise error
        self.unusable[error.index] = str(error)

    def take(self, places):
        """Return a source of the images at these positions, which raises if one of them has become unusable since."""
        chosen = copy.copy(self)
        chosen._places = [self._places[i] for i in places]
        chosen._on_error = "raise"
        if isinstance(self._images, np.ndarray):
            chosen._images = self._images[places]
        elif isinstance(self._images, Items):
            chosen._images = self._images.take(places)
        else:
            chosen._images = [self._images[i] for i in places]
        chosen.unusable = {}
        return chosen

    def usable(self, consequence):
        """Read all images, warn about those that cannot be used, and return the indices of the others.

        Parameters
        ----------
        consequence : str
            What happens to the unusable images, for the warning: "left out of training".

        Raises
        ------
        ValueError
            If no image can be used.
        """
        for _ in self.batches(256):
            pass
        if len(self.unusable) == len(self):
            raise ValueError(f"None of the {len(self)} images can be used: {'; '.join(self.unusable.values())}")
        self.warn_unusable(consequence)
        return np.setdiff1d(np.arange(len(self)), list(self.unusable))

    def warn_unusable(self, consequence):
        """Warn once about all unusable images read so far: how many, which, and what happens to them."""
        if self.unusable:
            reasons = "; ".join(self.unusable[place] for place in sorted(self.unusable))
            warnings.warn(
                f"{len(self.unusable)} of {len(self)} images cannot be used and are {consequence}: {reasons}",
                stacklevel=4,
            )

    def batches(self, batch_size, order=None):
        """Yield the images, or those at the indices of `order`, in batches of `batch_size`; at least one batch."""
        n_images = len(self) if order is None else len(order)
        parts = list(gen_batches(n_images, batch_size)) if n_images else [slice(0, 0)]
        if order is not None:
            parts = [order[part] for part in parts]
        yield from self.read_ahead(parts)

    def read_ahead(self, parts):
        """Yield the images of each part (indices or a slice), while a thread reads the next part."""
        with ThreadPoolExecutor(1) as reader:
            ahead = reader.submit(self.read, parts[0])
            for part in parts[1:]:
                batch, ahead = ahead.result(), reader.submit(self.read, part)
                yield batch
            yield ahead.result()

    def cached(self, limit=CACHE_BYTES):
        """Return this source decoded into memory if that takes at most `limit` bytes, else the source itself."""
        first = self.read([0])
        if first.numel() * first.element_size() * len(self) > limit:
            return self
        images = join(self.batches(256))
        return ImageSource(images.permute(0, 2, 3, 1).numpy(), self.size)

    def digest(self):
        """Return a SHA-256 of all pixels as read: equal if and only if the network sees the same images."""
        sha = hashlib.sha256(repr((len(self), self.size)).encode())
        for batch in self.batches(256):
            pixels = batch.permute(0, 2, 3, 1).contiguous().numpy()
            sha.update(f"{pixels.dtype}".encode())
            sha.update(pixels)
        return sha.hexdigest()
