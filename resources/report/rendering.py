"""Render the report: one HTML page, and data files beside it if it holds many solutions."""

import base64
import gzip
import hashlib
import html
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from resources.report.problems import Json, PageProblem

PAGE = Path(__file__).resolve().parents[1] / "report_page"
SCRIPTS = (
    "dom",
    "scales",
    "charts",
    "bars",
    "data",
    "address",
    "filters",
    "overview",
    "verification",
    "labels",
    "calibration",
    "cost",
    "training",
    "study",
    "marks",
    "downloads",
    "list",
    "solutions",
    "keyboard",
    "problems",
    "page",
)
"""The page's scripts; each comes after the scripts that it needs when it is read."""

SELF_CONTAINED_SOLUTIONS = 5_000
"""Solutions up to which the page holds all of its data itself."""

PIECE_PROBLEMS = 50
"""Problems whose texts are packed together, and whose rollouts are in one data file."""


@dataclass(frozen=True)
class Report:
    """A page, and the data files beside it by name."""

    page: str
    files: dict[str, str]


def render(content: Json, problems: Iterable[PageProblem]) -> Report:
    """Return the report of some content (profile, facts, limits, marts, curves, studies).

    The page unpacks the texts of a piece of the problems when one of them is shown or searched,
    and the rollouts of a problem when one of its steps is unfolded. Texts and rollouts are in the
    page, or in files that it loads as scripts: pages opened from disk may load nothing else.
    """
    facts: list[Json] = []
    texts: list[str] = []
    rollouts: list[list[str]] = []
    for piece in _pieces(problems):
        facts += [problem.facts for problem in piece]
        texts.append(_packed([problem.texts for problem in piece]))
        rollouts.append([_packed(problem.rollouts) for problem in piece])
    pieces = {f"texts-{at}": [packed] for at, packed in enumerate(texts)}
    pieces |= {f"rollouts-{at}": packed for at, packed in enumerate(rollouts)}
    num_solutions = sum(len(problem["solutions"]) for problem in facts)
    is_whole = num_solutions <= SELF_CONTAINED_SOLUTIONS
    build = hashlib.sha256("".join(texts).encode()).hexdigest()[:16]
    data = {
        **content,
        "problems": facts,
        "pieces": {"problems": PIECE_PROBLEMS, "build": build, "inPage": is_whole},
    }
    page = _page(content["profile"], data, pieces if is_whole else {}, has_files=not is_whole)
    files = (
        {} if is_whole else {f"{name}.js": _script(name, build, pieces[name]) for name in pieces}
    )
    return Report(page, files)


def _pieces(problems: Iterable[PageProblem]) -> Iterator[list[PageProblem]]:
    piece: list[PageProblem] = []
    for problem in problems:
        piece.append(problem)
        if len(piece) == PIECE_PROBLEMS:
            yield piece
            piece = []
    if piece:
        yield piece


def _page(profile: str, data: Json, pieces: dict[str, list[str]], *, has_files: bool) -> str:
    script = "".join((PAGE / f"{name}.js").read_text() for name in SCRIPTS)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    # Pages from disk load data files by the scheme `file:`, served ones from their own server.
    files = " file: 'self'" if has_files else ""
    facts = " · ".join(f"{name} {value}" for name, value in data["facts"])
    parts = {
        "TITLE": html.escape(" · ".join(filter(None, [profile, facts]))),
        "PROFILE": html.escape(profile),
        "POLICY": "default-src 'none'; style-src 'unsafe-inline'; connect-src 'self'; "
        f"script-src 'sha256-{digest}'{files}",
        "STYLE": (PAGE / "style.css").read_text(),
        "DATA": _packed(data),
        "PIECES": "\n".join(" ".join([name, *packed]) for name, packed in pieces.items()),
        "SCRIPT": script,
    }
    page = (PAGE / "page.html").read_text()
    split = page.split("%%")
    assert set(parts) <= set(split)
    return "".join(parts.get(piece, piece) for piece in split)


def _script(name: str, build: str, packed: list[str]) -> str:
    """Return a data file: a script that hands packed data, which are base64, to the page."""
    return f"receive({json.dumps(name)},{json.dumps(build)},{json.dumps(packed)})\n"


def _packed(data: object) -> str:
    compressed = gzip.compress(json.dumps(data, separators=(",", ":")).encode(), mtime=0)
    return base64.b64encode(compressed).decode()
