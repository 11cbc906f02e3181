"""One step of training or of evaluation on a batch, the optimiser, and its learning rates.

A step waits for nothing and looks at no value, so that it can be recorded (`skreid._training.graphs`).
"""

import math

import torch
from torch import nn

from skreid._training.augmentation import augment
from skreid._training.heads import identity_loss, predicted

WARMUP = 0.1  # share of the planned steps over which the learning rate rises
PRETRAINED_RATE = 0.3  # pretrained layers learn at this share of the head's rate
WEIGHT_DECAY = 5e-4
GRADIENT_NORM = 5.0  # longer gradients are shortened to this


def build_optimizer(model):
    """Return AdamW with two groups of weights, whose rates `set_rates` sets: the network's, and the classifiers'."""
    groups = [{"params": part.parameters(), "lr": 0.0} for part in (model.network, model.heads)]
    return _AdamW(groups, weight_decay=WEIGHT_DECAY, fused=True)


class _AdamW(torch.optim.AdamW):
    """AdamW that takes channels-last weights on a CPU in the order in which they lie in memory.

    torch copies them to another order and back in every step, which takes as long as the step itself.
    """

    def _init_group(self, group, parameters, *lists):
        result = super()._init_group(group, parameters, *lists)
        for place, parameter in enumerate(parameters):
            if parameter.device.type == "cpu" and parameter.is_contiguous(memory_format=torch.channels_last):
                for tensors in (parameters, *lists):  # also gradients and averages, but not the numbers of steps
                    if isinstance(tensors, list) and tensors and tensors[place].dim() == 4:
                        tensors[place] = tensors[place].permute(0, 2, 3, 1)
        return result


def learning_rates(settings, step, n_steps):
    """Return the learning rates of the network and of the classifiers in one of `n_steps` steps.

    They rise linearly, then fall along a cosine. Pretrained layers learn at a share of the classifiers' rate.
    """
    warmup = max(1, round(WARMUP * n_steps))
    falling = 0.5 * (1 + math.cos(math.pi * max(0, step - warmup) / max(1, n_steps - warmup)))
    share, rate = min((step + 1) / warmup, falling), settings.learning_rate
    return (rate if settings.initial is None else rate * PRETRAINED_RATE) * share, rate * share


def set_rates(optimizer, rates):
    """Set the learning rate of each group; where it is a tensor, because steps are recorded, its value."""
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def training_step(model, optimizer, augmentations, images, labels, drawn):
    """Take one step on a batch, changed as drawn, and return its tally."""
    optimizer.zero_grad()
    logits = model(augment(images, augmentations, drawn), len(labels))
    loss = identity_loss(logits, labels)
    loss.mean().backward()
    _shorten_gradients(model)
    optimizer.step()
    return _tally(loss.detach(), logits.detach(), labels)


def evaluation_step(model, images, labels):
    """Return the tally of a batch, for the cross-entropy without smoothing."""
    logits = model(images, len(labels))
    return _tally(identity_loss(logits, labels, smoothing=0.0), logits, labels)


def _shorten_gradients(model):
    """Scale all gradients by one factor so that their norm is at most GRADIENT_NORM."""
    parameters = [parameter for parameter in model.parameters() if parameter.grad is not None]
    norm = nn.utils.get_total_norm([parameter.grad for parameter in parameters])
    if norm.device.type != "cpu" or not norm <= GRADIENT_NORM:  # a GPU would be waited for
        nn.utils.clip_grads_with_norm_(parameters, GRADIENT_NORM, norm)


def _tally(loss, logits, labels):
    """Return the loss of each image and whether it was recognised, (n, 2), on their device: nothing waits for them."""
    return torch.stack([loss, predicted(logits) == labels], dim=1)
