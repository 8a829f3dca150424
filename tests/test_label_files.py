import gzip
import json
import os
from pathlib import Path

import polars as pl
import pytest

from cli.app import main
from resources.files import label_import
from resources.files.label_export import export_labels, read_batches
from resources.files.label_import import ImportReport, LabelRules, import_labels, scan_labels
from shepherd.dataset_card import CardFacts, LabelCounts
from shepherd.identity import content_id
from shepherd.schemas import LABELED_SOLUTIONS, REJECTED, enforce

STEP_LABELS = Path(os.environ.get("SHEPHERD_SHARED_DATA", "../shared/data")) / "step_labels"
needs_labels = pytest.mark.skipif(
    not STEP_LABELS.is_dir(), reason="no published labels here: set SHEPHERD_SHARED_DATA"
)
FACTS = CardFacts(title="Labels", license="mit")
RULES = LabelRules("math_shepherd", annotator="published")


def row(number: int, task: str = "GSM8K", signs: str = "+-") -> str:
    text = f"How many is {number}? Step 1: {{}}\nStep 2: {number} {{}}"
    return json.dumps(
        {"input": text.format("ки", "ки"), "label": text.format(*signs), "task": task},
        ensure_ascii=False,
    )


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def test_labels_go_in_and_out_to_the_byte(tmp_path: Path) -> None:
    lines = [row(1), row(2, "MATH", "++"), row(3)]
    file = write(tmp_path / "labels.jsonl", lines)
    report = import_labels([file], tmp_path / "in", RULES, max_rejected_share=0)
    assert report == ImportReport(num_rows=3, num_solutions=3)
    labels = enforce(LABELED_SOLUTIONS, scan_labels(tmp_path / "in").collect())
    assert labels.select("dataset", "annotator", "question", "hard", "is_correct").rows() == [
        ("GSM8K", "published", "How many is 1?", [1, 0], False),
        ("MATH", "published", "How many is 2?", [1, 1], True),
        ("GSM8K", "published", "How many is 3?", [1, 0], False),
    ]
    written = export_labels([labels], tmp_path / "out", "math_shepherd", "jsonl", FACTS)
    assert vars(written) == {"num_written": 3, "num_left_out": 0}
    assert (tmp_path / "out" / "train.jsonl").read_bytes() == file.read_bytes()


def test_bad_rows_are_set_aside_and_repeated_ones_kept_once(tmp_path: Path) -> None:
    tagged_question = row(5).replace("How", "How ки").replace('"label": "How ки', '"label": "How +')
    lines = [row(1), '{"input": "a', "[]", '{"input": 3}', tagged_question, row(1), "", row(2)]
    file = write(tmp_path / "labels.jsonl", lines)
    with file.open("ab") as opened:
        opened.write(b"\xff\n" + b'{"input": "' + b"x" * 50 * 2**20 + b'"}\n')
    report = import_labels([file], tmp_path / "in", RULES, max_rejected_share=0.8)
    assert report == ImportReport(num_rows=9, num_solutions=2, num_repeated=1, num_rejected=6)
    rejected = pl.read_parquet(tmp_path / "in" / "rejected" / "*.parquet")
    assert enforce(REJECTED, rejected).select("file", "line", "reason").rows() == [
        (str(file), 2, "row: is not JSON (column 11: Unterminated string starting at)"),
        (str(file), 3, "row: is list, not an object"),
        (str(file), 4, "input: is int, not text"),
        (str(file), 5, "input: a tag is in the question"),
        (str(file), 9, "row: is not UTF-8 at byte 1"),
        (str(file), 10, "row: is longer than 16 MiB"),
    ]
    assert rejected["content"].str.len_chars().max() == 1_000


