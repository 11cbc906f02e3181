"""The images of X in chunks, in bounded memory: read when they are asked for, and kept until they are described."""

from itertools import count, islice

from skreid._images.items import Items
from skreid._images.sequence import as_source, refuse_single


def listed(X):
    """Return X as an array, table, list, tuple, `Items` or iterator; refuse what is not several images.

    Arrays and tables stay what they are: what describes them may take descriptors rather than images.
    """
    refuse_single(X)
    return X if len(getattr(X, "shape", ())) else as_source(X)


def count_images(X):
    """Return the number of images, or None of an iterator."""
    return len(X) if hasattr(X, "__len__") else None


def is_read_once(X):
    """Return whether images come from a data set or an iterator, and are compared by chunk, as they are read."""
    return isinstance(X, Items) or not hasattr(X, "__len__")


class Chunks:
    """The chunks of X that are not described yet: an iterator that may be started again after a worker died.

    Parameters
    ----------
    X : array, table, list, tuple, `Items` or iterator
        As `listed` returns it.
    batch_size : int
        Images per chunk.
    is_done : callable
        ``is_done(start, read)`` -> whether the chunk at a position is described already; ``read()`` returns its images.
    progress : callable
        ``progress(n)`` is called with the number of images in a chunk that is.

    Attributes
    ----------
    waiting : dict of int to images
        Chunks that were given out and are not finished: position of the first image -> images.
    n_images : int
        Images read so far; in the end, all.
    error : Exception or None
        What an iterator raised instead of its next image.
    n_finished : int
        Chunks that are described.
    """

    def __init__(self, X, batch_size, is_done, progress):
        self.waiting, self.n_images, self.n_finished, self.error = {}, 0, 0, None
        self._ended = False
        self._is_done, self._progress = is_done, progress
        self._chunks = _cut(X, batch_size)

    def __iter__(self):
        """Yield (start, images): those that are waiting, then new ones."""
        yield from list(self.waiting.items())
        try:
            for start, stop, read in self._chunks:
                self.n_images = stop
                if self._is_done(start, read):
                    self._progress(stop - start)
                    continue
                self.waiting[start] = read()
                yield start, self.waiting[start]
        except Exception as error:  # joblib calls this in threads of its own, where errors are lost
            self.error = error
        self._ended = True

    @property
    def exhausted(self):
        """Whether all images have been read and described."""
        return self._ended and not self.waiting

    def finish(self, start):
        """Forget the images of a chunk that is described."""
        del self.waiting[start]
        self.n_finished += 1


def _cut(X, batch_size):
    """Yield (start, stop, read) of each chunk; of an iterator, a chunk has been read when it is yielded."""
    if hasattr(X, "__len__"):
        for start in range(0, len(X), batch_size):
            stop = min(start + batch_size, len(X))
            yield start, stop, lambda start=start, stop=stop: _rows(X, start, stop)
        return
    for start in count(0, batch_size):
        images = list(islice(X, batch_size))
        if not images:
            return
        yield start, start + len(images), lambda images=images: images


def _rows(X, start, stop):
    return X.iloc[start:stop] if hasattr(X, "iloc") else X[start:stop]
