from collections.abc import Mapping
from itertools import accumulate
from random import Random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shepherd.annotators.adaptive import Adaptive
from shepherd.annotators.annotator import LabelInputs, RolloutSettings
from shepherd.annotators.binary_search import BinarySearch
from shepherd.annotators.first_success import FirstSuccess
from shepherd.annotators.kinds import annotator_kinds
from shepherd.annotators.monte_carlo import MonteCarlo, monte_carlo_labels
from shepherd.annotators.outcome_closure import OutcomeClosure
from shepherd.annotators.problem import (
    Annotator,
    Replay,
    Rollout,
    SolutionSteps,
    SolvedProblem,
    label_steps,
    read_problems,
    replay_problems,
)
from shepherd.annotators.rates import Rates
from shepherd.annotators.tree_search import TreeSearch
from shepherd.identity import content_id
from shepherd.rollouts import split_solutions
from shepherd.scheduling import Draw, Scheduler
from shepherd.schemas import ROLLOUTS, STEP_LABELS, enforce
from shepherd.settings import AnnotationSettings

N = 8
ADAPTIVE = Adaptive(N, confidence=0.95, rates=Rates((0.95,), 0.01, 0.02))
ALL = [
    MonteCarlo(N),
    FirstSuccess(N),
    OutcomeClosure(N),
    BinarySearch(N),
    ADAPTIVE,
    TreeSearch(N, num_searches=100),
]


def write(index: int, right: bool) -> str:
    return f"Step {index}: {'right' if right else 'wrong'} {index}.\n"


def problem_of(*first_errors: int, num_steps: int = 5, problem_id: str = "p") -> SolvedProblem:
    """Return a problem with solutions whose first error is in these steps; past the last: none."""
    return SolvedProblem(
        problem_id,
        "How many?",
        tuple(
            SolutionSteps(
                solution_id=f"{problem_id}{number}",
                is_correct=first > num_steps,
                step_ids=tuple(f"{problem_id}{number}.{k}" for k in range(1, num_steps + 1)),
                texts=tuple(
                    write(k, k < first) + f"by {number}.\n" * (k >= first)
                    for k in range(1, num_steps + 1)
                ),
            )
            for number, first in enumerate(first_errors)
        ),
    )


def roll_out(draw: Draw, index: int, success_rate: float = 0.95, luck: float = 0.0) -> Rollout:
    """Return the rollout of an index: a success by chance from right prefixes, else by luck."""
    rng = Random(f"{draw.prefix_id} {index}")
    is_right = "wrong" not in draw.prefix
    is_correct = rng.random() < (success_rate if is_right else luck)
    return Rollout(is_correct, write(9, right=is_correct), num_tokens=5)


def annotate(
    annotators: list[Annotator],
    *problems: SolvedProblem,
    order: int = 0,
    success_rate: float = 0.95,
    luck: float = 0.0,
) -> tuple[list[dict[str, list[int]]], dict[str, Rollout]]:
    """Return each annotator's hard labels by solution, and all that was drawn, by request."""
    scheduler, drawn, rng = Scheduler(problems, annotators), {}, Random(order)
    in_hand: list[tuple[Draw, int]] = []
    while True:
        taken = scheduler.take(6 - len(in_hand))
        in_hand += [(draw, index) for draw in taken for index in draw.indices]
        assert len(in_hand) <= 6, "more rollouts were returned than requested"
        if not in_hand:
            break
        draw, index = in_hand.pop(rng.randrange(len(in_hand)))
        request_id = f"{draw.prefix_id}:{index}"
        assert request_id not in drawn, "a rollout was drawn twice"
        drawn[request_id] = roll_out(draw, index, success_rate, luck)
        scheduler.record([(draw, index, drawn[request_id])])
    assert scheduler.num_done == len(problems)
    pool = pool_of(drawn)
    labels = []
    for annotator in annotators:
        found: dict[str, list[int]] = {}
        for problem in problems:
            replay = Replay(annotator, problem)
            assert not replay.advance(pool)
            for step_id, label in replay.labels():
                found.setdefault(step_id.split(".")[0], []).append(label.hard)
        labels.append(found)
    return labels, drawn


def pool_of(drawn: Mapping[str, Rollout]) -> dict[str, list[Rollout]]:
    pool: dict[str, dict[int, Rollout]] = {}
    for request_id, rollout in drawn.items():
        prefix_id, index = request_id.split(":")
        pool.setdefault(prefix_id, {})[int(index)] = rollout
    return {prefix: [found[i] for i in range(len(found))] for prefix, found in pool.items()}


@pytest.mark.parametrize("annotator", ALL, ids=lambda annotator: annotator.name)
def test_each_annotator_finds_the_first_error_that_its_rollouts_show(annotator: Annotator) -> None:
    problem = problem_of(1, 2, 3, 4, 5, 6)
    [labels], _ = annotate([annotator], problem)
    expected = {f"p{i}": [1] * min(i, 5) + [0] * max(5 - i, 0) for i in range(6)}
    assert labels == expected


