"""The order in which the assets of one stage are made."""

from pathlib import Path

import dagster as dg

from assets.deployment import ONE_RUN, Deployment, partitions_of
from cli.progress import Progress
from cli.stages import run_stages
from resources.storage.home import Home
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
