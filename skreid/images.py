"""Every way images may arrive, as one thing: batches of equal-sized RGB tensors, or an error naming the image.

Files are decoded a batch at a time and ahead of their use, so a folder may be larger than memory.
"""

import copy
import hashlib
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from joblib import effective_n_jobs
from PIL import Image, ImageOps

EXPECTED = (
    "X must be an array of shape (n, height, width, 3) or (n, height, width), uint8 or float in [0, 1], "
    "or a sequence of such images, PIL images or file paths"
)
CACHE_BYTES = 2 * 2**30  # decoded training images up to this size stay in memory


class ImageError(ValueError):
    """An image that cannot be used; the message names it and says what was expected.

    Attributes
    ----------
    index : int
        Its place in `X`.
    """

    def __init__(self, index, message):
        super().__init__(message)
        self.index = index

    def __reduce__(self):
        return type(self), (self.index, str(self))


class ImageSource:
    """The images of one `X`, read at one size.

    Parameters
    ----------
    X : array of shape (n, height, width[, 3]), or sequence of images, PIL images or paths
        uint8, or float in [0, 1].
    input_size : tuple of int or None
        Height and width every image is resized to (bilinear, antialiased); None takes the first image's.
    n_jobs : int or None
        Decoding threads, as in joblib.
    on_error : {"raise", "nan"}
        Whether an image that cannot be used raises, or is read as black and noted in `unusable`.

    Attributes
    ----------
    size : tuple of int
        Height and width of the images as read.
    unusable : dict of int to str
        Place -> reason of each unusable image met so far.

    Raises
    ------
    ValueError
        If `X` is empty or of no accepted form.
    """

    def __init__(self, X, input_size=None, n_jobs=None, on_error="raise"):
        self._images = _as_sequence(X)
        self._threads = effective_n_jobs(n_jobs)
        self._forgiving = on_error == "nan"
        self.unusable = {}
        self.size = tuple(input_size) if input_size is not None else _load(self._images[0], 0).shape[:2]

    def __len__(self):
        return len(self._images)

    def read(self, indices):
        """Read some images.

        Parameters
        ----------
        indices : sequence of int or slice

        Returns
        -------
        batch : tensor of shape (n, 3, height, width), channels last in memory
            uint8, or float32 in [0, 1] where the images are floats.

        Raises
        ------
        ImageError
            Naming the first image that cannot be used.
        """
        places = range(len(self))[indices] if isinstance(indices, slice) else [int(i) for i in indices]
        if isinstance(self._images, np.ndarray):
            stack = self._images[indices]
            for bad in _bad_pixels(stack):
                try:
                    _check_values(stack[bad], places[bad], f"image {places[bad]}")
                except ImageError as error:
                    self._note(error)
                    stack = np.array(stack)  # the caller's own pixels stay
                    stack[bad] = 0
            return _resize(_to_channels(stack), self.size)  # (n, 3, H, W)
        if self._threads > 1 and len(places) > 1:
            with ThreadPoolExecutor(self._threads) as pool:
                frames = list(pool.map(self._read_one, places))
        else:
            frames = [self._read_one(place) for place in places]
        if len({frame.dtype for frame in frames}) > 1:
            frames = [to_unit(frame) for frame in frames]
        return torch.cat(frames).contiguous(memory_format=torch.channels_last)

    def _read_one(self, place):
        try:
            return _resize(_to_channels(_load(self._images[place], place)[None]), self.size)
        except ImageError as error:
            self._note(error)
            return torch.zeros(1, 3, *self.size, dtype=torch.uint8)

    def _note(self, error):
        if not self._forgiving:
            raise error
        self.unusable[error.index] = str(error)

    def take(self, places):
        """Return a source of some of the images only."""
        chosen = copy.copy(self)
        chosen._images = (
            self._images[places] if isinstance(self._images, np.ndarray) else [self._images[i] for i in places]
        )
        chosen.unusable = {}
        return chosen

    def usable(self, consequence):
        """Read all images once; warn of those that cannot be used and return the places of the others."""
        for _ in self.batches(256):
            pass
        self.warn_unusable(consequence)
        return np.setdiff1d(np.arange(len(self)), list(self.unusable))

    def warn_unusable(self, consequence):
        """Warn once of all unusable images met: how many, which, and what becomes of them."""
        if self.unusable:
            named = "; ".join(self.unusable[place] for place in sorted(self.unusable))
            warnings.warn(
                f"{len(self.unusable)} of {len(self)} images cannot be used and are {consequence}: {named}",
                stacklevel=4,
            )

    def batches(self, batch_size, order=None):
        """Yield the images, or those of `order`, `batch_size` at a time."""
        count = len(self) if order is None else len(order)
        parts = [slice(start, min(start + batch_size, count)) for start in range(0, count, batch_size)]
        if order is not None:
            parts = [order[part] for part in parts]
        yield from self.read_ahead(parts)

    def read_ahead(self, parts):
        """Yield the images of each part (indices or slice), reading the next one meanwhile."""
        with ThreadPoolExecutor(1) as reader:
            ahead = reader.submit(self.read, parts[0])
            for part in parts[1:]:
                batch, ahead = ahead.result(), reader.submit(self.read, part)
                yield batch
            yield ahead.result()

    def cached(self, limit=CACHE_BYTES):
        """Return this source decoded into memory if it takes at most `limit` bytes, else itself."""
        first = self.read([0])
        if first.numel() * first.element_size() * len(self) > limit:
            return self
        frames = torch.cat(list(self.batches(256)))
        return ImageSource(frames.permute(0, 2, 3, 1).numpy(), self.size)

    def digest(self):
        """Return a SHA-256 of all pixels as read: equal exactly when the network would see the same."""
        sha = hashlib.sha256(repr((len(self), self.size)).encode())
        for batch in self.batches(256):
            pixels = batch.permute(0, 2, 3, 1).contiguous().numpy()
            sha.update(f"{pixels.dtype}".encode())
            sha.update(pixels)
        return sha.hexdigest()


