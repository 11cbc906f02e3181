"""Eqs. 2-3 for one block of images: sums of distances between all its pairs, filter by filter, from matrix products.

Squared distances come from Gram matrices. Cancellation is kept small: maps are first centred on an image near their
mean, identities on their own mean, and small blocks are computed in float64.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from skreid._base.blas import single_threaded_blas
from skreid._images.batches import to_device

PRODUCT_BYTES = 2**20  # distances that a thread computes at once, for several filters: they stay in its cache
GPU_BYTES = 2**27  # what a GPU takes at once for a copy of maps in float64, or for distances
PANEL = 128  # images compared with all later ones by one product
FEW_IMAGES = 64  # a block of at most this many images is compared in float64 throughout


def distance_sums(maps, labels, pairs):
    """Return the sums of distances and of squared distances over both kinds of pairs.

    Parameters
    ----------
    maps : tensor of shape (n_filters, n_images, cells)
        Smoothed maps in their compact form.
    labels : ndarray of shape (n_images,), int
    pairs : ndarray of shape (2, n_images, n_images), bool
        Which pairs count as the same identity, and which as different ones.

    Returns
    -------
    sums : tensor of shape (2, n_filters, 2), float64
        Distances, then squared distances; for each filter, pairs of the same identity, then of different ones. On the
        device of the maps: nothing waits for it.
    """
    if maps.device.type != "cpu":
        return _gpu_sums(maps, to_device(torch.from_numpy(pairs), maps.device).flatten(1).T.double())
    maps, n_images = maps.numpy(), len(labels)
    maps = maps.astype(np.float64) if n_images <= FEW_IMAGES else maps
    identities = _by_size(labels, pairs[0])
    different = pairs[1].astype(maps.dtype)
    step = max(1, PRODUCT_BYTES // (maps.itemsize * n_images * max(PANEL, maps.shape[2])))

    def compare(part):
        part = part - _reference(part)
        return np.stack([_same_sums(part, identities), _different_sums(part, different)], axis=-1)

    with single_threaded_blas() as n_threads, ThreadPoolExecutor(n_threads) as pool:
        parts = pool.map(compare, (maps[start : start + step] for start in range(0, len(maps), step)))
        return torch.from_numpy(np.concatenate(list(parts), axis=1))


def filters_at_once(maps):
    """Return how many filters' maps, of shape (n_filters, n_images, cells), a GPU compares at once."""
    _, n_images, cells = maps.shape
    return max(1, GPU_BYTES // (8 * n_images * max(n_images, cells)))


def _reference(maps):
    """Return the map nearest to the mean of each filter's maps, (n_filters, 1, cells).

    Subtracting it keeps all distances and reduces cancellation. Where a filter is silent on most images, it is the
    map of a silent one: distances between silent images stay exactly 0, as they would not with the mean subtracted.
    """
    apart = maps - maps.mean(axis=1, keepdims=True)
    return np.take_along_axis(maps, np.einsum("cik,cik->ci", apart, apart).argmin(axis=1)[:, None, None], axis=1)


def _by_size(labels, counted):
    """Group identities with equally many images: for each group, indices (m, s) and the pairs that count (m, s, s)."""
    order = np.argsort(labels, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
    groups = []
    for size in {len(places) for places in members} - {1}:
        places = np.array([each for each in members if len(each) == size])
        for chunk in np.array_split(places, -(-len(places) * size // max(size, FEW_IMAGES))):
            groups.append((chunk, counted[chunk[:, :, None], chunk[:, None]]))
    return groups


def _same_sums(maps, identities):
    """Return the sums of distances and squares within identities, in float64, (2, n_filters)."""
    sums = np.zeros((2, len(maps)))
    for places, counted in identities:
        own = maps[:, places]  # (c, m, s, h * w)
        own = (own - own.mean(axis=2, keepdims=True)).astype(np.float64, copy=False)
        products = own @ own.mT
        squares = np.diagonal(products, axis1=2, axis2=3).copy()
        products *= -2
        products += squares[..., None]
        products += squares[..., None, :]
        np.maximum(products, 0, out=products)
        sums += _sum_both(products, counted)
    return sums


def _different_sums(maps, counted):
    """Return the sums of distances and squares between identities, one panel of images at a time, (2, n_filters)."""
    squares = np.einsum("cik,cik->ci", maps, maps)[..., None]
    twins = _twins(maps, squares[..., 0])
    ones, sums = np.ones_like(squares), np.zeros((2, len(maps)))
    left = np.concatenate([-2 * maps, squares, ones], axis=2)  # products of these are squared distances
    right = np.concatenate([maps, ones, squares], axis=2)
    for start in range(0, maps.shape[1], PANEL):
        panel = slice(start, start + PANEL)
        products = left[:, panel] @ right[:, start:].mT
        np.maximum(products, 0, out=products)
        for place, images in twins:
            later = images[images >= start] - start
            products[place][np.ix_(later[later < PANEL], later)] = 0
        sums += _sum_both(products, counted[panel, start:])
    return sums


def _twins(maps, squares):
    """Find identical maps, whose distance of 0 the products would blur: a list of (filter, indices of the images)."""
    ordered, twins = np.sort(squares, axis=1), []
    alike = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] > 0)
    for place in np.flatnonzero(alike.any(axis=1)):
        for value in np.unique(ordered[place, 1:][alike[place]]):
            images = np.flatnonzero(squares[place] == value)
            rows = maps[place, images]
            twins.append((place, images[(rows == rows[0]).all(axis=1)]))
    return twins


def _sum_both(squared, counted):
    """Return the sums of the counted distances and of their squares, (2, n_filters); overwrites `squared`."""
    squared *= counted
    second = squared.sum(axis=-1).reshape(len(squared), -1).sum(axis=1, dtype=np.float64)
    np.sqrt(squared, out=squared)
    return np.stack([squared.sum(axis=-1).reshape(len(squared), -1).sum(axis=1, dtype=np.float64), second])


def _gpu_sums(maps, pairs):
    """Do what `distance_sums` does with the whole matrix of distances at once; pairs are (n * n, 2)."""
    sums = []
    for part in maps.split(filters_at_once(maps)):
        part = part.double()
        part = part - part.mean(dim=1, keepdim=True)
        squares = (part * part).sum(dim=2)  # (c, n)
        distances = torch.baddbmm(squares[:, :, None] + squares[:, None], part, part.mT, alpha=-2)
        distances = distances.clamp_(min=0).flatten(1)  # (c, n * n), squared
        second = distances @ pairs
        sums.append(torch.stack([distances.sqrt_() @ pairs, second]))
    return torch.cat(sums, dim=1)
