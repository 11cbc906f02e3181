"""Draw what LOMO and GOG see of a made-up pedestrian: the pictures of the user guide's page on descriptors.

Run ``python docs/pictures/descriptors.py``; the PNGs go to ``docs/images``.
"""

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle

from skreid.datasets import make_pedestrians
from skreid.descriptors import GOG, LOMO
from skreid.descriptors._color import grey, hsv
from skreid.descriptors._gaussian import log_embedding, patch_gaussians
from skreid.descriptors._lomo import siltp
from skreid.descriptors._pixels import pixel_features, resolve
from skreid.descriptors._retinex import multiscale_retinex

OUT = Path(__file__).parent.parent / "images"
ORANGE, BLUE = "#d95f02", "#1f77b4"
ROW = 9  # the row of windows looked at: the chest


def show(ax, image, title, **settings):
    """Draw one image without axes."""
    ax.imshow(image, **settings)
    ax.set_title(title, fontsize=9)
    ax.set_axis_off()


def lomo_bins(image):
    """Draw the steps from the image to one row's maximal counts."""
    lit = multiscale_retinex(image)
    fig, axes = plt.subplot_mosaic(
        [["image", "lit", "codes", "pattern", "counts"]],
        figsize=(11, 4.3),
        width_ratios=[1, 1, 1, 1, 3.4],
        layout="constrained",
    )
    top = 5 * ROW
    show(axes["image"], image, "the image, a row\nof windows")
    for ax in (axes["image"], axes["codes"]):
        ax.add_patch(Rectangle((-0.5, top - 0.5), 48, 10, fill=False, edgecolor=ORANGE, linewidth=1.8))
    for left in (5, 20, 35):
        axes["image"].add_patch(Rectangle((left - 0.5, top - 0.5), 10, 10, fill=False, edgecolor="white", linewidth=1))
    show(axes["lit"], lit / 255, "Retinex: less\nof the light")
    quantised = np.minimum(np.floor(hsv(lit / 255) * 8), 7)
    shown = mpl.colors.hsv_to_rgb((quantised + 0.5) / 8)
    show(axes["codes"], shown, "8 x 8 x 8\ncolour bins")
    show(axes["pattern"], siltp(grey(image), 3), "SILTP code,\nradius 3", cmap="twilight_shifted")

    code = (quantised[..., 2] * 8 + quantised[..., 1]) * 8 + quantised[..., 0]
    code = code.astype(int)[top : top + 10]
    windows = np.stack([np.bincount(code[:, x : x + 10].ravel(), minlength=512) for x in range(0, 39, 5)])
    names = LOMO().fit(image[None]).get_feature_names_out()[512 * ROW : 512 * (ROW + 1)]
    kept = np.argsort(-windows.max(axis=0), kind="stable")[:9]
    ax, places = axes["counts"], np.arange(len(kept))
    ax.barh(places, windows.max(axis=0)[kept], color=ORANGE, alpha=0.35, label="kept: the maximum over the row")
    for place, bin_ in enumerate(kept):
        dots = windows[:, bin_]
        ax.plot(dots, np.full(len(dots), place), "|", color="black", markersize=9,
                label="count in one of the 8 windows" if place == 0 else None)  # fmt: skip
        v, s, h = bin_ // 64, bin_ // 8 % 8, bin_ % 8
        ax.add_patch(Rectangle((-4.4, place - 0.36), 3, 0.72, clip_on=False, edgecolor="grey",
                               facecolor=mpl.colors.hsv_to_rgb((np.array([h, s, v]) + 0.5) / 8)))  # fmt: skip
    ax.set_yticks(places, [str(names[bin_]).rsplit("_", 1)[1] for bin_ in kept], fontsize=8)
    ax.tick_params(axis="y", length=0, pad=38)
    ax.invert_yaxis()
    ax.set(xlabel="pixels of 100", xlim=(0, 45), title=f"the {len(kept)} largest colour bins of that row")
    ax.title.set_fontsize(9)
    ax.legend(fontsize=8, loc="lower right")
    ax.spines[["top", "right"]].set_visible(False)
    fig.savefig(OUT / "descriptors_lomo.png", dpi=150)


