import polars as pl

from assets.deployment import ONE_RUN, SETTINGS, DeploymentResource, version_of
from assets.describe import table_asset
from assets.fine_tuning import GPU_POOL
from resources.io_managers import Frames, Partition
from shepherd.annotators import known
from shepherd.annotators.nli import Entails
from shepherd.schemas import STEP_LABELS
from shepherd.settings import AnnotationSettings


@table_asset(
    STEP_LABELS,
    group="annotation",
    kinds={"polars"},
    backfill_policy=ONE_RUN,
    pool=GPU_POOL if "nli" in SETTINGS.annotation.annotators else None,
    code_version=version_of(SETTINGS.annotation, SETTINGS.sampling.num_rollouts),
)
def step_labels(
    steps: Frames,
    rollouts: Frames,
    solutions: Frames,
    problems: Frames,
    deployment: DeploymentResource,
) -> Frames:
    """Hard and soft labels by each of the profile's annotators."""
    annotation, sampling = deployment.settings.annotation, deployment.settings.sampling
    entails = open_entailment(annotation) if "nli" in annotation.annotators else None

    def label(partition: Partition) -> pl.DataFrame:
        work = known.Work(
            steps=steps[partition],
            solutions=solutions[partition],
            problems=problems[partition],
            rollouts=rollouts[partition],
            entails=entails,
            method=deployment.settings.datasets[partition.dataset].splitting.method,
        )
        return known.step_labels(annotation, sampling.num_rollouts, work)

    return Frames(steps.partitions, label)


def open_entailment(annotation: AnnotationSettings) -> Entails:
    """Load the profile's entailment model."""
    from resources.nli import EntailmentModel

    return EntailmentModel(annotation.nli_model)
