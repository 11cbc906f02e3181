"""Files of weights in the layouts of others: each loads, what was taken is said, and nothing in a file is run."""

import collections
import os
import threading
from collections import OrderedDict

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.serialization import get_safe_globals
from torchvision.models.resnet import BasicBlock

from skreid import MultiDepthReID
from skreid._network.building import build_backbone
from skreid._network.scalars import numpy_scalars
from skreid._network.tensor_files import load_tensors
from skreid._network.weight_files import read_tensors
from skreid._network.weights import IMAGENET_MEAN, IMAGENET_STD, initial_weights
from skreid.exceptions import WeightsWarning

IMAGENET = IMAGENET_MEAN, IMAGENET_STD


def small_resnet():
    """Return a ResNet of two blocks, with the names of torchvision's."""
    down = nn.Sequential(nn.Conv2d(4, 6, 1, stride=2, bias=False), nn.BatchNorm2d(6))
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(3, 4, 7, stride=2, padding=3, bias=False),
            bn1=nn.BatchNorm2d(4),
            relu=nn.ReLU(inplace=True),
            maxpool=nn.MaxPool2d(3, stride=2, padding=1),
            layer1=nn.Sequential(BasicBlock(4, 4)),
            layer2=nn.Sequential(BasicBlock(4, 6, 2, down)),
        )
    )


def state(seed=1):
    """Return the weights of a small ResNet, none of them as they are initialised."""
    generator = torch.Generator().manual_seed(seed)
    return OrderedDict(
        (name, torch.rand(tensor.shape, generator=generator) + 0.1 if tensor.is_floating_point() else tensor + seed)
        for name, tensor in small_resnet().state_dict().items()
    )


def behind(prefix, tensors):
    return OrderedDict((prefix + name, tensor) for name, tensor in tensors.items())


def linear(name, *shape):
    return OrderedDict([(f"{name}.weight", torch.ones(*shape)), (f"{name}.bias", torch.zeros(shape[0]))])


def block(name):
    """Return layumi's ClassBlock: a linear layer, a batch norm and a classifier."""
    layers = nn.ModuleDict(
        {"add_block": nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5)), "classifier": nn.Linear(5, 3)}
    )
    return behind(f"{name}.", layers.state_dict())


def training_state():
    """Return the states of an optimiser that has made a step, and of its schedule."""
    network = small_resnet()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [20, 40])
    network(torch.rand(2, 3, 32, 16)).sum().backward()
    optimizer.step()
    return {"optimizer": optimizer.state_dict(), "scheduler": schedule.state_dict()}


def moco(tensors):
    head = linear("fc.0", 6, 6) | linear("fc.2", 4, 6)
    q, k = (behind(f"module.encoder_{name}.", each | head) for name, each in (("q", tensors), ("k", state(9))))
    queue = {"module.queue": torch.rand(4, 32), "module.queue_ptr": torch.zeros(1, dtype=torch.long)}
    return {"epoch": 200, "arch": "resnet50", "state_dict": q | k | queue} | training_state()


def fastreid(tensors, buffers=True):
    heads = {"heads.weight": torch.rand(3, 6), "heads.bottleneck.0.bias": torch.zeros(6)}
    pixels = {"pixel_mean": np.array(IMAGENET_MEAN) * 255, "pixel_std": np.array(IMAGENET_STD) * 255}
    pixels = {name: torch.tensor(values, dtype=torch.float32).view(1, -1, 1, 1) for name, values in pixels.items()}
    model = (pixels if buffers else {}) | behind("backbone.", tensors) | heads
    return {"model": model} | training_state() | {"epoch": 59, "iteration": 1000}


def torchreid(tensors):
    model = tensors | linear("classifier", 3, 6)
    return {"state_dict": model, "epoch": 60, "rank1": np.float32(0.875)} | training_state()


def two_networks(tensors):
    return {"epoch": 3, "model_ema": {"n_averaged": torch.tensor(5)} | behind("module.", state(9)), "model": tensors}


