"""Does a PRM find the first wrong step? ProcessBench's F1 (arXiv 2412.06559).

    python -m benchmarks.process_bench [--json] [--seeds 3] [--problems 60] [--keep FOLDER]
    python -m benchmarks.process_bench --model MODEL --data gsm8k.jsonl [--threshold 0.5]

By default: the demo's PRM of each seed, and the base model before training, on distinct solutions
of fresh word problems by the demo's generator, with the oracle's labels. ``--data`` is a file of
ProcessBench's rows (problem, steps, label, final_answer_correct, generator), or of another
``--format`` with labels of steps. The first step that scores less than a threshold is the found
error; the threshold is chosen on the solutions of one problem in five, which do not count, or
given.
"""

import argparse
import gzip
import json
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from benchmarks.report import Result, main
from benchmarks.trained import trained
from resources.sampling.solutions import draw_candidates
from resources.storage.model_store import BASE_MODELS
from shepherd.agreement import NO_ERROR, best_threshold, compare_first_errors, first_below
from shepherd.identity import content_id
from shepherd.label_formats import PARSERS, LabeledSolution
from shepherd.splitting import split_steps
from shepherd.word_problems import judge_steps
from training.scoring import Scorer

NUM_CANDIDATES = 16
VALIDATION_SHARE = 5
"""One problem in that many chooses the threshold."""


def measure(
    name: str, scorer: Scorer, solutions: Sequence[LabeledSolution], threshold: float | None
) -> list[Result]:
    """Score solutions and return how well their first errors are found."""
    truth = pl.Series([s.hard.index(0) if 0 in s.hard else NO_ERROR for s in solutions])
    scores = pl.Series(
        scorer.score(
            [s.question for s in solutions], [s.steps for s in solutions], description=name
        ),
        dtype=pl.List(pl.Float64),
    )
    if threshold is None:
        chooses = pl.Series(
            [int(content_id(s.question), 16) % VALIDATION_SHARE == 0 for s in solutions]
        )
        threshold = best_threshold(scores.filter(chooses), truth.filter(chooses))
        scores, truth = scores.filter(~chooses), truth.filter(~chooses)
    found = compare_first_errors(first_below(scores, threshold), truth)
    values = {
        "F1": found.f1,
        "accuracy, erroneous": found.wrong_accuracy,
        "accuracy, correct": found.right_accuracy,
    }
    return [
        *(
            Result(f"{name}: {what}", value, "share")
            for what, value in values.items()
            if value is not None
        ),
        Result(f"{name}: threshold", threshold, "score"),
        Result(f"{name}: erroneous solutions", found.num_wrong, "solutions"),
        Result(f"{name}: correct solutions", found.num_right, "solutions"),
    ]


def read_rows(path: Path, format_name: str) -> list[LabeledSolution]:
    """Read labelled solutions from a .jsonl or .jsonl.gz file.

    Raises:
        ValueError: a line cannot be read; the message names file, line and field.
    """
    content = path.read_bytes()
    lines = (gzip.decompress(content) if path.suffix == ".gz" else content).decode().splitlines()
    solutions = []
    for number, line in enumerate(lines, start=1):
        try:
            solutions += PARSERS[format_name](json.loads(line))
        except ValueError as error:
            raise ValueError(f"{path}:{number}: {error}") from error
    return solutions


def word_problem_rows(seed: int, folder: Path, num_problems: int) -> list[LabeledSolution]:
    """Return distinct solutions of problems that no model has seen, labelled by the oracle."""
    models = trained(folder, seed=seed, num_validation=num_problems)
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


def study(num_seeds: int, num_problems: int, folder: Path) -> list[Result]:
    """Measure the PRM of each seed and its base; values are means over seeds."""
    found: dict[tuple[str, str], list[float]] = {}
    for seed in range(num_seeds):
        home = folder / f"seed-{seed}"
        solutions = word_problem_rows(seed, home, num_problems)
        models = {"PRM": home / "process_reward_model", "base": BASE_MODELS / "base-large"}
        for name, model in models.items():
            scorer = Scorer(model, kind="process", template="plain", max_length=192)
            for result in measure(name, scorer, solutions, None):
                found.setdefault((result.name, result.unit), []).append(result.value)
    return [*_means(found.items())]


def _means(found: Iterable[tuple[tuple[str, str], list[float]]]) -> Iterable[Result]:
    for (name, unit), values in found:
        series = pl.Series(values)
        yield Result(name, float(series.mean()), unit)  # type: ignore[arg-type]
        if unit == "share":
            yield Result(f"{name} spread", float(series.std() or 0.0), unit)  # type: ignore[arg-type]


def one_model(options: argparse.Namespace) -> list[Result]:
    """Measure a model on a file."""
    scorer = Scorer(
        options.model, kind="process", template=options.template, max_length=options.max_length
    )
    return measure(
        Path(options.model).name, scorer, read_rows(options.data, options.format), options.threshold
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--model", help="folder or hub name of a PRM; with --data")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--format", choices=sorted(PARSERS), default="processbench")
    parser.add_argument("--template", default="plain")
    parser.add_argument("--max-length", type=int, default=2048)
    parser.add_argument("--threshold", type=float)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--problems", type=int, default=60)
    parser.add_argument("--keep", type=Path, help="folder to keep the models in, and resume from")
    arguments = parser.parse_args()
    if bool(arguments.model) != bool(arguments.data):
        parser.error("--model and --data go together")
    if arguments.model:
        main("process_bench", lambda: one_model(arguments))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            folder = arguments.keep or Path(temporary)
            main("process_bench", lambda: study(arguments.seeds, arguments.problems, folder))
