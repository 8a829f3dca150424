import dagster as dg
import polars as pl

from assets.deployment import ALL_PARTITIONS, SETTINGS, DeploymentResource, version_of
from assets.describe import table_asset
from assets.verification.scoring import reward_model_aucs
from shepherd.schemas import EVALUATIONS
from shepherd.verification import evaluate


@table_asset(
    EVALUATIONS,
    group="verification",
    kinds={"polars"},
    partitioned=False,
    ins=dict.fromkeys(("candidates", "candidate_scores", "problems"), ALL_PARTITIONS),
    code_version=version_of(SETTINGS.seed, SETTINGS.verification),
)
def evaluations(
    context: dg.AssetExecutionContext,
    candidates: pl.DataFrame,
    candidate_scores: pl.DataFrame,
    problems: pl.DataFrame,
    deployment: DeploymentResource,
) -> pl.DataFrame:
    """How often each way to choose one of N candidates finds the gold answer."""
    settings = deployment.settings
    aggregation = settings.verification.aggregation
    aucs = reward_model_aucs(candidates, candidate_scores, aggregation)
    context.add_output_metadata({f"auc_{name}": round(auc, 4) for name, auc in aucs.items()})
    return evaluate(
        candidates,
        candidate_scores,
        problems,
        counts=[2**k for k in range(settings.sampling.num_candidates.bit_length())],
        groups=settings.verification.groups,
        aggregation=aggregation,
        bootstrap=settings.verification.bootstrap,
        seed=settings.seed,
    )
