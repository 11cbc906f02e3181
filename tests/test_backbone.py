"""Layers, folding and cutting compared with torchvision's own networks; weights in every accepted form."""

import time
import urllib.error
from collections import OrderedDict

import numpy as np
import pytest
import torch
import torchvision
from networks import narrow
from safetensors.numpy import save_file
from torch import nn

from skreid._network.building import build_backbone
from skreid._network.layers import block_ends, check_layers, layer_names, map_shapes
from skreid._network.matching import match_weights
from skreid._network.reader import MapReader
from skreid._network.surgery import cut_backbone, fold_backbone
from skreid._network.weights import initial_weights

SIZES = (2, 2, 3, 3, 3)
VGG16_LAYERS = tuple(f"conv{b}_{place}" for b, size in enumerate(SIZES, 1) for place in range(1, size + 1))


def with_random_statistics(backbone):
    """Return a backbone in evaluation mode whose batch norms are not the identity."""
    network = build_backbone(backbone, 0)
    generator = torch.Generator().manual_seed(1)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(generator=generator)
            layer.running_var.uniform_(0.5, 2, generator=generator)
    return network.eval()


@pytest.mark.parametrize("backbone", ["vgg16", "vgg16_bn"])
def test_layers_of_a_vgg_are_named_after_blocks_and_read_after_the_relu(backbone):
    """VGG16 has thirteen, and their maps are those of torchvision's features at the same places."""
    assert layer_names(backbone) == VGG16_LAYERS
    network = with_random_statistics(backbone)
    assert all(isinstance(network.layers[place], nn.ReLU) for place in network.places.values())
    whole = torchvision.models.get_model(backbone).features
    whole.load_state_dict({name: torch.from_numpy(w) for name, w in network.weights().items()})
    batch = torch.rand(2, 3, 32, 16)
    with torch.no_grad():
        maps = network(batch, ["conv5_3"])["conv5_3"]
        torch.testing.assert_close(whole.eval()[:-1](batch), maps)


class Standardised(nn.Conv2d):
    """A convolution that does more than its weights say."""

    def forward(self, x):
        weight = self.weight / self.weight.std((1, 2, 3), keepdim=True)
        return nn.functional.conv2d(x, weight, self.bias, padding=self.padding)


def standardised():
    return nn.Sequential(Standardised(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), Standardised(6, 5, 3))


def parametrised():
    layers = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 5, 3))
    nn.utils.parametrizations.weight_norm(layers[0])
    nn.utils.parametrizations.spectral_norm(layers[3])
    return layers


def hooked():
    layers = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 5, 3))
    layers[0].register_forward_hook(lambda layer, given, maps: maps.abs())
    layers[3].register_forward_pre_hook(lambda layer, given: (given[0] + 1,))
    return layers


def hooked_at_its_end():
    layers = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU())
    layers[1].register_forward_hook(lambda layer, given, maps: maps.roll(1, 1))
    return layers


def without_statistics():
    norm = nn.BatchNorm2d(6, track_running_stats=False)
    return nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), norm, nn.Conv2d(6, 5, 1))


@pytest.mark.parametrize("backbone", [standardised, parametrised, hooked, hooked_at_its_end, without_statistics])
def test_only_plain_layers_are_folded_and_cut(backbone):
    """Layers whose weights do not say all that they compute are left as they are, so the maps stay the same."""
    network, batch = build_backbone(backbone, 0), torch.rand(4, 3, 16, 8)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d) and layer.running_var is not None:
            layer.running_var.uniform_(0.5, 4)
            layer.running_mean.uniform_(-1, 1)
    last = list(network.places)[-1]
    with torch.no_grad():
        whole = network.eval()(batch, [last])[last]
        cut, remaining = cut_backbone(fold_backbone(network, [last]), {last: np.array([4, 1])})
        maps = cut(batch, [last])[last]
    torch.testing.assert_close(maps if remaining[last] is None else maps[:, remaining[last]], whole[:, [4, 1]])


def test_a_layer_used_twice_has_two_names():
    """Each use has its own position and its own maps."""
    relu = nn.ReLU()
    layers = [("conv1", nn.Conv2d(3, 4, 3)), ("relu1", relu), ("conv2", nn.Conv2d(4, 5, 3)), ("relu2", relu)]
    shapes = map_shapes(lambda: nn.Sequential(OrderedDict(layers)), (16, 8))
    assert {name: shape[0] for name, shape in shapes.items()} == {"conv1": 4, "relu1": 4, "conv2": 5, "relu2": 5}


