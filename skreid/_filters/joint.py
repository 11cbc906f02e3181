"""How the distances of a layer's filters vary together, from sums over pairs of images."""

import numpy as np
import torch

from skreid._images.batches import to_device

SAMPLE = 8192  # pairs of different identities per block, from which covariances are estimated
CHUNK_BYTES = 2**25  # memory for differences of pairs


class JointMoments:
    """Covariance of the squared distances of a layer's filters, over streamed blocks of images.

    Parameters
    ----------
    random_state : int
        Draws the pairs of two identities, at most `SAMPLE` per block; all pairs of one identity count.
    """

    def __init__(self, random_state):
        self._rng = np.random.default_rng(random_state)
        self._count, self._first, self._second = np.zeros(2), [0.0, 0.0], [0.0, 0.0]

    def add(self, maps, pairs):
        """Add a block.

        Parameters
        ----------
        maps : tensor of shape (n_filters, n_images, cells)
        pairs : ndarray of shape (2, n_images, n_images), bool
            Which pairs are of the same identity, and which of different ones.
        """
        n_filters, _, cells = maps.shape
        step = max(1, CHUNK_BYTES // (n_filters * cells * maps.element_size()))
        for kind, counted in enumerate(pairs):
            places = np.argwhere(counted)
            if kind == 1 and len(places) > SAMPLE:
                places = places[self._rng.choice(len(places), SAMPLE, replace=False)]
            self._count[kind] += len(places)
            for chunk in to_device(torch.from_numpy(places), maps.device).split(step):
                squared = (maps[:, chunk[:, 0]] - maps[:, chunk[:, 1]]).square().sum(dim=2, dtype=torch.float64)
                self._first[kind] = self._first[kind] + squared.sum(dim=1)
                self._second[kind] = self._second[kind] + squared @ squared.T

    def sums(self):
        """Return the sums of both kinds of pairs on the maps' device, to be passed to `covariance` as arrays."""
        return *self._first, *self._second

    def covariance(self, *sums):
        """Return the mean of the covariance matrices of both kinds of pairs, (n_filters, n_filters), float64."""
        each = [
            second / count - np.outer(first / count, first / count)
            for count, first, second in zip(self._count, sums[:2], sums[2:], strict=True)
        ]
        return (each[0] + each[1]) / 2
