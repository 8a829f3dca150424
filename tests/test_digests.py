"""A damaged, replaced or stray Parquet file is found, and the file is named."""

import json
import random
from pathlib import Path

import polars as pl
import pytest

from resources.storage import digests, settling
from resources.storage.digests import FIELD, check_digest, digest_in_footer
from resources.storage.lake import Lake
from shepherd.schemas import EVALUATIONS, PROBLEMS
from shepherd.settings import Settings
from tests.test_lake import problems, settings


def lake_with_rows(root: Path, shards: int = 2) -> Lake:
    lake = Lake(root)
    lake.check_shards(settings(shards))
    for shard in range(shards):
        rows = problems(*(f"what is {shard} + {index}?" for index in range(20)))
        lake.write(PROBLEMS, rows, "words", f"{shard:02d}", metadata={"fingerprints": "{}"})
    return lake


def flipped(data: bytes, bit: int) -> bytes:
    damaged = bytearray(data)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def test_every_flipped_bit_of_the_digest_and_some_of_the_rest_are_found(tmp_path: Path) -> None:
    path = lake_with_rows(tmp_path).path("problems", "words", "00")
    good = path.read_bytes()
    assert check_digest(path)
    start = good.rfind(FIELD.encode())
    field = range(8 * start, 8 * (start + 64))
    for bit in (*field, *random.Random(0).sample(range(8 * len(good)), 200)):
        with path.open("r+b") as file:
            for data in (flipped(good, bit), good):
                file.seek(bit // 8)
                file.write(data[bit // 8 : bit // 8 + 1])
                file.flush()
                if data != good:
                    with pytest.raises(ValueError, match="is damaged"):
                        check_digest(path)
    assert check_digest(path)


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data + b"\0"])
def test_other_damage_is_one_line_that_names_file_and_asset(tmp_path: Path, damage: object) -> None:
    assert callable(damage)
    lake = lake_with_rows(tmp_path)
    path = lake.path("problems", "words", "01")
    path.write_bytes(damage(path.read_bytes()))
    for read in (
        lambda: lake.read(PROBLEMS),
        lambda: lake.read(PROBLEMS, "words", "01"),
        lambda: lake.scan(PROBLEMS, [("words", "01")]),
    ):
        with pytest.raises(
            ValueError, match=r"01\.parquet: is damaged: .*asset problems again"
        ) as e:
            read()
        assert "\n" not in str(e.value)


def test_missing_rows_are_found_where_no_earlier_version_wrote(tmp_path: Path) -> None:
    lake = lake_with_rows(tmp_path)
    path = lake.path("problems", "words", "00")
    pl.read_parquet(path).head(-3).write_parquet(path)
    with pytest.raises(ValueError, match=r"00\.parquet: has no digest.*asset problems again"):
        lake.read(PROBLEMS, "words")
    whole = lake.write(EVALUATIONS, EVALUATIONS.empty())
    EVALUATIONS.empty().write_parquet(whole)
    with pytest.raises(ValueError, match=r"all\.parquet: has no digest"):
        lake.read(EVALUATIONS)


def test_files_of_an_earlier_version_are_read(tmp_path: Path) -> None:
    lake = lake_with_rows(tmp_path)
    for path in lake.files(PROBLEMS):
        pl.read_parquet(path).write_parquet(path)
    (tmp_path / "shards.json").write_text('{"words": 2}')
    lake.check_shards(settings(2))
    assert lake.read(PROBLEMS).height == 40
    assert not check_digest(path)
    for shard in ("00", "01"):
        lake.write(PROBLEMS, lake.read(PROBLEMS, "words", shard), "words", shard)
    lake.check_shards(settings(2))
    assert json.loads((tmp_path / "shards.json").read_text()) == {
        "words": {"shards": 2, "digests": True}
    }


def test_strays_are_named_and_not_read(tmp_path: Path) -> None:
    lake = lake_with_rows(tmp_path)
    lake.write(EVALUATIONS, EVALUATIONS.empty())
    data = lake.path("problems", "words", "00").read_bytes()
    strays = [
        "problems/other/00.parquet",
        "problems/stray.parquet",
        "problems/words/00 (copy).parquet",
        "problems/words/02.parquet",
        "problems/words/deeper/00.parquet",
        "problems/words/notes.txt",
        "stray.parquet",
    ]
    for name in (*strays, "problems/words/.00.parquet.1.tmp/new", "old_table/words/x.parquet"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    assert lake.strays() == [tmp_path / name for name in sorted(strays)]
    assert lake.partitions(PROBLEMS) == [("words", "00"), ("words", "01")]
    assert lake.read(PROBLEMS).height == 40


def test_a_file_is_checked_once_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "NANOSECONDS_TO_SETTLE", -1_000_000_000)
    lake = lake_with_rows(tmp_path)
    path = lake.path("problems", "words", "00")
    checked: list[Path] = []
    check = digests._start_of_digest
    monkeypatch.setattr(
        digests, "_start_of_digest", lambda tail: checked.append(path) or check(tail)
    )
    for _ in range(3):
        lake.read(PROBLEMS, "words", "00")
    assert checked == [path]
    path.write_bytes(flipped(path.read_bytes(), 100))
    with pytest.raises(ValueError, match="is damaged"):
        lake.read(PROBLEMS, "words", "00")


def test_the_digest_is_read_from_the_footer(tmp_path: Path) -> None:
    lake = lake_with_rows(tmp_path)
    first, second = (digest_in_footer(path) for path in lake.files(PROBLEMS))
    assert first is not None
    assert len(first) == 32
    assert first != second
    assert lake.metadata(PROBLEMS, "words", "00")["fingerprints"] == "{}"
    lake.write(PROBLEMS, lake.read(PROBLEMS, "words", "00"), "words", "00", {"fingerprints": "{}"})
    assert digest_in_footer(lake.path("problems", "words", "00")) == first


@pytest.mark.parametrize("content", ["", "{", "[]", '{"words": "two"}', '{"words": 0}', "\0"])
def test_a_damaged_shards_json_is_one_line(tmp_path: Path, content: str) -> None:
    lake = lake_with_rows(tmp_path)
    (tmp_path / "shards.json").write_text(content)
    with pytest.raises(ValueError, match=r"shards\.json: is damaged .*: move it aside") as error:
        lake.check_shards(Settings.model_validate(settings(2)))
    assert "\n" not in str(error.value)
