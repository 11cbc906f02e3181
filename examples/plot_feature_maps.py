"""
What a chosen filter sees
=========================

The smoothed maps of the best filter in each of two layers, for a probe, the same person in the other camera, and a
different person. The bars show where on the body the filter responds: in the top, middle or bottom third.
"""

# %%
# This is the paper's setting, except that each layer also keeps a second filter. A blur of 8 pixels is to this frame
# what 20 is to one of 160 x 60. The distance to the probe is written below each map: the same person should be nearer
# than the different one. Below the images are the distances of all filters together.

import numpy as np

from skreid import PAPER_SETTING, MultiDepthReID
from skreid.datasets import make_pedestrians
from skreid.displays import FeatureMapDisplay

people = make_pedestrians(n_identities=60, image_size=(64, 32), random_state=0)
known = people.target < 40
reid = MultiDepthReID(
    backbone="vgg11_bn",
    input_size=(64, 32),
    max_epochs=6,
    layers=("conv3_2", "conv4_2"),
    memory="cache",
    random_state=0,
    **PAPER_SETTING | {"blur_size": 8, "n_filters": 2},
).fit(people.images[known], people.target[known])

X_test, y_test, cams_test = people.images[~known], people.target[~known], people.cams[~known]
display = FeatureMapDisplay.from_estimator(reid, X_test, y_test, cams=cams_test)

# %%
# The same distances as text.

for title, (same, different) in display.distances_.items():
    print(f"{title}: {same:.2f} to the same person, {different:.2f} to a different one")

# %%
# ``rank=1`` shows the second-best filter.

FeatureMapDisplay.from_estimator(reid, X_test, y_test, cams=cams_test, rank=1)

# %%
# Whole rows
# ----------
# The default box is as wide as the frame. It leaves one value per row, which is drawn as a profile over the height. The
# probe's profile is dashed, and what differs from it is shaded. One filter sees one thing: the different person is here
# the nearest of all in the best filter of the deepest layer, and the picture says where a different person is nearer
# than the same one. All filters together decide.

default = MultiDepthReID(
    backbone="vgg11_bn", input_size=(64, 32), max_epochs=6, blur_size=(8, None), memory="cache", random_state=0
).fit(people.images[known], people.target[known])
deepest = default.layers_[-1]
maps = default.feature_maps(X_test, deepest, smooth=True)[deepest][:, default.filters_[deepest][0]]
distances = np.linalg.norm(maps - maps[0], axis=(1, 2))
stranger = int(np.where(y_test == y_test[0], np.inf, distances).argmin())
FeatureMapDisplay.from_estimator(default, X_test, y_test, cams=cams_test, different=stranger)
