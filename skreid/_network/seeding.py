"""Networks that draw at random: torch's global generators are seeded while they run, and restored afterwards."""

import os
from contextlib import contextmanager
from threading import RLock

import torch
from torch import nn

from skreid._network.backbone import Backbone

_one_at_a_time = RLock()


def _renew_lock():
    global _one_at_a_time
    _one_at_a_time = RLock()


if hasattr(os, "register_at_fork"):
    # the lock is held for whole epochs: a process forked meanwhile would wait forever for a thread that it lacks
    os.register_at_fork(after_in_child=_renew_lock)


@contextmanager
def seeded(random_state, device=None):
    """Seed torch's global generators, from which users' networks draw, and restore them; one thread at a time.

    Without a `device`, the present GPU's generator is among them if CUDA is in use: a network may be built there.
    """
    if device is None and torch.cuda.is_initialized():
        device = torch.device("cuda", torch.cuda.current_device())
    gpus = [device] if device is not None and device.type == "cuda" else []
    with _one_at_a_time, torch.random.fork_rng(gpus):
        torch.default_generator.manual_seed(random_state)
        for gpu in gpus:
            with torch.cuda.device(gpu):
                torch.cuda.manual_seed(random_state)
        yield


def may_draw(network):
    """Return whether a network may draw at random while it trains: plain layers never do, any other might."""
    plain = (nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d, nn.AvgPool2d, nn.Identity, nn.Sequential, Backbone)
    return any(type(module) not in plain for module in network.modules())
