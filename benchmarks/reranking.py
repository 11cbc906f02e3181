"""Memory of re-ranking from descriptors, measured from outside, and its time beside that from whole matrices.

Run ``python -m benchmarks.reranking [--quick | --size msmt17]``. Without either, sizes grow up to that of MSMT17's test
set. --size msmt17 measures it alone, as a call of `ranking_metrics` without a block size does.
"""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks._common import exponent, in_turns, judged, print_table, run_script, write
from benchmarks._reranked import N_FEATURES, people
from skreid.metrics import distance_blocks, k_reciprocal_blocks, k_reciprocal_rerank

SIZES = {"msmt17": (11_659, 82_161)}  # probes and gallery
SHARE = SIZES["msmt17"][0] / sum(SIZES["msmt17"])  # of probes among all images
LIMIT = 4096  # MiB that re-ranking may take at MSMT17's size


def measured(call):
    """Run a call in a process of its own; return the numbers that it prints, and the most MiB seen in use."""
    import psutil

    code = f"from benchmarks._reranked import *; {call}"
    root = Path(__file__).parents[1]
    child = psutil.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=root)
    peak = 0
    while child.poll() is None:
        peak = max(peak, child.memory_info().rss)
        time.sleep(0.005)
    if child.returncode:
        raise RuntimeError(f"{call} failed.")
    return [float(number) for number in child.stdout.read().split()], peak / 2**20


def beside_matrices(n_images):
    """Time both ways at a size where both run, and compare their distances."""
    probes, gallery, *_ = people(round(n_images * SHARE), n_images - round(n_images * SHARE))

    def matrices():
        pairs = ((probes, gallery), (probes, probes), (gallery, gallery))
        return k_reciprocal_rerank(*(distance_blocks(a, b)(0, len(a)) for a, b in pairs))

    def blocks():
        return k_reciprocal_blocks(probes, gallery)(0, len(probes))

    apart = float(np.abs(matrices() - blocks()).max())
    return {"images": n_images, **in_turns({"matrices": matrices, "blocks": blocks}, 2), "largest difference": apart}


def memory_at(sizes, block_size=None):
    """Re-rank numbers of images, each in a process of its own, by blocks of probes; return a row for each."""
    alone = measured("people(100, 900)")[1]  # Python and its packages
    rows = []
    for n_images in sizes:
        n_probe = round(n_images * SHARE)
        (first, precision, seconds), mib = measured(f"rerank({n_probe}, {n_images - n_probe}, {block_size})")
        rows.append({"probes": n_probe, "gallery": n_images - n_probe, "peak MiB": mib, "beside packages": mib - alone,
                     "matrices MiB": n_images**2 * 8 / 2**20, "seconds": seconds, "rank-1": first,
                     "mAP": precision})  # fmt: skip
    print_table(f"re-ranking by blocks, {N_FEATURES} dimensions: peak of a process, processor seconds", rows)
    return rows


def main(out_folder=None, quick=False, size=None):
    """Measure each size, print and write ``reranking.json``."""
    if size is not None:
        rows = memory_at([sum(SIZES[size])])
        return write("reranking", {"size": size, "rows": rows, "targets": [_within_limit(rows[0])]}, out_folder)
    sizes = [6000, 12_000] if quick else [12_000, 24_000, sum(SIZES["msmt17"])]
    rows = memory_at(sizes, block_size=64)  # blocks of the usual size hide how memory grows
    growth = exponent(sizes, [row["beside packages"] for row in rows])
    print(f"memory beside packages ~ images ** {growth:.2f}")
    both = beside_matrices(1500 if quick else 6000)
    print_table("both ways, seconds", [both])
    targets = [judged("re-ranking: exponent of memory in the number of images", growth, 1.1, at_most=True)]
    if not quick:
        targets.append(_within_limit(rows[-1]))
    results = {"quick": quick, "rows": rows, "both": both, "exponent": growth, "targets": targets}
    return write("reranking", results, out_folder)


def _within_limit(row):
    """Print and return whether the memory at MSMT17's size stays within its limit."""
    print(f"peak at MSMT17's size: {row['peak MiB']:,.0f} MiB; the limit is {LIMIT:,} MiB")
    return judged("re-ranking at MSMT17's size: peak MiB", row["peak MiB"], LIMIT, at_most=True)


if __name__ == "__main__":
    run_script(main, __doc__, size=SIZES)
