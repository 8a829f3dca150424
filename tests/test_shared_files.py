"""Every published file that is at hand goes in, with as many rows as its publisher counts."""

import gzip
import json
import os
import re
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from resources.files.imported_solutions import load_solutions
from resources.files.label_import import LabelRules, import_labels, scan_labels
from resources.files.problems import load_problems
from shepherd.label_formats import PARSERS, RENDERERS
from shepherd.schemas import PROBLEMS
from shepherd.settings import DatasetSettings
from shepherd.text_sizes import PUBLISHED_SIZES, sizes_of

SHARED = Path(os.environ.get("SHEPHERD_SHARED_DATA", "../shared/data"))
LABELS = SHARED / "step_labels"
pytestmark = pytest.mark.skipif(
    not LABELS.is_dir(), reason="no published files here: set SHEPHERD_SHARED_DATA"
)
GSM8K = {split: str(SHARED / "gsm8k" / f"{split}.jsonl") for split in ("train", "test")}
MATH500 = str(SHARED / "math" / "test500.jsonl")
MATH = {split: str(SHARED / "math" / f"{split}.jsonl") for split in ("train", "test")}


def rows(path: Path) -> int:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        return sum(1 for line in file if line.strip())


@pytest.mark.parametrize(
    ("fields", "num_problems", "num_rejected"),
    [
        ({"source": "gsm8k", **GSM8K}, 7_473 + 1_319, 0),
        # A question of train repeats, one is also in test, and two solutions box nothing.
        ({"source": "math", **MATH}, 7_500 + 5_000 - 4, 4),
        (
            {"source": "math", "split": "lightman", "train": [*MATH.values()], "test": MATH500},
            12_496,
            4,
        ),
    ],
)
def test_problems_go_in_and_their_texts_have_the_size_of_estimates(
    fields: dict[str, object], num_problems: int, num_rejected: int
) -> None:
    settings = DatasetSettings.model_validate(fields)
    problems, rejected = load_problems("any", settings, seed=0)
    assert (problems.height, rejected.height) == (num_problems, num_rejected)
    for split in ("train", "test"):
        expected = PUBLISHED_SIZES[settings.source, settings.split, split]
        counted = sizes_of(problems.filter(split=split))
        assert counted == replace(expected, basis=counted.basis)


def test_judged_chains_go_in_as_problems_with_solutions(tmp_path: Path) -> None:
    chains = LABELS / "verify_cot_human_gsm8k_100.jsonl.gz"
    other = json.dumps({"question": "t", "gt_answer": "#### 1"})
    (tmp_path / "test.jsonl").write_text(other)
    settings = DatasetSettings(
        source="columns",
        columns={"question": "question", "solution": "gt_answer"},
        train=str(chains),
        test=str(tmp_path / "test.jsonl"),
        max_rejected_share=0.1,
    )
    problems, rejected = load_problems("any", settings, seed=0)
    assert (rows(chains), problems.height, rejected.height) == (100, 92 + 1, 8)
    assert rejected["reason"].str.starts_with("question: repeats").all()
    # Their flag is one a chain, and they name their chain `answer`: they come in as solutions
    # once it is called `text`.
    with gzip.open(chains, "rt", encoding="utf-8") as file:
        renamed = [json.loads(line) for line in file]
    solutions = tmp_path / "solutions.jsonl"
    solutions.write_text(
        "\n".join(json.dumps({"question": c["question"], "text": c["answer"]}) for c in renamed)
    )
    imported = settings.model_copy(update={"solutions": str(solutions), "solutions_split": "train"})
    found, rejected = load_solutions("any", imported, problems)
    assert (found["num_samples"].sum(), rejected.height) == (100, 0)


@pytest.mark.parametrize(
    ("fields", "name", "num_rows"),
    [
        ({"source": "gsm8k", **GSM8K}, "gsm8k_test_openai_gpt3", 5_276),
        ({"source": "math", **MATH}, "math_qwen25math_100x8", 800),
    ],
)
def test_solutions_go_in(fields: dict[str, object], name: str, num_rows: int) -> None:
    path = SHARED / "model_outputs" / f"{name}.jsonl.gz"
    settings = DatasetSettings.model_validate({**fields, "solutions": str(path)})
    # Another test grades them: without problems the same rows are rejected.
    _, rejected = load_solutions("any", settings, pl.DataFrame(schema=PROBLEMS.schema))
    assert (rows(path), rejected.height) == (num_rows, 0)


@pytest.mark.parametrize(
    ("name", "format_name", "num_rows", "reasons"),
    [
        ("openr_samples_math-shepherd", "math_shepherd", 7, []),
        ("openr_samples_prm800k", "prm800k", 6, []),
        ("prm800k_phase1_train", "prm800k", 942, []),
        # Trees of prefixes with the share of their rollouts that were right: they hold no
        # solutions with a label a step, so that no format of labels reads them.
        ("openr_samples_math-aps", "math_shepherd", 3, ["input: is missing"] * 3),
        ("openr_samples_math-aps-tree", "math_shepherd", 3, ["input: is missing"] * 3),
    ],
)
def test_labels_go_in(
    tmp_path: Path, name: str, format_name: str, num_rows: int, reasons: list[str]
) -> None:
    path = LABELS / f"{name}.jsonl.gz"
    parse, found = PARSERS[format_name], []
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in filter(str.strip, file):
            try:
                parse(json.loads(line))
            except ValueError as error:
                found.append(str(error).partition(": the row has ")[0])
    assert (rows(path), found) == (num_rows, reasons)
    if len(reasons) < num_rows:
        rules = LabelRules(format_name, "somebody", dataset="any")
        report = import_labels([path], tmp_path / "in", rules, max_rejected_share=0)
        assert report.num_rows == num_rows
        assert scan_labels(tmp_path / "in").select(pl.len()).collect().item() > 0


def test_math_shepherd_samples_round_trip_to_the_byte_and_prm800k_by_their_steps() -> None:
    with gzip.open(LABELS / "openr_samples_math-shepherd.jsonl.gz", "rt", encoding="utf-8") as file:
        for line in filter(str.strip, file):
            [solution] = PARSERS["math_shepherd"](json.loads(line))
            row = RENDERERS["math_shepherd"](solution)
            assert json.dumps(row, ensure_ascii=False) == line.rstrip("\n")
    # PRM800K has no tags and no "Step k:", and rates with three values: what it says of steps
    # goes out and in again by TRL's format, and its solutions are readable text in the tagged one.
    with gzip.open(LABELS / "openr_samples_prm800k.jsonl.gz", "rt", encoding="utf-8") as file:
        for line in filter(str.strip, file):
            for solution in PARSERS["prm800k"](json.loads(line)):
                [again] = PARSERS["trl"](RENDERERS["trl_float"](solution))
                assert (again.steps, again.soft) == (solution.steps, solution.soft)
                tagged = str(RENDERERS["math_shepherd"](solution)["label"])
                signs = re.findall(r" ([+-])(?=\n|$)", tagged)
                assert [int(sign == "+") for sign in signs][-1] == solution.hard[-1]
