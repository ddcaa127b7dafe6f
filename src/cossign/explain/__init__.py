"""The causes of a signature that does not match, found by recomputing it."""

from cossign.explain.causes import CATALOGUE, Cause
from cossign.explain.explainer import explain
from cossign.explain.explanation import Explanation
from cossign.explain.findings import Difference, Finding, Step

__all__ = ["CATALOGUE", "Cause", "Difference", "Explanation", "Finding", "Step", "explain"]
