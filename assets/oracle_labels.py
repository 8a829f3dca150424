import dagster as dg
import polars as pl

from assets.deployment import ONE_RUN, DeploymentResource
from assets.describe import table_asset
from resources.io_managers import Frames, Partition
from shepherd import oracle
from shepherd.labels import label_accuracies
from shepherd.schemas import ORACLE_LABELS


@table_asset(
    ORACLE_LABELS, group="annotation", kinds={"python"}, backfill_policy=ONE_RUN, code_version="1"
)
def oracle_labels(
    context: dg.AssetExecutionContext,
    steps: Frames,
    problems: Frames,
    step_labels: Frames,
    deployment: DeploymentResource,
) -> Frames:
    """Exact labels, to measure annotators against; none where no oracle knows the dataset."""

    def judge(partition: Partition) -> pl.DataFrame:
        if deployment.settings.datasets[partition.dataset].source != "word_problems":
            return ORACLE_LABELS.empty()
        truth = oracle.oracle_labels(steps[partition], problems[partition])
        numbers = {
            f"{annotator}_{name}": number
            for annotator, found in label_accuracies(
                step_labels[partition], truth, steps[partition]
            ).items()
            for name, number in vars(found).items()
        }
        context.add_asset_metadata(
            {name: round(number, 4) for name, number in numbers.items() if number is not None},
            partition_key=partition.key,
        )
        return truth

    return Frames(steps.partitions, judge)
