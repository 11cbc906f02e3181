"""Networks other than a VGG, by name or by callable: they train, describe and rank, or an error says what is wrong."""

import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import narrow, two_blocks
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from torch import nn

from skreid import MultiDepthReID, cmc_score
from skreid._network.layers import map_shapes
from skreid._training.loop import train
from skreid.model_selection import IdentityKFold


class Residual(nn.Module):
    """A block with a skip connection, as in a ResNet."""

    def __init__(self, width):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())

    def forward(self, x):
        return x + self.body(x)


class Recurrent(nn.Module):
    """A layer that returns a tuple, as recurrent layers do."""

    def forward(self, x):
        return x, x


def residual():
    """Return a network of blocks; each block is a layer."""
    return nn.Sequential(
        OrderedDict(stem=nn.Conv2d(3, 6, 3, stride=2, padding=1), block1=Residual(6), block2=Residual(6))
    )


def conv(*more):
    return lambda: nn.Sequential(OrderedDict(conv=nn.Conv2d(3, 4, 3, padding=1), **dict(more)))


def test_a_users_own_residual_network_fits_describes_and_ranks(people, settings):
    """Its blocks are the layers, and give the features their names."""
    settings |= {"backbone": residual, "layers": ("block1", "block2")}
    reid = MultiDepthReID(**settings).fit(people.images, people.target)
    assert reid.map_shapes_ == {"block1": (16, 8), "block2": (16, 8)}
    assert reid.get_feature_names_out()[0].startswith("block1_f")
    np.testing.assert_array_equal(reid.kneighbors(people.images[:3], people.images)[1][:, 0], [0, 1, 2])


@pytest.mark.parametrize("backbone", ["regnet_y_400mf", "googlenet"])
@pytest.mark.filterwarnings("ignore:The default weight initialization:FutureWarning")
def test_torchvision_networks_that_are_hard_to_build_have_layers(backbone):
    """One computes with its weights while it is built, the other has auxiliary classifiers."""
    shapes = map_shapes(backbone, (96, 48))
    assert next(iter(shapes)) in ("stem", "conv1")
    assert all(len(shape) == 3 for shape in shapes.values())


def lazy():
    return nn.Sequential(nn.LazyConv2d(4, 3))


@pytest.mark.parametrize(
    ("backbone", "message"), [("swin_t", "filters in their last axis"), (lazy, "run an image through")]
)
def test_networks_that_cannot_be_read_are_refused(backbone, message):
    """The error comes before anything is trained."""
    with pytest.raises(ValueError, match=message):
        map_shapes(backbone, (64, 32))


def test_a_resnet_describes_by_its_three_deepest_blocks(people, settings):
    """They are the default of `layers`."""
    settings |= {"backbone": "resnet18", "layers": None, "max_epochs": 0, "input_size": (64, 32)}
    reid = MultiDepthReID(**settings).fit(people.images, people.target)
    assert reid.layers_ == ("layer2", "layer3", "layer4")
    assert 0 <= reid.score(people.images, people.target) <= 1


@pytest.mark.parametrize(
    ("backbone", "n_blocks", "ends"),
    [
        ("vgg11", 1, ["conv5_2"]),
        ("vgg11", 3, ["conv3_2", "conv4_2", "conv5_2"]),
        ("vgg11", 5, ["conv1_1", "conv2_1", "conv3_2", "conv4_2", "conv5_2"]),
        ("resnet18", 2, ["layer3", "layer4"]),
        ("resnet18", 4, ["layer1", "layer2", "layer3", "layer4"]),
        ("squeezenet1_1", 3, ["4", "7", "12"]),
        ("efficientnet_b0", 3, ["3", "5", "8"]),
        (narrow, 1, ["high"]),
        (narrow, 3, ["low", "middle", "high"]),
        (narrow, np.int64(2), ["middle", "high"]),
        (residual, 1, ["block2"]),
    ],
)
def test_a_number_of_layers_counts_the_deepest_blocks(people, settings, backbone, n_blocks, ends):
    """It does what naming their last layers does, bit for bit."""
    settings |= {"backbone": backbone, "max_epochs": 0, "input_size": (64, 32)}
    counted = MultiDepthReID(**settings | {"layers": n_blocks}).fit(people.images[:8], people.target[:8])
    named = MultiDepthReID(**settings | {"layers": ends}).fit(people.images[:8], people.target[:8])
    assert counted.layers_ == tuple(ends)
    np.testing.assert_array_equal(counted.transform(people.images), named.transform(people.images))
    assert clone(counted).layers == n_blocks
    assert pickle.loads(pickle.dumps(counted)).get_params()["layers"] == n_blocks


