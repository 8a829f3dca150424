"""A claim of the paper against measured outcomes: one system solves more problems than another."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shepherd.identity import derive_seed

NUM_RESAMPLES = 10_000
SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class System:
    """What solves problems: a generator, how one of its candidates is chosen, and from how many.

    ``reward_models`` names the pair that judges; it counts only for methods that ask one.
    """

    generator: str
    method: str
    num_candidates: int
    reward_models: str = "large"

    def __str__(self) -> str:
        judged = f" ({self.reward_models})" if "RM" in self.method else ""
        return f"{self.generator}, {self.method}{judged}, N = {self.num_candidates}"


@dataclass(frozen=True)
class Claim:
    """``better`` solves more problems than ``worse``; ``source`` is a table or figure.

    ``expected`` is the least difference that we aim at, where we aim at one.
    """

    source: str
    statement: str
    better: System
    worse: System
    expected: float | None = None


@dataclass(frozen=True)
class Finding:
    """What became of a claim. ``difference`` and its 95 % interval are in shares of problems.

    ``by_seed`` has the difference of each seed. ``chance`` is how often a difference as large, of
    either sign, comes from these problems' differences under random signs: where few problems
    differ, the bootstrap's interval is too narrow. The verdict: reproduced where the interval lies
    above 0 and chance is at most 5 %, not reproduced where it lies below, else inconclusive.
    """

    claim: Claim
    difference: float
    low: float
    high: float
    by_seed: tuple[float, ...]
    chance: float

    @property
    def verdict(self) -> str:
        """One of reproduced, not reproduced, inconclusive."""
        if self.low <= 0 <= self.high or self.chance > SIGNIFICANCE:
            return "inconclusive"
        return "reproduced" if self.low > 0 else "not reproduced"

    @property
    def as_expected(self) -> bool | None:
        """Whether it is reproduced by as much as is expected; None where nothing is."""
        if self.claim.expected is None:
            return None
        return self.verdict == "reproduced" and self.difference >= self.claim.expected


def weigh(claim: Claim, outcomes: pl.DataFrame) -> Finding:
    """Hold a claim against outcomes: the paired difference over the problems of all seeds.

    The interval is the 95 % percentile bootstrap; problems are resampled within each seed, as
    seeds have problems of their own. It holds for these seeds: how seeds differ, ``by_seed`` says.

    Args:
        claim: the two systems.
        outcomes: seed, generator, reward_models (null where none is asked), method,
            num_candidates, problem_id and solved (share of groups of candidates), a row each.

    Raises:
        ValueError: a system was not measured, or the two not on the same problems.
    """
    paired = _solved_by(claim.better, outcomes).join(
        _solved_by(claim.worse, outcomes),
        on=["seed", "problem_id"],
        how="full",
        coalesce=True,
        suffix="_worse",
    )
    if paired.is_empty() or paired["solved"].null_count() or paired["solved_worse"].null_count():
        raise ValueError(f"{claim.better} and {claim.worse} were not measured on the same problems")
    gains = [
        (part["solved"] - part["solved_worse"]).to_numpy()
        for _, part in paired.sort("seed", "problem_id").group_by("seed", maintain_order=True)
    ]
    total = sum(len(gain) for gain in gains)
    low, high = np.quantile(_resampled_sums(gains, claim.statement) / total, [0.025, 0.975])
    return Finding(
        claim,
        difference=float(sum(gain.sum() for gain in gains) / total),
        low=float(low),
        high=float(high),
        by_seed=tuple(float(gain.mean()) for gain in gains),
        chance=_chance(np.concatenate(gains), claim.statement),
    )


def _solved_by(system: System, outcomes: pl.DataFrame) -> pl.DataFrame:
    chosen = outcomes.filter(
        generator=system.generator, method=system.method, num_candidates=system.num_candidates
    )
    judged = pl.col("reward_models").is_null() | (pl.col("reward_models") == system.reward_models)
    return chosen.filter(judged).select("seed", "problem_id", "solved")


def _resampled_sums(gains: Sequence[NDArray[np.float64]], name: str) -> NDArray[np.float64]:
    """Return the sum of the gains in each resample, (NUM_RESAMPLES,)."""
    rng = np.random.default_rng(derive_seed(0, "claims", name, 0))
    return sum(
        (
            rng.multinomial(len(gain), [1 / len(gain)] * len(gain), size=NUM_RESAMPLES) @ gain
            for gain in gains
        ),
        start=np.zeros(NUM_RESAMPLES),
    )


def _chance(gains: NDArray[np.float64], name: str) -> float:
    """Return how often the sum is as far from 0 when each gain takes a sign at random."""
    differing = gains[gains != 0]
    rng = np.random.default_rng(derive_seed(0, "signs", name, 0))
    signs = rng.choice(np.array([-1.0, 1.0]), size=(NUM_RESAMPLES, len(differing)))
    return float((np.abs(signs @ differing) >= abs(differing.sum()) - 1e-9).mean())
