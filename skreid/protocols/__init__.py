"""Protocols as objects: who is trained on, which images are probes and gallery, and how distances become a figure.

A figure without its protocol means nothing; ``describe()`` states the protocol in one line, for a table.
"""

from skreid.protocols._aggregate import Comparison, aggregate_distances
from skreid.protocols._base import Trial
from skreid.protocols._given import CUHK03NPProtocol, GivenSplitProtocol, Market1501Protocol
from skreid.protocols._named import CUHK01Protocol, VIPeRProtocol
from skreid.protocols._repeated import ShotProtocol, TwoViewProtocol

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
