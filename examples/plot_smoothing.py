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
# makes it tolerant of a shift of about half its side.

import matplotlib.pyplot as plt
import numpy as np

from skreid import MultiDepthReID
from skreid.datasets import make_pedestrians
from skreid.smoothing import compact_operator, smoothing_operator

people = make_pedestrians(n_identities=60, image_size=(64, 32), random_state=0)
known = people.target < 40
reid = MultiDepthReID(
    backbone="vgg11_bn", input_size=(64, 32), max_epochs=6, blur_size=8, memory="cache", random_state=0
).fit(people.images[known], people.target[known])

X = people.images[~known][:2]
fig, axes = plt.subplots(3, 5, figsize=(8, 8), layout="constrained")
for row, layer in zip(axes, reid.layers_, strict=True):
    best = reid.filters_[layer][0]
    shown = {"picture": X[0], f"{layer}, filter {best}": reid.feature_maps(X, layer)[layer][0, best]}
    for side in (1, 8, 20):
        smooth = reid.set_params(blur_size=side).feature_maps(X, layer, smooth=True)[layer][0, best]
        shown[f"blurred by {side}" if side > 1 else "at frame size"] = smooth
    for ax, (title, picture) in zip(row, shown.items(), strict=True):
        ax.imshow(picture)
        ax.set_title(title, fontsize=9)
        ax.set(xticks=[], yticks=[])
_ = reid.set_params(blur_size=8)

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
# Checked on real maps: distances of two pictures by frame-size maps, and by descriptors.

one, other = reid.transform(X)
frame = reid.feature_maps(X, smooth=True)
squared = sum(
    np.sum((maps[0, best] - maps[1, best]).astype(float) ** 2)
    for layer, maps in frame.items()
    for best in reid.filters_[layer]
)
n_frame = sum(64 * 32 * len(chosen) for chosen in reid.filters_.values())
print(f"frame-size maps: distance {np.sqrt(squared):.6f} from {n_frame} numbers a picture")
print(f"descriptors:     distance {np.linalg.norm(one.astype(float) - other):.6f} from {len(one)} numbers a picture")
