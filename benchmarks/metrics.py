"""How fast the ranking metrics are, compared with sorting, and how memory grows with distances from descriptors.

Run ``python -m benchmarks.metrics [--quick]``. The limit of CMC is one read of the matrix, that of mAP one sort of the
values of every row, both by numpy on one core: threads may pass it.
"""

import time
import tracemalloc

import numpy as np

from benchmarks._common import in_turns, limited, print_table, run_script, write
from benchmarks.ranking import product
from skreid.metrics import (
    cmc_curve,
    distance_blocks,
    mean_average_precision,
    mean_inverse_negative_penalty,
    ranking_metrics,
    threshold_at_fmr,
    verification_curve,
)

READ, SORT = "one read of the matrix", "one sort of the values of every row"
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
    """Time every metric on one matrix, beside a read of it, a sort of its values, and argsort, in turns."""
    size = {**MARKET, "n_probe": 400} if quick else MARKET
    options = people(**size)
    rng = np.random.default_rng(1)
    distances = rng.random((size["n_probe"], size["n_gallery"]), dtype=np.float32)
    distances -= 0.3 * (options["y_probe"][:, None] == options["y_gallery"])
    options["distances"] = distances
    ways = {
        READ: distances.max,
        "cmc_curve": lambda: cmc_curve(**options, max_rank=50, on_missing="drop"),
        SORT: lambda: np.sort(distances, axis=1),
        "mean_average_precision": lambda: mean_average_precision(**options, on_missing="drop"),
        "mean_inverse_negative_penalty": lambda: mean_inverse_negative_penalty(**options, on_missing="drop"),
        "ranking_metrics (all of these)": lambda: ranking_metrics(**options),
        "threshold_at_fmr": lambda: threshold_at_fmr(**options),
    }
    rarely = {
        "verification_curve": lambda: verification_curve(**options),
        "argsort of every row": lambda: np.argsort(distances, axis=1),
        "sort and count row by row": lambda: row_by_row(**options),
    }
    seconds = in_turns(ways, 7) | in_turns(rarely, 1)
    limit = {"cmc_curve": READ, "mean_inverse_negative_penalty": READ, "threshold_at_fmr": READ}
    rows = [
        {"figure": name, "seconds": spent, "reads": spent / seconds[READ], "value sorts": spent / seconds[SORT],
         "limit": limit.get(name, SORT), "of the limit": seconds[limit.get(name, SORT)] / spent}
        for name, spent in seconds.items() if name not in (READ, SORT)
    ]  # fmt: skip
    rank1, precision = row_by_row(**options)
    result = ranking_metrics(**options)
    agrees = bool(np.isclose(result.ranks[1], rank1) and np.isclose(result.mean_average_precision, precision))
    return {"size": size, "agrees_with_sorting": agrees, "seconds": seconds, "rows": rows}


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
        limit = in_turns({"product": lambda probe=probe, gallery=gallery: product(probe, gallery)}, 3)["product"]
        rows.append(
            {
                "n_probe": n_probe,
                "n_gallery": n_gallery,
                "seconds": seconds,
                "of the limit": limit / seconds,
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
    """Run all parts, print them, and write ``metrics.json``."""
    speed, streaming, large = benchmark_speed(quick), benchmark_streaming(quick), benchmark_large(quick)
    size = f"{speed['size']['n_probe']} x {speed['size']['n_gallery']}"
    print_table(f"{size} distances, float32", speed["rows"])
    print(f"rank-1 and mAP equal those from sorting: {speed['agrees_with_sorting']}")
    print_table("streaming from descriptors", streaming)
    print_table("100,000 probes x 1,000,000 gallery images, from one block" if not quick else "one block", [large])
    limits = [
        limited(f"{row['figure']}, {size}", row["seconds"], row["limit"], speed["seconds"][row["limit"]])
        for row in speed["rows"]
    ]
    limits += [
        limited(f"ranking_metrics from descriptors, {row['n_probe']} x {row['n_gallery']}", row["seconds"],
                "the float32 product of probes and gallery", row["of the limit"] * row["seconds"])
        for row in streaming
    ]  # fmt: skip
    results = {"quick": quick, "speed": speed, "streaming": streaming, "large": large, "limits": limits}
    return write("metrics", results, out_folder)


if __name__ == "__main__":
    run_script(main, __doc__)
