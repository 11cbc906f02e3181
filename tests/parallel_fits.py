"""Fits in a single process, or in several together by ``torchrun tests/parallel_fits.py <folder>``."""

import os
import sys
import warnings
from pathlib import Path

import joblib
import torch
from networks import narrow, plain
from torch import nn

from skreid import MultiDepthReID
from skreid._training.parallel import SharedBatchNorm, check_alike, from_first, own_share, share_out, whole_batch
from skreid.datasets import make_pedestrians

SETTINGS = {
    "backbone": narrow, "input_size": (32, 16), "layers": ("low", "middle", "high"), "max_epochs": 2, "batch_size": 7,
    "blur_size": 4, "n_filters": 2, "validation_fraction": 0.3, "device": "cpu", "precision": "float32",
    "random_state": 0,
}  # fmt: skip


CASES = {"plain": {"backbone": plain}, "batch norm": {}, "half": {"precision": "bfloat16"}}


def fit(people, **changed):
    """Return a fitted estimator."""
    return MultiDepthReID(**SETTINGS | changed).fit(people.images, people.target)


def gradients():
    """Return the gradients of one loss that mixes all images of a batch: its pairwise distances."""

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            norm = nn.BatchNorm2d(4)  # used twice
            self.network = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), norm, nn.ReLU(), norm)

        def forward(self, batch, n_images):
            return whole_batch(self.network(batch).mean(dim=(2, 3)), n_images)

    torch.manual_seed(0)
    model, batch, results = Model(), torch.rand(5, 3, 8, 8), {}
    shared = share_out(model)
    for n_images in (5, 1):  # the second is too small to be shared out
        shared.zero_grad()
        images = batch[:n_images]
        rows = shared(images[own_share(n_images)], n_images)
        (torch.pdist(rows) if n_images > 1 else rows).square().sum().backward()
        results |= {f"{name} of {n_images}": part.grad.numpy().copy() for name, part in model.named_parameters()}
        results |= {f"{name} of {n_images}": part.numpy().copy() for name, part in model.named_buffers()}
    return results


def errors(rank):
    """Return the messages of errors that occur in one process only."""
    messages = []
    for wrong in (lambda: check_alike(X=rank, y=1), lambda: from_first(lambda: 1 / (rank > 0))):
        try:
            wrong()
        except (ValueError, ZeroDivisionError) as error:
            messages.append(str(error))
    return messages


def main(folder):
    """Run all cases and save the results of this process."""
    torch.distributed.init_process_group("gloo")
    rank = torch.distributed.get_rank()
    people = make_pedestrians(n_identities=8, n_cameras=2, n_shots=2, image_size=(32, 16), random_state=0)
    results = {case: fit(people, **changed) for case, changed in CASES.items()}
    kept = {"memory": folder / f"memory-{rank}", "checkpoint": folder / f"checkpoint-{rank}"}
    results["kept"], results["again"] = fit(people, **kept), fit(people, **kept)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results["no seed"] = fit(people, random_state=None)
    results |= {"gradients": gradients(), "errors": errors(rank), "norm": issubclass(SharedBatchNorm, nn.BatchNorm2d)}
    joblib.dump(results, folder / f"results-{rank}.pickle")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main(Path(sys.argv[1]))
