import gzip
import json
import os
import sys
from functools import cache
from pathlib import Path

import polars as pl
import pytest

from assets.annotation.sharding import by_shard
from resources.files import problem_rows as problem_rows_module
from resources.files.imported_solutions import load_solutions
from resources.files.problems import load_problems, questions_tested_elsewhere
from shepherd.identity import content_id
from shepherd.schemas import PROBLEMS, REJECTED, SOLUTIONS, enforce
from shepherd.settings import DatasetSettings

SHARED = Path(os.environ.get("SHEPHERD_SHARED_DATA", "../shared/data"))
SAMPLES = SHARED / "model_outputs" / "gsm8k_test_openai_gpt3.jsonl.gz"
needs_gsm8k = pytest.mark.skipif(
    not SAMPLES.is_file(),
    reason="the published GSM8K files are not there: set SHEPHERD_SHARED_DATA",
)


def row(question: str, gold: str = "1") -> bytes:
    return json.dumps({"question": question, "answer": f"It is so.\n#### {gold}"}).encode()


def gsm8k(folder: Path, train: list[bytes], test: list[bytes], **fields: object) -> DatasetSettings:
    for name, lines in (("train", train), ("test", test)):
        (folder / f"{name}.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    paths = {name: str(folder / f"{name}.jsonl") for name in ("train", "test")}
    return DatasetSettings.model_validate({"source": "gsm8k", **paths, **fields})


def test_problems_of_published_files(tmp_path: Path) -> None:
    settings = gsm8k(tmp_path, [row("a", "1,000"), row("b")], [b"", row("c"), b"  "])
    problems, rejected = load_problems("g", settings, seed=0)
    assert enforce(PROBLEMS, problems).select("split", "question", "gold_answer").rows() == [
        ("train", "a", "1000"),
        ("train", "b", "1"),
        ("test", "c", "1"),
    ]
    assert problems["problem_id"].to_list() == [content_id("g", q) for q in "abc"]
    assert enforce(REJECTED, rejected).is_empty()


def test_bad_rows_are_set_aside_with_file_line_and_reason(tmp_path: Path) -> None:
    bad = [
        b'{"question": "x", "ans',
        b"\xff\xfe",
        b"17",
        b'{"question": "x"}',
        b'{"question": 3, "answer": "#### 3"}',
        b'{"question": "x", "answer": "three"}',
        b'{"question": "\\ud83d", "answer": "#### 3"}',
        b"[" * 100_000,
        row("a"),
        row("t"),
    ]
    train = [row("a"), *bad, row("b")]
    settings = gsm8k(tmp_path, train, [row("t"), row("t")], max_rejected_share=1)
    problems, rejected = load_problems("g", settings, seed=0)
    assert problems["question"].to_list() == ["a", "b", "t"]
    enforce(REJECTED, rejected)
    assert set(rejected["dataset"]) == {"g"}
    test_file, train_file = settings.test, settings.train
    assert rejected.select("file", "line", "reason").rows() == [
        (test_file, 2, f"question: repeats {test_file} line 1"),
        (train_file, 2, "row: is not JSON (column 19: Unterminated string starting at)"),
        (train_file, 3, "row: is not UTF-8 at byte 1"),
        (train_file, 4, "row: is int, not an object"),
        (train_file, 5, "answer: is missing: the row has question"),
        (train_file, 6, "question: is int, not text"),
        (train_file, 7, "answer: has no final answer after ####"),
        (train_file, 8, "question: holds half of a surrogate pair, which is no text"),
        (train_file, 9, "row: is not JSON of reasonable depth"),
        (train_file, 10, f"question: repeats {train_file} line 1"),
        (train_file, 11, f"question: repeats {test_file} line 1"),
    ]
    assert rejected["content"].str.len_chars().max() == 1_000


def test_too_many_bad_rows_are_refused_by_the_first(tmp_path: Path) -> None:
    train = [*(row(f"q{index}") for index in range(97)), b"{", b"[]"]
    settings = gsm8k(tmp_path, train, [row("t")], max_rejected_share=0.02)
    assert load_problems("g", settings, seed=0)[1].height == 2
    strict = settings.model_copy(update={"max_rejected_share": 0.01})
    with pytest.raises(ValueError, match=r"train\.jsonl line 98: row: is not JSON.*of 2 bad rows"):
        load_problems("g", strict, seed=0)


def test_limits_keep_the_first_problems(tmp_path: Path) -> None:
    train = [row("late"), row("a"), row("b")]
    settings = gsm8k(tmp_path, train, [row("t"), row("late")], num_test=1, num_train=1,
                     max_rejected_share=1)  # fmt: skip
    problems, rejected = load_problems("g", settings, seed=0)
    assert problems["question"].to_list() == ["a", "t"]
    assert rejected["line"].to_list() == [1]


def test_a_sample_by_hash_is_spread_over_files_and_shards(tmp_path: Path) -> None:
    train = [row(f"q{index}") for index in range(400)]
    settings = gsm8k(
        tmp_path, train, [row("t"), row("u")], num_train=100, num_test=1, choose="hash"
    )
    problems, _ = load_problems("g", settings, seed=0)
    assert problems["split"].to_list() == ["train"] * 100 + ["test"]
    numbers = [int(question[1:]) for question in problems["question"][:100]]
    assert numbers == sorted(numbers)
    for quarter in range(4):
        assert 10 < sum(100 * quarter <= number < 100 * (quarter + 1) for number in numbers) < 40
    shards = by_shard(problems, problems["problem_id"], 4)
    assert all(frame.height > 10 for frame in shards.values())
    # A larger sample holds the smaller one, wherever the rows are in their files.
    larger = gsm8k(tmp_path, train[::-1], [row("t")], num_train=150, choose="hash")
    held = load_problems("g", larger, seed=0)[0]["problem_id"]
    assert problems.filter(split="train")["problem_id"].is_in(held.implode()).all()


def test_a_file_of_train_problems_is_enough_where_no_test_problem_is_read(tmp_path: Path) -> None:
    only_train = {"test": None, "num_test": 0}
    settings = gsm8k(tmp_path, [row("a"), row("b")], []).model_copy(update=only_train)
    problems, rejected = load_problems("g", settings, seed=0)
    assert problems.select("split", "question").rows() == [("train", "a"), ("train", "b")]
    assert rejected.is_empty()
    lightman = settings.model_copy(update={"source": "math", "split": "lightman"})
    with pytest.raises(ValueError, match="set both train and test"):
        load_problems("g", lightman, seed=0)
    # A named file of test problems keeps its questions out of train.
    kept_out = gsm8k(tmp_path, [row("a"), row("b")], [row("b")], num_test=0, max_rejected_share=1)
    assert load_problems("g", kept_out, seed=0)[0]["question"].to_list() == ["a"]


def test_gzipped_files_and_byte_order_marks_are_read(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl.gz").write_bytes(gzip.compress(b"\xef\xbb\xbf" + row("a") + b"\r\n"))
    settings = gsm8k(tmp_path, [], [row("t")]).model_copy(
        update={"train": str(tmp_path / "train.jsonl.gz")}
    )
    assert load_problems("g", settings, seed=0)[0]["question"].to_list() == ["a", "t"]
    (tmp_path / "train.jsonl.gz").write_bytes(gzip.compress(row("a"))[:-9])
    with pytest.raises(ValueError, match=r"train\.jsonl\.gz: broken gzip stream"):
        load_problems("g", settings, seed=0)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"train": "absent.jsonl"}, r"absent\.jsonl: no such file: set datasets\.g\.train"),
        ({"test": "empty"}, r"empty: the folder holds no \.json file: correct datasets\.g\.test"),
        ({"test": "pyproject.toml"}, r"pyproject\.toml: is none of these kinds: set datasets\.g"),
        ({"test": None}, r"datasets\.g: set both train and test, or neither"),
        ({"train": None}, r"datasets\.g: set both train and test, or neither"),
    ],
)
def test_a_missing_file_names_the_field(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fields: dict[str, str | None], named: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path)
    settings = gsm8k(tmp_path, [row("a")], [row("t")]).model_copy(update=fields)
    with pytest.raises(ValueError, match=named) as caught:
        load_problems("g", settings, seed=0)
    assert "\n" not in str(caught.value)


