import gzip
import json
import os
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shepherd.identity import content_id
from shepherd.label_formats import (
    PARSERS,
    RENDERERS,
    ExportFormat,
    LabeledSolution,
    PublishedFormat,
    labeled_frame,
    parse_math_shepherd,
    parse_prm800k,
    parse_processbench,
    parse_trl,
    render_math_shepherd,
    render_processbench,
    render_trl,
    render_trl_float,
)
from shepherd.schemas import LABELED_SOLUTIONS, enforce

STEP_LABELS = Path(os.environ.get("SHEPHERD_SHARED_DATA", "../shared/data")) / "step_labels"
needs_labels = pytest.mark.skipif(
    not STEP_LABELS.is_dir(), reason="no published labels here: set SHEPHERD_SHARED_DATA"
)
TEXT = st.text(st.sampled_from("ab3 $\\é+-<=:?."), max_size=12)
LINES = TEXT.map(lambda text: f"x{text}")


def rows(name: str) -> list[Any]:
    lines = gzip.decompress((STEP_LABELS / name).read_bytes()).decode().splitlines()
    return [json.loads(line) for line in lines if line.strip()]


@st.composite
def solutions(draw: st.DrawFn) -> LabeledSolution:
    bodies = draw(st.lists(LINES, min_size=1, max_size=5))
    closings = [draw(st.sampled_from(["\n", "\n\n"])) for _ in bodies]
    closings[-1] = draw(st.sampled_from(["", "\n"]))
    numbered = zip(range(1, 9), bodies, closings, strict=False)
    steps = tuple(f"Step {number}: {body}{closing}" for number, body, closing in numbered)
    labels = st.lists(st.sampled_from([0, 1]), min_size=len(steps), max_size=len(steps))
    hard = tuple(draw(labels))
    return LabeledSolution(
        # Without an end of the sentence, a question mark in a step may be the question's.
        question=draw(LINES) + draw(st.sampled_from([".", "?", ":", "$"])),
        steps=steps,
        hard=hard,
        soft=(None,) * len(steps),
        is_correct=hard[-1] == 1,
        task=draw(st.sampled_from(["GSM8K", "MATH"])),
    )


@settings(derandomize=True, deadline=None)
@given(solutions())
def test_math_shepherd_rows_are_read_as_they_were_written(solution: LabeledSolution) -> None:
    row = render_math_shepherd(solution)
    assert parse_math_shepherd(row) == solution
    assert render_math_shepherd(parse_math_shepherd(row)) == row


@settings(derandomize=True, deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=5), st.data())
def test_trl_rows_are_written_as_they_were_read(texts: list[str], data: st.DataObject) -> None:
    completions = [f"x{text}{data.draw(st.sampled_from(['', ' ', chr(10)]))}" for text in texts]
    size = {"min_size": len(texts), "max_size": len(texts)}
    row = {"prompt": "q", "completions": completions}
    bools = data.draw(st.lists(st.booleans(), **size))
    assert render_trl(parse_trl({**row, "labels": bools})) == {**row, "labels": bools}
    shares = data.draw(st.lists(st.floats(0.01, 0.99), **size))
    assert render_trl_float(parse_trl({**row, "labels": shares})) == {**row, "labels": shares}


@settings(derandomize=True, deadline=None)
@given(solutions())
def test_processbench_rows_are_read_as_they_were_written(solution: LabeledSolution) -> None:
    row = render_processbench(solution)
    found = parse_processbench(row)
    assert render_processbench(found) == row
    assert row["label"] == next((k for k, label in enumerate(solution.hard) if not label), -1)
    assert found.question == solution.question
    assert found.is_correct == solution.is_correct


Q = "How many? "
GOOD = f"{Q}Step 1: a ки\nStep 2: b ки"


