"""Multi-scale Retinex: each colour against its own neighbourhood, so that two cameras' lights look alike.

It opens LOMO's colour part. The authors' own source is closed: this is the published method, not their code.
"""

from functools import lru_cache

import numpy as np
from scipy.ndimage import gaussian_filter1d

SIGMAS = (5, 20)


def multiscale_retinex(image, sigmas=SIGMAS):
    r"""Multi-scale Retinex of one image, stretched linearly to [0, 255].

    .. math:: r = \frac{1}{K} \sum_{k=1}^{K} \log(1 + I) - \log(1 + G_{\sigma_k} * I)

    for each colour channel, with equal weights of the scales and replicated borders. One gain and one offset
    for the three channels (their common minimum and maximum) bring it to [0, 255], so that hues survive.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8
        Red, green, blue in [0, 255].
    sigmas : sequence of float, default=(5, 20)
        Standard deviations of the Gaussians, in pixels.

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
    surround = sum(
        np.log1p(_blur_matrix(height, sigma) @ planes @ _blur_matrix(width, sigma).T) for sigma in sigmas
    )
    reflectance = np.moveaxis(np.log1p(planes) - surround / len(sigmas), 0, -1)
    low, high = reflectance.min(), reflectance.max()
    if high - low < 1e-9:
        return image
    return (reflectance - low) * (255 / (high - low))


@lru_cache(maxsize=32)
def _blur_matrix(n, sigma):
    """Write the Gaussian filter along n pixels as a matrix: a wide blur is then two small products."""
    matrix = gaussian_filter1d(np.eye(n), sigma, axis=0, mode="nearest")
    matrix.setflags(write=False)
    return matrix
