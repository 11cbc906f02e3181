"""A search over what comes after training, with `memory`, against its trainings alone.

Run ``python -m benchmarks.search [--quick]``. 12 candidates on 3 folds and the refit are 37 fits, but 4 trainings; the
target is 1.5 times the seconds of 4 bare fits. A second search over the same grid trains nothing.
"""

import tempfile
import time

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from benchmarks._common import judged, print_table, run_script, write
from skreid import MultiDepthReID, cmc_score
from skreid.datasets import make_pedestrians
from skreid.model_selection import IdentityKFold

TARGET = 1.5  # times the seconds of the trainings
GRID = {"blur_size": [2, 4, 8], "layers": [("conv3_2",), ("conv3_2", "conv4_2")], "n_filters": [1, 8]}


def bare_fits(reid, people, folds):
    """Fit on each fold's training images and on all, without a cache."""
    for train in [*(train for train, _ in folds.split(people.images, people.target)), slice(None)]:
        clone(reid).fit(people.images[train], people.target[train])


def search(reid, people, folds):
    """Return the fitted search."""
    found = GridSearchCV(reid, GRID, scoring=cmc_score, cv=folds, error_score="raise")
    return found.fit(people.images, people.target)


def timed(function, *arguments):
    """Return seconds by the wall and of processor time (right on a machine that is shared), and the result."""
    started = time.perf_counter(), time.process_time()
    result = function(*arguments)
    return time.perf_counter() - started[0], time.process_time() - started[1], result


def main(out_folder=None, quick=False):
    """Time the fits and two searches, print and write ``search.json``; two epochs are too few for the target."""
    n_identities, max_epochs = (12, 2) if quick else (30, 12)
    people = make_pedestrians(n_identities=n_identities, n_cameras=2, n_shots=2, image_size=(32, 16), random_state=0)
    reid = MultiDepthReID(
        backbone="vgg11_bn", input_size=(32, 16), max_epochs=max_epochs, n_iter_no_change=max_epochs, device="cpu",
        random_state=0,
    )  # fmt: skip
    folds = IdentityKFold(3)
    clone(reid).set_params(max_epochs=1).fit(people.images, people.target)  # whatever happens only once
    reid.set_params(**{name: values[-1] for name, values in GRID.items()})
    bare = timed(bare_fits, reid, people, folds)
    with tempfile.TemporaryDirectory() as memory:
        cached = clone(reid).set_params(memory=memory)
        first, again = (timed(search, cached, people, folds) for _ in range(2))
    if not np.array_equal(*(found.cv_results_["mean_test_score"] for *_, found in (first, again))):
        raise RuntimeError("The second search has other scores than the first: the cache gave something else.")
    names = {f"4 bare fits, {max_epochs} epochs": bare, "12 candidates, 3 folds, refit": first, "once more": again}
    rows = [{"what": name, "seconds": wall, "times": wall / bare[0],
             "processor seconds": cpu, "times it": cpu / bare[1]}
            for name, (wall, cpu, _) in names.items()]  # fmt: skip
    print_table(f"searching with memory, {len(people.images)} images", rows)
    targets = [judged("search of 37 fits that are 4 trainings / 4 bare fits", rows[1]["times"], TARGET, at_most=True)]
    return write("search", {"quick": quick, "rows": rows, "targets": targets}, out_folder)


if __name__ == "__main__":
    run_script(main, __doc__)
