"""Person re-identification for scikit-learn."""

# Public names are imported on first use, so that `import skreid` is fast and does not need torch.

from importlib import import_module

from skreid._base.moved import install as _install_old_names
from skreid._version import __version__ as __version__

_HOME = {
    "CMCScorer": "skreid._scoring",
    "EvaluationResult": "skreid.evaluation",
    "FCDF": "skreid.rivals",
    "Gallery": "skreid.gallery",
    "MatchExplanation": "skreid._search.explaining",
    "MultiDepthReID": "skreid.multidepth",
    "PAPER_SETTING": "skreid.multidepth",
    "STRONGEST": "skreid.multidepth",
    "TCPNet": "skreid.rivals",
    "Tracks": "skreid._search.tracks",
    "cmc_score": "skreid._scoring",
    "crop_boxes": "skreid._images.crops",
    "describe": "skreid._lists.describe",
    "evaluate": "skreid.evaluation",
    "evaluation_report": "skreid.report",
    "explain_match": "skreid._search.explaining",
    "pool_tracks": "skreid._search.tracks",
    "rank_gallery": "skreid._ranking",
    "use_idle_cores": "skreid._network.device",
}
_ROOMS = (
    "datasets",
    "descriptors",
    "displays",
    "evaluation",
    "exceptions",
    "export",
    "metric_learning",
    "metrics",
    "model_selection",
    "persistence",
    "protocols",
    "report",
    "rivals",
)

__all__ = sorted(["__version__", *_HOME, *_ROOMS])

_install_old_names()


def __getattr__(name):
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    if name in _ROOMS:
        return import_module(f"skreid.{name}")
    raise AttributeError(f"module 'skreid' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
