"""bfloat16 is used where it is asked for or native, float32 everywhere else; its rounding errors are bounded."""

from collections import OrderedDict
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from networks import narrow
from scipy.spatial.distance import pdist
from torch import nn

from skreid import MultiDepthReID
from skreid._images.source import ImageSource
from skreid._network import precision, reader
from skreid._network.backbone import Backbone
from skreid._network.building import build_backbone
from skreid._network.reader import MapReader
from skreid._training.heads import build_classifier
from skreid._training.loop import TrainingSettings, train

CPU = torch.device("cpu")
seen = []  # dtype of the maps that reached the layer below, and whether the network was training


class Watch(nn.Module):
    def forward(self, maps):
        seen.append((maps.dtype, self.training))
        return maps


def watched():
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(3, 4, 3, padding=1), watch=Watch(), norm=nn.BatchNorm2d(4), low=nn.ReLU(),
            pool=nn.MaxPool2d(4), conv2=nn.Conv2d(4, 6, 3, padding=1), middle=nn.ReLU(), norm2=nn.BatchNorm2d(6),
            high=nn.ReLU(),
        )
    )  # fmt: skip


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize(
    ("asked", "trains", "describes"),
    [("auto", None, torch.float32), ("float32", torch.float32, torch.float32),
     ("bfloat16", torch.bfloat16, torch.bfloat16)],
)  # fmt: skip
def test_the_network_computes_as_asked(people, settings, monkeypatch, native, asked, trains, describes):
    """A layer of the network sees that "auto" trains in bfloat16 where that is native, and describes in float32."""
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda device: native)
    trains = trains or (torch.bfloat16 if native else torch.float32)
    seen.clear()
    reid = MultiDepthReID(**settings | {"backbone": watched, "precision": asked, "max_epochs": 1})
    reid.fit(people.images, people.target)
    assert {dtype for dtype, training in seen if training} == {trains}
    assert seen[-1] == (describes, False)  # exploring comes last
    assert all(weights.dtype != np.float16 and weights.dtype.itemsize >= 4 for weights in reid.weights_.values())
    seen.clear()
    assert reid.transform(people.images).dtype == np.float32
    assert {maps.dtype for maps in reid.feature_maps(people.images).values()} == {np.dtype(np.float32)}
    assert {dtype for dtype, _ in seen} == {describes}


@pytest.mark.parametrize("backbone", [narrow, "vgg11_bn"])
def test_distances_in_bfloat16_are_within_two_percent(people, settings, backbone):
    """Errors stay below 2 % of the mean distance; back in float32, the descriptors are the same bit for bit."""
    layers = settings["layers"] if backbone is narrow else None
    reid = MultiDepthReID(**settings | {"backbone": backbone, "layers": layers, "max_epochs": 0})
    exact = reid.fit(people.images, people.target).transform(people.images)
    rounded = reid.set_params(precision="bfloat16").transform(people.images)
    assert not np.array_equal(exact, rounded)
    expected = pdist(exact.astype(np.float64))
    assert np.abs(pdist(rounded.astype(np.float64)) - expected).max() < 0.02 * expected.mean()
    np.testing.assert_array_equal(reid.set_params(precision="float32").transform(people.images), exact)


@pytest.mark.parametrize(("layers", "read"), [(("low", "high"), ("low", "high")), (("conv3", "high"), ("high",))])
def test_weights_stored_in_bfloat16_are_those_that_autocast_would_compute_with(people, monkeypatch, layers, read):
    """Maps are the same bit for bit as with weights of float32, also of a network cut and folded further."""
    weights, batch = build_backbone(narrow, 0).weights(), ImageSource(people.images).read(range(9))
    weights["norm3.running_var"] = weights["norm3.running_var"] * 3
    chosen = {layer: np.array([2, 0]) for layer in read}

    def maps():
        whole = MapReader(narrow, weights, ((0.5,) * 3, (0.2,) * 3), CPU, layers, "bfloat16")
        kinds = {layer.weight.dtype for layer in whole.network.layers if isinstance(layer, nn.Conv2d)}
        cut, _ = whole.choose(chosen)
        return kinds, [*whole(batch, layers).values(), *cut(batch, read).values()]

    stored = maps()
    monkeypatch.setattr(reader, "_rounded", lambda network, device: network)
    computed = maps()
    assert computed[0] == {torch.float32}
    assert torch.bfloat16 in stored[0]
    assert all(torch.equal(one, other) for one, other in zip(stored[1], computed[1], strict=True))


def test_strided_convolutions_keep_weights_of_float32_on_a_cpu_only():
    """There they are computed in float32; whole networks by timm are left as they are."""
    network = Backbone(nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.Conv2d(4, 4, 3)), {"last": 2})
    for device, kinds in ((CPU, [torch.float32, torch.bfloat16]), (torch.device("cuda"), [torch.bfloat16] * 2)):
        rounded = reader._rounded(network, device)
        assert [rounded.layers[place].weight.dtype for place in (0, 2)] == kinds
    assert {weight.dtype for weight in network.parameters()} == {torch.float32}


def test_losses_and_gradients_are_float32():
    """Logits come from a float32 head, and every gradient has the type of its weight."""
    settings = TrainingSettings(narrow, None, (0.5,) * 3, (0.2,) * 3, 1, 8, 1e-2, 0, 1, (), 0, precision="bfloat16")
    model = build_classifier((32, 16), 3, settings)
    logits = model(torch.rand(4, 3, 32, 16))
    assert logits.dtype == torch.float32
    logits.sum().backward()
    assert {weight.grad.dtype for weight in model.parameters() if weight.requires_grad} == {torch.float32}


