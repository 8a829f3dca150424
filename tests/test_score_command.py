"""The command that shows a solution's scores."""

import gzip
import io
import json
import re
import shutil
from pathlib import Path

import polars as pl
import pytest
from published_prms import FORMATS, PLACE, differences, rows

from cli.app import main
from cli.scored_solutions import GREEN, RED, YELLOW, ScoredSolution, render
from training.step_tags import KIND_FIELD

QUESTION = "Tom has 3 pens. Tom buys 4 more. How many pens does Tom have now?"
STEPS = ["Step 1: 3 + 4 = 7.\n", "Step 2: 7 * 2 = 15.\nThe answer is: 15"]
ROW = {"question": QUESTION, "steps": STEPS}


def run(base: Path, *arguments: str) -> int:
    """Score with a model that nobody trained, as if it were a reward model."""
    return main(["score", "--model", str(base), "--format", "tags", *arguments])


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
    mark = b"\xef\xbb\xbf"
    (tmp_path / "marked.jsonl").write_bytes(mark + (tmp_path / "rows.jsonl").read_bytes())
    (tmp_path / "marked").write_bytes(mark + (tmp_path / "rows.jsonl").read_bytes())
    (tmp_path / "windows.txt").write_bytes(mark + text.replace("\n", "\r\n").encode())
    (tmp_path / "packed.txt.gz").write_bytes(gzip.compress(text.encode()))
    flat = {"question": QUESTION, "solution": "".join(STEPS)}
    pl.DataFrame([flat]).write_csv(tmp_path / "rows.csv")
    (tmp_path / "folder" / "dir.json").mkdir(parents=True)
    (tmp_path / "folder" / "one.json").write_text(json.dumps(flat))
    (tmp_path / "folder" / ".hidden.json").write_text("{")
    names = ["rows.jsonl", "rows.jsonl.gz", "rows.parquet", "one.txt", "marked.jsonl", "marked"]
    for name in [*names, "windows.txt", "packed.txt.gz", "rows.csv", "folder"]:
        assert run(base, "--json", str(tmp_path / name)) == 0
        printed.append(capsys.readouterr().out)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
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


