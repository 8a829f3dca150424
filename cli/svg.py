"""Draw boxes and arrows as SVG, so that pictures in the docs are made from the code."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

LINE_HEIGHT, PADDING, CHARACTER_WIDTH = 17, 10, 8.3
"""Pixels: of a line of text, inside a box, of a character."""

STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.title { font-weight: 600; }
.note { fill: #59636e; }
.arrow { fill: none; stroke: #818b98; stroke-width: 1.3; marker-end: url(#head); }
"""
HEAD = (
    '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
    'markerHeight="8" orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="#818b98"/></marker></defs>'
)


@dataclass(frozen=True)
class Box:
    """A rectangle with lines of text; the first line is its title. Coordinates are in pixels."""

    x: float
    y: float
    width: float
    lines: Sequence[str]
    fill: str

    @property
    def height(self) -> float:
        """Return the height that the lines need."""
        return len(self.lines) * LINE_HEIGHT + PADDING

    def draw(self) -> str:
        """Return the box as SVG."""
        texts = [
            f'<text class="{"note" if index else "title"}" x="{self.x + PADDING:g}" '
            f'y="{self.y + (index + 1) * LINE_HEIGHT:g}">{escape(line)}</text>'
            for index, line in enumerate(self.lines)
        ]
        rectangle = (
            f'<rect x="{self.x:g}" y="{self.y:g}" width="{self.width:g}" '
            f'height="{self.height:g}" rx="6" fill="{self.fill}" stroke="#d1d9e0"/>'
        )
        return "\n".join([rectangle, *texts])


def width_of(lines: Sequence[str]) -> float:
    """Return the width in pixels of a box that holds these lines."""
    return max(len(line) for line in lines) * CHARACTER_WIDTH + 2 * PADDING


def arrow(start: Box, end: Box) -> str:
    """Return a curve from the bottom of one box to the top of a lower one."""
    x1, y1 = start.x + start.width / 2, start.y + start.height
    x2, y2 = end.x + end.width / 2, end.y
    bend = (y2 - y1) / 2
    return (
        f'<path class="arrow" d="M{x1:g},{y1:g} C{x1:g},{y1 + bend:g} '
        f'{x2:g},{y2 - bend:g} {x2:g},{y2:g}"/>'
    )


def picture(width: float, height: float, title: str, parts: Sequence[str]) -> str:
    """Return a whole SVG file on a white ground; ``title`` is its text for screen readers."""
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" role="img" aria-label="{escape(title)}">'
    )
    ground = '<rect width="100%" height="100%" fill="#ffffff"/>'
    style = f"<style>{STYLE}</style>"
    return "\n".join([opening, style, HEAD, ground, *parts, "</svg>\n"])
