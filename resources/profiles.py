"""Read a profile: one YAML file of the fields in :mod:`shepherd.settings`.

A value may name environment variables: ``${VAR}`` or ``${VAR:-default}``. If a variable without a
default is unset or empty, the whole value is null. So ``train: ${GSM8K_DIR}/train.jsonl`` is a path
if the variable is set, and is not set otherwise. Errors name the variable.

A relative path starts at the folder of the profile. If it begins with a variable, it starts at the
working directory, as do the paths of a command line.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from resources.strict_yaml import read_yaml
from resources.user_paths import expanded
from shepherd.messages import one_line, shown, without_addresses
from shepherd.nearest import did_you_mean
from shepherd.section import FromVariable, Section
from shepherd.settings import NAME_PATTERN, Settings
from shepherd.settings.fields import locate
from shepherd.settings.moved import moved

PROFILES = Path(__file__).resolve().parent.parent / "profiles"
S = TypeVar("S", bound=Section)
Place: TypeAlias = "tuple[str | int, ...]"
"""Where a value is in a document: the keys and indices that lead to it."""

_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


def settings_from_env() -> Settings:
    """Return the settings of the profile that the environment names."""
    return load_settings(profile_from_env())


def profile_from_env() -> str:
    """Return the name or path in ``SHEPHERD_PROFILE``, or ``demo`` if it is unset or empty."""
    return os.environ.get("SHEPHERD_PROFILE") or "demo"


def load_settings(name_or_path: str) -> Settings:
    """Return the settings of ``profiles/<name>.yaml``, or of the .yaml file at a path.

    Raises:
        ValueError: there is no such profile (the message lists the known ones), it is not YAML, or
            a field is wrong. One line names the file, the field and what to do.
    """
    return read_section(_find(name_or_path), Settings, "datasets: ..., generators: ...")


def read_section(path: Path, kind: type[S], example: str) -> S:
    """Return the section that a YAML file holds; ``example`` shows some of its fields.

    Raises:
        ValueError: the file is not YAML, or a field is wrong. One line names the file, the field
            and what to do.
    """
    try:
        document = read_yaml(path.read_text(encoding="utf-8-sig"))
    except (ValueError, OSError) as error:
        raise ValueError(f"{path}: not a YAML file of a profile: {one_line(str(error))}") from error
    if not isinstance(document, dict):
        raise ValueError(f"{path}: must hold fields ({example}), nothing else")
    unset: dict[Place, set[str]] = {}
    expanded = _expand(document, os.environ, unset)
    try:
        section = kind.model_validate(expanded, context=path.absolute().parent)
    except ValidationError as error:
        names = sorted(set().union(*unset.values()))
        hint = f" (unset variables: {', '.join(names)})" if names else ""
        raise ValueError(f"{path}: {_describe(error)}{hint}") from error
    for place, variables in unset.items():
        _note_unset(section, place, variables)
    return section


def _find(name_or_path: str) -> Path:
    if name_or_path.endswith((".yaml", ".yml")):
        path = expanded(name_or_path)
        if not path.is_file():
            raise ValueError(
                f"{path}: no such file: set --profile or SHEPHERD_PROFILE to a profile's name "
                "or to the path of a .yaml file"
            )
        return path
    path = PROFILES / f"{name_or_path}.yaml"
    if not re.fullmatch(NAME_PATTERN, name_or_path) or not path.is_file():
        known = ", ".join(sorted(file.stem for file in PROFILES.glob("*.yaml")))
        raise ValueError(
            f"no profile {name_or_path!r}: set --profile or SHEPHERD_PROFILE to one of {known}, "
            "or to the path of a .yaml file"
        )
    return path


def _expand(
    value: object, environ: Mapping[str, str], unset: dict[Place, set[str]], place: Place = ()
) -> object:
    """Replace variables in every text of a document; note the unset ones by their place."""
    if isinstance(value, dict):
        return {key: _expand(item, environ, unset, (*place, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_expand(item, environ, unset, (*place, at)) for at, item in enumerate(value)]
    if not isinstance(value, str):
        return value
    missing = {
        name for name, default in _VARIABLE.findall(value) if not environ.get(name) and not default
    }
    if missing:
        unset[place] = missing
        return None
    text = _VARIABLE.sub(lambda match: environ.get(match[1]) or match[2], value)
    return FromVariable(text) if _VARIABLE.match(value) else text


def _note_unset(section: object, place: Place, variables: set[str]) -> None:
    """Let the section at a place of a document know which variables would set its field."""
    name, *others = place
    if isinstance(section, Section) and not others:
        section.note_unset(str(name), variables)
    elif isinstance(section, Section):
        _note_unset(getattr(section, str(name)), tuple(others), variables)
    elif isinstance(section, Mapping) and others:
        _note_unset(section[name], tuple(others), variables)


def _describe(error: ValidationError) -> str:
    """Return each wrong field and what to do, in one line."""
    return one_line("; ".join(map(_problem, error.errors())))


def _problem(detail: ErrorDetails) -> str:
    path, section = locate(detail["loc"])
    path = without_addresses(path)
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        name = str(detail["loc"][-1])
        near = did_you_mean(name, section.model_fields) if section else ""
        message = moved(path, detail["input"]) or (
            f"unknown field{near}: correct its name or remove it (fields: docs/profiles.md)"
        )
    elif detail["type"] == "literal_error":
        near = did_you_mean(str(detail["input"]), _quoted(detail["ctx"]["expected"]))
        message += f", got {shown(detail['input'])}{near}"
    elif detail["type"] == "union_tag_invalid":
        path += ".kind"
        expected, word = detail["ctx"]["expected_tags"], detail["ctx"]["tag"]
        near = did_you_mean(word, _quoted(expected))
        message = f"must be one of {expected}, got {shown(word)}{near}"
    elif detail["type"] == "union_tag_not_found":
        path, message = f"{path}.kind", "Field required"
    elif detail["type"] not in {"value_error", "missing"}:
        message += f", got {shown(detail['input'])}"
    return f"{path}: {message}" if path else message


def _quoted(text: str) -> list[str]:
    return re.findall(r"'([^']*)'", text)
