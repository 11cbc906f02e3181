"""How time grows with images, identities, filters and the gallery: exponents of fitted power laws; 1 is linear.

Run ``python -m benchmarks.growth [--quick]``. Exploring is timed as ``fit(max_epochs=0)`` with a network that costs
next to nothing.
"""

from collections import OrderedDict

import numpy as np
from torch import nn

from benchmarks._common import exponent, in_turns, judged, limited, print_table, run_script, write
from skreid import Gallery, MultiDepthReID


def explore(n_images, n_identities, n_filters):
    """Return a function that explores the maps, of 8 x 4 cells, of random images."""
    images = np.random.default_rng(0).integers(0, 256, (n_images, 16, 8, 3), dtype=np.uint8)
    labels = np.arange(n_images) % n_identities
    reid = MultiDepthReID(
        backbone=lambda: nn.Sequential(OrderedDict(layer=nn.Conv2d(3, n_filters, 2, stride=2))),
        input_size=(16, 8), blur_size=3, criterion="margin", n_filters=1, max_epochs=0, batch_size=32, device="cpu",
        random_state=0,
    )  # fmt: skip
    return lambda: reid.fit(images, labels)


def transform(n_images):
    """Return a function that describes `n_images` by a small network."""
    images = np.random.default_rng(0).integers(0, 256, (n_images, 32, 16, 3), dtype=np.uint8)
    settings = {"backbone": "vgg11", "layers": ("conv3_2",), "input_size": (32, 16), "blur_size": 4}
    reid = MultiDepthReID(**settings, max_epochs=0, random_state=0).fit(images[:4], [0, 0, 1, 1])
    return lambda: reid.transform(images)


def rank(n_gallery):
    """Return a function that ranks a gallery of random descriptors for 200 probes."""
    rows = np.random.default_rng(0).standard_normal((n_gallery, 64), dtype=np.float32)
    gallery = Gallery(rows)
    return lambda: gallery.kneighbors(rows[:200], 10)


def main(out_folder=None, quick=False):
    """Time every question at its sizes, fit the power laws, print and write ``growth.json``."""
    factor = 1 if quick else 4
    questions = {
        "exploring, images": ([n * factor for n in (512, 1024, 2048)], lambda n: explore(n, n // 4, 32)),
        "exploring, filters": ([n * factor for n in (32, 64, 128)], lambda n: explore(512, 128, n)),
        "exploring, identities": ([8, 32, 128], lambda n: explore(512 * factor, n, 32)),
        "transform, images": ([n * factor for n in (64, 128, 256)], transform),
        "ranking, gallery": ([n * factor for n in (100_000, 200_000, 400_000)], rank),
    }
    curves, rows = {}, []
    for question, (sizes, make) in questions.items():
        ways = {size: make(size) for size in sizes}
        ways[sizes[0]]()
        seconds = in_turns(ways, 3)
        curves[question] = {"sizes": sizes, "seconds": [seconds[size] for size in sizes]}
        rows.append({"growth of": question, "from": sizes[0], "to": sizes[-1], "seconds": seconds[sizes[-1]],
                     "exponent": exponent(sizes, curves[question]["seconds"])})  # fmt: skip
    print_table("growth: seconds ~ size ** exponent", rows)
    limits = []
    for row in rows:
        shortest, free = curves[row["growth of"]]["seconds"][0], row["growth of"].endswith("identities")
        limits.append(limited(f"growth of {row['growth of']}, {row['from']:,} to {row['to']:,}", row["seconds"],
                              "no growth" if free else "linear growth from the smallest size",
                              shortest if free else shortest * row["to"] / row["from"]))  # fmt: skip
    targets = [judged(f"growth of {row['growth of']}: exponent", row["exponent"], 1.1, at_most=True) for row in rows]
    results = {"quick": quick, "rows": rows, "curves": curves, "limits": limits, "targets": targets}
    return write("growth", results, out_folder)


if __name__ == "__main__":
    run_script(main, __doc__)
