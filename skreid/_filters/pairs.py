"""Eqs. 2-3: how far apart each filter's smoothed maps are, for the same person and for different people.

Statistics stream over blocks of whole identities, and every pair within a block counts: memory is one block, and time
is linear in the number of images.
"""

import math
from typing import NamedTuple

import numpy as np
import torch

from skreid._filters.joint import JointMoments
from skreid._filters.smoothing import compact_shape, signed_root, store_compact
from skreid._filters.sums import distance_sums, filters_at_once
from skreid._network.device import to_host

BLOCK_IMAGES = 512  # up to this many images, every pair of the data set counts
BLOCK_BYTES = 2 * 2**30  # memory for the maps of one block; layers that do not fit are read in further passes
WITHOUT_FLOAT64 = ("mps",)  # devices whose maps are compared on the CPU


class PairStatistics(NamedTuple):
    """Statistics of the distances between smoothed maps, for each filter of one layer.

    Attributes
    ----------
    d_same, d_different : ndarray of shape (n_filters,), float64
        Mean Euclidean distance over pairs of the same and of different identities (Eqs. 2-3), in units of the maps.
    std_same, std_different : ndarray of shape (n_filters,), float64
        Standard deviations of these distances.
    n_same, n_different : int
        Number of pairs of each kind.
    mean_map : ndarray of shape (n_filters, h, w), float32
        Mean of the images' smoothed maps, in their compact form.
    mean_root : ndarray of shape (n_filters, h, w), float32
        Mean of the signed square roots of the same values.
    covariance : ndarray of shape (n_filters, n_filters), float64, or None
        Of the filters' squared distances: mean of the covariances over pairs of the same and of different identities.
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


DISTANCES = PairStatistics._fields[:6]  # the part of the statistics that describes each filter


def identity_blocks(labels, random_state, cams=None, max_images=BLOCK_IMAGES):
    """Group images into random blocks of whole identities.

    Parameters
    ----------
    labels : ndarray of shape (n,), int
    random_state : int
    cams : ndarray of shape (n,), optional
    max_images : int
        Largest number of images in a block. An identity with more than half of that is split at random into parts, with
        an equal share of each camera in each.

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
    box,
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
    box : BoxFilter
    cams : ndarray of shape (n,), optional
        Camera of each image: only pairs across cameras count then.
    covariance : bool, default=False
        Whether to estimate how the filters' distances vary together, from a sample of pairs of different identities.
    batch_size : int
        Images per forward pass.
    random_state : int
        Decides which identities share a block, if there is more than one block.
    progress : callable
        Called with the number of images read since the last call.

    Returns
    -------
    statistics : dict of str to PairStatistics

    Raises
    ------
    FloatingPointError
        If the network returns NaN or infinite maps.
    """
    first = network(source.read([0]), layers)
    shapes = {
        layer: (first[layer].shape[1], *compact_shape(first[layer].shape[2:], source.size, box)) for layer in layers
    }
    bytes_per_image = {layer: math.prod(shape) * first[layer].element_size() for layer, shape in shapes.items()}
    blocks = identity_blocks(labels, random_state, cams)
    groups = _layer_groups(bytes_per_image, max(len(block) for block in blocks))
    sums = {layer: _LayerSums(layer, JointMoments(random_state) if covariance else None) for layer in layers}
    counts = np.zeros(2, dtype=np.int64)
    for block in blocks:
        pairs = _pair_masks(labels[block], None if cams is None else cams[block])
        counts += pairs.sum(axis=(1, 2), dtype=np.int64)
        for group in groups:
            maps = _block_maps(network, source, block, group, box, batch_size, progress)
            for layer in group:
                sums[layer].add(maps.pop(layer), labels[block], pairs)
    return {layer: sums[layer].statistics(counts, len(labels), shapes[layer]) for layer in layers}


class _LayerSums:
    """Sums over the blocks for one layer, on the device of the maps until `statistics` copies them all at once.

    Parameters
    ----------
    layer : str
    joint : JointMoments or None
        Also collects how the filters' distances vary together.
    """

    def __init__(self, layer, joint):
        self.layer, self.joint = layer, joint
        self.maps = self.roots = self.distances = 0.0

    def add(self, maps, labels, pairs):
        """Add a block: its compact maps, (n_filters, n_images, cells), identities, and pairs of both kinds."""
        maps = maps.cpu() if maps.device.type in WITHOUT_FLOAT64 else maps
        self.maps = self.maps + maps.sum(dim=1).double()
        if maps.device.type == "cpu":  # a GPU would be waited for
            self._check_finite(self.maps.numpy())
        parts = maps.split(1 if maps.device.type == "cpu" else filters_at_once(maps))  # copies of few maps at a time
        self.roots = self.roots + torch.cat([signed_root(part).sum(dim=1).double() for part in parts])
        if self.joint is not None:
            self.joint.add(maps, pairs)
        self.distances = self.distances + distance_sums(maps, labels, pairs)

    def _check_finite(self, maps):
        """Refuse sums of maps, (n_filters, cells), with NaN or infinity."""
        bad = np.flatnonzero(~np.isfinite(maps).all(axis=1))
        if len(bad):
            raise FloatingPointError(
                f"Filter {bad[0]} of layer {self.layer!r} returns NaN or infinite maps, and so do {len(bad) - 1} other "
                "filters of that layer: the weights are damaged, or the training diverged. Check weights, or lower "
                "learning_rate."
            )

    def statistics(self, counts, n_images, shape):
        """Return the statistics; `counts` are the pairs of each kind, `shape` is that of one image's maps."""
        joint = () if self.joint is None else self.joint.sums()
        maps, roots, distances, *joint = to_host(self.maps, self.roots, self.distances, *joint)
        self._check_finite(maps)
        return PairStatistics(
            *_means_and_deviations(distances, counts),
            *map(int, counts),
            *((total / n_images).astype(np.float32).reshape(shape) for total in (maps, roots)),
            self.joint.covariance(*joint) if joint else None,
        )


