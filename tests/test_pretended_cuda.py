"""On a pretended GPU everything equals the CPU's results, and the host waits for the device no more than it must.

The arithmetic underneath is the CPU's. So trained weights are equal bit for bit, given learning rates of float32, as
recorded steps read them. Exploring and describing take other
paths on a GPU, with other orders of sums: their results are equal up to rounding.
"""

from collections import OrderedDict
from functools import partial
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import SETTINGS
from networks import narrow
from pretended_cuda import OnDevice, pretended_device
from torch import nn

from skreid import MultiDepthReID, describe
from skreid._filters import sums
from skreid._filters.pairs import pair_statistics
from skreid._filters.smoothing import BoxFilter
from skreid._images.batches import to_unit
from skreid._images.source import ImageSource
from skreid._network import device, precision, reader, seeding
from skreid._training import augmentation, data, loop, parallel
from skreid._training.checkpoint import Checkpoint
from skreid.datasets import make_pedestrians
from skreid.descriptors import LOMO
from skreid.rivals import FCDF, TCPNet

GPU, CPU = torch.device("cuda:0"), torch.device("cpu")
REID = SETTINGS | {"precision": "float32", "device": "auto", "validation_fraction": 0.2}
TCP = {"input_size": (32, 16), "crop_size": (30, 14), "n_channels": 4, "n_body": 6, "n_part": 2, "max_epochs": 2,
       "n_persons": 4, "n_triplets": 3, "random_state": 0}  # fmt: skip
STREAMED = (10, 2**33)  # bytes of free memory, too few for any image


@pytest.fixture(autouse=True)
def rates_of_float32(monkeypatch):
    """Round all learning rates as they are where they are tensors on the device."""
    rates = loop.learning_rates
    monkeypatch.setattr(loop, "learning_rates", lambda *given: tuple(float(np.float32(rate)) for rate in rates(*given)))


def same(one, other, tolerance=0.0):
    """Check that two dicts of arrays are equal, or differ by at most a share of the largest value."""
    assert one.keys() == other.keys()
    for name, value in one.items():
        limit = tolerance * np.abs(value).max()
        np.testing.assert_allclose(other[name], value, rtol=0, atol=limit, err_msg=name)


def learned(reid):
    """Return the statistics and other arrays that exploring learned."""
    each = {}
    for layer, parts in reid.filter_distances_.items():
        each |= {f"{layer} {name}": value for name, value in parts.items()}
    for kind in ("mean_maps_", "mean_roots_", "whitening_", "filter_scores_"):
        each |= {f"{layer} {kind}": value for layer, value in getattr(reid, kind).items()}
    return each


def figures(reid):
    return [{name: value for name, value in record.items() if name != "seconds"} for record in reid.history_]


# --- results


@pytest.mark.parametrize("kind", ["cuda", "mps"])
@pytest.mark.parametrize(
    "changed",
    [
        {"augment": True, "criterion": "joint", "normalize": "rooted", "blur_size": (4, None)},
        {"augment": ("crop",), "criterion": "dprime", "normalize": "centered", "validation_fraction": 0},
        {"augment": ("flip",), "precision": "bfloat16"},
        {"augment": False, "normalize": "l2", "layers": ("middle",)},
        {"criterion": "joint", "normalize": "whitened", "blur_size": (4, None), "sampling": "box", "n_filters": 4},
        {"normalize": "whitened", "average_flips": True},
        {"normalize": "whitened", "sampling": "box", "average_flips": True, "precision": "bfloat16"},
    ],
)  # fmt: skip
def test_a_fit_on_a_device_equals_one_on_the_cpu(people, kind, changed):
    """Trained weights and figures bit for bit; statistics, filters, descriptors, maps and rankings up to rounding."""
    settings = REID | changed
    expected = MultiDepthReID(**settings | {"device": "cpu"}).fit(people.images, people.target)
    with pretended_device(kind):
        fitted = MultiDepthReID(**settings | {"device": kind}).fit(people.images, people.target)
        descriptors, maps = fitted.transform(people.images), fitted.feature_maps(people.images[:3])
        smooth = fitted.feature_maps(people.images[:3], smooth=True)
        distances, indices = fitted.kneighbors(people.images[:4], people.images, 3)
    same(expected.weights_, fitted.weights_)
    assert repr(figures(fitted)) == repr(figures(expected))  # repr: NaN equals itself
    same(learned(expected), learned(fitted), 1e-5)
    same(expected.filters_, fitted.filters_)
    np.testing.assert_allclose(descriptors, expected.transform(people.images), rtol=0, atol=1e-5)
    same(expected.feature_maps(people.images[:3]), maps, 1e-6)
    same(expected.feature_maps(people.images[:3], smooth=True), smooth, 1e-5)
    found = expected.kneighbors(people.images[:4], people.images, 3)
    np.testing.assert_allclose(distances, found[0], atol=2e-3)
    assert np.array_equal(indices, found[1])


