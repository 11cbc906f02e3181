"""MultiDepthReID as a whole: the paper's equations from outside, forms of X, errors, seeds, state."""

import copy
import itertools
import pickle
from unittest.mock import MagicMock

import joblib
import numpy as np
import pytest
import torch
from networks import deeper, narrow, plain, two_blocks
from PIL import Image
from safetensors.numpy import save_file
from scipy.ndimage import uniform_filter
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skreid import MultiDepthReID
from skreid.descriptors import LOMO
from skreid.exceptions import ImageError
from skreid.rivals import TCPNet


def frame_maps(reid, images, blur):
    """Layer -> every filter's map at frame size, upsampled by torch and filtered by scipy, in float64."""
    found = {}
    for layer, maps in reid.feature_maps(images).items():
        up = torch.nn.functional.interpolate(torch.from_numpy(maps).double(), size=reid.image_shape_, mode="bilinear")
        found[layer] = uniform_filter(up.numpy(), size=(1, 1, blur, blur), mode="mirror")
    return found


@pytest.mark.parametrize("blur", [1, 4, 7, 50])
def test_the_papers_equations_hold(people, settings, blur):
    """Pair distances, chosen filters and descriptor distances equal a reference in float64."""
    settings |= {"blur_size": blur, "max_epochs": 1}
    reid = MultiDepthReID(**settings).fit(people.images, people.target)
    maps = frame_maps(reid, people.images, blur)
    pairs = list(itertools.combinations(range(len(people.target)), 2))
    same = np.array([people.target[i] == people.target[j] for i, j in pairs])
    for layer, smooth in maps.items():
        apart = np.array([np.sqrt(((smooth[i] - smooth[j]) ** 2).sum(axis=(1, 2))) for i, j in pairs])
        d_same, d_different = apart[same].mean(axis=0), apart[~same].mean(axis=0)
        np.testing.assert_allclose(reid.filter_distances_[layer]["d_same"], d_same, rtol=1e-4, atol=1e-9)
        np.testing.assert_allclose(reid.filter_distances_[layer]["d_different"], d_different, rtol=1e-4, atol=1e-9)
        best = np.argsort(-(d_different - d_same), kind="stable")[:2]
        np.testing.assert_array_equal(reid.filters_[layer], best)
    whole = np.concatenate([maps[layer][:, reid.filters_[layer]].reshape(32, -1) for layer in reid.layers_], axis=1)
    described = reid.transform(people.images).astype(float)
    np.testing.assert_allclose(cdist(described, described), cdist(whole, whole), rtol=1e-4, atol=1e-4)
    shown = reid.feature_maps(people.images, smooth=True)
    for layer in reid.layers_:
        np.testing.assert_allclose(shown[layer], maps[layer], rtol=1e-4, atol=1e-5)


