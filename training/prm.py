r"""Train a process reward model (PRM): one probability a step.

    python -m training prm --base BASE --data labeled_solutions.parquet --out models/prm

The probability of a step says whether the solution can still reach the right answer from there.
A solution of K steps becomes one sequence with K tags (:mod:`training.step_tags`):

    question  step 1 ки  step 2 ки  ...  step K ки        token ids, (tokens,)
                     r_1         r_2               r_K    rewards at the tags, (K,)
                     y_1         y_2               y_K    step labels in [0, 1], (K,)

The label y_i is hard (equation 3 of arXiv 2312.08935) or soft (equation 4).
"""

import torch
from torch.nn import functional as F

from training.reward_model import train_reward_model
from training.runs import TrainingReport, TrainingRun


def process_loss(rewards: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    r"""Return the PRM loss of equation 2 of arXiv 2312.08935, summed over steps.

        L_PRM = - \sum_{i=1}^{K} [ y_i log \sigma(r_i) + (1 - y_i) log(1 - \sigma(r_i)) ]

    The paper writes r_i for the sigmoid score; here r_i is the reward before the sigmoid. A batch
    holds the steps of several solutions. The caller divides the sum by the steps of the whole
    optimisation step (:func:`training.reward_model.reward_loss`).

    Args:
        rewards: r_i, (steps,), unbounded.
        labels: y_i, (steps,), in [0, 1].

    Returns:
        A scalar of 0 or more.
    """
    return F.binary_cross_entropy_with_logits(rewards, labels, reduction="sum")


def train_prm(run: TrainingRun) -> TrainingReport:
    """Train on (question, steps, labels) rows and save the checkpoint to ``run.out``.

    Steps that exceed ``settings.max_length`` tokens are left out; the steps before them are
    trained on. The report counts such solutions (``num_cut``).
    """
    return train_reward_model(run, "train PRM", process_loss)
