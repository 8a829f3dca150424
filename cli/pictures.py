"""Draw the pictures of docs/architecture.md from the code.

    python -m cli.pictures

``docs/images/rooms.svg`` shows the packages, from the import contracts in pyproject.toml.
``docs/images/lineage.svg`` shows the assets of the profile ``study``, from Dagster's asset graph.
"""

import tomllib
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path

import dagster as dg

from assets.definitions import definitions_of
from assets.warehouse.marts import WAREHOUSE_GROUPS
from cli.svg import Box, arrow, picture, width_of
from resources.profiles import load_settings
from resources.storage.home import Home

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
PROFILE = "study"
GAP_X, GAP_Y, MARGIN = 70, 36, 16
"""Pixels between boxes, between rows, and around the picture."""

ROOMS = {
    "benchmarks": "measure each claim of the docs",
    "cli": "the command shepherd",
    "assets": "Dagster: which datasets and models exist, made from what",
    "training": "torch: one file per trainer; runs without Dagster",
    "resources": "engines, files, lake, warehouse, grading processes",
    "shepherd": "the paper's ideas as pure functions on frames and arrays",
}
"""What each package holds, in a few words."""

COLORS = {
    "problems": "#ddf4ff",
    "models": "#fff8c5",
    "annotation": "#dafbe1",
    "reward_models": "#fff8c5",
    "policies": "#fbefff",
    "verification": "#ffebe9",
    **dict.fromkeys(WAREHOUSE_GROUPS, "#f6f8fa"),
}
"""Fill of a box by asset group."""


def draw_rooms() -> str:
    """Return the packages as a stack: each may import the packages below it."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = next(each["layers"] for each in contracts["contracts"] if each["type"] == "layers")
    assert set(layers) == set(ROOMS), "each package of the first layers contract has a line"
    texts = [[f"{name}/", ROOMS[name]] for name in layers]
    width = max(map(width_of, texts))
    boxes: list[Box] = []
    for lines in texts:
        y = boxes[-1].y + boxes[-1].height + GAP_Y / 2 if boxes else MARGIN
        boxes.append(Box(MARGIN, y, width, lines, "#f6f8fa"))
    arrows = [arrow(upper, lower) for upper, lower in pairwise(boxes)]
    bottom = boxes[-1].y + boxes[-1].height
    title = "Packages: each may import the ones below it"
    parts = [*(box.draw() for box in boxes), *arrows]
    return picture(width + 2 * MARGIN, bottom + MARGIN, title, parts)


def draw_lineage(definitions: dg.Definitions) -> str:
    """Return the assets in rows: each below all that it reads.

    Assets that one step writes share a box, and so do all SQL models. An arrow is left out where
    a longer path leads from the one box to the other.
    """
    boxes_of = _box_names(definitions)
    graph = definitions.resolve_asset_graph()
    members: dict[str, list[str]] = {}
    parents: dict[str, set[str]] = {}
    groups: dict[str, str] = {}
    for key, box in boxes_of.items():
        members.setdefault(box, []).append(key.to_user_string())
        groups[box] = graph.get(key).group_name
        reads = {boxes_of[parent] for parent in graph.get(key).parent_keys}
        parents.setdefault(box, set()).update(reads - {box})
    texts = {box: _lines(box, names) for box, names in members.items()}
    boxes = _place(texts, parents, groups)
    arrows = [arrow(boxes[parent], boxes[box]) for parent, box in sorted(_direct(parents))]
    width = max(box.x + box.width for box in boxes.values()) + MARGIN
    height = max(box.y + box.height for box in boxes.values()) + MARGIN
    parts = [*arrows, *(box.draw() for box in boxes.values())]
    return picture(width, height, f"Lineage of the profile {PROFILE}", parts)


def _box_names(definitions: dg.Definitions) -> dict[dg.AssetKey, str]:
    """Return the name of each asset's box: the main table of its siblings, or "SQL models"."""
    graph = definitions.resolve_asset_graph()
    boxes = {}
    for key in graph.toposorted_asset_keys:
        node = graph.get(key)
        names = [sibling.to_user_string() for sibling in node.execution_set_asset_keys]
        is_sql = "sql" in node.kinds
        boxes[key] = "SQL models" if is_sql else min(names, key=_rank)
    return boxes


def _rank(name: str) -> tuple[bool, int, str]:
    """Return a sort key that puts the main table of siblings first."""
    return name.startswith("rejected_") or name.endswith("_costs"), len(name), name


def _lines(box: str, names: list[str]) -> list[str]:
    """Return the text of a box: its name, then its other assets."""
    if box == "SQL models":
        return [f"{len(names)} SQL models", "in warehouse.duckdb"]
    return [box, *sorted(set(names) - {box})]


def _depths(parents: Mapping[str, set[str]]) -> dict[str, int]:
    """Return the length of the longest path to each box from a box that reads nothing."""
    depths: dict[str, int] = {}

    def depth(box: str) -> int:
        if box not in depths:
            depths[box] = max((depth(parent) + 1 for parent in parents[box]), default=0)
        return depths[box]

    return {box: depth(box) for box in parents}


def _direct(parents: Mapping[str, set[str]]) -> Iterable[tuple[str, str]]:
    """Yield the pairs (parent, box) that no longer path connects."""
    ancestors: dict[str, set[str]] = {}
    depths = _depths(parents)
    for box in sorted(parents, key=lambda box: depths[box]):
        farther = set().union(*(ancestors[parent] for parent in parents[box]), set())
        ancestors[box] = parents[box] | farther
        for parent in parents[box] - farther:
            yield parent, box


def _place(
    texts: Mapping[str, list[str]], parents: Mapping[str, set[str]], groups: Mapping[str, str]
) -> dict[str, Box]:
    """Return the boxes in centered rows by depth, each row ordered by the places of its parents."""
    depths = _depths(parents)
    rows = [[box for box in texts if depths[box] == row] for row in range(max(depths.values()) + 1)]
    widths = [sum(width_of(texts[box]) + GAP_X for box in row) - GAP_X for row in rows]
    boxes: dict[str, Box] = {}

    def center(box: str) -> float:
        places = [boxes[parent].x + boxes[parent].width / 2 for parent in parents[box]]
        return sum(places) / len(places) if places else 0.0

    y = float(MARGIN)
    for row, width in zip(rows, widths, strict=True):
        x = MARGIN + (max(widths) - width) / 2
        ordered = sorted(row, key=lambda box: (center(box), box))
        for box in ordered:
            boxes[box] = Box(x, y, width_of(texts[box]), texts[box], COLORS[groups[box]])
            x += boxes[box].width + GAP_X
        y += max(boxes[box].height for box in ordered) + GAP_Y
    return boxes


def pictures() -> dict[str, str]:
    """Return the content of each picture by its file name."""
    definitions = definitions_of(load_settings(PROFILE), Home(Path("data").absolute()))
    return {"rooms.svg": draw_rooms(), "lineage.svg": draw_lineage(definitions)}


if __name__ == "__main__":
    for name, content in pictures().items():
        (IMAGES / name).write_text(content, encoding="utf-8")
        print(IMAGES / name)
