"""evaluation_report: what a reader needs to trust a figure, in the order they ask for it.

Under which protocol, how good, where it fails, what was learned, with which settings and versions.
"""

import math
import os
import platform
import warnings
from importlib.metadata import PackageNotFoundError, version
from inspect import signature
from numbers import Integral
from pathlib import Path

import numpy as np

from skreid._base.dataset import get_column
from skreid.displays import CMCDisplay, FilterMarginDisplay, TrainingCurveDisplay
from skreid.displays._common import fitted_part, picture, require_matplotlib
from skreid.evaluation import EvaluationResult
from skreid.exceptions import ImageError
from skreid.report._page import escape, folded, page, paragraph, plot, table, thumbnail, visible

PACKAGES = ("skreid", "scikit-learn", "numpy", "scipy", "torch", "torchvision", "pillow", "matplotlib")
GREY = np.full((120, 48, 3), 190, dtype=np.uint8)  # in place of a picture that cannot be read


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
    """Write an evaluation to one HTML file that needs nothing else.

    Parameters
    ----------
    results : EvaluationResult or sequence of EvaluationResult
        Of :func:`skreid.evaluation.evaluate`. All are compared; rankings and filters are the first one's.
    path : str or path-like
        The file to write; one that exists is replaced.
    dataset : Bunch, dict or object, default=None
        The one evaluated, with `images` or `paths`, for the rankings; they are left out without it.
    estimator : fitted estimator, default=None
        Whose training and filters to show; by default the first result's, if it kept one.
    title : str, default="Person re-identification report"
        Of the page.
    n_probes : int, default=3
        Best and worst probes shown, of each; 0 for none.
    n_neighbors : int, default=10
        Gallery images shown a probe, at most those the result kept.
    repeat : int, default=0
        Which repeat's rankings to show.

    Returns
    -------
    path : pathlib.Path
        Of the file written.

    Raises
    ------
    ValueError
        If a parameter is out of range, or the dataset is not the one evaluated.
    TypeError
        If a result is something else.

    Warns
    -----
    UserWarning
        Naming the pictures that cannot be read, which are grey and labelled so.

    Notes
    -----
    The file is the same, byte for byte, for the same arguments, machine and versions. Pictures of the
    dataset are embedded: mind who may see them before you pass it on.

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
    sections = [
        ("Protocol and figures", _figures(results)),
        ("Recognition by rank", _curves(results)),
        ("Best and worst probes", _rankings(first, dataset, n_probes, n_neighbors, repeat)),
        ("Training", _training(estimator)),
        ("Chosen filters", _filters(estimator)),
        ("Settings", _settings(results)),
        ("Versions", _versions()),
    ]
    path = Path(path)
    path.write_text(page(title, [entry for entry in sections if entry[1]]), encoding="utf-8")
    return path


def _check(results, n_probes, n_neighbors, repeat):
    if not results:
        raise ValueError("results is empty: there is nothing to report.")
    for result in results:
        if not isinstance(result, EvaluationResult):
            raise TypeError(f"results must hold EvaluationResult, as evaluate returns it. Got {type(result)}.")
        if result.ranks != results[0].ranks:
            raise ValueError(
                f"{result.name!r} was evaluated at ranks {result.ranks} and {results[0].name!r} at "
                f"{results[0].ranks}: one table needs the same."
            )
    n_repeats = len(results[0].repeats)
    for name, value, low, high in (
        ("n_probes", n_probes, 0, math.inf),
        ("n_neighbors", n_neighbors, 1, math.inf),
        ("repeat", repeat, 0, n_repeats),
    ):
        if isinstance(value, bool) or not isinstance(value, Integral) or not low <= value < high:
            raise ValueError(
                f"The {name!r} parameter of evaluation_report must be an int in the range [{low}, {high}). "
                f"Got {value!r} instead."
            )


def _figures(results):
    """Return the protocol statements, the table of figures and the values of each repeat."""
    protocols = list(dict.fromkeys(result.protocol for result in results))
    parts = []
    for i, protocol in enumerate(protocols, 1):
        parts.append(paragraph(f"[{i}] {protocol}" if len(protocols) > 1 else protocol, "protocol"))
    if len(protocols) > 1:
        parts.append(paragraph("Figures of different protocols cannot be compared with each other."))
    names = [*(f"Rank {k}" for k in results[0].ranks), "mAP", "mINP"]
    rows, each = [], []
    for result in results:
        row = [result.name]
        for figure, found in result.summaries.items():
            low, high = result.interval[figure]
            spread = "" if math.isnan(found.std) else f" ± {100 * found.std:.1f}"
            note = None if math.isnan(low) else f"{100 * low:.1f} to {100 * high:.1f}"
            row.append((f"{100 * found.mean:.1f}{spread}", note))
        if len(protocols) > 1:
            row.append(f"[{protocols.index(result.protocol) + 1}]")
        rows.append(row)
        each += [
            [f"{result.name}, repeat {i + 1}", *(f"{100 * values[i]:.1f}" for values in result.values.values())]
            for i in range(len(result.repeats))
        ]
        parts.append(paragraph(f"{result.name}: {result.counts()}."))
    confidence = f"{100 * results[0].confidence:g} % confidence interval"
    caption = f"Percent: mean ± standard deviation over the repeats; below, the {confidence}"
    head = ["System", *names] + ["Protocol"] * (len(protocols) > 1)
    parts.append(table(caption, head, rows, range(1, len(head))))
    if len(each) > len(results):
        parts.append(
            folded("Figures of each repeat", table("Percent", ["Repeat", *names], each, range(1, len(names) + 1)))
        )
    return "\n".join(parts)


def _curves(results):
    figure, ax = _new_figure(7, 4.4)
    for result in results:
        CMCDisplay.from_evaluation(result, name=_drawable(result.name), ax=ax)
    said = "; ".join(f"{result.name}: {100 * result.cmc[:, 0].mean():.1f} % at rank 1" for result in results)
    alt = f"Cumulative matching characteristic, share of probes found within rank k. {said}. See the table above."
    return plot(figure, "Cumulative matching characteristic", alt)


def _drawable(name):
    """Return a name as matplotlib may draw it: a dollar is no formula."""
    return visible(name).replace("$", r"\$")


def _rankings(result, dataset, n_probes, n_neighbors, repeat):
    """Return the rankings of the probes that were found best and worst in one repeat."""
    done = result.repeats[repeat]
    images = None if dataset is None else get_column(dataset, "images", "paths")
    if not n_probes or images is None or not done.nearest.indices.shape[1]:
        return ""
    places = np.append(done.nearest.indices.ravel(), done.probe)
    target = get_column(dataset, "target")
    if target is None or len(target) <= places.max():
        raise ValueError(
            f"dataset.target has {0 if target is None else len(target)} entries, but an image at place "
            f"{places.max()} was ranked: pass the dataset that was evaluated."
        )
    first, precision = done.metrics.first_rank, done.metrics.average_precision
    known = np.flatnonzero(first > 0)
    order = known[np.lexsort((done.nearest.distances[known, 0], -precision[known], first[known]))]
    best = order[:n_probes]
    worst = order[len(best) :][::-1][:n_probes]
    shown = _Shown(dataset, images, target, n_neighbors)
    parts = [
        paragraph(
            f"{result.name}, repeat {repeat + 1}. ✓ and a solid frame: the probe's person; ✗ and a dashed frame: "
            "somebody else. The number after the rank is the distance."
        )
    ]
    for heading, chosen in (("Best", best), ("Worst", worst)):
        if len(chosen):
            parts.append(f"<h3>{heading}</h3>")
            parts += [shown.ranking(done, i) for i in chosen]
    n_lost = int((first == 0).sum())
    if n_lost:
        parts.append(paragraph(f"Not shown: {n_lost} probes without a true match in the gallery."))
    shown.warn_unreadable()
    return "\n".join(parts)


class _Shown:
    """Rankings as lists of pictures with words, which wrap where the screen is narrow."""

    def __init__(self, dataset, images, target, n_neighbors):
        self._images, self._target, self._n_neighbors = images, target, n_neighbors
        self._unreadable = {}  # place -> reason
        self._cams, self._paths = get_column(dataset, "cams"), get_column(dataset, "paths")

    def ranking(self, done, row):
        """Return one probe and its nearest gallery images."""
        probe = int(done.probe[row])
        rank = int(done.metrics.first_rank[row])
        said = f"{self._say(probe)}: first match at rank {rank}, average precision "
        said += f"{done.metrics.average_precision[row]:.2f}"
        items = [f'<li class="probe">{self._item(probe, "Probe", ["probe"])}</li>']
        for rank, (index, distance, match) in enumerate(
            zip(done.nearest.indices[row], done.nearest.distances[row], done.nearest.matches[row], strict=True), 1
        ):
            if index < 0 or rank > self._n_neighbors:
                break
            sign, word, kind = ("✓", "right", "right") if match else ("✗", "wrong", "wrong")
            alt = f"Rank {rank}, {word}, distance {distance:.3g}"
            words = [f"{sign} {rank}", f"{distance:.3g}"]
            items.append(f'<li class="{kind}">{self._item(int(index), alt, words)}</li>')
        return f'<div class="ranking"><p>{escape(said)}</p>\n<ul class="strip">\n{"".join(items)}\n</ul></div>'

    def _item(self, place, alt, words):
        try:
            shown = picture(self._images, place)
        except ImageError as error:
            self._unreadable[place] = str(error)
            shown, words, alt = GREY, [*words, "unreadable"], f"{alt}, cannot be read"
        image = thumbnail(shown, f"{alt}: {self._say(place)}")
        hint = escape(self._say(place))
        return f'<figure title="{hint}">{image}<figcaption>{"<br>".join(map(escape, words))}</figcaption></figure>'

    def warn_unreadable(self):
        """Warn of what cannot be read; the page, which others see, leaves out whole paths."""
        if self._unreadable:
            named = "; ".join(self._unreadable[place] for place in sorted(self._unreadable))
            warnings.warn(
                f"{len(self._unreadable)} pictures cannot be read and are grey in the report: {named}", stacklevel=4
            )

    def _say(self, place):
        said = f"identity {self._target[place]}"
        if self._cams is not None:
            said += f", camera {self._cams[place]}"
        if self._paths is not None:
            said += f", {os.path.basename(str(self._paths[place]))}"
        return said


def _training(estimator):
    found = _part(estimator, "history_")
    if found is None or not len(found.history_):
        return ""
    figure, ax = _new_figure(9, 3.6)
    TrainingCurveDisplay.from_estimator(found, ax=ax)
    last = next((record for record in found.history_ if record.get("best")), found.history_[-1])
    n_epochs = len(found.history_)
    said = f"{n_epochs} epoch{'s' * (n_epochs > 1)}; the weights are those of epoch {last['epoch'] + 1}"
    said += f", training accuracy {100 * last['train_accuracy']:.1f} %"
    if not math.isnan(last.get("validation_accuracy", math.nan)):
        said += f", validation accuracy {100 * last['validation_accuracy']:.1f} %"
    return paragraph(f"{said}.") + plot(figure, "Training curve", f"Loss and accuracy over the epochs. {said}.")


def _filters(estimator):
    """Return each layer's margins, and the chosen filters as a table."""
    found = _part(estimator, "filter_distances_")
    if found is None:
        return ""
    parts, rows = [], []
    for layer, distances in found.filter_distances_.items():
        figure, ax = _new_figure(9, 3.8)
        FilterMarginDisplay.from_estimator(found, layer=layer, ax=ax)
        best = ", ".join(map(str, found.filters_[layer][:8]))
        parts.append(
            plot(figure, f"Filters of {layer}", f"Distances and margin of every filter of {layer}; chosen: {best}.")
        )
        for filter_ in found.filters_[layer]:
            same, different = (float(distances[key][filter_]) for key in ("d_same", "d_different"))
            numbers = (same, different, different - same)
            rows.append([layer, str(filter_), *(f"{number:.4g}" for number in numbers)])
    head = ["Layer", "Filter", "Same person", "Different persons", "Margin"]
    caption = "Chosen filters, best first in each layer: mean distances of smoothed maps, and their margin"
    return "\n".join([table(caption, head, rows, range(1, 5)), *parts])


