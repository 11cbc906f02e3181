"""
Smoothing, and its compact form
===============================

A feature map answers *where* something is seen. Two pictures of one person never agree to the pixel, so the method
shows each map at the size of the frame and blurs it by a box filter (Eq. 1 of the paper) before it compares them.
"""

# %%
# A map, enlarged, blurred
# ------------------------
# The deepest map of a 64 x 32 picture has 4 x 2 cells. Enlarged to the frame it is smooth already; the box filter
# makes it tolerant of a shift of about half its side. A box of two sides, ``(8, None)``, is 8 pixels high and spans the
# frame's whole width: what stays is how strongly the filter answers at each height, wherever in the row. That is the
# default, at 20 pixels of a frame of 160 x 60; people walk upright, but turn and stand off the middle.

import matplotlib.pyplot as plt
import numpy as np

from skreid import PAPER_SETTING, MultiDepthReID
from skreid._filters.smoothing import compact_operator, smoothing_operator
from skreid.datasets import make_pedestrians

people = make_pedestrians(n_identities=60, image_size=(64, 32), random_state=0)
known = people.target < 40
reid = MultiDepthReID(
    backbone="vgg11_bn",
    input_size=(64, 32),
    max_epochs=6,
    layers=("conv3_2", "conv4_2", "conv5_2"),
    memory="cache",
    random_state=0,
    **PAPER_SETTING | {"blur_size": 8},
).fit(people.images[known], people.target[known])

X = people.images[~known][:2]
fig, axes = plt.subplots(3, 5, figsize=(8, 8), layout="constrained")
for row, layer in zip(axes, reid.layers_, strict=True):
    best = reid.filters_[layer][0]
    shown = {"picture": X[0], f"{layer}, filter {best}": reid.feature_maps(X, layer)[layer][0, best]}
    for box, title in ((1, "at frame size"), (8, "blurred by 8"), ((8, None), "by (8, None)")):
        shown[title] = reid.set_params(blur_size=box).feature_maps(X, layer, smooth=True)[layer][0, best]
    for ax, (title, picture) in zip(row, shown.items(), strict=True):
        ax.imshow(picture)
        ax.set_title(title, fontsize=9)
        ax.set(xticks=[], yticks=[])

# %%
# The same distances in fewer numbers
# -----------------------------------
# Enlarging and blurring are linear, and act on rows and columns apart: a smoothed map is
# :math:`B = A_h F A_w^T`. Only distances between such maps are ever needed, and those survive when each
# :math:`A` is replaced by its polar factor :math:`P = (A^T A)^{1/2}`, which has the size of the *small* map:
# :math:`\|A_h D A_w^T\| = \|P_h D P_w\|` for every difference :math:`D` of two maps.
#
# On the left :math:`A` for the 16 rows of conv3 maps, in the middle :math:`P`. On the right one row of :math:`P`:
# nearly all of its weight lies within one blur width of its own cell, so a number of the descriptor still has a place.

A, P = smoothing_operator(16, 64, 8), compact_operator(16, 64, 8)
fig, (left, middle, right) = plt.subplots(1, 3, figsize=(9, 3.4), layout="constrained")
left.imshow(A, aspect="auto")
left.set(title=f"A: {A.shape[0]} x {A.shape[1]}", xlabel="row of the map", ylabel="row of the frame")
middle.imshow(P)
middle.set(title=f"P: {P.shape[0]} x {P.shape[1]}", xlabel="row of the map", ylabel="row of the compact map")
right.bar(np.arange(16), P[8])
_ = right.set(title="Row 8 of P", xlabel="row of the map", ylabel="weight")

# %%
# Along a side that the box spans, all pixels of a smoothed map are alike, and one row of numbers does for :math:`P`:
# the mean over the side, times the root of its pixels. A map of 16 x 8 cells then costs 16 numbers.
#
# Checked on maps of the network, before they are scaled: distances of two pictures by frame-size maps, and by
# descriptors, for the square box and the one of two sides.

for box in (8, (8, None)):
    reid.set_params(blur_size=box).fit(people.images[known], people.target[known])
    one, other = reid.transform(X)
    frame = reid.feature_maps(X, smooth=True)
    squared = sum(
        np.sum((maps[0, best] - maps[1, best]).astype(float) ** 2)
        for layer, maps in frame.items()
        for best in reid.filters_[layer]
    )
    n_frame = sum(64 * 32 * len(chosen) for chosen in reid.filters_.values())
    print(f"blur_size={box}")
    print(f"  frame-size maps: distance {np.sqrt(squared):.5f} from {n_frame} numbers a picture")
    print(f"  descriptors:     distance {np.linalg.norm(one.astype(float) - other):.5f} from {len(one)} numbers")
