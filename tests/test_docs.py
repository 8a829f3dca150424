"""What the documents point at is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_relative_links_lead_to_files(path: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)", path.read_text())
    linked = {link.partition("#")[0] for link in links if "://" not in link}
    assert [link for link in sorted(linked) if not (path.parent / link).exists()] == []
