"""The policies of the profile: generators that learn from their own solutions."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from assets.deployment import ALL_PARTITIONS, SETTINGS, Deployment, DeploymentResource, version_of
from assets.models.fine_tuning import figures_of, model_asset
from assets.models.generators import gold_of
from assets.sampling_runs import open_samplers
from assets.verification.scoring import REWARD_MODELS
from shepherd.settings import PolicySettings, PpoSettings, RftSettings, Settings, TrainingSettings
from shepherd.training_sets import train_problems

if TYPE_CHECKING:
    from training.ppo_state import IterationMetrics

WATCHED = (
    "reward",
    "kl",
    "entropy",
    "tokens",
    "steps",
    "repeated_steps",
    "accuracy",
    "held_out_accuracy",
)
"""What is told of each iteration of PPO while it runs."""


def policies_of(settings: Settings) -> list[dg.AssetsDefinition]:
    """Return the assets of the policies of a profile."""
    return [policy_asset(name, policy) for name, policy in settings.policies.items()]


def policy_asset(name: str, policy: PolicySettings) -> dg.AssetsDefinition:
    """Return the asset of one policy."""
    train: Callable[..., dg.MaterializeResult[None]] = (
        train_by_rft if isinstance(policy, RftSettings) else train_by_ppo
    )
    judges = [] if isinstance(policy, RftSettings) else [policy.reward_model]

    @model_asset(
        name,
        group="policies",
        description=f"{policy.method} of {policy.start} on train problems.",
        ins={"problems": ALL_PARTITIONS},
        deps=[policy.start, *judges],
        code_version=version_of(
            SETTINGS.seed,
            SETTINGS.sampling.max_tokens,
            policy,
            SETTINGS.training_set,
            # RFT learns from texts as they are kept, PPO is rewarded at the ends of steps.
            *(
                one.splitting.calculations
                if isinstance(policy, RftSettings)
                else one.splitting.method
                for one in SETTINGS.datasets.values()
            ),
        ),
    )
    def model(
        context: dg.AssetExecutionContext, problems: pl.DataFrame, deployment: DeploymentResource
    ) -> dg.MaterializeResult[None]:
        settings = deployment.settings
        asked = train_problems(problems, settings.training_set, "train", settings.seed)
        return train(context, deployment, name, policy, asked)

    return model


def train_by_rft(
    _: dg.AssetExecutionContext,
    deployment: Deployment,
    name: str,
    policy: RftSettings,
    problems: pl.DataFrame,
) -> dg.MaterializeResult[None]:
    """Draw from the start, keep what is right and distinct, and fine-tune its base anew.

    The gold solutions are those that the start learned from. What the draws cost is not kept.
    """
    from resources.sampling.solutions import draw_candidates
    from resources.sampling.stage import Shard
    from shepherd.repeats import distinct_solutions
    from training.rft import train_rft
    from training.runs import TrainingRun

    settings, start = deployment.settings, deployment.model(policy.start)
    sampling = settings.sampling.model_copy(
        update={"num_candidates": policy.samples_per_problem, "temperature": policy.temperature}
    )
    [sampler] = open_samplers(deployment, [policy.start])
    work = deployment.models.work(name)
    draws = pl.concat(
        draw_candidates(
            part,
            sampler,
            sampling,
            Shard(
                str(dataset), "all", work, settings.seed, settings.datasets[str(dataset)].splitting
            ),
        ).frame
        for (dataset,), part in problems.group_by("dataset", maintain_order=True)
    ).join(problems.select("problem_id", "question"), on="problem_id", maintain_order="left")
    gold = gold_of(problems.lazy(), start, settings).train.sort("problem_id").collect()
    report = deployment.models.save(
        name,
        lambda out: train_rft(
            TrainingRun(
                deployment.models.resolve(start.base),
                gold,
                out,
                policy.training,
                template=start.template,
                seed=settings.seed,
                work=work,
            ),
            draws,
        ),
    )
    return dg.MaterializeResult(
        metadata={
            "path": dg.MetadataValue.path(deployment.models.path(name)),
            "draws": draws.height,
            "right_draws": draws.filter("is_correct").height,
            "kept_draws": distinct_solutions(draws).height,
            **figures_of(report),
        }
    )


def train_by_ppo(
    context: dg.AssetExecutionContext,
    deployment: Deployment,
    name: str,
    policy: PpoSettings,
    problems: pl.DataFrame,
) -> dg.MaterializeResult[None]:
    """Train by PPO; each iteration is told as an observation while the run goes on."""
    from resources.engines import open_engine
    from resources.sampling.completion_grading import CompletionGrader
    from training.draws import PolicySampler
    from training.ppo import PpoRun, train_ppo
    from training.scoring import Scorer

    settings, judge = deployment.settings, deployment.model(policy.reward_model)
    start, reward_model = (
        deployment.checkpoint(part) for part in (policy.start, policy.reward_model)
    )
    methods = {dataset: one.splitting.method for dataset, one in settings.datasets.items()}
    problems = problems.with_columns(splitting=pl.col("dataset").replace_strict(methods))
    grader = CompletionGrader()
    rows = deployment.models.save(
        name,
        lambda out: train_ppo(
            PpoRun(
                start,
                problems,
                out,
                policy,
                template=deployment.model(policy.start).template,
                scorer=Scorer(
                    reward_model,
                    kind=REWARD_MODELS[policy.reward_model],
                    template=judge.template,
                    max_length=(judge.training or TrainingSettings()).max_length,
                ),
                sampler=PolicySampler(
                    partial(open_engine, settings.engine),
                    settings.sampling.max_tokens,
                    settings.seed,
                ),
                grade=grader.are_correct,
                work=deployment.models.work(name),
                on_iteration=lambda metrics: context.log_event(
                    dg.AssetObservation(asset_key=name, metadata=_shown(metrics))
                ),
            )
        ),
    )
    first, last = rows[0], rows[-1]
    return dg.MaterializeResult(
        metadata={
            "path": dg.MetadataValue.path(deployment.models.path(name)),
            "iterations": policy.iterations,
            "seconds": round(sum(row["seconds"] for row in rows), 1),
            **{f"first_{watched}": round(first[watched], 4) for watched in WATCHED},
            **{watched: round(last[watched], 4) for watched in WATCHED},
            "curve": dg.MetadataValue.table([dg.TableRecord(_shown(row)) for row in rows]),
        }
    )


def _shown(row: "IterationMetrics") -> dict[str, Any]:
    return {"iteration": int(row["iteration"])} | {name: round(row[name], 4) for name in WATCHED}
