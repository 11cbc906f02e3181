"""Training steps are recorded as CUDA graphs where that is possible, and train as steps that are not recorded do."""

from collections import OrderedDict

import numpy as np
import pytest
import torch
from networks import narrow
from pretended_cuda import pretended_device
from test_pretended_cuda import REID, figures, rates_of_float32, same  # noqa: F401 - a fixture for all tests
from torch import nn

from skreid import MultiDepthReID
from skreid._network import precision
from skreid._training import graphs, loop, steps
from skreid._training.checkpoint import Checkpoint

GPU, CPU = torch.device("cuda:0"), torch.device("cpu")
LONG = REID | {"max_epochs": 4, "n_iter_no_change": 4, "augment": True}


def fit(people, **changed):
    return MultiDepthReID(**LONG | changed).fit(people.images, people.target)


def assert_same_training(fitted, expected):
    same(expected.weights_, fitted.weights_)
    assert repr(figures(fitted)) == repr(figures(expected))


# --- training


@pytest.mark.parametrize(
    ("batch_size", "shapes", "precision"), [(13, [13, 13], "bfloat16"), (8, [7, 7, 6, 6], "float32"),
                                            (9, [9, 9, 8], "float32")], ids=["one", "two", "odd"],
)  # fmt: skip
def test_recorded_steps_train_as_the_cpu_does(people, batch_size, shapes, precision):
    """Bit for bit; each shape of batch is recorded once, after three steps, and replayed from then on."""
    expected = fit(people, batch_size=batch_size, device="cpu", precision=precision)
    with pretended_device() as journal:
        fitted = fit(people, batch_size=batch_size, precision=precision)
    assert_same_training(fitted, expected)
    steps_of = [4 * shapes.count(shape) for shape in set(shapes)] + [4]  # and one batch of validation images
    assert journal.operations["graph"] == sum(max(0, n_steps - graphs.EAGER_STEPS) for n_steps in steps_of)
    assert journal.waits["synchronize", "graphs.py:_record"] == sum(n > graphs.EAGER_STEPS for n in steps_of)


def test_replays_leave_the_validation_batches_as_they_are(people):
    """Several batches of one shape, replayed in every epoch: a replay overwrites tensors of its own only."""
    changed = {"validation_fraction": 0.5, "batch_size": 4}
    expected = fit(people, device="cpu", **changed)
    with pretended_device() as journal:
        fitted = fit(people, **changed)
    assert_same_training(fitted, expected)
    assert journal.operations["graph"] > 2 * graphs.EAGER_STEPS


def test_images_that_are_streamed_are_trained_on_by_recorded_steps(people):
    """They are sent from pinned memory before each step; the weights are those of the CPU."""
    expected = fit(people, device="cpu")
    with pretended_device(memory=(10, 2**33)) as journal:
        fitted = fit(people)
    assert_same_training(fitted, expected)
    assert journal.operations["graph"] > 5


def launches(people, **changed):
    """Return how many operations a further epoch launches, and how often the host waits in it."""
    counts = []
    for epochs in (1, 2):
        with pretended_device() as journal:
            fit(people, max_epochs=epochs, batch_size=4, validation_fraction=0, **changed)
        in_epochs = {where: n for where, n in journal.waits_by_place().items() if where.startswith(("loop.py", "data"))}
        counts.append(np.array([journal.operations.total(), sum(in_epochs.values())]))
    return counts[1] - counts[0]


def test_a_recorded_step_is_launched_by_a_few_operations(people, monkeypatch):
    """An epoch of eight takes a fifth of the launches, whatever the augmentations; the host waits once, as always."""
    recorded, without = launches(people), launches(people, augment=False)
    monkeypatch.setattr(loop, "can_record", lambda *_: False)
    eager = launches(people)
    assert recorded[0] < eager[0] / 5
    assert recorded[0] <= without[0] + 8 + 1
    assert recorded[1] == eager[1] == 1