def test_a_file_without_problems_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"datasets\.g\.train: the file holds no problem"):
        load_problems("g", gsm8k(tmp_path, [], [row("t")]), seed=0)


def test_without_paths_and_hub_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ValueError, match=r"\.\[hub\]', or set datasets\.g\.train and"):
        load_problems("g", DatasetSettings(source="gsm8k"), seed=0)


class Hub:
    """Stands in for the package datasets."""

    def __init__(self, splits: dict[str, list[dict[str, str]]]) -> None:
        self.splits = splits

    def load_dataset(self, name: str, config: str, split: str) -> list[dict[str, str]]:
        assert (name, config) == ("openai/gsm8k", "main")
        if not self.splits:
            raise ConnectionError("Couldn't reach 'openai/gsm8k' on the Hub")
        return self.splits[split]


def test_without_paths_the_hub_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    splits = {"train": [json.loads(row("a"))], "test": [json.loads(row("é"))]}
    monkeypatch.setitem(sys.modules, "datasets", Hub(splits))
    monkeypatch.setattr(problem_rows_module, "hub_refusal", lambda name, file, kind: None)
    problems, _ = load_problems("g", DatasetSettings(source="gsm8k"), seed=0)
    assert problems["question"].to_list() == ["a", "é"]
    monkeypatch.setitem(sys.modules, "datasets", Hub({}))
    with pytest.raises(ValueError, match=r"cannot be read from the hub: set datasets\.g\.train"):
        load_problems("g", DatasetSettings(source="gsm8k"), seed=0)
    monkeypatch.setattr(problem_rows_module, "hub_refusal", lambda name, file, kind: f"no {file}")
    with pytest.raises(ValueError, match=r"openai/gsm8k: no README\.md, or set datasets\.g\."):
        load_problems("g", DatasetSettings(source="gsm8k"), seed=0)


