"""Cut solutions into steps."""

import dagster as dg
import polars as pl

from assets.deployment import policy_of_cheap_stages
from assets.tables import table_asset
from resources.storage.io_manager import Frames
from shepherd.rollouts import split_solutions
from shepherd.schemas import STEPS
from shepherd.settings import DatasetSettings, Settings


def steps_of(settings: Settings) -> dg.AssetsDefinition:
    """Return the asset of all steps."""

    @table_asset(
        settings,
        STEPS,
        group="annotation",
        kinds={"polars"},
        backfill_policy=policy_of_cheap_stages(settings),
    )
    def steps(solutions: Frames) -> Frames:
        """Steps of solutions. Equal prefixes of one problem share a prefix id."""
        return Frames(
            solutions.partitions,
            lambda at: split_solutions(solutions[at], settings.datasets[at.dataset].splitting.rule),
        )

    return steps


def steps_to_label(steps: pl.DataFrame, dataset: DatasetSettings) -> pl.DataFrame:
    """Return the steps that are rolled out and labelled: none if the dataset is not annotated.

    Solutions imported for test problems are only graded, because labels are for training.
    """
    return steps if dataset.is_annotated else steps.clear()
