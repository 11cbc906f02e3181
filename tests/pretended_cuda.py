"""A GPU without a GPU: tensors that report a device, live in the CPU's memory, and refuse what a GPU would refuse.

Python sees tensors on ``cuda:0`` (or ``mps:0``). torch's C++ sees CPU tensors, so any build of torch will do. Every
operation passes `_operate`, which refuses arguments on two devices, records each time the host waits, and computes the
result on the CPU. Only the thread that entered `pretended_device` may create tensors on the device.
"""

import contextlib
import sys
import weakref
from collections import Counter
from functools import partial
from pathlib import Path
from unittest import mock

import torch
from pretended_graphs import Queues, flat, written_by
from torch.nn.utils import clip_grad
from torch.optim import optimizer
from torch.overrides import TorchFunctionMode
from torch.utils import _foreach_utils
from torch.utils._python_dispatch import TorchDispatchMode

import skreid

aten = torch.ops.aten
HOST = torch.device("cpu")
SIZED_BY_VALUES = {  # the host must wait to know how long the result is
    aten.nonzero.default, aten.masked_select.default, aten._unique2.default, aten.unique_dim.default,
    aten.unique_consecutive.default, aten.repeat_interleave.Tensor, aten.bincount.default,
}  # fmt: skip
INDEXED = {aten.index.Tensor, aten.index_put_.default, aten.index_put.default, aten._index_put_impl_.default}
PRODUCTS = {aten.convolution.default, aten.mm.default, aten.addmm.default, aten.bmm.default, aten.baddbmm.default}
READ_FOR_PLACES = tuple(
    str(folder) for folder in (Path(skreid.__file__).parent, Path(__file__).parents[1] / "benchmarks")
)


class Journal:
    """What host and device did.

    Attributes
    ----------
    waits : Counter
        How often the host waited for the device, by (reason, "file:function").
    operations : Counter
        Operations by name.
    tf32 : Counter
        Products of float32 that a GPU would compute in TF32, by "file:function".
    peak : int
        The most bytes that tensors took on the device.
    """

    def __init__(self):
        self.waits, self.operations, self.tf32 = Counter(), Counter(), Counter()
        self.peak, self._taken, self._uses = 0, 0, Counter()
        self.unfinished = []  # copies to the host that are certain to have ended only after the next wait
        self.queues = Queues(self)

    def wait(self, reason):
        """Record that the host waited for the device, and finish all copies."""
        self.refuse_while_recording(reason)
        self.waits[reason, place()] += 1
        self.queues.waited()
        self.finish()

    def refuse_while_recording(self, reason):
        """Raise the error of a GPU for what cannot be recorded, or would be recorded with its present value."""
        if self.queues.recording is not None:
            raise RuntimeError(f"operation not permitted when stream is capturing ({reason} in {place()})")

    def finish(self):
        """Do what the device does while the host waits."""
        while self.unfinished:
            self.unfinished.pop(0)()

    def hold(self, tensor, inner):
        """Count the memory of a tensor until the tensor is gone."""
        storage = inner.untyped_storage()
        memory = storage.data_ptr(), storage.nbytes()
        self._uses[memory] += 1
        if self._uses[memory] == 1:
            self._taken += memory[1]
            self.peak = max(self.peak, self._taken)
        weakref.finalize(tensor, self._release, memory).atexit = False

    def is_held(self, inner):
        """Return whether a tensor on the device still uses the memory of a CPU tensor."""
        storage = inner.untyped_storage()
        return (storage.data_ptr(), storage.nbytes()) in self._uses

    def _release(self, memory):
        self._uses[memory] -= 1
        if not self._uses[memory]:
            self._taken -= memory[1]
            del self._uses[memory]

    def waits_in(self, *modules):
        """Return how often the host waited in modules of skreid, such as "loop.py"; in all of them by default."""
        return sum(n for (_, where), n in self.waits.items() if not modules or where.startswith(modules))

    def waits_by_place(self):
        """Return how often the host waited, by "file:function"."""
        places = Counter()
        for (_, where), n in self.waits.items():
            places[where] += n
        return places

    def clear(self):
        """Forget everything so far."""
        for counter in (self.waits, self.operations, self.tf32):
            counter.clear()