@pytest.mark.parametrize("pixels", ["bytes", "floats", "mixed"])
@pytest.mark.parametrize("free", [2**33, 30_000, 10])
def test_images_kept_on_the_device_and_streamed_ones_train_alike(people, pixels, free):
    """For images of bytes, of floats, and of both; where all, only bytes, or none fit into the free memory."""
    images = list(people.images)
    floats = {"bytes": [], "floats": range(len(images)), "mixed": [20, 31]}[pixels]
    for place in floats:
        images[place] = (images[place] / 255).astype(np.float32)
    settings = REID | {"max_epochs": 1}
    expected = MultiDepthReID(**settings | {"device": "cpu"}).fit(images, people.target)
    with pretended_device(memory=(free, 2**33)):
        fitted = MultiDepthReID(**settings).fit(images, people.target)
    same(expected.weights_, fitted.weights_)


def test_images_of_several_types_that_are_not_cached_are_kept_as_floats(people, monkeypatch):
    """Although the first one has bytes; if they do not fit as floats, they are streamed."""
    images = [*people.images[:-1], (people.images[-1] / 255).astype(np.float32)]
    monkeypatch.setattr(ImageSource, "cached", lambda self: self)
    n_bytes, expected = people.images.nbytes, to_unit(ImageSource(images).read(range(32)))
    monkeypatch.setattr(data, "RESIDENT_SHARE", 1.0)
    for free, kept in ((4 * n_bytes, True), (4 * n_bytes - 1, False)):
        with pretended_device(memory=(free, free)):
            training = data.TrainingData(ImageSource(images), np.zeros(32, int), GPU)
            ((batch, _),) = training.batches(training.plan([np.arange(32)]))
            assert (training.resident is not None) == kept
            assert torch.equal(batch.cpu(), expected)


def test_tcpnet_on_a_device_equals_tcpnet_on_the_cpu(people):
    """Weights bit for bit, descriptors up to rounding."""
    expected = TCPNet(**TCP, device="cpu").fit(people.images, people.target)
    for kind in ("cuda", "mps"):
        with pretended_device(kind):
            fitted = TCPNet(**TCP, device=kind).fit(people.images, people.target)
            descriptors = fitted.transform(people.images)
        same(expected.weights_, fitted.weights_)
        assert figures(fitted) == figures(expected)
        np.testing.assert_allclose(descriptors, expected.transform(people.images), rtol=0, atol=1e-6)


def test_fcdf_on_a_device_ranks_as_on_the_cpu(people):
    """Its deep part runs on the device."""
    gallery, found = people.images[::2], {}
    for name in ("cpu", "cuda"):
        with pretended_device():
            deep = MultiDepthReID(**REID | {"device": name})
            fcdf = FCDF(
                handcrafted=LOMO(n_scales=1, window_size=6, step=3, n_bins=3), deep=deep, n_clusters=2, random_state=0
            )
            fcdf.fit(people.images, people.target)
            found[name] = fcdf.kneighbors(people.images[1::2], gallery, 3)
    np.testing.assert_allclose(found["cuda"][0], found["cpu"][0], atol=1e-3)
    assert np.array_equal(found["cuda"][1], found["cpu"][1])


