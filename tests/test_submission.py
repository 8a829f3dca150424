"""What ``shepherd run --submit`` sends, and what ``shepherd status`` shows."""

from pathlib import Path

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus

from assets.definitions import definitions_of
from assets.deployment import ONE_RUN, ONE_RUN_PER_SHARD, Deployment, partitions_of
from assets.run_processes import PROCESS_TAG
from cli.progress import MakeAgain, Progress
from cli.runs_database import prepare_instance
from cli.status_tables import shards, workers
from cli.submission import (
    TAG,
    backfill_of,
    followers,
    pending_assets,
    print_missing_daemons,
    refuse_second_backfill,
)
from resources.processes import ProcessIdentity
from resources.storage.home import Home
from shepherd.settings import RunSettings
from tests.profiles import TINY
from tests.test_lake import settings

TWO_SHARDS = settings(shards=2)


def toy(version: str, home: Home) -> dg.Definitions:
    """Return a cheap asset, an asset that holds a model and reads it, and one that reads both."""

    @dg.asset(partitions_def=partitions_of(TWO_SHARDS), code_version=version)
    def cheap() -> None: ...

    @dg.asset(partitions_def=partitions_of(TWO_SHARDS), deps=[cheap], pool="gpu")
    def drawn() -> None: ...

    @dg.asset(deps=[drawn, cheap])
    def whole() -> None: ...

    return dg.Definitions(
        [cheap, drawn, whole], resources={"deployment": Deployment(TWO_SHARDS, home)}
    )


def keys_of(definitions: dg.Definitions) -> set[dg.AssetKey]:
    return set(definitions.resolve_asset_graph().get_all_asset_keys())


def test_a_fresh_home_sends_all_assets_in_all_shards(tmp_path: Path) -> None:
    definitions = definitions_of(TINY, Home(tmp_path))
    keys, partitions = keys_of(definitions), partitions_of(TINY)
    with dg.DagsterInstance.ephemeral() as instance:
        progress = Progress(instance, definitions)
        pending = pending_assets(definitions, progress, keys, partitions)
        assert pending.keys() == keys
        graph = definitions.resolve_asset_graph()
        for key, chosen in pending.items():
            is_partitioned = graph.get(key).partitions_def is not None
            assert len(chosen) == is_partitioned * len(partitions.get_partition_keys())
        assert followers(definitions, pending, keys) == []
        refuse_second_backfill(instance)
        instance.add_backfill(backfill_of(instance, definitions, pending, "tiny"))
        [stored] = instance.get_backfills()
        assert (stored.status, stored.tags) == (BulkActionStatus.REQUESTED, {TAG: "tiny"})
        assert stored.asset_backfill_data is not None
        target = stored.asset_backfill_data.target_subset
        assert target.asset_keys == keys
        assert target.num_partitions_and_non_partitioned_assets == sum(
            max(1, len(chosen)) for chosen in pending.values()
        )
        with pytest.raises(ValueError, match=f"^backfill {stored.backfill_id} of profile tiny"):
            refuse_second_backfill(instance)


def test_what_depends_on_new_content_is_decided_afterwards(tmp_path: Path) -> None:
    home, partitions = Home(tmp_path), partitions_of(TWO_SHARDS)
    first = toy("1", home)
    with dg.DagsterInstance.ephemeral() as instance:
        for partition in partitions.get_partition_keys():
            job = first.resolve_implicit_global_asset_job_def()
            chosen = [dg.AssetKey("cheap"), dg.AssetKey("drawn")]
            job.execute_in_process(
                instance=instance, partition_key=partition, asset_selection=chosen
            )
        second = toy("2", home)
        keys = keys_of(second) - {dg.AssetKey("whole")}
        progress = Progress(instance, second)
        pending = pending_assets(second, progress, keys, partitions)
        assert pending == {dg.AssetKey("cheap"): sorted(partitions.get_partition_keys())}
        assert followers(second, pending, keys) == ["drawn"]
        # Named assets are sent in the named shard alone, up to date or not.
        named = MakeAgain(instance, first, ["words|01"])
        assert pending_assets(first, named, {dg.AssetKey("drawn")}, partitions) == {
            dg.AssetKey("drawn"): ["words|01"]
        }


def test_a_profile_limits_its_pools(tmp_path: Path) -> None:
    runs = RunSettings(sampling_pool="clients", training_pool="train", pool_limits={"clients": 16})

    def limits(instance: dg.DagsterInstance) -> dict[str, int]:
        pools = instance.event_log_storage.get_pool_limits()
        return {pool.name: pool.limit for pool in pools}

    overrides = {"concurrency": {"pools": {"default_limit": 1, "granularity": "run"}}}
    with dg.instance_for_test(overrides, temp_dir=str(tmp_path)) as instance:
        prepare_instance(instance, runs)
        assert limits(instance) == {"clients": 16, "train": 1, "gpu": 1}
        instance.event_log_storage.set_concurrency_slots("train", 3)
        more = runs.model_copy(update={"pool_limits": {"clients": 8}})
        prepare_instance(instance, more)
        assert limits(instance) == {"clients": 8, "train": 3, "gpu": 1}


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"pool_limits": {"cpu": 4}}, "pool_limits.cpu: no run is in that pool: name one of gpu"),
        ({"pool_limits": {"gpu": 0}}, "pool_limits.gpu: 0: write 1 or more"),
        ({"sampling_pool": "a b"}, "sampling_pool"),
    ],
)
def test_impossible_pools_are_refused(fields: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        RunSettings.model_validate(fields)


def test_a_shard_is_one_run_where_the_profile_says_so(tmp_path: Path) -> None:
    served = TINY.model_copy(update={"runs": RunSettings(whole_shards=True)})
    for profile, cheap in ((TINY, ONE_RUN), (served, ONE_RUN_PER_SHARD)):
        graph = definitions_of(profile, Home(tmp_path)).resolve_asset_graph()
        policies = {name: graph.get(dg.AssetKey(name)).backfill_policy for name in CHAIN}
        assert {policies[name] for name in ("solutions", "rollouts")} == {ONE_RUN_PER_SHARD}
        assert {policies[name] for name in CHAIN if policies[name] != ONE_RUN_PER_SHARD} <= {cheap}
        # These read all files of a dataset, or all of its shards.
        for name in ("problems", "labeled_solutions"):
            assert graph.get(dg.AssetKey(name)).backfill_policy == ONE_RUN


CHAIN = ("solutions", "steps", "rollouts", "monte_carlo_labels", "step_labels", "oracle_labels")


def test_status_counts_shards_and_names_workers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    definitions = toy("1", Home(tmp_path))
    worker = ProcessIdentity(7, "node-3", "other", "other", "pid:[1]", 1)
    with dg.DagsterInstance.ephemeral() as instance:
        job = definitions.resolve_implicit_global_asset_job_def()
        job.execute_in_process(
            instance=instance, partition_key="words|01", asset_selection=[dg.AssetKey("cheap")]
        )
        table = shards(instance, definitions, TWO_SHARDS)
        assert table.rows() == [("words", "cheap", 2, 1, 0, 0), ("words", "drawn", 2, 0, 0, 0)]
        assert workers(instance).height == 0
        tags = {PROCESS_TAG: worker.to_json(), "dagster/partition": "words|00"}
        instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags=tags)
        [row] = workers(instance).to_dicts()
        assert (row["state"], row["shard"], row["host"], row["process"], row["retry"]) == (
            *("started", "words|00", "node-3"),
            *(7, 0),
        )
        assert row["minutes"] >= 0
        print_missing_daemons(instance)
        assert "no daemon of Dagster has reported" in capsys.readouterr().err
