"""The rivals of Table 1 at their best: a search for the parameters that their publications do not state.

Run ``python -m benchmarks.rivals`` for drawn people. For pictures on disk, add ``--folder DIR`` with ``--layout NAME``
or ``--pattern REGEX`` (named groups ``identity`` and ``camera``). The people are divided once, at random:
``--n-search`` for the search, all others for the report, which the search never sees.

The search goes in steps. A step tries all combinations of a few parameters, and keeps the best for the next step. A
combination is as good as its mAP, averaged over ``--draws``; each draw trains on two thirds of the people of the search
and ranks galleries of the other third. The report trains on ``--n-train`` of the others and ranks galleries of
``--n-test``, with the defaults and with what the search found.

Descriptors are kept in ``--out``, and each result is appended to ``rivals.jsonl`` there: an interrupted run goes on
where it was, if pictures and version of skreid are the same. After changes to the code, empty the folder. Prints a
table and writes ``rivals.json``.
"""

import argparse
import json
from argparse import Namespace
from dataclasses import dataclass

import joblib
import numpy as np
from sklearn.model_selection import ParameterGrid
from sklearn.pipeline import make_pipeline

from benchmarks._data import HelpFormatter, add_people, contents, parse, plain, read_sets
from benchmarks._draws import HEAD, draws, measure, summary, table
from skreid import __version__
from skreid.descriptors import GOG, MLGD, CenteredNormalizer
from skreid.metric_learning import KCVDCA, XQDA, KernelXQDA
from skreid.rivals import TCPNet

INF = float("inf")


@dataclass(frozen=True)
class Rival:
    """A system of Table 1.

    Parameters
    ----------
    build : callable
        Takes parameters; returns the descriptor, or None, and the estimator behind it.
    start : dict
        Where the search starts.
    steps : tuple of dict
        Parameter grids, each searched from the best of those before. In a step of several grids, each is complete.
    """

    build: callable
    start: dict
    steps: tuple


def behind_gog(metric):
    """Return what builds a learned metric behind GOG, which is centred and scaled to unit length as published."""
    return lambda **settings: (GOG(), make_pipeline(CenteredNormalizer(), metric(**settings)))


def mlgd(**settings):
    """Build MLGD, with XQDA behind it."""
    return MLGD(**settings), make_pipeline(CenteredNormalizer(), XQDA())


def tcpnet(**settings):
    """Build TCPNet, which learns from images and needs no metric."""
    return None, TCPNet(random_state=0, **settings)


FEATURES = (  # of MLGD
    ("y", "gradient", "rgb"),
    ("y", "gradient", "lab"),
    ("y", "gradient", "hsv"),
    ("y", "gradient", "lab", "std"),
    ("y", "gradient", "rgb", "lab"),
    ("y", "gradient", "lab", "nrng"),
    ("y", "gradient", "rgb", "nrng"),
    ("y", "gradient", "hsv", "nrng"),
    ("y", "gradient", "rgb", "lab", "nrng"),
    ("y", "gradient", "lab", "nrng", "std"),
    ("y", "gradient", "lab", "schmid_2_1", "schmid_4_2"),
    ("y", "gradient", "rgb", "std", "schmid_2_1", "schmid_4_2"),
)
RIVALS = {
    "XQDA": Rival(behind_gog(XQDA), {}, ()),
    "KernelXQDA": Rival(
        behind_gog(KernelXQDA),
        {"kernel": "rbf", "psd": True, "n_components": None},
        (
            {"gamma": [0.03, 0.125, 0.5, 1.0], "reg": [1e-7, 1e-5, 1e-4, 1e-3]},
            {"psd": [True, False], "n_components": [None, 100]},
        ),
    ),
    "KCVDCA": Rival(
        behind_gog(KCVDCA),
        {"kernel": "rbf", "gamma": 0.5, "view_reg": INF, "within_weight": 1.0, "normalize": None, "n_components": None},
        (
            {"negative_weight": [0.1, 0.3, 1.0], "reg": [1e-4, 1e-3, 1e-2]},
            {"normalize": [None, "l2"], "n_components": [None, 50, 150]},
            [
                {"gamma": [0.06, 0.125, 0.25, 0.5], "reg": [3e-4, 1e-3]},
                {"kernel": ["linear"], "reg": [0.1, 1.0, 10.0]},
                {"kernel": ["poly"], "gamma": [1.0], "reg": [1e-3, 1e-2]},
            ],
            {"view_reg": [1e-4, 1e-3, 1e-2, 1.0, INF]},
            {"negative_weight": [0.05, 0.1, 0.2], "within_weight": [0.0, 1.0]},
        ),
    ),
    "MLGD": Rival(mlgd, {}, ({"features": FEATURES},)),
    "TCPNet": Rival(
        tcpnet,
        {"max_epochs": 10, "n_channels": 16},
        (
            {"normalize": [None, "l2"], "learning_rate": [3e-4, 1e-3, 3e-3]},
            {"n_channels": [16, 32]},
            {"max_epochs": [10, 30]},
        ),
    ),
}


class Records:
    """Results in a file of JSON lines: what is there is returned, what is not is computed and appended."""

    def __init__(self, path):
        self.path, self.rows = path, {}
        if path.exists():
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            whole = [json.loads(line) for line in lines if line.endswith("\n")]  # the last may be half written
            path.write_text("".join(json.dumps(record) + "\n" for record in whole), encoding="utf-8")
            self.rows = {self._key(record["what"]): record["row"] for record in whole}

    def get(self, what, compute):
        """Return the result of `what`, a dict of plain values."""
        key = self._key(what)
        if key not in self.rows:
            self.rows[key] = compute()
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"what": what, "row": self.rows[key]}) + "\n")
        return self.rows[key]

    @staticmethod
    def _key(what):
        return json.dumps(what, sort_keys=True)


