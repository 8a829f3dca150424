"""Reasoning models: the grammar of thoughts, their sections, answers and tokens."""

import time
import tracemalloc

import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shepherd.answers import extract_answer
from shepherd.prompts import build_prompt, open_template
from shepherd.splitting import scored_steps, split_steps
from shepherd.splitting.sections import section_cuts
from shepherd.thoughts import (
    behind_opening,
    ends_in_thought,
    has_thought,
    opening_of,
    thought_end,
    with_thought,
)

PARAGRAPHS = [
    "Okay, Natalia sold 48 clips in April.\n\n",
    "In May she sold half, which is 48 / 2 = 24.\n\n",
    "Wait, is it half of April? Yes, so 24.\n\n",
    "Hmm, let me read again.\n\n",
    "The total is 48 + 24 = 72.\n\n",
    "But should I count June?\n\n",
    "No, only April and May.\n",
]
SUMMARY = "Step 1: 48 / 2 = 24.\nStep 2: 48 + 24 = 72.\nThe answer is: 72"
TRACE = f"<think>\n{''.join(PARAGRAPHS)}</think>\n\n{SUMMARY}"


def test_a_thought_is_cut_into_sections_and_the_summary_as_usual() -> None:
    assert split_steps(TRACE, "reasoning") == [
        "<think>\n" + PARAGRAPHS[0],
        "".join(PARAGRAPHS[1:4]),
        "".join(PARAGRAPHS[4:]) + "</think>\n\n",
        "Step 1: 48 / 2 = 24.\n",
        "Step 2: 48 + 24 = 72.\nThe answer is: 72",
    ]


@pytest.mark.parametrize(
    "paragraph",
    [
        "Wait, that is wrong.",
        "But the question says each.",
        "Hmm.",
        "Hmmm, maybe not.",
        "Alternatively, use algebra.",
        "**Wait**, no.",
        "Oh wait, I forgot June.",
        "So wait, 24?",
        "However, it is half.",
        "Actually, 24 is right.",
        "Hold on.",
        "No, that's not right.",
        "That doesn't make sense.",
        "Let me double-check this.",
        "Let me verify: 2 * 24 = 48.",
        "等等，再算一次。",
    ],
)
def test_a_paragraph_that_turns_back_stays_with_what_it_turns_back_from(paragraph: str) -> None:
    thought = f"<think>\nIt is 24.\n\n{paragraph}\n\nThe total is 72.\n</think>\n72"
    first, second, _ = split_steps(thought, "reasoning")
    assert first == f"<think>\nIt is 24.\n\n{paragraph}\n\n"
    assert second == "The total is 72.\n</think>\n"


@pytest.mark.parametrize(
    "paragraph",
    [
        "Next, add both.",
        "No-one else sold any.",
        "Now the total is 72.",
        "Waiting time is 5 hours.",
        "Butter costs 3 dollars.",
        "Let me add both: 72.",
        "Nobody is left.",
    ],
)
def test_a_paragraph_that_goes_on_begins_a_section(paragraph: str) -> None:
    thought = f"<think>\nIt is 24.\n\n{paragraph}\n</think>\n72"
    assert split_steps(thought, "reasoning")[1] == f"{paragraph}\n</think>\n"


def test_sections_are_merged_to_the_number_that_the_method_names() -> None:
    thought = "<think>\n" + "".join(f"Fact {n} is {n * n}.\n\n" for n in range(100)) + "</think>\n"
    for number in (1, 2, 7, 16, 40):
        sections = split_steps(thought + SUMMARY, f"reasoning:{number}")[:-2]
        assert len(sections) == number
        lengths = [len(section) for section in sections]
        assert max(lengths) <= 1.5 * min(lengths) + 20
    assert len(split_steps(thought + SUMMARY, "reasoning")) == 16 + 2
    assert len(split_steps(thought + SUMMARY, "reasoning:1000")) == 100 + 2


