"""
Smoothing, and its compact form
===============================

A feature map answers *where* something is seen. Two pictures of one person never agree to the pixel. So the method
enlarges each map to the size of the frame and blurs it by a box filter (Eq. 1 of the paper) before it compares maps.
"""

# %%
# A map, enlarged and blurred
# ---------------------------
# The deepest map of a 64 x 32 picture has 4 x 2 cells. Enlarged to the frame it is smooth already; the box filter
# makes it tolerant of a shift of about half its side. The box ``(8, None)`` is 8 pixels high and as wide as the frame:
# it keeps how strongly the filter answers at each height, wherever in the row. This suits people, who walk upright but
# turn, and rarely stand in the middle. The default is the same box at full size: 20 pixels in a frame of 160 x 60.

import matplotlib.pyplot as plt
import numpy as np
from scipy.linalg import polar
from scipy.ndimage import uniform_filter1d
from sklearn.base import clone

from skreid import PAPER_SETTING, MultiDepthReID
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


def with_box(box):
    """Return the same system with another box filter; the trained network comes from the cache."""
    return clone(reid).set_params(blur_size=box).fit(people.images[known], people.target[known])


X = people.images[~known][:2]
unblurred, whole_rows = with_box(1), with_box((8, None))
fig, axes = plt.subplots(3, 5, figsize=(8, 8), layout="constrained")
for row, layer in zip(axes, reid.layers_, strict=True):
    best = reid.filters_[layer][0]
    shown = {"picture": X[0], f"{layer}, filter {best}": reid.feature_maps(X, layer)[layer][0, best]}
    for title, system in {"at frame size": unblurred, "blurred by 8": reid, "by (8, None)": whole_rows}.items():
        shown[title] = system.feature_maps(X, layer, smooth=True)[layer][0, best]
    for ax, (title, picture) in zip(row, shown.items(), strict=True):
        if title == "by (8, None)":  # one value per row: a profile over the height
            ax.plot(picture[:, 0], range(64))
            ax.set(xlim=(0, None), ylim=(63.5, -0.5), box_aspect=2)
        else:
            ax.imshow(picture)
        ax.set_title(title, fontsize=9)
        ax.set(xticks=[], yticks=[])

# %%
# Smoothing is a matrix product
# -----------------------------
# Enlarging and blurring are linear, and treat rows and columns separately. A smoothed map is therefore
# :math:`B = A_h F A_w^T`, and numpy and scipy build both matrices: bilinear interpolation between the centres of the
# cells, then a running mean with a mirrored border.


def smoothing_matrix(n_cells, n_pixels, side):
    """Return A, which turns a line of cells into a line of blurred pixels."""
    pixels = (np.arange(n_pixels) + 0.5) * n_cells / n_pixels - 0.5  # their centres, in cells
    enlarge = np.stack([np.interp(pixels, np.arange(n_cells), cell) for cell in np.eye(n_cells)], axis=1)
    return uniform_filter1d(enlarge, side, axis=0, mode="mirror")


A_h, A_w = smoothing_matrix(16, 64, 8), smoothing_matrix(8, 32, 8)
best = reid.filters_["conv3_2"][0]
F = reid.feature_maps(X, "conv3_2")["conv3_2"][0, best]
B = reid.feature_maps(X, "conv3_2", smooth=True)["conv3_2"][0, best]
print(f"map {F.shape}, smoothed map {B.shape}")
print(f"largest difference from A_h F A_w^T: {np.abs(A_h @ F @ A_w.T - B).max():.0e}, of {B.max():.2f}")

# %%
# The same distances in fewer dimensions
# --------------------------------------
# Only distances between smoothed maps are ever needed. They survive when each :math:`A` is replaced by its polar factor
# :math:`P = (A^T A)^{1/2}`, which has the size of the *small* map: :math:`\|A_h D A_w^T\| = \|P_h D P_w\|` for every
# difference :math:`D` of two maps.
#
# Left: :math:`A` for the 16 rows of conv3 maps. Middle: :math:`P`. Right: one row of :math:`P`. Nearly all of its
# weight lies within one blur width of its own cell, so each dimension of the descriptor still has a place in the frame.

P_h, P_w = polar(A_h)[1], polar(A_w)[1]
fig, (left, middle, right) = plt.subplots(1, 3, figsize=(9, 3.4), layout="constrained")
left.imshow(A_h, aspect="auto")
left.set(title="A: 64 x 16", xlabel="row of the map", ylabel="row of the frame")
middle.imshow(P_h)
middle.set(title="P: 16 x 16", xlabel="row of the map", ylabel="row of the compact map")
right.bar(np.arange(16), P_h[8])
_ = right.set(title="Row 8 of P", xlabel="row of the map", ylabel="weight")

# %%
# `transform` returns :math:`P_h F P_w` for each chosen filter. With ``normalize=None``, as in the paper's setting, it
# does nothing else:

part = reid.transform(X)[0, : 16 * 8].reshape(16, 8)
print(f"largest difference of transform from P_h F P_w: {np.abs(P_h @ F @ P_w - part).max():.0e}")

# %%
# Where the box spans a side of the frame, all pixels along that side are equal. A single row then does for :math:`P`:
# the mean over the side, times the square root of its number of pixels. A map of 16 x 8 cells contributes 16
# dimensions.
#
# The last check compares the distance between two pictures, once from frame-size maps and once from descriptors, for
# both boxes.

for system in (reid, whole_rows):
    first, second = system.transform(X).astype(float)
    smoothed = system.feature_maps(X, smooth=True)
    chosen = [smoothed[layer][:, system.filters_[layer]].reshape(2, -1) for layer in system.layers_]
    large_first, large_second = np.concatenate(chosen, axis=1).astype(float)
    distance, large_distance = np.linalg.norm(first - second), np.linalg.norm(large_first - large_second)
    print(f"blur_size={system.blur_size}")
    print(f"  frame-size maps: distance {large_distance:.5f}, {len(large_first)} dimensions")
    print(f"  descriptors:     distance {distance:.5f}, {len(first)} dimensions")
