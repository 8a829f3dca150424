"""Does a PRM find the first wrong step, by ProcessBench's F1 (arXiv 2412.06559)?

    python -m benchmarks.process_bench [--json] [--seeds 3] [--problems 60] [--keep FOLDER]
    python -m benchmarks.process_bench --model MODEL --data gsm8k.jsonl [--threshold 0.5]

Without ``--model``, measures the demo's PRM of each seed, and its base model, on distinct solutions
of fresh word problems by the demo's generator. The labels are the oracle's. With ``--model``,
measures a PRM on a file of ProcessBench's rows (problem, steps, label, final_answer_correct,
generator) or of another ``--format`` with step labels.

The predicted first error is the first step that scores below a threshold. If there is none and
the model did not read all steps, nothing is predicted, which counts as wrong. Without
``--threshold``, the solutions of one problem in five choose the threshold, and these do not count.
"""

import argparse
import gzip
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import get_args

import polars as pl

from benchmarks.command import Benchmark, Size
from benchmarks.report import Result
from benchmarks.trained import NUM_PROBLEMS, trained
from resources.sampling.solutions import draw_candidates
from resources.storage.model_store import BASE_MODELS
from shepherd.agreement import (
    NO_ERROR,
    FirstErrorAccuracy,
    best_threshold,
    compare_first_errors,
    first_below,
)
from shepherd.identity import content_id
from shepherd.label_formats import PARSERS, LabeledSolution
from shepherd.reward_formats import FormatChoice
from shepherd.settings import ScoringSettings
from shepherd.splitting import split_steps
from shepherd.verification import count_unscored
from shepherd.word_problems import judge_steps
from training.scoring import Scorer, StepScorer, open_scorer

NUM_CANDIDATES = 16
VALIDATION_SHARE = 5
"""One problem in that many helps to choose the threshold."""


def measure(
    name: str, scorer: StepScorer, solutions: Sequence[LabeledSolution], threshold: float | None
) -> list[Result]:
    """Score solutions and compare the predicted first errors with the labels."""
    truth = pl.Series([s.hard.index(0) if 0 in s.hard else NO_ERROR for s in solutions])
    scores = pl.Series(
        scorer.score(
            [s.question for s in solutions], [s.steps for s in solutions], description=name
        ),
        dtype=pl.List(pl.Float64),
    )
    if threshold is None:
        chooses = pl.Series([chooses_settings(s.question) for s in solutions])
        threshold = best_threshold(scores.filter(chooses), truth.filter(chooses))
        scores, truth = scores.filter(~chooses), truth.filter(~chooses)
    num_unread = int((count_unscored(scores) > 0).sum())
    comparison = compare_first_errors(first_below(scores, threshold), truth)
    return [
        *(
            Result(f"{name}: {measure}", value, "share")
            for measure, value in named_measures(comparison).items()
            if value is not None
        ),
        Result(f"{name}: threshold", threshold, "score"),
        Result(f"{name}: erroneous solutions", comparison.num_wrong, "solutions"),
        Result(f"{name}: correct solutions", comparison.num_right, "solutions"),
        Result(f"{name}: with unscored steps", num_unread, "solutions"),
    ]


def named_measures(comparison: FirstErrorAccuracy) -> dict[str, float | None]:
    """Return ProcessBench's measures by the names of results."""
    return {
        "F1": comparison.f1,
        "accuracy, erroneous": comparison.wrong_accuracy,
        "accuracy, correct": comparison.right_accuracy,
    }


def chooses_settings(question: str) -> bool:
    """Return whether a question's solutions choose thresholds and settings, and do not count."""
    return int(content_id(question.strip()), 16) % VALIDATION_SHARE == 0


