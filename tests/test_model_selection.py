"""No identity is on both sides: every splitter, any identities, inside scikit-learn's own searches."""

import numpy as np
import pytest
import sklearn
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator
from sklearn.model_selection import GridSearchCV, cross_validate

from skreid.model_selection import IdentityKFold, IdentityShuffleSplit, split_probe_gallery

kinds_of_ids = st.integers(-3, 12), st.sampled_from(["a", "bb", "0001"]), st.tuples(st.integers(0, 2))
many_ids = st.one_of(*(st.lists(ids, min_size=2, max_size=60) for ids in kinds_of_ids))
seeds = st.integers(0, 2**32 - 1)


def values_at(y, indices):
    return {y[i] for i in indices}


@settings(max_examples=100, deadline=None)
@given(many_ids, st.integers(2, 5), st.booleans(), seeds)
def test_kfold_never_leaks_and_tests_everyone_once(y, n_splits, shuffle, seed):
    """Train and test share no identity, cover all images, and each image is tested exactly once."""
    assume(len(set(y)) >= n_splits)
    cv = IdentityKFold(n_splits, shuffle=shuffle, random_state=seed if shuffle else None)
    folds = list(cv.split(range(len(y)), y))
    assert len(folds) == cv.get_n_splits() == n_splits
    for train, test in folds:
        assert len(train)
        assert len(test)
        assert not values_at(y, train) & values_at(y, test)
        assert sorted([*train, *test]) == list(range(len(y)))
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(len(y)))
    again = list(cv.split(range(len(y)), y))
    assert all((a[1] == b[1]).all() for a, b in zip(folds, again, strict=True))


@settings(max_examples=100, deadline=None)
@given(many_ids, st.integers(1, 4), st.one_of(st.none(), st.floats(0.1, 0.9), st.just(1)), seeds)
def test_shuffle_split_never_leaks(y, n_splits, test_size, seed):
    """Train and test share no identity, and an int size counts identities."""
    n = len(set(y))
    assume(n >= 2 and (not isinstance(test_size, float) or n - np.ceil(n * test_size) >= 1))
    cv = IdentityShuffleSplit(n_splits, test_size=test_size, random_state=seed)
    folds = list(cv.split(range(len(y)), y))
    assert len(folds) == cv.get_n_splits() == n_splits
    for train, test in folds:
        assert not values_at(y, train) & values_at(y, test)
        assert sorted([*train, *test]) == list(range(len(y)))
        if test_size == 1:
            assert len(values_at(y, test)) == 1
    again = list(cv.split(range(len(y)), y))
    assert all((a[1] == b[1]).all() for a, b in zip(folds, again, strict=True))


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(
        *(
            st.lists(st.tuples(ids, st.sampled_from(["left", "right", "top"])), min_size=1, max_size=60)
            for ids in kinds_of_ids
        )
    ),
    st.booleans(),
    st.integers(1, 3),
    seeds,
)
def test_probes_and_gallery_are_as_documented(people, with_cams, n_shots, seed):
    """No image is on both sides, every probe has a match, and shots and cameras are as promised."""
    y, cams = [p for p, _ in people], [c for _, c in people]
    options = {"cams": cams if with_cams else None, "n_shots": n_shots, "random_state": seed}
    views = [{cams[i] for i in range(len(y)) if y[i] == person} for person in set(y)]
    if not any(len(v) > 1 for v in views) if with_cams else max(y.count(p) for p in y) <= n_shots:
        with pytest.raises(ValueError, match="No probe can be drawn"):
            split_probe_gallery(y, **options)
        return
    probe, gallery = split_probe_gallery(y, **options)
    assert not set(probe) & set(gallery)
    assert values_at(y, gallery) == set(y)
    for person in set(y):
        mine = [i for i in range(len(y)) if y[i] == person]
        p, g = [i for i in probe if y[i] == person], [i for i in gallery if y[i] == person]
        if with_cams:
            (view,) = {cams[i] for i in g}
            assert len(g) == min(n_shots, sum(cams[i] == view for i in mine))
            assert p == [i for i in mine if cams[i] != view]
        else:
            assert len(g) == min(n_shots, len(mine))
            assert sorted(p + g) == mine
    again = split_probe_gallery(np.array([*y, None], dtype=object)[:-1], **options)
    assert (again[0] == probe).all()
    assert (again[1] == gallery).all()


def test_two_cameras_are_two_views_drawn_at_random():
    """With two cameras the whole gallery is from one of them, and each of them comes up."""
    y, cams = np.repeat(np.arange(6), 4), np.tile(["A", "A", "B", "B"], 6)
    seen = set()
    for seed in range(20):
        probe, gallery = split_probe_gallery(y, cams=cams, random_state=seed)
        assert len(set(cams[gallery])) == len(set(cams[probe])) == 1
        assert (len(probe), len(gallery)) == (12, 6)
        seen.add(cams[gallery][0])
    assert seen == {"A", "B"}
    for view in "AB":
        _, gallery = split_probe_gallery(y, cams=cams, gallery_cam=view, random_state=0)
        assert set(cams[gallery]) == {view}


def test_draws_are_random_and_seeded():
    """Every image of an identity can be its gallery image; the global state plays no part."""
    y = np.repeat([7, 8], 3)
    drawn = [tuple(split_probe_gallery(y, random_state=seed)[1]) for seed in range(60)]
    assert len(set(drawn)) == 9
    np.random.seed(0)  # noqa: NPY002 (to show that it has no say)
    assert tuple(split_probe_gallery(y, random_state=3)[1]) == drawn[3]


