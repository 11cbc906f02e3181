"""MLGD: the Gaussians of GOG of any list of pixel features, after Vishwakarma & Upadhyay (2018).

The published selection of features is unknown, so the list is a parameter, and no published figure is reproduced.
"""

from skreid.descriptors._gaussian_base import GaussianDescriptor
from skreid.descriptors._pixels import resolve


class MLGD(GaussianDescriptor):
    """Gaussian descriptor of a list of pixel features: colours, moments, Schmid filters, gradients.

    This follows the idea of the multi-level Gaussian descriptor, not its published settings: *which features
    it selects, and at which scales, is unknown*. The default list is this package's own: the best of a dozen that
    ``python -m benchmarks.rivals`` compares on people of CUHK03.

    Parameters
    ----------
    features : tuple, default=("y", "gradient", "lab", "nrng", "std")
        Each is a group of pixel features, one channel of a group, or ``(name, callable)`` (several channels:
        ``(names, callable)``) with ``callable(rgb)`` mapping a float image (H, W, 3) in [0, 1] to (H, W) or
        (H, W, k):

        - "y", "x": position, 1/n to 1.
        - "gradient": magnitude in four orientations (4); "luma": BT.601 luma.
        - "rgb", "lab", "hsv" (3 each), "nrng" (2): colour spaces.
        - "mean", "std", "skewness": moments of R, G, B in 5x5 pixels (3 each; skewness is the cube
          root of the third moment).
        - "schmid": Schmid's 13 rotation invariant filters on the luma; one of them as "schmid_<sigma>_<tau>".
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
        Number of dimensions of the only block.

    See Also
    --------
    GOG : The same Gaussians of published pixel features.

    Notes
    -----
    With d channels a patch vector has p = (d + 1)(d + 2) / 2 dimensions and a strip (p + 1)(p + 2) / 2, which
    grows with the fourth power of d. The default has d = 13 and 39697 dimensions. With the features of GOG it
    equals GOG::

        MLGD(features=("y", "gradient", "lab"))

    References
    ----------
    Vishwakarma and Upadhyay, 2018 (the multi-level Gaussian descriptor); Matsukawa et al., CVPR 2016 (the
    Gaussians).

    Examples
    --------
    >>> import numpy as np
    >>> from skreid.descriptors import MLGD
    >>> images = np.random.default_rng(0).integers(0, 256, (2, 128, 48, 3), dtype=np.uint8)
    >>> edges = ("dark", lambda rgb: rgb.max(axis=-1) < 0.1)
    >>> MLGD(features=("y", "lab", "schmid_2_1", edges)).transform(images).shape
    (2, 3045)
    """

    _parameter_constraints = {  # noqa: RUF012 - scikit-learn's convention
        "features": [tuple, list],
        **GaussianDescriptor._parameter_constraints,
    }

    def __init__(
        self,
        features=("y", "gradient", "lab", "nrng", "std"),
        *,
        input_size=(128, 48),
        patch_size=5,
        patch_step=2,
        n_strips=7,
        regularization=1e-3,
        n_jobs=None,
        verbose=0,
    ):
        self.features = features
        self.input_size = input_size
        self.patch_size = patch_size
        self.patch_step = patch_step
        self.n_strips = n_strips
        self.regularization = regularization
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _blocks(self):
        return {"mlgd": resolve(self.features, "MLGD")}
