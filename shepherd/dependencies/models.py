"""Name the settings that the models of a profile depend on."""

from collections.abc import Iterator

from shepherd.dependencies.fingerprints import engine_fields
from shepherd.settings import ModelSettings, RftSettings, Settings

REWARD_MODELS = ("outcome_reward_model", "process_reward_model")

SCORING_FIELDS = ("template", "training.max_length", "scoring")
"""The fields of a reward model's settings that scores depend on."""


def engine_paths(settings: Settings) -> Iterator[str]:
    """Yield the fields of the profile's engine that change completions."""
    yield from (f"engine.{name}" for name in engine_fields(settings.engine))


def prompting_paths(path: str, model: ModelSettings) -> Iterator[str]:
    """Yield what the completions of the model at ``path`` read of its settings."""
    yield f"{path}.template"
    if model.stop:
        yield f"{path}.stop"


def nucleus_paths(settings: Settings, field: str) -> Iterator[str]:
    """Yield a field of ``sampling``, ``top_p`` or ``rollout_top_p``, if it changes draws."""
    if getattr(settings.sampling, field) != 1:
        yield f"sampling.{field}"


def model_paths(settings: Settings, name: str) -> Iterator[str] | None:
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
    yield from engine_paths(settings)
    yield from ("seed", f"policies.{name}", "sampling.max_tokens", "training_set.validation_share")
    yield from prompting_paths(start, settings.generators[policy.start])
    if isinstance(policy, RftSettings):
        # RFT fine-tunes the base of its start on gold solutions and on the texts that it keeps.
        yield from (f"{start}.{field}" for field in ("base", "datasets", "num_problems"))
        yield from nucleus_paths(settings, "top_p")
        yield "datasets.*.splitting.calculations"
    else:
        # PPO and GRPO are rewarded at the ends of steps.
        yield "datasets.*.splitting.method"
        yield from (f"{policy.reward_model}.{field}" for field in SCORING_FIELDS)
