"""evaluation_report: one page with all that a reader needs to judge a figure.

Its order is that of their questions: the protocol, the figures, failures, what was learned, settings and versions.
"""

from pathlib import Path

from skreid._base.checks import check_int
from skreid.displays._common import require_matplotlib
from skreid.evaluation import EvaluationResult
from skreid.report._failures import failures
from skreid.report._learned import filters, training
from skreid.report._page import page
from skreid.report._probes import best_and_worst
from skreid.report._sections import curves, figures, settings, versions


def evaluation_report(
    results,
    path,
    *,
    dataset=None,
    estimator=None,
    title="Person re-identification report",
    n_probes=3,
    n_neighbors=10,
    repeat=0,
):
    """Write an evaluation to a single HTML file that needs no other files.

    Parameters
    ----------
    results : EvaluationResult or sequence of EvaluationResult
        What :func:`skreid.evaluation.evaluate` returned. The figures of all results are compared; rankings, failures,
        training and filters are those of the first, and their headings name it.
    path : str or path-like
        The file to write. An existing file is replaced.
    dataset : Bunch, dict or object, default=None
        The dataset evaluated, with `target` and `images` or `paths`, whose images are shown in rankings. Without it
        there are no rankings.
    estimator : fitted estimator, default=None
        The estimator whose training and filters to show. None takes that of the first result.
    title : str, default="Person re-identification report"
        Title of the page.
    n_probes : int, default=3
        Number of best probes, and of worst probes, to show; 0 shows none.
    n_neighbors : int, default=10
        Number of gallery images shown per probe, at most as many as `evaluate` kept. A true match behind them is shown
        after a gap.
    repeat : int, default=0
        The repeat whose rankings are shown, counted from 0.

    Returns
    -------
    path : pathlib.Path
        The file written.

    Raises
    ------
    ValueError
        If a parameter is out of range, the results have different ranks, or the dataset is not the one evaluated.
    TypeError
        If `results` holds anything but EvaluationResult.

    Warns
    -----
    UserWarning
        If images cannot be read; it names them. In the report they are grey and labelled as unreadable.

    Notes
    -----
    The same arguments, machine and versions write the same file, byte for byte. Images of the dataset are embedded:
    consider who may see them before you share the report.

    Examples
    --------
    >>> import numpy as np
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skreid.evaluation import evaluate
    >>> from skreid.protocols import TwoViewProtocol
    >>> from skreid.report import evaluation_report
    >>> people = {"target": np.repeat(np.arange(8), 2), "cams": np.tile([0, 1], 8)}
    >>> people["data"] = np.random.default_rng(0).normal(size=(16, 3))
    >>> result = evaluate(StandardScaler(), people, TwoViewProtocol(n_repeats=2), ranks=(1, 2))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = evaluation_report(result, Path(folder) / "report.html")
    ...     path.read_text(encoding="utf-8")[:15]
    '<!DOCTYPE html>'
    """
    require_matplotlib("evaluation_report")
    results = [results] if isinstance(results, EvaluationResult) else list(results)
    _check(results, n_probes, n_neighbors, repeat)
    first = results[0]
    if estimator is None:
        estimator = first.estimators[repeat] if first.estimators else first.estimator
    of_first, of_shown = "", ""
    if len(results) > 1:
        of_first, of_shown = f" ({first.name})", f" ({_name_of(estimator, results)})"
    sections = [
        ("Protocol and figures", figures(results)),
        ("Recognition by rank", curves(results)),
        (f"Best and worst probes{of_first}", best_and_worst(first, dataset, n_probes, n_neighbors, repeat)),
        (f"Where it fails{of_first}", failures(first)),
        (f"Training{of_shown}", training(estimator)),
        (f"Chosen filters{of_shown}", filters(estimator)),
        ("Settings", settings(results)),
        ("Versions", versions()),
    ]
    path = Path(path)
    path.write_text(page(title, [(heading, body) for heading, body in sections if body]), encoding="utf-8")
    return path


def _name_of(estimator, results):
    """Return the name of the result that an estimator belongs to; the name of its class if it belongs to none."""
    for result in results:
        if any(own is estimator for own in (result.estimator, *(result.estimators or ()))):
            return result.name
    return type(estimator).__name__


def _check(results, n_probes, n_neighbors, repeat):
    """Refuse results that cannot stand in one table, and parameters out of range."""
    if not results:
        raise ValueError("results is empty: there is nothing to report.")
    for result in results:
        if not isinstance(result, EvaluationResult):
            raise TypeError(
                f"results must hold EvaluationResult, which evaluate returns. Got {type(result).__name__} instead."
            )
        if result.ranks != results[0].ranks:
            raise ValueError(
                f"{result.name!r} was evaluated at ranks {result.ranks} and {results[0].name!r} at "
                f"{results[0].ranks}: a table needs the same ranks."
            )
    check_int(n_probes, "n_probes", "evaluation_report", 0)
    check_int(n_neighbors, "n_neighbors", "evaluation_report")
    check_int(repeat, "repeat", "evaluation_report", 0)
    n_repeats = len(results[0].repeats)
    if repeat >= n_repeats:
        raise ValueError(
            f"The 'repeat' parameter of evaluation_report is {repeat}, but {results[0].name!r} has {n_repeats} "
            "repeats, counted from 0."
        )
