import polars as pl

from assets.deployment import ONE_RUN, SETTINGS, DeploymentResource, version_of
from assets.describe import table_asset
from resources.storage.io_manager import Frames
from shepherd.rollouts import split_solutions
from shepherd.schemas import STEPS
from shepherd.settings import DatasetSettings


@table_asset(
    STEPS,
    group="annotation",
    kinds={"polars"},
    backfill_policy=ONE_RUN,
    # Steps whose ids were made another way are stale.
    code_version=version_of(
        "solution_id:step_index", *(one.splitting.method for one in SETTINGS.datasets.values())
    ),
)
def steps(solutions: Frames, deployment: DeploymentResource) -> Frames:
    """Solutions cut into steps. Equal beginnings of one problem share a prefix id."""
    datasets = deployment.settings.datasets
    return Frames(
        solutions.partitions,
        lambda at: split_solutions(solutions[at], datasets[at.dataset].splitting.method),
    )


def steps_to_label(steps: pl.DataFrame, dataset: DatasetSettings) -> pl.DataFrame:
    """Return the steps that are rolled out and labelled: none of a dataset that is not annotated.

    Solutions imported for test problems are graded alone: labels of them would be trained on.
    """
    return steps if dataset.is_annotated else steps.clear()
