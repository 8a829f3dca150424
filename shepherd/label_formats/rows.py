"""Fields of published rows, and texts of steps with and without their closing newline."""

from collections.abc import Mapping, Sequence

from shepherd.datasets import require_text


def closed(texts: Sequence[str]) -> tuple[str, ...]:
    return (*(f"{text}\n" for text in texts[:-1]), texts[-1])


def opened(steps: Sequence[str]) -> list[str]:
    return [*(step.removesuffix("\n") for step in steps[:-1]), steps[-1]]


def nested_field(fields: Mapping[str, object], name: str) -> Mapping[str, object]:
    value = fields.get(name)
    if not isinstance(value, dict):
        raise ValueError(f"{name}: is missing, or no object")
    return value


def list_field(fields: Mapping[str, object], name: str) -> list[object]:
    value = fields.get(name)
    if not isinstance(value, list) or not value:
        raise ValueError(f"{name}: is missing, empty, or no list")
    return value


def text_list_field(fields: Mapping[str, object], name: str) -> list[str]:
    values = list_field(fields, name)
    return [require_text({name: value}, name) for value in values]
