"""Label steps: one asset for each annotator of the profile, and the table of all labels."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import dagster as dg
import polars as pl

from assets.annotation.asked_labels import asked_labels_of
from assets.annotation.pilot import learned
from assets.annotation.steps import steps_to_label
from assets.deployment import policy_of_cheap_stages
from assets.tables import table_asset
from resources.storage.io_manager import Frames, Partition
from shepherd.annotators.adaptive import AdaptiveSettings
from shepherd.annotators.annotator import AnnotatorSettings, LabelInputs
from shepherd.annotators.consensus import join_labels
from shepherd.annotators.nli import NliSettings
from shepherd.labels import label_accuracies
from shepherd.schemas import ORACLE_LABELS, PILOT_RATES, STEP_LABELS, labels_table
from shepherd.settings import Settings

if TYPE_CHECKING:
    from shepherd.annotators.entailment import Entails


def annotators_of(settings: Settings) -> list[dg.AssetsDefinition]:
    """Return ``<annotator>_labels`` of each annotator but the oracle, and ``step_labels``.

    The oracle's labels are an asset wherever there are word problems, whatever the annotators.
    """
    annotators = [each for each in settings.annotation.annotators if each.kind != "oracle"]
    return [*(labels_of(settings, each) for each in annotators), step_labels_of(settings)]


def labels_of(settings: Settings, annotator: AnnotatorSettings) -> dg.AssetsDefinition:
    """Return the asset of one annotator's labels, which draws if ``nli`` asks a language model."""
    if isinstance(annotator, NliSettings) and annotator.language_model is not None:
        return asked_labels_of(settings, annotator, annotator.language_model)
    return annotator_labels_of(settings, annotator)


def annotator_labels_of(settings: Settings, annotator: AnnotatorSettings) -> dg.AssetsDefinition:
    """Return the asset of one annotator's labels."""
    model = annotator.model if isinstance(annotator, NliSettings) else None
    learns = settings.annotation.pilot is not None and isinstance(annotator, AdaptiveSettings)
    rates = {PILOT_RATES.name: dg.AssetIn(dagster_type=pl.DataFrame)} if learns else {}

    @table_asset(
        settings,
        labels_table(annotator.kind),
        group="annotation",
        kinds={"polars"},
        backfill_policy=policy_of_cheap_stages(settings),
        ins={**frames_of(annotator.READS), **rates},
        pool=settings.runs.scoring_pool if model else None,
    )
    def labels(**inputs: Frames | pl.DataFrame) -> Frames:
        """Hard and soft labels by this annotator alone. `step_labels` joins those of all."""
        entails = open_entailment(model) if model else None
        frames = {name: rows for name, rows in inputs.items() if isinstance(rows, Frames)}
        pilot_rates = inputs.get(PILOT_RATES.name)

        def label(partition: Partition) -> pl.DataFrame:
            read = {table: frames[table][partition] for table in annotator.READS}
            dataset = settings.datasets[partition.dataset]
            read["steps"] = steps_to_label(read["steps"], dataset)
            rates = None
            if isinstance(pilot_rates, pl.DataFrame) and dataset.is_annotated:
                rates = learned(pilot_rates, partition.dataset)
            return annotator.label_steps(
                LabelInputs(
                    **read,
                    entails=entails,
                    rates=rates,
                    method=dataset.splitting.rule,
                )
            )

        return Frames(frames["steps"].partitions, label)

    return labels


def step_labels_of(settings: Settings) -> dg.AssetsDefinition:
    """Return the asset of all labels. With an oracle, its metadata say how accurate they are."""
    annotation = settings.annotation
    tables = {name: labels_table(name).name for name in annotation.names}
    has_oracle = any(d.source == "word_problems" for d in settings.datasets.values())
    oracle = [ORACLE_LABELS.name] if has_oracle else []

    @table_asset(
        settings,
        STEP_LABELS,
        group="annotation",
        kinds={"polars"},
        backfill_policy=policy_of_cheap_stages(settings),
        ins=frames_of(dict.fromkeys(["steps", *tables.values(), *oracle])),
    )
    def step_labels(context: dg.AssetExecutionContext, **frames: Frames) -> Frames:
        """Hard and soft labels by all annotators of the profile, and by their consensus."""

        def join(partition: Partition) -> pl.DataFrame:
            steps = frames["steps"][partition]
            labels_by_name = {name: frames[table][partition] for name, table in tables.items()}
            labels = join_labels(labels_by_name, annotation.consensus, steps)
            for table in oracle:
                add_accuracies(context, partition, labels, frames[table][partition], steps)
            return labels

        return Frames(frames["steps"].partitions, join)

    return step_labels


def frames_of(tables: Iterable[str]) -> dict[str, dg.AssetIn]:
    """Return inputs that are loaded partition by partition."""
    return {table: dg.AssetIn(dagster_type=Frames) for table in tables}


def add_accuracies(
    context: dg.AssetExecutionContext,
    partition: Partition,
    labels: pl.DataFrame,
    truth: pl.DataFrame,
    steps: pl.DataFrame,
) -> None:
    """Add the accuracy of each annotator's hard labels to the metadata of a partition."""
    numbers = {
        f"{annotator}_{name}": round(number, 4)
        for annotator, accuracy in label_accuracies(labels, truth, steps).items()
        for name, number in vars(accuracy).items()
        if number is not None
    }
    context.add_asset_metadata(numbers, asset_key=STEP_LABELS.name, partition_key=partition.key)


def open_entailment(model: str) -> "Entails":
    """Load an entailment model."""
    from resources.entailment import EntailmentModel

    return EntailmentModel(model)
