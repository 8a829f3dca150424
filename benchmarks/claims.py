"""Test a claim of the paper: one system solves more problems than another."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shepherd.identity import derive_seed

NUM_RESAMPLES = 10_000
SIGNIFICANCE = 0.05
STUDENT_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""The 97.5 % quantile of Student's t with 1, 2, ... degrees of freedom; the last one for more."""


@dataclass(frozen=True)
class System:
    """A generator, the method that chooses among its candidates, and their number N.

    ``reward_models`` names the pair of reward models; methods without one ignore it.
    """

    generator: str
    method: str
    num_candidates: int
    reward_models: str = "large"

    def __str__(self) -> str:
        models = f" ({self.reward_models})" if "RM" in self.method else ""
        return f"{self.generator}, {self.method}{models}, N = {self.num_candidates}"


@dataclass(frozen=True)
class Claim:
    """The system ``better`` solves more problems than ``worse``, by a table or figure ``source``.

    ``expected`` is our target: the smallest difference, as a share of problems (0 to 1), if any.
    """

    source: str
    statement: str
    better: System
    worse: System
    expected: float | None = None


@dataclass(frozen=True)
class Variation:
    """The variance of paired differences over problems and over seeds, apart.

    Each seed trains other models and has other problems. The model is g_sp = m + a_s + e_sp: the
    difference of a problem is a mean, an effect of its seed and an effect of the problem. The
    components are those of a one-way analysis of variance with random effects.
    """

    problem_deviation: float
    """Standard deviation of e_sp: how problems of one seed differ."""
    seed_deviation: float
    """Standard deviation of a_s beyond what the choice of problems explains; 0 if seeds differ no
    more than problems make them."""
    problem_error: float
    """Standard error of the mean difference for the models that these seeds trained."""
    seed_error: float
    """Standard error of the mean difference over other seeds, problems included."""
    low: float
    """95 % interval of the mean difference over other seeds: Student's t of the seeds' means."""
    high: float


@dataclass(frozen=True)
class Finding:
    """The measured difference of a claim's two systems, as a share of problems (-1 to 1).

    ``low`` and ``high`` are its 95 % interval, ``by_seed`` the difference of each seed. ``chance``
    is the share of random sign flips of the problems' differences that give a difference at least
    as large, of either sign. It guards against intervals that are too narrow because few problems
    differ. ``variation`` says how much of the uncertainty comes from problems and how much from
    seeds.
    """

    claim: Claim
    difference: float
    low: float
    high: float
    by_seed: tuple[float, ...]
    chance: float
    variation: "Variation"

    @property
    def verdict(self) -> str:
        """Return reproduced, not reproduced or inconclusive.

        Inconclusive: the interval contains 0, or ``chance`` is above 5 %. Otherwise the sign of
        the interval decides.
        """
        if self.low <= 0 <= self.high or self.chance > SIGNIFICANCE:
            return "inconclusive"
        return "reproduced" if self.low > 0 else "not reproduced"

    @property
    def as_expected(self) -> bool | None:
        """Return whether the claim is reproduced by at least ``expected``; None without it."""
        if self.claim.expected is None:
            return None
        return self.verdict == "reproduced" and self.difference >= self.claim.expected


def weigh(claim: Claim, outcomes: pl.DataFrame) -> Finding:
    """Compute the paired difference of a claim's systems over the problems of all seeds.

    The interval is the 95 % percentile bootstrap. Problems are resampled within each seed, because
    every seed has other problems. So the interval does not cover how seeds differ.

    Args:
        claim: the two systems.
        outcomes: seed, generator, reward_models (null for methods without one), method,
            num_candidates, problem_id and solved (share of groups of candidates, 0 to 1).

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
        variation=variation_of(gains),
    )


def variation_of(gains: Sequence[NDArray[np.float64]]) -> Variation:
    """Return how differences vary over problems and over seeds.

    Args:
        gains: for each seed the paired differences of its problems, (problems,).

    One seed says nothing about others: its fields about seeds are NaN.
    """
    counts = np.array([len(gain) for gain in gains])
    means = np.array([gain.mean() for gain in gains])
    total, num_seeds = int(counts.sum()), len(gains)
    within = sum(float(((gain - gain.mean()) ** 2).sum()) for gain in gains)
    of_problems = within / max(1, total - num_seeds)
    problem_error = float(np.sqrt(of_problems / total))
    if num_seeds == 1:
        nan = float("nan")
        return Variation(float(np.sqrt(of_problems)), nan, problem_error, nan, nan, nan)
    mean = float(counts @ means / total)
    between = float(counts @ (means - mean) ** 2) / (num_seeds - 1)
    problems_a_seed = (total - float(counts @ counts) / total) / (num_seeds - 1)
    of_seeds = max(0.0, (between - of_problems) / problems_a_seed)
    seed_error = float(means.std(ddof=1) / np.sqrt(num_seeds))
    reach = STUDENT_T[min(num_seeds - 1, len(STUDENT_T)) - 1] * seed_error
    return Variation(
        float(np.sqrt(of_problems)),
        float(np.sqrt(of_seeds)),
        problem_error,
        seed_error,
        mean - reach,
        mean + reach,
    )


def _solved_by(system: System, outcomes: pl.DataFrame) -> pl.DataFrame:
    chosen = outcomes.filter(
        generator=system.generator, method=system.method, num_candidates=system.num_candidates
    )
    same_models = pl.col("reward_models").is_null() | (
        pl.col("reward_models") == system.reward_models
    )
    return chosen.filter(same_models).select("seed", "problem_id", "solved")


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
    """Return the share of random sign flips whose sum is at least as far from 0."""
    differing = gains[gains != 0]
    rng = np.random.default_rng(derive_seed(0, "signs", name, 0))
    signs = rng.choice(np.array([-1.0, 1.0]), size=(NUM_RESAMPLES, len(differing)))
    return float((np.abs(signs @ differing) >= abs(differing.sum()) - 1e-9).mean())
