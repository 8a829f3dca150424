"""How accurate is each way to label steps, and what does it cost?

    python -m benchmarks.label_quality [--json] [--seeds 3] [--first-seed 0] [--keep FOLDER]
        [--figure FILE.svg]

Word problems, whose exact oracle is the truth. The demo's generator writes 15 solutions of each
of 100 fresh problems; the completer (and, as a weaker completer, the generator itself) rolls out
16 times from every prefix, and every annotator is replayed from these raw rollouts. ``nli`` and
``judge`` ask stand-ins trained on word problems, as no published model reads them. Steps that are
not the last count. Each value is the mean over seeds; ``spread`` is the standard deviation.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import polars as pl

from benchmarks.annotated import Annotated, Rolled, demo_solutions, roll_out, shown_tokens
from benchmarks.figures import pyplot
from benchmarks.report import Result, at_least, at_most, main
from benchmarks.seeds import single_threaded
from resources.entailment import EntailmentModel
from resources.sampling.critiques import draw_critiques
from resources.sampling.stage import CompletionModel, completion_model_of
from resources.storage.model_store import BASE_MODELS
from shepherd.agreement import label_quality
from shepherd.annotators.annotator import RolloutSettings
from shepherd.annotators.judge import judge_labels
from shepherd.annotators.kinds import annotator_kinds
from shepherd.annotators.monte_carlo import MonteCarlo
from shepherd.annotators.nli import nli_labels
from shepherd.annotators.oracle import oracle_labels
from shepherd.annotators.problem import Annotator, label_steps, replay_problems
from shepherd.annotators.rule import rule_labels
from shepherd.annotators.tree_search import TreeSearch
from shepherd.labels import label_accuracy
from shepherd.settings import AnnotationSettings, EngineSettings, JudgeSettings, ModelSettings
from training import judge, nli

NUM_PROBLEMS = 100
MAX_ROLLOUTS = 16
N = 8
NUM_SEARCHES = 100
SETTINGS = AnnotationSettings.model_validate(
    {
        "annotators": [
            {"kind": kind, "num_rollouts": N}
            for kind, settings in annotator_kinds().items()
            if issubclass(settings, RolloutSettings)
        ]
    }
)
MEASURES = ("agreement", "wrong_precision", "wrong_recall", "f1", "cross_entropy")
BASELINES = ("rule", "nli")
JUDGE = JudgeSettings(
    base="stand-in", template=judge.TEMPLATE, num_votes=1, temperature=0.0, max_tokens=40
)


@dataclass(frozen=True)
class Way:
    """One way to label: its name, labels, tokens (the completer's, or the judge's) and seconds."""

    name: str
    labels: pl.DataFrame
    tokens: int
    seconds: float


def measure(seed: int, folder: Path) -> pl.DataFrame:
    """Return one row per way to label, measured on the work of one seed.

    ``folder`` holds the stand-ins of all seeds.
    """
    model = ModelSettings(base=JUDGE.base, template=JUDGE.template)
    critic = completion_model_of("judge", model, folder / "judge", EngineSettings(dtype="float32"))
    entails = EntailmentModel(folder / "nli")
    work, strong, weak = drawn(seed, folder)
    ways = [
        *(replayed(a.name, a, work, strong) for a in SETTINGS.annotators_that_roll_out()),
        computed("rule", work, lambda: rule_labels(work.steps, work.solutions, work.problems)),
        computed(
            "nli", work, lambda: nli_labels(work.steps, work.solutions, work.problems, entails)
        ),
        judged(work, critic),
        computed("oracle", work, lambda: oracle_labels(work.steps, work.problems)),
        *by_budget("completer", work, strong),
        *by_budget("generator", work, weak),
    ]
    labels = {way.name: way.labels for way in ways}
    exact = labels["monte_carlo"]
    assert labels["first_success"]["hard"].equals(exact["hard"]), "the same hard labels by design"
    num_steps = work.steps.filter(~pl.col("is_last")).height
    return pl.concat(
        label_quality(way.labels, work.truth, work.steps).select(
            pl.lit(seed).alias("seed"),
            pl.lit(way.name).alias("way"),
            pl.col("num_steps").alias("num_labels"),
            *(pl.col(name).cast(pl.Float64) for name in MEASURES),
            pl.lit(label_accuracy(way.labels, exact, work.steps).agreement, pl.Float64).alias(
                "agreement_with_monte_carlo"
            ),
            pl.lit(way.tokens / num_steps).alias("tokens_per_label"),
            pl.lit(way.seconds / num_steps).alias("seconds_per_label"),
        )
        for way in ways
    )


def drawn(seed: int, folder: Path) -> tuple[Annotated, Rolled, Rolled]:
    """Return the work of a seed, and the rollouts of the strong and of the weak completer.

    They are drawn once: journals under ``folder`` keep them.
    """
    work = demo_solutions(folder / f"seed-{seed}", seed=seed, num_problems=NUM_PROBLEMS)
    searching: list[Annotator] = [MonteCarlo(MAX_ROLLOUTS), TreeSearch(N, NUM_SEARCHES)]
    strong = roll_out(work, "completer", searching)
    weak = roll_out(work, "generator", [MonteCarlo(MAX_ROLLOUTS)])
    return work, strong, weak


def draw(seed: int, folder: Path) -> None:
    """Draw what :func:`measure` needs of a seed beside the stand-ins."""
    drawn(seed, folder)


def replayed(name: str, annotator: Annotator, work: Annotated, rolled: Rolled) -> Way:
    """Let an annotator label from raw rollouts; its cost is what it asked for."""
    started = time.perf_counter()
    replays = replay_problems(annotator, work.by_problem, rolled.rollouts)
    labels = label_steps(annotator, work.steps, replays)
    seconds = time.perf_counter() - started
    tokens = shown_tokens(replays)
    return Way(name, labels, tokens, seconds + tokens * rolled.seconds_per_token)


def computed(name: str, work: Annotated, label: Callable[[], pl.DataFrame]) -> Way:
    """Label without rollouts."""
    started = time.perf_counter()
    labels = label()
    assert set(labels["step_id"]) <= set(work.steps["step_id"])
    return Way(name, labels, 0, time.perf_counter() - started)


def judged(work: Annotated, critic: CompletionModel) -> Way:
    """Ask the judge, one vote a solution."""
    drawn = draw_critiques(work.steps, work.problems, critic, JUDGE, work.shard)
    [cost] = drawn.cost.to_dicts()
    labels = judge_labels(work.steps, drawn.frame)
    return Way("judge", labels, cost["completion_tokens"], cost["seconds"])


def by_budget(completer: str, work: Annotated, rolled: Rolled) -> Iterator[Way]:
    """Yield Monte Carlo with N = 1, 2, 4, 8 and 16 rollouts of a completer."""
    for count in (1, 2, 4, 8, 16):
        yield replayed(f"{completer} N={count}", MonteCarlo(count), work, rolled)


def train_stand_in_judge(folder: Path) -> None:
    """Train a small judge that knows word problems alone, unless it was."""
    if not (folder / "config.json").exists():
        critiques = judge.draw_critiques(judge.NUM_CRITIQUES, seed=0)
        judge.train_judge(BASE_MODELS / "base-large", critiques, folder, judge.SETTINGS, seed=0)


def train_stand_in_nli(folder: Path) -> None:
    """Train a small entailment model that knows the steps of word problems alone, unless it was."""
    if not (folder / "config.json").exists():
        pairs = nli.draw_pairs(nli.NUM_PAIRS, seed=0)
        nli.train_nli(BASE_MODELS / "base-large", pairs, folder, nli.SETTINGS, seed=0)


def study(seeds: range, folder: Path, figure: Path | None) -> list[Result]:
    """Measure all seeds; the paper's expectations and our own aims are the targets."""
    if figure is not None:
        pyplot()  # told now if it is not installed, not after an hour
    with single_threaded() as pool:
        prepared = [
            pool.submit(train_stand_in_judge, folder / "judge"),
            pool.submit(train_stand_in_nli, folder / "nli"),
            *(pool.submit(draw, seed, folder) for seed in seeds),
        ]
        for one in prepared:
            one.result()
        frame = pl.concat(pool.map(partial(measure, folder=folder), seeds))
    columns = [name for name in frame.columns if name not in ("way", "seed")]
    means = frame.group_by("way", maintain_order=True).agg(pl.col(columns).mean())
    spreads = frame.group_by("way", maintain_order=True).agg(pl.col(columns).std())
    if figure is not None:
        draw_figure(means, spreads, figure)
    results = []
    for row, spread in zip(means.iter_rows(named=True), spreads.iter_rows(named=True), strict=True):
        for name in columns:
            if row[name] is not None:
                results.append(Result(f"{row['way']} {name}", row[name], UNITS[name]))
                results.append(
                    Result(f"{row['way']} {name} spread", spread[name] or 0.0, UNITS[name])
                )
    return [*results, *targets({row["way"]: row for row in means.iter_rows(named=True)})]


