"""Experimental: other systems of the paper's Table 1, approximated where their publications leave parameters out.

.. warning::
   This package is experimental. The publications do not state all parameters; the defaults are this package's own, and
   are not claimed to reproduce published figures. Everything here may change without deprecation.
"""

from skreid.rivals._cluster_first import ClusterFirst
from skreid.rivals._fcdf import FCDF
from skreid.rivals._tcp import TCPNet
from skreid.rivals._triplet import improved_triplet_loss

__all__ = ["FCDF", "ClusterFirst", "TCPNet", "improved_triplet_loss"]
