"""Multi-scale Retinex: each colour relative to its neighbourhood, which evens out the light of different cameras.

It is the first step of LOMO's colour part. This is the published method: the source of LOMO's authors is closed.
"""

from functools import lru_cache

import numpy as np
from scipy.ndimage import gaussian_filter1d

SIGMAS = (5, 20)


def multiscale_retinex(image, sigmas=SIGMAS, spread=2.0):
    r"""Return the multi-scale Retinex of one image, stretched linearly to [0, 255].

    .. math:: r = \frac{1}{K} \sum_{k=1}^{K} \log(1 + I) - \log(1 + G_{\sigma_k} * I)

    for each colour channel, with equal weights of the scales and replicated borders. The mean of all three
    channels minus and plus `spread` standard deviations is mapped to 0 and 255; values beyond are clipped.
    Gain and offset are the same for all channels, which keeps their differences, and so the hue.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8
        Red, green, blue in [0, 255].
    sigmas : sequence of float, default=(5, 20)
        Standard deviations of the Gaussians, in pixels.
    spread : float, default=2.0
        Half the range that fills [0, 255], in standard deviations.

    Returns
    -------
    ndarray of shape (H, W, 3), float64
        In [0, 255]. A constant image is returned unchanged: it has no range to stretch.

    References
    ----------
    Jobson, Rahman and Woodell, "A multiscale retinex for bridging the gap between color images and the human
    observation of scenes", IEEE Transactions on Image Processing, 1997.
    """
    image = image.astype(np.float64)
    planes = np.moveaxis(image, -1, 0)  # (3, H, W)
    height, width = planes.shape[1:]
    surround = sum(np.log1p(_blur_matrix(height, sigma) @ planes @ _blur_matrix(width, sigma).T) for sigma in sigmas)
    reflectance = np.moveaxis(np.log1p(planes) - surround / len(sigmas), 0, -1)
    reach = spread * reflectance.std()
    if reach < 1e-9:
        return image
    return np.clip((reflectance - reflectance.mean() + reach) * (255 / (2 * reach)), 0, 255)


@lru_cache(maxsize=32)
def _blur_matrix(n, sigma):
    """Return the Gaussian filter along n pixels as a matrix: a wide blur is then two small products."""
    matrix = gaussian_filter1d(np.eye(n), sigma, axis=0, mode="nearest")
    matrix.setflags(write=False)
    return matrix
