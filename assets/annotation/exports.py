"""Export step labels in published formats, each export with its dataset card."""

from collections.abc import Iterator, Mapping

import dagster as dg
import polars as pl

from assets.annotation.cards import card_facts
from assets.deployment import ALL_PARTITIONS, DeploymentResource
from assets.describe import OWNERS, provenance
from resources.storage.io_manager import Frames
from shepherd.dependencies import code_version
from shepherd.schemas import (
    CRITIQUE_COSTS,
    ENTAILMENT_COSTS,
    LABELED_SOLUTIONS,
    ORACLE_LABELS,
    ROLLOUT_COSTS,
    SOLUTION_COSTS,
    SOLUTIONS,
    STEP_LABELS,
    STEPS,
)
from shepherd.settings import Settings


def exports_of(settings: Settings) -> dg.AssetsDefinition:
    """Return the asset of all exports of a profile."""
    streamed, whole = tables_read(settings)
    types = dict.fromkeys(streamed, Frames) | dict.fromkeys(whole, pl.DataFrame)

    @dg.asset(
        name="exports",
        ins={
            table: dg.AssetIn(partition_mapping=ALL_PARTITIONS, dagster_type=dagster_type)
            for table, dagster_type in types.items()
        },
        group_name="annotation",
        kinds={"parquet"},
        owners=OWNERS,
        tags={"stage": "annotation"},
        code_version=code_version(settings, "exports"),
        metadata=provenance(settings, "exports"),
        description="Step labels in published formats, with a dataset card: exports/ in the home "
        "folder. `datasets.load_dataset` reads each of its folders.",
    )
    def exports(
        deployment: DeploymentResource, **tables: Frames | pl.DataFrame
    ) -> dg.MaterializeResult[None]:
        """Write every export of the profile, a partition at a time."""
        from resources.files.label_export import export_labels

        folder = deployment.home.exports
        wholes = {name: rows for name, rows in tables.items() if isinstance(rows, pl.DataFrame)}
        metadata = {"path": dg.MetadataValue.path(folder), **provenance(settings, "exports")}
        deployment.home.files.fetch([folder])
        with deployment.home.files.committing(folder, is_edited=True):
            for name, export in settings.exports.items():
                report = export_labels(
                    labels_to_export(tables, export.annotator),
                    folder / name,
                    export.format,
                    export.file_type,
                    card_facts(settings, name, export, wholes),
                )
                metadata[f"{name}: solutions"] = report.num_written
                metadata[f"{name}: left out"] = report.num_left_out
        return dg.MaterializeResult(metadata=metadata)

    return exports


def tables_read(settings: Settings) -> tuple[list[str], list[str]]:
    """Return the tables that exports read: those read by partition, and those read as a whole.

    Where all labels are published ones, nothing is known of solutions, costs and quality.
    """
    if not any(dataset.is_annotated for dataset in settings.datasets.values()):
        return [LABELED_SOLUTIONS.name], []
    whole = [SOLUTION_COSTS, ROLLOUT_COSTS]
    if settings.annotation.judge is not None:
        whole += [CRITIQUE_COSTS]
    if settings.annotation.language_model is not None:
        whole += [ENTAILMENT_COSTS]
    if any(dataset.source == "word_problems" for dataset in settings.datasets.values()):
        whole += [ORACLE_LABELS, STEP_LABELS, STEPS]
    return [LABELED_SOLUTIONS.name, SOLUTIONS.name], [table.name for table in whole]


def labels_to_export(
    tables: Mapping[str, Frames | pl.DataFrame], annotator: str | None
) -> Iterator[pl.DataFrame]:
    """Yield the labels of each partition, with the generator of each solution.

    Solutions that are not in ``solutions`` came with published labels: their generator is
    ``imported``. Labels by all annotators are yielded if ``annotator`` is null.
    """
    labeled, solutions = tables[LABELED_SOLUTIONS.name], tables.get(SOLUTIONS.name)
    assert isinstance(labeled, Frames)
    for partition, rows in labeled.items():
        labels = rows if annotator is None else rows.filter(annotator=annotator)
        sampled = solutions[partition] if isinstance(solutions, Frames) else SOLUTIONS.empty()
        yield labels.join(
            sampled.select("solution_id", "generator"),
            on="solution_id",
            how="left",
            maintain_order="left",
        ).with_columns(pl.col("generator").fill_null("imported"))
