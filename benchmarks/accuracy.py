"""How well each descriptor finds people again, beside its size and cost, on drawn people and on real folders.

Run ``python -m benchmarks.accuracy`` for the drawn people at three difficulties. For pictures on disk, add
``--folder DIR`` with ``--layout NAME`` or ``--pattern REGEX`` (named groups ``identity`` and ``camera``). Each of
``--draws`` draws training and test identities anew, and all systems share one network trained on the former. With
``--test-identities FILE`` (one per line) those are tested, and all others are trained on, once. ``--repeats`` random
galleries of test identities are ranked per draw. ``--search`` adds a system whose blur, filters and layers are chosen
within the training identities, in each draw anew. With ``--memory DIR``, trained networks are kept there for the next
run. Prints a table and writes ``accuracy.json``: each figure is the mean over draws of people, with its deviation over
these draws and, apart from that, over the galleries of a draw.
"""

import argparse
import tempfile

import numpy as np
import torch
from PIL import Image, ImageOps
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from benchmarks._data import HelpFormatter, add_options, box, capacity, lda, network, parse, read_sets
from benchmarks._draws import add_draws, draws, measure, publish, say, summaries, table
from skreid import PAPER_SETTING, STRONGEST, MultiDepthReID, cmc_score
from skreid.descriptors import GOG, CenteredNormalizer
from skreid.metric_learning import KCVDCA, XQDA
from skreid.model_selection import IdentityKFold


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


def searched(reid, X, y):
    """Choose what comes after training by rank-1 within the training identities."""
    rows = reid.blur_size[0]
    grid = {
        "blur_size": [(rows, None), (2 * rows, None), (rows, rows)],
        "n_filters": [32, 64],
        "layers": [2, 3],
        "criterion": ["margin", "joint"],
    }
    search = GridSearchCV(reid, grid, scoring=cmc_score, cv=IdentityKFold(2), refit=False, error_score="raise")
    search.fit(X, y)
    return search.best_params_


def systems(reid, n_components, second=None, chosen=None, n_filters=STRONGEST["n_filters"]):
    """Return name -> estimator, all with the same training.

    Parameters
    ----------
    reid : MultiDepthReID
    n_components : int
        Dimensions that PCA keeps.
    second : dict, optional
        Parameters in which a second network differs from the first.
    chosen : dict, optional
        Parameters that a search chose, for a system of their own.
    n_filters : int
        Filters per layer of the strongest descriptor.
    """
    paper = clone(reid).set_params(**PAPER_SETTING | {"blur_size": reid.blur_size[0]})
    rooted = clone(reid).set_params(normalize="rooted")
    strongest = clone(reid).set_params(**STRONGEST | {"n_filters": n_filters})
    other = {"input_size": (3 * reid.input_size[0] // 4, reid.input_size[1]), "checkpoint": None} | (second or {})
    other = clone(strongest).set_params(**other, blur_size=box(other["input_size"][0]))
    pca, *_ = metric = lda(n_components)
    colours = make_pipeline(GOG(), CenteredNormalizer())
    both = FeatureUnion([("deep", rooted), ("colours", colours)])
    two = FeatureUnion([("first", strongest), ("second", other)])
    flipped = [(name, clone(part).set_params(average_flips=True)) for name, part in two.transformer_list]
    fused = GOG(color=("rgb", "lab", "hsv", "nrng"))
    fused = make_pipeline(fused, CenteredNormalizer(block_sizes=fused.block_sizes))
    everything = FeatureUnion([*flipped, ("colours", fused)])
    rows = {
        "pixels": make_pipeline(Resized(reid.input_size), FunctionTransformer(flattened)),
        "pooled last layer": Pooled(**reid.get_params()),
        "paper: one filter per layer": paper,
        "earlier default": clone(rooted).set_params(sampling="pixel", layers=2),
        "default": reid,
        "default, flips averaged": clone(reid).set_params(average_flips=True),
        "default, PCA": make_pipeline(reid, pca),
        "not whitened": rooted,
        "not whitened, PCA, LDA": make_pipeline(rooted, *metric),
        "strongest, PCA, LDA": make_pipeline(strongest, *metric),
        "strongest, PCA, XQDA": make_pipeline(strongest, pca, XQDA()),
        "strongest, flips averaged, PCA, LDA": make_pipeline(flipped[0][1], *metric),
        "strongest, flips averaged, PCA, XQDA": make_pipeline(flipped[0][1], pca, XQDA()),
        "strongest of two, PCA, LDA": make_pipeline(two, *metric),
        "GOG, PCA, LDA": make_pipeline(colours, *metric),
        "not whitened and GOG, PCA, LDA": make_pipeline(both, *metric),
        "strongest of two, flips, fused GOG, KCVDCA": make_pipeline(everything, KCVDCA()),
    }
    return rows if chosen is None else rows | {"searched": clone(reid).set_params(**chosen)}


def run(name, dataset, options, memory):
    """Evaluate all systems on one data set; return one row of plain values per system."""
    X, identities = next(iter(dataset.values())), dataset["target"]
    reid, chosen, drawn = network(options, memory), None, []
    most, n_dimensions = capacity(reid)
    n_filters = min(STRONGEST["n_filters"], most)
    if n_filters < STRONGEST["n_filters"]:
        print(f"{name}: the strongest descriptor has {n_filters} filters per layer, all that a layer has")
    for draw, (train, tested) in enumerate(draws(dataset, options)):
        if options.search:
            chosen = searched(reid, X[train], identities[train])
            print(f"{name}: chosen within the training identities of draw {draw + 1}: {chosen}")
        estimators = systems(reid, min(1500, len(train) // 2, n_dimensions), second(options), chosen, n_filters)
        estimators = {system: estimators[system] for system in options.systems or estimators}
        drawn.append(measure(estimators, dataset, train, tested, options))
        print(table(summaries(name, drawn)), flush=True)
        say(draw, dataset, train, options)
    return summaries(name, drawn)


def second(options):
    """Return the parameters in which a second network differs from the first."""
    given = {"input_size": options.second_size, "weights": options.second_weights, "max_epochs": options.second_epochs}
    return {name: value for name, value in given.items() if value is not None}


def main(arguments=None):
    """Run the benchmark with the options of the command line."""
    names = [*systems(MultiDepthReID(), 2), "searched"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    add_options(parser, ["easy", "medium", "hard"], 10, "random galleries per draw of people", "accuracy.json")
    add_draws(parser)
    parser.add_argument(
        "--second-size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"),
        help="frame of the second of two networks; without it, three quarters of the height",
    )  # fmt: skip
    parser.add_argument("--second-weights", help="pretrained weights of the second network, if not --weights")
    parser.add_argument("--second-epochs", type=int, help="most training epochs of the second network, if not --epochs")
    parser.add_argument("--systems", nargs="+", metavar="SYSTEM", help=f"systems to evaluate: {'; '.join(names)}")
    parser.add_argument("--search", action="store_true", help="add a system whose settings are chosen on training data")
    options = parse(parser, arguments)
    unknown = sorted(set(options.systems or ()) - set(names if options.search else names[:-1]))
    if unknown:
        parser.error(f"--systems {unknown[0]!r} is not among: {'; '.join(names)} (the last with --search)")
    with tempfile.TemporaryDirectory() as temporary:
        memory = options.memory or temporary
        rows = [row for name, dataset in read_sets(options).items() for row in run(name, dataset, options, memory)]
    publish(rows, options, "accuracy")


if __name__ == "__main__":
    main()