LAYOUTS = {
    "torchvision": lambda tensors: tensors | linear("fc", 3, 6),
    "DataParallel": lambda tensors: behind("module.", tensors | linear("fc", 3, 6)),
    "layumi": lambda tensors: behind("model.", tensors | linear("fc", 10, 6)) | block("classifier"),
    "layumi PCB": lambda tensors: behind("model.", tensors) | block("classifier0") | block("classifier1"),
    "strong baseline": lambda tensors: (
        behind("base.", tensors) | linear("bottleneck", 6) | {"classifier.weight": torch.ones(3, 6)}
    ),
    "FastReID": fastreid,
    "FastReID without buffers": lambda tensors: fastreid(tensors, buffers=False),
    "Torchreid": torchreid,
    "Torchreid in parallel": lambda tensors: torchreid(behind("module.", tensors)),
    "MoCo": moco,
    "compiled": lambda tensors: behind("_orig_mod.module.", tensors),
    "wrapped twice": lambda tensors: behind("module.module.backbone.base.", tensors),
    "Lightning": lambda tensors: {"state_dict": behind("net.model.", tensors), "hyper_parameters": {"lr": 0.1}},
    "with an average": two_networks,
    "student and teacher": lambda tensors: {
        "student": behind("module.backbone.", state(9)),
        "teacher": behind("backbone.", tensors),
    },
}
SEVERAL = {
    "MoCo": "'state_dict.module.encoder_q' was taken, and not 'state_dict.module.encoder_k'",
    "with an average": "'model' was taken, and not 'model_ema.module'",
    "student and teacher": "'teacher.backbone' was taken, and not 'student.module.backbone'",
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "older"])
def test_every_layout_loads(tmp_path, people, layout, zipped):
    """The network has exactly the weights that were put in; several networks in a file are told apart by a warning."""
    path = tmp_path / "weights.pth"
    torch.save(LAYOUTS[layout](state()), path, _use_new_zipfile_serialization=zipped)
    reid = MultiDepthReID(backbone=small_resnet, weights=path, max_epochs=0, n_filters=2, input_size=(32, 16),
                          device="cpu", random_state=0)  # fmt: skip
    if layout in SEVERAL:
        with pytest.warns(WeightsWarning, match=SEVERAL[layout]) as caught:
            reid.fit(people.images, people.target)
        assert [each.filename for each in caught] == [__file__]
    else:
        reid.fit(people.images, people.target)
    assert set(reid.weights_) == set(state())
    for name, tensor in state().items():
        np.testing.assert_array_equal(reid.weights_[name], tensor.numpy())
    assert reid.normalization_ == IMAGENET


@pytest.mark.parametrize("layout", ["torchvision", "FastReID", "MoCo"])
def test_a_whole_file_of_torchvisions_own_network_fits(tmp_path, layout):
    """The names above are those of a real ResNet."""
    torch.manual_seed(0)
    whole = build_backbone("resnet18", 3).weights()
    tensors = {name: torch.from_numpy(values) for name, values in whole.items()}
    torch.save({"state_dict": behind("module.encoder_q.", tensors)}, tmp_path / "w.pth")
    taken, *_ = initial_weights(tmp_path / "w.pth", "resnet18")
    assert all(np.array_equal(taken[name], values) for name, values in whole.items())


def test_what_was_taken_and_what_was_left_is_shown_if_verbose(tmp_path, people, capfd):
    """In one line, with the normalisation."""
    torch.save(fastreid(state(), buffers=False), tmp_path / "w.pth")
    reid = MultiDepthReID(backbone=small_resnet, weights=tmp_path / "w.pth", max_epochs=0, n_filters=2, verbose=1,
                          input_size=(32, 16), device="cpu", random_state=0)  # fmt: skip
    reid.fit(people.images, people.target)
    shown = capfd.readouterr()
    assert not shown.out
    line = next(line for line in shown.err.splitlines() if "took" in line)
    assert f"w.pth': took {len(state())} tensors behind 'model.backbone.', left model.heads (2)" in line
    assert "normalisation: ImageNet's, since the file holds none" in line
    reid.set_params(verbose=0).fit(people.images, people.target)
    assert "took" not in capfd.readouterr().err


