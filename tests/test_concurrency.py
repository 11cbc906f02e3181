"""Forks and threads return what a single thread of a single process returns."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from networks import narrow

from skreid import MultiDepthReID
from skreid._base import blas
from skreid._network.building import build_backbone
from skreid._network.seeding import seeded
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
def test_a_forked_process_describes_ranks_and_fits():
    """It neither hangs nor differs, although the parent's threads are not in it; the parent keeps its threads."""
    paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "2"}
    subprocess.run([sys.executable, "-c", FORKED], check=True, env=environment, timeout=280)


def works_in_a_fork(lock, work):
    """Whether `work` ends in a process that is forked while another thread holds a lock (a context manager)."""
    held, done = threading.Event(), threading.Event()

    def hold():
        with lock:
            held.set()
            done.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(60)
    child = os.fork()
    if not child:
        work()
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
    return os.waitstatus_to_exitcode(ended[1]) == 7


@needs_fork
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_process_forked_while_a_thread_seeds_torch_can_build_networks():
    """Networks that draw at random hold the lock for whole epochs; a fork copies the lock, but not the thread."""
    assert works_in_a_fork(seeded(0), lambda: build_backbone(narrow, 0))


@needs_fork
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_process_forked_while_a_thread_searches_can_search():
    """Each search holds the lock of the BLAS limit for an instant, and a fork may come at that instant."""
    assert works_in_a_fork(blas._lock, lambda: Gallery(np.eye(3)).kneighbors(np.eye(3), 2))


def hammer(work, n_threads=8, n_rounds=5):
    """Run `work` in many threads at once and return the result of each call."""
    results, errors, gate = [], [], threading.Barrier(n_threads)

    def go():
        try:
            gate.wait()
            results.extend(work() for _ in range(n_rounds))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=go) for _ in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(results) == n_threads * n_rounds
    return results


def test_threads_may_use_an_estimator_that_has_not_built_its_network_yet(people, fitted):
    """Maps, descriptors and rankings are those of one thread."""
    import copy

    rows, maps = fitted.transform(people.images), fitted.feature_maps(people.images[:4], smooth=True)
    indices = fitted.kneighbors(people.images, rows, 3)[1]
    for _ in range(3):
        fresh = copy.deepcopy(fitted)
        for each in hammer(lambda fresh=fresh: fresh.transform(people.images), n_rounds=1):
            np.testing.assert_array_equal(each, rows)
        for each in hammer(lambda fresh=fresh: fresh.kneighbors(people.images, rows, 3)[1], n_rounds=2):
            np.testing.assert_array_equal(each, indices)
        for each in hammer(lambda fresh=fresh: fresh.feature_maps(people.images[:4], smooth=True)["high"], n_rounds=1):
            np.testing.assert_array_equal(each, maps["high"])


def test_metrics_and_galleries_rank_alike_in_many_threads(people, fitted):
    """A learned metric and a gallery return in eight threads what they return in one."""
    rows = fitted.transform(people.images)[:, :24]
    metric, gallery = XQDA().fit(rows, people.target, cams=people.cams), Gallery(rows, cams=people.cams)
    calls = [
        lambda: rank_gallery(metric, rows, rows, 4)[1],
        lambda: gallery.kneighbors(rows, 4, cams=people.cams, return_distance=False),
    ]
    for call in calls:
        expected = call()
        for result in hammer(call):
            np.testing.assert_array_equal(result, expected)


def test_fits_in_many_threads_equal_a_fit_alone(people, settings):
    """Seeds do not mix: the estimator of each thread is that of a fit by itself."""
    expected = MultiDepthReID(**settings).fit(people.images, people.target).transform(people.images)
    fits = hammer(lambda: MultiDepthReID(**settings).fit(people.images, people.target), n_threads=4, n_rounds=1)
    for reid in fits:
        np.testing.assert_array_equal(reid.transform(people.images), expected)
