"""A lake of the size of the paper's data, drawn from a seed: coherent rows, no model.

440K solutions of GSM8K and MATH problems with 2.6M steps, 20M rollouts without their texts from
two completers, the labels that follow from them by two annotators beside those of people, and 256
candidates of each test problem. Ids are random hexadecimal digits, as content hashes look.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from resources.storage.lake import Lake
from shepherd.schemas import TABLES

NUM_ROLLOUTS = 8
NUM_CANDIDATES = 256
FIRST_STEPS = 15
"""Distinct first steps of a problem, which its solutions share."""
SECOND_COMPLETER_EVERY = 4
REWARD_MODELS = ("outcome_reward_model", "process_reward_model")
METHODS = ("pass@1", "SC", "ORM", "PRM", "SC+ORM", "SC+PRM", "oracle")


@dataclass(frozen=True)
class Size:
    """How many rows of a dataset there are."""

    num_train: int
    num_test: int
    num_solutions: int


PAPER = {"gsm8k": Size(7_473, 1_319, 170_000), "math": Size(12_000, 500, 270_000)}


def write_big_lake(root: Path, share: float = 1.0, seed: int = 0) -> None:
    """Write the lake under a folder, with a share of the paper's problems and solutions."""
    lake = Lake(root)
    for index, (dataset, size) in enumerate(PAPER.items()):
        counts = (max(1, round(share * count)) for count in vars(size).values())
        for name, frame in draw(dataset, Size(*counts), np.random.default_rng([seed, index])):
            path = lake.path(name, dataset, "00")
            path.parent.mkdir(parents=True, exist_ok=True)
            frame.write_parquet(path)


def draw(dataset: str, size: Size, rng: np.random.Generator) -> list[tuple[str, pl.DataFrame]]:
    """Return the frames of one dataset, by table."""
    problems = _problems(dataset, size, rng)
    train, test = (problems.filter(split=split) for split in ("train", "test"))
    solutions, steps = _solutions(train, size.num_solutions, rng)
    rollouts = _rollouts(steps, rng)
    labels = _labels(steps, solutions, rollouts)
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
        "asked_rollouts": _asked(rollouts),
        "step_labels": labels,
        "labeled_solutions": _labeled_solutions(solutions, steps, labels, train),
        "candidates": candidates,
        "candidate_scores": _scores(candidates, rng),
        "evaluations": _evaluations(dataset, size),
        "solution_costs": _costs(dataset, "solutions", {"generator": int(drawn)}, {}),
        "rollout_costs": _costs(
            dataset, "rollouts", dict(by_completer.iter_rows()), dict(merged.iter_rows())
        ),
        "candidate_costs": _costs(dataset, "candidates", {"generator": candidates.height}, {}),
    }
    return [(name, _of(name, frame)) for name, frame in frames.items()]


