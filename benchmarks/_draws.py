"""Accuracy over draws of people: each draw trains on some people, and ranks random galleries of others."""

import json
import time

import numpy as np

from benchmarks._data import RANKS, galleries, listed, plain
from skreid import evaluate
from skreid.protocols import GivenSplitProtocol, TwoViewProtocol

HEAD = (
    f"{'data':22}{'system':45}{'dimensions':>11}{'time':>10} rank-1, 5, 10, 20, mAP, mINP: "
    "mean, and standard deviation over draws of people (in brackets: over the galleries of one draw), in percent"
)


def add_draws(parser):
    """Add the option of the number of draws to the parser of a benchmark."""
    parser.add_argument("--draws", type=int, default=2, help="draws of training and test people, a training each")


def draws(dataset, options):
    """Yield training and test pictures (their places), once per draw of people."""
    identities = dataset["target"]
    if options.test_identities:
        tested = np.isin(identities, listed(options.test_identities, identities))
        yield np.flatnonzero(~tested), np.flatnonzero(tested)
        return
    for draw in range(options.draws):
        protocol = TwoViewProtocol(n_train=options.n_train, n_test=options.n_test, n_repeats=1, random_state=draw)
        trial = next(protocol.split(dataset))
        yield tuple(np.flatnonzero(np.isin(identities, identities[part])) for part in (trial.train, trial.probe))


def measure(systems, dataset, train, tested, options):
    """Fit each system on the training pictures and rank galleries of the tested; return name -> row of plain values."""
    people = {key: column[np.r_[train, tested]] for key, column in dataset.items()}
    first = people["cams"] == np.unique(people["cams"])[0]
    people["subset"] = np.where(first, "query", "gallery").astype(object)
    people["subset"][: len(train)] = "train"
    unknown, rows = {key: column[tested] for key, column in dataset.items()}, {}
    for name, system in systems.items():
        started = time.perf_counter()
        fitted = evaluate(system, people, GivenSplitProtocol(), ranks=RANKS, return_estimators=True).estimators[0]
        figures = evaluate(fitted, unknown, galleries(options, 0), fit=False, ranks=RANKS).to_dict()["figures"]
        row = {"dimensions": fitted.transform(next(iter(people.values()))[:2]).shape[1]}
        rows[name] = row | {"seconds": time.perf_counter() - started, "figures": figures}
    return rows


def say(draw, dataset, train, options):
    """Print how many people and pictures a draw trained on, and what was ranked."""
    n_people = len(np.unique(dataset["target"][train]))
    print(f"draw {draw + 1}: {len(train)} training images of {n_people} people; {galleries(options, 0).describe()}")


def summaries(data, drawn):
    """Join rows by system: `drawn` holds, per draw, what `measure` returned."""
    return [{"data": data, "system": name} | summary([rows[name] for rows in drawn]) for name in drawn[0]]


def summary(rows):
    """Join the rows of one system, one per draw of people, into one.

    Returns
    -------
    row : dict
        Each figure is a dict: "mean" over draws and galleries, "draws" (the mean of each draw), "std" (deviation of
        these, None for one draw), "galleries" (deviation over the galleries of a draw, averaged; None for one gallery).
    """
    joined = {"dimensions": rows[0]["dimensions"], "seconds": sum(row["seconds"] for row in rows)}
    for key in rows[0]["figures"]:
        means, deviations = zip(
            *((row["figures"][key]["mean"], row["figures"][key]["std"]) for row in rows), strict=True
        )
        joined[key] = {
            "mean": float(np.mean(means)),
            "std": float(np.std(means, ddof=1)) if len(means) > 1 else None,
            "galleries": None if None in deviations else float(np.mean(deviations)),
            "draws": means,
        }
    return joined


def table(rows):
    """Return rows as lines of text, without a head."""
    lines = []
    for row in rows:
        shares = " ".join(
            f"{100 * figure['mean']:6.1f}" + deviation(figure) for figure in row.values() if isinstance(figure, dict)
        )
        lines.append(f"{row['data']:22}{row['system']:45}{row['dimensions']:>11}{row['seconds']:>8.0f} s {shares}")
    return "\n".join(lines)


def deviation(figure):
    """Return the deviation over draws of people, or of galleries if there is one draw, in brackets, or neither."""
    if figure["std"] is not None:
        return f"±{100 * figure['std']:4.1f}"
    return " " * 5 if figure["galleries"] is None else f"({100 * figure['galleries']:3.1f})"


def publish(rows, options, name):
    """Print the rows as a table, and write them with their settings into the folder of results."""
    print(HEAD)
    print(table(rows))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / f"{name}.json").write_text(json.dumps({"settings": plain(options), "rows": rows}, indent=1))