def test_cameras_restrict_the_pairs(people, settings):
    """With `cams`, only pairs across cameras count: 4 per identity, and half of the pairs of different people."""
    reid = MultiDepthReID(**settings).fit(people.images, people.target, cams=people.cams)
    found = reid.filter_distances_["high"]
    assert found["n_same"] == 8 * 4
    assert found["n_different"] == (8 * 7 // 2) * (2 * 2 * 2)


def test_equal_seeds_give_equal_fits_and_other_seeds_differ(people, settings):
    """Fits are equal bit for bit, also for a RandomState of the same seed."""
    one, same = (MultiDepthReID(**settings).fit(people.images, people.target) for _ in range(2))
    np.testing.assert_array_equal(one.transform(people.images), same.transform(people.images))
    settings["random_state"] = np.random.RandomState(1)
    other = MultiDepthReID(**settings).fit(people.images, people.target)
    assert any(not np.array_equal(one.weights_[name], other.weights_[name]) for name in one.weights_)


def test_every_form_of_images_gives_the_same_descriptors(people, fitted, tmp_path):
    """Arrays, PIL images and PNG paths get the same descriptors, and train the same network."""
    paths = [tmp_path / f"{number}.png" for number in range(len(people.images))]
    for path, image in zip(paths, people.images, strict=True):
        Image.fromarray(image).save(path)
    expected = fitted.transform(people.images)
    for form in (list(people.images), [Image.fromarray(image) for image in people.images], paths):
        np.testing.assert_array_equal(fitted.transform(form), expected)
    np.testing.assert_allclose(fitted.transform(people.images / 255), expected, rtol=1e-3, atol=1e-4)
    learned = clone(fitted).fit(paths, people.target)
    np.testing.assert_array_equal(learned.transform(people.images), expected)


def test_batches_do_not_change_descriptors(people, fitted):
    """Describing images one at a time equals describing all at once."""
    singly = np.concatenate([fitted.transform(people.images[i : i + 1]) for i in range(5)])
    np.testing.assert_allclose(singly, fitted.transform(people.images[:5]), rtol=1e-4, atol=1e-5)


def test_learned_attributes_agree_with_each_other(people, fitted):
    """Shapes, layer names and lengths fit together."""
    assert fitted.image_shape_ == (32, 16)
    assert fitted.layers_ == ("low", "middle", "high")
    assert fitted.map_shapes_ == {"low": (32, 16), "middle": (16, 8), "high": (8, 4)}
    assert fitted.n_features_out_ == 2 * (32 * 16 + 16 * 8 + 8 * 4)
    assert list(fitted.classes_) == sorted(set(people.target))
    assert len(fitted.history_) == 2
    described = fitted.transform(people.images)
    assert described.shape == (32, fitted.n_features_out_)
    assert described.dtype == np.float32
    names = fitted.get_feature_names_out()
    assert len(set(names)) == fitted.n_features_out_
    assert names[0] == f"low_f{fitted.filters_['low'][0]}_r0_c0"
    assert names[-1] == f"high_f{fitted.filters_['high'][1]}_r7_c3"


def test_feature_names_locate_their_values(people, fitted):
    """Without blur, each dimension is the map's value at the filter, row and column in its feature name."""
    sharp = clone(fitted).set_params(blur_size=1, layers="low").fit(people.images, people.target)
    chosen = sharp.filters_["low"][1]
    column = list(sharp.get_feature_names_out()).index(f"low_f{chosen}_r5_c3")
    expected = sharp.feature_maps(people.images)["low"][:, chosen, 5, 3]
    np.testing.assert_allclose(sharp.transform(people.images)[:, column], expected, rtol=1e-4, atol=1e-5)


def test_l2_scales_each_layer_to_unit_length(people, settings):
    """With `normalize="l2"`, each layer's part of a descriptor has unit length."""
    settings |= {"normalize": "l2", "max_epochs": 1}
    reid = MultiDepthReID(**settings).fit(people.images, people.target)
    parts = np.split(reid.transform(people.images), np.cumsum([2 * 32 * 16, 2 * 16 * 8]), axis=1)
    for part in parts:
        np.testing.assert_allclose(np.linalg.norm(part, axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("how", ["centered", "rooted", "whitened"])
def test_mean_image_is_described_by_zeros(people, settings, how):
    """An image that equals the mean of the training images up to rounding gets zeros, alone and in a batch."""
    same = np.repeat(people.images[:1], 8, axis=0)
    reid = MultiDepthReID(**settings | {"max_epochs": 0, "normalize": how}).fit(same, [0, 0, 1, 1, 2, 2, 3, 3])
    assert not reid.transform(same).any()
    assert not reid.transform(same[:1]).any()
    assert reid.transform(people.images[-1:]).any()


@pytest.mark.parametrize("how", ["centered", "rooted"])
def test_centred_layers_have_unit_length(people, settings, how):
    """Each layer's part, or its signed root, minus its mean over the training images, has unit length."""
    settings |= {"max_epochs": 1, "blur_size": (4, None)}
    plain, reid = (
        MultiDepthReID(**settings | {"normalize": each}).fit(people.images, people.target) for each in (None, how)
    )
    maps = plain.transform(people.images).astype(float)
    assert maps.min() < 0
    if how == "rooted":
        maps = np.sign(maps) * np.sqrt(np.abs(maps))
    assert maps.shape[1] == reid.n_features_out_ == 2 * (32 + 16 + 8)  # one value per row
    centred = np.split(maps - maps.mean(axis=0), np.cumsum([2 * 32, 2 * 16]), axis=1)
    expected = np.hstack([part / np.linalg.norm(part, axis=1, keepdims=True) for part in centred])
    np.testing.assert_allclose(reid.transform(people.images), expected, atol=1e-4)
    assert reid.get_feature_names_out()[-1] == f"high_f{reid.filters_['high'][1]}_r7_c0"


@pytest.mark.parametrize("how", ["rooted", "whitened"])
def test_descriptors_of_roots_hardly_depend_on_the_batch(people, settings, how):
    """Rounding depends on the batch size, and square roots enlarge it near zero, but not noticeably."""
    reid = MultiDepthReID(**settings | {"max_epochs": 1, "normalize": how}).fit(people.images, people.target)
    alone = np.concatenate([reid.transform(people.images[place : place + 1]) for place in range(4)])
    np.testing.assert_allclose(reid.transform(people.images)[:4], alone, atol=1e-3)


@pytest.mark.parametrize("blur", [(20,), (20, 0), (20, None, 3), (None, 1.5), "20"])
def test_invalid_box_sizes_are_refused(people, settings, blur):
    """The message says what is allowed."""
    with pytest.raises(ValueError, match=r"'blur_size' parameter of MultiDepthReID must be an int.*Got"):
        MultiDepthReID(**settings | {"blur_size": blur}).fit(people.images, people.target)


def test_kneighbors_are_nearest_by_euclidean_distance(people, fitted):
    """Rankings agree with scipy's distances; a probe's own image comes first."""
    described = fitted.transform(people.images)
    distances, indices = fitted.kneighbors(people.images[:6], people.images, n_neighbors=7)
    expected = cdist(described[:6].astype(float), described.astype(float))
    np.testing.assert_array_equal(indices[:, 0], np.arange(6))
    np.testing.assert_allclose(distances, np.sort(expected, axis=1)[:, :7], atol=1e-4)
    np.testing.assert_array_equal(fitted.kneighbors(people.images[:6], described, 7, return_distance=False), indices)


def test_feature_maps_of_any_layer(people, fitted):
    """`feature_maps` takes one layer name or several."""
    maps = fitted.feature_maps(people.images[:3], "conv2")
    assert maps["conv2"].shape == (3, 6, 16, 8)
    assert maps["conv2"].min() < 0
    with pytest.raises(ValueError, match=r"names 'hihg'.*Did you mean 'high'"):
        fitted.feature_maps(people.images[:3], "hihg")


def test_weights_from_a_file(people, fitted, settings, tmp_path):
    """Training starts from saved weights; with no epochs they stay as they are."""
    save_file(fitted.weights_, tmp_path / "w.safetensors")
    settings |= {"weights": tmp_path / "w.safetensors", "max_epochs": 0}
    reid = MultiDepthReID(**settings).fit(people.images, people.target)
    assert reid.history_ == []
    np.testing.assert_allclose(reid.transform(people.images), fitted.transform(people.images), rtol=1e-5)


@pytest.mark.parametrize("route", ["pickle", "joblib"])
def test_fitted_state_is_numpy_and_survives_copying(people, fitted, tmp_path, route):
    """A copy describes identically bit for bit, holds no torch storage, and has the same hash."""
    fitted.transform(people.images[:1])  # the live network exists, and stays out
    state = pickle.dumps(fitted)
    assert b"torch" not in state.replace(b"networks", b"")
    if route == "pickle":
        copy = pickle.loads(state)
    else:
        joblib.dump(fitted, tmp_path / "reid.joblib")
        copy = joblib.load(tmp_path / "reid.joblib", mmap_mode="r")
    np.testing.assert_array_equal(copy.transform(people.images), fitted.transform(people.images))
    if route == "pickle":  # joblib hashes memory maps apart from arrays
        assert joblib.hash(copy) == joblib.hash(fitted)


def test_progress_bars_show_when_asked(people, settings, capfd):
    """Silent by default; `verbose=1` shows epochs and images on the error stream."""
    MultiDepthReID(**settings).fit(people.images, people.target)
    assert capfd.readouterr() == ("", "")
    MultiDepthReID(**settings, verbose=1).fit(people.images, people.target)
    shown = capfd.readouterr()
    assert shown.out == ""
    assert "Training: 100%" in shown.err
    assert "Exploring: 100%" in shown.err


@pytest.mark.parametrize(("fraction", "kind"), [(0.0, "train"), (0.25, "validation")])
def test_the_bar_of_training_shows_the_accuracy_that_decides(people, settings, fraction, kind, monkeypatch):
    """On the images held out, or on the training images where none are."""
    bar = MagicMock()
    monkeypatch.setattr("skreid._estimator.callbacks.progress_bar", bar)
    reid = MultiDepthReID(**settings).set_params(validation_fraction=fraction).fit(people.images, people.target)
    shown = [call.args[0] for call in bar.return_value.__enter__.return_value.set_postfix.call_args_list]
    assert [figures[f"{kind}_accuracy"] for figures in shown] == [f"{r[f'{kind}_accuracy']:.3f}" for r in reid.history_]
    assert all(len(figures) == 2 for figures in shown)  # and the loss


def test_all_images_are_learned_from_by_default(people, settings):
    """Nothing is held out, so no figure of an image held out exists."""
    history = MultiDepthReID(**settings).fit(people.images, people.target).history_
    assert all(np.isnan(record["validation_accuracy"]) for record in history)


def test_identities_with_one_image_cause_a_warning_only(people, settings):
    """A warning says how many identities have no pair of images."""
    kept = np.r_[0, 4, 8:32]
    with pytest.warns(UserWarning, match="2 of 8 identities have a single image"):
        MultiDepthReID(**settings).fit(people.images[kept], people.target[kept])


def test_strings_are_identities_too(people, settings):
    """Identities may be strings."""
    names = np.array([f"person {number}" for number in people.target])
    reid = MultiDepthReID(**settings).fit(people.images, names)
    assert reid.classes_[0] == "person 0"


def fails(people, settings, message, X=None, y=None, **changed):
    X = people.images if X is None else X
    y = people.target if y is None else y
    with pytest.raises(ValueError, match=message):
        MultiDepthReID(**(settings | changed)).fit(X, y)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"blur_size": 0}, "The 'blur_size' parameter of MultiDepthReID must be an int in the range"),
        ({"n_filters": 5}, "n_filters=5, but layer 'low' of backbone .* has only 4 filters"),
        ({"layers": ("low", "hgih")}, "names 'hgih'.*Did you mean 'high'"),
        ({"layers": ()}, "names no layer"),
        ({"input_size": (32,)}, "The 'input_size' parameter .* two ints"),
        ({"input_size": (2, 2)}, "do not pass through backbone"),
        ({"criterion": "best"}, "The 'criterion' parameter of MultiDepthReID"),
        ({"augment": ("flop",)}, "Got 'flop' instead. Did you mean 'flip'"),
        ({"device": "quantum"}, "device='quantum' is not a torch device"),
        ({"weights": "nowhere.pth"}, "weights='nowhere.pth' is not a file"),
        ({"backbone": "vgg166", "layers": None}, "Did you mean 'vgg16'"),
    ],
)
def test_invalid_parameters_are_named(people, settings, changed, message):
    """Each error names the parameter, its value and what is allowed, before training starts."""
    fails(people, settings, message, **changed)