def place():
    """Return the file and function of the package that called torch."""
    frame = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        named = not code.co_name.startswith("<")  # comprehensions are functions in some versions of Python
        if named and code.co_filename.startswith(READ_FOR_PLACES):
            return f"{Path(code.co_filename).name}:{code.co_name}"
        frame = frame.f_back
    return "tests"


class OnDevice(torch.Tensor):
    """A tensor that says it is on the device; `inner` is the CPU tensor that shares its memory."""

    where, journal, has_float64 = torch.device("cuda:0"), Journal(), True
    device = property(lambda self: OnDevice.where)
    is_cuda = property(lambda self: OnDevice.where.type == "cuda")
    is_mps = property(lambda self: OnDevice.where.type == "mps")
    is_cpu = property(lambda self: False)
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, inner, requires_grad=False):
        if inner.dtype == torch.float64 and not OnDevice.has_float64:
            raise TypeError(f"Cannot convert a tensor to float64: {OnDevice.where} has none.")
        tensor = torch.Tensor._make_subclass(cls, inner, requires_grad)
        tensor.inner = inner
        OnDevice.journal.hold(tensor, inner)
        return tensor

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return _operate(func, args, kwargs or {})

    def __repr__(self):
        return f"OnDevice({self.inner!r})"

    # C++ would do all of these at once, for what it takes for a CPU tensor

    def to(self, *args, copy=False, **kwargs):
        """Convert, or copy to the host."""
        if args and isinstance(args[0], torch.Tensor):
            args = (args[0].device, args[0].dtype, *args[1:])
        device, dtype, non_blocking, layout = torch._C._nn._parse_to(*args, **kwargs)
        dtype, layout = dtype or self.dtype, layout or torch.preserve_format
        if device is None or device.type == OnDevice.where.type:
            return torch.Tensor.to(self, dtype=dtype, copy=copy, memory_format=layout)
        return _ToHost.apply(self, dtype, layout, non_blocking)

    def cpu(self, memory_format=torch.preserve_format):
        """Copy to the host."""
        return self.to(HOST, memory_format=memory_format)

    def cuda(self, *args, **kwargs):
        """Return itself."""
        return self

    def numpy(self, *, force=False):
        """Copy to the host, if `force` allows it."""
        return self.detach().cpu().numpy() if force else self.__array__()

    def __array__(self, dtype=None, copy=None):
        raise TypeError(f"can't convert {self.device} device type tensor to numpy: copy it to host memory first.")

    def tolist(self):
        """Copy to the host."""
        return self.detach().cpu().tolist()

    def new_tensor(self, data, **kwargs):
        """Copy values of the host."""
        return torch.tensor(data, **({"dtype": self.dtype, "device": self.device} | kwargs))

    def __deepcopy__(self, memo):
        copied = OnDevice(self.detach().clone().inner, self.requires_grad)
        copied._is_param = isinstance(self, torch.nn.Parameter)
        return copied

    def __reduce_ex__(self, protocol):  # torch.save copies to the host
        OnDevice.journal.queues.check([self.inner])
        OnDevice.journal.wait("copy to the host")
        return self.inner.detach().__reduce_ex__(protocol)


class _ToHost(torch.autograd.Function):
    """A copy on the host, whose gradient goes back to the device."""

    @staticmethod
    def forward(ctx, tensor, dtype, layout, non_blocking):
        if not non_blocking:
            OnDevice.journal.queues.check([tensor.inner])
            OnDevice.journal.wait("copy to the host")
            return tensor.inner.detach().to(dtype, memory_format=layout, copy=True)
        OnDevice.journal.refuse_while_recording("copy to the host")
        copy = torch.full_like(tensor.inner, -77, dtype=dtype)  # until the host waits, anything may be in there
        OnDevice.journal.unfinished.append(partial(copy.detach().copy_, tensor.inner.detach().clone()))
        return copy

    @staticmethod
    def backward(ctx, gradient):
        return gradient.to(OnDevice.where), None, None, None


