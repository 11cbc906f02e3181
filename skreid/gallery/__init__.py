"""Gallery: the index behind `kneighbors`, for galleries that grow, stay on disk, or outgrow memory.

Exact by default; an approximate engine, where installed, trades a measured share of the neighbours for time.
"""

from skreid.gallery._gallery import Gallery

__all__ = ["Gallery"]
