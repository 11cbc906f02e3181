"""Drawn people: the same for the same seed, too hard for raw pixels, and recognisable by their clothes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skreid.datasets import make_pedestrians
from skreid.datasets._drawn.places import PLACES, paint_place
from skreid.datasets._drawn.shots import LEVELS
from skreid.datasets._drawn.wardrobe import dress_all


def rank1(features, people, probe, gallery):
    """Return the share of probe images whose nearest gallery image is of the same person."""
    features = features.reshape(len(features), -1).astype(np.float64)
    products = features[probe] @ features[gallery].T
    distances = (features[gallery] ** 2).sum(axis=1) - 2 * products
    nearest = distances.argmin(axis=1)
    return np.mean(people.target[gallery][nearest] == people.target[probe])


@pytest.fixture(scope="module")
def street():
    """Return a hundred people seen by two cameras."""
    return make_pedestrians(100, image_size=(64, 32), random_state=3)


def test_images_are_ordered_by_identity_camera_and_shot():
    """Shapes, types and keys are as documented."""
    people = make_pedestrians(3, 2, 4, image_size=(32, 16), random_state=0)
    assert people.images.shape == (24, 32, 16, 3)
    assert people.images.dtype == np.uint8
    expected = [(i, c, s) for i in range(3) for c in range(2) for s in range(4)]
    assert list(zip(people.target, people.cams, people.shots, strict=True)) == expected
    assert len(people.places) == 2
    assert set(people.views) <= {"front", "back", "left", "right"}
    assert "24 colour images (32 x 16" in people.DESCR


def test_defaults_are_two_cameras_two_shots_and_the_papers_image_size():
    """One person gives four images of 160 x 60."""
    assert make_pedestrians(1, random_state=0).images.shape == (4, 160, 60, 3)


@settings(max_examples=12, deadline=None)
@given(st.integers(16, 90), st.integers(8, 90), st.sampled_from(sorted(LEVELS)), st.integers(0, 2**70))
def test_every_size_and_seed_gives_images_with_contrast(height, width, difficulty, seed):
    """Every size of at least 16 x 8 works at every difficulty."""
    people = make_pedestrians(2, 2, 1, image_size=(height, width), difficulty=difficulty, random_state=seed)
    assert people.images.shape == (4, height, width, 3)
    assert people.images.reshape(4, -1).std(axis=1).min() > 5


def test_same_seed_gives_the_same_pixels():
    """The seed decides every bit; the global random state is neither read nor changed."""
    np.random.seed(1)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = make_pedestrians(4, image_size=(48, 24), random_state=7)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    np.random.seed(2)  # noqa: NPY002
    second = make_pedestrians(4, image_size=(48, 24), random_state=7)
    np.testing.assert_array_equal(first.images, second.images)
    other = make_pedestrians(4, image_size=(48, 24), random_state=8)
    assert (first.images != other.images).mean() > 0.5


def test_random_state_may_be_a_generator_or_none():
    """Generators in the same state give the same images and advance; None differs from call to call."""
    for kind in (np.random.RandomState, np.random.default_rng):
        generator = kind(5)
        first = make_pedestrians(1, image_size=(16, 8), random_state=generator).images
        assert (first != make_pedestrians(1, image_size=(16, 8), random_state=generator).images).any()
        np.testing.assert_array_equal(first, make_pedestrians(1, image_size=(16, 8), random_state=kind(5)).images)
    fresh = [make_pedestrians(1, image_size=(16, 8)).images for _ in range(2)]
    assert (fresh[0] != fresh[1]).any()


@pytest.mark.parametrize("place", PLACES)
def test_every_place_can_be_painted(place):
    """No random numbers turn a shape inside out, which Pillow refuses; no place is one flat colour."""
    for seed in range(12):
        picture = paint_place(place, (40 + 15 * seed, 192), np.random.default_rng(seed))
        assert np.asarray(picture).std() > 5


def test_asking_for_more_does_not_change_the_first_images():
    """A larger data set contains a smaller one with the same seed, bit for bit."""
    small = make_pedestrians(3, 2, 1, image_size=(32, 16), random_state=0)
    large = make_pedestrians(5, 3, 2, image_size=(32, 16), random_state=0)
    kept = (large.target < 3) & (large.cams < 2) & (large.shots < 1)
    np.testing.assert_array_equal(small.images, large.images[kept])
    np.testing.assert_array_equal(small.views, large.views[kept])


def test_no_two_people_look_the_same():
    """Any two of 300 people differ in two or more entries of their looks."""
    looks = np.array([p.signature for p in dress_all(0, 300)])
    differing = (looks[:, None] != looks[None]).sum(axis=2) + 10 * np.eye(300)
    assert differing.min() >= 2


def test_pixels_do_not_identify_people_across_cameras(street):
    """Ranking by raw pixels or by mean colours rarely finds the same person in the other camera."""
    first, second = street.cams == 0, (street.cams == 1) & (street.shots == 0)
    assert rank1(street.images, street, first, second) < 0.3
    assert rank1(street.images.mean(axis=(1, 2)), street, first, second) < 0.1


def test_clothes_identify_people_across_cameras(street):
    """Standardized per camera, the colours of horizontal bands beat chance more than tenfold."""
    strips = street.images[:, :, 10:22].astype(float).reshape(len(street.images), 16, -1, 3).mean(axis=2)
    for camera in (0, 1):
        seen = street.cams == camera
        strips[seen] = (strips[seen] - strips[seen].mean(axis=0)) / strips[seen].std(axis=0)
    assert rank1(strips, street, street.cams == 0, (street.cams == 1) & (street.shots == 0)) > 0.15


def test_difficulty_lowers_the_accuracy_of_pixels():
    """Rank-1 accuracy of raw pixels falls from easy to medium to hard."""
    accuracies = []
    for difficulty in ("easy", "medium", "hard"):
        people = make_pedestrians(80, image_size=(32, 16), difficulty=difficulty, random_state=1)
        accuracies.append(rank1(people.images, people, people.cams == 0, people.cams == 1))
    assert accuracies[0] > accuracies[1] > accuracies[2]


def test_cameras_differ_in_colour_and_view(street):
    """Even-numbered cameras see most people from the front or back, odd-numbered ones from the side."""
    frontal = np.isin(street.views, ["front", "back"])
    assert frontal[street.cams == 0].mean() > 0.75
    assert frontal[street.cams == 1].mean() < 0.25
    means = [street.images[street.cams == c].mean(axis=(0, 1, 2)) for c in (0, 1)]
    assert np.abs(means[0] - means[1]).max() > 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_identities": 0}, r"'n_identities' parameter .* int in the range \[1, inf\)\. Got 0"),
        ({"n_cameras": 1.5}, r"'n_cameras' .* Got 1\.5"),
        ({"n_shots": True}, r"'n_shots' .* Got True"),
        ({"image_size": (15, 8)}, r"'image_size' .* ints in the ranges \[16, inf\) and \[8, inf\).* Got \(15, 8\)"),
        ({"image_size": (16, 7)}, r"'image_size' .* Got \(16, 7\)"),
        ({"image_size": (True, True)}, r"'image_size' .* Got \(True, True\)"),
        ({"image_size": 64}, r"'image_size' .* Got 64"),
        ({"difficulty": "brutal"}, "'difficulty' .* Got 'brutal'"),
        ({"difficulty": "mediun"}, "Got 'mediun' instead. Did you mean 'medium'"),
        ({"random_state": -1}, "'random_state' .* Got -1"),
        ({"random_state": True}, "'random_state' .* Got True"),
    ],
)
def test_bad_parameters_are_named(arguments, message):
    """The error names the parameter in scikit-learn's wording."""
    with pytest.raises(ValueError, match=message):
        make_pedestrians(**arguments)
