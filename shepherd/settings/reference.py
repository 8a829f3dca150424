"""Write docs/profiles.md: every field of a profile, from the settings themselves.

python -m shepherd.settings.reference > docs/profiles.md
"""

import json
import re
from collections.abc import Mapping, Sequence
from inspect import cleandoc
from types import NoneType
from typing import Literal, get_args, get_origin

from pydantic import BaseModel, JsonValue
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from shepherd.section import Section
from shepherd.settings.deployment import Settings
from shepherd.settings.fields import kind_of, sections_of

INTRODUCTION = """# Profiles

A profile is a YAML file of the fields below. `SHEPHERD_PROFILE` names it: a file of `profiles/`
without its ending, or a path that ends in `.yaml`. This is a whole one:

```yaml
datasets:
  words: {source: word_problems, num_train: 200, num_test: 100}
generators:
  generator: {base: base-small, training: {learning_rate: 1.0e-4}}
completer: {base: base-large, training: {learning_rate: 1.0e-4}}
annotation:
  annotators: [{kind: monte_carlo, num_rollouts: 8}, rule]
```

- A field that is left out has its default. An unknown field is an error.
- `${VAR}` and `${VAR:-default}` are replaced by environment variables. A value that names an unset
  variable without a default is null as a whole, and an error about it names the variable.
- A relative path starts at the folder of the profile. If it begins with a variable, it starts at
  the working directory.
- A key that repeats or is no text (`on`, `1`: write it in quotes), a tag (`!!float`), `.inf` and
  `.nan` are refused. Aliases (`*name`) stand for at most 100,000 values.
- Names of datasets, generators, policies and exports have at most 100 letters, digits, `_`, `.` and
  `-`, no `...`, and differ by more than case. Generators and policies become assets: no dots, and
  no word of Dagster or Python such as `input` or `class`.
- A list of sections (`annotators`) chooses each by its `kind`; a bare word is short for
  `{kind: word}`.

This page is generated: `python -m shepherd.settings.reference > docs/profiles.md`.
"""
TYPE_NAMES: Mapping[object, str] = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "true or false",
    NoneType: "null",
    JsonValue: "any value",
}
SYMBOLS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def page() -> str:
    """Return the page: an introduction, then a table for each section."""
    tables = [_table(section, paths) for section, paths in sections_by_path().items()]
    return "\n".join([INTRODUCTION, *tables])


def sections_by_path() -> dict[type[Section], list[str]]:
    """Return each class of section with its paths in a profile; inner ones follow outer ones."""
    paths: dict[type[Section], list[str]] = {}
    _add(Settings, "", paths)
    return paths


def _add(section: type[Section], path: str, paths: dict[type[Section], list[str]]) -> None:
    is_new = section not in paths
    paths.setdefault(section, []).append(path)
    for name, field in section.model_fields.items() if is_new else ():
        inner = f"{path}.{name}{_key(field.annotation)}".removeprefix(".")
        for one in sections_of(field.annotation):
            _add(one, inner, paths)


def _key(annotation: object) -> str:
    origin = get_origin(annotation)
    return ".NAME" if origin is dict else "[]" if origin is tuple else ""


def _table(section: type[Section], paths: Sequence[str]) -> str:
    kind = kind_of(section)
    title = "Fields of a profile" if section is Settings else ", ".join(f"`{p}`" for p in paths)
    if kind is not None:
        title += f", `kind: {kind}`"
    fields = [item for item in section.model_fields.items() if item[0] != "kind" or kind is None]
    rows = "".join(_row(name, field) for name, field in fields)
    header = "| field | type and range | default | meaning |\n| --- | --- | --- | --- |\n"
    body = header + rows if rows else "It has no fields of its own.\n"
    return f"## {title}\n{_docstring(section)}\n\n{body}"


def _docstring(section: type[Section]) -> str:
    text = cleandoc(section.__doc__ or "").replace("``", "`")
    return re.sub(r":\w+:`", "`", text)


def _row(name: str, field: FieldInfo) -> str:
    assert field.description, f"{name}: describe it"
    default = "required" if field.is_required() else f"`{_default(field)}`"
    cells = (f"`{name}`", _type(field), default, field.description)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _default(field: FieldInfo) -> str:
    value = field.default
    assert value is not PydanticUndefined
    if isinstance(value, tuple) and value and isinstance(value[0], Section):
        return f"[{', '.join(str(kind_of(type(one))) for one in value)}]"
    if isinstance(value, BaseModel):
        return "{}"
    if isinstance(value, float) and 0 < value < 0.001:
        return f"{value:.1e}".replace("e-0", "e-")
    return json.dumps(value)


def _type(field: FieldInfo) -> str:
    limits = [
        f"{symbol} {getattr(limit, name):,}"
        for limit in field.metadata
        for name, symbol in SYMBOLS.items()
        if hasattr(limit, name)
    ]
    return ", ".join([_type_name(field.annotation), *limits])


def _type_name(annotation: object) -> str:
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(f"`{word}`" for word in parts)
    if origin is dict:
        return f"{_type_name(parts[1])} by {'name' if parts[0] is str else _type_name(parts[0])}"
    if origin is tuple:
        length = "" if parts[-1] is Ellipsis else f"{len(parts)} x "
        return f"list of {length}{_type_name(parts[0])}"
    if sections_of(annotation) and NoneType not in parts:
        return "section"
    if parts:
        return " or ".join(_type_name(part) for part in parts)
    return TYPE_NAMES[annotation]


if __name__ == "__main__":
    print(page(), end="")
