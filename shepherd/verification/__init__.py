"""Verification: choose one answer among N candidates, and measure how often it is right.

Math-Shepherd (arXiv 2312.08935), section 4: self-consistency, best-of-N by an outcome or a
process reward model, and votes weighted by their scores (eq. 5).
"""

from shepherd.verification.aggregation import Aggregation, aggregate, count_unscored
from shepherd.verification.auc import auc, auc_within_problems
from shepherd.verification.choice import best_of_subsets
from shepherd.verification.evaluation import UNSCORED, evaluate, solved_shares

__all__ = [
    "UNSCORED",
    "Aggregation",
    "aggregate",
    "auc",
    "auc_within_problems",
    "best_of_subsets",
    "count_unscored",
    "evaluate",
    "solved_shares",
]
