"""A training epoch of skreid compared with the same loop written bare in PyTorch, and with its convolutions alone.

Run ``python -m benchmarks.training [--quick]``. Both loops take batches of equal size, the same augmentations, losses
and optimiser steps. The convolutions alone, forward and backward on the same shapes in the same precision, are the
limit of any loop: the column "of the limit" is their share of the time of skreid. Times are wall-clock, also with
``--processor-time``: `history_` records no others.
"""

import time
from functools import partial

import numpy as np
import torch

from benchmarks._bare import Classifier, convolutions, trainer
from benchmarks._common import judged, limited, print_table, run_script, write
from skreid import MultiDepthReID

FRAME, BATCH, IDENTITIES = (96, 48), 16, 8
BACKBONE, EPOCHS = "vgg11_bn", 3  # of each fit, whose first epoch warms up and is not counted
AUGMENTATIONS = {"none": (), "all": ("flip", "crop", "color", "erase")}
LIMIT = "its convolutions, forward and backward"
DEFAULT_FRAME, DEFAULT_AUGMENTATIONS = (160, 60), ("flip", "crop")


def skreid_epoch(images, labels, augmentations, backbone=BACKBONE, precision="float32"):
    """Return the seconds of the shortest of a few epochs of skreid."""
    reid = MultiDepthReID(
        backbone=backbone, input_size=images.shape[1:3], max_epochs=EPOCHS, n_iter_no_change=EPOCHS, batch_size=BATCH,
        learning_rate=1e-4, validation_fraction=0, augment=augmentations, n_filters=1, criterion="margin",
        device="cpu", precision=precision, random_state=0,
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


def convolution_epoch(n_batches, frame, backbone=BACKBONE, precision="float32"):
    """Return a function that returns the seconds of an epoch's convolutions alone."""
    step = convolutions(backbone, frame, BATCH, precision)

    def epoch():
        started = time.perf_counter()
        for _ in range(n_batches):
            step()
        return time.perf_counter() - started

    return epoch


def native_precision():
    """Return the fastest precision of this processor: what ``precision="auto"`` means on it."""
    able = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return "bfloat16" if able.get("amx_bf16") or able.get("avx512_bf16") else "float32"


def in_turns(functions, repeats):
    """Return the fewest seconds that each of the functions returned, called in turns."""
    turns = [[function() for function in functions.values()] for _ in range(repeats)]
    return dict(zip(functions, map(min, zip(*turns, strict=True)), strict=True))


def main(out_folder=None, quick=False):
    """Time the loops in turns, print and write ``training.json``."""
    n_batches, repeats = (2, 2) if quick else (4, 4)
    rng = np.random.default_rng(0)

    def draw(frame):
        return rng.integers(0, 256, (n_batches * BATCH, *frame, 3), dtype=np.uint8)

    images, labels = draw(FRAME), np.arange(n_batches * BATCH) % IDENTITIES
    limit, rows = convolution_epoch(n_batches, FRAME), []
    for name, augmentations in AUGMENTATIONS.items():
        functions = {
            "skreid": partial(skreid_epoch, images, labels, augmentations),
            "bare": bare_epochs(images, labels, augmentations),
            "convolutions": limit,
        }
        seconds = in_turns(functions, repeats)
        rows.append({"augmentation": name, **seconds, "ratio": seconds["bare"] / seconds["skreid"], "target": ">= 0.95",
                     "of the limit": seconds["convolutions"] / seconds["skreid"]})  # fmt: skip
    print_table(f"training, wall-clock seconds for {n_batches} steps of {BATCH} images", rows)
    targets = [judged(f"training, augmentation {row['augmentation']} / bare loop", row["ratio"], 0.95) for row in rows]
    limits = [limited(f"training {BACKBONE}, {FRAME[0]} x {FRAME[1]}, float32, augmentation {row['augmentation']}",
                      row["skreid"], LIMIT, row["convolutions"]) for row in rows]  # fmt: skip
    images, precision, default = draw(DEFAULT_FRAME), native_precision(), []
    for backbone in ("vgg16",) if quick else ("vgg16", "vgg16_bn"):
        functions = {
            "skreid": partial(skreid_epoch, images, labels, DEFAULT_AUGMENTATIONS, backbone, precision),
            "convolutions": convolution_epoch(n_batches, DEFAULT_FRAME, backbone, precision),
        }
        seconds = in_turns(functions, repeats)
        default.append({"backbone": backbone, "precision": precision, **seconds,
                        "images/s": n_batches * BATCH / seconds["skreid"],
                        "of the limit": seconds["convolutions"] / seconds["skreid"]})  # fmt: skip
        limits.append(limited(f"training {backbone}, {' x '.join(map(str, DEFAULT_FRAME))}, {precision}",
                              seconds["skreid"], LIMIT, seconds["convolutions"]))  # fmt: skip
    print_table(f"training on frames of {' x '.join(map(str, DEFAULT_FRAME))}, wall-clock seconds", default)
    results = {"quick": quick, "rows": rows, "default": default, "limits": limits, "targets": targets}
    return write("training", results, out_folder)


if __name__ == "__main__":
    run_script(main, __doc__)
