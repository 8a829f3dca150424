"""The report: one HTML page that holds everything it shows and asks no network for anything.

Data goes in as compressed, base64-coded JSON and comes out through ``textContent`` alone, and
the page's own policy lets no script run but its own: whatever a model wrote stays text.
"""

import base64
import gzip
import hashlib
import html
import json
import uuid
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from shepherd.splitting import Method, split_steps

MAX_PROBLEMS = 150
"""Problems of a dataset and split on the page; those with a suspicious solution come first."""
MAX_SOLUTIONS = 16
"""Distinct solutions of a problem on the page."""
MAX_ROLLOUTS = 16
"""Rollouts of a prefix on the page."""
MAX_CHARACTERS = 4000
"""Characters of a text on the page."""

PAGE = Path(__file__).resolve().parent / "report_page"
SCRIPTS = (
    "dom",
    "data",
    "charts",
    "overview",
    "verification",
    "labels",
    "cost",
    "study",
    "problems",
    "solutions",
    "page",
)
"""The page's scripts, each after those that it needs when it is read."""
MARTS = {
    "dataset_counts": "overview",
    "verification_results": "verification",
    "label_quality": "labels",
    "label_agreement": "labels",
    "calibration_bins": "labels",
    "rollout_budgets": "labels",
    "estimates_by_budget": "labels",
    "annotation_cost": "cost",
    "annotator_costs": "cost",
    "sampling_costs": "cost",
    "grading_reasons": "grading",
    "completion_endings": "grading",
}
"""The marts on the page, and the section that shows each."""

RESULT_FIELDS = ("name", "value", "unit", "baseline", "target", "met")
"""What a benchmark tells of each measure."""

Row = dict[str, Any]
Methods = Mapping[str, Method]
"""How candidates are cut into steps, by dataset; ``auto`` where it does not say."""


def build_report(
    warehouse: Path, study: Path, out: Path, *, profile: str, methods: Methods | None = None
) -> None:
    """Write the report of a warehouse; equal warehouses give equal bytes.

    ``study`` is a folder of benchmark results, which need not exist.

    Raises:
        ValueError: there is no warehouse, or a file of the study holds no results.
    """
    if not warehouse.is_file():
        raise ValueError(f"{warehouse}: no such file: build it with shepherd warehouse build")
    with duckdb.connect(warehouse, read_only=True) as connection:
        content = {
            "profile": profile,
            "limits": {
                "problems": MAX_PROBLEMS,
                "solutions": MAX_SOLUTIONS,
                "rollouts": MAX_ROLLOUTS,
                "characters": MAX_CHARACTERS,
            },
            "marts": {mart: _rows(connection, f"from {mart}") for mart in MARTS},
            "studies": _studies(study),
            "problems": _problems(connection, methods or {}),
        }
    out.parent.mkdir(parents=True, exist_ok=True)
    aside = out.with_name(f".{out.name}.{uuid.uuid4().hex}.tmp")
    try:
        aside.write_text(render(content), encoding="utf-8")
        aside.replace(out)
    finally:
        aside.unlink(missing_ok=True)


def render(content: Row) -> str:
    """Return the page of some content: profile, limits, marts, studies and problems."""
    script = "".join((PAGE / f"{name}.js").read_text() for name in SCRIPTS)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    problems = content["problems"]
    # Rollouts are nearly all of the data: each problem's are unpacked once a step is unfolded.
    counted = [
        {**problem, "rollouts": {at: len(drawn) for at, drawn in problem["rollouts"].items()}}
        for problem in problems
    ]
    parts = {
        "PROFILE": html.escape(content["profile"]),
        "POLICY": f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'",
        "STYLE": (PAGE / "style.css").read_text(),
        "DATA": _packed({**content, "problems": counted}),
        "ROLLOUTS": "\n".join(_packed(problem["rollouts"]) for problem in problems),
        "SCRIPT": script,
    }
    page = (PAGE / "page.html").read_text()
    pieces = page.split("%%")
    assert set(parts) <= set(pieces)
    return "".join(parts.get(piece, piece) for piece in pieces)


def _packed(data: Row) -> str:
    compressed = gzip.compress(json.dumps(data).encode(), mtime=0)
    return base64.b64encode(compressed).decode()


def _rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[Row]:
    rows = connection.sql(query).pl()
    # DuckDB adds up in no fixed order, so the last digits of a mean differ between runs.
    settled: list[Row] = rows.with_columns(pl.selectors.float().round(9)).to_dicts()
    return settled


