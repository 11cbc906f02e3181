"""Evaluation under a protocol: one call, and a result that carries its protocol with every figure.

``evaluate`` fits, describes, ranks and scores each repeat; ``EvaluationResult`` is what a table needs.
"""

from skreid.evaluation._evaluate import evaluate, name_of
from skreid.evaluation._nearest import Nearest, nearest_images
from skreid.evaluation._result import EvaluationResult, Repeat

__all__ = ["EvaluationResult", "Nearest", "Repeat", "evaluate", "name_of", "nearest_images"]
