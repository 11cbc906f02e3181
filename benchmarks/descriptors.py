"""Milliseconds per image of every hand-crafted descriptor, on one core.

Prints a table and writes ``descriptors.json``; the targets are 60 ms for LOMO and 250 ms for GOG-RGB.
"""

import argparse
import json
import platform
import statistics
import time
from pathlib import Path

import numpy as np
import scipy
from scipy.ndimage import gaussian_filter
from threadpoolctl import threadpool_limits

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
    records = []
    print(f"{'descriptor':<18} {'image':>8} {'dimensions':>10} {'ms/image':>9} {'target':>7}")
    with threadpool_limits(1):
        for name, descriptor, size, target in CASES:
            images = _pictures(n_images, *size)
            n_features = descriptor.transform(images[:1]).shape[1]  # also warms caches
            seconds = [_seconds(descriptor, images) for _ in range(n_repeats)]
            milliseconds = 1e3 * statistics.median(seconds) / n_images
            records.append(
                {
                    "descriptor": name,
                    "height": size[0],
                    "width": size[1],
                    "n_features": n_features,
                    "ms_per_image": round(milliseconds, 2),
                    "fastest_ms_per_image": round(1e3 * min(seconds) / n_images, 2),
                    "target_ms_per_image": target,
                }
            )
            shape, goal = f"{size[0]}x{size[1]}", "" if target is None else f"<= {target}"
            print(f"{name:<18} {shape:>8} {n_features:>10} {milliseconds:>9.1f} {goal:>7}")
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
    }
    out_folder = Path(out_folder)
    out_folder.mkdir(parents=True, exist_ok=True)
    (out_folder / "descriptors.json").write_text(json.dumps(report, indent=2) + "\n")
    return report


def _seconds(descriptor, images):
    start = time.perf_counter()
    descriptor.transform(images)
    return time.perf_counter() - start


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