def test_invalid_data_are_named(people, settings):
    """Errors name wrong lengths, unusable identities and unusable images."""
    fails(people, settings, "y has 5 entries, X has 32 images", y=people.target[:5])
    fails(people, settings, "a single identity", y=np.zeros(32, int))
    fails(people, settings, "identities has a single image", y=np.arange(32))
    fails(people, settings, "continuous", y=np.linspace(0, 1, 32))
    fails(people, settings, "X is empty", X=[], y=[])
    bad = people.images / 255
    bad[7, 3, 3] = np.nan
    with pytest.raises(ImageError, match="image 7 contains NaN"):
        MultiDepthReID(**settings).fit(bad, people.target)


def test_unfitted_estimators_refuse_to_describe(people, settings):
    """Every method says to call fit first."""
    for method in ("transform", "feature_maps"):
        with pytest.raises(NotFittedError):
            getattr(MultiDepthReID(**settings), method)(people.images)
    with pytest.raises(NotFittedError):
        MultiDepthReID(**settings).kneighbors(people.images, people.images)


@pytest.mark.parametrize(
    ("build", "expected"),
    [(deeper, ("middle", "high", "deepest")), (narrow, ("low", "middle", "high")), (two_blocks, ("low", "middle"))],
)
def test_a_callable_backbone_needs_no_layers(people, build, expected):
    """By default, the last layer of each of the three deepest blocks describes; a block ends where maps shrink."""
    reid = MultiDepthReID(backbone=build, input_size=(32, 16), n_filters=4, max_epochs=0, random_state=0, device="cpu")
    assert reid.fit(people.images, people.target).layers_ == expected


