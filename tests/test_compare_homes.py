"""Two homes are compared row by row, and checkpoints by their tensors."""

import json
from pathlib import Path

import polars as pl
import pytest
import torch
from safetensors.torch import save_file

from benchmarks.compare_homes import BENCHMARK

LABELS = pl.DataFrame(
    {
        "step_id": ["s:1", "s:2", "t:1"],
        "annotator": ["monte_carlo"] * 3,
        "num_rollouts": [8, 8, 8],
        "soft": [0.125, 1.0, None],
        "hard": [1, 1, 0],
    }
)
COSTS = pl.DataFrame({"stage": ["rollouts"], "num_requests": [24], "seconds": [1.5]})
SCORES = pl.DataFrame({"candidate_id": ["c"], "reward_model": ["prm"], "step_scores": [[0.1, 0.2]]})
REJECTED = pl.DataFrame({"place": ["a.jsonl:3"], "reason": ["no answer"]})


def write(home: Path, frames: dict[str, pl.DataFrame], weight: float = 1.0) -> Path:
    """Write a home with one partition a table and one checkpoint."""
    for name, frame in frames.items():
        path = home / "lake" / name / "words" / "00.parquet"
        path.parent.mkdir(parents=True)
        frame.write_parquet(path)
    checkpoint = home / "models" / "generator"
    checkpoint.mkdir(parents=True)
    tensors = {"weight": torch.full((2, 2), weight)}
    save_file(tensors, checkpoint / "model.safetensors", {"written": home.name})
    return home


def home_a(tmp_path: Path) -> Path:
    tables = {"step_labels": LABELS, "candidate_scores": SCORES, "rollout_costs": COSTS}
    return write(tmp_path / "a", tables)


def differing(capsys: pytest.CaptureFixture[str], a: Path, b: Path) -> tuple[int, dict[str, float]]:
    """Return the exit code, and the results that are not 0."""
    code = BENCHMARK.main([str(a), str(b), "--json"])
    results = json.loads(capsys.readouterr().out)["results"]
    return code, {row["name"]: row["value"] for row in results if row["value"]}


def test_homes_that_differ_in_times_and_in_the_order_of_rows_are_equal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slower = COSTS.with_columns(seconds=pl.lit(9.9))
    tables = {"step_labels": LABELS[::-1], "candidate_scores": SCORES, "rollout_costs": slower}
    b = write(tmp_path / "b", tables)
    assert differing(capsys, home_a(tmp_path), b) == (0, {})


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        ({"step_labels": LABELS.with_columns(hard=pl.Series([1, 0, 0]))}, {"step_labels": 1}),
        ({"step_labels": LABELS.with_columns(soft=pl.col("soft") + 1e-16)}, {"step_labels": 1}),
        ({"step_labels": LABELS.head(2)}, {"step_labels": 1}),
        ({"step_labels": pl.concat([LABELS, LABELS.head(1)])}, {"step_labels": 1}),
        ({"step_labels": LABELS.drop("soft")}, {"step_labels": 1}),
        (
            {"candidate_scores": SCORES.with_columns(step_scores=pl.Series([[0.1, 0.2000001]]))},
            {"candidate_scores": 1},
        ),
        ({"rollout_costs": COSTS.with_columns(num_requests=25)}, {"rollout_costs": 1}),
        ({"more": REJECTED}, {"more (one side only)": 1}),
        ({"more": REJECTED.clear()}, {}),
    ],
)
def test_a_planted_difference_is_counted_in_its_table(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    tables: dict[str, pl.DataFrame],
    expected: dict[str, int],
) -> None:
    base = {"step_labels": LABELS, "candidate_scores": SCORES, "rollout_costs": COSTS}
    b = write(tmp_path / "b", base | tables)
    assert differing(capsys, home_a(tmp_path), b) == (int(bool(expected)), expected)


def test_a_table_is_compared_with_the_parts_that_it_was_split_into(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = pl.concat([REJECTED, REJECTED.with_columns(reason=pl.lit("no label"))])
    a = write(tmp_path / "a", {"rejected": whole})
    parts = {"rejected_problems": whole.head(1), "rejected_labels": whole.tail(1)}
    b = write(tmp_path / "b", parts)
    assert differing(capsys, a, b) == (0, {})
    assert differing(capsys, b, a) == (0, {})
    other = {**parts, "rejected_labels": whole.tail(1).with_columns(reason=pl.lit("other"))}
    c = write(tmp_path / "c", other)
    assert differing(capsys, a, c) == (1, {"rejected": 2})


def test_weights_are_compared_by_their_tensors_not_by_the_metadata_of_their_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a = home_a(tmp_path)
    tables = {"step_labels": LABELS, "candidate_scores": SCORES, "rollout_costs": COSTS}
    b = write(tmp_path / "b", tables, weight=1.5)
    assert differing(capsys, a, b) == (1, {"model generator": 1})


def test_a_folder_without_a_lake_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert BENCHMARK.main([str(home_a(tmp_path)), str(tmp_path / "none")]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "none/lake does not exist" in line
