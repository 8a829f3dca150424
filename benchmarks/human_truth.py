"""Do annotators find the first wrong step that people found, and at what cost?

    python -m benchmarks.human_truth --settings truth.yaml --data FOLDER [--subset gsm8k]
        [--gold test.jsonl] [--keep FOLDER] [--drawn] [--tuning] [--json]

``--data`` is a folder of ProcessBench's files (arXiv 2412.06559): solutions of many models, whose
first wrong step people named. ``--settings`` is a YAML file with sections of a profile: completer,
engine, sampling, annotation and seed. Without them, measures the annotators on made word problems,
with the oracle as truth and a shipped base model as completer.

A solution without labels counts as a miss. Intervals are those of a bootstrap over problems; the
same resamples compare annotators with ``monte_carlo``. The solutions of one problem in five are for
settings and do not count; ``--tuning`` measures them instead.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.annotated import AnnotatedSolutions, CompleterRollouts, roll_out
from benchmarks.annotator_labels import AnnotatorLabels
from benchmarks.command import Benchmark, Size
from benchmarks.human_rows import SUBSETS, read_subset, written_rows
from benchmarks.process_bench import chooses_settings, named_measures
from benchmarks.report import Result, at_least, at_most
from benchmarks.truth_draws import drawn_part, part_of, with_completer
from benchmarks.truth_labels import label_all
from benchmarks.truth_settings import WITHOUT_MODEL, TruthSettings
from resources.grading import grade_pairs
from resources.profiles import read_section
from shepherd.agreement import NO_ERROR, compare_first_errors, first_errors
from shepherd.answers import extract_answer
from shepherd.first_error_intervals import Resampled, interval, resample
from shepherd.intervals import bootstrap_weights

NUM_RESAMPLES = 2_000
MAX_TOKEN_SHARE, MAX_F1_LOSS = 0.15, 0.05
"""What ``adaptive`` may cost and lose, compared with ``monte_carlo``."""


def run(options: argparse.Namespace) -> list[Result]:
    """Draw, label and compare.

    Raises:
        ValueError: only one of ``--settings`` and ``--data`` is given, or a file cannot be read.
    """
    if bool(options.settings) != bool(options.data):
        raise ValueError("--settings and --data belong together: give both or neither")
    if options.settings:
        settings = read_section(options.settings, TruthSettings, "completer: ..., engine: ...")
        work = read_subset(options.data, options.subset, options.gold)
    else:
        settings = EMBEDDED
        work = written_rows(options.problems)
    work = with_completer(chosen(work, options), settings, options.folder / "draws")
    annotators = settings.annotation.annotators_that_roll_out()
    if options.drawn:
        work, rollouts = drawn_part(work, annotators)
    else:
        rollouts = roll_out(work, "completer", annotators)
    labels = label_all(work, rollouts, settings, options.folder / "draws")
    return [*sample(work, rollouts), *measure_all(labels, work)]


def chosen(work: AnnotatedSolutions, options: argparse.Namespace) -> AnnotatedSolutions:
    """Return the first problems, by their ids, that count (or choose settings: ``--tuning``)."""
    ids = [
        problem.problem_id
        for problem in work.by_problem
        if options.settings is None or chooses_settings(problem.question) == options.tuning
    ]
    return part_of(work, ids[: options.problems])


def sample(work: AnnotatedSolutions, rollouts: CompleterRollouts) -> Iterator[Result]:
    """Yield what was measured on, and how often rollouts succeed after right and wrong steps."""
    yield Result("problems", work.problems.height, "problems")
    yield Result("solutions", work.solutions.height, "solutions")
    named = first_errors(work.truth, work.steps)["first_error"]
    yield Result("solutions with an error", int((named != NO_ERROR).sum()), "solutions")
    labelled = work.steps.filter(~pl.col("is_last")).join(
        work.truth.select("step_id", "hard"), on="step_id"
    )
    yield Result("steps that are not the last", labelled.height, "steps")
    golds = dict(work.problems.select("problem_id", "gold_answer").iter_rows())
    rows = work.solutions.select("problem_id", "text", "is_correct").rows()
    verdicts = grade_pairs(
        [(golds[problem_id], extract_answer(text)) for problem_id, text, _ in rows]
    )
    differing = sum(v.correct != right for v, (_, _, right) in zip(verdicts, rows, strict=True))
    yield Result("answers that our grader judges otherwise", differing, "solutions")
    counted = rollouts.rollouts.join(
        labelled.select("prefix_id", "hard").unique("prefix_id"), on="prefix_id"
    )
    yield Result("rollouts", counted.height, "rollouts")
    for hard, name in ((1, "right"), (0, "wrong")):
        share = counted.filter(hard=hard)["is_correct"].mean()
        if isinstance(share, float):
            yield Result(f"rollouts that succeed after {name} steps", share, "share")
    cut = (rollouts.rollouts["finish_reason"] == "length").mean()
    if isinstance(cut, float):
        yield Result("rollouts cut at the limit", cut, "share")
    if rollouts.seconds_per_token:
        yield Result("tokens a second", 1 / rollouts.seconds_per_token, "tokens")


def measure_all(labels: Sequence[AnnotatorLabels], work: AnnotatedSolutions) -> Iterator[Result]:
    """Yield the results of each annotator, and its paired difference to ``monte_carlo``."""
    weights = bootstrap_weights(
        "human_truth", work.problems.height, num_resamples=NUM_RESAMPLES, seed=0
    )
    truth = first_errors(work.truth, work.steps).join(
        work.solutions.select("solution_id", "problem_id", "is_correct"), on="solution_id"
    )
    predictions = {one.name: predicted(one, truth, work) for one in labels}
    resamples = {
        name: resample(of_one, truth["first_error"], truth["problem_id"], weights)
        for name, of_one in predictions.items()
    }
    num_steps = work.steps.filter(~pl.col("is_last")).height
    for one in labels:
        yield from measure(one.name, predictions[one.name], truth, resamples[one.name])
        yield Result(f"{one.name}: tokens a label", one.tokens / num_steps, "tokens")
        yield Result(f"{one.name}: seconds a label", one.seconds / num_steps, "s")
    by_name = {one.name: one for one in labels}
    if exact := by_name.get("monte_carlo"):
        for one in labels:
            if one is not exact:
                yield from difference(one, exact, resamples)


def predicted(labels: AnnotatorLabels, truth: pl.DataFrame, work: AnnotatedSolutions) -> pl.Series:
    """Return the first error of each solution of ``truth``; null for an unlabelled one."""
    named = first_errors(labels.frame, work.steps).select("solution_id", predicted="first_error")
    return truth.join(named, on="solution_id", how="left", maintain_order="left")["predicted"]


def measure(
    name: str, predicted: pl.Series, truth: pl.DataFrame, resampled: Resampled
) -> Iterator[Result]:
    """Yield how well one annotator finds first errors, and those of right answers."""
    values = named_measures(compare_first_errors(predicted, truth["first_error"]))
    samples = (resampled.f1, resampled.wrong_accuracy, resampled.right_accuracy)
    for (measured, value), of_one in zip(values.items(), samples, strict=True):
        if value is not None:
            yield Result(f"{name}: {measured}", value, "share")
            yield from _ends(f"{name}: {measured}", of_one)
    yield Result(f"{name}: unlabelled", predicted.null_count(), "solutions")
    is_wrong, is_named = truth["first_error"] != NO_ERROR, predicted != NO_ERROR
    early = is_wrong & is_named & (predicted < truth["first_error"])
    late = is_wrong & (~is_named | (predicted > truth["first_error"]))
    yield Result(f"{name}: error named too early", int(early.sum()), "solutions")
    yield Result(f"{name}: error named too late or never", int(late.sum()), "solutions")
    lucky = truth["is_correct"] & (truth["first_error"] != NO_ERROR)
    if num_lucky := int(lucky.sum()):
        found, where = predicted.filter(lucky), truth["first_error"].filter(lucky)
        yield Result(f"{name}: right answers by wrong ways", num_lucky, "solutions")
        num_found = int((found != NO_ERROR).fill_null(False).sum())
        yield Result(f"{name}: of these found", num_found, "solutions")
        num_exact = int((found == where).fill_null(False).sum())
        yield Result(f"{name}: of these found at the step", num_exact, "solutions")


def difference(
    one: AnnotatorLabels, exact: AnnotatorLabels, resamples: dict[str, Resampled]
) -> Iterator[Result]:
    """Yield how an annotator's F1 and tokens compare with those of ``monte_carlo``.

    ``adaptive`` has targets for both.
    """
    is_ours = one.name == "adaptive"
    losses = resamples[one.name].f1 - resamples[exact.name].f1
    for end in _ends(f"{one.name} - {exact.name}: F1", losses):
        has_target = is_ours and end.name.endswith("low")
        yield at_least(end.name, end.value, end.unit, -MAX_F1_LOSS) if has_target else end
    if exact.tokens and one.tokens:
        name, share = f"{one.name}, of {exact.name}'s tokens", one.tokens / exact.tokens
        yield (
            at_most(name, share, "share", MAX_TOKEN_SHARE)
            if is_ours
            else Result(name, share, "share")
        )


def _ends(name: str, resampled: NDArray[np.float64]) -> Iterator[Result]:
    """Yield the ends of an interval, if any resample has a value."""
    if not np.isnan(resampled).all():
        low, high = interval(resampled)
        yield Result(f"{name}, low", low, "share")
        yield Result(f"{name}, high", high, "share")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the files, and which of their solutions are measured."""
    parser.add_argument("--settings", type=Path, help="YAML file of models and annotators")
    parser.add_argument(
        "--data", type=Path, metavar="FOLDER", help="folder of ProcessBench's files"
    )
    parser.add_argument(
        "--subset", choices=sorted(SUBSETS), default="gsm8k", help="file of --data (default gsm8k)"
    )
    parser.add_argument(
        "--gold",
        type=Path,
        metavar="FILE",
        help="published problems of the subset: their answers, and solutions for rule and nli",
    )
    parser.add_argument(
        "--drawn", action="store_true", help="measure what --keep holds; draw no rollouts"
    )
    parser.add_argument(
        "--tuning", action="store_true", help="measure the solutions that settle settings"
    )


EMBEDDED = TruthSettings.model_validate(
    {
        "completer": {"base": "base-large"},
        "engine": {"dtype": "float32", "batch_size": 64},
        "sampling": {"max_tokens": 128},
        "annotation": {"annotators": [*WITHOUT_MODEL, "oracle"]},
    }
)
"""The settings without ``--settings``."""

BENCHMARK = Benchmark(
    "human_truth",
    __doc__,
    run,
    sizes=[Size("problems", 1_000, 3, "problems whose solutions are measured, at most")],
    resumes=True,
    add_options=add_options,
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