def test_a_refused_file_replaces_nothing(tmp_path: Path) -> None:
    good = write(tmp_path / "good.jsonl", [row(1)])
    import_labels([good], tmp_path / "in", RULES, max_rejected_share=0)
    bad = write(tmp_path / "bad.jsonl", [row(2), "{"])
    empty = write(tmp_path / "empty.jsonl", [])
    for file, share, message in (
        (bad, 0.4, r"bad\.jsonl line 2: row: is not JSON .* 1 bad rows of 2.*raise --max-rejected"),
        (empty, 1, r"empty\.jsonl: holds no labels"),
        (tmp_path / "absent.jsonl", 1, r"absent\.jsonl: no such file: set FILE to a \.jsonl"),
    ):
        with pytest.raises(ValueError, match=message):
            import_labels([file], tmp_path / "in", RULES, max_rejected_share=share)
    assert scan_labels(tmp_path / "in").collect()["question"].to_list() == ["How many is 1?"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "bad.jsonl", "empty.jsonl", "good.jsonl", "in"
    ]  # fmt: skip


def test_rows_of_other_tasks_are_passed_over_and_unknown_problems_set_aside(tmp_path: Path) -> None:
    file = write(tmp_path / "labels.jsonl", [row(1), row(2), row(3, "MATH")])
    known = frozenset({content_id("gsm8k", "How many is 2?")})
    rules = LabelRules("math_shepherd", "published", dataset="gsm8k", task="GSM8K", known=known)
    report = import_labels([file], tmp_path / "in", rules, max_rejected_share=0.5)
    assert report == ImportReport(num_rows=3, num_solutions=1, num_passed_over=1, num_rejected=1)
    assert scan_labels(tmp_path / "in").collect()["dataset"].to_list() == ["gsm8k"]
    rejected = pl.read_parquet(tmp_path / "in" / "rejected" / "*.parquet")
    assert rejected.select("dataset", "line", "reason").rows() == [
        ("gsm8k", 1, "question: is that of no train problem of gsm8k")
    ]


def test_worker_processes_give_the_same_parts_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [row(number) if number % 7 else "{" for number in range(100)]
    file = write(tmp_path / "labels.jsonl", lines)
    import_labels([file], tmp_path / "one", RULES, max_rejected_share=1)
    monkeypatch.setattr(label_import, "BATCH_ROWS", 9)
    monkeypatch.setattr(label_import, "PART_ROWS", 20)
    import_labels([file], tmp_path / "many", RULES, max_rejected_share=1, num_workers=1)
    one, many = (scan_labels(tmp_path / name).collect() for name in ("one", "many"))
    assert many.equals(one)
    assert len(list((tmp_path / "many" / "labeled_solutions").iterdir())) > 2
    batches = list(read_batches(sorted((tmp_path / "many").rglob("labeled*/*.parquet")), 10))
    assert pl.concat(batches).equals(one)


@pytest.mark.parametrize("format_name", ["math_shepherd", "trl", "trl_float", "processbench"])
def test_both_file_types_hold_the_same_rows_for_datasets(tmp_path: Path, format_name: str) -> None:
    datasets = pytest.importorskip("datasets")
    file = write(tmp_path / "labels.jsonl", [row(1), row(2, "MATH", "++")])
    import_labels([file], tmp_path / "in", RULES, max_rejected_share=0)
    labels = scan_labels(tmp_path / "in").collect()
    loaded = []
    for file_type in ("jsonl", "parquet"):
        out = tmp_path / file_type
        # A partition may hold no labels of the requested annotator.
        batches = [labels.clear(), labels, labels.clear()]
        export_labels(batches, out, format_name, file_type, FACTS)
        cache = str(tmp_path / f"cache_{file_type}")
        loaded.append(datasets.load_dataset(str(out), cache_dir=cache))
    first, second = loaded
    assert first["train"].features == second["train"].features
    assert first["train"].to_list() == second["train"].to_list()
    assert first["train"].num_rows == 2


