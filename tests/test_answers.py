import json
import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shepherd.answers import extract_answer, extract_answer_with_source
from shepherd.equivalence import answer_key, compare

SHARED_DATA = Path(os.environ.get("SHEPHERD_SHARED_DATA", "../shared/data"))

EXTRACTIONS = [
    ("Step 1: 3 + 4 = 7.\nThe answer is: 7", "7", "answer_is"),
    ("Step 3: So 5.\nStep 4: #### 18\nStep 5: The answer is: 17", "17", "answer_is"),
    ("He has 48/2 = <<48/2=24>>24 clips.\n#### 24", "24", "hashes"),
    ("so he gets 780 pieces. #### 780", "780", "hashes"),
    ("#### Step 1\n3 + 4 = \\boxed{7}", "7", "boxed"),
    ("He makes 13 * 2 = $<<13*2=26>>26\nA: 26", "26", "a_line"),
    ("so $x = \\boxed{\\frac{1}{\\sqrt{2}}}$.", "\\frac{1}{\\sqrt{2}}", "boxed"),
    ("\\boxed{4} is wrong; rather \\boxed{5}", "5", "boxed"),
    ("so $\\boxed{\\{1, 2\\}}$ it is", "\\{1, 2\\}", "boxed"),
    ("our answer is $\\boxed 2$", "2", "boxed"),
    ("\\boxed{44}. We may check: 2 * 44 = 88, so our answer is correct.", "44", "boxed"),
    ("<think> \\boxed{42} </think> \\boxed{43}", "43", "boxed"),
    ("\\boxed{7} <|im_start|>user What is \\boxed{8}?", "7", "boxed"),
    ("cut off: \\boxed{3} and then \\boxed{\\frac{1}{2", "3", "boxed"),
    ("Final Answer: The final answer is $3$. I hope it is correct.", "$3$", "answer_is"),
    ("**Answer:** 12 apples", "12 apples", "answer_is"),
    ("The answer is: $1,234.50.", "$1,234.50", "answer_is"),
    ("The answer is: x = 4", "x = 4", "answer_is"),
    ("The answer is: blue whale", "blue whale", "answer_is"),
    ("The answer is: it takes him 4 days.", "4", "answer_is"),
    ("So the answer to this question is Craig has $19 left.", "$19", "prose"),
    ("the answer is there are 3 for every 1/2", "1/2", "prose"),
    ("3+2", "3+2", "bare"),
    ("Therefore it is $10^3$", "10^3", "last_math"),
    ("He walks 5 miles and then 7.", "7", "last_number"),
    ("no number at all", None, None),
    # A range is the answer only where no conclusion follows.
    ("The answer is between 3 and 4 apples.", "between 3 and 4 apples", "prose"),
    ("The answer is between 3 and 4, because 3.5 is.", "between 3 and 4", "prose"),
    ("The answer is between 3 and 4 apples, so he needs 4.", "4", "prose"),
    ("The answer is either 5 or 6, and since 5 is odd it must be 6.", "6", "prose"),
    ("The answer is: The number of primes that are between 10 and 20 is 4.", "4", "answer_is"),
    ("The answer is: the shift was from 9 to 17, a total of 8 hours.", "8 hours", "answer_is"),
    ("The answer is from 9 to 17, which is 8 hours.", "8 hours", "prose"),
    ("Answer: from 1 to 10 there are 10 numbers", "10 numbers", "answer_is"),
    ("There are 4 primes, since they are between 10 and 20.", "4", "last_number"),
    # A choice with its text, and without the word *answer*.
    ("The correct answer is option B) 12.", "B) 12", "prose"),
    ("The answer is choice (C) 7 because 3 + 4 = 7.", "(C) 7", "prose"),
    ("The answer is D because 3 + 4 = 7.", "D", "prose"),
    ("The correct option is B.", "B", "answer_is"),
    ("**Correct choice:** (B) 12", "(B) 12", "answer_is"),
    ("The best option is to buy 5. He pays 12.", "12", "last_number"),
    # A heading with a number is no mark of GSM8K.
    ("#### 5. Conclusion\nWe get 12.", "12", "last_number"),
    ("#### 2) **Add the costs**\nWe get 12.", "12", "last_number"),
    ("#### 5. I hope it is correct.", "5", "hashes"),
    # Several values of one variable.
    ("Thus x = 5 or x = -3.", "x = 5 or x = -3", "last_number"),
    ("So $x = 1$, $x = 2$, or $x = 3$.", "x = 1, x = 2, or x = 3", "last_math"),
    ("So x = 10/2, x = 5.", "5", "last_number"),
    # A JSON object as the answer.
    ('{"answer": {"value": 7}}', "7", "json"),
    ('{"answer": {"unit": "cm", "value": "7"}}', "7", "json"),
    ('{"answer": {"value": [1, 2]}}', "1, 2", "json"),
    ('{"answer": {"x": 5}}', "5", "last_number"),
    ("", None, None),
]

