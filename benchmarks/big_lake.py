"""A lake of the size of the paper's data, written from a seed without any model.

440K solutions of GSM8K and MATH problems with 2.6M steps; 20M rollouts of two completers without
their texts; labels that follow from the rollouts by two annotators, and labels by people; 256
candidates of each test problem. Ids are random hexadecimal digits, like content hashes.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from benchmarks.big_lake_annotation import (
    count_asked,
    draw_rollouts,
    gather_labels,
    label_steps,
)
from benchmarks.big_lake_values import graded, of_table, random_ids
from resources.storage.lake import Lake
from shepherd.schemas import TABLES

NUM_CANDIDATES = 256
FIRST_STEPS = 15
"""Distinct first steps of a problem; its solutions share them."""
REWARD_MODELS = ("outcome_reward_model", "process_reward_model")
METHODS = ("pass@1", "SC", "ORM", "PRM", "SC+ORM", "SC+PRM", "pass@N")


@dataclass(frozen=True)
class DatasetSize:
    """Numbers of train problems, test problems and solutions of a dataset."""

    num_train: int
    num_test: int
    num_solutions: int


PAPER = {"gsm8k": DatasetSize(7_473, 1_319, 170_000), "math": DatasetSize(12_000, 500, 270_000)}


def write_big_lake(root: Path, share: float = 1.0, seed: int = 0) -> None:
    """Write the lake under a folder, with ``share`` (0 to 1) of the paper's rows."""
    lake = Lake(root)
    for index, (dataset, size) in enumerate(PAPER.items()):
        counts = (max(1, round(share * count)) for count in vars(size).values())
        for name, frame in draw(
            dataset, DatasetSize(*counts), np.random.default_rng([seed, index])
        ):
            path = lake.path(name, dataset, "00")
            path.parent.mkdir(parents=True, exist_ok=True)
            frame.write_parquet(path)


def draw(
    dataset: str, size: DatasetSize, rng: np.random.Generator
) -> list[tuple[str, pl.DataFrame]]:
    """Return the frames of one dataset, by table."""
    problems = _problems(dataset, size, rng)
    train, test = (problems.filter(split=split) for split in ("train", "test"))
    solutions, steps = _solutions(train, size.num_solutions, rng)
    rollouts = draw_rollouts(steps, rng)
    labels = label_steps(steps, solutions, rollouts)
    candidates = _candidates(test, rng)
    drawn = solutions["num_samples"].sum()
    by_completer = rollouts.group_by("completer", maintain_order=True).len()
    served = steps.filter(~pl.col("is_last")).group_by("prefix_id").len(name="num_served")
    merged = (
        rollouts.select("prefix_id", "completer")
        .join(served, on="prefix_id")
        .group_by("completer", maintain_order=True)
        .agg((pl.col("num_served") - 1).sum())
    )
    frames = {
        "problems": problems,
        "solutions": solutions,
        "steps": steps,
        "rollouts": rollouts,
        "asked_rollouts": count_asked(rollouts),
        "step_labels": labels,
        "labeled_solutions": gather_labels(solutions, steps, labels, train),
        "candidates": candidates,
        "candidate_scores": _scores(candidates, rng),
        "evaluations": _evaluations(dataset, size),
        "solution_costs": _costs(dataset, "solutions", {"generator": int(drawn)}, {}),
        "rollout_costs": _costs(
            dataset, "rollouts", dict(by_completer.iter_rows()), dict(merged.iter_rows())
        ),
        "candidate_costs": _costs(dataset, "candidates", {"generator": candidates.height}, {}),
    }
    return [(name, of_table(name, frame)) for name, frame in frames.items()]


def _problems(dataset: str, size: DatasetSize, rng: np.random.Generator) -> pl.DataFrame:
    count = size.num_train + size.num_test
    ids = random_ids(count, rng)
    return pl.DataFrame({"problem_id": ids}).with_columns(
        dataset=pl.lit(dataset),
        split=pl.Series(["train"] * size.num_train + ["test"] * size.num_test),
        question="How many are there in " + pl.col("problem_id") + "?",
        gold_answer=pl.Series(rng.integers(1, 1000, count)).cast(pl.String),
        level=pl.Series(rng.integers(1, 6, count)).cast(pl.String),
    )


