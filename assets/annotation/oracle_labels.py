"""Label steps of word problems exactly."""

import dagster as dg
import polars as pl

from assets.annotation.steps import steps_to_label
from assets.deployment import policy_of_cheap_stages
from assets.tables import table_asset
from resources.storage.io_manager import Frames, Partition
from shepherd.annotators import oracle
from shepherd.schemas import ORACLE_LABELS
from shepherd.settings import Settings


def oracle_labels_of(settings: Settings) -> dg.AssetsDefinition:
    """Return the asset of exact labels."""

    @table_asset(
        settings,
        ORACLE_LABELS,
        group="annotation",
        kinds={"python"},
        backfill_policy=policy_of_cheap_stages(settings),
    )
    def oracle_labels(steps: Frames, problems: Frames) -> Frames:
        """Exact labels that annotators are measured against. Only word problems have them."""

        def label(partition: Partition) -> pl.DataFrame:
            dataset = settings.datasets[partition.dataset]
            if dataset.source != "word_problems":
                return ORACLE_LABELS.empty()
            labelled = steps_to_label(steps[partition], dataset)
            return oracle.oracle_labels(labelled, problems[partition])

        return Frames(steps.partitions, label)

    return oracle_labels
