"""Run all benchmarks and draw their cost curves: ``python -m benchmarks [--full] [--only NAME ...]``.

This takes some minutes on two cores: benchmarks with a target run at the size the target is meant for, the others at
quick sizes. A benchmark that fails is reported, and the others still run.
"""

import argparse
import importlib
import time
import traceback
from pathlib import Path

from benchmarks._common import RESULTS, as_markdown, print_table, use_processor_time, write
from benchmarks._curves import draw

PAGE = Path(__file__).parents[1] / "docs" / "developer" / "benchmarks.md"
MARKS = ("<!-- limits: written by python -m benchmarks --page -->\n", "<!-- end of limits -->\n")
AT_TARGET = ("exploring", "transform", "training", "ranking", "metrics", "search")  # measured at full size by default
NAMES = (
    "exploring",
    "transform",
    "training",
    "ranking",
    "galleries",
    "growth",
    "metrics",
    "reranking",
    "descriptors",
    "metric_learning",
    "search",
    "export",
    "cuda",
)


def main():
    """Run what the command line asks for; return the number of failures as exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="full sizes for all benchmarks")
    parser.add_argument("--quick", action="store_true", help="small sizes for all benchmarks, to see that they run")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, help="run these benchmarks only")
    parser.add_argument("--out-folder", type=Path, default=RESULTS, help="folder for JSON and pictures")
    parser.add_argument(
        "--processor-time", action="store_true", help="processor time of one thread: for a busy machine"
    )
    parser.add_argument("--page", action="store_true", help="write the table of limits into the documentation")
    arguments = parser.parse_args()
    if arguments.processor_time:
        use_processor_time()
    seconds, failed, targets, limits = {}, [], [], []
    for name in arguments.only:
        print(f"\n=== {name} ===", flush=True)
        started = time.perf_counter()
        try:
            quick = not arguments.full and (arguments.quick or name not in AT_TARGET)
            results = importlib.import_module(f"benchmarks.{name}").main(arguments.out_folder, quick=quick)
            targets += results.get("targets", [])
            limits += results.get("limits", [])
        except Exception:  # reported below; the other benchmarks do not depend on it
            traceback.print_exc()
            failed.append(name)
        seconds[name] = time.perf_counter() - started
    if limits:
        print_table("how far from the limit", limits)
        write("limits", {"rows": limits}, arguments.out_folder)
        if arguments.page:
            write_page(limits)
    if targets:
        print_table("targets", targets)
        write("targets", {"rows": targets}, arguments.out_folder)
    pictures = draw(arguments.out_folder)
    print("\nseconds: " + ", ".join(f"{name} {spent:.0f}" for name, spent in seconds.items()))
    print("pictures: " + ", ".join(map(str, pictures)))
    if failed:
        print("failed: " + ", ".join(failed))
    return len(failed)


def write_page(limits, page=PAGE):
    """Replace the table of limits in a page of the documentation."""
    text = page.read_text(encoding="utf-8")
    before, rest = text.split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    page.write_text(f"{before}{MARKS[0]}\n{as_markdown(limits)}\n{MARKS[1]}{after}", encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
