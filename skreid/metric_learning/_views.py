"""The objective of CVDCA as two symmetric matrices with one block per view, and the eigenvectors that minimise it.

The objective is tr(U^T A U) for the stacked projections U, under U^T B U = I with B block-diagonal.
"""

import numpy as np
from scipy.linalg import LinAlgError, cholesky, eigh, solve_triangular

from skreid.metric_learning._scatter import group_sums

ROUNDING = 1e-6  # costs that are this small a share of the lowest one may be rounding errors of zero


def pair_weights(n_same, n_different, negative_weight):
    """Return the weight of a pair of the same person and of a pair of different people, which is negative.

    The total weight of each kind of pair does not depend on the number of its pairs.
    """
    return (1 / n_same if n_same else 0.0), (-negative_weight / n_different if n_different else 0.0)


def objective_blocks(X, ids, views, *, negative_weight, within_weight):
    """Sum the objective's pair terms into blocks (C, C, d, d) for C views; also return M (C, d, d) without ridge."""
    n_ids, n_views = int(ids.max()) + 1, int(views.max()) + 1
    d = X.shape[1]
    blocks, moments = np.zeros((n_views, n_views, d, d)), np.empty((n_views, d, d))
    counts = np.bincount(views * n_ids + ids, minlength=n_views * n_ids).reshape(n_views, n_ids)
    sums = group_sums(X, views * n_ids + ids, n_views * n_ids).reshape(n_views, n_ids, d)
    totals, sizes = sums.sum(axis=1), counts.sum(axis=1)
    degrees = np.zeros(len(X))  # sum of the weights of each image's pairs
    for p in range(n_views):
        members = views == p
        present = counts[p, ids[members]]
        for q in range(p, n_views):
            n_same = int(counts[p] @ counts[q]) - (sizes[p] if p == q else 0)
            n_different = int(sizes[p] * sizes[q] - counts[p] @ counts[q])
            same, different = pair_weights(n_same, n_different, negative_weight)
            mixed = (same - different) * sums[p].T @ sums[q] + different * np.outer(totals[p], totals[q])
            if p == q:
                # Both images of a pair have the same projection; pairs of an image with itself cancel.
                blocks[p, p] -= 2 * within_weight * mixed
                degrees[members] += 2 * within_weight * (same * present + different * (sizes[p] - present))
                continue
            blocks[p, q] -= mixed
            blocks[q, p] -= mixed.T
            others = views == q
            partners = counts[q, ids[members]]
            degrees[members] += same * partners + different * (sizes[q] - partners)
            partners = counts[p, ids[others]]
            degrees[others] += same * partners + different * (sizes[p] - partners)
        rows = X[members]
        blocks[p, p] += (rows * degrees[members, None]).T @ rows
        moments[p] = rows.T @ rows / sizes[p]
    return blocks, moments


def add_ridge(moments, reg, n_features):
    """Add reg times the mean diagonal entry to each M; ``n_features`` is their number before any reduction."""
    ridges = reg * np.trace(moments, axis1=1, axis2=2) / n_features
    return moments + ridges[:, None, None] * np.eye(moments.shape[1])


def solve_views(blocks, constraints, view_reg, n_components):
    """Minimise the objective; return projections (C, d, r) and eigenvalues (r,), ascending.

    Without ``n_components``, the components of negative cost are kept, and at least one. With an infinite ``view_reg``
    all views share one projection.
    """
    n_views, d = len(constraints), constraints.shape[-1]
    shared = np.isinf(view_reg)
    if shared:
        blocks, constraints = blocks.sum(axis=(0, 1))[None, None], constraints.sum(axis=0)[None]
    m = len(constraints)
    try:
        factors = [cholesky(constraint, lower=True) for constraint in constraints]
    except LinAlgError as error:
        raise ValueError("A constraint matrix M is singular: use a larger reg.") from error
    # B is block-diagonal: whitening by its blocks turns the generalised problem into an ordinary one.
    whitened = np.empty((m * d, m * d))
    for p in range(m):
        for q in range(p + 1):
            block = blocks[p, q]
            if not shared:
                block = block + (view_reg * (m - 1) if p == q else -view_reg) * np.eye(d)
            half = solve_triangular(factors[p], block, lower=True, check_finite=False)
            whitened[p * d : (p + 1) * d, q * d : (q + 1) * d] = solve_triangular(
                factors[q], half.T, lower=True, check_finite=False
            ).T
    values, vectors = _lowest(whitened, n_components)
    projections = np.stack(
        [solve_triangular(L, vectors[p * d : (p + 1) * d], lower=True, trans="T") for p, L in enumerate(factors)]
    )
    return (np.repeat(projections, n_views, axis=0) if shared else projections), values


def _lowest(matrix, n_components):
    """Return the lowest eigenvalues of a symmetric matrix and their vectors. None: the negative ones, or only one."""
    if n_components is None:
        values, vectors = eigh(matrix, lower=True, check_finite=False, subset_by_value=(-np.inf, 0))
        r = int((values < ROUNDING * values.min(initial=0)).sum())
        if r:
            return values[:r], vectors[:, :r]
    return eigh(matrix, lower=True, check_finite=False, subset_by_index=[0, (n_components or 1) - 1])
