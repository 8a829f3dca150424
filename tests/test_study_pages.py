from pathlib import Path

import polars as pl
import pytest

from benchmarks.claims import Claim, System, weigh
from benchmarks.study_pages import accuracies, findings_page, write_pages

GENERATORS = ("generator", "strong_generator")
MODELS = ("small", "large", "1/16 of the data", "1/4 of the data")


def solves(method: str, problem: int) -> float:
    return float(method != "SC" or problem == 0)


def outcomes() -> pl.DataFrame:
    """Two seeds of two problems; the PRM solves both, the vote the first alone."""
    rows = [
        (seed, generator, models, method, count, f"{seed}-{problem}", solves(method, problem))
        for seed in range(2)
        for generator in GENERATORS
        for method, judges in (("SC", (None,)), ("ORM", MODELS), ("PRM", MODELS))
        for models in judges
        for count in (1, 2)
        for problem in range(2)
    ]
    columns = ("seed", "generator", "reward_models", "method", "num_candidates", "problem_id",
               "solved")  # fmt: skip
    return pl.DataFrame(rows, schema=columns, orient="row")


def test_accuracies_are_means_over_seeds_with_their_spread() -> None:
    cells = accuracies(outcomes())
    assert cells.height == len(GENERATORS) * (1 + 2 * len(MODELS)) * 2
    [vote] = cells.filter(generator="generator", method="SC", num_candidates=2).to_dicts()
    assert (vote["accuracy"], vote["spread"], vote["num_seeds"]) == (0.5, 0.0, 2)


def test_a_page_of_findings_and_the_figures_are_written(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    claim = Claim(
        "table 1", "PRM above SC", System("generator", "PRM", 2), System("generator", "SC", 2)
    )
    found = weigh(claim, outcomes())
    write_pages(outcomes(), [found], tmp_path / "study")
    page = (tmp_path / "study" / "findings.md").read_text()
    assert page == findings_page([found])
    assert "| table 1 | PRM above SC | +50.0 |" in page
    assert pl.read_csv(tmp_path / "study" / "accuracies.csv").height == 36
    for name in ("verification.svg", "data.svg"):
        assert "</svg>" in (tmp_path / "study" / name).read_text()
