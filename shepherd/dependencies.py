"""Say which settings the rows of each asset depend on.

Code versions, the fingerprints of draws and the reasons that a run gives for a remake all come
from here. An asset names what its own code reads from the settings. What it reads through its
inputs is lineage: Dagster follows it. Fields that change speed or memory alone are left out:
those of ``Section.INCIDENTAL``, batch sizes, devices, servers and their time limits.

A dependency is the dotted path of a field: ``sampling.max_tokens``. Parts of a path are fields or
properties of a :class:`Section`, keys of a mapping, or kinds in a list of sections; ``*`` stands
for all of them. The path of a section stands for all its fields.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from shepherd.annotators.annotator import AnnotatorSettings, RolloutSettings
from shepherd.identity import SEEDING, content_id
from shepherd.policies import descents_of
from shepherd.schemas import labels_table
from shepherd.settings import EngineSettings, ModelSettings, PpoSettings, Section, Settings
from shepherd.splitting import SPLITTING_VERSION

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

Fingerprint = Mapping[str, str | int | float]
"""What a stage's completions depend on, by name, beside the ids and prompts of its requests."""

WRITTEN_WITH = {
    "solution_costs": "solutions",
    "rollout_costs": "rollouts",
    "asked_rollouts": "rollouts",
    "search_trees": "rollouts",
    "critique_costs": "critiques",
    "candidate_costs": "candidates",
    "rejected_problems": "problems",
    "rejected_solutions": "solutions",
    "rejected_labels": "labeled_solutions",
}
"""Tables that the asset of another table writes: they depend on the same settings."""


def dependencies_of(settings: Settings, asset: str) -> dict[str, Json]:
    """Return the settings that the rows of an asset depend on: values by dotted field.

    ``asset`` is the name of a table, of a generator or policy, ``completer``,
    ``outcome_reward_model``, ``process_reward_model``, ``exports`` or ``report``. Equal
    dependencies mean equal rows of equal inputs.
    """
    asset = WRITTEN_WITH.get(asset, asset)
    values: dict[str, Json] = {}
    for path in _paths_of(settings, asset):
        values |= _values(settings, path.split("."), "")
    if asset == "policy_evaluations":
        methods = {name: descent.method for name, descent in descents_of(settings).items()}
        values |= {f"generators.{name}.method": methods[name] for name in settings.generators}
    return dict(sorted(values.items()))


def code_version(settings: Settings, asset: str) -> str:
    """Return a hash of what an asset's rows depend on: 8 hexadecimal digits.

    Beside settings it holds a revision, which changes where code makes other rows of equal
    settings: other seeds, other cuts of solutions, or ids of another form.
    """
    values = dependencies_of(settings, asset)
    revision = f"seeding {SEEDING}" if "seed" in values else ""
    if asset == "steps":
        revision = "solution_id:step_index"
    if any(path.endswith(".splitting.method") for path in values):
        revision += f" splitting {SPLITTING_VERSION}"
    return content_id(json.dumps(values, sort_keys=True), revision)[:8]


def engine_fingerprint(engine: EngineSettings, weights: str) -> Fingerprint:
    """Return what completions depend on beside their requests and prompts.

    ``weights`` is the identity of a checkpoint (:mod:`resources.storage.weights`).
    """
    fingerprint: dict[str, str | int | float] = {"weights": weights}
    for field in _engine_fields(engine):
        [value] = _values(engine, field.split("."), "").values()
        assert isinstance(value, str | int), field
        fingerprint[_FINGERPRINT_KEYS[field]] = value
    return fingerprint


_FINGERPRINT_KEYS = {"kind": "engine", "dtype": "dtype", "vllm.max_model_len": "max_model_len"}


def draw_fingerprint(
    model: Fingerprint, *, template: str, run_seed: int, temperature: float, max_tokens: int
) -> Fingerprint:
    """Return what decides the completion of a request, beside the request's id and question.

    ``model`` is of :func:`engine_fingerprint`, ``template`` the text of the prompt template.
    Journals and the footers of Parquet files hold the fingerprint.
    """
    return {
        **model,
        "template": template,
        "seed": run_seed,
        "seeding": SEEDING,
        "temperature": temperature,
        "max_tokens": max_tokens,
    }


def _engine_fields(engine: EngineSettings) -> Iterator[str]:
    """Yield the fields of an engine that change its completions by more than rounding.

    The precision of servers is not known here. vLLM cuts completions at ``max_model_len``.
    """
    yield "kind"
    if engine.kind != "openai":
        yield "dtype"
    if engine.kind == "vllm" and engine.vllm.max_model_len is not None:
        yield "vllm.max_model_len"