def interrupt(reid, people):
    """Fit until the third epoch of four ends."""
    write, written = Checkpoint.save_later, []

    def interrupted(checkpoint, epoch, state, device):
        if epoch == 2:
            raise KeyboardInterrupt
        write(checkpoint, epoch, state, device)
        written.append(epoch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoint, "save_later", interrupted)
        with pytest.raises(KeyboardInterrupt):
            reid.fit(people.images, people.target)
    assert written == [0, 1]


@pytest.mark.parametrize(("before", "after"), [(True, True), (True, False), (False, True)])
def test_an_interrupted_training_resumes_recorded_or_not(people, tmp_path, monkeypatch, before, after):
    """Steps are recorded anew if they can be, and the end is that of a training without an interruption."""
    even, able = {"batch_size": 8, "validation_fraction": 0}, [before, after]  # one shape of batch
    expected = fit(people, device="cpu", **even)
    monkeypatch.setattr(loop, "can_record", lambda *_: able.pop(0))
    with pretended_device() as journal:
        reid = MultiDepthReID(**LONG | even | {"checkpoint": tmp_path})
        interrupt(reid, people)
        assert bool(journal.operations["graph"]) == before
        journal.clear()
        reid.fit(people.images, people.target)
    assert_same_training(reid, expected)
    assert bool(journal.operations["graph"]) == after
    writing = {where: n for where, n in journal.waits_by_place().items() if where.startswith("checkpoint.py")}
    assert list(writing) == ["checkpoint.py:save"]  # in the thread that writes, which alone waits for it


def test_nothing_that_is_rounded_for_one_step_is_kept_for_the_next():
    """A graph would go on with the weights of the step that was recorded."""
    with pretended_device(), precision.autocast(GPU, "bfloat16"):
        assert not torch.is_autocast_cache_enabled()


def forgetful():
    return nn.Sequential(OrderedDict([*narrow().named_children(), ("dropout", nn.Dropout(0.5))]))


def counting():
    network = narrow()
    network.norm1.momentum = None
    return network


def hooked():
    network = narrow()
    network.low.register_forward_hook(lambda layer, inputs, maps: maps * 1.0)
    return network


@pytest.mark.parametrize("backbone", [narrow, forgetful, counting, hooked])
def test_steps_of_networks_that_need_python_are_not_recorded(people, backbone):
    """Layers that draw, that look at values, or that have hooks run as they are, with the same results."""
    changed = {"backbone": backbone, "max_epochs": 1, "batch_size": 4}
    expected = fit(people, device="cpu", **changed)
    with pretended_device() as journal:
        fitted = fit(people, **changed)
        assert graphs.can_record(backbone(), GPU) == (backbone is narrow) == bool(journal.operations["graph"])
    assert_same_training(fitted, expected)


def test_steps_are_recorded_on_cuda_in_one_process_only(monkeypatch):
    """Not on other devices, and not where several processes wait for each other."""
    assert graphs.can_record(narrow(), GPU)
    assert not graphs.can_record(narrow(), CPU)
    assert not graphs.can_record(narrow(), torch.device("mps"))
    monkeypatch.setattr(graphs, "is_parallel", lambda: True)
    assert not graphs.can_record(narrow(), GPU)


def test_a_refused_recording_is_reported_and_training_goes_on(people, monkeypatch):
    """Something that CUDA does not record: the steps are taken as before, with the same weights."""
    expected = fit(people, device="cpu")
    tally = steps._tally

    def waiting(loss, logits, labels):
        loss.sum().item()
        return tally(loss, logits, labels)

    monkeypatch.setattr(steps, "_tally", waiting)
    with pretended_device() as journal, pytest.warns(UserWarning, match=r"cannot be recorded.*capturing \(value"):
        fitted = fit(people)
    assert_same_training(fitted, expected)
    assert not journal.operations["graph"]


# --- the pretence of graphs


def record(step, *inputs):
    """Return the graph of a step on a stream of its own, and its result."""
    graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream), torch.cuda.graph(graph, stream=stream):
        result = step(*inputs)
    torch.cuda.current_stream().wait_stream(stream)
    return graph, result


