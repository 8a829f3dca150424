"""Does the demo show what the paper shows, in the mean of several seeds?

    python -m benchmarks.demo_study [--json] [--seeds 3] [--keep FOLDER]

Runs the demo's own pipeline (``shepherd run``) once a seed, each in a home of its own,
and reads the lake: other problems, other fine-tuning, other draws; the shipped base models are
the same. ``--keep`` resumes there. Every value is the mean over seeds; ``spread`` is the
standard deviation over seeds.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import polars as pl

from benchmarks.report import Result, at_least, main
from benchmarks.seeds import run_profile, single_threaded
from resources.profiles import load_settings
from resources.storage.home import Home
from resources.storage.lake import Lake
from resources.storage.model_store import BASE_MODELS
from shepherd.labels import label_accuracies
from shepherd.schemas import (
    CANDIDATE_SCORES,
    CANDIDATES,
    EVALUATIONS,
    ORACLE_LABELS,
    PROBLEMS,
    STEP_LABELS,
    STEPS,
)
from shepherd.settings import ModelSettings, Settings
from shepherd.splitting import scored_steps
from shepherd.verification import aggregate, auc_within_problems
from shepherd.word_problems import judge_steps
from training.scoring import score_solutions


def run_seed(seed: int, home: Path) -> dict[str, float]:
    """Run the demo with another seed and return what it measured."""
    profile = run_profile("demo", seed, home)
    return measure(Lake(Home(home).lake), str(profile))


def measure(lake: Lake, profile: str) -> dict[str, float]:
    """Return label accuracy, AUC within problems and accuracy by method at the largest N.

    "answer" AUCs count a candidate as right if its answer is, "process" AUCs only if all its
    steps are: some reach the answer by luck. "base" is the base model asked as a reward model
    before any fine-tuning.
    """
    found = label_accuracies(lake.read(STEP_LABELS), lake.read(ORACLE_LABELS), lake.read(STEPS))
    agreement = found["monte_carlo"].agreement
    assert agreement is not None, "the demo labels steps that are not the last"
    measured = {"label accuracy": agreement}
    settings, problems = load_settings(profile), lake.read(PROBLEMS)
    candidates = lake.read(CANDIDATES).join(problems, on="problem_id", maintain_order="left")
    steps = [scored_steps(text) for text in candidates["text"]]
    candidates = candidates.with_columns(pl.Series("steps", steps, dtype=pl.List(pl.String)))
    candidates = candidates.with_columns(all_right=all_steps_right(candidates))
    measured["right by luck"] = share(candidates.filter("is_correct")["all_right"].not_())
    scores = pl.concat([lake.read(CANDIDATE_SCORES), *base_scores(settings, candidates)])
    scored = scores.join(
        candidates.select("candidate_id", "is_correct", "all_right"), on="candidate_id"
    )
    for (name,), part in scored.group_by("reward_model", maintain_order=True):
        score = aggregate(part["step_scores"], settings.verification.aggregation)
        for truth, column in (("answer", "is_correct"), ("process", "all_right")):
            measured[f"{truth} AUC {name}"] = auc_within_problems(
                score, part[column], part["problem_id"].to_list()
            )
    largest = lake.read(EVALUATIONS).sort("num_candidates").unique("method", keep="last")
    return measured | dict(largest.sort("method").select("method", "accuracy").iter_rows())


def all_steps_right(candidates: pl.DataFrame) -> pl.Series:
    """Say of each candidate whether the oracle finds no fault in any step."""
    return pl.Series(
        [
            all(judge_steps(question, steps))
            for question, steps in candidates.select("question", "steps").iter_rows()
        ]
    )


def base_scores(settings: Settings, candidates: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield ``candidate_scores`` by the base of each reward model, without fine-tuning."""
    models: dict[Literal["outcome", "process"], ModelSettings | None] = {
        "outcome": settings.outcome_reward_model,
        "process": settings.process_reward_model,
    }
    for kind, model in models.items():
        assert model is not None, "the demo trains both"
        assert model.training is not None, "the demo trains both"
        scores = score_solutions(
            BASE_MODELS / model.base,
            candidates,
            kind=kind,
            template=model.template,
            max_length=model.training.max_length,
        )
        yield scores.join(
            candidates.select("candidate_id", "problem_id"), on="candidate_id"
        ).select(
            "candidate_id",
            "problem_id",
            pl.lit(f"{kind} base").alias("reward_model"),
            "step_scores",
        )


def share(flags: pl.Series) -> float:
    """Return the share that is true."""
    return float(flags.mean())  # type: ignore[arg-type]


def study(num_seeds: int, folder: Path) -> list[Result]:
    """Run all seeds and return the results with the issue's expectations as targets."""
    seeds = range(num_seeds)
    with single_threaded() as pool:
        measured = list(pool.map(run_seed, seeds, [folder / f"seed-{seed}" for seed in seeds]))
    frame = pl.DataFrame(measured).insert_column(0, pl.Series("seed", seeds))
    print(frame, file=sys.stderr)
    mean = {name: float(frame[name].mean()) for name in frame.columns}  # type: ignore[arg-type]
    targets = {
        "label accuracy": 0.9,
        "answer AUC process_reward_model": 0.9,
        "answer AUC outcome_reward_model": 0.9,
        "SC": mean["pass@1"],
        "PRM": mean["SC"],
    }
    results = []
    for name in frame.columns[1:]:
        if name in targets:
            results.append(at_least(name, mean[name], "share", targets[name]))
        else:
            results.append(Result(name, mean[name], "share"))
        spread = float(frame[name].std() or 0.0)  # type: ignore[arg-type]
        results.append(Result(f"{name} spread", spread, "share"))
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="folder to keep the homes in, and to resume from")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        main("demo_study", lambda: study(arguments.seeds, arguments.keep or Path(temporary)))
