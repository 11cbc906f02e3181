"""Every way images may arrive, as one thing: batches of equal-sized RGB tensors, or an error naming the image.

Files are decoded a batch at a time and ahead of their use, so a folder may be larger than memory.
"""

import copy
import hashlib
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
import torch.nn.functional as F
from joblib import effective_n_jobs

from skreid._images.decode import as_sequence, bad_pixels, check_values, load
from skreid.exceptions import ImageError

CACHE_BYTES = 2 * 2**30  # decoded training images up to this size stay in memory


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
        self._images = as_sequence(X)
        self._places = range(len(self._images))  # what each is called in errors: its place in X
        self._threads = effective_n_jobs(n_jobs)
        self._forgiving = on_error == "nan"
        self.unusable = {}
        self.size = tuple(input_size) if input_size is not None else self._first_size()

    def __len__(self):
        return len(self._images)

    def _first_size(self):
        """Return the size of the first image (that can be used, if others may be passed over)."""
        for place in range(len(self)):
            try:
                return self._load(place).shape[:2]
            except ImageError:
                if not self._forgiving or place == len(self) - 1:
                    raise

    def _load(self, place):
        return load(self._images[place], self._places[place])

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
            for bad in bad_pixels(stack):
                place = self._places[places[bad]]
                try:
                    check_values(stack[bad], place, f"image {place}")
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
        return _stacked(frames)

    def _read_one(self, place):
        try:
            return _resize(_to_channels(self._load(place)[None]), self.size)
        except ImageError as error:
            self._note(error)
            return torch.zeros(1, 3, *self.size, dtype=torch.uint8)

    def _note(self, error):
        if not self._forgiving:
            raise error
        self.unusable[error.index] = str(error)

    def take(self, places):
        """Return a source of some of the images only, which has no patience with any that goes bad meanwhile."""
        chosen = copy.copy(self)
        chosen._places = [self._places[i] for i in places]
        chosen._forgiving = False
        chosen._images = (
            self._images[places] if isinstance(self._images, np.ndarray) else [self._images[i] for i in places]
        )
        chosen.unusable = {}
        return chosen

    def usable(self, consequence):
        """Read all images once; warn of those that cannot be used and return the places of the others.

        Raises
        ------
        ValueError
            If there are no others.
        """
        for _ in self.batches(256):
            pass
        if len(self.unusable) == len(self):
            raise ValueError(f"None of the {len(self)} images can be used: {'; '.join(self.unusable.values())}")
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
        frames = join(self.batches(256))
        return ImageSource(frames.permute(0, 2, 3, 1).numpy(), self.size)

    def digest(self):
        """Return a SHA-256 of all pixels as read: equal exactly when the network would see the same."""
        sha = hashlib.sha256(repr((len(self), self.size)).encode())
        for batch in self.batches(256):
            pixels = batch.permute(0, 2, 3, 1).contiguous().numpy()
            sha.update(f"{pixels.dtype}".encode())
            sha.update(pixels)
        return sha.hexdigest()


def _to_channels(stack):
    """Turn a checked stack (n, H, W[, 3]) into a tensor (n, 3, H, W), channels last in memory."""
    if stack.dtype != np.uint8:
        stack = stack.astype(np.float32, copy=False)
    if stack.ndim == 3:
        stack = np.repeat(stack[..., None], 3, axis=-1)
    if not stack.flags.writeable:  # torch warns of read-only memory; a copy of one batch is cheap
        stack = stack.copy()
    # An axis of length 1 may have any stride; torch takes an odd one for another order, in which it resizes wrongly
    stack = np.ascontiguousarray(stack).ravel().reshape(stack.shape)
    return torch.from_numpy(stack).permute(0, 3, 1, 2)


def join(batches):
    """Return batches as one; uint8 and floats together become floats on one scale."""
    return torch.cat(_of_one_type(list(batches)))


def _of_one_type(batches):
    """Return batches as they are, or as floats on one scale if some are uint8 and some floats."""
    return [to_unit(batch) for batch in batches] if len({batch.dtype for batch in batches}) > 1 else batches


def _stacked(frames):
    """Return frames, (1, 3, height, width) each, as one batch, channels last in memory.

    By numpy: torch would start threads of its own in the thread that reads ahead, to contend with the network's.
    """
    stack = np.concatenate([frame.permute(0, 2, 3, 1).numpy() for frame in _of_one_type(frames)])
    return torch.from_numpy(stack).permute(0, 3, 1, 2)


def to_unit(batch):
    """Return a batch as `ImageSource.read` gives it as float32 in [0, 1]."""
    return batch.float().div_(255) if batch.dtype == torch.uint8 else batch


def to_device(batch, device):
    """Return a batch on a device; a GPU takes it from pinned memory, while the host goes on."""
    return batch.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else batch.to(device)


def _resize(batch, size):
    if tuple(batch.shape[-2:]) == tuple(size):
        return batch
    resized = F.interpolate(batch, size=tuple(size), mode="bilinear", antialias=True)
    if resized.dtype != torch.uint8:
        resized = resized.clamp_(0, 1)
    return resized.contiguous(memory_format=torch.channels_last)
