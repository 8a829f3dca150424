import logging
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.storage import journal as journals
from resources.storage.journal import MARK, num_damaged_bytes, open_journal, read_journal
from shepherd.requests import Completion, completion_block, completion_rows

FINGERPRINT = {"weights": "abc", "temperature": 0.7, "seed": 1}


def completion(name: str, text: str = 'Step 1:\u2028 \u00bd\n"') -> Completion:
    return Completion(name, text, "stop", 5, 4, 3, 0.1 + 0.2)


def write(path: Path, *names: str) -> None:
    with open_journal(path, FINGERPRINT) as journal:
        for name in names:
            journal.record(completion_block([completion(name)]))


def finished(path: Path) -> dict[str, Completion]:
    with open_journal(path, FINGERPRINT) as journal:
        return {one.request_id: one for one in completion_rows(journal.completions)}


def test_what_was_recorded_is_resumed(tmp_path: Path) -> None:
    path = tmp_path / "solutions" / "words" / "00" / "weak.journal"
    write(path, "a")
    write(path, "b", "c")
    failed = Completion("d", "", "error", 5, 0, 0, 0.0, "too long")
    with open_journal(path, FINGERPRINT) as journal:
        journal.record(completion_block([failed]))
    assert finished(path) == {**{name: completion(name) for name in "abc"}, "d": failed}
    assert path.read_bytes().count(MARK) == 5


def test_what_finished_together_is_one_record(tmp_path: Path) -> None:
    path = tmp_path / "words.journal"
    with open_journal(path, FINGERPRINT) as journal:
        journal.record(completion_block([completion("a"), completion("b", "other")]))
    assert path.read_bytes().count(MARK) == 2
    assert finished(path) == {"a": completion("a"), "b": completion("b", "other")}


def test_records_may_be_smaller_than_those_before(tmp_path: Path) -> None:
    path = tmp_path / "rollouts.journal"
    with open_journal(path, FINGERPRINT) as journal:
        for first, size in ((0, 300), (300, 1), (301, 0), (301, 40)):
            names = [f"p:{k}" for k in range(first, first + size)]
            journal.record(completion_block(completion(name, name * 20) for name in names))
    assert sorted(finished(path)) == sorted(f"p:{k}" for k in range(341))


def test_the_settings_are_told_before_anything_is_drawn(tmp_path: Path) -> None:
    with open_journal(tmp_path / "rollouts.journal", FINGERPRINT):
        assert journals.fingerprints(tmp_path) == {"rollouts": FINGERPRINT}


def test_records_reach_the_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "words.journal"
    with open_journal(path, FINGERPRINT) as journal:
        journal.record(completion_block([completion("a")]))
        assert list(read_journal(path)["request_id"]) == ["a"]


def test_syncs_are_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    now = [0.0]
    monkeypatch.setattr("os.fsync", synced.append)
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    with open_journal(tmp_path / "words.journal", FINGERPRINT) as journal:
        opened = len(synced)
        for index in range(40):
            now[0] += 0.1
            journal.record(completion_block([completion(str(index))]))
    assert 3 <= len(synced) - opened <= 5