def read_rows(path: Path, format_name: str) -> list[LabeledSolution]:
    """Read labelled solutions from a .jsonl or .jsonl.gz file.

    Raises:
        ValueError: the file does not exist, or a line cannot be read; the message names the file,
            the line and the field.
    """
    solutions = []
    for number, line in read_lines(path):
        try:
            solutions += PARSERS[format_name](json.loads(line))
        except ValueError as error:
            raise ValueError(f"{path}:{number}: {error}") from error
    return solutions


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a .jsonl or .jsonl.gz file with their numbers, from 1 on.

    Raises:
        ValueError: the file does not exist.
    """
    if not path.is_file():
        raise ValueError(f"{path.absolute()} does not exist")
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    yield from enumerate(text.splitlines(), start=1)


def word_problem_rows(
    seed: int, folder: Path, options: argparse.Namespace
) -> list[LabeledSolution]:
    """Return distinct solutions of problems that no model was trained on, with oracle labels."""
    models = trained(
        folder,
        seed=seed,
        num_validation=options.problems,
        num_train=options.train_problems,
    )
    sampler = models.work.samplers["generator"]
    sampling = models.work.sampling.model_copy(update={"num_candidates": NUM_CANDIDATES})
    shard = replace(models.work.shard, key="first-errors")
    drawn = draw_candidates(models.validation, sampler, sampling, shard).frame
    rows = (
        drawn.unique(["problem_id", "text"], keep="first", maintain_order=True)
        .filter(pl.col("text") != "")
        .join(models.validation.select("problem_id", "question"), on="problem_id")
        .select("question", "text", "is_correct")
    )
    return [_labelled(*row) for row in rows.iter_rows()]


def _labelled(question: str, text: str, is_correct: bool) -> LabeledSolution:
    steps = tuple(split_steps(text))
    hard = tuple(int(right) for right in judge_steps(question, steps))
    return LabeledSolution(question, steps, hard, (None,) * len(steps), is_correct)


def run(options: argparse.Namespace) -> list[Result]:
    """Measure the given model on a file, or else the demo's models.

    Raises:
        ValueError: only one of ``--model`` and ``--data`` is given, or the file cannot be read.
    """
    if bool(options.model) != bool(options.data):
        raise ValueError("--model and --data belong together: give both or neither")
    return given_model(options) if options.model else demo_models(options)


def demo_models(options: argparse.Namespace) -> list[Result]:
    """Measure the PRM of each seed and its base model; values are means over seeds."""
    values: dict[tuple[str, str], list[float]] = {}
    for seed in range(options.seeds):
        folder = options.folder / f"seed-{seed}"
        solutions = word_problem_rows(seed, folder, options)
        models = {"PRM": folder / "process_reward_model", "base": BASE_MODELS / "base-large"}
        for name, model in models.items():
            scorer = Scorer(model, kind="process", template="plain", max_length=192)
            for result in measure(name, scorer, solutions, None):
                values.setdefault((result.name, result.unit), []).append(result.value)
    return [*_means(values)]


def _means(values: Mapping[tuple[str, str], list[float]]) -> Iterator[Result]:
    for (name, unit), by_seed in values.items():
        yield Result(name, mean(by_seed), unit)
        if unit == "share":
            yield Result(f"{name} spread", stdev(by_seed) if len(by_seed) > 1 else 0.0, unit)


def given_model(options: argparse.Namespace) -> list[Result]:
    """Measure a model on a file."""
    solutions = read_rows(options.data, options.format)
    settings = ScoringSettings(
        format=options.model_format,
        max_length=options.max_length,
        engine=options.engine,
        num_copies=options.num_copies,
    )
    scorer = open_scorer(
        options.model,
        settings,
        kind="process",
        template=options.template,
        max_length=settings.max_length,
    )
    with closing(scorer):
        return measure(Path(options.model).name, scorer, solutions, options.threshold)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the choice of a model and of a file."""
    parser.add_argument("--model", help="folder or hub name of a PRM, with --data")
    parser.add_argument("--data", type=Path, help=".jsonl or .jsonl.gz file of labelled solutions")
    parser.add_argument(
        "--format",
        choices=sorted(PARSERS),
        default="processbench",
        help="format of --data (default processbench)",
    )
    parser.add_argument(
        "--model-format",
        choices=get_args(FormatChoice),
        default="auto",
        help="what --model reads (default: by its name and its parts)",
    )
    parser.add_argument(
        "--template",
        default="plain",
        help="prompt template of --model, if it was trained here (default plain)",
    )
    parser.add_argument(
        "--max-length", type=int, help="tokens of a sequence, at most (default: the model's window)"
    )
    parser.add_argument(
        "--engine",
        choices=("transformers", "vllm"),
        default="transformers",
        help="what computes the scores (default transformers)",
    )
    parser.add_argument(
        "--num-copies", type=int, default=1, help="copies of --model, each on a GPU (default 1)"
    )
    parser.add_argument(
        "--threshold", type=float, help="score below which a step is wrong (default: chosen)"
    )


BENCHMARK = Benchmark(
    "process_bench",
    __doc__,
    run,
    sizes=[
        Size("seeds", 3, 1, "seeds to measure, from 0 on"),
        Size("problems", 60, 8, "word problems of a seed whose solutions are scored"),
        Size("train-problems", NUM_PROBLEMS, 2, "word problems of a seed that train the models"),
    ],
    resumes=True,
    add_options=add_options,
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
