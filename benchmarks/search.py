"""A search over the parameters that act after training, with `memory`, compared with its trainings alone.

Run ``python -m benchmarks.search [--quick]``. 12 candidates on 3 folds and the refit are 37 fits, but only 4 trainings.
The target is 1.5 times the time of 4 fits without a cache. A second search over the same grid trains nothing.
"""

import tempfile
import time

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from benchmarks._common import judged, limited, print_table, run_script, write
from skreid import MultiDepthReID, cmc_score
from skreid.datasets import make_pedestrians
from skreid.model_selection import IdentityKFold

TARGET = 1.5  # times the seconds of the 4 fits
GRID = {"blur_size": [2, 4, 8], "layers": [("conv3_2",), ("conv3_2", "conv4_2")], "n_filters": [1, 8]}


def bare_fits(reid, people, folds):
    """Fit on the training images of each fold and on all images, without a cache."""
    for train in [*(train for train, _ in folds.split(people.images, people.target)), slice(None)]:
        clone(reid).fit(people.images[train], people.target[train])


def search(reid, people, folds):
    """Return the fitted search."""
    grid_search = GridSearchCV(reid, GRID, scoring=cmc_score, cv=folds, error_score="raise")
    return grid_search.fit(people.images, people.target)


def timed(function, *arguments):
    """Return wall-clock seconds, processor seconds (which a busy machine does not distort), and the result."""
    started = time.perf_counter(), time.process_time()
    result = function(*arguments)
    return time.perf_counter() - started[0], time.process_time() - started[1], result


def main(out_folder=None, quick=False):
    """Time the fits and two searches, print and write ``search.json``; quick is too short for the target."""
    n_identities, max_epochs = (12, 2) if quick else (30, 12)
    people = make_pedestrians(n_identities=n_identities, n_cameras=2, n_shots=2, image_size=(32, 16), random_state=0)
    reid = MultiDepthReID(
        backbone="vgg11_bn", input_size=(32, 16), max_epochs=max_epochs, n_iter_no_change=max_epochs, device="cpu",
        random_state=0,
    )  # fmt: skip
    folds = IdentityKFold(3)
    clone(reid).set_params(max_epochs=1).fit(people.images, people.target)  # what is done only once, such as imports
    reid.set_params(**{name: values[-1] for name, values in GRID.items()})
    bare = timed(bare_fits, reid, people, folds)
    with tempfile.TemporaryDirectory() as memory:
        cached = clone(reid).set_params(memory=memory)
        first, again = (timed(search, cached, people, folds) for _ in range(2))
    if not np.array_equal(*(fitted.cv_results_["mean_test_score"] for *_, fitted in (first, again))):
        raise RuntimeError("The second search has other scores than the first: the cache returned another result.")
    names = {f"4 fits, {max_epochs} epochs": bare, "12 candidates, 3 folds, refit": first, "the same again": again}
    rows = [{"what": name, "seconds": wall, "times": wall / bare[0],
             "of the limit": bare[0] / wall, "processor seconds": cpu, "processor times": cpu / bare[1]}
            for name, (wall, cpu, _) in names.items()]  # fmt: skip
    print_table(f"searching with memory, {len(people.images)} images", rows)
    targets = [
        judged("search of 37 fits, 4 trainings / 4 fits without a cache", rows[1]["times"], TARGET, at_most=True)
    ]
    limits = [limited(f"search with memory: {rows[1]['what']}", rows[1]["seconds"], "4 fits without a cache", bare[0])]
    return write("search", {"quick": quick, "rows": rows, "limits": limits, "targets": targets}, out_folder)


if __name__ == "__main__":
    run_script(main, __doc__)
