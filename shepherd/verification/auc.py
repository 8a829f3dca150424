"""How well scores tell right from wrong: areas under the ROC curve."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import ArrayLike


def auc(scores: ArrayLike, labels: ArrayLike) -> float:
    """Return the chance that a positive is scored above a negative; ties count half.

    nan if there are no positives or no negatives.
    """
    positive = np.asarray(labels, dtype=bool)
    num_positive = int(positive.sum())
    pairs = num_positive * (positive.size - num_positive)
    if not pairs:
        return float("nan")
    _, rank, ties = np.unique(np.asarray(scores), return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(ties) - (ties - 1) / 2
    ranks_of_positive = mean_rank[rank][positive].sum()
    return float((ranks_of_positive - num_positive * (num_positive + 1) / 2) / pairs)


def auc_within_problems(scores: ArrayLike, labels: ArrayLike, problem_ids: Sequence[str]) -> float:
    """Return the mean AUC over the problems that have right and wrong candidates.

    Unlike :func:`auc` it cannot gain from telling easy problems from hard ones, which helps no
    choice among candidates. nan if no problem has both.
    """
    frame = pl.DataFrame(
        {
            "problem_id": list(problem_ids),
            "score": np.asarray(scores, dtype=np.float64),
            "label": np.asarray(labels, dtype=bool),
        }
    )
    per_problem = [
        auc(part["score"].to_numpy(), part["label"].to_numpy())
        for _, part in frame.group_by("problem_id", maintain_order=True)
        if part["label"].n_unique() == 2
    ]
    return float(np.mean(per_problem)) if per_problem else float("nan")
