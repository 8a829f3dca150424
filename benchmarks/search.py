"""Does search step by step solve more problems than best-of-N among whole solutions?

    python -m benchmarks.search [--json] [--seeds 3] [--problems 60] [--keep FOLDER]

Best-of-N by the PRM, beam search and DVTS on fresh word problems, with the demo's generator and PRM
of each seed. Each search is compared with best-of-N at the same number of completion tokens.
Best-of-N is averaged over all subsets of 64 candidates, and interpolated linearly between whole N.
Values are means over problems and seeds. ``low`` and ``high`` are the 95 % bootstrap interval over
problems: of the accuracy, or for ``gain`` of the difference to best-of-N.
"""

import argparse
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from math import ceil, floor
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.command import Benchmark, Size
from benchmarks.report import Result
from benchmarks.trained import NUM_PROBLEMS, TrainedModels, trained
from resources.sampling.completion_grading import grade_completions
from resources.sampling.searching import best_solutions, search_problems
from resources.sampling.solutions import draw_candidates
from shepherd.requests import Engine
from shepherd.search import Search, SearchMethod
from shepherd.splitting import scored_steps
from shepherd.verification import UNSCORED, aggregate, best_of_subsets
from training.scoring import Scorer

BUDGETS = (4, 8, 16)
METHODS: tuple[SearchMethod, ...] = ("beam", "dvts")
MAX_LENGTH = 192


def run(options: argparse.Namespace) -> list[Result]:
    """Measure all seeds; return accuracy, tokens and the gain over best-of-N."""
    frame = pl.concat(measure(seed, options) for seed in range(options.seeds))
    return [
        result
        for (method, count), part in frame.group_by("method", "num_paths", maintain_order=True)
        for result in method_results(str(method), f"{method} {count}", part)
    ]


def method_results(method: str, name: str, part: pl.DataFrame) -> Iterator[Result]:
    """Yield the results of one method and budget from its rows of :func:`measure`."""
    solved, best = part["solved"].to_numpy(), part["best_of_n"].to_numpy()
    low, high = _interval(solved)
    yield Result(f"{name}: accuracy", solved.mean(), "share", best.mean())
    yield Result(f"{name}: accuracy low", low, "share")
    yield Result(f"{name}: accuracy high", high, "share")
    yield Result(f"{name}: tokens a problem", part["num_tokens"].to_numpy().mean(), "tokens")
    if method in METHODS:
        low, high = _interval(solved - best)
        yield Result(f"{name}: gain", (solved - best).mean(), "share")
        yield Result(f"{name}: gain low", low, "share")
        yield Result(f"{name}: gain high", high, "share")


def measure(seed: int, options: argparse.Namespace) -> pl.DataFrame:
    """Return one row a problem, method and budget.

    Columns: problem, seed, method, num_paths, solved, num_tokens and best_of_n, the share of
    subsets that best-of-N solves at the method's mean number of tokens.
    """
    models = trained(
        options.folder / f"seed-{seed}",
        seed=seed,
        num_validation=options.problems,
        num_train=options.train_problems,
    )
    scorer = Scorer(
        models.process_reward_model, kind="process", template="plain", max_length=MAX_LENGTH
    )
    pool = candidate_pool(models, scorer)
    num_problems = options.problems
    parts = [
        _rows("best-of-N", count, pool.solved(count), np.full(num_problems, count * pool.tokens))
        for count in BUDGETS
    ]
    with closing(models.work.samplers["generator"].open_engine()) as engine:
        parts += [
            search_rows(method, count, models, engine, scorer, seed)
            for method in METHODS
            for count in BUDGETS
        ]
    compared = [
        part.with_columns(
            pl.Series("best_of_n", pool.solved(part["num_tokens"].to_numpy().mean() / pool.tokens))
        )
        for part in parts
    ]
    return pl.concat(compared).with_columns(seed=pl.lit(seed))


def candidate_pool(models: TrainedModels, scorer: Scorer) -> "CandidatePool":
    """Draw and score the candidates of the validation problems."""
    sampler, sampling = models.work.samplers["generator"], models.work.sampling
    problems = models.validation.sort("problem_id")
    shard = replace(models.work.shard, key="validation")
    drawn = draw_candidates(problems, sampler, sampling, shard).frame.sort("problem_id", "draw")
    candidates = drawn.join(
        problems.select("problem_id", "question"), on="problem_id", maintain_order="left"
    )
    steps = [scored_steps(text) for text in candidates["text"]]
    step_scores = pl.Series(
        scorer.score(candidates["question"].to_list(), steps), dtype=pl.List(pl.Float64)
    )
    shape = (problems.height, sampling.num_candidates)
    return CandidatePool(
        drawn["is_correct"].to_numpy().reshape(shape),
        aggregate(step_scores, "min").fill_null(UNSCORED).to_numpy().reshape(shape),
        float(drawn["num_tokens"].to_numpy().mean()),
    )


def search_rows(
    method: SearchMethod,
    count: int,
    models: TrainedModels,
    engine: Engine,
    scorer: Scorer,
    seed: int,
) -> pl.DataFrame:
    """Search for a solution of each validation problem with a budget of ``count`` paths."""
    sampling, problems = models.work.sampling, models.validation.sort("problem_id")
    searches = search_problems(
        problems,
        engine,
        scorer.score,
        Search(method, count, temperature=sampling.temperature, max_tokens=sampling.max_tokens),
        template=models.work.samplers["generator"].template,
        aggregation="min",
        run_seed=seed,
    )
    graded = grade_completions(best_solutions(searches), problems)
    solved = graded["is_correct"].cast(pl.Float64).to_numpy()
    return _rows(method, count, solved, graded["num_tokens"].to_numpy())


@dataclass(frozen=True)
class CandidatePool:
    """Verdicts and PRM scores of candidates, each (problems, T), and the mean tokens of one."""

    correct: NDArray[np.bool_]
    worth: NDArray[np.float64]
    tokens: float

    def solved(self, count: float) -> NDArray[np.float64]:
        """Return the share of subsets of N whose best candidate is right, (problems,)."""
        count = min(max(count, 1.0), self.correct.shape[1])
        below, above = (
            best_of_subsets(self.correct, self.worth, rounded(count)) for rounded in (floor, ceil)
        )
        between: NDArray[np.float64] = below + (count - floor(count)) * (above - below)
        return between


def _rows(
    method: str, count: int, solved: NDArray[np.float64], tokens: NDArray[Any]
) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "problem": np.arange(len(solved)),
            "method": [method] * len(solved),
            "num_paths": [count] * len(solved),
            "solved": solved,
            "num_tokens": tokens.astype(np.float64),
        }
    )


def _interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the mean over problems of all seeds."""
    rng = np.random.default_rng(0)
    weights = rng.multinomial(len(values), [1 / len(values)] * len(values), size=2000)
    low, high = np.quantile(weights @ values / len(values), [0.025, 0.975])
    return float(low), float(high)


BENCHMARK = Benchmark(
    "search",
    __doc__,
    run,
    sizes=[
        Size("seeds", 3, 1, "seeds to measure, from 0 on"),
        Size("problems", 60, 2, "word problems of a seed that are searched"),
        Size("train-problems", NUM_PROBLEMS, 2, "word problems of a seed that train the models"),
    ],
    resumes=True,
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
