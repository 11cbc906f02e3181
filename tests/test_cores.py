"""Threads follow idle cores, read from tables written by hand; what users set stays."""

import os
import subprocess
import sys

import pytest
import torch

from skreid import use_idle_cores
from skreid._base import cores
from skreid._network import device

BEFORE = {0: (100, 0, 50, 1000, 10, 0, 5, 0), 1: (900, 0, 50, 200, 10, 0, 5, 0), 2: (5, 0, 5, 90, 0, 0, 0, 0)}


def table(rows):
    lines = [f"cpu{core} " + " ".join(map(str, (*row, 0, 0))) for core, row in rows.items()]
    return "\n".join(["cpu 1 2 3 4 5 6 7 8 0 0", *lines, "intr 5 6", ""])


def later(**ticks):
    """Return BEFORE with (user, nice, idle, waiting) ticks added to the cores that are named."""
    rows = dict(BEFORE)
    for name, (user, nice, idle, waiting) in ticks.items():
        row = BEFORE[int(name[1:])]
        rows[int(name[1:])] = (row[0] + user, row[1] + nice, row[2], row[3] + idle, row[4] + waiting, *row[5:])
    return rows


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Return a function that sets the table of times before and after the pause, the usable cores and the quota."""

    def set_to(after, usable=(0, 1), quota="max 100000"):
        for name, text in (("STAT", table(BEFORE)), ("QUOTA", quota)):
            (tmp_path / name).write_text(text)
            monkeypatch.setattr(cores, name, tmp_path / name)
        monkeypatch.setattr(cores.time, "sleep", lambda seconds: (tmp_path / "STAT").write_text(table(after)))
        monkeypatch.setattr(cores, "_usable_cores", lambda: set(usable))

    return set_to


@pytest.mark.parametrize(
    ("after", "usable", "quota", "expected"),
    [
        (later(c0=(0, 0, 30, 0), c1=(0, 0, 30, 0)), (0, 1), "max 100000", 2),
        (later(c0=(0, 0, 20, 10), c1=(0, 0, 30, 0)), (0, 1), "max 100000", 2),  # a disk is waited for, not a core
        (later(c0=(30, 0, 0, 0), c1=(0, 0, 30, 0)), (0, 1), "max 100000", 1),
        (later(c0=(0, 30, 0, 0), c1=(0, 0, 30, 0)), (0, 1), "max 100000", 1),  # a nice neighbour is one too
        (later(c0=(30, 0, 0, 0), c1=(30, 0, 0, 0)), (0, 1), "max 100000", 1),
        (later(c0=(3, 0, 27, 0), c1=(3, 0, 27, 0)), (0, 1), "max 100000", 2),  # a little is always going on
        (later(c0=(0, 0, 30, 0), c1=(0, 0, 30, 0), c2=(30, 0, 0, 0)), (0, 1), "max 100000", 2),  # not ours
        (later(c0=(0, 0, 30, 0), c1=(0, 0, 30, 0), c2=(0, 0, 30, 0)), (0, 1, 2), "200000 100000", 2),
        (later(c0=(0, 0, 30, 0), c1=(0, 0, 30, 0)), (0, 1), "50000 100000", 1),
    ],
)
def test_idle_cores_are_those_that_did_nothing(machine, after, usable, quota, expected):
    """Worked out by hand: the idle share of each core, up to the quota of a container."""
    machine(after, usable, quota)
    assert cores.idle_cores() == expected


@pytest.mark.parametrize(("load", "expected"), [(0.2, 4), (1.1, 3), (9.0, 1)])
def test_without_a_table_of_times_the_load_decides(monkeypatch, tmp_path, load, expected):
    """As on macOS."""
    for name in ("STAT", "QUOTA"):
        monkeypatch.setattr(cores, name, tmp_path / "missing")
    monkeypatch.setattr(cores, "_usable_cores", lambda: set(range(4)))
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0, 0), raising=False)
    assert cores.idle_cores() == expected


@pytest.fixture
def threads():
    """Restore torch's number of threads."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("before", "idle", "expected"), [(3, 2, 2), (1, 2, 1), (3, 1, 1)])
def test_threads_are_lowered_to_idle_cores_and_never_raised(monkeypatch, threads, before, idle, expected):
    """The number in use is returned."""
    for name in device.THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(device, "idle_cores", lambda: idle)
    torch.set_num_threads(before)
    assert use_idle_cores() == torch.get_num_threads() == expected


@pytest.mark.parametrize("name", device.THREAD_VARIABLES)
def test_a_number_of_threads_in_the_environment_stays(monkeypatch, threads, name):
    """Whatever else is going on."""
    monkeypatch.setenv(name, "2")
    monkeypatch.setattr(device, "idle_cores", lambda: 1)
    torch.set_num_threads(2)
    assert use_idle_cores() == torch.get_num_threads() == 2


def test_cores_are_watched_without_torch():
    """The module is one of the tools for every room."""
    code = "import skreid._base.cores as cores, sys; print(cores.idle_cores(0.05) >= 1, 'torch' in sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.split() == ["True", "False"]
