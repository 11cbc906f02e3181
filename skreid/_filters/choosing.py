"""Eq. 4: choose the filters that keep people furthest apart, one by one or by what each adds to those chosen before."""

import numpy as np
import torch

SAMPLE = 8192  # pairs of different identities per block, from which covariances are estimated
CHUNK_BYTES = 2**25  # memory for differences of pairs


def choose_filters(statistics, criterion, n_filters):
    """Return the filters that keep people furthest apart, best first (Eq. 4).

    Parameters
    ----------
    statistics : PairStatistics
    criterion : {"margin", "dprime", "joint"}
        "margin" is ``d_different - d_same``. "dprime" divides the margin by the root mean square of the two standard
        deviations. "joint" adds one filter at a time: the one that most raises d' of the sum of the squared distances
        of all filters chosen so far.
    n_filters : int

    Returns
    -------
    filters : ndarray of shape (n_filters,), int64
        Ties go to the lower index.
    """
    if criterion == "joint":
        return _greedy(statistics, n_filters)
    score = statistics.d_different - statistics.d_same
    if criterion == "dprime":
        score = _ratio(score, (statistics.std_same**2 + statistics.std_different**2) / 2)
    return np.argsort(-score, kind="stable")[:n_filters]


def _greedy(statistics, n_filters):
    """Add filters one at a time, each the one that most raises d' of the sum of squared distances."""
    second_same = statistics.d_same**2 + statistics.std_same**2
    gain = statistics.d_different**2 + statistics.std_different**2 - second_same
    own, shared = np.diagonal(statistics.covariance), np.zeros(len(gain))
    total, variance, chosen = 0.0, 0.0, []
    for _ in range(n_filters):
        score = _ratio(total + gain, variance + 2 * shared + own)
        score[chosen] = -np.inf
        best = int(score.argmax())
        total, variance = total + gain[best], variance + 2 * shared[best] + own[best]
        shared += statistics.covariance[best]
        chosen.append(best)
    return np.array(chosen, dtype=np.int64)


def _ratio(score, variance):
    """Divide a score by a standard deviation; 0 where the variance is 0."""
    return np.divide(score, np.sqrt(np.maximum(variance, 0)), out=np.zeros_like(score), where=variance > 0)


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
            for chunk in torch.from_numpy(places).to(maps.device).split(step):
                squared = (maps[:, chunk[:, 0]] - maps[:, chunk[:, 1]]).square().sum(dim=2, dtype=torch.float64)
                self._first[kind] = self._first[kind] + squared.sum(dim=1).numpy(force=True)
                self._second[kind] = self._second[kind] + (squared @ squared.T).numpy(force=True)

    def covariance(self):
        """Return the mean of the covariance matrices of both kinds of pairs, (n_filters, n_filters), float64."""
        each = [
            second / count - np.outer(first / count, first / count)
            for count, first, second in zip(self._count, self._first, self._second, strict=True)
        ]
        return (each[0] + each[1]) / 2