UNITS = {
    "num_labels": "labels",
    "tokens_per_label": "tokens",
    "seconds_per_label": "s",
    "cross_entropy": "nats",
    "agreement_with_monte_carlo": "share",
    **dict.fromkeys(("agreement", "wrong_precision", "wrong_recall", "f1"), "share"),
}


def targets(means: dict[str, dict[str, float]]) -> Iterator[Result]:
    """Yield what the paper's findings and our aims ask for."""
    exact, ours = means["monte_carlo"], means["adaptive"]
    for name in BASELINES:
        yield at_least(
            f"monte_carlo above {name}", exact["agreement"], "share", means[name]["agreement"]
        )
    yield at_least(
        "a stronger completer",
        means["completer N=8"]["agreement"],
        "share",
        means["generator N=8"]["agreement"],
    )
    share = ours["tokens_per_label"] / exact["tokens_per_label"]
    yield at_most("adaptive, of monte_carlo's tokens", share, "share", 0.15)
    yield at_least("adaptive accuracy", ours["agreement"], "share", exact["agreement"])


def draw_figure(means: pl.DataFrame, spreads: pl.DataFrame, path: Path) -> None:
    """Draw label quality against N for both completers (the paper's figure 4), as SVG."""
    figure, axes = pyplot().subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for axis, (column, title) in zip(
        axes,
        (
            ("agreement", "hard labels right"),
            ("cross_entropy", "cross-entropy of soft labels (nats)"),
        ),
        strict=True,
    ):
        for completer, label in (
            ("completer", "strong completer"),
            ("generator", "weak completer"),
        ):
            chosen = pl.col("way").str.starts_with(f"{completer} N=")
            budgets = [int(way.split("=")[1]) for way in means.filter(chosen)["way"]]
            axis.errorbar(
                budgets,
                means.filter(chosen)[column],
                yerr=spreads.filter(chosen)[column].fill_null(0),
                label=label,
                marker="o",
                capsize=3,
            )
        axis.set_xscale("log", base=2)
        axis.set_xticks(budgets, [str(count) for count in budgets])
        axis.set_xlabel("N, rollouts of each prefix")
        axis.set_title(title, fontsize=10)
    axes[0].legend()
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument(
        "--first-seed", type=int, default=0, help="100 for tuning: results are of 0, 1, 2"
    )
    parser.add_argument("--keep", type=Path, help="folder to keep the work in, and to resume from")
    parser.add_argument("--figure", type=Path, help="where to draw accuracy against N")
    arguments = parser.parse_args()
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    with tempfile.TemporaryDirectory() as temporary:
        main(
            "label_quality",
            lambda: study(seeds, arguments.keep or Path(temporary), arguments.figure),
        )