PROBLEMS = st.lists(st.lists(st.integers(1, 6), min_size=1, max_size=5), max_size=4).map(
    lambda problems: [
        problem_of(*errors, problem_id="pqrs"[index]) for index, errors in enumerate(problems)
    ]
)


@settings(derandomize=True, deadline=None, max_examples=30)
@given(PROBLEMS, st.integers(0, 5))
def test_labels_depend_neither_on_order_nor_on_who_else_asks(
    problems: list[SolvedProblem], order: int
) -> None:
    together, drawn = annotate(ALL, *problems, order=order, success_rate=0.4, luck=0.1)
    for annotator, labels in zip(ALL, together, strict=True):
        [alone], fewer = annotate([annotator], *problems, order=7, success_rate=0.4, luck=0.1)
        assert alone == labels
        assert fewer.items() <= drawn.items()


@settings(derandomize=True, deadline=None, max_examples=30)
@given(PROBLEMS)
def test_first_success_gives_the_hard_labels_of_monte_carlo_for_fewer_rollouts(
    problems: list[SolvedProblem],
) -> None:
    [exact], all_drawn = annotate([MonteCarlo(N)], *problems, success_rate=0.3, luck=0.05)
    [stopping], drawn = annotate([FirstSuccess(N)], *problems, success_rate=0.3, luck=0.05)
    assert stopping == exact
    assert drawn.items() <= all_drawn.items()
    for found in pool_of(drawn).values():
        assert not any(rollout.is_correct for rollout in found[:-1])
        assert found[-1].is_correct or len(found) == N


def test_what_each_annotator_draws() -> None:
    problems = [problem_of(1, 2, 3, 4, 5, 6, problem_id=name) for name in "pqrs"]
    drawn = {a.name: len(annotate([a], *problems)[1]) for a in ALL}
    distinct = sum(len(problem.prefixes) for problem in problems)
    assert drawn["monte_carlo"] == N * distinct
    assert drawn["outcome_closure"] == N * (distinct - 4 * 4)
    # A wrong prefix takes N either way; a right one hardly more than one rollout.
    assert drawn["first_success"] < N * (distinct - 4 * 4) + 2 * 4 * 4
    assert drawn["binary_search"] < drawn["first_success"]
    assert drawn["adaptive"] < drawn["monte_carlo"] / 5
    assert drawn["tree_search"] <= drawn["monte_carlo"]


def test_a_right_solution_needs_no_search_but_adaptive_looks_at_it() -> None:
    problem = problem_of(6)
    for annotator in (OutcomeClosure(N), BinarySearch(N), TreeSearch(N, 100)):
        assert annotate([annotator], problem)[1] == {}
    assert 0 < len(annotate([ADAPTIVE], problem)[1]) < len(problem.prefixes)


def test_searches_are_limited() -> None:
    problem = problem_of(3, 3, 3, 3)
    [few], _ = annotate([TreeSearch(N, num_searches=1)], problem)
    [many], _ = annotate([TreeSearch(N, num_searches=100)], problem)
    assert len(few) < len(many) == 4


TEXTS = [("s", "right 1.\nright 2.\nright 3.\n", True), ("t", "right 1.\nwrong 2.\nx\n", False)]
SOLUTIONS = pl.DataFrame(
    [("p", *row) for row in TEXTS],
    schema=["problem_id", "solution_id", "text", "is_correct"],
    orient="row",
)
STEPS = split_solutions(SOLUTIONS)
QUESTIONS = pl.DataFrame({"problem_id": ["p"], "question": ["How many?"]})


def rollouts_of(outcomes: Mapping[str, list[bool]]) -> pl.DataFrame:
    rows = [
        {
            "prefix_id": content_id("p", prefix),
            "problem_id": "p",
            "completer": "big",
            "rollout_index": index,
            "text": "on",
            "answer": None,
            "is_correct": is_correct,
            "grade_reason": "exact",
            "finish_reason": "stop",
            "num_tokens": 3,
            "seed": 1,
        }
        for prefix, found in outcomes.items()
        for index, is_correct in enumerate(found)
    ]
    return pl.DataFrame(rows, schema=ROLLOUTS.schema)


PREFIXES = {
    "right 1.\n": [True] + [False] * 7,
    "right 1.\nright 2.\n": [True] * 8,
    "right 1.\nwrong 2.\n": [False] * 8,
}


def label(names: list[str], steps: pl.DataFrame, rollouts: pl.DataFrame) -> pl.DataFrame:
    settings = AnnotationSettings.model_validate({"annotators": names, "train_on": names[0]})
    inputs = LabelInputs(steps, SOLUTIONS, QUESTIONS, rollouts)
    return pl.concat(annotator.label_steps(inputs) for annotator in settings.annotators)


ROLLING = [kind for kind, one in annotator_kinds().items() if issubclass(one, RolloutSettings)]


