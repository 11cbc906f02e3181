"""One training in several processes of torch.distributed: each computes the maps of its share of every batch.

All that follows the maps, losses included, is computed by every process for the whole batch, and batch norm takes its
statistics over all processes. So losses and batches equal those of a single process.
"""

import inspect
from functools import partial

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

# torch 2.13 renamed what keeps it from copying buffers before each step
_NAMES = inspect.signature(DistributedDataParallel).parameters
WITHOUT_BUFFERS = "forward_sync_buffers" if "forward_sync_buffers" in _NAMES else "broadcast_buffers"


def is_parallel():
    """Return whether this process is one of several that `torch.distributed.init_process_group` joined."""
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def is_first():
    """Return whether this is the process that writes files and shows bars."""
    return not is_parallel() or distributed.get_rank() == 0


def own_share(n_images):
    """Return the slice of a batch that this process computes; the whole of a batch too small to be shared out."""
    if not _is_shared(n_images):
        return slice(0, n_images)
    rank, size = distributed.get_rank(), distributed.get_world_size()
    return slice(n_images * rank // size, n_images * (rank + 1) // size)


def _is_shared(n_images):
    return is_parallel() and n_images >= distributed.get_world_size()


def from_first(compute):
    """Return the result of the first process in every process, or raise its error; every process must call it."""
    if not is_parallel():
        return compute()
    outcome = [None, None]  # result, error
    if is_first():
        try:
            outcome = [compute(), None]
        except Exception as error:  # the others would wait forever
            outcome = [None, error]
    distributed.broadcast_object_list(outcome, src=0)
    if outcome[1] is not None:
        raise outcome[1]
    return outcome[0]


def check_alike(**parts):
    """Raise ValueError in every process, naming the parts that differ between them."""
    if not is_parallel():
        return
    everywhere = [None] * distributed.get_world_size()
    distributed.all_gather_object(everywhere, parts)
    other = [name for name in parts if any(each[name] != parts[name] for each in everywhere)]
    if other:
        raise ValueError(
            f"The processes of one training were given different {', '.join(other)}: call fit with the same arguments "
            "in each of them."
        )


def share_out(model):
    """Return a model as all processes train it together: its `network` returns maps; unchanged for one process.

    It is called with this process's share of a batch, and the size of the whole batch.
    """
    if not is_parallel():
        return model
    if next(model.parameters()).device.type == "cuda":
        _convert_batch_norms(model.network)
    else:
        for module in model.network.modules():
            if type(module) is nn.BatchNorm2d:
                module.__class__ = SharedBatchNorm
    norms = [module for module in model.network.modules() if isinstance(module, (SharedBatchNorm, SharedGpuBatchNorm))]
    model.register_forward_pre_hook(partial(_prepare, norms))
    return DistributedDataParallel(model, **{WITHOUT_BUFFERS: False})  # the statistics are the same everywhere


def _prepare(norms, model, inputs):
    """Let batch norms take their statistics over all processes, unless each of them has the whole batch."""
    for norm in norms:
        norm.is_shared = _is_shared(inputs[1])


def _convert_batch_norms(network):
    """Replace each batch norm by torch's SyncBatchNorm, everywhere: torch itself leaves out all but its first use."""
    parents = [(module, name, child) for module in network.modules() for name, child in module._modules.items()]
    norms = {child: nn.SyncBatchNorm.convert_sync_batchnorm(child) for _, _, child in parents if _is_batch_norm(child)}
    for norm in norms.values():
        norm.__class__ = SharedGpuBatchNorm
    for parent, name, child in parents:
        if child in norms:
            setattr(parent, name, norms[child])


def _is_batch_norm(module):
    return isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d))


def whole_batch(rows, n_images=None):
    """Return the rows of a whole batch of `n_images`, given the rows of this process's share of it.

    Every process computes the same loss from these rows. The sum of their gradients over the processes is that loss's
    gradient times the number of processes, and DistributedDataParallel divides by that number.
    """
    if n_images is None or not _is_shared(n_images):
        return rows
    whole = rows.new_zeros(n_images, *rows.shape[1:])
    whole[own_share(n_images)] = rows
    return _SumOverProcesses.apply(whole)


class _SumOverProcesses(torch.autograd.Function):
    """The sum of a tensor over all processes, as the deprecated `torch.distributed.nn.functional.all_reduce`."""

    @staticmethod
    def forward(ctx, values):
        values = values.clone()
        distributed.all_reduce(values)
        return values

    @staticmethod
    def backward(ctx, gradient):
        gradient = gradient.contiguous().clone()
        distributed.all_reduce(gradient)
        return gradient


class SharedGpuBatchNorm(nn.SyncBatchNorm):
    """Batch norm over the images of all processes, or over those of this one if it has the whole batch."""

    is_shared = True

    def forward(self, maps):
        """Normalise maps, (n, C, ...)."""
        return super().forward(maps) if self.is_shared else nn.modules.batchnorm._BatchNorm.forward(self, maps)


class SharedBatchNorm(nn.BatchNorm2d):
    """The same on the CPU, where torch has no SyncBatchNorm."""

    is_shared = True

    def forward(self, maps):
        """Normalise maps, (n, C, h, w)."""
        if not (self.is_shared and self.training) or self.running_mean is None or self.momentum is None:
            return super().forward(maps)
        values, shape = maps.float(), (1, -1, 1, 1)
        count = values.new_tensor([values.numel() / values.shape[1]])
        sums = _SumOverProcesses.apply(torch.cat([values.sum(dim=(0, 2, 3)), count]))
        mean, count = sums[:-1] / sums[-1], sums[-1].detach()
        centred = values - mean.view(shape)
        variance = _SumOverProcesses.apply(centred.square().sum(dim=(0, 2, 3))) / count
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        scale = (variance + self.eps).rsqrt()
        scale = scale if self.weight is None else scale * self.weight
        normalised = centred * scale.view(shape)
        return (normalised if self.bias is None else normalised + self.bias.view(shape)).to(maps.dtype)