def test_list_and_array_ids_give_the_same_split():
    """How y is stored does not change what is drawn."""
    y = ["b", "a", "b", "c", "a", "c", "c"]
    for cv in (IdentityKFold(2, shuffle=True, random_state=0), IdentityShuffleSplit(2, random_state=0)):
        for a, b in zip(cv.split(y, y), cv.split(y, np.array(y)), strict=True):
            assert (a[1] == b[1]).all()
    assert (split_probe_gallery(y, random_state=0)[1] == split_probe_gallery(np.array(y), random_state=0)[1]).all()


def test_folds_are_balanced_in_images():
    """Identities with 1 to 10 images, 55 in all, make five folds of 11."""
    y = np.repeat(np.arange(1, 11), np.arange(1, 11))
    assert [len(test) for _, test in IdentityKFold(5).split(y, y)] == [11] * 5
    shuffled = [tuple(test) for _, test in IdentityKFold(5, shuffle=True, random_state=0).split(y, y)]
    even = np.repeat(np.arange(12), 4)
    for seed in range(5):
        cv = IdentityKFold(4, shuffle=True, random_state=seed)
        assert [len(test) for _, test in cv.split(even, even)] == [12] * 4
    assert len(shuffled) == 5
    one, two = (list(IdentityKFold(4, shuffle=True, random_state=s).split(even, even)) for s in (0, 1))
    assert any((a[1] != b[1]).any() for a, b in zip(one, two, strict=True))


class Learner(BaseEstimator):
    """Remembers the identities it was trained on and fails if it is tested on them."""

    def __init__(self, a=1):
        self.a = a

    def fit(self, X, y):
        self.seen_ = set(y)
        return self

    def score(self, X, y):
        assert len(X) == len(y)
        return float(not self.seen_ & set(y))


@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize(
    "cv",
    [
        IdentityKFold(3),
        IdentityKFold(3, shuffle=True, random_state=0),
        IdentityShuffleSplit(3, random_state=0),
    ],
)
def test_splitters_work_in_searches_and_cross_validation(routing, cv):
    """GridSearchCV and cross_validate use the splitters with routing on and off, on images of any shape."""
    y = np.repeat(["a", "b", "c", "d"], 3)
    rng = np.random.default_rng(0)
    ragged = [rng.random((4 + i, 3)) for i in range(12)]
    for X in (ragged, [f"{i}.png" for i in range(12)], rng.random((12, 4, 4, 3))):
        with sklearn.config_context(enable_metadata_routing=routing):
            search = GridSearchCV(Learner(), {"a": [1, 2]}, cv=cv, error_score="raise").fit(X, y)
            scores = cross_validate(Learner(), X, y, cv=cv, error_score="raise")["test_score"]
        assert search.best_score_ == 1
        assert search.n_splits_ == 3
        assert scores.tolist() == [1, 1, 1]


def test_repr_shows_the_settings():
    """A splitter prints as the call that makes it."""
    assert repr(IdentityKFold(3)) == "IdentityKFold(n_splits=3, random_state=None, shuffle=False)"
    assert repr(IdentityShuffleSplit(2, test_size=0.5, random_state=1)) == (
        "IdentityShuffleSplit(n_splits=2, random_state=1, test_size=0.5,\n           train_size=None)"
    )


@pytest.mark.parametrize("cv", [IdentityKFold(2), IdentityShuffleSplit(2)])
def test_groups_are_ignored_with_a_warning(cv):
    """scikit-learn's KFold warns too."""
    y = [0, 0, 1, 1]
    with pytest.warns(UserWarning, match="groups parameter is ignored"):
        next(cv.split(y, y, groups=[0, 1, 0, 1]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: IdentityKFold(1),
            r"'n_splits' parameter of IdentityKFold must be an int in the range \[2, inf\)",
        ),
        (lambda: IdentityKFold(2.0), "'n_splits'"),
        (lambda: IdentityKFold(2, shuffle="yes"), "'shuffle' parameter of IdentityKFold"),
        (lambda: IdentityKFold(2, random_state=0), "no effect since shuffle is False"),
        (
            lambda: next(IdentityKFold(3).split([1, 2, 3, 4], [0, 0, 1, 1])),
            "n_splits=3 greater than .* identities: 2",
        ),
        (lambda: next(IdentityKFold(2).split([1, 2])), "'y' parameter should not be None"),
        (
            lambda: next(IdentityKFold(2).split([1, 2, 3], [1, 2])),
            r"inconsistent numbers of samples: \[3, 2\]",
        ),
        (lambda: IdentityShuffleSplit(0), "'n_splits' parameter of IdentityShuffleSplit"),
        (lambda: next(IdentityShuffleSplit().split([1, 2], [5, 5])), "at least 2 identities in y. Got 1"),
        (lambda: next(IdentityShuffleSplit(test_size=3).split([1, 2], [5, 6])), "test_size=3"),
        (
            lambda: split_probe_gallery([1, 2, 3]),
            "no identity has more than 1 image. Use more images, lower",
        ),
        (lambda: split_probe_gallery([1, 1], cams=[4, 4]), "no identity has images from two cameras"),
        (lambda: split_probe_gallery([1, 1], cams=[4]), "cams has 1 entries, but y has 2"),
        (lambda: split_probe_gallery([1, 1], gallery_cam=4), "gallery_cam was given without cams"),
        (lambda: split_probe_gallery([1, 1], cams=[4, 5], gallery_cam=6), "gallery_cam=6 is not among"),
        (lambda: split_probe_gallery([1, 1], n_shots=0), "'n_shots' parameter of split_probe_gallery"),
    ],
)
def test_bad_arguments_are_named(call, message):
    """Each error says what is allowed and what was given."""
    with pytest.raises(ValueError, match=message):
        call()