def test_the_card_counts_what_was_written(tmp_path: Path) -> None:
    file = write(tmp_path / "labels.jsonl", [row(1), row(2, "MATH", "++")])
    import_labels([file], tmp_path / "in", RULES, max_rejected_share=0)
    facts = CardFacts(
        title='A "set": all',
        license="mit",
        source="openai/gsm8k",
        models={"generator": "m | n"},
        seed=3,
        cost={"tokens": 1_234_567},
        quality={"agreement with the oracle": 0.93},
    )
    batches = read_batches(sorted((tmp_path / "in" / "labeled_solutions").iterdir()), 1)
    export_labels(batches, tmp_path / "out", "trl", "parquet", facts)
    card = (tmp_path / "out" / "README.md").read_text()
    for line in (
        'license: "mit"',
        'pretty_name: "A \\"set\\": all"',
        '    path: "train.parquet"',
        "| solutions | 2 |",
        "| steps | 4 |",
        "| GSM8K, published | 1 |",
        "| MATH, published | 1 |",
        "| share of the solutions correct | 0.5 |",
        "| share of the steps labelled right | 0.75 |",
        "| agreement with the oracle | 0.93 |",
        "| generator | m / n |",
        "| run seed | 3 |",
        "| tokens | 1,234,567 |",
        "openai/gsm8k",
    ):
        assert line in card.splitlines()


def test_counts_add_up() -> None:
    labels = pl.DataFrame(
        {
            "dataset": ["a", "a", "b"],
            "annotator": "m",
            "hard": [[1, 0], [1, 1], [1]],
            "is_correct": [False, True, False],
        }
    )
    whole = LabelCounts.of(labels)
    assert LabelCounts.of(labels.head(1)) + LabelCounts.of(labels.tail(2)) == whole
    assert whole == LabelCounts(3, 1, 5, 4, 1, {"a, m": 2, "b, m": 1})


def test_solutions_that_hold_the_tag_are_left_out_of_the_tagged_format(tmp_path: Path) -> None:
    labels = pl.DataFrame(
        {
            "solution_id": ["1", "2"],
            "problem_id": "p",
            "dataset": "d",
            "annotator": "m",
            "question": "q",
            "steps": [["Step 1: ки"], ["Step 1: a"]],
            "hard": [[1], [0]],
            "soft": [[0.5], [None]],
            "is_correct": True,
            "generator": "g",
        }
    )
    report = export_labels([labels], tmp_path / "out", "math_shepherd", "jsonl", FACTS)
    assert (report.num_written, report.num_left_out) == (1, 1)
    export_labels([labels], tmp_path / "out", "processbench", "jsonl", FACTS)
    written = (tmp_path / "out" / "train.jsonl").read_text().splitlines()
    assert [json.loads(line)["generator"] for line in written] == ["g", "g"]
    export_labels([labels], tmp_path / "out", "trl_float", "jsonl", FACTS)
    written = (tmp_path / "out" / "train.jsonl").read_text().splitlines()
    assert [json.loads(line)["labels"] for line in written] == [[0.5], [0.0]]
    with pytest.raises(ValueError, match="out: no labels to write"):
        export_labels([], tmp_path / "out", "trl", "jsonl", FACTS)


@pytest.mark.parametrize("format_name", ["math_shepherd", "trl", "trl_float", "processbench"])
@pytest.mark.parametrize(("num_hard", "num_soft", "num_steps"), [(2, 3, 3), (3, 2, 3), (0, 0, 0)])
def test_a_solution_without_a_label_for_each_step_is_named(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    format_name: str,
    num_hard: int,
    num_soft: int,
    num_steps: int,
) -> None:
    file = write(tmp_path / "labels.jsonl", [row(1), row(2)])
    import_labels([file], tmp_path / "in", RULES, max_rejected_share=0)
    foreign = tmp_path / "foreign.parquet"
    good, bad = scan_labels(tmp_path / "in").collect().rows(named=True)
    bad |= {"steps": ["a"] * num_steps, "hard": [1] * num_hard, "soft": [0.5] * num_soft}
    pl.DataFrame([good, bad], schema=LABELED_SOLUTIONS.schema).write_parquet(foreign)
    out = ["--format", format_name, "--out", str(tmp_path / "out")]
    assert main(["export", str(foreign), *out]) == 2
    assert capsys.readouterr().err == (
        f"error: {foreign}: solution {bad['solution_id']} has {num_steps} steps, "
        f"{num_hard} hard and {num_soft} soft labels, not one of each a step: "
        "correct its lists, or remove its row\n"
    )
    assert not (tmp_path / "out").exists()


