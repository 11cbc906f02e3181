"""What the benchmarks of accuracy share: people, drawn or in a folder, a network, and the options for both."""

import argparse
import hashlib
import re
from pathlib import Path

import numpy as np
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.preprocessing import Normalizer

from skreid import MultiDepthReID, datasets
from skreid.protocols import TwoViewProtocol

RANKS = (1, 5, 10, 20)
LAYOUTS = ("cuhk01", "viper", "prid2011", "pku_reid")  # of two cameras


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows the description as it is written, and every option with its default."""


def add_people(parser, difficulties, n_repeats, repeats, out):
    """Add the options of people to the parser of a benchmark.

    Parameters
    ----------
    parser : ArgumentParser
    difficulties : sequence of str
        Of drawn people, by default.
    n_repeats : int
        Default of ``--repeats``.
    repeats : str
        What a repeat is.
    out : str
        What the folder ``--out`` will hold.
    """
    parser.add_argument("--folder", type=Path, help="a folder of pictures; without one, people are drawn")
    parser.add_argument("--pattern", help="regular expression with groups identity and camera, for --folder")
    parser.add_argument("--layout", choices=LAYOUTS, help="of a known set in --folder, instead of --pattern")
    parser.add_argument("--views-per-camera", type=int, default=1, help="divide the camera number by this")
    parser.add_argument("--difficulty", nargs="+", default=difficulties, help="of drawn people")
    parser.add_argument("--n-train", type=int, default=100, help="training identities")
    parser.add_argument("--n-test", type=int, default=100, help="test identities")
    parser.add_argument("--probe-shots", type=int, help="probes drawn per test identity; without it, all")
    parser.add_argument("--repeats", type=int, default=n_repeats, help=repeats)
    parser.add_argument("--shots", type=int, help="pictures used per person and camera; without it, all")
    parser.add_argument(
        "--input-size", type=int, nargs=2, default=(64, 32), metavar=("HEIGHT", "WIDTH"), help="of the frame, in pixels"
    )
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help=f"folder of {out}")


def add_options(parser, difficulties, n_repeats, repeats, out):
    """Add the options of people, as `add_people` does, and those of a network to the parser of a benchmark."""
    add_people(parser, difficulties, n_repeats, repeats, out)
    parser.add_argument("--test-identities", type=Path, help="file of the identities to test, one per line")
    parser.add_argument("--backbone", default="vgg16_bn", help="a torchvision name")
    parser.add_argument("--weights", help="torchvision name or file of pretrained weights")
    parser.add_argument("--epochs", type=int, default=16, help="most training epochs")
    parser.add_argument("--device", default="auto", help="a torch device")
    parser.add_argument("--precision", default="auto", help="auto, float32 or bfloat16")
    parser.add_argument("--held-out", type=float, default=0.0, help="share of training pictures that decide the end")
    parser.add_argument("--batch-size", type=int, default=16, help="pictures per training step")
    parser.add_argument("--memory", type=Path, help="folder that keeps trained networks")
    parser.add_argument("--checkpoint", type=Path, help="folder from which a single training resumes")


def parse(parser, arguments):
    """Return the options of the command line, and refuse those that cannot be used together."""
    options = parser.parse_args(arguments)
    if (options.layout or options.pattern) and not options.folder:
        parser.error(f"--{'layout' if options.layout else 'pattern'} needs --folder, the folder of the pictures.")
    if options.folder and not (options.layout or options.pattern):
        parser.error("--folder needs --layout or --pattern, which say whom a picture shows.")
    if options.pattern:
        groups = set(re.compile(options.pattern).groupindex)
        missing = sorted({"identity", "camera"} - groups)
        if missing:
            parser.error(f"--pattern has no named group (?P<{missing[0]}>...).")
    for name in ("draws", "repeats"):
        if getattr(options, name, 1) < 1:
            parser.error(f"--{name} must be 1 or more. Got {getattr(options, name)} instead.")
    if getattr(options, "checkpoint", None):
        draws = 1 if options.test_identities else getattr(options, "draws", 1)
        if draws > 1 or getattr(options, "search", False):
            parser.error("--checkpoint resumes one training: use --draws 1 without --search, or --memory instead.")
    return options


def contents(images):
    """Return a digest of each picture, an array or a file: equal for equal contents."""
    pictures = (image.tobytes() if isinstance(image, np.ndarray) else Path(image).read_bytes() for image in images)
    return [hashlib.sha256(picture).hexdigest() for picture in pictures]


def read_sets(options):
    """Return name -> data set, a dict of arrays: pictures (``images`` or ``paths``), ``target`` and ``cams``."""
    if options.layout:
        sets = {options.folder.name: getattr(datasets, f"load_{options.layout}")(options.folder)}
    elif options.folder:
        camera = None if options.views_per_camera == 1 else (lambda number: int(number) // options.views_per_camera)
        sets = {options.folder.name: datasets.load_image_folder(options.folder, pattern=options.pattern, camera=camera)}
    else:
        n, size = options.n_train + options.n_test, tuple(options.input_size)
        sets = {level: datasets.make_pedestrians(n, image_size=size, difficulty=level, random_state=0)
                for level in options.difficulty}  # fmt: skip
    sets = {name: _columns(dataset) for name, dataset in sets.items()}
    return {name: _with_shots(dataset, options.shots) for name, dataset in sets.items()} if options.shots else sets


def galleries(options, n_train):
    """Return the protocol that draws test identities, their probes and their galleries."""
    return TwoViewProtocol(
        n_train=n_train, n_test=options.n_test, probe_shots=options.probe_shots, n_repeats=options.repeats
    )


def network(options, memory):
    """Return the estimator that the options describe; it is the default in all that they do not say."""
    return MultiDepthReID(
        backbone=options.backbone,
        weights=options.weights,
        input_size=tuple(options.input_size),
        max_epochs=options.epochs,
        batch_size=options.batch_size,
        blur_size=box(options.input_size[0]),
        memory=str(memory),
        checkpoint=options.checkpoint,
        device=options.device,
        precision=options.precision,
        validation_fraction=options.held_out,
        random_state=0,
        n_jobs=2,
        verbose=1,
    )


def lda(n_components):
    """Return the steps behind the strongest descriptor: PCA, LDA and unit length."""
    return PCA(n_components, random_state=0), LinearDiscriminantAnalysis("eigen", shrinkage=0.5), Normalizer()


def capacity(reid):
    """Return the most filters per layer that an estimator can describe by, and the dimensions of its descriptor."""
    images = np.random.default_rng(0).integers(0, 256, (4, *reid.input_size, 3), dtype=np.uint8)
    quick = {"max_epochs": 0, "weights": None, "memory": None, "checkpoint": None, "verbose": 0}
    untrained = clone(reid).set_params(**quick).fit(images, [0, 0, 1, 1])
    return min(len(next(iter(of.values()))) for of in untrained.filter_distances_.values()), untrained.n_features_out_


def box(height):
    """Return a box filter with an eighth of the frame's height, over its whole width."""
    return max(1, round(height / 8)), None