def test_a_checkpoint_of_another_version_is_refused(people, settings, tmp_path, monkeypatch):
    """Another version of skreid might train differently."""
    settings |= {"checkpoint": tmp_path, "max_epochs": 1}
    MultiDepthReID(**settings).fit(people.images, people.target)
    monkeypatch.setattr("skreid.multidepth.__version__", "0.0.7")
    with pytest.raises(ValueError, match="does not match this fit: skreid changed"):
        MultiDepthReID(**settings).fit(people.images, people.target)


def test_a_checkpoint_resumes_the_same_fit_only(people, settings, tmp_path):
    """The same call resumes; for other images or settings, the error names what differs."""
    settings |= {"checkpoint": tmp_path, "max_epochs": 3}
    expected = MultiDepthReID(**settings | {"checkpoint": None}).fit(people.images, people.target)

    class Stopped(Exception):
        pass

    class Interrupting:
        """A callback that fails after the second epoch."""

        def setup(self, estimator, context): ...

        def teardown(self, estimator, context): ...

        def on_fit_task_begin(self, estimator, context): ...

        def on_fit_task_end(self, estimator, context):
            if context.task_name == "epoch" and context.task_id == 1:
                raise Stopped

    with pytest.raises(Stopped):
        MultiDepthReID(**settings).set_callbacks(Interrupting()).fit(people.images, people.target)
    resumed = MultiDepthReID(**settings).fit(people.images, people.target)
    np.testing.assert_array_equal(resumed.transform(people.images), expected.transform(people.images))
    with pytest.raises(ValueError, match="does not match this fit: X changed"):
        MultiDepthReID(**settings).fit(people.images[:, ::-1], people.target)
    with pytest.raises(ValueError, match="does not match this fit: batch_size, learning_rate changed"):
        MultiDepthReID(**settings | {"batch_size": 4, "learning_rate": 0.1}).fit(people.images, people.target)
    with pytest.raises(ValueError, match="checkpoint needs random_state"):
        MultiDepthReID(**settings | {"random_state": None}).fit(people.images, people.target)


