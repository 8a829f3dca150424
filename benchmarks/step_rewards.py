"""Does the reward of a step make a policy's solutions longer or repetitive?

    python -m benchmarks.step_rewards [--json] [--seed 100] [--keep FOLDER]

Trains the demo's generator by step-by-step PPO as in ``profiles/study.yaml``, with two rewards of a
step: the PRM's score itself, as in the paper, or the difference that the step makes to the score,
as in the profile. Each is trained with the profile's KL penalty and without any, so that the reward
alone acts. Measures greedy solutions of fresh problems of the train split. No test problem is used.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

import polars as pl

from benchmarks.annotated import problems_of
from benchmarks.command import Benchmark, Size
from benchmarks.report import Result
from benchmarks.trained import NUM_PROBLEMS, TrainedModels, trained
from resources.engines import open_reloadable_engine
from resources.profiles import load_settings
from resources.sampling.completion_grading import CompletionGrader
from resources.sampling.solutions import draw_greedily
from resources.sampling.stage import Shard, completion_model_of
from resources.storage.atomic import replacing_folder
from shepherd.identity import content_id
from shepherd.settings import PpoSettings, StepReward
from training.draws import PolicySampler
from training.ppo import PpoRun, train_ppo
from training.scoring import Scorer

REWARDS: tuple[StepReward, ...] = ("score", "difference")


def run(options: argparse.Namespace) -> list[Result]:
    """Train and evaluate a policy for each reward of a step and each KL coefficient."""
    models = trained(
        options.folder,
        seed=options.seed,
        num_validation=options.validation_problems,
        num_train=options.train_problems,
    )
    policy = policy_settings(options)
    results = measure("start", options.folder / "generator", models, options)
    for kl_coefficient in (policy.kl_coefficient, 0.0):
        for step_reward in REWARDS:
            changes = {"step_reward": step_reward, "kl_coefficient": kl_coefficient}
            checkpoint = train(policy.model_copy(update=changes), models, options)
            name = f"{step_reward}, KL {kl_coefficient}"
            results += measure(name, checkpoint, models, options)
    return results


def policy_settings(options: argparse.Namespace) -> PpoSettings:
    """Return the settings of the profile's step-PPO, with the given iterations and problems."""
    policy = load_settings("study").policies["step_ppo"]
    assert isinstance(policy, PpoSettings), "the profile's step_ppo is trained by PPO"
    return policy.model_copy(
        update={
            "iterations": options.iterations,
            "problems_per_iteration": min(policy.problems_per_iteration, options.problems // 2),
            "num_validation": min(policy.num_validation, options.problems // 2),
        }
    )


def train(policy: PpoSettings, models: TrainedModels, options: argparse.Namespace) -> Path:
    """Train a policy, unless its folder exists; return the folder."""
    settings = load_settings("study")
    template = settings.generators["generator"].template
    out = Path(options.folder) / f"step_ppo-{content_id(policy.essence)[:8]}"
    if out.exists():
        return out
    problems = problems_of(settings, seed=options.seed + 30_000, num_problems=options.problems)
    scorer = Scorer(models.process_reward_model, kind="process", template=template, max_length=192)
    open_embedded = partial(open_reloadable_engine, settings.engine)
    with replacing_folder(out) as written:
        train_ppo(
            PpoRun(
                options.folder / "generator",
                problems.with_columns(splitting=pl.lit("auto")),
                written,
                policy,
                template=template,
                scorer=scorer,
                sampler=PolicySampler(open_embedded, settings.sampling.max_tokens, options.seed),
                grade=CompletionGrader().are_correct,
                work=options.folder / f".{out.name}.training",
                on_iteration=lambda metrics: print(metrics, file=sys.stderr),
            )
        )
    return out


def measure(
    name: str, checkpoint: Path, models: TrainedModels, options: argparse.Namespace
) -> list[Result]:
    """Return accuracy, length and repetition of greedy solutions."""
    settings = load_settings("study")
    sampler = completion_model_of(
        checkpoint.name, settings.generators["generator"], checkpoint, settings.engine
    )
    shard = Shard("word_problems", "00", options.folder, options.seed)
    greedy = draw_greedily(models.validation, sampler, settings.sampling, shard).frame
    figures = greedy.select(
        accuracy=pl.col("is_correct").mean(),
        steps=pl.col("num_steps").mean(),
        tokens=pl.col("num_tokens").mean(),
        repeating=(pl.col("num_repeated_steps") > 0).mean(),
    ).row(0, named=True)
    units = {"accuracy": "share", "steps": "steps", "tokens": "tokens", "repeating": "share"}
    return [Result(f"{name}: {key}", value, units[key]) for key, value in figures.items()]


BENCHMARK = Benchmark(
    "step_rewards",
    __doc__,
    run,
    sizes=[
        Size("seed", 100, 100, "seed of problems, training and draws"),
        Size("iterations", 60, 1, "iterations of PPO"),
        Size("problems", 2000, 4, "word problems that policies are trained on"),
        Size("validation-problems", 400, 4, "word problems that are solved greedily"),
        Size("train-problems", NUM_PROBLEMS, 2, "word problems that train generator and PRM"),
    ],
    resumes=True,
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
