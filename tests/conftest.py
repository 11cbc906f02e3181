"""Small people and small fitted estimators that several test files share."""

import os
import sys
from importlib import import_module
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # one process per core: threads of their own would only compete
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import HealthCheck, settings
from joblib.externals.loky import reusable_executor
from networks import narrow

from skreid import MultiDepthReID
from skreid.datasets import make_pedestrians

CALM = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.differing_executors]
settings.register_profile("quick", max_examples=50, deadline=None, suppress_health_check=CALM)
settings.register_profile("nightly", max_examples=2000, deadline=None, suppress_health_check=CALM)
settings.load_profile("quick")

SETTINGS = {
    "backbone": narrow,
    "input_size": (32, 16),
    "layers": ("low", "middle", "high"),
    "max_epochs": 2,
    "batch_size": 8,
    "blur_size": 4,
    "sampling": "pixel",
    "normalize": None,
    "criterion": "margin",
    "n_filters": 2,
    "device": "cpu",
    "random_state": 0,
}


@pytest.fixture(autouse=True, scope="module")
def fresh_workers():
    """Stop joblib's workers after each module: one that imports torch late has grown so much that joblib drops it."""
    yield
    executor = reusable_executor._executor
    if executor is not None:
        executor.shutdown(wait=True, kill_workers=True)


@pytest.fixture(name="settings")
def fresh_settings():
    return dict(SETTINGS)


@pytest.fixture(scope="session")
def people():
    return make_pedestrians(n_identities=8, n_cameras=2, n_shots=2, image_size=(32, 16), random_state=0)


@pytest.fixture(scope="session")
def fitted(people):
    return MultiDepthReID(**SETTINGS).fit(people.images, people.target)


@pytest.fixture(scope="session")
def benchmark():
    """Return a function that imports a script of `benchmarks` by its name."""
    root = str(Path(__file__).parent.parent)
    sys.path.insert(0, root)
    yield lambda name: import_module(f"benchmarks.{name}")
    sys.path.remove(root)
