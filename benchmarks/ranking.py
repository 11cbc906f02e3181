"""Time and memory of Gallery.kneighbors, exact, compared with scikit-learn's brute-force search.

Run ``python -m benchmarks.ranking [--quick]``.
"""

import numpy as np
from sklearn.neighbors import NearestNeighbors

from benchmarks._common import in_turns, judged, limited, peak_memory, print_table, run_script, write
from skreid import Gallery

N_NEIGHBORS, N_FEATURES = 20, 256


def descriptors(n_images, seed):
    """Draw descriptors that lie around the means of 4096 identities."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((n_images, N_FEATURES), dtype=np.float32)
    means = np.random.default_rng(99).standard_normal((4096, N_FEATURES), dtype=np.float32)
    rows += means[rng.integers(0, 4096, n_images)]
    return rows


def product(probes, rows, n_rows=16_384):
    """Multiply all probes by all rows, tile by tile, and keep nothing: less cannot be computed for exact distances."""
    for low in range(0, len(rows), n_rows):
        probes @ rows[low : low + n_rows].T


def skreid_memory(n_gallery, n_probes):
    """Return a function that searches by skreid."""
    probes, rows = descriptors(n_probes, 1), descriptors(n_gallery, 0)
    Gallery(rows[:2000]).kneighbors(probes, N_NEIGHBORS)
    gallery = Gallery(rows)
    return lambda: gallery.kneighbors(probes, N_NEIGHBORS)


def sklearn_memory(n_gallery, n_probes):
    """Return a function that searches by scikit-learn."""
    probes, rows = descriptors(n_probes, 1), descriptors(n_gallery, 0)
    NearestNeighbors(n_neighbors=N_NEIGHBORS, algorithm="brute").fit(rows[:2000]).kneighbors(probes)
    search = NearestNeighbors(n_neighbors=N_NEIGHBORS, algorithm="brute").fit(rows)
    return lambda: search.kneighbors(probes)


def main(out_folder=None, quick=False):
    """Time the searches in turns, print and write ``ranking.json``."""
    n_gallery = 50_000 if quick else 1_000_000
    rows, known = [], descriptors(n_gallery, 0)
    gallery, search = Gallery(known), NearestNeighbors(n_neighbors=N_NEIGHBORS, algorithm="brute").fit(known)
    for n_probes in (16, 256):
        probes = descriptors(n_probes, 1)
        ways = {
            "skreid": lambda probes=probes: gallery.kneighbors(probes, N_NEIGHBORS),
            "scikit-learn": lambda probes=probes: search.kneighbors(probes),
            "product": lambda probes=probes: product(probes, known),
        }
        alike = ways["skreid"]()[1] == ways["scikit-learn"]()[1]
        seconds = in_turns(ways, 2)
        rows.append({"probes": n_probes, "gallery": n_gallery, **seconds,
                     "of the limit": seconds["product"] / seconds["skreid"],
                     "times": seconds["scikit-learn"] / seconds["skreid"], "target": ">= 1",
                     "same neighbours": float(alike.mean())})  # fmt: skip
    n_measured = min(n_gallery, 200_000)
    peaks = {way: peak_memory("ranking", f"{way}_memory", n_measured, 256) for way in ("skreid", "sklearn")}
    print_table(f"{N_NEIGHBORS} nearest neighbours, descriptors of {N_FEATURES} dimensions", rows)
    listed = ", ".join(f"{way} {mib:.0f} MiB" for way, mib in peaks.items())
    print(f"peak memory of a search in {n_measured:,} images, without the gallery itself: {listed}")
    targets = [judged(f"kneighbors, {row['probes']} probes, {n_gallery:,} x {N_FEATURES}: times scikit-learn's speed",
                      row["times"], 1) for row in rows]  # fmt: skip
    targets.append(judged(f"kneighbors: MiB beside a gallery of {n_measured * N_FEATURES * 4 / 2**20:.0f} MiB",
                          peaks["skreid"], 100, at_most=True))  # fmt: skip
    limits = [limited(f"kneighbors by {way}, {row['probes']} probes, {n_gallery:,} x {N_FEATURES}", row[way],
                      "the float32 product of probes and gallery", row["product"])
              for row in rows for way in ("skreid", "scikit-learn")]  # fmt: skip
    results = {"quick": quick, "rows": rows, "peak_mib": peaks, "limits": limits, "targets": targets}
    return write("ranking", results, out_folder)


if __name__ == "__main__":
    run_script(main, __doc__)
