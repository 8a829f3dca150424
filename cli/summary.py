"""Print the results of a run as a few tables on the console."""

import polars as pl

from assets.deployment import Deployment
from assets.verification.scoring import reward_model_aucs
from cli.tables import plain_tables
from shepherd.labels import label_accuracies
from shepherd.schemas import (
    CANDIDATE_COSTS,
    CANDIDATE_SCORES,
    CANDIDATES,
    CRITIQUE_COSTS,
    ENTAILMENT_COSTS,
    EVALUATIONS,
    ORACLE_LABELS,
    POLICY_EVALUATIONS,
    PROBLEMS,
    ROLLOUT_COSTS,
    ROLLOUTS,
    SOLUTION_COSTS,
    SOLUTIONS,
    STEP_LABELS,
    STEPS,
    Table,
)


def print_summary(deployment: Deployment, seconds: float) -> None:
    """Print row counts, label accuracy, verification and costs of the lake."""
    lake = deployment.lake
    written = {table for table in _SHOWN if lake.files(table)}
    with plain_tables(float_precision=3):
        print(f"\n== Done in {seconds:.0f} s ==")
        _show("Rows", counts(deployment, [table for table in _COUNTED if table in written]))
        if ORACLE_LABELS in written:
            by_annotator = label_accuracies(
                lake.read(STEP_LABELS), lake.read(ORACLE_LABELS), lake.read(STEPS)
            )
            _show(
                "Hard labels against the oracle, steps that are not the last",
                pl.DataFrame(
                    [{"annotator": name, **vars(of)} for name, of in by_annotator.items()]
                ),
            )
        if CANDIDATE_SCORES in written:
            aucs = reward_model_aucs(
                lake.read(CANDIDATES),
                lake.read(CANDIDATE_SCORES),
                deployment.settings.verification.aggregation,
            )
            _show("AUC among the candidates of one problem", pl.DataFrame([aucs]))
        if EVALUATIONS in written:
            _show(
                "Share of test problems solved, by N of best-of-N",
                accuracies(lake.read(EVALUATIONS)),
            )
        if POLICY_EVALUATIONS in written:
            _show("Greedy accuracy of policies", greedy_accuracies(lake.read(POLICY_EVALUATIONS)))
        costs = [lake.read(table) for table in _COSTS if table in written]
        if costs:
            _show("Costs", total_costs(pl.concat(costs)))


_COUNTED = (PROBLEMS, SOLUTIONS, STEPS, ROLLOUTS, STEP_LABELS, CANDIDATES)
_COSTS = (SOLUTION_COSTS, ROLLOUT_COSTS, CRITIQUE_COSTS, ENTAILMENT_COSTS, CANDIDATE_COSTS)
_SHOWN: tuple[Table, ...] = (
    *_COUNTED,
    *_COSTS,
    ORACLE_LABELS,
    CANDIDATE_SCORES,
    EVALUATIONS,
    POLICY_EVALUATIONS,
)


def counts(deployment: Deployment, tables: list[Table]) -> pl.DataFrame:
    """Return the rows of each table by dataset."""
    lake = deployment.lake
    return pl.DataFrame(
        [
            {
                "dataset": dataset,
                **{table.name: lake.read(table, dataset).height for table in tables},
            }
            for dataset in sorted(deployment.settings.datasets)
        ]
    )


def accuracies(evaluations: pl.DataFrame) -> pl.DataFrame:
    """Return one row per generator and method, one column per N; pass@1 is any method's N = 1."""
    return (
        evaluations.filter(pl.col("method") != "pass@1")
        .sort("num_candidates")
        .pivot("num_candidates", index=["dataset", "generator", "method"], values="accuracy")
        .sort("dataset", "generator", maintain_order=True)
    )


def greedy_accuracies(policies: pl.DataFrame) -> pl.DataFrame:
    """Return one row per policy: accuracy, gain over its start, length and repetition."""
    return policies.select(
        *("dataset", "policy", "method", "accuracy", "gain", "gain_low", "gain_high"),
        *("mean_steps", "share_repeating"),
    )


def total_costs(costs: pl.DataFrame) -> pl.DataFrame:
    """Return what each stage and model took over all partitions.

    ``cached`` is the share of the prompt tokens that were read from a prefix cache.
    """
    seconds, prompt_tokens = pl.col("seconds").sum(), pl.col("prompt_tokens").sum()
    return costs.group_by("stage", "model", maintain_order=True).agg(
        completions=pl.col("num_requests").sum(),
        merged=pl.col("num_merged").sum(),
        cached=pl.when(prompt_tokens > 0).then(pl.col("cached_tokens").sum() / prompt_tokens),
        tokens=pl.col("completion_tokens").sum(),
        seconds=seconds,
        tokens_per_second=pl.when(seconds > 0).then(pl.col("completion_tokens").sum() / seconds),
    )


def _show(title: str, table: pl.DataFrame) -> None:
    if table.width:
        print(f"\n{title}\n{table}")
