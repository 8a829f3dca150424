import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shepherd.splitting import Method, split_steps

PUBLISHED = "Step 1: Tom has 3 + 4 = 7 apples.\nStep 2: 7 * 2 = 14.\nThe answer is: 14"
METHODS: list[Method] = ["auto", "newline", "step", "blank_line", "sentence"]
PARTS = st.lists(
    st.sampled_from(
        [
            "Step 1: a",
            "Step 2:",
            "\n",
            "\n\n",
            " ",
            "x. Y",
            "$$",
            "```",
            "\\[",
            "\\]",
            "- b",
            "$1. 2$",
            "\\begin{a}",
            "\\end{a}",
            "A: 3",
            "#### 4",
            "The answer is: 5",
            "\r\n",
            "\t",
        ]
    ),
    max_size=30,
).map("".join)


@pytest.mark.parametrize("method", METHODS)
@settings(derandomize=True, deadline=None)
@given(text=PARTS | st.text(max_size=60))
def test_joined_steps_are_the_text(method: Method, text: str) -> None:
    steps = split_steps(text, method)
    assert "".join(steps) == text
    assert text.isspace() or not any(step.isspace() for step in steps)
    assert all(steps)


def test_closing_line_belongs_to_the_last_step() -> None:
    assert split_steps(PUBLISHED) == [
        "Step 1: Tom has 3 + 4 = 7 apples.\n",
        "Step 2: 7 * 2 = 14.\nThe answer is: 14",
    ]
    assert split_steps("3 + 4 = 7\n7 * 2 = 14\nA: 14") == ["3 + 4 = 7\n", "7 * 2 = 14\nA: 14"]
    assert split_steps("3 + 4 = 7\n7 * 2 = 14\n#### 14") == ["3 + 4 = 7\n", "7 * 2 = 14\n#### 14"]
