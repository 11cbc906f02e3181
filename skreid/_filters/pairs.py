"""Eqs. 2-3: how far each filter's smoothed maps are for the same person and for different ones.

Statistics stream over blocks of whole identities: within a block every pair counts and matrix products
give all distances of a filter, so memory is one block and time is linear in the number of images.
"""

import math
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch

from skreid._base.blas import single_threaded_blas
from skreid._filters.choosing import JointMoments
from skreid._filters.smoothing import box_sides, compact_maps, compact_operator, compact_shape, signed_root

BLOCK_IMAGES = 512  # up to this many images, every pair of the data set counts
BLOCK_BYTES = 2 * 2**30  # maps of one block held at once; what exceeds it is read in further passes
PRODUCT_BYTES = 2**20  # distances of a few filters held at once by a thread: what stays in its cache
GPU_PRODUCT_BYTES = 2**26
PANEL = 128  # images compared with all later ones by one product
FEW = 64  # so few images are compared in float64 throughout


class PairStatistics(NamedTuple):
    """Distances of one layer's smoothed maps over pairs of images.

    Attributes
    ----------
    d_same, d_different : ndarray of shape (n_filters,), float64
        Mean Euclidean distance over pairs of one identity and of two (Eqs. 2-3), in units of the maps.
    std_same, std_different : ndarray of shape (n_filters,), float64
        Standard deviation of the same distances.
    n_same, n_different : int
        Number of pairs behind them.
    mean_map : ndarray of shape (n_filters, h, w), float32
        Mean of the images' smoothed maps, in their compact form.
    mean_root : ndarray of shape (n_filters, h, w), float32
        Mean of the same numbers' signed square roots.
    covariance : ndarray of shape (n_filters, n_filters), float64, or None
        Of the filters' squared distances, mean of those over pairs of one identity and over pairs of two.
    """

    d_same: np.ndarray
    d_different: np.ndarray
    std_same: np.ndarray
    std_different: np.ndarray
    n_same: int
    n_different: int
    mean_map: np.ndarray | None = None
    mean_root: np.ndarray | None = None
    covariance: np.ndarray | None = None


DISTANCES = PairStatistics._fields[:6]  # what is said of each filter


