"""Evaluate verification: best-of-N by each method."""

import dagster as dg
import polars as pl

from assets.deployment import WHOLE_TABLE
from assets.tables import table_asset
from assets.verification.scoring import reward_model_aucs
from shepherd.schemas import EVALUATIONS
from shepherd.settings import Settings
from shepherd.verification import evaluate


def evaluations_of(settings: Settings) -> dg.AssetsDefinition:
    """Return the asset of all evaluations."""

    @table_asset(
        settings,
        EVALUATIONS,
        group="verification",
        kinds={"polars"},
        is_partitioned=False,
        ins=dict.fromkeys(("candidates", "candidate_scores", "problems"), WHOLE_TABLE),
    )
    def evaluations(
        context: dg.AssetExecutionContext,
        candidates: pl.DataFrame,
        candidate_scores: pl.DataFrame,
        problems: pl.DataFrame,
    ) -> pl.DataFrame:
        """Share of test problems that each method solves by its choice among N candidates."""
        verification = settings.verification
        aucs = reward_model_aucs(candidates, candidate_scores, verification.aggregation)
        numbers = {f"auc_{name}": round(auc, 4) for name, auc in aucs.items()}
        context.add_asset_metadata(numbers, asset_key=EVALUATIONS.name)
        return evaluate(
            candidates,
            candidate_scores,
            problems,
            counts=[2**k for k in range(settings.sampling.num_candidates.bit_length())],
            groups=verification.groups,
            aggregation=verification.aggregation,
            bootstrap=verification.bootstrap,
            seed=settings.seed,
        )

    return evaluations
