"""scikit-learn's own checks, all of them, on the real code path: each table row becomes a tiny image."""

import pytest
from networks import narrow
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import check_estimator
from tables import TakesTables

from skreid import MultiDepthReID

# the checks hand one estimator tables with and without column names; scikit-learn runs them with warnings allowed
pytestmark = [
    pytest.mark.filterwarnings("ignore:X (does not have valid|has) feature names"),
    pytest.mark.filterwarnings("ignore:Can.t test estimator MultiDepthReID which requires input"),
]


class TabularReID(TakesTables, MultiDepthReID):
    """Takes tables, as scikit-learn's checks do."""


def reid():
    """Return an estimator small enough for hundreds of fits."""
    return TabularReID(
        backbone=narrow,
        input_size=(8, 8),
        layers=("low", "high"),
        blur_size=3,
        n_filters=2,
        criterion="margin",
        normalize="l2",  # the checks allow a relative error of 1e-4, too little where a mean is subtracted
        max_epochs=1,
        device="cpu",
        random_state=0,
    )


def test_all_common_checks_run_and_pass():
    """Every check of scikit-learn passes; the one skipped needs SCIPY_ARRAY_API. Their number is watched."""
    results = check_estimator(reid(), on_fail="warn", on_skip=None)
    failed = [(result["check_name"], result["exception"]) for result in results if result["status"] == "failed"]
    assert failed == []
    assert {result["check_name"] for result in results if result["status"] != "passed"} <= {"check_array_api_input"}
    assert sum(result["status"] == "passed" for result in results) >= 46


@pytest.mark.parametrize(
    "check",
    [
        "check_param_validation",
        "check_transformer_get_feature_names_out",
        "check_transformer_get_feature_names_out_pandas",
        "check_set_output_transform",
        "check_set_output_transform_pandas",
        "check_global_output_transform_pandas",
        "check_set_output_transform_polars",
        "check_global_set_output_transform_polars",
        "check_inplace_ensure_writeable",
        "check_fit_check_is_fitted",
        "check_n_features_in",
    ],
)
def test_scikit_learns_internal_checks_pass(check):
    """The checks that scikit-learn runs on its own estimators only pass as well."""
    getattr(estimator_checks, check)("TabularReID", reid())


def test_the_estimator_of_images_passes_the_checks_that_apply():
    """With `two_d_array=False`, the checks left are still passed by MultiDepthReID itself."""
    results = check_estimator(MultiDepthReID(backbone=narrow, max_epochs=1), on_fail="raise", on_skip=None)
    assert any(result["status"] == "passed" for result in results)