class Group:
    """Some of the people: descriptors of their pictures, and the results of rivals on draws of them."""

    def __init__(self, name, dataset, kept, options, records):
        self.name, self.options, self.records = name, options, records
        self.images = next(iter(dataset.values()))[kept]
        self.dataset = {key: column[kept] for key, column in dataset.items()}
        self.describe = joblib.Memory(options.out / "descriptors", verbose=0).cache(_described, ignore=["images"])
        self.digest = joblib.hash([__version__, contents(self.images), self.dataset["target"], self.dataset["cams"]])
        sizes = options.n_train, options.n_test, options.draws, options.repeats, options.probe_shots
        self.what = {"people": self.digest, "sizes": sizes}

    def summary(self, name, rival, settings):
        """Return the row of a rival with these settings, over all draws."""
        places = list(draws(self.dataset, self.options))
        return summary([self._row(name, rival, settings, i, *parts) for i, parts in enumerate(places)])

    def _row(self, name, rival, settings, draw, train, tested):
        def compute():
            descriptor, estimator = rival.build(**settings)
            dataset = dict(self.dataset)
            if descriptor is not None:
                rows = self.describe(descriptor, self.images, self.digest)
                dataset = {"data": rows, "target": dataset["target"], "cams": dataset["cams"]}
            return measure({name: estimator}, dataset, train, tested, self.options)[name]

        what = {"system": name, "parameters": [_definition(part) for part in rival.build(**settings)], "draw": draw}
        return self.records.get(self.what | what, compute)


def _described(descriptor, images, digest):
    """Describe images, in coordinates of the space that they span: fewer dimensions, with the same distances."""
    rows = descriptor.transform(list(images))
    if rows.shape[1] <= len(rows):
        return rows
    basis = np.linalg.qr(rows.astype(np.float64).T)[0]
    return (rows @ basis).astype(np.float32)


def _definition(estimator):
    """Return all parameters of an estimator, defaults and those of its steps included, as text."""
    parameters = {} if estimator is None else estimator.get_params()
    return {key: repr(value) for key, value in parameters.items() if key != "steps" and not hasattr(value, "fit")}


def search(name, rival, group):
    """Return the best settings of a rival within a group, found step by step."""
    best = rival.start
    for step in rival.steps:
        varied = dict.fromkeys(key for settings in ParameterGrid(step) for key in settings)
        candidates = [best | dict(sorted(settings.items())) for settings in ParameterGrid(step)]
        scores = [group.summary(name, rival, settings)["mAP"]["mean"] for settings in candidates]
        best = candidates[int(np.argmax(scores))]
        for settings, score in zip(candidates, scores, strict=True):
            tried = {key: settings.get(key) for key in varied}
            print(f"{name}: {tried}: mAP {100 * score:.1f}{' <' if settings is best else ''}", flush=True)
    return best


def run(name, dataset, options, records):
    """Search and report on one data set; return rows of the table."""
    identities = np.unique(dataset["target"])
    chosen = np.random.default_rng(0).permutation(identities)[: options.n_search]
    searched = np.isin(dataset["target"], chosen)
    n_train = 2 * len(chosen) // 3
    inner = Namespace(**vars(options) | {"n_train": n_train, "n_test": len(chosen) - n_train, "repeats": 2})
    within = Group(name, dataset, searched, inner, records)
    others = Group(name, dataset, ~searched, options, records)
    rows = []
    for rival_name in options.rivals:
        rival = RIVALS[rival_name]
        settings = {"default": {}}
        if rival.steps and options.n_search:
            settings["searched"] = search(rival_name, rival, within)
            print(f"{name}: {rival_name}: chosen {settings['searched']}", flush=True)
        for what, parameters in settings.items() if options.n_test else ():
            title = f"{rival_name}, {what}" if rival.steps else rival_name
            row = {"data": name, "system": title} | others.summary(rival_name, rival, parameters)
            rows.append(row | {"settings": repr(parameters)})
            print(table(rows[-1:]), flush=True)
    return rows


def main(arguments=None):
    """Run the benchmark with the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    add_people(parser, ["hard"], 4, "galleries per draw of the report; the search ranks two", "results and descriptors")
    parser.add_argument("--n-search", type=int, default=150, help="identities of the search; 0 for the report only")
    parser.add_argument("--draws", type=int, default=3, help="draws of training and test people")
    parser.add_argument("--rivals", nargs="+", choices=RIVALS, default=list(RIVALS), metavar="RIVAL",
                        help=f"systems: {', '.join(RIVALS)}")  # fmt: skip
    parser.set_defaults(test_identities=None)
    options = parse(parser, arguments)
    if 0 < options.n_search < 3:
        parser.error(f"--n-search must be 3 or more, to train on two thirds, or 0. Got {options.n_search} instead.")
    options.out.mkdir(parents=True, exist_ok=True)
    records = Records(options.out / "rivals.jsonl")
    sizes = Namespace(**vars(options) | {"n_train": options.n_search + options.n_train})  # of drawn people
    rows = [row for name, dataset in read_sets(sizes).items() for row in run(name, dataset, options, records)]
    print(HEAD)
    print(table(rows))
    (options.out / "rivals.json").write_text(json.dumps({"settings": plain(options), "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
