"""Train policies: generators that learn from their own solutions."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import polars as pl

from assets.deployment import WHOLE_TABLE, Deployment, DeploymentResource
from assets.models.fine_tuning import (
    ExamplePlans,
    FineTuning,
    absolute,
    figures_of,
    launch,
    model_asset,
    model_result,
    train_here,
    train_in_processes,
)
from assets.models.generators import gold_of
from assets.sampling_runs import open_samplers
from assets.verification.scoring import REWARD_MODELS
from resources.storage.atomic import publish, replacing_path
from resources.storage.io_manager import MetadataField
from shepherd.settings import PolicySettings, ReinforcementSettings, RftSettings, Settings
from shepherd.training_sets import train_problems

if TYPE_CHECKING:
    from training.policy_metrics import IterationMetrics
    from training.runs import TrainingReport
    from training.scoring import Scorer

FIGURES = (
    "reward",
    "kl",
    "entropy",
    "tokens",
    "steps",
    "repeated_steps",
    "accuracy",
    "held_out_accuracy",
)
"""The figures of each iteration of PPO or GRPO that Dagster logs."""


def policies_of(settings: Settings) -> list[dg.AssetsDefinition]:
    """Return the assets of all policies of a profile."""
    return [policy_of(settings, name, policy) for name, policy in settings.policies.items()]


def policy_of(settings: Settings, name: str, policy: PolicySettings) -> dg.AssetsDefinition:
    """Return the asset of one policy."""
    reward_models = [] if isinstance(policy, RftSettings) else [policy.reward_model]

    @model_asset(
        settings,
        name,
        group="policies",
        description=f"{policy.method} of {policy.start} on train problems.",
        ins={"problems": WHOLE_TABLE},
        deps=[policy.start, *reward_models],
    )
    def trained(
        context: dg.AssetExecutionContext, problems: pl.DataFrame, deployment: DeploymentResource
    ) -> dg.MaterializeResult[None]:
        chosen = train_problems(problems, settings.training_set, "train", settings.seed)
        if isinstance(policy, RftSettings):
            return train_by_rft(deployment, name, policy, chosen)
        return train_by_reinforcement(context, deployment, name, policy, chosen)

    return trained


def train_by_rft(
    deployment: Deployment,
    name: str,
    policy: RftSettings,
    problems: pl.DataFrame,
) -> dg.MaterializeResult[None]:
    """Fine-tune the base of ``policy.start`` on gold solutions and on its own right solutions.

    The gold solutions are those that the start was trained on. Only the right and distinct ones
    of its draws are trained on.
    """
    from shepherd.repeats import distinct_solutions
    from training.rft import rft_examples

    settings, start = deployment.settings, deployment.model(policy.start)
    gold = gold_of(problems.lazy(), start, settings).train.sort("problem_id").collect()

    train = train_here if policy.training.num_processes == 1 else train_in_processes

    def draw_and_train(out: Path) -> "tuple[TrainingReport, pl.DataFrame]":
        # The draws go through a journal of the model, so they are made under its lock.
        draws = draws_of_start(deployment, name, policy, problems)
        examples = rft_examples(gold, draws).lazy()
        plan = FineTuning(
            "sft",
            deployment.models.resolve(start.base),
            ExamplePlans(examples, examples.clear()),
            policy.training,
            template=start.template,
            seed=settings.seed,
            work=deployment.models.work(name),
        )
        return train(plan, out), draws

    report, draws = deployment.models.save(name, draw_and_train)
    return model_result(
        deployment,
        name,
        {
            "draws": draws.height,
            "right_draws": draws.filter("is_correct").height,
            "kept_draws": distinct_solutions(draws).height,
            **figures_of(report),
        },
    )


def draws_of_start(
    deployment: Deployment, name: str, policy: RftSettings, problems: pl.DataFrame
) -> pl.DataFrame:
    """Draw solutions of problems from the start of a policy: CANDIDATES and their questions.

    The costs of the draws are not recorded.
    """
    from resources.sampling.solutions import draw_candidates
    from resources.sampling.stage import Shard

    settings = deployment.settings
    sampling = settings.sampling.model_copy(
        update={"num_candidates": policy.samples_per_problem, "temperature": policy.temperature}
    )
    [sampler] = open_samplers(deployment, [policy.start])

    def draw(dataset: str, part: pl.DataFrame) -> pl.DataFrame:
        work, splitting = deployment.models.work(name), settings.datasets[dataset].splitting
        files = deployment.home.files
        shard = Shard(dataset, "all", work, settings.seed, splitting, files)
        return draw_candidates(part, sampler, sampling, shard).frame

    draws = pl.concat(
        draw(str(dataset), part)
        for (dataset,), part in problems.group_by("dataset", maintain_order=True)
    )
    questions = problems.select("problem_id", "question")
    return draws.join(questions, on="problem_id", maintain_order="left")


def train_by_reinforcement(
    context: dg.AssetExecutionContext,
    deployment: Deployment,
    name: str,
    policy: ReinforcementSettings,
    problems: pl.DataFrame,
) -> dg.MaterializeResult[None]:
    """Train by PPO or GRPO, here or in several processes."""
    methods = {dataset: one.splitting.rule for dataset, one in deployment.settings.datasets.items()}
    problems = problems.with_columns(splitting=pl.col("dataset").replace_strict(methods))

    def train(out: Path) -> "Sequence[IterationMetrics]":
        if policy.num_processes == 1:
            return reinforce_here(context, deployment, name, policy, problems, out)
        return reinforce_in_processes(deployment, name, policy, problems, out)

    rows = deployment.models.save(name, train)
    return model_result(deployment, name, {"iterations": policy.iterations, **learning_curve(rows)})


def reinforce_here(
    context: dg.AssetExecutionContext,
    deployment: Deployment,
    name: str,
    policy: ReinforcementSettings,
    problems: pl.DataFrame,
    out: Path,
) -> "Sequence[IterationMetrics]":
    """Train in this process. Each iteration is logged as an observation while the run goes on."""
    from resources.engines import open_reloadable_engine
    from resources.sampling.completion_grading import CompletionGrader
    from training.draws import PolicySampler
    from training.ppo import PpoRun, train_ppo

    settings, start = deployment.settings, deployment.model(policy.start)
    return train_ppo(
        PpoRun(
            deployment.checkpoint(policy.start),
            problems,
            out,
            policy,
            template=start.template,
            scorer=scorer_of(deployment, policy.reward_model),
            sampler=PolicySampler(
                partial(open_reloadable_engine, settings.engine, log=deployment.home.engine_log),
                settings.sampling.max_tokens,
                settings.seed,
                start.stop,
            ),
            grade=CompletionGrader().are_correct,
            work=deployment.models.work(name),
            on_iteration=lambda metrics: context.log_event(
                dg.AssetObservation(asset_key=name, metadata=_figures(metrics))
            ),
        )
    )


def reinforce_in_processes(
    deployment: Deployment,
    name: str,
    policy: ReinforcementSettings,
    problems: pl.DataFrame,
    out: Path,
) -> "Sequence[IterationMetrics]":
    """Train under ``accelerate launch``, with one process a GPU and an engine in each."""
    from training.command_line import flags_of
    from training.policies import PROFILE_FIELDS

    settings, start = deployment.settings, deployment.model(policy.start)
    judge, work = deployment.model(policy.reward_model), deployment.models.work(name)
    work.mkdir(parents=True, exist_ok=True)
    data = work / "problems.parquet"
    with replacing_path(data) as new:
        problems.write_parquet(new)
        publish(new, data)
    unnamed = {*PROFILE_FIELDS, "kind", "candidates"}
    reported = launch(
        [
            *(policy.kind, f"--base={absolute(deployment.checkpoint(policy.start))}"),
            *("--data", str(data), f"--out={out.absolute()}", f"--work={work.resolve()}"),
            *(f"--template={start.template}", f"--seed={settings.seed}"),
            f"--reward-checkpoint={absolute(deployment.checkpoint(policy.reward_model))}",
            *(f"--reward-template={judge.template}", f"--reward-format={judge.scoring.format}"),
            *(f"--reward-length={length}" for length in [judge.scored_length] if length),
            *(f"--max-tokens={settings.sampling.max_tokens}", *_stop_flags(start.stop)),
            f"--engine-settings={settings.engine.model_dump_json()}",
            f"--engine-log={deployment.home.engine_log.resolve()}",
            *flags_of(policy, without=unnamed),
        ],
        policy.num_processes,
        is_sharded=policy.sharded,
    )
    history: list[IterationMetrics] = reported["history"]
    return history


def _stop_flags(stop: Sequence[str]) -> list[str]:
    return ["--stop", *stop] if stop else []


def scorer_of(deployment: Deployment, reward_model: str) -> "Scorer":
    """Load a reward model of the profile to score solutions with."""
    from training.scoring import Scorer

    settings = deployment.model(reward_model)
    return Scorer(
        deployment.checkpoint(reward_model),
        kind=REWARD_MODELS[reward_model],
        template=settings.template,
        max_length=settings.scored_length,
        format=settings.scoring.format,
    )


def learning_curve(rows: "Sequence[IterationMetrics]") -> dict[str, MetadataField]:
    """Return seconds, the first and the last figures, and all iterations as a table."""
    first, last = rows[0], rows[-1]
    return {
        "seconds": round(sum(row["seconds"] for row in rows), 1),
        **{f"first_{figure}": round(first[figure], 4) for figure in FIGURES},
        **{figure: round(last[figure], 4) for figure in FIGURES},
        "curve": dg.MetadataValue.table([dg.TableRecord(_figures(row)) for row in rows]),
    }


def _figures(row: "IterationMetrics") -> dict[str, float]:
    return {"iteration": int(row["iteration"])} | {name: round(row[name], 4) for name in FIGURES}
