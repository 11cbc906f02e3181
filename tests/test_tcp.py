"""TCPNet: its loss in closed form, its batches, its layers, and the conventions of scikit-learn."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import check_estimator
from tables import TakesTables

from skreid import CMCScorer, cmc_score
from skreid.datasets import make_pedestrians
from skreid.model_selection import IdentityKFold
from skreid.rivals import TCPNet
from skreid.rivals._part_network import crop
from skreid.rivals._triplet import draw_batches, improved_triplet_loss

SMALL = {
    "input_size": (32, 16),
    "crop_size": (28, 14),
    "n_channels": 4,
    "stem_size": 3,
    "stem_stride": 2,
    "n_body": 8,
    "n_part": 3,
    "max_epochs": 2,
    "device": "cpu",
    "random_state": 0,
}


@pytest.fixture(scope="module")
def net(people):
    return TCPNet(**SMALL).fit(people.images, people.target)


# ---- the loss ----


@pytest.mark.parametrize(
    ("same", "different", "expected"),
    [
        (0.0, 4.0, -1 + 0.002 * 0.01),  # both terms at their floors
        (0.25, 1.0, -0.75 + 0.002 * 0.25),
        (9.0, 1.0, 8 + 0.002 * 9),
        (1.0, 2.0, -1 + 0.002),  # exactly at the margin
    ],
)
def test_loss_of_one_triplet_is_the_value_worked_by_hand(same, different, expected):
    """max(d_ap - d_an, -1) + 0.002 max(d_ap, 0.01), with squared distances."""
    anchor = torch.zeros(1, 2, dtype=torch.float64)
    positive, negative = (torch.tensor([[d**0.5, 0.0]], dtype=torch.float64) for d in (same, different))
    assert improved_triplet_loss(anchor, positive, negative).item() == pytest.approx(expected, abs=1e-12)


@given(arrays(np.float64, (3, 5, 4), elements=st.floats(-2, 2)), st.floats(-3, 0), st.floats(0, 1), st.floats(0, 1))
def test_loss_is_the_mean_over_triplets(points, margin, limit, weight):
    """A plain loop returns the same for any triplets and constants."""
    a, p, n = points
    same, different = ((a - p) ** 2).sum(1), ((a - n) ** 2).sum(1)
    single = [max(s - d, margin) + weight * max(s, limit) for s, d in zip(same, different, strict=True)]
    loss = improved_triplet_loss(*map(torch.from_numpy, points), margin=margin, same_limit=limit, same_weight=weight)
    assert loss.item() == pytest.approx(np.mean(single), abs=1e-9)


def test_gradient_is_zero_for_a_triplet_that_keeps_margin_and_limit():
    """A triplet that violates the margin has the gradient of both terms."""
    anchor, positive = torch.zeros(1, 1), torch.tensor([[0.05]], requires_grad=True)
    improved_triplet_loss(anchor, positive, torch.tensor([[3.0]])).backward()
    assert positive.grad.item() == 0
    positive = torch.tensor([[2.0]], requires_grad=True)
    improved_triplet_loss(anchor, positive, torch.tensor([[1.0]])).backward()
    assert positive.grad.item() == pytest.approx(2 * 2 * 1.002)


# ---- batches and windows ----


@given(
    st.lists(st.integers(1, 5), min_size=2, max_size=9).filter(lambda sizes: max(sizes) > 1),
    st.integers(2, 5),
    st.integers(1, 6),
    st.integers(0, 99),
)
@settings(max_examples=60)
def test_triplets_are_two_images_of_a_person_and_one_of_another(sizes, n_persons, n_triplets, seed):
    """Each identity with two or more images is the anchor of one batch."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    anchors = []
    for images, triplets in draw_batches(labels, n_persons, n_triplets, rng):
        places = images[triplets]
        anchor, positive, negative = labels[places].T
        assert (anchor == positive).all()
        assert (places[:, 0] != places[:, 1]).all()
        assert (anchor != negative).all()
        persons, counts = np.unique(anchor, return_counts=True)
        assert (counts == n_triplets).all()
        assert len(np.unique(labels[images])) <= n_persons
        assert len(np.unique(images)) == len(images)
        anchors += persons.tolist()
    assert sorted(anchors) == np.flatnonzero(np.array(sizes) > 1).tolist()