def test_labels_of_frames() -> None:
    labels = label(ROLLING, STEPS.reverse(), rollouts_of(PREFIXES).reverse())
    assert enforce(STEP_LABELS, labels).equals(labels)
    assert labels["annotator"].unique(maintain_order=True).to_list() == ROLLING
    exact = labels.filter(annotator="monte_carlo").reverse()
    assert exact["step_id"].equals(STEPS["step_id"])
    assert exact.select("num_rollouts", "num_correct", "hard", "soft").rows() == [
        (8, 1, 1, 0.125),
        (8, 8, 1, 1.0),
        (0, 0, 1, 1.0),
        (8, 1, 1, 0.125),
        (8, 0, 0, 0.0),
        (0, 0, 0, 0.0),
    ]
    # Published ends of Wilson's interval for 1 of 8 and 0 of 8.
    assert exact["low"].to_list() == [
        pytest.approx(end, abs=1e-4) if end is not None else None
        for end in (0.0224, 0.6756, None, 0.0224, 0.0, None)
    ]
    assert exact["high"][4] == pytest.approx(0.3244, abs=1e-4)
    stopping = labels.filter(annotator="first_success").reverse()
    assert stopping["num_rollouts"].to_list() == [1, 1, 0, 1, 8, 0]
    assert stopping["hard"].equals(exact["hard"])
    assert stopping["soft"].to_list() == [None, None, 1.0, None, None, 0.0]


def test_a_prefix_without_rollouts_is_named() -> None:
    some = dict(list(PREFIXES.items())[:2])
    with pytest.raises(
        ValueError, match=r"monte_carlo asks.*problem p.*materialize the asset roll"
    ):
        label(["monte_carlo"], STEPS, rollouts_of(some))


@settings(derandomize=True, deadline=None, max_examples=50)
@given(
    st.lists(
        st.lists(st.sampled_from(["right", "wrong", "error"]), min_size=N, max_size=N),
        min_size=3,
        max_size=3,
    ),
    st.integers(1, N),
)
def test_counted_labels_are_those_of_the_replay(outcomes: list[list[str]], num: int) -> None:
    drawn = rollouts_of(
        {
            prefix: [outcome == "right" for outcome in found]
            for prefix, found in zip(PREFIXES, outcomes, strict=True)
        }
    ).with_columns(
        finish_reason=pl.Series(["error" if o == "error" else "stop" for f in outcomes for o in f])
    )
    by_problem = read_problems(STEPS, SOLUTIONS, QUESTIONS)
    replays = replay_problems(MonteCarlo(num), by_problem, drawn)
    expected = label_steps(MonteCarlo(num), STEPS.reverse(), replays)
    assert monte_carlo_labels(num, STEPS.reverse(), SOLUTIONS, drawn).equals(expected)


def test_nothing_to_label() -> None:
    labels = label(["monte_carlo", "adaptive"], STEPS.clear(), rollouts_of({}))
    assert enforce(STEP_LABELS, labels).is_empty()


def test_problems_of_frames() -> None:
    [problem] = read_problems(STEPS.reverse(), SOLUTIONS, QUESTIONS)
    assert [s.solution_id for s in problem.solutions] == ["s", "t"]
    assert problem.prefixes == tuple(sorted(PREFIXES))
    assert problem.proven == set(accumulate(["right 1.\n", "right 2.\n"]))
    assert [content_id("p", prefix) for prefix in problem.solutions[1].prefixes] == STEPS.filter(
        ~pl.col("is_last"), solution_id="t"
    )["prefix_id"].to_list()


def test_a_rollout_that_could_not_be_drawn_leaves_its_solutions_unlabelled() -> None:
    names = ["monte_carlo", "first_success", "binary_search", "adaptive"]
    wrong = content_id("p", "right 1.\nwrong 2.\n")
    drawn = rollouts_of(PREFIXES).with_columns(
        finish_reason=pl.when(pl.col("prefix_id") == wrong)
        .then(pl.lit("error"))
        .otherwise("finish_reason")
    )
    labels = label(names, STEPS, drawn).join(STEPS, on="step_id")
    assert labels.filter(solution_id="s").height == 3 * len(names)
    assert labels.filter(solution_id="t").is_empty()


@pytest.mark.parametrize("finish_reason", ["stop", "error"])
def test_a_prefix_may_be_all_of_another_solution(finish_reason: str) -> None:
    end = pl.DataFrame([("p", "u", "right 1.\n", False)], schema=SOLUTIONS.schema, orient="row")
    solutions = pl.concat([SOLUTIONS, end])
    steps = split_solutions(solutions)
    shared = pl.col("prefix_id") == content_id("p", "right 1.\n")
    drawn = rollouts_of(PREFIXES).with_columns(
        finish_reason=pl.when(shared).then(pl.lit(finish_reason)).otherwise("finish_reason")
    )
    labels = monte_carlo_labels(N, steps, solutions, drawn).join(steps, on="step_id")
    first = labels.filter(shared).select("solution_id", "num_rollouts", "hard", "soft").rows()
    rolled = [("s", 8, 1, 0.125), ("t", 8, 1, 0.125)] if finish_reason == "stop" else []
    assert first == [*rolled, ("u", 0, 0, 0.0)]