def test_a_huge_paragraph_takes_no_share_of_the_others() -> None:
    thought = "<think>\n" + "x" * 5000 + "\n\n" + "One.\n\nTwo.\n\nThree.\n\nFour.\n</think>\n"
    sections = split_steps(thought, "reasoning:3")
    assert len(sections) == 2 or sections[0].startswith("<think>\nx")
    assert "".join(sections) == thought


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("", []),
        (
            SUMMARY,
            ["Step 1: 48 / 2 = 24.\n", "Step 2: 48 + 24 = 72.\nThe answer is: 72"],
        ),
        ("<think>\n\n</think>\n\nIt is 4.\nSo 4.", ["<think>\n\n</think>\n\nIt is 4.\n", "So 4."]),
        ("<think>\n\n</think>\n\n", ["<think>\n\n</think>\n\n"]),
        ("<think>\nIt is", ["<think>\nIt is"]),
        ("<think>\nA is 1.\n\nB is 2.\n\nC", ["<think>\nA is 1.\n\n", "B is 2.\n\n", "C"]),
        ("A is 1.\n\nB.\n</think>\nSo 3.", ["A is 1.\n\n", "B.\n</think>\n", "So 3."]),
        ("<think>\n\nA is 1.\n\n</think>\n\n4", ["<think>\n\nA is 1.\n\n</think>\n\n", "4"]),
        (
            "<think>\nA is 1.\nB is 2.\n</think>\n3",
            ["<think>\nA is 1.\n", "B is 2.\n</think>\n", "3"],
        ),
        ("◁think▷It is.◁/think▷4", ["◁think▷It is.◁/think▷", "4"]),
        ("<THINK>It is.</THINK>4", ["<THINK>It is.</THINK>", "4"]),
        (
            "<think>a is 1</think>\nx\n<think>b</think>\n4",
            ["<think>a is 1</think>\n", "x\n", "<think>b</think>\n", "4"],
        ),
    ],
)
def test_thoughts_of_all_kinds_are_cut(text: str, steps: list[str]) -> None:
    assert split_steps(text, "reasoning") == steps


@pytest.mark.parametrize("unit", ["\n\n-", "\n> ", "\n#\n", "no, \n\n", "-\n\n*\n\n"])
def test_sections_take_linear_time(unit: str) -> None:
    text = unit * (100_000 // len(unit)) + "x"
    assert len(section_cuts(text, 10)) < 10


def test_no_section_begins_inside_a_formula_or_a_fence() -> None:
    block = "We get\n$$\na = 1\n\n+ 2\n$$\n"
    code = "```python\nx = 1\n\ny = 2\n```\n"
    thought = f"<think>\n{block}\n{code}\nSo 3.\n</think>\n"
    assert split_steps(thought, "reasoning") == [
        f"<think>\n{block}\n",
        f"{code}\n",
        "So 3.\n</think>\n",
    ]


PIECES = st.sampled_from(
    [
        "<think>",
        "</think>",
        "\n",
        "\n\n",
        "Wait, ",
        "But ",
        "It is 4.",
        "$$",
        "```",
        " ",
        "x",
        "|a|\n",
    ]
)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.lists(PIECES, max_size=30), st.integers(1, 6))
def test_steps_are_the_text_and_sections_are_bounded(pieces: list[str], number: int) -> None:
    text = "".join(pieces)
    steps = split_steps(text, f"reasoning:{number}")
    assert "".join(steps) == text
    assert all(steps)
    end = thought_end(text)
    assert sum(1 for step in split_steps(text[:end], f"reasoning:{number}")) <= number
    assert scored_steps(text, f"reasoning:{number}") == (steps or [text])