def test_cache_and_checkpoint_distinguish_precisions(people, settings, tmp_path):
    """What "auto" means on this device counts, not its name; a checkpoint of the other precision is refused."""
    native = "bfloat16" if precision.multiplies_bfloat16(CPU) else "float32"
    other = {"float32": "bfloat16", "bfloat16": "float32"}[native]
    settings |= {"memory": tmp_path / "memory", "validation_fraction": 0.25}  # else NaN, which equals nothing
    auto = MultiDepthReID(**settings).fit(people.images, people.target)
    same, changed = (
        MultiDepthReID(**settings, precision=kind).fit(people.images, people.target) for kind in (native, other)
    )
    assert same.history_ == auto.history_  # seconds and all: it was not trained again
    assert changed.history_ != auto.history_
    kept = {"checkpoint": tmp_path / "kept", "memory": None}
    MultiDepthReID(**settings | kept).fit(people.images, people.target)
    with pytest.raises(ValueError, match="does not match this fit: precision changed"):
        MultiDepthReID(**settings | kept, precision=other).fit(people.images, people.target)


def test_auto_is_bfloat16_where_the_device_multiplies_it_natively(monkeypatch):
    """As torch reports for CPU and CUDA; emulation does not count, and other devices stay in float32."""
    for able, native in (({"avx512_bf16": True}, True), ({"amx_bf16": True}, True), ({"avx512_f": True}, False)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda able=able: able, raising=False)
        assert precision.training_precision("auto", CPU) == ("bfloat16" if native else "float32")
    monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext())
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: including_emulation)
    assert not precision.multiplies_bfloat16(torch.device("cuda"))
    assert not precision.multiplies_bfloat16(torch.device("meta"))


def strided_convolution(leftover):
    """Return the maps and the weights' gradient of a convolution of narrow maps, in memory that held `leftover`."""
    generator = torch.Generator().manual_seed(0)
    conv = nn.Conv2d(64, 128, 3, stride=2, padding=1, bias=False)
    nn.init.normal_(conv.weight, generator=generator)
    batch = torch.randn(8, 64, 4, 2, generator=generator).to(memory_format=torch.channels_last)
    freed = [torch.full((2**power,), leftover, dtype=torch.bfloat16) for power in range(6, 20)]
    del freed
    with precision.autocast(CPU, "bfloat16"):
        maps = conv(batch)
    maps.float().square().sum().backward()
    return maps.detach().float(), conv.weight.grad


def test_strided_convolutions_do_not_read_freed_memory():
    """Their maps and gradients do not depend on earlier contents of memory; in bfloat16 they did with AMX."""
    for _ in range(5):
        for clean, dirty in zip(strided_convolution(1.0), strided_convolution(np.nan), strict=True):
            assert torch.equal(clean, dirty)


@pytest.mark.parametrize(("stride", "dtype"), [(1, torch.bfloat16), (2, torch.float32), ((1, 2), torch.float32)])
def test_strided_convolutions_stay_in_float32_on_the_cpu(stride, dtype):
    """Layers and functions do; all other convolutions use bfloat16."""
    batch, weight = torch.rand(2, 3, 8, 8), torch.rand(4, 3, 3, 3)
    with precision.autocast(CPU, "bfloat16"):
        assert nn.Conv2d(3, 4, 3, stride=stride)(batch.bfloat16()).dtype == dtype
        assert nn.functional.conv2d(batch, weight, stride=stride).dtype == dtype
        assert nn.functional.conv2d(batch, weight.bfloat16(), None, stride).dtype == dtype


def test_an_unknown_precision_is_named(people, settings):
    """The error lists the values allowed, as for every parameter."""
    with pytest.raises(ValueError, match="'precision' parameter of MultiDepthReID must be a str among"):
        MultiDepthReID(**settings, precision="float16").fit(people.images, people.target)


@pytest.mark.parametrize("inplace", [True, False])
def test_relu_of_a_training_in_bfloat16_is_torchs(inplace):
    """On a CPU it is computed as integers: values other than NaN and their gradients are the same."""
    special = torch.tensor([0.0, -0.0, float("inf"), -float("inf"), 1e-40, -1e-40])
    values = torch.cat([special, torch.randn(100, generator=torch.Generator().manual_seed(0))]).bfloat16()
    slopes = torch.randn(len(values), generator=torch.Generator().manual_seed(1)).bfloat16()
    outputs, gradients, names = [], [], []
    for context in (nullcontext(), precision.autocast(CPU, "bfloat16")):
        leaf = values.clone().requires_grad_()
        maps = leaf.mul(1)  # a leaf cannot be changed in place
        with context:
            out = nn.ReLU(inplace)(maps)
        names.append(out.grad_fn.name())
        assert (out.data_ptr() == maps.data_ptr()) == inplace
        out.backward(slopes)
        outputs.append(out.detach())
        gradients.append(leaf.grad)
    assert names == ["ReluBackward0", "_ReLUBackward"]
    assert torch.equal(*outputs)
    assert torch.equal(*gradients)


@pytest.mark.parametrize("layer", ["conv1", "conv2", "conv3"])
def test_maps_that_overflow_end_a_training_in_bfloat16(people, layer):
    """The fast ReLU may turn NaN into zeros, but not in gradients: the error is raised all the same."""

    def broken():
        layers = narrow()
        with torch.no_grad():
            layers.get_submodule(layer).weight[0] = 3e38
        return layers

    asked = TrainingSettings(broken, None, (0.5,) * 3, (0.2,) * 3, 1, 8, 1e-3, 0, 1, (), 0, "bfloat16")
    with pytest.raises(FloatingPointError, match="not finite"):
        train(ImageSource(people.images), people.target, asked, device=CPU, on_epoch=lambda *_: None)
