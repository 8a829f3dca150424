import math
from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shepherd.identity import derive_seed
from shepherd.schemas import CANDIDATE_SCORES, CANDIDATES, EVALUATIONS, PROBLEMS, enforce
from shepherd.verification import (
    Aggregation,
    aggregate,
    auc,
    auc_within_problems,
    count_unscored,
    evaluate,
    solved_shares,
)
from shepherd.verification.choice import groups_of

GOLD = "7"
Candidate = tuple[str | None, float, Sequence[float | None]]
"""Answer, outcome score, step scores."""

OPTIONS: dict[str, Any] = {"groups": 3, "aggregation": "min", "bootstrap": 100, "seed": 0}


def tables(
    pools: list[list[Candidate]], generator: str = "weak"
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Return candidates, their scores and the problems."""
    candidates, scores = [], []
    for problem, pool in enumerate(pools):
        for draw, (answer, outcome, steps) in enumerate(pool):
            identity = {"candidate_id": f"{generator}{problem}-{draw}", "problem_id": str(problem)}
            candidates.append(
                {
                    **identity,
                    "generator": generator,
                    "draw": draw,
                    "text": "",
                    "answer": answer,
                    "is_correct": answer == GOLD,
                    "grade_reason": "",
                    "finish_reason": "stop",
                    "num_tokens": 1,
                    "seed": 0,
                }
            )
            for name, values in (("outcome", [outcome]), ("process", steps)):
                model = f"{name}_reward_model"
                scores.append({**identity, "reward_model": model, "step_scores": values})
    problems = [
        {"problem_id": str(n), "dataset": "words", "split": "test", "question": "",
         "gold_solution": None, "gold_answer": GOLD, "level": None, "subject": None}
        for n in range(len(pools))
    ]  # fmt: skip
    return (
        enforce(CANDIDATES, pl.DataFrame(candidates, schema=CANDIDATES.schema)),
        enforce(CANDIDATE_SCORES, pl.DataFrame(scores, schema=CANDIDATE_SCORES.schema)),
        enforce(PROBLEMS, pl.DataFrame(problems, schema=PROBLEMS.schema)),
    )


def accuracies(frame: pl.DataFrame) -> dict[tuple[str, int], float]:
    enforce(EVALUATIONS, frame)
    columns = frame.select("method", "num_candidates", "accuracy").iter_rows()
    return {(method, count): accuracy for method, count, accuracy in columns}


def solved(pool: list[Candidate], method: str) -> bool:
    """Choose as the paper says, one candidate at a time."""
    if method == "pass@N":
        return any(answer == GOLD for answer, _, _ in pool)

    def worth(candidate: Candidate) -> float:
        _, outcome, steps = candidate
        return {"SC": 1, "ORM": outcome, "PRM": min(steps)}[method[-3:] if "RM" in method else "SC"]

    if not method.startswith("SC"):
        return max(pool, key=worth)[0] == GOLD
    votes: dict[str, float] = defaultdict(float)
    for candidate in pool:
        if candidate[0] is not None:
            votes[candidate[0]] += worth(candidate)
    return bool(votes) and max(votes, key=lambda answer: votes[answer]) == GOLD


# Quarters add up exactly, so that ties in the reference are ties in the code under test.
SCORE = st.integers(0, 4).map(lambda quarter: quarter / 4)
CANDIDATE = st.tuples(
    st.sampled_from([GOLD, "8", "9", None]), SCORE, st.lists(SCORE, min_size=1, max_size=3)
)
POOLS = st.integers(1, 7).flatmap(
    lambda total: st.lists(
        st.lists(CANDIDATE, min_size=total, max_size=total), min_size=1, max_size=4
    )
)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(pools=POOLS, groups=st.integers(1, 4), data=st.data())
def test_every_method_agrees_with_choosing_one_at_a_time(
    pools: list[list[Candidate]], groups: int, data: st.DataObject
) -> None:
    total = len(pools[0])
    count = data.draw(st.integers(1, total))
    options = {**OPTIONS, "groups": groups}
    result = accuracies(evaluate(*tables(pools), counts=[count], **options))
    rng = np.random.default_rng(derive_seed(0, "groups", "words/weak", count))
    members = groups_of(rng, len(pools), total, count, groups)
    every = list(combinations(range(total), count))
    for method in ("pass@N", "SC", "ORM", "PRM", "SC+ORM", "SC+PRM"):
        shares = [
            np.mean([solved([pool[i] for i in one], method) for one in (drawn if votes else every)])
            for votes in [method.startswith("SC")]
            for pool, drawn in zip(pools, members, strict=True)
        ]
        assert result[method, count] == pytest.approx(np.mean(shares))
    flat = [candidate[0] == GOLD for pool in pools for candidate in pool]
    assert result["pass@1", 1] == pytest.approx(np.mean(flat))


@settings(derandomize=True, deadline=None)
@given(POOLS)
def test_one_candidate_is_pass_at_1_for_every_method(pools: list[list[Candidate]]) -> None:
    result = accuracies(evaluate(*tables(pools), counts=[1], **OPTIONS))
    assert len({round(accuracy, 12) for accuracy in result.values()}) == 1


@settings(derandomize=True, deadline=None)
@given(total=st.integers(1, 12), groups=st.integers(1, 5), data=st.data())
def test_groups_hold_distinct_candidates_and_are_disjoint_as_long_as_they_last(
    total: int, groups: int, data: st.DataObject
) -> None:
    count = data.draw(st.integers(1, total))
    members = groups_of(np.random.default_rng(0), 3, total, count, groups)
    disjoint = total // count
    assert members.shape[1] % disjoint == 0
    assert members.shape == (3, 1, total) or members.shape[1] >= groups
    assert members.min() >= 0
    assert members.max() < total
    assert (np.diff(members, axis=-1) > 0).all()
    for problem in members:
        assert len(np.unique(problem[:disjoint])) == problem[:disjoint].size


def test_half_of_256_candidates_have_more_subsets_than_a_column_counts() -> None:
    pools: list[list[Candidate]] = [[("7", 0.5, [n / 256]) for n in range(256)]]
    result = evaluate(*tables(pools), counts=[128], **OPTIONS).filter(method="PRM")
    assert result.row(0, named=True)["num_groups"] == 2**63 - 1
    assert result["accuracy"].item() == pytest.approx(1, abs=1e-12)


def test_worked_example() -> None:
    pool: list[Candidate] = [
        ("8", 0.9, [0.9, 0.2]),
        ("8", 0.1, [0.3, 0.25]),
        ("7", 0.5, [0.7, 0.9]),
        (None, 0.4, [0.5]),
        ("8", 0.1, [0.1]),
    ]
    assert accuracies(evaluate(*tables([pool]), counts=[5, 6], **OPTIONS)) == {
        ("pass@1", 1): 0.2,
        ("pass@N", 5): 1,
        ("SC", 5): 0,
        ("ORM", 5): 0,
        ("PRM", 5): 1,
        ("SC+ORM", 5): 0,  # 1.1 for 8, 0.5 for 7
        ("SC+PRM", 5): 1,  # 0.55 for 8, 0.7 for 7
    }


def test_equal_answers_vote_together_however_they_are_written() -> None:
    answers = ["8", "8", "1,000", "$1000", "1000.0"]
    candidates, scores, problems = tables([[(answer, 0.5, [0.5]) for answer in answers]])
    graded = candidates.with_columns(is_correct=pl.col("answer") != "8")
    assert accuracies(evaluate(graded, scores, problems, counts=[5], **OPTIONS))["SC", 5] == 1


def test_the_order_of_rows_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    pools: list[list[Candidate]] = [
        [(str(rng.integers(6, 9)), rng.random(), list(rng.random(2))) for _ in range(8)]
        for _ in range(20)
    ]
    candidates, scores, problems = tables(pools)
    result = evaluate(candidates, scores, problems, counts=[2, 4, 8], **OPTIONS)
    shuffled = [
        frame.sample(fraction=1, shuffle=True, seed=1) for frame in (candidates, scores, problems)
    ]
    again = evaluate(*shuffled, counts=[8, 4, 2, 2], **OPTIONS)
    assert result.equals(again)
    alone = evaluate(candidates, scores, problems, counts=[4], **OPTIONS)
    assert alone.filter(num_candidates=4).equals(result.filter(num_candidates=4))
    voting, best = (
        result.filter(pl.col("method").str.starts_with("SC") == votes) for votes in (True, False)
    )
    assert voting["num_groups"].to_list() == [*[4] * 3, *[4] * 3, *[1] * 3]
    assert best["num_groups"].to_list() == [8, *[28] * 3, *[70] * 3, *[1] * 3]
    assert (result["low"] <= result["accuracy"]).all()
    assert (result["accuracy"] <= result["high"]).all()


def test_generators_are_judged_apart() -> None:
    right: list[list[Candidate]] = [[("7", 0.5, [0.5])] * 2] * 3
    wrong: list[list[Candidate]] = [[("8", 0.5, [0.5])] * 2] * 3
    strong, weak = tables(right, "strong"), tables(wrong, "weak")
    result = evaluate(
        pl.concat([strong[0], weak[0]]),
        pl.concat([strong[1], weak[1]]),
        strong[2],
        counts=[2],
        **OPTIONS,
    )
    shares = result.group_by("generator").agg(pl.col("accuracy", "low", "high").unique().first())
    assert shares.sort("generator").rows() == [("strong", 1, 1, 1), ("weak", 0, 0, 0)]


def test_the_interval_is_that_of_a_share() -> None:
    pools: list[list[Candidate]] = [[(str(7 + (n % 5 > 0)), 0, [0])] for n in range(500)]
    options = {**OPTIONS, "bootstrap": 4000}
    row = evaluate(*tables(pools), counts=[1], **options).row(0, named=True)
    half = 1.96 * math.sqrt(0.2 * 0.8 / 500)
    assert row["accuracy"] == pytest.approx(0.2)
    assert row["low"] == pytest.approx(0.2 - half, abs=0.004)
    assert row["high"] == pytest.approx(0.2 + half, abs=0.004)


def test_accuracies_are_means_of_what_each_problem_gives() -> None:
    rng = np.random.default_rng(1)
    pools: list[list[Candidate]] = [
        [(str(rng.integers(6, 9)), rng.random(), [rng.random()]) for _ in range(8)]
        for _ in range(20)
    ]
    asked = {"counts": [1, 2, 4, 8], **OPTIONS}
    whole = evaluate(*tables(pools), **asked)
    asked.pop("bootstrap")
    by_problem = solved_shares(*tables(pools), **asked)
    assert by_problem["problem_id"].n_unique() == 20
    means = by_problem.group_by("generator", "method", "num_candidates").agg(
        pl.col("solved").mean()
    )
    compared = whole.join(means, on=["generator", "method", "num_candidates"])
    assert compared.height == whole.height
    assert compared["solved"].to_list() == pytest.approx(compared["accuracy"].to_list())


def test_gains_over_votes_are_paired_over_problems() -> None:
    split: list[Candidate] = [("7", 0.9, [0.9]), ("8", 0, [0]), ("8", 0, [0])]
    solved_by_all: list[Candidate] = [("7", 0.9, [0.9])] * 3
    result = evaluate(*tables([split, solved_by_all] * 20), counts=[3], **OPTIONS)
    gains = {row["method"]: row for row in result.iter_rows(named=True)}
    assert gains["SC"]["gain"] == gains["SC"]["gain_low"] == gains["SC"]["gain_high"] == 0
    assert gains["PRM"]["gain"] == pytest.approx(0.5)
    # Every accuracy has an interval of its own, but each resample is compared with itself.
    assert 0 < gains["PRM"]["gain_low"] < 0.5 < gains["PRM"]["gain_high"]
    assert gains["PRM"]["low"] == gains["PRM"]["high"] == 1
    assert gains["pass@1"]["gain"] is None


def test_the_fewest_candidates_of_a_problem_limit_the_counts() -> None:
    pools: list[list[Candidate]] = [[("7", 0, [0])] * 4, [("7", 0, [0])] * 2]
    result = evaluate(*tables(pools), counts=[1, 2, 4], **OPTIONS)
    assert result["num_candidates"].unique().sort().to_list() == [1, 2]


def test_reward_models_that_scored_nothing_are_left_out() -> None:
    candidates, scores, problems = tables([[("7", 0.5, [0.5])] * 2])
    methods = evaluate(candidates, scores.clear(), problems, counts=[2], **OPTIONS)["method"]
    assert methods.to_list() == ["pass@1", "pass@N", "SC"]
    only_prm = scores.filter(reward_model="process_reward_model")
    methods = evaluate(candidates, only_prm, problems, counts=[2], **OPTIONS)["method"]
    assert methods.to_list() == ["pass@1", "pass@N", "SC", "PRM", "SC+PRM"]


def test_what_does_not_fit_together_is_refused() -> None:
    candidates, scores, problems = tables([[("7", 0.5, [0.5])] * 2])
    with pytest.raises(ValueError, match=r"outcome_reward_model scored only some.* 1 are missing"):
        evaluate(candidates, scores[1:], problems, counts=[2], **OPTIONS)
    with pytest.raises(ValueError, match="2 are of problems that are not in problems"):
        evaluate(candidates, scores, problems.clear(), counts=[2], **OPTIONS)


def test_no_candidates_give_no_rows() -> None:
    candidates, scores, problems = (frame.clear() for frame in tables([[("7", 0, [0])]]))
    assert enforce(EVALUATIONS, evaluate(candidates, scores, problems, counts=[1], **OPTIONS)).shape


LISTS = st.lists(
    st.lists(st.floats(0, 1, allow_subnormal=False), min_size=1, max_size=6), min_size=1
)


@settings(derandomize=True, deadline=None)
@given(LISTS)
def test_aggregations(lists: list[list[float]]) -> None:
    series = pl.Series(lists, dtype=pl.List(pl.Float64))
    for how, reference in (
        ("min", min),
        ("last", lambda scores: scores[-1]),
        ("product", math.prod),
        ("mean", lambda scores: sum(scores) / len(scores)),
    ):
        expected = [reference(scores) for scores in lists]
        assert aggregate(series, how).to_list() == pytest.approx(expected)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "scores", [[], None, [None, float("nan")], [0.5, float("nan")], [math.inf]]
)
def test_unusable_step_scores_are_refused(scores: list[float] | None) -> None:
    series = pl.Series([[0.5], scores], dtype=pl.List(pl.Float64))
    with pytest.raises(ValueError, match="1 of 2 solutions"):
        aggregate(series, "last")


@pytest.mark.parametrize("how", ["min", "last", "product", "mean"])
def test_a_solution_with_an_unscored_step_has_no_score(how: Aggregation) -> None:
    series = pl.Series([[0.5], [0.9, None], [None], [0.25]], dtype=pl.List(pl.Float64))
    assert aggregate(series, how).to_list() == [0.5, None, None, 0.25]
    assert count_unscored(series).to_list() == [0, 1, 1, 0]


def test_candidates_with_unscored_steps_rank_last_and_have_no_weight() -> None:
    # The first candidate is right, and its reward models did not read it to the end.
    pool: list[Candidate] = [(GOLD, math.nan, [0.99, None]), ("1", 0.2, [0.1, 0.1])]
    candidates, scores, problems = tables([pool])
    unread = pl.when(pl.col("step_scores").list.first().is_nan()).then([None])
    scores = scores.with_columns(step_scores=unread.otherwise("step_scores"))
    found = accuracies(evaluate(candidates, scores, problems, counts=[2], **OPTIONS))
    chosen = {method: accuracy for (method, count), accuracy in found.items() if count == 2}
    assert chosen == {
        "pass@N": 1, "SC": 1, "ORM": 0, "SC+ORM": 0, "PRM": 0, "SC+PRM": 0,
    }  # fmt: skip


LABELED = st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.sampled_from("abc")), max_size=20)


def pairwise(rows: list[tuple[int, bool, str]]) -> float:
    right = [score for score, label, _ in rows if label]
    wrong = [score for score, label, _ in rows if not label]
    wins = [(r > w) + (r == w) / 2 for r in right for w in wrong]
    return sum(wins) / len(wins) if wins else math.nan


@settings(derandomize=True, deadline=None)
@given(LABELED)
def test_auc_is_the_share_of_pairs_in_order(rows: list[tuple[int, bool, str]]) -> None:
    scores, labels = [row[0] for row in rows], [row[1] for row in rows]
    assert auc(scores, labels) == pytest.approx(pairwise(rows), nan_ok=True)
    per_problem = [pairwise([row for row in rows if row[2] == name]) for name in "abc"]
    known = [value for value in per_problem if not math.isnan(value)]
    expected = sum(known) / len(known) if known else math.nan
    assert auc_within_problems(scores, labels, [row[2] for row in rows]) == pytest.approx(
        expected, nan_ok=True
    )
