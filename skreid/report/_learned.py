"""The sections of a report about what a network learned: its training curve and its chosen filters."""

import math

from skreid.displays import FilterMarginDisplay, TrainingCurveDisplay
from skreid.displays._common import fitted_part, readable
from skreid.report._page import NARROW, folded, new_figure, paragraph, plot, table


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
    """Return how many filters each layer keeps and, folded, its margins and its table; "" without filters."""
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


def _part(estimator, attribute):
    """Return the fitted part of an estimator that has an attribute, or None."""
    try:
        return fitted_part(estimator, attribute, "evaluation_report")
    except ValueError:
        return None