def _as_sequence(X):
    """Return X as a numeric array of 3 or 4 dimensions or a list of images; refuse anything else."""
    if isinstance(X, (str, os.PathLike, Image.Image)):
        raise ValueError(f"Got a single image ({X!r}) as X. {EXPECTED}: put it in a list.")
    if hasattr(X, "to_numpy"):  # a pandas or polars column of paths
        X = X.to_numpy()
    if isinstance(X, torch.Tensor):
        X = X.numpy(force=True)
    if not isinstance(X, np.ndarray):
        try:
            X = list(X)
        except TypeError:
            raise ValueError(f"Got X of type {type(X).__name__}. {EXPECTED}.") from None
    elif X.dtype.kind in "OUT":
        X = list(X.ravel())
    if len(X) == 0:
        raise ValueError(f"Found array with 0 sample(s): X is empty. {EXPECTED}.")
    if isinstance(X, np.ndarray):
        return _checked_stack(X)
    return X


def _checked_stack(X):
    """Return an array of images as uint8 or float32, (n, H, W) or (n, H, W, 3)."""
    if X.ndim == 4 and X.shape[-1] == 1:
        X = X[..., 0]
    shape = f"Got an array of shape {X.shape}. {EXPECTED}"
    if X.ndim not in (3, 4):
        raise ValueError(f"{shape}.")
    if X.ndim == 4 and X.shape[-1] != 3:
        hint = "; move the channels last, np.moveaxis(X, 1, -1)" if X.shape[1] in (1, 3) else ""
        raise ValueError(f"{shape}{hint}.")
    if X.ndim == 3 and X.shape[-1] in (3, 4) and X.shape[1] > 4:
        raise ValueError(f"{shape}. This looks like one colour image: pass X[None].")
    if 0 in X.shape:
        raise ValueError(f"{shape}, with no side of zero pixels.")
    if X.dtype != np.uint8 and X.dtype.kind != "f":
        raise ValueError(f"Got an array of dtype {X.dtype}. {EXPECTED}. {_dtype_hint(X)}")
    return X


def _dtype_hint(image):
    if np.issubdtype(image.dtype, np.integer) and image.min() >= 0 and image.max() <= 255:
        return "Its values fit: use .astype(np.uint8)."
    return "Scale it to one of the two."


