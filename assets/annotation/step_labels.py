"""Labels: an asset for each annotator of the profile, and the table of them all."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import dagster as dg
import polars as pl

from assets.annotation.steps import steps_to_label
from assets.deployment import ONE_RUN, version_of
from assets.describe import table_asset
from assets.models.fine_tuning import GPU_POOL
from resources.storage.io_manager import Frames, Partition
from shepherd.annotators.annotator import AnnotatorSettings, LabelInputs, RolloutSettings
from shepherd.annotators.consensus import join_labels
from shepherd.annotators.nli import NliSettings
from shepherd.labels import label_accuracies
from shepherd.schemas import ORACLE_LABELS, STEP_LABELS, labels_table
from shepherd.settings import Settings

if TYPE_CHECKING:
    from shepherd.annotators.entailment import Entails


def labels_of(settings: Settings) -> list[dg.AssetsDefinition]:
    """Return ``<annotator>_labels`` of each of the profile's annotators, and ``step_labels``.

    The oracle's are an asset wherever there is an oracle, also for a profile that names others.
    """
    annotators = [one for one in settings.annotation.annotators if one.kind != "oracle"]
    return [*(labels_by(one, settings) for one in annotators), step_labels_of(settings)]


def labels_by(annotator: AnnotatorSettings, settings: Settings) -> dg.AssetsDefinition:
    """Return the asset of one annotator's labels."""
    settled, model = annotator.kind, None
    if isinstance(annotator, RolloutSettings):
        settled = str(annotator.annotator())
    elif isinstance(annotator, NliSettings):
        model = annotator.model

    @table_asset(
        labels_table(annotator.kind),
        group="annotation",
        kinds={"polars"},
        backfill_policy=ONE_RUN,
        ins=inputs(annotator.READS),
        pool=GPU_POOL if model else None,
        code_version=version_of(settled, model),
    )
    def labels(**frames: Frames) -> Frames:
        """Hard and soft labels by this annotator alone; `step_labels` joins those of all."""
        entails = open_entailment(model) if model else None

        def label(partition: Partition) -> pl.DataFrame:
            read = {table: frames[table][partition] for table in annotator.READS}
            dataset = settings.datasets[partition.dataset]
            read["steps"] = steps_to_label(read["steps"], dataset)
            inputs = LabelInputs(**read, entails=entails, method=dataset.splitting.method)
            return annotator.label_steps(inputs)

        return Frames(frames["steps"].partitions, label)

    return labels


def step_labels_of(settings: Settings) -> dg.AssetsDefinition:
    """Return the asset of all labels; where there is an oracle, it tells how accurate they are."""
    annotation = settings.annotation
    tables = [labels_table(name).name for name in annotation.names]
    has_oracle = any(d.source == "word_problems" for d in settings.datasets.values())
    measured = [ORACLE_LABELS.name] if has_oracle else []

    @table_asset(
        STEP_LABELS,
        group="annotation",
        kinds={"polars"},
        backfill_policy=ONE_RUN,
        ins=inputs(dict.fromkeys(["steps", *tables, *measured])),
        code_version=version_of(*annotation.names, *(annotation.consensus or ())),
    )
    def step_labels(context: dg.AssetExecutionContext, **frames: Frames) -> Frames:
        """Hard and soft labels by each of the profile's annotators, and by two's consensus."""

        def join(partition: Partition) -> pl.DataFrame:
            steps = frames["steps"][partition]
            found = {
                name: frames[table][partition]
                for name, table in zip(annotation.names, tables, strict=True)
            }
            labels = join_labels(found, annotation.consensus, steps)
            for table in measured:
                tell_accuracies(context, partition, labels, frames[table][partition], steps)
            return labels

        return Frames(frames["steps"].partitions, join)

    return step_labels


def inputs(tables: Iterable[str]) -> dict[str, dg.AssetIn]:
    """Return assets as inputs that come partition by partition."""
    return {table: dg.AssetIn(dagster_type=Frames) for table in tables}


def tell_accuracies(
    context: dg.AssetExecutionContext,
    partition: Partition,
    labels: pl.DataFrame,
    truth: pl.DataFrame,
    steps: pl.DataFrame,
) -> None:
    """Add how each annotator's hard labels compare with the truth to the metadata."""
    numbers = {
        f"{annotator}_{name}": round(number, 4)
        for annotator, found in label_accuracies(labels, truth, steps).items()
        for name, number in vars(found).items()
        if number is not None
    }
    context.add_asset_metadata(numbers, partition_key=partition.key)


def open_entailment(model: str) -> "Entails":
    """Load an entailment model."""
    from resources.entailment import EntailmentModel

    return EntailmentModel(model)
