"""Steps as CUDA graphs: the host launches one graph instead of a thousand operations, and no longer holds up the GPU.

The first steps are taken one operation at a time, and they count. Then a step is recorded, which computes nothing, so
that there is no state to restore. From then on it is replayed, on new batches of the same shape.
"""

import warnings
from collections import Counter
from contextlib import contextmanager

import torch
from torch import nn

from skreid._network.seeding import may_draw
from skreid._training.parallel import is_parallel

EAGER_STEPS = 3  # of each shape, before it is recorded: torch and cuDNN choose algorithms and allocate meanwhile


def can_record(network, device):
    """Return whether steps can be recorded: on CUDA, in one process, and if no layer draws, waits or calls a hook."""
    return (
        device.type == "cuda"
        and not is_parallel()
        and not may_draw(network)
        and not any(_acts_in_python(module) for module in network.modules())
    )


def _acts_in_python(module):
    hooks = module._forward_pre_hooks, module._forward_hooks, module._backward_pre_hooks, module._backward_hooks
    counts = isinstance(module, nn.BatchNorm2d) and module.momentum is None  # it reads how many batches there were
    return counts or any(hooks)


@contextmanager
def stream_for_recording(device):
    """Work on a stream of its own, since nothing can be recorded on the default one."""
    stream, outside = torch.cuda.Stream(device), torch.cuda.current_stream(device)
    stream.wait_stream(outside)
    try:
        with torch.cuda.stream(stream):
            yield
    finally:
        outside.wait_stream(stream)


def let_record(optimizer, device):
    """Keep the learning rates on the device, where a recorded step of the optimiser finds their present values."""
    for group in optimizer.param_groups:
        group["lr"], group["capturable"] = torch.zeros((), device=device), True


class Recorder:
    """Turns steps into graphs, which share their memory: none runs beside another."""

    def __init__(self):
        self._pool = torch.cuda.graph_pool_handle()
        self._refused = False

    def recorded(self, step):
        """Return a function that does what `step` does with tensors, and returns its tensor, faster after a few calls.

        Parameters
        ----------
        step : callable
            Called with tensors on the device; returns a tensor. A replay repeats its operations on other values, but
            none of its Python.
        """
        n_calls, graphs = Counter(), {}

        def run(*inputs):
            shapes = tuple((each.shape, each.dtype) for each in inputs)
            n_calls[shapes] += 1
            if shapes not in graphs and n_calls[shapes] > EAGER_STEPS and not self._refused:
                graphs[shapes] = self._record(step, inputs)
            if graphs.get(shapes) is None:
                return step(*inputs)
            graph, held, result = graphs[shapes]
            for own, given in zip(held, inputs, strict=True):
                own.copy_(given)
            graph.replay()
            return result.clone()

        return run

    def _record(self, step, inputs):
        """Return the graph of a step, the tensors that it reads and the one that it writes; None if it is refused."""
        graph, held = torch.cuda.CUDAGraph(), [each.clone() for each in inputs]
        recording = torch.cuda.graph(
            graph, pool=self._pool, stream=torch.cuda.current_stream(), capture_error_mode="thread_local"
        )
        try:
            with recording:
                result = step(*held)
        except RuntimeError as error:  # nothing was computed: the step can still be taken
            self._refused = True
            warnings.warn(
                f"Training steps cannot be recorded as a CUDA graph ({error}). They are taken one operation at a time, "
                "which is slower; the result is the same.",
                stacklevel=2,
            )
            return None
        return graph, held, result
