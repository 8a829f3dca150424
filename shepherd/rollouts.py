"""From solutions to steps, from steps to the prefixes worth completing, to requests and back.

The ``collect_*`` functions return every column of their table but the grading columns (answer,
is_correct, grade_reason): a verdict is not for this room. They take requests and completions in
the same order.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

import polars as pl

from shepherd.identity import content_id, derive_seeds
from shepherd.prompts import build_prompt
from shepherd.repeats import num_repeated_steps
from shepherd.requests import Completion, Request
from shepherd.scheduling import Draw
from shepherd.schemas import CANDIDATES, GREEDY_SOLUTIONS, ROLLOUTS, SOLUTIONS, STEPS, Table
from shepherd.splitting import Method, split_steps

GRADING_COLUMNS = ("answer", "is_correct", "grade_reason")

PREFIX_SCHEMA = {
    "prefix_id": pl.String(),
    "problem_id": pl.String(),
    "question": pl.String(),
    "prefix": pl.String(),
    "num_steps_served": pl.Int64(),
}


def split_solutions(solutions: pl.DataFrame, method: Method = "auto") -> pl.DataFrame:
    """Return the ``steps`` of ``solutions``, in their order; an empty text has none."""
    texts = solutions.select("solution_id", "problem_id", "text").iter_rows()
    return steps_of(
        (solution, problem, split_steps(text, method)) for solution, problem, text in texts
    )


def steps_of(solutions: Iterable[tuple[str, str, Sequence[str]]]) -> pl.DataFrame:
    """Return the ``steps`` of solutions that are cut already: (solution id, problem id, texts)."""
    columns: dict[str, list[object]] = {name: [] for name in STEPS.schema}
    for solution_id, problem_id, texts in solutions:
        count = len(texts)
        indices = range(1, count + 1)
        columns["step_id"] += [content_id(solution_id, str(index)) for index in indices]
        columns["solution_id"] += [solution_id] * count
        columns["problem_id"] += [problem_id] * count
        columns["step_index"] += indices
        columns["num_steps"] += [count] * count
        columns["text"] += texts
        columns["prefix_id"] += [content_id(problem_id, prefix) for prefix in accumulate(texts)]
        columns["is_last"] += [index == count for index in indices]
    return pl.DataFrame(columns, schema=STEPS.schema)


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
        requests += [
            Request(f"{problem_id}:{index}", prompt, seed, temperature, max_tokens)
            for index, seed in enumerate(
                derive_seeds(run_seed, stage, identity, range(num_samples))
            )
        ]
    return requests


def rollout_requests(
    draw: Draw, *, template: str, run_seed: int, temperature: float, max_tokens: int
) -> list[Request]:
    """Return the requests of a draw; ids are ``<prefix_id>:<index>``."""
    prompt = build_prompt(template, draw.problem.question, draw.prefix)
    seeds = derive_seeds(run_seed, "rollouts", draw.prefix_id, draw.indices)
    return [
        Request(f"{draw.prefix_id}:{index}", prompt, seed, temperature, max_tokens)
        for index, seed in zip(draw.indices, seeds, strict=True)
    ]


def collect_rollouts(
    draws: Sequence[Draw], completions: pl.DataFrame, completer: str
) -> pl.DataFrame:
    """Return ``completions``, a row for each rollout of ``draws`` in their order, as ``rollouts``.

    The result is by problem, prefix and index; it has the grading columns if these have them.
    """
    columns = {
        "problem_id": [draw.problem.problem_id for draw in draws],
        "prefix": [draw.prefix for draw in draws],
        "prefix_id": [draw.prefix_id for draw in draws],
        "start": [draw.indices.start for draw in draws],
        "stop": [draw.indices.stop for draw in draws],
    }
    texts = ("problem_id", "prefix", "prefix_id")
    dtypes = {name: pl.String() if name in texts else pl.Int64() for name in columns}
    end = (pl.col("stop") - pl.col("start")).cum_sum()
    asked = (
        pl.DataFrame(columns, schema=dtypes)
        .with_columns(rollout_index=pl.int_ranges("start", "stop"), end=end)
        .with_columns(row=pl.int_ranges(pl.col("end") - pl.col("stop") + pl.col("start"), "end"))
        # Draws are sorted, not their rollouts: there are fewer long texts to compare.
        .sort("problem_id", "prefix", "start")
        .explode("rollout_index", "row")
    )
    assert asked.height == completions.height
    rollouts = pl.concat(
        [asked.select("prefix_id", "problem_id", "rollout_index"), completions[asked["row"]]],
        how="horizontal",
    ).with_columns(completer=pl.lit(completer))
    return rollouts.select(name for name in ROLLOUTS.schema if name in rollouts.columns)


def completions_of(rollouts: pl.DataFrame, costs: pl.DataFrame) -> Iterator[Completion]:
    """Yield the completions that one completer's ``rollouts`` were, but for its errors.

    What one of them took is not kept in the table: each is given an equal part of ``costs``.
    """
    total = costs.select("num_requests", "prompt_tokens", "cached_tokens", "seconds").sum()
    count, prompt, cached, seconds = total.row(0)
    drawn = rollouts.select("prefix_id", "rollout_index", "text", "finish_reason", "num_tokens")
    for k, (prefix_id, index, text, finish_reason, num_tokens) in enumerate(drawn.iter_rows()):
        if finish_reason != "error":
            yield Completion(
                f"{prefix_id}:{index}",
                text,
                finish_reason,
                _part(prompt, count, k),
                _part(cached, count, k),
                num_tokens,
                seconds / count,
            )


def _part(total: int, count: int, k: int) -> int:
    """Return the k-th of ``count`` nearly equal whole numbers that sum to ``total``."""
    return total * (k + 1) // count - total * k // count


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


def collect_greedy(
    requests: Sequence[Request],
    completions: Sequence[Completion],
    generator: str,
    *,
    method: Method = "auto",
) -> pl.DataFrame:
    """Return the ungraded ``greedy_solutions`` of :func:`solution_requests`, one a problem.

    ``method`` cuts them into steps.
    """
    drawn = _drawn(requests, completions).rename({"asked": "problem_id"})
    steps = [split_steps(text, method) for text in drawn["text"]]
    return drawn.with_columns(
        generator=pl.lit(generator),
        num_steps=pl.Series([len(texts) for texts in steps], dtype=pl.Int64),
        num_repeated_steps=pl.Series(map(num_repeated_steps, steps), dtype=pl.Int64),
    ).select(_ungraded(GREEDY_SOLUTIONS))


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
