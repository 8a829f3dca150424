import dagster as dg
import polars as pl

from assets.annotation.steps import steps_to_label
from assets.deployment import ONE_RUN_PER_SHARD, SETTINGS, DeploymentResource, version_of
from assets.describe import table_asset
from assets.models.fine_tuning import GPU_POOL
from assets.sampling_runs import add_numbers, keep, open_samplers, shard_of_run, total
from resources.storage.io_manager import Partition
from shepherd.annotators.asked import asked_rollouts
from shepherd.annotators.problem import read_problems
from shepherd.schemas import ASKED_ROLLOUTS, ROLLOUT_COSTS, ROLLOUTS, SEARCH_TREES


@table_asset(
    ROLLOUTS,
    group="annotation",
    kinds={"torch"},
    backfill_policy=ONE_RUN_PER_SHARD,
    pool=GPU_POOL,
    deps=["completer"],
    code_version=version_of(
        SETTINGS.completer,
        # What annotators ask for is all that draws depend on, but for the steps that are read.
        *map(str, SETTINGS.annotation.annotators_that_roll_out()),
        SETTINGS.annotation.max_rollouts,
        SETTINGS.sampling.rollout_temperature,
        SETTINGS.sampling.max_tokens,
        *(SETTINGS.annotation.consensus or ()),
        *(dataset.splitting.calculations for dataset in SETTINGS.datasets.values()),
    ),
)
def rollouts(
    context: dg.AssetExecutionContext,
    problems: pl.DataFrame,
    solutions: pl.DataFrame,
    steps: pl.DataFrame,
    deployment: DeploymentResource,
) -> pl.DataFrame:
    """What the annotators ask for: completions of step prefixes, by the completer.

    Those that are there already, drawn under the same settings, are kept. Beside them lie
    `asked_rollouts`, who asked for what, and the `search_trees`.
    """
    from resources.sampling.rollouts import WrittenSolutions, draw_rollouts, rollout_stage

    [completer] = open_samplers(deployment, ["completer"])
    shard, settings = shard_of_run(context, deployment), deployment.settings
    steps = steps_to_label(steps, settings.datasets[shard.dataset])
    annotators = settings.annotation.annotators_that_roll_out(shard.splitting.method)
    drawn = draw_rollouts(
        rollout_stage(completer, settings.sampling, shard),
        WrittenSolutions(problems, solutions, steps),
        annotators,
        deployment.lake,
    )
    add_numbers(context, **label_costs(steps, drawn.cost))
    asked, trees = asked_rollouts(
        annotators,
        read_problems(steps, solutions, problems),
        drawn.frame,
        settings.annotation.consensus,
    )
    for table, frame in ((ASKED_ROLLOUTS, asked), (SEARCH_TREES, trees)):
        deployment.lake.write(table, frame, *Partition.of(context.partition_key))
    return keep(context, deployment, ROLLOUT_COSTS, [drawn])


def label_costs(steps: pl.DataFrame, costs: pl.DataFrame) -> dict[str, float]:
    """Return what the labels of all steps but the last ones took."""
    labels = steps.filter(~pl.col("is_last")).height
    seconds, tokens = total(costs, "seconds"), total(costs, "completion_tokens")
    return {
        "rollouts_merged": total(costs, "num_merged"),
        "rollouts_spared": total(costs, "num_spared"),
        "labels_per_second": labels / seconds if seconds else 0.0,
        "tokens_per_label": tokens / labels if labels else 0.0,
    }
