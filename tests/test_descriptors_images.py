"""Descriptors: every form of X, errors that name the image, and scikit-learn's own checks."""

import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from PIL import Image
from sklearn.base import clone
from sklearn.pipeline import make_pipeline, make_union
from sklearn.utils.estimator_checks import check_estimator
from tables import TakesTables

from skreid import descriptors
from skreid.descriptors import GOG, LOMO, MLGD, CenteredNormalizer
from skreid.descriptors._base import ImageDescriptor

SMALL_LOMO = LOMO(n_scales=1, window_size=6, step=3, n_bins=3)
SMALL_GOG = GOG("nrng", input_size=(12, 8), n_strips=1)
SMALL_MLGD = MLGD(("y", "red"), input_size=(12, 8), n_strips=2)
ALL = [SMALL_LOMO, SMALL_GOG, SMALL_MLGD]
SMALL = pytest.mark.parametrize("descriptor", ALL, ids=lambda d: type(d).__name__)


def random_images(n=3, height=12, width=8, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, height, width, 3), dtype=np.uint8)


# ---- scikit-learn's checks, on tables whose rows become tiny pictures ----


class TableLOMO(TakesTables, LOMO):
    def __init__(self, *, n_scales=1, window_size=6, step=3, n_bins=3, tau=0.3, radii=(3, 5), n_jobs=None):
        super().__init__(
            n_scales=n_scales,
            window_size=window_size,
            step=step,
            n_bins=n_bins,
            tau=tau,
            radii=radii,
            n_jobs=n_jobs,
        )


class TableGOG(TakesTables, GOG):
    def __init__(self, color="nrng", *, input_size=(12, 8), n_strips=1, n_jobs=None):
        super().__init__(color, input_size=input_size, n_strips=n_strips, n_jobs=n_jobs)


class TableMLGD(TakesTables, MLGD):
    def __init__(self, features=("y", "red"), *, input_size=(12, 8), n_strips=2, n_jobs=None):
        super().__init__(features, input_size=input_size, n_strips=n_strips, n_jobs=n_jobs)


@pytest.mark.parametrize(
    "estimator", [TableLOMO(), TableGOG(), TableMLGD(), CenteredNormalizer()], ids=lambda e: type(e).__name__
)
def test_scikit_learns_common_checks_pass(estimator):
    """All checks for transformers of tables run, and none fails."""
    results = check_estimator(estimator, on_skip=None)
    passed = [r["check_name"] for r in results if r["status"] == "passed"]
    others = {r["check_name"] for r in results if r["status"] != "passed"}
    assert len(passed) >= 44
    assert others <= {"check_array_api_input"}  # needs SCIPY_ARRAY_API to be set


# ---- scikit-learn's conventions ----


def test_every_exported_descriptor_is_tested_here():
    """A new descriptor must be added to `ALL`, to run through the tests that all descriptors share."""
    exported = [getattr(descriptors, name) for name in descriptors.__all__]
    assert {type(descriptor) for descriptor in ALL} == {cls for cls in exported if issubclass(cls, ImageDescriptor)}


@SMALL
def test_transform_does_not_depend_on_fit(descriptor):
    """Descriptors are the same with and without a fit, and the tags say that none is required."""
    images = random_images()
    unfitted = clone(descriptor).transform(images)
    np.testing.assert_array_equal(clone(descriptor).fit(images[:1]).transform(images), unfitted)
    assert not descriptor.__sklearn_tags__().requires_fit


@SMALL
def test_descriptor_does_not_depend_on_the_other_images(descriptor):
    """An image has the same descriptor alone and among others."""
    images = random_images(5)
    together = descriptor.transform(images)
    np.testing.assert_array_equal(together, np.vstack([descriptor.transform(x[None]) for x in images]))


@SMALL
def test_workers_return_what_one_process_does(descriptor):
    """Descriptors are bitwise equal and in order with n_jobs and within a joblib context."""
    images = random_images(70)
    one = descriptor.transform(images)
    np.testing.assert_array_equal(clone(descriptor).set_params(n_jobs=2).transform(images), one)
    with parallel_config("threading", n_jobs=3):
        np.testing.assert_array_equal(descriptor.transform(images), one)


@SMALL
def test_clone_and_pickle_describe_alike(descriptor):
    """A fitted descriptor returns the same after pickling."""
    images = random_images()
    fitted = clone(descriptor).fit(images)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.transform(images), descriptor.transform(images))


@SMALL
def test_set_output_names_the_columns(descriptor):
    """Columns of the DataFrame are the feature names."""
    images = random_images()
    frame = clone(descriptor).set_output(transform="pandas").fit_transform(images)
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == list(clone(descriptor).fit(images).get_feature_names_out())