def test_a_text_is_in_a_thought_where_the_last_tag_opens_one() -> None:
    assert ends_in_thought("<think>a</think>b<think>c")
    assert not ends_in_thought("<think>a</think>b")
    assert not ends_in_thought("a</think>b", begins_in_thought=True)
    assert ends_in_thought("a", begins_in_thought=True)
    assert thought_end("a", begins_in_thought=True) == 1
    assert thought_end("a") == 0
    assert not has_thought("2 < 3 think > 1")
    assert opening_of("user: {question}\nassistant: <think>\n") == "<think>\n"
    assert opening_of("<think>\n\n</think>\n\n") == ""
    assert with_thought("", "4") == "4"
    assert split_steps(with_thought("2 + 2", "4"), "reasoning")[-1] == "4"
    assert extract_answer(with_thought("It is 5", "")) is None


@pytest.mark.parametrize(
    ("text", "begins_in_thought", "answer"),
    [
        (TRACE, False, "72"),
        ("The answer is: 5", True, None),
        ("The answer is: 5</think>The answer is: 72", True, "72"),
        ("The answer is: 5</think>\n\n", True, None),
        ("so 5</think> It is 6.<think> or 7", True, "6"),
        ("<think>The answer is: 5", False, None),
        ("The answer is: 5", False, "5"),
    ],
)
def test_answers_are_read_from_the_summary_alone(
    text: str, begins_in_thought: bool, answer: str | None
) -> None:
    assert extract_answer(text, begins_in_thought=begins_in_thought) == answer


LONG = "<think>\n" + "".join(
    f"Now I look at case {n}: {n} * {n} = {n * n}, and $$x^2 = {n}$$ holds.\n\n"
    f"{'Wait, ' if n % 3 == 0 else ''}so the sum so far is {n * (n + 1) // 2}.\n\n"
    for n in range(1_200)
)
"""About 32,000 tokens: 1,200 cases of two paragraphs."""


@pytest.mark.parametrize(
    "text", [f"{LONG}</think>\n\n{SUMMARY}", LONG, "x " * 60_000 + "</think>4"]
)
def test_thoughts_of_32_000_tokens_take_little_time_and_memory(text: str) -> None:
    started = time.process_time()
    steps = split_steps(text, "reasoning")
    answer = extract_answer(text)
    seconds = time.process_time() - started
    assert "".join(steps) == text
    assert len(steps) <= 16 + 2
    assert answer == ("72" if text.endswith("72") else "4" if text.endswith("4") else None)
    tracemalloc.start()
    split_steps(text, "reasoning")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # It takes about 10 ms and 1 MiB: a bound that only another order of growth exceeds.
    assert seconds < 2
    assert peak < 20 * len(text)


CHATML = (
    "{% for m in messages %}<|{{ m.role }}|>{% if m.role == 'assistant' %}<think>\n\n</think>\n\n"
    "{% endif %}{{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|><think>\n{% endif %}"
)
"""As Qwen3's: a written turn has an empty thought, and a new one opens its own."""


class Tokenizer:
    name_or_path, chat_template, bos_token, bos_token_id = "thinker", CHATML, None, None

    def __call__(self, text: str) -> dict[str, list[int]]:
        return {"input_ids": []}

    def apply_chat_template(
        self, conversation: list[dict[str, str]], *, tokenize: bool, **variables: object
    ) -> str:
        chat = jinja2.Template(CHATML).render(messages=conversation, **variables)
        return chat.rstrip() if variables.get("continue_final_message") else chat


def test_the_template_thinking_opens_a_new_answer() -> None:
    assert open_template("thinking", Tokenizer()) == "<|user|>{question}\n<|assistant|><think>\n"
    assert open_template("chat", Tokenizer()).endswith("<think>\n\n</think>\n\n")


def test_a_thought_is_opened_once() -> None:
    template = "{question}<think>\n"
    assert build_prompt(template, "q") == "q<think>\n"
    assert build_prompt(template, "q", "<think>\nFirst") == "q<think>\nFirst"
    assert build_prompt(template, "q", "First") == "q<think>\nFirst"
    assert build_prompt("plain", "q", "<think>\nFirst") == "q\n<think>\nFirst"
    assert behind_opening("q<think>\n", "<think>\nFirst") == "First"
    assert behind_opening("q\n", "<think>\nFirst") == "<think>\nFirst"