def test_word_problems_are_drawn_by_seed() -> None:
    settings = DatasetSettings(source="word_problems", num_train=30, num_test=10)
    problems, rejected = load_problems("words", settings, seed=3)
    enforce(PROBLEMS, problems)
    assert rejected.is_empty()
    assert problems["split"].value_counts(sort=True).rows() == [("train", 30), ("test", 10)]
    assert set(problems["level"]) == {"2", "3", "4", "5"}
    assert problems.equals(load_problems("words", settings, seed=3)[0])
    others = load_problems("words", settings, seed=4)[0]
    assert not set(problems["problem_id"]) & set(others["problem_id"])


def test_word_problems_need_their_numbers() -> None:
    with pytest.raises(ValueError, match=r"datasets\.words\.num_test: set it"):
        load_problems("words", DatasetSettings(source="word_problems", num_train=3), seed=0)


def sampled(question: str | None, text: str, **fields: object) -> bytes:
    named = {} if question is None else {"question": question}
    return json.dumps({**named, "text": text, **fields}).encode()


def with_solutions(
    folder: Path, solutions: list[bytes], **fields: object
) -> tuple[DatasetSettings, pl.DataFrame]:
    """Return settings and problems: t (answer 1) and u (answer 2) are the test problems."""
    (folder / "solutions.jsonl").write_bytes(b"\n".join(solutions))
    paths = {"solutions": str(folder / "solutions.jsonl")}
    settings = gsm8k(folder, [row("a")], [b"{", row("t"), row("u", "2")],
                     **{"max_rejected_share": 1, **paths, **fields})  # fmt: skip
    return settings, load_problems("g", settings, seed=0)[0]


