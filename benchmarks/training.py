"""A training epoch of skreid compared with the same loop written bare in PyTorch.

Run ``python -m benchmarks.training [--quick]``. Both take batches of equal size, the same augmentations, losses and
optimiser steps. Times are wall-clock, also with ``--processor-time``: `history_` records no others.
"""

import time

import numpy as np
import torch

from benchmarks._bare import Classifier, trainer
from benchmarks._common import judged, print_table, run_script, write
from skreid import MultiDepthReID

FRAME, BATCH, IDENTITIES = (96, 48), 16, 8
BACKBONE, EPOCHS = "vgg11_bn", 3  # of each fit, whose first epoch warms up and is not counted
AUGMENTATIONS = {"none": (), "all": ("flip", "crop", "color", "erase")}


def skreid_epoch(images, labels, augmentations):
    """Return the seconds of the shortest of a few epochs of skreid."""
    reid = MultiDepthReID(
        backbone=BACKBONE, input_size=FRAME, max_epochs=EPOCHS, n_iter_no_change=EPOCHS, batch_size=BATCH,
        learning_rate=1e-4, validation_fraction=0, augment=augmentations, n_filters=1, criterion="margin",
        device="cpu", precision="float32", random_state=0,
    )  # fmt: skip
    return min(record["seconds"] for record in reid.fit(images, labels).history_[1:])


def bare_epochs(images, labels, augmentations):
    """Return a function that returns the seconds of the shortest of a few bare epochs, on batches made beforehand."""
    n_batches = len(images) // BATCH
    model = Classifier(BACKBONE, IDENTITIES).to(memory_format=torch.channels_last)
    train, generator = trainer(model, 100 * n_batches), torch.Generator().manual_seed(0)
    scaled = torch.from_numpy(images).permute(0, 3, 1, 2).float().div(255)
    parts = torch.randperm(len(images), generator=generator).split(BATCH)
    batches = [(scaled[part].contiguous(memory_format=torch.channels_last), torch.from_numpy(labels)[part])
               for part in parts]  # fmt: skip

    def epoch():
        started = time.perf_counter()
        train(batches, augmentations, generator)
        return time.perf_counter() - started

    epoch()
    return lambda: min(epoch() for _ in range(EPOCHS - 1))


def main(out_folder=None, quick=False):
    """Time both loops in turns, print and write ``training.json``."""
    n_batches = 2 if quick else 4
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (n_batches * BATCH, *FRAME, 3), dtype=np.uint8)
    labels = np.arange(len(images)) % IDENTITIES
    rows = []
    for name, augmentations in AUGMENTATIONS.items():
        bare = bare_epochs(images, labels, augmentations)
        turns = [(skreid_epoch(images, labels, augmentations), bare()) for _ in range(2 if quick else 4)]
        seconds = dict(zip(("skreid", "bare"), map(min, zip(*turns, strict=True)), strict=True))
        rows.append(
            {"augmentation": name, **seconds, "ratio": seconds["bare"] / seconds["skreid"], "target": ">= 0.95"}
        )
    print_table(f"training, wall-clock seconds for {n_batches} steps of {BATCH} images", rows)
    targets = [judged(f"training, augmentation {row['augmentation']} / bare loop", row["ratio"], 0.95) for row in rows]
    return write("training", {"quick": quick, "rows": rows, "targets": targets}, out_folder)


if __name__ == "__main__":
    run_script(main, __doc__)
