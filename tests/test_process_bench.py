"""The first-error benchmark reads ProcessBench's rows and others, for any reward model."""

import json
from pathlib import Path

import pytest
from published_prms import FORMATS

from benchmarks.process_bench import BENCHMARK, measure, read_rows
from training.scoring import Scorer

STEPS = ["Step 1: 3 + 4 = 7.", "Step 2: 7 + 1 = 8.", "The answer is: 8"]
ROW = {"id": "gsm8k-0", "generator": "a model", "problem": "Tom has 3 pens.", "steps": STEPS}


def write(path: Path, labels: list[int]) -> Path:
    rows = [
        {**ROW, "problem": f"Tom has {n} pens.", "final_answer_correct": label == -1,
         "label": label}
        for n, label in enumerate(labels)
    ]  # fmt: skip
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_a_threshold_of_nothing_finds_no_error_and_one_of_all_the_first_step(
    base: Path, tmp_path: Path
) -> None:
    solutions = read_rows(write(tmp_path / "rows.jsonl", [-1, 0, 2, -1]), "processbench")
    scorer = Scorer(base, kind="process", template="plain", max_length=100)
    never = {r.name: r.value for r in measure("m", scorer, solutions, 0.0)}
    assert (never["m: accuracy, correct"], never["m: accuracy, erroneous"]) == (1, 0)
    at_once = {r.name: r.value for r in measure("m", scorer, solutions, 1.0)}
    assert (at_once["m: accuracy, correct"], at_once["m: accuracy, erroneous"]) == (0, 0.5)
    assert never["m: F1"] == at_once["m: F1"] == 0


def test_the_solutions_that_choose_the_threshold_do_not_count(base: Path, tmp_path: Path) -> None:
    labels = [-1, 0, 1, 2] * 15
    solutions = read_rows(write(tmp_path / "rows.jsonl", labels), "processbench")
    scorer = Scorer(base, kind="process", template="plain", max_length=100)
    found = {r.name: r.value for r in measure("m", scorer, solutions, None)}
    counted = found["m: erroneous solutions"] + found["m: correct solutions"]
    assert 30 < counted < 60


def test_an_error_past_the_window_is_not_found(base: Path, tmp_path: Path) -> None:
    solutions = read_rows(write(tmp_path / "rows.jsonl", [-1, 0, 2]), "processbench")
    scorer = Scorer(base, kind="process", template="plain", max_length=24)
    found = {r.name: r.value for r in measure("m", scorer, solutions, 0.0)}
    assert found["m: with unscored steps"] == 3
    assert (found["m: accuracy, correct"], found["m: accuracy, erroneous"]) == (0, 0)


def test_a_row_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"rows\.jsonl:2: label: 9 is neither -1 nor"):
        read_rows(write(tmp_path / "rows.jsonl", [-1, 9]), "processbench")


@pytest.mark.parametrize("reward_format", FORMATS)
def test_each_published_format_is_measured(
    reward_format: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = FORMATS[reward_format][0](tmp_path / "prm")
    rows = write(tmp_path / "rows.jsonl", [-1, 0, 2, -1])
    asked = ["--model", str(folder), "--data", str(rows), "--threshold", "0.5", "--json"]
    assert BENCHMARK.main([*asked, "--model-format", reward_format]) == 0
    results = json.loads(capsys.readouterr().out)["results"]
    found = {result["name"]: result["value"] for result in results}
    assert (found["prm: erroneous solutions"], found["prm: with unscored steps"]) == (2, 0)
    assert 0 <= found["prm: F1"] <= 1
