"""How time grows with images, identities, filters and the gallery: exponents of fitted power laws; 1 is linear.

Run ``python -m benchmarks.growth [--quick]``.
"""

import numpy as np
import torch

from benchmarks._common import exponent, in_turns, judged, print_table, run_script, write
from skreid import MultiDepthReID
from skreid._filters.pairs import pair_statistics
from skreid._images.source import ImageSource
from skreid._ranking import nearest


def explore(n_images, n_identities, n_filters):
    """Return a function that explores made maps of 8 x 4 cells."""
    maps = torch.rand(32, n_filters, 8, 4).contiguous(memory_format=torch.channels_last)
    pixels = np.zeros((n_images, 16, 8, 3), np.uint8)
    labels = np.arange(n_images) % n_identities
    return lambda: pair_statistics(
        lambda batch, layers: {"layer": maps[: len(batch)]}, ImageSource(pixels), labels,
        layers=("layer",), blur_size=3, batch_size=32, device=torch.device("cpu"), random_state=0,
        progress=lambda count: None,
    )  # fmt: skip


def transform(n_images):
    """Return a function that describes so many images by a small network."""
    images = np.random.default_rng(0).integers(0, 256, (n_images, 32, 16, 3), dtype=np.uint8)
    settings = {"backbone": "vgg11", "layers": ("conv3_2",), "input_size": (32, 16), "blur_size": 4}
    reid = MultiDepthReID(**settings, max_epochs=0, random_state=0).fit(images[:4], [0, 0, 1, 1])
    return lambda: reid.transform(images)


def rank(n_gallery):
    """Return a function that ranks such a gallery for 200 probes."""
    rows = np.random.default_rng(0).standard_normal((n_gallery, 64), dtype=np.float32)
    return lambda: nearest(None, rows[:200], rows, 10)


def main(out_folder=None, quick=False):
    """Time every growth, fit, print and write ``growth.json``."""
    much = 1 if quick else 4
    questions = {
        "exploring, images": ([n * much for n in (512, 1024, 2048)], lambda n: explore(n, n // 4, 32)),
        "exploring, filters": ([n * much for n in (32, 64, 128)], lambda n: explore(512, 128, n)),
        "exploring, identities": ([8, 32, 128], lambda n: explore(512 * much, n, 32)),
        "transform, images": ([n * much for n in (64, 128, 256)], transform),
        "ranking, gallery": ([n * much for n in (100_000, 200_000, 400_000)], rank),
    }
    curves, rows = {}, []
    for question, (sizes, make) in questions.items():
        ways = {size: make(size) for size in sizes}
        ways[sizes[0]]()
        seconds = in_turns(ways, 3)
        curves[question] = {"sizes": sizes, "seconds": [seconds[size] for size in sizes]}
        found = exponent(sizes, curves[question]["seconds"])
        rows.append({"growth of": question, "from": sizes[0], "to": sizes[-1], "seconds": seconds[sizes[-1]],
                     "exponent": found})  # fmt: skip
    print_table("growth: seconds ~ size ** exponent", rows)
    targets = [judged(f"growth of {row['growth of']}: exponent", row["exponent"], 1.1, at_most=True) for row in rows]
    return write("growth", {"quick": quick, "rows": rows, "curves": curves, "targets": targets}, out_folder)


if __name__ == "__main__":
    run_script(main, __doc__)
