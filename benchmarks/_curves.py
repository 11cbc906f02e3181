"""Pictures of what the benchmarks measured: growth on logarithmic axes, and times of exploring."""

import json
from pathlib import Path

from matplotlib.figure import Figure


def draw(out_folder):
    """Draw the results in the JSON files of a folder; return the paths of the pictures."""
    out_folder = Path(out_folder)
    pictures = []
    for name, picture in (("growth", _growth), ("exploring", _exploring)):
        path = out_folder / f"{name}.json"
        if path.exists():
            figure = picture(json.loads(path.read_text(encoding="utf-8")))
            pictures.append(out_folder / f"{name}.png")
            figure.savefig(pictures[-1], dpi=120)
    return pictures


def _growth(results):
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for row in results["rows"]:
        curve = results["curves"][row["growth of"]]
        relative = [size / curve["sizes"][0] for size in curve["sizes"]]
        axes.plot(relative, [seconds / curve["seconds"][0] for seconds in curve["seconds"]], "o-",
                  label=f"{row['growth of']}: exponent {row['exponent']:.2f}")  # fmt: skip
    ends = [1, max(max(c["sizes"]) / c["sizes"][0] for c in results["curves"].values())]
    axes.plot(ends, ends, "k:", label="linear")
    axes.set(xscale="log", yscale="log", title="How time grows")
    axes.set(xlabel="size, relative to the smallest", ylabel="time, relative to the smallest")
    axes.legend(fontsize="small")
    return figure


def _exploring(results):
    figure = Figure(figsize=(7, 2.8), layout="constrained")
    axes = figure.subplots()
    seconds = {"skreid": results["rows"][0]["skreid"], **{row["against"]: row["seconds"] for row in results["rows"]}}
    names = {"skreid": "compact maps, Gram matrices", "frame size": "frame-size maps, cdist", "direct": "pair by pair"}
    slowest_first = sorted(seconds, key=seconds.get, reverse=True)
    bars = axes.barh([names[key] for key in slowest_first], [seconds[key] for key in slowest_first])
    axes.bar_label(bars, [f"{seconds[key]:,.1f} s" for key in slowest_first], padding=3)
    axes.set(xscale="log", xlabel="seconds", title=f"Exploring the filters on {results['n_images']} images")
    axes.set_xlim(right=50 * max(seconds.values()))  # room for the labels
    return figure
