"""The pilot: problems whose prefixes all get N rollouts, whatever annotators ask for.

Annotators choose prefixes by outcomes, so their rollouts are biased samples. Those of the pilot are
not: rates are learned from them, and calibration is measured on them.
"""

from collections.abc import Set
from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from shepherd.annotators.problem import DrawnRollouts, Label, Rounds, SolvedProblem
from shepherd.identity import content_id, shard_keys


@dataclass(frozen=True)
class Pilot:
    """Rolls out each prefix of the pilot's problems ``num_rollouts`` times, and labels nothing."""

    name: ClassVar[str] = "pilot"
    num_rollouts: int
    problem_ids: Set[str]

    def ask(self, problem: SolvedProblem, drawn: DrawnRollouts) -> Rounds:  # noqa: ARG002
        """Ask for all rollouts at once."""
        if problem.problem_id in self.problem_ids:
            yield dict.fromkeys(problem.prefixes, self.num_rollouts)

    def label(self, problem: SolvedProblem, drawn: DrawnRollouts) -> list[list[Label]]:  # noqa: ARG002
        """Return no labels."""
        return [[] for _ in problem.solutions]


def pilot_problems(
    problems: pl.DataFrame, num_problems: int, shard: str, num_shards: int
) -> frozenset[str]:
    """Return the ids of a shard's problems that are in the pilot of their dataset.

    The pilot has ``num_problems`` train problems, and each shard an equal part of them: those whose
    ids have the smallest hashes. So they are a random sample of the dataset, another problem
    changes at most one of them, and no shard needs to know the others.
    """
    index = shard_keys(num_shards).index(shard)
    count = num_problems * (index + 1) // num_shards - num_problems * index // num_shards
    ids = problems.filter(split="train")["problem_id"]
    return frozenset(sorted(ids, key=lambda one: content_id("pilot", one))[:count])
