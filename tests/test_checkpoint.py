"""An interrupted training resumes and ends as if it had not been interrupted; bad checkpoints are reported."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from conftest import SETTINGS
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import narrow
from strategies import damages

from skreid import MultiDepthReID
from skreid._images.source import ImageSource
from skreid._training import checkpoint, loop
from skreid._training.checkpoint import Checkpoint
from skreid._training.loop import TrainingSettings, train
from skreid.datasets import make_pedestrians

ORIGIN = {"images": "abc", "learning_rate": "0.01"}
N_EPOCHS = 6


def run(folder=None, on_epoch=lambda record, weights: False, origin=ORIGIN, backbone=narrow):
    """Train a narrow network on noise, with or without a checkpoint."""
    chosen = TrainingSettings(
        backbone, None, (0.5,) * 3, (0.2,) * 3, N_EPOCHS, 8, 1e-2, 0.25, 10, ("flip", "crop", "color", "erase"), 0
    )
    pixels = np.random.default_rng(0).integers(0, 256, (32, 16, 8, 3), dtype=np.uint8)
    labels = np.repeat(np.arange(8), 4)
    kept = None if folder is None else Checkpoint(folder, origin)
    device = torch.device("cpu")
    return train(ImageSource(pixels), labels, chosen, device=device, on_epoch=on_epoch, checkpoint=kept)


def interrupt_after(epoch):
    def on_epoch(record, weights):
        if record["epoch"] == epoch:
            raise KeyboardInterrupt

    return on_epoch


def assert_same(result, expected):
    """Weights bit for bit, and the history but for the clock."""
    assert all(np.array_equal(result[0][name], expected[0][name]) for name in expected[0])
    without_clock = [[{**record, "seconds": 0} for record in history] for _, history in (result, expected)]
    assert without_clock[0] == without_clock[1]


@pytest.mark.parametrize("epoch", [0, 2, N_EPOCHS - 1])
def test_an_interrupted_training_ends_like_an_uninterrupted_one(tmp_path, epoch):
    """The weights are the same bit for bit, whichever epoch it was interrupted after."""
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, interrupt_after(epoch))
    assert_same(run(tmp_path), run())


def forgetful():
    """Return a network that draws at random while it trains."""
    return torch.nn.Sequential(OrderedDict([*narrow().named_children(), ("dropout", torch.nn.Dropout(0.5))]))


def test_training_with_dropout_is_repeatable(tmp_path):
    """Dropout is drawn from the seed and the epoch, and torch's own generator does not advance."""
    state = torch.random.get_rng_state()
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, interrupt_after(2), backbone=forgetful)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(1)
    assert_same(run(tmp_path, backbone=forgetful), run(backbone=forgetful))


def test_a_finished_training_is_not_repeated(tmp_path):
    """The same call returns the same result without training an epoch."""
    expected, seen = run(tmp_path), []
    assert_same(run(tmp_path, lambda record, weights: seen.append(record)), expected)
    assert seen == []


def fit(folder=None):
    """Fit an estimator on small images."""
    people = make_pedestrians(n_identities=8, n_cameras=2, n_shots=2, image_size=(32, 16), random_state=0)
    longer = {"max_epochs": 40, "n_iter_no_change": 40, "checkpoint": folder}
    return MultiDepthReID(**SETTINGS | longer).fit(people.images, people.target)


def start(call):
    """Run a call in a process of its own, with one thread."""
    code = f"import sys, time; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_checkpoint as t; {call}"
    return subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "OMP_NUM_THREADS": "1"})


@pytest.fixture
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def kill_somewhere(call, folder, rng):
    """Train for one more epoch and a random time, then kill; return whether the training was still running."""
    before, process = newest(folder), start(call)
    while process.poll() is None and newest(folder) == before:
        time.sleep(0.002)
    try:
        process.wait(timeout=rng.uniform(0, 0.15))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def newest(folder):
    return max((int(path.stem[-6:]) for path in folder.glob("epoch-[0-9]*.pt")), default=-1)


def test_training_continues_after_its_process_was_killed(tmp_path, one_thread):
    """After SIGKILL in the middle, the same call ends with the same weights."""
    slowly = f"t.run({str(tmp_path)!r}, lambda record, weights: time.sleep(0.2))"
    assert kill_somewhere(slowly, tmp_path, np.random.default_rng(0))
    assert newest(tmp_path) < N_EPOCHS - 1
    assert_same(run(tmp_path), run())


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_fit_survives_twenty_kills_at_random_moments(tmp_path, one_thread):
    """It ends with the weights of an uninterrupted fit, bit for bit, even if killed while it uses a checkpoint."""
    rng, expected = np.random.default_rng(), fit()
    n_kills, n_trainings = 0, 0
    while n_kills < 20:
        folder = tmp_path / str(n_trainings)
        n_trainings += 1
        folder.mkdir()
        while kill_somewhere(f"t.fit({str(folder)!r})", folder, rng):
            n_kills += 1
        result = fit(folder)
        assert_same((result.weights_, result.history_), (expected.weights_, expected.history_))
        assert joblib.hash(result.filters_) == joblib.hash(expected.filters_)


