"""GOG: Gaussians of small patches, and Gaussians of those over horizontal strips (Matsukawa et al., 2016).

They are means and covariances of colours and gradients, compared by their matrix logarithms.
"""

from sklearn.utils._param_validation import StrOptions

from skreid.descriptors._gaussian_base import GaussianDescriptor
from skreid.descriptors._pixels import resolve

COLORS = ("rgb", "lab", "hsv", "nrng")


class GOG(GaussianDescriptor):
    """Hierarchical Gaussian descriptor.

    The features of a pixel are its row, four oriented gradients and its colour. A Gaussian is fitted to the
    pixels of each 5x5 patch and becomes a vector, the matrix logarithm of its embedding. A second Gaussian is
    fitted to the patch vectors of each of seven overlapping horizontal strips, with more weight on the middle
    columns, and becomes a vector in the same way.

    Parameters
    ----------
    color : {"rgb", "lab", "hsv", "nrng"} or tuple of several, default="rgb"
        Colour space of the pixels. Each colour space makes one block, in this order. "nrng" is R/s and
        G/s with s = R + G + B.
    input_size : tuple of (height, width), default=(128, 48)
        Images of any other size are resized to it (bicubic, antialiased).
    patch_size : int, default=5
        Side of a patch, odd, in pixels; clipped at the border.
    patch_step : int, default=2
        Distance between patch centres, in pixels.
    n_strips : int, default=7
        Number of horizontal strips, each overlapping the next by half.
    regularization : float, default=1e-3
        Share of a covariance's trace added to its diagonal, at both levels.
    n_jobs : int or None, default=None
        Number of jobs over the images. None means 1 unless in a :obj:`joblib.parallel_config` context, -1 all
        processors.
    verbose : int, default=0
        1 shows a progress bar of the images that `transform` describes.

    Attributes
    ----------
    image_shape_ : tuple of (height, width)
        Size in which images are described. Set by `fit`, which learns nothing else and need not be called.
    block_sizes : tuple of int
        Number of dimensions of each colour space's block.

    See Also
    --------
    CenteredNormalizer : The published step after GOG.
    MLGD : The same Gaussians of any list of pixel features.

    Notes
    -----
    A colour space has 7567 dimensions ("nrng" 4921), all four have 27622. The published use is to subtract the
    training mean and scale to unit length, for each colour space, before a learned metric::

        gog = GOG(color=("rgb", "lab", "hsv", "nrng"))
        make_pipeline(gog, CenteredNormalizer(block_sizes=gog.block_sizes), XQDA())

    Rows and columns count from 1: the row feature is y / height with y = 1..height, and column x of w patches
    has the weight ``exp(-(x - w / 2)^2 / (2 (w / 4)^2))`` in its strip. Gradients are those of unrounded BT.601
    luma; Lab is that of sRGB under D65.

    References
    ----------
    Matsukawa, Okabe, Suzuki and Sato, "Hierarchical Gaussian descriptor for person re-identification", CVPR
    2016.

    Examples
    --------
    >>> import numpy as np
    >>> from skreid.descriptors import GOG
    >>> images = np.random.default_rng(0).integers(0, 256, (2, 160, 60, 3), dtype=np.uint8)
    >>> GOG().transform(images).shape
    (2, 7567)
    >>> GOG(color=("rgb", "lab", "hsv", "nrng")).block_sizes
    (7567, 7567, 7567, 4921)
    """

    _parameter_constraints = {  # noqa: RUF012 - scikit-learn's convention
        "color": [StrOptions(set(COLORS)), tuple, list],
        **GaussianDescriptor._parameter_constraints,
    }

    def __init__(
        self,
        color="rgb",
        *,
        input_size=(128, 48),
        patch_size=5,
        patch_step=2,
        n_strips=7,
        regularization=1e-3,
        n_jobs=None,
        verbose=0,
    ):
        self.color = color
        self.input_size = input_size
        self.patch_size = patch_size
        self.patch_step = patch_step
        self.n_strips = n_strips
        self.regularization = regularization
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _blocks(self):
        colors = (self.color,) if isinstance(self.color, str) else tuple(self.color)
        if not colors or len(set(colors)) < len(colors) or not set(colors) <= set(COLORS):
            raise ValueError(
                f"The 'color' parameter of GOG must be one of {COLORS}, or a tuple of several without "
                f"repeats. Got {self.color!r} instead."
            )
        return {color: resolve(("y", "gradient", color), "GOG") for color in colors}