def test_a_forward_pass_stops_at_the_deepest_layer_asked_for():
    """No layer beyond it runs."""
    network, ran = build_backbone(narrow, 0), []
    for name, layer in network.layers.named_children():
        layer.register_forward_hook(lambda *_, name=name: ran.append(name))
    network(torch.rand(2, 3, 8, 8), ["low", "middle"])
    assert ran[-1] == "middle"


@pytest.mark.parametrize("backbone", ["vgg11_bn", narrow])
def test_folding_and_cutting_keep_the_maps_of_chosen_filters(backbone):
    """The cut network computes only these filters in its last convolution, with the values of the whole network."""
    network, batch = with_random_statistics(backbone), torch.rand(2, 3, 32, 16)
    first, last = list(network.places)[2], list(network.places)[-1]
    chosen = {first: np.array([3, 0]), last: np.array([7, 1, 5])}
    with torch.no_grad():
        whole = network(batch, [first, last])
        cut, remaining = cut_backbone(fold_backbone(network), chosen)
        maps = cut(batch, [first, last])
    assert remaining[last] is None
    for layer, filters in chosen.items():
        of_chosen = maps[layer] if remaining[layer] is None else maps[layer][:, remaining[layer]]
        torch.testing.assert_close(of_chosen, whole[layer][:, filters], rtol=1e-4, atol=1e-5)
    last_conv = [layer for layer in cut.modules() if isinstance(layer, nn.Conv2d)][-1]
    assert last_conv.out_channels == 3


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_pooling_before_a_relu_that_nobody_reads_changes_no_bit(dtype):
    """Maps and all gradients are those of the layers one after another; a map that is read stays what it was."""
    network = build_backbone("vgg11_bn", 0).to(dtype=dtype, memory_format=torch.channels_last).train()
    batch = torch.rand(4, 3, 32, 16, generator=torch.Generator().manual_seed(0)).to(dtype) - 0.5
    pools = []
    for layer in network.layers:
        if isinstance(layer, nn.MaxPool2d):
            layer.register_forward_hook(lambda layer, inputs, output: pools.append(float(output.detach().min())))
    found = []
    for forward in (lambda: network(batch, ["conv5_2"])["conv5_2"], lambda: network.layers(batch)):
        network.zero_grad()
        maps = forward()
        maps.square().mean().backward()
        found.append([maps.detach(), *(parameter.grad.clone() for parameter in network.parameters())])
    assert all(torch.equal(*pair) for pair in zip(*found, strict=True))
    assert all(smallest < 0 for smallest in pools[:4])  # before the ReLU
    assert pools[4:] == [0.0] * 4
    pools.clear()
    network(batch, ["conv2_1", "conv5_2"])
    assert [smallest < 0 for smallest in pools] == [True, False, True, True]


def test_an_in_place_relu_does_not_overwrite_the_maps_before_it():
    """`norm1` keeps its negative values although the ReLU after it works in place."""
    maps = with_random_statistics(narrow)(torch.rand(2, 3, 8, 8), ["norm1", "low"])
    assert maps["norm1"].min() < 0 <= maps["low"].min()


def test_the_children_of_other_torchvision_networks_are_their_layers():
    """The stages of a ResNet are layers, and so are those of a VGG."""
    assert block_ends(map_shapes("resnet18", (64, 32))) == ("relu", "layer1", "layer2", "layer3", "layer4")
    assert block_ends(map_shapes("vgg16", (64, 32)))[-3:] == ("conv3_3", "conv4_3", "conv5_3")
    assert map_shapes("resnet18", (64, 32))["layer2"] == (128, 8, 4)


def test_initial_weights_are_seeded_without_changing_the_global_state():
    """Equal seeds give equal weights, different ones do not; torch's own generator does not advance."""
    state = torch.random.get_rng_state()
    for backbone in (narrow, "vgg11_bn"):
        one, same, other = (build_backbone(backbone, seed).weights() for seed in (0, 0, 1))
        assert all(np.array_equal(one[name], same[name]) for name in one)
        assert any(not np.array_equal(one[name], other[name]) for name in one)
    assert torch.equal(state, torch.random.get_rng_state())