def test_windows_are_slices_of_their_images():
    """All offsets occur, and without a generator the window is the middle."""
    images = torch.arange(400 * 3 * 6 * 5).reshape(400, 3, 6, 5).float()
    windows = crop(images, (4, 4), torch.Generator().manual_seed(0))
    offsets = set()
    for image, window in zip(images, windows, strict=True):
        offset = window[0, 0, 0] - image[0, 0, 0]
        top, left = int(offset // 5), int(offset % 5)
        assert torch.equal(window, image[:, top : top + 4, left : left + 4])
        offsets.add((top, left))
    assert offsets == {(top, left) for top in range(3) for left in range(2)}
    assert torch.equal(crop(images, (4, 3)), images[:, :, 1:5, 1:4])


# ---- the estimator ----


def test_each_part_channel_sees_its_part_only(net, people):
    """Painting the feet changes the dimensions of the body and of the last part, not those of the head."""
    changed = people.images[:2].copy()
    changed[:, 28:] = 0
    names = net.get_feature_names_out()
    assert len(names) == net.n_features_out_ == 8 + 4 * 3
    differs = (net.transform(people.images[:2]) != net.transform(changed)).any(axis=0)
    kinds = np.array([name.split("_")[0] for name in names])
    assert differs[kinds == "body"].any()
    assert differs[kinds == "part4"].any()
    assert not differs[kinds == "part1"].any()


def test_published_sizes_give_800_dimensions():
    """400 for the body and 100 for each of four parts, at 250 x 100 and 230 x 80 pixels."""
    people = make_pedestrians(2, 1, 2, image_size=(64, 32), random_state=0)
    net = TCPNet(n_channels=2, max_epochs=0, random_state=0).fit(people.images, people.target)
    assert net.transform(people.images).shape == (4, 800)
    assert net.history_ == []


def test_training_learns_to_tell_people_apart():
    """On people it has not seen, the trained network beats the random one; the loss falls."""
    people = make_pedestrians(36, image_size=(32, 16), difficulty="easy", random_state=0)
    train = people.target < 24
    estimator = TCPNet(**SMALL | {"n_channels": 8, "max_epochs": 12, "n_body": 32, "n_part": 16})
    trained = clone(estimator).fit(people.images[train], people.target[train])
    random = clone(estimator).set_params(max_epochs=0).fit(people.images[train], people.target[train])
    losses = [record["train_loss"] for record in trained.history_]
    assert losses[-1] < losses[0]
    test = people.images[~train], people.target[~train]
    scorer = CMCScorer(mean_average_precision=True)
    before, after = (scorer(net, *test, cams=people.cams[~train])["mAP"] for net in (random, trained))
    assert after > before + 0.05


def test_same_seed_gives_the_same_descriptors_and_pickles_hold_no_tensor(net, people):
    """A clone refits to the same bits, a pickle describes the same, and torch's global random state is unchanged."""
    state = torch.random.get_rng_state()
    again = clone(net).fit(people.images, people.target)
    assert torch.equal(state, torch.random.get_rng_state())
    expected = net.transform(people.images)
    np.testing.assert_array_equal(again.transform(people.images), expected)
    content = pickle.dumps(net)
    assert b"torch" not in content
    np.testing.assert_array_equal(pickle.loads(content).transform(people.images), expected)
    assert all(isinstance(value, np.ndarray) for value in net.weights_.values())
    unlike = clone(net).set_params(random_state=1).fit(people.images, people.target)
    assert not np.allclose(unlike.transform(people.images), expected)


def test_normalize_gives_unit_length(people):
    """With "l2" every descriptor has length 1."""
    net = TCPNet(**SMALL | {"normalize": "l2", "max_epochs": 1}).fit(people.images, people.target)
    np.testing.assert_allclose(np.linalg.norm(net.transform(people.images), axis=1), 1, rtol=1e-5)


def test_memory_trains_once(people, tmp_path, monkeypatch):
    """A parameter that does not change the weights reads them from the cache; another learning rate does not."""
    net = TCPNet(**SMALL, memory=tmp_path).fit(people.images, people.target)
    monkeypatch.setattr("skreid.rivals._tcp.train_triplets", lambda *a, **k: pytest.fail("trained again"))
    cached = clone(net).set_params(batch_size=3).fit(people.images, people.target)
    np.testing.assert_allclose(cached.transform(people.images), net.transform(people.images), atol=1e-5)
    with pytest.raises(pytest.fail.Exception):
        clone(net).set_params(learning_rate=0.5).fit(people.images, people.target)


def test_ranking_scoring_and_grid_search_work(net, people):
    """They work as with MultiDepthReID."""
    distances, indices = net.kneighbors(people.images[:3], people.images, n_neighbors=4)
    np.testing.assert_array_equal(indices[:, 0], range(3))
    assert (np.diff(distances) >= 0).all()
    by_descriptors = net.kneighbors(net.transform(people.images[:3]), people.images, 4, return_distance=False)
    np.testing.assert_array_equal(by_descriptors, indices)
    assert net.score(people.images, people.target) == cmc_score(net, people.images, people.target)
    search = GridSearchCV(net, {"margin": [-1.0, -0.5]}, scoring=cmc_score, cv=IdentityKFold(2), error_score="raise")
    assert search.fit(people.images, people.target).best_score_ > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"margin": 0.5}, "'margin' parameter of TCPNet must be a float in the range"),
        ({"crop_size": (40, 10)}, r"crop_size=\(40, 10\) does not fit into input_size=\(32, 16\)"),
        ({"crop_size": (28, 0)}, "'crop_size' parameter of TCPNet must be two ints"),
        ({"crop_size": (28, True)}, "'crop_size' parameter of TCPNet must be two ints"),
        ({"input_size": (32, True)}, "'input_size' parameter of TCPNet must be two ints"),
        ({"n_parts": 20}, "leaves 14 rows, too few for n_parts=20"),
        ({"n_persons": 1}, "'n_persons' parameter of TCPNet"),
    ],
)
def test_bad_parameters_are_refused_by_name(people, changes, message):
    """The error is in scikit-learn's wording."""
    with pytest.raises(ValueError, match=message):
        TCPNet(**SMALL | changes).fit(people.images, people.target)


