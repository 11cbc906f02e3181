"""LOMO: equal to a slow reference, its invariances, and known mistakes of other implementations."""

import colorsys
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from sklearn.exceptions import NotFittedError

from skreid.descriptors import LOMO
from skreid.descriptors._color import grey, hsv
from skreid.descriptors._lomo import siltp
from skreid.descriptors._retinex import multiscale_retinex

SMALL = {"n_scales": 2, "window_size": 6, "step": 3}


def random_images(n=2, height=26, width=19, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, height, width, 3), dtype=np.uint8)


# ---- slow reference: one pixel, one window, one bin at a time ----


def slow_halve(rows):
    return [
        [
            (rows[2 * i][2 * j] + rows[2 * i + 1][2 * j] + rows[2 * i][2 * j + 1] + rows[2 * i + 1][2 * j + 1]) / 4
            for j in range(len(rows[0]) // 2)
        ]
        for i in range(len(rows) // 2)
    ]


def slow_maxima(codes, n_codes, side, step):
    out = []
    for top in range(0, len(codes) - side + 1, step):
        best = [0] * n_codes
        for left in range(0, len(codes[0]) - side + 1, step):
            count = [0] * n_codes
            for i in range(top, top + side):
                for j in range(left, left + side):
                    count[codes[i][j]] += 1
            best = [max(b, c) for b, c in zip(best, count, strict=True)]
        out += best
    return out


def slow_siltp(level, radius, tau):
    height, width = len(level), len(level[0])
    codes = []
    for i in range(height):
        row = []
        for j in range(width):
            code = 0
            for k, (di, dj) in enumerate([(0, 1), (-1, 0), (0, -1), (1, 0)]):
                y = min(max(i + di * radius, 0), height - 1)
                x = min(max(j + dj * radius, 0), width - 1)
                if level[y][x] < (1 - tau) * level[i][j]:
                    code += 3**k
                elif level[y][x] > (1 + tau) * level[i][j]:
                    code += 2 * 3**k
            row.append(code)
        codes.append(row)
    return codes


def slow_unit_log(counts):
    logs = [math.log(1 + c) for c in counts]
    norm = math.sqrt(sum(v * v for v in logs))
    return [v / norm for v in logs]


def slow_lomo(image, lit, n_scales, window_size, step, radii=(3, 5), tau=0.3):
    """Describe the texture of `image` and the colour of `lit`, both (H, W, 3) in 0..255."""
    maps = [[], [], []]
    for row in lit.tolist():
        triples = [colorsys.rgb_to_hsv(*(v / 255 for v in pixel)) for pixel in row]
        for c in range(3):
            maps[c].append([min(math.floor(8 * t[c]), 7) for t in triples])
    colour = []
    for scale in range(n_scales):
        if scale:
            maps = [[[math.floor(v) for v in row] for row in slow_halve(m)] for m in maps]
        codes = [[64 * v + 8 * s + h for h, s, v in zip(*rows, strict=True)] for rows in zip(*maps, strict=True)]
        colour += slow_maxima(codes, 512, window_size, step)
    out = slow_unit_log(colour)
    for radius in radii:
        level = [
            [math.floor(0.298936 * r + 0.587043 * g + 0.114021 * b + 0.5) / 255 for r, g, b in row]
            for row in image.tolist()
        ]
        texture = []
        for scale in range(n_scales):
            if scale:
                level = slow_halve(level)
            texture += slow_maxima(slow_siltp(level, radius, tau), 81, window_size, step)
        out += slow_unit_log(texture)
    return np.array(out)


# ---- formulas ----


@pytest.mark.parametrize("seed", [0, 1])
def test_lomo_equals_plain_loops(seed):
    """The vectorised descriptor equals loops over scales, windows, pixels and bins, also for odd sizes."""
    image = random_images(1, seed=seed)[0]
    ours = LOMO(retinex=None, **SMALL).transform(image[None])[0]
    np.testing.assert_allclose(ours, slow_lomo(image, image, 2, 6, 3), atol=1e-6)


def test_retinex_applies_to_colour_and_not_to_texture():
    """Only the HSV block uses the image that the Retinex returned."""
    image = random_images(1)[0]
    other = random_images(1, seed=5)[0]
    ours = LOMO(retinex=lambda _: other, **SMALL).transform(image[None])[0]
    np.testing.assert_allclose(ours, slow_lomo(image, other, 2, 6, 3), atol=1e-6)


def test_default_is_the_multiscale_retinex():
    """The default equals `multiscale_retinex` as a callable, and differs from no Retinex."""
    image = random_images(1)[0]
    ours = LOMO(**SMALL).transform(image[None])
    by_hand = LOMO(retinex=multiscale_retinex, **SMALL).transform(image[None])
    np.testing.assert_array_equal(ours, by_hand)
    assert np.abs(ours - LOMO(retinex=None, **SMALL).transform(image[None])).max() > 1e-3


@pytest.mark.parametrize(("size", "length"), [((128, 48), 26960), ((160, 60), 35722)])
def test_lomo_has_the_published_dimensions_and_unit_blocks(size, length):
    """The image sizes of the paper give its dimensions, in three blocks of unit length."""
    features = LOMO().transform(random_images(1, *size))
    assert features.shape == (1, length)
    assert features.dtype == np.float32
    assert np.linalg.norm(features) == pytest.approx(math.sqrt(3), rel=1e-5)
    rows = length // 674
    for block in np.split(features[0], [512 * rows, 593 * rows]):
        assert np.linalg.norm(block) == pytest.approx(1, rel=1e-5)


@given(st.lists(st.integers(0, 255), min_size=3, max_size=3))
@settings(max_examples=200, deadline=None)
def test_hsv_equals_colorsys(pixel):
    """Hue, saturation and value are those of the standard library, in [0, 1]."""
    rgb = np.array(pixel) / 255
    ours = hsv(rgb)
    np.testing.assert_allclose(ours, colorsys.rgb_to_hsv(*rgb), atol=1e-12)
    assert 0 <= ours[0] < 1


def test_siltp_of_a_bright_pixel():
    """A bright pixel has four darker neighbours; each neighbour has one brighter neighbour."""
    level = np.full((3, 3), 0.5)
    level[1, 1] = 1.0
    expected = [[0, 2 * 27, 0], [2, 1 + 3 + 9 + 27, 2 * 9], [0, 2 * 3, 0]]
    np.testing.assert_array_equal(siltp(level, 1), expected)


@given(st.integers(1, 4), st.integers(0, 10**6), st.floats(0.1, 4))
@settings(max_examples=40, deadline=None)
def test_siltp_does_not_change_with_a_gain(radius, seed, gain):
    """Multiplying the grey levels does not change any code."""
    level = np.random.default_rng(seed).random((9, 7))
    np.testing.assert_array_equal(siltp(level * gain, radius), siltp(level, radius))


# ---- known mistakes of other implementations ----


def hot_colour_bin(colour):
    """Return the only bin that a constant image of the colour fills (scale 0, row 0)."""
    image = np.broadcast_to(np.uint8(colour), (1, 10, 10, 3))
    features = LOMO(retinex=None, n_scales=1).transform(image)[0, :512]
    assert np.count_nonzero(features) == 1
    return int(features.argmax())


def test_hue_spans_all_eight_bins():
    """Magenta-red is in the last hue bin; with OpenCV's hue, 0..179 taken for 0..255, it would be in bin 5."""
    assert hot_colour_bin((255, 0, 30)) == 64 * 7 + 8 * 7 + 7


def test_joint_code_may_exceed_a_byte():
    """White is bin 448, more than uint8 can hold."""
    assert hot_colour_bin((255, 255, 255)) == 448


def test_channels_are_red_green_blue():
    """Blue has hue 2/3 (bin 5); taken for BGR it would be red (bin 0)."""
    assert hot_colour_bin((0, 0, 255)) == 64 * 7 + 8 * 7 + 5
    assert hot_colour_bin((255, 0, 0)) == 64 * 7 + 8 * 7 + 0


def test_grey_levels_have_the_published_weights():
    """Pure red, green and blue have the published grey levels, rounded to 8 bits."""
    pure = 255 * np.eye(3, dtype=np.uint8)[None]
    np.testing.assert_array_equal(grey(pure) * 255, [[76, 150, 29]])
    pixel = np.uint8([[[250, 129, 7]]])  # 151.26 by these weights
    assert grey(pixel)[0, 0] * 255 == 151


def test_siltp_crosses_window_borders():
    """An edge between two disjoint windows is counted in both: SILTP is not computed within windows."""
    image = np.full((1, 10, 20, 3), 50, dtype=np.uint8)
    image[:, :, 10:] = 250
    names = LOMO(n_scales=1, step=10, radii=(3,)).fit(image).get_feature_names_out()
    features = LOMO(n_scales=1, step=10, radii=(3,)).transform(image)[0]
    seen = {name[-4:] for name, value in zip(names, features, strict=True) if "siltp" in name and value > 0}
    assert seen == {"0000", "2000", "0010"}  # brighter on the right, darker on the left


def test_next_scale_pools_the_bins_not_the_image():
    """For alternating black and white, hue and saturation stay 0 and value is the floor of the mean of 0 and 7."""
    image = np.zeros((1, 20, 20, 3), dtype=np.uint8)
    image[:, :, ::2] = 255
    names = LOMO(n_scales=2, retinex=None).fit(image).get_feature_names_out()
    features = LOMO(n_scales=2, retinex=None).transform(image)[0]
    hot = {n for n, v in zip(names, features, strict=True) if v > 0 and n.startswith("hsv_scale1")}
    assert hot == {"hsv_scale1_row0_h0s0v3"}
    assert hsv(np.full(3, 127.5 / 255))[2] * 8 > 3.9  # a pooled image of 128 would be bin 4
    red_cyan = np.zeros((1, 20, 20, 3), dtype=np.uint8)
    red_cyan[:, :, ::2, 0] = 255
    red_cyan[:, :, 1::2, 1:] = 255
    features = LOMO(n_scales=2, retinex=None).transform(red_cyan)[0]
    hot = {n for n, v in zip(names, features, strict=True) if v > 0 and n.startswith("hsv_scale1")}
    assert hot == {"hsv_scale1_row0_h2s7v7"}  # a pooled image would be grey


# ---- invariances ----


@pytest.mark.parametrize("shift", [20, 40])
def test_horizontal_shift_does_not_change_the_descriptor(shift):
    """A figure on a plain background may move sideways by a multiple of the steps of all scales."""
    rng = np.random.default_rng(3)
    images = np.full((2, 60, 240, 3), 90, dtype=np.uint8)
    figure = rng.integers(0, 256, (40, 20, 3), dtype=np.uint8)
    images[0, 10:50, 90:110] = figure
    images[1, 10:50, 90 + shift : 110 + shift] = figure
    one, other = LOMO(retinex=None).transform(images)
    np.testing.assert_array_equal(one, other)


def test_vertical_shift_changes_the_descriptor():
    """Each row of windows has its own bins."""
    images = np.full((2, 80, 60, 3), 90, dtype=np.uint8)
    figure = np.random.default_rng(3).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    images[0, 10:30, 20:40] = figure
    images[1, 30:50, 20:40] = figure
    one, other = LOMO(retinex=None).transform(images)
    assert np.abs(one - other).max() > 0.01


@pytest.mark.parametrize("level", [0, 1, 128, 255])
@pytest.mark.parametrize("retinex", ["multiscale", None])
def test_constant_images_are_finite(level, retinex):
    """Black, white and grey images have finite descriptors with unit blocks."""
    features = LOMO(retinex=retinex).transform(np.full((1, 128, 48, 3), level, dtype=np.uint8))
    assert np.isfinite(features).all()
    assert np.linalg.norm(features) == pytest.approx(math.sqrt(3), rel=1e-5)


# ---- parameters and sizes ----


def test_feature_names_match_the_columns():
    """There is one name per column, no name twice, and `fit` and `input_size` give the same names."""
    names = LOMO().fit(random_images(1, 128, 48)).get_feature_names_out()
    assert len(names) == len(set(names)) == 26960
    assert names[0] == "hsv_scale0_row0_h0s0v0"
    assert names[1] == "hsv_scale0_row0_h1s0v0"
    assert names[-1] == "siltp5_scale2_row4_2222"
    np.testing.assert_array_equal(names, LOMO(input_size=(128, 48)).get_feature_names_out())


def test_feature_names_need_an_image_size():
    """The error without a size says what to do."""
    with pytest.raises(NotFittedError, match="call fit, or set input_size"):
        LOMO().get_feature_names_out()


def test_images_of_different_sizes_need_input_size():
    """The error names the image that differs from the first one."""
    images = [random_images(1)[0], random_images(1, 30, 20)[0]]
    with pytest.raises(ValueError, match=r"Image 1 is 30x20 .* image 0 is 26x19 .*input_size"):
        LOMO(**SMALL).transform(images)
    assert LOMO(input_size=(26, 19), **SMALL).transform(images).shape[0] == 2


def test_images_of_another_size_than_fitted_are_refused():
    """They would have other columns."""
    lomo = LOMO(**SMALL).fit(random_images())
    with pytest.raises(ValueError, match="fitted on images of 26x19"):
        lomo.transform(random_images(1, 30, 20))


def test_too_small_an_image_is_named():
    """At the last scale, at least one window must fit into it."""
    with pytest.raises(ValueError, match=r"Image 0 is 39x60 .*no window of 10 pixels fits"):
        LOMO().transform(random_images(1, 39, 60))


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"n_scales": 0}, "The 'n_scales' parameter of LOMO must be an int in the range"),
        ({"tau": 1.0}, "The 'tau' parameter of LOMO"),
        ({"retinex": "other"}, "The 'retinex' parameter of LOMO"),
        ({"radii": ()}, "The 'radii' parameter of LOMO"),
        ({"radii": (0,)}, "The 'radii' parameter of LOMO"),
        ({"radii": (True,)}, "The 'radii' parameter of LOMO"),
        ({"input_size": (128,)}, "The 'input_size' parameter of LOMO must be None or two ints"),
        ({"input_size": (True, 48)}, r"The 'input_size' parameter of LOMO .* Got \(True, 48\)"),
        ({"input_size": 128}, "The 'input_size' parameter of LOMO"),
        ({"retinex": lambda image: image[:2]}, "'retinex' callable of LOMO must return"),
        ({"retinex": lambda image: image * 2.0}, "'retinex' callable of LOMO must return"),
        ({"retinex": lambda image: image * np.nan}, "'retinex' callable of LOMO must return"),
    ],
)
def test_bad_parameters_are_named(params, match):
    """The error names the parameter in scikit-learn's wording, also in `transform`."""
    with pytest.raises(ValueError, match=match):
        LOMO(**{**SMALL, **params}).transform(random_images())


