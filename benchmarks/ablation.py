"""From the paper's setting to the default, and on to the strongest system: what each step adds, on any people.

Run ``python -m benchmarks.ablation`` for drawn people. For pictures on disk, add ``--folder DIR`` and ``--layout NAME``
or ``--pattern REGEX`` (named groups ``identity`` and ``camera``). One network is trained. Each picture then passes
through it once: the maps of its three deepest blocks are kept in a temporary folder, and every row of the table is made
of them. ``--repeats`` random galleries are ranked, of people that the network has never seen: ``--n-test`` identities,
or as many of those that ``--test-identities FILE`` names, one per line; all others are then trained on. Prints a table,
and writes ``ablation.json`` and ``ablation.png``.
"""

import argparse
import json
import tempfile
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from torch import nn
from tqdm.auto import tqdm

from benchmarks._common import print_table
from benchmarks._data import RANKS, HelpFormatter, add_options, galleries, lda, listed, network, parse, plain, read_sets
from skreid import PAPER_SETTING, STRONGEST, MultiDepthReID, evaluate

LAYERS = 3  # of the default
COUNTS = (1, 2, 8, 16, 32, 64, 256)  # filters per layer
CHUNK = 256  # pictures whose maps are in memory at once
SHOWN = ("blur_size", "sampling", "criterion", "normalize", "n_filters")  # parameters of a row
ROWS = 8  # of a numbered image: one bit of the number per row and colour


class Step(NamedTuple):
    """A row of the table; those without a title are not steps of the way, and not drawn as bars."""

    parameters: dict
    title: str = ""
    learned: bool = False  # whether PCA and LDA follow


