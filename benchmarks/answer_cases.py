"""The completers whose readings are measured, with all their rollouts."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.annotated import AnnotatedSolutions, CompleterRollouts, demo_solutions, roll_out
from benchmarks.annotator_labels import N
from benchmarks.answer_reading import MARKS
from benchmarks.human_rows import read_subset
from benchmarks.human_truth import chosen
from benchmarks.pilot import with_completers
from benchmarks.truth_draws import drawn_part, part_of, with_completer
from benchmarks.truth_settings import TruthSettings
from resources.profiles import read_section
from resources.storage.model_store import ModelStore
from shepherd.annotators.adaptive import AdaptiveSettings
from shepherd.annotators.monte_carlo import MonteCarlo
from shepherd.annotators.rates import Rates


@dataclass(frozen=True)
class Case:
    """Solutions with all rollouts of one completer."""

    name: str
    work: AnnotatedSolutions
    rollouts: CompleterRollouts
    num_rollouts: int
    """N: each prefix has so many rollouts."""

    checkpoint: Path | str
    dtype: str
    """Precision in which it drew."""

    template: str
    """The text of the prompt template."""

    mark: str
    """The text between a prefix and an answer."""

    start: Rates
    """The centre of the priors of the rates that are learned."""


def made(options: argparse.Namespace) -> Iterator[Case]:
    """Yield word problems with each completer of ``benchmarks.pilot``."""
    folder = options.folder / f"seed-{options.seed}"
    work = demo_solutions(
        folder, seed=options.seed, num_problems=options.problems, num_gold=options.gold
    )
    checkpoints = {"completer": "completer", "weak": "weak", "hot": "weak"}
    for name, of_one in with_completers(work, folder, options).items():
        yield Case(
            name,
            of_one,
            roll_out(of_one, name, [MonteCarlo(N)]),
            N,
            folder / checkpoints[name],
            "float32",
            of_one.samplers[name].template,
            options.mark or MARKS["word_problems"],
            AdaptiveSettings().rates,
        )


def published(options: argparse.Namespace) -> Iterator[Case]:
    """Yield the solutions of ProcessBench whose rollouts are drawn, those of a pilot included.

    Nothing is settled on a pilot here.

    Raises:
        ValueError: a file cannot be read, or no problem has all its rollouts yet.
    """
    settings = read_section(options.settings, TruthSettings, "completer: ..., engine: ...")
    work = read_subset(options.data, options.subset, options.published)
    work = with_completer(work, settings, options.folder / "draws")
    num_rollouts = settings.annotation.max_rollouts
    annotators = [MonteCarlo(num_rollouts)]
    parts = [
        drawn_part(chosen(work, options.problems, counted=counted), annotators)[0]
        for counted in ((True, False) if settings.annotation.pilot else (True,))
    ]
    ids = [problem.problem_id for part in parts for problem in part.by_problem]
    work, rollouts = drawn_part(part_of(work, ids), annotators)
    yield Case(
        options.subset,
        work,
        rollouts,
        num_rollouts,
        ModelStore(Path()).resolve(settings.completer.base),
        settings.engine.dtype if settings.engine.kind == "transformers" else "float32",
        work.samplers["completer"].template,
        options.mark or MARKS[options.subset],
        settings.annotation.rates,
    )
