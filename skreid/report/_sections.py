"""The sections of a report that are tables and plots: figures, curves, training, filters, settings, versions."""

import math
import platform
from importlib.metadata import PackageNotFoundError, version
from inspect import signature
from textwrap import fill

from skreid.displays import CMCDisplay, FilterMarginDisplay, TrainingCurveDisplay
from skreid.displays._common import fitted_part
from skreid.evaluation._result import shown
from skreid.report._page import folded, paragraph, plot, table, visible

PACKAGES = ("skreid", "scikit-learn", "numpy", "scipy", "torch", "torchvision", "pillow", "matplotlib")


def figures(results):
    """Return the statements of the protocols, the table of figures, and the figures of each repeat."""
    protocols = list(dict.fromkeys(result.protocol for result in results))
    several = len(protocols) > 1
    parts = []
    for i, protocol in enumerate(protocols, 1):
        parts.append(paragraph(f"[{i}] {protocol}" if several else protocol, "protocol"))
    if several:
        parts.append(paragraph("Figures of different protocols cannot be compared with each other."))
    titles = shown(results)
    names = list(titles.values())
    rows, repeats = [], []
    for result in results:
        row, own = [result.name], shown([result])
        for figure in titles:
            if figure not in own:
                row.append("–")
                continue
            summary, (low, high) = result.summaries[figure], result.interval[figure]
            spread = "" if math.isnan(summary.std) else f" ± {100 * summary.std:.1f}"
            interval = None if math.isnan(low) else f"{100 * low:.1f} to {100 * high:.1f}"
            row.append((f"{100 * summary.mean:.1f}{spread}", interval))
        if several:
            row.append(f"[{protocols.index(result.protocol) + 1}]")
        rows.append(row)
        repeats += [
            [
                f"{result.name}, repeat {i + 1}",
                *(f"{100 * result.values[figure][i]:.1f}" if figure in own else "–" for figure in titles),
            ]
            for i in range(len(result.repeats))
        ]
        parts.append(paragraph(f"{result.name}: {result.counts()}."))
    confidence = f"{100 * results[0].confidence:g} % confidence interval"
    means = ": mean ± standard deviation over the repeats" if any(len(r.repeats) > 1 for r in results) else ""
    caption = f"Percent{means}; below it, the {confidence}"
    head = ["System", *names] + ["Protocol"] * several
    parts.append(table(caption, head, rows, range(1, len(head))))
    if len(repeats) > len(results):
        each = table("Percent", ["Repeat", *names], repeats, range(1, len(names) + 1))
        parts.append(folded("Figures of each repeat", each))
    return "\n".join(parts)


def curves(results):
    """Return one plot with the CMC curve of each result."""
    figure, ax = new_figure(NARROW, 4.2)
    for result in results:
        CMCDisplay.from_evaluation(result, name=fill(_drawable(result.name), 30), ax=ax)
    ax.get_legend().set_title(fill(ax.get_legend().get_title().get_text(), 40))
    at_rank_1 = "; ".join(f"{result.name}: {100 * result.cmc[:, 0].mean():.1f} % at rank 1" for result in results)
    alt = f"Cumulative matching characteristic, share of probes found within rank k. {at_rank_1}. See the table above."
    return plot(figure, "Cumulative matching characteristic", alt)


def _drawable(name):
    """Return a name that matplotlib draws as it is: a dollar sign does not start a formula."""
    return visible(name).replace("$", r"\$")


def training(estimator):
    """Return the training curve of a network trained to classify; "" for other estimators."""
    fitted = _part(estimator, "history_")
    if fitted is None or not fitted.history_ or "train_accuracy" not in fitted.history_[0]:
        return ""
    (loss, left), (accuracy, right) = (new_figure(NARROW, 3.6) for _ in range(2))
    TrainingCurveDisplay.from_estimator(fitted, ax=[left, right])
    best = [epoch for epoch, record in enumerate(fitted.history_, 1) if record.get("best")]
    epoch = best[0] if best else len(fitted.history_)
    kept = fitted.history_[epoch - 1]
    n_epochs = len(fitted.history_)
    text = f"{n_epochs} epoch{'s' * (n_epochs > 1)}. The weights of epoch {epoch} were kept: "
    text += f"training accuracy {100 * kept['train_accuracy']:.1f} %"
    if not math.isnan(kept.get("validation_accuracy", math.nan)):
        text += f", validation accuracy {100 * kept['validation_accuracy']:.1f} %"
    plots = [
        plot(figure, f"Training curve: {name}", f"Training curve: {name} of each epoch. {text}.")
        for figure, name in ((loss, "loss"), (accuracy, "accuracy"))
    ]
    return paragraph(f"{text}.") + f'<div class="plots">{"".join(plots)}</div>'


def filters(estimator):
    """Return how many filters were chosen and by what, and, folded, each layer's margins and table; "" without filters."""
    fitted = _part(estimator, "filter_distances_")
    if fitted is None:
        return ""
    criterion = getattr(fitted, "criterion", None)
    numbers = "; ".join(
        f"{layer}: {len(fitted.filters_[layer])} of {len(distances['d_same'])} filters"
        for layer, distances in fitted.filter_distances_.items()
    )
    by = "" if criterion is None else f", chosen by the criterion “{criterion}”"
    parts = [paragraph(f"{numbers}{by}.")]
    for layer, distances in fitted.filter_distances_.items():
        display = FilterMarginDisplay.from_estimator(fitted, layer=layer, sort=True, ax=new_figure(12, 4)[1])
        chosen = fitted.filters_[layer]
        alt = f"Distances and margin of every filter of {layer}, and what the criterion saw; chosen: "
        alt += ", ".join(map(str, chosen[:8])) + ", …" * (len(chosen) > 8)
        rows = []
        for filter_ in chosen:
            same, different = (float(distances[key][filter_]) for key in ("d_same", "d_different"))
            rows.append([str(filter_), *map(readable, (same, different, different - same))])
        caption = f"Chosen filters of {layer}, best first: mean distances between smoothed maps, and the margin"
        head = ["Filter", "Same person", "Different people", "Margin"]
        body = plot(display.figure_, f"Filters of {layer}", alt) + table(caption, head, rows, range(1, 4))
        parts.append(folded(f"Filters of {layer}, best first", body))
    return "\n".join(parts)


def settings(results):
    """Return a table of parameters for each result."""
    parts = []
    for result in results:
        rows = list(_parameters(result.estimator))
        if rows:
            parts.append(folded(result.name, table(f"Parameters of {result.name}", ["Parameter", "Value", ""], rows)))
    return "\n".join(parts)


def _parameters(estimator, prefix=""):
    """Yield name, value and "default" or "set" for each parameter, and for those of nested estimators."""
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
            text = value.__qualname__ if callable(value) and hasattr(value, "__qualname__") else repr(value)
            text = " ".join(text.split())
            text = text if len(text) <= 300 else f"{text[:300]}…"
            yield [f"{prefix}{name}", text, "default" if is_default else "set"]


def versions():
    """Return a table of the versions of Python, the packages and the system."""
    rows = [["Python", platform.python_version()]]
    for name in PACKAGES:
        try:
            rows.append([name, version(name)])
        except PackageNotFoundError:
            rows.append([name, "not installed"])
    rows.append(["System", f"{platform.system()} {platform.machine()}"])
    return table("Versions", ["Package", "Version"], rows)


def _part(estimator, attribute):
    """Return the fitted part of an estimator that has an attribute, or None."""
    try:
        return fitted_part(estimator, attribute, "evaluation_report")
    except ValueError:
        return None