def _settings(results):
    parts = []
    for result in results:
        rows = list(_parameters(result.estimator))
        if rows:
            parts.append(folded(result.name, table(f"Parameters of {result.name}", ["Parameter", "Value", ""], rows)))
    return "\n".join(parts)


def _parameters(estimator, prefix=""):
    """Yield name, value and a remark for every parameter, of the steps of a Pipeline too."""
    if not hasattr(estimator, "get_params"):
        return
    defaults = signature(type(estimator).__init__).parameters
    for name, value in estimator.get_params(deep=False).items():
        if name == "steps" and isinstance(value, list):
            for step, inner in value:
                yield [f"{prefix}{step}", type(inner).__name__, ""]
                yield from _parameters(inner, f"{prefix}{step}__")
        elif hasattr(value, "get_params") and not isinstance(value, type):
            yield [f"{prefix}{name}", type(value).__name__, ""]
            yield from _parameters(value, f"{prefix}{name}__")
        else:
            is_default = name in defaults and repr(defaults[name].default) == repr(value)
            said = value.__qualname__ if callable(value) and hasattr(value, "__qualname__") else repr(value)
            said = " ".join(said.split())
            said = said if len(said) <= 300 else f"{said[:300]}…"
            yield [f"{prefix}{name}", said, "default" if is_default else "set"]


def _versions():
    rows = [["Python", platform.python_version()]]
    for name in PACKAGES:
        try:
            rows.append([name, version(name)])
        except PackageNotFoundError:
            rows.append([name, "not installed"])
    rows.append(["System", f"{platform.system()} {platform.machine()}"])
    return table("Versions", ["Package", "Version"], rows)


def _new_figure(width, height):
    """Return a figure that pyplot does not know of, and its axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def _part(estimator, attribute):
    try:
        return fitted_part(estimator, attribute, "evaluation_report")
    except ValueError:
        return None