def _studies(folder: Path) -> list[Row]:
    """Return what benchmarks printed as JSON, in the order of their files' names."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            study = json.loads(path.read_text(encoding="utf-8"))
            results = [{field: row[field] for field in RESULT_FIELDS} for row in study["results"]]
            found.append(
                {"name": study["benchmark"], "command": study["command"], "results": results}
            )
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path}: not the results of a benchmark ({error!r}): write it with "
                "python -m benchmarks.NAME --json"
            ) from error
    return found


def _problems(connection: duckdb.DuckDBPyConnection, methods: Methods) -> list[Row]:
    """Return the problems on the page, each with its solutions, their steps and rollouts."""
    connection.execute(f"""
        create temp table shown as
        select problems.*
        from stg_problems as problems
        where problem_id in (select problem_id from int_draws)
        qualify row_number() over (
            partition by dataset, split
            order by
                problem_id not in (select problem_id from suspicious_solutions), problem_id
        ) <= {MAX_PROBLEMS}
    """)
    solutions = _solutions(connection, methods)
    rollouts = _rollouts(connection)
    return [
        {
            "id": problem["problem_id"],
            "dataset": problem["dataset"],
            "split": problem["split"],
            "question": cut(problem["question"]),
            "gold": cut(problem["gold_answer"]),
            "level": problem["level"],
            "draws": [problem["num_correct"], problem["num_draws"]],
            "distinct": problem["num_distinct"],
            "solutions": solutions[problem["problem_id"]],
            "rollouts": rollouts[problem["problem_id"]],
        }
        for problem in _rows(
            connection,
            """
            select
                shown.*,
                sum(num_samples)::bigint as num_draws,
                coalesce(sum(num_samples) filter (where is_correct), 0)::bigint as num_correct,
                count(*) as num_distinct
            from shown
            inner join (
                select problem_id, is_correct, num_samples from stg_solutions
                union all
                select problem_id, any_value(is_correct), count(*)
                from stg_candidates
                group by problem_id, generator, solution_text
            ) using (problem_id)
            group by all
            order by dataset, split desc, problem_id
            """,
        )
    ]


def _solutions(connection: duckdb.DuckDBPyConnection, methods: Methods) -> dict[str, list[Row]]:
    """Return the solutions on the page by problem: annotated ones, then scored candidates."""
    labels: dict[str, Row] = defaultdict(dict)
    for row in _rows(
        connection,
        """
        select step_id, annotator, hard, soft
        from int_labelled_steps
        where problem_id in (select problem_id from shown)
        order by step_id, annotator
        """,
    ):
        labels[row["step_id"]][row["annotator"]] = [row["hard"], row["soft"]]
    steps: dict[str, list[Row]] = defaultdict(list)
    for row in _rows(
        connection,
        """
        select solution_id, step_id, step_text, prefix_id, is_last
        from stg_steps
        where problem_id in (select problem_id from shown)
        order by solution_id, step_index
        """,
    ):
        steps[row["solution_id"]].append(
            {
                "text": cut(row["step_text"]),
                "labels": labels[row["step_id"]],
                "prefix": None if row["is_last"] else row["prefix_id"],
            }
        )
    found: dict[str, list[Row]] = defaultdict(list)
    for row in _rows(
        connection,
        f"""
        select solution_id, problem_id, generator, solution_text, answer, is_correct, num_samples
        from stg_solutions
        where problem_id in (select problem_id from shown)
        qualify row_number() over (
            partition by problem_id order by num_samples desc, solution_id
        ) <= {MAX_SOLUTIONS}
        order by problem_id, is_correct desc, num_samples desc, solution_id
        """,
    ):
        found[row["problem_id"]].append(_solution(row, steps[row["solution_id"]]))
    for row in _candidates(connection):
        texts = split_steps(row["solution_text"], methods.get(row["dataset"], "auto"))
        scores = row["step_scores"]
        aligned = scores if scores and len(scores) == len(texts) else [None] * len(texts)
        parts: list[Row] = [
            {"text": cut(text), "labels": {}, "prefix": None, "score": _rounded(score)}
            for text, score in zip(texts, aligned, strict=True)
        ]
        outcome = row["outcome_scores"][0] if row["outcome_scores"] else None
        found[row["problem_id"]].append({**_solution(row, parts), "outcome": _rounded(outcome)})
    return found


def _candidates(connection: duckdb.DuckDBPyConnection) -> list[Row]:
    """Return the distinct candidates with the best scores of the process reward model."""
    return _rows(
        connection,
        f"""
        with distinct_candidates as (
            select
                problem_id,
                generator,
                solution_text,
                arg_min(candidate_id, draw) as candidate_id,
                any_value(answer) as answer,
                any_value(is_correct) as is_correct,
                count(*) as num_samples,
                any_value(dataset) as dataset
            from stg_candidates
            inner join shown using (problem_id)
            group by problem_id, generator, solution_text
        )

        select
            drawn.*,
            process.step_scores,
            outcome.step_scores as outcome_scores
        from distinct_candidates as drawn
        left join stg_candidate_scores as process
            on process.candidate_id = drawn.candidate_id
            and process.reward_model = 'process_reward_model'
        left join stg_candidate_scores as outcome
            on outcome.candidate_id = drawn.candidate_id
            and outcome.reward_model = 'outcome_reward_model'
        qualify row_number() over (
            partition by drawn.problem_id
            order by list_min(process.step_scores) desc nulls last, drawn.candidate_id
        ) <= {MAX_SOLUTIONS}
        order by
            drawn.problem_id, list_min(process.step_scores) desc nulls last, drawn.candidate_id
        """,
    )


def _solution(row: Row, steps: list[Row]) -> Row:
    return {
        "generator": row["generator"],
        "answer": None if row["answer"] is None else cut(row["answer"]),
        "correct": row["is_correct"],
        "draws": row["num_samples"],
        "steps": steps,
    }


def _rollouts(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, list[Row]]]:
    """Return the rollouts on the page by problem and prefix."""
    found: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in _rows(
        connection,
        f"""
        select problem_id, prefix_id, rollout_text, answer, is_correct, finish_reason
        from stg_rollouts
        where rollout_index < {MAX_ROLLOUTS} and problem_id in (select problem_id from shown)
        order by problem_id, prefix_id, completer, rollout_index
        """,
    ):
        found[row["problem_id"]][row["prefix_id"]].append(
            {
                "text": cut(row["rollout_text"]),
                "answer": None if row["answer"] is None else cut(row["answer"]),
                "correct": row["is_correct"],
                "finish": row["finish_reason"],
            }
        )
    return found


def cut(text: str) -> str:
    """Return a text as the page shows it: what is past its limit is counted instead."""
    more = len(text) - MAX_CHARACTERS
    return text if more <= 0 else f"{text[:MAX_CHARACTERS]} … ({more:,} more characters)"


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 4)