def test_descriptors_work_in_unions_and_pipelines():
    """The names of a union of descriptors match its columns."""
    images = random_images()
    union = make_union(SMALL_LOMO, make_pipeline(SMALL_GOG, CenteredNormalizer()))
    features = union.fit_transform(images)
    names = union.get_feature_names_out()
    assert features.shape == (3, len(names))


def test_descriptors_do_not_import_torch():
    """Neither the import nor reading and describing images loads torch."""
    code = (
        "import sys, numpy as np; from skreid.descriptors import GOG, LOMO; X = np.zeros((1, 40, 40, 3), np.uint8); "
        "GOG().transform(X); LOMO(n_scales=1).transform(X); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class MeanColour(ImageDescriptor):
    def __init__(self, *, input_size=None, n_jobs=None):
        self.input_size = input_size
        self.n_jobs = n_jobs

    def _describe(self, image):
        return image.mean(axis=(0, 1))


def test_a_new_descriptor_only_describes_one_image():
    """The base class checks the parameters, reads and resizes the images, and runs the workers."""
    images = random_images()
    expected = images.mean(axis=(1, 2), dtype=np.float64).astype(np.float32)
    np.testing.assert_array_equal(MeanColour().fit(images).transform(images), expected)
    bilinear = [np.asarray(Image.fromarray(x).resize((2, 3), Image.Resampling.BILINEAR)) for x in images]
    resized = MeanColour(input_size=(3, 2), n_jobs=2).transform(images)
    np.testing.assert_array_equal(resized, MeanColour().transform(bilinear))
    with pytest.raises(ValueError, match="'input_size' parameter of MeanColour must be None or two ints"):
        MeanColour(input_size=(3, 0)).fit(images)
    with pytest.raises(ValueError, match="'n_jobs' parameter of MeanColour"):
        MeanColour(n_jobs="two").transform(images)


def test_gog_and_mlgd_need_a_size():
    for descriptor in (SMALL_GOG, SMALL_MLGD):
        with pytest.raises(ValueError, match=r"'input_size' parameter of (GOG|MLGD) must be two ints .* Got None"):
            clone(descriptor).set_params(input_size=None).fit(random_images())


# ---- what X may be ----


def test_every_form_of_x_gives_the_same_descriptors(tmp_path):
    """X may hold uint8 or float arrays, lists, PIL images, paths or a mixture of them."""
    images = random_images()
    expected = SMALL_LOMO.transform(images)
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    pictures = [Image.fromarray(x) for x in images]
    for picture, path in zip(pictures, paths, strict=True):
        picture.save(path)
    mixed = np.empty(3, dtype=object)
    mixed[:] = [images[0], pictures[1], str(paths[2])]
    forms = [
        images / 255,
        (images / 255).astype(np.float32),
        list(images),
        tuple(pictures),
        paths,
        [str(p) for p in paths],
        np.array([str(p) for p in paths]),
        pd.Series(paths),
        mixed,
        [x / 255 for x in images],
    ]
    for form in forms:
        np.testing.assert_array_equal(SMALL_LOMO.transform(form), expected)


def test_grey_images_are_three_equal_channels():
    """(n, H, W), (H, W, 1) and grey PIL images are described like three equal channels."""
    grey = random_images()[..., 0]
    expected = SMALL_LOMO.transform(np.repeat(grey[..., None], 3, axis=-1))
    for form in (grey, [x[..., None] for x in grey], [Image.fromarray(x) for x in grey]):
        np.testing.assert_array_equal(SMALL_LOMO.transform(form), expected)


def test_gog_resizes_bicubically_and_lomo_bilinearly():
    """Images may differ in size where they are resized; one of `input_size` is not changed."""
    images = [random_images(1)[0], random_images(1, 30, 20)[0]]
    features = SMALL_GOG.transform(images)
    resized = np.asarray(Image.fromarray(images[1]).resize((8, 12), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(features, SMALL_GOG.transform(np.stack([images[0], resized])))
    lomo = clone(SMALL_LOMO).set_params(input_size=(12, 8))
    bilinear = np.asarray(Image.fromarray(images[1]).resize((8, 12), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(lomo.transform(images), SMALL_LOMO.transform([images[0], bilinear]))


@pytest.mark.parametrize(
    ("X", "match"),
    [
        (random_images(1)[0], r"shape \(12, 8, 3\).*This looks like one colour image: pass X\[None\]"),
        (np.zeros((2, 5)), r"Got an array of shape \(2, 5\)"),
        ("a.png", "Got a single image"),
        (Image.new("RGB", (8, 12)), "Got a single image"),
        (3, "Got a single number, 3, as X"),
        (["missing.png"], r"image 0 \('missing.png'\) does not exist"),
        (np.full((1, 12, 8, 3), 2.0), r"image 0 has values in \[2, 2\].*Divide by 255"),
        (np.full((1, 12, 8, 3), -0.1), "float images must be in"),
        (np.full((1, 12, 8, 3), np.nan), "image 0 contains NaN"),
        (np.zeros((1, 12, 8, 3), dtype=np.int64), r"dtype int64.*use \.astype"),
        (np.zeros((1, 12, 8, 4)), r"shape \(1, 12, 8, 4\)"),
        ([np.zeros((12, 8)), np.zeros(5)], r"image 1 has shape \(5,\)"),
        ([np.zeros((12, 8)), None], "image 1 is None"),
        ([np.zeros((12, 8)), [[1.0], [2.0, 3.0]]], "image 1 is not an array"),
        ([Image.new("F", (8, 12))], "image 0 holds 32-bit floats"),
    ],
)
def test_errors_name_the_image(X, match):
    """The error for a wrong X names the image and says what to pass."""
    with pytest.raises(ValueError, match=match):
        SMALL_LOMO.transform(X)


def test_files_are_read_as_the_network_reads_them(tmp_path):
    """Rotation by EXIF, 16 bits, alpha and palettes: descriptors see the same pixels as `ImageSource`."""
    from skreid._images.source import ImageSource

    image = random_images(1)[0]
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(np.rot90(image)).save(tmp_path / "turned.png", exif=turned)
    deep = (np.arange(96).reshape(12, 8) * 600).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    Image.fromarray(np.dstack([image, image[..., 0]])).save(tmp_path / "clear.png")
    Image.fromarray(image).quantize(50).save(tmp_path / "palette.png")
    paths = sorted(tmp_path.iterdir())
    pixels = ImageSource(paths).read(slice(None)).permute(0, 2, 3, 1).numpy()
    np.testing.assert_array_equal(SMALL_LOMO.transform(paths), SMALL_LOMO.transform(pixels))
    np.testing.assert_array_equal(SMALL_LOMO.transform(paths[-1:]), SMALL_LOMO.transform(image[None]))


def test_broken_files_are_named(tmp_path):
    """The error for a file that is not an image, or truncated, has its path; also when a worker reads it."""
    text, short = tmp_path / "text.png", tmp_path / "short.png"
    text.write_text("no picture")
    good = random_images(1, 40, 40)[0]
    Image.fromarray(good).save(short)
    short.write_bytes(short.read_bytes()[:-2000])
    gog = clone(SMALL_GOG).set_params(n_jobs=2)
    with pytest.raises(ValueError, match=r"image 1 \(.*text\.png.*\) could not be read as an image"):
        gog.transform([good, text])
    with pytest.raises(ValueError, match=r"image 1 \(.*short\.png.*\) could not be read as an image"):
        gog.transform([good, short])


@SMALL
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_bar_counts_images_when_asked(descriptor, n_jobs, capfd):
    """On the error stream; silent by default, with the same descriptors in the same order."""
    images = random_images(70)
    with parallel_config("threading"):
        silent = clone(descriptor).set_params(n_jobs=n_jobs).transform(images)
        assert capfd.readouterr() == ("", "")
        shown = clone(descriptor).set_params(n_jobs=n_jobs, verbose=1).transform(images)
    out, bar = capfd.readouterr()
    assert out == ""
    assert "Describing: 100%" in bar
    assert "70/70" in bar
    np.testing.assert_array_equal(shown, silent)


def test_a_backend_that_streams_no_results_has_a_bar_too(monkeypatch, capfd):
    """Its bar moves when all images are described."""
    monkeypatch.setattr("joblib._parallel_backends.ThreadingBackend.supports_return_generator", False)
    with parallel_config("threading"):
        LOMO(**SMALL_LOMO.get_params() | {"verbose": 1, "n_jobs": 2}).transform(random_images(5))
    assert "5/5" in capfd.readouterr().err


@SMALL
def test_descriptors_saved_before_they_were_verbose_still_work(descriptor):
    """Their state has no `verbose`."""
    state = descriptor.__getstate__()
    del state["verbose"]
    old = type(descriptor).__new__(type(descriptor))
    old.__setstate__(state)
    assert old.get_params()["verbose"] == 0
    np.testing.assert_array_equal(old.transform(random_images()), descriptor.transform(random_images()))
