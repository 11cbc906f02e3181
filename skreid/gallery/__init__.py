"""A gallery of descriptors to search, which can grow, stay on disk and be larger than memory.

The search is exact by default; an optional approximate engine misses a few neighbours and is faster.
"""

from skreid.gallery._gallery import Gallery
from skreid.gallery._identify import Identification

__all__ = ["Gallery", "Identification"]
