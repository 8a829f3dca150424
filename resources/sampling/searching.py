"""Search at test time: an engine draws steps in rounds, and a reward model scores them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain, islice

import polars as pl
from tqdm import tqdm

from shepherd.requests import Engine, draw_all
from shepherd.search import Path, ProblemSearch, Search
from shepherd.splitting import split_steps
from shepherd.verification import UNSCORED, Aggregation, aggregate

StepScores = Callable[[Sequence[str], Sequence[Sequence[str]]], list[list[float | None]]]
"""Takes questions and the steps of each solution; returns a score of each step, null for unscored
ones, as ``training.scoring.Scorer.score`` does."""


def search_problems(
    problems: pl.DataFrame,
    engine: Engine,
    score: StepScores,
    search: Search,
    *,
    template: str,
    aggregation: Aggregation,
    run_seed: int,
) -> list[ProblemSearch]:
    """Search for a solution of each problem (problem_id, question).

    All problems share their rounds, so that the engine's batches stay full and the reward model
    scores a whole round at once.
    """
    searches = [
        ProblemSearch(problem_id, question, search)
        for problem_id, question in problems.select("problem_id", "question").iter_rows()
    ]
    with tqdm(total=len(searches), desc=search.method, unit="problem") as bar:
        while running := [one for one in searches if not one.is_done]:
            requests = [one.requests(template, run_seed) for one in running]
            completions = iter(draw_all(engine, list(chain.from_iterable(requests))))
            drawn = [
                one.drawn(list(islice(completions, len(of_problem))))
                for one, of_problem in zip(running, requests, strict=True)
            ]
            questions = [
                one.question
                for one, trees in zip(running, drawn, strict=True)
                for paths in trees
                for _ in paths
            ]
            values = iter(_scores(score, questions, drawn, aggregation))
            for one, trees in zip(running, drawn, strict=True):
                one.select(
                    [[replace(path, score=next(values)) for path in paths] for paths in trees]
                )
            bar.update(sum(one.is_done for one in running))
    return searches


def best_solutions(searches: Sequence[ProblemSearch]) -> pl.DataFrame:
    """Return the best solution of each search: problem_id, text, finish_reason, score, num_tokens.

    If no path of a search finished, its text is empty and its finish reason is ``length``. The
    score is null if the reward model did not read the whole solution.
    """
    rows = []
    for one in searches:
        best, reason = one.best or Path(""), "stop" if one.best else "length"
        score = None if best.score == UNSCORED else best.score
        rows.append((one.problem_id, best.text, reason, score, one.num_tokens))
    names = ("problem_id", "text", "finish_reason", "score", "num_tokens")
    return pl.DataFrame(rows, schema=names, orient="row", schema_overrides={"score": pl.Float64})


def _scores(
    score: StepScores,
    questions: Sequence[str],
    drawn: Sequence[Sequence[Sequence[Path]]],
    aggregation: Aggregation,
) -> list[float]:
    """Return one score of each drawn path, in order."""
    paths = chain.from_iterable(chain.from_iterable(drawn))
    # A step may be blank: as a solution of one empty step it has a score like any other.
    steps = [split_steps(path.text) or [path.text] for path in paths]
    step_scores = pl.Series(score(questions, steps), dtype=pl.List(pl.Float64))
    values: list[float] = aggregate(step_scores, aggregation).fill_null(UNSCORED).to_list()
    return values
