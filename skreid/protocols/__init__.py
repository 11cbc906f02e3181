"""Evaluation protocols: which identities train, which images are probes and gallery, what counts as a true match.

Figures are comparable only under the same protocol; ``describe()`` states it in one line, for a table.
"""

from skreid.protocols._aggregate import Comparison, aggregate_distances
from skreid.protocols._base import Trial
from skreid.protocols._given import CUHK03NPProtocol, GivenSplitProtocol, Market1501Protocol
from skreid.protocols._named import CUHK01Protocol, VIPeRProtocol
from skreid.protocols._shots import ShotProtocol
from skreid.protocols._two_views import TwoViewProtocol

__all__ = [
    "CUHK01Protocol",
    "CUHK03NPProtocol",
    "Comparison",
    "GivenSplitProtocol",
    "Market1501Protocol",
    "ShotProtocol",
    "Trial",
    "TwoViewProtocol",
    "VIPeRProtocol",
    "aggregate_distances",
]
