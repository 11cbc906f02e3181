"""Scatter matrices over all pairs of images, from class sums: O(n d^2), where a loop over pairs would be O(n^2 d^2).

A pair (i, j) contributes (x_i - x_j)(x_i - x_j)^T. The sum over pairs then reduces to weighted squares and sums over
groups.
"""

import numpy as np
from scipy import sparse
from sklearn.utils import check_array

from skreid._base.arrays import as_array
from skreid._base.labels import encode_cams, encode_identities


def group_sums(X, groups, n_groups):
    """Sum the rows of ``X`` (n, d) over each group: (n_groups, d)."""
    n = len(groups)
    return sparse.csr_array((np.ones(n), (groups, np.arange(n))), shape=(n_groups, n)) @ X


def _cells(ids, views):
    """Return the cell of each sample: the index of its combination of identity and view, among those that occur."""
    return np.unique(ids * (int(views.max()) + 1) + views, return_inverse=True)[1]


def _cross_sum(X, groups, cells):
    """Sum (x_i - x_j)(x_i - x_j)^T / 2 over ordered pairs within a group but in different cells.

    Cells are parts of groups. Each x_i x_i^T counts once per partner; the mixed terms are those of the group minus
    those of the cell. Returns the sum (d, d) and the number of ordered pairs.
    """
    group_sizes, cell_sizes = np.bincount(groups), np.bincount(cells)
    partners = group_sizes[groups] - cell_sizes[cells]
    weighted = X * np.sqrt(partners)[:, None]
    by_group, by_cell = group_sums(X, groups, len(group_sizes)), group_sums(X, cells, len(cell_sizes))
    return weighted.T @ weighted - by_group.T @ by_group + by_cell.T @ by_cell, int(partners.sum())


def scatter_from_codes(X, ids, views):
    """Compute both scatter matrices of centred float64 ``X`` from integer identities and views."""
    cells = _cells(ids, views)
    same, n_same = _cross_sum(X, ids, cells)
    every, n_every = _cross_sum(X, np.zeros_like(ids), views)
    return 2 * same / n_same, 2 * (every - same) / (n_every - n_same)


def cross_view_scatter(X, y, cams=None):
    """Compute the mean outer products of cross-view differences, for the same person and for different people.

    With ``P`` the set of pairs of images from different cameras, ::

        S_I = mean of (x_i - x_j)(x_i - x_j)^T over (i, j) in P with y_i == y_j
        S_E = mean of (x_i - x_j)(x_i - x_j)^T over (i, j) in P with y_i != y_j

    All ordered pairs of cameras count, and each pair of images has the same weight. With two cameras these are the
    pairs of probe and gallery images.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        One descriptor per row.
    y : array-like of shape (n_samples,)
        Identity of each image.
    cams : array-like of shape (n_samples,), default=None
        Camera of each image. Without cameras every image is its own view: all pairs of images count.

    Returns
    -------
    intra, inter : ndarray of shape (n_features, n_features)
        ``S_I`` and ``S_E``, float64, not regularised.

    Raises
    ------
    ValueError
        If there is a single identity or camera, no identity has a cross-view pair, or lengths differ.

    Examples
    --------
    >>> from skreid.metric_learning import cross_view_scatter
    >>> intra, inter = cross_view_scatter([[0.0], [1.0], [4.5], [4.5]], [0, 0, 1, 1], [0, 1, 0, 1])
    >>> intra.round(6), inter.round(6)      # (1 + 0) / 2, (20.25 + 12.25) / 2
    (array([[0.5]]), array([[16.25]]))
    """
    X = check_array(as_array(X, "X"), dtype=np.float64, ensure_min_samples=2)
    _, ids = encode_identities(y, len(X), "samples")
    views, _ = encode_cams(cams, ids, "samples")
    # Differences do not depend on the mean; subtracting it avoids cancellation in the squares.
    return scatter_from_codes(X - X.mean(axis=0), ids, np.arange(len(X)) if views is None else views)
