"""Data: a procedural street of made-up people, and loaders of the layouts in which real sets are kept.
Loaders return paths, not pixels: sets larger than memory work."""

from skreid.datasets._pedestrians import make_pedestrians

__all__ = ["make_pedestrians"]