def test_a_truncated_checkpoint_is_replaced_by_the_one_before(tmp_path):
    """A warning names it, and the result is the same."""
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, interrupt_after(3))
    newest = sorted(tmp_path.glob("epoch-*.pt"))[-1]
    newest.write_bytes(newest.read_bytes()[:1000])
    with pytest.warns(UserWarning, match=rf"{newest.name} is damaged and was skipped"):
        result = run(tmp_path)
    assert_same(result, run())


@settings(max_examples=25)
@given(damage=damages(), which=st.sampled_from(["newest", "both"]))
def test_any_damage_to_a_checkpoint_is_noticed(trained, damage, which):
    """After a byte is changed, lost or added anywhere, the file is skipped in favour of the one before it."""
    folder = trained
    kept = {path: path.read_bytes() for path in sorted(folder.glob("epoch-*.pt"))}
    try:
        for path in list(kept)[-1:] if which == "newest" else kept:
            path.write_bytes(damage(kept[path]))
        with pytest.warns(UserWarning, match="is damaged and was skipped"):
            state = Checkpoint(folder, ORIGIN).load(torch.device("cpu"))
        assert (state is None) == (which == "both")
        assert state is None or len(state["history"]) == N_EPOCHS - 1
    finally:
        for path, content in kept.items():
            path.write_bytes(content)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    run(folder)
    return folder


def test_only_the_last_two_epochs_are_kept(tmp_path):
    """The folder does not grow."""
    run(tmp_path)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["epoch-000004.pt", "epoch-000005.pt"]


def test_a_checkpoint_of_another_training_is_refused(tmp_path):
    """The error lists what differs."""
    run(tmp_path)
    with pytest.raises(ValueError, match="does not match this fit: images, learning_rate changed"):
        run(tmp_path, origin={"images": "xyz", "learning_rate": "0.1"})


def test_a_full_disk_is_reported_and_the_last_good_checkpoint_stays(tmp_path, monkeypatch):
    """No partial file is left, and the same call continues once space is free."""
    save, calls = torch.save, []

    def failing(saved, file):
        calls.append(1)
        if len(calls) == 3:
            file.write(b"half")
            raise OSError(28, "No space left on device")
        save(saved, file)

    monkeypatch.setattr(torch, "save", failing)
    with pytest.raises(OSError, match=r"epoch 3 could not be written.*No space left.*last good one is kept"):
        run(tmp_path)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["epoch-000000.pt", "epoch-000001.pt"]
    assert_same(run(tmp_path), run())


def test_checkpoints_are_written_while_the_next_epoch_runs(tmp_path, monkeypatch):
    """Each file holds the state of its own epoch, although training has changed the weights since."""
    written, trained, save, epoch = [], threading.Event(), Checkpoint.save, loop._Run.train_epoch

    def slow(checkpoint, number, state):
        if number < N_EPOCHS - 1:
            assert trained.wait(20)  # until the next epoch has been trained
        trained.clear()
        written.append((number, threading.current_thread() is threading.main_thread()))
        save(checkpoint, number, state)

    def train_epoch(run):
        result = epoch(run)
        if run.history:
            trained.set()
        return result

    expected = []
    run(on_epoch=lambda record, weights: expected.append(weights()))
    monkeypatch.setattr(Checkpoint, "save", slow)
    monkeypatch.setattr(loop._Run, "train_epoch", train_epoch)
    run(tmp_path)
    assert written == [(number, False) for number in range(N_EPOCHS)]
    for path in sorted(tmp_path.glob("epoch-*.pt")):
        _, state = checkpoint._read(path, path.read_bytes(), "cpu")
        number = int(path.stem[-6:])
        assert [record["epoch"] for record in state["history"]] == list(range(number + 1))
        assert not any("best" in record for record in state["history"])
        for name, weights in expected[number].items():
            assert np.array_equal(state["model"][f"network.layers.{name}"], weights)


