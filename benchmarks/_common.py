"""What the benchmarks share: timing in turns, peak memory in a separate process, growth, tables, JSON.

Ratios compare the shortest runs, taken in turns within one process, so that a busy machine slows both sides alike.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import sklearn
import torch

clock = time.perf_counter
RESULTS = Path(__file__).parent / "results"


def in_turns(functions, repeats=3):
    """Run functions in turns, A, B, A, B, and return the shortest time of each, in seconds.

    Parameters
    ----------
    functions : dict of str to callable
    repeats : int, default=3

    Returns
    -------
    seconds : dict of str to float
    """
    seconds = dict.fromkeys(functions, np.inf)
    for _ in range(repeats):
        for name, function in functions.items():
            started = clock()
            function()
            seconds[name] = min(seconds[name], clock() - started)
    return seconds


def use_processor_time():
    """Count processor time, with one thread of torch, instead of wall-clock time: for a busy machine."""
    global clock
    clock = time.process_time
    torch.set_num_threads(1)


def peak_memory(module, function, *arguments):
    """Return the most MiB by which a process grows while a function of a benchmark runs in it.

    `function` is called with `arguments` (plain values) and returns a callable; the growth is measured while that runs.
    """
    code = (
        f"from benchmarks._common import _grow; from benchmarks.{module} import {function}; "
        f"_grow({function}(*{arguments!r}))"
    )
    root = Path(__file__).parents[1]
    paths = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": paths},
    )
    return float(done.stdout)


def _grow(function):
    import psutil

    def memory():  # the process's own: the system can take back the pages of a mapped file
        info = psutil.Process().memory_info()
        return info.rss - getattr(info, "shared", 0)

    peak, before = 0, memory()
    from threading import Event, Thread

    stop = Event()

    def watch():
        nonlocal peak
        while not stop.wait(0.002):
            peak = max(peak, memory())

    watcher = Thread(target=watch)
    watcher.start()
    function()
    peak = max(peak, memory())
    stop.set()
    watcher.join()
    print((peak - before) / 2**20)


def exponent(sizes, seconds):
    """Return p of the power law ``seconds = c * sizes ** p`` that fits the measurements best."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def judged(question, measured, target, at_most=False):
    """Return a row for the table of targets: the measurement, the target, and whether it is met."""
    met = measured <= target if at_most else measured >= target
    return {"question": question, "measured": float(measured), "target": f"{'<=' if at_most else '>='} {target:,}",
            "met": "yes" if met else "NO"}  # fmt: skip


def limited(what, seconds, limit, limit_seconds):
    """Return a row for the table of limits: the time of the work that no way around it can save, over the time taken.

    Parameters
    ----------
    what, limit : str
        What was timed, and the work that limits it.
    seconds, limit_seconds : float
        Times of both, measured in turns.
    """
    return {"what": what, "seconds": float(seconds), "limit": limit, "of the limit": float(limit_seconds / seconds)}


def as_markdown(rows):
    """Return rows, dicts with equal keys, as a table in Markdown; numbers have two significant digits."""

    def text(value):
        return f"{value:#.2g}".rstrip(".") if isinstance(value, float) else str(value)

    lines = [list(rows[0]), ["---"] * len(rows[0]), *([text(value) for value in row.values()] for row in rows)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def print_table(title, rows):
    """Print rows, dicts with equal keys, as a table."""
    print(f"\n{title}")
    texts = [
        {key: f"{value:.4g}" if isinstance(value, float) else str(value) for key, value in row.items()} for row in rows
    ]
    widths = {key: max(len(str(key)), *(len(row[key]) for row in texts)) for key in rows[0]}
    print("  ".join(str(key).ljust(width) for key, width in widths.items()))
    for row in texts:
        print("  ".join(row[key].ljust(width) for key, width in widths.items()))


def write(name, results, out_folder):
    """Write the results of a benchmark, with the machine and versions, to ``<out_folder>/<name>.json``; return them."""
    results = {
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "scikit-learn": sklearn.__version__,
            "numpy": np.__version__,
            "clock": clock.__name__,
        },
        **results,
    }
    out_folder = RESULTS if out_folder is None else Path(out_folder)
    out_folder.mkdir(parents=True, exist_ok=True)
    (out_folder / f"{name}.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return results


def run_script(main, description, **choices):
    """Call the `main` of a benchmark with the options of the command line; `choices` are further options of its own."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it runs")
    parser.add_argument("--out-folder", default=None, help="folder for the JSON file")
    parser.add_argument(
        "--processor-time", action="store_true", help="processor time of one thread: for a busy machine"
    )
    for name, values in choices.items():
        parser.add_argument(f"--{name}", choices=values, help="measure this one alone")
    arguments = parser.parse_args()
    if arguments.processor_time:
        use_processor_time()
    main(arguments.out_folder, arguments.quick, **{name: getattr(arguments, name) for name in choices})
