"""The order in which the assets of one stage are made, and which are made again."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from assets.deployment import ONE_RUN, Deployment, partitions_of
from cli.progress import Progress
from cli.stages import run_stages
from resources.storage.home import Home
from resources.storage.io_manager import CONTENT_KEY
from tests.test_lake import settings


def test_partitioned_assets_wait_for_what_is_made_of_all_partitions(tmp_path: Path) -> None:
    two_shards, made = settings(shards=2), list[str]()

    def asset(name: str, *deps: str, is_partitioned: bool) -> dg.AssetsDefinition:
        @dg.asset(
            name=name,
            group_name="annotation",
            deps=deps,
            partitions_def=partitions_of(two_shards) if is_partitioned else None,
            backfill_policy=ONE_RUN if is_partitioned else None,
        )
        def make() -> None:
            made.append(name)

        return make

    definitions = dg.Definitions(
        assets=[
            asset("first", is_partitioned=True),
            asset("whole", "first", is_partitioned=False),
            asset("last", "whole", "first", is_partitioned=True),
            asset("end", "last", is_partitioned=False),
        ],
        resources={"deployment": Deployment(two_shards, Home(tmp_path))},
        executor=dg.in_process_executor,
    )
    keys = set(definitions.resolve_asset_graph().get_all_asset_keys())
    with dg.DagsterInstance.ephemeral() as instance:
        progress = Progress(instance, definitions)
        assert run_stages(definitions, instance, progress, keys) == []
        assert made == ["first", "whole", "last", "end"]
        assert run_stages(definitions, instance, progress, keys) == []
    assert made == ["first", "whole", "last", "end"], "what is up to date is not made again"


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """Dagster's databases in files: those of a run number its events anew."""
    overrides = {"telemetry": {"enabled": False}}
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides=overrides) as instance:
        yield instance


@pytest.mark.parametrize("is_partitioned", [True, False])
def test_what_another_run_records_while_a_step_works_is_newer_than_what_the_step_has_read(
    tmp_path: Path, instance: dg.DagsterInstance, is_partitioned: bool
) -> None:
    two_shards = settings(shards=2)
    shards = partitions_of(two_shards)
    keys = shards.get_partition_keys()
    partition = keys[0] if is_partitioned else None
    content = "first"

    def record(content: str, partition: str) -> None:
        made = dg.AssetMaterialization("read", partition=partition, metadata={CONTENT_KEY: content})
        instance.report_runless_asset_event(made)

    @dg.asset(deps=["read"], partitions_def=shards if is_partitioned else None)
    def made() -> None:
        record(content, keys[0])

    definitions = dg.Definitions(
        assets=[dg.AssetSpec("read", partitions_def=shards), made],
        resources={"deployment": Deployment(two_shards, Home(tmp_path))},
    )

    def reasons() -> list[str]:
        assert dg.materialize([made], instance=instance, partition_key=partition).success
        pending = Progress(instance, definitions).pending([made.key], partition)
        return [each.reason for each in pending]

    for key in keys:
        record(content, key)
    assert reasons() == []
    content = "second"
    assert reasons() == ["reads read, which has changed"]
    assert reasons() == []
