"""Steps of solutions, prefixes to roll out, requests for them, and tables of their completions.

The ``collect_*`` functions take requests with the columns of their completions. They return all
columns of their table but the grading columns (answer, is_correct, grade_reason), which
resources/grading adds.
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate, count, islice

import polars as pl

from shepherd.identity import content_id, content_ids, seed_table
from shepherd.prompts import build_prompt
from shepherd.repeats import num_repeated_steps
from shepherd.requests import COMPLETIONS, numbered_requests
from shepherd.schemas import CANDIDATES, GREEDY_SOLUTIONS, ROLLOUTS, SOLUTIONS, STEPS, Table
from shepherd.splitting import Method, split_steps
from shepherd.thoughts import opening_of

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
    """Return the ``steps`` of solutions given as (solution id, problem id, texts of steps)."""
    solution_ids: list[str] = []
    problem_ids: list[str] = []
    counts: list[int] = []
    prefix_ids: list[str] = []
    step_texts: list[str] = []
    for solution_id, problem_id, texts in solutions:
        if texts:
            solution_ids.append(solution_id)
            problem_ids.append(problem_id)
            counts.append(len(texts))
            prefix_ids += content_ids(problem_id, accumulate(texts))
            step_texts += texts
    columns = {"solution_id": solution_ids, "problem_id": problem_ids, "num_steps": counts}
    counted = pl.DataFrame(columns, schema={name: STEPS.schema[name] for name in columns})
    return (
        counted.with_columns(step_index=pl.int_ranges(1, pl.col("num_steps") + 1))
        .explode("step_index")
        .with_columns(
            pl.Series("prefix_id", prefix_ids, dtype=pl.String),
            pl.Series("text", step_texts, dtype=pl.String),
            step_id=pl.format("{}:{}", "solution_id", "step_index"),
            is_last=pl.col("step_index") == pl.col("num_steps"),
        )
        .select(STEPS.schema.keys())
    )


def distinct_prefixes(steps: pl.DataFrame, problems: pl.DataFrame) -> pl.DataFrame:
    """Return each prefix that needs rollouts once, with the number of steps that it serves.

    Last steps need none: their label is the correctness of the solution. Rows are sorted by problem
    and prefix, so that neighbours share the longest beginning in an engine's prefix cache.
    """
    ordered = steps.sort("solution_id", "step_index")
    prefix, prefixes = "", []
    indices, texts = (ordered[name].to_list() for name in ("step_index", "text"))
    for step_index, text in zip(indices, texts, strict=True):
        prefix = text if step_index == 1 else prefix + text
        prefixes.append(prefix)
    return (
        ordered.with_columns(pl.Series("prefix", prefixes, dtype=pl.String))
        .filter(~pl.col("is_last"))
        .group_by("prefix_id")
        .agg(pl.col("problem_id", "prefix").first(), num_steps_served=pl.len().cast(pl.Int64))
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
) -> pl.DataFrame:
    """Return ``num_samples`` requests for each problem; ids are ``<problem_id>:<draw>``.

    The columns are those of ``REQUESTS``, problem_id and draw. The seed depends on stage,
    generator, problem and draw, so that two generators with the same weights draw different
    solutions.
    """
    identities = [content_id(generator, problem_id) for problem_id in problems["problem_id"]]
    prompts = [build_prompt(template, question) for question in problems["question"]]
    return numbered_requests(
        problems.select(
            "problem_id",
            pl.Series("prompt", prompts, dtype=pl.String),
            draw=pl.lit(list(range(num_samples)), pl.List(pl.Int64)),
        ),
        seed_table(run_seed, stage, identities, num_samples),
        numbers="draw",
        temperature=temperature,
        max_tokens=max_tokens,
    )


def rollout_requests(
    prefixes: pl.DataFrame, *, template: str, run_seed: int, temperature: float, max_tokens: int
) -> pl.DataFrame:
    """Return the requests of ``prefixes`` in their order; ids are ``<prefix_id>:<rollout_index>``.

    ``prefixes`` has prefix_id, problem_id, question, prefix and the list rollout_index. The result
    has the columns of ``REQUESTS``, prefix_id, problem_id and rollout_index.
    """
    questions = prefixes["question"].unique()
    opened = pl.DataFrame({"question": questions}).with_columns(
        pl.Series("opened", [build_prompt(template, one) for one in questions], dtype=pl.String)
    )
    start = pl.col("opened")
    if opening := opening_of(template):
        # A prefix of a thought holds the tag that the template opens it with.
        is_opened = pl.col("prefix").str.starts_with(opening)
        start = pl.when(is_opened).then(start.str.strip_suffix(opening)).otherwise(start)
    prompts = prefixes.join(opened, on="question", how="left", maintain_order="left")
    counts = 1 + prefixes["rollout_index"].list.last()
    return numbered_requests(
        prompts.select(
            "prefix_id",
            "problem_id",
            "rollout_index",
            prompt=start + pl.col("prefix"),
            prefix_length=pl.col("prefix").str.len_chars().cast(pl.Int64),
        ),
        seed_table(run_seed, "rollouts", prefixes["prefix_id"].to_list(), max(counts, default=0)),
        numbers="rollout_index",
        temperature=temperature,
        max_tokens=max_tokens,
    )


def completions_of(draws: pl.DataFrame, costs: pl.DataFrame) -> pl.DataFrame:
    """Return one model's rows of a table of draws as ``COMPLETIONS``, without errors.

    ``draws`` has request_id, text, finish_reason and num_tokens. Tables do not hold the cost of a
    single draw: each gets an equal part of ``costs``, the model's rows of the cost table.
    """
    columns = ("num_requests", "prompt_tokens", "cached_tokens", "thought_tokens", "seconds")
    num_requests, prompt, cached, thought, seconds = costs.select(columns).sum().row(0)
    # Greedy solutions have no costs.
    num_draws = max(num_requests, 1)
    return (
        draws.with_columns(
            prompt_tokens=_parts(prompt, num_draws),
            cached_tokens=_parts(cached, num_draws),
            seconds=pl.lit(seconds, pl.Float64) / num_draws,
            error=pl.lit(None, pl.String),
            thought_tokens=_parts(thought, num_draws),
        )
        .filter(pl.col("finish_reason") != "error")
        .select(COMPLETIONS.names())
    )


def _parts(total: int, count: int) -> pl.Expr:
    """Return ``count`` nearly equal integers that sum to ``total``, one a row."""
    row = pl.int_range(pl.len())
    return total * (row + 1) // count - total * row // count


def collect_rollouts(drawn: pl.DataFrame, completer: str) -> pl.DataFrame:
    """Return the completions of :func:`rollout_requests` as ungraded ``rollouts``."""
    return drawn.with_columns(completer=pl.lit(completer)).select(_ungraded(ROLLOUTS))


def collect_solutions(drawn: pl.DataFrame, generator: str) -> pl.DataFrame:
    """Return the distinct ungraded ``solutions`` of :func:`solution_requests`, in first-draw order.

    ``num_samples`` counts the draws of a text; the other columns are the first draw's. An error has
    the empty text. Of empty draws of one problem an error comes first, so that it is visible.
    """
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


def single_draws(solutions: pl.DataFrame, requests: pl.DataFrame) -> pl.DataFrame:
    """Return one generator's ``solutions`` with a row for each draw, and its index: ``draw``.

    This undoes :func:`collect_solutions` for the requests of :func:`solution_requests`. Seeds say
    which draw was the first of a text. Its copies are among the later draws of the problem, in an
    order on which :func:`collect_solutions` does not depend. A problem is left out if
    draws that ended in an error were merged, or if it has more draws than requests: which draws
    its copies were is then unknown.
    """
    seeds = requests.select("problem_id", "seed", "draw").unique(("problem_id", "seed"))
    num_requests = requests.group_by("problem_id").len("num_requests")
    num_draws = pl.col("num_samples").sum()
    is_merged_error = (pl.col("finish_reason") == "error") & (pl.col("num_samples") > 1)
    is_whole = (num_draws <= pl.col("num_requests").first()) & (pl.col("draw").max() < num_draws)
    firsts = (
        # The seed of a merged error is the error's, and need not be that of its first draw.
        solutions.filter(~is_merged_error.any().over("problem_id"))
        .join(seeds, on=("problem_id", "seed"))
        .join(num_requests, on="problem_id")
        .filter(is_whole.over("problem_id"))
        .sort("problem_id", "draw")
    )
    rows: list[int] = []
    draws: list[int] = []
    for _, problem in firsts.with_row_index("row").group_by("problem_id", maintain_order=True):
        indices = set(problem["draw"])
        copies = (draw for draw in count() if draw not in indices)
        for row, first, num_samples in problem.select("row", "draw", "num_samples").rows():
            rows += [row] * num_samples
            draws += [first, *islice(copies, num_samples - 1)]
    return firsts[rows].with_columns(pl.Series("draw", draws, dtype=pl.Int64))


def collect_candidates(drawn: pl.DataFrame, generator: str) -> pl.DataFrame:
    """Return the ungraded ``candidates`` of :func:`solution_requests`: duplicates stay."""
    ids = [
        content_id(problem_id, generator, str(draw))
        for problem_id, draw in drawn.select("problem_id", "draw").iter_rows()
    ]
    return drawn.with_columns(
        pl.Series("candidate_id", ids, dtype=pl.String), generator=pl.lit(generator)
    ).select(_ungraded(CANDIDATES))


def collect_greedy(drawn: pl.DataFrame, generator: str, *, method: Method = "auto") -> pl.DataFrame:
    """Return the ungraded ``greedy_solutions`` of :func:`solution_requests`, one a problem.

    ``method`` cuts them into steps.
    """
    steps = [split_steps(text, method) for text in drawn["text"]]
    return drawn.with_columns(
        generator=pl.lit(generator),
        num_steps=pl.Series([len(texts) for texts in steps], dtype=pl.Int64),
        num_repeated_steps=pl.Series(map(num_repeated_steps, steps), dtype=pl.Int64),
    ).select(_ungraded(GREEDY_SOLUTIONS))


def _ungraded(table: Table) -> list[str]:
    return [name for name in table.schema if name not in GRADING_COLUMNS]
