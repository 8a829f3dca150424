"""The world, its oracle and its tokenizer agree with each other."""

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shepherd.mistakes import draw_sum, true_result, write_flawed
from shepherd.word_problems import (
    MAX_VALUE,
    draw_problem,
    draw_problems,
    judge_steps,
    read_problem,
    split_of,
    write_solution,
)
from training.tokenizer import build_tokenizer

seeds = st.integers(0, 2**32)
SETTINGS = settings(derandomize=True, deadline=None, max_examples=200)


def steps_of(solution: str) -> list[str]:
    return re.split(r"(?<=\n)(?=Step)", solution)


@SETTINGS
@given(seeds, st.integers(2, 5))
def test_a_question_is_read_back_as_the_problem_that_wrote_it(seed: int, num_steps: int) -> None:
    problem = draw_problem(random.Random(seed), num_steps)
    assert read_problem(problem.question) == problem
    assert len(problem.nodes) == num_steps
    assert all(1 <= value <= MAX_VALUE for value in problem.values())


@SETTINGS
@given(seeds, st.integers(2, 5))
def test_the_oracle_accepts_every_gold_solution(seed: int, num_steps: int) -> None:
    rng = random.Random(seed)
    problem = draw_problem(rng, num_steps)
    steps = steps_of(write_solution(problem, rng))
    assert judge_steps(problem.question, steps) == [True] * num_steps


@SETTINGS
@given(seeds, st.integers(2, 5), st.data())
def test_the_oracle_rejects_a_changed_result_and_all_after_it(
    seed: int, num_steps: int, data: st.DataObject
) -> None:
    rng = random.Random(seed)
    problem = draw_problem(rng, num_steps)
    steps = steps_of(write_solution(problem, rng))
    place = data.draw(st.integers(0, num_steps - 1))
    off = data.draw(st.integers(1, 9))
    steps[place] = re.sub(r"= (\d+)", lambda m: f"= {int(m[1]) + off}", steps[place])
    verdicts = judge_steps(problem.question, steps)
    assert verdicts == [True] * place + [False] * (num_steps - place)


QUESTION = (
    "Tom has 10 pens. Tom loses 4. Ann starts with 3 pens. Ann buys 5 more. "
    "Sam is 9 years old. How many pens do Tom and Ann have together?"
)
FIRST, SECOND = "Step 1: 10 - 4 = 6.\n", "Step 2: Ann has 3 + 5 = 8 pens.\n"
LAST = "Step 3: 6 + 8 = 14.\nThe answer is: 14"


@pytest.mark.parametrize(
    ("steps", "verdicts"),
    [
        ([FIRST, SECOND, LAST], [True, True, True]),
        ([SECOND, FIRST, LAST], [True, True, True]),
        ([FIRST, "Step 2: 5 + 3 = 8.\n", "8 + 6 = 14.\nThe answer is: 14"], [True] * 3),
        ([FIRST, "Step 2: 9 + 5 = 14.\n", LAST], [True, False, False]),
        (["Step 1: 4 - 10 = 6.\n", SECOND, LAST], [False, False, False]),
        ([FIRST, FIRST, SECOND, LAST], [True, False, False, False]),
        ([FIRST, "Step 2: 6 + 8 = 14.\nThe answer is: 14"], [True, False]),
        ([FIRST, SECOND, "Step 3: 6 + 8 = 14.\nThe answer is: 15"], [True, True, False]),
        ([FIRST, SECOND, "Step 3: 6 + 8 = 14.\n"], [True, True, False]),
        (["Tom has pens.\n", FIRST], [False, False]),
        ([], []),
    ],
)
def test_the_oracle_case_by_case(steps: list[str], verdicts: list[bool]) -> None:
    assert judge_steps(QUESTION, steps) == verdicts


def test_a_foreign_question_is_refused_with_its_sentence() -> None:
    with pytest.raises(ValueError, match="Natalia sold clips"):
        read_problem("Natalia sold clips to 48 friends. How many pens does Tom have now?")


def test_splits_share_no_problem_whatever_the_seed() -> None:
    train = {p.problem_key for seed in (0, 1) for p in draw_problems(seed, "train", 500)}
    test = {p.problem_key for seed in (0, 2) for p in draw_problems(seed, "test", 200)}
    assert not train & test
    assert {split_of(key) for key in test} == {"test"}


def test_the_same_seed_draws_the_same_problems() -> None:
    first, second = (list(draw_problems(3, "train", 20)) for _ in range(2))
    assert first == second
    assert first != list(draw_problems(4, "train", 20))


@SETTINGS
@given(seeds)
def test_the_tokenizer_loses_nothing(seed: int) -> None:
    rng = random.Random(seed)
    problem = draw_problem(rng, 2 + seed % 4)
    text = problem.question + "\n" + "".join(write_flawed(problem, rng, error_rate=0.3)[0])
    tokenizer = build_tokenizer()
    ids = tokenizer.encode(text)
    assert tokenizer.unk_token_id not in ids
    assert ids[0] == tokenizer.bos_token_id
    assert tokenizer.decode(ids, skip_special_tokens=True) == text


@SETTINGS
@given(seeds)
def test_flawless_writing_is_right_and_a_sum_knows_its_truth(seed: int) -> None:
    rng = random.Random(seed)
    problem = draw_problem(rng, 2 + seed % 4)
    assert all(judge_steps(problem.question, write_flawed(problem, rng, error_rate=0.0)[0]))
    equation, right = draw_sum(rng)
    written = int(equation.split("= ")[1])
    assert (true_result(equation) == written) == right