def test_data_that_cannot_be_learned_from_are_refused(people):
    """There is a single identity, no pair of images, an image with NaN, or a loss that diverges."""
    net = TCPNet(**SMALL)
    with pytest.raises(ValueError, match="a single identity"):
        net.fit(people.images, np.zeros(32))
    with pytest.raises(ValueError, match="single image"):
        net.fit(people.images, np.arange(32))
    with pytest.raises(ValueError, match="image 1 contains NaN"):
        net.fit(np.where(np.arange(32)[:, None, None, None] == 1, np.nan, people.images / 255), people.target)
    with pytest.raises(FloatingPointError, match="lower learning_rate"):
        TCPNet(**SMALL | {"learning_rate": 1e30}).fit(people.images, people.target)


class TabularTCP(TakesTables, TCPNet):
    """Takes tables, as scikit-learn's checks do."""


@pytest.mark.filterwarnings("ignore:X (does not have valid|has) feature names")
def test_common_checks_pass():
    """Each row of the checks' tables becomes a tiny image."""
    small = SMALL | {"input_size": (12, 8), "crop_size": (12, 8), "n_channels": 2, "max_epochs": 1}
    results = check_estimator(TabularTCP(**small), on_fail="warn", on_skip=None)
    assert [(check["check_name"], check["exception"]) for check in results if check["status"] == "failed"] == []
    assert sum(check["status"] == "passed" for check in results) >= 44