def test_imported_solutions_are_matched_counted_and_graded(tmp_path: Path) -> None:
    lines = [
        sampled("t", "A: 1", generator="x"),
        sampled("t", "A: 1", generator="x"),
        sampled("t", "A: 1", generator="y"),
        sampled(None, "so 1.\nA: 3", idx=2, model="gpt3-6b", style="finetuning", gold="2"),
        sampled(None, "no idea", problem_id=content_id("g", "u")),
    ]
    settings, problems = with_solutions(tmp_path, lines)
    solutions, rejected = load_solutions("g", settings, problems)
    enforce(SOLUTIONS, solutions)
    assert rejected.is_empty()
    t, u = content_id("g", "t"), content_id("g", "u")
    columns = ("problem_id", "generator", "num_samples", "answer", "is_correct")
    assert solutions.select(columns).rows() == [
        (t, "x", 2, "1", True),
        (t, "y", 1, "1", True),
        (u, "gpt3-6b-finetuning", 1, "3", False),
        (u, "imported", 1, None, False),
    ]
    assert solutions["solution_id"][0] == content_id(t, "x", "A: 1")
    assert solutions.select("finish_reason", "num_tokens", "seed").unique().rows() == [
        ("imported", 0, -1)
    ]


def test_a_part_of_the_problems_gets_its_own_solutions(tmp_path: Path) -> None:
    lines = [sampled("t", "A: 1"), sampled("u", "A: 2"), sampled("nowhere", "A: 1")]
    settings, problems = with_solutions(tmp_path, lines)
    parts = [load_solutions("g", settings, problems.filter(question=q)) for q in ("t", "u", "a")]
    assert [solutions["answer"].to_list() for solutions, _ in parts] == [["1"], ["2"], []]
    for solutions, rejected in parts:
        enforce(SOLUTIONS, solutions)
        assert rejected.select("line", "reason").rows() == [
            (3, "question, problem_id or idx: names none of the problems")
        ]


def test_too_many_unmatched_solutions_are_refused(tmp_path: Path) -> None:
    settings, problems = with_solutions(tmp_path, [sampled("a", "A: 1"), sampled("t", "A: 1")])
    strict = settings.model_copy(update={"max_rejected_share": 0.4})
    with pytest.raises(ValueError, match=r"solutions\.jsonl line 1: question.*of 1 bad rows of 2"):
        load_solutions("g", strict, problems)


def test_solutions_need_a_published_dataset_and_a_file(tmp_path: Path) -> None:
    settings, problems = with_solutions(tmp_path, [])
    for update, named in (
        ({"solutions": None}, r"datasets\.g\.solutions: set it"),
        ({"solutions": "absent.jsonl"}, r"absent\.jsonl: no such file: set datasets\.g\.solut"),
        ({"source": "word_problems"}, r"datasets\.g\.solutions: leave it out"),
    ):
        with pytest.raises(ValueError, match=named):
            load_solutions("g", settings.model_copy(update=update), problems)


@cache
def published(source: str) -> tuple[DatasetSettings, pl.DataFrame, pl.DataFrame]:
    """Return the settings, problems and rejected rows of the published GSM8K or MATH."""
    paths = {split: str(SHARED / source / f"{split}.jsonl") for split in ("train", "test")}
    settings = DatasetSettings.model_validate({"source": source, **paths})
    return settings, *load_problems(source, settings, seed=0)


@needs_gsm8k
def test_published_gsm8k_goes_in_whole() -> None:
    _, problems, rejected = published("gsm8k")
    enforce(PROBLEMS, problems)
    assert rejected.is_empty()
    assert problems.group_by("split").len().sort("split").rows() == [
        ("test", 1_319),
        ("train", 7_473),
    ]
    assert problems.filter(~pl.col("gold_answer").str.contains(r"^-?\d+(\.\d+)?$")).is_empty()


@needs_gsm8k
def test_published_samples_go_in_whole_and_are_graded_as_published() -> None:
    settings, problems, _ = published("gsm8k")
    with_samples = settings.model_copy(update={"solutions": str(SAMPLES)})
    solutions, rejected = load_solutions("gsm8k", with_samples, problems)
    assert rejected.is_empty()
    assert solutions["num_samples"].sum() == 5_276
    shares = solutions.group_by("generator").agg(pl.col("is_correct").sum()).sort("generator")
    assert dict(shares.iter_rows()) == {
        "gpt3-175b-finetuning": 458,
        "gpt3-175b-verification": 742,
        "gpt3-6b-finetuning": 286,
        "gpt3-6b-verification": 515,
    }