def test_what_is_left_is_counted_by_what_names_begin_with(tmp_path):
    """One part more than they share with the names taken."""
    said = []
    torch.save(moco(state()), tmp_path / "w.pth")
    with pytest.warns(WeightsWarning):
        initial_weights(tmp_path / "w.pth", small_resnet, said.append)
    left = said[0].partition("left ")[2].partition(";")[0]
    assert set(left.split(", ")) == {
        "state_dict.module.encoder_q.fc (4)",
        f"state_dict.module.encoder_k ({len(state()) + 4})",
        "state_dict.module.queue (1)",
        "state_dict.module.queue_ptr (1)",
    }


@pytest.mark.parametrize("again", ["same object", "equal", "unequal", "other shapes", "unreadable"])
def test_a_second_network_warns_only_if_it_is_another_one(tmp_path, again, recwarn):
    """Copies are no choice, and neither is a network of other shapes."""
    second = {
        "same object": lambda: first,
        "equal": lambda: OrderedDict((name, tensor.clone()) for name, tensor in first.items()),
        "unequal": lambda: first | {"bn1.bias": first["bn1.bias"] + 1},
        "other shapes": lambda: first | {"bn1.bias": torch.ones(7)},
        "unreadable": lambda: first | {"bn1.bias": torch.ones(1).expand(4)},
    }
    first = state()
    torch.save({"model": first, "model_ema": second[again]()}, tmp_path / "w.pth")
    taken, *_ = initial_weights(tmp_path / "w.pth", small_resnet)
    np.testing.assert_array_equal(taken["bn1.bias"], first["bn1.bias"].numpy())
    assert bool(recwarn.list) == (again in ("unequal", "unreadable"))


def test_of_networks_of_several_sizes_the_one_that_fits_is_taken(tmp_path):
    """A discriminator before it has the same names and other shapes."""
    other = OrderedDict((name, torch.ones(2, *tensor.shape)) for name, tensor in state().items())
    deeper = behind("deeper.", state(9) | {"layer2.1.conv1.weight": torch.ones(6, 6, 3, 3)})
    torch.save(behind("other.", other) | deeper | behind("mine.", state()), tmp_path / "w.pth")
    taken, *_ = initial_weights(tmp_path / "w.pth", small_resnet)
    np.testing.assert_array_equal(taken["conv1.weight"], state()["conv1.weight"].numpy())


