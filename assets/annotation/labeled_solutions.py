"""Join solutions with their step labels: what reward models are trained on."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import polars as pl

from assets.annotation.sharding import add_counts, rejected_frames
from assets.deployment import ONE_RUN, WHOLE_DATASET, DeploymentResource
from assets.tables import table_asset
from resources.storage.home import Home
from resources.storage.io_manager import Frames, Partition, each
from resources.user_paths import expanded
from shepherd import labels
from shepherd.schemas import LABELED_SOLUTIONS, REJECTED_LABELS
from shepherd.settings import DatasetSettings, Settings

if TYPE_CHECKING:
    from resources.files.label_import import ImportReport


def labeled_solutions_of(settings: Settings) -> dg.AssetsDefinition:
    """Return the asset of labelled solutions, and of the label rows that were rejected.

    A partition of published labels reads the problems of its whole dataset: a label whose
    question is in none of its shards is rejected.
    """
    problems_in = dg.AssetIn(
        partition_mapping=WHOLE_DATASET if settings.published_annotators else None
    )
    decorate = table_asset(
        settings,
        LABELED_SOLUTIONS,
        siblings=[REJECTED_LABELS],
        group="annotation",
        kinds={"polars"},
        backfill_policy=ONE_RUN,
        ins={"problems": problems_in},
    )

    def all_labels(
        context: dg.AssetExecutionContext,
        solutions: Frames,
        steps: Frames,
        step_labels: Frames,
        problems: Frames,
        deployment: DeploymentResource,
    ) -> Mapping[str, Frames]:
        """The steps of each solution with their labels, one row per annotator.

        Labels are imported where the profile names a file of them. Its rows that cannot be used
        are in `rejected_labels`.
        """
        published = published_labels(context, settings, deployment.home, problems)
        own = each(labels.labeled_solutions, solutions, steps, step_labels, problems)
        imported = published[LABELED_SOLUTIONS.name]
        rows = Frames(
            own.partitions,
            lambda at: imported[at] if settings.datasets[at.dataset].labels else own[at],
        )
        return {**published, LABELED_SOLUTIONS.name: rows}

    def imported_labels(
        context: dg.AssetExecutionContext, problems: Frames, deployment: DeploymentResource
    ) -> Mapping[str, Frames]:
        """Published labels of train problems. Rows that cannot be used are in `rejected_labels`."""
        return published_labels(context, settings, deployment.home, problems)

    is_annotated = any(dataset.is_annotated for dataset in settings.datasets.values())
    return decorate(all_labels if is_annotated else imported_labels)


def published_labels(
    context: dg.AssetExecutionContext, settings: Settings, home: Home, problems: Frames
) -> Mapping[str, Frames]:
    """Import the label files of the run's datasets; return the partitions of both tables.

    Raises:
        ValueError: a file cannot be read or too many of its rows are bad; nothing is written.
    """
    from resources.files.label_import import read_rejected, scan_labels

    partitions = tuple(Partition.of(key) for key in sorted(context.partition_keys))
    # Every file is imported before one is written to the lake, because each may be refused.
    rejected = {}
    for name in sorted({partition.dataset for partition in partitions}):
        dataset, folder = settings.datasets[name], home.imports / name
        rejected[name] = REJECTED_LABELS.empty()
        if dataset.labels is not None:
            report = import_labels_of(name, dataset, dataset.labels, folder, problems)
            rejected[name] = read_rejected(folder)
            add_counts(
                context,
                LABELED_SOLUTIONS,
                name,
                rejected_rows=report.num_rejected,
                passed_over_rows=report.num_passed_over,
                repeated_solutions=report.num_repeated,
            )

    def of_train_problems(at: Partition) -> pl.DataFrame:
        if settings.datasets[at.dataset].labels is None:
            return LABELED_SOLUTIONS.empty()
        train = problems[at].filter(split="train").lazy()
        imported = scan_labels(home.imports / at.dataset)
        return imported.join(train, on="problem_id", how="semi", maintain_order="left").collect()

    return {
        LABELED_SOLUTIONS.name: Frames(partitions, of_train_problems),
        REJECTED_LABELS.name: rejected_frames(rejected, partitions, settings.shards),
    }


def import_labels_of(
    name: str, dataset: DatasetSettings, labels_path: str, folder: Path, problems: Frames
) -> "ImportReport":
    """Convert a dataset's label file to our schema in a folder.

    ``problems`` holds every shard of the dataset.
    """
    from resources.files.label_import import LabelRules, import_labels

    shards = [problems[at] for at in problems if at.dataset == name]
    train = pl.concat(shards).filter(split="train")
    return import_labels(
        [expanded(labels_path)],
        folder,
        LabelRules(
            dataset.labels_format,
            dataset.annotator,
            dataset=name,
            task=dataset.labels_task,
            known=frozenset(train["problem_id"]),
            splitting=dataset.splitting,
        ),
        max_rejected_share=dataset.max_rejected_share,
        fields=(f"datasets.{name}.labels", f"datasets.{name}.max_rejected_share"),
    )
