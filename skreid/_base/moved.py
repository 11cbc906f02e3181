"""Old names of modules that have moved, so that pickles and skops files written before the move still load.

An old name imports as a stand-in that looks every class up in the new module.
"""

import sys
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.util import spec_from_loader

MOVED = {
    "skreid._pictures": "skreid.exceptions",
    "skreid.descriptors.gog": "skreid.descriptors._gog",
    "skreid.descriptors.lomo": "skreid.descriptors._lomo",
    "skreid.descriptors.mlgd": "skreid.descriptors._mlgd",
    "skreid.descriptors.normalizer": "skreid.descriptors._normalizer",
    "skreid.fcdf": "skreid.rivals",
    "skreid.metric_learning.cvdca": "skreid.metric_learning._cvdca",
    "skreid.metric_learning.kernel_cvdca": "skreid.metric_learning._kernel_cvdca",
    "skreid.metric_learning.kernel_xqda": "skreid.metric_learning._kernel_xqda",
    "skreid.metric_learning.xqda": "skreid.metric_learning._xqda",
    "skreid.protocols._repeated": "skreid.protocols",
    "skreid.scoring": "skreid._scoring",
    "skreid.tcp": "skreid.rivals",
}


def old_names(name):
    """Return the full names that a class, such as "skreid.descriptors._gog.GOG", had in files of earlier versions."""
    module, _, short = name.rpartition(".")
    return [f"{old}.{short}" for old, new in MOVED.items() if f"{module}.".startswith(f"{new}.")]


class _OldNames(MetaPathFinder, Loader):
    """Makes the old names importable; the new module is imported only when its old name is."""

    def find_spec(self, name, path=None, target=None):
        return spec_from_loader(name, self) if name in MOVED else None

    def exec_module(self, module):
        new = MOVED[module.__name__]
        module.__getattr__ = lambda name: getattr(import_module(new), name)


def install():
    """Add the old names to Python's import system, after all other finders."""
    sys.meta_path.append(_OldNames())