def test_lists_are_described_on_a_device(people, tmp_path):
    """`describe` returns what `transform` returns on the CPU, up to rounding."""
    expected = MultiDepthReID(**REID | {"device": "cpu"}).fit(people.images, people.target)
    with pretended_device():
        fitted = MultiDepthReID(**REID).fit(people.images, people.target)
        descriptors = describe(fitted, people.images, out=tmp_path / "rows.npy", batch_size=7)
    np.testing.assert_allclose(descriptors, expected.transform(people.images), rtol=0, atol=1e-5)


# --- state


def test_an_interrupted_training_on_a_device_resumes(people, tmp_path):
    """It ends with the same weights bit for bit, on the device and, from the same checkpoint, on the CPU."""
    settings = REID | {"max_epochs": 3, "device": "cpu"}
    expected = MultiDepthReID(**settings).fit(people.images, people.target)
    saved = []

    def interrupted(checkpoint, epoch, state, write=Checkpoint.save):
        write(checkpoint, epoch, state)
        saved.append(epoch)
        if len(saved) == 2:
            raise KeyboardInterrupt

    with pretended_device(), pytest.MonkeyPatch.context() as patch:
        reid = MultiDepthReID(**settings | {"device": "cuda", "checkpoint": tmp_path})
        patch.setattr(Checkpoint, "save", interrupted)
        with pytest.raises(KeyboardInterrupt):
            reid.fit(people.images, people.target)
        reid.fit(people.images, people.target)
    assert saved == [0, 1, 2]
    same(expected.weights_, reid.weights_)
    assert repr(figures(reid)) == repr(figures(expected))


@pytest.mark.parametrize("place", [CPU, GPU], ids=["cpu", "gpu"])
def test_a_snapshot_keeps_its_values_while_training_changes_the_state(place):
    """It shares nothing with a nested state, neither tensors nor lists; what it waits for may happen later."""
    with pretended_device():
        state = {"model": {"weight": torch.ones(2, device=place)}, "history": [{"epoch": 0}], "finished": False}
        copied, wait = device.snapshot(state, place)
        state["model"]["weight"].add_(1)
        state["history"][0]["best"] = True
        state["history"].append({"epoch": 1})
        wait()
        assert copied["model"]["weight"].tolist() == [1, 1]
        assert copied["history"] == [{"epoch": 0}]


def built_on_the_device():
    """Return a network whose callable puts it on the device itself, as one who never trains on a CPU writes it."""
    where = OnDevice.where if torch.cuda.is_available() else CPU
    return nn.Sequential(OrderedDict(narrow().to(where).named_children()))


def test_a_network_that_is_built_on_the_device_is_cached(people, tmp_path):
    """A second fit takes weights and statistics from `memory`, and both equal those of the CPU."""
    expected = MultiDepthReID(**REID | {"device": "cpu"}).fit(people.images, people.target)
    settings = REID | {"backbone": built_on_the_device, "memory": tmp_path}
    with pretended_device() as journal:
        first = MultiDepthReID(**settings).fit(people.images, people.target)
        journal.clear()
        second = MultiDepthReID(**settings).fit(people.images, people.target)
        assert not journal.waits_in("loop.py", "data.py", "device.py")  # neither trained nor explored
        descriptors = second.transform(people.images)
    same(expected.weights_, first.weights_)
    same(first.weights_, second.weights_)
    np.testing.assert_allclose(descriptors, expected.transform(people.images), rtol=0, atol=1e-5)


def test_networks_built_on_a_device_are_seeded_there():
    """The present GPU is seeded if CUDA is in use, and its state is restored; a process without CUDA stays so."""
    seeds, states = [], []
    with pretended_device(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "manual_seed", seeds.append)
        patch.setattr(torch.cuda, "set_rng_state", lambda state, device="cuda": states.append(device))
        with seeding.seeded(7):
            assert seeds == [7]
            assert not states
        assert len(states) == 1
        patch.setattr(torch.cuda, "is_initialized", lambda: False)
        with seeding.seeded(8):
            pass
    assert seeds == [7]


