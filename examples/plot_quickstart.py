"""
From images of people to a ranked gallery
=========================================

People walk past two cameras. A network learns to tell some of them apart. Then it must find *other* people again: given
an image from one camera, rank the images of the other camera so that the same person comes first.

The table compares four descriptors of the same test images:

- **pixels**: the image itself;
- **the paper's setting**: the smoothed map of the best filter of each layer, unchanged;
- **pooled last layer**: the last layer of the trained network, averaged over the image and scaled to unit length, which
  is what one would use without this method;
- **the default**: 64 filters per layer, read as how strongly each filter responds in each of eight strips: the square
  roots of these values, layer by layer, minus their mean over the training images, whitened, scaled to unit length.

It takes less than a minute on two idle CPU cores, with a small network trained for 5 epochs. ``--full`` trains the
default network for 20 epochs, which takes two to five minutes. ``--quick`` takes seconds and learns nothing: it only
shows that everything runs.
"""

# %%
# People
# ------
# The images are drawn, so that everyone can run this example. Clothes, hair and bags stay with a person; pose,
# background, colour cast and passers-by change. Test people are never seen in training.

import argparse
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.preprocessing import FunctionTransformer, normalize
from tqdm.auto import tqdm

from skreid import PAPER_SETTING, CMCScorer, MultiDepthReID, use_idle_cores
from skreid.datasets import make_pedestrians
from skreid.displays import CMCDisplay, RankingDisplay
from skreid.model_selection import split_probe_gallery

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
length = parser.add_mutually_exclusive_group()
length.add_argument("--full", action="store_true", help="train the default network for 20 epochs")
length.add_argument("--quick", action="store_true", help="a tiny setting that only shows that everything runs")
parser.add_argument("--out", type=Path, default=Path("examples/output"), help="folder for the two figures")
options, _ = parser.parse_known_args()
n_train, n_test = (6, 10) if options.quick else (100, 200)
backbone, max_epochs = ("vgg16_bn", 20) if options.full else ("vgg11_bn", 1 if options.quick else 5)

started = time.perf_counter()
n_threads = use_idle_cores()  # waiting for a core that another program keeps busy would double the time
print(f"{n_train} people to learn from, {n_test} others to find again; threads, as cores are idle: {n_threads}")
with tqdm(desc="Drawing people", total=n_train + n_test, unit="person") as bar:
    people = make_pedestrians(n_identities=n_train + n_test, image_size=(64, 32), random_state=0)
    bar.update(n_train + n_test)
in_training = people.target < n_train
X_train, y_train = people.images[in_training], people.target[in_training]
X_test, y_test, cams_test = (people[name][~in_training] for name in ("images", "target", "cams"))

# %%
# Training and exploring
# ----------------------
# One network is trained from random weights, with classifiers at three depths that are dropped afterwards. The second
# estimator differs only in what comes after training, so with ``memory`` it takes the network from the cache. Both read
# the last layer of each of the three deepest blocks. A blur of 8 pixels is to a frame of 64 x 32 what 20 is to one of
# 160 x 60.

memory = tempfile.TemporaryDirectory()
reid = MultiDepthReID(
    backbone=backbone, input_size=(64, 32), max_epochs=max_epochs, blur_size=(8, None), memory=memory.name,
    random_state=0, verbose=1,
)  # fmt: skip
reid.fit(X_train, y_train)
paper = clone(reid).set_params(**PAPER_SETTING | {"blur_size": 8}).fit(X_train, y_train)
memory.cleanup()

# %%
# Scores on people never seen
# ---------------------------
# Single-shot: the gallery is one random image per person from one camera, the probes are all images from the other
# camera. Scores are means over ten random galleries.


def pixels(X):
    """Return the image itself as the descriptor."""
    return (X / 255).reshape(len(X), -1)


def pooled(X):
    """Return the mean of the last layer's maps, scaled to unit length."""
    last = reid.layers_[-1]
    return normalize(reid.feature_maps(X, last)[last].mean(axis=(2, 3)))


systems = {
    "pixels": pixels,
    "the paper's setting: one filter in each of three layers": paper.transform,
    "pooled last layer": pooled,
    f"the default: {reid.n_filters} filters in each": reid.transform,
}
bar = tqdm(systems.items(), desc="Describing test images", unit="system")
descriptors = {name: transform(X_test) for name, transform in bar}
as_they_are = FunctionTransformer().fit(X_test)  # scorers and displays take any transformer; this one changes nothing
scorer = CMCScorer(ranks=(1, 5, 10, 20), mean_average_precision=True)
print(f"\n| {'descriptor':55} | dimensions | rank-1 | rank-5 | rank-10 | rank-20 |   mAP |")
print(f"|{'-' * 57}|-----------:|-------:|-------:|--------:|--------:|------:|")
for name, described in descriptors.items():
    scores = scorer(as_they_are, described, y_test, cams=cams_test).values()
    columns = zip(scores, (6, 6, 7, 7, 5), strict=True)  # and their widths
    print(f"| {name:55} | {described.shape[1]:>10} | " + " | ".join(f"{score:>{w}.3f}" for score, w in columns) + " |")
print()

# %%
# Figures
# -------
# The cumulative matching characteristic: the share of probes whose identity is among the first k of the ranking.

bar = tqdm(desc="Drawing figures", total=2, unit="figure")
fig, ax = plt.subplots(figsize=(6, 5.5), layout="constrained")
for name, described in descriptors.items():
    CMCDisplay.from_estimator(as_they_are, described, y_test, cams=cams_test, ax=ax, name=name.partition(":")[0])
handles, labels = ax.get_legend_handles_labels()
ax.get_legend().remove()
fig.legend(handles, labels, loc="outside lower center")
options.out.mkdir(parents=True, exist_ok=True)
fig.savefig(options.out / "quickstart_cmc.png", dpi=150)
bar.update()

# %%
# A few probes, each with the first images of its ranked gallery.

probe, gallery = split_probe_gallery(y_test, cams=cams_test, random_state=0)
shown = np.random.default_rng(0).choice(probe, size=5, replace=False)
display = RankingDisplay.from_estimator(
    reid, X_test[shown], X_test[gallery], y_test[shown], y_test[gallery], n_neighbors=8
)
display.figure_.savefig(options.out / "quickstart_ranking.png", dpi=150)
bar.update()
bar.close()
print(
    f"""
Network: {backbone}; epochs: {len(reid.history_)}; training images: {len(X_train)}; seconds in all: \
{time.perf_counter() - started:.0f}
Pictures: {options.out / "quickstart_cmc.png"}, {options.out / "quickstart_ranking.png"}

Next, your own images, in a folder with one folder per person:

    people = skreid.datasets.load_image_folder("people")
    reid = skreid.MultiDepthReID(random_state=0, verbose=1).fit(people.paths, people.target)

docs/user_guide/own_images.md goes on from there, to a ranking and a score. A better figure than the default's, for more
time: docs/user_guide/pipelines.md."""
)
