"""Score candidates with the reward models of a profile, and measure how well they rank."""

import math
from typing import Literal

import polars as pl

from assets.deployment import Deployment, models_of
from resources.storage.io_manager import Frames, Partition
from shepherd.schemas import CANDIDATE_SCORES, HELD_OUT_SCORES
from shepherd.splitting import scored_steps
from shepherd.verification import UNSCORED, Aggregation, aggregate, auc_within_problems

REWARD_MODELS: dict[str, Literal["outcome", "process"]] = {
    "outcome_reward_model": "outcome",
    "process_reward_model": "process",
}


def score_candidates(
    deployment: Deployment, candidates: pl.DataFrame, problems: pl.DataFrame
) -> pl.DataFrame:
    """Return ``candidate_scores``: the scores of each candidate by each reward model."""
    from training.scoring import score_solutions

    scorable = candidates.join(
        problems.select("problem_id", "question", "dataset"),
        on="problem_id",
        maintain_order="left",
    )
    datasets = deployment.settings.datasets
    steps = [
        scored_steps(text, datasets[dataset].splitting.rule)
        for text, dataset in scorable.select("text", "dataset").iter_rows()
    ]
    scorable = scorable.with_columns(pl.Series("steps", steps, dtype=pl.List(pl.String)))
    scored = [CANDIDATE_SCORES.empty()]
    for name, model in models_of(deployment.settings).items():
        if name not in REWARD_MODELS or candidates.is_empty():
            continue
        scores = score_solutions(
            deployment.checkpoint(name),
            scorable,
            kind=REWARD_MODELS[name],
            template=model.template,
            max_length=model.scored_length,
            settings=model.scoring_here,
        )
        scored.append(
            scores.join(scorable.select("candidate_id", "problem_id"), on="candidate_id")
            .with_columns(reward_model=pl.lit(name))
            .select(CANDIDATE_SCORES.schema.keys())
        )
    return pl.concat(scored)


def score_held_out(deployment: Deployment, solutions: Frames) -> Frames:
    """Return ``held_out_scores``: the PRM's scores of (solution_id, problem_id, question, steps).

    The model is opened once for all partitions.
    """
    from training.scoring import score_solutions

    name, model = "process_reward_model", deployment.model("process_reward_model")
    every = pl.concat(solutions.values())
    scores = HELD_OUT_SCORES.empty().select("solution_id", "step_scores")
    if every.height:
        scores = score_solutions(
            deployment.checkpoint(name),
            every.rename({"solution_id": "candidate_id"}),
            kind=REWARD_MODELS[name],
            template=model.template,
            max_length=model.scored_length,
            settings=model.scoring_here,
        ).rename({"candidate_id": "solution_id"})

    def of_partition(at: Partition) -> pl.DataFrame:
        ids = solutions[at].select("solution_id", "problem_id")
        return (
            ids.join(scores, on="solution_id", maintain_order="left")
            .with_columns(reward_model=pl.lit(name))
            .select(HELD_OUT_SCORES.schema.keys())
        )

    return Frames(solutions.partitions, of_partition)


def reward_model_aucs(
    candidates: pl.DataFrame, candidate_scores: pl.DataFrame, aggregation: Aggregation
) -> dict[str, float]:
    """Return the AUC of each reward model among the candidates of one problem.

    It is the mean over problems, in [0, 1]. A reward model is left out if no problem has both
    right and wrong candidates. Candidates with unscored steps rank last.
    """
    scores = aggregate(candidate_scores["step_scores"], aggregation)
    scored = candidate_scores.with_columns(score=scores.fill_null(UNSCORED)).join(
        candidates.select("candidate_id", "is_correct"), on="candidate_id"
    )
    aucs = {
        str(name): auc_within_problems(
            part["score"], part["is_correct"], part["problem_id"].to_list()
        )
        for (name,), part in scored.group_by("reward_model", maintain_order=True)
    }
    return {name: value for name, value in aucs.items() if not math.isnan(value)}
