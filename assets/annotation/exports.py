"""Labels for others: each export of the profile, with its dataset card."""

from collections.abc import Iterator

import dagster as dg
import polars as pl

from assets.deployment import SETTINGS, Deployment, DeploymentResource, models_of, version_of
from assets.describe import OWNERS
from assets.verification.scoring import REWARD_MODELS
from shepherd.dataset_card import CardFacts
from shepherd.labels import label_accuracies
from shepherd.schemas import (
    CRITIQUE_COSTS,
    LABELED_SOLUTIONS,
    ORACLE_LABELS,
    ROLLOUT_COSTS,
    SOLUTION_COSTS,
    SOLUTIONS,
    STEP_LABELS,
    STEPS,
)
from shepherd.settings import ExportSettings


@dg.asset(
    deps=[
        dg.AssetDep(LABELED_SOLUTIONS.name, partition_mapping=dg.AllPartitionMapping()),
    ],
    group_name="annotation",
    kinds={"parquet"},
    owners=OWNERS,
    tags={"stage": "annotation"},
    code_version=version_of(*SETTINGS.exports.values()),
    description="Step labels in published formats, with a dataset card: exports/ in the home "
    "folder. `datasets.load_dataset` reads each of its folders.",
)
def exports(deployment: DeploymentResource) -> dg.MaterializeResult[None]:
    """Write every export of the profile, a partition at a time."""
    from resources.files.label_files import export_labels

    metadata: dict[str, int | dg.MetadataValue] = {
        "path": dg.MetadataValue.path(deployment.home.exports)
    }
    for name, export in deployment.settings.exports.items():
        report = export_labels(
            labels_of(deployment, export.annotator),
            deployment.home.exports / name,
            export.format,
            export.file_type,
            card_facts(deployment, name, export),
        )
        metadata[f"{name}: solutions"] = report.num_written
        metadata[f"{name}: left out"] = report.num_left_out
    return dg.MaterializeResult(metadata=metadata)


def labels_of(deployment: Deployment, annotator: str | None) -> Iterator[pl.DataFrame]:
    """Yield the labels of each partition, with the generator of each solution that was sampled."""
    lake = deployment.lake
    sampled = set(lake.partitions(SOLUTIONS))
    for partition in lake.partitions(LABELED_SOLUTIONS):
        labels = lake.read(LABELED_SOLUTIONS, *partition)
        if annotator is not None:
            labels = labels.filter(annotator=annotator)
        solutions = lake.read(SOLUTIONS, *partition) if partition in sampled else SOLUTIONS.empty()
        generators = solutions.select("solution_id", "generator")
        yield labels.join(
            generators, on="solution_id", how="left", maintain_order="left"
        ).with_columns(pl.col("generator").fill_null("imported"))


def card_facts(deployment: Deployment, name: str, export: ExportSettings) -> CardFacts:
    """Return what the lake and the profile say of the labels.

    Of labels that others published alone, nothing but their source is known here.
    """
    lake, settings = deployment.lake, deployment.settings
    if export.annotator is not None and export.annotator in settings.published_annotators:
        return CardFacts(title=name, license=export.license, source=export.source)
    tables = (SOLUTION_COSTS, ROLLOUT_COSTS, CRITIQUE_COSTS)
    costs = [lake.read(table) for table in tables if lake.partitions(table)]
    sampling = settings.sampling
    cost: dict[str, float] = {}
    for table in costs:
        for stage, *totals in (
            table.group_by("stage", maintain_order=True)
            .agg(pl.col("num_requests", "completion_tokens", "seconds").sum())
            .iter_rows()
        ):
            for what, value in zip(("completions", "tokens", "seconds"), totals, strict=True):
                cost[f"{stage}: {what}"] = value
    quality: dict[str, float] = {}
    if lake.partitions(ORACLE_LABELS) and lake.partitions(STEP_LABELS):
        labels = lake.read(STEP_LABELS)
        if export.annotator is not None:
            labels = labels.filter(annotator=export.annotator)
        found = label_accuracies(labels, lake.read(ORACLE_LABELS), lake.read(STEPS))
        quality = {
            f"{annotator}: agreement with the oracle": accuracy.agreement
            for annotator, accuracy in sorted(found.items())
            if accuracy.agreement is not None
        }
    return CardFacts(
        title=name,
        license=export.license,
        source=export.source,
        models={
            model: found.base
            for model, found in models_of(settings).items()
            if model not in REWARD_MODELS
        },
        sampling={
            "solutions a problem, of each generator": sampling.samples_per_problem,
            "completions of a step, at most": settings.annotation.max_rollouts,
            "temperature of solutions": sampling.temperature,
            "temperature of completions": sampling.rollout_temperature,
            "tokens of a completion, at most": sampling.max_tokens,
        },
        seed=settings.seed,
        cost=cost,
        quality=quality,
    )
