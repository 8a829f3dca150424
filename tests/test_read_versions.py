"""A table is committed only while what it was made from is the latest; requests for that."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from small_lake import small_lake
from test_commits import Machine

from assets.deployment import ONE_RUN, Deployment, partitions_of
from cli.progress import Progress
from resources.storage import latest_digests
from resources.storage.commits import ConflictError
from resources.storage.home import Home
from resources.storage.io_manager import Frames, ParquetIOManager, Partition
from resources.storage.lake import Lake
from resources.storage.mirror import Mirror
from resources.storage.store import Blob, Entry, FolderStore
from shepherd.rollouts import split_solutions
from shepherd.schemas import SOLUTIONS, STEPS, TABLES
from tests.test_lake import settings

FIRST, SECOND = Partition("words", "00"), Partition("words", "01")


class CountingStore(FolderStore):
    """Counts its requests, and may let something happen before a pointer is swapped."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.requests: Counter[str] = Counter()
        self.before_swap: Callable[[], object] = lambda: None

    def get(self, key: str) -> Blob | None:
        self.requests["get"] += 1
        return super().get(key)

    def list(self, folder: str) -> list[Entry]:
        counted = self.requests + Counter({"list": 1})
        entries = super().list(folder)
        self.requests = counted
        return entries

    def _write_if(self, key: str, data: bytes, tag: str | None) -> bool:
        happens, self.before_swap = self.before_swap, lambda: None
        happens()
        return super()._write_if(key, data, tag)


@pytest.fixture(scope="module")
def solutions() -> pl.DataFrame:
    return small_lake()["solutions"]


@pytest.fixture
def store(tmp_path: Path) -> CountingStore:
    return CountingStore(tmp_path / "store")


@pytest.fixture
def machines(store: CountingStore, tmp_path: Path, solutions: pl.DataFrame) -> list[Machine]:
    """Two machines with one store, which has solutions in two shards."""
    both = [Machine(store, tmp_path / name) for name in "ab"]
    for at in (FIRST, SECOND):
        both[0].lake.write(SOLUTIONS, solutions, *at)
    return both


def steps_of(machine: Machine) -> pl.DataFrame:
    """Read the solutions of the first shard, and return their steps."""
    return split_solutions(machine.lake.read(SOLUTIONS, *FIRST))


def is_made(machine: Machine, at: Partition = FIRST) -> bool:
    return machine.mirror.digest(machine.lake.path(STEPS.name, *at)) is not None


def test_steps_of_older_solutions_are_not_committed(
    machines: Sequence[Machine], solutions: pl.DataFrame
) -> None:
    stalled, other = machines
    steps = steps_of(stalled)
    other.lake.write(SOLUTIONS, solutions.head(2), *FIRST)
    with pytest.raises(
        ConflictError, match=r"steps/words/00\.parquet: another run has replaced lake/solutions/wor"
    ):
        stalled.lake.write(STEPS, steps, *FIRST)
    assert not is_made(other)
    stalled.lake.write(STEPS, steps_of(stalled), *FIRST)
    assert other.lake.read(STEPS)["solution_id"].n_unique() == 2


def test_newer_steps_stay(machines: Sequence[Machine], solutions: pl.DataFrame) -> None:
    stalled, other = machines
    steps = steps_of(stalled)
    other.lake.write(SOLUTIONS, solutions.head(2), *FIRST)
    other.lake.write(STEPS, steps_of(other), *FIRST)
    with pytest.raises(ConflictError):
        stalled.lake.write(STEPS, steps, *FIRST)
    assert other.lake.read(STEPS)["solution_id"].n_unique() == 2


def test_solutions_that_are_replaced_just_before_the_swap_are_noticed(
    machines: Sequence[Machine], solutions: pl.DataFrame, store: CountingStore
) -> None:
    stalled, other = machines
    steps = steps_of(stalled)
    store.before_swap = lambda: other.lake.write(SOLUTIONS, solutions.head(2), *FIRST)
    with pytest.raises(ConflictError, match="has replaced"):
        stalled.lake.write(STEPS, steps, *FIRST)


def test_equal_content_and_other_shards_may_be_written_meanwhile(
    machines: Sequence[Machine], solutions: pl.DataFrame
) -> None:
    stalled, other = machines
    steps = steps_of(stalled)
    other.lake.write(SOLUTIONS, solutions, *FIRST)
    other.lake.write(SOLUTIONS, solutions.head(2), *SECOND)
    stalled.lake.write(STEPS, steps, *FIRST)
    assert is_made(other)


def test_what_is_made_of_many_shards_is_checked_by_two_listings(
    store: CountingStore, tmp_path: Path
) -> None:
    machine = Machine(store, tmp_path / "machine")
    for number in range(20):
        machine.lake.write(SOLUTIONS, SOLUTIONS.empty(), "words", f"{number:02}")
    steps = split_solutions(machine.lake.read(SOLUTIONS))
    store.requests.clear()
    machine.lake.write(STEPS, steps, *FIRST)
    assert store.requests["list"] == 2
    assert store.requests["get"] < 5


