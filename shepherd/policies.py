"""Evaluation of policies: greedy solutions of test problems, compared with their start."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import polars as pl

from shepherd.identity import derive_seed
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
        of = {name: part.filter(generator=name) for name in descents}
        num_problems = part["problem_id"].n_unique()
        for name, solutions in of.items():
            if solutions.height != num_problems:
                raise ValueError(
                    f"greedy_solutions: {name} solved {solutions.height} of {num_problems} "
                    f"problems of {dataset}: materialize greedy_solutions for all shards"
                )
        right = {name: found["is_correct"].to_numpy().astype(float) for name, found in of.items()}
        rng = np.random.default_rng(derive_seed(seed, "bootstrap", str(dataset), 0))
        weights = rng.multinomial(num_problems, [1 / num_problems] * num_problems, size=bootstrap)
        for name, (start, method) in descents.items():
            gain = right[name] - right[start]
            (low, high), (gain_low, gain_high) = (
                np.quantile(weights @ values / num_problems, [0.025, 0.975])
                for values in (right[name], gain)
            )
            rows.append(
                {
                    "dataset": dataset,
                    "policy": name,
                    "start": start,
                    "method": method,
                    "accuracy": right[name].mean(),
                    "low": low,
                    "high": high,
                    "gain": gain.mean(),
                    "gain_low": gain_low,
                    "gain_high": gain_high,
                    "num_problems": num_problems,
                    **of[name].select(**_MEANS).row(0, named=True),
                }
            )
    return pl.DataFrame(rows, schema=POLICY_EVALUATIONS.schema)


_MEANS = {
    "mean_tokens": pl.col("num_tokens").mean(),
    "mean_steps": pl.col("num_steps").mean(),
    "share_repeating": (pl.col("num_repeated_steps") > 0).mean(),
    "share_cut": (pl.col("finish_reason") == "length").mean(),
}
