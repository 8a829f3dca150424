"""Evaluation of policies: greedy solutions of test problems, compared with their start."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shepherd.intervals import bootstrap_interval, bootstrap_weights
from shepherd.schemas import POLICY_EVALUATIONS
from shepherd.settings import Settings


class Descent(NamedTuple):
    """The generator that a policy started from, and the paper's name of its training method."""

    start: str
    method: str


def descents_of(settings: Settings) -> dict[str, Descent]:
    """Return the descent of each generator and policy of a profile, by name."""
    generators = {
        name: Descent(name, "SFT" if model.training else "base")
        for name, model in settings.generators.items()
    }
    policies = {
        name: Descent(policy.start, policy.method) for name, policy in settings.policies.items()
    }
    return generators | policies


def evaluate_policies(
    greedy: pl.DataFrame,
    problems: pl.DataFrame,
    descents: Mapping[str, Descent],
    *,
    bootstrap: int,
    seed: int,
) -> pl.DataFrame:
    """Return ``policy_evaluations``: accuracy, gain over the start, length and repetition.

    Intervals are 95 % percentile bootstraps over problems. All policies of a dataset share the
    resamples, so that intervals of gains are paired.

    Args:
        greedy: table GREEDY_SOLUTIONS, of every policy and start in ``descents``.
        problems: table PROBLEMS, at least those of the solutions.
        descents: the descent of each policy, by name.
        bootstrap: number of resamples.
        seed: the run's seed.

    Raises:
        ValueError: the policies did not solve the same problems.
    """
    solved = greedy.join(problems.select("problem_id", "dataset"), on="problem_id")
    rows: list[dict[str, object]] = []
    for (dataset,), part in solved.sort("dataset", "problem_id").group_by(
        "dataset", maintain_order=True
    ):
        solutions = _solutions_by_policy(part, descents, str(dataset))
        num_problems = part["problem_id"].n_unique()
        right = {
            name: one["is_correct"].to_numpy().astype(float) for name, one in solutions.items()
        }
        weights = bootstrap_weights(str(dataset), num_problems, num_resamples=bootstrap, seed=seed)
        for name, (start, method) in descents.items():
            gain = right[name] - right[start]
            rows.append(
                {
                    "dataset": dataset,
                    "policy": name,
                    "start": start,
                    "method": method,
                    **_mean_and_interval("accuracy", "", right[name], weights),
                    **_mean_and_interval("gain", "gain_", gain, weights),
                    "num_problems": num_problems,
                    **solutions[name].select(**_MEANS).row(0, named=True),
                }
            )
    return pl.DataFrame(rows, schema=POLICY_EVALUATIONS.schema)


def _mean_and_interval(
    mean: str, prefix: str, values: NDArray[np.float64], weights: NDArray[np.int64]
) -> dict[str, float]:
    """Return a mean over problems and its interval: ``mean``, ``<prefix>low``, ``<prefix>high``."""
    low, high = bootstrap_interval(weights, values)
    return {mean: float(values.mean()), f"{prefix}low": low, f"{prefix}high": high}


def _solutions_by_policy(
    part: pl.DataFrame, names: Iterable[str], dataset: str
) -> dict[str, pl.DataFrame]:
    """Return each policy's solutions of a dataset, in the same order of problems.

    Raises:
        ValueError: a policy did not solve all problems.
    """
    num_problems = part["problem_id"].n_unique()
    by_policy = {name: part.filter(generator=name) for name in names}
    for name, solutions in by_policy.items():
        if solutions.height != num_problems:
            raise ValueError(
                f"greedy_solutions: {name} solved {solutions.height} of {num_problems} "
                f"problems of {dataset}: materialize greedy_solutions for all shards"
            )
    return by_policy


_MEANS = {
    "mean_tokens": pl.col("num_tokens").mean(),
    "mean_steps": pl.col("num_steps").mean(),
    "share_repeating": (pl.col("num_repeated_steps") > 0).mean(),
    "share_cut": (pl.col("finish_reason") == "length").mean(),
}