def identity_blocks(labels, random_state, cams=None, max_images=BLOCK_IMAGES):
    """Group images in blocks of whole identities, at random.

    Parameters
    ----------
    labels : ndarray of shape (n,), int
    random_state : int
    cams : ndarray of shape (n,), optional
    max_images : int
        Images a block may hold; an identity with more than half of that is dealt out at random in parts, with an equal
        share of each camera.

    Returns
    -------
    blocks : list of ndarray of int
        Indices of the images of each block; the first holds two identities or more.
    """
    order = np.argsort(labels, kind="stable")
    rng = np.random.default_rng(random_state)
    parts = []
    for images in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1):
        n_parts = -(-len(images) // (max_images // 2))
        if n_parts > 1:
            images = rng.permutation(images)
            images = images if cams is None else images[np.argsort(cams[images], kind="stable")]
        cut = [images[first::n_parts] for first in range(n_parts)]
        parts.extend((turn, rng.random(), part) for turn, part in enumerate(cut))
    blocks, size = [], max_images
    for _, _, part in sorted(parts, key=lambda entry: entry[:2]):  # the first parts of all come first
        if size + len(part) > max_images:
            blocks.append([])
            size = 0
        blocks[-1].append(part)
        size += len(part)
    return [np.concatenate(block) for block in blocks]


def pair_statistics(
    network,
    source,
    labels,
    *,
    layers,
    blur_size,
    cams=None,
    covariance=False,
    batch_size,
    random_state,
    progress,
):
    """Compare the smoothed maps of every filter over pairs of images (Eqs. 2-3).

    Parameters
    ----------
    network : callable
        ``network(batch, layers)`` -> dict of maps, for a batch as `source` reads it.
    source : ImageSource
    labels : ndarray of shape (n,), int
        Identity of each image.
    layers : tuple of str
    blur_size : int, or tuple of two int or None
        Side of the box filter, or its height and width, in frame pixels.
    cams : ndarray of shape (n,), optional
        Camera of each image: only pairs across cameras count then.
    covariance : bool, default=False
        Whether to find how the filters' distances vary together; of the pairs of two identities, a sample.
    batch_size : int
        Images a forward pass.
    random_state : int
        Decides which identities share a block, when there is more than one.
    progress : callable
        Called with the number of images done.

    Returns
    -------
    statistics : dict of str to PairStatistics

    Raises
    ------
    FloatingPointError
        If the network gives NaN or infinite maps.
    """
    sums, maps_sum, roots_sum = (dict.fromkeys(layers, 0.0) for _ in range(3))
    joint = {layer: JointMoments(random_state) for layer in layers} if covariance else {}
    counts = np.zeros(2, dtype=np.int64)
    blocks = identity_blocks(labels, random_state, cams)
    first = network(source.read([0]), layers)
    shapes = {layer: (first[layer].shape[1], *compact_shape(first[layer].shape[2:], blur_size)) for layer in layers}
    sizes = {layer: math.prod(shape) * first[layer].element_size() for layer, shape in shapes.items()}
    groups = _layer_groups(sizes, max(len(block) for block in blocks))
    for block in blocks:
        pairs = _pair_masks(labels[block], None if cams is None else cams[block])
        counts += pairs.sum(axis=(1, 2), dtype=np.int64)
        for group in groups:
            maps = _block_maps(network, source, block, group, blur_size, batch_size, progress)
            for layer in group:
                held = maps.pop(layer)  # (n_filters, n_images, cells)
                maps_sum[layer] = maps_sum[layer] + held.sum(dim=1).double().numpy(force=True)
                _check_finite(layer, maps_sum[layer])
                roots = [signed_root(filter_maps).sum(dim=0).double() for filter_maps in held]  # one copied at a time
                roots_sum[layer] = roots_sum[layer] + torch.stack(roots).numpy(force=True)
                if covariance:
                    joint[layer].add(held, pairs)
                sums[layer] = sums[layer] + _distance_sums(held, labels[block], pairs)
    return {
        layer: PairStatistics(
            *_means_and_deviations(sums[layer], counts),
            *map(int, counts),
            *(
                (total[layer] / len(labels)).astype(np.float32).reshape(shapes[layer])
                for total in (maps_sum, roots_sum)
            ),
            joint[layer].covariance() if covariance else None,
        )
        for layer in layers
    }


def _check_finite(layer, maps_sum):
    """Refuse maps with NaN or infinity, of which distances would be made."""
    bad = np.flatnonzero(~np.isfinite(maps_sum).all(axis=1))
    if len(bad):
        raise FloatingPointError(
            f"Filter {bad[0]} of layer {layer!r} gives NaN or infinite maps, and so do {len(bad) - 1} others there: "
            "the network's weights are damaged, or its training diverged. Check weights, or lower learning_rate."
        )


def _layer_groups(sizes, n_images):
    """Split the layers so that the maps of one block fit BLOCK_BYTES for each group (one layer at least)."""
    groups, held = [[]], 0
    for layer, size in sizes.items():
        size = size * n_images
        if groups[-1] and held + size > BLOCK_BYTES:
            groups.append([])
            held = 0
        groups[-1].append(layer)
        held += size
    return groups


def _block_maps(network, source, block, layers, blur_size, batch_size, progress):
    """Return layer -> compact maps of a block, (n_filters, n_images, cells)."""
    held, done = {}, 0
    for batch in source.batches(batch_size, block):
        for layer, maps in network(batch, layers).items():
            if layer not in held:
                n_cells = math.prod(compact_shape(maps.shape[2:], blur_size))
                held[layer] = maps.new_empty(maps.shape[1], len(block), n_cells)
            _hold_compact(held[layer][:, done : done + len(batch)], maps, source.size, blur_size)
        done += len(batch)
        progress(len(batch))
    return held


def _hold_compact(out, maps, frame_shape, blur_size):
    """Write the compact form of maps, (n, C, h, w), into an array of shape (C, n, cells)."""
    if maps.device.type != "cpu":
        out[:] = compact_maps(maps, frame_shape, blur_size).flatten(2).transpose(0, 1)
        return
    maps, out = maps.permute(0, 2, 3, 1).numpy(), out.numpy()  # filters side by side, as networks leave them
    height, width = maps.shape[1:3]
    rows, columns = (
        compact_operator(size, frame, side).astype(maps.dtype)
        for size, frame, side in zip((height, width), frame_shape, box_sides(blur_size), strict=True)
    )

    def compact(place):  # one image's maps turn about within the cache
        with np.errstate(over="ignore", invalid="ignore"):  # told by layer and filter, not here
            tall = (rows @ maps[place].reshape(height, -1)).reshape(len(rows), width, -1)
            turned = out[:, place].reshape(len(out), len(rows), len(columns)).transpose(1, 0, 2)
            np.matmul(tall.transpose(0, 2, 1), columns.T, out=turned)

    with single_threaded_blas() as n_threads, ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(compact, range(len(maps))))


def _pair_masks(labels, cams):
    """Return which ordered pairs i < j count as of one identity and of two, (2, n, n), bool."""
    same = labels[:, None] == labels
    counted = np.triu(np.ones_like(same), 1)
    if cams is not None:
        counted &= cams[:, None] != cams
    return np.stack([same & counted, ~same & counted])


