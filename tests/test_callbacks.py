"""scikit-learn's callbacks, and a user's own: epochs are reported, scored and stopped, alone and in a search."""

import numpy as np
import pytest
from conftest import SETTINGS
from sklearn.base import clone
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skreid.multidepth
from skreid import CMCScorer, MultiDepthReID, cmc_score
from skreid.model_selection import IdentityKFold


class Recorder:
    """Records every hook that is called; may stop after some epochs, or raise an error."""

    def __init__(self, stop_after=None, error=None):
        self.stop_after, self.error = stop_after, error
        self.called, self.estimators = [], []

    def setup(self, estimator, context):
        self.called.append("setup")

    def teardown(self, estimator, context):
        self.called.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.called.append(f"begin {context.task_name} {context.task_id}")

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        self.called.append(f"end {context.task_name} {context.task_id}")
        self.estimators.append(fitted_estimator)
        if self.error is not None:
            raise self.error
        return context.task_name == "epoch" and context.task_id + 1 == self.stop_after


class Patience:
    """Stops a training whose loss is low enough, as a user's callback might."""

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        return fitted_estimator.history_[-1]["train_loss"] < 100


@pytest.fixture
def reid(settings):
    return MultiDepthReID(**(settings | {"max_epochs": 3}))


@pytest.fixture
def trainings(monkeypatch):
    """Return a list that grows with each training."""
    original, calls = skreid.multidepth.train, []

    def counted(*args, **kwargs):
        calls.append(1)
        return original(*args, **kwargs)

    monkeypatch.setattr(skreid.multidepth, "train", counted)
    return calls


def search(estimator, **options):
    settings = {"scoring": cmc_score, "cv": IdentityKFold(2), "error_score": "raise"} | options
    return GridSearchCV(estimator, {"blur_size": [1, 4]}, **settings)


def test_every_epoch_is_a_subtask_of_fit(people, reid):
    """Hooks are called in order, and every epoch offers a complete estimator with the history so far."""
    recorder = Recorder()
    reid.set_callbacks(recorder).fit(people.images, people.target)
    epochs = [f"{turn} epoch {epoch}" for epoch in range(3) for turn in ("begin", "end")]
    assert recorder.called == ["setup", "begin fit 0", *epochs, "end fit 0", "teardown"]
    assert [len(one.history_) for one in recorder.estimators] == [1, 2, 3, 3]
    described = [one.transform(people.images) for one in recorder.estimators]
    assert not np.array_equal(described[0], described[1])
    np.testing.assert_array_equal(described[3], reid.transform(people.images))


def test_callbacks_do_not_change_the_fit(people, reid):
    """Descriptors are the same with and without a callback."""
    plain = clone(reid).fit(people.images, people.target).transform(people.images)
    watched = reid.set_callbacks(Recorder()).fit(people.images, people.target).transform(people.images)
    np.testing.assert_array_equal(plain, watched)