MATH = SHARED / "math"
needs_math = pytest.mark.skipif(
    not MATH.is_dir(), reason="the published MATH files are not there: set SHEPHERD_SHARED_DATA"
)


def math_row(question: str, answer: str = "1") -> dict[str, object]:
    return {"problem": question, "solution": f"\\boxed{{{answer}}}", "level": "Level 2",
            "type": "Algebra"}  # fmt: skip


def test_the_same_problems_come_from_every_kind_of_file(tmp_path: Path) -> None:
    rows = [math_row("a"), math_row("b", "\\frac{1}{2}")]
    frame = pl.DataFrame(rows)
    frame.write_ndjson(tmp_path / "rows.jsonl")
    frame.write_parquet(tmp_path / "rows.parquet")
    frame.write_csv(tmp_path / "rows.csv")
    for name, row in zip("ab", rows, strict=True):
        (tmp_path / "MATH" / "algebra").mkdir(parents=True, exist_ok=True)
        (tmp_path / "MATH" / "algebra" / f"{name}.json").write_text(json.dumps(row))
    (tmp_path / "test.jsonl").write_text(json.dumps(math_row("t")))
    found = []
    for name in ("rows.jsonl", "rows.parquet", "rows.csv", "MATH"):
        settings = DatasetSettings(
            source="math", train=str(tmp_path / name), test=str(tmp_path / "test.jsonl")
        )
        problems, rejected = load_problems("math", settings, seed=0)
        assert rejected.is_empty()
        found.append(enforce(PROBLEMS, problems))
    assert all(frame.equals(found[0]) for frame in found)
    assert found[0].select("question", "gold_answer", "level", "subject").rows()[1] == (
        "b", "\\frac{1}{2}", "2", "Algebra"
    )  # fmt: skip


def test_broken_files_and_cells_are_named(tmp_path: Path) -> None:
    test = tmp_path / "test.csv"
    test.write_text("problem,solution\nt,\\boxed{1}\n")
    train = tmp_path / "train.csv"
    train.write_bytes(b"problem,solution\na,\\boxed{1}\nb\n\xff,\\boxed{2}\nc,\\boxed{}\n")
    settings = DatasetSettings(
        source="math", train=str(train), test=str(test), max_rejected_share=1
    )
    problems, rejected = load_problems("m", settings, seed=0)
    assert problems["question"].to_list() == ["a", "t"]
    assert rejected.select("line", "reason").rows() == [
        (3, "solution: is missing: the row has problem"),
        (4, "problem: holds half of a surrogate pair, which is no text"),
        (5, "solution: its last \\boxed{} is missing, empty or cut off"),
    ]
    broken = tmp_path / "train.parquet"
    broken.write_bytes(b"PAR1")
    with pytest.raises(ValueError, match=r"train\.parquet: broken Parquet"):
        load_problems("m", settings.model_copy(update={"train": str(broken)}), seed=0)


def columns(folder: Path, train: str) -> DatasetSettings:
    (folder / "test.jsonl").write_text('{"q": "t", "a": 1}')
    return DatasetSettings(
        source="columns",
        columns={"question": "q", "answer": "a"},
        train=str(folder / train),
        test=str(folder / "test.jsonl"),
        max_rejected_share=1,
    )


