"""Which of the paper's claims (arXiv 2312.08935) can be reproduced on word problems?

    python -m benchmarks.paper_study [--json] [--seeds 3] [--keep FOLDER] [--out docs/study]
    python -m benchmarks.paper_study --start saturated --greedy-problems 1000 ...

Each seed runs the pipeline of the profile ``study`` in its own home, with other problems, other
fine-tuning and other draws. The shipped base models are the same. Then it trains the models that
the paper compares (``benchmarks/model_variants.py``). All cores work, with one thread each.
``--keep`` resumes: finished work is not done again. ``--out`` writes findings.md, accuracies.csv
and the figures. Every rate and size was settled on other seeds (docs/lab.md).

With ``--start saturated``, SFT trains for three epochs on all train problems, as the paper's does,
before policies start from it. ``--greedy-problems`` gives greedy accuracy more test problems than
the 200 that have candidates.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import as_completed
from pathlib import Path

import polars as pl

from benchmarks.claims import Finding, weigh
from benchmarks.command import Benchmark, Size
from benchmarks.figures import pyplot
from benchmarks.model_variants import VARIANTS, longer_sft, variant_scores
from benchmarks.paper_claims import claims
from benchmarks.report import Result
from benchmarks.seeds import mean_of, merged, run_profile, single_threaded, spread_of
from benchmarks.study_greedy import more_greedy, study_models
from benchmarks.study_pages import write_pages
from resources.profiles import load_settings
from resources.storage.home import Home
from resources.storage.lake import Lake
from shepherd.schemas import (
    CANDIDATE_SCORES,
    CANDIDATES,
    GREEDY_SOLUTIONS,
    ORACLE_LABELS,
    PROBLEMS,
    STEP_LABELS,
    STEPS,
)
from shepherd.verification import solved_shares

_SMALL_PPO = {
    "iterations": 1,
    "problems_per_iteration": 4,
    "samples_per_problem": 2,
    "num_validation": 2,
}
SMALLEST = {
    "shards": 1,
    "datasets": {
        "word_problems": {"num_train": 16, "num_test": 4},
        "questions": {"num_train": 8},
    },
    "policies": dict.fromkeys(("orm_ppo", "step_ppo", "step_grpo"), _SMALL_PPO),
    "sampling": {"samples_per_problem": 4, "num_candidates": 4, "max_tokens": 60},
    "verification": {"bootstrap": 100},
}
"""Changes to the profile for the smallest size."""

STARTS: Mapping[str, Mapping[str, object]] = {
    "short": {},
    "saturated": {
        "generators": {"generator": {"num_problems": None, "training": {"epochs": 3}}},
    },
}
"""Changes to the profile for each choice of ``--start``."""


def run(options: argparse.Namespace) -> list[Result]:
    """Measure all seeds, weigh every claim, and return each difference with its interval.

    Raises:
        ValueError: ``--out`` is given and matplotlib is not installed.
    """
    if options.out is not None:
        pyplot()  # fails now if matplotlib is not installed, instead of after an hour
    changes = merged(SMALLEST if options.smallest else {}, STARTS[options.start])
    prepare(options.seeds, options.folder, changes, options.greedy_problems)
    outcomes = pl.concat(
        measure(
            seed,
            options.folder / f"seed-{seed}",
            changes,
            options.candidates,
            options.greedy_problems,
        )
        for seed in range(options.seeds)
    )
    findings = [weigh(claim, outcomes) for claim in claims(options.candidates)]
    for finding in findings:
        claim = finding.claim
        print(f"{claim.source}: {claim.statement}: {finding.verdict}", file=sys.stderr)
    if options.out is not None:
        write_pages(outcomes, findings, options.out)
    return [
        *_accuracies(outcomes, options.candidates),
        *(result for finding in findings for result in _results(finding)),
    ]


def prepare(num_seeds: int, folder: Path, changes: Mapping[str, object], num_greedy: int) -> None:
    """Do the long work on all cores: the pipelines, then the variants of each finished one."""
    with single_threaded() as pool:
        homes = {seed: folder / f"seed-{seed}" for seed in range(num_seeds)}
        pipelines = {
            pool.submit(run_profile, "study", seed, home, changes): home
            for seed, home in homes.items()
        }
        variants = []
        for pipeline in as_completed(pipelines):
            profile, home = pipeline.result(), pipelines[pipeline]
            variants.append(pool.submit(longer_sft, num_greedy, home, profile))
            variants += [
                pool.submit(more_greedy, name, num_greedy, home, profile)
                for name in study_models(load_settings(str(profile)))
            ]
            variants += [
                pool.submit(variant_scores, variant, kind, home, profile)
                for variant in VARIANTS
                for kind in variant.kinds
            ]
        for variant in variants:
            variant.result()


def measure(
    seed: int, home: Path, changes: Mapping[str, object], num_candidates: int, num_greedy: int
) -> pl.DataFrame:
    """Return the outcomes of one seed, as :func:`benchmarks.claims.weigh` takes them.

    Work of :func:`prepare` is not done again.
    """
    profile = run_profile("study", seed, home, changes)
    lake, settings = Lake(Home(home).lake), load_settings(str(profile))
    problems, candidates = lake.read(PROBLEMS), lake.read(CANDIDATES)
    scores = {"large": lake.read(CANDIDATE_SCORES)}
    for variant in VARIANTS:
        scores[variant.name] = pl.concat(
            variant_scores(variant, kind, home, profile) for kind in variant.kinds
        )
    by_choice = [
        solved_shares(
            candidates,
            variant_score,
            problems,
            counts=[2**k for k in range(num_candidates.bit_length())],
            groups=settings.verification.groups,
            aggregation=settings.verification.aggregation,
            seed=seed,
        )
        .with_columns(reward_models=pl.lit(name))
        .filter((pl.col("method").str.contains("RM")) | (name == "large"))
        for name, variant_score in scores.items()
    ]
    more = [more_greedy(name, num_greedy, home, profile) for name in study_models(settings)]
    greedy = pl.concat(
        [lake.read(GREEDY_SOLUTIONS), longer_sft(num_greedy, home, profile), *more]
    ).select(
        "generator",
        pl.lit("greedy").alias("method"),
        pl.lit(1).cast(pl.Int64).alias("num_candidates"),
        "problem_id",
        pl.col("is_correct").cast(pl.Float64).alias("solved"),
    )
    outcomes = pl.concat([*by_choice, greedy, right_labels(lake)], how="diagonal")
    has_no_reward_model = ~pl.col("method").str.contains("RM")
    return outcomes.with_columns(
        seed=pl.lit(seed),
        reward_models=pl.when(has_no_reward_model).then(None).otherwise("reward_models"),
    )


def right_labels(lake: Lake) -> pl.DataFrame:
    """Return the share of a problem's steps that each annotator labels as the oracle does.

    The rows are outcomes of a "generator" named labels; the method is the annotator. Last steps do
    not count.
    """
    steps = lake.read(STEPS).filter(~pl.col("is_last")).select("step_id", "problem_id")
    truth = lake.read(ORACLE_LABELS).select("step_id", truth="hard")
    labels = lake.read(STEP_LABELS).filter(pl.col("annotator") != "oracle")
    return (
        labels.join(steps, on="step_id")
        .join(truth, on="step_id")
        .group_by(method="annotator", problem_id="problem_id", maintain_order=True)
        .agg(solved=(pl.col("hard") == pl.col("truth")).mean())
        .with_columns(generator=pl.lit("labels"), num_candidates=pl.lit(1, pl.Int64))
    )


def _accuracies(outcomes: pl.DataFrame, num_candidates: int) -> Iterator[Result]:
    has_one_count = pl.col("method").is_in(["greedy", "pass@1"]) | (pl.col("generator") == "labels")
    largest = outcomes.filter(has_one_count | (pl.col("num_candidates") == num_candidates))
    cells = largest.group_by("generator", "method", "reward_models", maintain_order=True)
    for (generator, method, models), part in cells:
        by_seed = part.group_by("seed").agg(pl.col("solved").mean())["solved"]
        name = ", ".join(str(field) for field in (generator, method, models) if field)
        yield Result(name, mean_of(by_seed), "share")
        yield Result(f"{name} spread", spread_of(by_seed), "share")


def _results(finding: Finding) -> Iterator[Result]:
    claim = finding.claim
    name = f"{claim.source}: {claim.statement}"
    yield Result(name, finding.difference, "share", target=claim.expected, met=finding.as_expected)
    yield Result(f"{name}, low", finding.low, "share")
    yield Result(f"{name}, high", finding.high, "share")
    yield Result(f"{name}, chance", finding.chance, "share")
    variation = finding.variation
    yield Result(f"{name}, deviation over problems", variation.problem_deviation, "share")
    if len(finding.by_seed) > 1:
        yield Result(f"{name}, deviation over seeds", variation.seed_deviation, "share")
        yield Result(f"{name}, low over seeds", variation.low, "share")
        yield Result(f"{name}, high over seeds", variation.high, "share")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the folder of the pages, and what policies start from."""
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="write findings, accuracies and figures there"
    )
    parser.add_argument(
        "--start",
        choices=STARTS,
        default="short",
        help="SFT that policies start from: one epoch of 200 train problems (short), or three of "
        "all (saturated) (default: short)",
    )


BENCHMARK = Benchmark(
    "paper_study",
    __doc__,
    run,
    sizes=[
        Size("seeds", 3, 1, "seeds to measure, from 0 on"),
        Size("candidates", 64, 4, "candidates of a problem, N of the claims"),
        Size("greedy-problems", 200, 6, "test problems that are solved greedily, at least"),
    ],
    resumes=True,
    add_options=add_options,
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
