"""A gallery of 200,000 descriptors on disk: built, opened memory-mapped, searched; FAISS and the exact search.

Run ``python -m benchmarks.galleries [--quick]``. Recall is the share of the exact search's neighbours that are found:
by Euclidean distance, and in a smaller gallery by cosine distance and learned metrics.
"""

import importlib.util
import tempfile
from pathlib import Path

import numpy as np

from benchmarks import _common
from benchmarks._common import in_turns, judged, limited, peak_memory, print_table, run_script, write
from benchmarks.ranking import product
from skreid.gallery import Gallery
from skreid.metric_learning import CVDCA, XQDA, KernelXQDA

N_FEATURES, N_NEIGHBORS, LATENT = 256, 10, 16
RECALL = 0.9
LIMIT = "the float32 product of probes and gallery"  # of exact search: an index passes it


def people(n_images, seed):
    """Draw descriptors, four images per person, that vary in few directions, as trained ones do."""
    fixed = np.random.default_rng(99)
    directions = fixed.standard_normal((LATENT, N_FEATURES), dtype=np.float32)
    persons = fixed.standard_normal((max(1, n_images // 4), LATENT), dtype=np.float32)
    rng = np.random.default_rng(seed)
    rows = persons[rng.integers(0, len(persons), n_images)] @ directions
    return rows + 0.5 * rng.standard_normal((n_images, N_FEATURES), dtype=np.float32)


def by_measure(n_images):
    """Measure FAISS and the exact search by cosine distance and by learned metrics; return a row for each."""
    rows, probes = people(n_images, 0), people(64, 1)
    known, who = people(1200, 2), np.arange(1200) // 4
    known = known[who * 4] + 0.5 * np.random.default_rng(3).standard_normal(known.shape)
    galleries = {"cosine": lambda **given: Gallery(rows, metric="cosine", **given)}
    for metric in (XQDA(reg=0.1), XQDA(n_components=32, reg=0.1), KernelXQDA(), CVDCA()):
        metric.fit(known, who)
        galleries[str(metric)] = lambda metric=metric, **given: Gallery.from_estimator(metric, rows, **given)
    table = []
    for name, build in galleries.items():
        exact, fast = build(), build(engine="faiss")
        built, _ = seconds_of(lambda fast=fast: fast.kneighbors(probes[:1]))
        slow, wanted = seconds_of(lambda exact=exact: exact.kneighbors(probes, N_NEIGHBORS)[1])
        quick, got = seconds_of(lambda fast=fast: fast.kneighbors(probes, N_NEIGHBORS)[1])
        recall = float(np.mean([np.isin(a, b).mean() for a, b in zip(wanted, got, strict=True)]))
        table.append({"measure": name, "images": n_images, "build": built, "exact, 64 probes": slow,
                      "HNSW32, 64 probes": quick, "recall": recall})  # fmt: skip
    return table


def seconds_of(function):
    """Return the seconds of one call, and its result."""
    started = _common.clock()
    result = function()
    return _common.clock() - started, result


def searched(folder, n_probes):
    """Return a function that opens a gallery on disk and searches it."""
    probes = people(n_probes, 1)
    Gallery(probes[:50]).kneighbors(probes[:2])
    return lambda: Gallery.open(folder).kneighbors(probes, N_NEIGHBORS)


def compare(n_images, index, repeats):
    """Measure the exact search, in memory and on disk, and a FAISS index; return rows, and figures of the disk."""
    rows, probes = people(n_images, 0), people(256, 1)
    with tempfile.TemporaryDirectory() as folder:
        galleries = {"exact, in memory": Gallery(rows)}
        saving, _ = seconds_of(lambda: galleries["exact, in memory"].save(folder))
        opening, galleries["exact, on disk"] = seconds_of(lambda: Gallery.open(folder))
        size = sum(path.stat().st_size for path in Path(folder).iterdir()) / 2**20
        build = dict.fromkeys(galleries, 0.0)
        if importlib.util.find_spec("faiss"):
            galleries[index] = Gallery(rows, engine="faiss", index=index)
            build[index], _ = seconds_of(lambda: galleries[index].kneighbors(probes[:1]))
        neighbors = {name: each.kneighbors(probes, N_NEIGHBORS)[1] for name, each in galleries.items()}
        many, one = (
            in_turns({"product": lambda some=some: product(some, rows),
                      **{name: lambda each=each, some=some: each.kneighbors(some, N_NEIGHBORS)
                         for name, each in galleries.items()}}, repeats)
            for some in (probes, probes[:1])
        )  # fmt: skip
        peak = peak_memory("galleries", "searched", folder, 256)
    exact = neighbors["exact, in memory"]
    table = []
    for name in galleries:
        recall = float(np.mean([np.isin(a, b).mean() for a, b in zip(neighbors[name], exact, strict=True)]))
        times = many["exact, in memory"] / many[name]
        table.append({"gallery": name, "images": n_images, "build": build[name], "256 probes": many[name],
                      "1 probe": one[name], "of the limit": many["product"] / many[name],
                      "1 probe, of the limit": one["product"] / one[name],
                      "times the exact": times, "recall": recall})  # fmt: skip
    disk = {"images": n_images, "MiB on disk": size, "saving": saving, "opening": opening, "peak MiB of a search": peak}
    return table, disk


def main(out_folder=None, quick=False):
    """Measure an inverted file and a graph, print and write ``galleries.json``."""
    inverted, disk = compare(200_000, "IVF1024,Flat", 2)
    graph, _ = compare(20_000 if quick else 200_000, "HNSW32", 2)
    print_table("a gallery on disk, in seconds and MiB", [disk])
    print_table(f"{N_NEIGHBORS} nearest neighbours, {N_FEATURES} dimensions, in seconds", inverted + graph)
    targets = [
        judged(f"{row['gallery']} of {row['images']:,}: {what}", row[key], target)
        for row in inverted + graph
        if not row["gallery"].startswith("exact")
        for what, key, target in (("recall", "recall", RECALL), ("times faster than exact", "times the exact", 1))
    ]
    targets.append(judged("gallery on disk: MiB of a search", disk["peak MiB of a search"], 100, at_most=True))
    measures = by_measure(5_000 if quick else 20_000) if importlib.util.find_spec("faiss") else []
    print_table(f"{N_NEIGHBORS} nearest neighbours by other measures, in seconds", measures)
    targets += [judged(f"{row['measure']}: recall", row["recall"], RECALL) for row in measures]
    limits = [limited(f"kneighbors of {row['images']:,}, {row['gallery']}, {name}", row[name], LIMIT,
                      row[share] * row[name])
              for row in inverted + graph
              for name, share in (("256 probes", "of the limit"), ("1 probe", "1 probe, of the limit"))]  # fmt: skip
    results = {"quick": quick, "disk": disk, "rows": inverted + graph, "measures": measures, "limits": limits,
               "targets": targets}  # fmt: skip
    return write("galleries", results, out_folder)


if __name__ == "__main__":
    run_script(main, __doc__)