def gog_strips(image):
    """Draw pixel features, a patch's Gaussian and the strips."""
    channels = resolve(("y", "gradient", "rgb"), "GOG")
    names = [name for _, group in channels for name in group]
    features = pixel_features(image, channels)
    fig = plt.figure(figsize=(11, 4.6), layout="constrained")
    left, middle, right = fig.subfigures(1, 3, width_ratios=[4.2, 2.6, 3])

    axes = left.subplots(2, 4)
    titles = {"y": "row", "g0": "gradient 0°", "g90": "90°", "g180": "180°", "g270": "270°"}
    for ax, name, values in zip(axes.flat, names, np.moveaxis(features, -1, 0), strict=True):
        show(ax, values, titles.get(name, name), cmap="gray")
    left.suptitle("8 numbers a pixel", fontsize=10)

    mean, covariance = patch_gaussians(features)
    row, column = 22, 11  # of the grid of patches: pixel (44, 22)
    picture, matrix = middle.subplots(2, 1, height_ratios=[1.2, 1])
    show(picture, image[34:55, 12:33], "a 5 x 5 patch")
    picture.add_patch(Rectangle((7.5, 7.5), 5, 5, fill=False, edgecolor=ORANGE, linewidth=2))
    vector = log_embedding(mean[row, column], covariance[row, column])
    rows, columns = np.triu_indices(9)
    logarithm = np.zeros((9, 9))
    logarithm[rows, columns] = vector / np.where(rows == columns, 1, np.sqrt(2))
    logarithm = np.where(logarithm == 0, logarithm.T, logarithm)
    limit = np.abs(logarithm).max()
    matrix.imshow(logarithm, cmap="RdBu_r", vmin=-limit, vmax=limit)
    matrix.set_xticks(range(9), [*names, "mean"], rotation=90, fontsize=7)
    matrix.set_yticks(range(9), [*names, "mean"], fontsize=7)
    matrix.set_title("log of its Gaussian: 45 numbers", fontsize=9)
    middle.suptitle("a Gaussian every 2nd pixel", fontsize=10)

    strips, weights = right.subplots(1, 2)
    show(strips, image, "7 strips, each half\nover the next")
    for strip in range(7):
        inset = 1.5 * (strip % 2)
        strips.add_patch(Rectangle((inset - 0.5, 16 * strip - 0.5), 48 - 2 * inset, 32, fill=False,
                                   edgecolor=(ORANGE, BLUE)[strip % 2], linewidth=1.6))  # fmt: skip
    weight = np.exp(-((np.arange(1, 25) - 12) ** 2) / (2 * 6**2))
    show(weights, image * np.repeat(weight, 2)[None, :, None] / 255, "columns weigh by\ntheir place")
    right.suptitle("a Gaussian of patches a strip: 1081 numbers", fontsize=10)
    fig.savefig(OUT / "descriptors_gog.png", dpi=150)


def what_a_shift_does(people):
    """Draw how far a person's descriptor moves when the frame does, against the distance to other persons."""
    people = people[::4]  # one image a person, drawn larger than the window
    systems = {"LOMO": LOMO(), "GOG (RGB)": GOG()}
    fig, axes = plt.subplots(1, 2, figsize=(9, 3.3), layout="constrained", sharey=True)
    shifts = np.arange(0, 9)
    for name, descriptor in systems.items():
        base = descriptor.transform(people[:, 8:136, 8:56])
        apart = np.linalg.norm(base[:, None] - base, axis=2)[np.triu_indices(len(base), 1)].mean()
        for ax, direction in zip(axes, ("sideways", "down"), strict=True):
            moved = []
            for shift in shifts:
                top, left = (8, 8 + shift) if direction == "sideways" else (8 + shift, 8)
                found = descriptor.transform(people[:, top : top + 128, left : left + 48])
                moved.append(np.linalg.norm(found - base, axis=1).mean() / apart)
            ax.plot(shifts, moved, marker="o", markersize=4, label=name)
            ax.set(xlabel="shift in pixels", title=f"frame moved {direction}")
            ax.grid(alpha=0.3)
    axes[0].set_ylabel("distance to the unmoved image\n(1: as far as another person)")
    axes[0].legend()
    fig.savefig(OUT / "descriptors_shift.png", dpi=150)


if __name__ == "__main__":
    mpl.use("agg")
    OUT.mkdir(exist_ok=True)
    image = make_pedestrians(n_identities=4, image_size=(128, 48), random_state=2).images[8]
    lomo_bins(image)
    gog_strips(image)
    what_a_shift_does(make_pedestrians(n_identities=30, n_shots=2, image_size=(144, 64), random_state=0).images)
