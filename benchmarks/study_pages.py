"""Write the pages of a study: a table of claims, all accuracies, and the paper's figures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.claims import Finding
from benchmarks.figures import pyplot

METHODS = ("SC", "ORM", "PRM")
"""Methods that the figures compare."""
CELL = ("generator", "method", "reward_models", "num_candidates")


def write_pages(outcomes: pl.DataFrame, findings: Sequence[Finding], out: Path) -> None:
    """Write findings.md, accuracies.csv, verification.svg and data.svg into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    cells = accuracies(outcomes)
    cells.write_csv(out / "accuracies.csv", float_precision=4)
    (out / "findings.md").write_text(findings_page(findings), encoding="utf-8")
    draw_verification(cells, out / "verification.svg")
    draw_data(cells, out / "data.svg")


def accuracies(outcomes: pl.DataFrame) -> pl.DataFrame:
    """Return accuracy and its spread over seeds for each system, one row each."""
    by_seed = outcomes.group_by(*CELL, "seed", maintain_order=True).agg(pl.col("solved").mean())
    return (
        by_seed.group_by(*CELL, maintain_order=True)
        .agg(
            accuracy=pl.col("solved").mean(),
            spread=pl.col("solved").std(),
            num_seeds=pl.col("seed").n_unique(),
        )
        .sort(*CELL, nulls_last=False)
    )


def findings_page(findings: Sequence[Finding]) -> str:
    """Return the claims as a Markdown table: difference, interval, chance, seeds, verdict."""
    lines = [
        "# Findings",
        "",
        "Differences are in points of accuracy, paired by problem. The interval is the 95 % "
        "bootstrap over problems. Chance is the share of random sign flips of the problems' "
        "differences that give a difference at least as large. Both hold for the models that these "
        'seeds trained; the column "by seed" shows how training varies. "Over seeds" is the 95 % '
        "interval of the mean over other seeds (Student's t of the seeds' means). The deviations "
        "are those of one problem's difference, and of one seed's beyond what the choice of "
        "problems explains. Each claim is tested "
        f"alone: of {len(findings)} claims, one in twenty would pass by chance.",
        "",
        "| source | claim | difference | interval | chance | by seed | over seeds | "
        "deviation, problems | deviation, seeds | verdict |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for finding in findings:
        by_seed = ", ".join(f"{100 * value:+.1f}" for value in finding.by_seed)
        cells = (
            finding.claim.source,
            finding.claim.statement,
            f"{100 * finding.difference:+.1f}",
            f"{100 * finding.low:+.1f} to {100 * finding.high:+.1f}",
            f"{100 * finding.chance:.1f} %",
            by_seed,
            *_variation_cells(finding),
            finding.verdict,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _variation_cells(finding: Finding) -> tuple[str, str, str]:
    """Return the interval over seeds and both deviations; "-" where one seed says nothing."""
    variation = finding.variation
    of_problems = f"{100 * variation.problem_deviation:.1f}"
    if len(finding.by_seed) == 1:
        return "-", of_problems, "-"
    interval = f"{100 * variation.low:+.1f} to {100 * variation.high:+.1f}"
    return interval, of_problems, f"{100 * variation.seed_deviation:.1f}"


def draw_verification(cells: pl.DataFrame, path: Path) -> None:
    """Draw accuracy against N for both sizes of generator and reward models (figure 3)."""
    panels = [
        (generator, models)
        for generator in ("generator", "strong_generator")
        for models in ("small", "large")
    ]
    figure, axes = pyplot().subplots(1, 4, figsize=(13, 3.4), layout="constrained")
    for axis, (generator, models) in zip(axes, panels, strict=True):
        judged = pl.col("reward_models").is_null() | (pl.col("reward_models") == models)
        for method in METHODS:
            curve = cells.filter(judged, generator=generator, method=method)
            draw_curve(axis, curve, "num_candidates", method)
        size = "small" if generator == "generator" else "large"
        axis.set_title(f"{size} generator, {models} reward models", fontsize=10)
        counts = curve["num_candidates"].sort().to_list()
        axis.set_xscale("log", base=2)
        axis.set_xticks(counts, [str(count) for count in counts])
        axis.set_xlabel("N, candidates")
    axes[0].set_ylabel("test problems solved")
    axes[0].legend()
    figure.savefig(path, metadata={"Date": None})


def draw_curve(axis: Any, cells: pl.DataFrame, x: str, label: str) -> None:
    """Draw accuracy against a column, with its spread over seeds."""
    curve = cells.sort(x)
    spread = curve["spread"].fill_null(0)
    axis.errorbar(
        curve[x], curve["accuracy"], yerr=spread, label=label, marker="o", markersize=3, capsize=2
    )


def draw_data(cells: pl.DataFrame, path: Path) -> None:
    """Draw best-of-N accuracy against the amount of training data (figure 5)."""
    shares = {"1/16 of the data": 1 / 16, "1/4 of the data": 1 / 4, "large": 1.0}
    largest = cells.filter(generator="generator").filter(
        pl.col("num_candidates") == pl.col("num_candidates").max()
    )
    figure, axis = pyplot().subplots(figsize=(5, 3.4), layout="constrained")
    for method in ("ORM", "PRM"):
        of_method = largest.filter(pl.col("reward_models").is_in(list(shares)), method=method)
        curve = of_method.with_columns(
            share=pl.col("reward_models").replace_strict(shares, return_dtype=pl.Float64)
        )
        draw_curve(axis, curve, "share", method)
    axis.set_xscale("log", base=2)
    axis.set_xticks(list(shares.values()), ["1/16", "1/4", "all"])
    axis.set_xlabel("share of the labelled solutions trained on")
    axis.set_ylabel("test problems solved by best-of-N")
    axis.legend()
    figure.savefig(path, metadata={"Date": None})