def test_pixels_are_normalised_before_the_network():
    """Each channel is normalised by the given mean and standard deviation."""
    network = with_random_statistics(narrow)
    normalization = ((0.1, 0.2, 0.3), (0.5, 0.6, 0.7))
    reader = MapReader(narrow, network.weights(), normalization, torch.device("cpu"))
    batch = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in normalization)
    with torch.no_grad():
        expected = network((batch / 255 - mean) / std, ["high"])["high"]
    torch.testing.assert_close(reader(batch, ["high"])["high"], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("backbone", "message"),
    [
        ("vgg166", "'vgg166' is not a torchvision classification model. Did you mean 'vgg16'"),
        (nn.Identity, "returned Identity; expected a torch.nn.Sequential"),
        (nn.Sequential, "of at least one layer"),
        ("vit_b_16", "not a plain sequence of layers"),
    ],
)
def test_unusable_backbones_are_refused(backbone, message):
    """The error says what a backbone must be."""
    with pytest.raises(ValueError, match=message):
        layer_names(backbone)


def test_unknown_layers_are_refused_with_a_suggestion():
    """So is a layer named twice."""
    with pytest.raises(ValueError, match=r"names 'conv4_4'.*Did you mean 'conv4_"):
        check_layers(("conv4_4",), "vgg16")
    with pytest.raises(ValueError, match="names a layer twice"):
        check_layers(("conv4_3", "conv4_3"), "vgg16")


def test_a_frame_too_small_for_the_network_is_refused():
    """Four poolings need sixteen pixels."""
    with pytest.raises(ValueError, match=r"8 x 8 pixels .* do not pass through backbone 'vgg16'"):
        map_shapes("vgg16", (8, 8))


# weights ------------------------------------------------------------------------------------------------


@pytest.fixture
def state():
    """Weights of a narrow network, by name."""
    return with_random_statistics(narrow).weights()


@pytest.mark.parametrize("prefix", ["", "features.", "module.features."])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_weight_files_are_read_in_every_form(tmp_path, state, prefix, suffix, wrapped):
    """Whole models and features, with or without prefixes, pickled or as safetensors, are the same weights."""
    path = tmp_path / f"weights{suffix}"
    named = {prefix + name: value for name, value in state.items()} | {"head.0.weight": np.ones((2, 2), "f4")}
    if suffix == ".safetensors":
        save_file(named, path)
    else:
        tensors = {name: torch.from_numpy(value) for name, value in named.items()}
        torch.save({"state_dict": tensors, "epoch": 3} if wrapped else tensors, path)
    loaded, mean, std = initial_weights(path, narrow)
    assert (mean, std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    network = build_backbone(narrow, 5).load_weights(loaded)
    assert all(np.array_equal(network.weights()[name], state[name]) for name in state)


def test_torchvision_weights_come_with_their_own_normalisation(monkeypatch):
    """The ImageNet weights for features only expect another scale than the usual weights."""
    weights = torchvision.models.VGG16_Weights.IMAGENET1K_FEATURES
    layers = build_backbone("vgg16", None).layers.state_dict()
    whole = {f"features.{name}": torch.ones(layer.shape) for name, layer in layers.items()}
    monkeypatch.setattr(type(weights), "get_state_dict", lambda self, **_: whole | {"classifier.0.bias": torch.ones(9)})
    state, _, std = initial_weights("IMAGENET1K_FEATURES", "vgg16")
    assert set(state) == set(layers)
    np.testing.assert_allclose(std, 1 / 255, rtol=1e-4)
    assert initial_weights("VGG16_Weights.IMAGENET1K_V1", "vgg16")[2] == (0.229, 0.224, 0.225)


@pytest.mark.parametrize("failure", ["no network", "damaged"])
def test_weights_that_cannot_be_downloaded_are_named_with_the_way_out(monkeypatch, tmp_path, failure):
    """The error says where the file comes from, how to give it, and where torch looks for it."""

    def fail(*_, **__):
        if failure == "damaged":
            raise RuntimeError('invalid hash value (expected "397923af", got "00")')
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", fail)
    url = torchvision.models.VGG16_Weights.IMAGENET1K_V1.url
    with pytest.raises(OSError, match=r"weights='IMAGENET1K_V1' could not be downloaded") as caught:
        initial_weights("IMAGENET1K_V1", "vgg16")
    message = str(caught.value)
    assert ("not known" if failure == "no network" else "invalid hash value") in message
    assert f"Download {url} elsewhere" in message
    assert f"weights='{url.rpartition('/')[2]}'" in message
    assert str(tmp_path / "hub" / "checkpoints") in message


def test_a_malicious_pickle_is_refused_without_running_it(tmp_path):
    """Nothing in the file runs."""
    import pickle

    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    (tmp_path / "evil.pth").write_bytes(pickle.dumps(Evil(), protocol=2))
    torch.save({"a": Evil()}, tmp_path / "zip.pth")
    for name in ("evil.pth", "zip.pth"):
        with pytest.raises(ValueError, match="nothing in it was run"):
            initial_weights(tmp_path / name, narrow)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"hello", b"\x00" * 100])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_damaged_weight_files_are_refused_by_name(tmp_path, content, suffix):
    """The error contains the path."""
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"bad{suffix}'"):
        initial_weights(path, narrow)