@pytest.mark.parametrize(
    ("text", "label", "reason"),
    [
        (f"{Q}Step 1: a", f"{Q}Step 1: a", "input: has no tag ки"),
        ("How ки many? Step 1: a ки", "How + many? Step 1: a +", "input: a tag is in the"),
        (f"{Q}Step 1: a ки b ки", f"{Q}Step 1: a + b +", "input: tag 1 stands inside a line"),
        (f"{Q}Step 1: a ки\nb", f"{Q}Step 1: a +\nb", "input: text follows the last tag, 1"),
        (f"{Q}Step 1: a ки\n ки", f"{Q}Step 1: a +\n +", "input: tag 2 closes no step"),
        (f"{Q}Step 1: a кики", f"{Q}Step 1: a +-", "input: tag 2 closes no step"),
        ("So Step 1 a ки", "So Step 1 a +", "input: has no 'Step 1:', so that"),
        ("Step 1: a ки", "Step 1: a +", "input: has no question"),
        ("**Step 1:** a ки", "**Step 1:** a +", "input: has no question"),
        ("In Step 1: mix. Many? a ки", "In Step 1: mix. Many? a +", "input: the question may end"),
        ("In Step 1: mix. Many? a ки\nStep 2: b ки", "In Step 1: mix. Many? a +\nStep 2: b +",
         "input: the question may end"),
        ("Do. Step 1: mix. Many? Step 1: a ки", "Do. Step 1: mix. Many? Step 1: a +",
         "input: the question may end"),
        ("Do. Step 1: mix? So Step 1: a ки", "Do. Step 1: mix? So Step 1: a +",
         "input: the question may end"),
        (f"{Q}**Step 1:** a\n**Step 2:** b ки", f"{Q}**Step 1:** a\n**Step 2:** b +",
         "input: the step before 'Step 2:' has no tag"),
        (f"{Q}Step 1: a\nStep 2: b ки", f"{Q}Step 1: a\nStep 2: b +",
         "input: the step before 'Step 2:' has no tag"),
        (GOOD, f"{Q}Step 1: a +\nStep 2: b ", "label: has '' for tag 2, not + or -"),
        (GOOD, f"{Q}Step 1: a +\nStep 2: b ки", "label: has 'к' for tag 2, not + or -"),
        (GOOD, f"{Q}Step 1: a +\nStep 3: b +", "label: differs from input before tag 2"),
        (GOOD, f"{Q}Step 1: a +\nStep 2: b + -", "label: differs from input after the last tag"),
        (GOOD, 3, "label: is int, not text"),
        ("", "", "input: is empty"),
    ],
)  # fmt: skip
def test_misplaced_tags_are_named(text: str, label: object, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}"):
        parse_math_shepherd({"input": text, "label": label, "task": "GSM8K"})


@pytest.mark.parametrize(
    ("text", "question", "steps"),
    [
        (GOOD, "How many?", ("Step 1: a\n", "Step 2: b")),
        (f"{Q}Step 1: a\nb ки\n\nStep 2: c ки\n", "How many?", ("Step 1: a\nb\n\n", "Step 2: c\n")),
        ("Q step 1: a ки", "Q", ("step 1: a",)),
        ("Why? It is 3. ки\nSo 3 ки", "Why?", ("It is 3.\n", "So 3")),
        (" The Myth  Step 1: a ки", " The Myth ", ("Step 1: a",)),
        ("In Step 1: mix. Many? a ки\nb ки", "In Step 1: mix. Many?", ("a\n", "b")),
        ("In Step 1: mix. Many? Step 1: a ки", "In Step 1: mix. Many?", ("Step 1: a",)),
        ("Q? Step 1: from Step 1: we get a ки\nStep 2: b ки", "Q?",
         ("Step 1: from Step 1: we get a\n", "Step 2: b")),
        ("Q? **Step 1:** a ки\n**Step 2:** b ки", "Q?", ("**Step 1:** a\n", "**Step 2:** b")),
        ("Q? ### Step 1: a ки\n### Step 2: b ки", "Q?", ("### Step 1: a\n", "### Step 2: b")),
        ("Find $x$. Step 1: Is x > 0? Yes. ки\nStep 2: b ки", "Find $x$.",
         ("Step 1: Is x > 0? Yes.\n", "Step 2: b")),
        ("Find x Step 1: 3 ки\nStep 2: b ки", "Find x", ("Step 1: 3\n", "Step 2: b")),
    ],
)  # fmt: skip
def test_question_and_steps_are_told_apart(
    text: str, question: str, steps: tuple[str, ...]
) -> None:
    row = {"input": text, "label": text.replace("ки", "-"), "task": "MATH"}
    found = parse_math_shepherd(row)
    assert (found.question, found.steps, found.task) == (question, steps, "MATH")
    assert not found.is_correct
    assert render_math_shepherd(found) == row


