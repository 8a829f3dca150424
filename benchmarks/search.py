"""Does steering each step find more right answers than choosing among whole solutions?

    python -m benchmarks.search [--json] [--seeds 3] [--problems 60] [--keep FOLDER]

Best-of-N by the PRM, beam search and DVTS on fresh word problems, by the demo's generator and PRM
of each seed. A search may use other numbers of tokens than N solutions do, so each is compared
with best-of-N at the number of completion tokens that it used: best-of-N is averaged over all
subsets of 64 candidates, in between whole N linearly. Values are means over problems and seeds;
``low`` and ``high`` are the 95 % bootstrap over problems, of the accuracy or, for ``gain``, of its
difference to best-of-N.
"""

import argparse
import tempfile
from contextlib import closing
from dataclasses import dataclass, replace
from math import ceil, floor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.report import Result, main
from benchmarks.trained import trained
from resources.sampling.completion_grading import grade_completions
from resources.sampling.searching import found_solutions, search_problems
from resources.sampling.solutions import draw_candidates
from shepherd.search import Method, Search
from shepherd.splitting import scored_steps
from shepherd.verification import aggregate, best_of_subsets
from training.scoring import Scorer

BUDGETS = (4, 8, 16)
METHODS: tuple[Method, ...] = ("beam", "dvts")
MAX_LENGTH = 192


def measure(seed: int, folder: Path, num_problems: int) -> pl.DataFrame:
    """Return a row a problem: problem, seed, method, num_paths, solved, num_tokens, best_of_n.

    ``best_of_n`` is how often best-of-N at the method's mean number of tokens solves it.
    """
    models = trained(folder, seed=seed, num_validation=num_problems)
    sampler, sampling = models.work.samplers["generator"], models.work.sampling
    scorer = Scorer(
        models.process_reward_model, kind="process", template="plain", max_length=MAX_LENGTH
    )
    problems = models.validation.sort("problem_id")
    shard = replace(models.work.shard, key="validation")
    drawn = draw_candidates(problems, sampler, sampling, shard).frame.sort("problem_id", "draw")
    asked = drawn.join(
        problems.select("problem_id", "question"), on="problem_id", maintain_order="left"
    )
    steps = [scored_steps(text) for text in asked["text"]]
    step_scores = pl.Series(scorer.score(asked["question"].to_list(), steps))
    shape = (num_problems, sampling.num_candidates)
    pool = Pool(
        drawn["is_correct"].to_numpy().reshape(shape),
        aggregate(step_scores, "min").to_numpy().reshape(shape),
        float(drawn["num_tokens"].to_numpy().mean()),
    )
    parts = [
        _rows("best-of-N", count, pool.solved(count), np.full(num_problems, count * pool.tokens))
        for count in BUDGETS
    ]
    with closing(sampler.open_engine()) as engine:
        for method in METHODS:
            for count in BUDGETS:
                found = search_problems(
                    problems,
                    engine,
                    scorer.score,
                    Search(
                        method,
                        count,
                        temperature=sampling.temperature,
                        max_tokens=sampling.max_tokens,
                    ),
                    template=sampler.template,
                    aggregation="min",
                    run_seed=seed,
                )
                graded = grade_completions(found_solutions(found), problems)
                solved = graded["is_correct"].cast(pl.Float64).to_numpy()
                parts.append(_rows(method, count, solved, graded["num_tokens"].to_numpy()))
    compared = [
        part.with_columns(
            pl.Series("best_of_n", pool.solved(part["num_tokens"].to_numpy().mean() / pool.tokens))
        )
        for part in parts
    ]
    return pl.concat(compared).with_columns(seed=pl.lit(seed))


@dataclass(frozen=True)
class Pool:
    """Candidates of problems, (problems, T), and the mean completion tokens of one."""

    correct: NDArray[np.bool_]
    worth: NDArray[np.float64]
    tokens: float

    def solved(self, count: float) -> NDArray[np.float64]:
        """Return how often best-of-N solves each problem; linear between whole N."""
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


def study(num_seeds: int, num_problems: int, folder: Path) -> list[Result]:
    """Measure all seeds and return accuracy, tokens and the gain over best-of-N."""
    frame = pl.concat(
        measure(seed, folder / f"seed-{seed}", num_problems) for seed in range(num_seeds)
    )
    results = []
    for (method, count), part in frame.group_by("method", "num_paths", maintain_order=True):
        name = f"{method} {count}"
        solved, best = part["solved"].to_numpy(), part["best_of_n"].to_numpy()
        low, high = _interval(solved)
        results += [
            Result(f"{name}: accuracy", solved.mean(), "share", best.mean()),
            Result(f"{name}: accuracy low", low, "share"),
            Result(f"{name}: accuracy high", high, "share"),
            Result(f"{name}: tokens a problem", part["num_tokens"].to_numpy().mean(), "tokens"),
        ]
        if method in METHODS:
            low, high = _interval(solved - best)
            results += [
                Result(f"{name}: gain", (solved - best).mean(), "share"),
                Result(f"{name}: gain low", low, "share"),
                Result(f"{name}: gain high", high, "share"),
            ]
    return results


def _interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 95 % percentile bootstrap of a mean over problems of all seeds."""
    rng = np.random.default_rng(0)
    weights = rng.multinomial(len(values), [1 / len(values)] * len(values), size=2000)
    low, high = np.quantile(weights @ values / len(values), [0.025, 0.975])
    return float(low), float(high)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--problems", type=int, default=60)
    parser.add_argument("--keep", type=Path, help="folder to keep the models in, and resume from")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        main(
            "search",
            lambda: study(arguments.seeds, arguments.problems, arguments.keep or Path(temporary)),
        )
