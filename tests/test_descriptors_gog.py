"""GOG and MLGD: equal to slow references, the geometry of their matrices, and their parameters."""

import colorsys
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm, logm
from scipy.ndimage import convolve

from skreid.descriptors import GOG, MLGD, CenteredNormalizer
from skreid.descriptors._color import lab, nrng
from skreid.descriptors._gaussian import log_embedding, patch_gaussians, strip_gaussians
from skreid.descriptors._pixels import (
    SCHMID,
    oriented_gradients,
    pixel_features,
    resolve,
    schmid,
    schmid_kernel,
)

COLORS = ("rgb", "lab", "hsv", "nrng")
TINY = {"input_size": (12, 8), "n_strips": 2}


def random_images(n=2, height=12, width=8, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, height, width, 3), dtype=np.uint8)


def unvec(vector):
    """Rebuild the symmetric matrix behind an upper triangle with off-diagonals times sqrt 2."""
    n = round((math.sqrt(8 * len(vector) + 1) - 1) / 2)
    matrix = np.zeros((n, n))
    matrix[np.triu_indices(n)] = vector
    matrix /= np.sqrt(2)
    return matrix + matrix.T * (1 - np.eye(n)) + (np.sqrt(2) - 1) * np.diag(np.diag(matrix))


# ---- slow reference: one pixel, one patch, one strip at a time ----


def slow_pixels(image, color):
    """Return pixel vectors (H, W, d) by plain loops."""
    height, width = image.shape[:2]
    rgb = image.astype(float) / 255
    level = [
        [(65.481 * r + 128.553 * g + 24.966 * b) / 235 for r, g, b in row] for row in rgb.tolist()
    ]  # (Y - 16) / 235

    def at(i, j):
        return level[i][j] if 0 <= i < height and 0 <= j < width else 0.0

    out = []
    for i in range(height):
        for j in range(width):
            dx, dy = at(i, j + 1) - at(i, j - 1), at(i + 1, j) - at(i - 1, j)
            votes = [0.0] * 4
            turns = (math.degrees(math.atan2(dy, dx)) % 360) / 90
            lower = math.floor(turns)
            votes[lower % 4] += (1 - (turns - lower)) * math.hypot(dx, dy)
            votes[(lower + 1) % 4] += (turns - lower) * math.hypot(dx, dy)
            r, g, b = rgb[i, j].tolist()
            if color == "rgb":
                c = [r, g, b]
            elif color == "hsv":
                c = list(colorsys.rgb_to_hsv(r, g, b))
            elif color == "nrng":
                c = [r / (r + g + b), g / (r + g + b)]
            else:
                c = slow_lab(r, g, b)
            out.append([(i + 1) / height, *votes, *c])
    return np.array(out).reshape(height, width, -1)


def slow_lab(*rgb):
    r, g, b = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in rgb)
    x = (0.4124564 * r + 0.3575761 * g + 0.1804375 * b) / 0.950470
    y = 0.2126729 * r + 0.7151522 * g + 0.0721750 * b
    z = (0.0193339 * r + 0.1191920 * g + 0.9503041 * b) / 1.088830
    fx, fy, fz = (t ** (1 / 3) if t > 216 / 24389 else (24389 / 27 * t + 16) / 116 for t in (x, y, z))
    return [(116 * fy - 16) / 100, (500 * (fx - fy) + 50) / 100, (200 * (fy - fz) + 50) / 100]


def slow_vector(mean, covariance):
    d = len(mean)
    bracket = np.block([[covariance + np.outer(mean, mean), mean[:, None]], [mean[None], np.ones((1, 1))]])
    matrix = logm(np.linalg.det(covariance) ** (-1 / (d + 1)) * bracket)
    return np.array([matrix[i, j] * (1 if i == j else math.sqrt(2)) for i in range(d + 1) for j in range(i, d + 1)])


