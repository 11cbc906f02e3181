"""Old names of modules that moved: pickles and skops files written before the move still load.

Each old name imports as a module that hands on the classes of the new one.
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
    "skreid.scoring": "skreid._scoring",
    "skreid.tcp": "skreid.rivals",
}


class _OldNames(MetaPathFinder, Loader):
    """Finds the old names, after every other finder."""

    def find_spec(self, name, path=None, target=None):
        """Return a spec for an old name, None for any other."""
        return spec_from_loader(name, self) if name in MOVED else None

    def exec_module(self, module):
        """Let the module hand on what the new one holds."""
        module.__getattr__ = lambda name: getattr(import_module(MOVED[module.__name__]), name)


def install():
    """Make the old names importable."""
    if not any(isinstance(finder, _OldNames) for finder in sys.meta_path):
        sys.meta_path.append(_OldNames())
