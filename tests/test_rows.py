import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.files.csv_rows import MAX_RECORD_CHARACTERS
from resources.files.lines import Line
from resources.files.rows import read_rows

ANY_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(derandomize=True, deadline=None)
@given(ANY_JSON, st.booleans())
def test_a_row_is_what_json_reads(value: Any, ascii_only: bool) -> None:
    raw = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert Line("file", 1, raw).parse() == json.loads(raw)


@settings(derandomize=True, deadline=None)
@given(st.binary(max_size=20) | st.text(st.sampled_from('{}[]":,1.e\\ud8'), max_size=9))
def test_what_is_no_json_gives_a_reason(raw: bytes | str) -> None:
    line = Line("file", 1, raw if isinstance(raw, bytes) else raw.encode())
    try:
        found = line.parse()
    except ValueError as error:
        assert str(error).startswith("row: ")  # noqa: PT017
    else:
        assert repr(found) == repr(json.loads(line.raw))


@pytest.mark.parametrize(
    ("raw", "key"),
    [
        ('{"question": "a", "answer": "1", "question": "b"}', "question"),
        (r'{"answer": "1", "\u0061nswer": "2"}', "answer"),
        (r'{"a/b": 1, "a\/b": 2}', "a/b"),
        ('{"число": 1, "число": 2}', "число"),
        (r'{"число": 1, "\u0447исло": 2}', "число"),
        ('{"a": {"b": 1, "b": 2}}', "b"),
        ('{"a": [{"b": 1}, {"b": 1, "b": 2}]}', "b"),
        ('[{"b": 1, "b": 2}]', "b"),
        ('\ufeff{"a": 1, "a" : 1}', "a"),
    ],
)
def test_a_row_that_repeats_a_key_is_refused(raw: str, key: str) -> None:
    with pytest.raises(ValueError, match=f"^row: repeats the key '{key}'$"):
        Line("file", 1, raw.encode()).parse()


@pytest.mark.parametrize(
    "raw", ['{"a": "a", "b": ["a", "b"]}', '{"a": "\\"a\\"", "b": {"a": 1}}', r'{"a": "\u0061"}']
)
def test_a_text_that_reads_as_a_key_is_none(raw: str) -> None:
    assert Line("file", 1, raw.encode()).parse() == json.loads(raw)


def test_numbers_without_end_are_refused() -> None:
    with pytest.raises(ValueError, match="row: holds a number of thousands of digits"):
        Line("file", 1, b'{"level": ' + b"1" * 5_000 + b"}").parse()


def csv_lines(path: Path, content: str) -> list[Line]:
    path.write_text(content)
    return list(read_rows(path, "datasets.c.train"))


def test_a_quote_that_is_never_closed_costs_its_own_line_alone(tmp_path: Path) -> None:
    good = [f"q{number},{number}\n" for number in range(1_000)]
    content = ["q,a\n", *good[:5], '"open,1\n', *good[5:]]
    lines = csv_lines(tmp_path / "rows.csv", "".join(content))
    assert [line.number for line in lines] == list(range(2, 1_003))
    assert [(line.number, line.raw) for line in lines if line.fault] == [(7, b'"open,1')]
    assert lines[-1].parse() == {"q": "q999", "a": "999"}


def test_a_broken_row_without_end_is_not_held_whole(tmp_path: Path) -> None:
    line = 'x","' + "y" * 100_000 + "\n"
    lines = csv_lines(tmp_path / "rows.csv", 'q,a\n1,"' + line * 30)
    assert len(lines) == 30
    assert lines[0].fault == f"is not CSV (a row of more than {MAX_RECORD_CHARACTERS:,} characters)"


def test_a_header_that_is_no_csv_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"rows\.csv: its header is not CSV .*: correct the file"):
        csv_lines(tmp_path / "rows.csv", '"q,a\n1,2\n')
