"""The hooks of one fit: scikit-learn's callbacks and a progress bar are called through one object of named hooks."""

import math
from contextlib import contextmanager

from sklearn.callback import ProgressBar

from skreid._base.bars import progress_bar
from skreid._training.parallel import is_first


class FitCallbacks:
    """Context manager around one fit that reports its progress.

    scikit-learn's callbacks see the fit as one task whose subtasks are the epochs. At the end of each epoch, they may
    ask for the attributes that the estimator would have if the fit ended there, and may stop the training.

    Parameters
    ----------
    estimator : estimator
        With callback support and the parameters `max_epochs` and `verbose`.
    X, y, cams : object
        The arguments of its `fit`.
    """

    def __init__(self, estimator, X, y, cams=None):
        self._estimator = estimator
        self._task = {"estimator": estimator, "X": X, "y": y, "metadata": None if cams is None else {"cams": cams}}

    def __enter__(self):
        self._context = self._estimator._init_callback_context(max_subtasks=self._estimator.max_epochs)
        self._context.call_on_fit_task_begin(**self._task)
        return self

    def __exit__(self, kind, error, trace):
        if kind is None:
            self._context.call_on_fit_task_end(
                **self._task, reconstruction_attributes=lambda: learned_attributes(self._estimator)
            )

    @property
    def watch_epochs(self):
        """Whether a callback may look at epochs or stop the training: any may, except a progress bar."""
        callbacks = getattr(self._estimator, "_skl_callbacks", ())
        return any(not isinstance(callback, ProgressBar) for callback in callbacks)

    @contextmanager
    def training(self, learned_after):
        """Show a bar of epochs while the network is trained.

        Parameters
        ----------
        learned_after : callable
            ``learned_after(weights, history)`` -> dict of the attributes that a fit ending there would learn.
        """
        self._learned_after, self._history = learned_after, []
        hidden = not self._estimator.verbose or not is_first()
        with progress_bar("Training", "epoch", self._estimator.max_epochs, shown=not hidden) as self._bar:
            yield

    def on_epoch_end(self, record, weights):
        """Report an epoch.

        Parameters
        ----------
        record : dict
            Its record, as in `history_`.
        weights : callable
            Returns the network's weights.

        Returns
        -------
        stop : bool
            Whether a callback wants the training to stop.
        """
        self._history.append(record)
        history = list(self._history)
        self._bar.n = record["epoch"]  # a resumed training starts later
        kind = "train" if math.isnan(record["validation_accuracy"]) else "validation"
        figures = {"loss": record["train_loss"], f"{kind}_accuracy": record[f"{kind}_accuracy"]}
        self._bar.set_postfix({name: f"{figure:.3f}" for name, figure in figures.items()})
        self._bar.update()
        epoch = self._context.subcontext(task_name="epoch").call_on_fit_task_begin(**self._task)
        return epoch.call_on_fit_task_end(
            **self._task, reconstruction_attributes=lambda: self._learned_after(weights(), history)
        )


def learned_attributes(estimator):
    """Return the attributes that a fitted estimator has learned, by name."""
    return {name: value for name, value in vars(estimator).items() if name.endswith("_") and name[0] != "_"}
