"""Shared by the descriptors made of Gaussians (GOG, MLGD): parameters, sizes, feature names and blocks.

A subclass only says which pixel features each block is made of.
"""

from abc import abstractmethod
from numbers import Real

import numpy as np
from PIL.Image import Resampling
from sklearn.utils._param_validation import Interval

from skreid._base.constraints import IntRange
from skreid.descriptors._base import ImageDescriptor
from skreid.descriptors._gaussian import gaussian_of_gaussians
from skreid.descriptors._pixels import pixel_features


class GaussianDescriptor(ImageDescriptor):
    """Base of the descriptors made of Gaussians (not for direct use)."""

    _parameter_constraints = {  # noqa: RUF012 - scikit-learn's convention
        **ImageDescriptor._parameter_constraints,
        "patch_size": [IntRange(3)],
        "patch_step": [IntRange(1)],
        "n_strips": [IntRange(1)],
        "regularization": [Interval(Real, 0, None, closed="neither")],
    }
    _may_keep_size = False  # strips and patches are those of one size
    _resampling = Resampling.BICUBIC

    @abstractmethod
    def _blocks(self):
        """Return name -> plan of pixel features for each block, in order; raise if a feature is unknown."""

    @property
    def block_sizes(self):
        """Number of dimensions of each block, a tuple of int, as `CenteredNormalizer` expects."""
        sizes = []
        for plan in self._blocks().values():
            d = sum(len(names) for _, names in plan)
            p = (d + 1) * (d + 2) // 2
            sizes.append(self.n_strips * (p + 1) * (p + 2) // 2)
        return tuple(sizes)

    def get_feature_names_out(self, input_features=None):
        """Return the names of the dimensions: block, strip, and the two patch entries that each one relates.

        ``rgb_strip0:y.red|g0.1`` relates the patch entries (row, red) and (gradient at 0 degrees, 1), where 1
        stands for the row and column of the mean.

        Parameters
        ----------
        input_features : ignored
            Not used, present for API consistency.

        Returns
        -------
        ndarray of shape (n_features_out,), object
            One name per column of `transform`.
        """
        names = []
        for block, plan in self._blocks().items():
            pixel = [name for _, group in plan for name in group]
            patch = [f"{a}.{b}" for a, b in _upper_pairs(pixel)]
            region = [f"{a}|{b}" for a, b in _upper_pairs(patch)]
            names += [f"{block}_strip{strip}:{pair}" for strip in range(self.n_strips) for pair in region]
        return np.array(names, dtype=object)

    def _check_settings(self):
        owner = type(self).__name__
        height, _ = self._frame_size()
        if self.patch_size % 2 == 0:
            raise ValueError(
                f"The 'patch_size' parameter of {owner} must be odd, to have a centre. Got {self.patch_size} instead."
            )
        rows = -(-height // self.patch_step)
        if rows < self.n_strips + 1:
            raise ValueError(
                f"{owner} has {rows} rows of patches (height {height}, patch_step {self.patch_step}), too "
                f"few for {self.n_strips} overlapping strips; at least {self.n_strips + 1} are needed."
            )
        self._blocks()

    def _describe(self, image):
        settings = {
            "patch_size": self.patch_size,
            "patch_step": self.patch_step,
            "n_strips": self.n_strips,
            "regularization": self.regularization,
        }
        return np.concatenate(
            [gaussian_of_gaussians(pixel_features(image, plan), **settings).ravel() for plan in self._blocks().values()]
        )


def _upper_pairs(names):
    """Return the pairs of the upper triangle, row by row, of a matrix over the names and the mean ("1")."""
    names = [*names, "1"]
    return [(a, b) for i, a in enumerate(names) for b in names[i:]]
