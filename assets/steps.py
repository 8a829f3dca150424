from assets.deployment import ONE_RUN, SETTINGS, DeploymentResource, version_of
from assets.describe import table_asset
from resources.io_managers import Frames
from shepherd.rollouts import split_solutions
from shepherd.schemas import STEPS


@table_asset(
    STEPS,
    group="annotation",
    kinds={"polars"},
    backfill_policy=ONE_RUN,
    code_version=version_of(*(dataset.splitting.method for dataset in SETTINGS.datasets.values())),
)
def steps(solutions: Frames, deployment: DeploymentResource) -> Frames:
    """Solutions cut into steps. Equal beginnings of one problem share a prefix id."""
    datasets = deployment.settings.datasets
    return Frames(
        solutions.partitions,
        lambda at: split_solutions(solutions[at], datasets[at.dataset].splitting.method),
    )
