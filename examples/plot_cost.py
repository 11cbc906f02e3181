"""
What a descriptor and a search cost
===================================

How large a descriptor is, and how long a search takes, measured on the machine that built this page. Times are ratios
within one run. The scripts in ``benchmarks`` measure more, at larger sizes.
"""

# %%
# Dimensions per map
# ------------------
# A descriptor holds the compact form of each smoothed map. With a square box around every pixel, a map contributes as
# many dimensions as it has cells. With a box that spans the width of the frame, it contributes one dimension per row;
# with such boxes side by side, the default, one per box. The chart shows all three for the 13 layers of VGG16 and a
# frame of 160 x 60 pixels.

import time

import matplotlib.pyplot as plt
import numpy as np

from skreid import Gallery
from skreid.metrics import distance_blocks

blocks = [(1, 2), (2, 2), (3, 3), (4, 3), (5, 3)]
layers = {f"conv{depth}_{i}": (160 >> (depth - 1), 60 >> (depth - 1)) for depth, n in blocks for i in range(1, n + 1)}
square = {layer: height * width for layer, (height, width) in layers.items()}
rows = {layer: height for layer, (height, _) in layers.items()}
strips = {layer: min(height, 160 // 20) for layer, height in rows.items()}
fig, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
ax.axhline(160 * 60, color="C3", linestyle="--", label="frame-size map")
ax.plot(list(square), list(square.values()), "o-", label='blur_size=20, sampling="pixel", as in the paper')
ax.plot(list(rows), list(rows.values()), "s-", label='blur_size=(20, None), sampling="pixel"')
ax.plot(list(strips), list(strips.values()), "^-", label='blur_size=(20, None), sampling="box": the default')
ax.set(yscale="log", ylim=(1, 2e4), ylabel="dimensions per map")
ax.grid(alpha=0.3)
ax.tick_params(axis="x", rotation=60)
fig.legend(loc="outside upper center", ncols=2, fontsize="small")
last = [of_layer["conv5_3"] for of_layer in (square, rows, strips)]
print("conv5_3: {} dimensions per map, {} or {}, instead of {}".format(*last, 160 * 60))

# %%
# Ranking
# -------
# The ten nearest gallery images of each of 100 probes: once by computing all distances and sorting them, once by
# `skreid.Gallery`. Both return the same ranking, and order equal distances alike.

rng = np.random.default_rng(0)
probes = rng.normal(size=(100, 256)).astype(np.float32)
sizes, seconds = [500, 2000, 8000, 32000], {"all distances, full sort": [], "skreid": []}
for n_gallery in sizes:
    descriptors = rng.normal(size=(n_gallery, 256)).astype(np.float32)
    started = time.perf_counter()
    expected = np.argsort(distance_blocks(probes, descriptors)(0, len(probes)), axis=1, kind="stable")[:, :10]
    sorted_at = time.perf_counter()
    indices = Gallery(descriptors).kneighbors(probes, 10, return_distance=False)
    seconds["skreid"].append(time.perf_counter() - sorted_at)
    seconds["all distances, full sort"].append(sorted_at - started)
    print(f"{n_gallery:6} gallery images, same ranking: {bool((indices == expected).all())}")

fig, ax = plt.subplots(figsize=(6, 3.8), layout="constrained")
reference = seconds["skreid"][0]
for (name, times), marker in zip(seconds.items(), "o^", strict=True):
    ax.plot(sizes, np.array(times) / reference, marker=marker, label=name)
ax.set(xscale="log", yscale="log", xlabel="images in the gallery", ylabel="time / skreid with 500 images")
_ = ax.legend()