@pytest.mark.parametrize("cams", [False, True], ids=["no cameras", "cameras"])
def test_scoring_monitor_scores_every_epoch(people, reid, cams):
    """`ScoringMonitor` logs the score of each epoch's estimator, across cameras if they are given."""
    monitor, recorder = ScoringMonitor(scoring={"rank_1": cmc_score}), Recorder()
    given = {"cams": people.cams} if cams else {}
    reid.set_callbacks(monitor, recorder).fit(people.images, people.target, **given)
    logged = [row["rank_1"] for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert logged == [cmc_score(one, people.images, people.target, **given) for one in recorder.estimators[:3]]


def test_scoring_monitor_logs_several_ranks(people, reid):
    """A scorer of several ranks names its own columns."""
    monitor = ScoringMonitor(scoring=CMCScorer(ranks=(1, 5)))
    reid.set_callbacks(monitor).fit(people.images, people.target)
    table = monitor.get_logs().data_as_pandas
    assert {"rank_1", "rank_5"} <= set(table.columns)
    assert (table["rank_1"] <= table["rank_5"]).all()


def test_scoring_monitor_scores_every_epoch_of_a_search(people, reid, trainings, tmp_path):
    """2 candidates on 2 folds and a refit log five trainings of three epochs, with and without a cache."""
    monitor = ScoringMonitor(scoring={"rank_1": cmc_score})
    search(reid.set_params(memory=tmp_path).set_callbacks(monitor)).fit(people.images, people.target)
    epochs = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert len(epochs) == 15
    assert len({row["parent_task_id_path"] for row in epochs}) == 5
    assert len(trainings) == 5


def test_scoring_monitor_works_in_a_pipeline(people, reid):
    """A callback of a step reports from inside a Pipeline."""
    monitor = ScoringMonitor(scoring={"rank_1": cmc_score})
    make_pipeline(reid.set_callbacks(monitor), StandardScaler()).fit(people.images, people.target)
    assert sum(row["task_name"] == "epoch" for row in monitor.get_logs().data) == 3


def test_progress_bars_reach_the_epochs(people, reid, capsys):
    """scikit-learn's ProgressBar shows epochs, alone and within a search."""
    pytest.importorskip("rich")
    reid.set_callbacks(ProgressBar()).fit(people.images, people.target)
    shown = capsys.readouterr().out
    assert "MultiDepthReID - fit" in shown
    assert "100%" in shown
    reid.set_callbacks()
    search(reid).set_callbacks(ProgressBar(max_propagation_depth=None)).fit(people.images, people.target)
    shown = capsys.readouterr().out
    assert "GridSearchCV - fit" in shown
    assert shown.count("MultiDepthReID - fit") >= 5


def test_a_progress_bar_does_not_disable_the_cache(people, reid, trainings, tmp_path, capsys):
    """A cached training has no epochs to count: the bar ends at once."""
    pytest.importorskip("rich")
    reid.set_params(memory=tmp_path).set_callbacks(ProgressBar())
    for _ in range(2):
        reid.fit(people.images, people.target)
    assert len(trainings) == 1
    assert "100%" in capsys.readouterr().out


@pytest.mark.parametrize("callback", [Recorder(stop_after=1), Patience()], ids=["by count", "by loss"])
def test_a_callback_stops_training(people, reid, callback):
    """A true result ends the training after that epoch; the estimator is complete."""
    reid.set_callbacks(callback).fit(people.images, people.target)
    assert len(reid.history_) == 1
    assert reid.history_[0]["best"]
    assert reid.transform(people.images[:2]).shape == (2, reid.n_features_out_)


def test_a_callback_stops_every_training_of_a_search(people, reid):
    """Clones keep the callback."""
    found = search(reid.set_callbacks(Recorder(stop_after=2))).fit(people.images, people.target)
    assert len(found.best_estimator_.history_) == 2


def test_a_stopped_training_is_never_cached(people, reid, trainings, tmp_path):
    """A training with a callback is not read from the cache either: the callback sees every epoch."""
    reid.set_params(memory=tmp_path).set_callbacks(Recorder(stop_after=1)).fit(people.images, people.target)
    assert len(reid.set_callbacks().fit(people.images, people.target).history_) == 3
    recorder = Recorder()
    reid.set_callbacks(recorder).fit(people.images, people.target)
    assert len(trainings) == 3
    assert "end epoch 2" in recorder.called


def test_errors_of_callbacks_pass_through_fit(people, reid):
    """The error comes through unchanged, after the callback's teardown, and nothing is fitted."""
    recorder = Recorder(error=RuntimeError("enough"))
    with pytest.raises(RuntimeError, match="enough"):
        reid.set_callbacks(recorder).fit(people.images, people.target)
    assert recorder.called[-1] == "teardown"
    assert not hasattr(reid, "weights_")


class OnlyTag(MultiDepthReID):
    """Exposes one parameter of its own; all others are attributes that its users may change."""

    def __init__(self, tag="a"):
        super().__init__(**SETTINGS)
        self.tag = tag


def test_epochs_of_a_subclass_use_its_own_attributes(people):
    """What a callback sees after the last epoch is what the fit learns, whatever `get_params` returns."""
    reid = OnlyTag()
    reid.n_filters, reid.criterion = 1, "joint"
    recorder = Recorder()
    reid.set_callbacks(recorder).fit(people.images, people.target)
    last_epoch = recorder.estimators[-2]
    assert {layer: list(filters) for layer, filters in last_epoch.filters_.items()} == {
        layer: list(filters) for layer, filters in reid.filters_.items()
    }