def test_steps_that_are_no_lines_become_lines() -> None:
    solution = LabeledSolution("q", ("Step 1: a. ", "b"), (1, 0), (None, None), False, "T")
    assert render_math_shepherd(solution)["input"] == "q Step 1: a.  ки\nb ки"
    tagged = LabeledSolution("q ки", ("Step 1: a",), (1,), (None,), True, "T")
    with pytest.raises(ValueError, match="holds the tag ки already"):
        render_math_shepherd(tagged)


@pytest.mark.parametrize(
    ("parser", "row", "reason"),
    [
        ("trl", {"prompt": "q", "completions": ["a"], "labels": [True, False]},
         "labels: 2 for 1 completions"),
        ("trl", {"prompt": "q", "completions": [], "labels": []}, "completions: is missing, empty"),
        ("trl", {"prompt": "q", "completions": ["a", 3], "labels": [True, False]},
         "completions: is int, not text"),
        ("trl", {"prompt": "q", "completions": ["a"], "labels": [1.5]}, "labels: 1.5 is neither"),
        ("trl", {"prompt": "q", "completions": ["a"], "labels": ["+"]}, "labels: '+' is neither"),
        ("trl", {"completions": ["a"], "labels": [True]}, "prompt: is missing"),
        ("processbench", {"steps": ["a"], "label": 1}, "label: 1 is neither -1 nor one of 1 steps"),
        ("processbench", {"steps": ["a"], "label": True}, "label: True is neither"),
        ("processbench", {"steps": ["a"], "label": 0}, "final_answer_correct: is missing"),
        ("prm800k", {"label": {"steps": []}, "question": {"problem": "q"}}, "steps: is missing"),
        ("prm800k", {"label": [], "question": {}}, "label: is missing, or no object"),
        ("prm800k", {"problem": "q", "steps": [[{"text": "a", "rating": 2}]]},
         "rating: 2 is none of -1, 0, 1"),
    ],
)  # fmt: skip
def test_malformed_rows_give_a_reason(parser: str, row: object, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}"):
        PARSERS[parser](row)


def completion(text: str, rating: int | None) -> dict[str, object]:
    return {"text": text, "rating": rating, "flagged": False}


def test_every_rating_of_a_prm800k_row_ends_or_continues_a_path() -> None:
    steps = [
        {"completions": [completion("a", 0), completion("b", -1)], "chosen_completion": 0,
         "human_completion": None},
        {"completions": [completion("c", -1)], "chosen_completion": None,
         "human_completion": {"text": "h", "rating": None}},
        {"completions": [completion("# Answer\n\n3", 1), completion("d", None)],
         "chosen_completion": 0, "human_completion": None},
    ]  # fmt: skip
    row = {"question": {"problem": "q"}, "label": {"steps": steps, "finish_reason": "solution"}}
    found = [(s.steps, s.hard, s.soft, s.is_correct) for s in parse_prm800k(row)]
    assert found == [
        (("b",), (0,), (0.0,), False),
        (("a\n", "c"), (1, 0), (0.5, 0.0), False),
        (("a\n", "h\n", "# Answer\n\n3"), (1, 1, 1), (0.5, 1.0, 1.0), True),
    ]