def test_missing_tensors_are_counted_even_if_the_first_is_missing(tmp_path):
    """The file holds half of them; the message names it and the first that it lacks."""
    names = list(state())
    needed = [name for name in names if "num_batches" not in name]
    half = needed[: len(needed) // 2]
    torch.save(behind("module.", {name: state()[name] for name in names if name not in half}), tmp_path / "w.pth")
    message = f"{len(half)} of {len(needed)} tensors are missing, the first being 'conv1.weight'"
    with pytest.raises(ValueError, match=rf"w\.pth' do not belong to this backbone: {message}"):
        initial_weights(tmp_path / "w.pth", small_resnet)


def test_counters_of_batches_may_be_missing(tmp_path):
    """Older versions of torch did not store them."""
    torch.save({name: tensor for name, tensor in state().items() if "num_batches" not in name}, tmp_path / "w.pth")
    taken, *_ = initial_weights(tmp_path / "w.pth", small_resnet)
    assert taken["bn1.num_batches_tracked"] == 0


def test_weights_for_a_network_without_weights_are_refused(tmp_path):
    torch.save(state(), tmp_path / "w.pth")
    with pytest.raises(ValueError, match="the backbone has no weights"):
        initial_weights(tmp_path / "w.pth", lambda: nn.Sequential(nn.MaxPool2d(2)))


def test_weights_that_do_not_fit_are_refused_before_any_training(tmp_path, people, monkeypatch):
    monkeypatch.setattr("skreid.multidepth.train", lambda *_, **__: pytest.fail("it trained"))
    torch.save(linear("fc", 2, 2), tmp_path / "w.pth")
    with pytest.raises(ValueError, match="do not belong to this backbone"):
        MultiDepthReID(backbone=small_resnet, weights=tmp_path / "w.pth", n_filters=2).fit(people.images, people.target)


def cyclic():
    values = dict(state())
    values["self"] = values
    return values


def deep():
    values = dict(state())
    for _ in range(50):
        values = {"within": values}
    return values


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda: {"a.b": torch.ones(1), "a": {"b": torch.ones(1)}}, "two tensors named 'a.b'"),
        (deep, "expected a state dict of named tensors, got dict"),
        (lambda: [torch.ones(1)], "expected a state dict of named tensors, got list"),
        (lambda: torch.ones(1), "expected a state dict of named tensors, got Tensor"),
        (lambda: {"epoch": 3}, "expected a state dict of named tensors, got dict"),
        (lambda: {0: torch.ones(1)}, "expected a state dict of named tensors, got dict"),
    ],
)
def test_files_without_a_state_dict_are_refused(tmp_path, content, message):
    torch.save(content(), tmp_path / "w.pth")
    with pytest.raises(ValueError, match=message):
        initial_weights(tmp_path / "w.pth", small_resnet)


def test_a_dict_that_holds_itself_is_read_once(tmp_path):
    torch.save(cyclic(), tmp_path / "w.pth")
    assert set(read_tensors(tmp_path / "w.pth")) == set(state())
    assert set(initial_weights(tmp_path / "w.pth", small_resnet)[0]) == set(state())


@pytest.mark.parametrize("name", ["\x1b[31mred", "new\nline", "\u202eleft", "long" * 1000])
@pytest.mark.parametrize("kind", ["torch", "safetensors"])
def test_names_that_are_no_layers_are_refused(tmp_path, name, kind):
    """They would be shown on a terminal, and the error shows them escaped and short."""
    path, tensors = tmp_path / "w.pth", state() | {name: torch.ones(1)}
    torch.save(tensors, path) if kind == "torch" else save_file(tensors, path)
    with pytest.raises(ValueError, match=r"w\.pth' names a tensor '.*', as no layer is called") as caught:
        initial_weights(path, small_resnet)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < len(str(path)) + 200


def test_what_is_left_is_listed_in_part_if_it_is_much(tmp_path):
    """The line stays one line."""
    said = []
    torch.save(state() | {f"other{i}": torch.ones(1) for i in range(40)}, tmp_path / "w.pth")
    initial_weights(tmp_path / "w.pth", small_resnet, said.append)
    assert "left other0 (1), other1 (1), " in said[0]
    assert "other11 (1) and 28 other groups; normalisation" in said[0]


