"""Old names of modules that have moved, so that pickles and skops files written before the move still load.

An old name imports as a stand-in that looks every class up in the new module.
"""

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec

MOVED = {
    "skreid._pictures": "skreid.exceptions",
    "skreid.datasets._pedestrians": "skreid.datasets",
    "skreid.describing": "skreid._lists.describe",
    "skreid.descriptors.gog": "skreid.descriptors._gog",
    "skreid.descriptors.lomo": "skreid.descriptors._lomo",
    "skreid.descriptors.mlgd": "skreid.descriptors._mlgd",
    "skreid.descriptors.normalizer": "skreid.descriptors._normalizer",
    "skreid.distances": "skreid.metrics",
    "skreid.fcdf": "skreid.rivals",
    "skreid.images": "skreid.exceptions",
    "skreid.metric_learning.cvdca": "skreid.metric_learning._cvdca",
    "skreid.metric_learning.kernel_cvdca": "skreid.metric_learning._kernel_cvdca",
    "skreid.metric_learning.kernel_xqda": "skreid.metric_learning._kernel_xqda",
    "skreid.metric_learning.xqda": "skreid.metric_learning._xqda",
    "skreid.protocols._repeated": "skreid.protocols",
    "skreid.ranking": "skreid._ranking",
    "skreid.scoring": "skreid._scoring",
    "skreid.tcp": "skreid.rivals",
}


def old_names(name):
    """Return the full names that a class, such as "skreid.descriptors._gog.GOG", had in files of earlier versions."""
    module, _, short = name.rpartition(".")
    return [f"{old}.{short}" for old, new in MOVED.items() if f"{module}.".startswith(f"{new}.")]


class _OldNames:
    """Finder and loader of the old names; the new module is imported only when its old name is used."""

    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, self) if name in MOVED else None

    def create_module(self, spec):
        return None  # Python's own kind of module

    def exec_module(self, module):
        old, new = module.__name__, MOVED[module.__name__]

        def look_up(name):
            if name.startswith("__"):  # the stand-in is no copy of the new module: it has no path, file or __all__
                raise AttributeError(f"module {old!r} has no attribute {name!r}")
            return getattr(import_module(new), name)

        module.__getattr__ = look_up


_finder = _OldNames()


def install():
    """Add the old names to Python's import system, after all other finders."""
    if _finder not in sys.meta_path:
        sys.meta_path.append(_finder)
