"""How well each descriptor finds people again, beside its size and cost, on drawn people and on real folders.

Run ``python -m benchmarks.accuracy`` for the drawn people at three difficulties, or with
``--folder DIR --pattern REGEX`` (named groups ``identity`` and ``camera``) for pictures on disk. Each repeat draws
training and test identities anew. With ``--test-identities FILE`` (one per line) those are tested, all others are
trained on once, and each repeat draws a gallery of ``--n-test`` of them. All systems of a repeat share one trained
network. ``--search`` adds a system whose blur, filters and layers are chosen within the training identities. With
``--memory DIR``, trained networks are kept there for the next run. Prints a table and writes ``accuracy.json``.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer
from torchvision import models

from skreid import PAPER_SETTING, MultiDepthReID, cmc_score, evaluate
from skreid.datasets import load_image_folder, make_pedestrians
from skreid.descriptors import GOG, CenteredNormalizer
from skreid.metric_learning import XQDA
from skreid.model_selection import IdentityKFold
from skreid.protocols import GivenSplitProtocol, TwoViewProtocol

RANKS = (1, 5, 10, 20)


class Resized(TransformerMixin, BaseEstimator):
    """Images, as arrays or files, at one size: bilinear and antialiased, as `MultiDepthReID` reads them."""

    def __init__(self, size):
        self.size = size

    def fit(self, X, y=None):
        """Learn nothing."""
        self.fitted_ = True
        return self

    def transform(self, X):
        """Return (n, height, width, 3) uint8."""
        return np.stack([self._resized(image) for image in X])

    def _resized(self, image):
        if not isinstance(image, np.ndarray):
            with Image.open(image) as file:
                image = np.array(ImageOps.exif_transpose(file).convert("RGB"))
        if image.shape[:2] == tuple(self.size):
            return image
        batch = torch.from_numpy(image).permute(2, 0, 1)[None]
        resized = torch.nn.functional.interpolate(batch, tuple(self.size), mode="bilinear", antialias=True)
        return resized[0].permute(1, 2, 0).numpy()


def flattened(images):
    """Return pixels as descriptors, in [0, 1]."""
    return images.reshape(len(images), -1).astype(np.float32) / 255


class Pooled(MultiDepthReID):
    """The last layer of the trained network, averaged over the image and scaled to unit length."""

    def transform(self, X):
        """Return (n, n_filters) floats."""
        last = self.layers_[-1]
        batches = (X[start : start + 256] for start in range(0, len(X), 256))
        means = np.concatenate([self.feature_maps(batch, last)[last].mean(axis=(2, 3)) for batch in batches])
        return means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)


def box(height):
    """Return a box filter with an eighth of the frame's height, over its whole width."""
    return max(1, round(height / 8)), None


def three_depths(backbone):
    """Return the last layers of the three deepest blocks of a torchvision VGG."""
    if not backbone.startswith("vgg"):
        raise SystemExit(f"Which layers describe by {backbone}? Name three of them: --layers LAYER LAYER LAYER")
    with torch.device("meta"):
        features = models.get_model(backbone, weights=None).features
    ends, n_convolutions = [], 0
    for layer in features:
        if isinstance(layer, torch.nn.Conv2d):
            n_convolutions += 1
        elif isinstance(layer, torch.nn.MaxPool2d):
            ends.append(f"conv{len(ends) + 1}_{n_convolutions}")
            n_convolutions = 0
    return tuple(ends[-3:])


def searched(reid, layers, X, y):
    """Choose what comes after training by rank-1 within the training identities."""
    rows = reid.blur_size[0]
    grid = {
        "blur_size": [(rows, None), (2 * rows, None), (rows, rows)],
        "n_filters": [32, 64],
        "layers": [None, layers],
        "criterion": ["margin", "joint"],
    }
    search = GridSearchCV(reid, grid, scoring=cmc_score, cv=IdentityKFold(2), refit=False, error_score="raise")
    search.fit(X, y)
    return search.best_params_


