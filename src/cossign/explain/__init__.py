"""Why a signature does not match: the causes, found by recomputing, and confirmed."""

from cossign.explain.causes import CATALOGUE, Cause
from cossign.explain.explainer import explain
from cossign.explain.explanation import Explanation
from cossign.explain.findings import Difference, Finding, Step

__all__ = ["CATALOGUE", "Cause", "Difference", "Explanation", "Finding", "Step", "explain"]
