"""Files and folders as systems and other writers leave them, through the readers of rows."""

import gzip
import json
import os
import random
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from resources.files.csv_rows import MISSING
from resources.files.rows import read_rows
from resources.user_paths import expanded

FIELD = "datasets.d.train"


def rows(path: Path) -> list[Any]:
    return [line.parse() for line in read_rows(path, FIELD)]


def refusal(path: Path) -> str:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the callers look at the message
        rows(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_files_of_the_system_and_folders_are_passed_over(tmp_path: Path) -> None:
    for name in ("0.json", "sub/1.json", "x.json/2.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(name))
    for name in (".hidden.json", "._0.json", "__MACOSX/._0.json", "__MACOSX/3.json", ".git/4.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{")
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store", "5.json~", "6.JSON"):
        (tmp_path / name).write_bytes(b"\0")
    (tmp_path / "empty.json").mkdir()
    assert rows(tmp_path) == ["0.json", "sub/1.json", "x.json/2.json"]


def test_a_hidden_file_or_folder_that_a_profile_names_is_read(tmp_path: Path) -> None:
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "0.json").write_text("1")
    (tmp_path / ".rows.jsonl").write_text("2")
    assert rows(tmp_path / ".cache") == [1]
    assert rows(tmp_path / ".rows.jsonl") == [2]


def test_a_folder_of_hidden_files_alone_holds_none(tmp_path: Path) -> None:
    (tmp_path / "._0.json").write_text("1")
    assert f"the folder holds no .json file: correct {FIELD}" in refusal(tmp_path)


def test_links_that_lead_nowhere_and_pipes_are_named(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "gone.json").symlink_to("nowhere")
    assert "gone.json: is no file or its link leads nowhere" in refusal(tmp_path / "a")
    (tmp_path / "b").mkdir()
    os.mkfifo(tmp_path / "b" / "pipe.json")
    assert "pipe.json: is no file" in refusal(tmp_path / "b")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("x" * 300 + ".jsonl", "File name too long"),
        ("none.jsonl", "no such file"),
        ("none", "no such file"),
        ("nul\0.jsonl", "no such file"),
        ("file.jsonl/rows.jsonl", "no such file"),
    ],
)
def test_paths_that_lead_to_no_file_are_named(tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "file.jsonl").write_text("1")
    message = refusal(tmp_path / name)
    assert says in message
    assert FIELD in message


def test_the_home_of_no_user_is_named() -> None:
    with pytest.raises(ValueError, match=r"~nobody-here/x.*: write the whole path"):
        expanded("~nobody-here/x")


FAR = 300_000_000_000_000


@pytest.mark.parametrize(
    "column",
    [
        pa.array([FAR, None], pa.timestamp("ms")),
        pa.array([FAR, 0], pa.timestamp("ms", tz="UTC")),
        pa.array([-(2**50), 1], pa.timestamp("s")),
        pa.array([1, 2], pa.timestamp("ns")),
        pa.array([0, 1], pa.timestamp("us", tz="Mars/Olympus")),
        pa.array([2**30, 1], pa.date32()),
        pa.array([2**62, 1], pa.duration("s")),
        pa.array([1, 2], pa.time64("ns")),
        pa.array([[FAR], []], pa.list_(pa.timestamp("ms"))),
        pa.array([{"at": FAR}, None], pa.struct([("at", pa.timestamp("ms"))])),
        pa.array([Decimal("1.50"), None]),
        pa.array([float("nan"), float("inf")]),
        pa.array([b"\xff", None], pa.binary()),
        pa.array([None, None], pa.null()),
        pa.array([2**64 - 1, 0], pa.uint64()),
        pa.array([datetime(2020, 1, 1, tzinfo=UTC), None]),
    ],
    ids=lambda column: str(column.type),
)
def test_an_unused_column_of_any_type_does_not_matter(tmp_path: Path, column: pa.Array) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"q": ["a", "b"], "other": column, "a": [1, 2]}), path)
    read = rows(path)
    assert [(row["q"], row["a"]) for row in read] == [("a", 1), ("b", 2)]