@pytest.mark.parametrize(("backbone", "as_many"), [("vgg11", 3), ("resnet18", 3), (two_blocks, 2), (residual, 1)])
def test_three_layers_are_the_default(people, settings, backbone, as_many):
    """A network of fewer blocks is described by all of them."""
    settings |= {"backbone": backbone, "max_epochs": 0, "input_size": (64, 32)}
    default, counted = (
        MultiDepthReID(**settings | {"layers": layers}).fit(people.images, people.target) for layers in (None, as_many)
    )
    assert len(counted.layers_) == as_many
    np.testing.assert_array_equal(default.transform(people.images), counted.transform(people.images))


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (0, r"The 'layers' parameter of MultiDepthReID must be an int in the range \[1, inf\).* Got 0 instead"),
        (True, r"The 'layers' parameter of MultiDepthReID must be an int in the range \[1, inf\).* Got True instead"),
        (4, r"The 'layers' parameter of MultiDepthReID must be at most 3, the number of blocks .*Got 4 instead"),
    ],
)
def test_numbers_of_layers_that_do_not_exist_are_refused(people, settings, fitted, layers, message):
    """Before anything is trained, and by `feature_maps` in the same words."""
    with pytest.raises(ValueError, match=message):
        MultiDepthReID(**settings | {"layers": layers}).fit(people.images, people.target)
    with pytest.raises(ValueError, match=message):
        fitted.feature_maps(people.images, layers)


def test_feature_maps_are_read_from_a_number_of_layers_too(people, fitted):
    """As the estimator itself counts them."""
    assert list(fitted.feature_maps(people.images[:2], 2)) == ["middle", "high"]


def test_a_search_over_numbers_of_layers_trains_once_per_fold(people, settings, tmp_path, monkeypatch):
    """The number of layers acts after training."""
    trainings = []

    def counted(*arguments, **given):
        trainings.append(1)
        return train(*arguments, **given)

    monkeypatch.setattr("skreid.multidepth.train", counted)
    reid = MultiDepthReID(**settings | {"memory": tmp_path, "max_epochs": 1})
    search = GridSearchCV(reid, {"layers": [1, 2, 3]}, scoring=cmc_score, cv=IdentityKFold(2), refit=False,
                          error_score="raise").fit(people.images, people.target)  # fmt: skip
    assert len(trainings) == 2
    assert search.best_params_["layers"] in (1, 2, 3)


def test_training_starts_from_the_weights_that_a_callable_returns(people, settings):
    """A callable may return a pretrained network."""
    state = narrow().state_dict()

    def pretrained():
        network = narrow()
        network.load_state_dict(state)
        return network

    reid = MultiDepthReID(**(settings | {"backbone": pretrained, "max_epochs": 0})).fit(people.images, people.target)
    for name, tensor in state.items():
        np.testing.assert_array_equal(reid.weights_[name], tensor.numpy())


def test_backbones_can_be_searched(people, settings):
    """`backbone` is a parameter like any other."""
    settings |= {"layers": None, "max_epochs": 1}
    search = GridSearchCV(
        MultiDepthReID(**settings), {"backbone": [narrow, residual]}, scoring=cmc_score, cv=IdentityKFold(2),
        error_score="raise",
    ).fit(people.images, people.target)  # fmt: skip
    assert search.best_estimator_.backbone in (narrow, residual)


@pytest.mark.parametrize(
    ("backbone", "error", "message"),
    [
        (lambda: 3, ValueError, "returned int; expected a torch.nn.Sequential"),
        (lambda: nn.Conv2d(3, 4, 3), ValueError, "returned Conv2d; expected a torch.nn.Sequential"),
        (nn.Sequential, ValueError, "at least one layer"),
        (conv()(), ValueError, "backbone is a Sequential, a network itself.*Give a function that builds"),
        (conv(("flat", nn.Flatten())), ValueError, r"Layer 'flat' of backbone .* of shape \(2048,\); expected maps"),
        (lambda: nn.Sequential(nn.Conv2d(1, 4, 3)), ValueError, "do not pass through backbone.*3 channels"),
        (conv(("pair", Recurrent())), ValueError, r"Layer 'pair' of backbone .* of shape \(\); expected maps"),
        (lambda width: width, TypeError, "missing 1 required positional argument: 'width'"),
        (7, ValueError, "The 'backbone' parameter of MultiDepthReID must be an instance of 'str' or a callable"),
        ("vgg17", ValueError, "Did you mean 'vgg1"),
    ],
    ids=["number", "module", "empty", "built", "flat", "grey", "tuple", "argument", "type", "name"],
)
def test_unusable_backbones_are_refused(people, settings, backbone, error, message):
    """Each error says what was given and what is expected, before anything is trained."""
    settings |= {"backbone": backbone, "layers": None}
    with pytest.raises(error, match=message):
        MultiDepthReID(**settings).fit(people.images, people.target)


def test_layers_without_maps_are_allowed_beyond_those_chosen(people, settings):
    """A layer that returns no map is refused only where a map is needed."""
    backbone = conv(("relu", nn.ReLU()), ("again", nn.Conv2d(4, 5, 3)))
    reid = MultiDepthReID(**(settings | {"backbone": backbone, "layers": "conv"})).fit(people.images, people.target)
    assert list(reid.filters_) == ["conv"]


