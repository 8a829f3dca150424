"""Print what a benchmark measured: as one JSON object, or as a table for people."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Result:
    """One measured value. ``baseline`` and ``target`` have its unit; None where there is none."""

    name: str
    value: float
    unit: str
    baseline: float | None = None
    target: float | None = None
    met: bool | None = None


def at_least(
    name: str, value: float, unit: str, target: float, baseline: float | None = None
) -> Result:
    """Return a result that meets its target from below."""
    return Result(name, value, unit, baseline, target, value >= target)


def at_most(
    name: str, value: float, unit: str, target: float, baseline: float | None = None
) -> Result:
    """Return a result that meets its target from above."""
    return Result(name, value, unit, baseline, target, value <= target)


def main(benchmark_name: str, run: Callable[[], list[Result]]) -> None:
    """Run a benchmark and print its results: JSON with ``--json``, else a table.

    Ends the process with 1 if a target is missed, and says on stderr which.
    """
    results = run()
    if "--json" in sys.argv[1:]:
        print(json.dumps(_report(benchmark_name, results)))
    else:
        print(_table(results))
    missed = [result.name for result in results if result.met is False]
    if missed:
        sys.exit(f"{benchmark_name}: {len(missed)} of the targets missed: {'; '.join(missed)}")


def _report(benchmark_name: str, results: list[Result]) -> dict[str, object]:
    return {
        "benchmark": benchmark_name,
        "command": f"python -m benchmarks.{benchmark_name}",
        "results": [asdict(result) for result in results],
    }


def _table(results: list[Result]) -> str:
    header = ("name", "value", "unit", "baseline", "target", "met")
    rows = [header, *(tuple(map(_cell, asdict(result).values())) for result in results)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return f"{value:,.4g}" if isinstance(value, float) else f"{value}"