def _layer_groups(bytes_per_image, n_images):
    """Group the layers so that a group's maps of one block fit into BLOCK_BYTES; each group has at least one layer."""
    groups, n_bytes = [[]], 0
    for layer, size in bytes_per_image.items():
        size = size * n_images
        if groups[-1] and n_bytes + size > BLOCK_BYTES:
            groups.append([])
            n_bytes = 0
        groups[-1].append(layer)
        n_bytes += size
    return groups


def _block_maps(network, source, block, layers, box, batch_size, progress):
    """Return layer -> compact maps of a block, (n_filters, n_images, cells)."""
    compact, done = {}, 0
    for batch in source.batches(batch_size, block):
        for layer, maps in network(batch, layers).items():
            if layer not in compact:
                n_cells = math.prod(compact_shape(maps.shape[2:], source.size, box))
                compact[layer] = maps.new_empty(maps.shape[1], len(block), n_cells)
            store_compact(compact[layer][:, done : done + len(batch)], maps, source.size, box)
        done += len(batch)
        progress(len(batch))
    return compact


def _pair_masks(labels, cams):
    """Return which pairs i < j count as the same identity, and which as different ones, (2, n, n), bool."""
    same = labels[:, None] == labels
    counted = np.triu(np.ones_like(same), 1)
    if cams is not None:
        counted &= cams[:, None] != cams
    return np.stack([same & counted, ~same & counted])


def _means_and_deviations(sums, counts):
    """Turn sums over both kinds of pairs into means, then standard deviations; NaN where there is no pair."""
    with np.errstate(invalid="ignore"):
        mean, second = np.ascontiguousarray((sums / counts).transpose(0, 2, 1))
    std = np.sqrt(np.maximum(second - mean**2, 0))
    return [row.copy() for row in (*mean, *std)]