def test_the_pretended_graph_repeats_operations_on_the_same_memory():
    """Recording computes nothing; a replay computes with the present values of the tensors that were recorded."""
    with pretended_device():
        given, total = torch.ones(3, device=GPU), torch.zeros(3, device=GPU)
        graph, result = record(lambda each: total.add_(each) * 2, given)
        assert total.tolist() == [0, 0, 0]
        assert result.isnan().all().item()
        for value in (1.0, 5.0):
            given.fill_(value)
            graph.replay()
        assert total.tolist() == [6, 6, 6]
        assert result.tolist() == [12, 12, 12]
    buffers = nn.BatchNorm2d(2)
    with pretended_device():
        norm, maps = buffers.to(GPU), torch.rand(4, 2, 3, 3).to(GPU)
        graph, _ = record(norm, maps)
        assert norm.running_var.tolist() == [1, 1]
        graph.replay()
        assert norm.running_var.tolist() != [1, 1]
        assert norm.num_batches_tracked.item() == 1


def test_the_pretended_graph_refuses_what_cuda_refuses():
    """Waits, copies from the host, pinned memory, draws, values of the host, and the default stream."""
    with pretended_device():
        host, pinned, there = torch.ones(3), torch.ones(3).pin_memory(), torch.ones(3, device=GPU)
        for wrong in (
            there.cpu, there[0].item, lambda: there + host[0], lambda: host.to(GPU),
            lambda: pinned.to(GPU, non_blocking=True), host.pin_memory, lambda: torch.rand(3),
            lambda: torch.rand(3, device=GPU), there.nonzero,
            lambda: there[there > 0], lambda: there.to("cpu", non_blocking=True), torch.cuda.synchronize,
            lambda: torch.tensor([1.0], device=GPU), torch.cuda.Event().synchronize,
        ):  # fmt: skip
            with pytest.raises(RuntimeError, match="not permitted when stream is capturing"):
                record(wrong)
            assert not torch.cuda.is_current_stream_capturing()
        with (
            pytest.raises(RuntimeError, match="non-default stream"),
            torch.cuda.graph(torch.cuda.CUDAGraph(), stream=torch.cuda.current_stream()),
        ):
            pass
        with pytest.raises(TypeError):
            torch.cuda.graph(torch.cuda.CUDAGraph(), streams=torch.cuda.Stream()).__enter__()


def test_the_pretended_graph_needs_the_tensors_that_it_reads():
    """Memory that was given back may hold anything by the time of a replay."""
    with pretended_device():
        given = torch.ones(3, device=GPU)
        graph, _ = record(given.double)
        graph.replay()
        del given
        with pytest.raises(RuntimeError, match="memory that was freed"):
            graph.replay()


def test_the_pretended_optimiser_is_recorded_only_if_it_can_be():
    """Torch refuses one that was not made for it; a learning rate of Python is recorded with its value."""
    with pretended_device():
        weight = nn.Parameter(torch.ones(3, device=GPU))
        optimizer = torch.optim.AdamW([weight], fused=True)
        weight.grad = torch.ones(3, device=GPU)
        optimizer.step()
        with pytest.raises(RuntimeError, match="capturable is False"):
            record(optimizer.step)


def test_the_pretended_streams_refuse_to_read_what_is_not_written_yet():
    """Another stream has to wait for the one that writes, or the host for both."""
    with pretended_device():
        stream, there = torch.cuda.Stream(), torch.ones(3, device=GPU)
        with torch.cuda.stream(stream):
            for wrong in (lambda: there + 1, lambda: there.cpu()):
                with pytest.raises(RuntimeError, match="may not have written yet"):
                    wrong()
            stream.wait_stream(torch.cuda.default_stream())
            result = there + 1
            event = stream.record_event()
            later = there + 2
        event.synchronize()
        assert result.tolist() == [2, 2, 2]
        with pytest.raises(RuntimeError, match="may not have written yet"):
            later.tolist()
        torch.cuda.current_stream().wait_stream(stream)
        assert later.tolist() == [3, 3, 3]
