"""Eq. 1: feature maps upsampled to the frame and box-blurred, and a compact form with the same distances.

Upsampling and blurring are linear and separable, so a smoothed map is ``B = A_h F A_w^T``. The polar factors of ``A_h``
and ``A_w`` keep every Euclidean distance between such maps in ``h x w`` values. Where boxes stand side by side, one
value per box is enough.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from scipy.linalg import polar
from scipy.ndimage import uniform_filter1d

from skreid._base.blas import single_threaded_blas
from skreid._images.batches import to_device
from skreid._network.precision import full_float32

ROOTED = ("whitened", "rooted")  # normalizations of the signed roots of maps
ROUNDING = 1e-5  # a part that differs from the mean by a smaller share of its length differs by rounding only


class BoxFilter(NamedTuple):
    """The box filter of Eq. 1, and where it stands.

    Attributes
    ----------
    height, width : int or None
        Sides, in frame pixels; None spans the frame.
    sampling : {"pixel", "box"}
        "pixel": a box around every pixel of the frame. "box": boxes side by side, as many as fit best, stretched to
        fill the frame; every pixel becomes the mean of its box.
    """

    height: int | None
    width: int | None
    sampling: str = "pixel"


@lru_cache(maxsize=256)
def smoothing_operator(map_size, frame_size, side, sampling="pixel"):
    """Return the matrix that upsamples and box-blurs along one axis.

    Bilinear upsampling with half-pixel centres, then the box filter (Eq. 1). If it stands around every pixel, the
    border is mirrored about the edge pixel, also when the filter is larger than the frame.

    Parameters
    ----------
    map_size, frame_size : int
        Cells of the feature map and pixels of the frame along this axis.
    side : int or None
        Side of the box filter, in frame pixels; None is the whole axis.
    sampling : {"pixel", "box"}

    Returns
    -------
    operator : ndarray of shape (frame_size, map_size), float64
        Read-only; each row sums to 1.
    """
    cells = torch.eye(map_size, dtype=torch.float64)[None]
    upsample = F.interpolate(cells, size=frame_size, mode="linear", align_corners=False)[0].numpy().T
    edges = _edges(frame_size, side, sampling)
    if edges is None:
        operator = uniform_filter1d(upsample, side, axis=0, mode="mirror")
    else:
        sizes = np.diff(edges)
        operator = np.repeat(np.add.reduceat(upsample, edges[:-1]) / sizes[:, None], sizes, axis=0)
    operator.flags.writeable = False
    return operator


@lru_cache(maxsize=256)
def compact_operator(map_size, frame_size, side, sampling="pixel"):
    """Return a small matrix that keeps the smoothing operator's distances: ``||A x|| = ||P x||`` for every ``x``.

    ``P = (A^T A)^(1/2)``, the symmetric polar factor of `smoothing_operator`. Where boxes stand side by side and are
    no more than the cells, one row per box: its mean times the square root of its number of pixels.

    Returns
    -------
    operator : ndarray of shape (map_size, map_size), or (n_boxes, map_size) with fewer boxes than cells, float64
        Read-only.
    """
    smoothing = smoothing_operator(map_size, frame_size, side, sampling)
    edges = _edges(frame_size, side, sampling)
    if edges is not None and len(edges) - 1 <= map_size:
        factor = smoothing[edges[:-1]] * np.sqrt(np.diff(edges))[:, None]
    else:
        factor = polar(smoothing)[1]
    factor.flags.writeable = False
    return factor


def _edges(frame_size, side, sampling):
    """Return where boxes that stand side by side begin, and the end of the last, in pixels; None if they do not."""
    if side is not None and sampling == "pixel":
        return None
    n_boxes = 1 if side is None else max(1, round(frame_size / side))
    return np.rint(np.linspace(0, frame_size, n_boxes + 1)).astype(int)


def smooth_maps(maps, frame_shape, box):
    """Blur maps at the size of the frame: Eq. 1.

    Parameters
    ----------
    maps : tensor of shape (n_images, n_filters, h, w)
    frame_shape : tuple of int
        Height and width of the frame, in pixels.
    box : BoxFilter

    Returns
    -------
    smoothed : tensor of shape (n_images, n_filters, frame height, frame width)
    """
    return _apply(smoothing_operator, maps, frame_shape, box)


def compact_maps(maps, frame_shape, box, chosen=None):
    """Return maps in compact form: as small as `maps`, with the same Euclidean distances as the smoothed maps.

    Parameters are those of `smooth_maps`, and `chosen`: a tensor of the filters to return, all by default. The result
    has shape (n_images, n_filters, h, w), where boxes that stand side by side take the place of as many or more cells.
    """
    return _apply(compact_operator, maps, frame_shape, box, chosen)


def store_compact(out, maps, frame_shape, box):
    """Write `compact_maps` of maps, (n, n_filters, h, w), into a tensor of shape (n_filters, n, cells).

    On a CPU, numpy turns one image at a time about within the cache, on all cores.
    """
    if maps.device.type != "cpu":
        out[:] = compact_maps(maps, frame_shape, box).flatten(2).transpose(0, 1)
        return
    maps, out = maps.permute(0, 2, 3, 1).numpy(), out.numpy()  # filters last, as channels-last networks leave them
    height, width = maps.shape[1:3]
    rows, columns = (
        compact_operator(*axis, box.sampling).astype(maps.dtype)
        for axis in zip((height, width), frame_shape, box[:2], strict=True)
    )

    def compact(place):  # one image at a time: its maps are transposed within the cache
        with np.errstate(over="ignore", invalid="ignore"):  # reported by layer and filter later
            tall = (rows @ maps[place].reshape(height, -1)).reshape(len(rows), width, -1)
            turned = out[:, place].reshape(len(out), len(rows), len(columns)).transpose(1, 0, 2)
            np.matmul(tall.transpose(0, 2, 1), columns.T, out=turned)

    with single_threaded_blas() as n_threads, ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(compact, range(len(maps))))


def signed_root(maps):
    """Return the square root of each absolute value, with the sign of the value."""
    return maps.abs().sqrt_().copysign_(maps)


def scale_maps(maps, normalize, mean, whitening=None):
    """Turn the compact maps of one layer into its part of the descriptors.

    Parameters
    ----------
    maps : tensor of shape (n_images, n_filters, h, w)
    normalize : {"whitened", "rooted", "centered", "l2"} or None
        "rooted": signed roots minus their mean, scaled to unit length. "whitened": the same, multiplied by `whitening`
        before they are scaled. "centered": maps minus their mean, scaled to unit length. "l2": maps scaled to unit
        length. None: maps as they are.
    mean : tensor of shape (n_filters, h, w), or None
        Mean of the signed roots ("whitened", "rooted") or of the maps ("centered").
    whitening : tensor of shape (n_filters * h * w, n_filters * h * w), or None
        Symmetric.

    Returns
    -------
    part : tensor of shape (n_images, n_filters * h * w)
        Zeros for an image that equals the mean up to rounding.
    """
    part = (signed_root(maps) if normalize in ROOTED else maps).flatten(1)
    if normalize is None:
        return part
    if mean is None:
        return F.normalize(part)
    length, part = torch.linalg.vector_norm(part, dim=1, keepdim=True), part - mean.flatten()
    own = torch.linalg.vector_norm(part, dim=1, keepdim=True)
    scaled = part / own
    if normalize == "whitened":
        with full_float32(part.device):
            scaled = F.normalize(scaled @ whitening)
    return torch.where(own > ROUNDING * length, scaled, 0)


def compact_shape(map_shape, frame_shape, box):
    """Return the height and width of the compact form of maps with this height and width."""
    return tuple(
        len(compact_operator(*axis, box.sampling)) for axis in zip(map_shape, frame_shape, box[:2], strict=True)
    )


def _apply(build, maps, frame_shape, box, chosen=None):
    """Multiply each axis of the chosen maps by the operator that `build` returns for it."""
    rows, columns = (
        _on_device(build, *axis, box.sampling, maps.dtype, maps.device)
        for axis in zip(maps.shape[-2:], frame_shape, box[:2], strict=True)
    )
    cells = maps.permute(0, 2, 3, 1)  # filters last, as channels-last networks leave them: few but long products
    if len(columns) == 1:  # each row becomes one value: do this first
        cells, columns = _along_columns(columns, cells), None
    if chosen is not None:
        cells = cells.reshape(-1, cells.shape[3]).index_select(1, chosen).view(*cells.shape[:3], len(chosen))
    n_images, h, w, n_filters = cells.shape
    cells = _product(rows.expand(n_images, -1, -1), cells.reshape(n_images, h, w * n_filters))
    cells = cells.view(n_images, len(rows), w, n_filters)
    return (cells if columns is None else _along_columns(columns, cells)).permute(0, 3, 1, 2)


def _along_columns(operator, cells):
    """Multiply axis 2, the columns, by an operator."""
    n_images, h, w, n_filters = cells.shape
    products = _product(operator.expand(n_images * h, -1, -1), cells.reshape(n_images * h, w, n_filters))
    return products.view(n_images, h, len(operator), n_filters)


def _product(operators, cells):
    with full_float32(cells.device):
        return torch.bmm(operators, cells)


@lru_cache(maxsize=256)
def _on_device(build, map_size, frame_size, side, sampling, dtype, device):
    """Return an operator as a tensor on a device, sent there only once."""
    return to_device(torch.from_numpy(np.array(build(map_size, frame_size, side, sampling))).to(dtype), device)
