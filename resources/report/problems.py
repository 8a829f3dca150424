"""Read what the report shows of single problems: solutions, steps, labels, scores, rollouts."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import duckdb
import polars as pl

from resources.storage.sql_files import SQL_ROOT, SqlModel, in_order, read_layers, sql_models
from shepherd.splitting import Method, split_steps

LIMITS = {"problems": 150, "solutions": 16, "rollouts": 16, "characters": 4000}
"""The most that the page holds: problems of a dataset and split, distinct solutions of a problem,
rollouts of a prefix and completer, characters of a text."""

Json = dict[str, Any]
"""A JSON object: a row of a query, or a part of the page's data."""
Methods = Mapping[str, Method]
"""How the candidates of a dataset are split into steps; ``auto`` for a dataset that is missing."""


def problems_on_page(connection: duckdb.DuckDBPyConnection, methods: Methods) -> list[Json]:
    """Return the problems of the page, each with its solutions, their steps and rollouts."""
    for name in ("problems", "solutions", "rollouts"):
        connection.execute(f"set variable max_{name} = {LIMITS[name]}")
    for query in report_queries():
        connection.execute(f"create temp table {query.name} as {query.sql}")
    solutions = _solutions(connection)
    rollouts = _rollouts(connection)
    for problem_id, candidates in _candidates(connection, methods).items():
        solutions[problem_id] += candidates
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
        for problem in rows_of(connection, "report_problems")
    ]


def _solutions(connection: duckdb.DuckDBPyConnection) -> dict[str, list[Json]]:
    """Return the annotated solutions of the page by problem."""
    labels: dict[str, Json] = defaultdict(dict)
    for row in rows_of(connection, "report_labels"):
        labels[row["step_id"]][row["annotator"]] = [row["hard"], row["soft"]]
    steps: dict[str, list[Json]] = defaultdict(list)
    for row in rows_of(connection, "report_steps"):
        steps[row["solution_id"]].append(
            {
                "text": cut(row["step_text"]),
                "labels": labels[row["step_id"]],
                "prefix": None if row["is_last"] else row["prefix_id"],
            }
        )
    solutions: dict[str, list[Json]] = defaultdict(list)
    for row in rows_of(connection, "report_solutions"):
        solutions[row["problem_id"]].append(_solution(row, steps[row["solution_id"]]))
    return solutions


def _candidates(connection: duckdb.DuckDBPyConnection, methods: Methods) -> dict[str, list[Json]]:
    """Return the candidates of the page by problem, with the scores of both reward models."""
    candidates: dict[str, list[Json]] = defaultdict(list)
    for row in rows_of(connection, "report_candidates"):
        texts = split_steps(row["solution_text"], methods.get(row["dataset"], "auto"))
        scores = row["step_scores"]
        aligned = scores if scores and len(scores) == len(texts) else [None] * len(texts)
        steps: list[Json] = [
            {
                "text": cut(text),
                "labels": {},
                "prefix": None,
                "score": _rounded(score),
                "unscored": aligned is scores and score is None,
            }
            for text, score in zip(texts, aligned, strict=True)
        ]
        outcome = row["outcome_scores"][0] if row["outcome_scores"] else None
        candidates[row["problem_id"]].append(
            {**_solution(row, steps), "outcome": _rounded(outcome)}
        )
    return candidates


def _solution(row: Json, steps: list[Json]) -> Json:
    return {
        "generator": row["generator"],
        **_answer(row),
        "draws": row["num_samples"],
        "steps": steps,
    }


def _rollouts(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, list[Json]]]:
    """Return the rollouts of the page by problem and prefix."""
    rollouts: dict[str, dict[str, list[Json]]] = defaultdict(lambda: defaultdict(list))
    for row in rows_of(connection, "report_rollouts"):
        rollouts[row["problem_id"]][row["prefix_id"]].append(
            {"text": cut(row["rollout_text"]), **_answer(row), "finish": row["finish_reason"]}
        )
    return rollouts


def _answer(row: Json) -> Json:
    answer = None if row["answer"] is None else cut(row["answer"])
    return {"answer": answer, "correct": row["is_correct"]}


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 4)


def cut(text: str) -> str:
    """Return the first characters of a text, with the number of characters that follow."""
    limit = LIMITS["characters"]
    more = len(text) - limit
    return text if more <= 0 else f"{text[:limit]} … ({more:,} more characters)"


def report_queries() -> list[SqlModel]:
    """Return the queries of ``dbt_like_sql/report``, each after those that it reads."""
    models = [model.name for model in sql_models()]
    return in_order(read_layers(SQL_ROOT, ["report"]), known=models)


def rows_of(connection: duckdb.DuckDBPyConnection, relation: str) -> list[Json]:
    """Return the rows of a relation, with floats rounded to nine digits."""
    rows = connection.sql(f"from {relation}").pl()
    # DuckDB adds up in no fixed order: the last digits of a mean differ between runs.
    rounded: list[Json] = rows.with_columns(pl.selectors.float().round(9)).to_dicts()
    return rounded
