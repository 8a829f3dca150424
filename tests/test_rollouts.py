import polars as pl
from fake_engine import complete
from hypothesis import given, settings
from hypothesis import strategies as st

from shepherd.annotators.problem import Problem
from shepherd.identity import content_id, derive_seed
from shepherd.requests import Completion, Request
from shepherd.rollouts import (
    GRADING_COLUMNS,
    PREFIX_SCHEMA,
    collect_candidates,
    collect_rollouts,
    collect_solutions,
    distinct_prefixes,
    rollout_requests,
    solution_requests,
    split_solutions,
)
from shepherd.scheduling import Draw
from shepherd.schemas import CANDIDATES, ROLLOUTS, SOLUTIONS, STEPS, Table, enforce

PROBLEMS = pl.DataFrame({"problem_id": ["p", "q"], "question": ["How many?", "How much?"]})
A, B, C, D = (f"Step {k}: {k} + 1 = {k + 1}.\n" for k in range(1, 5))


def solutions(*texts: tuple[str, str]) -> pl.DataFrame:
    rows = [(f"s{index}", problem_id, text) for index, (problem_id, text) in enumerate(texts)]
    names = dict.fromkeys(("solution_id", "problem_id", "text"), pl.String)
    return pl.DataFrame(rows, schema=names, orient="row")


def ungraded(table: Table) -> list[str]:
    return [name for name in table.schema if name not in GRADING_COLUMNS]


def ask_problems(stage: str, generator: str, num_samples: int) -> list[Request]:
    return solution_requests(
        PROBLEMS,
        stage=stage,
        template="plain",
        generator=generator,
        run_seed=7,
        num_samples=num_samples,
        temperature=0.7,
        max_tokens=64,
    )


def ask_draw(draw: Draw) -> list[Request]:
    return rollout_requests(draw, template="plain", run_seed=7, temperature=0.7, max_tokens=64)


def a_draw(prefix: str, *indices: int) -> Draw:
    return Draw(Problem("p", "How many?", ()), prefix, content_id("p", prefix), range(*indices))


def test_steps_of_solutions() -> None:
    steps = split_solutions(solutions(("p", A + B + C), ("p", D), ("q", "")))
    assert enforce(STEPS, steps).equals(steps)
    assert steps.filter(solution_id="s0").to_dict(as_series=False) == {
        "step_id": [content_id("s0", str(k)) for k in (1, 2, 3)],
        "solution_id": ["s0"] * 3,
        "problem_id": ["p"] * 3,
        "step_index": [1, 2, 3],
        "num_steps": [3, 3, 3],
        "text": [A, B, C],
        "prefix_id": [content_id("p", prefix) for prefix in (A, A + B, A + B + C)],
        "is_last": [False, False, True],
    }
    assert steps.filter(solution_id="s1")["is_last"].to_list() == [True]
    assert steps.filter(solution_id="s2").is_empty()


def test_each_prefix_of_a_problem_stands_once_in_order() -> None:
    steps = split_solutions(
        solutions(("q", A + C + D), ("p", A + B + C), ("p", A + B), ("p", A + B + D), ("p", D))
    )
    prefixes = distinct_prefixes(steps.sample(fraction=1, shuffle=True, seed=0), PROBLEMS)
    assert prefixes.schema == PREFIX_SCHEMA
    assert prefixes.select("problem_id", "question", "prefix", "num_steps_served").rows() == [
        ("p", "How many?", A, 3),
        ("p", "How many?", A + B, 2),
        ("q", "How much?", A, 1),
        ("q", "How much?", A + C, 1),
    ]
    assert prefixes["prefix_id"].to_list() == [
        content_id("p", A),
        content_id("p", A + B),
        content_id("q", A),
        content_id("q", A + C),
    ]
    assert distinct_prefixes(STEPS.empty(), PROBLEMS).schema == PREFIX_SCHEMA


PIECES = st.lists(st.sampled_from([A, B, C]), min_size=1, max_size=4).map("".join)


@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.sampled_from("pq"), PIECES), max_size=8))
def test_prefixes_serve_exactly_the_steps_that_are_not_last(texts: list[tuple[str, str]]) -> None:
    steps = split_solutions(solutions(*texts))
    prefixes = distinct_prefixes(steps, PROBLEMS)
    needing = steps.filter(~pl.col("is_last"))
    assert prefixes["num_steps_served"].sum() == needing.height
    assert sorted(prefixes["prefix_id"]) == sorted(set(needing["prefix_id"]))
    assert prefixes["prefix_id"].is_unique().all()