def test_an_error_of_the_last_write_is_raised_before_training_ends(tmp_path, monkeypatch):
    """The result is not returned as if it had been kept."""
    save = Checkpoint.save

    def failing(checkpoint, epoch, state):
        if epoch == N_EPOCHS - 1:
            raise OSError("no space")
        save(checkpoint, epoch, state)

    monkeypatch.setattr(Checkpoint, "save", failing)
    with pytest.raises(OSError, match="no space"):
        run(tmp_path)
    assert newest(tmp_path) == N_EPOCHS - 2


def test_an_error_of_a_write_is_added_to_an_interruption(tmp_path, monkeypatch):
    """The interruption is raised, since it came first; nothing is lost in silence."""

    def failing(checkpoint, epoch, state):
        raise OSError("no space")

    monkeypatch.setattr(Checkpoint, "save", failing)
    with pytest.raises(KeyboardInterrupt) as interruption:
        run(tmp_path, interrupt_after(0))
    assert interruption.value.__notes__ == ["no space"]


def test_pickled_code_in_a_checkpoint_is_not_run(tmp_path):
    """Even if its digest is correct, the file counts as damaged."""

    class Evil:
        def __reduce__(self):
            return open, (str(tmp_path / "ran"), "w")

    path = tmp_path / "epoch-000000.pt"
    torch.save({"origin": ORIGIN, "state": Evil()}, path)
    path.write_bytes(path.read_bytes() + hashlib.sha256(path.read_bytes()).digest())
    with pytest.warns(UserWarning, match=r"damaged and was skipped: Weights only load failed"):
        run(tmp_path)
    assert not (tmp_path / "ran").exists()


def test_a_stop_by_a_callback_is_not_saved(tmp_path):
    """The next call trains to the end."""
    stopped = run(tmp_path, lambda record, weights: record["epoch"] == 1)
    assert len(stopped[1]) == 2
    assert_same(run(tmp_path), run())


def test_checkpoints_written_after_two_damaged_ones_are_kept(tmp_path):
    """Damaged files of later epochs do not displace them, and files of other names stay."""
    run(tmp_path)
    for path in tmp_path.glob("epoch-*.pt"):
        path.write_bytes(path.read_bytes()[:-1])
    (tmp_path / "epoch-zz.pt").write_bytes(b"mine")
    with pytest.warns(UserWarning, match="damaged"), pytest.raises(KeyboardInterrupt):
        run(tmp_path, interrupt_after(2))
    assert newest(tmp_path) == 2
    seen = []
    run(tmp_path, lambda record, weights: seen.append(record["epoch"]))
    assert seen == [3, 4, 5]
    assert (tmp_path / "epoch-zz.pt").read_bytes() == b"mine"


def test_a_link_in_place_of_a_new_file_is_not_followed(tmp_path):
    """Somebody who can write to the folder cannot have another file overwritten."""
    (tmp_path / "other").write_text("precious")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "epoch-000000.part").symlink_to(tmp_path / "other")
    run(tmp_path / "folder")
    assert (tmp_path / "other").read_text() == "precious"


def test_a_second_training_in_the_same_folder_is_refused(tmp_path):
    """The folder is free again as soon as the first training ends, in any way."""
    pytest.importorskip("fcntl")
    for _ in range(2):
        with (
            Checkpoint(tmp_path, ORIGIN),
            pytest.raises(RuntimeError, match="Another training uses the checkpoint folder"),
        ):
            Checkpoint(tmp_path, ORIGIN).__enter__()


def test_a_file_given_as_checkpoint_folder_is_refused(tmp_path):
    """The error names the parameter."""
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match=r"checkpoint='.*file' is a file"):
        Checkpoint(tmp_path / "file", ORIGIN)


def test_an_undamaged_file_with_another_state_is_refused(tmp_path):
    """The error says so, instead of naming a missing key."""
    Checkpoint(tmp_path, ORIGIN).save(0, {"history": [], "finished": False})
    with pytest.raises(ValueError, match="holds no state of this training"):
        run(tmp_path)


def test_a_checkpoint_without_read_permission_is_an_error(tmp_path, monkeypatch):
    """It is not treated as damaged, so no epoch in it is trained again."""
    run(tmp_path)

    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(PermissionError, match=r"epoch-000005.pt cannot be read: Permission denied. It is left"):
        run(tmp_path)


def test_a_folder_without_write_permission_is_refused_before_training(tmp_path, monkeypatch):
    """A finished training in it can still be read."""
    finished = run(tmp_path)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert_same(run(tmp_path), finished)
    with pytest.raises(PermissionError, match="cannot be written to"):
        run(tmp_path / "new", lambda record, weights: pytest.fail("an epoch was trained"))
