"""The reviewed table of settings and assets is what the code versions follow."""

import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from shepherd.annotators.annotator import AnnotatorSettings
from shepherd.annotators.kinds import annotator_kinds
from shepherd.dependencies import code_version
from shepherd.settings import EngineSettings, Section, Settings

TABLE = Path(__file__).parent / "snapshots" / "settings.txt"

WORDS = {"source": "word_problems", "num_train": 3, "num_test": 2, "train": "a", "test": "b"}
PPO = {"kind": "ppo", "start": "generator"}
TRAINED: dict[str, Any] = {"base": "base-small", "num_problems": 5, "training": {}}
SERVERS = {"base_urls": ["http://here:1/v1"]}
VLLM = {
    "kind": "vllm",
    "vllm": {"max_model_len": 64, "extra_arguments": {"block_size": 16}},
    "openai": SERVERS,
}
TRANSFORMERS = {"kind": "transformers", "openai": SERVERS}
SERVED = {"kind": "openai", "openai": SERVERS}
ENGINES: tuple[tuple[dict[str, Any], dict[str, Any] | None], ...] = (
    (TRANSFORMERS, VLLM),
    (VLLM, TRANSFORMERS),
    (VLLM, None),
)
"""The engine of the profile, and that of the judge and of nli's language model."""


def rich(engine: dict[str, Any], judge_engine: dict[str, Any] | None) -> Settings:
    """Return settings with every section."""
    asked = {"base": "asked", "engine": judge_engine} if judge_engine else None
    published = {"source": "math", "train": "c", "test": "d"}
    settings = Settings.model_validate(
        {
            "datasets": {
                "words": WORDS,
                "solved": published | {"solutions": "s.jsonl", "solutions_split": "train"},
                "labelled": published | {"labels": "l.jsonl", "annotator": "them"},
                "thought": WORDS | {"splitting": {"method": "reasoning"}},
            },
            "generators": {"generator": TRAINED, "untrained": {"base": "base-small"}},
            "completer": TRAINED,
            "outcome_reward_model": TRAINED,
            "process_reward_model": TRAINED,
            "gpus": {"name": "H200", "count": 1, "memory_gib": 140},
            "policies": {
                "rft": {"kind": "rft", "start": "generator"},
                "ppo": PPO | {"reward_model": "process_reward_model"},
                "orm_ppo": PPO | {"reward_model": "outcome_reward_model"},
                "grpo": PPO | {"kind": "grpo", "reward_model": "process_reward_model"},
            },
            "engine": engine,
            "annotation": {
                "pilot": {},
                "annotators": [
                    {"kind": "judge", "base": "judge", "engine": judge_engine},
                    {"kind": "nli", "language_model": asked},
                    *(k for k in annotator_kinds() if k not in ("oracle", "judge", "nli")),
                ],
            },
            "exports": {"ours": {"annotator": "monte_carlo"}},
        }
    )
    # It refuses datasets other than word problems.
    oracle = annotator_kinds()["oracle"]()
    annotators = (*settings.annotation.annotators, oracle)
    annotation = settings.annotation.model_copy(update={"annotators": annotators})
    return settings.model_copy(update={"annotation": annotation})


def served() -> list[Settings]:
    """Return settings whose judge or all of whose models are served; PPO would be refused there."""
    engine = EngineSettings.model_validate(SERVED)
    return [rich(VLLM, SERVED), rich(VLLM, None).model_copy(update={"engine": engine})]


def assets_of(settings: Settings) -> list[str]:
    tables = "problems solutions steps rollouts step_labels"
    others = "labeled_solutions candidates candidate_scores evaluations greedy_solutions"
    models = "completer outcome_reward_model process_reward_model"
    labels = [f"{name}_labels" for name in settings.annotation.names]
    labels += ["critiques"] if settings.annotation.judge else []
    labels += ["pilot_rollouts", "pilot_rates"] if settings.annotation.pilot else []
    named = [*settings.generators, *settings.policies, *labels]
    return [*f"{tables} {others} {models} policy_evaluations exports report".split(), *named]


