"""Whitening of a layer's part of the descriptors: directions in which images of one person vary count less."""

import math

import numpy as np
import torch
from sklearn.covariance import shrunk_covariance

from skreid._filters.pairs import WITHOUT_FLOAT64
from skreid._filters.smoothing import ROUNDING, compact_maps, compact_shape, signed_root
from skreid._images.batches import to_device
from skreid._network.device import to_host

MOST_DIMENSIONS = 8192  # of a layer's part: its matrix takes half a gigabyte, and minutes to invert
SHRINKAGE = 0.3  # share of the scatter that is spread evenly over all directions


def whitening_matrices(network, source, labels, *, remaining, box, means, batch_size, progress):
    """Return layer -> whitening matrix (d, d), float32, for descriptors of the chosen filters.

    Parameters
    ----------
    network : callable
        ``network(batch, layers)`` -> dict of maps, for a batch as `source` reads it.
    source : ImageSource
    labels : ndarray of shape (n,), int
        Identity of each image.
    remaining : dict of str to tensor of int, or None
        Layer -> the chosen ones among the filters that the network returns; None for all.
    box : BoxFilter
    means : dict of str to ndarray of shape (n_filters, h, w)
        Layer -> mean of the signed roots of the compact maps.
    batch_size : int
        Images per forward pass.
    progress : callable
        Called with the number of images read since the last call.
    """
    scatters, done = {layer: _Scatter(means[layer], int(labels.max()) + 1) for layer in means}, 0
    for batch in source.batches(batch_size):
        for layer, maps in network(batch, tuple(means)).items():
            maps = compact_maps(maps, source.size, box, remaining[layer])
            scatters[layer].add(maps, labels[done : done + len(batch)])
        done += len(batch)
        progress(len(batch))
    counts = np.bincount(labels)
    return {layer: whitening_matrix(scatter.within(counts)) for layer, scatter in scatters.items()}


def check_whitening(shapes, n_filters, frame_shape, box):
    """Refuse to whiten layers whose part of a descriptor is too long.

    Parameters
    ----------
    shapes : dict of str to tuple of int
        Layer -> height and width of its maps.
    n_filters : int
    frame_shape : tuple of int
    box : BoxFilter

    Raises
    ------
    ValueError
        If a layer's part has more than `MOST_DIMENSIONS` dimensions.
    """
    for layer, shape in shapes.items():
        n_dimensions = n_filters * math.prod(compact_shape(shape, frame_shape, box))
        if n_dimensions > MOST_DIMENSIONS:
            raise ValueError(
                f"normalize='whitened' needs a matrix of {n_dimensions} x {n_dimensions} values for layer {layer!r}, "
                f"which has {n_dimensions} dimensions; at most {MOST_DIMENSIONS} can be whitened. Set sampling='box' "
                "with a larger blur_size, fewer n_filters, or normalize='rooted'."
            )


def whitening_matrix(scatter, shrinkage=SHRINKAGE):
    """Return the inverse square root of a shrunk scatter matrix, symmetric, float32; scaled so that I gives I.

    The scatter is replaced by ``(1 - shrinkage) * scatter + shrinkage * trace(scatter) / d * I``, so that it has an
    inverse, however few the images are. Where nothing varies, the matrix is I.
    """
    level = np.trace(scatter) / len(scatter)
    if not level > 0:
        return np.eye(len(scatter), dtype=np.float32)
    values, vectors = np.linalg.eigh(shrunk_covariance(scatter / level, shrinkage=shrinkage))
    return ((vectors / np.sqrt(values)) @ vectors.T).astype(np.float32)


class _Scatter:
    """Scatter of a layer's roots about the mean of their identity, over streamed batches.

    Parameters
    ----------
    mean : ndarray of shape (n_filters, h, w)
        Mean of the signed roots.
    n_identities : int
    """

    def __init__(self, mean, n_identities):
        self._mean, self._n_identities, self._products = mean, n_identities, None

    def add(self, maps, labels):
        """Add a batch of compact maps, (n, n_filters, h, w), and their identities."""
        maps = maps.cpu() if maps.device.type in WITHOUT_FLOAT64 else maps
        if self._products is None:
            self._mean = to_device(torch.from_numpy(np.array(self._mean)), maps.device).flatten()
            self._products = maps.new_zeros(len(self._mean), len(self._mean), dtype=torch.float64)
            self._sums = maps.new_zeros(self._n_identities, len(self._mean), dtype=torch.float64)
        roots = (signed_root(maps).flatten(1) - self._mean).double()
        self._products.addmm_(roots.T, roots)
        self._sums.index_add_(0, to_device(torch.from_numpy(labels), maps.device), roots)

    def within(self, counts):
        """Return the sum over all images of the outer product of their difference from their identity's mean.

        Zeros if nothing but rounding is left.
        """
        products, sums = to_host(self._products, self._sums)
        within = products - (sums / np.maximum(counts, 1)[:, None]).T @ sums
        return within if np.trace(within) > ROUNDING**2 * np.trace(products) else np.zeros_like(within)
