"""MultiDepthReID as a whole: the paper's equations from outside, forms of X, errors, seeds, state."""

import itertools
import pickle

import joblib
import numpy as np
import pytest
import torch
from networks import narrow
from PIL import Image
from safetensors.numpy import save_file
from scipy.ndimage import uniform_filter
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skreid import MultiDepthReID
from skreid.exceptions import ImageError


def frame_maps(reid, images, blur):
    """Layer -> every filter's map at frame size, upsampled by torch and filtered by scipy, in float64."""
    found = {}
    for layer, maps in reid.feature_maps(images).items():
        up = torch.nn.functional.interpolate(torch.from_numpy(maps).double(), size=reid.image_shape_, mode="bilinear")
        found[layer] = uniform_filter(up.numpy(), size=(1, 1, blur, blur), mode="mirror")
    return found


@pytest.mark.parametrize("blur", [1, 4, 7, 50])
def test_the_papers_equations_hold(people, settings, blur):
    """Distances of every filter, the choice, and distances of descriptors equal a float64 reference."""
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
    """With `cams`, pairs of one camera do not count: 4 per identity, and those of different persons halve."""
    reid = MultiDepthReID(**settings).fit(people.images, people.target, cams=people.cams)
    found = reid.filter_distances_["high"]
    assert found["n_same"] == 8 * 4
    assert found["n_different"] == (8 * 7 // 2) * (2 * 2 * 2)


def test_the_same_seed_repeats_and_another_differs(people, settings):
    """Bitwise, and an own RandomState works as a seed does."""
    one, same = (MultiDepthReID(**settings).fit(people.images, people.target) for _ in range(2))
    np.testing.assert_array_equal(one.transform(people.images), same.transform(people.images))
    settings["random_state"] = np.random.RandomState(1)
    other = MultiDepthReID(**settings).fit(people.images, people.target)
    assert any(not np.array_equal(one.weights_[name], other.weights_[name]) for name in one.weights_)


def test_every_form_of_images_gives_the_same_descriptors(people, fitted, tmp_path):
    """Arrays, PIL images and PNG paths are described alike; a network learns the same from paths."""
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
    """One image at a time gives what all at once gives."""
    singly = np.concatenate([fitted.transform(people.images[i : i + 1]) for i in range(5)])
    np.testing.assert_allclose(singly, fitted.transform(people.images[:5]), rtol=1e-4, atol=1e-5)


def test_attributes_say_what_was_learned(people, fitted):
    """Shapes, names and lengths agree with each other."""
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


def test_names_find_their_numbers(people, fitted):
    """Without blur, a descriptor's number is the map's value at the filter, row and column of its name."""
    sharp = clone(fitted).set_params(blur_size=1, layers="low").fit(people.images, people.target)
    chosen = sharp.filters_["low"][1]
    column = list(sharp.get_feature_names_out()).index(f"low_f{chosen}_r5_c3")
    expected = sharp.feature_maps(people.images)["low"][:, chosen, 5, 3]
    np.testing.assert_allclose(sharp.transform(people.images)[:, column], expected, rtol=1e-4, atol=1e-5)


def test_unit_length_blocks(people, settings):
    """`normalize="l2"` gives each layer's part unit length."""
    settings |= {"normalize": "l2", "max_epochs": 1}
    reid = MultiDepthReID(**settings).fit(people.images, people.target)
    parts = np.split(reid.transform(people.images), np.cumsum([2 * 32 * 16, 2 * 16 * 8]), axis=1)
    for part in parts:
        np.testing.assert_allclose(np.linalg.norm(part, axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("how", ["centered", "rooted"])
def test_what_all_training_images_share_is_nothing(people, settings, how):
    """A picture that is their mean but for rounding has no direction: zeros, alone and in a batch."""
    same = np.repeat(people.images[:1], 8, axis=0)
    reid = MultiDepthReID(**settings | {"max_epochs": 0, "normalize": how}).fit(same, [0, 0, 1, 1, 2, 2, 3, 3])
    assert not reid.transform(same).any()
    assert not reid.transform(same[:1]).any()
    assert reid.transform(people.images[-1:]).any()


@pytest.mark.parametrize("how", ["centered", "rooted"])
def test_centred_unit_length_blocks(people, settings, how):
    """The same descriptor, or its signed root, less its mean over the training images, a layer at unit length."""
    settings |= {"max_epochs": 1, "blur_size": (4, None)}
    plain, reid = (
        MultiDepthReID(**settings | {"normalize": each}).fit(people.images, people.target) for each in (None, how)
    )
    maps = plain.transform(people.images).astype(float)
    assert maps.min() < 0
    if how == "rooted":
        maps = np.sign(maps) * np.sqrt(np.abs(maps))
    assert maps.shape[1] == reid.n_features_out_ == 2 * (32 + 16 + 8)  # a number a row
    centred = np.split(maps - maps.mean(axis=0), np.cumsum([2 * 32, 2 * 16]), axis=1)
    expected = np.hstack([part / np.linalg.norm(part, axis=1, keepdims=True) for part in centred])
    np.testing.assert_allclose(reid.transform(people.images), expected, atol=1e-4)
    assert reid.get_feature_names_out()[-1] == f"high_f{reid.filters_['high'][1]}_r7_c0"


def test_roots_differ_little_by_company(people, settings):
    """Rounding differs with the size of a batch; a root, steep about zero, enlarges that, yet not to be seen."""
    reid = MultiDepthReID(**settings | {"max_epochs": 1, "normalize": "rooted"}).fit(people.images, people.target)
    alone = np.concatenate([reid.transform(people.images[place : place + 1]) for place in range(4)])
    np.testing.assert_allclose(reid.transform(people.images)[:4], alone, atol=1e-3)


@pytest.mark.parametrize("blur", [(20,), (20, 0), (20, None, 3), (None, 1.5), "20"])
def test_a_box_that_is_none_is_refused(people, settings, blur):
    """The message says what a side may be."""
    with pytest.raises(ValueError, match=r"'blur_size' parameter of MultiDepthReID must be an int.*Got"):
        MultiDepthReID(**settings | {"blur_size": blur}).fit(people.images, people.target)


def test_neighbours_are_nearest_by_euclid(people, fitted):
    """`kneighbors` agrees with scipy's distances; a probe's own picture comes first."""
    described = fitted.transform(people.images)
    distances, indices = fitted.kneighbors(people.images[:6], people.images, n_neighbors=7)
    expected = cdist(described[:6].astype(float), described.astype(float))
    np.testing.assert_array_equal(indices[:, 0], np.arange(6))
    np.testing.assert_allclose(distances, np.sort(expected, axis=1)[:, :7], atol=1e-4)
    np.testing.assert_array_equal(fitted.kneighbors(people.images[:6], described, 7, return_distance=False), indices)


def test_layers_on_demand(people, fitted):
    """`feature_maps` shows any layer, by one name or several."""
    maps = fitted.feature_maps(people.images[:3], "conv2")
    assert maps["conv2"].shape == (3, 6, 16, 8)
    assert maps["conv2"].min() < 0
    with pytest.raises(ValueError, match=r"names 'hihg'.*Did you mean 'high'"):
        fitted.feature_maps(people.images[:3], "hihg")


def test_weights_from_a_file(people, fitted, settings, tmp_path):
    """A network can start from saved weights; without an epoch it stays there."""
    save_file(fitted.weights_, tmp_path / "w.safetensors")
    settings |= {"weights": tmp_path / "w.safetensors", "max_epochs": 0}
    reid = MultiDepthReID(**settings).fit(people.images, people.target)
    assert reid.history_ == []
    np.testing.assert_allclose(reid.transform(people.images), fitted.transform(people.images), rtol=1e-5)


@pytest.mark.parametrize("route", ["pickle", "joblib"])
def test_state_is_numpy_and_survives(people, fitted, tmp_path, route):
    """A copy describes bit for bit alike, holds no torch storage, and hashes the same."""
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


def test_an_identity_with_one_image_is_counted_not_refused(people, settings):
    """A warning says how many cannot form a pair of the same person."""
    kept = np.r_[0, 4, 8:32]
    with pytest.warns(UserWarning, match="2 of 8 identities have a single image"):
        MultiDepthReID(**settings).fit(people.images[kept], people.target[kept])


def test_strings_are_identities_too(people, settings):
    """Labels of any sortable type."""
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
def test_bad_parameters_are_named(people, settings, changed, message):
    """Each error gives parameter, value and what is allowed, before training starts."""
    fails(people, settings, message, **changed)


def test_bad_data_is_named(people, settings):
    """Lengths, identities and images."""
    fails(people, settings, "y has 5 entries, X has 32 images", y=people.target[:5])
    fails(people, settings, "a single identity", y=np.zeros(32, int))
    fails(people, settings, "identities has a single image", y=np.arange(32))
    fails(people, settings, "continuous", y=np.linspace(0, 1, 32))
    fails(people, settings, "X is empty", X=[], y=[])
    bad = people.images / 255
    bad[7, 3, 3] = np.nan
    with pytest.raises(ImageError, match="image 7 contains NaN"):
        MultiDepthReID(**settings).fit(bad, people.target)


def test_unfitted_use_is_refused(people, settings):
    """Every method says to call fit first."""
    for method in ("transform", "feature_maps"):
        with pytest.raises(NotFittedError):
            getattr(MultiDepthReID(**settings), method)(people.images)
    with pytest.raises(NotFittedError):
        MultiDepthReID(**settings).kneighbors(people.images, people.images)


def test_a_callable_backbone_needs_no_layers(people):
    """The last taps of the two deepest blocks, where the size of maps changes, are chosen by default."""
    reid = MultiDepthReID(backbone=narrow, input_size=(32, 16), n_filters=4, max_epochs=0, random_state=0, device="cpu")
    assert reid.fit(people.images, people.target).layers_ == ("middle", "high")


def test_a_checkpoint_of_another_version_is_refused(people, settings, tmp_path, monkeypatch):
    """Another version may train otherwise."""
    settings |= {"checkpoint": tmp_path, "max_epochs": 1}
    MultiDepthReID(**settings).fit(people.images, people.target)
    monkeypatch.setattr("skreid.multidepth.__version__", "0.0.7")
    with pytest.raises(ValueError, match="does not match this fit: skreid differs"):
        MultiDepthReID(**settings).fit(people.images, people.target)


def test_a_checkpoint_resumes_and_is_refused_for_other_data(people, settings, tmp_path):
    """The same call goes on; other pictures or settings are named."""
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
    with pytest.raises(ValueError, match="does not match this fit: X differs"):
        MultiDepthReID(**settings).fit(people.images[:, ::-1], people.target)
    with pytest.raises(ValueError, match="does not match this fit: batch_size, learning_rate differ"):
        MultiDepthReID(**settings | {"batch_size": 4, "learning_rate": 0.1}).fit(people.images, people.target)
    with pytest.raises(ValueError, match="checkpoint needs random_state"):
        MultiDepthReID(**settings | {"random_state": None}).fit(people.images, people.target)


def test_one_bad_file_does_not_waste_a_night(people, settings, tmp_path):
    """With `on_error="nan"` it is left out of training and described by NaN, under one warning."""
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
