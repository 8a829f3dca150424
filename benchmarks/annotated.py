"""Solutions of the demo's generator and their raw rollouts, for benchmarks of annotators."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from resources.files.problems import load_problems
from resources.profiles import load_settings
from resources.sampling.rollouts import WrittenSolutions, draw_rollouts, rollout_stage
from resources.sampling.solutions import draw_solutions
from resources.sampling.stage import CompletionModel, Shard, completion_model_of
from resources.storage.atomic import replacing_folder
from resources.storage.model_store import BASE_MODELS
from shepherd.annotators.oracle import oracle_labels
from shepherd.annotators.problem import Annotator, Replay, SolvedProblem, read_problems
from shepherd.identity import content_id
from shepherd.rollouts import split_solutions
from shepherd.settings import ModelSettings, SamplingSettings, Settings
from training.runs import TrainingRun
from training.sft import train_sft

NUM_GOLD = 200
"""Problems that the demo fine-tunes its generator and completer on."""


@dataclass(frozen=True)
class AnnotatedSolutions:
    """Problems, solutions and steps as in the schemas, with the oracle's label of each step."""

    problems: pl.DataFrame
    solutions: pl.DataFrame
    steps: pl.DataFrame
    truth: pl.DataFrame
    by_problem: list[SolvedProblem]
    samplers: dict[str, CompletionModel]
    sampling: SamplingSettings
    shard: Shard


@dataclass(frozen=True)
class CompleterRollouts:
    """Raw rollouts of one completer, and the engine's seconds a completion token."""

    rollouts: pl.DataFrame
    seconds_per_token: float


def demo_solutions(
    folder: Path, *, seed: int, num_problems: int, num_gold: int = NUM_GOLD
) -> AnnotatedSolutions:
    """Fine-tune the demo's generator and completer, and draw solutions of fresh train problems.

    Fine-tuning uses ``num_gold`` other problems. ``folder`` holds models and journals, so that a
    killed benchmark resumes.
    """
    settings = load_settings("demo")
    gold = problems_of(settings, seed=seed, num_problems=num_gold)
    problems = problems_of(settings, seed=seed + 10_000, num_problems=num_problems)
    assert settings.completer is not None, "the demo names its completer"
    models = {"generator": settings.generators["generator"], "completer": settings.completer}
    samplers = {
        name: completion_model_of(
            name, model, _fine_tune(folder / name, model, gold, seed), settings.engine
        )
        for name, model in models.items()
    }
    shard = Shard("word_problems", "00", folder, seed)
    drawn = draw_solutions(problems, samplers["generator"], settings.sampling, shard)
    steps = split_solutions(drawn.frame)
    return AnnotatedSolutions(
        problems,
        drawn.frame,
        steps,
        oracle_labels(steps, problems),
        read_problems(steps, drawn.frame, problems),
        samplers,
        settings.sampling,
        shard,
    )


def weak_completer(folder: Path, *, seed: int, num_gold: int) -> CompletionModel:
    """Return the base of the demo's generator, fine-tuned as a completer on few problems."""
    settings = load_settings("demo")
    assert settings.completer is not None, "the demo names its completer"
    base = settings.generators["generator"].base
    model = settings.completer.model_copy(update={"base": base})
    gold = problems_of(settings, seed=seed, num_problems=num_gold)
    return completion_model_of(
        folder.name, model, _fine_tune(folder, model, gold, seed), settings.engine
    )


def roll_out(
    work: AnnotatedSolutions, completer: str, annotators: Sequence[Annotator]
) -> CompleterRollouts:
    """Draw the rollouts that the annotators ask for, by the model named ``completer``."""
    drawn = draw_rollouts(
        rollout_stage(work.samplers[completer], work.sampling, work.shard),
        WrittenSolutions(work.problems, work.solutions, work.steps),
        annotators,
    )
    cost = drawn.cost.row(0, named=True)
    return CompleterRollouts(drawn.frame, cost["seconds"] / max(1, cost["completion_tokens"]))


def shown_tokens(replays: Iterable[Replay], times: Mapping[str, int] | None = None) -> int:
    """Return the number of completion tokens in the rollouts that an annotator requested.

    ``times`` is how often a prefix counts, by its id; without it, every prefix counts once.
    """
    return sum(
        rollout.num_tokens * (times[content_id(replay.problem.problem_id, prefix)] if times else 1)
        for replay in replays
        for prefix, rollouts in replay.drawn.items()
        for rollout in rollouts
    )


def problems_of(settings: Settings, *, seed: int, num_problems: int) -> pl.DataFrame:
    """Return fresh train problems of the demo's dataset."""
    dataset = settings.datasets["word_problems"].model_copy(
        update={"num_train": num_problems, "num_test": 1}
    )
    return load_problems("word_problems", dataset, seed)[0].filter(split="train")


def _fine_tune(folder: Path, model: ModelSettings, gold: pl.DataFrame, seed: int) -> Path:
    assert model.training is not None, "the demo fine-tunes both"
    if not folder.exists():
        examples = gold.select("question", solution="gold_solution")
        with replacing_folder(folder) as written:
            train_sft(
                TrainingRun(
                    BASE_MODELS / model.base,
                    examples,
                    written,
                    model.training,
                    template=model.template,
                    seed=seed,
                )
            )
    return folder