def test_unusable_images_are_left_out_of_training(people, settings, tmp_path):
    """With `on_error="nan"`, they are also described by NaN, and one warning lists them."""
    X = [Image.fromarray(image) for image in people.images]
    X[3] = tmp_path / "gone.png"
    reid = MultiDepthReID(**settings, on_error="nan")
    with pytest.warns(UserWarning, match=r"1 of 32 images cannot be used and are left out of training: image 3 \("):
        reid.fit(X, people.target)
    without = np.delete(np.arange(32), 3)
    expected = MultiDepthReID(**settings).fit(people.images[without], people.target[without])
    with pytest.warns(UserWarning, match=r"1 of 32 images .* described by NaN: image 3 .*gone.png'\) does not exist"):
        described = reid.transform(X)
    assert np.isnan(described[3]).all()
    np.testing.assert_array_equal(described[without], expected.transform(people.images[without]))
    with pytest.raises(ImageError, match="image 3"):
        MultiDepthReID(**settings).fit(X, people.target)


def test_after_changing_backbone_estimator_and_copy_refuse_alike(people, fitted):
    """The network described by `backbone` no longer fits the weights: fit again, whether or not one is live."""
    changed = copy.deepcopy(fitted)
    changed.transform(people.images[:2])  # now its network is live
    changed.set_params(backbone=plain)
    for estimator in (changed, pickle.loads(pickle.dumps(changed))):
        with pytest.raises(ValueError, match="If backbone was changed after fit, fit again"):
            estimator.transform(people.images[:2])
    np.testing.assert_array_equal(
        changed.set_params(backbone=fitted.backbone).transform(people.images[:2]), fitted.transform(people.images[:2])
    )


