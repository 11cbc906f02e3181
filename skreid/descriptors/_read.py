"""Images as the descriptors take them: (H, W, 3) uint8 RGB arrays of a chosen size.

The worker that describes an image reads it, one at a time: a folder larger than memory works.
"""

from numbers import Integral

import numpy as np
from PIL import Image

from skreid._images.decode import load


def read_image(x, index=0):
    """Read one image, whatever it is, as 8-bit RGB.

    Parameters
    ----------
    x : str, Path, PIL image or array-like of shape (H, W, 3), (H, W, 1) or (H, W)
        Arrays are uint8, or float in [0, 1] (rounded to 8 bits). Grey images get three equal channels.
    index : int, default=0
        Position of the image in the call, named in errors.

    Returns
    -------
    ndarray of shape (H, W, 3), uint8
        Red, green, blue in [0, 255].

    Raises
    ------
    ImageError
        If the image cannot be read or its values are no picture; its place or path is named.

    Examples
    --------
    >>> import numpy as np
    >>> read_image(np.full((2, 2), 0.5))[0, 0]
    array([128, 128, 128], dtype=uint8)
    """
    image = load(x, index)
    if image.dtype != np.uint8:
        image = np.rint(image.astype(np.float64) * 255).astype(np.uint8)
    return image if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2)


def resize_image(image, size, resample):
    """Resize with Pillow's antialiased filters; an image that already has the size is returned as it is."""
    height, width = size
    if image.shape[:2] == (height, width):
        return image
    return np.asarray(Image.fromarray(image).resize((width, height), resample))


def check_input_size(input_size, owner, name="input_size"):
    """``(height, width)`` as two positive ints, or None; a ValueError in scikit-learn's words otherwise."""
    if input_size is None:
        return None
    size = tuple(input_size)
    if len(size) != 2 or not all(isinstance(s, Integral) and not isinstance(s, bool) and s >= 1 for s in size):
        raise ValueError(
            f"The {name!r} parameter of {owner} must be None or (height, width), two ints in the range "
            f"[1, inf). Got {input_size!r} instead."
        )
    return int(size[0]), int(size[1])