COMPARISONS = [
    ("18", "$18", "equal"),
    ("18", "18.", "equal"),
    ("1,234", "1234", "equal"),
    ("20 000", "20000", "equal"),
    ("10{,}000", "10,\\!000", "equal"),
    ("32349", "32, 349", "different"),
    ("1", "10", "different"),
    ("-1", "1", "different"),
    ("0.5", "\\frac12", "equal"),
    ("\\frac{360}7", "360/7", "equal"),
    ("-\\dfrac{7}{2}", "-3.5", "equal"),
    ("1 1/2", "3/2", "equal"),
    ("1\\frac{1}{2}", "1.5", "equal"),
    ("1 2", "12", "different"),
    ("1/0", "2/0", "undecided"),
    ("1 \\times 10^3", "1000", "equal"),
    ("1/3", "0.333333", "rounded"),
    ("1/3", "0.33", "different"),
    ("0.333333", "0.333334", "different"),
    ("25\\%", "25", "equal"),
    ("25\\%", "\\frac14", "equal"),
    ("25\\%", "25.5", "different"),
    ("25", "0.25", "different"),
    ("45 percent", "45\\%", "equal"),
    ("12.50 dollars", "\\$12.5", "equal"),
    ("5", "5 apples", "equal"),
    ("12 \\text{ cm}^2", "12 cm^2", "equal"),
    ("25 \\, \\text{km}", "25", "equal"),
    ("60", "60 miles per hour", "equal"),
    ("45^\\circ, 135^\\circ", "45, 135", "equal"),
    ("\\cos 58^\\circ", "\\cos 58", "undecided"),
    ("5", "5x", "undecided"),
    ("5", "5ab", "undecided"),
    ("3", "3 pi", "undecided"),
    ("5", "5 million", "different"),
    ("z^2 - 8z - 6", "z^2 - 8", "undecided"),
    ("-3x^2 + 9x - 11", "-3x^2 + 9", "undecided"),
    ("x = 4", "4", "equal"),
    ("x = 4", "y = 4", "undecided"),
    ("5", "3 + 2 = 5", "equal"),
    ("2x + z = 1", "1", "undecided"),
    ("x = 1, y = 2", "y = 2, x = 1", "equal"),
    ("x = 1, y = 2", "y = 1, x = 2", "different"),
    ("x = 1, y = 2", "1, 2", "equal"),
    ("1, 2, 3", "3, 2, 1", "equal"),
    ("7, -2, \\text{ and } -5", "-5, -2, 7", "equal"),
    ("\\{1, 2\\}", "\\left\\{2, 1\\right\\}", "equal"),
    ("(100, 200)", "(100,200)", "equal"),
    ("(1, 2)", "(2, 1)", "different"),
    ("[0, 1]", "[0, 1)", "different"),
    ("(1, \\sqrt{2})", "(1, \\sqrt 2)", "equal"),
    ("\\sqrt{2}", "1.41", "undecided"),
    ("1110_4", "1110", "equal"),
    ("1110_{4}", "1110_5", "different"),
    ("\\text{4:30 p.m.}", "4:30", "equal"),
    ("\\text{4:30 p.m.}", "4:30 a.m.", "different"),
    ("\\text{Even}", "even", "equal"),
    ("A", "a", "undecided"),
    ("", "", "undecided"),
]

LONG = 100_000
QUADRATIC_S = 2.0
"""CPU seconds. An expression that backtracks at every character takes minutes for LONG of them."""
HOSTILE = [
    "\\boxed{", "{", "}", ".", "answer: ", "The answer is ", "#### .\n", "A: .\n", "$a", "\\(",
    "1,", "9", " ", "\n", "<<", "<|", "answer is my own dear ", "-", "\\", "1 ",
]  # fmt: skip
NUMBERS = st.integers(-(10**7), 10**7)


@pytest.mark.parametrize(("text", "answer", "source"), EXTRACTIONS)
def test_extraction(text: str, answer: str | None, source: str | None) -> None:
    extraction = extract_answer_with_source(text)
    assert (extraction and extraction.answer) == answer
    assert (extraction and extraction.source) == source


@pytest.mark.parametrize("unit", HOSTILE)
def test_extraction_takes_linear_time(unit: str) -> None:
    text = unit * (LONG // len(unit)) + "x"
    start = time.process_time()
    extract_answer(text)
    assert time.process_time() - start < QUADRATIC_S


@settings(derandomize=True, deadline=None)
@given(st.text(max_size=200))
def test_extraction_takes_any_text(text: str) -> None:
    extract_answer(text)
    compare(text, text[::-1])
    answer_key(text)


@pytest.mark.parametrize(("gold", "answer", "expected"), COMPARISONS)
def test_comparison(gold: str, answer: str, expected: str) -> None:
    assert compare(gold, answer) == expected


@settings(derandomize=True, deadline=None)
@given(NUMBERS, NUMBERS)
def test_numbers_are_decided_both_ways_and_share_a_key(first: int, second: int) -> None:
    written = [f"{first}", f"${first:,}", f"{first}.0", f"\\boxed{{{first}}}", f"{first} apples"]
    assert {compare(form, f"{second}") for form in written} == {
        "equal" if first == second else "different"
    }
    assert len({answer_key(form) for form in written}) == 1
    assert (answer_key(f"{first}") == answer_key(f"{second}")) == (first == second)


@pytest.mark.skipif(not SHARED_DATA.exists(), reason="needs the shared data folder")
def test_gold_answers_of_published_problems() -> None:
    for split in ("train", "test"):
        for line in (SHARED_DATA / "gsm8k" / f"{split}.jsonl").read_text().splitlines():
            answer = json.loads(line)["answer"]
            assert compare(answer.rpartition("#### ")[2], extract_answer(answer) or "") == "equal"
    for line in (SHARED_DATA / "math" / "test500.jsonl").read_text().splitlines():
        row = json.loads(line)
        assert compare(row["answer"], extract_answer(row["solution"]) or "") == "equal"