def test_what_is_no_reward_model_of_the_kind_is_refused(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    marked = shutil.copytree(base, tmp_path / "orm")
    config = json.loads((marked / "config.json").read_text())
    (marked / "config.json").write_text(json.dumps({**config, KIND_FIELD: "outcome"}))
    asked = ("--question", QUESTION, "--solution", "".join(STEPS))
    for model, reason in ((base, "is a language model, and nothing"), (marked, "not process")):
        assert main(["score", "--model", str(model), *asked]) == 2
        assert f"{model}: " in (err := capsys.readouterr().err)
        assert reason in err
    assert main(["score", "--model", str(marked), *asked, "--kind", "outcome"]) == 0


SCORED = ScoredSolution(
    "How many?", ["one\n", "two\n", "three\nthe end"], [0.9, 0.5, 0.1], 0, 2, 0.1
)


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


def test_steps_past_the_window_are_unscored_and_said_so(
    base: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    asked = ("--question", QUESTION, "--solution", "".join(STEPS), "--max-length", "36")
    assert run(base, "--json", *asked) == 0
    found = json.loads(capsys.readouterr().out)
    first, second = found["scores"]
    assert 0 < first < 1
    assert second is None
    assert (found["num_unscored"], found["weakest"], found["score"]) == (1, 0, None)
    assert "1 of 2 steps, in 1 of 1 solutions, are past max_length 36" in caplog.text
    assert run(base, *asked) == 0
    lines = capsys.readouterr().out.split("\n")
    assert "     -  Step 2: 7 * 2 = 15." in lines
    assert "     -  the solution (1 steps unscored)" in lines
    assert run(base, "--json", *asked[:4], "--max-length", "8") == 0
    nothing = json.loads(capsys.readouterr().out)
    assert (nothing["scores"], nothing["weakest"], nothing["num_unscored"]) == ([None] * 2, None, 2)


def test_a_published_format_is_read_by_its_name_or_as_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = tmp_path / PLACE["math_shepherd"]
    expected = FORMATS["math_shepherd"][1](FORMATS["math_shepherd"][0](named))
    copied = shutil.copytree(named, tmp_path / "mine")
    questions, steps = rows()
    (tmp_path / "rows.jsonl").write_text(
        "\n".join(
            json.dumps({"question": question, "steps": texts})
            for question, texts in zip(questions, steps, strict=True)
        )
    )
    file = str(tmp_path / "rows.jsonl")
    for arguments in ((named,), (copied, "--format", "math_shepherd")):
        model, *choice = map(str, arguments)
        assert main(["score", "--model", model, *choice, "--json", file]) == 0
        lines = capsys.readouterr().out.splitlines()
        found = [json.loads(line)["scores"] for line in lines]
        assert max(differences(found, expected)) < 1e-4
    assert run(copied, "--json", file, "--num-copies", "2") == 2
    assert "there are 0 GPUs for 2 copies" in capsys.readouterr().err


def test_escape_sequences_of_a_solution_do_not_reach_the_terminal() -> None:
    nasty = "\x1b]0;title\x07\x1b[2J\x9b31m\u202e\r"
    scored = ScoredSolution(f"{nasty}Q\nr", [f"one{nasty}two\n", nasty], [0.9, 0.5], 0, 1, 0.5)
    lines = render(scored, in_colour=False).split("\n")
    assert all(line.isprintable() for line in lines)
    assert lines[1] == "r"
    assert "[2J" in lines[2]


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
        (b"just a question", "write the question, a blank line and the solution, or JSONL"),
        (b'{"question": "How many?"', "rows line 1: row: is not JSON"),
        (b'{"question": "How many?"}', "rows line 1: solution or text or steps: is missing"),
        (b'{"steps": ["one"]}', "rows line 1: question or problem: is missing"),
        (b'{"question": "a", "steps": []}', "rows line 1: steps: is no list of texts"),
        (b'{"question": "a", "steps": [1]}', "rows line 1: steps: is int, not text"),
        (b'\n{"question": "a", "steps": ["\\ud800"]}', "rows line 2: steps: holds half of a"),
        (b'{"question": "a", "text": "caf\xe9"}', "rows line 1: row: is not UTF-8"),
        (b"caf\xe9?\n\nStep 1: 1.", "rows: is not UTF-8 at byte 4: save it as UTF-8"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    content: bytes, reason: str, base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rows").write_bytes(content)
    assert run(base, str(tmp_path / "rows")) == 2
    error = capsys.readouterr().err
    assert reason in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.jsonl", b"", "a.jsonl: holds no solutions"),
        ("a.jsonl.gz", b"plain", "a.jsonl.gz: broken gzip stream"),
        ("a.txt.gz", b"plain", "a.txt.gz: cannot be read"),
        ("a.parquet", b"PAR1", "a.parquet: broken Parquet"),
        ("a.csv", b"q,q\n1,2\n", "a.csv: two columns are named 'q'"),
    ],
)
def test_files_that_hold_no_rows_are_named(
    name: str,
    content: bytes,
    reason: str,
    base: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / name).write_bytes(content)
    assert run(base, str(tmp_path / name)) == 2
    error = capsys.readouterr().err
    assert reason in error
    assert error.count("\n") == 1


def test_text_of_the_command_line_that_is_not_utf8_is_refused(
    base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(base, "--question", "caf\udce9?", "--solution", "Step 1: 1.") == 2
    assert "--question: holds half of a surrogate pair" in capsys.readouterr().err


def test_missing_files_and_models_are_named(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(base, str(tmp_path / "none.jsonl")) == 2
    assert "none.jsonl: no such file: set FILE to" in capsys.readouterr().err
    assert run(tmp_path / "none", "--question", "How many?", "--solution", "Step 1: 1.") == 2
    error = capsys.readouterr().err
    assert "none" in error
    assert error.count("\n") == 1