# ---- Retinex ----


def test_retinex_equals_its_definition():
    """Log of the pixel minus the mean log of its two blurs (scipy's); the mean +- 2 deviations become 0..255."""
    image = random_images(1)[0].astype(float)
    out = np.zeros_like(image)
    for channel in range(3):
        for sigma in (5, 20):
            blurred = gaussian_filter(image[:, :, channel], sigma, mode="nearest")
            out[:, :, channel] += (np.log(1 + image[:, :, channel]) - np.log(1 + blurred)) / 2
    expected = (out - (out.mean() - 2 * out.std())) / (4 * out.std()) * 255
    np.testing.assert_allclose(multiscale_retinex(image.astype(np.uint8)), expected.clip(0, 255), rtol=1e-9, atol=1e-9)


def test_retinex_evens_out_the_light():
    """The Retinex brings a scene with uneven light closer to the same scene with even light."""
    scene = np.random.default_rng(0).integers(80, 250, (60, 40, 3))
    dim = (scene * np.linspace(1, 0.4, 60)[:, None, None]).astype(np.uint8)
    scene = scene.astype(np.uint8)
    before = np.abs(scene.astype(float) - dim).mean()
    assert np.abs(multiscale_retinex(scene) - multiscale_retinex(dim)).mean() < before / 4
