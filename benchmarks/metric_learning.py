"""Time and memory that the learned metrics take, and what they gain over Euclidean distance.

Prints a table and writes ``metric_learning.json``. Every case runs in a separate process, so that its peak memory can
be read. The targets, 120 s and 8 GiB, are for XQDA on 2,000 images of 27,000 features with 2 cores. The cases of 17,920
features compare XQDA on the strongest descriptor with XQDA behind a PCA to half as many dimensions as there are images.
"""

import argparse
import json
import multiprocessing
import os
import platform
import resource
import sys
import time
from pathlib import Path

import numpy as np
import scipy
from scipy.linalg import eigh
from sklearn.decomposition import PCA
from sklearn.metrics.pairwise import euclidean_distances
from threadpoolctl import threadpool_info

from benchmarks._common import limited
from skreid.metric_learning import CVDCA, KCVDCA, XQDA, KernelXQDA

METRICS = {"XQDA": XQDA, "PCA, XQDA": XQDA, "KernelXQDA": KernelXQDA, "CVDCA": CVDCA, "KCVDCA": KCVDCA}
# metric, training images, features, target in seconds
CASES = (
    ("XQDA", 2000, 27_000, 120),
    ("XQDA", 2000, 17_920, None),
    ("PCA, XQDA", 2000, 17_920, None),
    ("XQDA", 2000, 500, None),
    ("XQDA", 12_000, 1000, None),
    ("KernelXQDA", 2000, 27_000, None),
    ("KernelXQDA", 2000, 500, None),
    ("CVDCA", 2000, 27_000, None),
    ("CVDCA", 2000, 500, None),
    ("KCVDCA", 2000, 500, None),
)
QUICK_CASES = (
    ("XQDA", 200, 2000, None),
    ("PCA, XQDA", 200, 2000, None),
    ("KernelXQDA", 200, 2000, None),
    ("CVDCA", 200, 2000, None),
    ("KCVDCA", 200, 200, None),
)
N_TEST_IDS = 200


def main(out_folder="benchmarks/results", quick=False):
    """Time every case, print a table and write the results.

    Parameters
    ----------
    out_folder : str or Path, default="benchmarks/results"
        Folder for ``metric_learning.json``; made if missing.
    quick : bool, default=False
        Small cases only, which take seconds.

    Returns
    -------
    dict
        What was written: the machine, and one record per case.
    """
    print(
        f"{'metric':<11} {'images':>7} {'features':>9} {'fit s':>7} {'target':>7} {'limit':>6} {'rank s':>7} "
        f"{'peak MiB':>9} {'kept':>5} {'rank-1':>7} {'Euclid':>7}"
    )
    records = []
    for case in QUICK_CASES if quick else CASES:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            record = pool.apply(measure, case)
        records.append(record)
        goal = "" if record["target_seconds"] is None else f"<= {record['target_seconds']}"
        print(
            f"{record['metric']:<11} {record['n_samples']:>7} {record['n_features']:>9} "
            f"{record['fit_seconds']:>7.1f} {goal:>7} {record['of_the_limit']:>6.2f} {record['rank_seconds']:>7.2f} "
            f"{record['peak_mib']:>9.0f} "
            f"{record['n_components']:>5} {record['rank1']:>7.3f} {record['euclidean_rank1']:>7.3f}",
            flush=True,
        )
    report = {
        "benchmark": "metric_learning",
        "quick": quick,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "results": records,
        "limits": [
            limited(f"fit of {record['metric']}, {record['n_samples']} x {record['n_features']}", record["fit_seconds"],
                    "one product of the training images and its eigenvectors", record["least_seconds"])
            for record in records
        ],
    }  # fmt: skip
    out_folder = Path(out_folder)
    out_folder.mkdir(parents=True, exist_ok=True)
    (out_folder / "metric_learning.json").write_text(json.dumps(report, indent=2) + "\n")
    return report


def measure(name, n_samples, n_features, target):
    """Fit one metric on made-up descriptors and rank people it was not fitted on; return the record of the case."""
    n_train_ids = n_samples // 4
    X, y, cams = _people(n_train_ids + N_TEST_IDS, n_features)
    train = y < n_train_ids
    probe, gallery = ~train & (cams == 0), ~train & (cams == 1)
    X_train, X_probe, X_gallery = X[train], X[probe], X[gallery]
    del X
    plain = euclidean_distances(X_probe, X_gallery)
    least = min(_seconds_of_least_work(X_train) for _ in range(2))
    before = _peak_mib()
    start = time.perf_counter()
    if name.startswith("PCA"):
        pca = PCA(n_samples // 2, random_state=0).fit(X_train)
        X_train, X_probe, X_gallery = map(pca.transform, (X_train, X_probe, X_gallery))
    metric = METRICS[name]().fit(X_train, y[train], cams[train])
    fitted = time.perf_counter()
    sides = {}
    if hasattr(metric, "cameras_"):
        sides = {"cams_probe": cams[probe], "cams_gallery": cams[gallery]}
    distances = metric.pairwise_distances(X_probe, X_gallery, **sides)
    ranked = time.perf_counter()
    peak = _peak_mib()
    return {
        "metric": name,
        "n_samples": int(train.sum()),
        "n_features": n_features,
        "n_probe": len(X_probe),
        "n_gallery": len(X_gallery),
        "n_components": metric.n_components_,
        "fit_seconds": round(fitted - start, 3),
        "least_seconds": round(least, 4),
        "of_the_limit": least / (fitted - start),
        "rank_seconds": round(ranked - fitted, 3),
        "target_seconds": target,
        "peak_mib": round(peak, 1),
        "peak_mib_before_fit": round(before, 1),
        "rank1": round(_rank1(distances, y[probe], y[gallery]), 4),
        "euclidean_rank1": round(_rank1(plain, y[probe], y[gallery]), 4),
        "blas_threads": max((pool["num_threads"] for pool in threadpool_info()), default=1),
    }


def _people(n_ids, n_features):
    """Return unit-length descriptors, two per person in each of two cameras, which shift and clutter them."""
    rng = np.random.default_rng(0)

    def normal(*shape):
        return rng.standard_normal(shape, dtype=np.float32)

    y, cams = np.tile(np.repeat(np.arange(n_ids), 2), 2), np.repeat([0, 1], 2 * n_ids)
    X = (normal(n_ids, 60) @ normal(60, n_features))[y]
    X += 2 * normal(len(y), 20) @ normal(20, n_features)
    X += (4 * normal(2, n_features))[cams]
    for rows in np.array_split(np.arange(len(y)), 50):
        X[rows] += 3 * normal(len(rows), n_features)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    return X, y, cams


def _seconds_of_least_work(X):
    """Return the seconds of the least that a fit computes: one product of the training images, and its eigenvectors.

    The product is that of images with images, or of features with features if there are fewer of these.
    """
    start = time.perf_counter()
    eigh(X @ X.T if len(X) <= X.shape[1] else X.T @ X, check_finite=False)
    return time.perf_counter() - start


def _rank1(distances, probe, gallery):
    return float((gallery[distances.argmin(axis=1)] == probe).mean())


def _peak_mib():
    """Return the highest resident memory of this process so far; macOS counts bytes, other systems KiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="benchmarks/results", help="folder of the JSON file")
    parser.add_argument("--quick", action="store_true", help="small cases only")
    arguments = parser.parse_args()
    main(arguments.out, arguments.quick)
