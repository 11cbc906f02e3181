"""Person re-identification for scikit-learn: names only, each loaded when it is first used."""

from importlib import import_module

from skreid._version import __version__

_HOME = {
    "MultiDepthReID": "skreid.multidepth",
    "rank_gallery": "skreid.ranking",
    "CMCScorer": "skreid.scoring",
    "cmc_score": "skreid.scoring",
}
_ROOMS = (
    "datasets",
    "metrics",
    "model_selection",
)

__all__ = ["CMCScorer", "MultiDepthReID", "__version__", "cmc_score", "datasets", "metrics", "model_selection",
           "rank_gallery"]  # fmt: skip


def __getattr__(name):
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    if name in _ROOMS:
        return import_module(f"skreid.{name}")
    raise AttributeError(f"module 'skreid' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