@pytest.mark.parametrize(
    ("fields", "finish_reason", "rating", "num_solutions"),
    [
        ({}, "found_error", 0, 1),
        ({"is_quality_control_question": False}, "solution", 1, 1),
        ({"is_quality_control_question": True}, "solution", 1, 0),
        ({"is_initial_screening_question": True}, "found_error", -1, 0),
        ({}, "give_up", 1, 0),
        ({}, "bad_problem", 1, 0),
        ({}, "found_error", None, 0),
    ],
)
def test_prm800k_rows_that_its_paper_discards_hold_no_labels(
    fields: dict[str, object], finish_reason: str, rating: int | None, num_solutions: int
) -> None:
    step = {"completions": [completion("a", rating)], "chosen_completion": None,
            "human_completion": None}  # fmt: skip
    label = {"steps": [step], "finish_reason": finish_reason}
    row = {"question": {"problem": "q"}, "label": label, "generation": 9, **fields}
    assert len(parse_prm800k(row)) == num_solutions


def test_a_prm800k_path_ends_at_its_last_rated_step() -> None:
    steps = [
        {"completions": [completion("a", 1)], "chosen_completion": 0, "human_completion": None},
        {"completions": None, "chosen_completion": None, "human_completion": None},
    ]
    row = {"question": {"problem": "q"}, "label": {"steps": steps, "finish_reason": "found_error"}}
    assert [(s.steps, s.is_correct) for s in parse_prm800k(row)] == [(("a",), False)]


def test_a_frame_of_solutions_is_of_its_table() -> None:
    solution = LabeledSolution(" q", ("a\n", "b"), (1, 0), (0.5, None), False, "GSM8K", "g")
    frame = enforce(LABELED_SOLUTIONS, labeled_frame([solution], "mc", None))
    problem_id = content_id("GSM8K", "q")
    assert frame.rows() == [
        (content_id(problem_id, "g", "a\nb"), problem_id, "GSM8K", "mc", " q", ["a\n", "b"],
         [1, 0], [0.5, None], False)
    ]  # fmt: skip
    assert labeled_frame([solution], "mc", "mine")["dataset"].to_list() == ["mine"]


@needs_labels
def test_published_math_shepherd_rows_round_trip_to_the_byte() -> None:
    lines = gzip.decompress((STEP_LABELS / "openr_samples_math-shepherd.jsonl.gz").read_bytes())
    published = [line for line in lines.decode().splitlines() if line.strip()]
    assert len(published) == 7
    for line in published:
        solution = parse_math_shepherd(json.loads(line))
        assert json.dumps(render_math_shepherd(solution), ensure_ascii=False) == line
        assert [step.split(":")[0] for step in solution.steps] == [
            f"Step {k}" for k in range(1, len(solution.steps) + 1)
        ]


@needs_labels
def test_published_prm800k_rows_keep_every_rating() -> None:
    published = rows("prm800k_phase1_train.jsonl.gz")
    paths = list(map(parse_prm800k, published))
    assert (len(published), sum(map(bool, paths)), sum(map(len, paths))) == (942, 930, 36_644)
    first, second = (parse_prm800k(row) for row in rows("openr_samples_prm800k.jsonl.gz")[:2])
    assert [len(solution.steps) for solution in first] == [2] * 5 + [6] * 5
    assert sum(solution.is_correct for solution in first) == 2
    assert [solution.hard for solution in second] == [(1,) * 6 + (k,) for k in (0, 1, 1, 1)]


def test_the_names_of_the_formats_are_those_that_profiles_know() -> None:
    assert set(PARSERS) == set(get_args(PublishedFormat))
    assert set(RENDERERS) == set(get_args(ExportFormat))
