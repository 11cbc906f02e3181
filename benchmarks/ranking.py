"""kneighbors, exact, against scikit-learn's brute force; a gallery on disk; an approximate index and its recall.

Run ``python -m benchmarks.ranking [--quick]``.
"""

import importlib.util
import tempfile

import numpy as np
from sklearn.neighbors import NearestNeighbors

from benchmarks._common import in_turns, peak_memory, print_table, run_script, write
from skreid.gallery import Gallery
from skreid.ranking import nearest

N_NEIGHBORS, N_FEATURES = 20, 256


def descriptors(n_images, seed):
    """Draw descriptors of persons: images lie about their identity's mean, four each."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((n_images, N_FEATURES), dtype=np.float32)
    means = np.random.default_rng(99).standard_normal((4096, N_FEATURES), dtype=np.float32)
    rows += means[rng.integers(0, 4096, n_images)]
    return rows


def skreid_memory(n_gallery, n_probes):
    """Return skreid's search, to be measured."""
    probes, gallery = descriptors(n_probes, 1), descriptors(n_gallery, 0)
    nearest(None, probes, gallery[:2000], N_NEIGHBORS)
    return lambda: nearest(None, probes, gallery, N_NEIGHBORS)


def sklearn_memory(n_gallery, n_probes):
    """Return scikit-learn's search, to be measured."""
    probes, gallery = descriptors(n_probes, 1), descriptors(n_gallery, 0)
    NearestNeighbors(n_neighbors=N_NEIGHBORS, algorithm="brute").fit(gallery[:2000]).kneighbors(probes)
    search = NearestNeighbors(n_neighbors=N_NEIGHBORS, algorithm="brute").fit(gallery)
    return lambda: search.kneighbors(probes)


def main(out_folder=None, quick=False):
    """Time the searches in turns, print and write ``ranking.json``."""
    n_gallery = 50_000 if quick else 1_000_000
    rows, gallery = [], descriptors(n_gallery, 0)
    search = NearestNeighbors(n_neighbors=N_NEIGHBORS, algorithm="brute").fit(gallery)
    for n_probes in (16, 256):
        probes, found = descriptors(n_probes, 1), {}
        ways = {
            "skreid": lambda probes=probes, found=found: found.update(ours=nearest(None, probes, gallery, N_NEIGHBORS)),
            "scikit-learn": lambda probes=probes, found=found: found.update(theirs=search.kneighbors(probes)),
        }
        seconds = in_turns(ways, 2)
        rows.append({"probes": n_probes, "gallery": n_gallery, **seconds,
                     "times": seconds["scikit-learn"] / seconds["skreid"], "target": ">= 1",
                     "same neighbours": float((found["ours"][1] == found["theirs"][1]).mean())})  # fmt: skip
    n_measured = min(n_gallery, 200_000)
    peaks = {way: peak_memory("ranking", f"{way}_memory", n_measured, 256) for way in ("skreid", "sklearn")}
    print_table(f"{N_NEIGHBORS} nearest of {N_FEATURES} numbers", rows)
    print(
        f"peak beside the gallery of {n_measured}: " + ", ".join(f"{way} {mib:.0f} MiB" for way, mib in peaks.items())
    )
    on_disk = benchmark_gallery(gallery[: 20_000 if quick else 200_000], descriptors(256, 1))
    print_table("Gallery", on_disk)
    results = {"quick": quick, "rows": rows, "peak_mib": peaks, "gallery": on_disk}
    return write("ranking", results, out_folder)


def benchmark_gallery(gallery, probes):
    """Time a gallery in memory, on disk, and behind an approximate index if FAISS is there."""
    with tempfile.TemporaryDirectory() as folder:
        held = Gallery(gallery)
        mapped = Gallery.open(held.save(folder) and folder)
        galleries = {"in memory": held, "on disk": mapped}
        if importlib.util.find_spec("faiss"):
            galleries["IVF256, 96 cells"] = Gallery(gallery, engine="faiss", index="IVF256,Flat", effort=96)
        wanted = {name: each.kneighbors(probes, 10)[1] for name, each in galleries.items()}  # builds the index
        seconds = in_turns(
            {name: (lambda each=each: each.kneighbors(probes, 10)) for name, each in galleries.items()}, 2
        )
        exact = wanted["in memory"]
        recall = {
            name: float(np.mean([np.isin(a, b).mean() for a, b in zip(found, exact, strict=True)]))
            for name, found in wanted.items()
        }
    return [{"gallery": name, "images": len(gallery), "seconds": seconds[name], "recall": recall[name]}
            for name in galleries]  # fmt: skip


if __name__ == "__main__":
    run_script(main, __doc__)
