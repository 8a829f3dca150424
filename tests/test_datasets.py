import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shepherd.datasets import (
    gsm8k_problem,
    imported_solutions,
    mapped_problem,
    math_problem,
    metamath_problem,
    word_problem,
)
from shepherd.identity import content_id
from shepherd.word_problems import draw_problems, judge_steps

ANSWER = "Natalia sold 48/2 = <<48/2=24>>24 clips in May.\n#### 1,024"


def test_a_gsm8k_row_is_a_problem() -> None:
    problem = gsm8k_problem({"question": " How many? ", "answer": ANSWER}, "gsm8k", "train")
    assert problem.problem_id == content_id("gsm8k", "How many?")
    assert (problem.question, problem.split) == ("How many?", "train")
    assert problem.gold_solution == ANSWER
    assert problem.gold_answer == "1024"
    assert (problem.level, problem.subject) == (None, None)


@pytest.mark.parametrize(
    ("final", "gold"),
    [
        ("#### 18", "18"),
        ("####18", "18"),
        ("#### -10 ", "-10"),
        ("#### 109,200,000", "109200000"),
        ("#### 2,125.5", "2125.5"),
        ("#### 1, 2", "1, 2"),
        ("a #### b\n#### 3", "3"),
    ],
)
def test_the_gold_answer_stands_after_the_last_mark(final: str, gold: str) -> None:
    assert gsm8k_problem({"question": "q", "answer": final}, "g", "test").gold_answer == gold


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ([], "row: is list, not an object"),
        (None, "row: is NoneType, not an object"),
        ({"answer": ANSWER}, "question: is missing"),
        ({"question": "q"}, "answer: is missing"),
        ({"question": 3, "answer": ANSWER}, "question: is int, not text"),
        ({"question": "q", "answer": ["#### 3"]}, "answer: is list, not text"),
        ({"question": " \n", "answer": ANSWER}, "question: is empty"),
        ({"question": "q\ud800", "answer": ANSWER}, "question: holds half of a surrogate pair"),
        ({"question": "q", "answer": "It is 3."}, "answer: has no final answer after ####"),
        ({"question": "q", "answer": "3\n#### "}, "answer: has no final answer after ####"),
    ],
)
def test_a_malformed_row_gives_a_reason(row: object, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}"):
        gsm8k_problem(row, "gsm8k", "train")


@settings(derandomize=True, deadline=None, max_examples=200)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from(["question", "answer", "text", "idx"]), inner)
        ),
        max_leaves=6,
    )
)
def test_any_json_gives_a_problem_or_a_reason(row: object) -> None:
    try:
        gsm8k_problem(row, "gsm8k", "train")
    except ValueError as error:
        assert re.match(r"(row|question|answer): ", str(error))  # noqa: PT017
    try:
        imported_solutions(row, {}, {}, {})
    except ValueError as error:
        assert re.match(r"[\w ,]+: ", str(error))  # noqa: PT017


def test_a_word_problem_has_a_right_gold_solution_whatever_the_seed_that_drew_it() -> None:
    for drawn in draw_problems(0, "test", 20):
        problem = word_problem(drawn, "words", "test")
        assert problem == word_problem(drawn, "words", "test")
        steps = re.findall(r"Step .*\n", problem.gold_solution)
        last = problem.gold_solution.rpartition("\n")[2]
        assert all(judge_steps(problem.question, [*steps[:-1], steps[-1] + last]))
        assert problem.level == str(len(steps))
        assert problem.gold_answer == last.removeprefix("The answer is: ")
        assert problem.subject is None


FIRST, SECOND = (
    gsm8k_problem({"question": question, "answer": f"#### {gold}"}, "g", "test")
    for question, gold in (("How many?", "1,800"), ("How much?", "5"))
)
BY_ID = {problem.problem_id: problem for problem in (FIRST, SECOND)}
BY_QUESTION = {"how many?": FIRST, "how much?": SECOND}
BY_ROW = {0: FIRST, 2: SECOND}


@pytest.mark.parametrize(
    ("row", "problem", "generator"),
    [
        ({"idx": 2, "response": "A: 5", "model": "gpt3-6b", "style": "verification"}, SECOND,
         "gpt3-6b-verification"),
        ({"idx": 0, "response": "A: 5", "gold": "1,800"}, FIRST, "imported"),
        ({"question": "How much? ", "text": "A: 5", "generator": "x", "model": "y"}, SECOND, "x"),
        ({"problem_id": FIRST.problem_id, "solution": "A: 5", "model": "y"}, FIRST, "y"),
        ({"problem_id": "test-2", "solutions": ["A: 5"]}, SECOND, "imported"),
        ({"problem": "How much?", "text": "A: 5"}, SECOND, "imported"),
        ({"problem": " how\nMANY? ", "text": "A: 5"}, FIRST, "imported"),
    ],
)  # fmt: skip
def test_an_imported_row_is_matched(row: object, problem: object, generator: str) -> None:
    [solution] = imported_solutions(row, BY_ID, BY_QUESTION, BY_ROW)
    assert BY_ID[solution.problem_id] is problem
    assert (solution.generator, solution.text) == (generator, "A: 5")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"idx": 0}, "text or response or solution or solutions: is missing"),
        ({"idx": 0, "text": ""}, "text: is empty"),
        ({"text": "A: 5"}, "question: is missing (or problem_id, or idx)"),
        ({"idx": True, "text": "A: 5"}, "idx: is bool, not a whole number"),
        ({"idx": "0", "text": "A: 5"}, "idx: is str, not a whole number"),
        ({"idx": 1, "text": "A: 5"}, "question, problem_id or idx: names none"),
        ({"idx": 0, "text": "A: 5", "gold": "5"}, "gold: 5 is not that of row 0, 1800"),
        ({"question": "Other?", "text": "A: 5"}, "question, problem_id or idx: names none"),
        ({"problem_id": "0", "text": "A: 5"}, "question, problem_id or idx: names none"),
        ({"idx": 0, "text": "A: 5", "generator": 3}, "generator: is int, not text"),
    ],
)
def test_an_imported_row_that_matches_nothing_gives_a_reason(row: object, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}"):
        imported_solutions(row, BY_ID, BY_QUESTION, BY_ROW)


