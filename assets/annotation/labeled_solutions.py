"""What training reads: the labels of this pipeline's annotators, or published ones."""

from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import polars as pl

from assets.annotation.problems import tell
from assets.deployment import ONE_RUN, Deployment, DeploymentResource, version_of
from assets.describe import table_asset
from resources.storage.io_manager import Frames, Partition, each
from shepherd import labels
from shepherd.schemas import LABELED_SOLUTIONS, PROBLEMS, REJECTED
from shepherd.settings import DatasetSettings, Settings

if TYPE_CHECKING:
    from resources.files.label_files import ImportReport


def labeled_solutions_of(settings: Settings) -> dg.AssetsDefinition:
    """Return the asset; where no dataset is labelled here, it reads the problems alone."""
    decorate = table_asset(
        LABELED_SOLUTIONS,
        group="annotation",
        kinds={"polars"},
        backfill_policy=ONE_RUN,
        code_version=version_of(*settings.datasets.values()),
    )

    def all_labels(
        context: dg.AssetExecutionContext,
        solutions: Frames,
        steps: Frames,
        step_labels: Frames,
        problems: Frames,
        deployment: DeploymentResource,
    ) -> Frames:
        """Each solution's steps with their labels, ready to train on; imported where the profile
        names a file of labels."""
        own = each(labels.labeled_solutions, solutions, steps, step_labels, problems)
        published = published_labels(context, deployment, problems)
        return Frames(
            own.partitions,
            lambda at: published[at] if settings.datasets[at.dataset].labels else own[at],
        )

    def imported_labels(
        context: dg.AssetExecutionContext, problems: Frames, deployment: DeploymentResource
    ) -> Frames:
        """Published labels of train problems; unreadable rows are set aside in `rejected`."""
        return published_labels(context, deployment, problems)

    is_annotated = any(dataset.is_annotated for dataset in settings.datasets.values())
    return decorate(all_labels if is_annotated else imported_labels)


def published_labels(
    context: dg.AssetExecutionContext, deployment: Deployment, problems: Frames
) -> Frames:
    """Read the run's label files; give each partition the labels of its train problems."""
    from resources.files.label_files import read_rejected, scan_labels

    # All are read before anything is written to the lake, as each may be refused.
    reports = {
        dataset: _import(deployment, dataset, settings, settings.labels)
        for dataset in sorted({partition.dataset for partition in problems})
        for settings in [deployment.settings.datasets[dataset]]
        if settings.labels is not None
    }
    for dataset, report in reports.items():
        rejected = read_rejected(deployment.home.imports / dataset)
        deployment.lake.write(REJECTED, rejected, dataset, LABELED_SOLUTIONS.name)
        tell(
            context,
            dataset,
            rejected_rows=report.num_rejected,
            passed_over_rows=report.num_passed_over,
            repeated_solutions=report.num_repeated,
        )

    def of_train_problems(at: Partition) -> pl.DataFrame:
        if deployment.settings.datasets[at.dataset].labels is None:
            return LABELED_SOLUTIONS.empty()
        train = problems[at].filter(split="train").lazy()
        scanned = scan_labels(deployment.home.imports / at.dataset)
        return scanned.join(train, on="problem_id", how="semi", maintain_order="left").collect()

    return Frames(problems.partitions, of_train_problems)


def _import(
    deployment: Deployment, dataset: str, settings: DatasetSettings, labels: str
) -> "ImportReport":
    from resources.files.label_files import Rules, import_labels

    train = deployment.lake.read(PROBLEMS, dataset).filter(split="train")
    return import_labels(
        [Path(labels).expanduser()],
        deployment.home.imports / dataset,
        Rules(
            settings.labels_format,
            settings.annotator,
            dataset=dataset,
            task=settings.labels_task,
            known=frozenset(train["problem_id"]),
            splitting=settings.splitting,
        ),
        max_rejected_share=settings.max_rejected_share,
        fields=(f"datasets.{dataset}.labels", f"datasets.{dataset}.max_rejected_share"),
    )
