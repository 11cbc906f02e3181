"""Evaluate estimators under a protocol.

``evaluate`` fits, describes, ranks and scores in each repeat. The ``EvaluationResult`` also names the protocol.
"""

from skreid.evaluation._evaluate import evaluate, name_of
from skreid.evaluation._nearest import Nearest, nearest_images
from skreid.evaluation._result import EvaluationResult, Repeat
from skreid.evaluation._table import ResultTable

__all__ = ["EvaluationResult", "Nearest", "Repeat", "ResultTable", "evaluate", "name_of", "nearest_images"]