def slow_engine(pixels, n_strips, size=5, step=2):
    height, width = pixels.shape[:2]
    patches = []
    for i in range(0, height, step):
        row = []
        for j in range(0, width, step):
            window = [
                pixels[y, x]
                for y in range(i - size // 2, i + size // 2 + 1)
                for x in range(j - size // 2, j + size // 2 + 1)
                if 0 <= y < height and 0 <= x < width
            ]
            covariance = np.cov(np.array(window).T)
            covariance += 0.001 * max(np.trace(covariance), 0.01) * np.eye(len(covariance))
            row.append(slow_vector(np.mean(window, axis=0), covariance))
        patches.append(row)
    rows, columns = len(patches), len(patches[0])
    half = rows // (n_strips + 1)
    out = []
    for strip in range(n_strips):
        samples, weights = [], []
        for i in range(strip * half, strip * half + 2 * half):
            for j in range(columns):
                samples.append(patches[i][j])
                weights.append(math.exp(-((j + 1 - columns / 2) ** 2) / (2 * (columns / 4) ** 2)))
        covariance = np.cov(np.array(samples).T, aweights=weights, ddof=0)
        covariance += 0.001 * np.trace(covariance) * np.eye(len(covariance))
        values = np.linalg.slogdet(covariance)[1]
        p = len(covariance)
        mean = np.average(samples, axis=0, weights=weights)
        bracket = np.block([[covariance + np.outer(mean, mean), mean[:, None]], [mean[None], np.ones((1, 1))]])
        matrix = logm(bracket) - values / (p + 1) * np.eye(p + 1)  # det underflows at this size
        out += [matrix[i, j] * (1 if i == j else math.sqrt(2)) for i in range(p + 1) for j in range(i, p + 1)]
    return np.array(out)


# ---- formulas ----


@pytest.mark.filterwarnings("ignore:logm result may be inaccurate")  # by 4e-13, its own estimate
@pytest.mark.parametrize("color", COLORS)
def test_gog_equals_plain_loops(color):
    """The vectorised descriptor equals loops over pixels, patches and strips, with scipy's logm."""
    image = random_images(1)[0]
    ours = GOG(color, **TINY).transform(image[None])[0]
    np.testing.assert_allclose(ours, slow_engine(slow_pixels(image, color), 2), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("color", "length"), [*zip(COLORS, (7567, 7567, 7567, 4921), strict=True), (COLORS, 27622)])
def test_gog_has_the_published_dimensions(color, length):
    """The length is the published one, and every column has its own name."""
    gog = GOG(color)
    features = gog.transform(random_images(1, 128, 48))
    names = gog.get_feature_names_out()
    assert features.shape == (1, length)
    assert features.dtype == np.float32
    assert len(names) == len(set(names)) == length == sum(gog.block_sizes)


def test_several_colours_are_concatenated():
    """Several colour spaces give the blocks of each, in their order."""
    images = random_images()
    fused = GOG(("hsv", "rgb"), **TINY).transform(images)
    np.testing.assert_array_equal(fused, np.hstack([GOG(c, **TINY).transform(images) for c in ("hsv", "rgb")]))


def test_blocks_are_symmetric_matrix_logarithms():
    """Each strip is a symmetric matrix of trace zero: the log of a positive definite one of determinant 1."""
    features = GOG().transform(random_images(1, 128, 48))[0].astype(np.float64)
    for strip in np.split(features, 7):
        matrix = unvec(strip)
        assert matrix.shape == (46, 46)
        np.testing.assert_array_equal(matrix, matrix.T)
        assert np.linalg.norm(strip) == pytest.approx(np.linalg.norm(matrix), rel=1e-6)
        assert np.trace(matrix) == pytest.approx(0, abs=1e-4)
        assert np.linalg.eigvalsh(expm(matrix)).min() > 0


@given(st.integers(1, 5), st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_log_embedding_is_the_formula(d, seed):
    """It is the logarithm of |S|^(-1/(d+1)) [[S + m m^T, m], [m^T, 1]], by scipy's logm."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(d, d + 2))
    mean, covariance = rng.normal(size=d), root @ root.T + 0.1 * np.eye(d)
    np.testing.assert_allclose(log_embedding(mean, covariance), slow_vector(mean, covariance), rtol=1e-7, atol=1e-7)


def test_log_embedding_of_a_point_is_finite():
    """A Gaussian without any spread has a finite vector."""
    assert np.isfinite(log_embedding(np.ones(45), np.zeros((45, 45)))).all()


def test_patches_are_clipped_and_cover_every_second_pixel():
    """The grid has half the size of the image, and the corner patch has 3x3 pixels."""
    features = np.random.default_rng(0).random((128, 48, 2))
    mean, covariance = patch_gaussians(features)
    assert mean.shape == (64, 24, 2)
    np.testing.assert_allclose(mean[0, 0], features[:3, :3].mean(axis=(0, 1)))
    expected = np.cov(features[:3, :3].reshape(-1, 2).T)
    np.testing.assert_allclose(covariance[0, 0] - expected, np.eye(2) * 1e-3 * np.trace(expected), atol=1e-12)


def test_strips_overlap_by_half_and_weigh_the_middle_columns():
    """Seven strips of 16 of 64 rows at steps of 8; column x of 24 has the weight exp(-(x - 12)^2 / (2 6^2))."""
    patches = np.zeros((64, 24, 88))
    patches[np.arange(64), :, np.arange(64)] = 1  # entries 0..63 encode the row, the others the column
    patches[:, np.arange(24), 64 + np.arange(24)] = 1
    mean, _ = strip_gaussians(patches)
    weights = np.array([math.exp(-((x - 12) ** 2) / (2 * 6**2)) for x in range(1, 25)])
    for strip in range(7):
        rows = np.zeros(64)
        rows[8 * strip : 8 * strip + 16] = 1 / 16
        np.testing.assert_allclose(mean[strip], [*rows, *(weights / weights.sum())], atol=1e-12)


def test_strips_depend_only_on_their_rows():
    """A change of the lowest rows does not change the upper strips."""
    image = random_images(1, 128, 48)[0]
    other = image.copy()
    other[100:] = 255 - other[100:]
    one, two = (np.split(GOG().transform(x[None])[0], 7) for x in (image, other))
    same = [bool(np.allclose(a, b, atol=1e-4)) for a, b in zip(one, two, strict=True)]
    assert same == [True] * 5 + [False] * 2


@pytest.mark.parametrize("level", [0, 128, 255])
@pytest.mark.parametrize("descriptor", [GOG(COLORS), MLGD(), MLGD(("rgb",)), MLGD(("skewness", "nrng"))], ids=repr)
def test_constant_images_are_finite(descriptor, level):
    """Black, grey and white images have finite descriptors, even if no feature varies."""
    assert np.isfinite(descriptor.transform(np.full((1, 128, 48, 3), level, dtype=np.uint8))).all()


# ---- pixel features ----


def test_oriented_gradients_sum_to_the_magnitude_and_rotate():
    """Four orientations share the gradient's magnitude; rotating the image permutes them."""
    level = np.random.default_rng(0).random((7, 7))
    votes = oriented_gradients(level)
    padded = np.pad(level, 1)
    across, down = padded[1:-1, 2:] - padded[1:-1, :-2], padded[2:, 1:-1] - padded[:-2, 1:-1]
    np.testing.assert_allclose(votes.sum(axis=-1), np.hypot(across, down))
    assert (np.count_nonzero(votes, axis=-1) <= 2).all()
    turned = oriented_gradients(np.rot90(level))
    np.testing.assert_allclose(np.rot90(votes)[..., [1, 2, 3, 0]], turned, atol=1e-12)


def test_lab_of_known_colours():
    """White, black and the sRGB primaries have their published L*a*b* values."""
    rgb = np.array([[1, 1, 1], [0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1.0]])
    table = [[100, 0, 0], [0, 0, 0], [53.24, 80.09, 67.20], [87.73, -86.18, 83.18], [32.30, 79.19, -107.86]]
    np.testing.assert_allclose(lab(rgb) * 100 - [0, 50, 50], table, atol=0.02)


def test_normalised_colour_does_not_depend_on_brightness():
    """R/s and G/s do not change with a gain; black has the values of grey."""
    rgb = np.array([0.2, 0.4, 0.1])
    np.testing.assert_allclose(nrng(rgb), nrng(rgb * 2))
    np.testing.assert_allclose(nrng(np.zeros(3)), [1 / 3, 1 / 3])


@pytest.mark.parametrize("pair", [(2, 1), (4, 2)])
def test_schmid_filters_are_scipys_convolution(pair):
    """The kernels sum to zero, have unit L1 norm and do not change by a quarter turn."""
    level = np.random.default_rng(0).random((20, 16))
    kernel = schmid_kernel(*pair)
    assert kernel.sum() == pytest.approx(0, abs=1e-12)
    assert np.abs(kernel).sum() == pytest.approx(1)
    np.testing.assert_allclose(kernel, np.rot90(kernel), atol=1e-15)
    np.testing.assert_allclose(schmid(level, [pair])[..., 0], convolve(level, kernel, mode="reflect"), atol=1e-12)
    assert len(SCHMID) == 13


# ---- MLGD ----


def test_mlgd_with_gogs_features_is_gog():
    """The same pixel features give the same descriptors."""
    images = random_images(height=20)
    for color in COLORS:
        ours = MLGD(("y", "gradient", color), **TINY).transform(images)
        np.testing.assert_array_equal(ours, GOG(color, **TINY).transform(images))


def test_mlgd_default_length_is_as_documented():
    """13 channels give 39697 dimensions, each with its own name."""
    assert MLGD().block_sizes == (39697,)
    assert MLGD().transform(random_images(1, 128, 48)).shape == (1, 39697)
    names = MLGD().get_feature_names_out()
    assert len(set(names)) == 39697


@pytest.mark.parametrize("order", [1, 2, 3])
def test_colour_moments_equal_brute_force(order):
    """Mean, standard deviation and cube root of the third moment of 5x5 pixels."""
    image = random_images(1)[0]
    seen = []
    name = ("mean", "std", "skewness")[order - 1]
    MLGD((name, ("probe", lambda rgb: seen.append(rgb) or rgb[..., 0])), **TINY).transform(image[None])
    padded = np.pad(seen[0], ((2, 2), (2, 2), (0, 0)), mode="edge")
    ours = pixel_features(image, resolve([name], "MLGD"))
    for i in (0, 5, 11):
        for j in (0, 3, 7):
            window = padded[i : i + 5, j : j + 5].reshape(-1, 3)
            spread = window - window.mean(axis=0)
            expected = (
                window.mean(axis=0),
                np.sqrt((spread**2).mean(axis=0)),
                np.cbrt((spread**3).mean(axis=0)),
            )[order - 1]
            np.testing.assert_allclose(ours[i, j], expected, atol=1e-6)


def test_callable_feature_gets_the_float_image():
    """A callable that returns the channels of a group gives the same descriptor as the group."""
    images = random_images()
    named = MLGD(("y", "rgb"), **TINY).transform(images)
    called = MLGD(("y", (("r", "g", "b"), lambda rgb: rgb)), **TINY)
    np.testing.assert_array_equal(named, called.transform(images))
    assert called.get_feature_names_out()[1] == "mlgd_strip0:y.y|y.r"


@pytest.mark.parametrize(
    ("descriptor", "match"),
    [
        (GOG("bgr"), "The 'color' parameter of GOG"),
        (GOG(("rgb", "rgb")), "without repeats"),
        (GOG(()), "The 'color' parameter of GOG"),
        (GOG(patch_size=4), "must be odd"),
        (GOG(input_size=(12, 8)), "too few for 7 overlapping strips; at least 8"),
        (GOG(input_size=None), "The 'input_size' parameter of GOG"),
        (GOG(input_size=(12, -8)), "The 'input_size' parameter of GOG"),
        (GOG(input_size=(True, 48)), r"The 'input_size' parameter of GOG .* Got \(True, 48\)"),
        (GOG(input_size=(128.0, 48)), r"The 'input_size' parameter of GOG must be two ints in the range \[1, inf\)"),
        (MLGD(input_size="ab"), "The 'input_size' parameter of MLGD"),
        (GOG(regularization=0), "The 'regularization' parameter of GOG"),
        (MLGD(()), "The 'features' parameter of MLGD is empty"),
        (MLGD(("colour",)), "The 'features' parameter of MLGD holds 'colour'"),
        (MLGD(("rgb", "red")), r"repeats the channels \['red'\]"),
        (MLGD((("flat", lambda rgb: rgb[0]),), **TINY), "must return finite values of shape"),
    ],
)
def test_bad_parameters_are_named(descriptor, match):
    """The error names the parameter."""
    with pytest.raises(ValueError, match=match):
        descriptor.transform(random_images())


@pytest.mark.parametrize("method", ["fit", "transform", "fit_transform"])
def test_every_method_refuses_a_bool_as_a_size(method):
    """A frame size of True is refused, not taken for 1."""
    with pytest.raises(ValueError, match="The 'input_size' parameter of GOG must be two ints"):
        getattr(GOG(input_size=(True, 48)), method)(random_images())


# ---- CenteredNormalizer ----


def test_normalizer_centres_and_scales_each_block():
    """New descriptors are centred on the training mean, and each of their blocks has unit length."""
    rng = np.random.default_rng(0)
    train, test = rng.normal(3, 1, (6, 5)), rng.normal(size=(4, 5))
    normalizer = CenteredNormalizer(block_sizes=(2, 3)).fit(train)
    out = normalizer.transform(test)
    for i in range(4):
        for part in (slice(0, 2), slice(2, 5)):
            centred = test[i, part] - train[:, part].mean(axis=0)
            np.testing.assert_allclose(out[i, part], centred / np.linalg.norm(centred))


def test_normalizer_accepts_the_block_sizes_of_gog():
    """GOG.block_sizes match its output; sizes with another sum, or bools, are refused."""
    gog = GOG(("rgb", "nrng"), **TINY)
    features = gog.transform(random_images(3))
    out = CenteredNormalizer(gog.block_sizes).fit_transform(features)
    assert out.dtype == np.float32
    for block in np.split(out, np.cumsum(gog.block_sizes)[:-1], axis=1):
        np.testing.assert_allclose(np.linalg.norm(block, axis=1), 1, rtol=1e-5)
    with pytest.raises(ValueError, match="'block_sizes' parameter of CenteredNormalizer must hold positive ints"):
        CenteredNormalizer((3, 4)).fit(features)
    for sizes in ((True, 1), [[1, 1]]):
        with pytest.raises(ValueError, match=f"must hold positive ints .* Got {re.escape(repr(sizes))}"):
            CenteredNormalizer(sizes).fit(np.ones((3, 2)))


def test_mean_descriptor_is_normalized_to_zeros():
    """A descriptor equal to the training mean has no direction; it becomes zeros, not NaN."""
    out = CenteredNormalizer().fit([[0.0, 2.0], [2.0, 4.0]]).transform([[1.0, 3.0]])
    np.testing.assert_array_equal(out, [[0, 0]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rounding_is_not_taken_for_a_direction(dtype):
    """Equal rows, whose mean differs from them by rounding, become zeros; a block that differs in earnest does not."""
    rows = np.full((3, 4), 0.1, dtype)
    rows[:, 2:] = [[1, 2], [3, 4], [5, 9]]
    normalizer = CenteredNormalizer(block_sizes=(2, 2)).fit(rows)
    normalizer.mean_[:2] = np.nextafter(dtype(0.1), dtype(1))  # as another order of the sum may leave it
    out = normalizer.transform(rows)
    assert not out[:, :2].any()
    np.testing.assert_allclose(np.linalg.norm(out[:, 2:], axis=1), 1, rtol=1e-5)