def test_the_requests_of_a_draw() -> None:
    prefix_id = content_id("p", A)
    assert ask_draw(a_draw(A, 1, 3)) == [
        Request(
            id=f"{prefix_id}:{index}",
            prompt=f"How many?\n{A}",
            seed=derive_seed(7, "rollouts", prefix_id, index),
            temperature=0.7,
            max_tokens=64,
        )
        for index in (1, 2)
    ]


def test_seeds_of_solutions_differ_by_stage_generator_problem_and_draw() -> None:
    asked = [
        ask_problems(stage, generator, 3)
        for stage in ("solutions", "candidates")
        for generator in ("weak", "strong")
    ]
    assert [request.id for request in asked[0]] == ["p:0", "p:1", "p:2", "q:0", "q:1", "q:2"]
    seeds = [request.seed for requests in asked for request in requests]
    assert len(set(seeds)) == 24


def test_collected_rollouts_keep_errors_and_are_in_order() -> None:
    drawn = [a_draw(A + "boom", 0, 2), a_draw(A, 2, 3), a_draw(A, 2)]
    requests = [request for draw in drawn for request in ask_draw(draw)]
    names = ("text", "finish_reason", "num_tokens", "seed")
    made = [(c.text, c.finish_reason, c.num_tokens) for c in map(complete, requests)]
    rows = [(*row, request.seed) for row, request in zip(made, requests, strict=True)]
    completions = pl.DataFrame(rows, schema=names, orient="row")
    rollouts = collect_rollouts(drawn, completions, "big")
    assert rollouts.columns == ungraded(ROLLOUTS)
    assert rollouts["seed"].to_list() == [requests[row].seed for row in (3, 4, 2, 0, 1)]
    assert rollouts["rollout_index"].to_list() == [0, 1, 2, 0, 1]
    assert rollouts["problem_id"].unique().to_list() == ["p"]
    assert rollouts["finish_reason"].to_list() == ["stop"] * 3 + ["error"] * 2
    assert rollouts["text"].to_list()[3:] == ["", ""]


def draws(*texts: str) -> tuple[list[Request], list[Completion]]:
    """Return requests for the problem p and completions of these texts; ``error`` is one."""
    requests = [Request(f"p:{i}", "How many?\n", 100 + i, 0.7, 64) for i in range(len(texts))]
    completions = [
        Completion(request.id, "", "error", 3, 0, 0, 0.0, "why")
        if text == "error"
        else Completion(request.id, text, "stop", 3, 0, len(text), 0.1)
        for request, text in zip(requests, texts, strict=True)
    ]
    return requests, completions


def test_collected_solutions_are_distinct_and_counted() -> None:
    found = collect_solutions(*draws("b", "a", "b", "b"), "weak")
    assert found.columns == ungraded(SOLUTIONS)
    assert found.select("solution_id", "text", "num_samples", "seed", "num_tokens").rows() == [
        (content_id("p", "weak", "b"), "b", 3, 100, 1),
        (content_id("p", "weak", "a"), "a", 1, 101, 1),
    ]


def test_an_error_shows_beside_an_empty_solution() -> None:
    found = collect_solutions(*draws("", "a", "error"), "weak")
    assert found.select("text", "finish_reason", "num_samples").rows() == [
        ("", "error", 2),
        ("a", "stop", 1),
    ]


def test_collected_candidates_keep_duplicates() -> None:
    found = collect_candidates(*draws("b", "a", "b"), "weak")
    assert found.columns == ungraded(CANDIDATES)
    assert found["text"].to_list() == ["b", "a", "b"]
    assert found["candidate_id"].to_list() == [content_id("p", "weak", str(k)) for k in range(3)]


def test_nothing_asked_gives_empty_frames() -> None:
    assert collect_candidates([], [], "weak").is_empty()
    assert collect_solutions([], [], "weak").columns == ungraded(SOLUTIONS)
    nothing = ROLLOUTS.empty().select("text", "finish_reason", "num_tokens", "seed")
    assert collect_rollouts([], nothing, "big").columns == ungraded(ROLLOUTS)
