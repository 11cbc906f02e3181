"""A result as people and programs read it: text, a Markdown table, plain values.

The protocol stands beside the figures in all of them. A deviation is only written where repeats differ.
"""

import math

import numpy as np


def shown(results):
    """Return the figures to print, a dict of titles: without mINP if every probe has one true match, as it is mAP then.

    All figures stay in `EvaluationResult.values` and what is computed from it.
    """
    counts = [repeat.metrics.n_matches for result in results for repeat in result.repeats]
    titles = {f"rank_{k}": f"Rank {k}" for k in results[0].ranks} | {"mAP": "mAP"}
    if any(n_matches is None or n_matches.max() > 1 for n_matches in counts):
        titles["mINP"] = "mINP"
    return titles


def all_equal(result):
    """Return whether a result has several repeats and all are the same, so that they say nothing about the draw.

    They are, for example, if each person has one track per camera and nothing is fitted.
    """

    def parts(repeat):
        known = repeat.probe, repeat.match, repeat.match_distance, repeat.metrics.first_rank
        return [values for values in (*known, repeat.metrics.average_precision) if values is not None]

    first, *others = result.repeats
    return bool(others) and all(
        other.n_gallery == first.n_gallery
        and all(np.array_equal(*pair, equal_nan=True) for pair in zip(parts(first), parts(other), strict=True))
        for other in others
    )


def percent(result, figure):
    """Return the mean of a figure in percent as text, with its deviation if there are repeats that differ."""
    summary = result.summaries[figure]
    no_deviation = math.isnan(summary.std) or all_equal(result)
    return f"{100 * summary.mean:.1f}" + ("" if no_deviation else f" ± {100 * summary.std:.1f}")


def interval(result, figure):
    """Return the confidence interval of a figure in percent, as two texts; None if it is not known."""
    low, high = result.interval[figure]
    return None if math.isnan(low) or all_equal(result) else (f"{100 * low:.1f}", f"{100 * high:.1f}")


def counts_of(result):
    """Return the text of `EvaluationResult.counts`."""
    probes, dropped, valid = result.n_probes, result.n_dropped, result.n_valid
    n_repeats, unit = len(result.repeats), "probes" if result.tracks is None else "probe tracks"
    line = f"{_span(probes)} {unit}" + (f" in each of {n_repeats} repeats" if n_repeats > 1 else "")
    line += ", which are all the same" if all_equal(result) else ""
    unusable = np.array([repeat.n_unusable for repeat in result.repeats])
    left_out = f"; {_span(unusable)} images without a descriptor left out of tracks" if unusable.any() else ""
    if not (valid < probes).any():
        return f"{line}, each with a true match{left_out}"
    fate = "left out" if dropped.any() else "counted as failures"
    return f"{line}, {_span(probes - valid)} without a true match ({fate}){left_out}"


def as_text(result):
    """Return a result as it is printed."""
    width = max(map(len, result.values))
    lines = [f"EvaluationResult of {result.name}", f"  protocol: {result.protocol}"]
    intervals = {figure: interval(result, figure) for figure in shown([result])}
    for figure, limits in intervals.items():
        limits = "" if limits is None else f"   [{', '.join(limits)}]"
        lines.append(f"  {figure:<{width}}  {percent(result, figure):>13} %{limits}")
    known = f"; intervals at {100 * result.confidence:g} %" if any(intervals.values()) else ""
    lines.append(f"  {counts_of(result)}{known}")
    return "\n".join(lines)


def as_table(results):
    """Return the text of `EvaluationResult.table`."""
    first, *others = results
    for other in others:
        if other.ranks != first.ranks:
            raise ValueError(
                f"{other.name!r} was evaluated at ranks {other.ranks} and {first.name!r} at {first.ranks}: "
                "the rows of one table need the same ranks."
            )
    protocols = list(dict.fromkeys(result.protocol for result in results))
    figures = shown(results)
    head = ["System", *figures.values()]
    rows = [head, ["---", *["---:"] * (len(head) - 1)]]
    if len(protocols) > 1:
        rows[0].append("Protocol")
        rows[1].append("---:")
    for result in results:
        cells = (percent(result, figure) if figure in shown([result]) else "–" for figure in figures)
        row = [result.name.replace("|", "\\|"), *cells]
        rows.append(row + [f"[{protocols.index(result.protocol) + 1}]"] * (len(protocols) > 1))
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    if len(protocols) == 1:
        lines += ["", f"Protocol: {protocols[0]}."]
    else:
        lines += ["", *(f"[{i}] {protocol}.  " for i, protocol in enumerate(protocols, 1))]
    same = [result.name for result in results if all_equal(result)]
    if same:
        lines += ["", f"Without a deviation, because all repeats are the same: {', '.join(same)}."]
    return "\n".join(lines)


def as_dict(result):
    """Return the dict of `EvaluationResult.to_dict`."""
    figures = {
        figure: {
            "mean": over_repeats.mean,
            "std": _known(over_repeats.std),
            "low": _known(result.interval[figure][0]),
            "high": _known(result.interval[figure][1]),
            "values": result.values[figure].tolist(),
        }
        for figure, over_repeats in result.summaries.items()
    }
    return {
        "name": result.name,
        "protocol": result.protocol,
        "rerank": result.rerank,
        "n_repeats": len(result.repeats),
        "confidence": result.confidence,
        "figures": figures,
        "cmc": result.cmc.tolist(),
        "n_probes": result.n_probes.tolist(),
        "n_valid": result.n_valid.tolist(),
        "n_dropped": result.n_dropped.tolist(),
        "n_gallery": [repeat.n_gallery for repeat in result.repeats],
        "n_train": [repeat.n_train for repeat in result.repeats],
    }


def _span(counts):
    low, high = int(counts.min()), int(counts.max())
    return f"{low}" if low == high else f"{low} to {high}"


def _known(value):
    return value if math.isfinite(value) else None
