"""Describers for tests that leave traces, wait or kill; a light module, since every worker imports it."""

import os
import signal
import time
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin


class Means(TransformerMixin, BaseEstimator):
    """Colour means; it notes every process that unpickles it, and takes its time if asked to."""

    def __init__(self, log=None, seconds=0.0):
        self.log, self.seconds = log, seconds

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        time.sleep(self.seconds)
        if self.log is not None:
            (Path(self.log) / f"described-{os.getpid()}").touch()
        return np.array([np.asarray(image, dtype=np.float64).mean(axis=(0, 1)) for image in X]).reshape(-1, 3)

    def __setstate__(self, state):
        super().__setstate__(state)
        if self.log is not None:
            with (Path(self.log) / f"loaded-{os.getpid()}").open("a") as file:
                file.write("x")


class Interrupted(Means):
    """Stops at the fourth chunk while a file says so."""

    def transform(self, X):
        calls = Path(self.log) / "calls"
        with calls.open("a") as file:
            file.write("x")
        if (Path(self.log) / "stop").exists() and len(calls.read_text()) == 4:
            raise KeyboardInterrupt
        return super().transform(X)


class Killed(Means):
    """Kills the first process that comes to its third chunk."""

    def transform(self, X):
        calls = Path(self.log) / f"calls-{os.getpid()}"
        with calls.open("a") as file:
            file.write("x")
        killed = Path(self.log) / "killed"
        if len(calls.read_text()) >= 3 and not killed.exists():  # two threads may both see the fourth
            killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().transform(X)
