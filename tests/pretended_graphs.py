"""Streams, events and CUDA graphs of the pretended GPU.

A stream may only read what another one wrote if it has waited for it. Recording a graph changes nothing: what the
recorded operations wrote is taken back, and their results are garbage until a replay repeats them on the same memory.
"""

import contextlib
import inspect
import threading

import torch
from torch.utils._python_dispatch import _disable_current_modes

aten = torch.ops.aten
NOT_IN_SCHEMA = {  # the buffers that these operations write, by the position of the argument
    "aten::native_batch_norm": (3, 4),
    "aten::cudnn_batch_norm": (3, 4),
}


def flat(value):
    """Return all tensors in nested values."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [each for part in value for each in flat(part)] if isinstance(value, (list, tuple)) else []


def written_by(func, args, kwargs):
    """Return the tensors among the arguments that an operation writes."""
    named = [*zip(func._schema.arguments, args, strict=False)]
    named += [(each, kwargs[each.name]) for each in func._schema.arguments if each.name in kwargs]
    found = [value for each, value in named if each.alias_info is not None and each.alias_info.is_write]
    found += [args[place] for place in NOT_IN_SCHEMA.get(func._schema.name, ())]
    return flat(found)


def address(tensor):
    """Return what identifies the memory of a CPU tensor."""
    return tensor.untyped_storage().data_ptr()


class Stream:
    """A queue of work on the device."""

    def __init__(self, queues):
        self.queues, self.seen = queues, {}

    def wait_stream(self, other):
        """Let later work wait for all work on another stream so far."""
        self.seen |= other.seen | {other: self.queues.clock}

    def record_event(self, event=None):
        """Return an event that happens when all work so far is done."""
        event = event or Event(self.queues)
        event.record(self)
        return event

    def wait_event(self, event):
        """Let later work wait for an event."""
        self.seen[event.stream] = max(event.time, self.seen.get(event.stream, 0))

    def synchronize(self):
        """Let the host wait for all work so far."""
        self.queues.journal.wait("synchronize")

    def is_capturing(self):
        """Return whether a graph is being recorded."""
        return self.queues.recording is not None


class Event:
    """A moment in the work of a stream."""

    def __init__(self, queues, **_):
        self.queues, self.stream, self.time = queues, None, -1

    def record(self, stream=None):
        """Happen when all work so far on a stream is done."""
        self.stream, self.time = stream or self.queues.current, self.queues.clock

    def synchronize(self):
        """Let the host wait for it."""
        if self.queues.recording is not None:
            raise RuntimeError("operation not permitted when stream is capturing (event)")
        self.queues.done[self.stream] = max(self.time, self.queues.done.get(self.stream, 0))


class Queues:
    """The streams of a device: which one works now, and which one wrote a piece of memory last.

    Attributes
    ----------
    clock : int
        The number of operations so far.
    recording : Graph or None
        The graph that is being recorded.
    """

    def __init__(self, journal):
        self.journal, self.clock, self.recording = journal, 0, None
        self.default, self.done, self._writers = Stream(self), {}, {}
        self._chosen = threading.local()  # each thread works on the default stream until it chooses another

    @property
    def current(self):
        """The stream on which this thread works."""
        return getattr(self._chosen, "stream", self.default)

    def waited(self):
        """Note that the host waited for the stream that works now."""
        self.done[self.current] = self.clock

    def check(self, tensors):
        """Refuse to read memory that another stream may not have written yet."""
        for tensor in tensors:
            writer, time = self._writers.get(address(tensor), (self.current, 0))
            if writer is not self.current and time > max(self.current.seen.get(writer, 0), self.done.get(writer, 0)):
                raise RuntimeError("A stream reads what another one may not have written yet: wait for it.")

    def wrote(self, tensors):
        """Note that the stream that works now writes these."""
        self.clock += 1
        for tensor in tensors:
            self._writers[address(tensor)] = self.current, self.clock

    @contextlib.contextmanager
    def stream(self, stream):
        """Work on a stream."""
        before, self._chosen.stream = self.current, stream
        try:
            yield
        finally:
            self._chosen.stream = before

    def functions(self):
        """Return name -> what `torch.cuda` would have."""
        return {
            "Stream": lambda device=None, priority=0: Stream(self), "Event": lambda **how: Event(self, **how),
            "stream": self.stream, "current_stream": lambda device=None: self.current,
            "default_stream": lambda device=None: self.default,
            "is_current_stream_capturing": lambda: self.recording is not None,
            "CUDAGraph": lambda: Graph(self), "graph_pool_handle": lambda: (0, 1), "graph": self.graph,
        }  # fmt: skip

    @contextlib.contextmanager
    def graph(self, *args, **kwargs):
        """Record what is done in this context; arguments are those of `torch.cuda.graph`."""
        given = inspect.signature(GRAPH.__init__).bind(None, *args, **kwargs).arguments
        graph, stream = given["cuda_graph"], given.get("stream") or Stream(self)
        self.journal.wait("synchronize")
        with self.stream(stream):
            if stream is self.default:
                raise RuntimeError("CUDA graphs must be captured on a non-default stream.")
            self.recording = graph
            try:
                yield
            finally:
                self.recording = None
                graph.end()


GRAPH = torch.cuda.graph


class Graph:
    """Recorded operations."""

    def __init__(self, queues):
        self._queues, self._calls, self._before, self._own = queues, [], {}, {}

    def record(self, func, args, kwargs):
        """Return the result of an operation on CPU tensors; keep a copy of what it writes outside this graph."""
        for tensor in written_by(func, args, kwargs):
            if address(tensor) not in self._own and address(tensor) not in self._before:
                storage = tensor.untyped_storage()
                self._before[address(tensor)] = storage, storage.clone()
        result = func(*args, **kwargs)
        given = {address(tensor) for tensor in flat((args, kwargs))}
        self._own |= {address(each): each.untyped_storage() for each in flat(result) if address(each) not in given}
        self._calls.append((func, args, kwargs, result))
        return result

    def end(self):
        """Take back what was written: so far, nothing has run."""
        for storage, copy in self._before.values():
            storage.copy_(copy)
        with _disable_current_modes():
            for storage in self._own.values():
                torch.empty(0, dtype=torch.uint8).set_(storage).fill_(255)  # NaN, or -1

    def replay(self):
        """Run all operations again, on the same memory."""
        journal = self._queues.journal
        if self._queues.recording is not None:
            raise RuntimeError("operation not permitted when stream is capturing (replay)")
        journal.operations["graph"] += 1
        with _disable_current_modes(), torch.no_grad():
            for func, args, kwargs, result in self._calls:
                for tensor in flat((args, kwargs)):
                    if address(tensor) not in self._own and not journal.is_held(tensor):
                        raise RuntimeError(f"The graph reads memory that was freed ({func})")
                self._queues.check(flat((args, kwargs)))
                for own, computed in zip(flat(result), flat(func(*args, **kwargs)), strict=True):
                    if own.data_ptr() != computed.data_ptr():
                        own.copy_(computed)
                self._queues.wrote([*written_by(func, args, kwargs), *flat(result)])
