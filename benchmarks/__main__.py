"""Run all benchmarks and draw their cost curves: ``python -m benchmarks [--full] [--only NAME ...]``.

Quick sizes by default, a few minutes on two cores; a benchmark that fails is told and the others go on.
"""

import argparse
import importlib
import time
import traceback
from pathlib import Path

from benchmarks._common import RESULTS, use_processor_time
from benchmarks._curves import draw

NAMES = (
    "exploring",
    "transform",
    "training",
    "ranking",
    "galleries",
    "growth",
    "metrics",
    "descriptors",
    "metric_learning",
    "search",
)


def main():
    """Run what the command line asks for; the exit status tells whether all went well."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="the sizes that the targets are meant for")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, help="these benchmarks alone")
    parser.add_argument("--out-folder", type=Path, default=RESULTS, help="where JSON and pictures go")
    parser.add_argument("--processor-time", action="store_true", help="for a busy machine")
    arguments = parser.parse_args()
    if arguments.processor_time:
        use_processor_time()
    seconds, failed = {}, []
    for name in arguments.only:
        print(f"\n=== {name} ===", flush=True)
        started = time.perf_counter()
        try:
            importlib.import_module(f"benchmarks.{name}").main(arguments.out_folder, quick=not arguments.full)
        except Exception:  # told below; the other benchmarks have nothing to do with it
            traceback.print_exc()
            failed.append(name)
        seconds[name] = time.perf_counter() - started
    pictures = draw(arguments.out_folder)
    print("\nseconds: " + ", ".join(f"{name} {spent:.0f}" for name, spent in seconds.items()))
    print("pictures: " + ", ".join(map(str, pictures)))
    if failed:
        print("failed: " + ", ".join(failed))
    return len(failed)


if __name__ == "__main__":
    raise SystemExit(main())
