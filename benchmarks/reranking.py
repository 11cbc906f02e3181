"""Memory of re-ranking from descriptors, measured from outside, and its time beside that from whole matrices.

Run ``python -m benchmarks.reranking [--quick]``. Without --quick, the largest size is that of MSMT17's test set.
"""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks._common import exponent, in_turns, judged, print_table, run_script, write
from benchmarks._reranked import N_FEATURES, people
from skreid.metrics import distance_blocks, k_reciprocal_blocks, k_reciprocal_rerank

MSMT17 = (11_659, 82_161)
SHARE = MSMT17[0] / sum(MSMT17)  # of probes among all images


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


def main(out_folder=None, quick=False):
    """Measure each size, print and write ``reranking.json``."""
    sizes = [6000, 12_000] if quick else [12_000, 24_000, sum(MSMT17)]
    alone = measured("people(100, 900)")[1]  # Python and its packages
    rows = []
    for n_images in sizes:
        n_probe = round(n_images * SHARE)
        (first, precision, seconds), mib = measured(f"rerank({n_probe}, {n_images - n_probe})")
        rows.append({"probes": n_probe, "gallery": n_images - n_probe, "peak MiB": mib, "beside packages": mib - alone,
                     "matrices MiB": n_images**2 * 8 / 2**20, "seconds": seconds, "rank-1": first,
                     "mAP": precision})  # fmt: skip
    growth = exponent(sizes, [row["beside packages"] for row in rows])
    print_table(f"re-ranking by blocks, {N_FEATURES} dimensions: peak of a process, processor seconds", rows)
    print(f"memory beside packages ~ images ** {growth:.2f}")
    both = beside_matrices(1500 if quick else 6000)
    print_table("both ways, seconds", [both])
    targets = [judged("re-ranking: exponent of memory in the number of images", growth, 1.1, at_most=True)]
    if not quick:
        targets.append(judged("re-ranking at MSMT17's size: peak MiB", rows[-1]["peak MiB"], 4096, at_most=True))
    results = {"quick": quick, "rows": rows, "both": both, "exponent": growth, "targets": targets}
    return write("reranking", results, out_folder)


if __name__ == "__main__":
    run_script(main, __doc__)
