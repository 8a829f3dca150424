"""The tree of the settings' fields: which section a place in a profile belongs to."""

from collections.abc import Iterable
from inspect import isabstract
from typing import get_args, get_origin

from shepherd.annotators.annotator import AnnotatorSettings
from shepherd.annotators.kinds import annotator_kinds
from shepherd.section import Section
from shepherd.settings.deployment import Settings


def sections_of(annotation: object) -> list[type[Section]]:
    """Return the sections that a field of this type may hold: one, one of each kind, or none."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        if issubclass(annotation, AnnotatorSettings) and isabstract(annotation):
            return list(annotator_kinds().values())
        return [annotation]
    return [section for part in get_args(annotation) for section in sections_of(part)]


def kind_of(section: type[Section]) -> str | None:
    """Return the word by which a profile chooses this section among others, if it does."""
    field = section.model_fields.get("kind")
    words = get_args(field.annotation) if field else ()
    return str(words[0]) if len(words) == 1 else None


def locate(location: Iterable[int | str]) -> tuple[str, type[Section] | None]:
    """Return the path of an error's location in a profile, and the section of its last field.

    A location is pydantic's: it also names the kind of a section that was chosen by ``kind``, which
    is no part of a path. The section is None inside a field that holds none.
    """
    sections: list[type[Section]] = [Settings]
    owner: type[Section] | None = None
    path, is_key = "", False
    for part in location:
        if not is_key and len(sections) > 1:
            sections = [section for section in sections if kind_of(section) == part]
            continue
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
        if is_key:
            is_key = False
            continue
        owner = sections[0] if sections else None
        field = owner.model_fields.get(str(part)) if owner else None
        annotation = field.annotation if field else None
        is_key = get_origin(annotation) in (dict, tuple)
        sections = sections_of(annotation)
    return path.removeprefix("."), owner
