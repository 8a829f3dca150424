import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shepherd.splitting import Method, anomalies, split_steps, strip_calculations

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


@pytest.mark.parametrize(
    ("text", "method", "steps"),
    [
        ("", "auto", []),
        (" \n ", "auto", [" \n "]),
        ("a\n\n\nb", "newline", ["a\n\n\n", "b"]),
        ("\na\nb\n", "newline", ["\na\n", "b\n"]),
        ("So:\nStep 1: a\nb\nStep 2: c", "auto", ["So:\nStep 1: a\nb\n", "Step 2: c"]),
        ("in Step 1: a\nb", "auto", ["in Step 1: a\n", "b"]),
        ("a\n\\[\nx\n=y\n\\]\nb", "newline", ["a\n", "\\[\nx\n=y\n\\]\n", "b"]),
        ("$$\na\n$$\nb", "newline", ["$$\na\n$$\n", "b"]),
        ("$$ open\nb", "newline", ["$$ open\n", "b"]),
        ("```\na\nb\n```\nc", "newline", ["```\na\nb\n```\n", "c"]),
        (
            "\\begin{a}\n\\begin{b}\n\\end{b}\nx\n\\end{a}\nc",
            "newline",
            ["\\begin{a}\n\\begin{b}\n\\end{b}\nx\n\\end{a}\n", "c"],
        ),
        ("We know:\n- a\n- b\nSo c", "newline", ["We know:\n- a\n- b\n", "So c"]),
        ("1. a\n   - b\n2. c", "newline", ["1. a\n   - b\n", "2. c"]),
        ("a\nb\n\nc", "blank_line", ["a\nb\n\n", "c"]),
        ("He has 3.5. Dr. A. B said so! $x. y$ c", "sentence",
         ["He has 3.5. ", "Dr. A. B said so! ", "$x. y$ c"]),
        ("We know.\n\n- a\n\n- b\n\nSo c", "blank_line", ["We know.\n\n- a\n\n- b\n\n", "So c"]),
        ("We know.\n- a. b\n- c\nSo d", "sentence", ["We know.\n- a. b\n- c\n", "So d"]),
        ("1. Add. So 3.\n2. Halve.", "sentence", ["1. Add. ", "So 3.\n", "2. Halve."]),
        ("a. ```b. c\n\nd``` e. f", "sentence", ["a. ", "```b. c\n\nd``` e. ", "f"]),
        ("Step 1: a\nStep 2: The answer is: 3", "step",
         ["Step 1: a\n", "Step 2: The answer is: 3"]),
    ],
)  # fmt: skip
def test_cuts(text: str, method: Method, steps: list[str]) -> None:
    assert split_steps(text, method) == steps


@pytest.mark.parametrize(
    ("steps", "names"),
    [
        ([], ["empty", "no_answer"]),
        (["Step 1: a\n", "Step 2: b\nThe answer is: 3"], []),
        (["3 + 4 = 7\nA: 7"], ["single_step"]),
        (["a\n", "a\n", "b"], ["repeated_step", "no_answer"]),
        (["Step 1: a\n", "Step 3: b\n#### 3"], ["misnumbered"]),
        (["x" * 2001 + "\n", "#### 3"], ["long_step"]),
        ([f"{k}\n" for k in range(50)] + ["#### 3"], ["many_steps"]),
    ],
)
def test_anomalies(steps: list[str], names: list[str]) -> None:
    assert anomalies(steps) == names


BLOCKS = ["$$\na. B\n\nc\n$$", "```\na. B\n\nc\n```", "\\[\na. B\n\\]",
          "\\begin{a}\nx. Y\n\nStep 9: z\n\\end{a}", "- a. B\n- c\n\n- d"]  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
@settings(derandomize=True, deadline=None)
@given(
    before=st.lists(st.sampled_from(["Step 1: a", "b. C", "\n", "\n\n"]), max_size=6).map("".join),
    block=st.sampled_from(BLOCKS),
    after=st.lists(st.sampled_from(["Step 2: d", "e. F", "\n", "\n\n"]), max_size=6).map("".join),
)
def test_no_cut_falls_into_a_block(method: Method, before: str, block: str, after: str) -> None:
    text = f"{before}\n{block}\n{after}"
    steps = split_steps(text, method)
    assert "".join(steps) == text
    assert any(block in step for step in steps)


def test_calculations_are_stripped() -> None:
    assert strip_calculations("48/2 = <<48/2=24>>24 << 3 < 4 >>") == "48/2 = 24 << 3 < 4 >>"
