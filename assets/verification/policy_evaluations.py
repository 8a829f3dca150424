import polars as pl

from assets.deployment import ALL_PARTITIONS, SETTINGS, DeploymentResource, version_of
from assets.describe import table_asset
from shepherd.policies import descents_of, evaluate_policies
from shepherd.schemas import POLICY_EVALUATIONS


@table_asset(
    POLICY_EVALUATIONS,
    group="verification",
    kinds={"polars"},
    partitioned=False,
    ins=dict.fromkeys(("greedy_solutions", "problems"), ALL_PARTITIONS),
    code_version=version_of(SETTINGS.seed, SETTINGS.verification.bootstrap),
)
def policy_evaluations(
    greedy_solutions: pl.DataFrame, problems: pl.DataFrame, deployment: DeploymentResource
) -> pl.DataFrame:
    """How many test problems each policy solves greedily, and how many more than its start."""
    settings = deployment.settings
    return evaluate_policies(
        greedy_solutions,
        problems,
        descents_of(settings),
        bootstrap=settings.verification.bootstrap,
        seed=settings.seed,
    )
