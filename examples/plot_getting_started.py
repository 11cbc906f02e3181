"""
Train, look, rank, score
========================

The whole workflow on a small scale: people are drawn, a network learns to tell 40 of them apart, its best filters are
chosen, and 20 *other* people are found again in a second camera.
"""

# %%
# People
# ------
# Each of two cameras sees every person twice. ``target`` holds the identity of each image, ``cams`` its camera. The
# network is tested on people it has not learned from (those that are not *known*).

from skreid import CMCScorer, MultiDepthReID
from skreid.datasets import make_pedestrians
from skreid.displays import CMCDisplay, RankingDisplay, TrainingCurveDisplay
from skreid.model_selection import split_probe_gallery

people = make_pedestrians(n_identities=60, image_size=(64, 32), random_state=0)
known = people.target < 40
X_test, y_test, cams_test = people.images[~known], people.target[~known], people.cams[~known]
print(f"{known.sum()} images to learn from, {len(X_test)} to test on, {people.images.shape[1:]} each")

# %%
# Fit
# ---
# ``fit`` trains the network, explores its filters, and keeps the 64 best filters in each of the three deepest blocks. A
# blur of 8 rows is to these small images what the default of 20 is to a frame of 160 x 60. ``memory`` caches the
# trained network on disk, where the other examples find it.

reid = MultiDepthReID(
    backbone="vgg11_bn", input_size=(64, 32), max_epochs=6, blur_size=(8, None), memory="cache", random_state=0
)
reid.fit(people.images[known], people.target[known])

# %%
# ``history_`` has one record per epoch. Six epochs are few: the loss is still falling. ``validation_fraction=0.1`` adds
# the curves of a tenth of the images, which are then held out from training.
#
# The classifiers that trained the network are dropped: they only know the training identities, which no probe shows.

TrainingCurveDisplay.from_estimator(reid)

# %%
# Rank
# ----
# The gallery is one random image per test person from one camera; all images from the other camera are probes.

probe, gallery = split_probe_gallery(y_test, cams=cams_test, random_state=0)
distances, indices = reid.kneighbors(X_test[probe], X_test[gallery], n_neighbors=5)
print(f"first probe: identity {y_test[probe[0]]}, ranked gallery: {y_test[gallery][indices[0]]}")

# %%
# The rankings of four probes as a picture. A green frame marks the right person.

# sphinx_gallery_thumbnail_number = 2
RankingDisplay.from_estimator(
    reid, X_test[probe[::10]], X_test[gallery], y_test[probe[::10]], y_test[gallery], n_neighbors=8
)

# %%
# Score
# -----
# Rank-k is the share of probes whose identity is among the first k of the ranking. `CMCScorer` returns the mean over
# ten random galleries.

scorer = CMCScorer(ranks=(1, 5, 10), mean_average_precision=True)
for figure, value in scorer(reid, X_test, y_test, cams=cams_test).items():
    print(f"{figure:8} {value:.3f}")

# %%
# The curve over all k. The band shows the spread over the ten galleries.

CMCDisplay.from_estimator(reid, X_test, y_test, cams=cams_test, name="64 filters per layer")
