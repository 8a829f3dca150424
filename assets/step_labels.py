import polars as pl

from assets.deployment import ONE_RUN, SETTINGS, DeploymentResource, version_of
from assets.describe import table_asset
from resources.io_managers import Frames, Partition
from shepherd.annotators import known
from shepherd.schemas import STEP_LABELS


@table_asset(
    STEP_LABELS,
    group="annotation",
    kinds={"polars"},
    backfill_policy=ONE_RUN,
    code_version=version_of(SETTINGS.annotation, SETTINGS.sampling.num_rollouts),
)
def step_labels(
    steps: Frames,
    rollouts: Frames,
    solutions: Frames,
    problems: Frames,
    deployment: DeploymentResource,
) -> Frames:
    """Hard and soft labels by the profile's annotators, from the rollouts that they asked for."""
    settings = deployment.settings

    def label(partition: Partition) -> pl.DataFrame:
        return known.step_labels(
            settings.annotation,
            settings.sampling.num_rollouts,
            steps=steps[partition],
            rollouts=rollouts[partition],
            solutions=solutions[partition],
            problems=problems[partition],
        )

    return Frames(steps.partitions, label)