def _distance_sums(maps, labels, pairs):
    """Return the sums of distances and of their squares over the two kinds of pairs, (2, n_filters, 2)."""
    if maps.device.type != "cpu":
        return _gpu_sums(maps, torch.from_numpy(pairs.astype(float)).to(maps.device).flatten(1).T)
    maps, n_images = maps.numpy(), len(labels)
    maps = maps.astype(np.float64) if n_images <= FEW else maps
    identities = _by_size(labels, pairs[0])
    different = pairs[1].astype(maps.dtype)
    step = max(1, PRODUCT_BYTES // (maps.itemsize * n_images * max(PANEL, maps.shape[2])))

    def compare(few):
        few = few - _reference(few)
        return np.stack([_same_sums(few, identities), _different_sums(few, different)], axis=-1)

    with single_threaded_blas() as n_threads, ThreadPoolExecutor(n_threads) as pool:
        parts = pool.map(compare, (maps[start : start + step] for start in range(0, len(maps), step)))
        return np.concatenate(list(parts), axis=1)


def _reference(few):
    """Return the image nearest to the mean of each filter, (c, 1, h * w).

    Distances stay when it is subtracted, and cancellation shrinks; where a filter is silent on most images it is one
    of those, so that their distances are 0 to the last bit, which a subtracted mean would not give.
    """
    apart = few - few.mean(axis=1, keepdims=True)
    return np.take_along_axis(few, np.einsum("cik,cik->ci", apart, apart).argmin(axis=1)[:, None, None], axis=1)


def _by_size(labels, counted):
    """Group identities of equal size, a few at a time: (m, s) places and (m, s, s) pairs that count of each group."""
    order = np.argsort(labels, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
    groups = []
    for size in {len(places) for places in members} - {1}:
        places = np.array([each for each in members if len(each) == size])
        for some in np.array_split(places, -(-len(places) * size // max(size, FEW))):
            groups.append((some, counted[some[:, :, None], some[:, None]]))
    return groups


def _same_sums(few, identities):
    """Return the sums of distances and squares within identities, each about its own mean, in float64, (2, c)."""
    sums = np.zeros((2, len(few)))
    for places, counted in identities:
        own = few[:, places]  # (c, m, s, h * w)
        own = (own - own.mean(axis=2, keepdims=True)).astype(np.float64, copy=False)
        products = own @ own.mT
        squares = np.diagonal(products, axis1=2, axis2=3).copy()
        products *= -2
        products += squares[..., None]
        products += squares[..., None, :]
        np.maximum(products, 0, out=products)
        sums += _sum_both(products, counted)
    return sums


def _different_sums(few, counted):
    """Return the sums of distances and squares between identities, a panel of images at a time, (2, c)."""
    squares = np.einsum("cik,cik->ci", few, few)[..., None]
    twins = _twins(few, squares[..., 0])
    ones, sums = np.ones_like(squares), np.zeros((2, len(few)))
    left = np.concatenate([-2 * few, squares, ones], axis=2)  # products of these are squared distances
    right = np.concatenate([few, ones, squares], axis=2)
    for start in range(0, few.shape[1], PANEL):
        panel = slice(start, start + PANEL)
        products = left[:, panel] @ right[:, start:].mT
        np.maximum(products, 0, out=products)
        for place, images in twins:
            later = images[images >= start] - start
            products[place][np.ix_(later[later < PANEL], later)] = 0
        sums += _sum_both(products, counted[panel, start:])
    return sums


def _twins(few, squares):
    """Find copies of images, whose distance of 0 the products blur: a list of (filter, places of images alike)."""
    ordered, found = np.sort(squares, axis=1), []
    alike = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] > 0)
    for place in np.flatnonzero(alike.any(axis=1)):
        for value in np.unique(ordered[place, 1:][alike[place]]):
            images = np.flatnonzero(squares[place] == value)
            rows = few[place, images]
            found.append((place, images[(rows == rows[0]).all(axis=1)]))
    return found


def _sum_both(squared, counted):
    """Return the sums of the counted distances and of their squares, overwriting the squares, (2, c)."""
    squared *= counted
    second = squared.sum(axis=-1).reshape(len(squared), -1).sum(axis=1, dtype=np.float64)
    np.sqrt(squared, out=squared)
    return np.stack([squared.sum(axis=-1).reshape(len(squared), -1).sum(axis=1, dtype=np.float64), second])


def _gpu_sums(maps, pairs):
    """Return what `_distance_sums` does, from the whole matrix of distances; pairs are (n * n, 2)."""
    step = max(1, GPU_PRODUCT_BYTES // (8 * maps.shape[1] ** 2))
    sums = []
    for few in maps.split(step):
        few = few.double()
        few = few - few.mean(dim=1, keepdim=True)
        squares = (few * few).sum(dim=2)  # (c, n)
        distances = torch.baddbmm(squares[:, :, None] + squares[:, None], few, few.mT, alpha=-2)
        distances = distances.clamp_(min=0).flatten(1)  # (c, n * n), squared
        second = distances @ pairs
        sums.append(torch.stack([distances.sqrt_() @ pairs, second]))
    return torch.cat(sums, dim=1).numpy(force=True)


def _means_and_deviations(sums, counts):
    """Turn sums over pairs of both kinds into their means, then their standard deviations."""
    with np.errstate(invalid="ignore"):  # no pair of a kind: NaN says so
        mean, second = np.ascontiguousarray((sums / counts).transpose(0, 2, 1))
    std = np.sqrt(np.maximum(second - mean**2, 0))
    return [row.copy() for row in (*mean, *std)]