def listed(path, identities):
    """Return the identities that a text file names, one per line; all must be among those given."""
    lines = [line.strip() for line in path.read_text().splitlines() if line.strip()]
    names = [int(line) for line in lines] if identities.dtype.kind in "iu" else lines
    unknown = sorted(set(names) - set(identities.tolist()))
    if unknown:
        raise SystemExit(f"{path} names {len(unknown)} identities without a picture, such as {unknown[0]!r}.")
    return np.array(names)


def plain(options):
    """Return the options of a run as text, for its JSON file."""
    return {key: str(value) for key, value in vars(options).items()}


def _with_shots(dataset, shots):
    """Return a data set with at most `shots` pictures, drawn at random, per person and camera."""
    rng, kept = np.random.default_rng(0), {}
    for place in rng.permutation(len(dataset["target"])):
        kept.setdefault((dataset["target"][place], dataset["cams"][place]), []).append(place)
    places = np.sort(np.concatenate([each[:shots] for each in kept.values()]))
    return {name: column[places] for name, column in dataset.items()}


def _columns(dataset):
    """Return the columns that are used of a data set, pictures, target and cameras, as arrays."""
    images = "images" if "images" in dataset else "paths"
    return {name: np.asarray(dataset[name]) for name in (images, "target", "cams")}
