"""Early stopping: when training ends, and which epoch's weights it returns."""

import math


class EarlyStopping:
    """Watches the validation figures, or the training figures if there are none, and keeps the best epoch's weights.

    The best has the highest validation accuracy and, among equals, the lowest loss. Without validation images it has
    the lowest training loss: training accuracy soon is 1, and says little more. The weights stay on the network's
    device as tensors, so that no epoch waits for a copy.

    Parameters
    ----------
    patience : int
        Epochs without progress after which training ends.
    """

    def __init__(self, patience):
        self.patience, self.stalled = patience, 0
        self.accuracy, self.loss = -math.inf, math.inf
        self.best, self.epoch, self.weights = (-math.inf, -math.inf), None, None

    @property
    def done(self):
        """Whether neither accuracy has risen nor loss fallen for `patience` epochs."""
        return self.stalled >= self.patience

    def state_dict(self):
        """Return the state as tensors and plain values."""
        return vars(self) | {"weights": self.weights or {}}

    def load_state_dict(self, state):
        """Take over a state that `state_dict` returned."""
        vars(self).update(state)

    def update(self, record, network):
        """Take in the record of an epoch and, if it is the best so far, the network's weights."""
        learned = math.isnan(record["validation_loss"])  # by all images: none is held out
        kind = "train" if learned else "validation"
        accuracy, loss = record[f"{kind}_accuracy"], record[f"{kind}_loss"]
        self.stalled = 0 if accuracy > self.accuracy or loss < self.loss else self.stalled + 1
        self.accuracy, self.loss = max(self.accuracy, accuracy), min(self.loss, loss)
        value = (0 if learned else accuracy, -loss)
        if value > self.best:
            self.best, self.epoch, self.weights = value, record["epoch"], network.snapshot()