# --- waits


@pytest.mark.parametrize("memory", [(2**33, 2**33), STREAMED])
@pytest.mark.parametrize("fraction", [0, 0.4])
def test_training_waits_once_per_epoch(people, memory, fraction):
    """However many steps it takes, and whether images are kept on the device or streamed."""
    steps = {"batch_size": 8, "augment": True, "validation_fraction": fraction, "max_epochs": 2}
    with pretended_device(memory=memory) as journal:
        MultiDepthReID(**REID | steps).fit(people.images, people.target)
        waits = journal.waits_by_place()
    training = {where: n for where, n in waits.items() if "loop.py" in where or "augmentation.py" in where}
    assert training.pop("loop.py:__init__")  # the model is copied to the device
    assert training == {"loop.py:_wait_for": 2}
    assert not {where for where in waits if where.startswith(("batches.py", "stopping.py"))}
    assert waits["backbone.py:as_arrays"] == len(narrow().state_dict())  # the best weights are read once, at the end
    assert not {where for where in waits if where.startswith(("data.py", "steps.py"))}
    assert waits["graphs.py:_record"] <= 3  # batches of 8, 7 and 6 images: once each, in the whole training


def test_training_launches_as_many_operations_in_each_step(people, monkeypatch):
    """No work is repeated: twice the epochs take twice the operations, and larger batches as many per step."""
    counts = []
    monkeypatch.setattr(loop, "can_record", lambda *_: False)
    for epochs, batch in ((1, 8), (2, 8), (1, 16)):
        changed = {"max_epochs": epochs, "batch_size": batch, "validation_fraction": 0}
        with pretended_device() as journal:
            MultiDepthReID(**REID | changed).fit(people.images, people.target)
            counts.append(journal.operations["convolution_backward.default"])
    assert counts[1] == 2 * counts[0] == 4 * counts[2]


@pytest.mark.parametrize("criterion", ["margin", "joint"])
def test_exploring_waits_once_per_layer(people, criterion, monkeypatch):
    """However many blocks and batches of images it reads."""
    monkeypatch.setattr("skreid._filters.pairs.identity_blocks", lambda *_: np.split(np.arange(32), 4))
    with pretended_device() as journal:
        changed = {"max_epochs": 0, "criterion": criterion, "batch_size": 3}
        MultiDepthReID(**REID | changed).fit(people.images, people.target)
        waits = journal.waits_by_place()
    assert waits.pop("device.py:to_host") == 3
    assert not {where for where in waits if where.startswith(("pairs.py", "sums.py", "joint.py", "smoothing.py"))}


@pytest.mark.parametrize("changed", [{"sampling": "box"}, {"average_flips": True}], ids=str)
def test_whitening_waits_once_per_layer(people, changed):
    """However many batches of images it reads, after exploring did as often."""
    waits = []
    for batch_size in (3, 16):
        with pretended_device(memory=STREAMED) as journal:
            settings = {"max_epochs": 0, "normalize": "whitened", "batch_size": batch_size}
            MultiDepthReID(**REID | settings | changed).fit(people.images, people.target)
            waits.append(journal.waits_by_place())
    assert waits[0] == waits[1]
    assert waits[0]["device.py:to_host"] == 3 + 3
    assert not {where for where in waits[0] if where.startswith(("whitening.py", "smoothing.py", "batches.py"))}


@pytest.mark.parametrize("kind", [MultiDepthReID, TCPNet])
def test_transform_waits_once_for_eight_batches(people, kind):
    """The network is on the device already; images, means and whitening matrices are sent without waiting."""
    settings = REID | {"normalize": "whitened"} if kind is MultiDepthReID else TCP
    settings = settings | {"max_epochs": 0, "batch_size": 2}
    with pretended_device(memory=STREAMED) as journal:  # batches of as many images as asked for
        fitted = kind(**settings).fit(people.images, people.target)
        fitted.transform(people.images[:2])
        for n_images, n_waits in ((32, 2), (16, 1), (17, 2)):
            journal.clear()
            fitted.transform(people.images[:n_images])
            assert journal.waits == {("copy to the host", "device.py:copy"): n_waits}


