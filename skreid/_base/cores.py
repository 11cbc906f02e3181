"""How many cores nobody uses now: threads that share a core wait for each other at every step."""

import os
import time
from pathlib import Path

MOMENT = 0.3  # seconds for which the cores are watched: 30 ticks of the usual clock
STAT = Path("/proc/stat")
QUOTA = Path("/sys/fs/cgroup/cpu.max")


def idle_cores(seconds=MOMENT):
    """Return the number of cores that this process may use and that are idle now, at least 1.

    Parameters
    ----------
    seconds : float
        How long to watch them, where the system counts the time of each core (Linux).
    """
    usable = _usable_cores()
    try:
        idle, total = _core_times(usable)
        time.sleep(seconds)
        idle_later, total_later = _core_times(usable)
        idle = len(usable) * (idle_later - idle) / (total_later - total)
    except (OSError, ValueError, ZeroDivisionError):  # no Linux, or a file that is not as it should be
        idle = len(usable) - (os.getloadavg()[0] if hasattr(os, "getloadavg") else 0)
    return max(1, round(min(idle, _quota(len(usable)))))


def _usable_cores():
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


def _core_times(cores):
    """Return the idle and the total time of all given cores since the start of the system, in ticks."""
    lines = (line.split() for line in STAT.read_text().splitlines())
    times = {line[0]: [int(value) for value in line[1:9]] for line in lines if line and line[0].startswith("cpu")}
    rows = [times[f"cpu{core}"] for core in cores if f"cpu{core}" in times]
    return sum(row[3] + row[4] for row in rows), sum(map(sum, rows))  # idle, and waiting for a disk


def _quota(n_cores):
    """Return the number of cores' time that a container may use: `n_cores` unless it is limited."""
    try:
        limit, period = QUOTA.read_text().split()
        return float(limit) / float(period)
    except (OSError, ValueError):  # no container, or no limit: "max 100000"
        return n_cores
