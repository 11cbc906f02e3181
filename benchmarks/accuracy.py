"""How well each descriptor finds people again, beside its size and cost, on drawn people and on real folders.

Run ``python -m benchmarks.accuracy`` for the drawn people at three difficulties, or with
``--folder DIR --pattern REGEX`` (named groups ``identity`` and ``camera``) for pictures on disk. Each repeat draws
training and test identities anew; with ``--test-identities FILE`` (one a line) those are tested and all others trained
on, once, and each repeat draws a gallery of ``--n-test`` of them. All systems share one trained network a training, and
what is chosen (blur, filters, layers) is chosen by a search (``--search``) inside the training identities. With
``--memory DIR``, trained networks are kept there for the next run. Prints a table and writes ``accuracy.json``.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import Normalizer

from skreid import PAPER_SETTING, MultiDepthReID, cmc_score, evaluate
from skreid._images.source import ImageSource
from skreid._network.building import block_ends, map_shapes
from skreid.datasets import load_image_folder, make_pedestrians
from skreid.descriptors import GOG, CenteredNormalizer
from skreid.metric_learning import XQDA
from skreid.model_selection import IdentityKFold
from skreid.protocols import GivenSplitProtocol, TwoViewProtocol

RANKS = (1, 5, 10, 20)


class Pixels(TransformerMixin, BaseEstimator):
    """The resized picture itself."""

    def __init__(self, input_size):
        self.input_size = input_size

    def fit(self, X, y=None):
        """Learn nothing."""
        self.fitted_ = True
        return self

    def transform(self, X):
        """Return (n, height * width * 3) floats in [0, 1]."""
        batches = ImageSource(X, self.input_size).batches(256)
        return np.concatenate([batch.flatten(1).numpy() / 255 for batch in batches]).astype(np.float32)


class Resized(TransformerMixin, BaseEstimator):
    """Pictures of any size at that of hand-crafted descriptors."""

    def fit(self, X, y=None):
        """Learn nothing."""
        self.fitted_ = True
        return self

    def transform(self, X):
        """Return (n, 128, 48, 3) uint8."""
        batches = ImageSource(X, (128, 48)).batches(256)
        return np.concatenate([batch.permute(0, 2, 3, 1).numpy() for batch in batches])


class Pooled(MultiDepthReID):
    """The last layer of the trained network, averaged over the picture and scaled to unit length."""

    def transform(self, X):
        """Return (n, n_filters) floats."""
        means = [
            self.feature_maps(X[start : start + 256], self.layers_[-1])[self.layers_[-1]].mean(axis=(2, 3))
            for start in range(0, len(X), 256)
        ]
        means = np.concatenate(means)
        return means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)


def box(height):
    """Return a box filter of an eighth of the frame's height, over its whole width."""
    return max(1, round(height / 8)), None


def three_depths(reid):
    """Return the ends of the three deepest blocks."""
    return block_ends(map_shapes(reid.backbone, tuple(reid.input_size)))[-3:]


def searched(reid, X, y):
    """Choose what comes after training by rank-1 within the training identities."""
    rows = reid.blur_size[0]
    grid = {
        "blur_size": [(rows, None), (2 * rows, None), (rows, rows)],
        "n_filters": [32, 64],
        "layers": [None, three_depths(reid)],
        "criterion": ["margin", "joint"],
    }
    search = GridSearchCV(reid, grid, scoring=cmc_score, cv=IdentityKFold(2), refit=False, error_score="raise")
    search.fit(X, y)
    return search.best_params_