def test_feature_maps_wait_once_per_batch_and_layer(people):
    """They are copied batch by batch, since they need much memory."""
    with pretended_device(memory=STREAMED) as journal:
        fitted = MultiDepthReID(**REID | {"max_epochs": 0}).fit(people.images, people.target)
        fitted.feature_maps(people.images[:1])
        journal.clear()
        fitted.feature_maps(people.images[:16])
        assert journal.waits_in() == 2 * 3


def test_tcpnet_waits_once_per_epoch(people):
    """Triplets and windows are sent without waiting."""
    waits = []
    for n_persons in (2, 8):
        with pretended_device() as journal:
            TCPNet(**TCP | {"n_persons": n_persons}).fit(people.images, people.target)
            waits.append(journal.waits)
    assert waits[0] == waits[1]
    assert not {where for _, where in waits[0] if where.startswith(("_part_network.py", "batches.py"))}
    assert waits[0]["copy to the host", "_triplet.py:train_triplets"] == TCP["max_epochs"]


# --- float32 and float64


def test_maps_are_read_in_full_float32(people):
    """TF32 is off while maps are read and compared, also if the user allowed it, and as before afterwards."""
    torch.set_float32_matmul_precision("high")
    try:
        with pretended_device() as journal:
            fitted = MultiDepthReID(**REID | {"max_epochs": 1}).fit(people.images, people.target)
            assert {place.split(":")[0] for place in journal.tf32} >= {"backbone.py"}  # training follows the user
            journal.clear()
            MultiDepthReID(**REID | {"max_epochs": 0}).fit(people.images, people.target)
            fitted.transform(people.images)
            fitted.feature_maps(people.images[:2], smooth=True)
            fitted.kneighbors(people.images[:2], people.images, 2)
            whitened = MultiDepthReID(**REID | {"max_epochs": 0, "normalize": "whitened", "average_flips": True})
            whitened.fit(people.images, people.target).transform(people.images)
            tcp = TCPNet(**TCP | {"max_epochs": 0}).fit(people.images, people.target)
            tcp.transform(people.images[:2])
            assert not journal.tf32
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision("highest")


def test_threads_that_read_in_full_float32_share_the_flags():
    """The first one sets them; they are restored after the last one, even if it ends in an error."""
    flags = precision._tf32_flags()

    def values():
        return [getattr(backend, name) for backend, name, _ in flags]

    before = values()
    first, second = precision.full_float32(GPU), precision.full_float32(GPU)
    with first:
        assert values() == [full for _, _, full in flags] != before
        with pytest.raises(ZeroDivisionError), second:
            raise ZeroDivisionError
        assert values() == [full for _, _, full in flags]
    assert values() == before
    with precision.full_float32(CPU):
        assert values() == before


