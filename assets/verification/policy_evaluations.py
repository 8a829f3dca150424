"""Evaluate policies: greedy accuracy, and the gain over the model each started from."""

import dagster as dg
import polars as pl

from assets.deployment import WHOLE_TABLE
from assets.tables import table_asset
from shepherd.policies import descents_of, evaluate_policies
from shepherd.schemas import POLICY_EVALUATIONS
from shepherd.settings import Settings


def policy_evaluations_of(settings: Settings) -> dg.AssetsDefinition:
    """Return the asset of the evaluations of all policies and generators."""

    @table_asset(
        settings,
        POLICY_EVALUATIONS,
        group="verification",
        kinds={"polars"},
        is_partitioned=False,
        ins=dict.fromkeys(("greedy_solutions", "problems"), WHOLE_TABLE),
    )
    def policy_evaluations(greedy_solutions: pl.DataFrame, problems: pl.DataFrame) -> pl.DataFrame:
        """Share of test problems that each policy solves greedily, and its gain."""
        return evaluate_policies(
            greedy_solutions,
            problems,
            descents_of(settings),
            bootstrap=settings.verification.bootstrap,
            seed=settings.seed,
        )

    return policy_evaluations