def systems(reid, n_components, second=None, found=None):
    """Return name -> estimator, all with the same training; `second` is how that of a second network differs."""
    paper = clone(reid).set_params(**PAPER_SETTING | {"blur_size": reid.blur_size[0]})
    many = clone(reid).set_params(n_filters=256, layers=three_depths(reid))
    other = {"input_size": (3 * reid.input_size[0] // 4, reid.input_size[1]), "checkpoint": None} | (second or {})
    other = clone(many).set_params(**other, blur_size=box(other["input_size"][0]))
    few, lda = PCA(n_components, random_state=0), LinearDiscriminantAnalysis("eigen", shrinkage=0.5)
    colours = make_pipeline(Resized(), GOG(), CenteredNormalizer())
    both = FeatureUnion([("deep", reid), ("colours", colours)])
    two = FeatureUnion([("first", many), ("second", other)])
    rows = {
        "pixels": Pixels(reid.input_size),
        "pooled last layer": Pooled(**reid.get_params()),
        "paper: one filter a layer": paper,
        "default": reid,
        "default, PCA": make_pipeline(reid, few),
        "default, PCA, LDA": make_pipeline(reid, few, lda, Normalizer()),
        "default, PCA, XQDA": make_pipeline(reid, few, XQDA()),
        "256 of three layers, PCA, LDA": make_pipeline(many, few, lda, Normalizer()),
        "the same of two networks": make_pipeline(two, few, lda, Normalizer()),
        "GOG, PCA, LDA": make_pipeline(colours, few, lda, Normalizer()),
        "default and GOG, PCA, LDA": make_pipeline(both, few, lda, Normalizer()),
    }
    return rows if found is None else rows | {"searched": clone(reid).set_params(**found)}


def listed(path, identities):
    """Return the identities that a text file names, one a line; all must be among those given."""
    lines = [line.strip() for line in path.read_text().splitlines() if line.strip()]
    names = [int(line) for line in lines] if identities.dtype.kind in "iu" else lines
    unknown = sorted(set(names) - set(identities.tolist()))
    if unknown:
        raise SystemExit(f"{path} names {len(unknown)} identities without a picture, such as {unknown[0]!r}.")
    return np.array(names)


def run(name, dataset, options, memory):
    """Evaluate all systems on one data set; return rows of plain values."""
    X, identities = next(iter(dataset.values())), dataset["target"]
    reid = MultiDepthReID(
        backbone=options.backbone,
        weights=options.weights,
        input_size=tuple(options.input_size),
        max_epochs=options.epochs,
        batch_size=options.batch_size,
        blur_size=box(options.input_size[0]),
        memory=str(memory),
        checkpoint=options.checkpoint,
        device=options.device,
        random_state=0,
        n_jobs=2,
        verbose=1,
    )
    if options.test_identities:
        tested = np.isin(identities, listed(options.test_identities, identities))
        train = np.flatnonzero(~tested)
        first = dataset["cams"] == dataset["cams"].min()
        dataset["subset"] = np.where(tested, np.where(first, "query", "gallery"), "train")
        unknown = {key: column[tested] for key, column in dataset.items()}
        protocol = TwoViewProtocol(n_train=0, n_test=options.n_test, n_repeats=options.repeats)
    else:
        protocol = TwoViewProtocol(n_train=options.n_train, n_test=options.n_test, n_repeats=options.repeats)
        train = next(iter(protocol.split(dataset))).train
    found = None
    if options.search:
        found = searched(reid, X[train], identities[train])
        print(f"{name}: chosen within the training identities of the first repeat: {found}")
    second = {"input_size": options.second_size, "weights": options.second_weights, "max_epochs": options.second_epochs}
    second = {name: value for name, value in second.items() if value is not None}
    wanted, rows = systems(reid, min(1500, len(train) // 2), second, found), []
    for system in options.systems or wanted:
        estimator, started = wanted[system], time.perf_counter()
        fitting = GivenSplitProtocol() if options.test_identities else protocol
        result = evaluate(estimator, dataset, fitting, ranks=RANKS, return_estimators=True)
        estimator = result.estimators[0]
        if options.test_identities:
            result = evaluate(estimator, unknown, protocol, fit=False, ranks=RANKS)
        row = {"data": name, "system": system, "numbers": estimator.transform(X[:2]).shape[1]}
        row["seconds"] = time.perf_counter() - started
        row |= {key: [result.mean[key], result.std[key]] for key in result.mean}
        rows.append(row)
        print(table([row]), flush=True)
    print(f"{len(train)} training images of {len(np.unique(identities[train]))} persons; {protocol.describe()}")
    return rows


def with_shots(dataset, shots):
    """Return a data set of so many pictures, drawn at random, of each person and camera."""
    rng, kept = np.random.default_rng(0), {}
    for place in rng.permutation(len(dataset["target"])):
        kept.setdefault((dataset["target"][place], dataset["cams"][place]), []).append(place)
    places = np.sort(np.concatenate([each[:shots] for each in kept.values()]))
    return {name: column[places] for name, column in dataset.items()}


def columns(dataset):
    """Return what is used of a data set: its pictures, target and cameras, as arrays."""
    images = "images" if "images" in dataset else "paths"
    return {name: np.asarray(dataset[name]) for name in (images, "target", "cams")}


def table(rows):
    """Return rows as text."""
    lines = []
    for row in rows:
        shares = " ".join(
            f"{100 * row[key][0]:6.1f}±{100 * row[key][1]:4.1f}" for key in row if isinstance(row[key], list)
        )
        lines.append(f"{row['data']:22}{row['system']:28}{row['numbers']:>8}{row['seconds']:>8.0f} s {shares}")
    return "\n".join(lines)


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """The description as it is written, and every option with its default."""


def main(arguments=None):
    """Run the benchmark as its options say."""
    names = [*systems(MultiDepthReID(), 2), "searched"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    parser.add_argument("--folder", type=Path, help="a folder of pictures; people are drawn without one")
    parser.add_argument("--pattern", help="regular expression with groups identity and camera, for --folder")
    parser.add_argument("--views-per-camera", type=int, default=1, help="divide the camera number by this")
    parser.add_argument("--difficulty", nargs="+", default=["easy", "medium", "hard"], help="of drawn people")
    parser.add_argument("--n-train", type=int, default=100, help="training identities")
    parser.add_argument("--n-test", type=int, default=100, help="test identities")
    parser.add_argument("--test-identities", type=Path, help="file of the identities to test, one a line")
    parser.add_argument("--repeats", type=int, default=2, help="trainings; with --test-identities, galleries")
    parser.add_argument(
        "--input-size", type=int, nargs=2, default=(64, 32), metavar=("HEIGHT", "WIDTH"), help="of the frame, in pixels"
    )
    parser.add_argument("--backbone", default="vgg16_bn", help="a torchvision name")
    parser.add_argument("--weights", help="torchvision name or file of pretrained weights")
    parser.add_argument("--epochs", type=int, default=16, help="of training, at most")
    parser.add_argument(
        "--second-size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"),
        help="frame of the second network in the row of two; without it, of three quarters of the height",
    )  # fmt: skip
    parser.add_argument("--second-weights", help="what the second network starts from, if not --weights")
    parser.add_argument("--second-epochs", type=int, help="its epochs, if not --epochs")
    parser.add_argument("--shots", type=int, help="pictures of a person and camera that are used; all without it")
    parser.add_argument("--systems", nargs="+", metavar="SYSTEM", help=f"rows of the table, of: {'; '.join(names)}")
    parser.add_argument("--search", action="store_true", help="a row whose settings a search in training chose")
    parser.add_argument("--device", default="auto", help="a torch device")
    parser.add_argument("--batch-size", type=int, default=16, help="pictures a training step")
    parser.add_argument("--memory", type=Path, help="folder that keeps trained networks")
    parser.add_argument("--checkpoint", type=Path, help="folder where a training (a single one) can be gone on with")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="folder of accuracy.json")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.systems or ()) - set(names if options.search else names[:-1]))
    if unknown:
        parser.error(f"--systems {unknown[0]!r} is not among: {'; '.join(names)} (the last with --search)")
    if options.folder:
        camera = None if options.views_per_camera == 1 else (lambda number: int(number) // options.views_per_camera)
        sets = {options.folder.name: load_image_folder(options.folder, pattern=options.pattern, camera=camera)}
    else:
        n = options.n_train + options.n_test
        size = tuple(options.input_size)
        sets = {level: make_pedestrians(n, image_size=size, difficulty=level, random_state=0)
                for level in options.difficulty}  # fmt: skip
    sets = {name: columns(dataset) for name, dataset in sets.items()}
    if options.shots:
        sets = {name: with_shots(dataset, options.shots) for name, dataset in sets.items()}
    with tempfile.TemporaryDirectory() as temporary:
        memory = options.memory or temporary
        rows = [row for name, dataset in sets.items() for row in run(name, dataset, options, memory)]
    print(
        f"{'data':22}{'system':28}{'numbers':>8}{'time':>10} rank-1, 5, 10, 20, mAP, mINP: mean and deviation, percent"
    )
    print(table(rows))
    options.out.mkdir(parents=True, exist_ok=True)
    settings = {key: str(value) for key, value in vars(options).items()}
    (options.out / "accuracy.json").write_text(json.dumps({"settings": settings, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
