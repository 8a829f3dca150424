r"""Train an outcome reward model (ORM): one probability for a whole solution.

    python -m training orm --base BASE --data labeled_solutions.parquet --out models/orm

The probability says whether the solution's answer is right. A solution becomes one sequence with
one tag at its end (:mod:`training.step_tags`):

    question  solution ки    token ids, (tokens,)
                       r     reward at the tag, (1,)
                       y     1 if the answer is right, else 0, (1,)
"""

import torch
from torch.nn import functional as F

from training.reward_model import train_reward_model
from training.runs import TrainingReport, TrainingRun


def outcome_loss(rewards: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    r"""Return the ORM loss of equation 1 of arXiv 2312.08935, summed over solutions.

        L_ORM = - [ y log \sigma(r) + (1 - y) log(1 - \sigma(r)) ]

    The paper writes r for the sigmoid score; here r is the reward before the sigmoid. The caller
    divides the sum by the solutions of the whole optimisation step
    (:func:`training.reward_model.reward_loss`).

    Args:
        rewards: r, (solutions,), unbounded.
        labels: y, (solutions,), 0 or 1.

    Returns:
        A scalar of 0 or more.
    """
    return F.binary_cross_entropy_with_logits(rewards, labels, reduction="sum")


def train_orm(run: TrainingRun) -> TrainingReport:
    """Train on (question, steps, labels) rows and save the checkpoint to ``run.out``.

    ``steps`` has one text, the whole solution, and ``labels`` one number
    (:func:`shepherd.training_sets.outcome_examples`). Solutions over ``settings.max_length``
    tokens are left out, and counted in the report (``num_cut``).
    """
    return train_reward_model(run, "train ORM", outcome_loss, is_whole=True)