def _problems(dataset: str, size: Size, rng: np.random.Generator) -> pl.DataFrame:
    count = size.num_train + size.num_test
    ids = _ids(count, rng)
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
    """Return solutions and their steps; an easy problem has more right solutions."""
    ease = rng.beta(1.2, 1.0, train.height)
    of_problem = np.sort(rng.integers(0, train.height, count))
    is_correct = rng.random(count) < ease[of_problem]
    num_steps = 2 + rng.binomial(8, 0.489, count)
    solutions = train[of_problem].select(
        "problem_id", "gold_answer", solution_id=_ids(count, rng), generator=pl.lit("generator")
    )
    solutions = _graded(solutions, is_correct, rng).with_columns(
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
    """Return prefix ids: first steps are shared by the solutions of a problem, others unique."""
    shared = _ids(num_problems * FIRST_STEPS, rng)
    own = _ids(of_problem.size, rng)
    pick = of_problem * FIRST_STEPS + rng.integers(0, FIRST_STEPS, of_problem.size)
    return own.zip_with(pl.Series(~is_first), shared[pick])


def _rollouts(steps: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    prefixes = steps.filter(~pl.col("is_last")).unique("prefix_id", maintain_order=True)
    prefixes = prefixes.select("prefix_id", "problem_id", gold_answer=pl.lit("right"))
    success = np.where(rng.random(prefixes.height) < 0.35, 0.02, rng.beta(4, 2, prefixes.height))
    every = np.arange(prefixes.height)
    drawn = []
    for completer, chosen in (("completer", every), ("other", every[::SECOND_COMPLETER_EVERY])):
        rows = np.repeat(chosen, NUM_ROLLOUTS)
        drawn.append(
            _graded(prefixes[rows], rng.random(rows.size) < success[rows], rng).with_columns(
                completer=pl.lit(completer),
                rollout_index=pl.Series(np.tile(np.arange(NUM_ROLLOUTS), chosen.size)),
                text=pl.lit(""),
            )
        )
    return pl.concat(drawn)


def _asked(rollouts: pl.DataFrame) -> pl.DataFrame:
    """Return what the two annotators asked for: all, or those up to a success."""
    every = rollouts.filter(completer="completer")
    earlier = pl.col("is_correct").cum_sum().over("prefix_id") - pl.col("is_correct")
    shown = {"monte_carlo": every, "first_success": every.filter(earlier == 0)}
    return pl.concat(
        of_annotator.group_by("prefix_id", "problem_id", maintain_order=True).agg(
            annotator=pl.lit(annotator),
            num_rollouts=pl.len(),
            num_correct=pl.col("is_correct").sum(),
            num_tokens=pl.col("num_tokens").sum(),
        )
        for annotator, of_annotator in shown.items()
    )


def _labels(steps: pl.DataFrame, solutions: pl.DataFrame, rollouts: pl.DataFrame) -> pl.DataFrame:
    """Return labels from the first completer's rollouts, all or up to a success, and by people."""
    outcomes = (
        rollouts.filter(completer="completer")
        .group_by("prefix_id")
        .agg(
            right=pl.col("is_correct").sum().cast(pl.Int64),
            needed=pl.col("rollout_index").filter("is_correct").min().fill_null(NUM_ROLLOUTS - 1)
            + 1,
        )
    )
    joined = steps.join(outcomes, on="prefix_id", how="left").join(
        solutions.select("solution_id", "is_correct"), on="solution_id"
    )
    own, is_last, right = pl.col("is_correct"), pl.col("is_last"), pl.col("right")
    hard = pl.when(is_last).then(own).otherwise(right > 0).cast(pl.Int64)
    soft = pl.when(is_last).then(own.cast(pl.Float64)).otherwise(right / NUM_ROLLOUTS)
    all_drawn = joined.select(
        "step_id",
        annotator=pl.lit("monte_carlo"),
        num_rollouts=pl.when(is_last).then(0).otherwise(NUM_ROLLOUTS).cast(pl.Int64),
        num_correct=pl.when(is_last).then(0).otherwise(right),
        hard=hard,
        soft=soft,
        low=pl.when(~is_last).then((soft - 0.2).clip(0, 1)),
        high=pl.when(~is_last).then((soft + 0.2).clip(0, 1)),
    )
    stopped = joined.select(
        "step_id",
        annotator=pl.lit("first_success"),
        num_rollouts=pl.when(is_last).then(0).otherwise("needed"),
        num_correct=pl.when(is_last).then(0).otherwise(right.clip(0, 1)),
        hard=hard,
        soft=pl.lit(None, pl.Float64),
        low=pl.lit(None, pl.Float64),
        high=pl.lit(None, pl.Float64),
    )
    # One solution in 16 is rated by people, who see one step in 16 otherwise.
    is_rated, is_disputed = (pl.col(name).hash() % 16 == 0 for name in ("solution_id", "step_id"))
    rated = stopped.filter(joined.select(is_rated).to_series()).with_columns(
        annotator=pl.lit("human"),
        num_rollouts=pl.lit(0, pl.Int64),
        num_correct=pl.lit(0, pl.Int64),
        hard=pl.when(is_disputed).then(1 - pl.col("hard")).otherwise("hard"),
    )
    return pl.concat([all_drawn, stopped, rated])


def _labeled_solutions(
    solutions: pl.DataFrame, steps: pl.DataFrame, labels: pl.DataFrame, train: pl.DataFrame
) -> pl.DataFrame:
    gathered = (
        labels.filter(annotator="monte_carlo")
        .join(steps, on="step_id")
        .sort("solution_id", "step_index")
        .group_by("solution_id", "annotator", maintain_order=True)
        .agg("hard", "soft", steps="text")
    )
    return gathered.join(solutions, on="solution_id").join(
        train.select("problem_id", "dataset", "question"), on="problem_id"
    )


def _candidates(test: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    rows = np.repeat(np.arange(test.height), NUM_CANDIDATES)
    ease = rng.beta(1.2, 1.0, test.height)
    candidates = test[rows].select(
        "problem_id",
        "gold_answer",
        candidate_id=_ids(rows.size, rng),
        generator=pl.lit("generator"),
        draw=pl.Series(np.tile(np.arange(NUM_CANDIDATES), test.height)),
    )
    return _graded(candidates, rng.random(rows.size) < ease[rows], rng).with_columns(
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


def _evaluations(dataset: str, size: Size) -> pl.DataFrame:
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


def _graded(
    frame: pl.DataFrame, is_correct: npt.NDArray[np.bool_], rng: np.random.Generator
) -> pl.DataFrame:
    """Return rows with an answer and its verdict; one in fifty is cut, one in a thousand late."""
    chance = pl.Series(rng.random(frame.height))
    wrong = pl.Series(-rng.integers(1, 40, frame.height)).cast(pl.String)
    frame = frame.with_columns(
        is_correct=pl.Series(is_correct),
        is_cut=(chance < 0.02) & ~pl.Series(is_correct),
        is_late=chance > 0.999,
    )
    return frame.with_columns(
        answer=pl.when("is_correct")
        .then("gold_answer")
        .otherwise(pl.when(~pl.col("is_cut")).then(wrong)),
        grade_reason=pl.when("is_correct")
        .then(pl.lit("exact"))
        .when("is_cut")
        .then(pl.lit("missing"))
        .when("is_late")
        .then(pl.lit("timeout"))
        .otherwise(pl.lit("different")),
        finish_reason=pl.when("is_cut").then(pl.lit("length")).otherwise(pl.lit("stop")),
        num_tokens=pl.Series(rng.integers(20, 400, frame.height)),
    )


def _ids(count: int, rng: np.random.Generator) -> pl.Series:
    """Return random ids of 16 hexadecimal digits."""
    digits = rng.bytes(8 * count).hex().encode()
    ends = np.arange(0, 16 * count + 1, 16, dtype=np.int64)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(digits)]
    return pl.Series(pa.LargeStringArray.from_buffers(count, *buffers[1:]))


def _of(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Return the columns of the table in order; numbers that the frame lacks are zero."""
    return frame.select(
        pl.col(column.name).cast(column.dtype)
        if column.name in frame.columns
        else pl.lit(
            None if column.nullable or column.dtype == pl.String() else 0, column.dtype
        ).alias(column.name)
        for column in TABLES[name].columns
    )
