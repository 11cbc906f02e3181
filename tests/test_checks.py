"""The shared checks of parameters: what is an int, a size, a choice; and every estimator uses them."""

import numpy as np
import pytest

import skreid
from skreid._base.checks import check_choice, check_frame_size, check_int, did_you_mean
from skreid._base.constraints import IntRange

ROOMS = (skreid, skreid.descriptors, skreid.metric_learning, skreid.rivals)
ESTIMATORS = {
    estimator.__name__: estimator
    for room in ROOMS
    for estimator in (getattr(room, name) for name in room.__all__)
    if hasattr(estimator, "_parameter_constraints")
}
COUNTS = [
    (owner, name)
    for owner, estimator in sorted(ESTIMATORS.items())
    for name, constraints in estimator._parameter_constraints.items()
    if not isinstance(constraints, str) and any(isinstance(one, IntRange) for one in constraints)
]


@pytest.mark.parametrize(("owner", "name"), COUNTS)
def test_counts_are_ints_and_not_booleans(owner, name):
    """Every count of every estimator refuses a bool and a float, and takes a NumPy int."""
    make = ESTIMATORS[owner]
    for value in (True, np.True_, 4.0):
        with pytest.raises(ValueError, match=f"'{name}' parameter of {owner} must be"):
            make(**{name: value})._validate_params()
    make(**{name: np.int64(4)})._validate_params()


def test_all_estimators_are_covered():
    """The list of counts is not empty for any estimator that has counts."""
    assert {owner for owner, _ in COUNTS} >= {"MultiDepthReID", "TCPNet", "FCDF", "ClusterFirst", "LOMO", "GOG", "XQDA"}


@pytest.mark.parametrize("value", [True, np.True_, 2.0, "2", None, 0])
def test_check_int_refuses(value):
    """Bools, floats, strings, None and values below the range are refused by parameter and owner."""
    with pytest.raises(ValueError, match=r"'k' parameter of rank_k must be an int in the range \[1, inf\)\. Got"):
        check_int(value, "k", "rank_k")


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3)])
def test_check_int_returns_a_python_int(value):
    """NumPy integers are taken."""
    assert type(check_int(value, "k", "rank_k")) is int


@pytest.mark.parametrize("size", [(8, 4), [8, 4], np.array([8, 4]), (np.int64(8), np.int32(4))])
def test_frame_sizes_may_be_any_pair_of_ints(size):
    """Tuples, lists and arrays become a tuple of two ints."""
    assert check_frame_size(size, "input_size", "GOG") == (8, 4)


@pytest.mark.parametrize("size", [8, (8,), (8, 4, 3), (8, 0), (8, 4.0), (True, 4), "84", None])
def test_frame_sizes_of_another_form_are_refused(size):
    """The message says height and width."""
    with pytest.raises(ValueError, match=r"'input_size' parameter of GOG must be two ints .* height and width"):
        check_frame_size(size, "input_size", "GOG")


def test_choices_do_not_mix_types_and_suggest_the_nearest():
    """True is not 1, and a misspelt word gets a suggestion."""
    check_choice("sum", "aggregation", "ShotProtocol", (None, "sum"))
    with pytest.raises(ValueError, match="Did you mean 'sum'"):
        check_choice("summ", "aggregation", "ShotProtocol", (None, "sum"))
    with pytest.raises(ValueError, match="must be among"):
        check_choice(1, "use_cams", "evaluate", (True, False))


def test_did_you_mean_is_silent_without_a_similar_name():
    """A suggestion is only made for a similar name."""
    assert did_you_mean("conv4_4", ["conv4_3", "pool"]) == " Did you mean 'conv4_3'?"
    assert did_you_mean("zzz", ["conv4_3", "pool"]) == ""
