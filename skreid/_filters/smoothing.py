"""Eq. 1: feature maps upsampled to the frame and box-blurred, and a compact form with the same distances.

Upsampling and blurring are linear and separable, so a smoothed map is ``B = A_h F A_w^T``. The polar factors of ``A_h``
and ``A_w`` keep every Euclidean distance between such maps in ``h x w`` values.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from scipy.linalg import polar
from scipy.ndimage import uniform_filter1d

from skreid._base.blas import single_threaded_blas
from skreid._network.precision import full_float32

ROUNDING = 1e-5  # a part that differs from the mean by a smaller share of its length differs by rounding only


@lru_cache(maxsize=256)
def smoothing_operator(map_size, frame_size, blur_size):
    """Return the matrix that upsamples and box-blurs along one axis.

    Bilinear upsampling with half-pixel centres, then a running mean of `blur_size` frame pixels whose
    border is mirrored about the edge pixel, also when the filter is larger than the frame (Eq. 1).
    None is a box over the whole axis: every pixel becomes the mean of all pixels.

    Parameters
    ----------
    map_size, frame_size : int
        Cells of the feature map and pixels of the frame along this axis.
    blur_size : int or None
        Side of the box filter, in frame pixels.

    Returns
    -------
    operator : ndarray of shape (frame_size, map_size), float64
        Read-only; each row sums to 1.
    """
    cells = torch.eye(map_size, dtype=torch.float64)[None]
    upsample = F.interpolate(cells, size=frame_size, mode="linear", align_corners=False)[0].numpy().T
    if blur_size is None:
        operator = np.repeat(upsample.mean(axis=0, keepdims=True), frame_size, axis=0)
    else:
        operator = uniform_filter1d(upsample, blur_size, axis=0, mode="mirror")
    operator.flags.writeable = False
    return operator


@lru_cache(maxsize=256)
def compact_operator(map_size, frame_size, blur_size):
    """Return the symmetric positive factor that keeps the smoothing operator's distances.

    ``P = (A^T A)^(1/2)``, the polar factor of `smoothing_operator`: ``||A x|| = ||P x||`` for every ``x``.
    If `blur_size` is None, all frame pixels are equal and one row is enough: their value times the square root of their
    number.

    Returns
    -------
    operator : ndarray of shape (map_size, map_size), or (1, map_size) for None, float64
        Read-only.
    """
    smoothing = smoothing_operator(map_size, frame_size, blur_size)
    factor = polar(smoothing)[1] if blur_size is not None else frame_size**0.5 * smoothing[:1]
    factor.flags.writeable = False
    return factor


def smooth_maps(maps, frame_shape, blur_size):
    """Blur maps at the size of the frame: Eq. 1.

    Parameters
    ----------
    maps : tensor of shape (n_images, n_filters, h, w)
    frame_shape : tuple of int
        Height and width of the frame, in pixels.
    blur_size : int, or tuple of two int or None
        Side of the box filter, in frame pixels; or its height and width, where None spans the whole frame.

    Returns
    -------
    smoothed : tensor of shape (n_images, n_filters, frame height, frame width)
    """
    return _apply(smoothing_operator, maps, frame_shape, blur_size)


def compact_maps(maps, frame_shape, blur_size, chosen=None):
    """Return maps in compact form: as small as `maps`, with the same Euclidean distances as the smoothed maps.

    Parameters are those of `smooth_maps`, and `chosen`: a tensor of the filters to return, all by default. The result
    has shape (n_images, n_filters, h, w), with a side of 1 along an axis that the box spans.
    """
    return _apply(compact_operator, maps, frame_shape, blur_size, chosen)


def store_compact(out, maps, frame_shape, blur_size):
    """Write `compact_maps` of maps, (n, n_filters, h, w), into a tensor of shape (n_filters, n, cells).

    On a CPU, numpy turns one image at a time about within the cache, on all cores.
    """
    if maps.device.type != "cpu":
        out[:] = compact_maps(maps, frame_shape, blur_size).flatten(2).transpose(0, 1)
        return
    maps, out = maps.permute(0, 2, 3, 1).numpy(), out.numpy()  # filters last, as channels-last networks leave them
    height, width = maps.shape[1:3]
    rows, columns = (
        compact_operator(size, frame, side).astype(maps.dtype)
        for size, frame, side in zip((height, width), frame_shape, box_sides(blur_size), strict=True)
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


def scale_maps(maps, normalize, mean):
    """Turn the compact maps of one layer into its part of the descriptors.

    Parameters
    ----------
    maps : tensor of shape (n_images, n_filters, h, w)
    normalize : {"rooted", "centered", "l2"} or None
        "rooted": signed roots minus their mean, scaled to unit length. "centered": maps minus their mean, scaled to
        unit length. "l2": maps scaled to unit length. None: maps as they are.
    mean : tensor of shape (n_filters, h, w), or None
        Mean of the signed roots ("rooted") or of the maps ("centered").

    Returns
    -------
    part : tensor of shape (n_images, n_filters * h * w)
        Zeros for an image that equals the mean up to rounding.
    """
    part = (signed_root(maps) if normalize == "rooted" else maps).flatten(1)
    if normalize is None:
        return part
    if mean is None:
        return F.normalize(part)
    length, part = torch.linalg.vector_norm(part, dim=1, keepdim=True), part - mean.flatten()
    own = torch.linalg.vector_norm(part, dim=1, keepdim=True)
    return torch.where(own > ROUNDING * length, part / own, 0)


def box_sides(blur_size):
    """Return the height and width of the box filter."""
    return blur_size if isinstance(blur_size, tuple) else (blur_size, blur_size)


def compact_shape(map_shape, blur_size):
    """Return the height and width of the compact form of maps with this height and width."""
    return tuple(1 if side is None else size for size, side in zip(map_shape, box_sides(blur_size), strict=True))


def _apply(build, maps, frame_shape, blur_size, chosen=None):
    """Multiply each axis of the chosen maps by the operator that `build` returns for it."""
    rows, columns = (
        _on_device(build, size, frame, side, maps.dtype, maps.device)
        for size, frame, side in zip(maps.shape[-2:], frame_shape, box_sides(blur_size), strict=True)
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
def _on_device(build, map_size, frame_size, blur_size, dtype, device):
    """Return an operator as a tensor on a device, sent there only once."""
    return torch.from_numpy(np.array(build(map_size, frame_size, blur_size))).to(dtype=dtype, device=device)
