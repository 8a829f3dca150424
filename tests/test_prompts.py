import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shepherd.prompts import build_prompt


def test_plain_prompt() -> None:
    assert build_prompt("plain", "How many?") == "How many?\n"
    assert build_prompt("plain", "How many?", "Step 1: 1.\n") == "How many?\nStep 1: 1.\n"


def test_metamath_prompt_is_the_published_one() -> None:
    assert build_prompt("metamath", "How many?", "Tom") == (
        "Below is an instruction that describes a task. Write a response that appropriately "
        "completes the request.\n\n### Instruction:\nHow many?\n\n"
        "### Response: Let's think step by step.Tom"
    )


@settings(derandomize=True, deadline=None)
@given(st.sampled_from(["plain", "metamath"]), st.text(), st.text())
def test_a_prompt_holds_the_question_and_ends_with_the_prefix(
    template: str, question: str, prefix: str
) -> None:
    prompt = build_prompt(template, question, prefix)
    assert question in prompt
    assert prompt == build_prompt(template, question) + prefix


def test_braces_of_a_question_are_text() -> None:
    assert build_prompt("plain", "{question} {0} \\frac{1}{2}") == "{question} {0} \\frac{1}{2}\n"


def test_unknown_template_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'alpaca' is unknown.*metamath, plain"):
        build_prompt("alpaca", "How many?")
