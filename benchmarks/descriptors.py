"""Milliseconds per image of every hand-crafted descriptor, on one core, and how far that is from its limit.

The limit of GOG and MLGD is numpy's eigendecompositions of as many matrices of the same sizes, and that of LOMO
numpy's count of as many codes. Prints a table and writes ``descriptors.json``; the targets are 60 ms for LOMO and 250
ms for GOG-RGB.
"""

import argparse
import json
import platform
from functools import partial
from pathlib import Path

import numpy as np
import scipy
from scipy.ndimage import gaussian_filter
from threadpoolctl import threadpool_limits

from benchmarks._common import in_turns, limited
from skreid.descriptors import GOG, LOMO, MLGD

# name, descriptor, (height, width) of the images, target in ms per image
CASES = (
    ("LOMO", LOMO(), (128, 48), 60),
    ("LOMO", LOMO(), (160, 60), None),
    ("LOMO, no Retinex", LOMO(retinex=None), (128, 48), None),
    ("GOG rgb", GOG("rgb"), (128, 48), 250),
    ("GOG lab", GOG("lab"), (128, 48), None),
    ("GOG hsv", GOG("hsv"), (128, 48), None),
    ("GOG nrng", GOG("nrng"), (128, 48), None),
    ("GOG fused", GOG(("rgb", "lab", "hsv", "nrng")), (128, 48), None),
    ("GOG rgb, resized", GOG("rgb"), (160, 60), None),
    ("MLGD", MLGD(), (128, 48), None),
)


def main(out_folder="benchmarks/results", quick=False):
    """Time every case, print a table and write the results.

    Parameters
    ----------
    out_folder : str or Path, default="benchmarks/results"
        Folder for ``descriptors.json``; made if missing.
    quick : bool, default=False
        Fewer images and repeats.

    Returns
    -------
    dict
        What was written: the machine, the settings, and one record per case.
    """
    n_images, n_repeats = (4, 2) if quick else (32, 5)
    records, limits = [], []
    print(f"{'descriptor':<18} {'image':>8} {'dimensions':>10} {'ms/image':>9} {'of the limit':>12} {'target':>7}")
    with threadpool_limits(1):
        for name, descriptor, size, target in CASES:
            images = _pictures(n_images, *size)
            n_features = descriptor.transform(images[:1]).shape[1]  # also warms caches
            limit, work = limit_of(descriptor, size)
            both = {"all": partial(descriptor.transform, images), "limit": partial(_repeat, work, n_images)}
            seconds = in_turns(both, n_repeats)
            shape, milliseconds = f"{size[0]} x {size[1]}", 1e3 * seconds["all"] / n_images
            limits.append(
                limited(f"{name}, {n_images} images of {shape}, one core", seconds["all"], limit, seconds["limit"])
            )
            records.append(
                {
                    "descriptor": name,
                    "height": size[0],
                    "width": size[1],
                    "n_features": n_features,
                    "ms_per_image": round(milliseconds, 2),
                    "target_ms_per_image": target,
                }
            )
            goal, share = "" if target is None else f"<= {target}", limits[-1]["of the limit"]
            print(f"{name:<18} {shape:>8} {n_features:>10} {milliseconds:>9.1f} {share:>12.2f} {goal:>7}", flush=True)
    report = {
        "benchmark": "descriptors",
        "quick": quick,
        "n_images": n_images,
        "n_repeats": n_repeats,
        "cores": 1,
        "machine": platform.machine(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "results": records,
        "limits": limits,
    }
    out_folder = Path(out_folder)
    out_folder.mkdir(parents=True, exist_ok=True)
    (out_folder / "descriptors.json").write_text(json.dumps(report, indent=2) + "\n")
    return report


def limit_of(descriptor, size=None):
    """Return the work for one image that no way around it can save: its name, and a function that does it.

    LOMO's depends on the size of the images.
    """
    if isinstance(descriptor, LOMO):
        return "numpy's count of as many codes", partial(_count, *_codes(descriptor, size))
    return "numpy's eigendecompositions of as many matrices", partial(_decompose, _matrices(descriptor))


def _matrices(descriptor):
    """Return stacks of positive definite matrices, in number and size as those of the Gaussians of one image."""
    height, width = descriptor.input_size
    n_patches = -(-height // descriptor.patch_step) * -(-width // descriptor.patch_step)
    rng, stacks = np.random.default_rng(0), []
    for n_dimensions in descriptor.block_sizes:
        strip = _side(n_dimensions // descriptor.n_strips)
        for number, side in (n_patches, _side(strip - 1)), (descriptor.n_strips, strip):
            factor = rng.normal(size=(number, side, 2 * side))
            stacks.append(factor @ factor.swapaxes(-1, -2))
    return stacks


def _side(n_triangle):
    """Return the side of a symmetric matrix whose upper triangle has so many entries."""
    return int((np.sqrt(8 * n_triangle + 1) - 1) / 2)


def _codes(descriptor, size):
    """Return arrays of codes to count, each with the number of different codes: a window of a map of LOMO a row."""
    rng, arrays, numbers = np.random.default_rng(0), [], []
    for n_codes in descriptor.n_bins**3, *(81 for _ in descriptor.radii):
        for scale in range(descriptor.n_scales):
            n_rows, n_columns = ((side >> scale) - descriptor.window_size for side in size)
            n_windows = (n_rows // descriptor.step + 1) * (n_columns // descriptor.step + 1)
            codes = rng.integers(n_codes, size=(n_windows, descriptor.window_size**2))
            arrays.append((codes + n_codes * np.arange(n_windows)[:, None]).ravel())
            numbers.append(n_codes * n_windows)
    return arrays, numbers


def _count(arrays, numbers):
    for codes, number in zip(arrays, numbers, strict=True):
        np.bincount(codes, minlength=number)


def _decompose(matrices):
    for stack in matrices:
        np.linalg.eigh(stack)


def _repeat(function, times):
    for _ in range(times):
        function()


def _pictures(n, height, width):
    """Return images of smooth random colours, which are closer to photographs than noise."""
    noise = np.random.default_rng(0).normal(size=(n, height, width, 3))
    smooth = gaussian_filter(noise, (0, 3, 3, 0))
    return np.clip(128 + 60 * smooth / smooth.std(), 0, 255).astype(np.uint8)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="benchmarks/results", help="folder of the JSON file")
    parser.add_argument("--quick", action="store_true", help="fewer images and repeats")
    arguments = parser.parse_args()
    main(arguments.out, arguments.quick)
