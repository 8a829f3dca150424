"""The results of a benchmark, as one JSON object or as a table for people."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Result:
    """One measured value.

    ``baseline`` and ``target`` have the unit of ``value``. ``met`` says whether ``value`` reaches
    ``target``. All three are None if there is no baseline or target.
    """

    name: str
    value: float
    unit: str
    baseline: float | None = None
    target: float | None = None
    met: bool | None = None


def at_least(
    name: str, value: float, unit: str, target: float, baseline: float | None = None
) -> Result:
    """Return a result that meets its target if the value is not below it."""
    return Result(name, value, unit, baseline, target, value >= target)


def at_most(
    name: str, value: float, unit: str, target: float, baseline: float | None = None
) -> Result:
    """Return a result that meets its target if the value is not above it."""
    return Result(name, value, unit, baseline, target, value <= target)


def as_json(benchmark_name: str, command: str, results: Sequence[Result]) -> str:
    """Return ``{"benchmark", "command", "results"}`` as one line of JSON."""
    rows = [asdict(result) for result in results]
    return json.dumps({"benchmark": benchmark_name, "command": command, "results": rows})


def as_table(results: Sequence[Result]) -> str:
    """Return a table with one line a result."""
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
