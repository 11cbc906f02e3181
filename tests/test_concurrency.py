"""Forks, threads and processes: the same numbers as in one, or a refusal that says what to do."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from skreid import MultiDepthReID
from skreid._base.blas import FreshLock
from skreid._ranking import rank_gallery
from skreid.gallery import Gallery
from skreid.metric_learning import XQDA

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")

FORKED = """
import multiprocessing, sys
import joblib, numpy as np, torch
from sklearn.base import clone
from conftest import SETTINGS
from skreid import MultiDepthReID
from skreid.datasets import make_pedestrians

def work(queue):
    again = clone(reid).fit(people.images, people.target)
    indices = reid.kneighbors(people.images, rows, 3)[1]
    queue.put((reid.transform(people.images), indices, again.transform(people.images)))

torch.set_num_threads(2)
people = make_pedestrians(n_identities=8, n_cameras=2, n_shots=2, image_size=(32, 16), random_state=0)
reid = MultiDepthReID(**SETTINGS).fit(people.images, people.target)
rows = reid.transform(people.images)
context = multiprocessing.get_context("fork")
queue = context.Queue()
child = context.Process(target=work, args=(queue,))
child.start()
described, indices, refitted = queue.get(timeout=200)
child.join()
np.testing.assert_array_equal(described, rows)
np.testing.assert_array_equal(indices, reid.kneighbors(people.images, rows, 3)[1])
assert refitted.shape == rows.shape and np.isfinite(refitted).all()
assert torch.get_num_threads() == 2
"""


@needs_fork
def test_a_fork_after_use_describes_ranks_and_fits():
    """The child neither hangs nor differs, although the parent's threads are not in it; the parent keeps its own."""
    paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "2"}
    subprocess.run([sys.executable, "-c", FORKED], check=True, env=environment, timeout=280)


@needs_fork
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_lock_held_by_another_thread_is_free_in_a_fork():
    """Of the threads, a fork copies none; of the locks, all."""
    lock, held, done = FreshLock(), threading.Event(), threading.Event()

    def hold():
        with lock:
            held.set()
            done.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(60)
    child = os.fork()
    if not child:
        with lock:
            os._exit(7)
    ended = (0, 0)
    for _ in range(600):
        if (ended := os.waitpid(child, os.WNOHANG))[0]:
            break
        time.sleep(0.05)
    else:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    done.set()
    thread.join()
    assert os.waitstatus_to_exitcode(ended[1]) == 7


def hammer(work, n_threads=8, n_rounds=5):
    """Run `work` in many threads at once and return what each call gave."""
    found, errors, gate = [], [], threading.Barrier(n_threads)

    def go():
        try:
            gate.wait()
            found.extend(work() for _ in range(n_rounds))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=go) for _ in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(found) == n_threads * n_rounds
    return found


def test_the_first_use_may_be_in_many_threads(people, fitted):
    """Of a network that no thread has built yet: maps, descriptors and rankings are those of one thread."""
    import copy

    rows, maps = fitted.transform(people.images), fitted.feature_maps(people.images[:4], smooth=True)
    indices = fitted.kneighbors(people.images, rows, 3)[1]
    for _ in range(3):
        fresh = copy.deepcopy(fitted)
        for found in hammer(lambda fresh=fresh: fresh.transform(people.images), n_rounds=1):
            np.testing.assert_array_equal(found, rows)
        for found in hammer(lambda fresh=fresh: fresh.kneighbors(people.images, rows, 3)[1], n_rounds=2):
            np.testing.assert_array_equal(found, indices)
        for found in hammer(lambda fresh=fresh: fresh.feature_maps(people.images[:4], smooth=True)["high"], n_rounds=1):
            np.testing.assert_array_equal(found, maps["high"])


def test_metrics_and_galleries_in_many_threads(people, fitted):
    """A learned metric and an index give in eight threads what they give in one."""
    rows = fitted.transform(people.images)[:, :24]
    metric, gallery = XQDA().fit(rows, people.target, cams=people.cams), Gallery(rows, cams=people.cams)
    calls = [
        lambda: rank_gallery(metric, rows, rows, 4)[1],
        lambda: gallery.kneighbors(rows, 4, cams=people.cams, return_distance=False),
    ]
    for call in calls:
        expected = call()
        for found in hammer(call):
            np.testing.assert_array_equal(found, expected)


def test_fits_in_many_threads_are_fits_alone(people, settings):
    """Seeds do not mix: each thread's estimator is the one that a fit by itself gives."""
    expected = MultiDepthReID(**settings).fit(people.images, people.target).transform(people.images)
    fits = hammer(lambda: MultiDepthReID(**settings).fit(people.images, people.target), n_threads=4, n_rounds=1)
    for reid in fits:
        np.testing.assert_array_equal(reid.transform(people.images), expected)