@pytest.mark.parametrize(
    ("content", "questions", "rejected"),
    [
        ("q,a\nHow many, Bob?,5\nok,1\n", ["ok"], [(2, "row: has more cells than the header")]),
        ("q,a\nalone\nok,1\n", ["ok"], [(2, "a: names no gold answer: the row has q")]),
        ('q,a\nok,1\nx,"2\ny,3\n', ["ok", "y"], [(3, "row: is not CSV (unexpected end of data)")]),
        (f"q,a\n{'x' * 200_000},1\nok,1\n", ["ok"], [(2, "row: is not CSV (field larger than")]),
        ('q,a\n"o\n,""k""",1\n\n"p\nq",2,3\nr,4\n', ['o\n,"k"', "r"],
         [(5, "row: has more cells than the header")]),
        ('q,a\n"open,1\n"good, quoted",2\n', ["good, quoted"],
         [(2, "row: is not CSV (',' expected after '\"')")]),
        ('q,a\nok,1\n"cut\noff\n\nhere', ["ok"],
         [(3, "row: is not CSV (unexpected"), (4, "row: has fewer cells than the header, after"),
          (6, "row: has fewer cells than the header, after")]),
    ],
)  # fmt: skip
def test_cells_that_fall_out_of_their_columns_are_set_aside(
    tmp_path: Path, content: str, questions: list[str], rejected: list[tuple[int, str]]
) -> None:
    (tmp_path / "train.csv").write_text(content)
    problems, found = load_problems("c", columns(tmp_path, "train.csv"), seed=0)
    assert problems.filter(split="train")["question"].to_list() == questions
    for (line, reason), (expected_line, expected) in zip(
        found.select("line", "reason").rows(), rejected, strict=True
    ):
        assert (line, reason[: len(expected)]) == (expected_line, expected)