@pytest.mark.parametrize(
    ("counter", "message"),
    [
        (torch.tensor(torch.nan), "holds NaN or infinite values"),
        (torch.tensor(1e300, dtype=torch.float64), "holds values that are no int64"),
        (torch.tensor(2.5), "holds values that are no int64"),
    ],
)
def test_a_counter_that_is_no_whole_number_is_refused(tmp_path, counter, message, recwarn):
    torch.save(state() | {"bn1.num_batches_tracked": counter}, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=rf"w\.pth': 'bn1\.num_batches_tracked' {message}"):
        initial_weights(tmp_path / "w.pth", small_resnet)
    assert not recwarn.list


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_a_nested_tensor_is_refused_by_name(tmp_path):
    """It has no shape to compare; older versions of torch cannot even read it, and say so in one sentence."""
    torch.save(state() | {"bn1.bias": torch.nested.nested_tensor([torch.ones(3)])}, tmp_path / "w.pth")
    old = r"not a file of torch \(NotImplementedError: [^.]*NestedTensor[^.]*\.\)"
    reason = rf"(it holds a nested tensor, 'bn1\.bias'|{old})"
    with pytest.raises(ValueError, match=rf"w\.pth' could not be read .*{reason}"):
        initial_weights(tmp_path / "w.pth", small_resnet)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "older"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_a_file_cut_short_is_reported_as_such(tmp_path, zipped, share):
    """Whatever torch says of it."""
    path = tmp_path / "w.pth"
    torch.save(state(), path, _use_new_zipfile_serialization=zipped)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"w\.pth' could not be read .* damaged"):
        initial_weights(path, small_resnet)


# normalisation --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["", "model.", "model.backbone."])
@pytest.mark.parametrize("scale", [1, 255])
def test_a_file_brings_its_own_normalisation(tmp_path, where, scale):
    """It stands anywhere above the network, for pixels in [0, 1] or in [0, 255]."""
    mean, std = (0.5, 0.25, 0.125), (0.75, 0.5, 0.25)
    pixels = {f"{where}pixel_mean": torch.tensor(mean) * scale, f"{where}pixel_std": torch.tensor(std) * scale}
    torch.save(behind("model.backbone.", state()) | pixels, tmp_path / "w.pth")
    _, *normalization = initial_weights(tmp_path / "w.pth", small_resnet)
    np.testing.assert_allclose(normalization, (mean, std), rtol=1e-12)


def test_the_normalisation_of_another_network_does_not_count(tmp_path):
    torch.save(behind("model.", state()) | {"other.pixel_mean": torch.ones(3)}, tmp_path / "w.pth")
    assert tuple(initial_weights(tmp_path / "w.pth", small_resnet)[1:]) == IMAGENET


@pytest.mark.parametrize(
    "pixels",
    [
        {"pixel_mean": torch.ones(3)},
        {"pixel_std": torch.ones(3)},
        {"pixel_mean": torch.ones(3), "pixel_std": torch.zeros(3)},
        {"pixel_mean": torch.ones(1), "pixel_std": torch.ones(1)},
        {"pixel_mean": torch.tensor([0.5, torch.nan, 0.5]), "pixel_std": torch.ones(3)},
    ],
)
def test_a_damaged_normalisation_is_refused(tmp_path, pixels):
    torch.save(state() | pixels, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=r"'pixel_mean' and 'pixel_std' must be three finite numbers each"):
        initial_weights(tmp_path / "w.pth", small_resnet)


# NumPy's numbers, and nothing else ------------------------------------------------------------------------

NUMBERS = [
    np.float64(1 / 3),
    np.float32(0.1),
    np.float16(0.1),
    np.int64(-7),
    np.uint8(200),
    np.bool_(True),
    np.int32(5),
]


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number.dtype.name)
def test_numpy_numbers_become_pythons(tmp_path, number):
    """NumPy 1 wrote them under another name."""
    path = tmp_path / "w.pth"
    torch.save({"rank1": number}, path, _use_new_zipfile_serialization=False)
    for content in (path.read_bytes(), path.read_bytes().replace(b"numpy._core.", b"numpy.core.")):
        path.write_bytes(content)
        with numpy_scalars():
            read = load_tensors(path)["rank1"]
        assert type(read) is type(number.item())
        assert read == number.item()


def test_the_byte_order_of_a_number_counts(tmp_path):
    class Big:
        def __reduce__(self):
            return np.float64(1.5).__reduce__()[0], (np.dtype(">f8"), np.array(1.5, ">f8").tobytes())

    torch.save({"rank1": Big()}, tmp_path / "w.pth")
    with numpy_scalars():
        assert load_tensors(tmp_path / "w.pth")["rank1"] == 1.5


