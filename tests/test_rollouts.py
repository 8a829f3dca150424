import polars as pl
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shepherd.identity import content_id, derive_seed
from shepherd.requests import COMPLETIONS, Completion, Request, completion_rows, request_rows
from shepherd.rollouts import (
    GRADING_COLUMNS,
    PREFIX_SCHEMA,
    collect_candidates,
    collect_solutions,
    completions_of,
    distinct_prefixes,
    rollout_requests,
    single_draws,
    solution_requests,
    split_solutions,
)
from shepherd.schemas import CANDIDATES, SOLUTIONS, STEPS, Table, enforce

PROBLEMS = pl.DataFrame({"problem_id": ["p", "q"], "question": ["How many?", "How much?"]})
A, B, C, D = (f"Step {k}: {k} + 1 = {k + 1}.\n" for k in range(1, 5))


def solutions(*texts: tuple[str, str]) -> pl.DataFrame:
    rows = [(f"s{index}", problem_id, text) for index, (problem_id, text) in enumerate(texts)]
    names = dict.fromkeys(("solution_id", "problem_id", "text"), pl.String)
    return pl.DataFrame(rows, schema=names, orient="row")


def ungraded(table: Table) -> list[str]:
    return [name for name in table.schema if name not in GRADING_COLUMNS]


def ask_problems(stage: str, generator: str, num_samples: int) -> pl.DataFrame:
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


def test_steps_of_solutions() -> None:
    steps = split_solutions(solutions(("p", A + B + C), ("p", D), ("q", "")))
    assert enforce(STEPS, steps).equals(steps)
    assert steps.filter(solution_id="s0").to_dict(as_series=False) == {
        "step_id": ["s0:1", "s0:2", "s0:3"],
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


def test_the_requests_of_a_prefix() -> None:
    prefix_id = content_id("p", A)
    prefixes = pl.DataFrame(
        {
            "prefix_id": [prefix_id, content_id("p", A + B)],
            "problem_id": ["p", "p"],
            "question": ["How many?", "How many?"],
            "prefix": [A, A + B],
            "rollout_index": [[1, 2], [20]],
        }
    )
    asked = rollout_requests(prefixes, template="plain", run_seed=7, temperature=0.7, max_tokens=64)
    assert list(request_rows(asked)) == [
        Request(
            id=f"{identity}:{index}",
            prompt=f"How many?\n{prefix}",
            seed=derive_seed(7, "rollouts", identity, index),
            temperature=0.7,
            max_tokens=64,
            prefix_length=len(prefix),
        )
        for identity, prefix, index in (
            (prefix_id, A, 1),
            (prefix_id, A, 2),
            (content_id("p", A + B), A + B, 20),
        )
    ]
    assert asked["rollout_index"].to_list() == [1, 2, 20]
    nothing = rollout_requests(
        prefixes.clear(), template="plain", run_seed=7, temperature=0.7, max_tokens=64
    )
    assert nothing.schema == asked.schema


def test_seeds_of_solutions_differ_by_stage_generator_problem_and_draw() -> None:
    asked = [
        ask_problems(stage, generator, 3)
        for stage in ("solutions", "candidates")
        for generator in ("weak", "strong")
    ]
    assert asked[0]["id"].to_list() == ["p:0", "p:1", "p:2", "q:0", "q:1", "q:2"]
    assert pl.concat(asked)["seed"].n_unique() == 24


def draws(*texts: str) -> pl.DataFrame:
    """Return what was drawn for the problem p; the text ``error`` is one."""
    count = len(texts)
    return pl.DataFrame(
        {
            "problem_id": ["p"] * count,
            "draw": list(range(count)),
            "seed": list(range(100, 100 + count)),
            "text": ["" if text == "error" else text for text in texts],
            "finish_reason": ["error" if text == "error" else "stop" for text in texts],
            "num_tokens": [0 if text == "error" else len(text) for text in texts],
        },
        schema_overrides=dict.fromkeys(("problem_id", "text", "finish_reason"), pl.String),
    )


def test_completions_of_rollouts_share_their_costs() -> None:
    rollouts = pl.DataFrame(
        {
            "request_id": ["a:0", "a:1", "b:0"],
            "text": ["x", "", "z"],
            "finish_reason": ["stop", "error", "length"],
            "num_tokens": [4, 0, 5],
        }
    )
    costs = pl.DataFrame(
        {
            "num_requests": [3],
            "prompt_tokens": [10],
            "cached_tokens": [2],
            "thought_tokens": [4],
            "seconds": [1.5],
        }
    )
    assert list(completion_rows(completions_of(rollouts, costs))) == [
        Completion("a:0", "x", "stop", 3, 0, 4, 0.5, None, 1),
        Completion("b:0", "z", "length", 4, 1, 5, 0.5, None, 2),
    ]
    unknown = costs.with_columns(thought_tokens=pl.lit(None, pl.Int64))
    assert set(completions_of(rollouts, unknown)["thought_tokens"]) == {0}
    assert completions_of(rollouts.clear(), costs.clear()).schema == COMPLETIONS


@given(
    st.lists(st.sampled_from(["a", "b", "", "error"]), min_size=8, max_size=8),
    st.integers(1, 8),
    st.integers(1, 8),
)
@example(["a", "a", "", "a", "error", "a", "a", "a"], 5, 3)
def test_kept_draws_are_collected_to_the_rows_of_an_undisturbed_run(
    texts: list[str], num_before: int, num_now: int
) -> None:
    before = collect_solutions(draws(*texts[:num_before]), "weak")
    undisturbed = draws(*texts[:num_now])
    kept = single_draws(before, undisturbed).filter(pl.col("finish_reason") != "error")
    assert kept["draw"].is_unique().all()
    columns = undisturbed.columns
    fresh = undisturbed.join(kept, on="draw", how="anti")
    drawn = pl.concat([kept.select(columns), fresh]).sort("draw")
    assert collect_solutions(drawn, "weak").equals(collect_solutions(undisturbed, "weak"))
    if num_before == num_now and "error" not in texts:
        assert kept.height == num_now


def test_collected_solutions_are_distinct_and_counted() -> None:
    found = collect_solutions(draws("b", "a", "b", "b"), "weak")
    assert found.columns == ungraded(SOLUTIONS)
    assert found.select("solution_id", "text", "num_samples", "seed", "num_tokens").rows() == [
        (content_id("p", "weak", "b"), "b", 3, 100, 1),
        (content_id("p", "weak", "a"), "a", 1, 101, 1),
    ]


def test_an_error_shows_beside_an_empty_solution() -> None:
    found = collect_solutions(draws("", "a", "error"), "weak")
    assert found.select("text", "finish_reason", "num_samples").rows() == [
        ("", "error", 2),
        ("a", "stop", 1),
    ]


def test_collected_candidates_keep_duplicates() -> None:
    found = collect_candidates(draws("b", "a", "b"), "weak")
    assert found.columns == ungraded(CANDIDATES)
    assert found["text"].to_list() == ["b", "a", "b"]
    assert found["candidate_id"].to_list() == [content_id("p", "weak", str(k)) for k in range(3)]


def test_nothing_asked_gives_empty_frames() -> None:
    assert collect_candidates(draws(), "weak").is_empty()
    assert collect_solutions(draws(), "weak").columns == ungraded(SOLUTIONS)
