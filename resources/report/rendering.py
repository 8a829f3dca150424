"""Render the report's page: its data, styles and scripts in one HTML text."""

import base64
import gzip
import hashlib
import html
import json
from pathlib import Path

from resources.report.problems import Json

PAGE = Path(__file__).resolve().parents[1] / "report_page"
SCRIPTS = (
    "dom",
    "data",
    "charts",
    "overview",
    "verification",
    "labels",
    "cost",
    "study",
    "problems",
    "solutions",
    "page",
)
"""The page's scripts; each comes after the scripts that it needs when it is read."""


def render(content: Json) -> str:
    """Return the page of some content: profile, limits, marts, studies and problems."""
    script = "".join((PAGE / f"{name}.js").read_text() for name in SCRIPTS)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    problems = content["problems"]
    # Rollouts are most of the data. The page unpacks those of a problem when a step is unfolded.
    with_counts = [
        {
            **problem,
            "rollouts": {prefix: len(drawn) for prefix, drawn in problem["rollouts"].items()},
        }
        for problem in problems
    ]
    parts = {
        "PROFILE": html.escape(content["profile"]),
        "POLICY": f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'",
        "STYLE": (PAGE / "style.css").read_text(),
        "DATA": _packed({**content, "problems": with_counts}),
        "ROLLOUTS": "\n".join(_packed(problem["rollouts"]) for problem in problems),
        "SCRIPT": script,
    }
    page = (PAGE / "page.html").read_text()
    pieces = page.split("%%")
    assert set(parts) <= set(pieces)
    return "".join(parts.get(piece, piece) for piece in pieces)


def _packed(data: Json) -> str:
    compressed = gzip.compress(json.dumps(data).encode(), mtime=0)
    return base64.b64encode(compressed).decode()
