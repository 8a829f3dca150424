"""The pictures of docs/architecture.md are those that the code draws."""

from pathlib import Path
from xml.etree import ElementTree

from cli.pictures import IMAGES, pictures


def test_the_pictures_in_the_docs_are_up_to_date() -> None:
    for name, content in pictures().items():
        ElementTree.fromstring(content)
        assert Path(IMAGES / name).read_text("utf-8") == content, "run python -m cli.pictures"