def test_weights_that_do_not_fit_are_refused(state):
    """Missing tensors, other shapes and NaN each have an error of their own, which names the tensor."""
    network, tensors = build_backbone(narrow, 0), {name: torch.from_numpy(values) for name, values in state.items()}
    with pytest.raises(ValueError, match=r"missing, the first being 'conv1.weight'"):
        match_weights(network, {"features.0.bias": torch.ones(4)}, "file")
    with pytest.raises(ValueError, match=r"'conv1.weight' has shape \(9,\), the backbone needs \(4, 3, 3, 3\)"):
        match_weights(network, tensors | {"conv1.weight": torch.ones(9)}, "file")
    with pytest.raises(ValueError, match=r"'conv1.bias' holds NaN"):
        match_weights(network, tensors | {"conv1.bias": torch.full((4,), torch.nan)}, "file")


def test_weights_of_a_deeper_network_of_the_same_names_are_refused():
    """A ResNet-34 has all the tensors of a ResNet-18, and more."""
    network, state = build_backbone("resnet18", None), torchvision.models.resnet34().state_dict()
    with pytest.raises(ValueError, match=r"a larger network, with \d+ more tensors, the first being 'layer1.2.conv1"):
        match_weights(network, state, "file")


def test_weights_given_as_a_dict_are_refused_in_one_line(state):
    """Its arrays are not printed, and the message says how to make a file of them."""
    with pytest.raises(ValueError, match=r"^The 'weights' parameter .* Got a dict instead; .*save_file.{,80}$"):
        initial_weights(state, narrow)


def test_weights_by_name_need_a_backbone_by_name():
    """A function loads its weights itself."""
    with pytest.raises(ValueError, match="Weights by name need a torchvision backbone by name"):
        initial_weights("IMAGENET1K_V1", narrow)


def test_an_unknown_name_of_weights_is_refused_with_a_suggestion():
    """It is neither a file nor a name of torchvision's weights."""
    with pytest.raises(ValueError, match=r"'IMAGENET1K_V9' is not a file.*IMAGENET1K_V1.*Did you mean 'IMAGENET1K_V1'"):
        initial_weights("IMAGENET1K_V9", "vgg16")


def test_networks_built_in_threads_are_seeded_independently():
    """Concurrent building neither mixes seeds nor advances torch's own generator."""
    from concurrent.futures import ThreadPoolExecutor

    def slow():
        layers = narrow()
        time.sleep(0.01)
        return nn.Sequential(*layers, nn.Conv2d(8, 8, 1))

    state = torch.random.get_rng_state()
    alone = [build_backbone(slow, seed).weights() for seed in range(6)]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda seed: build_backbone(slow, seed).weights(), range(6)))
    for one, other in zip(alone, together, strict=True):
        assert all(np.array_equal(one[name], other[name]) for name in one)
    assert torch.equal(state, torch.random.get_rng_state())


def test_bfloat16_weights_are_read(tmp_path, state):
    """Numpy has no such type, so they become float32."""
    torch.save({name: torch.from_numpy(value).bfloat16() for name, value in state.items()}, tmp_path / "w.pth")
    loaded, _, _ = initial_weights(tmp_path / "w.pth", narrow)
    assert loaded["conv1.weight"].dtype == np.float32