def test_parquet_of_other_writers_is_read_and_its_bad_rows_are_set_aside(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    texts = pyarrow.array([b"bytes", b"caf\xe9", b"a", b"b"], pyarrow.binary())
    answers = pyarrow.array([5.5, 1.0, float("nan"), None])
    for name, column in (("binary", texts), ("text", texts.view(pyarrow.string()))):
        table = pyarrow.table({"q": column, "a": answers})
        pyarrow.parquet.write_table(table, tmp_path / f"{name}.parquet")
        problems, rejected = load_problems("c", columns(tmp_path, f"{name}.parquet"), seed=0)
        assert problems["question"].to_list() == ["bytes", "t"]
        assert rejected["line"].to_list() == [2, 3, 4]
        without = "a: names no gold answer"
        assert rejected["reason"].to_list()[1:] == [without, f"{without}: the row has q"]
    spoiled = bytearray((tmp_path / "text.parquet").read_bytes())
    spoiled[4:60] = bytes(56)
    (tmp_path / "spoiled.parquet").write_bytes(spoiled)
    with pytest.raises(
        ValueError, match=r"spoiled\.parquet: broken Parquet .* fetch the file again"
    ):
        load_problems("c", columns(tmp_path, "spoiled.parquet"), seed=0)


def test_a_null_of_a_table_is_a_missing_field(tmp_path: Path) -> None:
    rows = [{**math_row("a"), "answer": None}, {**math_row("b"), "answer": "7"}]
    pl.DataFrame(rows, infer_schema_length=None).write_parquet(tmp_path / "train.parquet")
    (tmp_path / "test.jsonl").write_text(json.dumps(math_row("t")))
    settings = DatasetSettings(
        source="math", train=str(tmp_path / "train.parquet"), test=str(tmp_path / "test.jsonl")
    )
    problems, _ = load_problems("m", settings, seed=0)
    assert problems["gold_answer"].to_list() == ["1", "7", "1"]


def test_questions_that_differ_in_case_and_space_alone_are_one(tmp_path: Path) -> None:
    settings = gsm8k(
        tmp_path, [row("How  many?"), row("how many?"), row("T?")], [row("t?")],
        max_rejected_share=1,
    )  # fmt: skip
    problems, rejected = load_problems("g", settings, seed=0)
    assert problems["question"].to_list() == ["How  many?", "t?"]
    assert rejected["reason"].str.starts_with("question: repeats").sum() == 2


def overlapping(folder: Path, **fields: object) -> dict[str, DatasetSettings]:
    """Return two datasets, of which ``mine`` trains on what ``other`` tests on, and words."""
    for name in ("mine", "other"):
        (folder / name).mkdir()
    other = gsm8k(folder / "other", [row("a")], [b"{", row("Shared?"), row("t")])
    mine = gsm8k(
        folder / "mine", [row("a"), row("shared?"), row("b"), row("t")], [row("t")], **fields
    )
    words = DatasetSettings(source="word_problems", num_train=1, num_test=1)
    return {"other": other, "words": words, "mine": mine}


def test_test_questions_of_other_datasets_are_kept_out_of_train(tmp_path: Path) -> None:
    datasets = overlapping(tmp_path, max_rejected_share=0.2)
    mine, other = datasets["mine"], datasets["other"]
    elsewhere = questions_tested_elsewhere(datasets, "mine")
    problems, rejected = load_problems("mine", mine, 0, elsewhere)
    assert problems["question"].to_list() == ["a", "b", "t"]
    assert rejected.select("line", "reason").rows() == [
        (2, f"question: another dataset tests on it: {other.test} line 2"),
        (4, f"question: repeats {mine.test} line 1"),
    ]
    strict = mine.model_copy(update={"max_rejected_share": 0.1})
    with pytest.raises(ValueError, match=r"line 4: question: repeats .* 1 bad rows of 5"):
        load_problems("mine", strict, 0, elsewhere)
    asked = {"query": "Shared?", "response": "The answer is: 1", "type": "t"}
    (tmp_path / "m.jsonl").write_text(json.dumps(asked) + "\n" + json.dumps(asked | {"query": "c"}))
    metamath = DatasetSettings(source="metamath", train=str(tmp_path / "m.jsonl"))
    assert load_problems("m", metamath, 0, elsewhere)[0]["question"].to_list() == ["c"]


def test_solutions_of_what_another_dataset_tests_on_are_set_aside(tmp_path: Path) -> None:
    lines = [sampled("shared?", "A: 1"), sampled("b", "A: 1"), sampled(None, "A: 2", idx=1)]
    (tmp_path / "solutions.jsonl").write_bytes(b"\n".join(lines))
    solved = {"solutions": str(tmp_path / "solutions.jsonl"), "solutions_split": "train"}
    datasets = overlapping(tmp_path, max_rejected_share=0.2, **solved)
    mine, elsewhere = datasets["mine"], questions_tested_elsewhere(datasets, "mine")
    problems, _ = load_problems("mine", mine, 0, elsewhere)
    solutions, rejected = load_solutions("mine", mine, problems, elsewhere)
    assert solutions["problem_id"].to_list() == [content_id("mine", "b")]
    reason = f"question: another dataset tests on it: {datasets['other'].test} line 2"
    assert rejected.select("line", "reason").rows() == [(1, reason), (3, reason)]


def test_tests_of_other_datasets_that_cannot_be_read_are_passed_over_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    datasets = overlapping(tmp_path)
    gone = datasets["other"].model_copy(update={"test": str(tmp_path / "gone.jsonl")})
    datasets = {"gone": gone, **datasets}
    assert questions_tested_elsewhere(datasets, "words") == {}
    assert not caplog.records
    assert questions_tested_elsewhere(datasets, "mine").keys() == {"shared?", "t"}
    [message] = caplog.messages
    assert message.startswith("datasets.mine: test questions of gone may stay in its training: ")
    assert "gone.jsonl: no such file: set datasets.gone.test" in message


def test_lightmans_split_leaves_the_test_problems_out_of_train(tmp_path: Path) -> None:
    for name, questions in (("train", "ab"), ("test", "cd"), ("test500", "d")):
        lines = [json.dumps(math_row(question)) for question in questions]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    train = (str(tmp_path / "train.jsonl"), str(tmp_path / "test.jsonl"))
    settings = DatasetSettings(
        source="math", split="lightman", train=train, test=str(tmp_path / "test500.jsonl")
    )
    problems, rejected = load_problems("math", settings, seed=0)
    assert problems.select("split", "question").rows() == [
        ("train", "a"), ("train", "b"), ("train", "c"), ("test", "d")
    ]  # fmt: skip
    assert rejected.is_empty()


def test_metamath_is_all_for_training(tmp_path: Path) -> None:
    rows = [{"query": "Q", "response": f"{n} The answer is: 3", "type": "t"} for n in "aab"]
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, rows)))
    settings = DatasetSettings(
        source="metamath", train=str(tmp_path / "m.jsonl"), max_rejected_share=0.5
    )
    problems, rejected = load_problems("mm", settings, seed=0)
    assert enforce(PROBLEMS, problems)["split"].to_list() == ["train", "train"]
    assert rejected["line"].to_list() == [2]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"source": "columns"}, "columns: name the column of the question"),
        ({"source": "columns", "columns": {"question": "q"}}, "and of answer or solution"),
        ({"source": "gsm8k", "columns": {"question": "q"}}, "columns: leave it out, gsm8k"),
        ({"source": "gsm8k", "split": "lightman"}, "split lightman: it is a split of the source"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    fields: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        DatasetSettings.model_validate(fields)


def test_columns_of_any_name_need_files(tmp_path: Path) -> None:
    pl.DataFrame({"q": ["a", "b"], "a": [1, 2]}).write_parquet(tmp_path / "p.parquet")
    pl.DataFrame({"q": ["c"], "a": [3]}).write_csv(tmp_path / "t.csv")
    settings = DatasetSettings(
        source="columns",
        columns={"question": "q", "answer": "a"},
        train=str(tmp_path / "p.parquet"),
        test=str(tmp_path / "t.csv"),
    )
    problems, _ = load_problems("mine", settings, seed=0)
    assert problems["gold_answer"].to_list() == ["1", "2", "3"]
    with pytest.raises(ValueError, match=r"datasets\.mine: set train and test to files"):
        load_problems("mine", settings.model_copy(update={"train": None, "test": None}), seed=0)


def test_solutions_of_train_problems_are_imported_from_parquet(tmp_path: Path) -> None:
    settings, problems = with_solutions(tmp_path, [])
    pl.DataFrame({"question": ["a", "t"], "solutions": [["A: 1", "A: 2"], ["A: 1"]]}).write_parquet(
        tmp_path / "solutions.parquet"
    )
    settings = settings.model_copy(
        update={"solutions": str(tmp_path / "solutions.parquet"), "solutions_split": "train"}
    )
    solutions, rejected = load_solutions("g", settings, problems)
    assert solutions.select("problem_id", "is_correct").rows() == [
        (content_id("g", "a"), True), (content_id("g", "a"), False)
    ]  # fmt: skip
    assert rejected["line"].to_list() == [2]


@needs_math
def test_published_math_goes_in_but_for_what_cannot() -> None:
    train, test, test500 = (str(MATH / f"{name}.jsonl") for name in ("train", "test", "test500"))
    _, problems, rejected = published("math")
    enforce(PROBLEMS, problems)
    assert problems["split"].value_counts(sort=True).rows() == [("train", 7_496), ("test", 5_000)]
    assert rejected.select("line", "reason").rows() == [
        (960, f"question: repeats {train} line 926"),
        (2_949, f"question: repeats {test} line 4657"),
        (5_342, "solution: its last \\boxed{} is missing, empty or cut off"),
        (5_344, "solution: its last \\boxed{} is missing, empty or cut off"),
    ]
    lightman = DatasetSettings(source="math", split="lightman", train=(train, test), test=test500)
    problems, rejected = load_problems("math", lightman, seed=0)
    assert dict(problems["split"].value_counts().iter_rows()) == {"train": 11_996, "test": 500}
    assert rejected.height == 4


@needs_math
def test_published_samples_of_math_are_matched_by_their_row() -> None:
    samples = SHARED / "model_outputs" / "math_qwen25math_100x8.jsonl.gz"
    settings, problems, _ = published("math")
    with_samples = settings.model_copy(update={"solutions": str(samples)})
    solutions, rejected = load_solutions("math", with_samples, problems)
    assert rejected.is_empty()
    assert solutions["num_samples"].sum() == 800
    assert solutions["problem_id"].n_unique() == 100
