import random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shepherd.annotators.judge import (
    critique_task,
    judge_labels,
    judge_requests,
    read_vote,
)
from shepherd.requests import Completion
from shepherd.rollouts import split_solutions
from shepherd.schemas import STEP_LABELS, enforce

SOLUTIONS = pl.DataFrame(
    {
        "solution_id": ["s1", "s2"],
        "problem_id": ["p", "p"],
        "text": ["Step 1: 1 + 1 = 2.\nStep 2: 2 + 1 = 4.\nThe answer is: 4", "{question}\n5"],
    }
)
STEPS = split_solutions(SOLUTIONS)
PROBLEMS = pl.DataFrame({"problem_id": ["p"], "question": ["How many?"]})


def answer(solution_id: str, index: int, text: str) -> Completion:
    return Completion(f"{solution_id}:{index}", text, "stop", 9, 0, 3, 0.1)


def boxed(solution_id: str, *votes: int | None) -> list[Completion]:
    return [
        answer(solution_id, index, "I cannot say." if vote is None else rf"So \boxed{{{vote}}}.")
        for index, vote in enumerate(votes)
    ]


def test_the_task_numbers_paragraphs_from_0() -> None:
    task = critique_task("How many?", ["First.\n", "Then.\nThe answer is: 4"])
    assert "[Math Problem]\n\nHow many?\n\n" in task
    assert "<paragraph_0>\nFirst.\n</paragraph_0>\n\n<paragraph_1>\nThen.\nThe answer" in task
    assert task.endswith(r"\boxed{}.")


def test_requests_are_one_a_vote_with_seeds_of_their_own() -> None:
    def requests(steps: pl.DataFrame, run_seed: int = 7) -> list[tuple[str, str, int]]:
        found = judge_requests(
            steps,
            PROBLEMS,
            template="Judge this: {question}\n",
            run_seed=run_seed,
            num_votes=3,
            temperature=0.6,
            max_tokens=99,
        )
        assert {(r.temperature, r.max_tokens) for r in found} == {(0.6, 99)}
        return [(request.id, request.prompt, request.seed) for request in found]

    found = requests(STEPS)
    assert [id for id, _, _ in found] == ["s1:0", "s1:1", "s1:2", "s2:0", "s2:1", "s2:2"]
    assert len({seed for _, _, seed in found}) == 6
    assert found[0][1].startswith("Judge this: Below are")
    assert found[3][1].count("{question}") == 1  # a solution's own braces are text
    assert requests(STEPS.reverse()) == found
    assert {seed for _, _, seed in requests(STEPS, 8)}.isdisjoint(seed for _, _, seed in found)


@pytest.mark.parametrize(
    ("text", "vote"),
    [
        (r"The first error is in \boxed{1}.", 1),
        (r"\boxed{-1}", -1),
        (r"\boxed{−1}", -1),
        (r"$\boxed{ 2 }$", 2),
        (r"\boxed{\text{-1}}", -1),
        (r"\boxed{$1$}", 1),
        (r"\boxed{\text{paragraph_2}}", 2),
        (r"\boxed{Paragraph 2}", 2),
        (r"\boxed{<paragraph_0>}", 0),
        (r"\boxed{0} no, wait: \boxed{2}", 2),
        (r"<think>maybe \boxed{1}</think> All is right: \boxed{-1}", -1),
        (r"<think>maybe \boxed{1}", 1),
        (r"\boxed{3}", None),  # there are paragraphs 0 to 2
        (r"\boxed{-2}", None),
        (r"\boxed{}", None),
        (r"\boxed{none}", None),
        (r"\boxed{1, 2}", None),
        (r"\boxed{1.5}", None),
        (r"\boxed{10000000000000000000000000}", None),
        (r"\boxed{1", None),
        ("The answer is: 1", None),
        ("", None),
    ],
)
def test_votes_are_read(text: str, vote: int | None) -> None:
    assert read_vote(text, num_steps=3) == vote


@settings(derandomize=True, deadline=None)
@given(st.text(alphabet="\\boxed{}-10 ", max_size=60), st.integers(1, 3))
def test_no_answer_is_read_as_a_step_that_is_not_there(text: str, num_steps: int) -> None:
    assert read_vote(text, num_steps) in {None, *range(-1, num_steps)}


def labels_of(*votes: int | None) -> tuple[list[int], list[float]]:
    """Return the labels of a solution in three steps."""
    steps = split_solutions(SOLUTIONS.head(1).with_columns(text=pl.lit("a\nb\nc")))
    labels = enforce(STEP_LABELS, judge_labels(steps, boxed("s1", *votes)).labels)
    return labels["hard"].to_list(), labels["soft"].to_list()


@pytest.mark.parametrize(
    ("votes", "hard", "soft"),
    [
        ([-1], [1, 1, 1], [1.0, 1.0, 1.0]),
        ([0], [0, 0, 0], [0.0, 0.0, 0.0]),
        ([2], [1, 1, 0], [1.0, 1.0, 0.0]),
        ([1, 1, -1, None], [1, 0, 0], [1.0, 1 / 3, 1 / 3]),
        ([1, 2], [1, 0, 0], [1.0, 0.5, 0.0]),  # of equally many, the first drawn
        ([2, 1], [1, 1, 0], [1.0, 0.5, 0.0]),
        ([None, None], [], []),
    ],
)
def test_the_most_votes_count(votes: list[int | None], hard: list[int], soft: list[float]) -> None:
    assert labels_of(*votes) == (hard, soft)


def test_unparsable_answers_are_counted_and_order_does_not_matter() -> None:
    answers = [*boxed("s1", 1, None, 0, 0), *boxed("s2", None, None, None, None)]
    judged = judge_labels(STEPS, answers)
    assert (judged.num_answers, judged.num_unparsable, judged.num_unlabelled) == (8, 5, 1)
    assert judged.labels["step_id"].to_list() == STEPS.filter(solution_id="s1")["step_id"].to_list()
    random.Random(0).shuffle(answers)
    assert judge_labels(STEPS.reverse(), answers).labels.reverse().equals(judged.labels)