def _load(image, index):
    """Return one image as a checked array of shape (H, W) or (H, W, 3), uint8 or float."""
    if isinstance(image, (str, os.PathLike)):
        return _open(Path(image), index)
    name = f"image {index}"
    if isinstance(image, Image.Image):
        return _from_pil(image, index, name)
    try:
        array = np.asarray(image)
    except ValueError as error:
        raise ImageError(index, f"{name} is not an array ({error}). {EXPECTED}.") from error
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[-1] != 3):
        raise ImageError(
            index,
            f"{name} has shape {array.shape}; expected (height, width) or (height, width, 3). {EXPECTED}.",
        )
    if array.size == 0:
        raise ImageError(index, f"{name} has shape {array.shape}: it holds no pixel.")
    if array.dtype != np.uint8 and array.dtype.kind != "f":
        raise ImageError(index, f"{name} has dtype {array.dtype}; expected uint8 or float in [0, 1]. "
                         + (_dtype_hint(array) if array.dtype.kind in "iu" else ""))  # fmt: skip
    _check_values(array, index, name)
    return array


def _bad_pixels(stack):
    """Return the places in a stack of the images with a value outside [0, 1]; uint8 has none."""
    if stack.dtype == np.uint8:
        return ()
    flat = stack.reshape(len(stack), -1)
    return np.flatnonzero(~((flat.min(axis=1) >= 0) & (flat.max(axis=1) <= 1)))  # NaN is not within either


def _check_values(array, index, name):
    if array.dtype == np.uint8:
        return
    if not np.isfinite(array).all():
        kind = "NaN" if np.isnan(array).any() else "inf"
        raise ImageError(index, f"{name} contains {kind}; float images must be finite and in [0, 1].")
    low, high = float(array.min()), float(array.max())
    if low < 0 or high > 1:
        hint = " Divide by 255, or pass uint8." if low >= 0 and high <= 255 else ""
        raise ImageError(index, f"{name} has values in [{low:g}, {high:g}]; float images must be in [0, 1].{hint}")


def _open(path, index):
    name = f"image {index} ('{path}')"
    if not path.exists():
        raise ImageError(index, f"{name} does not exist; paths are taken relative to {Path.cwd()}.")
    if path.is_dir():
        raise ImageError(index, f"{name} is a folder; give the paths of its files.")
    try:
        with Image.open(path) as image:
            return _from_pil(image, index, name)
    except ImageError:
        raise
    except Exception as error:  # Pillow's decoders raise anything on a damaged file
        raise ImageError(index, f"{name} could not be read as an image: {error}") from error


def _from_pil(image, index, name):
    """Return a PIL image as uint8 RGB: upright, first frame, 16 bits scaled to 8, alpha over black."""
    width, height = image.size
    if width * height == 0:
        raise ImageError(index, f"{name} is {width} x {height} pixels: it holds no pixel.")
    if Image.MAX_IMAGE_PIXELS and width * height > Image.MAX_IMAGE_PIXELS:
        raise ImageError(
            index,
            f"{name} is {width} x {height} pixels, over the limit of {Image.MAX_IMAGE_PIXELS:,} "
            "(PIL.Image.MAX_IMAGE_PIXELS) that guards against decompression bombs.",
        )
    if image.mode == "F":
        raise ImageError(index, f"{name} holds 32-bit floats; save it with 8 or 16 bits a channel.")
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # 16-bit greys, which Pillow's own conversion would clip to white
        greys = np.asarray(image).astype(np.int64)
        image = Image.fromarray((np.clip(greys, 0, 65535) // 257).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    return np.asarray(image.convert("RGB"))


def _to_channels(stack):
    """Turn a checked stack (n, H, W[, 3]) into a tensor (n, 3, H, W), channels last in memory."""
    if stack.dtype != np.uint8:
        stack = stack.astype(np.float32, copy=False)
    if stack.ndim == 3:
        stack = np.repeat(stack[..., None], 3, axis=-1)
    if not stack.flags.writeable:  # torch warns of read-only memory; a copy of one batch is cheap
        stack = stack.copy()
    return torch.from_numpy(np.ascontiguousarray(stack)).permute(0, 3, 1, 2)


def to_unit(batch):
    """Return a batch as `ImageSource.read` gives it as float32 in [0, 1]."""
    return batch.float().div_(255) if batch.dtype == torch.uint8 else batch


def _resize(batch, size):
    if tuple(batch.shape[-2:]) == tuple(size):
        return batch
    resized = F.interpolate(batch, size=tuple(size), mode="bilinear", antialias=True)
    if resized.dtype != torch.uint8:
        resized = resized.clamp_(0, 1)
    return resized.contiguous(memory_format=torch.channels_last)