def _operate(func, args, kwargs):
    """Compute an operation on the CPU, if all its arguments are where they should be."""
    journal, name = OnDevice.journal, str(func).removeprefix("aten.")
    tensors = []
    _replaced(torch.Tensor, tensors.append, (args, kwargs))
    ours = [each for each in tensors if isinstance(each, OnDevice)]
    host = [each for each in tensors if not isinstance(each, OnDevice)]
    if torch.Tag.nondeterministic_seeded in func.tags:
        journal.refuse_while_recording(f"a draw by {name}")
    created = torch.device(kwargs.get("device") or HOST).type == OnDevice.where.type
    if not ours and not created:
        pinned = kwargs.pop("pin_memory", None)
        return _marked(func(*args, **kwargs)) if pinned else func(*args, **kwargs)
    if torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd"):  # in inference mode
        with _Creating():
            return func.decompose(*args, **kwargs)
    generator = kwargs.get("generator")
    if generator is not None and generator.device.type != OnDevice.where.type:
        raise RuntimeError(f"Expected a {OnDevice.where.type!r} generator but found 'cpu' ({name})")
    if host:
        journal.refuse_while_recording(f"a value of the host for {name}")
    if func is aten._to_copy.default and host:
        if not (kwargs.get("non_blocking") and getattr(host[0], "pinned", False)):
            journal.wait("copy to the device")
        host = []
    elif func is aten.copy_.default and ours and host:
        blocking = args[2:3] != (True,) and not kwargs.get("non_blocking")
        if host[0] is args[0] or blocking or not getattr(host[0], "pinned", False):
            journal.wait("copy to the host" if host[0] is args[0] else "copy to the device")
        host = []
    elif func in INDEXED:
        indices = [index for index in args[1] if index is not None]
        if any(index.dtype in (torch.bool, torch.uint8) for index in indices):
            journal.wait("mask as index")
        if isinstance(args[0], OnDevice):  # torch copies indices itself
            copied = [index for index in indices if not isinstance(index, OnDevice)]
            for _ in copied:
                journal.wait("copy of an index")
            host = [each for each in host if all(each is not index for index in copied)]
    elif func is aten._local_scalar_dense.default:
        journal.wait("value")
    elif func in SIZED_BY_VALUES:
        journal.wait("size")
    if any(each.dim() for each in host) or (host and host[0] is args[0] and name.split(".")[0].endswith("_")):
        shapes = ", ".join(str(tuple(each.shape)) for each in host)
        raise RuntimeError(
            "Expected all tensors to be on the same device, but found at least two devices, "
            f"{OnDevice.where} and cpu! ({name}; on the cpu: {shapes})"
        )
    if func in PRODUCTS and any(each.dtype == torch.float32 for each in ours) and _in_tf32(func):
        journal.tf32[place()] += 1
    journal.operations[name] += not _is_view(func)
    kwargs |= {"device": HOST} if kwargs.get("device") is not None else {}
    inner_args, inner_kwargs = _replaced(OnDevice, lambda each: each.inner, (args, kwargs))
    known, queues = {id(each.inner): each for each in ours}, journal.queues
    if queues.recording is not None:  # nothing is read or written before a replay
        result = queues.recording.record(func, inner_args, inner_kwargs)
    else:
        queues.check([each.inner for each in ours])
        result = func(*inner_args, **inner_kwargs)
        if not _is_view(func):
            queues.wrote([*written_by(func, inner_args, inner_kwargs), *flat(result)])
    return _replaced(torch.Tensor, lambda each: known[id(each)] if id(each) in known else OnDevice(each), result)


def _replaced(kind, function, value):
    """Return a value, or nested values, with every tensor of a kind replaced by what a function returns for it."""
    if isinstance(value, (tuple, list)):
        return type(value)(_replaced(kind, function, each) for each in value)
    if isinstance(value, dict):
        return {name: _replaced(kind, function, each) for name, each in value.items()}
    return function(value) if isinstance(value, kind) else value


def _in_tf32(func):
    """Return whether torch allows a product of float32 to be computed in TF32, by its newer name where there is one."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    if OnDevice.where.type != "cuda":
        return False
    if hasattr(cudnn, "conv"):
        return (cudnn.conv if func is aten.convolution.default else matmul).fp32_precision == "tf32"
    return (cudnn if func is aten.convolution.default else matmul).allow_tf32


def _is_view(func):
    return any(each.alias_info is not None and not each.alias_info.is_write for each in func._schema.arguments)


def _marked(tensor):
    tensor.pinned = True
    return tensor


class _Creating(TorchDispatchMode):
    """Sees operations that have no tensor of the device among their arguments."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return _operate(func, args, kwargs or {})


