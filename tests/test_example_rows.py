"""Trainers refuse rows that they cannot learn from, by file, row and column."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from shepherd.settings import TrainingSettings
from training.__main__ import run
from training.example_rows import check_row
from training.orm import train_orm
from training.prm import train_prm
from training.runs import TrainingRun
from training.sft import train_sft

GOOD = {"question": "How many?", "steps": ["a\n", "b"], "labels": [1.0, 0.5]}
DRAW = {"problem_id": "0" * 16, "text": "a", "is_correct": True}
PROBLEM = {"problem_id": "0" * 16, "split": "train", "question": "?", "gold_solution": "a"}
LABELED = {
    "solution_id": "0" * 16,
    "problem_id": "0" * 16,
    "annotator": "oracle",
    "question": "?",
    "steps": ["a"],
    "hard": [1],
    "soft": [None],
    "is_correct": True,
}


def written(path: Path, *rows: dict[str, Any]) -> Path:
    pl.DataFrame(rows, infer_schema_length=None).write_parquet(path)
    return path


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"labels": [-100.0, 1.0]}, "labels: -100.0 of step 1 is no number in [0, 1]"),
        ({"labels": [1.0, -1.0]}, "labels: -1.0 of step 2 is no number in [0, 1]"),
        ({"labels": [1.0, 1.0 + 1e-5]}, "labels: 1.00001 of step 2"),
        ({"labels": [float("nan"), 1.0]}, "labels: nan of step 1"),
        ({"labels": [float("inf"), 1.0]}, "labels: inf of step 1"),
        ({"labels": [1.0, None]}, "labels: null of step 2"),
        ({"labels": None}, "labels: null is no list with an entry a step"),
        ({"labels": []}, "labels: [] is no list"),
        ({"labels": [1.0, 0.0, 1.0]}, "labels: 3 for 2 steps: write one label for each step"),
        ({"labels": [1.0]}, "labels: 1 for 2 steps"),
        ({"steps": ["a", None]}, "steps: number 2: null is no text"),
        ({"steps": None}, "steps: null is no list"),
        ({"steps": []}, "steps: [] is no list"),
        ({"question": None}, "question: null is no text"),
    ],
)
def test_a_bad_row_of_a_prm_is_named(
    base: Path, tmp_path: Path, bad: dict[str, Any], reason: str
) -> None:
    data = written(tmp_path / "rows.parquet", GOOD, GOOD | bad)
    out = tmp_path / "out"
    with pytest.raises(ValueError, match="row 2") as refused:
        run(["prm", "--base", str(base), "--data", str(data), "--out", str(out)])
    message = str(refused.value)
    assert message.startswith(f"--data: {data} row 2: {reason}")
    assert "\n" not in message
    assert message.endswith(("or leave the row out", "or leave it out", "label for each step"))
    held_out = ["--held-out", str(data)]
    good = written(tmp_path / "good.parquet", GOOD)
    with pytest.raises(ValueError, match=r"^--held-out: .*rows\.parquet row 2: "):
        run(["prm", "--base", str(base), "--data", str(good), *held_out, "--out", str(out)])
    with pytest.raises(ValueError, match="train PRM: the examples, row 2: "):
        train_prm(TrainingRun(base, pl.read_parquet(data), out, TrainingSettings(), seed=0))
    assert not out.exists()


@pytest.mark.parametrize("labels", [["+", "-"], ["1", "0"], [[1.0], [0.0]]])
def test_labels_of_another_type_are_refused(base: Path, tmp_path: Path, labels: list[Any]) -> None:
    data = written(tmp_path / "rows.parquet", GOOD | {"labels": labels})
    with pytest.raises(ValueError, match=r"row 1: labels: .* of step 1 is no number in \[0, 1\]"):
        run(["prm", "--base", str(base), "--data", str(data), "--out", str(tmp_path / "out")])


@pytest.mark.parametrize(
    "labels", [[1, 0], [True, False], [1.0, 0.25], [Decimal("1.00"), Decimal(0)], [1 + 1e-7, -1e-7]]
)
def test_numbers_and_truth_values_are_labels(labels: list[Any]) -> None:
    check_row(("question", "steps", "labels"), ("?", ["a", "b"], labels))


@pytest.mark.parametrize(
    ("command", "row", "reason"),
    [
        ("orm", GOOD, "row 1: steps: 2 texts: an ORM reads the whole solution as one text"),
        ("orm", GOOD | {"labels": [2.0, 1.0]}, "row 1: labels: 2.0 of step 1"),
        ("sft", {"question": "?", "solution": None}, "row 1: solution: null is no text"),
        ("sft", {"question": 3, "solution": "a"}, "row 1: question: 3 is no text"),
        ("sft", PROBLEM | {"problem_id": "p1"}, "row 1: problem_id: 'p1' is no id of the lake"),
        ("sft", PROBLEM | {"question": None}, "row 1: question: null is no text"),
        ("prm", LABELED | {"hard": [2]}, "row 1: hard: 2 of step 1"),
        ("prm", LABELED | {"soft": [1.5]}, "row 1: soft: 1.5 of step 1"),
        ("prm", LABELED | {"hard": [1, 1]}, "row 1: hard: 2 for 1 steps"),
        ("orm", LABELED | {"is_correct": None}, "row 1: is_correct: null is neither true nor"),
        (
            "prm",
            {"prompt": "?", "completions": ["a"], "labels": [True]},
            "needs columns question, steps, but the files have prompt, completions, labels: import "
            "TRL's format with `shepherd labels import FILE --format trl` first",
        ),
        ("rft --draws {draws}", PROBLEM | {"gold_solution": 3}, "row 1: gold_solution: 3 is no"),
        ("rft --draws {data}", DRAW | {"text": None}, "needs columns split, question, gold_sol"),
        (
            "ppo --reward-model process_reward_model --reward-checkpoint {base} --iterations 1 "
            "--problems-per-iteration 1 --samples-per-problem 1",
            PROBLEM | {"gold_answer": None},
            "row 1: gold_answer: null is no text",
        ),
    ],
)
def test_every_trainer_names_a_bad_row(
    base: Path, tmp_path: Path, command: str, row: dict[str, Any], reason: str
) -> None:
    data = written(tmp_path / "rows.parquet", row)
    draws = written(tmp_path / "draws.parquet", DRAW)
    words = command.format(base=base, data=data, draws=draws).split()
    with pytest.raises(ValueError, match=r"^--data: ") as refused:
        run([*words, "--base", str(base), "--data", str(data), "--out", str(tmp_path / "out")])
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("draw", "reason"),
    [
        ({"text": None}, "text: null is no text"),
        ({"is_correct": None}, "is_correct: null is neither true nor false"),
        ({"is_correct": "yes"}, "is_correct: 'yes' is neither"),
    ],
)
def test_bad_draws_are_named(base: Path, tmp_path: Path, draw: dict[str, Any], reason: str) -> None:
    draws = written(tmp_path / "draws.parquet", DRAW | draw)
    data = written(tmp_path / "rows.parquet", PROBLEM)
    flags = ["--base", str(base), "--data", str(data), "--draws", str(draws)]
    with pytest.raises(ValueError, match=rf"^--draws: .*draws\.parquet row 1: {reason}"):
        run(["rft", *flags, "--out", str(tmp_path / "out")])


def test_a_row_from_a_frame_is_named_by_its_id(base: Path, tmp_path: Path) -> None:
    settings = TrainingSettings()
    row = {"solution_id": "s1", **GOOD, "labels": [3.0, 0.0]}
    examples = pl.DataFrame([row])
    with pytest.raises(ValueError, match=r"row 1 \(solution_id s1\): labels: 3\.0 of step 1"):
        train_prm(TrainingRun(base, examples, tmp_path / "out", settings, seed=0))
    with pytest.raises(ValueError, match="row 1: steps: 2 texts"):
        train_orm(TrainingRun(base, pl.DataFrame([GOOD]), tmp_path / "out", settings, seed=0))
    with pytest.raises(ValueError, match="SFT: the examples: needs columns solution, but"):
        train_sft(TrainingRun(base, examples, tmp_path / "out", settings, seed=0))


def test_files_may_differ_in_what_is_not_read(base: Path, tmp_path: Path) -> None:
    one = written(tmp_path / "1.parquet", GOOD | {"labels": [1, 0]})
    two = written(tmp_path / "2.parquet", {"note": 3, **GOOD})
    flags = ["--base", str(base), "--out", str(tmp_path / "out"), "--batch-size", "2"]
    report = run(["prm", "--data", str(one), str(two), *flags])
    assert report is not None
    assert report.num_examples == 2
    three = written(tmp_path / "3.parquet", {"question": "?", "steps": ["a"]})
    with pytest.raises(ValueError, match=r"^--data: .*3\.parquet: needs columns labels"):
        run(["prm", "--data", str(one), str(three), *flags])