def sections_of(annotation: object) -> Iterator[tuple[str, type[Section]]]:
    """Yield the sections that a field's type names, and what stands for their keys."""
    if annotation is AnnotatorSettings:
        yield from ((f"[{kind}]", section) for kind, section in annotator_kinds().items())
    elif isinstance(annotation, type) and issubclass(annotation, Section):
        yield "", annotation
    elif get_origin(annotation) is Annotated:
        yield from sections_of(get_args(annotation)[0])
    elif get_origin(annotation) in (typing.Union, types.UnionType):
        for part in get_args(annotation):
            yield from sections_of(part)
    elif get_origin(annotation) in (dict, tuple):
        for part in get_args(annotation):
            for key, section in sections_of(part):
                kind = section.model_fields.get("kind")
                unions = kind is not None and kind.is_required()
                word = get_args(kind.annotation)[0] if kind and unions else ""
                yield f".*{key}" + (f"[{word}]" if word else ""), section


def fields_of(section: type[Section], path: str = "") -> Iterator[str]:
    """Yield the path of every field of the schema."""
    for name, field in section.model_fields.items():
        inner = list(sections_of(field.annotation))
        for key, part in inner:
            yield from fields_of(part, f"{path}{name}{key}.")
        if not inner:
            yield path + name


def others_of(value: object, annotation: object) -> list[object]:
    """Return other values of a field's type."""
    if get_origin(annotation) is Literal:
        return [word for word in get_args(annotation) if word != value] or [f"{value}x"]
    match value:
        case bool():
            return [not value]
        case int() | float():
            return [value + 1]
        case str():
            return [f"{value}x"]
        case tuple():
            return [value[1:], value[:-1], (*value, "x")]
        case dict():
            return [{**value, "question": "x"}]
    kinds = [part for part in get_args(annotation) if part is not type(None)]
    samples = {int: 1, float: 0.5, str: "x"}
    return [samples.get(kinds[0], ("x", "y"))]


def changed(section: Section, parts: list[str]) -> Iterator[Any]:
    """Yield the section with another value of a field, in each place that the path names."""
    name, *others = parts
    value = getattr(section, name)
    if not others:
        annotation = type(section).model_fields[name].annotation
        new_values = ["untrained"] if name == "start" else others_of(value, annotation)
        yield from (section.model_copy(update={name: new}) for new in new_values)
    elif isinstance(value, dict | tuple):
        kind = others[0].partition("[")[2].rstrip("]")
        keys = value if isinstance(value, dict) else range(len(value))
        for key in keys:
            if isinstance(value, tuple) and value[key].kind == kind and others[1:] == ["kind"]:
                yield section.model_copy(update={name: value[:key] + value[key + 1 :]})
            elif not kind or value[key].kind == kind:
                for new in changed(value[key], others[1:]):
                    copies = dict(value) if isinstance(value, dict) else list(value)
                    copies[key] = new
                    yield section.model_copy(update={name: type(value)(copies)})
    elif isinstance(value, Section):
        for new in changed(value, others):
            yield section.model_copy(update={name: new})


def versions_of(settings: Settings) -> dict[str, str]:
    return {asset: code_version(settings, asset) for asset in assets_of(settings)}


def changed_assets(settings: Settings, before: dict[str, str], field: str) -> set[str]:
    """Return the assets whose code version follows a field; ``before`` are all code versions."""
    return {
        asset
        for new in changed(settings, field.split("."))
        for asset in before.keys() & assets_of(new)
        if code_version(new, asset) != before[asset]
    }


def test_every_field_of_the_settings_has_a_reviewed_line() -> None:
    settings = [rich(*engines) for engines in ENGINES]
    before = [(each, versions_of(each)) for each in settings]
    before_served = [(each, versions_of(each)) for each in served()]
    lines = []
    for field in fields_of(Settings):
        is_of_servers = ".openai." in field
        changes = (
            changed_assets(*each, field) for each in (before_served if is_of_servers else before)
        )
        assets = set[str]().union(*changes)
        lines.append(f"{field}: {' '.join(sorted(assets)) or '-'}\n")
    assert "".join(lines) == TABLE.read_text(), "review the table, then write it anew"