class _Naming(TorchFunctionMode):
    """Numbers the device, for which torch would ask the driver, and copies values of Python as a tensor of the host."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        def numbered(value):
            named = isinstance(value, (str, torch.device)) and str(value) == OnDevice.where.type
            return OnDevice.where if named and func is not torch.device else value

        args, kwargs = tuple(map(numbered, args)), {name: numbered(value) for name, value in (kwargs or {}).items()}
        if func in (torch.tensor, torch.as_tensor) and kwargs.get("device") in (OnDevice.where, str(OnDevice.where)):
            return func(*args, **kwargs | {"device": HOST}).to(OnDevice.where)
        return func(*args, **kwargs)


class _Autocast(torch.autocast):
    """The autocast of the device is that of the CPU, which C++ sees."""

    def __init__(self, device_type, *args, **kwargs):
        super().__init__("cpu" if device_type == OnDevice.where.type else device_type, *args, **kwargs)


def _group_by_device(tensors, with_indices=False):
    groups = torch._C._group_tensors_by_device_and_dtype(tensors, with_indices)
    return {(found[0][0][0].device, dtype): found for (_, dtype), found in groups.items()}


def _pretended_functions(memory, bfloat16):
    """Return module -> name -> what torch would answer if there were one device, with (free, total) bytes."""
    available = OnDevice.where.type == "cuda"
    free, total, reserved, allocated = (*memory, 0, 0)[:4]
    return {
        torch.cuda: {
            "is_available": lambda: available, "is_initialized": lambda: available, "_lazy_init": lambda: None,
            "device_count": lambda: int(available), "current_device": lambda: 0,
            "device": lambda device: contextlib.nullcontext(), "synchronize": lambda device=None: _synchronize(),
            "mem_get_info": lambda device=None: (free, total), "memory_reserved": lambda device=None: reserved,
            "memory_allocated": lambda device=None: allocated, "max_memory_allocated": lambda device=None: 0,
            "is_bf16_supported": lambda including_emulation=True: bfloat16, "manual_seed": lambda seed: None,
            "get_rng_state": lambda device="cuda": torch.zeros(16, dtype=torch.uint8),
            "set_rng_state": lambda state, device="cuda": None, "get_device_name": lambda device=None: "pretended",
            "empty_cache": lambda: None, **OnDevice.journal.queues.functions(),
        },
        torch.accelerator: {
            "is_available": lambda: True, "device_count": lambda: 1,
            "current_accelerator": lambda check_available=False: torch.device(OnDevice.where.type),
            "current_stream": lambda device=None: OnDevice.journal.queues.current,
        },
        torch: {"autocast": _Autocast},
        torch.Tensor: {"pin_memory": _pin_memory},
        clip_grad: {"_group_tensors_by_device_and_dtype": _group_by_device},
        optimizer: {"_group_tensors_by_device_and_dtype": _group_by_device},
    }  # fmt: skip


def _pin_memory(tensor, device=None):
    OnDevice.journal.refuse_while_recording("pinning memory")
    return _marked(torch.Tensor.clone(tensor))


def _synchronize():
    OnDevice.journal.wait("synchronize")


@contextlib.contextmanager
def pretended_device(kind="cuda", *, memory=(2**33, 2**33), bfloat16=False):
    """Let torch find one device, and return the journal of what happens on it.

    Parameters
    ----------
    kind : {"cuda", "mps"}
        "mps" has no float64.
    memory : tuple of int
        Free bytes and all bytes; then, if given, bytes that torch has reserved, and how many of those are in use.
    bfloat16 : bool
        Whether the device multiplies bfloat16.
    """
    overwrites = torch.__future__.get_overwrite_module_params_on_conversion()
    with contextlib.ExitStack() as stack:
        described = {"where": torch.device(kind, 0), "journal": Journal(), "has_float64": kind != "mps"}
        stack.enter_context(mock.patch.multiple(OnDevice, **described))
        for module, functions in _pretended_functions(memory, bfloat16).items():
            stack.enter_context(mock.patch.multiple(module, **functions))
        for types in (optimizer._foreach_supported_types, _foreach_utils._foreach_supported_types):
            if OnDevice not in types:
                types.append(OnDevice)
                stack.callback(types.remove, OnDevice)
        torch.__future__.set_overwrite_module_params_on_conversion(True)  # or parameters would stay CPU tensors
        stack.callback(torch.__future__.set_overwrite_module_params_on_conversion, overwrites)
        stack.enter_context(_Creating())
        stack.enter_context(_Naming())
        yield OnDevice.journal
