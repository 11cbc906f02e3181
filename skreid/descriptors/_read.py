"""Images as the descriptors use them: uint8 RGB arrays of shape (H, W, 3), in a chosen size.

The worker that describes an image reads it, one at a time, so that a folder may be larger than memory.
"""

import numpy as np
from PIL import Image

from skreid._images.decode import grey_to_rgb, load


def read_image(x, index=0):
    """Read one image as 8-bit RGB.

    Parameters
    ----------
    x : str, Path, PIL image or array-like of shape (H, W, 3), (H, W, 1) or (H, W)
        Arrays are uint8, or float in [0, 1] (rounded to 8 bits). Grey images get three equal channels.
    index : int, default=0
        Index of the image in `X`, for errors.

    Returns
    -------
    ndarray of shape (H, W, 3), uint8
        Red, green, blue in [0, 255].

    Raises
    ------
    ImageError
        If the image cannot be read, or its values are out of range; the message names its index or path.

    Examples
    --------
    >>> import numpy as np
    >>> read_image(np.full((2, 2), 0.5))[0, 0]
    array([128, 128, 128], dtype=uint8)
    """
    image = load(x, index)
    if image.dtype != np.uint8:
        image = np.rint(image.astype(np.float64) * 255).astype(np.uint8)
    return image if image.ndim == 3 else grey_to_rgb(image)


def resize_image(image, size, resample):
    """Resize with Pillow's antialiased filters; an image of this size is returned unchanged."""
    height, width = size
    if image.shape[:2] == (height, width):
        return image
    return np.asarray(Image.fromarray(image).resize((width, height), resample))
