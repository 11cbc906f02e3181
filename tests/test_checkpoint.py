"""A training that is killed goes on and ends as if it had not been; bad checkpoints are named."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import narrow

from skreid.checkpoint import Checkpoint
from skreid.images import ImageSource
from skreid.training import TrainingSettings, train

ORIGIN = {"images": "abc", "learning_rate": "0.01"}
N_EPOCHS = 6


def run(folder=None, on_epoch=lambda record, weights: False, origin=ORIGIN):
    """Train a narrow network on noise, with or without a checkpoint."""
    settings = TrainingSettings(
        narrow, None, (0.5,) * 3, (0.2,) * 3, N_EPOCHS, 8, 1e-2, 0.25, 10, ("flip", "crop", "color", "erase"), 0
    )
    pixels = np.random.default_rng(0).integers(0, 256, (32, 16, 8, 3), dtype=np.uint8)
    labels = np.repeat(np.arange(8), 4)
    checkpoint = None if folder is None else Checkpoint(folder, origin)
    device = torch.device("cpu")
    return train(ImageSource(pixels), labels, settings, device=device, on_epoch=on_epoch, checkpoint=checkpoint)


def interrupt_after(epoch):
    def on_epoch(record, weights):
        if record["epoch"] == epoch:
            raise KeyboardInterrupt

    return on_epoch


def assert_same(found, expected):
    """Weights bit for bit, and the history but for the clock."""
    assert all(np.array_equal(found[0][name], expected[0][name]) for name in expected[0])
    without_clock = [[{**record, "seconds": 0} for record in history] for _, history in (found, expected)]
    assert without_clock[0] == without_clock[1]


@pytest.mark.parametrize("epoch", [0, 2, N_EPOCHS - 1])
def test_an_interrupted_training_ends_as_an_uninterrupted_one(tmp_path, epoch):
    """Bit for bit, wherever it was cut."""
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, interrupt_after(epoch))
    assert_same(run(tmp_path), run())


def test_a_finished_training_is_not_run_again(tmp_path):
    """The same call returns the same result without an epoch."""
    expected, seen = run(tmp_path), []
    assert_same(run(tmp_path, lambda record, weights: seen.append(record)), expected)
    assert seen == []


def test_a_killed_process_goes_on(tmp_path):
    """SIGKILL at any moment leaves a folder from which the same call ends alike."""
    code = (
        f"import sys, time; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_checkpoint as t; "
        f"t.run({str(tmp_path)!r}, lambda record, weights: time.sleep(0.2))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "OMP_NUM_THREADS": "1"})
    while not list(tmp_path.glob("epoch-*.pt")):
        time.sleep(0.02)
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(list(tmp_path.glob("epoch-*.pt"))) < N_EPOCHS
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert_same(run(tmp_path), run())
    finally:
        torch.set_num_threads(threads)


def test_a_truncated_checkpoint_falls_back_to_the_one_before(tmp_path):
    """With a warning that names it; the result is the same."""
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, interrupt_after(3))
    newest = sorted(tmp_path.glob("epoch-*.pt"))[-1]
    newest.write_bytes(newest.read_bytes()[:1000])
    with pytest.warns(UserWarning, match=rf"{newest.name} is damaged and passed over"):
        found = run(tmp_path)
    assert_same(found, run())


def test_only_the_last_two_epochs_are_kept(tmp_path):
    """The folder does not grow."""
    run(tmp_path)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["epoch-000004.pt", "epoch-000005.pt"]


def test_another_trainings_checkpoint_is_refused_by_name(tmp_path):
    """The error lists what differs."""
    run(tmp_path)
    with pytest.raises(ValueError, match="another training: images, learning_rate differ"):
        run(tmp_path, origin={"images": "xyz", "learning_rate": "0.1"})


def test_a_full_disk_is_named_and_the_last_good_checkpoint_stays(tmp_path, monkeypatch):
    """No half-written file is left; after space is freed the same call goes on."""
    save, calls = torch.save, []

    def failing(saved, file):
        calls.append(1)
        if len(calls) == 3:
            file.write(b"half")
            raise OSError(28, "No space left on device")
        save(saved, file)

    monkeypatch.setattr(torch, "save", failing)
    with pytest.raises(OSError, match=r"epoch 2 could not be written.*No space left.*last good one is kept"):
        run(tmp_path)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["epoch-000000.pt", "epoch-000001.pt"]
    assert_same(run(tmp_path), run())


def test_a_hostile_checkpoint_is_not_run(tmp_path):
    """Nothing in a file is executed; it counts as damaged."""

    class Evil:
        def __reduce__(self):
            return open, (str(tmp_path / "ran"), "w")

    torch.save({"origin": ORIGIN, "state": Evil()}, tmp_path / "epoch-000000.pt")
    with pytest.warns(UserWarning, match="damaged"):
        run(tmp_path)
    assert not (tmp_path / "ran").exists()


def test_a_callbacks_stop_is_not_kept(tmp_path):
    """It was asked for once; the next call goes on to the end."""
    stopped = run(tmp_path, lambda record, weights: record["epoch"] == 1)
    assert len(stopped[1]) == 2
    assert_same(run(tmp_path), run())
