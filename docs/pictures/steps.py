"""Draw what each step adds on CUHK01, from the paper's setting to the strongest descriptor: the method page's table.

`draw.py` writes it. A test compares the figures with those of the table.
"""

import matplotlib.pyplot as plt

PICTURES = ("steps.png",)
PAPER = 55.2  # rank-1 that the paper reports, protocol unstated

# what changes: box filter, criterion, normalize, filters per layer; dimensions and rank-1 in percent
STEPS = {
    "the paper's setting: one filter per layer": ("20 x 20", "margin", "none", "1", 770, 7.3),
    "64 filters per layer": ("20 x 20", "margin", "none", "64", 49280, 33.3),
    "each layer of unit length": ("20 x 20", "margin", "l2", "64", 49280, 55.7),
    "minus the mean image": ("20 x 20", "margin", "centered", "64", 49280, 57.9),
    "square roots": ("20 x 20", "margin", "rooted", "64", 49280, 62.1),
    "whole rows instead of squares": ("whole rows", "margin", "rooted", "64", 4480, 64.4),
    "filters chosen jointly": ("whole rows", "joint", "rooted", "64", 4480, 67.8),
    "two layers instead of three: the default then": (
        "whole rows, two deepest layers (the default then)", "joint", "rooted", "64", 1920, 64.5
    ),
    "256 filters of three layers: the strongest": ("whole rows", "joint", "rooted", "256", 17920, 68.3),
}  # fmt: skip


def draw():
    """Return (name, figure) of the picture."""
    figure, ax = plt.subplots(figsize=(8.5, 3.8), layout="constrained")
    *_, dimensions, rank_1 = zip(*STEPS.values(), strict=True)
    colours = ["C0" if title.endswith(("default then", "strongest")) else "0.75" for title in STEPS]
    bars = ax.barh(list(STEPS), rank_1, color=colours)
    ax.bar_label(bars, [f"{rank:.1f}   ({n:,})" for rank, n in zip(rank_1, dimensions, strict=True)], padding=4)
    ax.axvline(PAPER, color="C3", linestyle=":")
    ax.text(PAPER + 0.7, 0, "the paper reports 55.2,\nprotocol unstated", color="C3", va="center", fontsize="small")
    ax.set(xlabel="rank-1 on CUHK01, percent (dimensions of a descriptor)", xlim=(0, 90))
    ax.invert_yaxis()
    ax.spines[["top", "right"]].set_visible(False)
    return [(PICTURES[0], figure)]
