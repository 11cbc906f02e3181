"""
From images of people to a ranked gallery
=========================================

People walk past two cameras. A network learns to tell some of them apart. Then it must find *other* people again: given
an image from one camera, rank the images of the other camera so that the same person comes first.

The table compares four descriptors of the same test images:

- **pixels**: the image itself;
- **pooled last layer**: the last layer of the trained network, averaged over the image and scaled to unit length, which
  is what one would use without this method;
- **paper**: the smoothed map of the best filter of each layer, unchanged;
- **default**: 64 filters per layer, reduced to how strongly each filter responds at each height; the square roots of
  these values, layer by layer, about their mean over the training images and scaled to unit length.
"""

# %%
# People
# ------
# The images are drawn, so that everyone can run this example. Clothes, hair and bags stay with a person; pose,
# background, colour cast and passers-by change. Test people are never seen in training.
#
# ``--quick`` uses a setting that only shows that everything runs; it is too small to learn anything.

import argparse
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.preprocessing import FunctionTransformer, normalize

from skreid import PAPER_SETTING, CMCScorer, MultiDepthReID
from skreid.datasets import make_pedestrians
from skreid.displays import CMCDisplay, RankingDisplay
from skreid.model_selection import split_probe_gallery

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--quick", action="store_true", help="a tiny setting that only shows that everything runs")
parser.add_argument("--out", type=Path, default=Path("examples/output"), help="folder for the two figures")
options, _ = parser.parse_known_args()
n_train, n_test, max_epochs = (6, 10, 1) if options.quick else (100, 200, 20)

people = make_pedestrians(n_identities=n_train + n_test, image_size=(64, 32), random_state=0)
in_training = people.target < n_train
X_train, y_train = people.images[in_training], people.target[in_training]
X_test, y_test, cams_test = (people[name][~in_training] for name in ("images", "target", "cams"))

# %%
# Training and exploring
# ----------------------
# One network is trained from random weights, with classifiers at three depths that are dropped afterwards. The second
# estimator differs only in what comes after training, so with ``memory`` it takes the network from the cache. Both read
# the last layer of each of the two deepest blocks. A blur of 8 pixels is to a frame of 64 x 32 what 20 is to one of
# 160 x 60.

started = time.perf_counter()
memory = tempfile.TemporaryDirectory()
reid = MultiDepthReID(
    input_size=(64, 32), max_epochs=max_epochs, blur_size=(8, None), memory=memory.name, random_state=0, verbose=1
)
reid.fit(X_train, y_train)
paper = clone(reid).set_params(**PAPER_SETTING | {"blur_size": 8}).fit(X_train, y_train)
memory.cleanup()
seconds = time.perf_counter() - started
print(f"Trained for {len(reid.history_)} epochs on {len(X_train)} images, and explored filters, in {seconds:.0f} s")

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
    return normalize(reid.feature_maps(X, "conv5_3")["conv5_3"].mean(axis=(2, 3)))


descriptors = {
    "pixels": pixels(X_test),
    "pooled last layer": pooled(X_test),
    "paper: one filter per layer": paper.transform(X_test),
    f"default: {reid.n_filters} filters per layer": reid.transform(X_test),
}
as_they_are = FunctionTransformer().fit(X_test)  # scorers and displays take any transformer; this one changes nothing
scorer = CMCScorer(ranks=(1, 5, 10, 20), mean_average_precision=True)
print(f"{'':31}{'dimensions':>11}{'rank-1':>8}{'rank-5':>8}{'rank-10':>8}{'rank-20':>8}{'mAP':>8}")
for name, described in descriptors.items():
    scores = scorer(as_they_are, described, y_test, cams=cams_test)
    print(f"{name:31}{described.shape[1]:>11}" + "".join(f"{share:>8.3f}" for share in scores.values()))

# %%
# Figures
# -------
# The cumulative matching characteristic: the share of probes whose identity is among the first k of the ranking.

fig, ax = plt.subplots(figsize=(6, 5.5), layout="constrained")
for name, described in descriptors.items():
    CMCDisplay.from_estimator(as_they_are, described, y_test, cams=cams_test, ax=ax, name=name)
handles, labels = ax.get_legend_handles_labels()
ax.get_legend().remove()
fig.legend(handles, labels, loc="outside lower center")
options.out.mkdir(parents=True, exist_ok=True)
fig.savefig(options.out / "quickstart_cmc.png", dpi=150)

# %%
# A few probes, each with the first images of its ranked gallery.

probe, gallery = split_probe_gallery(y_test, cams=cams_test, random_state=0)
shown = np.random.default_rng(0).choice(probe, size=5, replace=False)
display = RankingDisplay.from_estimator(
    reid, X_test[shown], X_test[gallery], y_test[shown], y_test[gallery], n_neighbors=8
)
display.figure_.savefig(options.out / "quickstart_ranking.png", dpi=150)
print(f"Figures: {options.out / 'quickstart_cmc.png'}, {options.out / 'quickstart_ranking.png'}")
