"""The demo's generator and a PRM trained on labels of its solutions, for other benchmarks.

    python -m benchmarks.trained --out FOLDER [--seed 0]

Folders keep what is finished, so that a killed benchmark resumes.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from benchmarks.annotated import Annotated, demo_solutions, problems_of, roll_out
from resources.profiles import load_settings
from resources.storage.atomic import replacing_folder
from resources.storage.model_store import BASE_MODELS
from shepherd.annotators.first_success import FirstSuccess
from shepherd.annotators.problem import label_steps, replay_problems
from shepherd.labels import labeled_solutions
from training.prm import train_prm

NUM_PROBLEMS = 200


@dataclass(frozen=True)
class Trained:
    """What one seed gave. ``validation`` are problems that no model has seen."""

    work: Annotated
    process_reward_model: Path
    validation: pl.DataFrame


def trained(folder: Path, *, seed: int, num_validation: int) -> Trained:
    """Train as the demo does: its sizes, rates and number of problems.

    Labels stop at a prefix's first success, which gives the demo's hard labels for less.
    """
    settings = load_settings("demo")
    work = demo_solutions(folder, seed=seed, num_problems=NUM_PROBLEMS)
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
            train_prm(base, examples, written, model.training, template=model.template, seed=seed)
    validation = problems_of(settings, seed=seed + 20_000, num_problems=num_validation)
    return Trained(work, checkpoint, validation)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    trained(arguments.out, seed=arguments.seed, num_validation=1)
