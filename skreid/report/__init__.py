"""An evaluation as a single HTML file: figures, curves, rankings, filters, settings and versions.

The file opens in any browser, loads nothing from other files or the network, and can be printed.
"""

from skreid.report._report import evaluation_report

__all__ = ["evaluation_report"]
