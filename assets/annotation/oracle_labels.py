import polars as pl

from assets.annotation.steps import steps_to_label
from assets.deployment import ONE_RUN, DeploymentResource
from assets.describe import table_asset
from resources.storage.io_manager import Frames, Partition
from shepherd.annotators import oracle
from shepherd.schemas import ORACLE_LABELS


@table_asset(
    ORACLE_LABELS, group="annotation", kinds={"python"}, backfill_policy=ONE_RUN, code_version="1"
)
def oracle_labels(steps: Frames, problems: Frames, deployment: DeploymentResource) -> Frames:
    """Exact labels, to measure annotators against; none where no oracle knows the dataset."""

    def judge(partition: Partition) -> pl.DataFrame:
        dataset = deployment.settings.datasets[partition.dataset]
        if dataset.source != "word_problems":
            return ORACLE_LABELS.empty()
        labelled = steps_to_label(steps[partition], dataset)
        return oracle.oracle_labels(labelled, problems[partition])

    return Frames(steps.partitions, judge)
