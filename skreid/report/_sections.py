"""The sections of a report that are tables and plots: figures, curves, settings, versions."""

import platform
from importlib.metadata import PackageNotFoundError, version
from inspect import signature
from textwrap import fill

from skreid.displays import CMCDisplay
from skreid.displays._common import drawable
from skreid.evaluation._written import all_equal, interval, percent, shown
from skreid.report._page import NARROW, folded, new_figure, paragraph, plot, table

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
            limits = interval(result, figure)
            row.append((percent(result, figure), None if limits is None else " to ".join(limits)))
        if several:
            row.append(f"[{protocols.index(result.protocol) + 1}]")
        rows.append(row)
        repeats += [
            [
                f"{result.name}, repeat {i}",
                *(f"{100 * result.values[figure][i]:.1f}" if figure in own else "–" for figure in titles),
            ]
            for i in range(len(result.repeats))
        ]
        parts.append(paragraph(f"{result.name}: {result.counts()}."))
    has_deviation = any(len(result.repeats) > 1 and not all_equal(result) for result in results)
    caption = "Percent" + (": mean ± standard deviation over the repeats" if has_deviation else "")
    if any(interval(result, figure) for result in results for figure in titles):
        caption += f"; below it, the {100 * results[0].confidence:g} % confidence interval"
    head = ["System", *names] + ["Protocol"] * several
    parts.append(table(caption, head, rows, range(1, len(head))))
    if len(repeats) > len(results):
        each = table("Percent", ["Repeat", *names], repeats, range(1, len(names) + 1))
        parts.append(folded("Figures of each repeat, counted from 0", each))
    return "\n".join(parts)


def curves(results):
    """Return one plot with the CMC curve of each result."""
    figure, ax = new_figure(NARROW, 4.2)
    for result in results:
        CMCDisplay.from_evaluation(result, name=fill(drawable(result.label), 30), ax=ax)
    at_rank_1 = "; ".join(f"{result.label}: {100 * result.cmc[:, 0].mean():.1f} % at rank 1" for result in results)
    alt = f"Cumulative matching characteristic, share of probes found within rank k. {at_rank_1}. See the table above."
    return plot(figure, "Cumulative matching characteristic", alt)


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