def _draws(settings: Settings) -> Iterator[str]:
    """Yield the fields of the profile's engine that change completions."""
    yield from (f"engine.{name}" for name in _engine_fields(settings.engine))


REWARD_MODELS = ("outcome_reward_model", "process_reward_model")


def _problems(settings: Settings) -> Iterator[str]:
    yield from ("shards", "datasets.*.splitting.calculations")
    yield from (f"datasets.*.{name}" for name in ("num_train", "num_test", *_FILES))
    if any(dataset.source == "word_problems" for dataset in settings.datasets.values()):
        yield "seed"


_FILES = ("source", "columns", "split", "train", "test")
"""What the rows of a dataset's files are read by."""


def _solutions(settings: Settings) -> Iterator[str]:
    yield from ("datasets.*.splitting.calculations", "datasets.*.is_annotated")
    if any(dataset.is_annotated for dataset in settings.datasets.values()):
        yield from _draws(settings)
        yield from ("seed", "sampling.samples_per_problem", "sampling.temperature")
        yield "sampling.max_tokens"
        yield from (f"generators.{name}.template" for name in settings.generators_of("train"))
    for name, dataset in settings.datasets.items():
        if dataset.solutions is not None:
            # Its rows name problems by their place in the files of problems.
            yield from (f"datasets.{name}.{field}" for field in ("solutions", "solutions_split"))
            yield from (f"datasets.{name}.{field}" for field in _FILES)
            yield from (f"datasets.{other}.test" for other in settings.datasets)


def _rollouts(settings: Settings) -> Iterator[str]:
    yield from _draws(settings)
    yield from ("seed", "completer.template", "sampling.rollout_temperature")
    yield from ("sampling.max_tokens", "annotation.consensus", "datasets.*.is_annotated")
    yield "datasets.*.splitting.calculations"
    for annotator in settings.annotation.annotators:
        if isinstance(annotator, RolloutSettings):
            yield from _annotator(annotator)


def _critiques(settings: Settings) -> Iterator[str]:
    judge = settings.annotation.judge
    assert judge is not None, "critiques are an asset of profiles with a judge"
    if judge.engine is None:
        yield from _draws(settings)
    else:
        path = "annotation.annotators.judge.engine"
        yield from (f"{path}.{name}" for name in _engine_fields(judge.engine))
    yield from ("seed", "datasets.*.is_annotated")
    # A judge is no asset of its own, so that its base is read here.
    fields = ("base", "template", "num_votes", "temperature", "max_tokens")
    yield from (f"annotation.annotators.judge.{field}" for field in fields)


def _labels(annotator: AnnotatorSettings) -> Iterator[str]:
    """Yield what the labels of one annotator read; a judge's are counted from its critiques."""
    yield "datasets.*.is_annotated"
    if "critiques" not in annotator.READS:
        yield from _annotator(annotator)


def _annotator(annotator: AnnotatorSettings) -> Iterator[str]:
    """Yield what an annotator reads: its own section, and the method if it cuts texts itself."""
    yield f"annotation.annotators.{annotator.kind}"
    if isinstance(annotator, RolloutSettings):
        cuts_texts = annotator.annotator("sentence") != annotator.annotator("newline")
    else:
        cuts_texts = annotator.kind not in ("oracle", "rule")
    if cuts_texts:
        yield "datasets.*.splitting.method"


def _labeled_solutions(settings: Settings) -> Iterator[str]:
    for name, dataset in settings.datasets.items():
        if dataset.labels is not None:
            fields = ("labels", "labels_format", "labels_task", "annotator")
            yield from (f"datasets.{name}.{field}" for field in fields)
            yield f"datasets.{name}.splitting.calculations"


def _candidates(settings: Settings) -> Iterator[str]:
    yield from _draws(settings)
    yield from ("seed", "sampling.num_candidates", "sampling.temperature", "sampling.max_tokens")
    yield "datasets.*.splitting.calculations"
    yield from _drawn_from(settings, settings.candidate_generators)


def _drawn_from(settings: Settings, names: Iterable[str]) -> Iterator[str]:
    """Yield what is read of generators and policies: the template, a policy's being its start's."""
    for name in names:
        policy = settings.policies.get(name)
        yield from [f"policies.{name}.start"] if policy else ()
        yield f"generators.{policy.start if policy else name}.template"


def _greedy_solutions(settings: Settings) -> Iterator[str]:
    # At temperature 0 no seed is used.
    yield from _draws(settings)
    yield from ("sampling.max_tokens", "datasets.*.splitting")
    yield from _drawn_from(settings, [*settings.generators, *settings.policies])


_RULES: dict[str, Callable[[Settings], Iterator[str]]] = {
    "problems": _problems,
    "solutions": _solutions,
    "rollouts": _rollouts,
    "critiques": _critiques,
    "labeled_solutions": _labeled_solutions,
    "candidates": _candidates,
    "greedy_solutions": _greedy_solutions,
}
"""Of the assets whose dependencies depend on the settings themselves."""