PARTITIONS = partitions_of(settings(shards=2))


def io_manager_of(lake: Lake) -> ParquetIOManager:
    return ParquetIOManager(
        lake, TABLES, lambda *_: {}, lambda *_: {}, lambda *_: {}, lambda *_: None
    )


def range_tags(first: str, last: str) -> dict[str, str]:
    """Return the tags of a run over a range of partitions."""
    ends = {"start": first, "end": last}
    return {f"dagster/asset_partition_range_{end}": key for end, key in ends.items()}


def materialize(
    machine: Machine, assets: Sequence[dg.AssetsDefinition], instance: dg.DagsterInstance
) -> dg.ExecuteInProcessResult:
    """Make assets in both shards."""
    return dg.materialize(
        [*assets, dg.AssetSpec("solutions", partitions_def=PARTITIONS)],
        selection=list(assets),
        instance=instance,
        resources={"io_manager": io_manager_of(machine.lake)},
        tags=range_tags(FIRST.key, SECOND.key),
        raise_on_error=False,
    )


def steps_asset(meanwhile: Callable[[Partition], object]) -> dg.AssetsDefinition:
    """Return an asset of steps, while whose making something happens."""

    @dg.asset(name="steps", partitions_def=PARTITIONS, backfill_policy=ONE_RUN)
    def steps(solutions: Frames) -> Frames:
        def split(at: Partition) -> pl.DataFrame:
            rows = split_solutions(solutions[at])
            meanwhile(at)
            return rows

        return Frames(solutions.partitions, split)

    return steps


def test_a_step_of_dagster_commits_each_shard_while_its_own_inputs_are_the_latest(
    machines: Sequence[Machine], solutions: pl.DataFrame, store: CountingStore
) -> None:
    stalled, other = machines

    def replace_first(at: Partition) -> None:
        if at == SECOND:
            other.lake.write(SOLUTIONS, solutions.head(2), *FIRST)

    with dg.DagsterInstance.ephemeral() as instance:
        # The steps of the first shard are committed by then.
        assert materialize(stalled, [steps_asset(replace_first)], instance).success

        def replace_second(at: Partition) -> None:
            if at == SECOND:
                other.lake.write(SOLUTIONS, solutions.head(3), *SECOND)

        failed = materialize(stalled, [steps_asset(replace_second)], instance)
        assert not failed.success
        [failure] = failed.filter_events(lambda event: event.is_step_failure)
        error = failure.step_failure_data.error
        assert error is not None
        assert error.cause is not None
        assert error.cause.cls_name == "ConflictError"
        # What a step has read does not matter to the next one.
        assert materialize(stalled, [steps_asset(lambda _: None)], instance).success


def definitions_on(mirror: Mirror, num_shards: int) -> dg.Definitions:
    """Return three tables of a home in a store."""
    of_shards = settings(shards=num_shards)
    lake = Lake(mirror.root / "lake", mirror)

    def table(name: str) -> dg.AssetsDefinition:
        @dg.asset(name=name, partitions_def=partitions_of(of_shards), backfill_policy=ONE_RUN)
        def make(context: dg.AssetExecutionContext) -> Frames:
            shards = tuple(Partition.of(key) for key in sorted(context.partition_keys))
            return Frames(shards, lambda _: TABLES[name].empty())

        return make

    return dg.Definitions(
        assets=[table(name) for name in ("problems", "solutions", "steps")],
        resources={
            "deployment": Deployment(of_shards, Home(mirror.root, mirror, "store")),
            "io_manager": io_manager_of(lake),
        },
    )


def test_a_run_with_nothing_to_do_lists_pointers_and_reads_those_that_are_new(
    store: CountingStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latest_digests, "MOST_SINGLE_REQUESTS", 10)
    mirror = Mirror(store, tmp_path / "mirror")
    definitions = definitions_on(mirror, num_shards=20)
    keys = definitions.resolve_asset_graph().toposorted_asset_keys
    partitions = sorted(partitions_of(settings(shards=20)).get_partition_keys())

    def requests(progress: Progress) -> dict[str, int]:
        """Count what is asked to announce, to find cheap ranges, and to make."""
        store.requests.clear()
        progress.refresh()
        for _ in range(3):
            assert not any(progress.pending(keys, each) for each in partitions)
        return dict(store.requests)

    with dg.DagsterInstance.ephemeral() as instance:
        job = definitions.resolve_implicit_global_asset_job_def()
        assert job.execute_in_process(
            instance=instance, tags=range_tags(partitions[0], partitions[-1])
        ).success
        progress = Progress(instance, definitions)
        assert requests(progress) == {"list": 1, "get": 10 + 60}
        assert requests(progress) == {"list": 1, "get": 10}
        # Another process on this machine.
        later = definitions_on(Mirror(store, mirror.root), num_shards=20)
        assert requests(Progress(instance, later)) == {"list": 1, "get": 10}
