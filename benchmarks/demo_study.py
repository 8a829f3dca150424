"""Does the demo show the paper's results, in the mean of several seeds?

    python -m benchmarks.demo_study [--json] [--seeds 3] [--keep FOLDER]

Runs the pipeline of the profile ``demo`` once a seed, each in its own home, with other problems,
other fine-tuning and other draws. The shipped base models are the same. Every value is the mean
over seeds; ``spread`` is the standard deviation over seeds.
"""

import argparse
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Literal

import polars as pl

from benchmarks.command import Benchmark, Size
from benchmarks.report import Result, at_least
from benchmarks.seeds import map_seeds, mean_of, run_profile, spread_of
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
from shepherd.settings import ModelSettings, ScoringSettings, Settings
from shepherd.splitting import scored_steps
from shepherd.verification import UNSCORED, aggregate, auc_within_problems
from shepherd.word_problems import judge_steps
from training.scoring import score_solutions


def run_seed(seed: int, profile_name: str, folder: Path) -> dict[str, float]:
    """Run a profile with another seed and measure its lake."""
    home = folder / f"seed-{seed}"
    profile = run_profile(profile_name, seed, home)
    return measure(Lake(Home(home).lake), str(profile))


def measure(lake: Lake, profile: str) -> dict[str, float]:
    """Return label accuracy, AUC within problems and accuracy by method at the largest N.

    For "answer" AUCs a candidate is right if its answer is right; for "process" AUCs, only if all
    its steps are right. Some candidates reach the answer by luck. "base" is the base model as a
    reward model before any fine-tuning.
    """
    accuracies = label_accuracies(
        lake.read(STEP_LABELS), lake.read(ORACLE_LABELS), lake.read(STEPS)
    )
    agreement = accuracies["monte_carlo"].agreement
    assert agreement is not None, "the demo labels steps that are not the last"
    measured = {"label accuracy": agreement}
    settings, problems = load_settings(profile), lake.read(PROBLEMS)
    candidates = lake.read(CANDIDATES).join(problems, on="problem_id", maintain_order="left")
    texts = [scored_steps(text) for text in candidates["text"]]
    candidates = candidates.with_columns(pl.Series("steps", texts, dtype=pl.List(pl.String)))
    candidates = candidates.with_columns(all_right=all_steps_right(candidates))
    measured["right by luck"] = mean_of(candidates.filter("is_correct")["all_right"].not_())
    scores = pl.concat([lake.read(CANDIDATE_SCORES), *base_scores(settings, candidates)])
    scored = scores.join(
        candidates.select("candidate_id", "is_correct", "all_right"), on="candidate_id"
    )
    for (name,), part in scored.group_by("reward_model", maintain_order=True):
        score = aggregate(part["step_scores"], settings.verification.aggregation)
        score = score.fill_null(UNSCORED)
        for truth, column in (("answer", "is_correct"), ("process", "all_right")):
            measured[f"{truth} AUC {name}"] = auc_within_problems(
                score, part[column], part["problem_id"].to_list()
            )
    largest = lake.read(EVALUATIONS).sort("num_candidates").unique("method", keep="last")
    return measured | dict(largest.sort("method").select("method", "accuracy").iter_rows())


def all_steps_right(candidates: pl.DataFrame) -> pl.Series:
    """Return whether the oracle calls all steps of a candidate right, (candidates,)."""
    return pl.Series(
        [
            all(judge_steps(question, steps))
            for question, steps in candidates.select("question", "steps").iter_rows()
        ]
    )


def base_scores(settings: Settings, candidates: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield ``candidate_scores`` by the base model of each reward model."""
    # A base model is no reward model, which its format says that it may be read as.
    as_tags = ScoringSettings(format="tags")
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
            settings=as_tags,
        )
        yield scores.join(
            candidates.select("candidate_id", "problem_id"), on="candidate_id"
        ).select(
            "candidate_id",
            "problem_id",
            pl.lit(f"{kind} base").alias("reward_model"),
            "step_scores",
        )


def run(options: argparse.Namespace) -> list[Result]:
    """Run all seeds; the targets are the paper's results and our aims."""
    seeds = range(options.seeds)
    profile_name = "tiny" if options.smallest else "demo"
    run_one = partial(run_seed, profile_name=profile_name, folder=options.folder)
    frame = pl.DataFrame(map_seeds(run_one, seeds))
    print(frame.insert_column(0, pl.Series("seed", seeds)), file=sys.stderr)
    mean = {name: mean_of(frame[name]) for name in frame.columns}
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
        results.append(Result(f"{name} spread", spread_of(frame[name]), "share"))
    return results


BENCHMARK = Benchmark(
    "demo_study",
    __doc__,
    run,
    sizes=[Size("seeds", 3, 1, "seeds to measure, from 0 on; --smallest runs the profile tiny")],
    resumes=True,
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