def test_gold_solutions_vary_in_wording() -> None:
    texts = "".join(
        word_problem(drawn, "words", "train").gold_solution
        for drawn in draw_problems(random.Random(0).randint(0, 9), "train", 20)
    )
    assert re.search(r"Step 1: \w+ (has|are) \d", texts)
    assert re.search(r"Step 1: \d", texts)


BOXED = "So $x = \\boxed{\\frac{1}{2}}$."


def test_a_math_row_is_a_problem() -> None:
    row = {"problem": " Q ", "solution": BOXED, "level": "Level 5", "type": "Algebra"}
    problem = math_problem(row, "math", "train")
    assert problem.problem_id == content_id("math", "Q")
    assert (problem.gold_answer, problem.gold_solution) == ("\\frac{1}{2}", BOXED)
    assert (problem.level, problem.subject) == ("5", "Algebra")
    row = {"problem": "Q", "solution": BOXED, "answer": "3", "subject": "Geometry", "level": 2}
    problem = math_problem(row, "math", "test")
    assert (problem.gold_answer, problem.level, problem.subject) == ("3", "2", "Geometry")


@pytest.mark.parametrize(
    ("solution", "gold"),
    [
        ("\\boxed{1} or \\boxed{2}", "1, 2"),
        ("\\boxed 7", "7"),
        ("\\fbox{a}", "a"),
        ("\\boxed{1}. The answer is: 3", "1"),
        ("\\boxed{}", None),
        ("\\boxed{1} \\boxed{", None),
        ("It is 3.", None),
    ],
)
def test_the_gold_answer_of_math_is_what_it_boxes(solution: str, gold: str | None) -> None:
    row = {"problem": "Q", "solution": solution}
    if gold is None:
        with pytest.raises(ValueError, match=r"^solution: its last \\boxed\{\} is missing"):
            math_problem(row, "math", "train")
    else:
        assert math_problem(row, "math", "train").gold_answer == gold


def test_metamath_keeps_every_answer_to_a_question() -> None:
    rows = [
        {"query": "Q", "response": f"{text} The answer is: 3", "type": "GSM_AnsAug"}
        for text in ("So.", "Thus.")
    ]
    first, second = (metamath_problem(row, "metamath", "train") for row in rows)
    assert first.problem_id != second.problem_id
    assert (first.question, first.gold_answer, first.subject) == ("Q", "3", "GSM_AnsAug")
    with pytest.raises(ValueError, match=r"^response: names no answer"):
        metamath_problem({"query": "Q", "response": "none"}, "metamath", "train")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"prompt": "Q", "target": 1}, "q: is missing: the row has prompt, target"),
        ({"q": "Q", "target": 1}, "a: names no gold answer: the row has q, target"),
        ({"q": None}, "q: is missing: the row has no value"),
        ({f"c{at}": 1 for at in range(14)}, "q: is missing: the row has c0, .*c11 and 2 more"),
    ],
)
def test_a_missing_column_is_answered_with_those_that_exist(row: object, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{reason}$"):
        mapped_problem(row, "mine", "train", {"question": "q", "answer": "a"})


def test_columns_may_have_any_name() -> None:
    columns = {"question": "q", "answer": "a", "level": "grade"}
    row = {"q": "Q ", "a": 1250, "grade": 3}
    problem = mapped_problem(row, "mine", "test", columns)
    assert (problem.question, problem.gold_answer, problem.level) == ("Q", "1250", "3")
    assert problem.gold_solution is None
    solved = mapped_problem(
        {"q": "Q", "s": BOXED}, "mine", "test", {"question": "q", "solution": "s"}
    )
    assert solved.gold_answer == "\\frac{1}{2}"
    for wrong in ({"q": "Q"}, {"q": "Q", "a": " "}, {"q": "Q", "a": None}, {"q": "Q", "a": [1]}):
        with pytest.raises(ValueError, match=r"^a: names no gold answer"):
            mapped_problem(wrong, "mine", "test", columns)


def test_a_row_may_hold_many_solutions() -> None:
    row = {"question": "How many?", "solutions": ["A: 1", "A: 2"], "generator": "g"}
    found = imported_solutions(row, BY_ID, BY_QUESTION, BY_ROW)
    assert [(one.generator, one.text) for one in found] == [("g", "A: 1"), ("g", "A: 2")]
    with pytest.raises(ValueError, match=r"^solutions: is int, not text"):
        imported_solutions({**row, "solutions": ["A: 1", 2]}, BY_ID, BY_QUESTION, BY_ROW)
