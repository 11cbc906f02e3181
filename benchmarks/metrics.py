"""How fast the ranking metrics are, compared with sorting, and how memory grows with distances from descriptors.

Run ``python benchmarks/metrics.py [--quick]``. Prints a table and writes ``benchmarks/results/metrics.json``.
"""

import argparse
import json
import platform
import time
import tracemalloc
from pathlib import Path

import numpy as np

from skreid.metrics import (
    cmc_curve,
    distance_blocks,
    mean_average_precision,
    mean_inverse_negative_penalty,
    ranking_metrics,
    threshold_at_fmr,
    verification_curve,
)

MARKET = {"n_probe": 3368, "n_gallery": 15913, "n_identities": 751, "n_cams": 6}


def people(n_probe, n_gallery, n_identities, n_cams, random_state=0):
    """Draw identities and cameras, as keyword arguments for the metrics."""
    rng = np.random.default_rng(random_state)
    return {
        "y_probe": rng.integers(n_identities, size=n_probe),
        "y_gallery": rng.integers(n_identities, size=n_gallery),
        "cams_probe": rng.integers(n_cams, size=n_probe),
        "cams_gallery": rng.integers(n_cams, size=n_gallery),
    }


def best_time(function, n_repeats):
    """Return the shortest of several runs, in seconds."""
    times = []
    for _ in range(n_repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def row_by_row(distances, y_probe, y_gallery, cams_probe, cams_gallery):
    """Compute rank-1 and mAP as scripts of the field do: sort every row, then count in Python."""
    first, precision = [], []
    for i, row in enumerate(distances):
        order = np.argsort(row)
        order = order[(y_gallery[order] != y_probe[i]) | (cams_gallery[order] != cams_probe[i])]
        ranks = np.flatnonzero(y_gallery[order] == y_probe[i]) + 1
        if len(ranks):
            first.append(ranks[0])
            precision.append((np.arange(1, len(ranks) + 1) / ranks).mean())
    return np.mean(np.array(first) == 1), np.mean(precision)


def benchmark_speed(quick):
    """Time every metric on one matrix, beside argsort of the same matrix."""
    size = {**MARKET, "n_probe": 400} if quick else MARKET
    options = people(**size)
    rng = np.random.default_rng(1)
    distances = rng.random((size["n_probe"], size["n_gallery"]), dtype=np.float32)
    distances -= 0.3 * (options["y_probe"][:, None] == options["y_gallery"])
    options["distances"] = distances
    seconds = {
        "argsort of every row": best_time(lambda: np.argsort(distances, axis=1), 2),
        "sort and count row by row": best_time(lambda: row_by_row(**options), 1),
        "cmc_curve": best_time(lambda: cmc_curve(**options, max_rank=50, on_missing="drop"), 7),
        "mean_average_precision": best_time(lambda: mean_average_precision(**options, on_missing="drop"), 3),
        "mean_inverse_negative_penalty": best_time(
            lambda: mean_inverse_negative_penalty(**options, on_missing="drop"), 3
        ),
        "ranking_metrics (all of these)": best_time(lambda: ranking_metrics(**options), 3),
        "verification_curve": best_time(lambda: verification_curve(**options), 1),
        "threshold_at_fmr": best_time(lambda: threshold_at_fmr(**options), 2),
    }
    rank1, precision = row_by_row(**options)
    result = ranking_metrics(**options)
    agrees = bool(np.isclose(result.ranks[1], rank1) and np.isclose(result.mean_average_precision, precision))
    reference = seconds["argsort of every row"]
    return {
        "size": size,
        "agrees_with_sorting": agrees,
        "seconds": seconds,
        "times_faster_than_argsort": {name: reference / value for name, value in seconds.items()},
    }


def benchmark_streaming(quick):
    """Measure time and peak memory for growing probes and galleries, with distances computed block by block."""
    factor = 4 if quick else 1
    sizes = [(500, 20_000), (1000, 20_000), (2000, 20_000), (1000, 40_000), (1000, 80_000)]
    rows = []
    for n_probe, n_gallery in ((p // factor, g // factor) for p, g in sizes):
        options = people(n_probe, n_gallery, 2000, 8)
        rng = np.random.default_rng(2)
        probe, gallery = (rng.standard_normal((n, 64), dtype=np.float32) for n in (n_probe, n_gallery))
        tracemalloc.start()
        start = time.perf_counter()
        blocks = distance_blocks(probe, gallery, dtype=np.float32)
        ranking_metrics(distances=blocks, block_size=64, **options)
        seconds = time.perf_counter() - start
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        rows.append(
            {
                "n_probe": n_probe,
                "n_gallery": n_gallery,
                "seconds": seconds,
                "peak_mb": peak / 1e6,
                "whole_matrix_mb": n_probe * n_gallery * 4 / 1e6,
            }
        )
    return rows


def benchmark_large(quick):
    """Time one block of 100,000 probes x 1,000,000 gallery images, and extrapolate to all of them."""
    n_probe, n_gallery, n_block = (2000, 50_000, 32) if quick else (100_000, 1_000_000, 64)
    options = people(n_block, n_gallery, n_gallery // 20, 8)
    rng = np.random.default_rng(3)
    probe, gallery = (rng.standard_normal((n, 64), dtype=np.float32) for n in (n_block, n_gallery))
    tracemalloc.start()
    start = time.perf_counter()
    blocks = distance_blocks(probe, gallery, dtype=np.float32)
    prepared = time.perf_counter()
    ranking_metrics(distances=blocks, block_size=n_block, **options)
    seconds = time.perf_counter() - prepared
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return {
        "n_probe": n_probe,
        "n_gallery": n_gallery,
        "block_size": n_block,
        "seconds_once": prepared - start,
        "seconds_per_block": seconds,
        "hours_for_all": (prepared - start + seconds * n_probe / n_block) / 3600,
        "peak_mb": peak / 1e6,
        "whole_matrix_mb": n_probe * n_gallery * 4 / 1e6,
    }


def main(out_folder=None, quick=False):
    """Run all parts, print them, and write ``metrics.json`` into `out_folder`; return its content."""
    results = {
        "machine": {"processor": platform.processor() or platform.machine(), "numpy": np.__version__},
        "quick": quick,
        "speed": benchmark_speed(quick),
        "streaming": benchmark_streaming(quick),
        "large": benchmark_large(quick),
    }
    speed = results["speed"]
    print(f"{speed['size']['n_probe']} probes x {speed['size']['n_gallery']} gallery images, float32")
    print(f"{'':34}{'seconds':>9}{'x argsort':>11}")
    for name, seconds in speed["seconds"].items():
        print(f"{name:34}{seconds:9.3f}{speed['times_faster_than_argsort'][name]:11.1f}")
    print(f"rank-1 and mAP equal those from sorting: {speed['agrees_with_sorting']}")
    print("\nstreaming from descriptors")
    print(f"{'probes':>8}{'gallery':>9}{'seconds':>9}{'peak MB':>9}{'matrix MB':>11}")
    for row in results["streaming"]:
        sizes = f"{row['n_probe']:8}{row['n_gallery']:9}"
        print(f"{sizes}{row['seconds']:9.2f}{row['peak_mb']:9.0f}{row['whole_matrix_mb']:11.0f}")
    large = results["large"]
    print(f"\n{large['n_probe']} x {large['n_gallery']}, {large['block_size']} probes per block:")
    print(f"{large['seconds_per_block']:.2f} s per block, {large['hours_for_all']:.2f} h in total")
    print(f"peak {large['peak_mb']:.0f} MB (matrix: {large['whole_matrix_mb']:.0f} MB)")
    out_folder = Path(__file__).parent / "results" if out_folder is None else Path(out_folder)
    out_folder.mkdir(parents=True, exist_ok=True)
    (out_folder / "metrics.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, which take a few seconds")
    parser.add_argument("--out-folder", default=None, help="folder for metrics.json")
    arguments = parser.parse_args()
    main(arguments.out_folder, arguments.quick)
