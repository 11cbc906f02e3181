"""The public surface: `__all__` is exactly what is public, and importing it is light."""

import subprocess
import sys

import pytest

import skreid


def test_all_names_load():
    """Every public name resolves, and dir() shows no other."""
    for name in skreid.__all__:
        assert getattr(skreid, name) is not None
    assert dir(skreid) == sorted(skreid.__all__)


def test_unknown_names_are_refused():
    """As any module does."""
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = skreid.nothing


@pytest.mark.parametrize(
    "module",
    ["skreid", "skreid.metrics", "skreid.model_selection", "skreid.datasets", "skreid.descriptors",
     "skreid.metric_learning", "skreid._ranking", "skreid._scoring", "skreid.protocols", "skreid.displays"],
)  # fmt: skip
def test_rooms_without_networks_load_without_torch(module):
    """Neither torch nor matplotlib is imported where nothing is trained or drawn."""
    code = f"import {module}, sys; print([m for m in ('torch', 'matplotlib') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
