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


FIRST = "To find x, we need to follow these steps:\n"
JOINED = [
    # A line that ends in a colon, and the formula or the list under it.
    ("So we get:\n\\[\nx = 5\n\\]\nThen y.", ["So we get:\n\\[\nx = 5\n\\]\n", "Then y."]),
    ("The total is:\n$$3 + 4 = 7$$\nSo 7.", ["The total is:\n$$3 + 4 = 7$$\n", "So 7."]),
    ("We compute:\n\n3 * 4 = 12\nSo 12.", ["We compute:\n\n3 * 4 = 12\n", "So 12."]),
    ("We have 2:\n- a = 1\n- b = 1\nSo 2.", ["We have 2:\n- a = 1\n- b = 1\n", "So 2."]),
    # A plan is no step: with its items where the solution follows, else with the first of them.
    (FIRST + "1. Add 3.\n2. Halve it.\nFirst, 1 + 3 = 4.\nx = 2", [
        FIRST + "1. Add 3.\n2. Halve it.\nFirst, 1 + 3 = 4.\n", "x = 2"]),
    (FIRST + "1. 1 + 3 = 4.\n2. So x = 2.", [
        FIRST + "1. 1 + 3 = 4.\n", "2. So x = 2."]),
    ("Let's solve this step by step.\n3 + 4 = 7", ["Let's solve this step by step.\n3 + 4 = 7"]),
    ("To find x if \\(x^2 = 4\\), we can follow these steps:\n"
        "1. Take roots.\n2. Try both.\nx is 2.", [
        "To find x if \\(x^2 = 4\\), we can follow these steps:\n"
        "1. Take roots.\n2. Try both.\nx is 2."]),
    # An intention that repeats the problem claims nothing; one that computes does.
    ("To solve \\(2x - 3 = 7\\), we need to isolate x.\n2x = 10", [
        "To solve \\(2x - 3 = 7\\), we need to isolate x.\n2x = 10"]),
    ("Let's evaluate f(x) at \\(x = 3\\).\n3 + 3 = 6", [
        "Let's evaluate f(x) at \\(x = 3\\).\n3 + 3 = 6"]),
    ("We need to add 3 + 4 = 7.\n7 * 2 = 14", ["We need to add 3 + 4 = 7.\n", "7 * 2 = 14"]),
    ("We use \\(A = \\pi r^2\\).\nA = 9", ["We use \\(A = \\pi r^2\\).\n", "A = 9"]),
    ("We need to find x. There are 5.\nx = 5", ["We need to find x. There are 5.\n", "x = 5"]),
    # A line that computes, rightly or wrongly, has its own label.
    *((f"{line}\nSo 7.", [f"{line}\n", "So 7."]) for line in (
        "Next, I'll convert 2 hours into 120 minutes.", "We should convert 3 feet to 30 inches.",
        "We can simplify $\\sqrt{50}$ to $2\\sqrt{5}$.", "We can express 0.75 as 2/3.",
        "We can rewrite $x^2-4$ into $(x-2)(x+2)$.", "Let's subtract 5 from 12, leaving 7.",
        "We can combine like terms: $3x + 2x$ becomes $5x$.", "Let's compute 3*4: 13.",
        "We need to add 12 and 19 for a total of 31.", "Let's write 0.5 as 1/3.",
        "We can multiply 3 by 4, which turns out as 12.", "Let's add 3 and 4, making 8.",
        "We can simplify $\\sqrt{50}$: $5\\sqrt{2}$.", "Let's compute 3*4 → 13.")),
    *((f"{line}\nSo 7.", [f"{line}\nSo 7."]) for line in (
        "We need to sum the numbers from 1 to 10.", "We need to convert 2 hours to minutes.",
        "We need to add 3 to 4.", "Let's follow these 3 steps: 1. Find x",
        "We need to express $x$ in terms of $y$.", "Let's solve the equation: $2x + 3 = 7$.")),
    # A list of formulas or of a few words under a colon: whole, or each item by itself.
    ("Here is what each ate:\n(a) Tom ate three\n(b) Ann ate seven\nIn all 10.", [
        "Here is what each ate:\n(a) Tom ate three\n(b) Ann ate seven\n", "In all 10."]),
    ("We know this:\n1. Pears\n2. Figs\n3. Figs cost 4.\nSo 4.", [
        "We know this:\n1. Pears\n", "2. Figs\n", "3. Figs cost 4.\n", "So 4."]),
    ("Look at the terms:\n1. \\(x^2\\)\n2. 4 pears\nIn all 7.", [
        "Look at the terms:\n1. \\(x^2\\)\n2. 4 pears\n", "In all 7."]),
    # A display formula in which the text was cut off.
    ("So 3.\nThe sum is:\n\\[\na + b", ["So 3.\n", "The sum is:\n\\[\na + b"]),
    ("So \\[\nx is 2.\n\nThen 4.", ["So \\[\n", "x is 2.\n\n", "Then 4."]),
    ("\\begin{align*}\nx &= 5 \\\\\ny &= 6\nSo y is 6.\nThen 7.", [
        "\\begin{align*}\nx &= 5 \\\\\ny &= 6\n", "So y is 6.\n", "Then 7."]),
    ("We get this\n\\[\n3x + 2 = 8\nx = 2\nSo x is 2.", [
        "We get this\n", "\\[\n3x + 2 = 8\nx = 2\n", "So x is 2."]),
    ("Step 1: a\n\\[\nx = 2\nStep 2: b", ["Step 1: a\n\\[\nx = 2\n", "Step 2: b"]),
    ("\\[\nx = 2\nSo 3 + 4 = 7.\nb", ["\\[\nx = 2\n", "So 3 + 4 = 7.\n", "b"]),
    ("\\[\nx = 2\nSo x is 2.\nThen 3.\n\\[\ny = 3\n\nz = 4\n\\]\nb", [
        "\\[\nx = 2\n", "So x is 2.\n", "Then 3.\n", "\\[\ny = 3\n\nz = 4\n\\]\n", "b"]),
    ("We see \\(x = 2.\nSo 3 is b.\nThen \\(y\\) is 4.", [
        "We see \\(x = 2.\n", "So 3 is b.\n", "Then \\(y\\) is 4."]),
    ("\\[\na \\\\[2pt]\nb\n\\text{if \\(x\\)}\nc\n\\]\nSo 2.", [
        "\\[\na \\\\[2pt]\nb\n\\text{if \\(x\\)}\nc\n\\]\n", "So 2."]),
    ("$$\nsin x = 1\n\nDonc la valeur.\nb", ["$$\nsin x = 1\n\n", "Donc la valeur.\n", "b"]),
    # Headings and rules.
    ("### Costs\n3 + 4 = 7\n---\n**Total:**\n7 * 2 = 14", [
        "### Costs\n3 + 4 = 7\n---\n", "**Total:**\n7 * 2 = 14"]),
    ("3 + 4 = 7\n**Total**", ["3 + 4 = 7\n**Total**"]),
    # Code with its output.
    ("Tom has 3.\nHere is the code:\n```python\nprint(7)\n```\nOutput:\n```\n7\n```\nSo 7.", [
        "Tom has 3.\n",
        "Here is the code:\n```python\nprint(7)\n```\nOutput:\n```\n7\n```\n",
        "So 7."]),
    ("```\nprint(1)\n\nprint(2)", ["```\nprint(1)\n\nprint(2)"]),
    # Closing lines of every mark.
    *((f"Tom has 3.\nSo 7.\n{line}", ["Tom has 3.\n", f"So 7.\n{line}"]) for line in (
        "Answer: 7", "**Answer:** 7", "Final Answer: 7", "\\boxed{7}", "$\\boxed{7}$", "####7",
        "\\[\\boxed{7}\\]", "So the answer is 7.", "Therefore, the final answer is $\\boxed{7}$.",
        "<answer>7</answer>", "答案是7", "Réponse : 7", "ANSWER: 7", "**Final Answer**\n7",
        '{"answer": 7}')),
    ("So 7.\nThus the sum is \\boxed{7}.", ["So 7.\n", "Thus the sum is \\boxed{7}."]),
    # Heads of any case and style.
    *((f"Intro.\n{head} a\nb\n{second} c", [f"Intro.\n{head} a\nb\n", f"{second} c"])
      for head, second in (
        ("step 1:", "step 2:"), ("STEP 1.", "STEP 2."), ("**Step 1**", "**Step 2**"),
        ("### Step 1 -", "### Step 2 -"), ("[Step 1]", "[Step 2]"), ("Step One:", "Step Two:"),
        ("- Step 1:", "- Step 2:"), ("**Step 1 (setup):**", "**Step 2 (sum):**"),
        ("Step 1/2:", "Step 2/2:"),
        ("Step I:", "Step II:"), ("第一步：", "第二步："),
        ("步骤1：", "步骤2："),
        ("Étape 1 :", "Étape 2 :"), ("\\textbf{Step 1:}", "\\textbf{Step 2:}"))),
    ("Step 1\na\nStep 2\nb", ["Step 1\na\n", "Step 2\nb"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "steps"), JOINED)
def test_every_step_says_something(text: str, steps: list[str]) -> None:
    assert split_steps(text) == steps


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("It is, e.g. two. Then three.", ["It is, e.g. two. ", "Then three."]),
        ("See Fig. 3. Then go.", ["See Fig. 3. ", "Then go."]),
        (
            "At 4 p.m. Tom left. At 5 p.m. he ate.",
            ["At 4 p.m. ", "Tom left. ", "At 5 p.m. he ate."],
        ),
        ("He paid $3. 50 in all. Then 2.", ["He paid $3. 50 in all. ", "Then 2."]),
        ("He paid $5. Then he paid $3. So 8.", ["He paid $5. ", "Then he paid $3. ", "So 8."]),
        ("It costs Rs. 500. Pay it.", ["It costs Rs. 500. ", "Pay it."]),
        ("他有三个。他吃了一个。剩两个", ["他有三个。", "他吃了一个。", "剩两个"]),
        ("राम के पास 3 हैं। फिर 2।", ["राम के पास 3 हैं। ", "फिर 2।"]),
    ],
)
def test_sentences(text: str, steps: list[str]) -> None:
    assert split_steps(text, "sentence") == steps