def test_a_value_that_python_cannot_hold_is_null_and_others_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"at": pa.array([FAR, 0], pa.timestamp("ms"))}), path)
    assert rows(path) == [{"at": None}, {"at": "1970-01-01 00:00:00"}]


def test_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array(["x"])] * 3, names=["q", "a", "a"])
    pq.write_table(table, tmp_path / "rows.parquet")
    (tmp_path / "rows.csv").write_text("q,a,a\n1,2,3\n")
    for name in ("rows.parquet", "rows.csv"):
        says = f"{tmp_path / name}: two columns are named 'a': rename or remove one"
        assert refusal(tmp_path / name) == says


def test_unnamed_columns_of_a_spreadsheet_may_be_many(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("q,a,,\n1,2,,\n")
    [row] = rows(tmp_path / "rows.csv")
    assert (row["q"], row["a"]) == ("1", "2")


def test_a_csv_cell_that_stands_for_a_missing_value_is_null(tmp_path: Path) -> None:
    cells = [*sorted(MISSING), "None of these", "na", "0", '""']
    (tmp_path / "rows.csv").write_text("a,b\n" + "".join(f"{cell},1\n" for cell in cells))
    values = [row["a"] for row in rows(tmp_path / "rows.csv")]
    assert values == [None] * len(MISSING) + ["None of these", "na", "0", ""]
    (tmp_path / "rows.jsonl").write_text('{"a": "None"}')
    assert rows(tmp_path / "rows.jsonl") == [{"a": "None"}]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-16-le"])
def test_a_csv_in_another_encoding_is_named(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "rows.csv").write_bytes("q,a\n1,2\n".encode(encoding))
    assert "rows.csv: its header is not UTF-8 text" in refusal(tmp_path / "rows.csv")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.jsonl.gz", b"{}", "broken gzip stream"),
        ("a.jsonl.gz", gzip.compress(b"{}\n" * 99, mtime=0)[:-9], "broken gzip stream"),
        ("a.parquet", b"", "broken Parquet"),
        ("a.parquet", b"PAR1" + b"\0" * 20 + b"PAR1", "broken Parquet"),
        ("a.jsonl.zst", b"", "is none of these kinds"),
        ("a.json", b"{}", "is none of these kinds"),
    ],
)
def test_broken_files_are_named_with_their_field(
    tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    (tmp_path / name).write_bytes(content)
    message = refusal(tmp_path / name)
    assert message.startswith(str(tmp_path / name))
    assert says in message
    assert FIELD in message


DAMAGE = [
    b"\0",
    b"\xff",
    b"\\ud800",
    b"1e999",
    b"NaN",
    b"[",
    b"{",
    b'"',
    b"\r",
    b"\n",
    b",",
    b"\x1b",
]


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz", "rows.parquet", "rows.csv"])
def test_any_damage_gives_rows_with_reasons_or_one_line(tmp_path: Path, name: str) -> None:
    fields = [{"question": f"q{number} é", "steps": ["a", "b"]} for number in range(5)]
    lines = "\n".join(map(json.dumps, fields)).encode()
    pq.write_table(pa.Table.from_pylist(fields), tmp_path / "rows.parquet")
    sound = {
        "rows.jsonl": lines,
        "rows.jsonl.gz": gzip.compress(lines),
        "rows.parquet": (tmp_path / "rows.parquet").read_bytes(),
        "rows.csv": b"q,a\n" + b"".join(b'"one,\n""two""",%d\n' % n for n in range(5)),
    }[name]
    chance = random.Random(name)
    num_refused = 0
    for _ in range(150):
        content = bytearray(sound)
        for _ in range(chance.choice([1, 1, 3])):
            start = chance.randrange(len(content) + 1)
            content[start : start + chance.randrange(4)] = chance.choice(DAMAGE)
        (tmp_path / name).write_bytes(content)
        try:
            for line in read_rows(tmp_path / name, FIELD):
                with suppress(ValueError):
                    line.parse()
        except ValueError as error:
            assert str(error).startswith(str(tmp_path / name))  # noqa: PT017
            num_refused += 1
    assert num_refused < 150