def systems(reid, layers, n_components, second=None, chosen=None):
    """Return name -> estimator, all with the same training.

    Parameters
    ----------
    reid : MultiDepthReID
    layers : tuple of str
        Layers of the systems that read three.
    n_components : int
        Dimensions that PCA keeps.
    second : dict, optional
        Parameters in which a second network differs from the first.
    chosen : dict, optional
        Parameters that a search chose, for a system of their own.
    """
    paper = clone(reid).set_params(**PAPER_SETTING | {"blur_size": reid.blur_size[0]})
    many = clone(reid).set_params(n_filters=256, layers=layers)
    other = {"input_size": (3 * reid.input_size[0] // 4, reid.input_size[1]), "checkpoint": None} | (second or {})
    other = clone(many).set_params(**other, blur_size=box(other["input_size"][0]))
    pca, lda = PCA(n_components, random_state=0), LinearDiscriminantAnalysis("eigen", shrinkage=0.5)
    colours = make_pipeline(Resized((128, 48)), GOG(), CenteredNormalizer())
    both = FeatureUnion([("deep", reid), ("colours", colours)])
    two = FeatureUnion([("first", many), ("second", other)])
    rows = {
        "pixels": make_pipeline(Resized(reid.input_size), FunctionTransformer(flattened)),
        "pooled last layer": Pooled(**reid.get_params()),
        "paper: one filter per layer": paper,
        "default": reid,
        "default, PCA": make_pipeline(reid, pca),
        "default, PCA, LDA": make_pipeline(reid, pca, lda, Normalizer()),
        "default, PCA, XQDA": make_pipeline(reid, pca, XQDA()),
        "256 of three layers, PCA, LDA": make_pipeline(many, pca, lda, Normalizer()),
        "the same of two networks": make_pipeline(two, pca, lda, Normalizer()),
        "GOG, PCA, LDA": make_pipeline(colours, pca, lda, Normalizer()),
        "default and GOG, PCA, LDA": make_pipeline(both, pca, lda, Normalizer()),
    }
    return rows if chosen is None else rows | {"searched": clone(reid).set_params(**chosen)}


def listed(path, identities):
    """Return the identities that a text file names, one per line; all must be among those given."""
    lines = [line.strip() for line in path.read_text().splitlines() if line.strip()]
    names = [int(line) for line in lines] if identities.dtype.kind in "iu" else lines
    unknown = sorted(set(names) - set(identities.tolist()))
    if unknown:
        raise SystemExit(f"{path} names {len(unknown)} identities without a picture, such as {unknown[0]!r}.")
    return np.array(names)


def run(name, dataset, options, memory):
    """Evaluate all systems on one data set; return one row of plain values per system."""
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
    layers = tuple(options.layers or three_depths(options.backbone))
    chosen = None
    if options.search:
        chosen = searched(reid, layers, X[train], identities[train])
        print(f"{name}: chosen within the training identities of the first repeat: {chosen}")
    second = {"input_size": options.second_size, "weights": options.second_weights, "max_epochs": options.second_epochs}
    second = {name: value for name, value in second.items() if value is not None}
    estimators, rows = systems(reid, layers, min(1500, len(train) // 2), second, chosen), []
    for system in options.systems or estimators:
        estimator, started = estimators[system], time.perf_counter()
        fitting = GivenSplitProtocol() if options.test_identities else protocol
        result = evaluate(estimator, dataset, fitting, ranks=RANKS, return_estimators=True)
        estimator = result.estimators[0]
        if options.test_identities:
            result = evaluate(estimator, unknown, protocol, fit=False, ranks=RANKS)
        row = {"data": name, "system": system, "dimensions": estimator.transform(X[:2]).shape[1]}
        row["seconds"] = time.perf_counter() - started
        row |= {key: [result.mean[key], result.std[key]] for key in result.mean}
        rows.append(row)
        print(table([row]), flush=True)
    print(f"{len(train)} training images of {len(np.unique(identities[train]))} people; {protocol.describe()}")
    return rows


def with_shots(dataset, shots):
    """Return a data set with at most `shots` pictures, drawn at random, per person and camera."""
    rng, kept = np.random.default_rng(0), {}
    for place in rng.permutation(len(dataset["target"])):
        kept.setdefault((dataset["target"][place], dataset["cams"][place]), []).append(place)
    places = np.sort(np.concatenate([each[:shots] for each in kept.values()]))
    return {name: column[places] for name, column in dataset.items()}


def columns(dataset):
    """Return the columns that are used of a data set, pictures, target and cameras, as arrays."""
    images = "images" if "images" in dataset else "paths"
    return {name: np.asarray(dataset[name]) for name in (images, "target", "cams")}


def table(rows):
    """Return rows as lines of text, without a head."""
    lines = []
    for row in rows:
        shares = " ".join(
            f"{100 * row[key][0]:6.1f}±{100 * row[key][1]:4.1f}" for key in row if isinstance(row[key], list)
        )
        lines.append(f"{row['data']:22}{row['system']:31}{row['dimensions']:>11}{row['seconds']:>8.0f} s {shares}")
    return "\n".join(lines)


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows the description as it is written, and every option with its default."""


def main(arguments=None):
    """Run the benchmark with the options of the command line."""
    names = [*systems(MultiDepthReID(), None, 2), "searched"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    parser.add_argument("--folder", type=Path, help="a folder of pictures; without one, people are drawn")
    parser.add_argument("--pattern", help="regular expression with groups identity and camera, for --folder")
    parser.add_argument("--views-per-camera", type=int, default=1, help="divide the camera number by this")
    parser.add_argument("--difficulty", nargs="+", default=["easy", "medium", "hard"], help="of drawn people")
    parser.add_argument("--n-train", type=int, default=100, help="training identities")
    parser.add_argument("--n-test", type=int, default=100, help="test identities")
    parser.add_argument("--test-identities", type=Path, help="file of the identities to test, one per line")
    parser.add_argument("--repeats", type=int, default=2, help="trainings; with --test-identities, galleries")
    parser.add_argument(
        "--input-size", type=int, nargs=2, default=(64, 32), metavar=("HEIGHT", "WIDTH"), help="of the frame, in pixels"
    )
    parser.add_argument("--backbone", default="vgg16_bn", help="a torchvision name")
    parser.add_argument("--weights", help="torchvision name or file of pretrained weights")
    parser.add_argument("--layers", nargs="+", metavar="LAYER",
                        help="layers of the systems that read three; needed for a backbone that is no VGG")  # fmt: skip
    parser.add_argument("--epochs", type=int, default=16, help="most training epochs")
    parser.add_argument(
        "--second-size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"),
        help="frame of the second of two networks; without it, three quarters of the height",
    )  # fmt: skip
    parser.add_argument("--second-weights", help="pretrained weights of the second network, if not --weights")
    parser.add_argument("--second-epochs", type=int, help="most training epochs of the second network, if not --epochs")
    parser.add_argument("--shots", type=int, help="pictures used per person and camera; without it, all")
    parser.add_argument("--systems", nargs="+", metavar="SYSTEM", help=f"systems to evaluate: {'; '.join(names)}")
    parser.add_argument("--search", action="store_true", help="add a system whose settings are chosen on training data")
    parser.add_argument("--device", default="auto", help="a torch device")
    parser.add_argument("--batch-size", type=int, default=16, help="pictures per training step")
    parser.add_argument("--memory", type=Path, help="folder that keeps trained networks")
    parser.add_argument("--checkpoint", type=Path, help="folder from which a single training resumes")
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
        f"{'data':22}{'system':31}{'dimensions':>11}{'time':>10} rank-1, 5, 10, 20, mAP, mINP: "
        "mean and standard deviation, in percent"
    )
    print(table(rows))
    options.out.mkdir(parents=True, exist_ok=True)
    settings = {key: str(value) for key, value in vars(options).items()}
    (options.out / "accuracy.json").write_text(json.dumps({"settings": settings, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
