"""The demo's generator and a PRM trained on labels of its solutions, for other benchmarks.

Finished models stay in their folder, so that a killed benchmark resumes.
"""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from benchmarks.annotated import NUM_GOLD, AnnotatedSolutions, demo_solutions, problems_of, roll_out
from resources.profiles import load_settings
from resources.storage.atomic import replacing_folder
from resources.storage.model_store import BASE_MODELS
from shepherd.annotators.first_success import FirstSuccess
from shepherd.annotators.problem import label_steps, replay_problems
from shepherd.labels import labeled_solutions
from training.prm import train_prm
from training.runs import TrainingRun

NUM_PROBLEMS = 200
"""Problems whose solutions are labelled to train the PRM."""


@dataclass(frozen=True)
class TrainedModels:
    """The models of one seed; ``validation`` holds problems that no model was trained on."""

    work: AnnotatedSolutions
    process_reward_model: Path
    validation: pl.DataFrame


def trained(
    folder: Path, *, seed: int, num_validation: int, num_train: int = NUM_PROBLEMS
) -> TrainedModels:
    """Train with the demo's sizes, rates and, by default, number of problems.

    Annotation stops at a prefix's first success: the same hard labels as the demo's, fewer tokens.
    """
    settings = load_settings("demo")
    work = demo_solutions(
        folder, seed=seed, num_problems=num_train, num_gold=min(NUM_GOLD, num_train)
    )
    checkpoint, model = folder / "process_reward_model", settings.process_reward_model
    assert model is not None, "the demo trains one"
    assert model.training is not None, "the demo trains one"
    if not checkpoint.exists():
        annotator = FirstSuccess(settings.annotation.max_rollouts)
        rolled = roll_out(work, "completer", [annotator])
        replays = replay_problems(annotator, work.by_problem, rolled.rollouts)
        labels = label_steps(annotator, work.steps, replays)
        labeled = labeled_solutions(work.solutions, work.steps, labels, work.problems)
        examples = labeled.select("question", "steps", labels="hard")
        base = BASE_MODELS / model.base
        with replacing_folder(checkpoint) as written:
            train_prm(
                TrainingRun(
                    base, examples, written, model.training, template=model.template, seed=seed
                )
            )
    validation = problems_of(settings, seed=seed + 20_000, num_problems=num_validation)
    return TrainedModels(work, checkpoint, validation)
