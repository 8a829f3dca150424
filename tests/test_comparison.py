"""The page that compares two homes."""

import re
from pathlib import Path

import polars as pl
import pytest

from cli.app import main
from resources.report.comparison import changed_settings, compared, table, write_comparison
from resources.report.comparison_curves import curve_figures, differences
from resources.storage.warehouse import build_warehouse
from tests.small_lake import small_lake, write_lake

FRAMES = small_lake(num_train=6, num_test=2)


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two homes: the second has another label at the first step of each solution."""
    folder = tmp_path_factory.mktemp("homes")
    is_first = pl.col("step_id").str.ends_with(":1")
    hard = pl.when(is_first).then(1 - pl.col("hard")).otherwise("hard")
    other = {
        **FRAMES,
        "step_labels": FRAMES["step_labels"].with_columns(hard=hard),
        "evaluations": FRAMES["evaluations"].with_columns(accuracy=pl.col("accuracy") / 2),
    }
    for name, frames in (("a", FRAMES), ("b", other)):
        build_warehouse(
            write_lake(frames, folder / name / "lake"), folder / name / "warehouse.duckdb"
        )
    return folder / "a", folder / "b"


def test_changed_labels_are_counted_and_the_worst_come_first(homes: tuple[Path, Path]) -> None:
    rows = compared(*(home / "warehouse.duckdb" for home in homes))
    counts = {str(row["annotator"]): row for row in rows["compared_labels"]}
    num_first = FRAMES["step_labels"].filter(pl.col("step_id").str.ends_with(":1")).height
    monte_carlo = counts["monte_carlo"]
    assert monte_carlo["changed"] == num_first
    assert monte_carlo["in_both"] == FRAMES["step_labels"].height
    assert (monte_carlo["only_in_a"], monte_carlo["only_in_b"]) == (0, 0)
    assert counts["oracle"]["changed"] == 0
    is_right = [row["hard_in_b"] == row["true_hard"] for row in rows["changed_labels"]]
    assert is_right.count(False) == monte_carlo["a_is_right"]
    assert is_right == sorted(is_right)
    assert {row["step_index"] for row in rows["changed_labels"]} == {1}
    for row in rows["compared_accuracies"]:
        assert isinstance(row["in_a"], float)
        assert row["difference"] == pytest.approx(-row["in_a"] / 2)


def test_the_command_writes_a_page_beside_the_second_home(
    homes: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = map(str, homes)
    assert main(["report", "--compare", a, b]) == 0
    path = Path(capsys.readouterr().out.strip())
    assert path == homes[1] / "comparison.html"
    page = path.read_text()
    for words in ("Steps whose label changed", "Costs", "<polyline", "default-src 'none'"):
        assert words in page
    assert main(["report", "--compare", a, str(homes[0] / "none")]) == 2
    assert "shepherd warehouse build" in capsys.readouterr().err


def test_settings_that_differ_are_named_and_texts_stay_texts(
    homes: tuple[Path, Path], tmp_path: Path
) -> None:
    settings = ({"seed": 0, "same": 1, "a": 2, "new": None}, {"seed": "<b>", "same": 1})
    assert changed_settings(*settings) == [
        {"field": "a", "in A": 2, "in B": None},
        {"field": "seed", "in A": 0, "in B": "<b>"},
    ]
    out = tmp_path / "page.html"
    a, b = (home / "warehouse.duckdb" for home in homes)
    write_comparison(("<script>", "b"), (a, b), settings, out)
    assert "<script>" not in out.read_text()
    assert "<b>" not in out.read_text()
    assert table([]) == ""


def test_accuracies_are_compared_by_method_and_n() -> None:
    def row(method: str, count: int, in_a: float | None, in_b: float | None) -> dict[str, object]:
        gain = None if in_a is None or in_b is None else in_b - in_a
        return {
            "dataset": "words",
            "generator": "g",
            "method": method,
            "num_candidates": count,
            "in_a": in_a,
            "in_b": in_b,
            "difference": gain,
        }

    rows = [
        row("PRM", 1, 0.5, 0.5),
        row("PRM", 4, 0.75, 0.875),
        row("SC", 1, 0.5, None),
        row("pass@1", 1, 0.5, 0.5),
    ]
    named = {"dataset": "words", "generator": "g"}
    assert differences(rows) == [
        named
        | {"method": "PRM", "N=1": 0.0, "N=4": 12.5, "in_a at N=4": 0.75, "in_b at N=4": 0.875},
        named
        | {"method": "SC", "N=1": None, "N=4": None, "in_a at N=4": None, "in_b at N=4": None},
    ]
    figures = curve_figures(rows)
    assert figures.count("<figure>") == 2
    assert "PRM (words, g)" in figures
    # The lowest accuracy of all is 50 %: the scale begins at the next 20 points below.
    assert re.findall(r"(\d+)%</text>", figures) == 2 * ["40", "55", "70", "85", "100"]
