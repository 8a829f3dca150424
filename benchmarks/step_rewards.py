"""What does a PRM's reward do to a policy, and what keeps solutions from growing or repeating?

    python -m benchmarks.step_rewards [--json] [--seed 100] [--keep FOLDER]

Step-by-step PPO of the demo's generator, as in ``profiles/study.yaml`` but for the reward of
a step: the score itself, as in the paper, or what the step adds to it, as in the profile. Each
is run with the profile's KL penalty and with none, which lets the reward do its worst.
Greedy solutions of fresh problems of the train split; nothing here sees test problems.
"""

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path

import polars as pl

from benchmarks.annotated import problems_of
from benchmarks.report import Result, main
from benchmarks.trained import trained
from resources.engines import open_engine
from resources.profiles import load_settings
from resources.sampling.completion_grading import CompletionGrader
from resources.sampling.solutions import draw_greedily
from resources.sampling.stage import Shard, completion_model_of
from resources.storage.atomic import replacing_folder
from shepherd.identity import content_id
from shepherd.settings import PpoSettings, StepReward
from training.draws import Sampler
from training.ppo import train_ppo
from training.scoring import Scorer

NUM_PROBLEMS, NUM_VALIDATION = 2000, 400
REWARDS: tuple[StepReward, ...] = ("score", "difference")


def study(folder: Path, seed: int) -> list[Result]:
    """Train and evaluate a policy for each reward of a step."""
    settings = load_settings("study")
    generator = settings.generators["generator"]
    models = trained(folder, seed=seed, num_validation=NUM_VALIDATION)
    start = folder / "generator"
    problems = problems_of(settings, seed=seed + 30_000, num_problems=NUM_PROBLEMS)
    usual = settings.policies["step_ppo"]
    assert isinstance(usual, PpoSettings), "the profile's step_ppo is trained by PPO"
    scorer = Scorer(
        models.process_reward_model, kind="process", template=generator.template, max_length=192
    )
    results = measure("start", start, folder, models.validation, seed)
    for kl_coefficient in (usual.kl_coefficient, 0.0):
        for how in REWARDS:
            name = f"{how}, KL {kl_coefficient}"
            policy = usual.model_copy(update={"step_reward": how, "kl_coefficient": kl_coefficient})
            out = folder / f"step_ppo-{content_id(policy.essence)[:8]}"
            if not out.exists():
                with replacing_folder(out) as written:
                    train_ppo(
                        start,
                        problems.with_columns(splitting=pl.lit("auto")),
                        written,
                        policy,
                        template=generator.template,
                        scorer=scorer,
                        sampler=Sampler(
                            partial(open_engine, settings.engine),
                            settings.sampling.max_tokens,
                            seed,
                        ),
                        grade=CompletionGrader().are_correct,
                        work=folder / f".{out.name}.training",
                        tell=lambda row: print(row, file=sys.stderr),
                    )
            results += measure(name, out, folder, models.validation, seed)
    return results


def measure(
    name: str, checkpoint: Path, folder: Path, problems: pl.DataFrame, seed: int
) -> list[Result]:
    """Return accuracy, length and repetition of greedy solutions."""
    settings = load_settings("study")
    sampler = completion_model_of(
        checkpoint.name, settings.generators["generator"], checkpoint, settings.engine
    )
    shard = Shard("word_problems", "00", folder, seed)
    greedy = draw_greedily(problems, sampler, settings.sampling, shard).frame
    figures = greedy.select(
        accuracy=pl.col("is_correct").mean(),
        steps=pl.col("num_steps").mean(),
        tokens=pl.col("num_tokens").mean(),
        repeating=(pl.col("num_repeated_steps") > 0).mean(),
    ).row(0, named=True)
    units = {"accuracy": "share", "steps": "steps", "tokens": "tokens", "repeating": "share"}
    return [Result(f"{name}: {key}", value, units[key]) for key, value in figures.items()]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seed", type=int, default=100)
    parser.add_argument("--keep", type=Path, help="folder to keep models in, and to resume from")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        main("step_rewards", lambda: study(arguments.keep or Path(temporary), arguments.seed))
