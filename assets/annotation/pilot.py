"""Draw the pilot's rollouts, and learn from them the rates of ``adaptive``."""

from collections.abc import Mapping

import dagster as dg
import polars as pl

from assets.annotation.steps import steps_to_label
from assets.deployment import ALL_PARTITIONS, ONE_RUN_PER_SHARD, DeploymentResource
from assets.sampling_runs import draws_and_costs, open_samplers, shard_of_run
from assets.tables import table_asset
from resources.storage.io_manager import Frames, Partition
from shepherd.annotators.learned_rates import learn_rates
from shepherd.annotators.monte_carlo import MonteCarlo
from shepherd.annotators.pilot import Pilot, pilot_problems
from shepherd.annotators.problem import read_pool, read_problems
from shepherd.annotators.rates import Rates
from shepherd.schemas import PILOT_COSTS, PILOT_RATES, PILOT_ROLLOUTS
from shepherd.settings import PilotSettings, Settings


def pilot_of(settings: Settings, pilot: PilotSettings) -> list[dg.AssetsDefinition]:
    """Return the assets of the pilot's rollouts and of the rates that are learned from them."""
    return [pilot_rollouts_of(settings, pilot), pilot_rates_of(settings)]


def pilot_rollouts_of(settings: Settings, pilot: PilotSettings) -> dg.AssetsDefinition:
    """Return the asset of the pilot's rollouts and their costs."""

    @table_asset(
        settings,
        PILOT_ROLLOUTS,
        siblings=[PILOT_COSTS],
        group="annotation",
        kinds={"torch"},
        backfill_policy=ONE_RUN_PER_SHARD,
        pool=settings.runs.sampling_pool,
        draws=True,
        deps=["completer"],
    )
    def pilot_rollouts(
        context: dg.AssetExecutionContext,
        problems: pl.DataFrame,
        solutions: pl.DataFrame,
        steps: pl.DataFrame,
        deployment: DeploymentResource,
    ) -> Mapping[str, pl.DataFrame]:
        """N rollouts of every prefix of the pilot's problems, whatever annotators ask for.

        `rollouts` takes them over instead of drawing them again, and counts their costs.
        """
        from resources.sampling.rollouts import WrittenSolutions, draw_rollouts, rollout_stage

        [completer] = open_samplers(deployment, ["completer"])
        shard, partition = shard_of_run(context, deployment), Partition.of(context.partition_key)
        labelled = steps_to_label(steps, settings.datasets[partition.dataset])
        chosen = pilot_in(settings, pilot, problems, partition).problem_ids
        draws = draw_rollouts(
            rollout_stage(completer, settings.sampling, shard, PILOT_ROLLOUTS),
            WrittenSolutions(
                problems, solutions, labelled.filter(pl.col("problem_id").is_in(list(chosen)))
            ),
            [MonteCarlo(pilot.num_rollouts)],
            deployment.lake,
        )
        return draws_and_costs(context, PILOT_ROLLOUTS, PILOT_COSTS, [draws])

    return pilot_rollouts


def pilot_in(
    settings: Settings, pilot: PilotSettings, problems: pl.DataFrame, partition: Partition
) -> Pilot:
    """Return the pilot of a partition, given its problems."""
    ids = pilot_problems(problems, pilot.num_problems, partition.shard, settings.shards)
    return Pilot(pilot.num_rollouts, ids)


def pilot_rates_of(settings: Settings) -> dg.AssetsDefinition:
    """Return the asset of the rates that are learned from the pilot, one row a dataset."""
    tables = ("problems", "solutions", "steps", PILOT_ROLLOUTS.name)

    @table_asset(
        settings,
        PILOT_RATES,
        group="annotation",
        kinds={"polars"},
        is_partitioned=False,
        ins={
            table: dg.AssetIn(partition_mapping=ALL_PARTITIONS, dagster_type=Frames)
            for table in tables
        },
    )
    def pilot_rates(**frames: Frames) -> pl.DataFrame:
        """Success rates of the completer under which the pilot's rollouts are most probable.

        The annotator `adaptive` takes them over. docs/annotators.md explains the model.
        """
        names = [name for name, dataset in settings.datasets.items() if dataset.is_annotated]
        return pl.concat(rates_of_dataset(settings, name, frames) for name in names)

    return pilot_rates


def rates_of_dataset(
    settings: Settings, dataset: str, frames: Mapping[str, Frames]
) -> pl.DataFrame:
    """Return the row of one dataset, learned from the pilot in all of its shards."""
    pool, problems = {}, []
    for at in (at for at in frames[PILOT_ROLLOUTS.name] if at.dataset == dataset):
        rollouts, steps = frames[PILOT_ROLLOUTS.name][at], frames["steps"][at]
        rolled = steps.join(rollouts, on="problem_id", how="semi", maintain_order="left")
        problems += read_problems(rolled, frames["solutions"][at], frames["problems"][at])
        pool.update(read_pool(rollouts))
    row = {
        "dataset": dataset,
        "num_pilot_problems": len(problems),
        "num_pilot_rollouts": sum(map(len, pool.values())),
        **vars(learn_rates(problems, pool, settings.annotation.rates)),
    }
    return pl.DataFrame([row], schema=PILOT_RATES.schema)


def learned(rates: pl.DataFrame, dataset: str) -> Rates:
    """Return the rates of a dataset, given PILOT_RATES.

    Raises:
        ValueError: the dataset is missing: materialize the asset pilot_rates again.
    """
    rows = rates.filter(dataset=dataset).to_dicts()
    if not rows:
        raise ValueError(
            f"pilot_rates: {dataset} is missing: materialize the asset pilot_rates again"
        )
    [row] = rows
    return Rates(
        success_rates=tuple(row["success_rates"]),
        false_success_rate=row["false_success_rate"],
        mending_rate=row["mending_rate"],
        weights=tuple(row["weights"]),
        of_each_step=row["of_each_step"],
        right_concentration=row["right_concentration"],
        wrong_concentration=row["wrong_concentration"],
    )
