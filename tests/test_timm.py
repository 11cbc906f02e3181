"""Networks of timm by name: their maps are timm's own, their files fit, and they train, are saved and are cached."""

import pickle
import sys

import numpy as np
import pytest
import torch
from sklearn.base import clone

from skreid import MultiDepthReID, persistence
from skreid._network.building import build_backbone
from skreid._network.layers import block_ends, layer_names, map_shapes
from skreid._network.timm_models import timm_normalization
from skreid._network.weights import initial_weights
from skreid._training.loop import train
from skreid.datasets import make_pedestrians

timm = pytest.importorskip("timm", reason="timm is an optional extra")

SIZE = (64, 32)
SETTINGS = {"input_size": SIZE, "n_filters": 4, "device": "cpu", "random_state": 0, "batch_size": 8}
SHAPES = {
    "test_resnet": {"layer3": (192, 4, 2), "layer4": (96, 2, 1)},
    "test_efficientnet": {"blocks.3": (48, 4, 2), "blocks.4": (64, 2, 1)},  # a feature interface of its own
    "test_convnext": {"stages.2": (48, 4, 2), "stages.3": (64, 2, 1)},  # timm renames its stages
    "test_mambaout": {"stages.2": (48, 4, 2), "stages.3": (64, 2, 1)},  # filters in the last axis
    "test_vit": {"blocks.4": (64, 4, 2), "blocks.5": (64, 4, 2)},  # a transformer
}
OPTIONS = {"test_vit": {"dynamic_img_size": True, "dynamic_img_pad": True}}


@pytest.fixture(scope="module")
def people():
    return make_pedestrians(n_identities=4, n_cameras=2, n_shots=2, image_size=SIZE, random_state=0)


def whole_model(name):
    """Return timm's own model with weights that are not the initial ones."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = timm.create_model(name, **OPTIONS.get(name, {}))
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(0.05 * torch.rand(tensor.shape))
    return model.eval()


@pytest.mark.parametrize("name", SHAPES)
def test_maps_are_those_of_the_whole_model(people, tmp_path, name):
    """The file of timm's whole model fits, classifier and all; maps are read as timm reads them, filters first."""
    model = whole_model(name)
    if not hasattr(model, "forward_intermediates"):
        pytest.skip("this version of timm does not read the maps of its own model")
    torch.save(model.state_dict(), tmp_path / "w.pth")
    reid = MultiDepthReID(backbone=f"timm:{name}", weights=tmp_path / "w.pth", layers=tuple(SHAPES[name]), max_epochs=0,
                          **SETTINGS).fit(people.images, people.target)  # fmt: skip
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in reid.normalization_)
    batch = (torch.from_numpy(people.images[:3]).permute(0, 3, 1, 2) / 255 - mean) / std
    with torch.no_grad():
        expected = model.forward_intermediates(batch, output_fmt="NCHW", intermediates_only=True)[-2:]
    maps = reid.feature_maps(people.images[:3])
    assert {layer: values.shape[1:] for layer, values in maps.items()} == SHAPES[name]
    for values, others in zip(maps.values(), expected, strict=True):
        np.testing.assert_allclose(values, others.numpy(), rtol=1e-3, atol=1e-4)
    own = model.state_dict()
    assert all(np.array_equal(values, own[key].numpy()) for key, values in reid.weights_.items())
    assert reid.transform(people.images[:3]).shape == (3, reid.n_features_out_)


@pytest.mark.parametrize("name", SHAPES)
def test_stopping_early_changes_no_map(name):
    """The part of the network that ends at a layer has fewer weights and the same maps."""
    network = build_backbone(f"timm:{name}", 0).eval()
    second = list(network.places)[1]
    part = network.until([second]).eval()
    batch = torch.rand(2, 3, *SIZE)
    with torch.no_grad():
        np.testing.assert_array_equal(part(batch, [second])[second], network(batch, [second])[second])
    assert list(part.places) == list(network.places)[:2]
    with pytest.raises(ValueError, match="the present one has no layer 'layer9'"):
        network.until(["layer9"])


@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_they_train_are_saved_and_loaded(people, tmp_path, name):
    """Every weight in front of the deepest map learns; pickles and files without code describe alike."""
    reid = MultiDepthReID(backbone=f"timm:{name}", max_epochs=1, **SETTINGS).fit(people.images, people.target)
    before = build_backbone(f"timm:{name}", np.random.RandomState(0).randint(2**31 - 1)).weights()
    assert set(before) == set(reid.weights_)
    still = [key for key, values in reid.weights_.items() if np.array_equal(values, before[key])]
    assert not [key for key in still if "norm" not in key and "cls_token" not in key and "num_batches" not in key]
    described = reid.transform(people.images)
    assert np.isfinite(described).all()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(reid)).transform(people.images), described)
    persistence.dump(reid, tmp_path / "reid.skops")
    np.testing.assert_array_equal(persistence.load(tmp_path / "reid.skops").transform(people.images), described)
    again = clone(reid).fit(people.images, people.target)
    np.testing.assert_array_equal(again.transform(people.images), described)


