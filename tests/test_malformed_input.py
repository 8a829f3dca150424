"""Files that are not as published, through the assets that read them: problems, solutions, labels.

Each bad row is set aside with file, line and reason while the rest goes in; more of them than the
profile allows, and nothing is replaced.
"""

import json
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from assets.annotation.labeled_solutions import labeled_solutions_of
from assets.annotation.problems import problems_of
from assets.annotation.solutions import solutions_of
from assets.definitions import resources_of
from assets.deployment import Deployment
from resources.storage.home import Home
from shepherd.schemas import (
    LABELED_SOLUTIONS,
    PROBLEMS,
    REJECTED_LABELS,
    REJECTED_PROBLEMS,
    REJECTED_SOLUTIONS,
    SOLUTIONS,
    Table,
)
from shepherd.settings import Settings

REJECTED_ROWS = {
    PROBLEMS.name: REJECTED_PROBLEMS,
    SOLUTIONS.name: REJECTED_SOLUTIONS,
    LABELED_SOLUTIONS.name: REJECTED_LABELS,
}
"""The table of rejected rows, by the table that a file is read into."""
DATASET = "word_problems"
"""The one of the profile that tests run on: partitions are of this name."""
KEYS = (f"{DATASET}|00", f"{DATASET}|01")


def row(**fields: object) -> bytes:
    return json.dumps(fields).encode()


EVERYWHERE = {
    b'{"question": "a", "ans': "row: is not JSON (column 19: Unterminated string starting at)",
    b"[1, 2]": "row: is list, not an object",
    '{"question": "caf\u00e9"}'.encode("latin-1"): "row: is not UTF-8 at byte 18",
    '{"question": "caf\u00e9"}'.encode("utf-16"): "row: is not UTF-8 at byte 1",
    b'{"question": "' + b"x" * 50 * 2**20 + b'"}': "row: is longer than 16 MiB",
}
GOOD_PROBLEMS = [row(question=name, answer="#### 1") for name in "abcdef"]
INPUTS: dict[str, tuple[Table, list[bytes], dict[bytes, str]]] = {
    "train": (
        PROBLEMS,
        GOOD_PROBLEMS,
        {
            row(question=3, answer="#### 1"): "question: is int, not text",
            row(question="g"): "answer: is missing",
            row(question="g", answer="one"): "answer: has no final answer after ####",
        },
    ),
    "solutions": (
        SOLUTIONS,
        [row(question=name, text="A: 1") for name in "ab"],
        {
            row(question="a", text=3): "text: is int, not text",
            row(question="a"): "text or response or solution or solutions: is missing",
            row(question="nowhere", text="A: 1"): "question, problem_id or idx: names none of the",
        },
    ),
    "labels": (
        LABELED_SOLUTIONS,
        [row(prompt=name, completions=["one", "two"], labels=[True, False]) for name in "ab"],
        {
            row(prompt="a", completions="one", labels=[True]): "completions: is missing, empty, or",
            row(prompt="a", completions=["one"]): "labels: is missing, empty, or no list",
            row(prompt="a", completions=["one"], labels=[True, False]): "labels: 2 for 1 comple",
            row(prompt="nowhere", completions=["one"], labels=[True]): "question: is that of no",
        },
    ),
}


def deployment(folder: Path, field: str, lines: list[bytes], share: float) -> Deployment:
    """A profile whose file ``field`` holds the lines, and whose other files are sound."""
    files = {"train": GOOD_PROBLEMS, "test": [row(question="t", answer="#### 1")], field: lines}
    for name, content in files.items():
        (folder / f"{name}.jsonl").write_bytes(b"\n".join(content) + b"\n")
    dataset = {
        "source": "gsm8k",
        **{name: str(folder / f"{name}.jsonl") for name in files},
        "solutions_split": "train",
        "labels_format": "trl",
        "max_rejected_share": share,
    }
    model = {"base": "base-small"}
    settings = Settings.model_validate(
        {
            "shards": 2,
            "datasets": {DATASET: dataset},
            "generators": {"generator": model},
            "completer": model,
            "annotation": {"train_on": "imported" if field == "labels" else "monte_carlo"},
        }
    )
    return Deployment(settings, Home(folder / "home"))


