"""Draw rollouts: completions of step prefixes, from which annotators count labels."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import dagster as dg
import polars as pl

from assets.annotation.pilot import learned, pilot_in
from assets.annotation.steps import steps_to_label
from assets.deployment import ONE_RUN_PER_SHARD, Deployment, DeploymentResource
from assets.sampling_runs import add_numbers, draws_and_costs, open_samplers, shard_of_run, total
from assets.tables import table_asset
from resources.storage.io_manager import Partition
from shepherd.annotators.asked import asked_rollouts
from shepherd.annotators.problem import Annotator, read_problems
from shepherd.schemas import (
    ASKED_ROLLOUTS,
    PILOT_RATES,
    PILOT_ROLLOUTS,
    ROLLOUT_COSTS,
    ROLLOUTS,
    SEARCH_TREES,
)
from shepherd.settings import Settings

if TYPE_CHECKING:
    from resources.sampling.rollouts import WrittenSolutions


def rollouts_of(settings: Settings) -> dg.AssetsDefinition:
    """Return the asset of rollouts and of the tables that list each annotator's requests."""
    pilot = settings.annotation.pilot
    learns = pilot is not None and "adaptive" in settings.annotation.names

    @table_asset(
        settings,
        ROLLOUTS,
        siblings=[ASKED_ROLLOUTS, SEARCH_TREES, ROLLOUT_COSTS],
        group="annotation",
        kinds={"torch"},
        backfill_policy=ONE_RUN_PER_SHARD,
        pool=settings.runs.sampling_pool,
        draws=True,
        ins={PILOT_RATES.name: dg.AssetIn(dagster_type=pl.DataFrame)} if learns else {},
        deps=["completer", *([PILOT_ROLLOUTS.name] if pilot else [])],
    )
    def rollouts(
        context: dg.AssetExecutionContext,
        problems: pl.DataFrame,
        solutions: pl.DataFrame,
        steps: pl.DataFrame,
        deployment: DeploymentResource,
        **rates: pl.DataFrame,
    ) -> Mapping[str, pl.DataFrame]:
        """Rollouts: the completer's completions of the step prefixes that annotators request.

        A rollout in the partition's old file is not drawn again if the fingerprints are equal.
        `asked_rollouts` says how many rollouts of each
        prefix each annotator needs; `search_trees` holds the states of tree search.
        """
        from resources.sampling.rollouts import WrittenSolutions

        partition = Partition.of(context.partition_key)
        dataset = settings.datasets[partition.dataset]
        annotators = settings.annotation.annotators_that_roll_out(
            dataset.splitting.rule,
            learned(rates[PILOT_RATES.name], partition.dataset)
            if learns and dataset.is_annotated
            else None,
        )
        if pilot:
            annotators.append(pilot_in(settings, pilot, problems, partition))
        labelled = steps_to_label(steps, dataset)
        written = WrittenSolutions(problems, solutions, labelled)
        return draw_for_annotators(context, deployment, annotators, written)

    return rollouts


def draw_for_annotators(
    context: dg.AssetExecutionContext,
    deployment: Deployment,
    annotators: Sequence[Annotator],
    written: "WrittenSolutions",
) -> Mapping[str, pl.DataFrame]:
    """Draw the rollouts of a shard; return the tables of rollouts, requests, trees and costs."""
    from resources.sampling.rollouts import draw_rollouts, rollout_stage

    [completer] = open_samplers(deployment, ["completer"])
    shard, settings = shard_of_run(context, deployment), deployment.settings
    stage = rollout_stage(completer, settings.sampling, shard)
    draws = draw_rollouts(stage, written, annotators, deployment.lake)
    requested, trees = asked_rollouts(
        annotators,
        read_problems(written.steps, written.solutions, written.problems),
        draws.frame,
        settings.annotation.consensus,
    )
    add_numbers(context, ROLLOUTS, **label_costs(written.steps, draws.cost))
    return {
        **draws_and_costs(context, ROLLOUTS, ROLLOUT_COSTS, [draws]),
        ASKED_ROLLOUTS.name: requested,
        SEARCH_TREES.name: trees,
    }


def label_costs(steps: pl.DataFrame, costs: pl.DataFrame) -> dict[str, float]:
    """Return the costs of a shard's labels.

    A label is that of a step before the last, and counts once however many annotators label it.
    ``rollouts_merged`` are the completions saved because identical prefixes are rolled out once,
    ``rollouts_spared`` those saved compared with N rollouts of each prefix.
    """
    labels = steps.filter(~pl.col("is_last")).height
    seconds, tokens = total(costs, "seconds"), total(costs, "completion_tokens")
    return {
        "rollouts_merged": total(costs, "num_merged"),
        "rollouts_spared": total(costs, "num_spared"),
        "labels_per_second": labels / seconds if seconds else 0.0,
        "tokens_per_label": tokens / labels if labels else 0.0,
    }
