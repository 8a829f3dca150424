"""Draw the accuracies of two homes by N, as SVG without a script."""

import html
import math
from collections.abc import Sequence

WIDTH, HEIGHT, MARGIN = 420, 230, 34
COLORS = {"PRM": "--prm", "ORM": "--orm", "SC": "--sc", "pass@N": "--bound"}
"""The colours of the methods, as on the report; all others are violet."""


def curve_chart(title: str, rows: Sequence[dict[str, object]]) -> str:
    """Return a figure of accuracies by N: a line a method, solid for B and dashed for A.

    ``rows`` have method, num_candidates, in_a and in_b; accuracies are shares or null.
    """
    counts = sorted({_number(row["num_candidates"]) for row in rows})
    methods = list(dict.fromkeys(str(row["method"]) for row in rows))
    lines = []
    for method in methods:
        color = COLORS.get(method, "--violet")
        for side, dashes in (("in_a", "5 4"), ("in_b", "none")):
            points = [
                (_x(_number(row["num_candidates"]), counts), _y(_number(row[side])))
                for row in rows
                if row["method"] == method and row[side] is not None
            ]
            shape = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
            lines.append(
                f'<polyline points="{shape}" fill="none" stroke="var({color})" stroke-width="2" '
                f'stroke-dasharray="{dashes}"/>'
            )
    return (
        f"<figure><h3>{html.escape(title)}</h3>"
        '<p class="note">Dashed: A. Solid: B. Vertical: share solved. Horizontal: N.</p>'
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{html.escape(title)}: share solved by N">{_axes(counts)}{"".join(lines)}'
        f"</svg>{_legend(methods)}</figure>"
    )


def _axes(counts: Sequence[float]) -> str:
    grid = "".join(
        f'<line class="grid" x1="{MARGIN}" x2="{WIDTH - 8}" y1="{_y(share):.1f}" '
        f'y2="{_y(share):.1f}"/><text x="{MARGIN - 6}" y="{_y(share) + 4:.1f}" '
        f'text-anchor="end">{share:.0%}</text>'
        for share in (0, 0.25, 0.5, 0.75, 1)
    )
    ticks = "".join(
        f'<text x="{_x(count, counts):.1f}" y="{HEIGHT - 8}" text-anchor="middle">{count:g}</text>'
        for count in counts
    )
    return grid + ticks


def _legend(methods: Sequence[str]) -> str:
    names = "".join(
        f'<span class="name"><span class="swatch" style="background: '
        f'var({COLORS.get(method, "--violet")})"></span>{html.escape(method)}</span>'
        for method in methods
    )
    return f'<div class="legend">{names}</div>'


def _x(count: float, counts: Sequence[float]) -> float:
    span = math.log(counts[-1] / counts[0]) or 1.0
    return MARGIN + (WIDTH - MARGIN - 16) * math.log(count / counts[0]) / span


def _y(share: float) -> float:
    return 12 + (HEIGHT - 40) * (1 - share)


def _number(value: object) -> float:
    assert isinstance(value, int | float), value
    return float(value)
