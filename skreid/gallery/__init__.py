"""Gallery: an index of descriptors that grows, stays on disk, or outgrows memory.

The search is exact by default; an optional approximate engine misses a few neighbours and is faster.
"""

from skreid.gallery._gallery import Gallery

__all__ = ["Gallery"]
