import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.rows import Line

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


def test_numbers_without_end_are_refused() -> None:
    with pytest.raises(ValueError, match="row: holds a number of thousands of digits"):
        Line("file", 1, b'{"level": ' + b"1" * 5_000 + b"}").parse()
