"""
Which filters tell people apart
===============================

For every filter of a layer, the method compares the smoothed maps of pairs of images. It takes the mean distance over
pairs of the same person, :math:`d_s`, and over pairs of different people, :math:`d_d` (Eqs. 2 and 3). A filter is good
if different people are far apart in it and images of one person are not. The method keeps the filters with the largest
margin, :math:`d_d - d_s` (Eq. 4).
"""

# %%
# The margin
# ----------
# Most filters respond alike to everyone, or differ as much between two images of one person. A few stand out. The maps
# are smoothed as in the paper, by a square box. Each layer keeps four filters here; the paper keeps one.

import matplotlib.pyplot as plt
import numpy as np

from skreid import PAPER_SETTING, MultiDepthReID
from skreid.datasets import make_pedestrians
from skreid.displays import FilterMarginDisplay

people = make_pedestrians(n_identities=60, image_size=(64, 32), random_state=0)
known = people.target < 40
reid = MultiDepthReID(
    backbone="vgg11_bn",
    input_size=(64, 32),
    max_epochs=6,
    layers=("conv3_2", "conv4_2", "conv5_2"),
    memory="cache",
    random_state=0,
    **PAPER_SETTING | {"blur_size": 8, "n_filters": 4},
).fit(people.images[known], people.target[known])
FilterMarginDisplay.from_estimator(reid)

# %%
# What a filter adds
# ------------------
# The default chooses jointly. The 64 filters of each layer are not those of the largest margins, as the ticks below the
# left curves show: a filter counts by what it adds to those chosen before it. The right side shows that. :math:`d'` is
# how far apart the distances of different people and of the same person are, in units of their spread, for all filters
# chosen so far. Where the steps become small, more filters add little.

default = MultiDepthReID(
    backbone="vgg11_bn", input_size=(64, 32), max_epochs=6, blur_size=(8, None), memory="cache", random_state=0
).fit(people.images[known], people.target[known])
FilterMarginDisplay.from_estimator(default, sort=True)

# %%
# Three meanings of "best"
# ------------------------
# The margin favours filters with large values. ``criterion="dprime"`` divides the margin by the spread of the
# distances, so that a filter with weak but reliable responses can win. ``criterion="joint"`` chooses one filter after
# the other, each time the one that adds most to those before it. A filter that repeats them adds nothing, however good
# it is.

chosen_by = {"margin": reid}
for criterion in ("dprime", "joint"):
    other = MultiDepthReID(**reid.get_params() | {"criterion": criterion})
    chosen_by[criterion] = other.fit(people.images[known], people.target[known])
fig, axes = plt.subplots(1, 3, figsize=(9, 3.6), layout="constrained")
for ax, layer in zip(axes, reid.layers_, strict=True):
    statistics = reid.filter_distances_[layer]
    margin = statistics["d_different"] - statistics["d_same"]
    deviation = np.sqrt((statistics["std_same"] ** 2 + statistics["std_different"] ** 2) / 2)
    dprime = np.divide(margin, deviation, out=np.zeros_like(margin), where=deviation > 0)
    ax.scatter(margin, dprime, s=8, color="0.6")
    for place, (name, chosen) in enumerate(chosen_by.items()):
        best, ring = chosen.filters_[layer], {"facecolors": "none", "edgecolors": f"C{place}", "label": name}
        ax.scatter(margin[best], dprime[best], marker="osD"[place], s=30 + 50 * place, **ring)
    ax.set(title=layer, xlabel="margin", ylabel="margin / spread")
_ = fig.legend(*axes[0].get_legend_handles_labels(), title="chosen by", loc="outside lower center", ncols=3)