class Number(nn.Module):
    """First layer of a recorded network: reads numbers of pictures, in frames of 16 rows or more, for later layers."""

    def forward(self, batch):
        """Return the batch as it is."""
        middles = (torch.arange(ROWS) * 2 + 1) * batch.shape[2] // (2 * ROWS)
        bits = batch[:, :, middles, batch.shape[3] // 2].flatten(1).numpy(force=True) > 0  # black is below, white above
        self.numbers = bits @ 2 ** np.arange(3 * ROWS)
        return batch


class Recorded(nn.Module):
    """Layer of a recorded network: returns the maps that were kept of the numbered pictures."""

    def __init__(self, first, maps):
        super().__init__()
        self.first, self.maps = [first], maps  # in a list: it is no part of this layer

    def forward(self, batch):
        """Return maps, whatever the layer before returned."""
        return torch.from_numpy(self.maps[self.first[0].numbers % len(self.maps)]).to(batch.device)


def record(reid, X, folder):
    """Pass every picture through the network of a fitted estimator, once.

    Returns
    -------
    backbone : callable
        Builds a network that returns the maps kept in `folder` for the images of `numbered`.
    n_filters : dict of str to int
        Layer -> number of its filters.
    """
    kept = {}
    for start in tqdm(range(0, len(X), CHUNK), desc="Recording", unit="chunk"):
        for layer, maps in reid.feature_maps(X[start : start + CHUNK], LAYERS).items():
            if layer not in kept:
                shape = (len(X), *maps.shape[1:])
                kept[layer] = np.lib.format.open_memmap(Path(folder) / f"{layer}.npy", "w+", np.float32, shape)
            kept[layer][start : start + len(maps)] = maps

    def backbone():
        first = Number()
        return nn.Sequential(OrderedDict(number=first, **{name: Recorded(first, maps) for name, maps in kept.items()}))

    return backbone, {layer: maps.shape[1] for layer, maps in kept.items()}


def numbered(numbers):
    """Return an image for each number, (n, ROWS, 2, 3), black and white: it says which picture it stands for."""
    bits = np.asarray(numbers)[:, None] >> np.arange(3 * ROWS) & 1
    rows = (255 * bits).astype(np.uint8).reshape(-1, 3, ROWS, 1).transpose(0, 2, 3, 1)
    return rows.repeat(2, axis=2)


def steps(side, n_filters):
    """Return the steps from the paper's setting to the strongest, and beside the way what else is worth knowing.

    Parameters
    ----------
    side : int
        Height of the box filter.
    n_filters : dict of str to int
        Layer -> number of its filters. A layer that has fewer than a step asks for is described by all that it has.
    """
    most = min(n_filters.values())
    counts = sorted({min(count, most) for count in COUNTS})
    many, strongest = min(64, most), min(STRONGEST["n_filters"], most)
    paper = PAPER_SETTING | {"blur_size": side, "layers": LAYERS}
    square = [paper | {"n_filters": many, "normalize": how} for how in (None, "l2", "centered", "rooted")]
    rows = square[-1] | {"blur_size": (side, None)}
    joint = rows | {"criterion": "joint"}
    boxes = joint | {"sampling": "box"}
    whitened = boxes | {"normalize": "whitened"}
    return [
        Step(paper, "the paper's setting: 1 filter per layer"),
        *(Step(paper | {"n_filters": count}) for count in counts if 1 < count < many),
        Step(square[0], f"{many} filters per layer"),
        Step(paper | {"normalize": "l2"}),
        Step(square[1], "each layer of unit length"),
        Step(square[2], "minus the mean image"),
        Step(square[3], "square roots"),
        Step(rows, "whole rows instead of squares"),
        Step(joint, "filters chosen jointly"),
        *(Step(joint | {"n_filters": count}) for count in counts if count < many),
        *(Step(joint | {"layers": (layer,)}) for layer in n_filters),
        Step(joint | {"layers": 2}),
        Step(boxes, "boxes side by side"),
        Step(whitened | {"layers": 2}),
        Step(whitened | {"layers": 2, "n_filters": min(96, most)}),  # as long as three layers of 64
        *(Step(whitened | {"n_filters": min(count, most)}) for count in (32, 128)),
        Step(whitened | {"criterion": "margin"}),
        Step(whitened, "whitened: the default"),
        Step(boxes | {"n_filters": strongest}, f"{strongest} filters, not whitened"),
        Step(boxes | {"n_filters": strongest}, "PCA and LDA behind these: the strongest", learned=True),
    ]


def run(name, dataset, options, memory):
    """Train one network and evaluate all steps on one data set; return one row of plain values per step."""
    X, identities, cams = dataset.values()
    if options.test_identities:
        tested = np.isin(identities, listed(options.test_identities, identities))
        train = np.flatnonzero(~tested)
    else:
        trial = next(galleries(options, options.n_train).split(dataset))
        tested, train = np.isin(identities, identities[trial.probe]), trial.train
    tested = np.flatnonzero(tested)
    protocol = galleries(options, 0)
    reid = network(options, memory).set_params(n_filters=1, normalize=None)  # all maps are recorded anyway
    reid.fit(X[train], identities[train], cams=cams[train])
    rows, as_they_are = [], FunctionTransformer().fit(np.zeros((1, 1)))
    with tempfile.TemporaryDirectory() as folder:
        backbone, n_filters = record(reid, X[np.r_[train, tested]], folder)
        numbers = numbered(range(len(train) + len(tested)))
        for step in tqdm(steps(reid.blur_size[0], n_filters), desc="Steps", unit="step"):
            settings = {"backbone": backbone, "weights": None, "max_epochs": 0, "checkpoint": None, "verbose": 0}
            settings |= {"memory": str(Path(folder) / "cache")} | step.parameters
            recorded = MultiDepthReID(**reid.get_params() | settings)
            recorded.fit(numbers[: len(train)], identities[train], cams=cams[train])
            described = recorded.transform(numbers)
            people = {"data": described[len(train) :], "target": identities[tested], "cams": cams[tested]}
            system, n_dimensions = as_they_are, recorded.n_features_out_
            if step.learned:
                system = make_pipeline(*lda(min(1500, len(train) // 2, n_dimensions)))
                system.fit(described[: len(train)], identities[train])
                n_dimensions = system.transform(described[:1]).shape[1]
            result = evaluate(system, people, protocol, fit=False, ranks=RANKS)
            row = {"data": name, "step": step.title, "layers": list(recorded.layers_)}
            row |= {key: step.parameters[key] for key in SHOWN}
            row |= {"learned": step.learned, "dimensions": n_dimensions}
            figures = result.to_dict()["figures"]
            rows.append(row | {f"rank_{k}": [figures[f"rank_{k}"]["mean"], figures[f"rank_{k}"]["std"]] for k in RANKS})
    print(f"{name}: {len(train)} training images of {len(reid.classes_)} people; {protocol.describe()}")
    return rows


def readable(row):
    """Return a row as it is printed."""
    side, width = (row["blur_size"], row["blur_size"]) if isinstance(row["blur_size"], int) else row["blur_size"]
    shown = {"box filter": f"{side} x {width}" if width else f"{side}, whole rows", "sampling": row["sampling"]}
    shown |= {"layers": ", ".join(row["layers"])}
    shown |= {"criterion": row["criterion"], "normalize": row["normalize"], "filters": row["n_filters"]}
    shown |= {"metric": "PCA, LDA" if row["learned"] else ""}
    mean, std = row["rank_1"]
    deviation = "" if std is None else f" ± {100 * std:.1f}"  # one repeat has none
    shown |= {"dimensions": row["dimensions"], "rank-1": f"{100 * mean:.1f}{deviation}"}
    return shown | {f"rank-{k}": f"{100 * row[f'rank_{k}'][0]:.1f}" for k in RANKS[1:]} | {"step": row["step"]}


def draw(rows):
    """Draw the steps as bars, and rank-1 over the number of filters with the paper's choices and with skreid's."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    bars, curves = figure.subplots(1, 2, width_ratios=[3, 2])
    way = [row for row in rows if row["step"]]
    colours = ["C0" if row["step"].endswith(("default", "strongest")) else "0.7" for row in way]
    drawn = bars.barh([row["step"] for row in way], [100 * row["rank_1"][0] for row in way], color=colours)
    bars.bar_label(
        drawn, [f"{100 * row['rank_1'][0]:.0f} %, {row['dimensions']:,} dimensions" for row in way], padding=3
    )
    bars.set(xlabel="rank-1, percent", xlim=(0, 150), xticks=range(0, 101, 20))
    bars.invert_yaxis()
    bars.spines[["top", "right"]].set_visible(False)
    three, square = [row for row in rows if len(row["layers"]) == LAYERS], way[0]["blur_size"]
    for label, box_filter, criterion, how in (
        ("whole rows, joint, rooted", (square, None), "joint", "rooted"),
        ("square box, margin, none (paper)", square, "margin", None),
    ):
        of_curve = [
            r
            for r in three
            if (r["blur_size"], r["sampling"], r["criterion"], r["normalize"]) == (box_filter, "pixel", criterion, how)
        ]
        points = sorted((row["n_filters"], 100 * row["rank_1"][0]) for row in of_curve)
        curves.plot(*zip(*points, strict=True), "o-", label=label)
    curves.set_xscale("log", base=2)
    curves.set_xticks(COUNTS, map(str, COUNTS))
    curves.set(xlabel="filters per layer, of three layers", ylabel="rank-1, percent", ylim=(0, 100))
    curves.legend(fontsize="small", loc="lower center", bbox_to_anchor=(0.5, 1))
    figure.suptitle(f"{rows[0]['data']}: from the paper's setting to the strongest")
    return figure


def main(arguments=None):
    """Run the benchmark with the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    add_options(parser, ["hard"], 10, "random galleries", "ablation.json and ablation.png")
    options = parse(parser, arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        memory = options.memory or temporary
        rows = {name: run(name, dataset, options, memory) for name, dataset in read_sets(options).items()}
    for name, of_set in rows.items():
        print_table(name, [readable(row) for row in of_set])
        draw(of_set).savefig(options.out / ("ablation.png" if len(rows) == 1 else f"ablation-{name}.png"), dpi=120)
    rows = [row for of_set in rows.values() for row in of_set]
    (options.out / "ablation.json").write_text(json.dumps({"settings": plain(options), "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