def test_the_command_line_reads_and_writes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "labels.jsonl", [row(1), row(2)])
    labels, out = str(tmp_path / "in"), str(tmp_path / "out")
    reading = ["labels", "import", str(file), "--format", "math_shepherd", "--annotator", "ms"]
    assert main([*reading, "--out", labels]) == 0
    assert "num_solutions=2" in capsys.readouterr().out
    assert main(["export", labels, "--format", "trl", "--out", out]) == 0
    assert main(["labels", "import", f"{out}/train.jsonl", "--format", "trl", "--annotator", "ms",
                 "--dataset", "gsm8k", "--out", labels]) == 0  # fmt: skip
    assert scan_labels(tmp_path / "in").collect()["steps"].to_list() == [
        ["Step 1:\n", "Step 2: 1"],
        ["Step 1:\n", "Step 2: 2"],
    ]
    assert main([*reading, "--out", labels, "--task", "MATH"]) == 2
    assert "holds no labels of the task MATH" in capsys.readouterr().err


def test_folders_that_hold_something_else_are_not_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path / "labels.jsonl", [row(1)])
    labels = str(tmp_path / "in")
    options = ["--format", "math_shepherd", "--annotator", "ms", "--out"]
    reading = ["labels", "import", str(file), *options]
    assert main([*reading, labels]) == 0
    assert main([*reading, labels]) == 0
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.chdir(tmp_path)
    for out in (".", "in/labeled_solutions", "labels.jsonl"):
        assert main([*reading, out]) == 2
    writing = ["export", labels, "--format", "trl", "--out"]
    for out in (".", labels, "labels.jsonl"):
        assert main([*writing, out]) == 2
    assert capsys.readouterr().err.count("holds something else: name a new folder") == 6
    assert sorted(tmp_path.rglob("*")) == before
    out = str(tmp_path / "out")
    assert main([*writing, out]) == 0
    assert main([*writing, out, "--file-type", "parquet"]) == 0
    assert {path.name for path in Path(out).iterdir()} == {"README.md", "train.parquet"}


def test_what_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "labels.jsonl", [row(1)])
    out = ["--format", "trl", "--out", str(tmp_path / "out")]
    for labels in ("absent", file.name):
        assert main(["export", str(tmp_path / labels), *out]) == 2
        assert f"{labels}: " in capsys.readouterr().err
    assert main(["labels", "import", str(file), *out, "--annotator", "m"]) == 2
    assert capsys.readouterr().err == (
        "error: --dataset: is required, because rows of trl do not name it\n"
    )


@needs_labels
@pytest.mark.parametrize(
    ("name", "format_name", "num_rows", "num_passed_over"),
    [
        ("openr_samples_math-shepherd", "math_shepherd", 7, 0),
        # One row screened a labeller, another was given up.
        ("openr_samples_prm800k", "prm800k", 6, 2),
        # No step of these is rated.
        ("prm800k_phase1_train", "prm800k", 942, 12),
    ],
)
def test_published_files_go_in_whole(
    tmp_path: Path, name: str, format_name: str, num_rows: int, num_passed_over: int
) -> None:
    rules = LabelRules(format_name, annotator="published", dataset="math")
    file = STEP_LABELS / f"{name}.jsonl.gz"
    report = import_labels([file], tmp_path / "in", rules, max_rejected_share=0, num_workers=1)
    assert (report.num_rows, report.num_passed_over) == (num_rows, num_passed_over)
    labels = enforce(LABELED_SOLUTIONS, scan_labels(tmp_path / "in").collect())
    assert labels.height == report.num_solutions
    if format_name == "math_shepherd":
        rules = LabelRules(format_name, annotator="published")
        import_labels([file], tmp_path / "in", rules, max_rejected_share=0)
        batches = [scan_labels(tmp_path / "in").collect()]
        export_labels(batches, tmp_path / "out", format_name, "jsonl", FACTS)
        published = [line for line in gzip.decompress(file.read_bytes()).splitlines() if line]
        exported = (tmp_path / "out" / "train.jsonl").read_bytes().splitlines()
        assert exported == published
