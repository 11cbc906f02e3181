"""
What a chosen filter sees
=========================

The smoothed maps of the best filter of two layers, for a query, the same person in the other camera, and a different
person. The bars say where on the body the filter answers: in the top, the middle or the bottom third.
"""

# %%
# The paper's setting, but for a runner-up in each layer; a blur of 8 pixels is to this frame what 20 is to one of
# 160 x 60. Below each map stands the distance that counts: the same person should be nearer than the different one.

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
# The numbers behind the picture.

for title, (same, different) in display.distances_.items():
    print(f"{title}: {same:.2f} to the same person, {different:.2f} to a different one")

# %%
# ``rank=1`` shows the runner-up among the filters.

FeatureMapDisplay.from_estimator(reid, X_test, y_test, cams=cams_test, rank=1)
