"""LOMO: histograms of colour and texture in small windows, and their maxima over rows (Liao et al., 2015).

The maximum of a bin over a row of windows does not depend on where in the row it occurs.
"""

from numbers import Real

import numpy as np
from sklearn.exceptions import NotFittedError
from sklearn.utils._param_validation import Interval, StrOptions

from skreid._base.checks import is_int
from skreid._base.constraints import IntRange
from skreid.descriptors._base import ImageDescriptor
from skreid.descriptors._color import grey, hsv
from skreid.descriptors._retinex import multiscale_retinex

# (down, right) to the right, upper, left and lower neighbour: the digits of 3**0, 3**1, 3**2, 3**3.
_NEIGHBOURS = ((0, 1), (-1, 0), (0, -1), (1, 0))


class LOMO(ImageDescriptor):
    """Local maximal occurrence descriptor.

    Joint HSV colours and scale invariant local ternary patterns (SILTP) are counted in 10x10 windows, at steps
    of 5 pixels and at three scales. The maximum of every bin over each row of windows is kept. The maxima become
    ``log(1 + x)``, and the colour block and each texture block are scaled to unit length.

    Parameters
    ----------
    n_scales : int, default=3
        Number of scales; each has half the size of the one before (an odd last row or column is dropped).
    window_size : int, default=10
        Side of a window, in pixels at its scale.
    step : int, default=5
        Distance between windows, in pixels at their scale.
    n_bins : int, default=8
        Number of levels of each of hue, saturation and value: there are ``n_bins**3`` joint colours.
    tau : float, default=0.3
        Relative tolerance of the SILTP comparison.
    radii : tuple of int, default=(3, 5)
        Distances of the SILTP neighbours in pixels; each makes one texture block.
    retinex : {"multiscale"}, callable or None, default="multiscale"
        Preprocessing of the image for the colour part. "multiscale" is the published multi-scale Retinex with
        sigma 5 and 20. A callable maps a uint8 RGB image (H, W, 3) to an image of the same shape in [0, 255].
    input_size : tuple of (height, width) or None, default=None
        Size to resize images to (bilinear). LOMO is meant for images in their own size: with None, all images
        of a call must have the same size.
    n_jobs : int or None, default=None
        Number of jobs over the images. None means 1 unless in a :obj:`joblib.parallel_config` context, -1 all
        processors.
    verbose : int, default=0
        1 shows a progress bar of the images that `transform` describes.

    Attributes
    ----------
    image_shape_ : tuple of (height, width)
        Size in which images are described. Set by `fit`, which learns nothing else and need not be called.

    See Also
    --------
    GOG : Gaussians of pixel features instead of counts.

    Notes
    -----
    The published settings, the defaults, give 26960 dimensions for 128x48 images and 35722 for 160x60. Everything
    follows the formulas of the paper except the Retinex, whose original source is closed; another one can be
    passed as `retinex`.

    SILTP compares the whole grey image with itself, shifted by the radius (borders are replicated). The codes
    are counted in windows afterwards, so that neighbours may lie outside a pixel's window.

    References
    ----------
    Liao, Hu, Zhu and Li, "Person re-identification by local maximal occurrence representation and metric
    learning", CVPR 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from skreid.descriptors import LOMO
    >>> images = np.random.default_rng(0).integers(0, 256, (2, 128, 48, 3), dtype=np.uint8)
    >>> LOMO().fit_transform(images).shape
    (2, 26960)
    """

    _parameter_constraints = {  # noqa: RUF012 - scikit-learn's convention
        "n_scales": [IntRange(1)],
        "window_size": [IntRange(1)],
        "step": [IntRange(1)],
        "n_bins": [IntRange(1, 256)],
        "tau": [Interval(Real, 0, 1, closed="left")],
        "radii": [tuple, list],
        "retinex": [StrOptions({"multiscale"}), callable, None],
        **ImageDescriptor._parameter_constraints,
    }

    def __init__(
        self,
        *,
        n_scales=3,
        window_size=10,
        step=5,
        n_bins=8,
        tau=0.3,
        radii=(3, 5),
        retinex="multiscale",
        input_size=None,
        n_jobs=None,
        verbose=0,
    ):
        self.n_scales = n_scales
        self.window_size = window_size
        self.step = step
        self.n_bins = n_bins
        self.tau = tau
        self.radii = radii
        self.retinex = retinex
        self.input_size = input_size
        self.n_jobs = n_jobs
        self.verbose = verbose

    def get_feature_names_out(self, input_features=None):
        """Return the names of the dimensions: block, scale, row of windows, bin.

        ``hsv_scale0_row3_h1s2v7`` counts one joint colour, ``siltp5_scale1_row0_0120`` one pattern at radius 5.
        The digits of a pattern stand for the right, upper, left and lower neighbour: 1 is darker, 2 brighter, 0
        similar.

        Parameters
        ----------
        input_features : ignored
            Not used, present for API consistency.

        Returns
        -------
        ndarray of shape (n_features_out,), object
            One name per column of `transform`.

        Raises
        ------
        NotFittedError
            If the size of the images is unknown: `input_size` is None and `fit` was not called.
        """
        shape = self._frame_size() or getattr(self, "image_shape_", None)
        if shape is None:
            raise NotFittedError("The features of LOMO depend on the image size: call fit, or set input_size.")
        levels = range(self.n_bins)
        colours = [f"h{h}s{s}v{v}" for v in levels for s in levels for h in levels]
        ternary = [f"{a}{b}{c}{d}" for d in range(3) for c in range(3) for b in range(3) for a in range(3)]
        rows = [
            (scale, row)
            for scale in range(self.n_scales)
            for row in range((max(shape[0] >> scale, 1) - self.window_size) // self.step + 1)
        ]
        blocks = [("hsv", colours)] + [(f"siltp{radius}", ternary) for radius in self.radii]
        names = [
            f"{block}_scale{scale}_row{row}_{bin_}" for block, bins in blocks for scale, row in rows for bin_ in bins
        ]
        return np.array(names, dtype=object)

    def _check_settings(self):
        super()._check_settings()
        if not len(self.radii) or not all(is_int(radius) for radius in self.radii):
            raise ValueError(
                "The 'radii' parameter of LOMO must be a non-empty tuple of ints in the range [1, inf). "
                f"Got {self.radii!r} instead."
            )

    def _prepare(self, image, index):
        image = super()._prepare(image, index)
        height, width = image.shape[:2]
        smallest = min(height, width) >> (self.n_scales - 1)
        if smallest < self.window_size:
            raise ValueError(
                f"Image {index} is {height}x{width} (height x width): at the last of {self.n_scales} scales "
                f"no window of {self.window_size} pixels fits. Use larger images, or set input_size, a smaller "
                "window_size or fewer n_scales."
            )
        return image

    def _describe(self, image):
        blocks = [self._colour_counts(image)]
        level = grey(image)
        blocks += [self._texture_counts(level, radius) for radius in self.radii]
        return np.concatenate([_unit(np.log1p(block)) for block in blocks])

    def _colour_counts(self, image):
        """Return the maximal counts of joint HSV colours: (rows of all scales) x n_bins**3, flat."""
        if self.retinex == "multiscale":
            lit = multiscale_retinex(image)
        else:
            lit = image if self.retinex is None else self._call_retinex(image)
        n = self.n_bins
        # intp throughout: joint codes exceed uint8
        maps = np.minimum(np.floor(hsv(lit / 255) * n), n - 1).astype(np.intp)  # (H, W, 3)
        counts = []
        for scale in range(self.n_scales):
            if scale:
                maps = _halve(maps).astype(np.intp)  # halves the quantised levels, truncated
            code = (maps[..., 2] * n + maps[..., 1]) * n + maps[..., 0]
            counts.append(self._maximal_counts(code, n**3))
        return np.concatenate(counts)

    def _texture_counts(self, level, radius):
        """Return the maximal counts of SILTP codes: (rows of all scales) x 81, flat."""
        counts = []
        for scale in range(self.n_scales):
            if scale:
                level = _halve(level)
            counts.append(self._maximal_counts(siltp(level, radius, self.tau), 81))
        return np.concatenate(counts)

    def _maximal_counts(self, code, n_codes):
        """Return the maximum of every bin over each row of windows, from a histogram per window."""
        side = self.window_size
        windows = np.lib.stride_tricks.sliding_window_view(code, (side, side))[:: self.step, :: self.step]
        n_rows, n_columns = windows.shape[:2]
        first = np.arange(n_rows * n_columns).reshape(n_rows, n_columns, 1, 1) * n_codes
        counts = np.bincount((windows + first).ravel(), minlength=n_rows * n_columns * n_codes)
        return counts.reshape(n_rows, n_columns, n_codes).max(axis=1).ravel()

    def _call_retinex(self, image):
        lit = np.asarray(self.retinex(image.copy()))
        if lit.shape != image.shape or not (lit.min() >= 0 and lit.max() <= 255):
            raise ValueError(
                f"The 'retinex' callable of LOMO must return an image of shape {image.shape} in [0, 255]. "
                f"Got shape {lit.shape} instead, or values outside."
            )
        return lit.astype(np.float64)


def siltp(level, radius, tau=0.3):
    """Return the scale invariant local ternary pattern of every pixel of a grey image.

    Parameters
    ----------
    level : ndarray of shape (H, W), float
        Grey levels, on any scale that starts at 0.
    radius : int
        Distance of the four neighbours; beyond the border, the nearest pixel of the border is used.
    tau : float, default=0.3
        The digit of a neighbour is 1 below ``(1 - tau) * centre``, 2 above ``(1 + tau) * centre``, else 0.

    Returns
    -------
    ndarray of shape (H, W), intp
        Codes in [0, 80]: the digits of right, up, left and down times 1, 3, 9 and 27.

    Examples
    --------
    >>> import numpy as np
    >>> siltp(np.array([[0.5, 1.0]]), 1)
    array([[2, 9]])
    """
    height, width = level.shape
    padded = np.pad(level, radius, mode="edge")
    low, high = (1 - tau) * level, (1 + tau) * level
    code = np.zeros(level.shape, dtype=np.intp)
    for power, (down, right) in enumerate(_NEIGHBOURS):
        top, left = radius * (1 + down), radius * (1 + right)
        neighbour = padded[top : top + height, left : left + width]
        code += 3**power * ((neighbour < low) + 2 * (neighbour > high))
    return code


def _halve(image):
    """Return the mean of each 2x2 cell; an odd last row or column is dropped."""
    height, width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
    image = image[:height, :width]
    return (image[::2, ::2] + image[1::2, ::2] + image[::2, 1::2] + image[1::2, 1::2]) / 4


def _unit(vector):
    norm = np.linalg.norm(vector)
    return vector / norm if norm > 0 else vector
