import os
from pathlib import Path

import polars as pl
import pytest

from resources.storage.lake import Lake
from resources.storage.lake_shards import LakeShards
from resources.storage.shards import DatasetShards, Shards, read_shards
from shepherd.identity import shard_keys, shard_of
from shepherd.schemas import EVALUATIONS, PROBLEMS, ROLLOUT_COSTS, STEPS
from shepherd.settings import Settings


def problems(*questions: str) -> pl.DataFrame:
    rows = [
        {
            "problem_id": question,
            "dataset": "words",
            "split": "train",
            "question": question,
            "gold_solution": None,
            "gold_answer": "1",
            "level": None,
            "subject": None,
        }
        for question in questions
    ]
    return pl.DataFrame(rows, schema=PROBLEMS.schema)


def settings(shards: int) -> Settings:
    return Settings.model_validate(
        {
            "shards": shards,
            "datasets": {"words": {"source": "word_problems"}},
            "generators": {"weak": {"base": "base-small"}},
            "completer": {"base": "base-large"},
        }
    )


def test_what_is_written_is_read(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    assert lake.partitions(PROBLEMS) == []
    path = lake.write(PROBLEMS, problems("b"), "words", "01")
    lake.write(PROBLEMS, problems("a", "A"), "words", "00")
    lake.write(PROBLEMS, problems("c"), "others", "00")
    assert path == tmp_path / "problems" / "words" / "01.parquet"
    assert lake.partitions(PROBLEMS) == [("others", "00"), ("words", "00"), ("words", "01")]
    assert lake.read(PROBLEMS, "words", "01").equals(problems("b"))
    assert lake.read(PROBLEMS, "words")["question"].to_list() == ["a", "A", "b"]
    assert lake.read(PROBLEMS)["question"].to_list() == ["c", "a", "A", "b"]


def test_tables_and_datasets_without_shards(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    assert lake.write(EVALUATIONS, EVALUATIONS.empty()) == tmp_path / "evaluations" / "all.parquet"
    lake.write(STEPS, STEPS.empty(), "words")
    assert lake.path("steps", "words") == tmp_path / "steps" / "words" / "all.parquet"
    assert lake.read(EVALUATIONS).schema == EVALUATIONS.schema
    assert lake.read(STEPS, "words").is_empty()
    assert lake.read(STEPS).is_empty()
    assert lake.partitions(EVALUATIONS) == lake.partitions(STEPS) == []


def test_equal_frames_give_equal_bytes(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    questions = [f"question {index}" for index in range(5_000)]
    whole = problems(*questions)
    pieces = pl.concat([problems(*questions[start::1][:10]) for start in range(0, 5_000, 10)])
    first = lake.write(PROBLEMS, whole, "words", "00").read_bytes()
    assert lake.write(PROBLEMS, pieces, "words", "00").read_bytes() == first
    assert lake.write(PROBLEMS, lake.read(PROBLEMS), "words", "00").read_bytes() == first


def test_a_failed_write_leaves_the_lake_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake(tmp_path)
    path = lake.write(PROBLEMS, problems("a"), "words", "00")
    before = path.read_bytes()

    with pytest.raises(ValueError, match="problems: missing columns"):
        lake.write(PROBLEMS, problems("b").drop("split"), "words", "00")

    def full_disk(descriptor: int) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space"):
        lake.write(PROBLEMS, problems("b"), "words", "00")
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["00.parquet"]


@pytest.mark.parametrize("name", ["", "..", "a/b", "/etc", "a\n", ".hidden", "a\\b"])
def test_names_never_become_other_paths(tmp_path: Path, name: str) -> None:
    lake = Lake(tmp_path / "lake")
    with pytest.raises(ValueError, match="must match"):
        lake.write(PROBLEMS, problems("a"), name, "00")
    if name:
        with pytest.raises(ValueError, match="must match"):
            lake.read(PROBLEMS, "words", name)
    assert list(tmp_path.iterdir()) == []


def test_a_shard_needs_a_dataset(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs a dataset"):
        Lake(tmp_path).path("steps", None, "00")


def test_what_is_missing_names_the_asset(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    with pytest.raises(ValueError, match=r"steps, dataset words, shard 03.*the asset steps"):
        lake.read(STEPS, "words", "03")
    with pytest.raises(ValueError, match=r"rollout_costs: .*the asset rollout_costs"):
        lake.read(ROLLOUT_COSTS)
    lake.write(PROBLEMS, problems("a"), "words", "00")
    with pytest.raises(ValueError, match="dataset others"):
        lake.read(PROBLEMS, "others")


def test_a_file_of_another_schema_is_refused_by_name(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    path = lake.write(PROBLEMS, problems("a"), "words", "00")
    problems("a").drop("level").write_parquet(path)
    with pytest.raises(ValueError, match=r"00\.parquet.*missing columns \['level'\].*again"):
        lake.read(PROBLEMS)
    path.write_bytes(b"not parquet")
    with pytest.raises(ValueError, match=r"00\.parquet.*asset problems again"):
        lake.read(PROBLEMS, "words", "00")


def test_a_key_may_not_repeat_across_shards(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.write(PROBLEMS, problems("a"), "words", "00")
    lake.write(PROBLEMS, problems("a"), "words", "01")
    with pytest.raises(ValueError, match="1 rows repeat the key"):
        lake.read(PROBLEMS, "words")


def test_a_populated_dataset_is_never_resharded(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.check_shards(settings(shards=8))
    lake.check_shards(settings(shards=4))
    lake.write(PROBLEMS, problems("a"), "words", "00")
    lake.check_shards(settings(shards=4))
    with pytest.raises(ValueError, match=r"shards is 8, but .* words in 4 shards"):
        lake.check_shards(settings(shards=8))
    lake.check_shards(settings(shards=4))


def of_dataset(name: str, shards: int = 4) -> Settings:
    """Settings of another profile, with one dataset of this name."""
    [dataset] = settings(shards).datasets.values()
    return settings(shards).model_copy(update={"datasets": {name: dataset}})


@pytest.mark.parametrize("shards", [4, 3])
def test_a_lost_shards_json_is_written_again_for_all_datasets(tmp_path: Path, shards: int) -> None:
    lake = Lake(tmp_path)
    lake.check_shards(settings(shards=4))
    for key in shard_keys(4):
        names = [str(name) for name in range(40) if shard_of(str(name), 4) == key]
        lake.write(PROBLEMS, problems(*names), "words", key)
    (tmp_path / "shards.json").unlink()
    lake.check_shards(of_dataset("other", shards))
    assert lake.strays() == []
    assert lake.read(PROBLEMS).height == 40
    assert read_shards(tmp_path / "shards.json") == {
        "other": DatasetShards(shards=shards, digests=True),
        "words": DatasetShards(shards=4, digests=True),
    }
    (tmp_path / "shards.json").unlink()
    with pytest.raises(ValueError, match=r"shards is 8, but .* words in 4 shards"):
        lake.check_shards(settings(shards=8))


def test_two_profiles_that_start_at_once_are_both_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked, lake = LakeShards._checked, Lake(tmp_path)

    def interrupted(self: LakeShards, recorded: Shards, settings: Settings) -> Shards:
        monkeypatch.undo()
        current = checked(self, recorded, settings)
        lake.check_shards(of_dataset("other"))
        return current

    monkeypatch.setattr(LakeShards, "_checked", interrupted)
    lake.check_shards(settings(shards=4))
    assert set(read_shards(tmp_path / "shards.json")) == {"other", "words"}


def test_old_files_outside_the_datasets_are_read(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    EVALUATIONS.empty().write_parquet(lake.write(EVALUATIONS, EVALUATIONS.empty()))
    lake.check_shards(settings(shards=4))
    assert lake.read(EVALUATIONS).is_empty()
    assert not read_shards(tmp_path / "shards.json")["words"].digests
    lake.write(EVALUATIONS, EVALUATIONS.empty())
    (tmp_path / "old_table" / "words").mkdir(parents=True)
    EVALUATIONS.empty().write_parquet(tmp_path / "old_table" / "words" / "00.parquet")
    lake.check_shards(settings(shards=4))
    assert read_shards(tmp_path / "shards.json")["words"].digests
