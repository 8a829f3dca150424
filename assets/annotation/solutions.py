import dagster as dg
import polars as pl

from assets.annotation.problems import tell_rejected
from assets.deployment import ONE_RUN_PER_SHARD, SETTINGS, DeploymentResource, version_of
from assets.describe import table_asset
from assets.models.fine_tuning import GPU_POOL
from assets.sampling_runs import keep, open_samplers, shard_of_run
from resources.storage.io_manager import Partition
from shepherd.schemas import REJECTED, SOLUTION_COSTS, SOLUTIONS


@table_asset(
    SOLUTIONS,
    group="annotation",
    kinds={"torch"},
    backfill_policy=ONE_RUN_PER_SHARD,
    pool=GPU_POOL,
    deps=SETTINGS.generators_of("train"),
    code_version=version_of(
        *SETTINGS.generators.values(),
        SETTINGS.sampling.samples_per_problem,
        SETTINGS.sampling.temperature,
        SETTINGS.sampling.max_tokens,
        *(dataset.splitting.calculations for dataset in SETTINGS.datasets.values()),
        *(dataset.is_annotated for dataset in SETTINGS.datasets.values()),
    ),
)
def solutions(
    context: dg.AssetExecutionContext, problems: pl.DataFrame, deployment: DeploymentResource
) -> pl.DataFrame:
    """Train problems solved by generators; or imported, where the profile names a file.

    None, where it names a file of labels, or problems that are there for fine-tuning.
    """
    partition = Partition.of(context.partition_key)
    datasets = deployment.settings.datasets
    dataset = datasets[partition.dataset]
    if dataset.solutions is not None:
        from resources.files.problems import load_solutions, questions_tested_elsewhere

        elsewhere = questions_tested_elsewhere(datasets, partition.dataset)
        imported, rejected = load_solutions(partition.dataset, dataset, problems, elsewhere)
        deployment.lake.write(REJECTED, rejected, partition.dataset, SOLUTIONS.name)
        tell_rejected(context, partition.dataset, rejected)
        return imported
    if not dataset.is_annotated:
        return SOLUTIONS.empty()

    from resources.sampling.solutions import draw_solutions

    shard, sampling = shard_of_run(context, deployment), deployment.settings.sampling
    samplers = open_samplers(deployment, deployment.settings.generators_of("train"))
    train = problems.filter(split="train")
    drawn = [draw_solutions(train, sampler, sampling, shard) for sampler in samplers]
    return keep(context, deployment, SOLUTION_COSTS, drawn)