def _solutions(
    train: pl.DataFrame, count: int, rng: np.random.Generator
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return ``count`` solutions and their steps; problems differ in their share of right ones."""
    ease = rng.beta(1.2, 1.0, train.height)
    of_problem = np.sort(rng.integers(0, train.height, count))
    is_correct = rng.random(count) < ease[of_problem]
    num_steps = 2 + rng.binomial(8, 0.489, count)
    solutions = train[of_problem].select(
        "problem_id",
        "gold_answer",
        solution_id=random_ids(count, rng),
        generator=pl.lit("generator"),
    )
    solutions = graded(solutions, is_correct, rng).with_columns(
        num_samples=pl.Series(1 + (rng.random(count) < 0.3))
    )
    of_solution = np.repeat(np.arange(count), num_steps)
    index = np.arange(of_solution.size) - np.repeat(np.cumsum(num_steps) - num_steps, num_steps)
    steps = solutions[of_solution].select(
        "solution_id",
        "problem_id",
        prefix_id=_prefixes(of_problem[of_solution], index == 0, train.height, rng),
        step_index=pl.Series(index + 1),
        num_steps=pl.Series(num_steps[of_solution]),
    )
    steps = steps.with_columns(
        step_id=pl.format("{}:{}", "solution_id", "step_index"),
        is_last=pl.col("step_index") == pl.col("num_steps"),
    )
    steps = steps.with_columns(
        text=pl.format(
            "Step {}: from what is known, {} and {} follow.\n", "step_index", "step_id", "prefix_id"
        ),
    )
    texts = steps.group_by("solution_id").agg(pl.col("text").str.join(""))
    return solutions.join(texts, on="solution_id", maintain_order="left"), steps


def _prefixes(
    of_problem: npt.NDArray[np.int64],
    is_first: npt.NDArray[np.bool_],
    num_problems: int,
    rng: np.random.Generator,
) -> pl.Series:
    """Return prefix ids; solutions of a problem share prefixes of one step, and no others."""
    shared = random_ids(num_problems * FIRST_STEPS, rng)
    own = random_ids(of_problem.size, rng)
    pick = of_problem * FIRST_STEPS + rng.integers(0, FIRST_STEPS, of_problem.size)
    return own.zip_with(pl.Series(~is_first), shared[pick])


def _candidates(test: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    rows = np.repeat(np.arange(test.height), NUM_CANDIDATES)
    ease = rng.beta(1.2, 1.0, test.height)
    candidates = test[rows].select(
        "problem_id",
        "gold_answer",
        candidate_id=random_ids(rows.size, rng),
        generator=pl.lit("generator"),
        draw=pl.Series(np.tile(np.arange(NUM_CANDIDATES), test.height)),
    )
    return graded(candidates, rng.random(rows.size) < ease[rows], rng).with_columns(
        text="So the answer is " + pl.col("candidate_id")
    )


def _scores(candidates: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    parts = [
        candidates.select(
            "candidate_id",
            "problem_id",
            reward_model=pl.lit(reward_model),
            step_scores=pl.Series(rng.random((candidates.height, num_scores))).arr.to_list(),
        )
        for reward_model, num_scores in zip(REWARD_MODELS, (1, 6), strict=True)
    ]
    return pl.concat(parts)


def _evaluations(dataset: str, size: DatasetSize) -> pl.DataFrame:
    rows = [
        {
            "dataset": dataset,
            "generator": "generator",
            "method": method,
            "num_candidates": 2**power,
            "accuracy": 0.5 + 0.005 * power * METHODS.index(method),
            "low": 0.0,
            "high": 1.0,
            "num_problems": size.num_test,
            "num_groups": 3,
            **dict.fromkeys(("gain", "gain_low", "gain_high"), 0.005 * power),
        }
        for power in range(9)
        for method in METHODS
        if method != "pass@1" or power == 0
    ]
    return pl.DataFrame(rows, schema=TABLES["evaluations"].schema)


def _costs(
    dataset: str, stage: str, requests: dict[str, int], merged: dict[str, int]
) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "stage": stage,
            "dataset": dataset,
            "shard": "00",
            "model": list(requests),
            "num_requests": list(requests.values()),
            "num_merged": [merged.get(model, 0) for model in requests],
        }
    )