def test_they_are_exported(people, tmp_path):
    """A transformer too, as one graph whose descriptors are checked against the estimator's."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is an optional extra")
    if tuple(map(int, torch.__version__.split(".")[:2])) < (2, 9):
        pytest.skip("to_onnx needs torch 2.9")
    from skreid.export import to_onnx

    reid = MultiDepthReID(backbone="timm:test_vit", max_epochs=0, **SETTINGS).fit(people.images, people.target)
    assert to_onnx(reid, tmp_path / "reid.onnx").relative_error < 1e-5


def test_a_number_of_layers_counts_the_deepest_blocks(people):
    """Blocks differ in the size of their maps: a plain transformer has one."""
    settings = SETTINGS | {"max_epochs": 0}
    reid = MultiDepthReID(backbone="timm:test_resnet", layers=3, **settings).fit(people.images, people.target)
    assert reid.layers_ == ("layer2", "layer3", "layer4")
    assert block_ends(map_shapes("timm:test_vit", SIZE)) == ("blocks.5",)
    reid = MultiDepthReID(backbone="timm:test_vit", **settings).fit(people.images, people.target)
    assert reid.layers_ == ("blocks.5",)
    with pytest.raises(ValueError, match=r"at most 1, the number of blocks .* of backbone 'timm:test_vit'"):
        MultiDepthReID(backbone="timm:test_vit", layers=2, **settings).fit(people.images, people.target)


def test_training_is_cached(people, tmp_path, monkeypatch):
    """A second fit that describes by other layers does not train again."""
    trainings = []
    monkeypatch.setattr("skreid.multidepth.train", lambda *a, **k: trainings.append(1) or train(*a, **k))
    for layers in ("layer3", "layer4"):
        MultiDepthReID(backbone="timm:test_resnet", layers=layers, max_epochs=1, memory=tmp_path, **SETTINGS).fit(
            people.images, people.target
        )
    assert len(trainings) == 1


def test_weights_learned_once_are_a_file_for_the_next_training(people, tmp_path):
    """They have timm's names, in any frame size."""
    from safetensors.numpy import save_file

    reid = MultiDepthReID(backbone="timm:test_convnext", max_epochs=0, **SETTINGS).fit(people.images, people.target)
    save_file(reid.weights_, tmp_path / "small.safetensors")
    larger = MultiDepthReID(backbone="timm:test_convnext", weights=tmp_path / "small.safetensors", max_epochs=0,
                            **SETTINGS | {"input_size": (96, 48)}).fit(people.images, people.target)  # fmt: skip
    assert all(np.array_equal(values, reid.weights_[name]) for name, values in larger.weights_.items())
    missing, unexpected = timm.create_model("test_convnext").load_state_dict(
        {name: torch.from_numpy(values) for name, values in reid.weights_.items()}, strict=False
    )
    assert not unexpected
    assert all(name.startswith("head.") for name in missing)


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224.augreg_in21k", "resnet18.a1_in1k"])
def test_files_are_normalised_as_timm_does_for_this_model(tmp_path, name):
    """Unless they say otherwise; transformers are often trained on pixels in [-1, 1]."""
    expected = timm.data.resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg(name).to_dict())
    assert timm_normalization(f"timm:{name}") == (expected["mean"], expected["std"])
    state = timm.create_model("test_vit").state_dict()
    torch.save(state, tmp_path / "w.pth")
    assert initial_weights(tmp_path / "w.pth", "timm:test_vit")[1:] == timm_normalization("timm:test_vit")
    torch.save(state | {"pixel_mean": torch.full((3,), 0.25), "pixel_std": torch.full((3,), 0.125)}, tmp_path / "w.pth")
    assert initial_weights(tmp_path / "w.pth", "timm:test_vit")[1:] == ((0.25,) * 3, (0.125,) * 3)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("restnet18", r"backbone='timm:restnet18' is not a model of timm. Did you mean 'resnet18'"),
        ("resnet18.a1_in9k", r"is not a model of timm. Did you mean 'resnet18.a1_in1k'"),
        ("hf-hub:someone/something", "is not a model of timm"),
        ("", "is not a model of timm"),
    ],
)
def test_unknown_names_are_refused_with_a_suggestion(name, message):
    """Nothing is looked for on any hub."""
    with pytest.raises(ValueError, match=message):
        layer_names(f"timm:{name}")


def test_frames_that_do_not_pass_are_refused():
    """Some transformers take frames of their own size only."""
    if "test_maxvit" not in timm.list_models():
        pytest.skip("this version of timm has no such small model")
    with pytest.raises(
        ValueError, match=r"Frames of 64 x 32 pixels .* do not pass through backbone 'timm:test_maxvit'"
    ):
        map_shapes("timm:test_maxvit", (64, 32))


def test_without_timm_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ImportError, match=r"backbone='timm:test_byobnet' needs timm: pip install skreid\[timm\]"):
        build_backbone("timm:test_byobnet", 0)


def test_timms_own_weights_are_downloaded_only_if_asked_for(monkeypatch):
    """`weights="DEFAULT"` asks for them; without a network, the error says how to make a file."""
    model, create = whole_model("test_resnet"), timm.create_model

    def download(name, pretrained=False, **options):
        if not pretrained:
            return create(name, **options)
        if name == "test_resnet":
            return model
        raise OSError("no network")

    monkeypatch.setattr(timm, "create_model", download)
    state, mean, std = initial_weights("DEFAULT", "timm:test_resnet")
    assert all(np.array_equal(values, model.state_dict()[name]) for name, values in state.items())
    assert (mean, std) == timm_normalization("timm:test_resnet")
    with pytest.raises(OSError, match=r"could not be downloaded \(no network\).*create_model\('test_vit', pre"):
        initial_weights("DEFAULT", "timm:test_vit")
    with pytest.raises(ValueError, match=r"It is not the name of timm weights of timm:test_vit either; .* DEFAULT"):
        initial_weights("DEFAULTS", "timm:test_vit")


def test_torchs_own_generator_is_unchanged():
    before = torch.random.get_rng_state()
    one, same, other = (build_backbone("timm:test_resnet", seed).weights() for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert not np.array_equal(one["conv1.0.weight"], other["conv1.0.weight"])
