"""
Train, look, rank, score
========================

The whole way once, small: people are drawn, a network learns to tell 40 of them apart, its best filters are chosen,
and 20 *other* people are found again in a second camera.
"""

# %%
# People
# ------
# Every person is seen twice by each of two cameras. ``target`` says who it is, ``cams`` which camera saw them.
# Those the network learns from (*known*) and those it is tested on are different persons.

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
# ``fit`` trains the network and explores its filters; it keeps the 64 best in each of the two deepest blocks. A blur of
# 8 rows is to these small pictures what the default of 20 is to a frame of 160 x 60. ``memory`` keeps the trained
# network on disk: the other examples take it from there.

reid = MultiDepthReID(
    backbone="vgg11_bn", input_size=(64, 32), max_epochs=6, blur_size=(8, None), memory="cache", random_state=0
)
reid.fit(people.images[known], people.target[known])

# %%
# ``history_`` has one record an epoch. Six are few: the loss is still falling.
#
# The classifiers that taught the network are gone by now: none of their persons will ever be asked for.

TrainingCurveDisplay.from_estimator(reid)

# %%
# Rank
# ----
# A random image of each test person in one camera is the gallery; the images of the other camera are probes.

probe, gallery = split_probe_gallery(y_test, cams=cams_test, random_state=0)
distances, indices = reid.kneighbors(X_test[probe], X_test[gallery], n_neighbors=5)
print("first probe:", y_test[probe[0]], "- ranked gallery:", y_test[gallery][indices[0]])

# %%
# The same as a picture, for four probes; a green frame is the right person.

# sphinx_gallery_thumbnail_number = 2
RankingDisplay.from_estimator(
    reid, X_test[probe[::10]], X_test[gallery], y_test[probe[::10]], y_test[gallery], n_neighbors=8
)

# %%
# Score
# -----
# The mean over ten random galleries. Rank-k is the share of probes whose person is among the first k.

scorer = CMCScorer(ranks=(1, 5, 10), mean_average_precision=True)
for figure, value in scorer(reid, X_test, y_test, cams=cams_test).items():
    print(f"{figure:8} {value:.3f}")

# %%
# The curve over all k, with the spread over the ten galleries as a band.

CMCDisplay.from_estimator(reid, X_test, y_test, cams=cams_test, name="64 filters a layer")
