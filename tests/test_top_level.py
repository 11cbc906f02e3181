"""The public names: `__all__` lists all of them, and importing them loads nothing heavy."""

import subprocess
import sys

import pytest

import skreid


def test_every_public_name_can_be_imported():
    """dir() lists no other."""
    for name in skreid.__all__:
        assert getattr(skreid, name) is not None
    assert dir(skreid) == sorted(skreid.__all__)


def test_unknown_names_are_refused():
    """The error is the AttributeError that any module raises."""
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = skreid.nothing


@pytest.mark.parametrize(
    "module",
    ["skreid", "skreid.metrics", "skreid.model_selection", "skreid.datasets", "skreid.descriptors",
     "skreid.metric_learning", "skreid._ranking", "skreid._scoring", "skreid.protocols", "skreid.displays"],
)  # fmt: skip
def test_modules_without_networks_import_neither_torch_nor_matplotlib(module):
    code = f"import {module}, sys; print([m for m in ('torch', 'matplotlib') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
