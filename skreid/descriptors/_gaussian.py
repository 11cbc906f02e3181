"""Gaussians of Gaussians: mean and covariance of each patch, its matrix logarithm, and the same again over strips.

All patches are computed at once: their statistics are box sums, and one batched eigendecomposition serves all.
"""

import numpy as np

MIN_TRACE = 0.01  # of a patch covariance: keeps the Gaussian of a flat patch invertible


def gaussian_of_gaussians(features, *, patch_size=5, patch_step=2, n_strips=7, regularization=1e-3):
    """Describe pixel features by Gaussians of strips, of Gaussians of patches.

    Parameters
    ----------
    features : ndarray of shape (H, W, d)
        Pixel features.
    patch_size, patch_step, n_strips, regularization
        As in :class:`~skreid.descriptors.GOG`.

    Returns
    -------
    ndarray of shape (n_strips, m)
        ``m = (p + 1)(p + 2) / 2`` with ``p = (d + 1)(d + 2) / 2``.
    """
    mean, covariance = patch_gaussians(features, patch_size, patch_step, regularization)
    patches = log_embedding(mean, covariance)  # (h, w, p)
    return log_embedding(*strip_gaussians(patches, n_strips, regularization))


def patch_gaussians(features, size=5, step=2, regularization=1e-3):
    """Return mean and regularised covariance in a square window around every `step`-th pixel.

    Windows are clipped at the border. The covariance is divided by n - 1, and
    ``regularization * max(trace, 0.01)`` is added to its diagonal.

    Parameters
    ----------
    features : ndarray of shape (H, W, d)
        Pixel features.
    size : int, odd
        Side of the window.
    step : int
        Distance between centres; the first is pixel (0, 0).
    regularization : float
        Share of the trace added to the diagonal.

    Returns
    -------
    mean : ndarray of shape (h, w, d)
        With h, w = ceil(H / step), ceil(W / step).
    covariance : ndarray of shape (h, w, d, d)
        Symmetric, positive definite.
    """
    height, width, d = features.shape
    rows, columns = np.triu_indices(d)
    centre = features.mean(axis=(0, 1))  # squares are summed about it, which avoids cancellation
    deviation = features - centre
    sums = np.concatenate([deviation, deviation[..., rows] * deviation[..., columns]], axis=-1)
    sums = _box_sums(_box_sums(sums, 0, size, step), 1, size, step)
    down, across = (_box_sums(np.ones(length), 0, size, step) for length in (height, width))
    n = np.outer(down, across)[..., None]  # number of pixels of each clipped window
    mean = sums[..., :d] / n
    upper = (sums[..., d:] - n * mean[..., rows] * mean[..., columns]) / np.maximum(n - 1, 1)
    covariance = np.empty((*upper.shape[:2], d, d))
    covariance[..., rows, columns] = upper
    covariance[..., columns, rows] = upper
    trace = np.trace(covariance, axis1=-2, axis2=-1)
    diagonal = np.arange(d)
    covariance[..., diagonal, diagonal] += regularization * np.maximum(trace, MIN_TRACE)[..., None]
    return mean + centre, covariance


def strip_gaussians(patches, n_strips=7, regularization=1e-3):
    """Return weighted mean and regularised covariance of the patch vectors in half-overlapping horizontal strips.

    Column x = 1..w has the weight ``exp(-(x - w / 2)^2 / (2 (w / 4)^2))``; ``regularization * trace`` is added
    to the diagonal of the covariance.

    Parameters
    ----------
    patches : ndarray of shape (h, w, p)
        Patch vectors.
    n_strips : int
        Number of strips, of ``2 * (h // (n_strips + 1))`` rows, each half a strip below the one before.
    regularization : float
        Share of the trace added to the diagonal.

    Returns
    -------
    mean : ndarray of shape (n_strips, p)
        Weighted means.
    covariance : ndarray of shape (n_strips, p, p)
        Weighted covariances (weights sum to one; no n - 1).
    """
    height, width, p = patches.shape
    half = height // (n_strips + 1)
    x = np.arange(1, width + 1)
    weight = np.tile(np.exp(-((x - width / 2) ** 2) / (2 * (width / 4) ** 2)), 2 * half)
    weight /= weight.sum()
    mean, covariance = np.empty((n_strips, p)), np.empty((n_strips, p, p))
    for strip in range(n_strips):
        samples = patches[strip * half : (strip + 2) * half].reshape(-1, p)
        mean[strip] = weight @ samples
        deviation = samples - mean[strip]
        covariance[strip] = (deviation.T * weight) @ deviation
    trace = np.trace(covariance, axis1=-2, axis2=-1)
    diagonal = np.arange(p)
    covariance[:, diagonal, diagonal] += regularization * trace[:, None]
    return mean, covariance


def log_embedding(mean, covariance):
    """Return Gaussians as vectors: the logarithm of their embedding in the symmetric positive definite matrices.

    The embedding is ``|S|^(-1/(d+1)) [[S + m m^T, m], [m^T, 1]]``; the vector holds the upper triangle, row
    by row, off-diagonals times sqrt 2, so that its Euclidean norm is the matrix's Frobenius norm. Since the
    bracket has the determinant of S, the factor amounts to subtracting the mean of the log-eigenvalues, which
    makes the trace zero.

    Parameters
    ----------
    mean : ndarray of shape (..., d)
        Means.
    covariance : ndarray of shape (..., d, d)
        Covariances.

    Returns
    -------
    ndarray of shape (..., (d + 1)(d + 2) / 2)
        Finite even for singular covariances: eigenvalues below the rounding error are raised to it.
    """
    d = mean.shape[-1]
    embedded = np.empty((*mean.shape[:-1], d + 1, d + 1))
    embedded[..., :d, :d] = covariance + mean[..., :, None] * mean[..., None, :]
    embedded[..., :d, d] = embedded[..., d, :d] = mean
    embedded[..., d, d] = 1
    values, vectors = np.linalg.eigh(embedded)
    floor = values[..., -1:] * (d + 1) * np.finfo(np.float64).eps
    logs = np.log(np.maximum(values, floor))
    logs -= logs.mean(axis=-1, keepdims=True)
    logarithm = (vectors * logs[..., None, :]) @ vectors.swapaxes(-1, -2)
    rows, columns = np.triu_indices(d + 1)
    return logarithm[..., rows, columns] * np.where(rows == columns, 1, np.sqrt(2))


def _box_sums(values, axis, size, step):
    """Return sums over a window of `size` along one axis, zero beyond the border, at every `step`-th position."""
    values = np.moveaxis(values, axis, 0)
    n = len(values)
    padding = [(size // 2, size // 2)] + [(0, 0)] * (values.ndim - 1)
    padded = np.pad(values, padding)
    total = padded[:n:step].copy()
    for offset in range(1, size):
        total += padded[offset : offset + n : step]
    return np.moveaxis(total, 0, axis)
