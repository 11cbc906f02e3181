"""An evaluation as one self-contained HTML file: figures, curves, rankings, filters, settings, versions.

It opens anywhere, loads nothing from anywhere, and prints.
"""

from skreid.report._report import evaluation_report

__all__ = ["evaluation_report"]
