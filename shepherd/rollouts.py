"""From solutions to steps, from steps to the prefixes worth completing, to requests and back.

The ``collect_*`` functions return every column of their table but the grading columns (answer,
is_correct, grade_reason): a verdict is not for this room. They take requests and completions in
the same order.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import accumulate

import polars as pl

from shepherd.identity import content_id, derive_seed
from shepherd.prompts import build_prompt
from shepherd.requests import Completion, Request
from shepherd.scheduling import Draw
from shepherd.schemas import CANDIDATES, ROLLOUTS, SOLUTIONS, STEPS, Table
from shepherd.splitting import split_steps

GRADING_COLUMNS = ("answer", "is_correct", "grade_reason")

_prompt_of = lru_cache(maxsize=256)(build_prompt)
"""Rollouts of one prefix are asked for one after the other."""

PREFIX_SCHEMA = {
    "prefix_id": pl.String(),
    "problem_id": pl.String(),
    "question": pl.String(),
    "prefix": pl.String(),
    "num_steps_served": pl.Int64(),
}


def split_solutions(solutions: pl.DataFrame) -> pl.DataFrame:
    """Return the ``steps`` of ``solutions``, in their order; an empty text has none."""
    texts = solutions.select("solution_id", "problem_id", "text").iter_rows()
    return steps_of((solution, problem, split_steps(text)) for solution, problem, text in texts)


def steps_of(solutions: Iterable[tuple[str, str, Sequence[str]]]) -> pl.DataFrame:
    """Return the ``steps`` of solutions that are cut already: (solution id, problem id, texts)."""
    rows = [
        (
            content_id(solution_id, str(index)),
            solution_id,
            problem_id,
            index,
            len(texts),
            text,
            content_id(problem_id, prefix),
            index == len(texts),
        )
        for solution_id, problem_id, texts in solutions
        for index, (text, prefix) in enumerate(zip(texts, accumulate(texts), strict=True), start=1)
    ]
    return pl.DataFrame(rows, schema=STEPS.schema, orient="row")


def distinct_prefixes(steps: pl.DataFrame, problems: pl.DataFrame) -> pl.DataFrame:
    """Return each prefix that needs rollouts once, with how many steps it serves.

    Final steps need none: their label is the solution's own correctness. Ordered by problem,
    then by prefix, so that neighbours share the longest prefill in an engine's prefix cache.
    """
    texts = (
        steps.sort("solution_id", "step_index")
        .group_by("solution_id", maintain_order=True)
        .agg("text", "problem_id", "prefix_id", "is_last")
    )
    prefixes = pl.Series(
        "prefix",
        [list(accumulate(parts)) for parts in texts["text"].to_list()],
        dtype=pl.List(pl.String),
    )
    return (
        texts.with_columns(prefixes)
        .explode("problem_id", "prefix_id", "is_last", "prefix")
        .filter(~pl.col("is_last"))
        .group_by("problem_id", "prefix_id", "prefix")
        .agg(num_steps_served=pl.len().cast(pl.Int64))
        .join(problems.select("problem_id", "question"), on="problem_id")
        .sort("problem_id", "prefix")
        .select(PREFIX_SCHEMA.keys())
    )


def solution_requests(
    problems: pl.DataFrame,
    *,
    stage: str,
    template: str,
    generator: str,
    run_seed: int,
    num_samples: int,
    temperature: float,
    max_tokens: int,
) -> list[Request]:
    """Return ``num_samples`` requests for each problem; ids are ``<problem_id>:<index>``.

    The seed depends on stage, generator, problem and index, so that two generators of the same
    weights still draw apart.
    """
    requests = []
    for problem_id, question in problems.select("problem_id", "question").iter_rows():
        prompt = build_prompt(template, question)
        identity = content_id(generator, problem_id)
        for index in range(num_samples):
            seed = derive_seed(run_seed, stage, identity, index)
            requests.append(Request(f"{problem_id}:{index}", prompt, seed, temperature, max_tokens))
    return requests


def rollout_request(
    draw: Draw, *, template: str, run_seed: int, temperature: float, max_tokens: int
) -> Request:
    """Return the request of one rollout; its id is ``<prefix_id>:<index>``."""
    prompt = _prompt_of(template, draw.problem.question, draw.prefix)
    seed = derive_seed(run_seed, "rollouts", draw.prefix_id, draw.rollout_index)
    return Request(draw.request_id, prompt, seed, temperature, max_tokens)


def collect_rollouts(
    draws: Sequence[Draw],
    requests: Sequence[Request],
    completions: Sequence[Completion],
    completer: str,
) -> pl.DataFrame:
    """Return the ungraded ``rollouts`` of draws, in their order; errors are rows as well."""
    columns = {
        "prefix_id": [draw.prefix_id for draw in draws],
        "problem_id": [draw.problem.problem_id for draw in draws],
        "completer": [completer] * len(draws),
        "rollout_index": [draw.rollout_index for draw in draws],
        "text": [completion.text for completion in completions],
        "finish_reason": [completion.finish_reason for completion in completions],
        "num_tokens": [completion.num_tokens for completion in completions],
        "seed": [request.seed for request in requests],
    }
    return pl.DataFrame(columns, schema={name: ROLLOUTS.schema[name] for name in columns}).select(
        _ungraded(ROLLOUTS)
    )


def collect_solutions(
    requests: Sequence[Request], completions: Sequence[Completion], generator: str
) -> pl.DataFrame:
    """Return the distinct ungraded ``solutions`` of :func:`solution_requests`, in first-draw order.

    ``num_samples`` counts the draws of a text; the rest is the first draw's. An error has the
    empty text and stands for any empty draw of its problem, so that it shows.
    """
    drawn = _drawn(requests, completions).rename({"asked": "problem_id"})
    distinct = (
        drawn.with_row_index("order")
        .sort(pl.col("finish_reason") != "error", "order")
        .group_by("problem_id", "text", maintain_order=True)
        .agg(
            pl.col("order").min(),
            pl.col("finish_reason", "num_tokens", "seed").first(),
            num_samples=pl.len().cast(pl.Int64),
        )
        .sort("order")
        .with_columns(generator=pl.lit(generator))
    )
    ids = [
        content_id(problem_id, generator, text)
        for problem_id, text in distinct.select("problem_id", "text").iter_rows()
    ]
    return distinct.with_columns(pl.Series("solution_id", ids, dtype=pl.String)).select(
        _ungraded(SOLUTIONS)
    )


def collect_candidates(
    requests: Sequence[Request], completions: Sequence[Completion], generator: str
) -> pl.DataFrame:
    """Return the ungraded ``candidates`` of :func:`solution_requests`; duplicates are votes."""
    drawn = (
        _drawn(requests, completions)
        .rename({"asked": "problem_id"})
        .with_columns(generator=pl.lit(generator))
    )
    ids = [
        content_id(problem_id, generator, str(draw))
        for problem_id, draw in drawn.select("problem_id", "draw").iter_rows()
    ]
    return drawn.with_columns(pl.Series("candidate_id", ids, dtype=pl.String)).select(
        _ungraded(CANDIDATES)
    )


def _drawn(requests: Sequence[Request], completions: Sequence[Completion]) -> pl.DataFrame:
    """Return one row per request: what was asked (the id before the colon), and what came."""
    rows = []
    for request, completion in zip(requests, completions, strict=True):
        assert request.id == completion.request_id
        asked, index = request.id.rsplit(":", 1)
        rows.append(
            (
                asked,
                int(index),
                completion.text,
                completion.finish_reason,
                completion.num_tokens,
                request.seed,
            )
        )
    return pl.DataFrame(
        rows,
        schema={
            "asked": pl.String(),
            "draw": pl.Int64(),
            "text": pl.String(),
            "finish_reason": pl.String(),
            "num_tokens": pl.Int64(),
            "seed": pl.Int64(),
        },
        orient="row",
    )


def _ungraded(table: Table) -> list[str]:
    return [name for name in table.schema if name not in GRADING_COLUMNS]