@pytest.mark.parametrize("size", [(True, 16), (32, True), (32,), 32, (32.0, 16)])
def test_frame_sizes_are_two_ints(people, settings, size):
    """A bool is not an int."""
    with pytest.raises(ValueError, match="'input_size' parameter of MultiDepthReID must be None or two ints"):
        MultiDepthReID(**settings | {"input_size": size}).fit(people.images, people.target)


@pytest.mark.parametrize("blur_size", [True, (True, 4)])
def test_box_sizes_must_not_be_bools(people, settings, blur_size):
    """A bool is not an int."""
    with pytest.raises(ValueError, match="'blur_size' parameter of MultiDepthReID must be an int"):
        MultiDepthReID(**settings | {"blur_size": blur_size}).fit(people.images, people.target)


def test_a_wrong_normalize_is_refused_after_fit(people, fitted):
    """`transform` uses the parameter, so it checks it too."""
    changed = copy.deepcopy(fitted).set_params(normalize="centred")
    with pytest.raises(ValueError, match=r"'normalize' parameter of MultiDepthReID .*Did you mean 'centered'"):
        changed.transform(people.images[:2])


def test_a_single_camera_is_refused_with_the_way_out(people, settings):
    """No pair across cameras exists; the message says to leave cams out, as that of the learned metrics does."""
    with pytest.raises(ValueError, match=r"cams holds a single camera \('hall'\).*leave cams out"):
        MultiDepthReID(**settings).fit(people.images, people.target, cams=["hall"] * 32)


@pytest.mark.parametrize("kind", [MultiDepthReID, TCPNet, LOMO])
def test_a_frame_whose_sides_seem_to_be_swapped_is_pointed_out(people, settings, kind):
    """A wide frame for upright images warns at the user's line; images and frame of one kind say nothing."""
    small = {"n_channels": 2, "n_parts": 2, "crop_size": (12, 12), "max_epochs": 0, "random_state": 0}
    settings = {MultiDepthReID: settings | {"max_epochs": 0}, TCPNet: small, LOMO: {"n_scales": 1}}[kind]
    says = r"input_size=\(16, 32\) is a frame 16 pixels high and 32 wide, but the first .* 32 high and 16 wide"
    with pytest.warns(UserWarning, match=says) as caught:
        kind(**settings | {"input_size": (16, 32)}).fit(people.images, people.target)
    assert [warning.filename for warning in caught] == [__file__]
    wide = np.ascontiguousarray(people.images.transpose(0, 2, 1, 3))
    kind(**settings | {"input_size": (16, 32)}).fit(wide, people.target)
    kind(**settings | {"input_size": (32, 16)}).fit(people.images, people.target)


def test_a_wide_frame_leaves_the_report_of_unusable_images_as_it_is(settings):
    """The check of the sides looks at an image, and must not say that it cannot be used."""
    settings |= {"max_epochs": 0, "on_error": "nan"}
    for size in ((16, 32), (32, 16)):
        with pytest.raises(ValueError, match="None of the 4 images can be used"):
            MultiDepthReID(**settings | {"input_size": size}).fit(["a.png", "b.png", "c.png", "d.png"], [0, 0, 1, 1])
