"""The command that shows a solution's scores."""

import gzip
import io
import json
import re
from pathlib import Path

import polars as pl
import pytest

from cli.app import main
from cli.scored_solutions import GREEN, RED, YELLOW, ScoredSolution, render

QUESTION = "Tom has 3 pens. Tom buys 4 more. How many pens does Tom have now?"
STEPS = ["Step 1: 3 + 4 = 7.\n", "Step 2: 7 * 2 = 15.\nThe answer is: 15"]
ROW = {"question": QUESTION, "steps": STEPS}


def run(base: Path, *arguments: str) -> int:
    return main(["score", "--model", str(base), *arguments])


def test_the_same_solution_scores_alike_from_every_source(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps(ROW) + "\n")
    bare = {"problem": QUESTION, "steps": [step.rstrip("\n") for step in STEPS]}
    with gzip.open(tmp_path / "rows.jsonl.gz", "wt") as file:
        file.write(json.dumps(bare))
    pl.DataFrame([ROW]).write_parquet(tmp_path / "rows.parquet")
    text = f"{QUESTION}\n\n{''.join(STEPS)}"
    (tmp_path / "one.txt").write_text(text)
    printed = []
    for name in ("rows.jsonl", "rows.jsonl.gz", "rows.parquet", "one.txt"):
        assert run(base, "--json", str(tmp_path / name)) == 0
        printed.append(capsys.readouterr().out)
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert run(base, "--json") == 0
    printed.append(capsys.readouterr().out)
    assert run(base, "--json", "--question", QUESTION, "--solution", "".join(STEPS)) == 0
    printed.append(capsys.readouterr().out)
    assert len(set(printed)) == 1
    found = json.loads(printed[0])
    assert found["steps"] == STEPS
    assert len(found["scores"]) == 2
    assert found["score"] == min(found["scores"]) == found["scores"][found["weakest"]]


def test_an_outcome_reward_model_scores_the_whole(
    base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("--question", QUESTION, "--solution", "".join(STEPS), "--kind", "outcome")
    assert run(base, "--json", *asked) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["steps"], len(found["scores"])) == (["".join(STEPS)], 1)


SCORED = ScoredSolution("How many?", ["one\n", "two\n", "three\nthe end"], [0.9, 0.5, 0.1], 2, 0.1)


def test_steps_are_coloured_by_score_and_the_weakest_is_marked() -> None:
    plain, coloured = render(SCORED, in_colour=False), render(SCORED, in_colour=True)
    assert plain.split("\n") == [
        "How many?",
        "  0.90  one",
        "  0.50  two",
        "  0.10  three  <- weakest",
        "        the end",
        "  0.10  the solution",
    ]
    assert re.sub(r"\033\[\d+m", "", coloured) == plain
    assert [f"{colour}{word}" in coloured for colour, word in zip(
        (GREEN, YELLOW, RED, RED), ("one", "two", "three", "the end"), strict=True
    )] == [True] * 4  # fmt: skip


@pytest.mark.parametrize(("is_tty", "no_colour", "expected"), [
    (True, "", True), (True, "1", False), (False, "", False),
])  # fmt: skip
def test_only_a_terminal_that_wants_colour_gets_it(
    base: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_tty: bool,
    no_colour: str,
    expected: bool,
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: is_tty)
    monkeypatch.setenv("NO_COLOR", no_colour)
    assert run(base, "--question", QUESTION, "--solution", STEPS[0]) == 0
    assert ("\033[" in capsys.readouterr().out) == expected


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("just a question", "write the question, a blank line and the solution, or JSONL"),
        ('{"question": "How many?"', "rows:1: is not JSON"),
        ('{"question": "How many?"}', "rows:1: needs a list of texts in steps"),
        ('{"steps": ["one"]}', "rows:1: needs a text in question"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    content: str, reason: str, base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rows").write_text(content)
    assert run(base, str(tmp_path / "rows")) == 2
    error = capsys.readouterr().err
    assert reason in error
    assert error.count("\n") == 1


def test_missing_files_and_models_are_named(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(base, str(tmp_path / "none.jsonl")) == 2
    assert "none.jsonl: cannot be read" in capsys.readouterr().err
    assert run(tmp_path / "none", "--question", "How many?", "--solution", "Step 1: 1.") == 2
    error = capsys.readouterr().err
    assert "none" in error
    assert error.count("\n") == 1
