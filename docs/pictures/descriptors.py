"""Draw what LOMO and GOG see of a drawn pedestrian: the pictures of the user guide's page on descriptors.

`draw.py` writes them. The steps between image and descriptor are computed here by their formulas, and checked against
what `LOMO` and `GOG` return.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import hsv_to_rgb, rgb_to_hsv
from matplotlib.patches import Rectangle
from scipy.linalg import logm
from scipy.ndimage import gaussian_filter

from skreid.datasets import make_pedestrians
from skreid.descriptors import GOG, LOMO, MLGD

PICTURES = ("descriptors_lomo.png", "descriptors_gog.png", "descriptors_shift.png")
ORANGE, BLUE = "#d95f02", "#1f77b4"
ROW = 9  # the row of windows that is shown: the chest
PIXEL_FEATURES = ("y", "g0", "g90", "g180", "g270", "red", "green", "blue")


def show(ax, image, title, **settings):
    """Draw one image without axes."""
    ax.imshow(image, **settings)
    ax.set_title(title, fontsize=9)
    ax.set_axis_off()


def retinex(image):
    """Return the log of an image less the mean log of two blurred ones, its range of 4 deviations as [0, 255]."""
    image = image.astype(float)
    blurred = [gaussian_filter(image, (sigma, sigma, 0), mode="nearest") for sigma in (5, 20)]
    values = np.log1p(image) - np.mean(np.log1p(blurred), axis=0)
    return np.clip(127.5 * (1 + (values - values.mean()) / (2 * values.std())), 0, 255)


def siltp(grey, radius=3, tau=0.3):
    """Return the texture code of each pixel: 1 for a darker, 2 for a brighter neighbour, as digits to base 3."""
    padded, code = np.pad(grey, radius, mode="edge"), np.zeros(grey.shape, dtype=int)
    height, width = grey.shape
    for place, (down, right) in enumerate(((0, 1), (-1, 0), (0, -1), (1, 0))):
        top, left = radius * (1 + down), radius * (1 + right)
        neighbour = padded[top : top + height, left : left + width]
        code += 3**place * ((neighbour < (1 - tau) * grey) + 2 * (neighbour > (1 + tau) * grey))
    return code


def window_counts(code, n_codes):
    """Return how often each code occurs in the 8 windows of the row that is shown, (8, n_codes)."""
    row = code[5 * ROW : 5 * ROW + 10]
    return np.stack([np.bincount(row[:, x : x + 10].ravel(), minlength=n_codes) for x in range(0, 39, 5)])


def check_lomo(image, lit, **counts):
    """Compare counts of windows, by block, with what `LOMO` returns: unit-length logs of their maxima."""
    lomo = LOMO(retinex=lambda _: lit).fit(image[None])
    described, names = lomo.transform(image[None])[0], lomo.get_feature_names_out().astype(str)
    np.testing.assert_allclose(described, LOMO().transform(image[None])[0], atol=1e-6)
    for block, windows in counts.items():
        expected = described[np.char.startswith(names, f"{block}_scale0_row{ROW}_")]
        logs = np.log1p(windows.max(axis=0))
        np.testing.assert_allclose(logs / logs.max(), expected / expected.max(), atol=1e-6)


def lomo_bins(image):
    """Draw the steps from the image to the maximal counts of one row of windows."""
    lit = retinex(image)
    quantised = np.minimum(np.floor(rgb_to_hsv(lit / 255) * 8), 7).astype(int)
    texture = siltp(np.floor(image @ [0.298936, 0.587043, 0.114021] + 0.5) / 255)
    windows = window_counts((quantised[..., 2] * 8 + quantised[..., 1]) * 8 + quantised[..., 0], 512)
    check_lomo(image, lit, hsv=windows, siltp3=window_counts(texture, 81))

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
    show(axes["codes"], hsv_to_rgb((quantised + 0.5) / 8), "8 x 8 x 8\ncolour bins")
    show(axes["pattern"], texture, "SILTP code,\nradius 3", cmap="twilight_shifted")

    names = LOMO().fit(image[None]).get_feature_names_out()[512 * ROW : 512 * (ROW + 1)]
    largest = np.argsort(-windows.max(axis=0), kind="stable")[:9]
    ax, places = axes["counts"], np.arange(len(largest))
    ax.barh(places, windows.max(axis=0)[largest], color=ORANGE, alpha=0.35, label="kept: the maximum over the row")
    for place, bin_ in enumerate(largest):
        counts = windows[:, bin_]
        ax.plot(counts, np.full(len(counts), place), "|", color="black", markersize=9,
                label="count in one of the 8 windows" if place == 0 else None)  # fmt: skip
        v, s, h = bin_ // 64, bin_ // 8 % 8, bin_ % 8
        ax.add_patch(Rectangle((-4.4, place - 0.36), 3, 0.72, clip_on=False, edgecolor="grey",
                               facecolor=hsv_to_rgb((np.array([h, s, v]) + 0.5) / 8)))  # fmt: skip
    ax.set_yticks(places, [str(names[bin_]).rsplit("_", 1)[1] for bin_ in largest], fontsize=8)
    ax.tick_params(axis="y", length=0, pad=38)
    ax.invert_yaxis()
    ax.set(xlabel="pixels of 100", xlim=(0, 45), title=f"the {len(largest)} largest colour bins of that row")
    ax.title.set_fontsize(9)
    ax.legend(fontsize=8, loc="lower right")
    ax.spines[["top", "right"]].set_visible(False)
    return fig


def pixel_features(rgb):
    """Return row, four oriented gradients of the luma, red, green and blue of each pixel of an image in [0, 1]."""
    height, width = rgb.shape[:2]
    luma = np.pad(rgb @ [65.481, 128.553, 24.966] / 235, 1)
    across, down = luma[1:-1, 2:] - luma[1:-1, :-2], luma[2:, 1:-1] - luma[:-2, 1:-1]
    quarter_turns = np.arctan2(down, across) * 2 / np.pi
    apart = np.abs((quarter_turns[..., None] - np.arange(4) + 2) % 4 - 2)  # from each of the four orientations
    gradients = np.hypot(across, down)[..., None] * np.maximum(1 - apart, 0)
    rows = np.repeat(np.arange(1, height + 1)[:, None, None] / height, width, axis=1)
    return np.concatenate([rows, gradients, rgb], axis=2)


def gaussian_logarithm(samples):
    """Return the logarithm of the matrix that stands for the Gaussian of samples, (n, d): (d + 1, d + 1)."""
    mean, covariance = samples.mean(axis=0), np.cov(samples.T)
    covariance += 1e-3 * max(np.trace(covariance), 0.01) * np.eye(len(mean))
    embedded = np.block([[covariance + np.outer(mean, mean), mean[:, None]], [mean, 1]])
    logarithm = logm(embedded)
    return logarithm - np.trace(logarithm) / len(embedded) * np.eye(len(embedded))


def gog_strips(image):
    """Draw pixel features, the Gaussian of a patch and the strips."""
    features = pixel_features(image / 255)
    same = MLGD(features=[(PIXEL_FEATURES, pixel_features)])
    np.testing.assert_allclose(same.transform(image[None]), GOG().transform(image[None]), atol=1e-6)

    fig = plt.figure(figsize=(11, 4.6), layout="constrained")
    left, middle, right = fig.subfigures(1, 3, width_ratios=[4.2, 2.6, 3])
    axes = left.subplots(2, 4)
    titles = {"y": "row", "g0": "gradient 0°", "g90": "90°", "g180": "180°", "g270": "270°"}
    for ax, name, values in zip(axes.flat, PIXEL_FEATURES, np.moveaxis(features, -1, 0), strict=True):
        show(ax, values, titles.get(name, name), cmap="gray")
    left.suptitle("8 values per pixel", fontsize=10)

    picture, matrix = middle.subplots(2, 1, height_ratios=[1.2, 1])
    show(picture, image[34:55, 12:33], "a 5 x 5 patch")
    picture.add_patch(Rectangle((7.5, 7.5), 5, 5, fill=False, edgecolor=ORANGE, linewidth=2))
    logarithm = gaussian_logarithm(features[42:47, 20:25].reshape(25, 8))
    limit = np.abs(logarithm).max()
    matrix.imshow(logarithm, cmap="RdBu_r", vmin=-limit, vmax=limit)
    matrix.set_xticks(range(9), [*PIXEL_FEATURES, "mean"], rotation=90, fontsize=7)
    matrix.set_yticks(range(9), [*PIXEL_FEATURES, "mean"], fontsize=7)
    matrix.set_title("log of its Gaussian: 45 dimensions", fontsize=9)
    middle.suptitle("a Gaussian every 2nd pixel", fontsize=10)

    strips, weights = right.subplots(1, 2)
    show(strips, image, "7 strips, each half\nover the next")
    for strip in range(7):
        inset = 1.5 * (strip % 2)
        strips.add_patch(Rectangle((inset - 0.5, 16 * strip - 0.5), 48 - 2 * inset, 32, fill=False,
                                   edgecolor=(ORANGE, BLUE)[strip % 2], linewidth=1.6))  # fmt: skip
    weight = np.exp(-((np.arange(1, 25) - 12) ** 2) / (2 * 6**2))
    show(weights, image * np.repeat(weight, 2)[None, :, None] / 255, "columns weighted\nby their place")
    right.suptitle("a Gaussian per strip: 1081 dimensions", fontsize=10)
    return fig


def what_a_shift_does(people):
    """Draw how far a descriptor moves when the frame moves, relative to the distance between two people."""
    people = people[::4]  # one image per person, drawn larger than the frame that is cut out
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
                shifted = descriptor.transform(people[:, top : top + 128, left : left + 48])
                moved.append(np.linalg.norm(shifted - base, axis=1).mean() / apart)
            ax.plot(shifts, moved, marker="o", markersize=4, label=name)
            ax.set(xlabel="shift in pixels", title=f"frame moved {direction}")
            ax.grid(alpha=0.3)
    axes[0].set_ylabel("distance to the unmoved image\n(1: as far as another person)")
    axes[0].legend()
    return fig


def draw():
    """Return (name, figure) of each picture."""
    image = make_pedestrians(n_identities=4, image_size=(128, 48), random_state=2).images[8]
    shifted = make_pedestrians(n_identities=30, n_shots=2, image_size=(144, 64), random_state=0).images
    return zip(PICTURES, (lomo_bins(image), gog_strips(image), what_a_shift_does(shifted)), strict=True)