class Calls:
    """An object whose pickle calls a function with arguments; a state is set afterwards."""

    def __init__(self, function, *arguments, state=None):
        self.reduced = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.reduced


scalar = np.float64(0).__reduce__()[0]
double = np.dtype("f8")
HOSTILE = {
    "a command": lambda ran: Calls(os.system, f"touch {ran}"),
    "a file": lambda ran: Calls(open, ran, "w"),
    "an object as a number": lambda ran: Calls(scalar, np.dtype("O"), "text"),
    "a command as a number": lambda ran: Calls(scalar, np.dtype("O"), Calls(os.system, f"touch {ran}")),
    "a command as bytes": lambda ran: Calls(scalar, double, Calls(os.system, f"touch {ran}")),
    "a record with objects": lambda ran: Calls(scalar, np.dtype([("a", "O")]), bytes(8)),
    "a huge void": lambda ran: Calls(scalar, np.dtype("V2000000000")),
    "text": lambda ran: np.str_("text"),
    "a date": lambda ran: np.datetime64("2020-01-01"),
    "too few bytes": lambda ran: Calls(scalar, double, b"1234"),
    "too many bytes": lambda ran: Calls(scalar, double, bytes(16)),
    "no bytes": lambda ran: Calls(scalar, double),
    "no kind": lambda ran: Calls(scalar, "f8", bytes(8)),
    "a kind of another kind": lambda ran: Calls(np.dtype, double),
    "a kind with another state": lambda ran: Calls(np.dtype, "f8", state={"code": "O"}),
    "an array": lambda ran: np.ones(3),
    "a record": lambda ran: np.zeros(1, [("a", "f8")])[0],
    "numpy's own loader": lambda ran: Calls(np.load, ran),
    "a namespace": lambda ran: collections.ChainMap({"lr": 0.1}),
}


@pytest.mark.parametrize("attack", HOSTILE)
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "older"])
def test_anything_but_numbers_is_refused(tmp_path, attack, zipped):
    """Beside good weights and an honest number; nothing is run."""
    ran = tmp_path / "ran"
    content = torchreid(state()) | {"more": HOSTILE[attack](str(ran))}
    torch.save(content, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    allowed = set(get_safe_globals())
    with pytest.raises(ValueError, match=r"w\.pth' could not be read .* \(nothing in it was run\)"):
        initial_weights(tmp_path / "w.pth", small_resnet)
    assert not ran.exists()
    assert set(get_safe_globals()) == allowed


def test_the_attacks_work_where_pickles_are_run(tmp_path):
    """They are refused for what they do, not because they are damaged."""
    import pickle

    pickle.loads(pickle.dumps(HOSTILE["a command"](str(tmp_path / "ran"))))
    assert (tmp_path / "ran").exists()


def test_the_message_names_what_a_file_holds(tmp_path):
    torch.save(state() | {"args": collections.ChainMap()}, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=r"it holds more than tensors \(collections.ChainMap\), or is damaged; save"):
        initial_weights(tmp_path / "w.pth", small_resnet)


def test_files_are_read_in_threads(tmp_path):
    """What torch allows is global, and one reader does not end it for another."""
    torch.save(torchreid(state()), tmp_path / "w.pth")
    failed = []

    def read():
        try:
            for _ in range(5):
                initial_weights(tmp_path / "w.pth", small_resnet)
        except ValueError as error:
            failed.append(error)

    allowed = set(get_safe_globals())
    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert set(get_safe_globals()) == allowed


def test_what_the_user_allowed_stays_allowed(tmp_path):
    """NumPy's own functions, allowed by the user, read the file as before."""
    torch.save(torchreid(state()), tmp_path / "w.pth")
    own = [scalar, np.dtype, type(np.dtype("f4"))]
    with torch.serialization.safe_globals(own):
        initial_weights(tmp_path / "w.pth", small_resnet)
        assert set(own) <= set(get_safe_globals())
