"""Draw the accuracies of two homes by N, as SVG without a script."""

import html
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Row = dict[str, object]

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 360, 230, 44, 16, 12, 28
COLORS = {"PRM": "--prm", "ORM": "--orm", "SC": "--sc", "pass@N": "--bound"}
"""The colours of the methods, as on the report; all others are violet."""

LEVELS = 4
"""Lines of the grid above the lowest one."""


@dataclass(frozen=True)
class Scale:
    """Places N by its logarithm in a chart, and shares from ``floor`` to one."""

    counts: Sequence[float]
    floor: float

    def x(self, count: float) -> float:
        """Return the horizontal place of N."""
        span = math.log(self.counts[-1] / self.counts[0]) or 1.0
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log(count / self.counts[0]) / span

    def y(self, share: float) -> float:
        """Return the vertical place of a share."""
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - share) / (1 - self.floor)


def curve_figures(rows: Sequence[Row]) -> str:
    """Return a figure for each dataset, generator and method that depends on N.

    ``rows`` have these, num_candidates, in_a and in_b; accuracies are shares or null. The figures
    of a dataset and generator have one scale.
    """
    return "".join(
        _figure(f"{method} ({dataset}, {generator})", method, points, scale)
        for (dataset, generator, method), points, scale in _curves(rows)
    )


def differences(rows: Sequence[Row]) -> list[Row]:
    """Return a row a method: the accuracy in B less that in A by N, in points, and both at last."""
    table: list[Row] = []
    for (dataset, generator, method), points, scale in _curves(rows):
        by_count = {_number(row["num_candidates"]): row for row in points}
        end = scale.counts[-1]
        last = by_count.get(end, {})
        table.append(
            {"dataset": dataset, "generator": generator, "method": method}
            | {f"N={count:g}": _gain(by_count.get(count, {})) for count in scale.counts}
            | {f"{side} at N={end:g}": last.get(side) for side in ("in_a", "in_b")}
        )
    return table


def _curves(
    rows: Sequence[Row],
) -> Iterator[tuple[tuple[object, object, str], list[Row], Scale]]:
    """Yield dataset, generator and method of each curve, its rows, and the scale of its group.

    The method that is one for all N is left out.
    """
    ordered = [row for row in rows if row["method"] != "pass@1"]
    groups = itertools.groupby(ordered, key=lambda row: (row["dataset"], row["generator"]))
    for key, group in groups:
        part = list(group)
        scale = _scale_of(part)
        for method, points in itertools.groupby(part, key=lambda row: str(row["method"])):
            yield (*key, method), list(points), scale


def _scale_of(rows: Sequence[Row]) -> Scale:
    counts = sorted({_number(row["num_candidates"]) for row in rows})
    shares = [
        _number(row[side]) for row in rows for side in ("in_a", "in_b") if row[side] is not None
    ]
    # Down to the next 20 points, so that the lines of the grid are at multiples of five points.
    return Scale(counts, min(0.8, math.floor(min(shares, default=0.0) * 5) / 5))


def _figure(title: str, method: str, rows: Sequence[Row], scale: Scale) -> str:
    color = COLORS.get(method, "--violet")
    lines = [
        _line(rows, "in_a", scale, 'stroke="var(--soft)" stroke-dasharray="5 4"'),
        _line(rows, "in_b", scale, f'stroke="var({color})"'),
    ]
    name = html.escape(title)
    return (
        f"<figure><h3>{name}</h3>"
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{name}: share solved by N">{_axes(scale)}{"".join(lines)}</svg></figure>'
    )


def _line(rows: Sequence[Row], side: str, scale: Scale, look: str) -> str:
    shape = " ".join(
        f"{scale.x(_number(row['num_candidates'])):.1f},{scale.y(_number(row[side])):.1f}"
        for row in rows
        if row[side] is not None
    )
    return f'<polyline points="{shape}" fill="none" stroke-width="2" {look}/>'


def _axes(scale: Scale) -> str:
    shares = [scale.floor + (1 - scale.floor) * level / LEVELS for level in range(LEVELS + 1)]
    grid = "".join(
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT / 2}" y1="{scale.y(share):.1f}" '
        f'y2="{scale.y(share):.1f}"/><text x="{LEFT - 6}" y="{scale.y(share) + 4:.1f}" '
        f'text-anchor="end">{share:.0%}</text>'
        for share in shares
    )
    ticks = "".join(
        f'<text x="{scale.x(count):.1f}" y="{HEIGHT - 8}" text-anchor="middle">{count:g}</text>'
        for count in scale.counts
    )
    return grid + ticks


def _gain(row: Row) -> float | None:
    gain = row.get("difference")
    return None if gain is None else 100 * _number(gain)


def _number(value: object) -> float:
    assert isinstance(value, int | float), value
    return float(value)