def materialize(deployed: Deployment, field: str) -> list[dg.AssetMaterialization]:
    """Make the asset that reads the file, after the problems that it needs."""
    found: list[dg.AssetMaterialization] = []
    problems, solutions = problems_of(deployed.settings), solutions_of(deployed.settings)
    labels = labeled_solutions_of(deployed.settings)
    chosen = {"train": [problems], "solutions": [problems, solutions], "labels": [problems, labels]}
    with dg.DagsterInstance.ephemeral() as instance:
        for asset in chosen[field]:
            spans = [(KEYS[0], KEYS[1])] if asset is not solutions else [(k, k) for k in KEYS]
            for first, last in spans:
                done = dg.materialize(
                    chosen[field],
                    selection=[asset],
                    resources=resources_of(deployed),
                    instance=instance,
                    partition_key=first if first == last else None,
                    tags={
                        "dagster/asset_partition_range_start": first,
                        "dagster/asset_partition_range_end": last,
                    }
                    if first != last
                    else None,
                )
                found += done.asset_materializations_for_node(asset.op.name)
    table = chosen[field][-1].op.name
    return [one for one in found if one.asset_key == dg.AssetKey(table)]


@pytest.mark.parametrize("field", INPUTS)
def test_bad_rows_are_set_aside_told_and_counted(tmp_path: Path, field: str) -> None:
    table, good, own = INPUTS[field]
    bad = EVERYWHERE | own
    deployed = deployment(tmp_path, field, [good[0], *bad, *good[1:]], 0.9)
    made = materialize(deployed, field)
    asked = [one.metadata["rejected_rows"].value for one in made]
    assert asked == [len(bad)] * 2
    if field == "labels":
        counts = made[0].metadata["passed_over_rows"], made[0].metadata["repeated_solutions"]
        assert [count.value for count in counts] == [0, 0]
    rejected = deployed.lake.read(REJECTED_ROWS[table.name], DATASET).sort("line")
    assert set(rejected["file"]) == {str(tmp_path / f"{field}.jsonl")}
    assert rejected["line"].to_list() == list(range(2, len(bad) + 2))
    for found, expected in zip(rejected["reason"], bad.values(), strict=True):
        assert found.startswith(expected)
    written = deployed.lake.read(table, DATASET)
    kept = written.filter(split="train") if table is PROBLEMS else written
    assert kept.height == len(good)


@pytest.mark.parametrize("field", ["train", "solutions"])
def test_rows_of_what_another_dataset_tests_on_are_told_apart(tmp_path: Path, field: str) -> None:
    table, good, _ = INPUTS[field]
    deployed = deployment(tmp_path, field, good, 0)
    (tmp_path / "other.jsonl").write_bytes(GOOD_PROBLEMS[0])
    mine = deployed.settings.datasets[DATASET]
    other = mine.model_copy(update={"test": str(tmp_path / "other.jsonl"), "solutions": None})
    datasets = {DATASET: mine, "other": other}
    deployed = Deployment(
        deployed.settings.model_copy(update={"datasets": datasets}), deployed.home
    )
    counts = ("rejected_rows", "rows_tested_elsewhere")
    for made in materialize(deployed, field):
        assert [made.metadata[count].value for count in counts] == [0, 1]
    rejected = deployed.lake.read(REJECTED_ROWS[table.name], DATASET).sort("line")
    assert rejected["reason"].str.starts_with("question: another dataset tests on it: ").all()


@pytest.mark.parametrize("field", INPUTS)
def test_too_many_bad_rows_and_an_empty_file_replace_nothing(tmp_path: Path, field: str) -> None:
    table, good, own = INPUTS[field]
    materialize(deployment(tmp_path, field, good, 0), field)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.parquet")}
    assert any(path.parts[-3] == table.name for path in before)
    broken = deployment(tmp_path, field, [*good, *own], 0.1)
    with pytest.raises(ValueError, match=rf"{field}\.jsonl line {len(good) + 1}: .*above 0\.1"):
        materialize(broken, field)
    empty = deployment(tmp_path, field, [], 1)
    with pytest.raises(ValueError, match=r"holds? no (problem|solutions|labels)"):
        materialize(empty, field)
    now = {path: path.read_bytes() for path in tmp_path.rglob("*.parquet")}
    assert now == before


def test_rejections_are_a_table_of_their_own(tmp_path: Path) -> None:
    deployed = deployment(tmp_path, "train", [*GOOD_PROBLEMS, b"{"], 0.5)
    materialize(deployed, "train")
    found = deployed.lake.read(REJECTED_PROBLEMS, DATASET)
    assert found.select("dataset", "line", "content").rows() == [(DATASET, 7, "{")]
    assert found.schema == pl.Schema(REJECTED_PROBLEMS.schema)
