"""One training in several processes of torch.distributed: each computes the maps of its share of every batch.

What comes after the maps, losses included, every process computes for the whole batch, from the rows of all; and batch
norm takes its statistics over all. So any loss and any batch are those of one process.
"""

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel


def is_parallel():
    """Whether this process is one of several that `torch.distributed.init_process_group` joined."""
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def is_first():
    """Whether this process is the one that writes files and shows bars."""
    return not is_parallel() or distributed.get_rank() == 0


def own_share(n_images):
    """Return the slice of a batch that is this process's to compute; all of one too small to be shared out."""
    if not _is_shared(n_images):
        return slice(0, n_images)
    rank, size = distributed.get_rank(), distributed.get_world_size()
    return slice(n_images * rank // size, n_images * (rank + 1) // size)


def _is_shared(n_images):
    return is_parallel() and n_images >= distributed.get_world_size()


def from_first(compute):
    """Return what the first process computes, or raise what it raises, in every process; all must call."""
    if not is_parallel():
        return compute()
    found = [None, None]
    if is_first():
        try:
            found = [compute(), None]
        except Exception as error:  # the others would wait for ever
            found = [None, error]
    distributed.broadcast_object_list(found, src=0)
    if found[1] is not None:
        raise found[1]
    return found[0]


def check_alike(**parts):
    """Raise ValueError in every process, naming the parts that are not the same in all of them."""
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
    """Return a model, whose `network` gives maps, as all processes train it together; itself if there is only one."""
    if not is_parallel():
        return model
    if next(model.parameters()).device.type == "cuda":
        model.network = nn.SyncBatchNorm.convert_sync_batchnorm(model.network)
    else:
        for module in model.network.modules():
            if type(module) is nn.BatchNorm2d:
                module.__class__ = SharedBatchNorm
    return DistributedDataParallel(model, broadcast_buffers=False)  # the statistics are the same everywhere


def whole_batch(rows, n_images=None):
    """Return the rows of a whole batch of `n_images` from those of each process's share of it."""
    return rows if n_images is None or not _is_shared(n_images) else _WholeBatch.apply(rows, n_images)


class _WholeBatch(torch.autograd.Function):
    """The rows of all processes; backwards, what each has of the one loss that all compute."""

    @staticmethod
    def forward(ctx, rows, n_images):
        ctx.share = own_share(n_images)
        whole = rows.new_zeros(n_images, *rows.shape[1:])
        whole[ctx.share] = rows
        distributed.all_reduce(whole)
        return whole

    @staticmethod
    def backward(ctx, gradient):  # DistributedDataParallel takes the mean of the processes; their sum is meant
        return gradient[ctx.share] * distributed.get_world_size(), None


class _SumOverProcesses(torch.autograd.Function):
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


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch norm whose statistics are those of the images of all processes; what SyncBatchNorm is on CUDA."""

    def forward(self, maps):
        """Normalise maps, (n, C, h, w)."""
        if not self.training or self.running_mean is None or self.momentum is None:
            return super().forward(maps)
        values, shape = maps.float(), (1, -1, 1, 1)
        count = values.new_tensor([values.numel() / values.shape[1]])
        sums = _SumOverProcesses.apply(torch.cat([values.sum(dim=(0, 2, 3)), count]))
        mean, count = sums[:-1] / sums[-1], sums[-1].detach()
        apart = values - mean.view(shape)
        variance = _SumOverProcesses.apply(apart.square().sum(dim=(0, 2, 3))) / count
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        scale = (variance + self.eps).rsqrt()
        scale = scale if self.weight is None else scale * self.weight
        normalised = apart * scale.view(shape)
        return (normalised if self.bias is None else normalised + self.bias.view(shape)).to(maps.dtype)
