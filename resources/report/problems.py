"""Read what the report shows of single problems: solutions, steps, labels, scores, rollouts."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import duckdb
import polars as pl

from resources.storage.sql_files import SQL_ROOT, SqlModel, in_order, read_layers, sql_models
from shepherd.splitting import Method, split_steps

LIMITS = {"page_solutions": 100_000, "solutions": 16, "rollouts": 16, "characters": 4000}
"""The most that the page holds: distinct solutions, those of one problem, rollouts of a prefix and
completer, characters of a text."""

CHUNK_PROBLEMS = 100
"""Problems whose rollouts are read at once."""

LISTED_CHARACTERS = 200
"""Characters of a question that the list of problems shows."""

Json = dict[str, Any]
"""A JSON object: a row of a query, or a part of the page's data."""
Methods = Mapping[str, Method]
"""How the candidates of a dataset are split into steps; ``auto`` for a dataset that is missing."""


class PageProblem(NamedTuple):
    """A problem of the page, in the parts that a browser reads at different times."""

    facts: Json
    """What filters and lists need: no texts but the beginning of the question."""
    texts: Json
    """The whole question, and for each solution the texts and the prefixes of its steps."""
    rollouts: dict[str, list[Json]]
    """The rollouts of each prefix."""


def problems_on_page(
    connection: duckdb.DuckDBPyConnection, methods: Methods
) -> Iterator[PageProblem]:
    """Yield the problems of the page, each with its solutions, their steps and rollouts."""
    for name in ("page_solutions", "solutions", "rollouts"):
        connection.execute(f"set variable max_{name} = {LIMITS[name]}")
    connection.execute("set variable chunk = []::varchar[]")
    for query in report_queries():
        kind = "view" if query.name == "report_rollouts" else "table"
        connection.execute(f"create temp {kind} {query.name} as {query.sql}")
    solutions = _solutions(connection)
    for problem_id, candidates in _candidates(connection, methods).items():
        solutions[problem_id] += candidates
    problems = rows_of(connection, "report_problems")
    for first in range(0, len(problems), CHUNK_PROBLEMS):
        chunk = problems[first : first + CHUNK_PROBLEMS]
        ids = [problem["problem_id"] for problem in chunk]
        connection.execute("set variable chunk = $ids", {"ids": ids})
        rollouts = _rollouts(connection)
        for problem in chunk:
            problem_id = problem["problem_id"]
            yield _problem(problem, solutions.pop(problem_id, []), rollouts[problem_id])


def _problem(problem: Json, solutions: list[Json], rollouts: dict[str, list[Json]]) -> PageProblem:
    question = cut(problem["question"])
    texts, prefixes = ([one.pop(name) for one in solutions] for name in ("steps", "prefixes"))
    for solution, ids in zip(solutions, prefixes, strict=True):
        solution["rollouts"] = [len(rollouts.get(prefix, ())) for prefix in ids]
    facts = {
        "id": problem["problem_id"],
        "dataset": problem["dataset"],
        "split": problem["split"],
        "question": question[:LISTED_CHARACTERS],
        "gold": cut(problem["gold_answer"]),
        "level": problem["level"],
        "draws": [problem["num_correct"], problem["num_draws"]],
        "distinct": problem["num_distinct"],
        "solutions": solutions,
    }
    return PageProblem(
        facts, {"question": question, "steps": texts, "prefixes": prefixes}, rollouts
    )


def _solutions(connection: duckdb.DuckDBPyConnection) -> dict[str, list[Json]]:
    """Return the annotated solutions of the page by problem."""
    labels: dict[str, Json] = defaultdict(lambda: {"hard": {}, "soft": {}})
    for row in rows_of(connection, "report_labels"):
        of_solution = labels[row["solution_id"]]
        of_solution["hard"][row["annotator"]] = row["hard_labels"]
        if any(soft is not None for soft in row["soft_labels"]):
            of_solution["soft"][row["annotator"]] = row["soft_labels"]
    solutions: dict[str, list[Json]] = defaultdict(list)
    for row in rows_of(connection, "report_solutions"):
        solutions[row["problem_id"]].append(
            {
                **_solution(row, row["step_texts"]),
                **_scores(row["step_scores"], row["step_texts"]),
                **labels[row["solution_id"]],
                "prefixes": row["prefix_ids"],
            }
        )
    return solutions


def _candidates(connection: duckdb.DuckDBPyConnection, methods: Methods) -> dict[str, list[Json]]:
    """Return the candidates of the page by problem, with the scores of both reward models."""
    candidates: dict[str, list[Json]] = defaultdict(list)
    for row in rows_of(connection, "report_candidates"):
        texts = split_steps(row["solution_text"], methods.get(row["dataset"], "auto"))
        solution = _solution({**row, "solution_id": row["candidate_id"]}, texts)
        solution |= _scores(row["step_scores"], texts)
        if row["outcome_scores"]:
            solution["outcome"] = _rounded(row["outcome_scores"][0])
        candidates[row["problem_id"]].append({**solution, "hard": {}, "soft": {}, "prefixes": []})
    return candidates


def _solution(row: Json, texts: list[str]) -> Json:
    cut_texts = [cut(text) for text in texts]
    solution = {
        "id": row["solution_id"],
        "generator": row["generator"],
        **_answer(row),
        "draws": row["num_samples"],
        "length": len(texts),
        "steps": cut_texts,
    }
    return solution if cut_texts == texts else {**solution, "cut": True}


def _scores(scores: list[float | None] | None, texts: list[str]) -> Json:
    """Return the scores of the steps; nothing where the steps were scored as cut otherwise."""
    if not scores or len(scores) != len(texts):
        return {}
    return {"scores": [_rounded(score) for score in scores]}


def _rollouts(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, list[Json]]]:
    """Return the rollouts of a chunk of the page by problem and prefix."""
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
