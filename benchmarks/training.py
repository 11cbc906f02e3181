"""A training epoch against the same loop written bare in PyTorch.

Run ``python -m benchmarks.training [--quick]``. Both take the same batches, augmentations, losses and optimiser steps.
"""

import numpy as np
import torch

from benchmarks._common import in_turns, judged, print_table, run_script, write
from skreid._images.source import ImageSource
from skreid._training.augmentation import AUGMENTATIONS, augment
from skreid._training.heads import build_classifier, identity_loss
from skreid._training.loop import (
    GRADIENT_NORM,
    TrainingData,
    TrainingSettings,
    build_optimizer,
    train_one_epoch,
)

FRAME, BATCH, PERSONS = (96, 48), 16, 8


def prepared(images, labels, n_batches, augmentations):
    """Return a model, its optimiser and all else that a loop needs."""
    settings = TrainingSettings(
        backbone="vgg11_bn", initial=None, mean=(0.5,) * 3, std=(0.25,) * 3, max_epochs=100, batch_size=BATCH,
        learning_rate=1e-4, validation_fraction=0.0, n_iter_no_change=10, augment=augmentations, random_state=0,
    )  # fmt: skip
    model = build_classifier(FRAME, PERSONS, settings).to(memory_format=torch.channels_last)
    optimizer, schedule = build_optimizer(model, settings, 100 * n_batches)
    return model, optimizer, schedule


def main(out_folder=None, quick=False):
    """Time both loops in turns, print and write ``training.json``."""
    n_batches = 2 if quick else 4
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (n_batches * BATCH, *FRAME, 3), dtype=np.uint8)
    labels = np.arange(len(images)) % PERSONS
    parts = np.array_split(rng.permutation(len(images)), n_batches)
    ready = torch.from_numpy(images).permute(0, 3, 1, 2).float().div(255).contiguous(memory_format=torch.channels_last)
    ready = [(ready[part], torch.from_numpy(labels[part])) for part in parts]
    data = TrainingData(ImageSource(images, FRAME), labels, torch.device("cpu"))
    rows = []
    for name, augmentations in (("none", ()), ("all", AUGMENTATIONS)):
        ours, theirs = (prepared(images, labels, n_batches, augmentations) for _ in range(2))

        def skreid(ours=ours, augmentations=augmentations):
            generator = torch.Generator().manual_seed(0)
            train_one_epoch(ours[0], data.batches(parts), *ours[1:], augmentations, generator)

        def bare(theirs=theirs, augmentations=augmentations):
            model, optimizer, schedule = theirs
            generator = torch.Generator().manual_seed(0)
            model.train()
            for batch, target in ready:
                loss = identity_loss(model(augment(batch, augmentations, generator)), target).mean()
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), GRADIENT_NORM)
                optimizer.step()
                schedule.step()

        skreid(), bare()
        seconds = in_turns({"skreid": skreid, "bare": bare}, 2 if quick else 4)
        rows.append(
            {"augmentation": name, **seconds, "ratio": seconds["bare"] / seconds["skreid"], "target": ">= 0.95"}
        )
    print_table(f"training, seconds for {n_batches} steps of {BATCH} images", rows)
    targets = [judged(f"training, augmentation {row['augmentation']} / bare loop", row["ratio"], 0.95) for row in rows]
    return write("training", {"quick": quick, "rows": rows, "targets": targets}, out_folder)


if __name__ == "__main__":
    run_script(main, __doc__)
