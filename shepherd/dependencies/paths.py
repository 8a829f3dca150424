"""Look up the values of settings by dotted path."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TypeAlias

from shepherd.section import Section

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

_SCALARS = (bool, int, float, str, type(None))


def values_at(section: Section, path: str) -> dict[str, Json]:
    """Return the values at a dotted path of a section by their full paths; none below a null."""
    return _values(section, path.split("."), "")


def _values(value: object, parts: Sequence[str], path: str) -> dict[str, Json]:
    """Return the values at ``parts`` below ``value``, whose own path is ``path``."""
    if isinstance(value, _SCALARS):
        # Most values are: a profile has hundreds, and each asset looks some up.
        return {} if parts else {path: value}
    if parts:
        name, *others = parts
        if isinstance(value, Section) and name != "*":
            children: dict[str, object] = {name: getattr(value, name)}
        else:
            children = _children(value)
            children = children if name == "*" else {name: children[name]} if children else {}
    else:
        others, children = [], _children(value)
        if not children:
            return {path: _json(value)}
    values: dict[str, Json] = {}
    for key, child in children.items():
        values |= _values(child, others, f"{path}.{key}" if path else key)
    return values


def _children(value: object) -> dict[str, object]:
    """Return the parts of a section, mapping or list of sections that results depend on."""
    if isinstance(value, Section):
        return {name: getattr(value, name) for name in _names_of(type(value))}
    if isinstance(value, Mapping):
        return {str(key): child for key, child in value.items()}
    if isinstance(value, tuple) and value and all(isinstance(part, Section) for part in value):
        return {str(part.kind): part for part in value}
    return {}


@cache
def _names_of(section: type[Section]) -> list[str]:
    """Return the fields of a kind of section that results depend on, in order."""
    return sorted(section.model_fields.keys() - section.INCIDENTAL)


def _json(value: object) -> Json:
    """Return a leaf as JSON."""
    if isinstance(value, tuple | list):
        return [_json(part) for part in value]
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, Mapping):
        return {str(key): _json(part) for key, part in value.items()}
    assert isinstance(value, _SCALARS), value
    return value