_SCORE = ("template", "training.max_length")
"""What scoring reads of the settings of a reward model."""

_PATHS: dict[str, tuple[str, ...]] = {
    "steps": ("datasets.*.splitting.method",),
    "oracle_labels": ("datasets.*.source", "datasets.*.is_annotated"),
    "step_labels": ("annotation.names", "annotation.consensus"),
    "candidate_scores": (
        "datasets.*.splitting.method",
        *(f"{name}.{field}" for name in REWARD_MODELS for field in _SCORE),
    ),
    "evaluations": ("seed", "verification", "sampling.num_candidates"),
    "policy_evaluations": (
        "seed",
        "verification.bootstrap",
        "policies.*.start",
        "policies.*.method",
    ),
    # The dataset card says how the labels were made.
    "exports": (
        "exports",
        "published_annotators",
        "seed",
        "generators.*.base",
        "completer.base",
        "sampling.samples_per_problem",
        "annotation.max_rollouts",
        "sampling.temperature",
        "sampling.rollout_temperature",
        "sampling.max_tokens",
    ),
    "report": ("datasets.*.splitting.method",),
}
"""Of the other assets."""


def _paths_of(settings: Settings, asset: str) -> Iterable[str]:
    """Return the paths that an asset depends on."""
    if asset in _PATHS:
        return _PATHS[asset]
    if asset in _RULES:
        return _RULES[asset](settings)
    model = _model_paths(settings, asset)
    if model is not None:
        return model
    kinds = {labels_table(one.kind).name: one for one in settings.annotation.annotators}
    assert asset in kinds, f"no asset is called {asset}"
    return _labels(kinds[asset])


def _model_paths(settings: Settings, name: str) -> Iterator[str] | None:
    """Return the paths that a model depends on; null if no model has the name."""
    if name in settings.policies:
        return _policy(settings, name)
    if name in REWARD_MODELS:
        return _reward_model(settings, name)
    if name == "completer" and settings.completer is not None:
        return _fine_tuned(name, settings.completer)
    if name in settings.generators:
        return _fine_tuned(f"generators.{name}", settings.generators[name])
    return None


def _fine_tuned(path: str, model: ModelSettings) -> Iterator[str]:
    """Yield what fine-tuning on gold solutions reads; a model without training is its base."""
    yield f"{path}.base"
    if model.training is not None:
        yield from ("seed", "training_set.validation_share")
        fields = ("template", "datasets", "num_problems", "training")
        yield from (f"{path}.{field}" for field in fields)


def _reward_model(settings: Settings, name: str) -> Iterator[str]:
    model: ModelSettings | None = getattr(settings, name)
    yield f"{name}.base"
    if model is None or model.training is None:
        return
    yield from ("seed", f"{name}.template", f"{name}.training", "training_annotators")
    if name == "process_reward_model":
        yield "training_set"
    else:
        fields = ("keep_unanimous", "per_problem", "validation_share")
        yield from (f"training_set.{field}" for field in fields)


def _policy(settings: Settings, name: str) -> Iterator[str]:
    policy = settings.policies[name]
    start = f"generators.{policy.start}"
    yield from _draws(settings)
    yield from ("seed", f"policies.{name}", "sampling.max_tokens", "training_set.validation_share")
    yield f"{start}.template"
    if isinstance(policy, PpoSettings):
        # PPO is rewarded at the ends of steps.
        yield "datasets.*.splitting.method"
        yield from (f"{policy.reward_model}.{field}" for field in _SCORE)
    else:
        # RFT fine-tunes the base of its start on gold solutions and on the texts that it keeps.
        yield from (f"{start}.{field}" for field in ("base", "datasets", "num_problems"))
        yield "datasets.*.splitting.calculations"


def _values(value: object, parts: Sequence[str], path: str) -> dict[str, Json]:
    """Return the values at a path below ``value`` by their full paths; none below a null."""
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
        names = type(value).model_fields.keys() - value.INCIDENTAL
        return {name: getattr(value, name) for name in sorted(names)}
    if isinstance(value, Mapping):
        return {str(key): child for key, child in value.items()}
    if isinstance(value, tuple) and value and all(isinstance(part, Section) for part in value):
        return {str(part.kind): part for part in value}
    return {}


def _json(value: object) -> Json:
    """Return a leaf as JSON."""
    if isinstance(value, tuple | list):
        return [_json(part) for part in value]
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, Mapping):
        return {str(key): _json(part) for key, part in value.items()}
    assert value is None or isinstance(value, bool | int | float | str), value
    return value
