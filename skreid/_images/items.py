"""Images of a data set or a stream, taken from it one by one: `Items` by position, `items_of` in the order they come.

Neither reads ahead, so that what is behind them may be larger than memory.
"""

from skreid._images.forms import Unreadable, is_image, one_image


class Items:
    """The images of an object with a length and positions, such as a torch Dataset or a column of images.

    Parameters
    ----------
    source : object with `__len__` and `__getitem__`
        Its items are images, or tuples of an image and labels, which are left out.
    places : sequence of int, optional
        Positions of the images in `source`; None for all of them.
    """

    def __init__(self, source, places=None):
        self._source, self._places = source, range(len(source)) if places is None else places

    def __len__(self):
        return len(self._places)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[i] for i in range(len(self))[index]]
        try:
            return one_image(self._source[self._places[index]])
        except Exception as error:  # a data set's own code may raise anything
            reason = str(error) or type(error).__name__
            return Unreadable(f"could not be read from the {type(self._source).__name__} ({reason})")

    def __iter__(self):
        return map(self.__getitem__, range(len(self)))

    def take(self, places):
        """Return the images at these positions."""
        return Items(self._source, [self._places[i] for i in places])


def is_loader(X):
    """Return whether an object is a torch DataLoader, without importing torch."""
    return hasattr(X, "batch_sampler") and hasattr(X, "collate_fn")


def items_of(X):
    """Return an iterator over the images of an iterable; batches are taken apart, and labels left out.

    Raises
    ------
    ValueError
        If it is a DataLoader that shuffles images, or drops some: nobody could say which descriptor is whose.
    """
    if is_loader(X):
        _check_loader(X)
    lists_are_batches = is_loader(X) and X.batch_size is not None
    return (one_image(item) for batch in X for item in _images_of_batch(batch, lists_are_batches))


def _check_loader(loader):
    if "Random" in type(loader.sampler).__name__:
        raise ValueError(
            "Got a DataLoader that shuffles as X, so nobody could say which descriptor belongs to which image: make "
            "it with shuffle=False."
        )
    if loader.drop_last:
        raise ValueError(
            "Got a DataLoader with drop_last=True as X, which would leave out the last images: make it with "
            "drop_last=False."
        )


def _images_of_batch(batch, lists_are_batches):
    """Return the images of one item of an iterable, with or without labels."""
    if getattr(batch, "ndim", 0) == 4:
        return list(batch)
    if isinstance(batch, (tuple, list)) and batch:
        images = batch[0]
        if getattr(images, "ndim", 0) == 4:
            return list(images)
        if lists_are_batches:
            transposed = isinstance(images, (tuple, list)) and all(map(is_image, images))
            return images if transposed else batch
    return [batch]