@settings(derandomize=True, deadline=None, max_examples=25)
@given(st.data())
def test_a_journal_cut_anywhere_resumes_with_its_whole_records(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("journal") / "words.journal"
    ends = []
    for names in ("", "a", "b", "c"):
        write(path, *names)
        ends.append(path.stat().st_size)
    whole = path.read_bytes()
    size = data.draw(st.integers(0, len(whole)))
    tails = st.sampled_from([b"", b"\0" * 64, b"\xff{]\n", b"\0" * len(whole)])
    path.write_bytes(whole[:size] + data.draw(tails))
    num_whole = sum(end <= size for end in ends[1:])
    assert list(finished(path)) == ["a", "b", "c"][:num_whole]
    write(path, *["a", "b", "c"][num_whole:])
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "tail",
    [
        MARK,
        MARK + b"\xff" * 8,
        MARK + b"\xff" * 100,
        MARK + (100).to_bytes(8, "little") + b"\0" * 104,
        b"\0" * 100,
        b"[]\n",
        b"\xff\n",
    ],
)
def test_a_corrupt_last_record_is_cut_off_and_told(
    tmp_path: Path, tail: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "words.journal"
    write(path, "a", "b")
    whole = path.read_bytes()
    path.write_bytes(whole + tail)
    with caplog.at_level(logging.WARNING):
        assert list(finished(path)) == ["a", "b"]
    assert f"cut off {len(tail)} bytes" in caplog.text
    assert path.read_bytes() == whole


def test_other_settings_are_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "words.journal"
    write(path, "a")
    before = path.read_bytes()
    with (
        caplog.at_level(logging.WARNING),
        open_journal(path, {**FINGERPRINT, "temperature": 1.0}) as journal,
    ):
        assert journal.completions.is_empty()
        journal.record(completion_block([completion("b")]))
    assert path.read_bytes().count(MARK) == 2
    (aside,) = tmp_path.glob("*.aside")
    assert aside.read_bytes() == before
    for part in ("set aside", aside.name, '"temperature": 0.7', '"temperature": 1.0'):
        assert part in caplog.text


def test_a_second_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "words.journal"
    with open_journal(path, FINGERPRINT) as journal:
        journal.record(completion_block([completion("a")]))
        with pytest.raises(ValueError, match=r"words\.journal: another run is sampling"):
            finished(path)
    assert list(finished(path)) == ["a"]


HOLD = """
import sys, time
from pathlib import Path
from resources.storage.journal import open_journal
with open_journal(Path(sys.argv[1]), {"weights": "abc", "temperature": 0.7, "seed": 1}):
    print("open", flush=True)
    time.sleep(60)
"""


def test_the_lock_dies_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "words.journal"
    command = [sys.executable, "-c", HOLD, str(path)]
    environment = {**os.environ, "PYTHONPATH": "."}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(ValueError, match="another run"):
            finished(path)
        holder.kill()
        holder.wait()
    assert finished(path) == {}


@pytest.mark.parametrize("place", ["its mark", "its length", "what it holds"])
def test_what_follows_a_damaged_record_is_kept_aside(
    tmp_path: Path, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "words.journal"
    write(path, *(f"r{index}" for index in range(5)))
    whole = path.read_bytes()
    records = whole.split(MARK)
    damage = {"its mark": 0, "its length": 8, "what it holds": 1000}[place]
    at = len(MARK.join(records[:4])) + damage
    damaged = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
    path.write_bytes(damaged)
    with open_journal(path, FINGERPRINT) as journal:
        assert journal.completions["request_id"].to_list() == ["r0", "r1"]
    [aside] = tmp_path.glob("*.aside")
    assert aside.read_bytes() == damaged
    assert "those after it (2) will be drawn again" in caplog.text


def test_a_file_that_is_no_journal_is_kept_aside(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    path.write_bytes(b"notes of somebody\n" * 100)
    assert not finished(path)
    [aside] = tmp_path.glob("*.aside")
    assert aside.read_bytes() == b"notes of somebody\n" * 100


def test_records_of_other_columns_are_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.journal"
    with monkeypatch.context() as patch:
        patch.setattr(journals, "COMPLETIONS", pl.Schema({"request_id": pl.String()}))
        with open_journal(path, FINGERPRINT) as journal:
            journal.record(pl.DataFrame({"request_id": ["a:0"]}))
    assert not finished(path)
    assert len(list(tmp_path.glob("*.aside"))) == 1


def test_a_journal_of_other_columns_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.journal"
    fewer = pl.Schema({n: t for n, t in journals.COMPLETIONS.items() if n != "prompt_tokens"})
    with monkeypatch.context() as earlier:
        earlier.setattr(journals, "COMPLETIONS", fewer)
        with open_journal(path, {}) as journal:
            journal.record(completion_block([completion("a")]).select(fewer.names()))
        assert read_journal(path).height == 1
    assert num_damaged_bytes(path) == 0
    assert read_journal(path).is_empty()
