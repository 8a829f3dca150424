"""docs/profiles.md is in step with the settings, and its example is a profile."""

import re
from pathlib import Path

import yaml

from shepherd.settings import Settings
from shepherd.settings.reference import page, sections_by_path

PAGE = Path(__file__).parent.parent / "docs" / "profiles.md"


def test_the_page_is_in_step() -> None:
    assert PAGE.read_text() == page(), "python -m shepherd.settings.reference > docs/profiles.md"


def test_the_page_names_every_field_of_every_section() -> None:
    tables = PAGE.read_text().split("\n## ")[1:]
    sections = sections_by_path()
    assert len(tables) == len(sections)
    for table, section in zip(tables, sections, strict=True):
        fields = set(section.model_fields) - {"kind"}
        assert fields <= set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))


def test_the_example_is_a_profile() -> None:
    [example] = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    settings = Settings.model_validate(yaml.safe_load(example))
    assert settings.annotation.names == ["monte_carlo", "rule"]