def test_every_layer_returns_its_own_maps(people, fitted):
    """They are those of the network's own forward pass: a convolution's are read before the batch norm after it."""
    network = narrow().eval()
    network.load_state_dict({name: torch.from_numpy(values) for name, values in fitted.weights_.items()})
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in fitted.normalization_)
    batch = (torch.from_numpy(people.images[:3]).permute(0, 3, 1, 2) / 255 - mean) / std
    maps = fitted.feature_maps(people.images[:3], tuple(dict(network.named_children())))
    for layer in network:  # an in-place layer would overwrite what is compared
        if isinstance(layer, nn.ReLU):
            layer.inplace = False
    with torch.no_grad():
        for name, layer in network.named_children():
            batch = layer(batch)
            np.testing.assert_allclose(maps[name], batch.numpy(), rtol=1e-4, atol=1e-5, err_msg=name)


def test_layers_of_one_block_describe_together(people, settings):
    """A convolution that is read itself is neither cut to the filters of a later layer nor folded."""
    settings |= {"layers": ("conv1", "norm1", "low"), "blur_size": 1}
    reid = MultiDepthReID(**settings).fit(people.images, people.target)
    blocks = [maps[:, reid.filters_[layer]].reshape(32, -1) for layer, maps in reid.feature_maps(people.images).items()]
    np.testing.assert_allclose(reid.transform(people.images), np.hstack(blocks), rtol=1e-4, atol=1e-5)


def test_only_what_the_layers_need_is_loaded(people, fitted):
    """Describing by a shallow layer takes the weights up to it, and returns what the whole network returns."""
    shallow = clone(fitted).set_params(layers="low").fit(people.images, people.target)
    expected = shallow.transform(people.images)
    shallow.weights_ = {name: w for name, w in shallow.weights_.items() if name.startswith(("conv1", "norm1"))}
    np.testing.assert_array_equal(shallow.transform(people.images), expected)


def test_shapes_of_a_named_network_take_no_memory():
    """They are computed on torch's meta device, even for a frame too large for any memory."""
    assert map_shapes("vgg11", (2**20, 2**20))["conv1_1"] == (64, 2**20, 2**20)


def test_torchs_own_generator_is_unchanged(people, settings):
    """Building and training the network of a callable restores it."""
    before = torch.random.get_rng_state()
    MultiDepthReID(**(settings | {"backbone": residual, "layers": "block1"})).fit(people.images, people.target)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_html_view_links_to_the_documentation():
    """In a notebook, an estimator shows its parameters and links to their documentation."""
    shown = MultiDepthReID(blur_size=7)._repr_html_()
    assert "https://skreid.readthedocs.io/en/stable/api/skreid.MultiDepthReID.html" in shown
    assert "blur_size" in shown


# OSNet, the example of a callable -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def example():
    """Return the names that the example defines before it trains."""
    script = Path(__file__).parent.parent / "examples" / "plot_osnet.py"
    defined = {}
    exec(script.read_text(encoding="utf-8").partition("\npeople = ")[0], defined)
    return defined


def test_osnet_has_the_size_that_its_paper_says(example):
    """2.2 million weights, with the linear layer of 512 dimensions and its batch norm behind it."""
    linear = 512 * 512 + 512 + 2 * 512
    assert round((sum(weights.numel() for weights in example["osnet"]().parameters()) + linear) / 1e6, 1) == 2.2


@pytest.mark.parametrize(("stream", "cells"), [("conv2a", 3), ("conv2b", 5), ("conv2c", 7), ("conv2d", 9)])
def test_streams_of_osnet_see_four_scales(example, stream, cells):
    """The gradient of one cell reaches exactly the cells that it sees."""
    block = example["OmniScale"](8, 16).eval()
    x = torch.rand(1, 4, 21, 21, requires_grad=True)
    layers = [layer for layer in getattr(block, stream).modules() if isinstance(layer, nn.Conv2d)]
    nn.Sequential(*layers)(x)[0, 0, 10, 10].backward()
    rows = torch.nonzero(x.grad[0].abs().sum(dim=(0, 2))).flatten()
    assert rows.tolist() == list(range(10 - cells // 2, 10 + cells // 2 + 1))


def test_osnet_has_torchreids_names_of_weights(example):
    """So that its files fit."""
    names = set(example["osnet"]().state_dict())
    assert names > {
        "conv1.conv.weight", "conv2.0.conv1.bn.weight", "conv2.0.conv2a.conv1.weight", "conv2.1.conv2d.3.conv2.weight",
        "conv2.0.conv2b.1.bn.running_var", "conv3.1.gate.fc1.bias", "conv3.0.conv3.conv.weight",
        "conv4.0.downsample.conv.weight", "conv3.2.0.conv.weight", "conv5.bn.bias",
    }  # fmt: skip
    assert not any(name.startswith(("conv4.2", "conv2.1.downsample")) for name in names)


def test_osnet_trains_and_describes(people, settings, example):
    """By its three deepest blocks; what pools the first maps ends a block of its own."""
    settings |= {"backbone": example["small_osnet"], "layers": None, "input_size": (64, 32), "max_epochs": 1}
    reid = MultiDepthReID(**settings).fit(people.images, people.target)
    assert reid.layers_ == ("maxpool", "conv2", "conv5")
    assert np.isfinite(reid.transform(people.images)).all()