def test_a_device_without_float64_compares_maps_on_the_cpu(people):
    """The statistics equal those of maps on the CPU bit for bit."""
    images, labels = ImageSource(people.images), np.repeat(np.arange(8), 4)
    weight = torch.rand(5, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    found = {}
    for name in ("cpu", "mps:0"):
        with pretended_device("mps"):
            where = torch.device(name)

            def network(batch, layers, where=where):
                return {"only": torch.conv2d(batch.float(), weight).to(where)}

            shared = {"layers": ("only",), "box": BoxFilter(None, None), "covariance": True, "batch_size": 40}
            found[name] = pair_statistics(network, images, labels, random_state=0, progress=lambda n: None, **shared)[
                "only"
            ]
    for one, other in zip(*found.values(), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-6)


# --- memory


def test_images_are_copied_into_the_memory_that_was_budgeted(people, monkeypatch):
    """Just as many bytes are enough, and one fewer is not; what torch holds in reserve counts as free."""
    monkeypatch.setattr(data, "RESIDENT_SHARE", 1.0)
    source, labels = ImageSource(people.images), np.zeros(32, int)
    size = people.images.nbytes
    for memory, fits in (((size, size), True), ((size - 1, size), False), ((7, size, size, 8), False),
                         ((8, size, size + 8, 16), True)):  # fmt: skip
        with pretended_device(memory=memory):
            assert device.free_memory(GPU) == memory[0] + (memory[2] - memory[3] if memory[2:] else 0)
            assert (data.TrainingData(source, labels, GPU).resident is not None) == fits


def test_no_second_copy_of_the_images_is_made_on_the_device(people):
    """The most memory that is taken at any moment is that of the images and of one batch of 256."""
    images = np.tile(people.images, (40, 1, 1, 1))
    with pretended_device() as journal:
        kept = data.TrainingData(ImageSource(images), np.zeros(len(images), int), GPU)
        batch = images[:256].nbytes
        assert kept.resident is not None
        assert images.nbytes <= journal.peak < images.nbytes + 1.5 * batch


def test_maps_are_compared_in_the_memory_set_aside_for_them(monkeypatch):
    """Few filters at a time, by the size of their maps as well as of their distances; the sums stay the same."""
    generator, labels = torch.Generator().manual_seed(0), np.arange(32) // 2
    pairs = np.stack([labels[:, None] == labels, labels[:, None] != labels]) & np.triu(np.ones((32, 32), bool), 1)
    for cells in (400, 2):
        host = torch.rand(64, 32, cells, generator=generator)
        expected = sums.distance_sums(host, labels, pairs)
        monkeypatch.setattr(sums, "GPU_BYTES", 8 * 32 * max(32, cells) * 4)  # of four filters
        with pretended_device() as journal:
            maps = host.to(GPU)
            before = journal.peak
            found = sums.distance_sums(maps, labels, pairs)
            assert journal.peak - before < 7 * sums.GPU_BYTES
            np.testing.assert_allclose(found.cpu(), expected, rtol=1e-9)


def test_a_gpu_reads_more_images_at_once_if_they_fit(people):
    """256, or as many as its free memory allows, but never fewer than asked for; the CPU reads as many as asked for."""
    fitted = MultiDepthReID(**REID | {"max_epochs": 0, "device": "cpu"}).fit(people.images, people.target)
    weights, pixels = fitted.weights_, 160 * 60
    for where, free, asked, expected in (
        (GPU, 2**40, 16, 256), (GPU, 2**40, 300, 300), (GPU, 8 * 100 * 1024 * pixels, 16, 100), (GPU, 10, 16, 16),
        (CPU, 2**40, 16, 16),
    ):  # fmt: skip
        with pretended_device(memory=(free, 2**40)):
            network = reader.MapReader(narrow, weights, fitted.normalization_, where)
            assert network.batch_size(asked, (160, 60)) == expected
    n_read, read = [], ImageSource.read
    with pretended_device(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(ImageSource, "read", lambda *given: n_read.append(len(read(*given))) or read(*given))
        MultiDepthReID(**REID | {"max_epochs": 0, "batch_size": 2}).fit(people.images, people.target)
    assert n_read[-1] == 32  # exploring comes last
    n_read.clear()
    with pretended_device(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(ImageSource, "read", lambda *given: n_read.append(len(read(*given))) or read(*given))
        whitened = {"max_epochs": 0, "batch_size": 2, "normalize": "whitened"}
        MultiDepthReID(**REID | whitened).fit(people.images, people.target)
    assert n_read[-2:] == [32, 32]  # and then whitening


# --- several processes


def test_batch_norm_that_is_used_twice_is_shared_by_all_processes(monkeypatch):
    """All its places, also one in a block, get the same module, which takes its statistics over all processes."""
    norm, other = nn.BatchNorm2d(4), nn.BatchNorm2d(4)
    network = nn.Sequential(nn.Conv2d(3, 4, 1), norm, nn.Sequential(other, norm), nn.ReLU(), norm)
    monkeypatch.setattr(parallel, "is_parallel", lambda: True)
    monkeypatch.setattr(parallel, "DistributedDataParallel", lambda model, **_: model)
    model = nn.Module()
    with pretended_device():
        model.network = network.to(GPU)
        parallel.share_out(model)
    kinds = [type(module) for module in network.modules()]
    assert kinds.count(parallel.SharedGpuBatchNorm) == 2
    assert nn.BatchNorm2d not in kinds
    assert network[1] is network[2][1] is network[4]
    assert list(network.state_dict()) == list(nn.Sequential(*network).state_dict())


# --- the benchmark


@pytest.fixture(name="benchmark")
def benchmark_of_a_small_network(monkeypatch):
    """Return `benchmarks.cuda` for a network of three convolutions."""
    monkeypatch.syspath_prepend(Path(__file__).parent.parent)
    cuda = import_module("benchmarks.cuda")

    def small(name, weights):
        assert name == "vgg16_bn"
        widths = [(3, 4), (4, 6), (6, 8)]
        layers = [layer for width in widths for layer in (nn.Conv2d(*width, 1), nn.ReLU(), nn.MaxPool2d(2))]
        return SimpleNamespace(features=nn.Sequential(*layers))

    monkeypatch.setattr(cuda, "EPOCHS", 2)
    monkeypatch.setattr(cuda.models, "get_model", small)
    monkeypatch.setattr(cuda, "MultiDepthReID", partial(MultiDepthReID, backbone=narrow, n_filters=2))
    return cuda


@pytest.mark.parametrize("mode", ["eager", "fused", "graph"])
def test_the_bare_loops_of_the_benchmark_wait_once_per_epoch(people, benchmark, mode):
    """At its end, as skreid does; not within it, so that they are as fast as a loop can be."""
    waits, graphs = [], []
    for batch_size in (4, 16):
        with pretended_device() as journal:
            benchmark.bare_training(GPU, people.images, people.target, batch_size, mode)
            waits.append(journal.waits_by_place())
            graphs.append(journal.operations["graph"])
    assert waits[0] == waits[1]
    assert waits[0]["cuda.py:epoch"] == benchmark.EPOCHS
    assert not [where for where in waits[0] if "step" in where or where.startswith("_bare.py")]
    assert graphs == ([8 * benchmark.EPOCHS, 2 * benchmark.EPOCHS] if mode == "graph" else [0, 0])


def test_the_benchmark_measures_eager_fused_and_recorded_training_in_one_call(benchmark):
    """Beside skreid's two ways to train; and reading in both precisions."""
    with pretended_device(bfloat16=True) as journal:
        training, reading, rate = benchmark.measure(GPU, 16, [4], frame=(32, 16), size=8)
        fit = benchmark.whole_fit(GPU, 16, 2, frame=(32, 16))
    assert [(row["loop"], row["steps"]) for row in training] == [
        ("bare", "eager"), ("bare", "fused"), ("bare", "graph"), ("skreid", "eager"), ("skreid", "graph"),
    ]  # fmt: skip
    assert [row["what"] for row in reading] == ["exploring", "transform"] * 2
    assert max(row["share of the fastest bare loop"] for row in training[:3]) == 1
    assert all(row["images/s"] > 0 for row in (*training, *reading))
    assert rate > 0
    assert 0 < fit["training"] < fit["fit"]
    assert journal.operations["graph"] == 4 * benchmark.EPOCHS + (4 * benchmark.EPOCHS - 3)  # bare, skreid


def test_the_bare_loop_of_the_benchmark_changes_images_as_skreid_does(people, benchmark):
    """The same zoom, mirror and shift, given the same random values."""
    images = to_unit(ImageSource(people.images).read(range(8)))
    drawn = augmentation.draw(("flip", "crop"), 8, torch.Generator().manual_seed(0))
    zoom, mirror, shift = drawn.split([8, 8, 16])
    uniform = [(zoom - 0.9) / 0.2, mirror, *(shift / 0.12 + 0.5).view(8, 2).unbind(1)]
    expected = augmentation.augment(images, ("flip", "crop"), drawn)
    torch.testing.assert_close(benchmark.move(images, torch.stack(uniform, 1)), expected, rtol=0, atol=1e-4)


def test_the_benchmark_times_epochs_from_end_to_end(benchmark):
    """The clock is read at the end of each epoch."""
    ends = benchmark.EpochEnds()
    people = make_pedestrians(n_identities=4, n_cameras=1, n_shots=2, image_size=(32, 16), random_state=0)
    MultiDepthReID(**REID | {"max_epochs": 3}).set_callbacks(ends).fit(people.images, people.target)
    assert len(ends.times) == 3
    assert ends.times == sorted(ends.times)


# --- the pretence


def test_the_pretence_refuses_what_a_gpu_refuses():
    """Two devices in one operation, a generator of the CPU, and silent conversions to numpy."""
    host = torch.arange(4.0)
    with pretended_device():
        there = host.to("cuda")
        for wrong in (
            lambda: there + host, lambda: torch.cat([there, host]), lambda: host[there.long()],
            lambda: there.index_select(0, host.long()), lambda: host.add_(there), lambda: there.lerp(host, 0.5),
            lambda: torch.where(there > 1, there, host), lambda: host[0].add_(there[0]),
            lambda: torch.rand(3, device=GPU, generator=torch.Generator()),
        ):  # fmt: skip
            with pytest.raises(RuntimeError, match=r"device|generator"):
                wrong()
        for wrong in (lambda: there.numpy(), lambda: np.asarray(there), lambda: np.array(there)):
            with pytest.raises(TypeError, match="copy it to host memory"):
                wrong()
        assert (there + torch.tensor(2.0)).device == GPU  # a number on the host is allowed
        assert (there.device.type, there.is_cuda, there.is_cpu) == ("cuda", True, False)
    with pretended_device("mps"):
        there = host.to("mps")
        for wrong in (
            there.double, lambda: torch.zeros(2, dtype=torch.float64, device="mps"), lambda: host.double().to("mps"),
        ):  # fmt: skip
            with pytest.raises(TypeError, match="float64"):
                wrong()
    assert type(torch.zeros(2)) is torch.Tensor


def test_the_pretence_counts_waits():
    """Every way in which the host waits counts, and those in which it does not do not."""
    host = torch.arange(4.0)
    pinned = []

    def waits(action, *, expected=1):
        journal.clear()
        action()
        assert journal.waits_in() == sum(journal.waits.values()) == expected, journal.waits

    with pretended_device() as journal:
        there, index = host.to("cuda"), torch.tensor([0, 2], device="cuda")
        for action in (
            lambda: host.to("cuda"), lambda: host.to(GPU), there[0].item, there.tolist, there.cpu,
            lambda: there.numpy(force=True),
            lambda: bool(there[1]), lambda: float(there[1]), there.nonzero, lambda: there[there > 1], there.unique,
            lambda: there[torch.tensor([1])], lambda: there.copy_(host), lambda: host.clone().copy_(there),
            lambda: torch.tensor([1.0], device="cuda"), lambda: host.to("cuda", non_blocking=True),
            torch.cuda.synchronize, lambda: there.to("cpu", torch.float16),
        ):  # fmt: skip
            waits(action)
        pinned.append(host.pin_memory())
        for action in (
            lambda: pinned[0].to("cuda", non_blocking=True), lambda: there[index], lambda: there + 1,
            lambda: there.to("cuda"), lambda: torch.zeros(3, device="cuda"), lambda: there.to("cpu", non_blocking=True),
        ):  # fmt: skip
            waits(action, expected=0)
        early = there.to("cpu", non_blocking=True)
        assert not torch.equal(early, host)  # it has not arrived yet
        torch.cuda.synchronize()
        assert torch.equal(early, host)
